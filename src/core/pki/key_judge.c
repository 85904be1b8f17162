/* SPDX-License-Identifier: Apache-2.0 */
/* pki/key_judge.c - which public keys we take, decided from DER alone, before any arithmetic */
#include <string.h>
#include <strings.h>

#include "core/pki/der.h"
#include "core/pki/key.h"

/* What a key type looks like in a SubjectPublicKeyInfo. */
static const struct shape {
	const char *name;
	enum oid alg, curve;
	size_t octets;      /* EC: of one coordinate; RSA: of the modulus; Ed25519: of the key */
	enum oid sig_alg;   /* what we sign with */
} shapes[KEY_TYPE_COUNT] = {
	[KEY_NONE] = { "none", OID_UNKNOWN, OID_UNKNOWN, 0, OID_UNKNOWN },
	[KEY_EC_P256] = { "ec-p256", OID_EC_PUBLIC_KEY, OID_P256, 32, OID_ECDSA_SHA256 },
	[KEY_EC_P384] = { "ec-p384", OID_EC_PUBLIC_KEY, OID_P384, 48, OID_ECDSA_SHA384 },
	[KEY_EC_P521] = { "ec-p521", OID_EC_PUBLIC_KEY, OID_P521, 66, OID_ECDSA_SHA512 },
	[KEY_RSA_2048] = { "rsa-2048", OID_RSA, OID_UNKNOWN, 256, OID_RSA_SHA256 },
	[KEY_RSA_3072] = { "rsa-3072", OID_RSA, OID_UNKNOWN, 384, OID_RSA_SHA256 },
	[KEY_RSA_4096] = { "rsa-4096", OID_RSA, OID_UNKNOWN, 512, OID_RSA_SHA256 },
	[KEY_ED25519] = { "ed25519", OID_ED25519, OID_UNKNOWN, 32, OID_ED25519 },
};

const char *
key_type_name(enum key_type t)
{
	return shapes[t].name;
}

enum key_type
key_type_by_name(const char *name)
{
	for (int t = KEY_NONE + 1; t < KEY_TYPE_COUNT; t++)
		if (strcasecmp(shapes[t].name, name) == 0)
			return (enum key_type)t;
	return KEY_NONE;
}

enum oid
key_sig_alg(enum key_type t)
{
	return shapes[t].sig_alg;
}

void
key_put_sig_alg(struct buf *out, enum oid alg)
{
	size_t seq = der_begin(out, DER_SEQUENCE);

	der_put_oid(out, oid_contents(alg));
	/* RFC 4055 5: NULL for RSA; RFC 5758 3.2 and RFC 8410 3: absent for the others. */
	if (alg == OID_RSA_SHA256 || alg == OID_RSA_SHA384 || alg == OID_RSA_SHA512)
		der_put_null(out);
	der_finish(out, seq);
}

/* The type whose algorithm, curve and size these are; KEY_NONE when there is none. */
static enum key_type
find_type(enum oid alg, enum oid curve, size_t octets)
{
	for (int t = KEY_NONE + 1; t < KEY_TYPE_COUNT; t++)
		if (shapes[t].alg == alg && shapes[t].curve == curve &&
		    (octets == 0 || shapes[t].octets == octets))
			return (enum key_type)t;
	return KEY_NONE;
}

/* SEC 1 2.3.3: 04 and two coordinates. */
static int
judge_point(enum key_type t, struct bytes point, struct err *e)
{
	size_t octets = shapes[t].octets;

	if (point.n == 1 && point.p[0] == 0)
		return err_set(e, E_FORMAT, "key: the point at infinity is no %s key", shapes[t].name);
	if (point.n == 1 + octets && (point.p[0] == 2 || point.p[0] == 3))
		return err_set(e, E_POLICY, "key: compressed point: uncompressed needed");
	if (point.n == 1 + 2 * octets && (point.p[0] == 6 || point.p[0] == 7))
		return err_set(e, E_POLICY, "key: hybrid point: uncompressed needed");
	if (point.n != 1 + 2 * octets || point.p[0] != 4)
		return err_set(e, E_FORMAT, "key: not a point of %s: %zu octets", shapes[t].name, point.n);
	return 0;
}

/* RFC 5480 2.1.1: namedCurve only. */
static int
judge_ec(enum key_type *out, struct bytes params, struct bytes point, struct err *e)
{
	struct der d = der_open(params);
	enum key_type t;
	struct bytes curve;
	char dotted[80];

	if (der_peek(&d) == DER_SEQUENCE)
		return err_set(e, E_POLICY, "key: explicit curve parameters: a named curve needed");
	curve = der_take(&d, DER_OID);
	if (der_end(&d, "key: curve", e) != 0)
		return E_FORMAT;
	t = find_type(OID_EC_PUBLIC_KEY, oid_find(curve), 0);
	if (oid_find(curve) == OID_UNKNOWN || t == KEY_NONE)
		return err_set(e, E_POLICY, "key: curve %s: P-256, P-384 or P-521 needed",
		    oid_dotted(curve, dotted));
	*out = t;
	return judge_point(t, point, e);
}

static size_t
count_bits(struct bytes unsigned_integer)
{
	unsigned top = unsigned_integer.p[0];

	return unsigned_integer.n * 8 - (top == 0 ? 8 : (size_t)__builtin_clz(top) - 24);
}

/* The modulus without its sign octet; n 0 when this is no RSAPublicKey (RFC 8017 A.1.1). */
static struct bytes
read_rsa(struct bytes key, struct bytes *exponent, struct err *e)
{
	struct der d = der_open(key), seq;
	struct bytes n;

	*exponent = (struct bytes){ 0 };
	if (der_check(key, "key: RSAPublicKey", e) != 0)
		return *exponent;
	seq = der_enter(&d, DER_SEQUENCE);
	n = der_take(&seq, DER_INTEGER);
	*exponent = der_take(&seq, DER_INTEGER);
	if (der_end(&seq, "key: RSAPublicKey", e) != 0 || der_end(&d, "key: RSAPublicKey", e) != 0)
		return (struct bytes){ 0 };
	if (n.p[0] >= 0x80 || exponent->p[0] >= 0x80) {
		(void)err_set(e, E_FORMAT, "key: RSAPublicKey: negative number");
		return (struct bytes){ 0 };
	}
	return n.p[0] == 0 && n.n > 1 ? bytes_slice(n, 1, n.n) : n;
}

static int
judge_rsa(enum key_type *out, struct bytes params, struct bytes key, struct err *e)
{
	struct bytes exponent, n;
	size_t bits;

	/* RFC 3279 2.3.1: the parameters are NULL. */
	if (params.n != 2 || memcmp(params.p, "\x05\x00", 2) != 0)
		return err_set(e, E_FORMAT, "key: RSA parameters are not NULL");
	n = read_rsa(key, &exponent, e);
	if (n.n == 0)
		return E_FORMAT;
	bits = count_bits(n);
	*out = bits % 8 == 0 ? find_type(OID_RSA, OID_UNKNOWN, bits / 8) : KEY_NONE;
	if (bits == 0 || *out == KEY_NONE)
		return err_set(e, E_POLICY, "key: rsa of %zu bits: 2048, 3072 or 4096 needed", bits);
	if ((n.p[n.n - 1] & 1) == 0)
		return err_set(e, E_POLICY, "key: rsa with an even modulus");
	if (exponent.n != 3 || memcmp(exponent.p, "\x01\x00\x01", 3) != 0)
		return err_set(e, E_POLICY, "key: rsa with a public exponent other than 65537");
	return 0;
}

/*
 * Points of order 1, 2, 4 and 8, and their encodings that are not reduced: for such a
 * key somebody without a private key can write a signature.  The sign bit does not matter.
 */
static bool
is_small_order(const uint8_t key[32])
{
	static const uint8_t order_8[2][32] = {
		{ 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
		  0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
		  0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
		{ 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
		  0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
		  0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },
	};
	uint8_t y[32], middle_or = 0, middle_and = 0xff;

	memcpy(y, key, sizeof(y));
	y[31] &= 0x7f;
	if (memcmp(y, order_8[0], 32) == 0 || memcmp(y, order_8[1], 32) == 0)
		return true;
	for (size_t i = 1; i < 31; i++) {
		middle_or |= y[i];
		middle_and &= y[i];
	}
	/* y = 0 and 1; y = p - 1, p and p + 1 with p = 2^255 - 19, and all that is not below p. */
	return (middle_or == 0 && y[31] == 0 && y[0] <= 1) ||
	    (middle_and == 0xff && y[31] == 0x7f && y[0] >= 0xec);
}

static int
judge_ed25519(enum key_type *out, struct bytes params, struct bytes key, struct err *e)
{
	/* RFC 8410 3: no parameters. */
	if (params.n != 0 || key.n != shapes[KEY_ED25519].octets)
		return err_set(e, E_FORMAT, "key: not an Ed25519 key of 32 octets without parameters");
	if (is_small_order(key.p))
		return err_set(e, E_POLICY, "key: Ed25519 point of small order");
	*out = KEY_ED25519;
	return 0;
}

/* The parts of a SubjectPublicKeyInfo (RFC 5280 4.1). */
struct parts {
	struct bytes alg, params, key;
};

static int
split(struct parts *out, struct bytes spki, struct err *e)
{
	struct der d = der_open(spki);
	struct der seq = der_enter(&d, DER_SEQUENCE);
	struct der alg = der_enter(&seq, DER_SEQUENCE);
	unsigned unused;

	out->alg = der_take(&alg, DER_OID);
	out->params = der_more(&alg) ? der_take_tlv(&alg, 0) : (struct bytes){ 0 };
	out->key = der_bits(&seq, &unused);
	if (der_end(&alg, "key: algorithm", e) != 0 || der_end(&seq, "key", e) != 0 ||
	    der_end(&d, "key", e) != 0)
		return E_FORMAT;
	if (out->key.n == 0 || unused != 0)
		return err_set(e, E_FORMAT, "key: BIT STRING not of whole octets, or empty");
	return 0;
}

int
key_judge(enum key_type *out, struct bytes spki, struct err *e)
{
	struct parts p;
	enum key_type t = KEY_NONE;
	char dotted[80];
	int r = split(&p, spki, e);

	if (r != 0)
		return r;
	switch (oid_find(p.alg)) {
	case OID_EC_PUBLIC_KEY:
		r = judge_ec(&t, p.params, p.key, e);
		break;
	case OID_RSA:
		r = judge_rsa(&t, p.params, p.key, e);
		break;
	case OID_ED25519:
		r = judge_ed25519(&t, p.params, p.key, e);
		break;
	default:
		r = err_set(e, E_POLICY, "key: algorithm %s: EC, RSA or Ed25519 needed",
		    oid_dotted(p.alg, dotted));
	}
	if (r == 0)
		*out = t;
	return r;
}

int
key_rsa_modulus(struct bytes *out, struct bytes spki, struct err *e)
{
	struct parts p;
	struct bytes exponent;

	if (split(&p, spki, e) != 0)
		return E_FORMAT;
	*out = read_rsa(p.key, &exponent, e);
	return out->n != 0 ? 0 : E_FORMAT;
}

struct bytes
key_bits(struct bytes spki)
{
	struct parts p;

	return split(&p, spki, NULL) == 0 ? p.key : (struct bytes){ 0 };
}
