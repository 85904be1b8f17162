/* SPDX-License-Identifier: Apache-2.0 */
/* net/answer.h - the head of an answer, as it is written */
#ifndef CORE_NET_ANSWER_H
#define CORE_NET_ANSWER_H

#include "core/base/bytes.h"

/* Append the status line and the Date; v10: to a client of HTTP/1.0. */
void answer_begin(struct buf *out, unsigned status, bool v10, int64_t now);
/* Append a field.  false, and nothing is written: an octet that no value may hold, such as a line end, or a name that is none. */
bool answer_field(struct buf *out, const char *name, const char *value) MUST_CHECK;

#endif
