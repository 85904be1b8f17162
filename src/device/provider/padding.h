/* SPDX-License-Identifier: Apache-2.0 */
/* provider/padding.h - what RFC 8017 puts around a digest before the private RSA operation */
#ifndef DEVICE_PROVIDER_PADDING_H
#define DEVICE_PROVIDER_PADDING_H

#include <openssl/types.h>

#include "core/pki/oid.h"

#define PADDING_MODULUS_MAX ((size_t)512) /* octets */

/* SHA-2 as the name of a digest, or OID_UNKNOWN. */
enum oid padding_digest_oid(const EVP_MD *md);
/* Append the AlgorithmIdentifier of a digest, with NULL as parameters (RFC 4055 2.1). */
void padding_put_digest(struct buf *out, enum oid digest);
/* Append the DigestInfo (RFC 8017 9.2 step 2). */
void padding_digest_info(struct buf *out, enum oid digest, struct bytes hash);
/* Append the AlgorithmIdentifier of RSASSA-PSS (RFC 4055 3.1; defaults are those of SHA-1, so all is written). */
void padding_put_pss(struct buf *out, enum oid digest, enum oid mgf1, size_t salt_len);

/*
 * Append EMSA-PSS (RFC 8017 9.1.1) of a digest for a modulus of `modulus_len` whole octets, MGF1 with mgf1.
 * E_USAGE when it does not fit, E_CRYPTO.
 */
int padding_pss(struct buf *out, const EVP_MD *md, const EVP_MD *mgf1, size_t modulus_len, size_t salt_len,
    struct bytes hash, struct err *e) MUST_CHECK;

#endif
