/* SPDX-License-Identifier: Apache-2.0 */
/* check/files.h - the certificates on disk, for the checks that compare them with something */
#ifndef DEVICE_CHECK_FILES_H
#define DEVICE_CHECK_FILES_H

#include "device/check/inside.h"

/*
 * The first certificate of certd's ID, or of a file: URI; der is filled and borrowed by *out.  Errors as certs_read(),
 * and E_FORMAT.
 */
int files_leaf(struct cert *out, struct buf *der, const struct certd_settings *s, const char *id,
    struct err *e) MUST_CHECK;

#endif
