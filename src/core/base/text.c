/* SPDX-License-Identifier: Apache-2.0 */
/* base/text.c - small things about text */
#include "core/base/text.h"

#include <string.h>

void
text_hex(char *out, struct bytes b)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < b.n; i++) {
		*out++ = digits[b.p[i] >> 4];
		*out++ = digits[b.p[i] & 15];
	}
	*out = 0;
}

void
text_copy(char *out, size_t size, const char *s)
{
	if (memccpy(out, s, 0, size) == NULL)
		out[size - 1] = 0;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
text_unhex(uint8_t *out, size_t n, const char *hex)
{
	if (strlen(hex) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_value(hex[2 * i]), lo = hex_value(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

/* Decode one code point of at least one octet; 0 when it is malformed. */
static size_t
utf8_one(uint32_t *cp, struct bytes b)
{
	static const struct { uint8_t mask, lead; uint32_t least; } forms[] = {
		{ 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 },
	};

	for (size_t f = 0; f < N_OF(forms); f++) {
		if ((b.p[0] & forms[f].mask) != forms[f].lead)
			continue;
		if (f + 1 > b.n)
			return 0;
		*cp = b.p[0] & (uint8_t)~forms[f].mask;
		for (size_t i = 1; i <= f; i++) {
			if ((b.p[i] & 0xc0) != 0x80)
				return 0;
			*cp = *cp << 6 | (b.p[i] & 0x3f);
		}
		if (*cp < forms[f].least || *cp > 0x10ffff || (*cp >= 0xd800 && *cp <= 0xdfff))
			return 0;
		return f + 1;
	}
	return 0;
}

/*
 * Characters that make text say something else than it shows: controls, those that turn its direction, those that nobody
 * sees (Unicode's Default_Ignorable_Code_Point), and blanks that look like the one of ASCII.  In order.
 */
static const struct { uint32_t first, last; } harmful_ranges[] = {
	{ 0x0000, 0x001f }, { 0x007f, 0x00a0 }, { 0x00ad, 0x00ad }, { 0x034f, 0x034f }, { 0x061c, 0x061c }, { 0x115f, 0x1160 },
	{ 0x1680, 0x1680 }, { 0x17b4, 0x17b5 }, { 0x180b, 0x180f }, { 0x2000, 0x200f }, { 0x2028, 0x202f }, { 0x205f, 0x206f },
	{ 0x3164, 0x3164 }, { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 }, { 0xfff0, 0xfffb }, { 0x1bca0, 0x1bca3 },
	{ 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff },
};

static bool
harmful(uint32_t cp)
{
	for (size_t i = 0; i < N_OF(harmful_ranges) && cp >= harmful_ranges[i].first; i++)
		if (cp <= harmful_ranges[i].last)
			return true;
	return (cp & 0xfffe) == 0xfffe;
}

/* How many octets at the start of b are printable ASCII without a backslash: nearly all, nearly always. */
static size_t
plain_run(struct bytes b)
{
	size_t n = 0;

	while (n < b.n && b.p[n] >= ' ' && b.p[n] < 0x7f && b.p[n] != '\\')
		n++;
	return n;
}

bool
text_valid_utf8(struct bytes b)
{
	while (b.n != 0) {
		uint32_t cp = 0;
		size_t n = plain_run(b);

		if (n == 0 && ((n = utf8_one(&cp, b)) == 0 || harmful(cp)))
			return false;
		b = bytes_slice(b, n, b.n);
	}
	return true;
}

bool
text_valid_name(const char *s, size_t max)
{
	size_t n = strlen(s);

	if (n == 0 || n > max || s[0] == '.' || s[0] == '-')
		return false;
	return strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

#define ALNUM    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define HOST_MAX 255

bool
text_valid_host(const char *s)
{
	size_t n = strspn(s, ALNUM ".:-_%");

	return n != 0 && n <= HOST_MAX && s[n] == 0;
}

void
text_quote(struct buf *out, const char *s)
{
	buf_put_u8(out, '\'');
	for (; *s != 0; s++) {
		if (*s == '\'')
			buf_put_str(out, "'\\''");
		else
			buf_put_u8(out, (uint8_t)*s);
	}
	buf_put_u8(out, '\'');
}

void
text_shell(struct buf *out, const char *s)
{
	if (*s != 0 && s[strspn(s, ALNUM "_./:=@%+,-")] == 0)
		buf_put_str(out, s);
	else
		text_quote(out, s);
}

/* Behind the character of UTF-8 that s begins with. */
static const char *
next_character(const char *s)
{
	s++;
	while (((uint8_t)*s & 0xc0) == 0x80)
		s++;
	return s;
}

bool
text_match(const char *pattern, const char *s)
{
	const char *star = NULL, *retry = NULL;

	while (*s != 0) {
		if (*pattern == '*') {
			star = ++pattern;
			retry = s;
		} else if (*pattern == '?') {
			pattern++;
			s = next_character(s);
		} else if (*pattern == *s) {
			pattern++;
			s++;
		} else if (star != NULL) {
			pattern = star;
			s = retry = next_character(retry);
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == 0;
}

static void
put_harmless(struct buf *out, struct bytes b, bool backslash_stays)
{
	while (b.n != 0) {
		uint32_t cp = 0;
		size_t n = plain_run(b);

		if (n == 0 && ((n = utf8_one(&cp, b)) == 0 || harmful(cp) || (cp == '\\' && !backslash_stays))) {
			buf_printf(out, "\\x%02x", b.p[0]);
			n = 1;
		} else {
			buf_put(out, b.p, n);
		}
		b = bytes_slice(b, n, b.n);
	}
}

void
text_escape(struct buf *out, struct bytes b)
{
	put_harmless(out, b, false);
}

void
text_show(struct buf *out, struct bytes b)
{
	put_harmless(out, b, true);
}

bool
text_parse_u64(uint64_t *out, const char *s, uint64_t max)
{
	uint64_t v = 0;

	if (*s == 0)
		return false;
	for (; *s != 0; s++) {
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	}
	if (v > max)
		return false;
	*out = v;
	return true;
}

unsigned
text_distance(const char *a, const char *b)
{
	size_t an = strnlen(a, 32), bn = strnlen(b, 32);
	unsigned row[33];

	for (size_t j = 0; j <= bn; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= an; i++) {
		unsigned diag = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= bn; j++) {
			unsigned best = diag + (a[i - 1] != b[j - 1]);

			diag = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[bn];
}
