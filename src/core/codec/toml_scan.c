/* SPDX-License-Identifier: Apache-2.0 */
/* codec/toml_scan.c - the characters of a TOML document */
#include "core/codec/toml_scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"

#define BARE "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

/* Octets of the character at p by RFC 3629's table; 0 when it is malformed. */
static size_t
utf8_len(const uint8_t *p, size_t n)
{
	static const struct { uint8_t lead_min, lead_max, next_min, next_max, len; } forms[] = {
		{ 0x00, 0x7f, 0, 0, 1 },
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (size_t i = 0; i < N_OF(forms); i++) {
		if (p[0] < forms[i].lead_min || p[0] > forms[i].lead_max)
			continue;
		if (forms[i].len > n ||
		    (n > 1 && forms[i].len > 1 && (p[1] < forms[i].next_min || p[1] > forms[i].next_max)))
			return 0;
		for (size_t j = 2; j < forms[i].len; j++)
			if ((p[j] & 0xc0) != 0x80)
				return 0;
		return forms[i].len;
	}
	return 0;
}

/* Append one character to out and step over it; `rest` begins with it. */
static int
clean_one(struct buf *out, struct toml_scan *at, struct bytes rest, size_t *used)
{
	size_t n = utf8_len(rest.p, rest.n);
	uint8_t c = rest.p[0];

	*used = n;
	if (n == 0)
		return toml_scan_fail(at, E_FORMAT, "found octet 0x%02x, which is not UTF-8", c);
	if (c == '\r') {
		if (rest.n > 1 && rest.p[1] == '\n')
			return 0;
		return toml_scan_fail(at, E_FORMAT, "found a CR without LF, expected a line end");
	}
	if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7f)
		return toml_scan_fail(at, E_FORMAT,
		    "found control character U+%04X (in a string write it as an escape)", c);
	buf_put(out, rest.p, n);
	at->column++;
	if (c == '\n') {
		at->line++;
		at->column = 1;
	}
	return 0;
}

int
toml_scan_clean(struct buf *out, const char *file, struct bytes text, struct err *e)
{
	struct toml_scan at = { .file = file, .line = 1, .column = 1, .e = e };

	if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
		return toml_scan_fail(&at, E_FORMAT, "found a byte-order mark (save the file without one)");
	while (text.n != 0) {
		size_t used;
		int r = clean_one(out, &at, text, &used);

		if (r != 0)
			return r;
		text = bytes_slice(text, used, text.n);
	}
	return buf_check(out, file, e);
}

int
toml_scan_fail(const struct toml_scan *s, enum err_code code, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(s->e, code, "%s:%d:%d: %s", s->file, s->line, s->column, text);
}

int
toml_scan_expected(const struct toml_scan *s, const char *what)
{
	AUTO_BUF c = { 0 };
	const uint8_t *p = (const uint8_t *)s->p;

	if (*s->p == 0)
		return toml_scan_fail(s, E_FORMAT, "found the end of the file, expected %s", what);
	if (*s->p == '\n')
		return toml_scan_fail(s, E_FORMAT, "found the end of the line, expected %s", what);
	text_escape(&c, (struct bytes){ p, utf8_len(p, strnlen(s->p, 4)) });
	return toml_scan_fail(s, E_FORMAT, "found '%s', expected %s", buf_str(&c), what);
}

/* Does it stand there next? */
static bool
stands(const struct toml_scan *s, const char *text)
{
	return strncmp(s->p, text, strlen(text)) == 0;
}

void
toml_scan_skip(struct toml_scan *s, size_t n)
{
	for (; n != 0 && *s->p != 0; n--, s->p++) {
		if (*s->p == '\n') {
			s->line++;
			s->column = 1;
		} else if (((uint8_t)s->p[1] & 0xc0) != 0x80) {
			s->column++; /* counted at the last octet of a character */
		}
	}
}

bool
toml_scan_take(struct toml_scan *s, const char *text)
{
	if (!stands(s, text))
		return false;
	toml_scan_skip(s, strlen(text));
	return true;
}

void
toml_scan_blanks(struct toml_scan *s)
{
	toml_scan_skip(s, strspn(s->p, " \t"));
}

static void
skip_comment(struct toml_scan *s)
{
	if (*s->p == '#')
		toml_scan_skip(s, strcspn(s->p, "\n"));
}

void
toml_scan_blank_lines(struct toml_scan *s)
{
	do {
		toml_scan_blanks(s);
		skip_comment(s);
	} while (toml_scan_take(s, "\n"));
}

int
toml_scan_line_end(struct toml_scan *s)
{
	toml_scan_blanks(s);
	skip_comment(s);
	if (*s->p != 0 && !toml_scan_take(s, "\n"))
		return toml_scan_expected(s, "the end of the line");
	return 0;
}

int
toml_scan_key(struct toml_scan *s, struct buf *out)
{
	size_t n = strspn(s->p, BARE);

	if (n != 0) {
		buf_put(out, s->p, n);
		toml_scan_skip(s, n);
		return 0;
	}
	if (stands(s, "\"\"\"") || stands(s, "'''"))
		return toml_scan_fail(s, E_FORMAT, "found a multi-line string, expected a key");
	if (*s->p == '"' || *s->p == '\'')
		return toml_scan_string(s, out);
	return toml_scan_expected(s, "a key (letters, digits, _ and -, or in quotes)");
}

/* Append code point cp as UTF-8. */
static void
put_utf8(struct buf *out, uint32_t cp)
{
	if (cp < 0x80) {
		buf_put_u8(out, (uint8_t)cp);
		return;
	}
	if (cp < 0x800) {
		buf_put_u8(out, (uint8_t)(0xc0 | cp >> 6));
	} else {
		if (cp < 0x10000) {
			buf_put_u8(out, (uint8_t)(0xe0 | cp >> 12));
		} else {
			buf_put_u8(out, (uint8_t)(0xf0 | cp >> 18));
			buf_put_u8(out, (uint8_t)(0x80 | (cp >> 12 & 0x3f)));
		}
		buf_put_u8(out, (uint8_t)(0x80 | (cp >> 6 & 0x3f)));
	}
	buf_put_u8(out, (uint8_t)(0x80 | (cp & 0x3f)));
}

/* \xXX, \uXXXX or \UXXXXXXXX, with n digits at *s->p + 2. */
static int
unicode_escape(struct toml_scan *s, struct buf *out, size_t n)
{
	uint8_t be[4] = { 0 };
	char hex[9] = "";
	uint32_t cp;

	memcpy(hex, s->p + 2, strnlen(s->p + 2, n));
	if (!text_unhex(be + 4 - n / 2, n / 2, hex))
		return toml_scan_fail(s, E_FORMAT, "\\%c needs exactly %zu hex digits", s->p[1], n);
	cp = (uint32_t)be[0] << 24 | (uint32_t)be[1] << 16 | (uint32_t)be[2] << 8 | be[3];
	if (cp == 0)
		return toml_scan_fail(s, E_FORMAT, "U+0000 is not taken in text");
	if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return toml_scan_fail(s, E_FORMAT, "\\%c%s is no Unicode character", s->p[1], hex);
	put_utf8(out, cp);
	toml_scan_skip(s, 2 + n);
	return 0;
}

/* The escape at *s->p; at the end of a line of a multi-line string it eats blanks and line ends. */
static int
escape(struct toml_scan *s, struct buf *out, bool multi)
{
	static const char from[] = "btnfre\"\\", to[] = "\b\t\n\f\r\033\"\\";
	const char *at;

	if (s->p[1] == 'x')
		return unicode_escape(s, out, 2);
	if (s->p[1] == 'u')
		return unicode_escape(s, out, 4);
	if (s->p[1] == 'U')
		return unicode_escape(s, out, 8);
	at = s->p[1] != 0 ? strchr(from, s->p[1]) : NULL;
	if (at != NULL) {
		buf_put_u8(out, (uint8_t)to[at - from]);
		toml_scan_skip(s, 2);
		return 0;
	}
	if (multi && s->p[1 + strspn(s->p + 1, " \t")] == '\n') {
		toml_scan_skip(s, 1 + strspn(s->p + 1, " \t\n"));
		return 0;
	}
	return toml_scan_fail(s, E_FORMAT,
	    "unknown escape after '\\' (known: \\b \\t \\n \\f \\r \\e \\\" \\\\ \\xXX \\uXXXX \\UXXXXXXXX; "
	    "in '...' nothing is escaped)");
}

/* End a multi-line string: one or two quotes may stand right before the three that close it. */
static bool
close_multi(struct toml_scan *s, struct buf *out, const char *fence)
{
	char quote[2] = { fence[0], 0 };

	if (!stands(s, fence))
		return false;
	for (size_t n = strspn(s->p, quote), spare = n > 5 ? 2 : n - 3; spare != 0; spare--) {
		buf_put_u8(out, (uint8_t)quote[0]);
		toml_scan_skip(s, 1);
	}
	toml_scan_skip(s, 3);
	return true;
}

/* What ends a run of plain octets: an escape, the end too soon, or content of a multi-line string. */
static int
string_octet(struct toml_scan *s, struct buf *out, const struct toml_scan *start, bool multi)
{
	if (*s->p == '\\')
		return escape(s, out, multi);
	if (*s->p == 0 && multi)
		return toml_scan_fail(start, E_FORMAT, "the multi-line string that begins here has no end");
	if (!multi)
		return toml_scan_expected(s, *start->p == '"' ? "\" to end the string" : "' to end the string");
	buf_put(out, s->p, 1);
	toml_scan_skip(s, 1);
	return 0;
}

int
toml_scan_string(struct toml_scan *s, struct buf *out)
{
	const struct toml_scan start = *s;
	bool basic = *s->p == '"';
	const char *one = basic ? "\"" : "'", *three = basic ? "\"\"\"" : "'''";
	bool multi = toml_scan_take(s, three);
	int r = 0;

	if (!multi)
		toml_scan_skip(s, 1);
	else
		(void)toml_scan_take(s, "\n"); /* right after the opening quotes it does not count */
	while (r == 0) {
		size_t n = strcspn(s->p, basic ? "\"\\\n" : "'\n");

		buf_put(out, s->p, n);
		toml_scan_skip(s, n);
		if (multi ? close_multi(s, out, three) : toml_scan_take(s, one))
			return 0;
		r = string_octet(s, out, &start, multi);
	}
	return r;
}
