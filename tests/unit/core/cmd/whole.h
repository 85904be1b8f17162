/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/whole.h - what must be true of every program's tables of verbs */
#ifndef TESTS_CMD_WHOLE_H
#define TESTS_CMD_WHOLE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cmd/help.h"
#include "core/cmd/man.h"

#define LINE_MAX_COLUMNS 100

struct whole {
	const struct program *program;
	char seen[8192];
	size_t n;
	char *help;             /* the overview */
	struct buf page;        /* the overview's man page */
};

/* One voice: what is said begins as a sentence does, or with a sign. */
static inline void
whole_help(const char *help)
{
	assert_non_null(help);
	assert_false(*help >= 'a' && *help <= 'z');
	assert_true(help[strlen(help) - 1] != '.');
}

static inline void
whole_width(const char *text)
{
	for (size_t n; *text != 0; text += n + (text[n] == '\n')) {
		n = strcspn(text, "\n");
		if (n > LINE_MAX_COLUMNS)
			fail_msg("%zu columns: %.*s", n, (int)n, text);
	}
}

static inline void
whole_opts(const struct verb *v)
{
	const struct opt *o, *p;

	for (size_t i = 0; (o = verb_opt(v, i)) != NULL; i++) {
		whole_help(o->help);
		assert_int_equal(o->arg == NULL, o->kind == OPT_FLAG);
		for (size_t k = i + 1; (p = verb_opt(v, k)) != NULL; k++) {
			assert_string_not_equal(o->name, p->name);
			assert_true(o->letter == 0 || o->letter != p->letter);
		}
		for (p = v->pos; p != NULL && p->name != NULL; p++)
			assert_string_not_equal(o->name, p->name);
	}
	for (o = v->pos; o != NULL && o->name != NULL; o++) {
		assert_non_null(o->arg);
		whole_help(o->help);
	}
}

/* "set-log-level" as roff has it. */
static inline void
roff_name(struct buf *out, const char *name)
{
	for (; *name != 0; name++) {
		buf_put_str(out, *name == '-' ? "\\" : "");
		buf_put_u8(out, (uint8_t)*name);
	}
}

/* One record must be whole: help prints it, the man page prints it, the shell completes it. */
static inline void
whole_verb(void *ctx, const struct verb *v)
{
	struct whole *w = ctx;
	AUTO_BUF page = { 0 };
	AUTO_BUF name = { 0 };
	char title[64], key[160], *help = NULL;
	size_t n = 0;
	FILE *to;

	verb_title(v, title, sizeof(title));
	(void)snprintf(key, sizeof(key), "|%s|", title);
	assert_null(strstr(w->seen, key));
	(void)strncat(w->seen, key, sizeof(w->seen) - strlen(w->seen) - 1);
	w->n++;
	assert_non_null(v->run);
	whole_help(v->help);
	assert_ptr_equal(verb_find(w->program, v->group, v->name), v);
	if (v->group != NULL)
		assert_true(verb_is_group(w->program, v->group));
	whole_opts(v);
	assert_non_null(strstr(w->help, v->help));
	to = open_memstream(&help, &n);
	assert_non_null(to);
	help_verb(to, w->program, v);
	fclose(to);
	whole_width(help);
	free(help);
	man_verb(&page, w->program, v);
	assert_non_null(strstr(buf_str(&page), ".SH SYNOPSIS\n"));
	assert_non_null(strstr(buf_str(&page), ".SH OPTIONS\n"));
	buf_printf(&name, "\\-%s%s", v->group != NULL ? v->group : "", v->group != NULL ? "\\-" : "");
	roff_name(&name, v->name);
	buf_put_str(&name, " (1).\n");
	assert_non_null(strstr(buf_str(&w->page), buf_str(&name)));
}

/* Every verb of every table is whole, unique, in the overview and in its man page; returns how many there are. */
static inline size_t
whole_program(const struct program *p)
{
	struct whole w = { .program = p };
	size_t n = 0, in_tables = 0;
	FILE *to = open_memstream(&w.help, &n);

	assert_non_null(to);
	help_overview(to, p);
	fclose(to);
	whole_width(w.help);
	man_overview(&w.page, p);
	verb_each(p, whole_verb, &w);
	for (size_t t = 0; p->tables[t] != NULL; t++)
		for (const struct verb *v = p->tables[t]; v->name != NULL; v++)
			in_tables++;
	assert_int_equal(w.n, in_tables);
	free(w.help);
	buf_free(&w.page);
	return w.n;
}

#endif
