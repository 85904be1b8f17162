/* SPDX-License-Identifier: Apache-2.0 */
/* pki/cipher.h - secrets for one recipient: RSA-OAEP, a one-off P-256 agreement, AES-128-CFB; secrets at rest: AES-256-GCM */
#ifndef CORE_PKI_CIPHER_H
#define CORE_PKI_CIPHER_H

#include "core/pki/key.h"

#define CIPHER_KEY_LEN 16 /* octets of an AES-128 key */
#define P256_LEN       32 /* octets of a coordinate on P-256 */

/*
 * Can a secret be sealed to this judged key?  RSA, and P-256 when the point is on
 * its curve; the modulus is not looked at (key_check_weak()).  E_POLICY for another
 * type, E_FORMAT for a point elsewhere, E_CRYPTO.
 */
int cipher_check_key(enum key_type t, struct bytes spki, struct err *e) MUST_CHECK;

/*
 * Append RSAES-OAEP (RFC 8017 7.1.1) of `plain` to a judged RSA key: SHA-256 for both
 * hashes, the label as it is given, a NUL that belongs to it included.  As long as the
 * modulus.  E_POLICY when the key is no RSA key, E_CRYPTO; then out is as it was.
 */
int cipher_oaep(struct buf *out, enum key_type t, struct bytes spki, struct bytes label,
    struct bytes plain, struct err *e) MUST_CHECK;

/* What a key made for this once and a recipient's key have in common. */
struct cipher_agreed {
	uint8_t x[P256_LEN], y[P256_LEN]; /* our point, for the recipient */
	uint8_t z[P256_LEN];              /* the secret: x of the common point; to be wiped */
};

/*
 * Agree with the holder of a judged P-256 key (SP 800-56A 6.2.2, one-pass).  Our private key is
 * gone when this returns.  E_POLICY when it is no P-256 key, E_FORMAT when its point is on no
 * such curve, E_CRYPTO; then *out is as it was.
 */
int cipher_agree(struct cipher_agreed *out, enum key_type t, struct bytes spki, struct err *e) MUST_CHECK;

/*
 * Encrypt `data` in place by AES-128 in CFB mode with 128 bits of feedback (SP 800-38A 6.3)
 * and an initialisation vector of zeroes: only with a key that never encrypts anything else.
 * Nothing is authenticated.  Cannot fail (failure ends the process).
 */
void cipher_cfb(const uint8_t key[CIPHER_KEY_LEN], uint8_t *data, size_t n);

#define CIPHER_SEAL_KEY_LEN 32                /* octets of an AES-256 key */
#define CIPHER_SEAL_MORE    ((size_t)12 + 16) /* octets that sealing adds: nonce, tag */

/*
 * Append nonce, ciphertext and tag of `plain` by AES-256-GCM (SP 800-38D), the nonce drawn at random: good for 2^32
 * secrets under one key.  `bound` is authenticated and not stored.  Cannot fail (failure ends the process).
 */
void cipher_seal(struct buf *out, const uint8_t key[CIPHER_SEAL_KEY_LEN], struct bytes bound, struct bytes plain);
/* Append what was sealed with this key and `bound`.  E_CRYPTO: it was not, or it was changed; then out is as it was. */
int cipher_open(struct buf *out, const uint8_t key[CIPHER_SEAL_KEY_LEN], struct bytes bound, struct bytes sealed,
    struct err *e) MUST_CHECK;

#endif
