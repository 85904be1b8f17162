/* SPDX-License-Identifier: Apache-2.0 */
/* provider/module.c - the entry that OpenSSL looks for in estuary.so */
#include <openssl/core.h>

#include "device/provider/init.h"

__attribute__((visibility("default"))) OSSL_provider_init_fn OSSL_provider_init;

int
OSSL_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **provctx)
{
	return provider_init(handle, in, out, provctx);
}
