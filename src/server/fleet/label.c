/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/label.c - an EST endpoint's settings, as one table of members */
#include "server/fleet/label.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/text.h"

enum kind { TEXT, FLAG, NUMBER, DURATION, ACCEPT, MATCH, REENROL, POP, BASES };

static const struct member {
	const char *key;
	enum kind kind;
	size_t offset;
	int64_t most;        /* of numbers and durations */
	const char *expected;
} members[] = {
	{ "enabled", FLAG, offsetof(struct label, enabled), 0, "true or false" },
	{ "default", FLAG, offsetof(struct label, is_default), 0, "true or false" },
	{ "ca", TEXT, offsetof(struct label, ca), 0, "the name of a CA" },
	{ "profile", TEXT, offsetof(struct label, profile), 0, "the name of a profile" },
	{ "accept", ACCEPT, 0, 0, "a list of own, anchor, basic, code, secret" },
	{ "match", MATCH, 0, 0, "any or all" },
	{ "secret_header", TEXT, offsetof(struct label, secret_header), 0, "the name of a header field" },
	{ "reenrol", REENROL, 0, 0, "strict, force-subject or off" },
	{ "pop", POP, 0, 0, "optional or required" },
	{ "chain", FLAG, offsetof(struct label, chain), 0, "true or false" },
	{ "cte", FLAG, offsetof(struct label, cte), 0, "true or false" },
	{ "wrap", NUMBER, offsetof(struct label, wrap), 1000, "0 to 1000 characters" },
	{ "retry_window", DURATION, offsetof(struct label, retry_window_s), 86400, "a duration up to 1d" },
	{ "concurrent", FLAG, offsetof(struct label, concurrent), 0, "true or false" },
	{ "grace", DURATION, offsetof(struct label, grace_s), 90 * 86400, "a duration up to 90d" },
	{ "base_path", BASES, 0, 0, "a list of up to 4 paths" },
};

static const struct { const char *name; unsigned way; } ways[] = {
	{ "own", WAY_OWN }, { "anchor", WAY_ANCHOR }, { "basic", WAY_BASIC }, { "code", WAY_CODE }, { "secret", WAY_SECRET },
};
static const char *const reenrol_names[] = { "strict", "force-subject", "off" };

void
label_default(struct label *l, const char *name)
{
	*l = (struct label){ .enabled = true, .cte = true, .wrap = 64, .retry_window_s = 600, .grace_s = 3600 };
	(void)snprintf(l->name, sizeof(l->name), "%s", name);
}

static int
unexpected(const struct member *m, const char *value, struct err *e)
{
	return err_set(e, E_USAGE, "label: %s '%.60s': expected %s", m->key, value, m->expected);
}

static bool
parse_accept(unsigned *out, const char *list)
{
	char word[16];

	for (*out = 0; *list != 0;) {
		size_t n = strcspn(list, ", "), i = 0;

		if (n >= sizeof(word))
			return false;
		memcpy(word, list, n);
		word[n] = 0;
		list += n + strspn(list + n, ", ");
		while (i < N_OF(ways) && strcmp(ways[i].name, word) != 0)
			i++;
		if (i == N_OF(ways))
			return false;
		*out |= ways[i].way;
	}
	return true;
}

bool
label_has_base(const struct label *l, const char *base)
{
	for (size_t i = 0; i < l->n_bases; i++)
		if (strcmp(l->base[i], base) == 0)
			return true;
	return false;
}

static int
set_bases(struct label *l, const struct member *m, const char *list, struct err *e)
{
	for (l->n_bases = 0; *list != 0;) {
		size_t n = strcspn(list, ", ");
		char *base = l->base[l->n_bases];

		if (l->n_bases == N_OF(l->base) || n >= sizeof(l->base[0]))
			return unexpected(m, list, e);
		memcpy(base, list, n);
		base[n] = 0;
		if (est_base_check(base, e) != 0)
			return err_prefix(e, E_USAGE, "label: base_path '%s'", base);
		if (label_has_base(l, base))
			return err_set(e, E_USAGE, "label: base_path '%s': twice", base);
		l->n_bases++;
		list += n + strspn(list + n, ", ");
	}
	return 0;
}

static int
set_choice(struct label *l, const struct member *m, const char *value, struct err *e)
{
	size_t i = 0;

	switch (m->kind) {
	case ACCEPT:
		return parse_accept(&l->rule.accept, value) ? 0 : unexpected(m, value, e);
	case MATCH:
		l->rule.all = strcmp(value, "all") == 0;
		return l->rule.all || strcmp(value, "any") == 0 ? 0 : unexpected(m, value, e);
	case POP:
		l->pop_required = strcmp(value, "required") == 0;
		return l->pop_required || strcmp(value, "optional") == 0 ? 0 : unexpected(m, value, e);
	case BASES:
		return set_bases(l, m, value, e);
	case REENROL:
	case TEXT:
	case FLAG:
	case NUMBER:
	case DURATION:
	default:
		while (i < N_OF(reenrol_names) && strcmp(reenrol_names[i], value) != 0)
			i++;
		if (i == N_OF(reenrol_names))
			return unexpected(m, value, e);
		l->reenrol = (enum reenrol)i;
		return 0;
	}
}

static int
set_plain(struct label *l, const struct member *m, const char *value, struct err *e)
{
	char *at = (char *)l + m->offset;
	uint64_t number;

	switch (m->kind) {
	case TEXT:
		if (value[0] != 0 && !text_valid_name(value, PROTO_NAME_MAX - 1))
			return unexpected(m, value, e);
		(void)snprintf(at, PROTO_NAME_MAX, "%s", value);
		return 0;
	case FLAG:
		*(bool *)at = strcmp(value, "true") == 0;
		return *(bool *)at || strcmp(value, "false") == 0 ? 0 : unexpected(m, value, e);
	case NUMBER:
		if (!text_parse_u64(&number, value, (uint64_t)m->most))
			return unexpected(m, value, e);
		*(int64_t *)(void *)at = (int64_t)number;
		return 0;
	case DURATION:
		if (clock_parse_duration((int64_t *)(void *)at, value, NULL) != 0 || *(int64_t *)(void *)at > m->most)
			return unexpected(m, value, e);
		return 0;
	case ACCEPT:
	case MATCH:
	case REENROL:
	case POP:
	case BASES:
	default:
		return set_choice(l, m, value, e);
	}
}

int
label_set(struct label *l, const char *key, const char *value, struct err *e)
{
	struct label copy = *l;
	int rc;

	for (size_t i = 0; i < N_OF(members); i++) {
		if (strcmp(members[i].key, key) != 0)
			continue;
		if ((rc = set_plain(&copy, &members[i], value, e)) == 0)
			*l = copy;
		return rc;
	}
	return err_set(e, E_USAGE, "label: '%.60s' is no setting of a label", key);
}

const char *
label_member(const struct label *l, size_t i, struct buf *value)
{
	const struct member *m = &members[i < N_OF(members) ? i : 0];
	const char *at = (const char *)l + m->offset, *comma = "";
	char text[CLOCK_TEXT_MAX];

	if (i >= N_OF(members))
		return NULL;
	switch (m->kind) {
	case TEXT:
		buf_put_str(value, at);
		break;
	case FLAG:
		buf_put_str(value, *(const bool *)at ? "true" : "false");
		break;
	case NUMBER:
		buf_printf(value, "%lld", (long long)*(const int64_t *)(const void *)at);
		break;
	case DURATION:
		buf_put_str(value, clock_duration_text(*(const int64_t *)(const void *)at, text));
		break;
	case ACCEPT:
		for (size_t w = 0; w < N_OF(ways); w++)
			if ((l->rule.accept & ways[w].way) != 0) {
				buf_printf(value, "%s%s", comma, ways[w].name);
				comma = ",";
			}
		break;
	case MATCH:
		buf_put_str(value, l->rule.all ? "all" : "any");
		break;
	case REENROL:
		buf_put_str(value, reenrol_names[l->reenrol]);
		break;
	case BASES:
		for (size_t b = 0; b < l->n_bases; b++)
			buf_printf(value, "%s%s", b != 0 ? "," : "", l->base[b]);
		break;
	case POP:
	default:
		buf_put_str(value, l->pop_required ? "required" : "optional");
	}
	return m->key;
}

void
label_to_text(const struct label *l, struct buf *out)
{
	for (size_t i = 0; i < N_OF(members); i++) {
		AUTO_BUF value = { 0 };
		const char *key = label_member(l, i, &value);

		buf_printf(out, "%s=%s\n", key, buf_str(&value));
	}
}

int
label_from_text(struct label *l, const char *name, const char *text, struct err *e)
{
	char line[PROTO_BASES_MAX * (EST_BASE_MAX + 1) + 64];
	int rc;

	label_default(l, name);
	while (*text != 0) {
		size_t n = strcspn(text, "\n");
		char *equals;

		if (n >= sizeof(line))
			return err_set(e, E_FORMAT, "label '%s': stored text is broken", name);
		memcpy(line, text, n);
		line[n] = 0;
		text += n + (text[n] == '\n');
		if ((equals = strchr(line, '=')) == NULL)
			return err_set(e, E_FORMAT, "label '%s': stored text is broken", name);
		*equals = 0;
		if ((rc = label_set(l, line, equals + 1, e)) != 0)
			return rc;
	}
	return 0;
}

int
label_valid(const struct label *l, struct err *e)
{
	if (!text_valid_name(l->name, EST_LABEL_MAX))
		return err_set(e, E_USAGE, "label '%.64s': expected up to %d characters of A-Z a-z 0-9 . _ -", l->name, EST_LABEL_MAX);
	/* RFC 7030 3.2.2: a label MUST NOT be the same as an operation path segment. */
	if (est_is_op_name(l->name))
		return err_set(e, E_USAGE, "label '%s': is the name of an EST operation; choose another", l->name);
	if (l->ca[0] == 0 || l->profile[0] == 0)
		return err_set(e, E_USAGE, "label '%s': needs a ca and a profile", l->name);
	if (l->rule.accept == 0)
		return err_set(e, E_USAGE, "label '%s': accept is empty, nobody could come in", l->name);
	if ((l->rule.accept & WAY_SECRET) != 0 && l->secret_header[0] == 0)
		return err_set(e, E_USAGE, "label '%s': takes secrets, so it needs a secret_header", l->name);
	return 0;
}
