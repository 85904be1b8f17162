/* SPDX-License-Identifier: Apache-2.0 */
/* base/err.h - what went wrong, in one value the caller owns */
#ifndef CORE_BASE_ERR_H
#define CORE_BASE_ERR_H

#include "core/base/auto.h"

enum err_code {
	E_OK = 0,
	E_FORMAT = -1,   /* input is not what it claims to be */
	E_AUTH = -2,     /* who are you? */
	E_POLICY = -3,   /* we know you, and no */
	E_NOTFOUND = -4, /* no such thing */
	E_TOOBIG = -5,   /* over a declared limit */
	E_PENDING = -6,  /* ask again later */
	E_UNAVAIL = -7,  /* something we need is down */
	E_IO = -8,       /* the operating system said no */
	E_CRYPTO = -9,   /* OpenSSL said no */
	E_EXISTS = -10,  /* there is one already */
	E_USAGE = -11,   /* the command was typed wrong */
};

struct err {
	enum err_code code;
	char msg[400];
};

/* One row of the table that says what each code means outside. */
struct err_row {
	enum err_code code;
	const char *name;  /* a word for machines: "format", "policy", ... */
	int http_status;
	int exit_status;   /* of the commands */
	int retry;         /* 1: the same request may succeed later */
};

/* Record code and one line of why; returns code.  e may be NULL. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) PRINTF(3, 4);
/* The same with ": <strerror(errno)>" after the text; errno is kept. */
int err_errno(struct err *e, enum err_code code, const char *fmt, ...) PRINTF(3, 4);
/* Put "text: " in front of what e says; returns e->code (or `code` when e is NULL). */
int err_prefix(struct err *e, enum err_code code, const char *fmt, ...) PRINTF(3, 4);
/* Never NULL: a code that is not in the table has E_IO's row. */
const struct err_row *err_row(enum err_code code);

#endif
