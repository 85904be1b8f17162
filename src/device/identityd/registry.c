/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/registry.c - modules: asked of the hub, remembered here, and brought into line with the configuration */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "core/base/text.h"
#include "device/identityd/identityd_inside.h"
#include "device/service/slog.h"

#define JOURNAL      "modules"
#define MASTER_KEY   "aziot_identityd_master_id" /* the original's; module keys are derived from it */
#define PAUSE_LEAST_S 30
#define PAUSE_MOST_S  3600

/* A call under way, until it is answered. */
struct errand {
	struct errand *next;
	struct registry *r;
	struct api_call *call;
	struct identity_device device;  /* as it was when the call came */
	enum task_kind kind;
	char module[ID_MAX];
	json_t *found;                  /* the module, once it is known */
	tasks_done done;
	bool waited;                    /* for the identity certificate */
};

static void start(struct errand *x, tasks_done done);

struct registry {
	struct identityd *d;
	struct errand *errands;
	/* bringing the hub into line */
	struct tasks_ticket *ticket;
	struct identity_device device;  /* of this round */
	json_t *desired, *previous;     /* names */
	json_t *at_hub;                 /* names, as listed in this round; NULL: not listed yet */
	json_t *settled;                /* names that need nothing more in this round */
	char changing[ID_MAX];
	bool deleting;
	bool wanted;                    /* a round is due */
	int64_t next;
	unsigned tries;
	char last_error[TASK_TEXT_MAX];
	int64_t last_error_at, at;      /* at: of the last round that ended well */
};

static json_t *
hub_args(const struct registry *r, const struct identity_device *d, const char *module)
{
	json_t *args = cloud_args(r->d);

	json_setf(args, "hub", "%s", d->hub);
	json_setf(args, "gateway", "%s", strcmp(d->gateway, d->hub) != 0 ? d->gateway : "");
	json_setf(args, "device", "%s", d->device);
	if (module[0] != 0)
		json_setf(args, "module", "%s", module);
	return args;
}

/* --- calls --- */

static struct errand *
errand_new(struct registry *r, struct api_call *c, enum task_kind kind, const char *module)
{
	const struct identity_device *device = provisioner_device(r->d->provisioner);
	struct errand *x;

	if (device == NULL) {
		api_fail(c, 400, "device identity not found");
		return NULL;
	}
	x = mem_zalloc(sizeof(*x));
	*x = (struct errand){ .next = r->errands, .r = r, .call = c, .device = *device, .kind = kind };
	text_copy(x->module, sizeof(x->module), module);
	r->errands = x;
	return x;
}

static void
errand_free(struct errand *x)
{
	struct errand **at = &x->r->errands;

	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
	json_decref(x->found);
	mem_free(x);
}

/* The original's words and status for what its servers and services refuse. */
static void
fail(struct errand *x, const struct task_result *r)
{
	const char *who = r->outcome == TASK_KEY_FAILED ? "Key" : "Hub";

	api_fail(x->call, 404, "%s client error\ncaused by: %s", who, r->text);
	errand_free(x);
}

static void
reply_module(struct errand *x, const char *handle)
{
	json_t *auth = json_pack("{s:s, s:s}", "type", "sas", "keyHandle", handle);
	AUTO_JSON v = identity_json(&x->device, x->module, json_str(x->found, "generationId", ""), auth);

	api_reply(x->call, 200, v);
	errand_free(x);
}

static void
on_handle(void *ctx, const struct task_result *r)
{
	struct errand *x = ctx;

	if (r->outcome == TASK_DONE)
		reply_module(x, json_str(r->value, "handle", ""));
	else
		fail(x, r);
}

static json_t *
key_args(const struct errand *x, json_t *args)
{
	json_setf(args, "master", "%s", MASTER_KEY);
	json_object_set_new(args, "uid", json_integer((json_int_t)x->call->uid));
	return args;
}

/* The key of a module follows from its name and generation; without one it has no key. */
static void
give_key(struct errand *x)
{
	const char *generation = json_str(x->found, "generationId", "");
	json_t *args;

	if (generation[0] == 0) {
		api_fail(x->call, 400, "module identity not found");
		errand_free(x);
		return;
	}
	args = key_args(x, cloud_local_args(x->r->d));
	json_setf(args, "module", "%s", x->module);
	json_setf(args, "generation", "%s", generation);
	(void)tasks_run(x->r->d->tasks, TASK_MODULE_HANDLE, args, on_handle, x);
}

static void
remember(struct errand *x, const json_t *module)
{
	struct err e;

	json_decref(x->found);
	x->found = json_copy((json_t *)(uintptr_t)module);
	json_setf(x->found, "moduleId", "%s", x->module);
	if (state_module_put(x->r->d->settings->homedir, &x->device, x->found, &e) != 0)
		slog(SLOG_WARN, "module '%s': %s", x->module, e.msg);
}

static void
forget(struct errand *x)
{
	struct err e;

	if (state_module_remove(x->r->d->settings->homedir, &x->device, x->module, &e) != 0)
		slog(SLOG_WARN, "module '%s': %s", x->module, e.msg);
}

/* An identity certificate that has not been looked for yet is looked for first. */
static void
on_ready(void *ctx, const struct err *why)
{
	struct errand *x = ctx;

	if (why != NULL) {
		api_fail(x->call, 404, "Hub client error\ncaused by: %s", why->msg);
		errand_free(x);
		return;
	}
	start(x, x->done);
}

static void
start(struct errand *x, tasks_done done)
{
	struct identityd *d = x->r->d;
	json_t *args;

	x->done = done;
	if (d->settings->auth == AUTH_IS_X509 && keeper_chain(d->keeper)[0] == 0 && !x->waited) {
		x->waited = true;
		keeper_ensure(d->keeper, on_ready, x);
		return;
	}
	args = hub_args(x->r, &x->device, x->module);
	if (x->kind == TASK_MODULE_CREATE || x->kind == TASK_MODULE_UPDATE)
		args = key_args(x, args);
	(void)tasks_run(d->tasks, x->kind, args, done, x);
}

static bool
recall(struct errand *x)
{
	json_decref(x->found);
	x->found = NULL;
	return state_module_get(&x->found, x->r->d->settings->homedir, &x->device, x->module, NULL) == 0;
}

/* Nobody answered: then what was remembered holds. */
static bool
unreachable(enum task_outcome o)
{
	return o == TASK_NO_SERVER || o == TASK_BUSY || o == TASK_DIED || o == TASK_UNTRUSTED;
}

static void
on_got(void *ctx, const struct task_result *r)
{
	struct errand *x = ctx;

	if (r->outcome == TASK_DONE) {
		remember(x, json_object_get(r->value, "module"));
		give_key(x);
	} else if (unreachable(r->outcome) && recall(x)) {
		slog(SLOG_WARN, "The hub was not reached (%s): module '%s' as it was remembered.", r->text, x->module);
		give_key(x);
	} else {
		if (r->outcome == TASK_NOT_FOUND)
			forget(x);
		fail(x, r);
	}
}

void
registry_get(struct registry *r, struct api_call *c, const char *module)
{
	struct errand *x = errand_new(r, c, TASK_MODULE_GET, module);

	if (x == NULL)
		return;
	if (r->d->settings->prefer_cache && recall(x))
		give_key(x);
	else
		start(x, on_got);
}

static void
on_changed(void *ctx, const struct task_result *r)
{
	struct errand *x = ctx;
	const char *handle = json_str(r->value, "handle", "");

	if (r->outcome != TASK_DONE) {
		fail(x, r);
		return;
	}
	remember(x, json_object_get(r->value, "module"));
	if (handle[0] != 0)
		reply_module(x, handle);
	else
		give_key(x);
}

void
registry_create(struct registry *r, struct api_call *c, const char *module)
{
	struct errand *x = errand_new(r, c, TASK_MODULE_CREATE, module);

	if (x != NULL)
		start(x, on_changed);
}

void
registry_update(struct registry *r, struct api_call *c, const char *module)
{
	struct errand *x = errand_new(r, c, TASK_MODULE_UPDATE, module);

	if (x != NULL)
		start(x, on_changed);
}

static void
on_deleted(void *ctx, const struct task_result *r)
{
	struct errand *x = ctx;

	if (r->outcome == TASK_DONE || r->outcome == TASK_NOT_FOUND)
		forget(x);
	if (r->outcome != TASK_DONE) {
		fail(x, r);
		return;
	}
	api_reply(x->call, 204, NULL);
	errand_free(x);
}

void
registry_delete(struct registry *r, struct api_call *c, const char *module)
{
	struct errand *x = errand_new(r, c, TASK_MODULE_DELETE, module);

	if (x != NULL)
		start(x, on_deleted);
}

static void
on_listed(void *ctx, const struct task_result *r)
{
	struct errand *x = ctx;
	json_t *identities, *module;
	AUTO_JSON v = NULL;
	size_t i;

	if (r->outcome != TASK_DONE) {
		fail(x, r);
		return;
	}
	identities = json_array();
	json_array_foreach(json_object_get(r->value, "modules"), i, module)
		json_array_append_new(identities, identity_json(&x->device, json_str(module, "moduleId", ""),
		    json_str(module, "generationId", NULL), NULL));
	v = json_pack("{s:o}", "identities", identities);
	api_reply(x->call, 200, v);
	errand_free(x);
}

void
registry_list(struct registry *r, struct api_call *c)
{
	struct errand *x = errand_new(r, c, TASK_MODULE_LIST, "");

	if (x != NULL)
		start(x, on_listed);
}

/* --- bringing the hub into line with the configuration --- */

static bool
has_name(const json_t *names, const char *name)
{
	const json_t *v;
	size_t i;

	json_array_foreach(names, i, v)
		if (json_is_string(v) && strcmp(json_string_value(v), name) == 0)
			return true;
	return false;
}

static void
clear_round(struct registry *r)
{
	json_decref(r->desired);
	json_decref(r->previous);
	json_decref(r->at_hub);
	r->desired = r->previous = r->at_hub = NULL;
}

static json_t *
desired_modules(const struct identityd_settings *s)
{
	json_t *names = json_array();

	for (size_t i = 0; i < s->n_principals; i++)
		if (s->principal[i].module)
			json_array_append_new(names, json_string(s->principal[i].name));
	return names;
}

/* What an earlier round made counts only if it made it for this device. */
static json_t *
previous_modules(const struct registry *r, const struct identity_device *d)
{
	const char *home = r->d->settings->homedir;
	AUTO_JSON journal = NULL;
	json_t *names;

	if (state_journal_get(&journal, home, JOURNAL, NULL) == 0 && (strcmp(json_str(journal, "hub", ""), d->hub) != 0 ||
	    strcmp(json_str(journal, "device", ""), d->device) != 0))
		return json_array();
	state_previous_modules(&names, home);
	return names;
}

static void
round_failed(struct registry *r, const char *text, int64_t retry_after_s)
{
	int64_t pause = PAUSE_LEAST_S;

	for (unsigned i = 0; i < r->tries && pause < PAUSE_MOST_S; i++)
		pause *= 2;
	pause = pause / 2 + rnd_below((uint32_t)(pause / 2) + 1);
	if (retry_after_s > pause)
		pause = retry_after_s < PAUSE_MOST_S ? retry_after_s : PAUSE_MOST_S;
	r->tries++;
	r->next = clock_now() + pause;
	identityd_wake(r->d, pause);
	r->last_error_at = clock_now();
	text_copy(r->last_error, sizeof(r->last_error), text);
	slog(SLOG_WARN, "The hub's modules could not be brought into line: %s. Next try in %lld s.", text, (long long)pause);
	clear_round(r);
}

static void
round_done(struct registry *r)
{
	AUTO_JSON journal = json_pack("{s:s, s:s}", "hub", r->device.hub, "device", r->device.device);
	struct err e;

	if (state_write_previous(r->d->settings->homedir, r->d->doc, &e) != 0 ||
	    state_journal_put(r->d->settings->homedir, JOURNAL, journal, &e) != 0) {
		round_failed(r, e.msg, -1);
		return;
	}
	r->wanted = false;
	r->tries = 0;
	r->next = 0;
	r->at = clock_now();
	r->last_error[0] = 0;
	json_array_clear(r->settled);
	clear_round(r);
}

static void step(struct registry *r);

static void
on_step(void *ctx, const struct task_result *t)
{
	struct registry *r = ctx;
	struct errand x = { .r = r, .device = r->device };

	r->ticket = NULL;
	if (t->outcome != TASK_DONE && !(r->deleting && t->outcome == TASK_NOT_FOUND)) {
		round_failed(r, t->text, t->retry_after_s);
		return;
	}
	text_copy(x.module, sizeof(x.module), r->changing);
	if (!r->deleting) {
		remember(&x, json_object_get(t->value, "module"));
		json_decref(x.found);
		json_array_append_new(r->settled, json_string(r->changing));
	} else {
		forget(&x);
		for (size_t i = json_array_size(r->at_hub); i-- > 0;)
			if (strcmp(json_string_value(json_array_get(r->at_hub, i)), r->changing) == 0)
				(void)json_array_remove(r->at_hub, i);
	}
	step(r);
}

static void
change(struct registry *r, bool delete, const char *module)
{
	json_t *args = hub_args(r, &r->device, module);

	text_copy(r->changing, sizeof(r->changing), module);
	r->deleting = delete;
	if (!delete)
		json_setf(args, "master", "%s", MASTER_KEY);
	r->ticket = tasks_run(r->d->tasks, delete ? TASK_MODULE_DELETE : TASK_MODULE_CREATE, args, on_step, r);
}

/* One change, and again when it is done; those of others at the hub are left alone. */
static void
step(struct registry *r)
{
	const json_t *v;
	size_t i;

	json_array_foreach(r->at_hub, i, v) {
		const char *name = json_string_value(v);
		bool before = has_name(r->previous, name), now = has_name(r->desired, name);

		if (before != now && !has_name(r->settled, name)) {
			change(r, true, name);
			return;
		}
	}
	json_array_foreach(r->desired, i, v)
		if (!has_name(r->at_hub, json_string_value(v)) && !has_name(r->settled, json_string_value(v))) {
			change(r, false, json_string_value(v));
			return;
		}
	round_done(r);
}

static void
on_round_listed(void *ctx, const struct task_result *t)
{
	struct registry *r = ctx;
	json_t *module;
	size_t i;

	r->ticket = NULL;
	if (t->outcome != TASK_DONE) {
		round_failed(r, t->text, t->retry_after_s);
		return;
	}
	r->at_hub = json_array();
	json_array_foreach(json_object_get(t->value, "modules"), i, module)
		if (json_str(module, "moduleId", "")[0] != 0)
			json_array_append_new(r->at_hub, json_string(json_str(module, "moduleId", "")));
	step(r);
}

static void
on_certificate(void *ctx, const struct err *why)
{
	struct registry *r = ctx;
	const struct identity_device *device = provisioner_device(r->d->provisioner);

	if (r->ticket != NULL || r->desired != NULL || device == NULL)
		return;
	if (why != NULL) {
		round_failed(r, why->msg, -1);
		return;
	}
	r->device = *device;
	r->desired = desired_modules(r->d->settings);
	r->previous = previous_modules(r, device);
	if (json_array_size(r->desired) == 0 && json_array_size(r->previous) == 0)
		round_done(r); /* nothing to ask a hub for */
	else
		r->ticket = tasks_run(r->d->tasks, TASK_MODULE_LIST, hub_args(r, device, ""), on_round_listed, r);
}

void
registry_tick(struct registry *r)
{
	int64_t now = clock_now();

	if (!r->wanted || r->ticket != NULL || r->desired != NULL || provisioner_device(r->d->provisioner) == NULL)
		return;
	if (identityd_ahead(r->next, now))
		identityd_wake(r->d, r->next - now);
	else
		keeper_ensure(r->d->keeper, on_certificate, r);
}

/* --- the whole --- */

struct registry *
registry_new(struct identityd *d)
{
	struct registry *r = mem_zalloc(sizeof(*r));

	r->d = d;
	r->settled = json_array();
	return r;
}

void
registry_free(struct registry *r)
{
	if (r == NULL)
		return;
	while (r->errands != NULL)
		errand_free(r->errands);
	clear_round(r);
	json_decref(r->settled);
	mem_free(r);
}

/* A round under way for another device or configuration ends where it stands: the next one begins with what there is. */
void
registry_configure(struct registry *r)
{
	if (r->ticket != NULL)
		tasks_cancel(r->d->tasks, r->ticket);
	r->ticket = NULL;
	clear_round(r);
	json_array_clear(r->settled);
	r->wanted = r->d->settings->source != SOURCE_IS_NONE;
	r->tries = 0;
	r->next = 0;
	identityd_wake(r->d, 0);
}

json_t *
registry_report(const struct registry *r)
{
	json_t *v = json_object();

	json_object_set_new(v, "wanted", desired_modules(r->d->settings));
	json_object_set_new(v, "in_line", json_boolean(!r->wanted));
	json_object_set_new(v, "at", r->at != 0 ? json_integer(r->at) : json_null());
	json_object_set_new(v, "next_try", r->next != 0 ? json_integer(r->next) : json_null());
	if (r->last_error[0] != 0) {
		json_setf(v, "last_error", "%s", r->last_error);
		json_object_set_new(v, "last_error_at", json_integer(r->last_error_at));
	}
	return v;
}
