/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/desk.c - the routes of keyd's API, and what its handlers share */
#include "device/keyd/desk.h"

#include <string.h>

#include "core/base/clock.h"
#include "core/codec/base64.h"

enum { V_2020, V_2021, V_OWN };
const char *const desk_versions[] = {
	[V_2020] = "2020-09-01", [V_2021] = "2021-05-01", [V_OWN] = API_VERSION_OWN, NULL,
};

const struct api_route desk_routes[] = {
	{ "POST", "/keypair", API_MUST_BODY, V_2020, keys_create_pair },
	{ "GET", "/keypair/{id}", API_NO_BODY, V_2020, keys_load_pair },
	{ "POST", "/keypair/{id}", API_MUST_BODY, V_2020, keys_move_pair },
	{ "DELETE", "/keypair", API_MUST_BODY, V_2020, keys_delete_pair },
	{ "POST", "/key", API_MUST_BODY, V_2020, keys_create },
	{ "GET", "/key/{id}", API_NO_BODY, V_2020, keys_load },
	{ "POST", "/key/{id}", API_MUST_BODY, V_2020, keys_move },
	{ "DELETE", "/key", API_MUST_BODY, V_2020, keys_delete },
	{ "POST", "/parameters/{id}", API_MUST_BODY, V_2020, use_parameter },
	{ "POST", "/derivedkey", API_MUST_BODY, V_2020, use_derive },
	{ "POST", "/derivedkey/export", API_MUST_BODY, V_2020, use_export },
	{ "POST", "/sign", API_MUST_BODY, V_2020, use_sign },
	{ "POST", "/encrypt", API_MUST_BODY, V_2020, use_encrypt },
	{ "POST", "/decrypt", API_MUST_BODY, V_2020, use_decrypt },
	{ "GET", "/generation/{id}", API_NO_BODY, V_OWN, own_state },
	{ "POST", "/generation/{id}", API_MUST_BODY, V_OWN, own_generation },
	{ "POST", "/handle", API_MUST_BODY, V_OWN, own_delegate },
	{ "GET", "/keys", API_NO_BODY, V_OWN, own_list },
	{ "DELETE", "/quarantine/{id}", API_MAY_BODY, V_OWN, own_forget },
	{ .method = NULL },
};

struct desk *
desk_of(const struct api_call *c)
{
	return c->ctx;
}

/* --- refusals --- */

void
desk_fail(struct api_call *c, const struct err *e)
{
	switch (e->code) {
	case E_AUTH:
		api_fail(c, 401, "%s", e->msg);
		return;
	case E_NOTFOUND:
	case E_USAGE:
	case E_POLICY:
	case E_TOOBIG:
		api_fail(c, 400, "a parameter has an invalid value\ncaused by: %s", e->msg);
		return;
	default:
		api_fail(c, 500, "%s", e->msg);
	}
}

static bool
fail_handle(struct api_call *c, const struct err *e)
{
	api_fail_parameter(c, "handle", "%s", e->msg);
	return false;
}

bool
desk_may(struct api_call *c, const char *id)
{
	struct err e;

	if (stem_check_id(id, &e) != 0) {
		api_fail_parameter(c, "id", "%s", e.msg);
		return false;
	}
	if (strcmp(id, KEYD_HANDLE_KEY_ID) != 0 && principals_allow(desk_of(c)->settings->principals, c->uid, id))
		return true;
	api_fail(c, 401, "user %u is not authorized to access the key %s", c->uid, id);
	return false;
}

/* --- handles --- */

static struct handle_rules
rules_of(const struct desk *d)
{
	return (struct handle_rules){
		.secret = store_handle_key(d->store), .bind = d->settings->bind, .lifetime_s = d->settings->lifetime_s,
	};
}

/* One of the two made it: who gave what was his, or a service that exchanged its caller's for one of its own. */
static bool
may_delegate(const struct principals *p, const struct handle *h)
{
	return h->by == 0 || principals_delegate(p, h->by) || principals_delegate(p, h->uid);
}

/* A bound handle is worth what the rights that it was made on are worth today: those of its user, or of who gave it. */
static bool
still_backed(struct api_call *c, const struct handle *h)
{
	const struct principals *p = desk_of(c)->settings->principals;
	uid_t uid = h->delegated ? h->by : h->uid;

	if (!h->bound || c->uid == 0 || (principals_allow(p, uid, h->id) && (!h->delegated || may_delegate(p, h))))
		return true;
	api_fail(c, 401, "user %u is not authorized to access the key %s", uid, h->id);
	return false;
}

bool
desk_handle(struct api_call *c, const char *member, struct handle *h)
{
	struct handle_rules rules = rules_of(desk_of(c));
	const char *text;
	struct err e;
	int r;

	if (!api_need_str(c, member, &text))
		return false;
	r = handle_open(h, &rules, text, clock_now(), &e);
	if (r == E_FORMAT)
		return fail_handle(c, &e);
	if (r != 0) {
		desk_fail(c, &e);
		return false;
	}
	if (handle_check_uid(h, c->uid, &e) != 0)
		api_fail(c, 403, "%s", e.msg); /* not 401: the caller may have rights to this key, but not by this handle */
	else if (still_backed(c, h))
		return true;
	handle_clear(h);
	return false;
}

/* The key that a derived handle means, in place of its base. */
static int
derive(struct store_key *k, const struct handle *h, struct err *e)
{
	struct custody_key *derived;
	int r = custody_derive(&derived, k->key, bytes_of_buf(&h->data), e);

	if (r != 0)
		return r;
	custody_key_free(k->key);
	k->key = derived;
	k->usage = USAGE_ALL;
	return 0;
}

bool
desk_key(struct api_call *c, const char *member, struct handle *h, struct store_key *k)
{
	struct err e;
	int r;

	if (!desk_handle(c, member, h))
		return false;
	r = store_use(k, desk_of(c)->store, h, &e);
	if (r == 0 && h->kind == HANDLE_DERIVED && !desk_usage(c, h, k, USAGE_DERIVE | USAGE_SIGN)) {
		store_key_clear(k);
		handle_clear(h);
		return false;
	}
	if (r == 0 && h->kind == HANDLE_DERIVED)
		r = derive(k, h, &e);
	if (r == 0)
		return true;
	store_key_clear(k);
	handle_clear(h);
	if (r == E_POLICY)
		return fail_handle(c, &e);
	desk_fail(c, &e);
	return false;
}

bool
desk_usage(struct api_call *c, const struct handle *h, const struct store_key *k, unsigned usage)
{
	AUTO_BUF text = { 0 };

	if (custody_key_kind(k->key) != CUSTODY_SECRET || (k->usage & usage) != 0)
		return true;
	usage_print(&text, k->usage);
	api_fail_parameter(c, "mechanism", "key %s: may be used for %s alone", h->id,
	    k->usage != 0 ? buf_str(&text) : "nothing");
	return false;
}

/* --- answers --- */

void
desk_reply_handle(struct api_call *c, const struct handle *h)
{
	struct handle_rules rules = rules_of(desk_of(c));
	AUTO_JSON v = json_object();
	AUTO_BUF text = { 0 };
	struct err e;

	if (handle_mint(&text, &rules, h, clock_now(), &e) != 0) {
		desk_fail(c, &e);
		return;
	}
	json_setf(v, "keyHandle", "%s", buf_str(&text));
	api_reply(c, 200, v);
}

void
desk_reply_key(struct api_call *c, enum handle_kind kind, const char *id, struct store_key *k)
{
	struct handle h = { .kind = kind, .uid = c->uid, .generation = k->generation };

	store_key_clear(k);
	memcpy(h.id, id, strnlen(id, sizeof(h.id) - 1));
	desk_reply_handle(c, &h);
}

void
desk_reply_base64(struct api_call *c, const char *member, struct bytes value)
{
	AUTO_JSON v = json_object();

	(void)json_object_set_new(v, member, json_base64(value));
	api_reply(c, 200, v);
}

/* --- parameters --- */

bool
desk_base64(struct api_call *c, const json_t *obj, const char *member, struct buf *out)
{
	const char *text = json_str(obj, member, NULL);
	struct err e;

	if (text == NULL) {
		api_fail(c, 422, "missing field `%s`", member);
		return false;
	}
	if (strpbrk(text, " \t\r\n") == NULL && base64_decode(out, bytes_of(text), &e) == 0)
		return true;
	api_fail(c, 422, "%s: standard base64 with padding is needed", member);
	return false;
}

enum key_type
desk_first_algorithm(const char *preferred)
{
	const char *p = preferred != NULL ? preferred : "*";
	char word[16];

	for (size_t n;; p += n + 1) {
		n = strcspn(p, ":");
		if (n == 1 && *p == '*')
			return KEY_EC_P256;
		if (n < sizeof(word)) {
			memcpy(word, p, n);
			word[n] = 0;
			if (key_type_by_name(word) != KEY_NONE)
				return key_type_by_name(word);
		}
		if (p[n] == 0)
			return KEY_NONE;
	}
}
