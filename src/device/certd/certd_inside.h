/* SPDX-License-Identifier: Apache-2.0 */
/* certd/certd_inside.h - the Certificates Service's parts, as its routes see them */
#ifndef DEVICE_CERTD_CERTD_INSIDE_H
#define DEVICE_CERTD_CERTD_INSIDE_H

#include "device/certd/issue.h"
#include "device/service/daemon.h"

struct certd {
	struct daemon daemon;
	const char *worker;              /* path of the worker's executable */
	struct certd_settings *settings; /* in force */
	struct workers *workers;
	struct engine *engine;
	struct issuer *issuer;
};

/* Name, versions and routes; the limits are the caller's to set.  The context of its calls is a struct certd. */
void certd_service(struct api_service *out);

#endif
