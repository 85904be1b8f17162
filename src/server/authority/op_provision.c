/* SPDX-License-Identifier: Apache-2.0 */
/* authority/op_provision.c - the operator's verbs on the provisioning service itself: ID scope, hubs, what hubs hold */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "server/authority/authority.h"
#include "server/provision/provision.h"

#define WEIGHT_MAX  1000
#define LATENCY_MAX 600000 /* ms */
#define HUBS_MAX    1000

static json_t *
hub_json(const struct hub_row *r)
{
	json_t *v = json_object();

	json_setf(v, "name", "%s", r->name);
	json_object_set_new(v, "enabled", json_boolean(r->enabled));
	json_object_set_new(v, "weight", json_integer(r->weight));
	json_object_set_new(v, "latency", json_integer(r->latency_ms));
	json_object_set_new(v, "devices", json_integer(r->devices));
	json_object_set_new(v, "created_at", json_integer(r->created_at));
	return v;
}

static int
add_hub(void *ctx, struct hub_row *r)
{
	json_array_append_new(ctx, hub_json(r));
	return 0;
}

static void
put_endpoint(const struct work *w, json_t *v, const char *scope)
{
	json_setf(v, "id_scope", "%s", scope);
	json_setf(v, "endpoint", "https://%s:%u", w->a->settings.name, w->a->settings.device_port);
}

int
op_put_scope(struct work *w, json_t *v, struct err *e)
{
	char scope[ASK_ID_MAX];
	int rc = provision_scope(scope, w->a->db, true, e);

	if (rc == 0)
		put_endpoint(w, v, scope);
	return rc;
}

/* The scope, made by the first who asks: that alone is a change, and recorded. */
static int
scope_of(struct work *w, char scope[ASK_ID_MAX], struct err *e)
{
	int rc = provision_scope(scope, w->a->db, false, e);

	if (rc != E_NOTFOUND)
		return rc;
	if ((rc = db_begin(w->a->db, e)) != 0)
		return rc;
	if ((rc = provision_scope(scope, w->a->db, true, e)) != 0) {
		db_rollback(w->a->db);
		return rc;
	}
	return op_commit(w, scope, "made", e);
}

static int
dps_show(struct work *w, json_t **result, struct err *e)
{
	char scope[ASK_ID_MAX];
	json_t *hubs;
	int rc = scope_of(w, scope, e);

	if (rc != 0)
		return rc;
	hubs = json_array();
	*result = json_object();
	put_endpoint(w, *result, scope);
	json_object_set_new(*result, "hubs", hubs);
	return hub_row_each(w->a->db, add_hub, hubs, e);
}

/* --- hubs --- */

static int
hub_list(struct work *w, json_t **result, struct err *e)
{
	json_t *items = json_array();

	*result = op_items(items);
	return hub_row_each(w->a->db, add_hub, items, e);
}

/* What was given of a hub's settings. */
static int
apply_hub(struct work *w, struct hub_row *r, struct err *e)
{
	const json_t *enabled = json_object_get(w->args, "enabled");

	r->weight = json_int(w->args, "weight", r->weight);
	r->latency_ms = json_int(w->args, "latency", r->latency_ms);
	if (enabled != NULL && !json_is_boolean(enabled))
		return err_set(e, E_USAGE, "%s: enabled: expected true or false", w->verb->name);
	if (enabled != NULL)
		r->enabled = json_is_true(enabled);
	if (r->weight < 1 || r->weight > WEIGHT_MAX)
		return err_set(e, E_USAGE, "%s: weight: expected 1 to %d", w->verb->name, WEIGHT_MAX);
	if (r->latency_ms < 0 || r->latency_ms > LATENCY_MAX)
		return err_set(e, E_USAGE, "%s: latency: expected 0 to %d (milliseconds)", w->verb->name, LATENCY_MAX);
	return 0;
}

static int
count(void *ctx, struct hub_row *r)
{
	(void)r;
	++*(size_t *)ctx;
	return 0;
}

static int
hub_add(struct work *w, json_t **result, struct err *e)
{
	const char *name = op_arg(w, "name", "");
	struct hub_row r = { .weight = 1, .enabled = true, .created_at = clock_now() };
	size_t n = 0;
	int rc;

	if ((rc = provision_check_hub(name, e)) != 0)
		return err_set(e, E_USAGE, "hub '%.100s': expected a host name or HOST:PORT, without https://", name);
	(void)snprintf(r.name, sizeof(r.name), "%s", name);
	if ((rc = apply_hub(w, &r, e)) != 0 || (rc = hub_row_each(w->a->db, count, &n, e)) != 0)
		return rc;
	if (n >= HUBS_MAX)
		return err_set(e, E_TOOBIG, "hub.add: %d hubs are there, no more are taken", HUBS_MAX);
	if ((rc = hub_row_insert(w->a->db, &r, e)) == 0)
		*result = hub_json(&r);
	return rc == E_EXISTS ? err_set(e, rc, "hub '%s': is there already", r.name) : rc;
}

static int
hub_named(struct work *w, struct hub_row *r, struct err *e)
{
	const char *name = op_arg(w, "name", "");
	int rc = hub_row_by_name(w->a->db, name, r, e);

	return rc == E_NOTFOUND ? err_set(e, rc, "hub '%.100s': there is none; see 'estuary hub list'", name) : rc;
}

static int
hub_set(struct work *w, json_t **result, struct err *e)
{
	struct hub_row r = { 0 };
	int rc;

	if ((rc = hub_named(w, &r, e)) == 0 && (rc = apply_hub(w, &r, e)) == 0 && (rc = hub_row_update(w->a->db, &r,
	    e)) == 0)
		*result = hub_json(&r);
	return rc;
}

/* Is `name` one of the words of `list`? */
static bool
has_word(const char *list, const char *name)
{
	size_t n = strlen(name);

	while (*list != 0) {
		size_t word = strcspn(list, " ");

		if (word == n && strncasecmp(list, name, n) == 0)
			return true;
		list += word + strspn(list + word, " ");
	}
	return false;
}

struct user {
	const char *hub;
	char name[PROVISION_ID_MAX];
};

static int
names_hub(void *ctx, struct enrolment_row *r)
{
	struct user *u = ctx;

	if (!has_word(r->hubs, u->hub))
		return 0;
	(void)snprintf(u->name, sizeof(u->name), "%s", r->name);
	return E_EXISTS;
}

/* A hub that an enrolment names or that has devices stays, or they would lead nowhere. */
static int
check_unused(struct work *w, const struct hub_row *r, struct err *e)
{
	struct user u = { .hub = r->name };

	for (int individual = 0; individual < 2; individual++) {
		int rc = enrolment_row_list(w->a->db, individual != 0, NULL, 0, -1, names_hub, &u, e);

		if (rc == E_EXISTS)
			return err_set(e, rc, "hub '%s': the %s '%s' names it; change that first with 'estuary %s set "
			    "%s --hub HUB'", r->name,
			    individual ? "enrolment" : "group", u.name, individual ? "enrolment" : "group", u.name);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
hub_remove(struct work *w, json_t **result, struct err *e)
{
	struct hub_row r = { 0 };
	int rc;

	(void)result;
	if ((rc = hub_named(w, &r, e)) != 0 || (rc = check_unused(w, &r, e)) != 0)
		return rc;
	rc = hub_row_remove(w->a->db, r.name, e);
	if (rc == E_EXISTS)
		return err_set(e, rc, "hub '%s': devices are assigned to it; no new ones come after 'estuary hub set "
		    "%s --enabled no', and it can go "
		    "when their registrations are removed", r.name, r.name);
	return rc;
}

static int
add_module(void *ctx, struct module_row *r)
{
	json_t *v = json_object();

	json_setf(v, "module", "%s", r->module);
	json_setf(v, "generation", "%s", r->generation);
	json_setf(v, "managed_by", "%s", r->managed_by);
	json_object_set_new(v, "has_keys", json_boolean(r->key[0].n != 0));
	json_object_set_new(v, "created_at", json_integer(r->created_at));
	json_object_set_new(v, "updated_at", json_integer(r->updated_at));
	json_array_append_new(ctx, v);
	return 0;
}

static int
hub_modules(struct work *w, json_t **result, struct err *e)
{
	const char *device = op_arg(w, "device", "");
	struct registration_row r = { 0 };
	json_t *items = json_array();
	int rc;

	*result = op_items(items);
	if ((rc = module_row_each(w->a->db, device, add_module, items, e)) != 0 || json_array_size(items) != 0)
		return rc; /* also of a device that comes by its certificate, and never registered */
	rc = registration_row_by_device(w->a->db, device, &r, e);
	registration_row_clear(&r);
	return rc == E_NOTFOUND ? err_set(e, rc, "device '%.128s': is at no hub; see 'estuary registration list'", device) : rc;
}

const struct verb op_provision_verbs[] = {
	{ "dps.show", VERB_READ, "", dps_show },
	{ "hub.add", VERB_WRITE, "name! weight latency", hub_add },
	{ "hub.set", VERB_WRITE, "name! weight latency enabled", hub_set },
	{ "hub.list", VERB_READ, "", hub_list },
	{ "hub.remove", VERB_WRITE, "name!", hub_remove },
	{ "hub.modules", VERB_READ, "device!", hub_modules },
	{ NULL, 0, NULL, NULL },
};
