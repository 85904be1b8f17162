/* SPDX-License-Identifier: Apache-2.0 */
/* pki/cipher.c - secrets for one recipient: RSA-OAEP, a one-off P-256 agreement, AES-128-CFB; at rest: AES-256-GCM */
#include "core/pki/cipher.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "core/pki/ossl.h"

#define NONCE_LEN 12
#define TAG_LEN   16

AUTO_DEFINE_OSSL(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

static bool
is_rsa(enum key_type t)
{
	return t == KEY_RSA_2048 || t == KEY_RSA_3072 || t == KEY_RSA_4096;
}

int
cipher_check_key(enum key_type t, struct bytes spki, struct err *e)
{
	AUTO_OSSL(EVP_PKEY) key = NULL;

	if (!is_rsa(t) && t != KEY_EC_P256)
		return err_set(e, E_POLICY, "key: %s: RSA or P-256 needed", key_type_name(t));
	return key_public(&key, t, spki, e);
}

int
cipher_oaep(struct buf *out, enum key_type t, struct bytes spki, struct bytes label, struct bytes plain,
    struct err *e)
{
	AUTO_OSSL(EVP_PKEY) key = NULL;
	AUTO_OSSL(EVP_PKEY_CTX) ctx = NULL;
	uint8_t sealed[KEY_SIG_MAX];
	size_t n = sizeof(sealed);
	char padding[] = OSSL_PKEY_RSA_PAD_MODE_OAEP, digest[] = "SHA2-256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, padding, 0),
		OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, digest, 0),
		OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL,
		    (void *)(uintptr_t)label.p, label.n),
		OSSL_PARAM_construct_end(),
	};
	int r;

	if (!is_rsa(t))
		return err_set(e, E_POLICY, "key: %s: RSA needed", key_type_name(t));
	r = key_public(&key, t, spki, e);
	if (r != 0)
		return r;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (ctx == NULL || EVP_PKEY_encrypt_init_ex(ctx, params) != 1 ||
	    EVP_PKEY_encrypt(ctx, sealed, &n, plain.p, plain.n) != 1)
		return err_ossl(e, E_CRYPTO, "key: RSA-OAEP");
	buf_put(out, sealed, n);
	return 0;
}

int
cipher_agree(struct cipher_agreed *out, enum key_type t, struct bytes spki, struct err *e)
{
	AUTO_OSSL(EVP_PKEY) theirs = NULL;
	AUTO_OSSL(EVP_PKEY_CTX) ctx = NULL;
	AUTO(key) ours = NULL;
	uint8_t z[P256_LEN];
	size_t n = sizeof(z);
	struct bytes point;
	int r;

	if (t != KEY_EC_P256)
		return err_set(e, E_POLICY, "key: %s: P-256 needed", key_type_name(t));
	r = key_public(&theirs, t, spki, e);
	if (r == 0)
		r = key_generate(&ours, t, e);
	if (r != 0)
		return r;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key_evp(ours), NULL);
	if (ctx == NULL || EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_derive_set_peer(ctx, theirs) != 1 ||
	    EVP_PKEY_derive(ctx, z, &n) != 1 || n != sizeof(z))
		return err_ossl(e, E_CRYPTO, "key: P-256 agreement");
	/* SEC 1 2.3.3: 04, x, y. */
	point = key_bits(key_spki(ours));
	memcpy(out->x, point.p + 1, P256_LEN);
	memcpy(out->y, point.p + 1 + P256_LEN, P256_LEN);
	memcpy(out->z, z, P256_LEN);
	mem_wipe(z, sizeof(z));
	return 0;
}

/* A cipher that does not work leaves nothing to be sure of. */
static void
must(int ok)
{
	if (ok != 1)
		abort();
}

void
cipher_cfb(const uint8_t key[CIPHER_KEY_LEN], uint8_t *data, size_t n)
{
	static const uint8_t iv[16];
	static EVP_CIPHER *aes;
	AUTO_OSSL(EVP_CIPHER_CTX) ctx = EVP_CIPHER_CTX_new();
	int len = 0;

	if (aes == NULL)
		aes = EVP_CIPHER_fetch(NULL, "AES-128-CFB", NULL);
	must(aes != NULL && ctx != NULL && n <= INT_MAX);
	must(EVP_EncryptInit_ex2(ctx, aes, key, iv, NULL));
	must(EVP_EncryptUpdate(ctx, data, &len, data, (int)n));
	must(len == (int)n);
}

static const EVP_CIPHER *
aes_gcm(void)
{
	static EVP_CIPHER *aes;

	if (aes == NULL)
		aes = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	must(aes != NULL);
	return aes;
}

void
cipher_seal(struct buf *out, const uint8_t key[CIPHER_SEAL_KEY_LEN], struct bytes bound, struct bytes plain)
{
	AUTO_OSSL(EVP_CIPHER_CTX) ctx = EVP_CIPHER_CTX_new();
	AUTO_BUF text = { 0 };
	uint8_t nonce[NONCE_LEN], tag[TAG_LEN];
	int len = 0;

	must(ctx != NULL && plain.n <= INT_MAX && bound.n <= INT_MAX);
	rnd_bytes(nonce, sizeof(nonce));
	buf_put_bytes(&text, plain);
	must(EVP_EncryptInit_ex2(ctx, aes_gcm(), key, nonce, NULL));
	if (bound.n != 0)
		must(EVP_EncryptUpdate(ctx, NULL, &len, bound.p, (int)bound.n));
	if (text.n != 0)
		must(EVP_EncryptUpdate(ctx, text.p, &len, text.p, (int)text.n));
	must(EVP_EncryptFinal_ex(ctx, tag, &len)); /* writes nothing: GCM has no last block */
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, tag));
	buf_put(out, nonce, sizeof(nonce));
	buf_put_bytes(out, bytes_of_buf(&text));
	buf_put(out, tag, sizeof(tag));
}

int
cipher_open(struct buf *out, const uint8_t key[CIPHER_SEAL_KEY_LEN], struct bytes bound, struct bytes sealed, struct err *e)
{
	AUTO_OSSL(EVP_CIPHER_CTX) ctx = EVP_CIPHER_CTX_new();
	AUTO_BUF text = { 0 };
	uint8_t tag[TAG_LEN];
	int len = 0;

	if (sealed.n < CIPHER_SEAL_MORE || sealed.n > INT_MAX)
		return err_set(e, E_CRYPTO, "sealed secret: %zu octets are none", sealed.n);
	must(ctx != NULL && bound.n <= INT_MAX);
	memcpy(tag, sealed.p + sealed.n - TAG_LEN, TAG_LEN);
	buf_put_bytes(&text, bytes_slice(sealed, NONCE_LEN, sealed.n - CIPHER_SEAL_MORE));
	must(EVP_DecryptInit_ex2(ctx, aes_gcm(), key, sealed.p, NULL));
	if (bound.n != 0)
		must(EVP_DecryptUpdate(ctx, NULL, &len, bound.p, (int)bound.n));
	if (text.n != 0)
		must(EVP_DecryptUpdate(ctx, text.p, &len, text.p, (int)text.n));
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag));
	if (EVP_DecryptFinal_ex(ctx, tag, &len) != 1)
		return err_set(e, E_CRYPTO, "sealed secret: sealed with another key, for another use, or changed");
	buf_put_bytes(out, bytes_of_buf(&text));
	return 0;
}
