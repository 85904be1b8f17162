/* SPDX-License-Identifier: Apache-2.0 */
/* net/local.h - one HTTP request over a Unix socket, blocking, without a library: for programs that must stay small */
#ifndef CORE_NET_LOCAL_H
#define CORE_NET_LOCAL_H

#include "core/base/bytes.h"

#define LOCAL_ANSWER_MAX ((size_t)4 * 1024 * 1024)
#define LOCAL_HEAD_MAX   ((size_t)8 * 1024)

struct local_answer {
	unsigned status;
	bool json;          /* content-type is application/json */
	struct buf body;
};

/*
 * Ask `method target` of the service at the socket; body n 0: none, else application/json.  deadline_ms is for the whole.
 * Answers with Content-Length, chunked ones, and those that end with the connection are read; anything else
 * malformed is E_FORMAT.  A 429 is asked again, for a few seconds.  E_UNAVAIL: nobody listens, or the deadline passed.
 * *a is the caller's to clear.
 */
int local_run(struct local_answer *a, const char *socket, const char *method, const char *target, struct bytes body,
    unsigned deadline_ms, struct err *e) MUST_CHECK;
void local_clear(struct local_answer *a);
/* Append text with every octet outside A-Z a-z 0-9 - . _ ~ as %XX: one path segment. */
void local_put_segment(struct buf *out, const char *text);

#endif
