/* SPDX-License-Identifier: Apache-2.0 */
/* front/judge.c - what a client presented, read and judged here, as plain values for the authority */
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/est/est.h"
#include "server/front/front.h"

void
judge_note(struct proto_enrol *q, const char *text)
{
	size_t n = strlen(q->notes);

	if (text != NULL && text[0] != 0)
		(void)snprintf(q->notes + n, sizeof(q->notes) - n, "%s%s", n != 0 ? "; " : "", text);
}

static void
fill_peer(struct proto_enrol *q, const struct tls_peer *p)
{
	const struct cert *c = &p->cert;

	(void)snprintf(q->tls, sizeof(q->tls), "%s %s%s", p->version, p->cipher, p->ems ? "" : " without extended master secret");
	q->cert_state = p->state;
	q->has_cert = p->has_cert;
	text_copy(q->cert_detail, sizeof(q->cert_detail), p->detail);
	if (!p->cert_parsed) {
		if (p->has_cert)
			q->cert_state = TRUST_MALFORMED; /* what we cannot read we do not believe */
		return;
	}
	q->anchor = p->anchor;
	memcpy(q->cert_sha256, c->sha256, SHA256_LEN);
	(void)cert_serial_text(c->serial, q->cert_serial);
	q->cert_not_before = c->not_before;
	q->cert_not_after = c->not_after;
	q->cert_ra = cert_has_eku(c, OID_CMC_RA);
	if (c->subject_known)
		name_copy(&q->cert_subject, &c->subject);
	if (c->has_san && c->sans_known)
		sans_copy(&q->cert_sans, &c->sans);
}

void
judge_client(struct proto_enrol *q, const struct http_request *r)
{
	text_copy(q->id, sizeof(q->id), http_id(r));
	text_copy(q->address, sizeof(q->address), http_address(r));
	fill_peer(q, http_tls(r));
}

void
judge_refuse(struct proto_enrol *q, unsigned status, const char *reason, const char *text)
{
	q->csr_status = status;
	text_copy(q->csr_reason, sizeof(q->csr_reason), reason);
	text_copy(q->csr_text, sizeof(q->csr_text), text);
}

/* RFC 7030 3.5: if the client sent the channel binding, the server MUST verify it. */
static void
check_pop(struct proto_enrol *q, const struct http_request *r)
{
	char binding[TLS_BINDING_MAX];
	size_t n = strlen(q->csr.challenge);

	q->pop = PROTO_POP_NONE;
	if (!q->csr.has_challenge)
		return;
	if (http_binding(r, binding, NULL) != 0)
		q->pop = PROTO_POP_UNAVAILABLE;
	else
		q->pop = n == strlen(binding) && mem_equal_ct(q->csr.challenge, binding, n) ? PROTO_POP_OK : PROTO_POP_BAD;
	mem_wipe(binding, sizeof(binding));
}

void
judge_request(struct proto_enrol *q, const struct http_request *r, struct bytes text, struct buf *der)
{
	const char *remark = NULL;
	struct err e = { 0 };
	int rc;

	if ((rc = est_request_der(der, text, &remark, &e)) != 0) {
		judge_refuse(q, rc == E_TOOBIG ? 413 : 400, "request.encoding", e.msg);
		return;
	}
	judge_note(q, remark);
	if ((rc = csr_parse(&q->csr, bytes_of_buf(der), &e)) != 0) {
		judge_refuse(q, rc == E_TOOBIG ? 413 : 400, rc == E_AUTH ? "request.signature" :
		    rc == E_POLICY ? "request.key" : "request.malformed", e.msg);
	} else if (q->csr.changes_subject) {
		judge_refuse(q, 403, "request.change-subject", "ChangeSubjectName is not taken here");
	} else {
		check_pop(q, r);
	}
}
