/* SPDX-License-Identifier: Apache-2.0 */
/* base/err.c - what went wrong, and the one table of what a code means outside */
#include "core/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct err_row rows[] = {
	{ E_OK,       "ok",          200, 0, 0 },
	{ E_FORMAT,   "format",      400, 65, 0 },
	{ E_AUTH,     "auth",        401, 77, 0 },
	{ E_POLICY,   "policy",      403, 77, 0 },
	{ E_NOTFOUND, "not-found",   404, 66, 0 },
	{ E_TOOBIG,   "too-big",     413, 65, 0 },
	{ E_PENDING,  "pending",     202, 75, 1 },
	{ E_UNAVAIL,  "unavailable", 503, 69, 1 },
	{ E_IO,       "io",          500, 74, 1 },
	{ E_CRYPTO,   "crypto",      500, 70, 0 },
	{ E_EXISTS,   "exists",      409, 73, 0 },
	{ E_USAGE,    "usage",       400, 64, 0 },
};

int
err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	if (e != NULL) {
		e->code = code;
		va_start(ap, fmt);
		(void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
		va_end(ap);
	}
	return code;
}

int
err_errno(struct err *e, enum err_code code, const char *fmt, ...)
{
	char text[300];
	int no = errno;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)err_set(e, code, "%s: %s", text, strerror(no));
	errno = no;
	return code;
}

int
err_prefix(struct err *e, enum err_code code, const char *fmt, ...)
{
	char text[200], old[sizeof(e->msg)];
	va_list ap;

	if (e == NULL)
		return code;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(old, e->msg, sizeof(old));
	return err_set(e, e->code, "%s: %s", text, old);
}

const struct err_row *
err_row(enum err_code code)
{
	const struct err_row *io = &rows[0];

	for (size_t i = 0; i < N_OF(rows); i++) {
		if (rows[i].code == code)
			return &rows[i];
		if (rows[i].code == E_IO)
			io = &rows[i];
	}
	return io;
}
