/* SPDX-License-Identifier: Apache-2.0 */
/* service/principal.c - users and the patterns of what is theirs */
#include "device/service/principal.h"

#include "core/base/mem.h"
#include "core/base/text.h"
#include "device/service/settings.h"

/* One pattern of one user, or with pattern NULL: may delegate. */
struct grant {
	uid_t uid;
	char *pattern;
};

struct principals {
	size_t n;
	struct grant grant[];
};

/* Room for every pattern and one `delegate` for each entry. */
static size_t
count_grants(const struct toml *list, const char *member)
{
	size_t n = 0;

	for (size_t i = 0; i < toml_count(list); i++) {
		const struct toml *patterns = toml_get(toml_at(list, i), member);

		n += 1 + (patterns != NULL ? toml_count(patterns) : 0);
	}
	return n;
}

static int
read_patterns(struct principals *p, uid_t uid, const struct toml *list, struct err *e)
{
	if (toml_kind(list) != TOML_ARRAY)
		return toml_err(e, list, "is %s, not an array of patterns", toml_kind_name(toml_kind(list)));
	for (size_t i = 0; i < toml_count(list); i++) {
		const struct toml *v = toml_at(list, i);

		if (toml_kind(v) != TOML_STRING)
			return toml_err(e, v, "is %s, not a pattern in quotes", toml_kind_name(toml_kind(v)));
		p->grant[p->n++] = (struct grant){ uid, mem_strdup(toml_string(v)) };
	}
	return 0;
}

static int
read_entry(struct principals *p, const struct toml *entry, const char *member, struct err *e)
{
	const struct toml *patterns;
	int64_t uid;
	bool delegate;
	int r;

	if (toml_kind(entry) != TOML_TABLE)
		return toml_err(e, entry, "is %s, not a table", toml_kind_name(toml_kind(entry)));
	if (toml_get(entry, "uid") == NULL)
		return toml_err(e, entry, "has no 'uid'");
	if ((r = settings_int(&uid, entry, "uid", 0, 0, (int64_t)UINT32_MAX - 1, e)) != 0 ||
	    (r = settings_bool(&delegate, entry, "delegate", false, e)) != 0)
		return r;
	if (delegate)
		p->grant[p->n++] = (struct grant){ (uid_t)uid, NULL };
	patterns = toml_get(entry, member);
	if (patterns != NULL)
		return read_patterns(p, (uid_t)uid, patterns, e);
	return delegate ? 0 : toml_err(e, entry, "has no '%s'", member);
}

int
principals_read(struct principals **out, const struct toml *doc, const char *member, struct err *e)
{
	const struct toml *list = toml_get(doc, "principal");
	AUTO(principals) p = NULL;
	size_t room;

	if (list != NULL && toml_kind(list) != TOML_ARRAY)
		return toml_err(e, list, "is %s; principals are written as [[principal]]",
		    toml_kind_name(toml_kind(list)));
	room = list != NULL ? count_grants(list, member) : 0;
	p = mem_zalloc(sizeof(*p) + room * sizeof(p->grant[0]));
	for (size_t i = 0; list != NULL && i < toml_count(list); i++) {
		int r = read_entry(p, toml_at(list, i), member, e);

		if (r != 0)
			return r;
	}
	*out = TAKE(p);
	return 0;
}

void
principals_free(struct principals *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++)
		mem_free(p->grant[i].pattern);
	mem_free(p);
}

bool
principals_allow(const struct principals *p, uid_t uid, const char *id)
{
	if (uid == 0)
		return true;
	for (size_t i = 0; uid != (uid_t)-1 && i < p->n; i++) {
		const struct grant *g = &p->grant[i];

		if (g->uid == uid && g->pattern != NULL && text_match(g->pattern, id))
			return true;
	}
	return false;
}

bool
principals_delegate(const struct principals *p, uid_t uid)
{
	for (size_t i = 0; uid != (uid_t)-1 && i < p->n; i++) {
		if (p->grant[i].uid == uid && p->grant[i].pattern == NULL)
			return true;
	}
	return false;
}
