/* SPDX-License-Identifier: Apache-2.0 */
/* codec/toml_value.c - numbers, booleans and dates of a TOML document */
#include "core/codec/toml_value.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS "0123456789"
#define WORD   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_.:"
#define WORD_MAX ((size_t)256)

/* A kind of word: read() gives NULL when it is good, or what is wrong with it. */
struct reader {
	const char *what;
	const char *(*read)(struct toml_value *out, const char *word);
};

/* Exactly n decimal digits at *p, at most max; steps over them, or returns -1. */
static int
fixed(const char **p, unsigned n, int max)
{
	int v = 0;

	for (; n != 0; n--, (*p)++) {
		if (**p < '0' || **p > '9')
			return -1;
		v = v * 10 + (**p - '0');
	}
	return v <= max ? v : -1;
}

static bool
step(const char **p, const char *any)
{
	if (**p == 0 || strchr(any, **p) == NULL)
		return false;
	(*p)++;
	return true;
}

static bool
date_part(const char **p)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int y, m, d;

	if ((y = fixed(p, 4, 9999)) < 0 || !step(p, "-") || (m = fixed(p, 2, 12)) < 1 || !step(p, "-"))
		return false;
	d = fixed(p, 2, days[m - 1] + (m == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0)));
	return d >= 1;
}

/* Seconds may be left out since TOML 1.1.  Second 60 is not taken: no clock that we compare with has it. */
static bool
time_part(const char **p)
{
	size_t n;

	if (fixed(p, 2, 23) < 0 || !step(p, ":") || fixed(p, 2, 59) < 0)
		return false;
	if (!step(p, ":"))
		return true;
	if (fixed(p, 2, 59) < 0)
		return false;
	if (!step(p, "."))
		return true;
	n = strspn(*p, DIGITS);
	*p += n;
	return n != 0;
}

static bool
offset_part(const char **p)
{
	if (step(p, "Zz"))
		return true;
	if (!step(p, "+-"))
		return **p == 0;
	return fixed(p, 2, 23) >= 0 && step(p, ":") && fixed(p, 2, 59) >= 0;
}

/* RFC 3339's date-time with or without its offset, or its date or time alone. */
static const char *
read_datetime(struct toml_value *out, const char *word)
{
	const char *p = word;
	bool good;

	out->kind = TOML_DATETIME;
	if (word[2] == ':')
		good = time_part(&p);
	else
		good = date_part(&p) &&
		    (*p == 0 || (step(&p, "Tt ") && time_part(&p) && offset_part(&p)));
	return good && *p == 0 ? NULL : "no such date or time";
}

/* Digits of the set, with single underscores between digits alone. */
static const char *
check_digits(const char *p, const char *set)
{
	size_t n;

	while ((n = strspn(p, set)) != 0) {
		p += n;
		if (*p == 0)
			return NULL;
		if (*p != '_')
			return "a character that is no digit";
		p++;
	}
	return "no digit where one is needed";
}

/* Copy without underscores; the word is at most WORD_MAX. */
static void
plain(char out[WORD_MAX + 1], const char *word)
{
	for (; *word != 0; word++)
		if (*word != '_')
			*out++ = *word;
	*out = 0;
}

static const char *
read_integer(struct toml_value *out, const char *word)
{
	static const struct { const char *prefix, *digits; int base; } forms[] = {
		{ "0x", "0123456789abcdefABCDEF", 16 }, { "0o", "01234567", 8 }, { "0b", "01", 2 },
		{ "", DIGITS, 10 },
	};
	const char *p = word + (*word == '+' || *word == '-'), *why;
	char digits[WORD_MAX + 1];
	uint64_t v = 0, limit = (uint64_t)INT64_MAX + (*word == '-');
	size_t f = 0;

	while (p != word ? f < 3 : strncmp(p, forms[f].prefix, strlen(forms[f].prefix)) != 0)
		f++; /* a sign goes with decimals alone */
	p += strlen(forms[f].prefix);
	if (forms[f].base == 10 && p[0] == '0' && p[1] != 0)
		return "a leading zero, or a prefix other than 0x 0o 0b without sign";
	if ((why = check_digits(p, forms[f].digits)) != NULL)
		return why;
	plain(digits, p);
	for (p = digits; *p != 0; p++) {
		unsigned d = (unsigned)(*p <= '9' ? *p - '0' : (*p | 0x20) - 'a' + 10);

		if (__builtin_mul_overflow(v, (uint64_t)forms[f].base, &v) ||
		    __builtin_add_overflow(v, d, &v) || v > limit)
			return "more than 64 bits hold";
	}
	out->kind = TOML_INTEGER;
	out->integer = *word == '-' ? (int64_t)(0 - v) : (int64_t)v;
	return NULL;
}

/* The form of a float: digits, then a fraction or an exponent or both. */
static const char *
check_float(const char *word)
{
	char part[WORD_MAX + 1];
	const char *p = word + (*word == '+' || *word == '-'), *why;
	size_t n = strcspn(p, ".eE");

	memcpy(part, p, n);
	part[n] = 0;
	if (part[0] == '0' && part[1] != 0)
		return "a leading zero";
	if ((why = check_digits(part, DIGITS)) != NULL)
		return why;
	p += n;
	if (*p == '.') {
		n = strcspn(++p, "eE");
		memcpy(part, p, n);
		part[n] = 0;
		if ((why = check_digits(part, DIGITS)) != NULL)
			return why;
		p += n;
	}
	if (*p == 0)
		return NULL;
	p++;
	return check_digits(p + (*p == '+' || *p == '-'), DIGITS);
}

static const char *
read_float(struct toml_value *out, const char *word)
{
	const char *p = word + (*word == '+' || *word == '-'), *why;
	char digits[WORD_MAX + 1];
	locale_t c;

	out->kind = TOML_FLOAT;
	if (strcmp(p, "inf") == 0 || strcmp(p, "nan") == 0) {
		out->number = *p == 'i' ? (double)INFINITY : (double)NAN;
		out->number = copysign(out->number, *word == '-' ? -1 : 1);
		return NULL;
	}
	if ((why = check_float(word)) != NULL)
		return why;
	plain(digits, word);
	if ((c = newlocale(LC_ALL_MASK, "C", (locale_t)0)) == (locale_t)0)
		return "no memory to read it";
	out->number = strtod_l(digits, NULL, c);
	freelocale(c);
	return NULL;
}

static const char *
read_boolean(struct toml_value *out, const char *word)
{
	out->kind = TOML_BOOLEAN;
	out->boolean = strcmp(word, "true") == 0;
	return NULL;
}

/* What a word means to be, by its first characters. */
static const struct reader *
reader_of(const char *word)
{
	static const struct reader integer = { "an integer", read_integer };
	static const struct reader number = { "a float", read_float };
	static const struct reader boolean = { "a boolean", read_boolean };
	static const struct reader datetime = { "a date or time", read_datetime };
	const char *p = word + (*word == '+' || *word == '-');

	if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0)
		return &boolean;
	if (strcmp(p, "inf") == 0 || strcmp(p, "nan") == 0)
		return &number;
	if (*p < '0' || *p > '9')
		return NULL;
	if (p == word && (strspn(p, DIGITS) >= 4 ? p[4] == '-' : p[1] != 0 && p[2] == ':'))
		return &datetime;
	if (p[0] == '0' && p[1] != 0 && strchr("xob", p[1]) != NULL)
		return &integer;
	return p[strcspn(p, ".eE")] != 0 ? &number : &integer;
}

/* Octets of the word; a date and a time may have one blank between them. */
static size_t
word_len(const char *p)
{
	size_t n = strspn(p, WORD);

	if (n == 10 && p[4] == '-' && p[7] == '-' && p[10] == ' ' && p[11] >= '0' && p[11] <= '9')
		n = 11 + strspn(p + 11, WORD);
	return n;
}

int
toml_value_read(struct toml_value *out, struct buf *text, struct toml_scan *s)
{
	size_t n = word_len(s->p);
	const struct reader *reader;
	const char *word, *why;

	if (n == 0)
		return toml_scan_expected(s, "a value");
	if (n > WORD_MAX)
		return toml_scan_fail(s, E_FORMAT, "found a word of %zu characters, expected a value", n);
	buf_put(text, s->p, n);
	word = buf_str(text);
	reader = reader_of(word);
	/* The word itself is not told: it may be a password that somebody forgot to quote. */
	if (reader == NULL)
		return toml_scan_fail(s, E_FORMAT, "found a word, expected a value (text stands in quotes)");
	if ((why = reader->read(out, word)) != NULL)
		return toml_scan_fail(s, E_FORMAT, "expected %s: %s", reader->what, why);
	toml_scan_skip(s, n);
	return 0;
}
