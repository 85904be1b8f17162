/* SPDX-License-Identifier: Apache-2.0 */
/* provider/keymgmt.c - OSSL_OP_KEYMGMT: keys asked, compared, imported and exported */
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "core/base/mem.h"
#include "core/pki/ossl.h"
#include "device/provider/keygen.h"
#include "device/provider/pkey.h"

AUTO_DEFINE_OSSL(EVP_KEYMGMT, EVP_KEYMGMT_free)

#define PUBLIC  OSSL_KEYMGMT_SELECT_PUBLIC_KEY
#define PRIVATE OSSL_KEYMGMT_SELECT_PRIVATE_KEY
#define DOMAIN  OSSL_KEYMGMT_SELECT_DOMAIN_PARAMETERS

static void
keymgmt_free(void *key)
{
	pkey_free(key);
}

/* OpenSSL asks this of no key, too: of an EVP_PKEY that has a type and nothing else. */
static int
keymgmt_has(const void *key, int selection)
{
	const struct pkey *k = key;
	int matters;

	if (k == NULL)
		return 0;
	matters = PUBLIC | PRIVATE | (k->kind->domain ? DOMAIN : 0);
	return (selection & matters & ~k->has) == 0;
}

/* What the public half answers is all there is to tell of a held key. */
static int
keymgmt_get_params(void *key, OSSL_PARAM params[])
{
	struct pkey *k = key;

	return k != NULL && k->evp != NULL ? EVP_PKEY_get_params(k->evp, params) : 0;
}

static bool
holds(const OSSL_PARAM *params, const char *name)
{
	return OSSL_PARAM_locate_const(params, name) != NULL;
}

static int
keymgmt_set_params(void *key, const OSSL_PARAM params[])
{
	struct pkey *k = key;
	bool has_point = holds(params, OSSL_PKEY_PARAM_PUB_KEY) ||
	    holds(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY);
	const struct err held = { E_USAGE, "keyd: the key's public half cannot be changed" };

	if (k == NULL || k->evp == NULL)
		return 0;
	if (has_point && k->held != NULL)
		return context_fail(k->ctx, &held);
	if (EVP_PKEY_set_params(k->evp, (OSSL_PARAM *)(uintptr_t)params) != 1)
		return 0;
	if (has_point)
		k->has |= PUBLIC;
	return 1;
}

static int
keymgmt_match(const void *a, const void *b, int selection)
{
	const struct pkey *x = a, *y = b;

	if (x == NULL || y == NULL || x->evp == NULL || y->evp == NULL)
		return 0;
	if ((selection & (PUBLIC | PRIVATE)) != 0)
		return EVP_PKEY_eq(x->evp, y->evp) == 1;
	return !x->kind->domain || EVP_PKEY_parameters_eq(x->evp, y->evp) == 1;
}

/* That a held private half fits its public one is shown by every signature of it. */
static int
keymgmt_validate(const void *key, int selection, int checktype)
{
	const struct pkey *k = key;
	AUTO_OSSL(EVP_PKEY_CTX) c = NULL;
	bool private, public = (selection & PUBLIC) != 0;
	int ok = 1;

	if (k != NULL && k->evp != NULL)
		c = EVP_PKEY_CTX_new_from_pkey(k->ctx->lib, k->evp, NULL);
	if (c == NULL)
		return 0;
	private = (selection & PRIVATE) != 0 && k->held == NULL;
	if ((selection & DOMAIN) != 0 && k->kind->domain)
		ok = EVP_PKEY_param_check(c);
	if (ok == 1 && private && public)
		ok = EVP_PKEY_check(c);
	else if (ok == 1 && private)
		ok = EVP_PKEY_private_check(c);
	else if (ok == 1 && public)
		ok = checktype == OSSL_KEYMGMT_VALIDATE_QUICK_CHECK ? EVP_PKEY_public_check_quick(c)
		    : EVP_PKEY_public_check(c);
	return ok == 1;
}

static int
parts_of(const OSSL_PARAM *params)
{
	int has = OSSL_KEYMGMT_SELECT_OTHER_PARAMETERS;

	if (holds(params, OSSL_PKEY_PARAM_PRIV_KEY) || holds(params, OSSL_PKEY_PARAM_RSA_D))
		has |= PRIVATE;
	if (holds(params, OSSL_PKEY_PARAM_PUB_KEY) || holds(params, OSSL_PKEY_PARAM_RSA_N))
		has |= PUBLIC;
	if (holds(params, OSSL_PKEY_PARAM_GROUP_NAME) || holds(params, OSSL_PKEY_PARAM_EC_P))
		has |= DOMAIN;
	/* RFC 8032 5.1.5: OpenSSL computes the public half of a private one. */
	if ((has & PRIVATE) != 0 && !holds(params, OSSL_PKEY_PARAM_GROUP_NAME))
		has |= PUBLIC;
	return has;
}

static int
keymgmt_import(void *key, int selection, const OSSL_PARAM params[])
{
	struct pkey *k = key;
	AUTO_OSSL(EVP_PKEY_CTX) c = EVP_PKEY_CTX_new_from_name(k->ctx->lib, k->kind->name, NULL);
	EVP_PKEY *evp = NULL;

	if (c == NULL || EVP_PKEY_fromdata_init(c) != 1 ||
	    EVP_PKEY_fromdata(c, &evp, selection, (OSSL_PARAM *)(uintptr_t)params) != 1)
		return 0;
	EVP_PKEY_free(k->evp);
	k->evp = evp;
	k->has = parts_of(params) & selection;
	return 1;
}

/* A private key of the Keys Service stays there: also no half of it is given when all was asked for. */
static int
keymgmt_export(void *key, int selection, OSSL_CALLBACK *cb, void *cbarg)
{
	struct pkey *k = key;
	const struct err kept = { E_USAGE, "keyd: the private key does not leave the Keys Service" };

	if (k == NULL || k->evp == NULL)
		return 0;
	if (k->held != NULL && (selection & PRIVATE) != 0)
		return context_fail(k->ctx, &kept);
	return EVP_PKEY_export(k->evp, selection, cb, cbarg);
}

static void *
keymgmt_dup(const void *key, int selection)
{
	return key != NULL ? pkey_copy(key, selection) : NULL;
}

/* Which algorithm of an operation goes with the keys. */
static const char *
operation(const struct kind *kind, int op)
{
	if (op == OSSL_OP_SIGNATURE)
		return kind->signature;
	return op == OSSL_OP_KEYEXCH ? kind->exchange : kind->name;
}

/* The default provider's tables; they live as long as it is loaded, and that is as long as we are. */
typedef const OSSL_PARAM *table_fn(const EVP_KEYMGMT *);

static const OSSL_PARAM *
table(struct context *ctx, const struct kind *kind, table_fn *fn)
{
	AUTO_OSSL(EVP_KEYMGMT) m = EVP_KEYMGMT_fetch(ctx->lib, kind->name, NULL);

	return m != NULL ? fn(m) : NULL;
}

#define BN(name)    OSSL_PARAM_BN(name, NULL, 0)
#define TEXT(name)  OSSL_PARAM_utf8_string(name, NULL, 0)
#define OCTET(name) OSSL_PARAM_octet_string(name, NULL, 0)

static const OSSL_PARAM types_ec[] = {
	TEXT(OSSL_PKEY_PARAM_GROUP_NAME), TEXT(OSSL_PKEY_PARAM_EC_ENCODING),
	TEXT(OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT), TEXT(OSSL_PKEY_PARAM_EC_FIELD_TYPE),
	BN(OSSL_PKEY_PARAM_EC_P), BN(OSSL_PKEY_PARAM_EC_A), BN(OSSL_PKEY_PARAM_EC_B),
	OCTET(OSSL_PKEY_PARAM_EC_GENERATOR), BN(OSSL_PKEY_PARAM_EC_ORDER), BN(OSSL_PKEY_PARAM_EC_COFACTOR),
	OCTET(OSSL_PKEY_PARAM_PUB_KEY), BN(OSSL_PKEY_PARAM_PRIV_KEY), OSSL_PARAM_END,
};
static const OSSL_PARAM types_rsa[] = {
	BN(OSSL_PKEY_PARAM_RSA_N), BN(OSSL_PKEY_PARAM_RSA_E), BN(OSSL_PKEY_PARAM_RSA_D),
	BN(OSSL_PKEY_PARAM_RSA_FACTOR1), BN(OSSL_PKEY_PARAM_RSA_FACTOR2),
	BN(OSSL_PKEY_PARAM_RSA_EXPONENT1), BN(OSSL_PKEY_PARAM_RSA_EXPONENT2),
	BN(OSSL_PKEY_PARAM_RSA_COEFFICIENT1), OSSL_PARAM_END,
};
static const OSSL_PARAM types_ed25519[] = {
	OCTET(OSSL_PKEY_PARAM_PUB_KEY), OCTET(OSSL_PKEY_PARAM_PRIV_KEY), OSSL_PARAM_END,
};

/* One kind: the functions that are told nothing but the provider, and the table. */
#define KEYMGMT(K)                                                                              \
	static void *new_##K(void *ctx) { return pkey_new(ctx, &kind_##K); }                    \
	static void *load_##K(const void *ref, size_t n) { return pkey_take(ref, n, &kind_##K); } \
	static void *gen_init_##K(void *ctx, int selection, const OSSL_PARAM params[])          \
	{ return keygen_new(ctx, &kind_##K, selection, params); }                               \
	static const OSSL_PARAM *gettable_##K(void *ctx)                                        \
	{ return table(ctx, &kind_##K, EVP_KEYMGMT_gettable_params); }                          \
	static const OSSL_PARAM *settable_##K(void *ctx)                                        \
	{ return table(ctx, &kind_##K, EVP_KEYMGMT_settable_params); }                          \
	static const OSSL_PARAM *types_of_##K(int selection) { (void)selection; return types_##K; } \
	static const char *operation_##K(int op) { return operation(&kind_##K, op); }           \
	const OSSL_DISPATCH keymgmt_##K[] = {                                                   \
		{ OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))new_##K },                             \
		{ OSSL_FUNC_KEYMGMT_FREE, (void (*)(void))keymgmt_free },                       \
		{ OSSL_FUNC_KEYMGMT_LOAD, (void (*)(void))load_##K },                           \
		{ OSSL_FUNC_KEYMGMT_DUP, (void (*)(void))keymgmt_dup },                         \
		{ OSSL_FUNC_KEYMGMT_HAS, (void (*)(void))keymgmt_has },                         \
		{ OSSL_FUNC_KEYMGMT_MATCH, (void (*)(void))keymgmt_match },                     \
		{ OSSL_FUNC_KEYMGMT_VALIDATE, (void (*)(void))keymgmt_validate },               \
		{ OSSL_FUNC_KEYMGMT_GET_PARAMS, (void (*)(void))keymgmt_get_params },           \
		{ OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (void (*)(void))gettable_##K },            \
		{ OSSL_FUNC_KEYMGMT_SET_PARAMS, (void (*)(void))keymgmt_set_params },           \
		{ OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS, (void (*)(void))settable_##K },            \
		{ OSSL_FUNC_KEYMGMT_IMPORT, (void (*)(void))keymgmt_import },                   \
		{ OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (void (*)(void))types_of_##K },               \
		{ OSSL_FUNC_KEYMGMT_EXPORT, (void (*)(void))keymgmt_export },                   \
		{ OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (void (*)(void))types_of_##K },               \
		{ OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (void (*)(void))operation_##K },      \
		{ OSSL_FUNC_KEYMGMT_GEN_INIT, (void (*)(void))gen_init_##K },                   \
		{ OSSL_FUNC_KEYMGMT_GEN_SET_TEMPLATE, (void (*)(void))keygen_set_template },    \
		{ OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS, (void (*)(void))keygen_set_params },        \
		{ OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS, (void (*)(void))keygen_settable },     \
		{ OSSL_FUNC_KEYMGMT_GEN, (void (*)(void))keygen_run },                          \
		{ OSSL_FUNC_KEYMGMT_GEN_CLEANUP, (void (*)(void))keygen_free },                 \
		{ 0, NULL },                                                                    \
	}

KEYMGMT(ec);
KEYMGMT(rsa);
KEYMGMT(ed25519);
