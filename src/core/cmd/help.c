/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/help.c - overview, help of a verb and bash completion, all from the tables */
#include "core/cmd/help.h"

#include <ctype.h>
#include <string.h>

#define HELP_COLUMN 26  /* where the help of an option begins */
#define TEXT_COLUMNS 80

struct row_ctx {
	FILE *to;
	const char *group;   /* group of interest, or of the last row */
};

static bool
in_group(const struct verb *v, const char *group)
{
	return group == NULL ? v->group == NULL : v->group != NULL && strcmp(v->group, group) == 0;
}

static void
group_row(void *ctx, const struct verb *v)
{
	struct row_ctx *x = ctx;
	char title[64];

	if (in_group(v, x->group))
		fprintf(x->to, "  %-22s %s\n", verb_title(v, title, sizeof(title)), v->help);
}

void
help_overview(FILE *to, const struct program *p)
{
	fprintf(to, "Usage: %s VERB [OPTION]... [ARGUMENT]...\n%c%s.\n", p->name,
	    toupper((unsigned char)p->about[0]), p->about + 1);
	for (const struct verb_group *g = p->groups; g->help != NULL; g++) {
		struct row_ctx x = { to, g->name };

		fprintf(to, "\n%s:\n", g->help);
		verb_each(p, group_row, &x);
	}
	fprintf(to, "\n`%s help VERB` says more. With --json results are JSON.\n"
	    "--version, --man DIR (writes the man pages), --completion (prints a bash script).\n"
	    "The exit status is 0 when it was done; `man %s` has the others.\n", p->name, p->name);
}

void
help_group(FILE *to, const struct program *p, const char *group)
{
	struct row_ctx x = { to, group };

	verb_each(p, group_row, &x);
}

/* "estuary ca show [OPTION]... NAME" */
static void
usage_line(FILE *to, const struct program *p, const struct verb *v)
{
	char title[64];

	fprintf(to, "%s %s", p->name, verb_title(v, title, sizeof(title)));
	for (size_t i = 0; verb_opt(v, i) != NULL; i++)
		if (verb_opt(v, i)->required)
			fprintf(to, " --%s %s", verb_opt(v, i)->name, verb_opt(v, i)->arg);
	fputs(" [OPTION]...", to);
	for (const struct opt *o = v->pos; o != NULL && o->name != NULL; o++)
		fprintf(to, o->required ? " %s%s" : " [%s]%s", o->arg,
		    o->kind == OPT_LIST || o->kind == OPT_MANY ? "..." : "");
}

/* The next word of s, or as much of it as a line takes: a list of choices, "a|b|c", may end behind a bar. */
static size_t
word_len(const char *s, size_t line)
{
	size_t n = strcspn(s, " \n");

	if (n > line)
		for (size_t i = line; i > 0; i--)
			if (s[i - 1] == '|')
				return i;
	return n;
}

/* Words of one paragraph in lines of at most TEXT_COLUMNS, all of them `indent` in; the first line is there already. */
static const char *
paragraph(FILE *to, const char *s, size_t indent)
{
	size_t column = 0;
	bool cut = false; /* the word before goes on */

	while (*s != 0 && strncmp(s, "\n\n", 2) != 0) {
		size_t n = word_len(s, TEXT_COLUMNS - indent);

		if (n == 0) {
			s++;
			continue;
		}
		if (column != 0 && (cut || indent + column + 1 + n > TEXT_COLUMNS)) {
			fprintf(to, "\n%*s", (int)indent, "");
			column = 0;
		}
		fprintf(to, "%s%.*s", column != 0 ? " " : "", (int)n, s);
		column += n + (column != 0);
		s += n;
		cut = s[-1] == '|';
	}
	fputc('\n', to);
	return *s != 0 ? s + 2 : s;
}

/* What it does, the words that it takes, whether it may be repeated; its left part is printed already. */
static void
right_part(FILE *to, const struct opt *o)
{
	const char *words = o->kind == OPT_BOOL ? "yes|no" : o->words;
	AUTO_BUF text = { 0 };

	buf_put_str(&text, o->help);
	if (words != NULL)
		buf_printf(&text, " (%s)", words);
	if (o->kind == OPT_LIST || o->kind == OPT_MANY)
		buf_put_str(&text, "; may be repeated");
	(void)paragraph(to, buf_str(&text), HELP_COLUMN);
}

static void
option_row(FILE *to, const struct opt *o)
{
	char left[64], letter[8] = "    ";

	if (o->letter != 0)
		(void)snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	(void)snprintf(left, sizeof(left), "  %s--%s%s%s", letter, o->name,
	    o->arg != NULL ? " " : "", o->arg != NULL ? o->arg : "");
	if (strlen(left) >= HELP_COLUMN)
		fprintf(to, "%s\n%*s", left, HELP_COLUMN, "");
	else
		fprintf(to, "%-*s", HELP_COLUMN, left);
	right_part(to, o);
}

void
help_verb(FILE *to, const struct program *p, const struct verb *v)
{
	const char *text = v->text != NULL ? v->text : "";

	fputs("Usage: ", to);
	usage_line(to, p, v);
	fprintf(to, "\n%s.\n", v->help);
	while (*text != 0) {
		fputc('\n', to);
		text = paragraph(to, text, 0);
	}
	if (v->pos != NULL)
		fputs("\nArguments:\n", to);
	for (const struct opt *o = v->pos; o != NULL && o->name != NULL; o++) {
		fprintf(to, "  %-*s", HELP_COLUMN - 2, o->arg);
		right_part(to, o);
	}
	fputs("\nOptions:\n", to);
	for (size_t i = 0; verb_opt(v, i) != NULL; i++)
		option_row(to, verb_opt(v, i));
	if (v->example != NULL)
		fprintf(to, "\nExample:\n%s\n", v->example);
}

/* The first words: groups, and verbs that stand alone. */
static void
complete_alone(void *ctx, const struct verb *v)
{
	if (v->group == NULL)
		fprintf(ctx, " %s", v->name);
}

static void
complete_of_group(void *ctx, const struct verb *v)
{
	struct row_ctx *x = ctx;

	if (in_group(v, x->group))
		fprintf(x->to, " %s", v->name);
}

static void
complete_verb(void *ctx, const struct verb *v)
{
	FILE *to = ctx;
	const struct opt *o;
	char title[64];

	verb_title(v, title, sizeof(title));
	fprintf(to, "\t'%s')\n\t\tcase $prev in\n", title);
	for (size_t i = 0; (o = verb_opt(v, i)) != NULL; i++) {
		const char *words = o->kind == OPT_BOOL ? "yes|no" : o->words;

		if (o->kind == OPT_FLAG)
			continue;
		fprintf(to, "\t\t--%s) ", o->name);
		if (words != NULL) {
			fputs("words='", to);
			for (const char *p = words; *p != 0; p++)
				fputc(*p == '|' ? ' ' : *p, to);
			fputs("' ;;\n", to);
		} else {
			fputs(o->kind == OPT_FILE || strcmp(o->arg, "DIR") == 0 ? "files=1 ;;\n" : "return ;;\n", to);
		}
	}
	fputs("\t\t*) words='", to);
	for (size_t i = 0; (o = verb_opt(v, i)) != NULL; i++)
		fprintf(to, "%s--%s", i != 0 ? " " : "", o->name);
	fputs("' ;;\n\t\tesac ;;\n", to);
}

/* A name that a shell function may have: _estuary_agent. */
static const char *
function_name(const struct program *p, char *out, size_t size)
{
	(void)snprintf(out, size, "_%s", p->name);
	for (char *c = out; *c != 0; c++)
		*c = *c == '-' ? '_' : *c;
	return out;
}

/* The second word of each group. */
static void
complete_groups(FILE *to, const struct program *p)
{
	for (const struct verb_group *g = p->groups; g->help != NULL; g++) {
		struct row_ctx x = { to, g->name };

		if (g->name == NULL)
			continue;
		fprintf(to, "\t%s)\n\t\tif [ \"$COMP_CWORD\" -eq 2 ]; then\n"
		    "\t\t\tCOMPREPLY=($(compgen -W '", g->name);
		verb_each(p, complete_of_group, &x);
		fputs("' -- \"$cur\"))\n\t\t\treturn\n\t\tfi\n"
		    "\t\tverb=\"$verb ${COMP_WORDS[2]}\" ;;\n", to);
	}
}

void
help_completion(FILE *to, const struct program *p)
{
	char function[64];

	fprintf(to, "# bash completion for %s, from its table of verbs\n"
	    "%s() {\n"
	    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb words= files=\n"
	    "\tverb=${COMP_WORDS[1]-}\n"
	    "\tCOMPREPLY=()\n"
	    "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
	    "\t\tCOMPREPLY=($(compgen -W 'help", p->name, function_name(p, function, sizeof(function)));
	verb_each(p, complete_alone, to);
	for (const struct verb_group *g = p->groups; g->help != NULL; g++)
		fprintf(to, "%s%s", g->name != NULL ? " " : "", g->name != NULL ? g->name : "");
	fputs("' -- \"$cur\"))\n\t\treturn\n\tfi\n\tcase $verb in\n", to);
	complete_groups(to, p);
	fputs("\tesac\n\tcase $verb in\n", to);
	verb_each(p, complete_verb, to);
	fprintf(to, "\tesac\n"
	    "\tif [ -n \"$files\" ]; then\n"
	    "\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n"
	    "\telse\n"
	    "\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	    "\tfi\n"
	    "}\n"
	    "complete -F %s %s\n", function, p->name);
}
