/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_toml.c - any octets are a document whose every value can be read, also merged with another, or an error with its place */
#include <assert.h>
#include <string.h>

#include "core/codec/toml.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
read_scalar(const struct toml *v)
{
	switch (toml_kind(v)) {
	case TOML_STRING:
		assert(toml_string(v) != NULL);
		break;
	case TOML_DATETIME:
		assert(strlen(toml_datetime(v)) >= 5);
		break;
	case TOML_INTEGER:
		(void)toml_integer(v);
		break;
	case TOML_FLOAT:
		(void)toml_float(v);
		break;
	case TOML_BOOLEAN:
		(void)toml_boolean(v);
		break;
	default:
		break;
	}
}

static void
walk(const struct toml *v, int depth)
{
	assert(depth <= TOML_DEPTH && toml_line(v) >= 1 && toml_column(v) >= 1);
	read_scalar(v);
	for (size_t i = 0; i < toml_count(v); i++) {
		const struct toml *item = toml_at(v, i);

		if (toml_kind(v) == TOML_TABLE)
			assert(toml_get(v, toml_key(item)) == item);
		walk(item, depth + 1);
	}
}

static int
parse(struct toml **out, struct bytes text)
{
	struct err e = { 0 };
	int r = toml_parse(out, "f", text, &e);

	assert(r == 0 || (*out == NULL && strncmp(e.msg, "f:", 2) == 0 && strchr(e.msg, '\n') == NULL));
	return r;
}

/* The whole, then its two halves (cut at the line end next to the middle) merged. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const uint8_t *cut = n != 0 ? memchr(p + n / 2, '\n', n - n / 2) : NULL;
	struct bytes all = { p, n };
	size_t half = cut != NULL ? (size_t)(cut - p) + 1 : n;
	AUTO(toml) doc = NULL;
	AUTO(toml) base = NULL;
	AUTO(toml) patch = NULL;

	if (parse(&doc, all) == 0)
		walk(doc, 0);
	if (parse(&base, bytes_slice(all, 0, half)) == 0 && parse(&patch, bytes_slice(all, half, n)) == 0 &&
	    toml_merge(base, TAKE(patch), NULL) == 0)
		walk(base, 0);
	return 0;
}
