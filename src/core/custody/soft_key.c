/* SPDX-License-Identifier: Apache-2.0 */
/* custody/soft_key.c - keys in memory, used by OpenSSL */
#include "core/custody/soft_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <limits.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/pki/ossl.h"

#define GCM_TAG_LEN 16
#define GCM_KEY_LEN 32
#define RSA_PAD_LEN 11 /* RFC 8017 9.2: at least 00 01, eight FF, 00 */

AUTO_DEFINE_OSSL(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

struct soft_key {
	struct custody_key base;
	struct key *pair;     /* NULL for a secret */
	uint8_t *secret;      /* base.secret_n octets */
};

static const struct soft_key *
soft(const struct custody_key *k)
{
	return (const struct soft_key *)(const void *)k;
}

static void
free_key(struct custody_key *base)
{
	struct soft_key *k = (struct soft_key *)(void *)base;

	key_free(k->pair);
	mem_free_wiped(k->secret, k->base.secret_n);
	mem_free(k);
}

/* --- OpenSSL's memory --- */

static void *
wiped_new(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return n != 0 ? mem_piece_new(n) : NULL;
}

static void
wiped_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	mem_piece_free(p);
}

static void *
wiped_resize(void *p, size_t n, const char *file, int line)
{
	if (n != 0)
		return mem_piece_resize(p, n);
	wiped_free(p, file, line);
	return NULL;
}

bool
soft_key_wipe_always(void)
{
	return CRYPTO_set_mem_functions(wiped_new, wiped_resize, wiped_free) == 1;
}

/* --- pairs --- */

/* One private operation over `in` as it is; padding is RSA's, 0 for EC. */
static int
sign_raw(struct buf *out, const struct soft_key *k, int padding, struct bytes in, struct err *e)
{
	AUTO_OSSL(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key_evp(k->pair), NULL);
	uint8_t sig[KEY_SIG_MAX];
	size_t n = sizeof(sig);

	if (ctx == NULL || EVP_PKEY_sign_init(ctx) != 1 ||
	    (padding != 0 && EVP_PKEY_CTX_set_rsa_padding(ctx, padding) != 1) ||
	    EVP_PKEY_sign(ctx, sig, &n, in.p, in.n) != 1)
		return err_ossl(e, E_CRYPTO, "private operation");
	buf_put(out, sig, n);
	return 0;
}

static int
sign_digest(struct buf *out, const struct custody_key *k, struct bytes digest, struct err *e)
{
	return sign_raw(out, soft(k), 0, digest, e);
}

static int
sign_message(struct buf *out, const struct custody_key *k, struct bytes message, struct err *e)
{
	return key_sign(out, soft(k)->pair, message, e);
}

static int
rsa_private(struct buf *out, const struct custody_key *base, bool pkcs1, struct bytes in, struct err *e)
{
	const struct soft_key *k = soft(base);
	size_t size = (size_t)EVP_PKEY_get_size(key_evp(k->pair));
	struct bytes modulus;
	int r;

	if (pkcs1 && in.n > size - RSA_PAD_LEN)
		return err_set(e, E_USAGE, "RSA-PKCS1: %zu octets, %zu at most", in.n, size - RSA_PAD_LEN);
	if (pkcs1)
		return sign_raw(out, k, RSA_PKCS1_PADDING, in, e);
	if ((r = key_rsa_modulus(&modulus, base->spki, e)) != 0)
		return r;
	if (in.n != size || memcmp(in.p, modulus.p, size) >= 0)
		return err_set(e, E_USAGE, "RSA-NO-PADDING: a number of %zu octets below the modulus is needed", size);
	return sign_raw(out, k, RSA_NO_PADDING, in, e);
}

static const struct custody_key_ops pair_ops = {
	.sign_digest = sign_digest, .sign_message = sign_message, .rsa_private = rsa_private, .free = free_key,
};

/* Do the halves belong together? */
static int
try_pair(const struct key *pair, struct err *e)
{
	AUTO_OSSL(EVP_PKEY) pub = NULL;
	AUTO_BUF sig = { 0 };
	enum key_type t = key_get_type(pair);
	struct bytes text = bytes_of("estuary: do these halves belong together");

	if (key_public(&pub, t, key_spki(pair), e) != 0 || key_sign(&sig, pair, text, e) != 0 ||
	    key_verify(pub, t, key_sig_alg(t), text, bytes_of_buf(&sig), e) != 0)
		return err_set(e, E_FORMAT, "key: its private half does not fit its public half");
	return 0;
}

int
soft_key_of_pem(struct custody_key **out, struct bytes pem, struct err *e)
{
	AUTO(key) pair = NULL;
	struct soft_key *k;

	if (key_from_pem(&pair, pem, e) != 0)
		return e != NULL ? (e->code = E_FORMAT) : E_FORMAT; /* also a key that we would not make: for us it is none */
	if (try_pair(pair, e) != 0)
		return E_FORMAT;
	k = mem_zalloc(sizeof(*k));
	k->base = (struct custody_key){ &pair_ops, CUSTODY_PAIR, key_get_type(pair), key_spki(pair), 0 };
	k->pair = TAKE(pair);
	*out = &k->base;
	return 0;
}

/* --- secrets --- */

static int
hmac(uint8_t out[CUSTODY_MAC_LEN], const struct custody_key *k, struct bytes message, struct err *e)
{
	(void)e;
	hmac_sha256(out, soft_key_secret(k), message);
	return 0;
}

/* A context with key, iv and associated data; enc 1 seals, 0 opens. */
static int
start_gcm(EVP_CIPHER_CTX *ctx, const struct soft_key *k, int enc, struct bytes iv, struct bytes aad, struct err *e)
{
	int n;

	if (k->base.secret_n != GCM_KEY_LEN)
		return err_set(e, E_USAGE, "AEAD: a key of %d octets is needed, not %zu", GCM_KEY_LEN, k->base.secret_n);
	if (aad.n > INT_MAX || ctx == NULL || EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, NULL, NULL, enc) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)iv.n, NULL) != 1 ||
	    EVP_CipherInit_ex(ctx, NULL, NULL, k->secret, iv.p, enc) != 1 ||
	    (aad.n != 0 && EVP_CipherUpdate(ctx, NULL, &n, aad.p, (int)aad.n) != 1))
		return err_ossl(e, E_CRYPTO, "AEAD");
	return 0;
}

static int
seal(struct buf *out, const struct custody_key *base, struct bytes iv, struct bytes aad, struct bytes plain,
    struct err *e)
{
	AUTO_OSSL(EVP_CIPHER_CTX) ctx = EVP_CIPHER_CTX_new();
	uint8_t *cipher = mem_zalloc(plain.n + 1), tag[GCM_TAG_LEN];
	int n = 0, rest = 0, r = start_gcm(ctx, soft(base), 1, iv, aad, e);

	if (r == 0 && ((plain.n != 0 && EVP_CipherUpdate(ctx, cipher, &n, plain.p, (int)plain.n) != 1) ||
	    EVP_CipherFinal_ex(ctx, cipher + n, &rest) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, GCM_TAG_LEN, tag) != 1))
		r = err_ossl(e, E_CRYPTO, "AEAD");
	if (r == 0) {
		buf_put(out, cipher, plain.n);
		buf_put(out, tag, sizeof(tag));
	}
	mem_free(cipher);
	return r;
}

/* cipher: the text and its tag. */
static int
open_sealed(struct buf *out, const struct custody_key *base, struct bytes iv, struct bytes aad, struct bytes cipher,
    struct err *e)
{
	AUTO_OSSL(EVP_CIPHER_CTX) ctx = EVP_CIPHER_CTX_new();
	size_t text_n = cipher.n - GCM_TAG_LEN;
	uint8_t *plain = mem_zalloc(text_n + 1), tag[GCM_TAG_LEN];
	int n = 0, rest = 0, r = start_gcm(ctx, soft(base), 0, iv, aad, e);

	memcpy(tag, cipher.p + text_n, sizeof(tag));
	if (r == 0 && ((text_n != 0 && EVP_CipherUpdate(ctx, plain, &n, cipher.p, (int)text_n) != 1) ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, GCM_TAG_LEN, tag) != 1))
		r = err_ossl(e, E_CRYPTO, "AEAD");
	if (r == 0 && EVP_CipherFinal_ex(ctx, plain + n, &rest) != 1)
		r = err_ossl(e, E_AUTH, "AEAD: cipher text, iv and aad do not belong together");
	if (r == 0)
		buf_put(out, plain, text_n);
	mem_free_wiped(plain, text_n);
	return r;
}

static const struct custody_key_ops secret_ops = {
	.hmac = hmac, .seal = seal, .open = open_sealed, .free = free_key,
};

struct custody_key *
soft_key_of_secret(struct bytes secret)
{
	struct soft_key *k = mem_zalloc(sizeof(*k));

	k->base = (struct custody_key){ &secret_ops, CUSTODY_SECRET, KEY_NONE, { NULL, 0 }, secret.n };
	k->secret = mem_dup(secret.p, secret.n);
	return &k->base;
}

struct bytes
soft_key_secret(const struct custody_key *k)
{
	const struct soft_key *s = soft(k);

	if (k->ops != &secret_ops)
		return (struct bytes){ NULL, 0 };
	return (struct bytes){ s->secret, s->base.secret_n };
}
