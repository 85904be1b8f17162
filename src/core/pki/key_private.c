/* SPDX-License-Identifier: Apache-2.0 */
/* pki/key_private.c - private keys: made, read, written, and held ready to sign */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>

#include <limits.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/pki/key.h"
#include "core/pki/ossl.h"

/*
 * `ready` signs digests again and again without OpenSSL's set-up, a tenth of an ECDSA
 * signature.  Keys of other providers (tokens, TPMs) and Ed25519 have
 * none: they are given the data itself, which is what every provider can do.
 */
struct key {
	EVP_PKEY *pkey;
	enum key_type type;
	EVP_PKEY_CTX *ready;
	size_t spki_n;
	uint8_t spki[KEY_SPKI_MAX];
};

/* i2d_PUBKEY into k->spki. */
static int
read_spki(struct key *k, struct err *e)
{
	uint8_t *p = k->spki;
	int n = i2d_PUBKEY(k->pkey, NULL);

	if (n <= 0)
		return err_ossl(e, E_CRYPTO, "key: no public half");
	if ((size_t)n > sizeof(k->spki))
		return err_set(e, E_POLICY, "key: public key of %d octets: %d at most", n, KEY_SPKI_MAX);
	k->spki_n = (size_t)i2d_PUBKEY(k->pkey, &p);
	return 0;
}

static bool
is_builtin(const EVP_PKEY *pkey)
{
	const OSSL_PROVIDER *p = EVP_PKEY_get0_provider(pkey);

	return p != NULL && strcmp(OSSL_PROVIDER_get0_name(p), "default") == 0;
}

static EVP_PKEY_CTX *
new_signer(EVP_PKEY *pkey, enum key_type t)
{
	AUTO_OSSL(EVP_PKEY_CTX) ctx = NULL;
	bool rsa = key_sig_alg(t) == OID_RSA_SHA256;

	if (!is_builtin(pkey) || t == KEY_ED25519)
		return NULL;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	if (ctx == NULL || EVP_PKEY_sign_init(ctx) != 1)
		return NULL;
	if (rsa && (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) != 1))
		return NULL;
	return TAKE(ctx);
}

int
key_from_evp(struct key **out, EVP_PKEY *pkey, struct err *e)
{
	AUTO(key) k = mem_zalloc(sizeof(*k));
	int r;

	if (EVP_PKEY_up_ref(pkey) != 1)
		return err_ossl(e, E_CRYPTO, "key");
	k->pkey = pkey;
	r = read_spki(k, e);
	if (r == 0)
		r = key_judge(&k->type, key_spki(k), e);
	if (r != 0)
		return r;
	k->ready = new_signer(pkey, k->type);
	*out = TAKE(k);
	return 0;
}

int
key_generate(struct key **out, enum key_type t, struct err *e)
{
	AUTO_OSSL(EVP_PKEY) pkey = NULL;

	switch (t) {
	case KEY_EC_P256:
		pkey = EVP_EC_gen("P-256");
		break;
	case KEY_EC_P384:
		pkey = EVP_EC_gen("P-384");
		break;
	case KEY_EC_P521:
		pkey = EVP_EC_gen("P-521");
		break;
	case KEY_RSA_2048:
		pkey = EVP_RSA_gen(2048);
		break;
	case KEY_RSA_3072:
		pkey = EVP_RSA_gen(3072);
		break;
	case KEY_RSA_4096:
		pkey = EVP_RSA_gen(4096);
		break;
	case KEY_ED25519:
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		break;
	default:
		return err_set(e, E_POLICY, "key: of a type that we do not make");
	}
	if (pkey == NULL)
		return err_ossl(e, E_CRYPTO, "key: not generated");
	return key_from_evp(out, pkey, e);
}

/* Encrypted keys are not taken, and nobody is asked. */
static int
no_password(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

int
key_from_pem(struct key **out, struct bytes pem, struct err *e)
{
	AUTO_OSSL(BIO) bio = pem.n <= INT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	AUTO_OSSL(EVP_PKEY) pkey = NULL;

	if (bio == NULL)
		return err_ossl(e, E_FORMAT, "key: PEM");
	pkey = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	if (pkey == NULL)
		return err_ossl(e, E_FORMAT, "key: not an unencrypted private key in PEM");
	/* A file may say how its public point is to be written; we write one form. */
	if (EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_set_utf8_string_param(pkey,
	    OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed") != 1)
		return err_ossl(e, E_CRYPTO, "key: EC point format");
	return key_from_evp(out, pkey, e);
}

int
key_to_pem(struct buf *out, const struct key *k, struct err *e)
{
	AUTO_OSSL(BIO) bio = BIO_new(BIO_s_mem());
	char *p = NULL;
	long n;

	/* BIO_s_mem() wipes what it held when it is freed. */
	if (bio == NULL ||
	    PEM_write_bio_PKCS8PrivateKey(bio, k->pkey, NULL, NULL, 0, NULL, NULL) != 1)
		return err_ossl(e, E_CRYPTO, "key: cannot be written as PEM");
	n = BIO_get_mem_data(bio, &p);
	if (n <= 0)
		return err_set(e, E_CRYPTO, "key: cannot be written as PEM");
	buf_put(out, p, (size_t)n);
	return 0;
}

void
key_free(struct key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_CTX_free(k->ready);
	EVP_PKEY_free(k->pkey);
	mem_free(k);
}

enum key_type
key_get_type(const struct key *k)
{
	return k->type;
}

struct bytes
key_spki(const struct key *k)
{
	return (struct bytes){ k->spki, k->spki_n };
}

EVP_PKEY *
key_evp(const struct key *k)
{
	return k->pkey;
}

static int
sign_digest(uint8_t *sig, size_t *n, const struct key *k, struct bytes data)
{
	uint8_t digest[DIGEST_MAX];
	size_t digest_n = digest_for(digest, key_sig_alg(k->type), data);

	return EVP_PKEY_sign(k->ready, sig, n, digest, digest_n);
}

static int
sign_data(uint8_t *sig, size_t *n, const struct key *k, struct bytes data)
{
	AUTO_OSSL(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
	const char *name = digest_name(key_sig_alg(k->type));

	if (ctx == NULL || EVP_DigestSignInit_ex(ctx, NULL, name, NULL, NULL, k->pkey, NULL) != 1)
		return 0;
	return EVP_DigestSign(ctx, sig, n, data.p, data.n);
}

int
key_sign(struct buf *out, const struct key *k, struct bytes data, struct err *e)
{
	uint8_t sig[KEY_SIG_MAX];
	size_t n = sizeof(sig);
	int ok = k->ready != NULL ? sign_digest(sig, &n, k, data) : sign_data(sig, &n, k, data);

	if (ok != 1)
		return err_ossl(e, E_CRYPTO, "key: not signed");
	buf_put(out, sig, n);
	return 0;
}
