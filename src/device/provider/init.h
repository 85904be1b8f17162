/* SPDX-License-Identifier: Apache-2.0 */
/* provider/init.h - the provider's entry, for the module and for programs that have it built in */
#ifndef DEVICE_PROVIDER_INIT_H
#define DEVICE_PROVIDER_INIT_H

#include <openssl/core.h>

/* As OSSL_provider_init_fn; *provctx is a struct context. */
int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **provctx);

#endif
