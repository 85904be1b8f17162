/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/keys.c - creating, loading, importing, moving and deleting keys */
#include "core/base/mem.h"
#include "device/keyd/desk.h"

/* --- pairs --- */

void
keys_create_pair(struct api_call *c)
{
	const json_t *preferred = json_object_get(c->body, "preferredAlgorithms");
	struct store_key k = { 0 };
	const char *id;
	enum key_type type;
	struct err e;

	if (!api_need_str(c, "keyId", &id) || !desk_may(c, id))
		return;
	if (preferred != NULL && !json_is_null(preferred) && !json_is_string(preferred)) {
		api_fail(c, 422, "field `preferredAlgorithms` is not a string");
		return;
	}
	type = desk_first_algorithm(json_string_value(preferred));
	if (type == KEY_NONE)
		api_fail_parameter(c, "preferredAlgorithms", "no algorithm that is known");
	else if (store_create_pair(&k, desk_of(c)->store, id, type, &e) != 0)
		desk_fail(c, &e);
	else
		desk_reply_key(c, HANDLE_PAIR, id, &k);
}

static void
load(struct api_call *c, enum custody_kind kind, enum handle_kind handle)
{
	struct store_key k = { 0 };
	struct err e;

	if (!desk_may(c, c->id))
		return;
	if (store_load(&k, desk_of(c)->store, kind, c->id, &e) != 0)
		desk_fail(c, &e);
	else
		desk_reply_key(c, handle, c->id, &k);
}

void
keys_load_pair(struct api_call *c)
{
	load(c, CUSTODY_PAIR, HANDLE_PAIR);
}

void
keys_move_pair(struct api_call *c)
{
	const char *from;
	struct err e;

	if (!api_need_str(c, "from", &from) || !desk_may(c, from) || !desk_may(c, c->id))
		return;
	if (store_move(desk_of(c)->store, from, c->id, &e) == 0)
		api_reply(c, 204, NULL);
	else if (e.code == E_USAGE)
		api_fail(c, 400, "%s", e.msg);
	else
		desk_fail(c, &e);
}

/* By a handle of that kind. */
static void
delete(struct api_call *c, enum handle_kind kind)
{
	struct handle h = { 0 };
	struct err e;

	if (!desk_handle(c, "keyHandle", &h))
		return;
	if (h.kind != kind)
		api_fail_parameter(c, "handle", "of another kind of key");
	else if (store_delete(desk_of(c)->store, &h, &e) != 0)
		desk_fail(c, &e);
	else
		api_reply(c, 204, NULL);
	handle_clear(&h);
}

void
keys_delete_pair(struct api_call *c)
{
	delete(c, HANDLE_PAIR);
}

/* --- symmetric keys --- */

void
keys_create(struct api_call *c)
{
	const json_t *given = json_object_get(c->body, "keyBytes");
	AUTO_BUF secret = BUF_MAX(2 * CUSTODY_SECRET_MAX);
	struct store *st = desk_of(c)->store;
	struct store_key k = { 0 };
	const char *id, *usage_text;
	unsigned usage;
	struct err e;
	int r;

	if (!api_need_str(c, "keyId", &id) || !api_need_str(c, "usage", &usage_text))
		return;
	if (!usage_parse(&usage, usage_text)) {
		api_fail(c, 422, "usage: derive, encrypt and sign are known, parted by commas");
		return;
	}
	if (given != NULL && !json_is_null(given) && !desk_base64(c, c->body, "keyBytes", &secret))
		return;
	if (!desk_may(c, id))
		return;
	r = given != NULL && !json_is_null(given) ? store_import_key(&k, st, id, bytes_of_buf(&secret), usage, &e) :
	    store_create_key(&k, st, id, usage, &e);
	if (r != 0)
		desk_fail(c, &e);
	else
		desk_reply_key(c, HANDLE_KEY, id, &k);
}

void
keys_load(struct api_call *c)
{
	load(c, CUSTODY_SECRET, HANDLE_KEY);
}

void
keys_move(struct api_call *c)
{
	api_fail(c, 400, "invalid type \"key\"");
}

void
keys_delete(struct api_call *c)
{
	delete(c, HANDLE_KEY);
}
