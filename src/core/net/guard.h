/* SPDX-License-Identifier: Apache-2.0 */
/* net/guard.h - what a request's head must look like before anything else reads it (RFC 9112) */
#ifndef CORE_NET_GUARD_H
#define CORE_NET_GUARD_H

#include "core/base/bytes.h"
#include "core/net/limits.h"

enum guard_method {
	GUARD_GET, GUARD_HEAD, GUARD_POST, GUARD_PUT, GUARD_DELETE, GUARD_PATCH, GUARD_OPTIONS,
	GUARD_METHOD_COUNT
};

struct guard_field {
	struct bytes name, value; /* the value without blanks around it */
};

/* A head that passed; everything borrows its octets. */
struct guard {
	enum guard_method method;
	struct bytes method_text;
	struct bytes target;    /* origin form: begins with '/' */
	bool v10;               /* HTTP/1.0 */
	bool has_length, chunked;
	uint64_t length;
	bool expect;            /* Expect: 100-continue */
	bool close;             /* the connection ends after this request */
	size_t n;
	struct guard_field field[NET_FIELDS_MAX];
};

/* Why not: the status to answer with, a constant word, a constant line. */
struct guard_no {
	unsigned status;
	const char *event, *text;
	bool v10, bodiless;     /* of who reads the answer: a client of HTTP/1.0; one that asked with HEAD */
};

/* How many octets of empty lines (CRLF) stand at the start of `in`; at most NET_BLANKS_MAX lines count. */
size_t guard_blanks(struct bytes in);
/*
 * Look for the end of the head.  *from is how far earlier calls have looked (0 at
 * first).  1: whole, *end is its length with the last CRLFCRLF; 0: more is needed;
 * -1: a NUL, a bare LF or a bare CR was found, which no head may contain.
 */
int guard_end(struct bytes in, size_t *from, size_t *end);
/*
 * Judge a whole head: false and *no filled unless it is one that has a single meaning.
 * Refused: every control octet; anything but single blanks and CRLF as separators;
 * names that are no tokens, blanks before the colon, folded lines; not exactly one
 * Host in 1.1, more than one in 1.0; a Content-Length that is repeated, not digits or
 * above 2^63-1, or together with Transfer-Encoding; any Transfer-Encoding but `chunked`, or
 * in 1.0; targets that do not begin with '/' (http://host/... is reduced to its path),
 * with octets outside 33 to 126, with %00, or too long; methods and versions unknown to us.
 * lax, or'd, names what is taken nevertheless.
 */
bool guard_check(struct guard *g, struct bytes head, unsigned lax, struct guard_no *no) MUST_CHECK;
#define GUARD_NO_HOST 1u /* 1.1 without Host */
#define GUARD_RAW_NUL 2u /* %00 in the target, for owners that route by raw paths and refuse it themselves */
/*
 * Append a head that means to an HTTP library what g means for framing, and nothing else: method, target "/",
 * version, a Host, the body's length.  So that a library need not agree with us about anything that was sent.
 */
void guard_reduced(struct buf *out, const struct guard *g);
/* First value of a field or NULL; name in any case. */
const struct guard_field *guard_find(const struct guard *g, const char *name);
size_t guard_count(const struct guard *g, const char *name);

#endif
