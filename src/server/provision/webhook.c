/* SPDX-License-Identifier: Apache-2.0 */
/* provision/webhook.c - a hub chosen by a program of the operator: what it is asked, and what becomes of its answer */
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "server/provision/asking.h"
#include "server/provision/ids.h"

#define FAILED_CODE 400207 /* "custom allocation failed" */

struct linked {
	const struct enrolment_row *enrolment;
	json_t *names;
};

static int
add_hub(void *ctx, struct hub_row *r)
{
	struct linked *l = ctx;

	if (allocate_may(l->enrolment, r))
		json_array_append_new(l->names, json_string(r->name));
	return 0;
}

static json_t *
enrolment_json(const struct enrolment_row *n)
{
	json_t *v = json_object(), *how = json_object();

	json_setf(v, n->individual ? "registrationId" : "enrollmentGroupId", "%s", n->name);
	json_setf(how, "type", "%s", strcmp(n->attestation, "symmetric") == 0 ? "symmetricKey" : n->attestation);
	json_object_set_new(v, "attestation", how);
	return v;
}

static json_t *
device_json(const struct asking *s)
{
	const struct registration_row *r = &s->p->registration;
	json_t *v = json_object(), *payload;

	json_setf(v, "registrationId", "%s", r->registration);
	json_setf(v, "currentDeviceId", "%s", r->device_id);
	if (r->hub[0] != 0)
		json_setf(v, "currentIotHubHostName", "%s", r->hub);
	/* What a device says is told to the webhook, and to nobody else; the record has it until the webhook has answered. */
	if (r->payload.n != 0 && json_parse(&payload, bytes_of_buf(&r->payload), NULL) == 0)
		json_object_set_new(v, "payload", payload);
	return v;
}

/* How much of an address may be written down: a query often is a key. */
static int
plain_length(const char *url)
{
	return (int)strcspn(url, "?");
}

int
webhook_ask(struct asking *s, struct err *e)
{
	AUTO_JSON v = json_object();
	struct linked l = { .enrolment = &s->enrolment, .names = json_array() };
	int rc;

	json_object_set_new(v, s->enrolment.individual ? "individualEnrollment" : "enrollmentGroup", enrolment_json(&s->enrolment));
	json_object_set_new(v, "deviceRuntimeContext", device_json(s));
	json_object_set_new(v, "linkedHubs", l.names);
	if ((rc = hub_row_scan(s->f->db, add_hub, &l, e)) != 0)
		return rc;
	text_copy(s->p->webhook, sizeof(s->p->webhook), s->enrolment.webhook);
	buf_reset(&s->p->webhook_body);
	json_print(&s->p->webhook_body, v, false);
	asking_note(s, TRACE_NOTE, "webhook", "%.*s is asked for the hub", plain_length(s->p->webhook), s->p->webhook);
	return 0;
}

/* --- the answer --- */

static void
fail(struct provision *p, const char *why)
{
	struct registration_row *r = &p->registration;

	text_copy(r->status, sizeof(r->status), "failed");
	buf_reset(&r->payload);
	r->error_code = FAILED_CODE;
	(void)snprintf(r->error_text, sizeof(r->error_text), "the webhook that is to choose the hub did not: %.800s", why);
	text_copy(p->reason, sizeof(p->reason), "dps.webhook");
	text_copy(p->text, sizeof(p->text), why);
	trace_add(&p->trace, TRACE_NO, p->reason, "%s", why);
}

static void
assign(struct provision *p, const char *hub, const struct buf *payload)
{
	struct registration_row *r = &p->registration;

	text_copy(r->substatus, sizeof(r->substatus), r->hub[0] == 0 ? "initialAssignment" :
	    ids_equal(r->hub, hub) ? "reprovisionedToInitialAssignment" : "deviceDataMigrated");
	text_copy(r->hub, sizeof(r->hub), hub);
	text_copy(r->status, sizeof(r->status), "assigned");
	r->error_code = 0;
	r->error_text[0] = 0;
	buf_reset(&r->payload);
	buf_put_bytes(&r->payload, bytes_of_buf(payload));
	text_copy(p->reason, sizeof(p->reason), "ok");
	(void)snprintf(p->text, sizeof(p->text), "assigned to %.300s", hub);
	trace_add(&p->trace, TRACE_OK, "hub", "'%s', as the webhook says", hub);
}

/* Settle by what the webhook said; only a failing store is an error. */
static int
settle(struct provision *p, struct fleet *f, const struct enrolment_row *n, struct bytes answer, struct err *e)
{
	AUTO_BUF payload = BUF_MAX(ASK_PAYLOAD_MAX);
	AUTO_JSON v = NULL;
	struct hub_row hub;
	struct err why = { 0 };
	bool allowed;
	int rc;

	if (json_parse(&v, answer, &why) != 0 || json_str(v, "iotHubHostName", NULL) == NULL) {
		fail(p, why.code != 0 ? why.msg : "its answer has no member iotHubHostName");
		return 0;
	}
	if (!json_is_null(json_object_get(v, "payload")) && json_object_get(v, "payload") != NULL)
		json_print(&payload, json_object_get(v, "payload"), false);
	if (payload.over) {
		fail(p, "its payload is too long");
		return 0;
	}
	if ((rc = allocate_allows(f->db, n, json_str(v, "iotHubHostName", ""), &allowed, e)) != 0)
		return rc;
	if (!allowed) {
		fail(p, "its answer names no enabled hub of the enrolment");
		return 0;
	}
	if ((rc = hub_row_by_name(f->db, json_str(v, "iotHubHostName", ""), &hub, e)) != 0)
		return rc;
	assign(p, hub.name, &payload);
	return 0;
}

int
provision_allocated(struct provision *p, struct fleet *f, const char *registration, const char *operation, struct bytes answer,
    const char *why, int64_t now, struct err *e)
{
	struct enrolment_row n = { 0 };
	struct registration_row *r = &p->registration;
	int rc;

	*p = (struct provision){ .at = now, .trace = BUF_MAX(AUDIT_TRACE_MAX) };
	rc = registration_row_by_name(f->db, registration, r, e);
	if (rc == 0 && (strcmp(r->status, "assigning") != 0 || operation[0] == 0 || strcmp(r->operation, operation) != 0))
		rc = err_set(e, E_NOTFOUND, "registration '%s': it waits for no answer to operation '%s'", registration, operation);
	if (rc == 0 && r->enrolment != 0)
		rc = enrolment_row_by_id(f->db, r->enrolment, &n, e);
	if (rc == 0) {
		text_copy(p->op, sizeof(p->op), "allocated");
		text_copy(p->actor, sizeof(p->actor), "webhook");
		text_copy(p->device, sizeof(p->device), r->device_id);
		trace_add(&p->trace, TRACE_NOTE, "webhook", "%.*s answered for operation %s", plain_length(n.webhook), n.webhook, operation);
		if (n.id == 0)
			fail(p, "the enrolment is gone");
		else if (answer.n == 0)
			fail(p, why[0] != 0 ? why : "it gave no answer");
		else
			rc = settle(p, f, &n, answer, e);
		r->updated_at = now;
		p->put_registration = rc == 0;
	}
	enrolment_row_clear(&n);
	return rc;
}
