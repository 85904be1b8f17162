/* SPDX-License-Identifier: Apache-2.0 */
/* provision/provision.c - one question decided, step by step, and what it leaves behind */
#include "server/provision/provision.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "server/provision/asking.h"
#include "server/provision/ids.h"
#include "server/store/device_row.h"

void
provision_clear(struct provision *p)
{
	buf_free(&p->body);
	buf_free(&p->trace);
	buf_free(&p->webhook_body);
	registration_row_clear(&p->registration);
	module_row_clear(&p->module);
	*p = (struct provision){ 0 };
}

/* --- answers --- */

static bool
is_hub(const struct proto_ask *q)
{
	return q->op >= ASK_MODULE_LIST;
}

/* Numbers as the original has them: the status, then which case of it. */
static int64_t
error_code(unsigned status, const char *reason)
{
	static const struct { const char *reason; int64_t code; } rows[] = {
		{ "dps.disabled", 403001 }, { "dps.registration-disabled", 403002 }, { "dps.other-enrolment", 403003 },
		{ "dps.scope", 404002 }, { "dps.operation", 404203 }, { "dps.not-registered", 404204 }, { "dps.device-taken", 409203 },
	};
	static const struct { unsigned status; int64_t code; } others[] = {
		{ 400, 400004 }, { 401, 401002 }, { 403, 403004 }, { 404, 404204 }, { 409, 409001 }, { 429, 429001 }, { 503, 503001 },
	};

	for (size_t i = 0; i < N_OF(rows) && status != 401; i++) /* one number for all strangers */
		if (strcmp(rows[i].reason, reason) == 0)
			return rows[i].code;
	for (size_t i = 0; i < N_OF(others); i++)
		if (others[i].status == status)
			return others[i].code;
	return (int64_t)status * 1000 + 1;
}

/* Who did not prove who he is hears the same words whatever was wrong, and nobody hears of our insides. */
static const char *
told(unsigned status, const char *text)
{
	if (status == 401)
		return "Unauthorized";
	return status >= 500 ? "The service cannot answer now; try again later" : text;
}

static void
put_refusal(struct provision *p, const struct proto_ask *q)
{
	AUTO_JSON v = json_object();
	char now[CLOCK_TEXT_MAX];

	if (is_hub(q)) {
		json_setf(v, "Message", "%s", told(p->status, p->text));
		json_object_set_new(v, "ExceptionMessage", json_string(""));
		json_setf(v, "trackingId", "%s", q->q.id);
	} else {
		json_object_set_new(v, "errorCode", json_integer(error_code(p->status, p->reason)));
		json_setf(v, "trackingId", "%s", q->q.id);
		json_setf(v, "message", "%s", told(p->status, p->text));
		json_setf(v, "timestampUtc", "%s", clock_text(p->at != 0 ? p->at : clock_now(), now));
	}
	buf_reset(&p->body);
	json_print(&p->body, v, false);
}

static void PRINTF(5, 0)
vrefuse(struct provision *p, const struct proto_ask *q, unsigned status, const char *reason, const char *fmt, va_list ap)
{
	(void)vsnprintf(p->text, sizeof(p->text), fmt, ap);
	p->status = status;
	p->retry_after_s = status == 503 ? 2 : status == 429 ? 30 : 0;
	text_copy(p->reason, sizeof(p->reason), reason);
	p->silent = false;
	p->put_registration = false;
	p->module_change = PROVISION_NO_MODULE;
	p->webhook[0] = 0;
	p->label[0] = 0;
	buf_reset(&p->webhook_body);
	trace_add(&p->trace, TRACE_NO, reason, "%s", p->text);
	put_refusal(p, q);
}

void
provision_refuse(struct provision *p, const struct proto_ask *q, unsigned status, const char *reason, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vrefuse(p, q, status, reason, fmt, ap);
	va_end(ap);
}

int
asking_refuse(struct asking *s, unsigned status, const char *reason, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vrefuse(s->p, s->q, status, reason, fmt, ap);
	va_end(ap);
	s->stop = true;
	return 0;
}

int
asking_answer(struct asking *s, unsigned status, json_t *body)
{
	AUTO_JSON v = body;

	s->p->status = status;
	if (s->p->reason[0] == 0)
		text_copy(s->p->reason, sizeof(s->p->reason), "ok");
	buf_reset(&s->p->body);
	if (v != NULL)
		json_print(&s->p->body, v, false);
	s->stop = true;
	return 0;
}

void
asking_note(struct asking *s, enum trace_mark mark, const char *rule, const char *fmt, ...)
{
	char text[PROTO_NOTES_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	trace_add(&s->p->trace, mark, rule, "%s", text);
}

void
provision_issued(struct provision *p, const struct bytes *chain, size_t n)
{
	AUTO_JSON v = NULL;
	json_t *state;

	if (json_parse(&v, bytes_of_buf(&p->body), NULL) != 0)
		v = json_object();
	state = json_object_get(v, "registrationState");
	if (state == NULL) {
		state = json_object();
		json_setf(state, "registrationId", "%s", p->registration.registration);
		json_setf(state, "deviceId", "%s", p->registration.device_id);
		json_setf(state, "status", "assigning");
		json_object_set_new(v, "registrationState", state);
	}
	state_put_chain(state, chain, n);
	buf_reset(&p->body);
	json_print(&p->body, v, false);
}

/* --- the provisioning service --- */

static int
step_scope(struct asking *s, struct err *e)
{
	int rc = provision_scope(s->scope, s->f->db, false, e);

	if (rc != 0 && rc != E_NOTFOUND)
		return rc;
	if (rc == E_NOTFOUND || !ids_equal(s->scope, s->q->scope))
		return asking_refuse(s, 404, "dps.scope", "there is no ID scope '%s' here", s->q->scope);
	return 0;
}

static int
step_names(struct asking *s, struct err *e)
{
	struct err why = { 0 };

	(void)e;
	text_copy(s->p->device, sizeof(s->p->device), s->q->registration);
	if (provision_check_registration(s->q->registration, &why) != 0)
		return asking_refuse(s, 400, "dps.id", "%s", why.msg);
	if (s->q->body_registration[0] != 0 && !ids_equal(s->q->body_registration, s->q->registration))
		return asking_refuse(s, 400, "dps.body-id", "the registration ID of the body is not that of the path");
	ids_lower(s->registration, s->q->registration);
	return 0;
}

/* What is kept under this ID: a record, and an enrolment of its own. */
static int
step_kept(struct asking *s, struct err *e)
{
	int rc = registration_row_by_name(s->f->db, s->registration, &s->p->registration, e);

	s->known = rc == 0;
	if (rc != 0 && rc != E_NOTFOUND)
		return rc;
	rc = enrolment_row_by_name(s->f->db, true, s->registration, &s->enrolment, e);
	return rc == E_NOTFOUND ? 0 : rc;
}

static int
step_prove(struct asking *s, struct err *e)
{
	enum attest_kind kind = s->enrolment.id != 0 ? prove_kind(&s->enrolment) : ATTEST_GROUPS;
	int rc = prove(s, kind, 0, e);

	if (rc != 0 || s->stop)
		return rc;
	if (!s->enrolled)
		return asking_refuse(s, 401, "dps.refused", "no rule lets this in");
	if (!s->enrolment.enabled)
		return asking_refuse(s, 403, "dps.disabled", "the enrolment '%s' is disabled", s->enrolment.name);
	return 0;
}

static int
step_question(struct asking *s, struct err *e)
{
	switch (s->q->op) {
	case ASK_REGISTER:
		return register_device(s, e);
	case ASK_OPERATION:
		return register_operation(s, e);
	case ASK_REGISTRATION:
		return register_status(s, e);
	case ASK_NONE:
	default:
		return asking_refuse(s, 404, "dps.question", "this is no question that is answered here");
	}
}

static int
dps_decide(struct asking *s, struct err *e)
{
	static const asking_fn steps[] = { step_scope, step_names, judge_certificate, step_kept, step_prove, step_question };
	int rc = 0;

	for (size_t i = 0; i < N_OF(steps) && rc == 0 && !s->stop; i++)
		rc = steps[i](s, e);
	return rc;
}

int
provision_decide(struct provision *p, struct fleet *f, const struct proto_ask *q, int64_t now, struct err *e)
{
	struct asking s = { .p = p, .f = f, .q = q, .now = now };
	int rc;

	*p = (struct provision){ .at = now, .trace = BUF_MAX(AUDIT_TRACE_MAX) };
	text_copy(p->op, sizeof(p->op), ask_op_name(q->op));
	trace_add(&p->trace, TRACE_NOTE, "connection", "%s from %s", q->q.tls[0] != 0 ? q->q.tls : "local", q->q.address);
	if ((unsigned)q->op >= ASK_OP_COUNT)
		rc = asking_refuse(&s, 404, "dps.question", "this is no question that is answered here");
	else
		rc = is_hub(q) ? hub_decide(&s, e) : dps_decide(&s, e);
	if (rc != 0)
		provision_refuse(p, q, 503, "server.store", "%s", e->msg);
	cert_row_clear(&s.own_row);
	enrolment_row_clear(&s.enrolment);
	return rc;
}

/* --- the record --- */

static int
record_module(struct provision *p, struct fleet *f, struct err *e)
{
	switch (p->module_change) {
	case PROVISION_PUT_MODULE:
		return module_row_put(f->db, &p->module, e);
	case PROVISION_REMOVE_MODULE:
		return module_row_remove(f->db, p->module.device, p->module.module, e);
	case PROVISION_NO_MODULE:
	default:
		return 0;
	}
}

/* A device that the fleet knows was heard of; provisioning makes none. */
static int
touch_device(const struct provision *p, struct fleet *f, int64_t now, struct err *e)
{
	char state[16];
	int64_t id = 0;
	int rc = device_row_find(f->db, p->device, &id, state, e);

	if (rc != 0)
		return rc == E_NOTFOUND ? 0 : rc;
	return device_row_touch(f->db, p->device, now, &id, e);
}

static bool
is_ok(const struct provision *p)
{
	return strcmp(p->reason, "ok") == 0 || strncmp(p->reason, "ok.", 3) == 0;
}

static int
record_audit(struct provision *p, struct fleet *f, const struct proto_ask *q, int64_t now, struct err *e)
{
	struct audit_row a = { .time = now, .trace = buf_str(&p->trace) };

	text_copy(a.kind, sizeof(a.kind), q != NULL && is_hub(q) ? "hub" : "provision");
	text_copy(a.outcome, sizeof(a.outcome), is_ok(p) ? "ok" : p->status >= 500 || q == NULL ? "failed" : "refused");
	text_copy(a.reason, sizeof(a.reason), p->reason);
	text_copy(a.actor, sizeof(a.actor), p->actor);
	text_copy(a.device, sizeof(a.device), p->device);
	text_copy(a.label, sizeof(a.label), p->label);
	(void)snprintf(a.text, sizeof(a.text), "%s: %s", p->op, p->text);
	if (q != NULL) {
		text_copy(a.request_id, sizeof(a.request_id), q->q.id);
		text_copy(a.serial, sizeof(a.serial), q->q.cert_serial);
		a.has_cert = q->q.has_cert != 0;
		memcpy(a.cert_sha256, q->q.cert_sha256, ROW_HASH_LEN);
	}
	return audit_append(&f->audit, f->db, &a, e);
}

int
provision_record(struct provision *p, struct fleet *f, const struct proto_ask *q, int64_t now, struct err *e)
{
	int rc = 0;

	if (p->put_registration)
		rc = registration_row_put(f->db, &p->registration, e);
	if (rc == 0)
		rc = record_module(p, f, e);
	if (rc == 0 && is_ok(p) && p->actor[0] != 0 && q != NULL && !p->silent)
		rc = touch_device(p, f, now, e);
	return rc != 0 || p->silent ? rc : record_audit(p, f, q, now, e);
}
