/* SPDX-License-Identifier: Apache-2.0 */
/* provider/keygen.h - the generating half of OSSL_OP_KEYMGMT: keys in memory, as the default provider makes them */
#ifndef DEVICE_PROVIDER_KEYGEN_H
#define DEVICE_PROVIDER_KEYGEN_H

#include "device/provider/pkey.h"

/* As core_dispatch.h wants them; the pointers are a struct keygen and struct pkeys. */
void *keygen_new(struct context *ctx, const struct kind *kind, int selection, const OSSL_PARAM params[]);
int keygen_set_template(void *gen, void *key);
int keygen_set_params(void *gen, const OSSL_PARAM params[]);
const OSSL_PARAM *keygen_settable(void *gen, void *provider);
void *keygen_run(void *gen, OSSL_CALLBACK *cb, void *cbarg);
void keygen_free(void *gen);

#endif
