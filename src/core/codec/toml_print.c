/* SPDX-License-Identifier: Apache-2.0 */
/* codec/toml_print.c - from values to TOML */
#include "core/codec/toml_print.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

static void
put_basic(struct buf *out, const char *s)
{
	static const char named[] = "\b\t\n\f\r\"\\", letters[] = "btnfr\"\\";

	buf_put_u8(out, '"');
	for (; *s != 0; s++) {
		const char *at = strchr(named, *s);

		if (at != NULL)
			buf_printf(out, "\\%c", letters[at - named]);
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			buf_printf(out, "\\u%04X", (unsigned)(unsigned char)*s);
		else
			buf_put_u8(out, (uint8_t)*s);
	}
	buf_put_u8(out, '"');
}

static void
put_key(struct buf *out, const char *key)
{
	static const char bare[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
				   "-";

	if (*key != 0 && key[strspn(key, bare)] == 0)
		buf_put_str(out, key);
	else
		put_basic(out, key);
}

/* The empty line before a header. */
static void
put_gap(struct buf *out)
{
	if (out->n != 0 && !(out->n >= 2 && out->p[out->n - 2] == '\n'))
		buf_put_u8(out, '\n');
}

static void
put_header(struct buf *out, const char *open, const char *close, va_list parts)
{
	const char *part = va_arg(parts, const char *);

	put_gap(out);
	buf_put_str(out, open);
	for (bool first = true; part != NULL; first = false, part = va_arg(parts, const char *)) {
		if (!first)
			buf_put_u8(out, '.');
		put_key(out, part);
	}
	buf_put_str(out, close);
}

void
toml_print_table(struct buf *out, ...)
{
	va_list parts;

	va_start(parts, out);
	put_header(out, "[", "]\n", parts);
	va_end(parts);
}

void
toml_print_array_table(struct buf *out, ...)
{
	va_list parts;

	va_start(parts, out);
	put_header(out, "[[", "]]\n", parts);
	va_end(parts);
}

void
toml_print_str(struct buf *out, const char *key, const char *value)
{
	if (value == NULL)
		return;
	put_key(out, key);
	buf_put_str(out, " = ");
	put_basic(out, value);
	buf_put_u8(out, '\n');
}

void
toml_print_int(struct buf *out, const char *key, int64_t value)
{
	put_key(out, key);
	buf_printf(out, " = %" PRId64 "\n", value);
}

void
toml_print_bool(struct buf *out, const char *key, bool value)
{
	put_key(out, key);
	buf_put_str(out, value ? " = true\n" : " = false\n");
}

void
toml_print_strs(struct buf *out, const char *key, const char *const *values, size_t n)
{
	put_key(out, key);
	buf_put_str(out, " = [");
	for (size_t i = 0; i < n; i++) {
		if (i != 0)
			buf_put_str(out, ", ");
		put_basic(out, values[i]);
	}
	buf_put_str(out, "]\n");
}

/* --- what was parsed --- */

static int
by_key(const void *a, const void *b)
{
	return strcmp(toml_key(*(const struct toml *const *)a),
	    toml_key(*(const struct toml *const *)b));
}

/* The members in order; free with mem_free(). */
static const struct toml **
sorted(const struct toml *table)
{
	size_t n = toml_count(table);
	const struct toml **list = mem_zalloc_n(n + 1, sizeof(*list));

	for (size_t i = 0; i < n; i++)
		list[i] = toml_at(table, i);
	if (n != 0)
		qsort(list, n, sizeof(*list), by_key);
	return list;
}

/* The shortest text that is the same number again, and a float's. */
static void
put_float(struct buf *out, double v)
{
	char text[40];

	if (isnan(v) || isinf(v)) {
		buf_put_str(out, isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
		return;
	}
	for (int digits = 1; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	buf_put_str(out, text);
	if (strpbrk(text, ".e") == NULL)
		buf_put_str(out, ".0");
}

static void put_inline(struct buf *out, const struct toml *v);

static void
put_value(struct buf *out, const struct toml *v)
{
	switch (toml_kind(v)) {
	case TOML_TABLE:
	case TOML_ARRAY:
		put_inline(out, v);
		break;
	case TOML_STRING:
		put_basic(out, toml_string(v));
		break;
	case TOML_INTEGER:
		buf_printf(out, "%" PRId64, toml_integer(v));
		break;
	case TOML_FLOAT:
		put_float(out, toml_float(v));
		break;
	case TOML_BOOLEAN:
		buf_put_str(out, toml_boolean(v) ? "true" : "false");
		break;
	case TOML_DATETIME:
		buf_put_str(out, toml_datetime(v));
		break;
	}
}

/* As deep as a document is, which TOML_DEPTH bounds. */
static void
put_inline(struct buf *out, const struct toml *v)
{
	bool table = toml_kind(v) == TOML_TABLE, any = toml_count(v) != 0;
	const struct toml **list = table ? sorted(v) : NULL;

	buf_put_str(out, !table ? "[" : any ? "{ " : "{");
	for (size_t i = 0; i < toml_count(v); i++) {
		const struct toml *item = table ? list[i] : toml_at(v, i);

		if (i != 0)
			buf_put_str(out, ", ");
		if (table) {
			put_key(out, toml_key(item));
			buf_put_str(out, " = ");
		}
		put_value(out, item);
	}
	buf_put_str(out, !table ? "]" : any ? " }" : "}");
	mem_free(list);
}

void
toml_print_value(struct buf *out, const char *key, const struct toml *v)
{
	put_key(out, key);
	buf_put_str(out, " = ");
	put_value(out, v);
	buf_put_u8(out, '\n');
}

/* Not empty, and all its items are tables. */
static bool
is_table_array(const struct toml *v)
{
	if (toml_kind(v) != TOML_ARRAY || toml_count(v) == 0)
		return false;
	for (size_t i = 0; i < toml_count(v); i++)
		if (toml_kind(toml_at(v, i)) != TOML_TABLE)
			return false;
	return true;
}

static bool
is_below(const struct toml *v)
{
	return toml_kind(v) == TOML_TABLE || is_table_array(v);
}

/* A table of nothing but tables needs no header: those of its members imply it. */
static bool
needs_header(const struct toml *table)
{
	for (size_t i = 0; i < toml_count(table); i++)
		if (!is_below(toml_at(table, i)))
			return true;
	return toml_count(table) == 0;
}

static void
put_below(struct buf *out, const struct toml *v, const char *path)
{
	AUTO_BUF whole = { 0 };

	buf_printf(&whole, "%s%s", path, *path != 0 ? "." : "");
	put_key(&whole, toml_key(v));
	if (toml_kind(v) == TOML_TABLE) {
		toml_print_below(out, v, buf_str(&whole));
		return;
	}
	for (size_t i = 0; i < toml_count(v); i++) {
		put_gap(out);
		buf_printf(out, "[[%s]]\n", buf_str(&whole));
		toml_print_members(out, toml_at(v, i), buf_str(&whole));
	}
}

void
toml_print_below(struct buf *out, const struct toml *table, const char *path)
{
	if (needs_header(table)) {
		put_gap(out);
		buf_printf(out, "[%s]\n", path);
	}
	toml_print_members(out, table, path);
}

void
toml_print_members(struct buf *out, const struct toml *table, const char *path)
{
	const struct toml **list = sorted(table);

	for (size_t i = 0; i < toml_count(table); i++)
		if (!is_below(list[i]))
			toml_print_value(out, toml_key(list[i]), list[i]);
	for (size_t i = 0; i < toml_count(table); i++)
		if (is_below(list[i]))
			put_below(out, list[i], path);
	mem_free(list);
}
