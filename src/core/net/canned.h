/* SPDX-License-Identifier: Apache-2.0 */
/* net/canned.h - the refusals that the server words itself, and the ids of requests */
#ifndef CORE_NET_CANNED_H
#define CORE_NET_CANNED_H

#include "core/net/http.h"

void canned_id(char out[HTTP_ID_MAX]); /* a new one: "r", the time in milliseconds, 48 random bits */
/* What the listener wants of a refusal; how->json_refusals and how->plain_head count here. */
struct canned {
	const struct http_local *how;
	unsigned status;
	const char *reason, *text, *id;
	bool v10, bodiless;            /* to a client of HTTP/1.0; to one that asked with HEAD */
};
/* Append "reason: text\nrequest: id\n" or {"message":"text"}; returns the content type of that. */
const char *canned_body(struct buf *out, const struct canned *c);
/* Append a whole answer that closes the connection; now: for its Date. */
void canned_put(struct buf *out, const struct canned *c, int64_t now);

#endif
