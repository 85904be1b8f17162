/* SPDX-License-Identifier: Apache-2.0 */
/* provider/provider.c - the provider inside a program, and its keys as ours */
#include "device/provider/provider.h"

#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/store.h>

#include <string.h>

#include "core/base/mem.h"
#include "core/pki/ossl.h"
#include "device/provider/context.h"
#include "device/provider/init.h"
#include "device/provider/uri.h"

AUTO_DEFINE_OSSL(OSSL_STORE_INFO, OSSL_STORE_INFO_free)

/* Once a process: the socket that provider_use() was told, and what it loaded, for as long as the process lives. */
static char *chosen_socket;
static OSSL_PROVIDER *standard, *own;

int
provider_use(const char *socket, struct err *e)
{
	mem_free(chosen_socket);
	chosen_socket = socket != NULL ? mem_strdup(socket) : NULL;
	if (standard == NULL)
		standard = OSSL_PROVIDER_load(NULL, "default");
	if (own == NULL && standard != NULL && OSSL_PROVIDER_add_builtin(NULL, PROVIDER_NAME, provider_init) == 1)
		own = OSSL_PROVIDER_load(NULL, PROVIDER_NAME);
	return own != NULL ? 0 : err_ossl(e, E_CRYPTO, "provider " PROVIDER_NAME ": not loaded");
}

/* The queue's first error that is the provider's says what happened; those after it, that it did. */
static int
why_not(struct err *e)
{
	const char *data = NULL, *reason;
	unsigned long n;
	int r = 0, flags = 0;

	while (r == 0 && (n = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)) != 0) {
		reason = ERR_reason_error_string(n);
		if (reason != NULL && strncmp(reason, CONTEXT_REASON, strlen(CONTEXT_REASON)) == 0)
			r = err_set(e, context_code_of_reason(ERR_GET_REASON(n)), "%s",
			    (flags & ERR_TXT_STRING) != 0 ? data : reason);
	}
	ERR_clear_error();
	return r != 0 ? r : err_set(e, E_CRYPTO, "keyd: key not loaded");
}

static int
load(EVP_PKEY **out, const char *uri, struct err *e)
{
	AUTO_OSSL(OSSL_STORE_INFO) info = NULL;
	OSSL_STORE_CTX *store = OSSL_STORE_open(uri, NULL, NULL, NULL, NULL);

	if (store == NULL)
		return why_not(e);
	while (info == NULL && OSSL_STORE_eof(store) == 0)
		info = OSSL_STORE_load(store);
	(void)OSSL_STORE_close(store);
	*out = info != NULL ? OSSL_STORE_INFO_get1_PKEY(info) : NULL;
	return *out != NULL ? 0 : why_not(e);
}

static int
key_of(struct key **out, const struct uri *u, struct err *e)
{
	AUTO_OSSL(EVP_PKEY) evp = NULL;
	AUTO_BUF text = { 0 };
	int r;

	ERR_clear_error();
	uri_put(&text, u);
	r = load(&evp, buf_str(&text), e);
	return r == 0 ? key_from_evp(out, evp, e) : r;
}

int
provider_key(struct key **out, const char *id, struct err *e)
{
	struct uri u = { .id = (char *)(uintptr_t)id, .socket = chosen_socket };

	return key_of(out, &u, e);
}

int
provider_key_by_handle(struct key **out, const char *handle, struct err *e)
{
	struct uri u = { .handle = (char *)(uintptr_t)handle, .socket = chosen_socket };

	return key_of(out, &u, e);
}

void
provider_key_file(struct buf *out, const char *id)
{
	AUTO_BUF text = { 0 };
	struct uri u = { .id = (char *)(uintptr_t)id };

	uri_put(&text, &u);
	uri_put_pem(out, bytes_of_buf(&text));
}
