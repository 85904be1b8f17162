/* SPDX-License-Identifier: Apache-2.0 */
/* service/stem.h - the file name of a key or certificate ID, as the original writes it */
#ifndef DEVICE_SERVICE_STEM_H
#define DEVICE_SERVICE_STEM_H

#include "core/base/bytes.h"

#define STEM_MAX 256
#define ID_MAX   512 /* octets of a key or certificate ID that we take, NUL included */

/* 1 to ID_MAX - 1 octets of UTF-8 without control characters; E_FORMAT. */
int stem_check_id(const char *id, struct err *e) MUST_CHECK;
/*
 * The ID's ASCII letters and digits, '-', the lower-case SHA-256 of the ID, and ext (".key", ".cer", "").
 * E_FORMAT for a bad ID, E_TOOBIG when the name would not fit a directory entry.
 */
int stem_name(char out[STEM_MAX], const char *id, const char *ext, struct err *e) MUST_CHECK;

#endif
