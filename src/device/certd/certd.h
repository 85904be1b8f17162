/* SPDX-License-Identifier: Apache-2.0 */
/* certd/certd.h - the Certificates Service */
#ifndef DEVICE_CERTD_CERTD_H
#define DEVICE_CERTD_CERTD_H

#include "device/service/place.h"

/* Run until SIGTERM; returns the exit status.  worker: path of the worker's executable. */
int certd_main(const struct place *p, const char *worker);

#endif
