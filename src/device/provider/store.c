/* SPDX-License-Identifier: Apache-2.0 */
/* provider/store.c - OSSL_OP_STORE: keyd: URIs opened */
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/store.h>

#include "core/base/mem.h"
#include "device/provider/pkey.h"

struct store {
	struct context *ctx;
	struct uri uri;
	int expect;     /* OSSL_STORE_INFO_*, 0: anything */
	bool done;
};

static void *
store_open(void *ctx, const char *text)
{
	struct uri u;
	struct err e;
	struct store *s;

	if (uri_parse(&u, bytes_of(text), &e) != 0) {
		(void)context_fail(ctx, &e);
		return NULL;
	}
	s = mem_zalloc(sizeof(*s));
	s->ctx = ctx;
	s->uri = u;
	return s;
}

static const OSSL_PARAM *
store_settable(void *provider)
{
	static const OSSL_PARAM settable[] = {
		OSSL_PARAM_int(OSSL_STORE_PARAM_EXPECT, NULL), OSSL_PARAM_END,
	};

	(void)provider;
	return settable;
}

static int
store_set_params(void *store, const OSSL_PARAM params[])
{
	struct store *s = store;
	const OSSL_PARAM *p = params != NULL ? OSSL_PARAM_locate_const(params, OSSL_STORE_PARAM_EXPECT) : NULL;

	return p == NULL || OSSL_PARAM_get_int(p, &s->expect) == 1;
}

/* Whoever wants a public key gets one that can do no more. */
static struct pkey *
public_of(struct pkey *k)
{
	struct pkey *half = pkey_copy(k, OSSL_KEYMGMT_SELECT_ALL & ~OSSL_KEYMGMT_SELECT_PRIVATE_KEY);

	pkey_free(k);
	return half;
}

static int
store_load(void *store, OSSL_CALLBACK *cb, void *cbarg, OSSL_PASSPHRASE_CALLBACK *pw, void *pwarg)
{
	struct store *s = store;
	struct pkey *k = NULL;
	struct err e;

	(void)pw;
	(void)pwarg;
	s->done = true;
	if (s->expect != 0 && s->expect != OSSL_STORE_INFO_PKEY && s->expect != OSSL_STORE_INFO_PUBKEY)
		return 1;
	if (pkey_open(&k, s->ctx, &s->uri, &e) != 0)
		return context_fail(s->ctx, &e);
	if (s->expect == OSSL_STORE_INFO_PUBKEY)
		k = public_of(k);
	return k != NULL && pkey_give(k, cb, cbarg);
}

static int
store_eof(void *store)
{
	const struct store *s = store;

	return s->done;
}

static int
store_close(void *store)
{
	struct store *s = store;

	if (s != NULL)
		uri_clear(&s->uri);
	mem_free(s);
	return 1;
}

const OSSL_DISPATCH store_keyd[] = {
	{ OSSL_FUNC_STORE_OPEN, (void (*)(void))store_open },
	{ OSSL_FUNC_STORE_SETTABLE_CTX_PARAMS, (void (*)(void))store_settable },
	{ OSSL_FUNC_STORE_SET_CTX_PARAMS, (void (*)(void))store_set_params },
	{ OSSL_FUNC_STORE_LOAD, (void (*)(void))store_load },
	{ OSSL_FUNC_STORE_EOF, (void (*)(void))store_eof },
	{ OSSL_FUNC_STORE_CLOSE, (void (*)(void))store_close },
	{ 0, NULL },
};
