/* SPDX-License-Identifier: Apache-2.0 */
/* provision/register.c - what a device that proved itself asks of the provisioning service */
#include <stdio.h>
#include <string.h>

#include "core/base/rnd.h"
#include "core/base/text.h"
#include "server/provision/asking.h"
#include "server/provision/ids.h"
#include "server/store/device_row.h"

#define OPERATION_OCTETS 16
#define SOON_S           1   /* until the first poll, when all is decided */
#define ASSIGNING_S      3   /* ... and while a webhook is asked */
#define WEBHOOK_S        60  /* a device that registers again so soon waits for the same answer */
#define NO_HUB_S         30

/* A device's name is written as it wrote it first: hubs tell case apart, registration IDs do not. */
const char *
register_device_id(struct asking *s)
{
	if (s->known && s->p->registration.device_id[0] != 0)
		return s->p->registration.device_id;
	if (s->enrolment.device_id[0] != 0)
		return s->enrolment.device_id;
	return s->cn != NULL && ids_equal(s->cn, s->registration) ? s->cn : s->q->registration;
}

/* Does it show the certificate of ours that says it is this device? */
static bool
is_itself(struct asking *s)
{
	return s->own && ids_equal(s->own_row.device_name, register_device_id(s));
}

/*
 * Is the name another's already?  Who holds a group's key must not get the identity of a device that came in by
 * another way, so a certificate goes to a name without a live one, to who presents that, or to who registered for it.
 * Only while that one lives: then another may have enrolled the name.
 */
static int
check_live(struct asking *s, bool *live, struct err *e)
{
	const char *name = register_device_id(s);
	bool given = false;
	char state[16];
	int64_t id;
	int rc;

	*live = false;
	if (is_itself(s))
		return 0;
	if ((rc = device_row_find(s->f->db, name, &id, state, e)) != 0)
		return rc == E_NOTFOUND ? 0 : rc;
	if ((rc = cert_row_live(s->f->db, id, NULL, s->now, live, e)) != 0 || !*live || !s->p->registration.issued)
		return rc;
	rc = cert_row_goes_back(s->f->db, id, 0, s->p->actor, s->now, &given, e);
	*live = !given;
	return rc;
}

/* A short-lived certificate begets no longer-lived one here either: see lifetime_of() of fleet/enrol.c.  0: no limit. */
static int64_t
longest(const struct asking *s, const struct label *l)
{
	return s->own && strcmp(s->own_row.profile, l->profile) != 0 ? s->own_row.not_after - s->own_row.issued_at : 0;
}

/* A request for a certificate must be one, be offered, and be for this device. */
static int
step_csr(struct asking *s, struct err *e)
{
	const struct proto_enrol *q = &s->q->q;
	const struct label *label;
	const char *cn;
	bool live;
	int rc;

	if (!s->q->has_csr)
		return 0;
	if (s->enrolment.label[0] == 0)
		return asking_refuse(s, 400, "dps.csr-not-offered", "a certificate request was sent, and the enrolment issues none");
	if (q->csr_status != 0)
		return asking_refuse(s, q->csr_status, q->csr_reason, "%s", q->csr_text);
	cn = ids_cn(&q->csr.subject);
	if (cn == NULL || strcmp(cn, register_device_id(s)) != 0)
		return asking_refuse(s, 400, "dps.csr-name", "the certificate request's CN is not the device ID '%s'", register_device_id(s));
	label = fleet_label(s->f, s->enrolment.label);
	if (label == NULL || !label->enabled)
		return asking_refuse(s, 503, "dps.label", "the enrolment's label '%s' is not there, or disabled", s->enrolment.label);
	if ((rc = check_live(s, &live, e)) != 0)
		return rc;
	if (live)
		return asking_refuse(s, 403, "name.active",
		    "'%s' has a live certificate that it did not get by registering", register_device_id(s));
	text_copy(s->p->label, sizeof(s->p->label), label->name);
	s->p->renewed = s->own && s->own_row.superseded_by != 0 && strcmp(s->own_row.label, label->name) == 0;
	s->p->longest_s = longest(s, label);
	s->p->registration.issued = true;
	asking_note(s, TRACE_OK, "csr", "for CN '%s', at label '%s'", cn, s->p->label);
	return 0;
}

/*
 * A registration is its enrolment's.  An individual one, which the operator made for just this name, takes it over;
 * another group only from one that is disabled or gone, and without its certificates: who holds a group's key could
 * have the names of all others otherwise.
 */
static int
step_owner(struct asking *s, struct err *e)
{
	struct registration_row *r = &s->p->registration;
	struct enrolment_row other = { 0 };
	bool holds;
	int rc;

	if (!s->known || r->enrolment == 0 || r->enrolment == s->enrolment.id || s->enrolment.individual)
		return 0;
	r->issued = false; /* what another group's device was given is not this one's */
	if ((rc = enrolment_row_by_id(s->f->db, r->enrolment, &other, e)) != 0)
		return rc;
	holds = other.enabled;
	enrolment_row_clear(&other);
	if (!holds)
		return 0;
	asking_note(s, TRACE_NOTE, "registered", "by the enrolment '%s', which is enabled", r->enrolment_name); /* not told */
	return asking_refuse(s, 403, "dps.other-enrolment", "the device registered by another enrolment, which is enabled");
}

/*
 * A device that never registered may have modules at the hub already, by its certificate.  They go to nobody who only
 * holds a group's key, or another CA's certificate.
 */
static int
check_modules(struct asking *s, struct err *e)
{
	int64_t n = 0;
	int rc;

	if (s->known || s->enrolment.individual || is_itself(s))
		return 0;
	if ((rc = module_row_count(s->f->db, register_device_id(s), &n, e)) != 0 || n == 0)
		return rc;
	return asking_refuse(s, 403, "dps.device-in-use", "the device '%s' has modules, which it made without registering",
	    register_device_id(s));
}

static int
step_device(struct asking *s, struct err *e)
{
	const char *id = register_device_id(s);
	struct registration_row *r = &s->p->registration;
	char state[16] = "";
	int64_t device;
	bool taken;
	int rc;

	if (s->known && strcmp(r->status, "disabled") == 0)
		return asking_refuse(s, 403, "dps.registration-disabled", "an operator disabled this registration");
	if ((rc = registration_row_taken(s->f->db, id, s->registration, &taken, e)) != 0)
		return rc;
	if (taken)
		return asking_refuse(s, 409, "dps.device-taken", "another registration has the device ID '%s'", id);
	if ((rc = check_modules(s, e)) != 0 || s->stop)
		return rc;
	rc = device_row_find(s->f->db, id, &device, state, e);
	if (rc != 0 && rc != E_NOTFOUND)
		return rc;
	if (strcmp(state, "forked") == 0)
		return asking_refuse(s, 403, "device.forked", "two hold this device's identity; an operator must look at it");
	if (strcmp(state, "retired") == 0)
		return asking_refuse(s, 403, "device.retired", "the device was retired");
	if (r->device_id[0] == 0)
		text_copy(r->device_id, sizeof(r->device_id), id);
	text_copy(s->p->device, sizeof(s->p->device), r->device_id);
	return 0;
}

/* The record of this registration from here on, whatever hub it gets. */
static void
renew_record(struct asking *s)
{
	struct registration_row *r = &s->p->registration;

	if (!s->known) {
		text_copy(r->registration, sizeof(r->registration), s->registration);
		r->created_at = s->now;
	}
	if (r->enrolment != s->enrolment.id || strcmp(r->status, "assigned") != 0)
		buf_reset(&r->payload); /* another enrolment's, or the device's own */
	r->enrolment = s->enrolment.id;
	r->updated_at = s->now;
	r->error_code = 0;
	r->error_text[0] = 0;
	r->has_cert = s->q->q.has_cert != 0;
	if (r->has_cert)
		memcpy(r->cert, s->q->q.cert_sha256, ROW_HASH_LEN);
	rnd_hex(r->operation, OPERATION_OCTETS);
	s->p->put_registration = true;
}

static void
assign(struct asking *s, const char *hub)
{
	struct registration_row *r = &s->p->registration;
	bool moved = r->hub[0] != 0 && !ids_equal(r->hub, hub);
	bool again = r->hub[0] != 0 && !moved;

	text_copy(r->substatus, sizeof(r->substatus), moved ? "deviceDataMigrated" : again ? "reprovisionedToInitialAssignment" :
	    "initialAssignment");
	text_copy(r->status, sizeof(r->status), "assigned");
	if (strcmp(s->enrolment.allocation, "webhook") != 0)
		buf_reset(&r->payload); /* a webhook's, of another time */
	text_copy(r->hub, sizeof(r->hub), hub);
	(void)snprintf(s->p->text, sizeof(s->p->text), "device '%s' assigned to %.200s", r->device_id, hub);
	asking_note(s, TRACE_OK, "hub", "'%s' (%s): %s", hub, s->enrolment.allocation, r->substatus);
}

/* Is an answer under way to a question of just now? */
static bool
is_waiting(const struct asking *s)
{
	const struct registration_row *r = &s->p->registration;

	return s->known && strcmp(r->status, "assigning") == 0 && strcmp(s->enrolment.allocation, "webhook") == 0 &&
	    r->enrolment == s->enrolment.id && r->updated_at <= s->now && r->updated_at + WEBHOOK_S > s->now;
}

static int
step_hub(struct asking *s, struct err *e)
{
	char hub[ROW_TEXT_MAX] = "";
	bool ask = false, waiting = is_waiting(s);
	int rc = waiting ? 0 : allocate(s, hub, &ask, e);

	if (rc != 0)
		return rc;
	if (waiting) {
		text_copy(s->p->text, sizeof(s->p->text), "the webhook is still asked for the hub");
		s->p->put_registration = s->p->put_registration || s->p->label[0] != 0;
		return webhook_ask(s, e);
	}
	if (hub[0] == 0) {
		(void)asking_refuse(s, 503, "dps.no-hub", "the enrolment has no enabled hub");
		s->p->retry_after_s = NO_HUB_S;
		return 0;
	}
	renew_record(s);
	if (!ask) {
		assign(s, hub);
		return 0;
	}
	buf_reset(&s->p->registration.payload);
	buf_put_bytes(&s->p->registration.payload, s->q->payload); /* until the webhook has answered: it may have to be asked again */
	text_copy(s->p->registration.status, sizeof(s->p->registration.status), "assigning");
	text_copy(s->p->text, sizeof(s->p->text), "a webhook chooses the hub");
	return webhook_ask(s, e);
}

/* All is decided, but the original says "assigning" here, and so its clients want it. */
static int
step_answer(struct asking *s, struct err *e)
{
	const struct registration_row *r = &s->p->registration;
	json_t *v = json_object();

	(void)e;
	json_setf(v, "operationId", "%s", r->operation);
	json_setf(v, "status", "assigning");
	s->p->retry_after_s = strcmp(r->status, "assigning") == 0 ? ASSIGNING_S : SOON_S;
	return asking_answer(s, 202, v);
}

int
register_device(struct asking *s, struct err *e)
{
	static const asking_fn steps[] = { step_owner, step_device, step_csr, step_hub, step_answer };
	int rc = 0;

	for (size_t i = 0; i < N_OF(steps) && rc == 0 && !s->stop; i++)
		rc = steps[i](s, e);
	return rc;
}

/* Has the device registered, by the enrolment that speaks for it now? */
static bool
is_registered(const struct asking *s)
{
	return s->known && s->p->registration.enrolment == s->enrolment.id && strcmp(s->p->registration.status, "unassigned") != 0;
}

/* A question that changes nothing leaves no record; the first use of a TPM's key does. */
static void
be_silent(struct asking *s)
{
	s->p->silent = !s->p->put_registration;
}

/*
 * A poll while the hub is not known: whoever asked the webhook may have ended before there was an answer, and the
 * enrolment may have no webhook any more.
 */
static int
go_on(struct asking *s, struct err *e)
{
	char hub[ROW_TEXT_MAX] = "";
	bool ask;
	int rc;

	if (strcmp(s->enrolment.allocation, "webhook") == 0)
		return webhook_ask(s, e);
	if ((rc = allocate(s, hub, &ask, e)) != 0 || hub[0] == 0)
		return rc;
	s->p->registration.updated_at = s->now;
	s->p->put_registration = true;
	assign(s, hub);
	return 0;
}

int
register_operation(struct asking *s, struct err *e)
{
	const struct registration_row *r = &s->p->registration;
	json_t *v, *state;
	bool assigning;
	int rc;

	if (!is_registered(s) || r->operation[0] == 0 || strcmp(r->operation, s->q->operation) != 0)
		return asking_refuse(s, 404, "dps.operation", "this registration has no such operation");
	if (strcmp(r->status, "assigning") == 0 && (rc = go_on(s, e)) != 0)
		return rc;
	assigning = strcmp(r->status, "assigning") == 0;
	if ((rc = state_json(&state, s, e)) != 0)
		return rc;
	v = json_object();
	json_setf(v, "operationId", "%s", r->operation);
	json_setf(v, "status", "%s", r->status);
	json_object_set_new(v, "registrationState", state);
	s->p->retry_after_s = assigning ? ASSIGNING_S : 0;
	be_silent(s);
	return asking_answer(s, assigning ? 202 : 200, v);
}

int
register_status(struct asking *s, struct err *e)
{
	json_t *state;
	int rc;

	if (!is_registered(s))
		return asking_refuse(s, 404, "dps.not-registered", "the device has not registered");
	if ((rc = state_json(&state, s, e)) != 0)
		return rc;
	be_silent(s);
	return asking_answer(s, 200, state);
}
