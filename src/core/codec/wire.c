/* SPDX-License-Identifier: Apache-2.0 */
/* codec/wire.c - fields of a message between our own processes */
#include "core/codec/wire.h"

#include <string.h>

void
wire_put_u8(struct buf *b, uint8_t v)
{
	buf_put_u8(b, v);
}

void
wire_put_u32(struct buf *b, uint32_t v)
{
	uint8_t be[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	buf_put(b, be, sizeof(be));
}

void
wire_put_u64(struct buf *b, uint64_t v)
{
	wire_put_u32(b, (uint32_t)(v >> 32));
	wire_put_u32(b, (uint32_t)v);
}

void
wire_put_i64(struct buf *b, int64_t v)
{
	wire_put_u64(b, (uint64_t)v);
}

void
wire_put_bytes(struct buf *b, struct bytes v)
{
	wire_put_u32(b, (uint32_t)v.n);
	buf_put_bytes(b, v);
}

void
wire_put_str(struct buf *b, const char *s)
{
	wire_put_bytes(b, bytes_of(s));
}

struct wire
wire_open(struct bytes message)
{
	return (struct wire){ .rest = message };
}

static struct bytes
take(struct wire *w, size_t n)
{
	struct bytes got = { NULL, 0 };

	if (w->bad || w->rest.n < n) {
		w->bad = true;
		return got;
	}
	got = bytes_slice(w->rest, 0, n);
	w->rest = bytes_slice(w->rest, n, w->rest.n);
	return got;
}

static uint64_t
take_be(struct wire *w, size_t n)
{
	struct bytes b = take(w, n);
	uint64_t v = 0;

	for (size_t i = 0; i < b.n; i++)
		v = v << 8 | b.p[i];
	return v;
}

uint8_t
wire_u8(struct wire *w)
{
	return (uint8_t)take_be(w, 1);
}

uint32_t
wire_u32(struct wire *w)
{
	return (uint32_t)take_be(w, 4);
}

uint64_t
wire_u64(struct wire *w)
{
	return take_be(w, 8);
}

int64_t
wire_i64(struct wire *w)
{
	return (int64_t)wire_u64(w);
}

void
wire_octets(struct wire *w, void *out, size_t n)
{
	struct bytes b = take(w, n);

	memset(out, 0, n);
	if (b.n != 0)
		memcpy(out, b.p, b.n);
}

struct bytes
wire_bytes(struct wire *w, size_t max)
{
	uint32_t n = wire_u32(w);

	if (n > max)
		w->bad = true;
	return take(w, n);
}

void
wire_str(struct wire *w, char *out, size_t size)
{
	struct bytes b = wire_bytes(w, size - 1);

	if (b.n != 0 && memchr(b.p, 0, b.n) != NULL) {
		w->bad = true;
		b.n = 0;
	}
	if (b.n != 0)
		memcpy(out, b.p, b.n);
	out[b.n] = 0;
}

int
wire_end(const struct wire *w, const char *what, struct err *e)
{
	if (w->bad || w->rest.n != 0)
		return err_set(e, E_FORMAT, "%s: malformed message", what);
	return 0;
}
