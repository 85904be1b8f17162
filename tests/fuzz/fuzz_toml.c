/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_toml.c - any octets are a document whose every value can be read, or an error with its place */
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
		assert(strlen(toml_datetime(v)) >= 8);
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

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	AUTO(toml) doc = NULL;
	struct err e = { 0 };

	if (toml_parse(&doc, "f", (struct bytes){ p, n }, &e) == 0)
		walk(doc, 0);
	else
		assert(doc == NULL && strncmp(e.msg, "f:", 2) == 0 && strchr(e.msg, '\n') == NULL);
	return 0;
}
