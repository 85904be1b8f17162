/* SPDX-License-Identifier: Apache-2.0 */
/* net/canned.h - the refusals that the server words itself, and the ids of requests */
#ifndef CORE_NET_CANNED_H
#define CORE_NET_CANNED_H

#include "core/net/http.h"

void canned_id(char out[HTTP_ID_MAX]); /* a new one: "r", the time, 64 random bits */
/* Append "reason: text\nrequest: id\n". */
void canned_text(struct buf *out, const char *reason, const char *text, const char *id);
/* Append a whole text/plain answer that closes the connection; now: for its Date. */
void canned_put(struct buf *out, unsigned status, const char *reason, const char *text, const char *id,
    int64_t now);

#endif
