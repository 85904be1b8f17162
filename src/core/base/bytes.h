/* SPDX-License-Identifier: Apache-2.0 */
/* base/bytes.h - octets: a borrowed run by value, and a bounded buffer that grows */
#ifndef CORE_BASE_BYTES_H
#define CORE_BASE_BYTES_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/auto.h"
#include "core/base/err.h"

/* A borrowed run of octets; p may be NULL when n is 0. */
struct bytes {
	const uint8_t *p;
	size_t n;
};

/*
 * A growing run of octets with a ceiling.  Zero-initialise, or BUF_MAX(n) for a
 * ceiling of n octets (0 means BUF_DEFAULT_MAX).  Going over the ceiling sets
 * `over` and stores nothing more: the writer checks once, at the end, with
 * buf_check().  buf_free() gives the memory back and leaves a usable empty buf.
 */
struct buf {
	uint8_t *p;
	size_t n, cap, max;
	bool over;
};

#define BUF_DEFAULT_MAX ((size_t)16 * 1024 * 1024)
#define BUF_MAX(m)      ((struct buf){ .max = (m) })

struct bytes bytes_of(const char *s);                     /* of a C string, without its NUL */
struct bytes bytes_of_buf(const struct buf *b);           /* borrowed until b changes */
bool bytes_equal(struct bytes a, struct bytes b);         /* not for secrets: see mem_equal_ct() */
bool bytes_equal_str(struct bytes a, const char *s);
struct bytes bytes_slice(struct bytes b, size_t off, size_t n); /* clamped to b */

void buf_reserve(struct buf *b, size_t n);  /* memory for n more octets, at once instead of by and by */
void buf_put(struct buf *b, const void *p, size_t n);
void buf_put_bytes(struct buf *b, struct bytes s);
void buf_put_str(struct buf *b, const char *s);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) PRINTF(2, 0);
/* NUL-terminated view of the content (the NUL is not counted); never NULL. */
const char *buf_str(struct buf *b);
/* Hand the NUL-terminated content to the caller (mem_free()); b is empty after. */
char *buf_take_str(struct buf *b);
void buf_reset(struct buf *b);      /* empty, memory kept */
void buf_free(struct buf *b);       /* memory wiped and given back */
/* E_TOOBIG when the ceiling was hit, naming `what`. */
int buf_check(const struct buf *b, const char *what, struct err *e) MUST_CHECK;

#endif
