/* SPDX-License-Identifier: Apache-2.0 */
/* front/est.c - RFC 7030's operations: what arrived, put into one message, and the answer to it */
#include "core/est/est.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/sys/log.h"
#include "server/front/front.h"

static const struct http_header_field retry_soon[] = { { "Retry-After", "2" }, { NULL, NULL } };

static void
unavailable(struct http_request *r, const char *why)
{
	http_refuse(r, 503, "server.unavailable", why, retry_soon);
}

/* The handshake came before the authority had told its anchors: only a new one can say more. */
static void
unjudged(struct http_request *r)
{
	AUTO_BUF text = BUF_MAX(200);

	buf_printf(&text, "server.unavailable: the server had only just started: connect again\nrequest: %s\n", http_id(r));
	http_answer(r, &(struct http_answer){ .status = 503, .type = "text/plain; charset=utf-8", .body = bytes_of_buf(&text),
	    .fields = retry_soon, .close = true });
}

/* --- /cacerts and /csrattrs: from the snapshot, to anybody (RFC 7030 4.1.2, 4.5) --- */

static void
serve_cacerts(const struct front_label *l, struct http_request *r)
{
	const char *have = http_header(r, "If-None-Match");
	const struct http_header_field fields[] = {
		{ "ETag", l->etag }, { "Cache-Control", "no-cache" },
		{ l->v.send_cte ? "Content-Transfer-Encoding" : NULL, "base64" }, { NULL, NULL },
	};

	if (have != NULL && strstr(have, l->etag) != NULL)
		http_answer(r, &(struct http_answer){ .status = 304, .fields = fields });
	else
		http_answer(r, &(struct http_answer){ .status = 200, .type = EST_TYPE_CACERTS,
		    .body = bytes_of_buf(&l->cacerts_body), .fields = fields });
}

static void
serve_csrattrs(const struct front_label *l, struct http_request *r)
{
	const struct http_header_field fields[] = {
		{ l->v.send_cte ? "Content-Transfer-Encoding" : NULL, "base64" }, { NULL, NULL },
	};

	/* RFC 7030 4.5.2: 204 says that there are none. */
	if (l->csrattrs_body.n == 0)
		http_answer(r, &(struct http_answer){ .status = 204 });
	else
		http_answer(r, &(struct http_answer){ .status = 200, .type = EST_TYPE_CSRATTRS,
		    .body = bytes_of_buf(&l->csrattrs_body), .fields = fields });
}

/* --- enrolment: everything that was presented, as plain values --- */

static void
note(struct proto_enrol *q, const char *text)
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
	q->cert_not_after = c->not_after;
	q->cert_ra = cert_has_eku(c, OID_CMC_RA);
	if (c->subject_known)
		name_copy(&q->cert_subject, &c->subject);
	if (c->has_san && c->sans_known)
		sans_copy(&q->cert_sans, &c->sans);
}

static void
fill_secret(struct proto_enrol *q, const struct front_label *l, const struct http_request *r)
{
	const char *name = l->v.secret_header, *value;
	size_t n = name[0] != 0 ? http_header_count(r, name) : 0;

	if (n == 0)
		return;
	value = http_header(r, name);
	if (n > 1)
		q->secret_state = PROTO_SECRET_REPEATED;
	else if (value == NULL || value[0] == 0)
		q->secret_state = PROTO_SECRET_EMPTY;
	else
		q->secret_state = PROTO_SECRET_PRESENT;
	/* What is too long stays empty, which no secret is. */
	if (q->secret_state == PROTO_SECRET_PRESENT && strlen(value) < sizeof(q->secret))
		text_copy(q->secret, sizeof(q->secret), value);
}

static void
bad_request(struct proto_enrol *q, unsigned status, const char *reason, const char *text)
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

/* The request itself, judged; what is wrong with it is told only to who may come in. */
static void
fill_request(struct proto_enrol *q, const struct http_request *r, struct buf *der)
{
	const char *remark = NULL;
	struct err e = { 0 };
	int rc;

	if (est_request_type(http_header(r, "Content-Type"), &remark, &e) != 0) {
		bad_request(q, 415, "request.type", e.msg);
		return;
	}
	note(q, remark);
	if ((rc = est_request_der(der, http_body(r), &remark, &e)) != 0) {
		bad_request(q, rc == E_TOOBIG ? 413 : 400, "request.encoding", e.msg);
		return;
	}
	note(q, remark);
	if ((rc = csr_parse(&q->csr, bytes_of_buf(der), &e)) != 0) {
		bad_request(q, rc == E_TOOBIG ? 413 : 400, rc == E_AUTH ? "request.signature" :
		    rc == E_POLICY ? "request.key" : "request.malformed", e.msg);
	} else if (key_check_weak(q->csr.key_type, q->csr.spki, &e) != 0) {
		bad_request(q, 400, "request.weak-key", e.msg);
	} else if (q->csr.changes_subject) {
		bad_request(q, 403, "request.change-subject", "ChangeSubjectName is not taken here");
	} else {
		check_pop(q, r);
	}
}

static void
tell_unread(struct proto_enrol *q)
{
	bad_request(q, 400, "request.not-read", "the request was not read: nobody vouches for it");
}

static void
wait_for(struct front *f, struct http_request *r, const struct front_label *l, uint64_t id)
{
	struct waiting *w = mem_zalloc(sizeof(*w));

	w->id = id;
	w->request = r;
	w->wrap = l->v.wrap;
	w->cte = l->v.send_cte;
	w->deadline_ms = clock_monotonic_ms() + FRONT_ANSWER_MS;
	TAILQ_INSERT_TAIL(&f->waiting, w, link);
	f->n_waiting++;
}

static void
serve_enrol(struct front *f, struct http_request *r, enum est_op op, const struct front_label *l, const char *label)
{
	static struct proto_enrol q; /* large, and one request at a time */
	AUTO_BUF der = BUF_MAX(CSR_MAX);
	AUTO_BUF body = BUF_MAX(PIPE_MAX);
	struct err e = { 0 };

	if (f->authority == NULL || f->n_waiting >= FRONT_WAITING) {
		unavailable(r, f->authority == NULL ? "the authority is away" : "too many requests wait");
		return;
	}
	proto_clear_enrol(&q);
	text_copy(q.id, sizeof(q.id), http_id(r));
	text_copy(q.label, sizeof(q.label), label);
	text_copy(q.address, sizeof(q.address), http_address(r));
	q.op = op;
	fill_peer(&q, http_tls(r));
	q.auth = est_auth_parse(http_header(r, "Authorization"), http_header_count(r, "Authorization"), q.user, q.password);
	fill_secret(&q, l, r);
	if (q.has_cert || q.auth != EST_AUTH_NONE || q.secret_state != PROTO_SECRET_NONE)
		fill_request(&q, r, &der);
	else
		tell_unread(&q); /* RFC 7030 3.2.3: first who, then what; and strangers cost no arithmetic */
	proto_put_enrol(&body, &q);
	if (buf_check(&body, "request", &e) != 0 || pipe_send(f->authority, PROTO_ENROL, ++f->last_id, bytes_of_buf(&body), -1, &e) != 0)
		unavailable(r, e.msg);
	else
		wait_for(f, r, l, f->last_id);
	mem_wipe(q.password, sizeof(q.password));
	mem_wipe(q.secret, sizeof(q.secret));
}

void
est_serve(struct front *f, struct http_request *r)
{
	static const struct front_label no_label = { .v = { .wrap = 64 } };
	char label[EST_LABEL_MAX + 1], allow[32];
	const struct front_label *l;
	const struct est_op_row *row;
	struct err e = { 0 };
	enum est_op op;

	if (est_route(&op, label, http_path(r), &e) != 0) {
		http_refuse(r, 404, "path.unknown", e.msg, NULL);
		return;
	}
	row = est_op_row(op);
	if (f->now == NULL) {
		unavailable(r, "the authority has not told its labels yet");
		return;
	}
	if (http_tls(r) != NULL && !http_tls(r)->judged) {
		unjudged(r);
		return;
	}
	l = snapshot_label(f->now, label);
	if (row->offered && l == NULL && strcmp(row->method, "POST") == 0 && strcmp(http_method(r), "POST") == 0) {
		serve_enrol(f, r, op, &no_label, label); /* refused by the authority, which records it */
		return;
	}
	if (!row->offered || l == NULL) {
		http_refuse(r, 404, row->offered ? "label.unknown" : "operation.not-offered",
		    row->offered ? "there is no such label here" : "this operation is not offered here", NULL);
		return;
	}
	if (strcmp(http_method(r), row->method) != 0 && !(strcmp(row->method, "GET") == 0 && strcmp(http_method(r), "HEAD") == 0)) {
		text_copy(allow, sizeof(allow), strcmp(row->method, "GET") == 0 ? "GET, HEAD" : row->method);
		http_refuse(r, 405, "method", "this operation takes another method",
		    (const struct http_header_field[]){ { "Allow", allow }, { NULL, NULL } });
		return;
	}
	if (op == EST_CACERTS)
		serve_cacerts(l, r);
	else if (op == EST_CSRATTRS)
		serve_csrattrs(l, r);
	else
		serve_enrol(f, r, op, l, label);
}

/* --- answers --- */

static void
answer_certs(const struct waiting *w, const struct proto_enrolled *v)
{
	AUTO_BUF body = { 0 };
	const struct http_header_field fields[] = {
		{ w->cte ? "Content-Transfer-Encoding" : NULL, "base64" }, { NULL, NULL },
	};

	est_certs_body(&body, v->cert, v->n_certs, w->wrap);
	http_answer(w->request, &(struct http_answer){ .status = 200, .type = EST_TYPE_ENROLLED, .body = bytes_of_buf(&body), .fields = fields });
}

static void
answer_refusal(const struct waiting *w, const struct proto_enrolled *v)
{
	char seconds[16];
	struct http_header_field fields[3] = { 0 };
	size_t n = 0;

	(void)snprintf(seconds, sizeof(seconds), "%u", v->retry_after_s);
	if (v->challenge)
		fields[n++] = (struct http_header_field){ "WWW-Authenticate", "Basic realm=\"estuary\"" };
	if (v->retry_after_s != 0)
		fields[n++] = (struct http_header_field){ "Retry-After", seconds };
	http_refuse(w->request, v->status, v->reason, v->text, fields);
}

static void
forget(struct front *f, struct waiting *w)
{
	TAILQ_REMOVE(&f->waiting, w, link);
	f->n_waiting--;
	mem_free(w);
}

void
est_answered(struct front *f, struct pipe_msg *m)
{
	struct proto_enrolled v;
	struct waiting *w;
	struct err e = { 0 };

	TAILQ_FOREACH(w, &f->waiting, link)
		if (w->id == m->id)
			break;
	if (w == NULL)
		return; /* given up already */
	if (proto_get_enrolled(&v, m->body, &e) != 0)
		unavailable(w->request, e.msg);
	else if (v.status == 200 && v.n_certs != 0)
		answer_certs(w, &v);
	else
		answer_refusal(w, &v);
	forget(f, w);
}

void
est_give_up(struct front *f, const char *why, bool late_only)
{
	uint64_t now = clock_monotonic_ms();
	struct waiting *w;

	while ((w = TAILQ_FIRST(&f->waiting)) != NULL && (!late_only || w->deadline_ms <= now)) {
		unavailable(w->request, why);
		forget(f, w);
	}
}
