/* SPDX-License-Identifier: Apache-2.0 */
/* custody/custody.c - what a key may be asked, before a back end is */
#include "core/custody/custody.h"

#include "core/base/mem.h"
#include "core/custody/soft_key.h"

#define DIGEST_LEAST   20 /* SHA-1 */
#define IV_MOST        128
#define SEAL_TAG_LEN   16
#define SEALED_CURRENT 2
#define SEALED_LEGACY  1

void
custody_free(struct custody *c)
{
	if (c != NULL)
		c->ops->free(c);
}

void
custody_key_free(struct custody_key *k)
{
	if (k != NULL)
		k->ops->free(k);
}

enum custody_kind
custody_key_kind(const struct custody_key *k)
{
	return k->kind;
}

enum key_type
custody_key_type(const struct custody_key *k)
{
	return k->type;
}

struct bytes
custody_key_spki(const struct custody_key *k)
{
	return k->spki;
}

size_t
custody_secret_len(const struct custody_key *k)
{
	return k->secret_n;
}

int
custody_key_digest(uint8_t out[SHA256_LEN], const struct custody_key *k, struct err *e)
{
	if (k->kind == CUSTODY_SECRET)
		return custody_hmac(out, k, bytes_of("estuary: which key is this"), e);
	sha256(out, k->spki);
	return 0;
}

static bool
is_ec(enum key_type t)
{
	return t == KEY_EC_P256 || t == KEY_EC_P384 || t == KEY_EC_P521;
}

static bool
is_rsa(enum key_type t)
{
	return t == KEY_RSA_2048 || t == KEY_RSA_3072 || t == KEY_RSA_4096;
}

static int
cannot(const struct custody_key *k, const char *what, struct err *e)
{
	return err_set(e, E_USAGE, "%s: not with %s", what,
	    k->kind == CUSTODY_SECRET ? "a symmetric key" : key_type_name(k->type));
}

int
custody_sign_digest(struct buf *out, const struct custody_key *k, struct bytes digest, struct err *e)
{
	if (!is_ec(k->type) || k->ops->sign_digest == NULL)
		return cannot(k, "ECDSA", e);
	if (digest.n < DIGEST_LEAST || digest.n > DIGEST_MAX)
		return err_set(e, E_USAGE, "ECDSA: a digest of %d to %d octets is needed, not %zu", DIGEST_LEAST, DIGEST_MAX,
		    digest.n);
	return k->ops->sign_digest(out, k, digest, e);
}

int
custody_sign_message(struct buf *out, const struct custody_key *k, struct bytes message, struct err *e)
{
	if (k->type != KEY_ED25519 || k->ops->sign_message == NULL)
		return cannot(k, "EdDSA", e);
	if (message.n > CUSTODY_DATA_MAX)
		return err_set(e, E_TOOBIG, "EdDSA: more than %zu octets", CUSTODY_DATA_MAX);
	return k->ops->sign_message(out, k, message, e);
}

int
custody_rsa_private(struct buf *out, const struct custody_key *k, bool pkcs1, struct bytes in, struct err *e)
{
	if (!is_rsa(k->type) || k->ops->rsa_private == NULL)
		return cannot(k, pkcs1 ? "RSA-PKCS1" : "RSA-NO-PADDING", e);
	return k->ops->rsa_private(out, k, pkcs1, in, e);
}

int
custody_hmac(uint8_t out[CUSTODY_MAC_LEN], const struct custody_key *k, struct bytes message, struct err *e)
{
	if (k->kind != CUSTODY_SECRET || k->ops->hmac == NULL)
		return cannot(k, "HMAC-SHA256", e);
	if (message.n > CUSTODY_DATA_MAX)
		return err_set(e, E_TOOBIG, "HMAC-SHA256: more than %zu octets", CUSTODY_DATA_MAX);
	return k->ops->hmac(out, k, message, e);
}

static int
check_aead(const struct custody_key *k, struct bytes iv, size_t n, struct err *e)
{
	if (k->kind != CUSTODY_SECRET || k->ops->seal == NULL || k->ops->open == NULL)
		return cannot(k, "AEAD", e);
	if (iv.n == 0 || iv.n > IV_MOST)
		return err_set(e, E_USAGE, "AEAD: an iv of 1 to %d octets is needed, not %zu", IV_MOST, iv.n);
	if (n > CUSTODY_DATA_MAX)
		return err_set(e, E_TOOBIG, "AEAD: more than %zu octets", CUSTODY_DATA_MAX);
	return 0;
}

int
custody_seal(struct buf *out, const struct custody_key *k, struct bytes iv, struct bytes aad, struct bytes plain,
    struct err *e)
{
	AUTO_BUF sealed = { 0 };
	int r = check_aead(k, iv, plain.n, e);

	if (r != 0 || (r = k->ops->seal(&sealed, k, iv, aad, plain, e)) != 0)
		return r;
	buf_put_u8(out, SEALED_CURRENT);
	buf_put_bytes(out, bytes_of_buf(&sealed));
	return 0;
}

int
custody_open(struct buf *out, const struct custody_key *k, struct bytes iv, struct bytes aad, struct bytes cipher,
    struct err *e)
{
	AUTO_BUF turned = { 0 };
	int r = check_aead(k, iv, cipher.n, e);

	if (r != 0)
		return r;
	if (cipher.n < 1 + SEAL_TAG_LEN)
		return err_set(e, E_USAGE, "AEAD: cipher text of %zu octets", cipher.n);
	if (cipher.p[0] == SEALED_CURRENT)
		return k->ops->open(out, k, iv, aad, bytes_slice(cipher, 1, cipher.n), e);
	if (cipher.p[0] != SEALED_LEGACY)
		return err_set(e, E_USAGE, "AEAD: cipher text of an unknown form");
	buf_put_bytes(&turned, bytes_slice(cipher, 1 + SEAL_TAG_LEN, cipher.n));
	buf_put_bytes(&turned, bytes_slice(cipher, 1, SEAL_TAG_LEN));
	return k->ops->open(out, k, iv, aad, bytes_of_buf(&turned), e);
}

int
custody_derive(struct custody_key **out, const struct custody_key *base, struct bytes data, struct err *e)
{
	uint8_t secret[CUSTODY_MAC_LEN];
	int r = custody_hmac(secret, base, data, e);

	if (r == 0)
		*out = soft_key_of_secret((struct bytes){ secret, sizeof(secret) });
	mem_wipe(secret, sizeof(secret));
	return r;
}
