/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/verb.c - the tables of verbs, walked and searched */
#include "core/cmd/verb.h"

#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "core/cmd/program.h"

#define NEAR_MAX 3 /* edits that a misspelt word may be away from what was meant */

/* Half of a short word is another word. */
static unsigned
near_most(const char *word)
{
	size_t half = strlen(word) / 2;

	return half < NEAR_MAX ? (unsigned)half : NEAR_MAX;
}

/* Everybody's options; --json is the first, see verb_opt(). */
static const struct opt common[] = {
	{ .name = "json", .help = "Print the result as JSON", .local = true },
	{ .name = "help", .letter = 'h', .help = "Print this help and exit", .local = true },
	{ .name = NULL },
};

static bool
same_group(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

const struct verb *
verb_find(const struct program *p, const char *group, const char *name)
{
	for (size_t t = 0; p->tables[t] != NULL; t++)
		for (const struct verb *v = p->tables[t]; v->name != NULL; v++)
			if (same_group(v->group, group) && strcmp(v->name, name) == 0)
				return v;
	return NULL;
}

bool
verb_is_group(const struct program *p, const char *name)
{
	for (const struct verb_group *g = p->groups; g->help != NULL; g++)
		if (g->name != NULL && strcmp(g->name, name) == 0)
			return true;
	return false;
}

static void
each_of(const struct program *p, const struct verb_group *g, void (*fn)(void *ctx, const struct verb *v), void *ctx)
{
	for (size_t t = 0; p->tables[t] != NULL; t++)
		for (const struct verb *v = p->tables[t]; v->name != NULL; v++)
			if (same_group(v->group, g->name))
				fn(ctx, v);
}

void
verb_each(const struct program *p, void (*fn)(void *ctx, const struct verb *v), void *ctx)
{
	for (const struct verb_group *g = p->groups; g->help != NULL; g++)
		each_of(p, g, fn, ctx);
}

const char *
verb_title(const struct verb *v, char *out, size_t size)
{
	(void)snprintf(out, size, "%s%s%s", v->group != NULL ? v->group : "",
	    v->group != NULL ? " " : "", v->name);
	return out;
}

const struct opt *
verb_opt(const struct verb *v, size_t i)
{
	const struct opt *tables[] = { v->opts, v->more, v->no_json ? common + 1 : common };

	for (size_t t = 0; t < N_OF(tables); t++)
		for (const struct opt *o = tables[t]; o != NULL && o->name != NULL; o++)
			if (i-- == 0)
				return o;
	return NULL;
}

const struct opt *
verb_find_opt(const struct verb *v, const char *name)
{
	const struct opt *o;

	for (size_t i = 0; (o = verb_opt(v, i)) != NULL; i++)
		if (strcmp(o->name, name) == 0)
			return o;
	for (o = v->pos; o != NULL && o->name != NULL; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

struct nearest {
	const char *wanted;
	const struct verb *best;
	unsigned edits;
};

static void
near_verb(void *ctx, const struct verb *v)
{
	struct nearest *n = ctx;
	char title[64];
	unsigned d = text_distance(n->wanted, verb_title(v, title, sizeof(title)));

	if (d < n->edits) {
		n->edits = d;
		n->best = v;
	}
}

const char *
verb_near(const struct program *p, const char *group, const char *name, char *out, size_t size)
{
	char wanted[128];
	struct nearest n = { .wanted = wanted };

	(void)snprintf(wanted, sizeof(wanted), "%s%s%s", group != NULL ? group : "",
	    group != NULL ? " " : "", name);
	n.edits = near_most(wanted) + 1;
	verb_each(p, near_verb, &n);
	return n.best != NULL ? verb_title(n.best, out, size) : NULL;
}

const char *
verb_near_group(const struct program *p, const char *name)
{
	const char *best = NULL;
	unsigned edits = near_most(name) + 1;

	for (const struct verb_group *g = p->groups; g->help != NULL; g++) {
		unsigned d = g->name != NULL ? text_distance(name, g->name) : edits;

		if (d < edits) {
			edits = d;
			best = g->name;
		}
	}
	return best;
}

const struct opt *
verb_near_opt(const struct verb *v, const char *name)
{
	const struct opt *o, *best = NULL;
	unsigned edits = near_most(name) + 1;

	for (size_t i = 0; (o = verb_opt(v, i)) != NULL; i++) {
		unsigned d = text_distance(name, o->name);

		if (d < edits) {
			edits = d;
			best = o;
		}
	}
	return best;
}
