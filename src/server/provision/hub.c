/* SPDX-License-Identifier: Apache-2.0 */
/* provision/hub.c - the hub stand-in: who may ask for a device, and the modules of it */
#include <stdio.h>
#include <string.h>

#include "core/base/rnd.h"
#include "core/base/text.h"
#include "server/provision/asking.h"
#include "server/store/device_row.h"

/* Which IDs may be at all; beside the registry itself nothing is told by it. */
static int
step_names(struct asking *s, struct err *e)
{
	struct err why = { 0 };

	(void)e;
	text_copy(s->p->device, sizeof(s->p->device), s->q->device);
	if (provision_check_device(s->q->device, &why) != 0 ||
	    (s->q->op != ASK_MODULE_LIST && provision_check_device(s->q->module, &why) != 0))
		return asking_refuse(s, 400, "hub.id", "%s", why.msg);
	return 0;
}

static int
step_registration(struct asking *s, struct err *e)
{
	struct registration_row *r = &s->p->registration;
	int rc = registration_row_by_device(s->f->db, s->q->device, r, e);

	s->known = rc == 0;
	if (rc != 0)
		return rc == E_NOTFOUND ? 0 : rc;
	text_copy(s->registration, sizeof(s->registration), r->registration);
	return r->enrolment != 0 ? enrolment_row_by_id(s->f->db, r->enrolment, &s->enrolment, e) : 0;
}

/* Somebody proved to be this device, and its enrolment says how that is done. */
static bool
is_registered(const struct asking *s)
{
	return s->known && s->enrolment.id != 0 && strcmp(s->p->registration.status, "unassigned") != 0;
}

/*
 * A certificate of ours says which device it is.  That is enough for a device that never registered, and for one that
 * was given it, or one that it renewed by it, with its registration; the name of another that registered may be that of
 * an EST device by chance, or because somebody took it, so there the enrolment has its say.
 */
static int
is_by_certificate(struct asking *s, bool *yes, struct err *e)
{
	char asker[sizeof(s->p->actor)];

	*yes = s->own && s->q->token.state == ASK_SAS_NONE && strcmp(s->own_row.device_name, s->q->device) == 0;
	if (!*yes || !is_registered(s))
		return 0;
	*yes = s->p->registration.issued;
	(void)snprintf(asker, sizeof(asker), "registration %s", s->registration);
	return *yes ? cert_row_goes_back(s->f->db, s->own_row.device, s->own_row.id, asker, s->now, yes, e) : 0;
}

static int
step_prove(struct asking *s, struct err *e)
{
	bool by_certificate;
	int rc = is_by_certificate(s, &by_certificate, e);

	if (rc != 0)
		return rc;
	if (by_certificate) {
		s->enrolled = true;
		(void)snprintf(s->p->actor, sizeof(s->p->actor), "certificate %s", s->own_row.serial);
		asking_note(s, TRACE_OK, "authenticated", "by a certificate of ours for '%s'", s->own_row.device_name);
	} else if (!is_registered(s) || s->p->registration.hub[0] == 0) {
		return asking_refuse(s, 401, "hub.not-yours",
		    "neither a certificate of ours for this device, nor has the device registered");
	} else if ((rc = prove(s, prove_kind(&s->enrolment), s->enrolment.id, e)) != 0 || s->stop) {
		return rc;
	}
	if (!s->enrolled)
		return asking_refuse(s, 401, "hub.not-yours", "nothing proves that this is the device");
	if (is_registered(s) && !s->enrolment.enabled)
		return asking_refuse(s, 403, "hub.disabled", "the device's enrolment is disabled");
	return 0;
}

static int
step_state(struct asking *s, struct err *e)
{
	char state[16] = "";
	int64_t id;
	int rc;

	if (s->known && strcmp(s->p->registration.status, "disabled") == 0)
		return asking_refuse(s, 403, "hub.disabled", "an operator disabled the device's registration");
	rc = device_row_find(s->f->db, s->q->device, &id, state, e);
	if (rc != 0 && rc != E_NOTFOUND)
		return rc;
	if (strcmp(state, "forked") == 0 || strcmp(state, "retired") == 0)
		return asking_refuse(s, 403, state[0] == 'f' ? "device.forked" : "device.retired", "the device is %s", state);
	return 0;
}

/* --- modules --- */

/* Keys that came in never go out again: their module has them, and nobody else needs them. */
static json_t *
module_json(const struct module_row *r)
{
	json_t *v = json_object();

	json_setf(v, "moduleId", "%s", r->module);
	if (r->managed_by[0] != 0)
		json_setf(v, "managedBy", "%s", r->managed_by);
	json_setf(v, "deviceId", "%s", r->device);
	json_setf(v, "generationId", "%s", r->generation);
	return v;
}

static int
add_module(void *ctx, struct module_row *r)
{
	json_array_append_new(ctx, module_json(r));
	return 0;
}

static int
list_modules(struct asking *s, struct err *e)
{
	json_t *v = json_array();
	int rc = module_row_each(s->f->db, s->q->device, add_module, v, e);

	if (rc != 0) {
		json_decref(v);
		return rc;
	}
	s->p->silent = !s->p->put_registration;
	return asking_answer(s, 200, v);
}

/* The module of the path; the outcome is settled when there is none. */
static int
find_module(struct asking *s, struct err *e)
{
	int rc = module_row_by_name(s->f->db, s->q->device, s->q->module, &s->p->module, e);

	if (rc == E_NOTFOUND)
		return asking_refuse(s, 404, "hub.no-module", "the device has no module '%s'", s->q->module);
	return rc;
}

static int
get_module(struct asking *s, struct err *e)
{
	int rc = find_module(s, e);

	if (rc != 0 || s->stop)
		return rc;
	s->p->silent = !s->p->put_registration;
	return asking_answer(s, 200, module_json(&s->p->module));
}

/* What came with the request; settled when it is wrong. */
static int
take_members(struct asking *s)
{
	struct module_row *r = &s->p->module;
	char what[PROVISION_WHAT_MAX];

	if (s->q->managed_by[0] != 0)
		text_copy(r->managed_by, sizeof(r->managed_by), s->q->managed_by);
	if (!s->q->has_keys)
		return 0;
	for (size_t i = 0; i < 2; i++) {
		if (s->q->key_n[i] == 0 || s->q->key_n[i] > sizeof(s->q->key[i]))
			return asking_refuse(s, 400, "hub.keys", "a symmetric key has 1 to %zu octets, and there are two", sizeof(s->q->key[i]));
		buf_reset(&r->key[i]);
		provision_seal(&r->key[i], s->f, provision_what_module(what, r->device, r->module, i),
		    (struct bytes){ s->q->key[i], s->q->key_n[i] });
	}
	return 0;
}

static int
put_module(struct asking *s)
{
	struct module_row *r = &s->p->module;

	r->updated_at = s->now;
	s->p->module_change = PROVISION_PUT_MODULE;
	(void)snprintf(s->p->text, sizeof(s->p->text), "module '%s' of '%s', generation %s", r->module, r->device, r->generation);
	asking_note(s, TRACE_OK, "module", "%s", s->p->text);
	return asking_answer(s, 200, module_json(r));
}

/* Never given twice, also when the clock is set back: keys are derived from it. */
static void
make_generation(char out[24], int64_t now)
{
	(void)snprintf(out, 24, "%lld%04u%05u", (long long)(now > 0 ? now % INT64_C(10000000000) : 0),
	    rnd_below(10000), rnd_below(100000));
}

static int
create_module(struct asking *s, struct err *e)
{
	struct module_row *r = &s->p->module;
	int64_t n = 0;
	int rc = module_row_by_name(s->f->db, s->q->device, s->q->module, r, e);

	if (rc == 0)
		return asking_refuse(s, 409, "hub.module-exists", "the device has a module '%s' already", s->q->module);
	if (rc != E_NOTFOUND || (rc = module_row_count(s->f->db, s->q->device, &n, e)) != 0)
		return rc;
	if (n >= PROVISION_MODULES_MAX)
		return asking_refuse(s, 403, "hub.modules-max", "the device has %d modules, no more are taken", PROVISION_MODULES_MAX);
	text_copy(r->device, sizeof(r->device), s->q->device);
	text_copy(r->module, sizeof(r->module), s->q->module);
	make_generation(r->generation, s->now);
	r->created_at = s->now;
	if ((rc = take_members(s)) != 0 || s->stop)
		return rc;
	return put_module(s);
}

static int
update_module(struct asking *s, struct err *e)
{
	int rc = find_module(s, e);

	if (rc != 0 || s->stop || (rc = take_members(s)) != 0 || s->stop)
		return rc;
	return put_module(s);
}

static int
delete_module(struct asking *s, struct err *e)
{
	int rc = find_module(s, e);

	if (rc != 0 || s->stop)
		return rc;
	s->p->module_change = PROVISION_REMOVE_MODULE;
	(void)snprintf(s->p->text, sizeof(s->p->text), "module '%s' of '%s' removed", s->q->module, s->q->device);
	asking_note(s, TRACE_OK, "module", "%s", s->p->text);
	return asking_answer(s, 204, NULL);
}

static int
step_module(struct asking *s, struct err *e)
{
	static const asking_fn of[ASK_OP_COUNT] = {
		[ASK_MODULE_LIST] = list_modules, [ASK_MODULE_GET] = get_module, [ASK_MODULE_CREATE] = create_module,
		[ASK_MODULE_UPDATE] = update_module, [ASK_MODULE_DELETE] = delete_module,
	};

	return of[s->q->op](s, e);
}

int
hub_decide(struct asking *s, struct err *e)
{
	static const asking_fn steps[] = { step_names, judge_certificate, step_registration, step_prove, step_state, step_module };
	int rc = 0;

	for (size_t i = 0; i < N_OF(steps) && rc == 0 && !s->stop; i++)
		rc = steps[i](s, e);
	return rc;
}
