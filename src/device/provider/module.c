/* SPDX-License-Identifier: Apache-2.0 */
/* provider/module.c - the entry that OpenSSL looks for in estuary.so */
#include <openssl/core.h>

#include "core/codec/json.h"
#include "device/provider/init.h"

/* The program's JSON values may be older than we are: our allocator must not free them. */
const char json_guest = 1;

__attribute__((visibility("default"))) OSSL_provider_init_fn OSSL_provider_init;

int
OSSL_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **provctx)
{
	return provider_init(handle, in, out, provctx);
}
