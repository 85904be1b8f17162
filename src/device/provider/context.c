/* SPDX-License-Identifier: Apache-2.0 */
/* provider/context.c - OpenSSL's core, a library context of its own, errors */
#include "device/provider/context.h"

#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include <stdlib.h>

#include "core/base/mem.h"

#define DEFAULT_SOCKET "/run/aziot/keyd.sock"

/* What OpenSSL lends a provider. */
struct core {
	const OSSL_CORE_HANDLE *handle;
	OSSL_FUNC_core_get_params_fn *get_params;
	OSSL_FUNC_core_new_error_fn *new_error;
	OSSL_FUNC_core_vset_error_fn *vset_error;
	OSSL_FUNC_BIO_read_ex_fn *bio_read;
	OSSL_FUNC_BIO_gets_fn *bio_gets;
};

static const OSSL_ITEM reasons[] = {
	{ -E_FORMAT,   (char[]){ CONTEXT_REASON "malformed key name or answer" } },
	{ -E_AUTH,     (char[]){ CONTEXT_REASON "not authorised" } },
	{ -E_POLICY,   (char[]){ CONTEXT_REASON "refused" } },
	{ -E_NOTFOUND, (char[]){ CONTEXT_REASON "no such key" } },
	{ -E_TOOBIG,   (char[]){ CONTEXT_REASON "over a limit" } },
	{ -E_UNAVAIL,  (char[]){ CONTEXT_REASON "the Keys Service does not answer" } },
	{ -E_IO,       (char[]){ CONTEXT_REASON "the operating system said no" } },
	{ -E_CRYPTO,   (char[]){ CONTEXT_REASON "OpenSSL said no" } },
	{ -E_USAGE,    (char[]){ CONTEXT_REASON "not possible with this key" } },
	{ 0, NULL },
};

const OSSL_ITEM *
context_reasons(void)
{
	return reasons;
}

enum err_code
context_code_of_reason(int reason)
{
	for (const OSSL_ITEM *i = reasons; i->id != 0; i++)
		if ((int)i->id == reason)
			return (enum err_code)-reason;
	return E_CRYPTO;
}

static struct core *
new_core(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in)
{
	struct core *c = mem_zalloc(sizeof(*c));

	c->handle = handle;
	for (; in->function_id != 0; in++) {
		switch (in->function_id) {
		case OSSL_FUNC_CORE_GET_PARAMS:
			c->get_params = OSSL_FUNC_core_get_params(in);
			break;
		case OSSL_FUNC_CORE_NEW_ERROR:
			c->new_error = OSSL_FUNC_core_new_error(in);
			break;
		case OSSL_FUNC_CORE_VSET_ERROR:
			c->vset_error = OSSL_FUNC_core_vset_error(in);
			break;
		case OSSL_FUNC_BIO_READ_EX:
			c->bio_read = OSSL_FUNC_BIO_read_ex(in);
			break;
		case OSSL_FUNC_BIO_GETS:
			c->bio_gets = OSSL_FUNC_BIO_gets(in);
			break;
		default:
			break;
		}
	}
	return c;
}

/* `socket = /path` of the provider's section in openssl.cnf; NULL: not there. */
static const char *
configured_socket(const struct core *c)
{
	char *path = NULL;
	OSSL_PARAM want[] = {
		OSSL_PARAM_construct_utf8_ptr("socket", &path, 0),
		OSSL_PARAM_construct_end(),
	};

	if (c->get_params == NULL || c->get_params(c->handle, want) != 1)
		return NULL;
	return path;
}

/* A program with more rights than its user takes no socket from the user's environment. */
static char *
find_socket(const struct core *c)
{
	const char *path = secure_getenv("ESTUARY_KEYD_SOCKET");
	const char *prefix = secure_getenv("ESTUARY_PREFIX");
	struct buf b = { 0 };

	if (path == NULL)
		path = configured_socket(c);
	if (path != NULL)
		return mem_strdup(path);
	if (prefix != NULL)
		buf_put_str(&b, prefix);
	buf_put_str(&b, DEFAULT_SOCKET);
	return buf_take_str(&b);
}

struct context *
context_new(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in)
{
	struct context *c = mem_zalloc(sizeof(*c));

	c->core = new_core(handle, in);
	c->socket = find_socket(c->core);
	c->lib = OSSL_LIB_CTX_new();
	if (c->lib != NULL)
		c->standard = OSSL_PROVIDER_load(c->lib, "default");
	if (c->standard != NULL)
		c->base = OSSL_PROVIDER_load(c->lib, "base");
	if (c->base != NULL)
		return c;
	context_free(c);
	return NULL;
}

void
context_free(struct context *c)
{
	if (c == NULL)
		return;
	/* OpenSSL 3.0's OSSL_LIB_CTX_free() does not unload what was loaded. */
	if (c->base != NULL)
		(void)OSSL_PROVIDER_unload(c->base);
	if (c->standard != NULL)
		(void)OSSL_PROVIDER_unload(c->standard);
	OSSL_LIB_CTX_free(c->lib);
	mem_free(c->socket);
	mem_free((void *)(uintptr_t)c->core);
	mem_free(c);
}

static void PRINTF(3, 4)
set_error(const struct core *c, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	c->vset_error(c->handle, (uint32_t)-code, fmt, ap);
	va_end(ap);
}

int
context_fail(const struct context *c, const struct err *e)
{
	if (c->core->new_error != NULL && c->core->vset_error != NULL) {
		c->core->new_error(c->core->handle);
		set_error(c->core, e->code, "%s", e->msg);
	}
	return 0;
}

bool
context_read(const struct context *c, OSSL_CORE_BIO *in, void *out, size_t n)
{
	uint8_t *p = out;

	while (n != 0) {
		size_t got = 0;

		if (c->core->bio_read == NULL || c->core->bio_read(in, p, n, &got) != 1 || got == 0)
			return false;
		p += got;
		n -= got;
	}
	return true;
}

bool
context_read_line(const struct context *c, OSSL_CORE_BIO *in, char *out, int size)
{
	return c->core->bio_gets != NULL && c->core->bio_gets(in, out, size) > 0;
}
