/* SPDX-License-Identifier: Apache-2.0 */
/* pki/key.c - public keys made for OpenSSL without its decoders, and signatures checked */
#include "core/pki/key.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include "core/pki/der.h"
#include "core/pki/ossl.h"

/* --- public keys --- */

/* A made key, or NULL: key material of a kind, by its parameters. */
static EVP_PKEY *
from_data(EVP_PKEY_CTX **cache, const char *kind, int selection, OSSL_PARAM *params)
{
	EVP_PKEY *pkey = NULL;

	if (*cache == NULL) {
		*cache = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
		if (*cache == NULL || EVP_PKEY_fromdata_init(*cache) != 1) {
			EVP_PKEY_CTX_free(TAKE(*cache));
			return NULL;
		}
	}
	if (EVP_PKEY_fromdata(*cache, &pkey, selection, params) != 1)
		return NULL;
	return pkey;
}

static const char *
group_name(enum key_type t)
{
	return t == KEY_EC_P256 ? "P-256" : t == KEY_EC_P384 ? "P-384" : "P-521";
}

/*
 * A key of a curve without a point, made once, duplicated for every point: to set a
 * curve up costs three times as much as the copy, a fifth of a verification.
 */
static EVP_PKEY *
new_on_curve(enum key_type t)
{
	static EVP_PKEY_CTX *cache;
	static EVP_PKEY *curves[KEY_TYPE_COUNT];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
		    (char *)(uintptr_t)group_name(t), 0),
		OSSL_PARAM_construct_end(),
	};

	if (curves[t] == NULL)
		curves[t] = from_data(&cache, "EC", EVP_PKEY_KEY_PARAMETERS, params);
	return curves[t] != NULL ? EVP_PKEY_dup(curves[t]) : NULL;
}

static int
public_ec(EVP_PKEY **out, enum key_type t, struct bytes point, struct err *e)
{
	AUTO_OSSL(EVP_PKEY) pkey = new_on_curve(t);

	if (pkey == NULL)
		return err_ossl(e, E_CRYPTO, "key: curve");
	/* OpenSSL refuses coordinates outside the field and points that are not on the curve. */
	if (EVP_PKEY_set1_encoded_public_key(pkey, point.p, point.n) != 1)
		return err_ossl(e, E_FORMAT, "key: point not on its curve");
	*out = TAKE(pkey);
	return 0;
}

static int
public_rsa(EVP_PKEY **out, struct bytes spki, struct err *e)
{
	static EVP_PKEY_CTX *cache;
	uint8_t native[512];
	unsigned int exponent = 65537; /* key_judge() takes no other */
	struct bytes n;
	OSSL_PARAM params[3];

	if (key_rsa_modulus(&n, spki, e) != 0)
		return E_FORMAT;
	if (n.n > sizeof(native))
		return err_set(e, E_FORMAT, "key: rsa modulus too long");
	for (size_t i = 0; i < n.n; i++)
		native[__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? n.n - 1 - i : i] = n.p[i];
	params[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, native, n.n);
	params[1] = OSSL_PARAM_construct_uint(OSSL_PKEY_PARAM_RSA_E, &exponent);
	params[2] = OSSL_PARAM_construct_end();
	*out = from_data(&cache, "RSA", EVP_PKEY_PUBLIC_KEY, params);
	return *out != NULL ? 0 : err_ossl(e, E_CRYPTO, "key: rsa");
}

int
key_public(EVP_PKEY **out, enum key_type t, struct bytes spki, struct err *e)
{
	struct bytes bits = key_bits(spki);

	switch (t) {
	case KEY_EC_P256:
	case KEY_EC_P384:
	case KEY_EC_P521:
		return public_ec(out, t, bits, e);
	case KEY_RSA_2048:
	case KEY_RSA_3072:
	case KEY_RSA_4096:
		return public_rsa(out, spki, e);
	case KEY_ED25519:
		*out = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, bits.p, bits.n);
		return *out != NULL ? 0 : err_ossl(e, E_CRYPTO, "key: ed25519");
	default:
		return err_set(e, E_POLICY, "key: of a type that we do not take");
	}
}

/* --- signatures checked --- */

static bool
is_rsa(enum key_type t)
{
	return t == KEY_RSA_2048 || t == KEY_RSA_3072 || t == KEY_RSA_4096;
}

int
key_check_sig_alg(enum key_type t, enum oid alg, struct err *e)
{
	bool fits;

	switch (alg) {
	case OID_ECDSA_SHA256:
	case OID_ECDSA_SHA384:
	case OID_ECDSA_SHA512:
		fits = t == KEY_EC_P256 || t == KEY_EC_P384 || t == KEY_EC_P521;
		break;
	case OID_RSA_SHA256:
	case OID_RSA_SHA384:
	case OID_RSA_SHA512:
		fits = is_rsa(t);
		break;
	case OID_ED25519:
		fits = t == KEY_ED25519;
		break;
	default:
		return err_set(e, E_POLICY, "signature: algorithm %s: SHA-2 with ECDSA or "
		    "RSA PKCS#1 v1.5, or Ed25519 needed", alg == OID_UNKNOWN ? "unknown" : oid_name(alg));
	}
	if (fits)
		return 0;
	return err_set(e, E_POLICY, "signature: %s does not fit a key of type %s", oid_name(alg),
	    key_type_name(t));
}

/* Ready for one verification; RSA's padding holds the name of the digest.  NULL when OpenSSL fails. */
static EVP_PKEY_CTX *
new_verifier(EVP_PKEY *pub, const char *rsa_digest)
{
	AUTO_OSSL(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pub, NULL);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST,
		    (char *)(uintptr_t)rsa_digest, 0),
		OSSL_PARAM_construct_end(),
	};

	if (ctx == NULL || EVP_PKEY_verify_init(ctx) != 1)
		return NULL;
	if (rsa_digest != NULL && (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_params(ctx, params) != 1))
		return NULL;
	return TAKE(ctx);
}

static int
verify_ed25519(EVP_PKEY *pub, struct bytes data, struct bytes sig)
{
	AUTO_OSSL(EVP_MD_CTX) ctx = EVP_MD_CTX_new();

	if (ctx == NULL || EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, pub, NULL) != 1)
		return -1;
	return EVP_DigestVerify(ctx, sig.p, sig.n, data.p, data.n);
}

static int
verify_digest(EVP_PKEY *pub, enum key_type t, enum oid alg, struct bytes data, struct bytes sig)
{
	AUTO_OSSL(EVP_PKEY_CTX) ctx = NULL;
	uint8_t digest[DIGEST_MAX];
	size_t n = digest_for(digest, alg, data);

	ctx = new_verifier(pub, is_rsa(t) ? digest_name(alg) : NULL);
	if (ctx == NULL)
		return -1;
	return EVP_PKEY_verify(ctx, sig.p, sig.n, digest, n);
}

static int
check_sig(enum key_type t, enum oid alg, struct bytes sig, struct err *e)
{
	int r = key_check_sig_alg(t, alg, e);

	if (r == 0 && (sig.n == 0 || sig.n > KEY_SIG_MAX))
		r = err_set(e, E_AUTH, "signature: %zu octets", sig.n);
	return r;
}

int
key_verify(EVP_PKEY *pub, enum key_type t, enum oid alg, struct bytes data, struct bytes sig,
    struct err *e)
{
	int r = check_sig(t, alg, sig, e);

	if (r != 0)
		return r;
	r = t == KEY_ED25519 ? verify_ed25519(pub, data, sig) :
	    verify_digest(pub, t, alg, data, sig);
	return r == 1 ? 0 : err_ossl(e, E_AUTH, "signature: does not verify");
}

/*
 * To set up a key and a verification costs OpenSSL 3.0 a fifth of the verification itself.
 * Of each curve there is one key with its verifier, and each point takes the place of the one before.
 */
struct slot {
	EVP_PKEY *key;
	EVP_PKEY_CTX *verifier;
};

/* The curve's slot with this point in it. */
static int
slot_fill(struct slot **out, enum key_type t, struct bytes point, struct err *e)
{
	static struct slot slots[KEY_TYPE_COUNT];
	struct slot *s = &slots[t];

	if (s->key == NULL && (s->key = new_on_curve(t)) == NULL)
		return err_ossl(e, E_CRYPTO, "key: curve");
	/* OpenSSL refuses what public_ec() says; a slot that was not filled is not used. */
	if (EVP_PKEY_set1_encoded_public_key(s->key, point.p, point.n) != 1)
		return err_ossl(e, E_FORMAT, "key: point not on its curve");
	if (s->verifier == NULL && (s->verifier = new_verifier(s->key, NULL)) == NULL)
		return err_ossl(e, E_CRYPTO, "key: curve");
	*out = s;
	return 0;
}

static bool
is_ec(enum key_type t)
{
	return t == KEY_EC_P256 || t == KEY_EC_P384 || t == KEY_EC_P521;
}

int
key_verify_once(enum key_type t, struct bytes spki, enum oid alg, struct bytes data, struct bytes sig,
    struct err *e)
{
	AUTO_OSSL(EVP_PKEY) pub = NULL;
	uint8_t digest[DIGEST_MAX];
	struct slot *s = NULL;
	int r;

	if (!is_ec(t)) {
		r = key_public(&pub, t, spki, e);
		return r != 0 ? r : key_verify(pub, t, alg, data, sig, e);
	}
	if ((r = check_sig(t, alg, sig, e)) != 0 || (r = slot_fill(&s, t, key_bits(spki), e)) != 0)
		return r;
	r = EVP_PKEY_verify(s->verifier, sig.p, sig.n, digest, digest_for(digest, alg, data));
	return r == 1 ? 0 : err_ossl(e, E_AUTH, "signature: does not verify");
}
