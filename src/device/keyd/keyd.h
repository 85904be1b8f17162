/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/keyd.h - the Keys Service */
#ifndef DEVICE_KEYD_KEYD_H
#define DEVICE_KEYD_KEYD_H

#include "device/service/place.h"

/* Run until SIGTERM; returns the exit status. */
int keyd_main(const struct place *p);

#endif
