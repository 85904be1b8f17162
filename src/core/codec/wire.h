/* SPDX-License-Identifier: Apache-2.0 */
/* codec/wire.h - fields of a message between our own processes: big-endian, length before octets */
#ifndef CORE_CODEC_WIRE_H
#define CORE_CODEC_WIRE_H

#include "core/base/bytes.h"

/* Writers append to a buf; the buf's ceiling is the message's. */
void wire_put_u8(struct buf *b, uint8_t v);
void wire_put_u32(struct buf *b, uint32_t v);
void wire_put_u64(struct buf *b, uint64_t v);
void wire_put_i64(struct buf *b, int64_t v);
void wire_put_bytes(struct buf *b, struct bytes v);      /* u32 length, octets */
void wire_put_str(struct buf *b, const char *s);         /* as bytes; NULL as "" */

/*
 * A reader walks a message once.  Anything short, or a string with a NUL,
 * sets `bad` and yields zeros from then on; wire_end() tells.
 */
struct wire {
	struct bytes rest;
	bool bad;
};

struct wire wire_open(struct bytes message);
uint8_t wire_u8(struct wire *w);
uint32_t wire_u32(struct wire *w);
uint64_t wire_u64(struct wire *w);
int64_t wire_i64(struct wire *w);
void wire_octets(struct wire *w, void *out, size_t n);   /* n octets without a length; zeros when bad */
struct bytes wire_bytes(struct wire *w, size_t max);     /* borrowed from the message */
/* A copy into a fixed array of `size` with its NUL; over-long is bad. */
void wire_str(struct wire *w, char *out, size_t size);
/* E_FORMAT, naming `what`, unless every octet was read and nothing was bad. */
int wire_end(const struct wire *w, const char *what, struct err *e) MUST_CHECK;

#endif
