/* SPDX-License-Identifier: Apache-2.0 */
/* provision/state.c - a registration as its device sees it */
#include <string.h>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "server/provision/asking.h"

#define STATE_CHAIN_MAX 8 /* certificates, as in the answer to the register call */

static void
put_time(json_t *v, const char *key, int64_t t)
{
	char text[CLOCK_TEXT_MAX];

	json_setf(v, key, "%s", clock_text(t, text));
}

/* How it proved itself, where the original says so. */
static void
put_attestation(json_t *v, const struct registration_row *r, const struct enrolment_row *enrolment)
{
	bool x509 = strcmp(enrolment->attestation, "x509") == 0;
	char hex[2 * ROW_HASH_LEN + 1];
	json_t *how;

	if (!x509 && strcmp(enrolment->attestation, "symmetric") != 0)
		return;
	how = json_object();
	if (!enrolment->individual)
		json_setf(how, "enrollmentGroupId", "%s", enrolment->name);
	if (x509 && r->has_cert) {
		json_t *info = json_object();

		text_hex(hex, (struct bytes){ r->cert, ROW_HASH_LEN });
		json_setf(info, "sha256Thumbprint", "%s", hex);
		json_object_set_new(how, "certificateInfo", info);
	}
	json_object_set_new(v, x509 ? "x509" : "symmetricKey", how);
}

void
state_put_chain(json_t *state, const struct bytes *chain, size_t n)
{
	json_t *certs = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(certs, json_base64(chain[i]));
	json_object_set_new(state, "issuedCertificateChain", certs);
}

/*
 * The answer to the register call that it came in may have been lost, and real clients look for it here.  One that was
 * revoked, renewed or has ended would only harm who installs it.
 */
static int
put_issued(json_t *v, struct asking *s, struct err *e)
{
	const struct registration_row *r = &s->p->registration;
	struct bytes chain[STATE_CHAIN_MAX];
	struct cert_row row = { 0 };
	const struct ca *ca;
	size_t n = 0;
	int rc;

	if (!r->issued)
		return 0;
	rc = cert_row_authorised(s->f->db, r->device_id, s->p->actor, &row, e);
	ca = rc == 0 ? fleet_ca_by_id(s->f, row.ca) : NULL;
	if (ca != NULL && strcmp(cert_row_state(&row, s->now), "active") == 0) {
		chain[n++] = bytes_of_buf(&row.der);
		n += fleet_chain(ca, &chain[n], N_OF(chain) - n);
		state_put_chain(v, chain, n);
	}
	cert_row_clear(&row);
	return rc == E_NOTFOUND ? 0 : rc;
}

static json_t *
record_json(const struct registration_row *r, const struct enrolment_row *enrolment)
{
	bool assigned = strcmp(r->status, "assigned") == 0;
	const struct buf *payload = r->payload.n != 0 ? &r->payload : &enrolment->payload;
	json_t *v = json_object(), *given;

	put_attestation(v, r, enrolment);
	json_setf(v, "registrationId", "%s", r->registration);
	put_time(v, "createdDateTimeUtc", r->created_at);
	if (assigned)
		json_setf(v, "assignedHub", "%s", r->hub);
	json_setf(v, "deviceId", "%s", r->device_id);
	json_setf(v, "status", "%s", r->status);
	if (assigned)
		json_setf(v, "substatus", "%s", r->substatus);
	if (strcmp(r->status, "failed") == 0) {
		json_object_set_new(v, "errorCode", json_integer(r->error_code));
		/* Why is for the operator's eyes: it tells of a network that is none of the device's business. */
		json_setf(v, "errorMessage", "%s", "No hub could be chosen for the device; register again");
	}
	put_time(v, "lastUpdatedDateTimeUtc", r->updated_at);
	json_setf(v, "etag", "\"%llx-%llx\"", (unsigned long long)r->id, (unsigned long long)r->updated_at);
	if (assigned && payload->n != 0 && json_parse(&given, bytes_of_buf(payload), NULL) == 0)
		json_object_set_new(v, "payload", given);
	return v;
}

int
state_json(json_t **out, struct asking *s, struct err *e)
{
	AUTO_JSON v = record_json(&s->p->registration, &s->enrolment);
	int rc = put_issued(v, s, e);

	if (rc == 0)
		*out = TAKE(v);
	return rc;
}
