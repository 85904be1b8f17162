/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/record.c - what a decision leaves behind: certificate, device, credential, audit record, event */
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "server/fleet/enrol.h"
#include "server/fleet/trace.h"

/* The certificate as issued: put together, digested, inserted; it supersedes the ones before it. */
static int
record_cert(struct enrol *x, struct fleet *f, struct bytes signature, int64_t now, struct err *e)
{
	struct cert_row *r = &x->cert;
	int rc;

	buf_reset(&r->der); /* of a try that was rolled back, with its device */
	r->device = x->device_id;
	cert_assemble(&r->der, bytes_of_buf(&x->tbs), x->sig_alg, signature);
	sha256(r->sha256, bytes_of_buf(&r->der));
	if ((rc = device_row_touch(f->db, x->device, now, &r->device, e)) != 0 ||
	    (rc = cert_row_insert(f->db, r, e)) != 0)
		return rc;
	for (size_t i = 0; i < N_OF(x->credential); i++)
		if (x->credential[i] != 0 && (rc = credential_row_use(f->db, x->credential[i], x->device, now, e)) != 0)
			return rc;
	return 0;
}

static int
record_fork(struct enrol *x, struct fleet *f, int64_t now, struct err *e)
{
	char text[ROW_TEXT_MAX];
	int rc = device_row_set_state(f->db, x->device, "forked", e);

	if (rc != 0)
		return rc;
	(void)snprintf(text, sizeof(text), "%s was used to renew again, from %s: two hold this identity (request %s)",
	    x->actor, x->address, x->id);
	return event_row_add(f->db, now, "device.forked", x->device, text, e);
}

static int
record_audit(struct enrol *x, struct fleet *f, int64_t now, struct err *e)
{
	struct audit_row a = { .time = now, .trace = buf_str(&x->trace), .has_cert = x->kind != ENROL_REFUSED };

	text_copy(a.kind, sizeof(a.kind), x->op);
	text_copy(a.outcome, sizeof(a.outcome), x->kind == ENROL_REFUSED ? x->status >= 500 ? "failed" : "refused" : "ok");
	text_copy(a.reason, sizeof(a.reason), x->reason);
	text_copy(a.actor, sizeof(a.actor), x->actor);
	text_copy(a.device, sizeof(a.device), x->device);
	text_copy(a.label, sizeof(a.label), x->label);
	text_copy(a.request_id, sizeof(a.request_id), x->id);
	text_copy(a.serial, sizeof(a.serial), x->cert.serial);
	if (x->kind == ENROL_ISSUE)
		(void)snprintf(a.text, sizeof(a.text), "issued %.900s", x->cert.subject);
	else
		text_copy(a.text, sizeof(a.text), x->text);
	if (a.has_cert)
		memcpy(a.cert_sha256, x->cert.sha256, ROW_HASH_LEN);
	return audit_append(&f->audit, f->db, &a, e);
}

int
enrol_record(struct enrol *x, struct fleet *f, struct bytes signature, int64_t now, struct err *e)
{
	int rc = 0;

	if (x->prove != 0)
		rc = cert_row_prove(f->db, x->prove, now, e);
	if (rc == 0 && x->kind == ENROL_ISSUE)
		rc = record_cert(x, f, signature, now, e);
	if (rc == 0 && x->fork)
		rc = record_fork(x, f, now, e);
	return rc != 0 ? rc : record_audit(x, f, now, e);
}
