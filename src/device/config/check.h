/* SPDX-License-Identifier: Apache-2.0 */
/* config/check.h - the files that a configuration refers to: there, whole, pairs, and readable by their users? */
#ifndef DEVICE_CONFIG_CHECK_H
#define DEVICE_CONFIG_CHECK_H

#include "device/config/plan.h"

struct check_options {
	bool elsewhere;       /* another machine is configured: what is missing here may be there */
	bool users;           /* look whether the services' users can read them */
	void (*tell)(void *ctx, bool error, const char *text);
	void *ctx;
};

/* Every fault is told, with the place that refers to the file and what to do; returns how many. */
size_t check_references(const struct plan *p, const struct check_options *o);

#endif
