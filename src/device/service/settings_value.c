/* SPDX-License-Identifier: Apache-2.0 */
/* service/settings_value.c - members of tables: their types, spans of time, and names that nobody knows */
#include "device/service/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/text.h"

#define SPAN_MAX   ((int64_t)100 * 365 * 86400) /* seconds; added to any time of ours it still is one */
#define DIGITS_MAX 11                           /* of a number of them */
#define NEAR_MAX   2u                           /* edits that a typing error makes */

/* The member when it is there and of that kind; *out NULL when it is absent. */
static int
find(const struct toml **out, const struct toml *table, const char *key, enum toml_kind kind, struct err *e)
{
	const struct toml *v = table != NULL ? toml_get(table, key) : NULL;

	if (v != NULL && toml_kind(v) != kind)
		return toml_err(e, v, "is %s, not %s", toml_kind_name(toml_kind(v)), toml_kind_name(kind));
	*out = v;
	return 0;
}

int
settings_str(const char **out, const struct toml *table, const char *key, const char *def, struct err *e)
{
	const struct toml *v = NULL;
	int r = find(&v, table, key, TOML_STRING, e);

	if (r == 0)
		*out = v != NULL ? toml_string(v) : def;
	return r;
}

int
settings_int(int64_t *out, const struct toml *table, const char *key, int64_t def, int64_t least, int64_t most,
    struct err *e)
{
	const struct toml *v = NULL;
	int r = find(&v, table, key, TOML_INTEGER, e);

	if (r != 0)
		return r;
	if (v != NULL && (toml_integer(v) < least || toml_integer(v) > most))
		return toml_err(e, v, "is %" PRId64 ", not %" PRId64 " to %" PRId64, toml_integer(v), least, most);
	*out = v != NULL ? toml_integer(v) : def;
	return 0;
}

int
settings_bool(bool *out, const struct toml *table, const char *key, bool def, struct err *e)
{
	const struct toml *v = NULL;
	int r = find(&v, table, key, TOML_BOOLEAN, e);

	if (r == 0)
		*out = v != NULL ? toml_boolean(v) : def;
	return r;
}

/* Seconds of a unit as people write it; 0: none. */
static int64_t
unit_of(const char *word)
{
	static const struct {
		const char *words[6];
		int64_t s;
	} units[] = {
		{ { "", "s", "sec", "secs", "second", "seconds" }, 1 },
		{ { "m", "min", "mins", "minute", "minutes" }, 60 },
		{ { "h", "hr", "hrs", "hour", "hours" }, 3600 },
		{ { "d", "day", "days" }, 86400 },
		{ { "w", "week", "weeks" }, 7 * 86400 },
		{ { "y", "year", "years" }, 365 * 86400 },
	};

	for (size_t i = 0; i < N_OF(units); i++) {
		for (size_t j = 0; j < N_OF(units[i].words) && units[i].words[j] != NULL; j++) {
			if (strcasecmp(word, units[i].words[j]) == 0)
				return units[i].s;
		}
	}
	return 0;
}

int
settings_parse_duration(int64_t *out_s, const char *text, struct err *e)
{
	AUTO_BUF safe = BUF_MAX(60);
	size_t n = strspn(text, "0123456789");
	int64_t unit = unit_of(text + n + strspn(text + n, " "));
	char digits[DIGITS_MAX + 1] = "";
	uint64_t value;

	if (n <= DIGITS_MAX)
		memcpy(digits, text, n);
	text_escape(&safe, bytes_of(text));
	if (n == 0 || unit == 0)
		return err_set(e, E_FORMAT,
		    "'%s' is no duration such as \"90 s\", \"60m\", \"12 h\", \"1 day\" or \"2 weeks\"",
		    buf_str(&safe));
	if (!text_parse_u64(&value, digits, (uint64_t)(SPAN_MAX / unit)))
		return err_set(e, E_FORMAT, "'%s' is more than 100 years", buf_str(&safe));
	*out_s = (int64_t)value * unit;
	return 0;
}

int
settings_duration(int64_t *out_s, const struct toml *table, const char *key, int64_t def, struct err *e)
{
	const struct toml *v = table != NULL ? toml_get(table, key) : NULL;
	struct err why = { 0 };

	if (v == NULL) {
		*out_s = def;
		return 0;
	}
	if (toml_kind(v) == TOML_INTEGER)
		return settings_int(out_s, table, key, def, 0, SPAN_MAX, e);
	if (toml_kind(v) != TOML_STRING)
		return toml_err(e, v, "is %s, not a duration in quotes or a number of seconds",
		    toml_kind_name(toml_kind(v)));
	if (settings_parse_duration(out_s, toml_string(v), &why) != 0)
		return toml_err(e, v, "%s", why.msg);
	return 0;
}

/* --- names that nobody knows --- */

struct reporter {
	void (*fn)(void *ctx, const char *text);
	void *ctx;
};

static const struct settings_key *
row_of(const struct settings_key *schema, const char *key)
{
	for (; schema->name != NULL; schema++) {
		if (strcmp(schema->name, "*") == 0 || strcmp(schema->name, key) == 0)
			return schema;
	}
	return NULL;
}

/* The known name that was meant, or NULL: a short word is not guessed at from another. */
static const char *
nearest(const struct settings_key *schema, const char *key)
{
	unsigned best = NEAR_MAX + 1;
	const char *name = NULL;

	for (; schema->name != NULL; schema++) {
		unsigned d = text_distance(schema->name, key);

		if (d < best && d < strlen(schema->name)) {
			best = d;
			name = schema->name;
		}
	}
	return name;
}

static void
report(const struct toml *v, const struct settings_key *schema, const struct reporter *to)
{
	AUTO_BUF text = { 0 };
	const char *meant = nearest(schema, toml_key(v));

	buf_printf(&text, "%s:%d:%d: unknown key '", toml_file(v), toml_line(v), toml_column(v));
	text_escape(&text, bytes_of(toml_key(v)));
	buf_put_str(&text, "'");
	if (meant != NULL)
		buf_printf(&text, " (did you mean '%s'?)", meant);
	to->fn(to->ctx, buf_str(&text));
}

/* A table, or each table in an array; as deep as the schema. */
static void
look(const struct toml *v, const struct settings_key *schema, const struct reporter *to)
{
	if (toml_kind(v) != TOML_TABLE && toml_kind(v) != TOML_ARRAY)
		return;
	for (size_t i = 0; i < toml_count(v); i++) {
		const struct toml *item = toml_at(v, i);
		const struct settings_key *row = row_of(schema, toml_key(item));

		if (toml_kind(v) == TOML_ARRAY)
			look(item, schema, to);
		else if (row == NULL)
			report(item, schema, to);
		else if (row->members != NULL)
			look(item, row->members, to);
	}
}

void
settings_unknown(const struct toml *doc, const struct settings_key *schema, void (*fn)(void *ctx, const char *text),
    void *ctx)
{
	look(doc, schema, &(struct reporter){ fn, ctx });
}
