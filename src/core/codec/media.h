/* SPDX-License-Identifier: Apache-2.0 */
/* codec/media.h - media types in header fields (RFC 9110 8.3.1) */
#ifndef CORE_CODEC_MEDIA_H
#define CORE_CODEC_MEDIA_H

#include "core/base/bytes.h"

/*
 * True when the field's type/subtype is `type` (given in lower case), in any
 * case, with any well-formed parameters, quoted or not.  "application/pkcs10foo"
 * is not "application/pkcs10".
 */
bool media_is(const char *field, const char *type);

#endif
