/* SPDX-License-Identifier: Apache-2.0 */
/* provider/keygen.c - keys in memory, made by the default provider in the context's own library */
#include "device/provider/keygen.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "core/base/mem.h"
#include "core/pki/ossl.h"

struct keygen {
	struct context *ctx;
	const struct kind *kind;
	bool parameters_only;
	EVP_PKEY_CTX *pctx;
};

void *
keygen_new(struct context *ctx, const struct kind *kind, int selection, const OSSL_PARAM params[])
{
	struct keygen *g = mem_zalloc(sizeof(*g));
	int ok;

	g->ctx = ctx;
	g->kind = kind;
	g->parameters_only = (selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0;
	g->pctx = EVP_PKEY_CTX_new_from_name(ctx->lib, kind->name, NULL);
	ok = g->pctx == NULL ? 0 : g->parameters_only ? EVP_PKEY_paramgen_init(g->pctx)
	    : EVP_PKEY_keygen_init(g->pctx);
	if (ok == 1 && keygen_set_params(g, params) == 1)
		return g;
	keygen_free(g);
	return NULL;
}

void
keygen_free(void *gen)
{
	struct keygen *g = gen;

	if (g == NULL)
		return;
	EVP_PKEY_CTX_free(g->pctx);
	mem_free(g);
}

/* A new key on the curve of another; the kinds without a curve take nothing from a template. */
int
keygen_set_template(void *gen, void *key)
{
	struct keygen *g = gen;
	const struct pkey *k = key;
	char curve[80];

	if (!g->kind->domain)
		return 1;
	if (k == NULL || k->evp == NULL || EVP_PKEY_get_utf8_string_param(k->evp, OSSL_PKEY_PARAM_GROUP_NAME,
	    curve, sizeof(curve), NULL) != 1)
		return 0;
	return EVP_PKEY_CTX_set_group_name(g->pctx, curve) == 1;
}

int
keygen_set_params(void *gen, const OSSL_PARAM params[])
{
	struct keygen *g = gen;

	if (params == NULL || params[0].key == NULL)
		return 1;
	return EVP_PKEY_CTX_set_params(g->pctx, params) == 1;
}

const OSSL_PARAM *
keygen_settable(void *gen, void *provider)
{
	struct keygen *g = gen;

	(void)provider;
	return g != NULL ? EVP_PKEY_CTX_settable_params(g->pctx) : NULL;
}

void *
keygen_run(void *gen, OSSL_CALLBACK *cb, void *cbarg)
{
	struct keygen *g = gen;
	AUTO(pkey) k = pkey_new(g->ctx, g->kind);

	(void)cb; /* progress of an RSA generation */
	(void)cbarg;
	if (EVP_PKEY_generate(g->pctx, &k->evp) != 1)
		return NULL;
	k->has = g->parameters_only ? OSSL_KEYMGMT_SELECT_ALL_PARAMETERS : OSSL_KEYMGMT_SELECT_ALL;
	return TAKE(k);
}
