/* SPDX-License-Identifier: Apache-2.0 */
/* config/mp.h - config mp: a super-config for manual provisioning out of a connection string */
#ifndef DEVICE_CONFIG_MP_H
#define DEVICE_CONFIG_MP_H

#include "core/base/bytes.h"

/* The file's text, appended.  E_FORMAT when it is no connection string. */
int mp_text(struct buf *out, const char *connection_string, struct err *e) MUST_CHECK;
/*
 * Write a super-config, mode 0600.  E_EXISTS when there is one and force is not set: it may hold
 * what nobody has elsewhere.
 */
int mp_write(const char *path, struct bytes text, bool force, struct err *e) MUST_CHECK;

#endif
