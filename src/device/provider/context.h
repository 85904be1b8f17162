/* SPDX-License-Identifier: Apache-2.0 */
/* provider/context.h - one loaded provider: OpenSSL's core, a library context of its own, errors */
#ifndef DEVICE_PROVIDER_CONTEXT_H
#define DEVICE_PROVIDER_CONTEXT_H

#include <openssl/core.h>
#include <openssl/types.h>

#include "core/base/bytes.h"

struct context {
	OSSL_LIB_CTX *lib;   /* with `default` and `base`: digests and all that needs no private key of ours */
	char *socket;        /* of the Keys Service, unless a key's URI names another */
	OSSL_PROVIDER *standard, *base; /* of lib */
	const struct core *core;
};

/* NULL when OpenSSL cannot be had. */
struct context *context_new(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in);
void context_free(struct context *c);

/* Put e on OpenSSL's error queue, its code's reason first, its words as data.  Returns 0, OpenSSL's failure. */
int context_fail(const struct context *c, const struct err *e);
/* The reasons, for OSSL_FUNC_PROVIDER_GET_REASON_STRINGS: each begins with CONTEXT_REASON. */
const OSSL_ITEM *context_reasons(void);
#define CONTEXT_REASON "keyd: "
/* The err_code of a reason (as ERR_GET_REASON() gives it). */
enum err_code context_code_of_reason(int reason);

/* Exactly n octets; false when there are fewer. */
bool context_read(const struct context *c, OSSL_CORE_BIO *in, void *out, size_t n);
/* One line with its end, cut at size - 1; false at the end. */
bool context_read_line(const struct context *c, OSSL_CORE_BIO *in, char *out, int size);

#endif
