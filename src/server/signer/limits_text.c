/* SPDX-License-Identifier: Apache-2.0 */
/* signer/limits_text.c - a key's limits as the TOML file beside it */
#include <inttypes.h>
#include <string.h>

#include "core/base/text.h"
#include "core/codec/toml.h"
#include "server/signer/limits.h"

#define PATHLEN_MAX  255
#define LIFETIME_MAX (INT64_C(1000) * 366 * 86400)
#define PER_S_MAX    1000000

void
limits_print(struct buf *out, const struct limits *l)
{
	char hex[2 * SHA256_LEN + 1];

	text_hex(hex, (struct bytes){ l->spki_sha256, SHA256_LEN });
	buf_put_str(out, "# What the key beside this file may sign: fixed when it was made.\n");
	buf_printf(out, "type = \"%s\"\n", key_type_name(l->type));
	buf_printf(out, "spki_sha256 = \"%s\"\n", hex);
	buf_printf(out, "may_sign_ca = %s\n", l->may_sign_ca ? "true" : "false");
	buf_printf(out, "max_pathlen = %" PRId32 "\n", l->max_pathlen);
	buf_printf(out, "max_lifetime_s = %" PRId64 "\n", l->max_lifetime_s);
	buf_printf(out, "max_per_s = %" PRIu32 "\n", l->max_per_s);
}

static int
read_type(struct limits *l, const struct toml *v, struct err *e)
{
	l->type = key_type_by_name(toml_string(v));
	return l->type != KEY_NONE ? 0 : toml_err(e, v, "no such type of key");
}

static int
read_spki(struct limits *l, const struct toml *v, struct err *e)
{
	return text_unhex(l->spki_sha256, SHA256_LEN, toml_string(v)) ? 0 :
	    toml_err(e, v, "not %d hex digits", 2 * SHA256_LEN);
}

static int
read_may_sign_ca(struct limits *l, const struct toml *v, struct err *e)
{
	(void)e;
	l->may_sign_ca = toml_boolean(v);
	return 0;
}

static int
in_range(int64_t *out, const struct toml *v, int64_t least, int64_t most, struct err *e)
{
	*out = toml_integer(v);
	return *out >= least && *out <= most ? 0 :
	    toml_err(e, v, "expected %" PRId64 " to %" PRId64, least, most);
}

static int
read_max_pathlen(struct limits *l, const struct toml *v, struct err *e)
{
	int64_t n;
	int r = in_range(&n, v, -1, PATHLEN_MAX, e);

	l->max_pathlen = (int32_t)n;
	return r;
}

static int
read_max_lifetime(struct limits *l, const struct toml *v, struct err *e)
{
	return in_range(&l->max_lifetime_s, v, 1, LIFETIME_MAX, e);
}

static int
read_max_per_s(struct limits *l, const struct toml *v, struct err *e)
{
	int64_t n;
	int r = in_range(&n, v, 1, PER_S_MAX, e);

	l->max_per_s = (uint32_t)n;
	return r;
}

static const struct {
	const char *key;
	enum toml_kind kind;
	int (*read)(struct limits *l, const struct toml *v, struct err *e);
} keys[] = {
	{ "type", TOML_STRING, read_type },
	{ "spki_sha256", TOML_STRING, read_spki },
	{ "may_sign_ca", TOML_BOOLEAN, read_may_sign_ca },
	{ "max_pathlen", TOML_INTEGER, read_max_pathlen },
	{ "max_lifetime_s", TOML_INTEGER, read_max_lifetime },
	{ "max_per_s", TOML_INTEGER, read_max_per_s },
};

/* A key that nobody reads may be a limit that somebody relies on. */
static int
refuse_others(const struct toml *doc, struct err *e)
{
	for (size_t i = 0; i < toml_count(doc); i++) {
		size_t k = 0;

		while (k < N_OF(keys) && strcmp(keys[k].key, toml_key(toml_at(doc, i))) != 0)
			k++;
		if (k == N_OF(keys))
			return toml_err(e, toml_at(doc, i), "no such limit");
	}
	return 0;
}

int
limits_parse(struct limits *out, const char *file, struct bytes text, struct err *e)
{
	AUTO(toml) doc = NULL;
	struct limits l = { 0 };
	int r;

	if ((r = toml_parse(&doc, file, text, e)) != 0 || (r = refuse_others(doc, e)) != 0)
		return r;
	for (size_t k = 0; k < N_OF(keys); k++) {
		const struct toml *v = toml_get(doc, keys[k].key);

		if (v == NULL)
			return toml_err(e, doc, "key '%s' is missing", keys[k].key);
		if (toml_kind(v) != keys[k].kind)
			return toml_err(e, v, "found %s, expected %s", toml_kind_name(toml_kind(v)),
			    toml_kind_name(keys[k].kind));
		if ((r = keys[k].read(&l, v, e)) != 0)
			return r;
	}
	*out = l;
	return 0;
}
