/* SPDX-License-Identifier: Apache-2.0 */
/* base/bytes.c - octets */
#include "core/base/bytes.h"

#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"

struct bytes
bytes_of(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, s == NULL ? 0 : strlen(s) };
}

struct bytes
bytes_of_buf(const struct buf *b)
{
	return (struct bytes){ b->p, b->n };
}

bool
bytes_equal(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool
bytes_equal_str(struct bytes a, const char *s)
{
	return bytes_equal(a, bytes_of(s));
}

struct bytes
bytes_slice(struct bytes b, size_t off, size_t n)
{
	if (off > b.n)
		off = b.n;
	if (n > b.n - off)
		n = b.n - off;
	return (struct bytes){ b.p != NULL ? b.p + off : NULL, n };
}

/* Make room for n more octets and a NUL; false (and over) at the ceiling. */
static bool
buf_room(struct buf *b, size_t n)
{
	size_t max = b->max != 0 ? b->max : BUF_DEFAULT_MAX;
	size_t cap = b->cap != 0 ? b->cap : 256;

	if (b->over || n > max || b->n > max - n) {
		b->over = true;
		return false;
	}
	while (cap < b->n + n + 1)
		cap *= 2;
	if (cap != b->cap) {
		b->p = mem_resize(b->p, b->cap, cap);
		b->cap = cap;
	}
	return true;
}

void
buf_reserve(struct buf *b, size_t n)
{
	bool over = b->over;

	if (!buf_room(b, n))
		b->over = over; /* nothing was written that does not fit */
}

void
buf_put(struct buf *b, const void *p, size_t n)
{
	if (n == 0 || !buf_room(b, n))
		return;
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

void
buf_put_bytes(struct buf *b, struct bytes s)
{
	buf_put(b, s.p, s.n);
}

void
buf_put_str(struct buf *b, const char *s)
{
	buf_put_bytes(b, bytes_of(s));
}

void
buf_put_u8(struct buf *b, uint8_t v)
{
	buf_put(b, &v, 1);
}

void
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	size_t room = b->over || b->p == NULL ? 0 : b->cap - b->n;
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(room != 0 ? (char *)b->p + b->n : NULL, room, fmt, ap);
	if (n > 0 && buf_room(b, (size_t)n)) {
		if ((size_t)n >= room)
			(void)vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, again);
		b->n += (size_t)n;
	}
	va_end(again);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

const char *
buf_str(struct buf *b)
{
	if (b->p == NULL)
		return "";
	b->p[b->n] = 0; /* buf_room() keeps one octet for it */
	return (const char *)b->p;
}

char *
buf_take_str(struct buf *b)
{
	char *s = mem_strdup(buf_str(b));

	buf_free(b);
	return s;
}

void
buf_reset(struct buf *b)
{
	b->n = 0;
	b->over = false;
}

void
buf_free(struct buf *b)
{
	if (b == NULL)
		return;
	mem_free_wiped(b->p, b->cap);
	*b = (struct buf){ .max = b->max };
}

int
buf_check(const struct buf *b, const char *what, struct err *e)
{
	if (!b->over)
		return 0;
	return err_set(e, E_TOOBIG, "%s: over its limit of %zu octets", what,
	    b->max != 0 ? b->max : BUF_DEFAULT_MAX);
}
