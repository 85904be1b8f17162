/* SPDX-License-Identifier: Apache-2.0 */
/* codec/base64.h - RFC 4648 base64 as RFC 8951 wants it */
#ifndef CORE_CODEC_BASE64_H
#define CORE_CODEC_BASE64_H

#include "core/base/bytes.h"

/*
 * Decode the standard alphabet; CR, LF, SP and TAB anywhere are skipped (RFC
 * 8951 3.1).  Padding must be right and last, trailing bits zero, nothing after
 * it but blanks.  Appends to out (within its ceiling).  E_FORMAT, E_TOOBIG.
 */
int base64_decode(struct buf *out, struct bytes text, struct err *e) MUST_CHECK;
/* Encode in lines of `wrap` characters ending in CRLF (also the last); 0: one line, no line end. */
void base64_encode(struct buf *out, struct bytes b, size_t wrap);

#endif
