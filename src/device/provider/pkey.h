/* SPDX-License-Identifier: Apache-2.0 */
/* provider/pkey.h - what OpenSSL holds as a key of this provider: a pair of the Keys Service, or any other key */
#ifndef DEVICE_PROVIDER_PKEY_H
#define DEVICE_PROVIDER_PKEY_H

#include <openssl/core_dispatch.h>
#include <openssl/types.h>

#include <stdatomic.h>

#include "core/pki/key.h"
#include "device/provider/context.h"
#include "device/provider/held.h"

/* What a kind of key is called. */
struct kind {
	const char *name;       /* of the key: "EC" */
	const char *signature;  /* of its signatures: "ECDSA" */
	const char *exchange;   /* of its key agreement; NULL: none */
	bool domain;            /* it has domain parameters of its own (a curve) */
};

extern const struct kind kind_ec, kind_rsa, kind_ed25519;

/*
 * OpenSSL asks the provider that comes first for "EC" whatever the key is to be for: ephemeral keys of TLS, keys of
 * certificates.  So every key is one of the context's own, made and used there by OpenSSL's default provider; what
 * distinguishes a held one is that its private half is not in it.
 */
struct pkey {
	atomic_uint refs;
	struct context *ctx;    /* borrowed */
	const struct kind *kind;
	EVP_PKEY *evp;          /* of ctx->lib, public when held; NULL: nothing yet */
	int has;                /* OSSL_KEYMGMT_SELECT_* that are there */
	struct held *held;      /* NULL: no key of the Keys Service */
	enum key_type type;     /* of a held one */
};

/* An empty key. */
struct pkey *pkey_new(struct context *ctx, const struct kind *kind);
struct pkey *pkey_ref(struct pkey *k);
void pkey_free(struct pkey *k);
AUTO_DEFINE(pkey, pkey_free)
/* The pair that a URI names: loaded, its public key judged as key_judge() does.  Errors as held_open(), E_CRYPTO. */
int pkey_open(struct pkey **out, struct context *ctx, const struct uri *u, struct err *e) MUST_CHECK;
/* A copy of what `selection` names, or NULL. */
struct pkey *pkey_copy(const struct pkey *k, int selection);
/*
 * Show a key to OpenSSL as an object reference, by a callback of OSSL_FUNC_store_load() or _decoder_decode().
 * pkey_take() is the other end, for OSSL_FUNC_keymgmt_load().  What nobody takes is freed.
 */
int pkey_give(struct pkey *k, OSSL_CALLBACK *cb, void *cbarg);
struct pkey *pkey_take(const void *reference, size_t size, const struct kind *kind);

extern const OSSL_DISPATCH keymgmt_ec[], keymgmt_rsa[], keymgmt_ed25519[];
extern const OSSL_DISPATCH signature_any[];
extern const OSSL_DISPATCH decoder_pem[], decoder_ec[], decoder_rsa[], decoder_ed25519[];
extern const OSSL_DISPATCH store_keyd[];

#endif
