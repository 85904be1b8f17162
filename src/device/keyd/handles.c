/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/handles.c - key handles */
#include "device/keyd/handles.h"

#include <string.h>

#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "core/codec/base64.h"
#include "core/codec/json.h"

#define NONCE_LEN 64

void
handle_clear(struct handle *h)
{
	buf_free(&h->data);
}

/* --- making --- */

static void
put_member(json_t *o, const char *name, json_t *v)
{
	(void)json_object_set_new(o, name, v);
}

static json_t *
new_nonce(void)
{
	AUTO_BUF text = { 0 };
	uint8_t nonce[NONCE_LEN];

	rnd_bytes(nonce, sizeof(nonce));
	base64_encode(&text, (struct bytes){ nonce, sizeof(nonce) }, 0);
	return json_string(buf_str(&text));
}

static int
put_signed(struct buf *out, const struct handle_rules *rules, const json_t *v, struct err *e)
{
	AUTO_BUF text = { 0 };
	uint8_t mac[CUSTODY_MAC_LEN];
	int r;

	json_print(&text, v, false);
	if ((r = custody_hmac(mac, rules->secret, bytes_of_buf(&text), e)) != 0)
		return r;
	buf_put_str(out, "sr=");
	base64_encode(out, bytes_of_buf(&text), 0);
	buf_put_str(out, "&sig=");
	base64_encode(out, (struct bytes){ mac, sizeof(mac) }, 0);
	return 0;
}

/* Nothing that is made from a handle lasts longer than it does. */
static int64_t
end_of(const struct handle_rules *rules, const struct handle *h, int64_t now)
{
	int64_t end = rules->lifetime_s != 0 ? now + rules->lifetime_s : INT64_MAX;

	return h->expires != 0 && h->expires < end ? h->expires : end;
}

static int
mint_one(struct buf *out, const struct handle_rules *rules, const struct handle *h, json_t *key_id, bool inner,
    int64_t now, struct err *e)
{
	AUTO_JSON v = json_object();
	int64_t end = end_of(rules, h, now);

	put_member(v, "key_id", key_id);
	put_member(v, "nonce", new_nonce());
	if (rules->bind) {
		put_member(v, "uid", json_integer(h->uid));
		put_member(v, "gen", json_integer((json_int_t)h->generation));
		if (end != INT64_MAX)
			put_member(v, "exp", json_integer(end));
		if (h->delegated)
			put_member(v, "by", json_integer(h->by));
		if (inner)
			put_member(v, "inner", json_true());
	}
	return put_signed(out, rules, v, e);
}

static json_t *
name_key(const char *kind, json_t *what)
{
	json_t *o = json_object();

	put_member(o, kind, what);
	return o;
}

static json_t *
octets(struct bytes b)
{
	json_t *a = json_array();

	for (size_t i = 0; i < b.n; i++)
		(void)json_array_append_new(a, json_integer(b.p[i]));
	return a;
}

int
handle_mint(struct buf *out, const struct handle_rules *rules, const struct handle *h, int64_t now, struct err *e)
{
	AUTO_BUF base = { 0 };
	json_t *pair;
	int r;

	if (h->kind != HANDLE_DERIVED)
		return mint_one(out, rules, h, name_key(h->kind == HANDLE_PAIR ? "KeyPair" : "Key", json_string(h->id)), false,
		    now, e);
	if (h->data.n > HANDLE_DATA_MAX)
		return err_set(e, E_USAGE, "derivationData: %zu octets, %zu at most", h->data.n, HANDLE_DATA_MAX);
	if ((r = mint_one(&base, rules, h, name_key("Key", json_string(h->id)), true, now, e)) != 0)
		return r;
	pair = json_array();
	(void)json_array_append_new(pair, json_string(buf_str(&base)));
	(void)json_array_append_new(pair, octets(bytes_of_buf(&h->data)));
	return mint_one(out, rules, h, name_key("Derived", pair), false, now, e);
}

/* --- judging --- */

static int
invalid(struct err *e)
{
	return err_set(e, E_FORMAT, "invalid handle");
}

/* The value of `name=` among what '&' parts; once. */
static bool
find_part(struct bytes *out, const char *text, const char *name)
{
	size_t n = strlen(name), len;
	bool found = false;

	for (const char *p = text;; p += len + 1) {
		len = strcspn(p, "&");
		if (len >= n && strncmp(p, name, n) == 0) {
			if (found)
				return false;
			*out = (struct bytes){ (const uint8_t *)p + n, len - n };
			found = true;
		}
		if (p[len] == 0)
			return found;
	}
}

/* The octets that were signed, when they were. */
static int
check_mac(struct buf *json, const struct handle_rules *rules, const char *text, struct err *e)
{
	AUTO_BUF sig = BUF_MAX(CUSTODY_MAC_LEN + 1);
	struct bytes sr_text, sig_text;
	uint8_t mac[CUSTODY_MAC_LEN];
	bool good;

	if (strlen(text) > HANDLE_MAX || strpbrk(text, " \t\r\n") != NULL || !find_part(&sr_text, text, "sr=") ||
	    !find_part(&sig_text, text, "sig=") || base64_decode(json, sr_text, NULL) != 0 ||
	    base64_decode(&sig, sig_text, NULL) != 0 || sig.n != sizeof(mac))
		return invalid(e);
	if (custody_hmac(mac, rules->secret, bytes_of_buf(json), e) != 0)
		return e != NULL ? e->code : E_CRYPTO;
	good = mem_equal_ct(mac, sig.p, sizeof(mac));
	mem_wipe(mac, sizeof(mac));
	return good ? 0 : invalid(e);
}

/* uid, gen, exp, by: all that bind it, or nothing does. */
static int
read_binding(struct handle *h, const json_t *v, struct err *e)
{
	int64_t uid = json_int(v, "uid", -1), gen = json_int(v, "gen", -1), by = json_int(v, "by", -1);

	h->expires = json_int(v, "exp", INT64_MAX);
	h->bound = json_object_get(v, "uid") != NULL;
	if (!h->bound)
		return 0;
	if (uid < 0 || uid >= UINT32_MAX || gen < 0 || by >= UINT32_MAX)
		return invalid(e);
	h->uid = (uid_t)uid;
	h->generation = (uint64_t)gen;
	h->delegated = by >= 0;
	h->by = h->delegated ? (uid_t)by : 0;
	return 0;
}

static int
read_id(struct handle *h, enum handle_kind kind, const json_t *id, struct err *e)
{
	const char *text = json_string_value(id);

	if (text == NULL || stem_check_id(text, e) != 0)
		return invalid(e);
	h->kind = kind;
	memcpy(h->id, text, strlen(text) + 1); /* stem_check_id(): shorter than ID_MAX */
	return 0;
}

static int
read_octets(struct buf *out, const json_t *a, struct err *e)
{
	if (!json_is_array(a) || json_array_size(a) > HANDLE_DATA_MAX)
		return invalid(e);
	for (size_t i = 0; i < json_array_size(a); i++) {
		const json_t *v = json_array_get(a, i);

		if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > UINT8_MAX)
			return invalid(e);
		buf_put_u8(out, (uint8_t)json_integer_value(v));
	}
	return 0;
}

/* A clock that was ahead when the handle was made must not make it last for years: twice the lifetime is the most. */
static int
check_time(const struct handle *h, const struct handle_rules *rules, int64_t now, struct err *e)
{
	if (h->expires == INT64_MAX && (!h->bound || rules->lifetime_s == 0))
		return 0;
	if (now >= h->expires || (rules->lifetime_s != 0 && h->expires - now > 2 * rules->lifetime_s))
		return err_set(e, E_FORMAT, "the handle's time is over: load the key again");
	return 0;
}

static int open_one(struct handle *h, const struct handle_rules *rules, const char *text, bool inner, int64_t now,
    struct err *e);

/* A derived handle is as its base is, which must be a symmetric key's: derived ones do not nest. */
static int
read_derived(struct handle *h, const struct handle_rules *rules, const json_t *v, int64_t now, struct err *e)
{
	struct handle base = { 0 };
	const char *text = json_string_value(json_array_get(v, 0));
	int r;

	if (!json_is_array(v) || json_array_size(v) != 2 || text == NULL)
		return invalid(e);
	if ((r = open_one(&base, rules, text, true, now, e)) != 0)
		return r;
	if (base.kind != HANDLE_KEY || base.bound != h->bound || (base.bound && base.uid != h->uid))
		return invalid(e);
	h->kind = HANDLE_DERIVED;
	memcpy(h->id, base.id, sizeof(h->id));
	h->generation = base.generation;
	return read_octets(&h->data, json_array_get(v, 1), e);
}

static int
open_one(struct handle *h, const struct handle_rules *rules, const char *text, bool inner, int64_t now, struct err *e)
{
	AUTO_BUF json = BUF_MAX(HANDLE_MAX);
	AUTO_JSON v = NULL;
	const json_t *key_id;
	int r;

	if ((r = check_mac(&json, rules, text, e)) != 0)
		return r;
	if (json_parse(&v, bytes_of_buf(&json), NULL) != 0 || json_object_size(key_id = json_object_get(v, "key_id")) != 1)
		return invalid(e);
	if ((r = read_binding(h, v, e)) != 0 || (r = check_time(h, rules, now, e)) != 0)
		return r;
	if (rules->bind && !h->bound)
		return err_set(e, E_FORMAT, "the handle is not bound to a user: load the key again, or set bind = false in [handles]");
	/* What is made for the inside of a derived handle must not give its holder the base key. */
	if (h->bound && json_flag(v, "inner", false) != inner)
		return invalid(e);
	if (json_object_get(key_id, "KeyPair") != NULL)
		return read_id(h, HANDLE_PAIR, json_object_get(key_id, "KeyPair"), e);
	if (json_object_get(key_id, "Key") != NULL)
		return read_id(h, HANDLE_KEY, json_object_get(key_id, "Key"), e);
	return inner ? invalid(e) : read_derived(h, rules, json_object_get(key_id, "Derived"), now, e);
}

int
handle_open(struct handle *out, const struct handle_rules *rules, const char *text, int64_t now, struct err *e)
{
	struct handle h = { 0 };
	int r = open_one(&h, rules, text, false, now, e);

	if (r != 0) {
		handle_clear(&h);
		return r;
	}
	*out = h;
	return 0;
}

int
handle_check_uid(const struct handle *h, uid_t uid, struct err *e)
{
	if (uid == 0 || !h->bound || (h->uid == uid && uid != (uid_t)-1))
		return 0;
	return err_set(e, E_AUTH, "user %u is not authorized to access the key %s", uid, h->id);
}
