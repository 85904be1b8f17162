/* SPDX-License-Identifier: Apache-2.0 */
/* provider/signing.h - one signature with a held key: its parameters, its digest, the question to the Keys Service */
#ifndef DEVICE_PROVIDER_SIGNING_H
#define DEVICE_PROVIDER_SIGNING_H

#include "device/provider/pkey.h"

struct signing;

/* k must be held and outlive it.  Starts with PKCS#1 v1.5 for RSA, and no digest. */
struct signing *signing_new(const struct pkey *k);
struct signing *signing_copy(const struct signing *s);
void signing_free(struct signing *s);
/* SHA-256, SHA-384 or SHA-512; NULL or "": SHA-256.  Ed25519 takes none.  E_USAGE. */
int signing_set_digest(struct signing *s, const char *name, struct err *e) MUST_CHECK;
/* OSSL_SIGNATURE_PARAM_*: digest, pad-mode, mgf1-digest, saltlen; algorithm-id is read only.  Others are left alone. */
int signing_set_params(struct signing *s, const OSSL_PARAM params[], struct err *e) MUST_CHECK;
int signing_get_params(const struct signing *s, OSSL_PARAM params[], struct err *e) MUST_CHECK;
/* The most octets that a signature takes. */
size_t signing_max(const struct signing *s);
/* Hash what is signed; update as often as needed. */
int signing_begin(struct signing *s, struct err *e) MUST_CHECK;
int signing_update(struct signing *s, struct bytes data, struct err *e) MUST_CHECK;
/* Append the signature of what was hashed. */
int signing_finish(struct buf *sig, struct signing *s, struct err *e) MUST_CHECK;
/*
 * Append the signature of a digest; without one set, of the octets themselves.  Ed25519: of the message.  It is verified
 * before: E_FORMAT when the service's answer is not the key's.
 */
int signing_sign(struct buf *sig, const struct signing *s, struct bytes in, struct err *e) MUST_CHECK;

#endif
