/* SPDX-License-Identifier: Apache-2.0 */
/* provision/tpm.h - attestation by a TPM 2.0: its keys read, a secret wrapped for it alone */
#ifndef SERVER_PROVISION_TPM_H
#define SERVER_PROVISION_TPM_H

#include "core/pki/key.h"

/*
 * What is proved, and how.  A device sends two public keys of its TPM: the endorsement
 * key (EK), which its maker put there and which never leaves, and the storage root key
 * (SRK), below which the TPM keeps other keys.  We answer with an HMAC key that only a TPM
 * can open that holds the EK and has the very SRK loaded.  A device that then signs
 * with that key is the one whose EK was enrolled.
 *
 * Whose EK it is, these functions do not know: the caller compares its name with the one that was
 * enrolled, gives each answer a secret of its own, and takes that secret once.
 *
 * Names in capitals are those of the TPM 2.0 Library, Part 2 (structures).
 */

#define TPM_PUBLIC_MAX 512 /* octets of a TPM2B_PUBLIC that we look at; ours have 316 at most */
#define TPM_NAME_LEN   34  /* octets of a name: the algorithm's number, SHA-256 */
#define TPM_SPKI_MAX   320 /* octets of an RSA-2048 SubjectPublicKeyInfo are 294, of P-256 91 */
#define TPM_SECRET_MIN 16  /* octets of an HMAC key: as many as DPS takes */
#define TPM_SECRET_MAX 64  /* and as a TPM loads: a block of SHA-256 */
#define TPM_BLOB_MAX   2048 /* octets that tpm_wrap() appends at most; 800 at most for RSA */

/* A public key of a TPM that was judged. */
struct tpm_key {
	enum key_type type;             /* KEY_RSA_2048 or KEY_EC_P256 */
	size_t spki_n;
	uint8_t spki[TPM_SPKI_MAX];     /* SubjectPublicKeyInfo, its first spki_n octets */
	uint8_t name[TPM_NAME_LEN];     /* Part 1, 16: nameAlg and SHA-256 of the TPMT_PUBLIC */
};

/* Two types, so that neither is taken for the other. */
struct tpm_ek {
	struct tpm_key key;
};

struct tpm_srk {
	struct tpm_key key;
};

/*
 * Read an endorsement key: one TPM2B_PUBLIC, nothing after it, exactly as the default
 * templates L-1 (RSA-2048) and L-2 (P-256) of the TCG EK Credential Profile make it: restricted
 * decryption key that stays in its TPM, SHA-256, AES-128-CFB, to be used by
 * PolicySecret(endorsement) alone.  Then the key itself: a modulus of 2048 bits
 * that is not known to be weak (key_check_weak(): ROCA was a fault of TPMs), exponent 65537;
 * a point on the curve.
 * E_FORMAT: cut off, too long, sizes that do not fit.  E_POLICY: another kind of key.
 * E_CRYPTO.  *out is written only on success.
 */
int tpm_ek_read(struct tpm_ek *out, struct bytes tpm2b_public, struct err *e) MUST_CHECK;

/*
 * The same for a storage root key: the TCG's template for it, with or without noDA.
 * fixedTPM, restricted and decrypt are its promise: the TPM made it, and opens with it only
 * what becomes another key below it.  The credential is for its name, which contains them.
 */
int tpm_srk_read(struct tpm_srk *out, struct bytes tpm2b_public, struct err *e) MUST_CHECK;

/*
 * Append DPS's authenticationKey: the HMAC key `secret` (TPM_SECRET_MIN to _MAX octets) for the
 * TPM of ek and srk.  Six structures, one after the other:
 *
 *   TPM2B_ID_OBJECT         credential: the inner wrapper's key, for srk's name
 *   TPM2B_ENCRYPTED_SECRET  the credential's seed, to ek ("IDENTITY")
 *   TPM2B_PRIVATE           the HMAC key as a duplicate, with inner and outer wrapper
 *   TPM2B_ENCRYPTED_SECRET  the outer wrapper's seed, to srk ("DUPLICATE")
 *   TPM2B_PUBLIC            of the HMAC key: keyed hash, HMAC-SHA256, no authorisation value
 *   TPM2B_DATA              empty; DPS keeps something there that only its own clients once
 *                           read, and some of them insist that it is present
 *
 * The device: PolicySecret(endorsement), ActivateCredential(srk, ek, 1, 2) gives the inner key,
 * Import(srk, inner key, 5, 3, 4, AES-128-CFB), Load.  Every call draws new keys and
 * seeds, so no two answers are alike.
 * E_POLICY for a secret of another length, E_CRYPTO; then out is as it was.
 */
int tpm_wrap(struct buf *out, const struct tpm_ek *ek, const struct tpm_srk *srk,
    struct bytes secret, struct err *e) MUST_CHECK;

#endif
