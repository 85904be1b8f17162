/* SPDX-License-Identifier: Apache-2.0 */
/* authority/op_registration.c - the operator's verbs on devices that registered: the portal's registration records */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "server/authority/authority.h"
#include "server/provision/ids.h"
#include "server/provision/provision.h"

static json_t *
registration_json(const struct registration_row *r, bool whole)
{
	json_t *v = json_object(), *payload = NULL;
	char hex[2 * ROW_HASH_LEN + 1] = "";

	json_setf(v, "registration", "%s", r->registration);
	json_setf(v, "device_id", "%s", r->device_id);
	json_setf(v, "hub", "%s", r->hub);
	json_setf(v, "status", "%s", r->status);
	json_setf(v, "substatus", "%s", r->substatus);
	json_setf(v, "enrolment", "%s", r->enrolment_name);
	json_object_set_new(v, "individual", json_boolean(r->individual));
	json_object_set_new(v, "created_at", json_integer(r->created_at));
	json_object_set_new(v, "updated_at", json_integer(r->updated_at));
	json_object_set_new(v, "error_code", json_integer(r->error_code));
	json_setf(v, "error", "%s", r->error_text);
	if (!whole)
		return v;
	if (r->has_cert)
		text_hex(hex, (struct bytes){ r->cert, ROW_HASH_LEN });
	json_setf(v, "cert_sha256", "%s", hex);
	json_setf(v, "operation", "%s", r->operation);
	if (r->payload.n == 0 || json_parse(&payload, bytes_of_buf(&r->payload), NULL) != 0)
		payload = json_null();
	json_object_set_new(v, "payload", payload);
	return v;
}

static int
add_registration(void *ctx, struct registration_row *r)
{
	return op_page_add(ctx, registration_json(r, false), r->id);
}

/* The enrolment that the list is about: a group, or an individual enrolment; 0: all. */
static int
enrolment_arg(struct work *w, int64_t *id, struct err *e)
{
	const char *name = op_arg(w, "group", "");
	struct enrolment_row r = { 0 };
	int rc = 0;

	*id = 0;
	if (name[0] != 0 && (rc = enrolment_row_by_name(w->a->db, false, name, &r, e)) == 0)
		*id = r.id;
	enrolment_row_clear(&r);
	return rc;
}

static int
registration_list(struct work *w, json_t **result, struct err *e)
{
	static const char *const states[] = { "", "unassigned", "assigning", "assigned", "failed", "disabled" };
	const char *status = op_arg(w, "status", "");
	char part[PROVISION_ID_MAX];
	struct op_page p;
	bool known = false;
	int64_t enrolment;
	int rc;

	for (size_t i = 0; i < N_OF(states); i++)
		known = known || strcmp(status, states[i]) == 0;
	if (!known)
		return err_set(e, E_USAGE, "registration.list: status: expected unassigned, assigning, assigned, "
		    "failed or disabled");
	if ((rc = enrolment_arg(w, &enrolment, e)) != 0)
		return rc;
	p = op_page(w);
	ids_lower(part, op_arg(w, "q", ""));
	rc = registration_row_list(w->a->db, part, enrolment, status, p.after, p.limit, add_registration,
	    &p, e);
	*result = op_page_end(&p);
	return rc;
}

/* Registration IDs are kept in lower case. */
static int
named(struct work *w, struct registration_row *r, struct err *e)
{
	char id[PROVISION_ID_MAX];

	ids_lower(id, op_arg(w, "registration", ""));
	return registration_row_by_name(w->a->db, id, r, e);
}

static int
registration_show(struct work *w, json_t **result, struct err *e)
{
	struct registration_row r = { 0 };
	int64_t modules = 0;
	int rc = named(w, &r, e);

	if (rc == 0)
		rc = module_row_count(w->a->db, r.device_id, &modules, e);
	if (rc == 0) {
		*result = registration_json(&r, true);
		json_object_set_new(*result, "modules", json_integer(modules));
	}
	registration_row_clear(&r);
	return rc;
}

static int
note(struct work *w, const struct registration_row *r, const char *kind, struct err *e)
{
	return event_row_add(w->a->db, clock_now(), kind, r->device_id, w->actor, e);
}

static int
registration_remove(struct work *w, json_t **result, struct err *e)
{
	struct registration_row r = { 0 };
	int rc;

	(void)result;
	if ((rc = named(w, &r, e)) == 0 && (rc = registration_row_remove(w->a->db, r.registration, e)) == 0)
		rc = note(w, &r, "registration.removed", e);
	registration_row_clear(&r);
	return rc;
}

static int
put(struct work *w, struct registration_row *r, const char *kind, json_t **result, struct err *e)
{
	int rc;

	r->updated_at = clock_now();
	if ((rc = registration_row_put(w->a->db, r, e)) == 0 && (rc = note(w, r, kind, e)) == 0)
		*result = registration_json(r, true);
	return rc;
}

static int
registration_disable(struct work *w, json_t **result, struct err *e)
{
	struct registration_row r = { 0 };
	int rc = named(w, &r, e);

	if (rc == 0 && strcmp(r.status, "disabled") == 0)
		rc = err_set(e, E_EXISTS, "registration '%s': is disabled already", r.registration);
	if (rc == 0) {
		if (strcmp(r.status, "assigning") == 0)
			buf_reset(&r.payload); /* the device's own, for a webhook that will not be heard any more */
		(void)snprintf(r.status, sizeof(r.status), "disabled");
		rc = put(w, &r, "registration.disabled", result, e);
	}
	registration_row_clear(&r);
	return rc;
}

/* Back to what it was; a device that had no hub yet asks again. */
static int
registration_enable(struct work *w, json_t **result, struct err *e)
{
	struct registration_row r = { 0 };
	int rc = named(w, &r, e);

	if (rc == 0 && strcmp(r.status, "disabled") != 0)
		rc = err_set(e, E_EXISTS, "registration '%s': is not disabled", r.registration);
	if (rc == 0) {
		(void)snprintf(r.status, sizeof(r.status), "%s",
		    r.hub[0] != 0 ? "assigned" : r.operation[0] != 0 ? "failed" : "unassigned");
		rc = put(w, &r, "registration.enabled", result, e);
	}
	registration_row_clear(&r);
	return rc;
}

const struct verb op_registration_verbs[] = {
	{ "registration.list", VERB_READ, "q group status limit after", registration_list },
	{ "registration.show", VERB_READ, "registration!", registration_show },
	{ "registration.remove", VERB_WRITE, "registration!", registration_remove },
	{ "registration.disable", VERB_WRITE, "registration!", registration_disable },
	{ "registration.enable", VERB_WRITE, "registration!", registration_enable },
	{ NULL, 0, NULL, NULL },
};
