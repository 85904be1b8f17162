/* SPDX-License-Identifier: Apache-2.0 */
/* codec/base64.c - RFC 4648 base64 */
#include "core/codec/base64.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/*
 * Of each character its sextet and one, or 0.  A table, since no processor foresees what a test
 * of ranges finds in random text.
 */
static const uint8_t sextets[256] = {
	['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
	['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
	['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, ['+'] = 63, ['/'] = 64,
};

/* 0 to 63, or more when it is none. */
static unsigned
value_of(uint8_t c)
{
	return sextets[c] - 1u;
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The groups of four that stand at the start of text, some of them; how many characters they are. */
static size_t
take_run(struct buf *out, struct bytes text)
{
	uint8_t octets[192];
	size_t at = 0, n = 0;

	for (; text.n - at >= 4 && n < sizeof(octets); at += 4) {
		unsigned a = value_of(text.p[at]), b = value_of(text.p[at + 1]);
		unsigned c = value_of(text.p[at + 2]), d = value_of(text.p[at + 3]);

		if ((a | b | c | d) > 63)
			break;
		octets[n++] = (uint8_t)(a << 2 | b >> 4);
		octets[n++] = (uint8_t)(b << 4 | c >> 2);
		octets[n++] = (uint8_t)(c << 6 | d);
	}
	buf_put(out, octets, n);
	return at;
}

/* What has been read of the last group: its sextets, and how many characters of each kind. */
struct group {
	uint32_t bits;
	unsigned n, pads;
};

/* Take one character; the octets of a finished group go to out. */
static int
take(struct buf *out, struct group *g, uint8_t c, size_t at, struct err *e)
{
	unsigned v = value_of(c);

	if (c == '=' && g->n + g->pads < 4 && g->n >= 2) {
		g->pads++;
		return 0;
	}
	if (v > 63)
		return err_set(e, E_FORMAT, "base64: octet 0x%02x at %zu", c, at);
	if (g->pads != 0)
		return err_set(e, E_FORMAT, "base64: more after the padding, at %zu", at);
	g->bits = g->bits << 6 | v;
	if (++g->n == 4) {
		const uint8_t octets[] = { (uint8_t)(g->bits >> 16), (uint8_t)(g->bits >> 8), (uint8_t)g->bits };

		buf_put(out, octets, sizeof(octets));
		*g = (struct group){ 0 };
	}
	return 0;
}

/* The octets of a padded last group, which must be whole and have no bits left over. */
static int
finish(struct buf *out, const struct group *g, struct err *e)
{
	unsigned left = g->pads * 2; /* bits of the last sextet that belong to no octet */

	if (g->n == 0)
		return 0;
	if (g->n + g->pads != 4)
		return err_set(e, E_FORMAT, "base64: the last group has no padding or is cut");
	/* RFC 4648 3.5 lets us refuse other bits: two texts for one value help nobody honest. */
	if ((g->bits & ((1u << left) - 1)) != 0)
		return err_set(e, E_FORMAT, "base64: bits after the last octet are not zero");
	if (g->n == 3)
		buf_put_u8(out, (uint8_t)(g->bits >> 10));
	buf_put_u8(out, (uint8_t)(g->bits >> (g->n == 3 ? 2 : 4)));
	return 0;
}

int
base64_decode(struct buf *out, struct bytes text, struct err *e)
{
	struct group g = { 0 };
	size_t start = out->n, run;
	int r = 0;

	buf_reserve(out, text.n / 4 * 3 + 3);
	for (size_t i = 0; r == 0 && !out->over && i < text.n; i += run != 0 ? run : 1) {
		run = g.n == 0 ? take_run(out, bytes_slice(text, i, text.n)) : 0;
		if (run == 0 && !is_blank(text.p[i]))
			r = take(out, &g, text.p[i], i, e);
	}
	if (r == 0 && !out->over)
		r = finish(out, &g, e);
	if (r == 0)
		r = buf_check(out, "base64", e);
	if (r != 0)
		out->n = start; /* nothing is written on failure */
	return r;
}

/* Characters into lines of `wrap`; column: how long the last line is. */
static void
put_wrapped(struct buf *out, const char *p, size_t n, size_t wrap, size_t *column)
{
	while (n != 0) {
		size_t fit = n < wrap - *column ? n : wrap - *column;

		buf_put(out, p, fit);
		p += fit;
		n -= fit;
		*column += fit;
		if (*column == wrap) {
			buf_put_str(out, "\r\n");
			*column = 0;
		}
	}
}

/* One to three octets as four characters. */
static void
put_group(char out[4], struct bytes in)
{
	uint32_t bits = (uint32_t)in.p[0] << 16 | (in.n > 1 ? (uint32_t)in.p[1] << 8 : 0) | (in.n > 2 ? in.p[2] : 0);

	out[0] = alphabet[bits >> 18];
	out[1] = alphabet[bits >> 12 & 63];
	out[2] = in.n > 1 ? alphabet[bits >> 6 & 63] : '=';
	out[3] = in.n > 2 ? alphabet[bits & 63] : '=';
}

void
base64_encode(struct buf *out, struct bytes b, size_t wrap)
{
	size_t column = 0, n = 0;
	char piece[256];

	buf_reserve(out, (b.n + 2) / 3 * 4 + (wrap != 0 ? 2 * (b.n * 4 / 3 / wrap + 2) : 0));
	for (size_t i = 0; i < b.n; i += 3) {
		put_group(piece + n, bytes_slice(b, i, 3));
		n += 4;
		if (n < sizeof(piece) && i + 3 < b.n)
			continue;
		if (wrap == 0)
			buf_put(out, piece, n);
		else
			put_wrapped(out, piece, n, wrap, &column);
		n = 0;
	}
	if (column != 0)
		buf_put_str(out, "\r\n");
}
