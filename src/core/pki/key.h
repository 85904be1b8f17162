/* SPDX-License-Identifier: Apache-2.0 */
/* pki/key.h - public keys judged from DER alone, private keys in memory and in files */
#ifndef CORE_PKI_KEY_H
#define CORE_PKI_KEY_H

#include <openssl/types.h>

#include "core/base/bytes.h"
#include "core/pki/oid.h"

enum key_type {
	KEY_NONE, KEY_EC_P256, KEY_EC_P384, KEY_EC_P521, KEY_RSA_2048, KEY_RSA_3072, KEY_RSA_4096, KEY_ED25519,
	KEY_TYPE_COUNT
};

#define KEY_SPKI_MAX 800  /* octets of the largest SubjectPublicKeyInfo that we take */
#define KEY_SIG_MAX  600  /* octets of the largest signature */
#define SHA256_LEN   32

const char *key_type_name(enum key_type t);        /* "ec-p256", "rsa-2048", "ed25519" */
enum key_type key_type_by_name(const char *name);  /* KEY_NONE when unknown */

/*
 * Judge a SubjectPublicKeyInfo (whole TLV, der_check()ed) without any big-number
 * arithmetic: algorithm and parameters exact; EC named curve, uncompressed point
 * of the right length, not infinity; RSA modulus exactly 2048, 3072 or 4096 bits, odd,
 * exponent 65537; Ed25519 32 octets.  E_POLICY for a well-formed key that we do
 * not take ("rsa key of 1024 bits: 2048, 3072 or 4096 needed"), E_FORMAT otherwise.
 */
int key_judge(enum key_type *out, struct bytes spki, struct err *e) MUST_CHECK;
/* A weak RSA modulus that arithmetic shows cheaply: ROCA fingerprint, small factors, close primes (few Fermat steps).  E_POLICY. */
int key_check_weak(enum key_type t, struct bytes spki, struct err *e) MUST_CHECK;
/* The SPKI's subjectPublicKey BIT STRING contents: what SKI hashes (RFC 5280 4.2.1.2 method 1). */
struct bytes key_bits(struct bytes spki);
/* The modulus of an RSA key, big-endian without leading zeros, borrowed.  E_FORMAT. */
int key_rsa_modulus(struct bytes *out, struct bytes spki, struct err *e) MUST_CHECK;

/* EVP_PKEY from a judged SPKI by EVP_PKEY_fromdata (not the decoders: on OpenSSL 3.0 they cost more than the signature).
 * The EC point is checked to be on its curve.  E_CRYPTO, E_FORMAT.  Free with EVP_PKEY_free. */
int key_public(EVP_PKEY **out, enum key_type t, struct bytes spki, struct err *e) MUST_CHECK;

/* A private key with everything that signing needs, held ready. */
struct key;
int key_generate(struct key **out, enum key_type t, struct err *e) MUST_CHECK;
int key_from_pem(struct key **out, struct bytes pem, struct err *e) MUST_CHECK; /* PKCS#8 or traditional, not encrypted */
int key_from_evp(struct key **out, EVP_PKEY *pkey, struct err *e) MUST_CHECK;   /* takes a reference */
/* Append PKCS#8 PEM; out should be freed (it wipes).  E_CRYPTO, and nothing is appended, when its provider keeps it. */
int key_to_pem(struct buf *out, const struct key *k, struct err *e) MUST_CHECK;
void key_free(struct key *k);
AUTO_DEFINE(key, key_free)
enum key_type key_get_type(const struct key *k);
struct bytes key_spki(const struct key *k);        /* borrowed */
EVP_PKEY *key_evp(const struct key *k);            /* borrowed */
/* The signature algorithm that this key uses: ECDSA by curve size, RSA PKCS#1 v1.5 with SHA-256, Ed25519. */
enum oid key_sig_alg(enum key_type t);
/* Append the AlgorithmIdentifier of a signature algorithm (parameters as RFC 5758, 8410, 4055 want). */
void key_put_sig_alg(struct buf *out, enum oid alg);
/* Sign; the signature is appended to out. */
int key_sign(struct buf *out, const struct key *k, struct bytes data, struct err *e) MUST_CHECK;
/* Verify with a public key; alg is what the message says and must fit the key type.  E_AUTH when it does not verify. */
int key_verify(EVP_PKEY *pub, enum key_type t, enum oid alg, struct bytes data, struct bytes sig,
    struct err *e) MUST_CHECK;

/* The same with the key of a judged SPKI that is not needed again: what key_public() and key_verify() do, without making a key. */
int key_verify_once(enum key_type t, struct bytes spki, enum oid alg, struct bytes data, struct bytes sig,
    struct err *e) MUST_CHECK;

/* Is alg one that we take (E_POLICY otherwise), and of a key of type t? */
int key_check_sig_alg(enum key_type t, enum oid alg, struct err *e) MUST_CHECK;

/* Digests; these cannot fail (failure ends the process). */
void sha256(uint8_t out[SHA256_LEN], struct bytes data);
void sha256_two(uint8_t out[SHA256_LEN], struct bytes a, struct bytes b); /* of a followed by b */
void sha1(uint8_t out[20], struct bytes data);                            /* key identifiers only */
void hmac_sha256(uint8_t out[SHA256_LEN], struct bytes key, struct bytes data);

#define DIGEST_MAX 64
/* The name of a signature algorithm's digest, as OpenSSL calls it; NULL: it has none (Ed25519). */
const char *digest_name(enum oid sig_alg);
/* That digest of data; its octets.  sig_alg must have one. */
size_t digest_for(uint8_t out[DIGEST_MAX], enum oid sig_alg, struct bytes data);

#endif
