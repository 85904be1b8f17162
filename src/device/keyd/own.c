/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/own.c - what Estuary's version of the API adds: generations, handles for others, lists, giving damaged keys up */
#include <string.h>

#include "device/keyd/desk.h"
#include "device/service/slog.h"

/* --- generations --- */

static void
reply_state(struct api_call *c)
{
	AUTO_JSON v = json_object();
	struct store_state state;
	struct err e;

	if (store_state(&state, desk_of(c)->store, c->id, &e) != 0) {
		desk_fail(c, &e);
		return;
	}
	(void)json_object_set_new(v, "generation", json_integer((json_int_t)state.generation));
	(void)json_object_set_new(v, "previous", json_boolean(state.previous));
	api_reply(c, 200, v);
}

void
own_state(struct api_call *c)
{
	if (desk_may(c, c->id))
		reply_state(c);
}

static void
finish(struct api_call *c, int r, const struct err *e)
{
	if (r == 0)
		reply_state(c);
	else
		desk_fail(c, e);
}

static void
switch_pair(struct api_call *c)
{
	AUTO_BUF spki = BUF_MAX(KEY_SPKI_MAX);
	const char *from;
	struct err e;

	if (!api_need_str(c, "from", &from) || !desk_base64(c, c->body, "spki", &spki) || !desk_may(c, from))
		return;
	finish(c, store_switch(desk_of(c)->store, c->id, from, bytes_of_buf(&spki), &e), &e);
}

void
own_generation(struct api_call *c)
{
	struct store *st = desk_of(c)->store;
	const char *op;
	struct err e;

	if (!desk_may(c, c->id) || !api_need_str(c, "op", &op))
		return;
	if (strcmp(op, "switch") == 0)
		switch_pair(c);
	else if (strcmp(op, "prove") == 0)
		finish(c, store_prove(st, c->id, &e), &e);
	else if (strcmp(op, "rollback") == 0)
		finish(c, store_rollback(st, c->id, &e), &e);
	else
		api_fail(c, 422, "op: unknown variant, switch, prove or rollback is meant");
}

/* --- handles for others --- */

/* A user ID in a member; -1 when there is none, -2 when it is no user ID. */
static int64_t
uid_member(const struct api_call *c, const char *name)
{
	const json_t *v = json_object_get(c->body, name);

	if (v == NULL || json_is_null(v))
		return -1;
	return json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) < UINT32_MAX ? json_integer_value(v) : -2;
}

/* The asker's own handle, for another user. */
static bool
open_own(struct api_call *c, struct handle *h, int64_t uid)
{
	if (!desk_handle(c, "keyHandle", h))
		return false;
	h->by = h->delegated ? h->by : c->uid;
	h->delegated = true;
	h->uid = (uid_t)uid;
	return true;
}

/*
 * A service was given a handle by one of its own callers, whom it knows (`holder`), and has to use it for that caller.
 * It gets one for itself that stands on the holder's rights; a handle that is not the holder's does not go: a
 * stolen one is of no use through a service either.
 */
static bool
open_held(struct api_call *c, struct handle *h, int64_t uid, int64_t holder)
{
	uid_t asker = c->uid;

	if (uid != (int64_t)asker) {
		api_fail_parameter(c, "uid", "with a holder, only the asker's own");
		return false;
	}
	c->uid = (uid_t)holder; /* judged as if the holder asked */
	if (!desk_handle(c, "keyHandle", h))
		return false;
	c->uid = asker;
	/* Root may use anybody's; as a holder it is a user like others. */
	if (h->bound && h->uid != (uid_t)holder) {
		api_fail(c, 403, "the handle is not user %u's", (uid_t)holder);
		handle_clear(h);
		return false;
	}
	h->by = h->delegated ? h->by : (uid_t)holder;
	h->delegated = true;
	h->uid = asker;
	return true;
}

void
own_delegate(struct api_call *c)
{
	int64_t uid = uid_member(c, "uid"), holder = uid_member(c, "holder");
	struct handle h = { 0 };

	if (c->uid != 0 && !principals_delegate(desk_of(c)->settings->principals, c->uid)) {
		api_fail(c, 403, "user %u may not make handles for others", c->uid);
		return;
	}
	if (uid < 0 || holder < -1) {
		api_fail(c, 422, "uid: the number of a user is needed");
		return;
	}
	if (!(holder < 0 ? open_own(c, &h, uid) : open_held(c, &h, uid, holder)))
		return;
	desk_reply_handle(c, &h);
	handle_clear(&h);
}

/* --- lists, and what was set aside --- */

struct listing {
	const struct api_call *c;
	json_t *keys;
};

static bool
is_theirs(void *ctx, const char *id)
{
	const struct listing *l = ctx;

	return l->c->uid == 0 ||
	    (id != NULL && principals_allow(desk_of(l->c)->settings->principals, l->c->uid, id));
}

static void
add_row(void *ctx, const char *id, json_t *row)
{
	struct listing *l = ctx;

	(void)id;
	(void)json_array_append(l->keys, row);
}

void
own_list(struct api_call *c)
{
	AUTO_JSON v = json_object();
	struct listing l = { c, json_array() };
	struct err e;

	(void)json_object_set_new(v, "keys", l.keys);
	if (store_each(desk_of(c)->store, is_theirs, add_row, &l, &e) != 0)
		desk_fail(c, &e);
	else
		api_reply(c, 200, v);
}

void
own_forget(struct api_call *c)
{
	struct err e;

	if (!desk_may(c, c->id))
		return;
	if (store_forget(desk_of(c)->store, c->id, &e) != 0) {
		desk_fail(c, &e);
		return;
	}
	slog(SLOG_WARN, "User %u gave up what was set aside of key %s.", c->uid, c->id);
	api_reply(c, 204, NULL);
}
