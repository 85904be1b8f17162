/* SPDX-License-Identifier: Apache-2.0 */
/* provider/init.c - what the provider offers */
#include "device/provider/init.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include <string.h>

#include "device/provider/decoder.h"
#include "device/provider/pkey.h"
#include "device/provider/provider.h"

#define PROPERTIES "provider=" PROVIDER_NAME
#define EC         "EC:id-ecPublicKey:1.2.840.10045.2.1"
#define RSA        "RSA:rsaEncryption:1.2.840.113549.1.1.1"
#define ED25519    "ED25519:1.3.101.112"

static const OSSL_ALGORITHM keymgmt[] = {
	{ EC, PROPERTIES, keymgmt_ec, "EC keys, and those of the Keys Service" },
	{ RSA, PROPERTIES, keymgmt_rsa, "RSA keys, and those of the Keys Service" },
	{ ED25519, PROPERTIES, keymgmt_ed25519, "Ed25519 keys, and those of the Keys Service" },
	{ NULL },
};
static const OSSL_ALGORITHM signature[] = {
	{ "ECDSA", PROPERTIES, signature_any, "ECDSA" },
	{ RSA, PROPERTIES, signature_any, "RSA PKCS#1 v1.5 and PSS" },
	{ ED25519, PROPERTIES, signature_any, "Ed25519" },
	{ NULL },
};
/* A first step must be called "DER" to be found by those who read files of any kind (OSSL_STORE). */
static const OSSL_ALGORITHM decoder[] = {
	{ "DER", PROPERTIES ",input=pem", decoder_pem, "PEM files that name a key" },
	{ EC, PROPERTIES ",input=der,structure=" DECODER_STRUCTURE, decoder_ec, "names of EC keys" },
	{ RSA, PROPERTIES ",input=der,structure=" DECODER_STRUCTURE, decoder_rsa, "names of RSA keys" },
	{ ED25519, PROPERTIES ",input=der,structure=" DECODER_STRUCTURE, decoder_ed25519, "names of Ed25519 keys" },
	{ NULL },
};
static const OSSL_ALGORITHM store[] = {
	{ "keyd", PROPERTIES, store_keyd, "keys of the Keys Service by URI" },
	{ NULL },
};

static const OSSL_ALGORITHM *
query(void *provctx, int operation, int *no_cache)
{
	(void)provctx;
	*no_cache = 0;
	switch (operation) {
	case OSSL_OP_KEYMGMT:
		return keymgmt;
	case OSSL_OP_SIGNATURE:
		return signature;
	case OSSL_OP_DECODER:
		return decoder;
	case OSSL_OP_STORE:
		return store;
	default:
		return NULL;
	}
}

static const OSSL_PARAM *
gettable(void *provctx)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_DEFN(OSSL_PROV_PARAM_NAME, OSSL_PARAM_UTF8_PTR, NULL, 0),
		OSSL_PARAM_DEFN(OSSL_PROV_PARAM_VERSION, OSSL_PARAM_UTF8_PTR, NULL, 0),
		OSSL_PARAM_DEFN(OSSL_PROV_PARAM_STATUS, OSSL_PARAM_INTEGER, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)provctx;
	return params;
}

static int
get_params(void *provctx, OSSL_PARAM params[])
{
	OSSL_PARAM *name = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_NAME);
	OSSL_PARAM *version = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_VERSION);
	OSSL_PARAM *status = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_STATUS);

	(void)provctx;
	return (name == NULL || OSSL_PARAM_set_utf8_ptr(name, "Estuary Keys Service Provider") == 1) &&
	    (version == NULL || OSSL_PARAM_set_utf8_ptr(version, ESTUARY_VERSION) == 1) &&
	    (status == NULL || OSSL_PARAM_set_int(status, 1) == 1);
}

static const OSSL_ITEM *
get_reasons(void *provctx)
{
	(void)provctx;
	return context_reasons();
}

/*
 * libssl takes a group for TLS only from the provider that it gets the group's keys from.  Where we come first
 * that is us for the EC groups; the others that we name here it ignores, and all of them where we come last.
 */
static int
get_capabilities(void *provctx, const char *capability, OSSL_CALLBACK *cb, void *cbarg)
{
	const struct context *c = provctx;

	if (strcmp(capability, "TLS-GROUP") != 0)
		return 1;
	return OSSL_PROVIDER_get_capabilities(c->standard, capability, cb, cbarg);
}

static void
teardown(void *provctx)
{
	context_free(provctx);
}

int
provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **provctx)
{
	static const OSSL_DISPATCH functions[] = {
		{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
		{ OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, (void (*)(void))gettable },
		{ OSSL_FUNC_PROVIDER_GET_PARAMS, (void (*)(void))get_params },
		{ OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))get_capabilities },
		{ OSSL_FUNC_PROVIDER_GET_REASON_STRINGS, (void (*)(void))get_reasons },
		{ OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))teardown },
		{ 0, NULL },
	};
	struct context *c = context_new(handle, in);

	if (c == NULL)
		return 0;
	*provctx = c;
	*out = functions;
	return 1;
}
