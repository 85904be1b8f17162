/* SPDX-License-Identifier: Apache-2.0 */
/* provision/tpm.c - attestation by a TPM 2.0: its keys read, a secret wrapped for it alone */
#include "server/provision/tpm.h"

#include <string.h>

#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "core/codec/wire.h"
#include "core/pki/cipher.h"
#include "core/pki/der.h"

#define SEED_LEN    SHA256_LEN /* Part 1, B.10.3 and C.6.1: as long as nameAlg's digest */
#define RSA_LEN     256        /* octets of a modulus */
#define EXPONENT    65537
#define POINT_LEN   (1 + 2 * P256_LEN)

/* TPM_ALG_ID and TPM_ECC_CURVE (Part 2, 6.3 and 6.4). */
enum {
	ALG_RSA = 0x0001, ALG_HMAC = 0x0005, ALG_AES = 0x0006, ALG_KEYEDHASH = 0x0008,
	ALG_SHA256 = 0x000b, ALG_NULL = 0x0010, ALG_ECC = 0x0023, ALG_CFB = 0x0043,
	CURVE_P256 = 0x0003,
};

/* TPMA_OBJECT (Part 2, 8.3). */
enum {
	FIXED_TPM = 1u << 1, FIXED_PARENT = 1u << 4, SENSITIVE_DATA_ORIGIN = 1u << 5,
	USER_WITH_AUTH = 1u << 6, ADMIN_WITH_POLICY = 1u << 7, NO_DA = 1u << 10,
	RESTRICTED = 1u << 16, DECRYPT = 1u << 17, SIGN = 1u << 18,
};
#define PARENT_KEY (FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | RESTRICTED | DECRYPT)

/* --- reading --- */

/* What a kind of key must be beside its algorithm. */
struct role {
	const char *what;
	uint32_t attributes, optional;
	struct bytes policy;
};

/* PolicySecret(TPM_RH_ENDORSEMENT), as a digest: EK Credential Profile B.2, policy A. */
static const uint8_t ek_policy[SHA256_LEN] = {
	0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
	0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
};

static const struct role ek_role = {
	"tpm: endorsement key", PARENT_KEY | ADMIN_WITH_POLICY, 0, { ek_policy, sizeof(ek_policy) },
};
static const struct role srk_role = {
	"tpm: storage root key", PARENT_KEY | USER_WITH_AUTH, NO_DA, { NULL, 0 },
};

/* A number that has one value in every key that we take. */
struct field {
	const char *name;
	uint16_t want;
	const char *words;
};

/* TPMS_RSA_PARMS and TPMS_ECC_PARMS (Part 2, 12.2.3.5 and 12.2.3.6) begin alike. */
static const struct field common_fields[] = {
	{ "symmetric algorithm", ALG_AES, "AES" },
	{ "symmetric key bits", 128, "128" },
	{ "symmetric mode", ALG_CFB, "CFB" },
	{ "scheme", ALG_NULL, "none" },
};
static const struct field rsa_fields[] = {
	{ "key bits", RSA_LEN * 8, "2048" },
};
static const struct field ecc_fields[] = {
	{ "curve", CURVE_P256, "P-256" },
	{ "key derivation scheme", ALG_NULL, "none" },
};

static uint16_t
take_u16(struct wire *w)
{
	unsigned high = wire_u8(w);

	return (uint16_t)(high << 8 | wire_u8(w));
}

static int
cut_off(const char *what, struct err *e)
{
	return err_set(e, E_FORMAT, "%s: TPM2B_PUBLIC cut off", what);
}

static int
read_fields(struct wire *w, const struct field *f, size_t n, const char *what, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t v = take_u16(w);

		if (w->bad)
			return cut_off(what, e);
		if (v != f[i].want)
			return err_set(e, E_POLICY, "%s: %s 0x%04x: %s (0x%04x) needed", what,
			    f[i].name, v, f[i].words, f[i].want);
	}
	return 0;
}

/* Sized octets of which there must be exactly n. */
static int
read_exact(struct wire *w, uint8_t *out, size_t n, const char *name, const char *what,
    struct err *e)
{
	size_t len = take_u16(w);

	if (w->bad)
		return cut_off(what, e);
	if (len != n)
		return err_set(e, E_FORMAT, "%s: %s of %zu octets: %zu needed", what, name, len, n);
	wire_octets(w, out, n);
	return w->bad ? cut_off(what, e) : 0;
}

/* objectAttributes and authPolicy: what the TPM promises about the key, and who may use it. */
static int
read_promise(struct wire *w, const struct role *role, struct err *e)
{
	uint32_t attributes = wire_u32(w);
	size_t n = take_u16(w);
	uint8_t policy[SHA256_LEN];

	if (w->bad)
		return cut_off(role->what, e);
	if ((attributes & ~role->optional) != role->attributes)
		return err_set(e, E_POLICY,
		    "%s: attributes 0x%08x: the default template's 0x%08x needed", role->what,
		    attributes, role->attributes);
	if (n != role->policy.n)
		return err_set(e, E_POLICY, "%s: policy of %zu octets: the template's has %zu",
		    role->what, n, role->policy.n);
	wire_octets(w, policy, n);
	if (w->bad)
		return cut_off(role->what, e);
	if (!bytes_equal((struct bytes){ policy, n }, role->policy))
		return err_set(e, E_POLICY, "%s: another policy than the default template's",
		    role->what);
	return 0;
}

/* Write SubjectPublicKeyInfo { { alg, curve }, key }; OID_UNKNOWN is NULL in place of a curve. */
static void
put_spki(struct buf *out, enum oid alg, enum oid curve, struct bytes key)
{
	size_t spki = der_begin(out, DER_SEQUENCE), id = der_begin(out, DER_SEQUENCE);

	der_put_oid(out, oid_contents(alg));
	if (curve != OID_UNKNOWN)
		der_put_oid(out, oid_contents(curve));
	else
		der_put_null(out);
	der_finish(out, id);
	der_put_bits(out, key, 0);
	der_finish(out, spki);
}

static int
read_rsa(struct buf *spki, struct wire *w, const char *what, struct err *e)
{
	AUTO_BUF key = { 0 };
	uint8_t modulus[RSA_LEN];
	uint32_t exponent;
	size_t seq;
	int r = read_fields(w, rsa_fields, N_OF(rsa_fields), what, e);

	if (r != 0)
		return r;
	exponent = wire_u32(w);
	if (w->bad)
		return cut_off(what, e);
	/* Part 2, 12.2.3.5: zero stands for 65537. */
	if (exponent != 0 && exponent != EXPONENT)
		return err_set(e, E_POLICY, "%s: public exponent %u: 65537 needed", what, exponent);
	r = read_exact(w, modulus, sizeof(modulus), "modulus", what, e);
	if (r != 0)
		return r;
	seq = der_begin(&key, DER_SEQUENCE);
	der_put_unsigned(&key, (struct bytes){ modulus, sizeof(modulus) });
	der_put_int(&key, EXPONENT);
	der_finish(&key, seq);
	put_spki(spki, OID_RSA, OID_UNKNOWN, bytes_of_buf(&key));
	return 0;
}

static int
read_ecc(struct buf *spki, struct wire *w, const char *what, struct err *e)
{
	uint8_t point[POINT_LEN] = { 4 };
	int r = read_fields(w, ecc_fields, N_OF(ecc_fields), what, e);

	if (r == 0)
		r = read_exact(w, point + 1, P256_LEN, "x", what, e);
	if (r == 0)
		r = read_exact(w, point + 1 + P256_LEN, P256_LEN, "y", what, e);
	if (r == 0)
		put_spki(spki, OID_EC_PUBLIC_KEY, OID_P256, (struct bytes){ point, sizeof(point) });
	return r;
}

/* TPMT_PUBLIC (Part 2, 12.2.4), all of it. */
static int
read_area(struct buf *spki, struct bytes area, const struct role *role, struct err *e)
{
	static const struct field name_alg = { "name algorithm", ALG_SHA256, "SHA-256" };
	struct wire w = wire_open(area);
	uint16_t alg = take_u16(&w);
	int r;

	if (w.bad)
		return cut_off(role->what, e);
	if (alg != ALG_RSA && alg != ALG_ECC)
		return err_set(e, E_POLICY,
		    "%s: algorithm 0x%04x: RSA (0x0001) or ECC (0x0023) needed", role->what, alg);
	r = read_fields(&w, &name_alg, 1, role->what, e);
	if (r == 0)
		r = read_promise(&w, role, e);
	if (r == 0)
		r = read_fields(&w, common_fields, N_OF(common_fields), role->what, e);
	if (r == 0)
		r = (alg == ALG_RSA ? read_rsa : read_ecc)(spki, &w, role->what, e);
	return r == 0 ? wire_end(&w, role->what, e) : r;
}

/* The mathematics, as with every key that comes in. */
static int
judge(enum key_type *type, struct bytes spki, const char *what, struct err *e)
{
	int r = key_judge(type, spki, e);

	if (r == 0)
		r = key_check_weak(*type, spki, e);
	if (r == 0)
		r = cipher_check_key(*type, spki, e);
	return r == 0 ? 0 : err_prefix(e, (enum err_code)r, "%s", what);
}

/* Part 1, 16: what a TPM calls an object. */
static void
name_of(uint8_t name[TPM_NAME_LEN], struct bytes area)
{
	name[0] = ALG_SHA256 >> 8;
	name[1] = ALG_SHA256 & 0xff;
	sha256(name + 2, area);
}

static int
read_key(struct tpm_key *out, struct bytes in, const struct role *role, struct err *e)
{
	AUTO_BUF spki = BUF_MAX(TPM_SPKI_MAX);
	struct bytes area = bytes_slice(in, 2, in.n);
	enum key_type type = KEY_NONE;
	int r;

	if (in.n < 2)
		return cut_off(role->what, e);
	if (in.n > TPM_PUBLIC_MAX)
		return err_set(e, E_FORMAT, "%s: TPM2B_PUBLIC of %zu octets: at most %d are read",
		    role->what, in.n, TPM_PUBLIC_MAX);
	if (((size_t)in.p[0] << 8 | in.p[1]) != area.n)
		return err_set(e, E_FORMAT, "%s: TPM2B_PUBLIC says %u octets and has %zu", role->what,
		    (unsigned)in.p[0] << 8 | in.p[1], area.n);
	r = read_area(&spki, area, role, e);
	if (r == 0)
		r = buf_check(&spki, role->what, e);
	if (r == 0)
		r = judge(&type, bytes_of_buf(&spki), role->what, e);
	if (r != 0)
		return r;
	*out = (struct tpm_key){ .type = type, .spki_n = spki.n };
	memcpy(out->spki, spki.p, spki.n);
	name_of(out->name, area);
	return 0;
}

int
tpm_ek_read(struct tpm_ek *out, struct bytes tpm2b_public, struct err *e)
{
	return read_key(&out->key, tpm2b_public, &ek_role, e);
}

int
tpm_srk_read(struct tpm_srk *out, struct bytes tpm2b_public, struct err *e)
{
	return read_key(&out->key, tpm2b_public, &srk_role, e);
}

/* --- wrapping --- */

/* What must not outlive a call. */
struct secrets {
	uint8_t inner[CIPHER_KEY_LEN];  /* of the inner wrapper: the credential */
	uint8_t ek_seed[SEED_LEN], srk_seed[SEED_LEN];
	uint8_t obfuscation[SHA256_LEN]; /* seedValue of the HMAC key: its name betrays nothing of it */
};

static struct bytes
key_spki_of(const struct tpm_key *k)
{
	return (struct bytes){ k->spki, k->spki_n };
}

static void
put_u16(struct buf *out, size_t v)
{
	buf_put_u8(out, (uint8_t)(v >> 8));
	buf_put_u8(out, (uint8_t)v);
}

/* Every TPM2B: its length, its octets. */
static void
put_sized(struct buf *out, const void *p, size_t n)
{
	put_u16(out, n);
	buf_put(out, p, n);
}

/* Part 1, 11.4.10.2: KDFa of SHA-256 and without contextV; n is at most one block. */
static void
kdfa(uint8_t *out, size_t n, const uint8_t seed[SEED_LEN], const char *label, struct bytes context)
{
	AUTO_BUF in = { 0 };
	uint8_t block[SHA256_LEN];

	wire_put_u32(&in, 1);
	buf_put(&in, label, strlen(label) + 1);
	buf_put_bytes(&in, context);
	wire_put_u32(&in, (uint32_t)n * 8);
	hmac_sha256(block, (struct bytes){ seed, SEED_LEN }, bytes_of_buf(&in));
	memcpy(out, block, n);
	mem_wipe(block, sizeof(block));
}

/* Part 1, 11.4.10.3: KDFe of SHA-256, one block: the seed of what two points have in common. */
static void
kdfe(uint8_t out[SEED_LEN], const struct cipher_agreed *a, const char *label,
    const uint8_t their_x[P256_LEN])
{
	AUTO_BUF in = { 0 };

	wire_put_u32(&in, 1);
	buf_put(&in, a->z, P256_LEN);
	buf_put(&in, label, strlen(label) + 1);
	buf_put(&in, a->x, P256_LEN);
	buf_put(&in, their_x, P256_LEN);
	sha256(out, bytes_of_buf(&in));
}

/* A fresh seed, and the TPM2B_ENCRYPTED_SECRET that gives it to `to`'s TPM (Part 1, B.10, C.6). */
static int
put_seed(struct buf *out, uint8_t seed[SEED_LEN], const struct tpm_key *to, const char *label,
    struct err *e)
{
	AUTO_BUF sealed = { 0 };
	struct cipher_agreed a;
	int r;

	if (to->type == KEY_EC_P256) {
		r = cipher_agree(&a, to->type, key_spki_of(to), e);
		if (r != 0)
			return r;
		kdfe(seed, &a, label, key_bits(key_spki_of(to)).p + 1);
		put_sized(&sealed, a.x, sizeof(a.x));
		put_sized(&sealed, a.y, sizeof(a.y));
		mem_wipe(&a, sizeof(a));
	} else {
		rnd_bytes(seed, SEED_LEN);
		/* The label ends with its NUL. */
		r = cipher_oaep(&sealed, to->type, key_spki_of(to),
		    (struct bytes){ (const uint8_t *)label, strlen(label) + 1 },
		    (struct bytes){ seed, SEED_LEN }, e);
		if (r != 0)
			return r;
	}
	put_sized(out, sealed.p, sealed.n);
	return 0;
}

/*
 * TPM2B_ID_OBJECT and TPM2B_PRIVATE alike (Part 1, 24.4 and 23.3.2.4): both keys from the seed,
 * `clear` encrypted in place, and what comes of it with the object's name under an HMAC.
 */
static void
put_protected(struct buf *out, const uint8_t seed[SEED_LEN], const uint8_t name[TPM_NAME_LEN],
    struct buf *clear)
{
	AUTO_BUF covered = { 0 };
	uint8_t key[CIPHER_KEY_LEN], mac_key[SHA256_LEN], mac[SHA256_LEN];

	kdfa(key, sizeof(key), seed, "STORAGE", (struct bytes){ name, TPM_NAME_LEN });
	kdfa(mac_key, sizeof(mac_key), seed, "INTEGRITY", (struct bytes){ 0 });
	cipher_cfb(key, clear->p, clear->n);
	buf_put_bytes(&covered, bytes_of_buf(clear));
	buf_put(&covered, name, TPM_NAME_LEN);
	hmac_sha256(mac, (struct bytes){ mac_key, sizeof(mac_key) }, bytes_of_buf(&covered));
	put_u16(out, 2 + sizeof(mac) + clear->n);
	put_sized(out, mac, sizeof(mac));
	buf_put_bytes(out, bytes_of_buf(clear));
	mem_wipe(key, sizeof(key));
	mem_wipe(mac_key, sizeof(mac_key));
}

/* The TPMT_PUBLIC of the HMAC key, with the attributes that DPS gives it. */
static void
put_public(struct buf *out, const struct secrets *s, struct bytes secret)
{
	uint8_t unique[SHA256_LEN];

	put_u16(out, ALG_KEYEDHASH);
	put_u16(out, ALG_SHA256);
	wire_put_u32(out, SIGN | USER_WITH_AUTH | NO_DA);
	put_sized(out, NULL, 0);        /* no policy: it is never duplicated again */
	put_u16(out, ALG_HMAC);
	put_u16(out, ALG_SHA256);
	/* Part 1, 27.5.3.4. */
	sha256_two(unique, (struct bytes){ s->obfuscation, sizeof(s->obfuscation) }, secret);
	put_sized(out, unique, sizeof(unique));
}

/* The HMAC key's TPM2B_SENSITIVE in its inner wrapper: digest in front, all encrypted (Part 1, 23.3.2.3). */
static void
put_inner(struct buf *out, const struct secrets *s, struct bytes secret,
    const uint8_t name[TPM_NAME_LEN])
{
	AUTO_BUF area = { 0 };
	AUTO_BUF sensitive = { 0 };
	uint8_t integrity[SHA256_LEN];

	put_u16(&area, ALG_KEYEDHASH);
	put_sized(&area, NULL, 0);      /* no authorisation value */
	put_sized(&area, s->obfuscation, sizeof(s->obfuscation));
	put_sized(&area, secret.p, secret.n);
	put_sized(&sensitive, area.p, area.n);
	sha256_two(integrity, bytes_of_buf(&sensitive), (struct bytes){ name, TPM_NAME_LEN });
	put_sized(out, integrity, sizeof(integrity));
	buf_put_bytes(out, bytes_of_buf(&sensitive));
	cipher_cfb(s->inner, out->p, out->n);
}

static int
wrap(struct buf *out, const struct tpm_ek *ek, const struct tpm_srk *srk, struct bytes secret,
    struct secrets *s, struct err *e)
{
	AUTO_BUF to_ek = { 0 };
	AUTO_BUF to_srk = { 0 };
	AUTO_BUF public = { 0 };
	AUTO_BUF credential = { 0 };
	AUTO_BUF duplicate = { 0 };
	uint8_t name[TPM_NAME_LEN];
	int r = put_seed(&to_ek, s->ek_seed, &ek->key, "IDENTITY", e);

	if (r == 0)
		r = put_seed(&to_srk, s->srk_seed, &srk->key, "DUPLICATE", e);
	if (r != 0)
		return err_prefix(e, (enum err_code)r, "tpm");
	rnd_bytes(s->inner, sizeof(s->inner));
	rnd_bytes(s->obfuscation, sizeof(s->obfuscation));

	put_public(&public, s, secret);
	name_of(name, bytes_of_buf(&public));
	put_sized(&credential, s->inner, sizeof(s->inner));
	put_inner(&duplicate, s, secret, name);

	put_protected(out, s->ek_seed, srk->key.name, &credential);
	buf_put_bytes(out, bytes_of_buf(&to_ek));
	put_protected(out, s->srk_seed, name, &duplicate);
	buf_put_bytes(out, bytes_of_buf(&to_srk));
	put_sized(out, public.p, public.n);
	put_sized(out, NULL, 0);
	return 0;
}

int
tpm_wrap(struct buf *out, const struct tpm_ek *ek, const struct tpm_srk *srk, struct bytes secret,
    struct err *e)
{
	struct secrets s;
	int r;

	if (secret.n < TPM_SECRET_MIN || secret.n > TPM_SECRET_MAX)
		return err_set(e, E_POLICY, "tpm: secret of %zu octets: %d to %d needed", secret.n,
		    TPM_SECRET_MIN, TPM_SECRET_MAX);
	r = wrap(out, ek, srk, secret, &s, e);
	mem_wipe(&s, sizeof(s));
	return r;
}
