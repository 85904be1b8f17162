/* SPDX-License-Identifier: Apache-2.0 */
/* provider/signature.c - OSSL_OP_SIGNATURE: held keys sign by struct signing, the default provider does the rest */
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <string.h>

#include "core/base/mem.h"
#include "core/pki/ossl.h"
#include "device/provider/pkey.h"
#include "device/provider/signing.h"

/* Exactly one of own, pctx and mctx is there once it is initialised. */
struct signature {
	struct context *ctx;
	struct pkey *key;        /* a reference */
	struct signing *own;     /* a held key signs */
	EVP_PKEY_CTX *pctx;      /* another key signs, or any verifies: a digest */
	EVP_MD_CTX *mctx;        /* the same: data */
};

static void *
signature_new(void *ctx, const char *propq)
{
	struct signature *s = mem_zalloc(sizeof(*s));

	(void)propq;
	s->ctx = ctx;
	return s;
}

static void
reset(struct signature *s)
{
	signing_free(TAKE(s->own));
	EVP_PKEY_CTX_free(TAKE(s->pctx));
	EVP_MD_CTX_free(TAKE(s->mctx));
}

static void
signature_free(void *sig)
{
	struct signature *s = sig;

	if (s == NULL)
		return;
	reset(s);
	pkey_free(s->key);
	mem_free(s);
}

static void *
signature_dup(void *sig)
{
	const struct signature *s = sig;
	struct signature *copy = signature_new(s->ctx, NULL);
	bool ok = true;

	copy->key = s->key != NULL ? pkey_ref(s->key) : NULL;
	if (s->own != NULL)
		ok = (copy->own = signing_copy(s->own)) != NULL;
	else if (s->pctx != NULL)
		ok = (copy->pctx = EVP_PKEY_CTX_dup(s->pctx)) != NULL;
	else if (s->mctx != NULL)
		ok = (copy->mctx = EVP_MD_CTX_new()) != NULL && EVP_MD_CTX_copy_ex(copy->mctx, s->mctx) == 1;
	if (ok)
		return copy;
	signature_free(copy);
	return NULL;
}

/* What was agreed before is gone; key NULL: the one from before. */
static bool
start(struct signature *s, void *key)
{
	reset(s);
	if (key != NULL) {
		struct pkey *before = s->key;

		s->key = pkey_ref(key);
		pkey_free(before);
	}
	return s->key != NULL && s->key->evp != NULL;
}

static int
fail_unless(const struct signature *s, int r, const struct err *e)
{
	return r == 0 ? 1 : context_fail(s->ctx, e);
}

/* --- digests --- */

typedef int init_fn(EVP_PKEY_CTX *, const OSSL_PARAM[]);

static int
init_inner(struct signature *s, init_fn *init, const OSSL_PARAM params[])
{
	s->pctx = EVP_PKEY_CTX_new_from_pkey(s->ctx->lib, s->key->evp, NULL);
	return s->pctx != NULL && init(s->pctx, params) == 1;
}

static int
signature_sign_init(void *sig, void *key, const OSSL_PARAM params[])
{
	struct signature *s = sig;
	struct err e;

	if (!start(s, key))
		return 0;
	if (s->key->held == NULL)
		return init_inner(s, EVP_PKEY_sign_init_ex, params);
	s->own = signing_new(s->key);
	return fail_unless(s, signing_set_params(s->own, params, &e), &e);
}

static int
signature_verify_init(void *sig, void *key, const OSSL_PARAM params[])
{
	return start(sig, key) && init_inner(sig, EVP_PKEY_verify_init_ex, params);
}

static int
signature_recover_init(void *sig, void *key, const OSSL_PARAM params[])
{
	return start(sig, key) && init_inner(sig, EVP_PKEY_verify_recover_init_ex, params);
}

/* A held key's signature into the caller's memory. */
static int
hand_over(const struct signature *s, const struct buf *b, unsigned char *out, size_t *n, size_t size)
{
	const struct err small = { E_USAGE, "keyd: no room for the signature" };

	if (b->n > size)
		return context_fail(s->ctx, &small);
	memcpy(out, b->p, b->n);
	*n = b->n;
	return 1;
}

/* Only the size is asked for. */
static int
tell_size(const struct signature *s, size_t *n)
{
	*n = signing_max(s->own);
	return 1;
}

static int
signature_sign(void *sig, unsigned char *out, size_t *n, size_t size, const unsigned char *in, size_t in_n)
{
	struct signature *s = sig;
	AUTO_BUF b = { 0 };
	struct err e;

	if (s->own == NULL) {
		*n = size;
		return s->pctx != NULL && EVP_PKEY_sign(s->pctx, out, n, in, in_n) == 1;
	}
	if (out == NULL)
		return tell_size(s, n);
	if (signing_sign(&b, s->own, (struct bytes){ in, in_n }, &e) != 0)
		return context_fail(s->ctx, &e);
	return hand_over(s, &b, out, n, size);
}

static int
signature_verify(void *sig, const unsigned char *value, size_t value_n, const unsigned char *in, size_t in_n)
{
	struct signature *s = sig;

	return s->pctx != NULL && EVP_PKEY_verify(s->pctx, value, value_n, in, in_n) == 1;
}

static int
signature_recover(void *sig, unsigned char *out, size_t *n, size_t size, const unsigned char *value, size_t value_n)
{
	struct signature *s = sig;

	*n = size;
	return s->pctx != NULL && EVP_PKEY_verify_recover(s->pctx, out, n, value, value_n) == 1;
}

/* --- data --- */

typedef int digest_init_fn(EVP_MD_CTX *, EVP_PKEY_CTX **, const char *, OSSL_LIB_CTX *, const char *, EVP_PKEY *,
    const OSSL_PARAM[]);

static int
digest_init_inner(struct signature *s, digest_init_fn *init, const char *digest, const OSSL_PARAM params[])
{
	s->mctx = EVP_MD_CTX_new();
	return s->mctx != NULL && init(s->mctx, NULL, digest, s->ctx->lib, NULL, s->key->evp, params) == 1;
}

static int
begin_own(struct signature *s, const char *digest, const OSSL_PARAM params[], struct err *e)
{
	int r;

	s->own = signing_new(s->key);
	r = signing_set_digest(s->own, digest, e);
	if (r == 0)
		r = signing_set_params(s->own, params, e);
	if (r == 0 && s->key->kind != &kind_ed25519)
		r = signing_begin(s->own, e);
	return r;
}

static int
signature_digest_sign_init(void *sig, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct signature *s = sig;
	struct err e;

	if (!start(s, key))
		return 0;
	if (s->key->held == NULL)
		return digest_init_inner(s, EVP_DigestSignInit_ex, digest, params);
	return fail_unless(s, begin_own(s, digest, params, &e), &e);
}

static int
signature_digest_verify_init(void *sig, const char *digest, void *key, const OSSL_PARAM params[])
{
	return start(sig, key) && digest_init_inner(sig, EVP_DigestVerifyInit_ex, digest, params);
}

static int
signature_digest_sign_update(void *sig, const unsigned char *data, size_t n)
{
	struct signature *s = sig;
	struct err e;

	if (s->own == NULL)
		return s->mctx != NULL && EVP_DigestSignUpdate(s->mctx, data, n) == 1;
	return fail_unless(s, signing_update(s->own, (struct bytes){ data, n }, &e), &e);
}

static int
signature_digest_sign_final(void *sig, unsigned char *out, size_t *n, size_t size)
{
	struct signature *s = sig;
	AUTO_BUF b = { 0 };
	struct err e;

	if (s->own == NULL) {
		*n = size;
		return s->mctx != NULL && EVP_DigestSignFinal(s->mctx, out, n) == 1;
	}
	if (out == NULL)
		return tell_size(s, n);
	if (signing_finish(&b, s->own, &e) != 0)
		return context_fail(s->ctx, &e);
	return hand_over(s, &b, out, n, size);
}

static int
signature_digest_verify_update(void *sig, const unsigned char *data, size_t n)
{
	struct signature *s = sig;

	return s->mctx != NULL && EVP_DigestVerifyUpdate(s->mctx, data, n) == 1;
}

static int
signature_digest_verify_final(void *sig, const unsigned char *value, size_t n)
{
	struct signature *s = sig;

	return s->mctx != NULL && EVP_DigestVerifyFinal(s->mctx, value, n) == 1;
}

/* Ed25519 hashes the message twice, so it is given whole. */
static int
signature_digest_sign(void *sig, unsigned char *out, size_t *n, size_t size, const unsigned char *data, size_t data_n)
{
	struct signature *s = sig;
	AUTO_BUF b = { 0 };
	struct err e;

	if (s->own == NULL) {
		*n = size;
		return s->mctx != NULL && EVP_DigestSign(s->mctx, out, n, data, data_n) == 1;
	}
	if (s->key->kind == &kind_ed25519) {
		if (out == NULL)
			return tell_size(s, n);
		if (signing_sign(&b, s->own, (struct bytes){ data, data_n }, &e) != 0)
			return context_fail(s->ctx, &e);
		return hand_over(s, &b, out, n, size);
	}
	return (out == NULL || signature_digest_sign_update(s, data, data_n)) &&
	    signature_digest_sign_final(s, out, n, size);
}

static int
signature_digest_verify(void *sig, const unsigned char *value, size_t n, const unsigned char *data, size_t data_n)
{
	struct signature *s = sig;

	return s->mctx != NULL && EVP_DigestVerify(s->mctx, value, n, data, data_n) == 1;
}

/* --- parameters --- */

static EVP_PKEY_CTX *
inner(const struct signature *s)
{
	return s->mctx != NULL ? EVP_MD_CTX_get_pkey_ctx(s->mctx) : s->pctx;
}

static int
signature_get_params(void *sig, OSSL_PARAM params[])
{
	struct signature *s = sig;
	struct err e;

	if (s->own == NULL)
		return inner(s) != NULL && EVP_PKEY_CTX_get_params(inner(s), params) == 1;
	return fail_unless(s, signing_get_params(s->own, params, &e), &e);
}

static int
signature_set_params(void *sig, const OSSL_PARAM params[])
{
	struct signature *s = sig;
	struct err e;

	if (params == NULL)
		return 1;
	if (s->own == NULL)
		return inner(s) != NULL && EVP_PKEY_CTX_set_params(inner(s), params) == 1;
	return fail_unless(s, signing_set_params(s->own, params, &e), &e);
}

#define TEXT(name)  OSSL_PARAM_utf8_string(name, NULL, 0)
#define OCTET(name) OSSL_PARAM_octet_string(name, NULL, 0)

static const OSSL_PARAM gettable[] = {
	OCTET(OSSL_SIGNATURE_PARAM_ALGORITHM_ID), TEXT(OSSL_SIGNATURE_PARAM_DIGEST),
	TEXT(OSSL_SIGNATURE_PARAM_PAD_MODE), TEXT(OSSL_SIGNATURE_PARAM_MGF1_DIGEST),
	TEXT(OSSL_SIGNATURE_PARAM_PSS_SALTLEN), OSSL_PARAM_END,
};
static const OSSL_PARAM settable[] = {
	TEXT(OSSL_SIGNATURE_PARAM_DIGEST), TEXT(OSSL_SIGNATURE_PARAM_PROPERTIES),
	TEXT(OSSL_SIGNATURE_PARAM_PAD_MODE), TEXT(OSSL_SIGNATURE_PARAM_MGF1_DIGEST),
	TEXT(OSSL_SIGNATURE_PARAM_MGF1_PROPERTIES), TEXT(OSSL_SIGNATURE_PARAM_PSS_SALTLEN), OSSL_PARAM_END,
};

static const OSSL_PARAM *
signature_gettable(void *sig, void *provider)
{
	const struct signature *s = sig;

	(void)provider;
	return s != NULL && inner(s) != NULL ? EVP_PKEY_CTX_gettable_params(inner(s)) : gettable;
}

static const OSSL_PARAM *
signature_settable(void *sig, void *provider)
{
	const struct signature *s = sig;

	(void)provider;
	return s != NULL && inner(s) != NULL ? EVP_PKEY_CTX_settable_params(inner(s)) : settable;
}

const OSSL_DISPATCH signature_any[] = {
	{ OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))signature_new },
	{ OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))signature_free },
	{ OSSL_FUNC_SIGNATURE_DUPCTX, (void (*)(void))signature_dup },
	{ OSSL_FUNC_SIGNATURE_SIGN_INIT, (void (*)(void))signature_sign_init },
	{ OSSL_FUNC_SIGNATURE_SIGN, (void (*)(void))signature_sign },
	{ OSSL_FUNC_SIGNATURE_VERIFY_INIT, (void (*)(void))signature_verify_init },
	{ OSSL_FUNC_SIGNATURE_VERIFY, (void (*)(void))signature_verify },
	{ OSSL_FUNC_SIGNATURE_VERIFY_RECOVER_INIT, (void (*)(void))signature_recover_init },
	{ OSSL_FUNC_SIGNATURE_VERIFY_RECOVER, (void (*)(void))signature_recover },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (void (*)(void))signature_digest_sign_init },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, (void (*)(void))signature_digest_sign_update },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, (void (*)(void))signature_digest_sign_final },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (void (*)(void))signature_digest_sign },
	{ OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, (void (*)(void))signature_digest_verify_init },
	{ OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_UPDATE, (void (*)(void))signature_digest_verify_update },
	{ OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_FINAL, (void (*)(void))signature_digest_verify_final },
	{ OSSL_FUNC_SIGNATURE_DIGEST_VERIFY, (void (*)(void))signature_digest_verify },
	{ OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, (void (*)(void))signature_get_params },
	{ OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, (void (*)(void))signature_gettable },
	{ OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (void (*)(void))signature_set_params },
	{ OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (void (*)(void))signature_settable },
	{ 0, NULL },
};
