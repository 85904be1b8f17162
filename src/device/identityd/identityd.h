/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/identityd.h - the Identity Service */
#ifndef DEVICE_IDENTITYD_IDENTITYD_H
#define DEVICE_IDENTITYD_IDENTITYD_H

#include "device/service/place.h"

/* Run until SIGTERM; returns the exit status.  worker: path of the worker's executable. */
int identityd_main(const struct place *p, const char *worker);

#endif
