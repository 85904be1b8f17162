/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/use.c - operations with a key that a handle names */
#include <string.h>

#include "core/base/mem.h"
#include "core/pki/der.h"
#include "device/keyd/desk.h"

/* An operation under way: its key, what goes in, what comes out. */
struct use {
	struct handle h;
	struct store_key k;
	struct buf in, iv, aad, out;
};

static void
use_clear(struct use *u)
{
	handle_clear(&u->h);
	store_key_clear(&u->k);
	buf_free(&u->in);
	buf_free(&u->iv);
	buf_free(&u->aad);
	buf_free(&u->out);
}
#define AUTO_USE __attribute__((cleanup(use_clear))) struct use

/* The answer to an operation that gave r. */
static void
finish(struct api_call *c, int r, const char *member, const struct use *u, const struct err *e)
{
	if (r == E_USAGE)
		api_fail_parameter(c, "mechanism", "%s", e->msg);
	else if (r == E_AUTH)
		api_fail_parameter(c, "ciphertext", "%s", e->msg);
	else if (r != 0)
		desk_fail(c, e);
	else
		desk_reply_base64(c, member, bytes_of_buf(&u->out));
}

/* --- what is public about a pair --- */

/* RFC 5480 2: the curve's OID and the uncompressed point of an EC key. */
static bool
read_ec(struct bytes *curve, struct bytes *point, struct bytes spki)
{
	struct der top = der_open(spki), d = der_enter(&top, DER_SEQUENCE), alg = der_enter(&d, DER_SEQUENCE);
	struct bytes oid = der_take(&alg, DER_OID);

	*curve = der_take_tlv(&alg, DER_OID);
	*point = key_bits(spki);
	return bytes_equal(oid, oid_contents(OID_EC_PUBLIC_KEY)) && !alg.bad && point->n >= 3 && point->n % 2 == 1 &&
	    point->p[0] == 4;
}

/* SEC 1 2.3.3: the sign of y, then x. */
static void
put_compressed(struct buf *out, struct bytes point)
{
	buf_put_u8(out, (uint8_t)(2 + (point.p[point.n - 1] & 1)));
	buf_put_bytes(out, bytes_slice(point, 1, point.n / 2));
}

/* The octets of a named parameter; false when the key has no such one. */
static bool
put_parameter(struct buf *out, const char *name, const struct custody_key *k)
{
	static const uint8_t exponent[] = { 1, 0, 1 }; /* key_judge() takes no other */
	struct bytes spki = custody_key_spki(k), curve, point, modulus;
	bool ec = read_ec(&curve, &point, spki);

	if (strcmp(name, "spki") == 0)
		buf_put_bytes(out, spki);
	else if (ec && strcmp(name, "ec-curve-oid") == 0)
		buf_put_bytes(out, curve);
	else if (ec && strcmp(name, "ec-point") == 0)
		put_compressed(out, point);
	else if (ec || key_rsa_modulus(&modulus, spki, NULL) != 0)
		return false;
	else if (strcmp(name, "rsa-modulus") == 0)
		buf_put_bytes(out, modulus);
	else if (strcmp(name, "rsa-exponent") == 0)
		buf_put(out, exponent, sizeof(exponent));
	return out->n != 0;
}

static const char *
algorithm_of(enum key_type t)
{
	switch (t) {
	case KEY_RSA_2048:
	case KEY_RSA_3072:
	case KEY_RSA_4096:
		return "RSA";
	case KEY_ED25519:
		return "ED25519";
	default:
		return "ECDSA";
	}
}

void
use_parameter(struct api_call *c)
{
	AUTO_USE u = { 0 };
	AUTO_JSON v = NULL;

	if (!desk_key(c, "keyHandle", &u.h, &u.k))
		return;
	if (custody_key_kind(u.k.key) != CUSTODY_PAIR) {
		api_fail_parameter(c, "handle", "not of a key pair");
		return;
	}
	if (strcmp(c->id, "algorithm") == 0) {
		v = json_object();
		json_setf(v, "value", "%s", algorithm_of(custody_key_type(u.k.key)));
		api_reply(c, 200, v);
	} else if (strcmp(c->id, "spki") == 0 && c->version < 2) {
		api_fail(c, 400, "invalid parameter \"%s\"", c->id);
	} else if (put_parameter(&u.out, c->id, u.k.key)) {
		desk_reply_base64(c, "value", bytes_of_buf(&u.out));
	} else {
		api_fail(c, 400, "invalid parameter \"%s\"", c->id);
	}
}

/* --- derived keys --- */

void
use_derive(struct api_call *c)
{
	AUTO_USE u = { 0 };

	u.in.max = HANDLE_DATA_MAX + 1;
	if (!desk_base64(c, c->body, "derivationData", &u.in) || !desk_key(c, "baseKeyHandle", &u.h, &u.k))
		return;
	if (u.h.kind != HANDLE_KEY) {
		api_fail_parameter(c, "handle", "only a symmetric key that is not derived can be a base");
		return;
	}
	if (!desk_usage(c, &u.h, &u.k, USAGE_DERIVE | USAGE_SIGN))
		return;
	u.h.kind = HANDLE_DERIVED;
	u.h.data = u.in;
	u.in = (struct buf){ 0 };
	u.h.uid = c->uid;
	u.h.generation = u.k.generation;
	desk_reply_handle(c, &u.h);
}

void
use_export(struct api_call *c)
{
	uint8_t secret[CUSTODY_MAC_LEN];
	struct store *st = desk_of(c)->store;
	AUTO_USE u = { 0 };
	struct err e;
	int r;

	if (!desk_handle(c, "keyHandle", &u.h))
		return;
	if (u.h.kind != HANDLE_DERIVED) {
		api_fail_parameter(c, "handle", "not of a derived key");
		return;
	}
	if ((r = store_use(&u.k, st, &u.h, &e)) != 0) {
		desk_fail(c, &e);
		return;
	}
	if (!desk_usage(c, &u.h, &u.k, USAGE_DERIVE | USAGE_SIGN))
		return;
	if ((r = custody_hmac(secret, u.k.key, bytes_of_buf(&u.h.data), &e)) == 0)
		buf_put(&u.out, secret, sizeof(secret));
	mem_wipe(secret, sizeof(secret));
	finish(c, r, "key", &u, &e);
}

/* --- signing --- */

static int
sign_hmac(struct buf *out, const struct custody_key *k, struct bytes message, struct err *e)
{
	uint8_t mac[CUSTODY_MAC_LEN];
	int r = custody_hmac(mac, k, message, e);

	if (r == 0)
		buf_put(out, mac, sizeof(mac));
	return r;
}

static const struct {
	const char *name, *input;
	int (*fn)(struct buf *out, const struct custody_key *k, struct bytes in, struct err *e);
} signers[] = {
	{ "ECDSA", "digest", custody_sign_digest },
	{ "EdDSA", "message", custody_sign_message },
	{ "HMAC-SHA256", "message", sign_hmac },
};

void
use_sign(struct api_call *c)
{
	AUTO_USE u = { 0 };
	const char *algorithm;
	struct err e;
	size_t i = 0;

	if (!api_need_str(c, "algorithm", &algorithm))
		return;
	while (i < N_OF(signers) && strcmp(signers[i].name, algorithm) != 0)
		i++;
	if (i == N_OF(signers)) {
		api_fail(c, 422, "algorithm: unknown variant, ECDSA, EdDSA or HMAC-SHA256 is meant");
		return;
	}
	if (!desk_base64(c, json_object_get(c->body, "parameters"), signers[i].input, &u.in) ||
	    !desk_key(c, "keyHandle", &u.h, &u.k) || !desk_usage(c, &u.h, &u.k, USAGE_SIGN | USAGE_DERIVE))
		return;
	finish(c, signers[i].fn(&u.out, u.k.key, bytes_of_buf(&u.in), &e), "signature", &u, &e);
}

/* --- encrypting, and the private RSA operation that goes by that name --- */

static bool
read_aead(struct api_call *c, struct use *u)
{
	const json_t *parameters = json_object_get(c->body, "parameters");

	return desk_base64(c, parameters, "iv", &u->iv) && desk_base64(c, parameters, "aad", &u->aad);
}

void
use_encrypt(struct api_call *c)
{
	AUTO_USE u = { 0 };
	const char *algorithm;
	bool aead, pkcs1;
	struct err e;
	int r;

	if (!api_need_str(c, "algorithm", &algorithm))
		return;
	aead = strcmp(algorithm, "AEAD") == 0;
	pkcs1 = strcmp(algorithm, "RSA-PKCS1") == 0;
	if (!aead && !pkcs1 && strcmp(algorithm, "RSA-NO-PADDING") != 0) {
		api_fail(c, 422, "algorithm: unknown variant, AEAD, RSA-PKCS1 or RSA-NO-PADDING is meant");
		return;
	}
	if ((aead && !read_aead(c, &u)) || !desk_base64(c, c->body, "plaintext", &u.in) ||
	    !desk_key(c, "keyHandle", &u.h, &u.k) || !desk_usage(c, &u.h, &u.k, USAGE_ENCRYPT))
		return;
	r = aead ? custody_seal(&u.out, u.k.key, bytes_of_buf(&u.iv), bytes_of_buf(&u.aad), bytes_of_buf(&u.in), &e) :
	    custody_rsa_private(&u.out, u.k.key, pkcs1, bytes_of_buf(&u.in), &e);
	finish(c, r, "ciphertext", &u, &e);
}

void
use_decrypt(struct api_call *c)
{
	AUTO_USE u = { 0 };
	const char *algorithm;
	struct err e;
	int r;

	if (!api_need_str(c, "algorithm", &algorithm))
		return;
	if (strcmp(algorithm, "AEAD") != 0) {
		api_fail_parameter(c, "mechanism", "only AEAD can be decrypted");
		return;
	}
	if (!read_aead(c, &u) || !desk_base64(c, c->body, "ciphertext", &u.in) || !desk_key(c, "keyHandle", &u.h, &u.k) ||
	    !desk_usage(c, &u.h, &u.k, USAGE_ENCRYPT))
		return;
	r = custody_open(&u.out, u.k.key, bytes_of_buf(&u.iv), bytes_of_buf(&u.aad), bytes_of_buf(&u.in), &e);
	finish(c, r, "plaintext", &u, &e);
}
