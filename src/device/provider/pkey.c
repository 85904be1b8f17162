/* SPDX-License-Identifier: Apache-2.0 */
/* provider/pkey.c - keys of this provider made, copied and handed to OpenSSL */
#include "device/provider/pkey.h"

#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/params.h>
#include <openssl/x509.h>

#include "core/base/mem.h"
#include "core/pki/der.h"
#include "core/pki/ossl.h"

const struct kind kind_ec = { .name = "EC", .signature = "ECDSA", .exchange = "ECDH", .domain = true };
const struct kind kind_rsa = { .name = "RSA", .signature = "RSA" };
const struct kind kind_ed25519 = { .name = "ED25519", .signature = "ED25519" };

struct pkey *
pkey_new(struct context *ctx, const struct kind *kind)
{
	struct pkey *k = mem_zalloc(sizeof(*k));

	atomic_init(&k->refs, 1);
	k->ctx = ctx;
	k->kind = kind;
	return k;
}

struct pkey *
pkey_ref(struct pkey *k)
{
	(void)atomic_fetch_add(&k->refs, 1);
	return k;
}

void
pkey_free(struct pkey *k)
{
	if (k == NULL || atomic_fetch_sub(&k->refs, 1) != 1)
		return;
	EVP_PKEY_free(k->evp);
	held_free(k->held);
	mem_free(k);
}

/* --- from the Keys Service --- */

static const struct kind *
kind_of(enum key_type t)
{
	if (t == KEY_ED25519)
		return &kind_ed25519;
	return t == KEY_EC_P256 || t == KEY_EC_P384 || t == KEY_EC_P521 ? &kind_ec : &kind_rsa;
}

/* The original Keys Service gives compressed points; nobody else shall see one. */
static int
decode_public(EVP_PKEY **out, OSSL_LIB_CTX *lib, struct bytes spki, struct err *e)
{
	const unsigned char *p = spki.p;
	AUTO_OSSL(EVP_PKEY) evp = NULL;
	int r = der_check(spki, "keyd: public key", e);

	if (r != 0)
		return r;
	evp = d2i_PUBKEY_ex(NULL, &p, (long)spki.n, lib, NULL);
	if (evp == NULL)
		return err_ossl(e, E_FORMAT, "keyd: public key");
	if (EVP_PKEY_is_a(evp, "EC") && EVP_PKEY_set_utf8_string_param(evp,
	    OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed") != 1)
		return err_ossl(e, E_CRYPTO, "keyd: public key: point format");
	*out = TAKE(evp);
	return 0;
}

static int
judge(enum key_type *out, EVP_PKEY *evp, struct err *e)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(evp, &der), r;

	if (n <= 0)
		return err_ossl(e, E_CRYPTO, "keyd: public key");
	r = key_judge(out, (struct bytes){ der, (size_t)n }, e);
	OPENSSL_free(der);
	return r == 0 ? 0 : err_prefix(e, (enum err_code)r, "keyd");
}

int
pkey_open(struct pkey **out, struct context *ctx, const struct uri *u, struct err *e)
{
	AUTO(pkey) k = pkey_new(ctx, NULL);
	int r = held_open(&k->held, u, ctx->socket, e);

	if (r == 0)
		r = decode_public(&k->evp, ctx->lib, held_public(k->held), e);
	if (r == 0)
		r = judge(&k->type, k->evp, e);
	if (r != 0)
		return r;
	k->kind = kind_of(k->type);
	k->has = OSSL_KEYMGMT_SELECT_ALL;
	*out = TAKE(k);
	return 0;
}

/* --- copies --- */

/* Some parts of an EVP_PKEY as another. */
static EVP_PKEY *
copy_parts(const struct pkey *k, int selection)
{
	AUTO_OSSL(EVP_PKEY_CTX) c = EVP_PKEY_CTX_new_from_name(k->ctx->lib, k->kind->name, NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *copy = NULL;

	if (c != NULL && EVP_PKEY_todata(k->evp, selection, &params) == 1 &&
	    EVP_PKEY_fromdata_init(c) == 1)
		(void)EVP_PKEY_fromdata(c, &copy, selection, params);
	OSSL_PARAM_free(params);
	return copy;
}

struct pkey *
pkey_copy(const struct pkey *k, int selection)
{
	AUTO(pkey) copy = pkey_new(k->ctx, k->kind);
	bool whole = (k->has & ~selection) == 0;

	copy->has = k->has & selection;
	if (k->evp != NULL) {
		copy->evp = whole || k->held != NULL ? EVP_PKEY_dup(k->evp) : copy_parts(k, selection);
		if (copy->evp == NULL)
			return NULL;
	}
	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0) {
		copy->held = held_ref(k->held);
		copy->type = k->type;
	}
	return TAKE(copy);
}

/* --- references --- */

int
pkey_give(struct pkey *k, OSSL_CALLBACK *cb, void *cbarg)
{
	int type = OSSL_OBJECT_PKEY, ok;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &type),
		OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE,
		    (char *)(uintptr_t)k->kind->name, 0),
		OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &k, sizeof(k)),
		OSSL_PARAM_construct_end(),
	};

	ok = cb(params, cbarg);
	pkey_free(k);
	return ok;
}

/* The reference is the giver's variable: emptied, so that the key has one owner. */
struct pkey *
pkey_take(const void *reference, size_t size, const struct kind *kind)
{
	struct pkey **given = (struct pkey **)(uintptr_t)reference;

	if (size != sizeof(*given) || *given == NULL || (*given)->kind != kind)
		return NULL;
	return TAKE(*given);
}
