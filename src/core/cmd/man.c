/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/man.c - man pages from the tables of verbs, in the man macros */
#include "core/cmd/man.h"

#include <string.h>

#include "core/base/err.h"
#include "core/base/file.h"

#define PATH_SIZE 1200

void
man_text(struct buf *out, const char *s)
{
	bool at_start = true;

	for (; *s != 0; s++) {
		if (at_start && (*s == '.' || *s == '\''))
			buf_put_str(out, "\\&");
		if (*s == '\\')
			buf_put_str(out, "\\e");
		else if (*s == '-')
			buf_put_str(out, "\\-");
		else
			buf_put_u8(out, (uint8_t)*s);
		at_start = *s == '\n';
	}
}

/* Paragraphs with an empty line between. */
static void
put_paragraphs(struct buf *out, const char *s)
{
	while (*s != 0) {
		const char *end = strstr(s, "\n\n");
		AUTO_BUF one = { 0 };

		buf_put(&one, s, end != NULL ? (size_t)(end - s) : strlen(s));
		buf_put_str(out, ".PP\n");
		man_text(out, buf_str(&one));
		buf_put_str(out, "\n");
		s = end != NULL ? end + 2 : "";
	}
}

static void
put_head(struct buf *out, const struct program *p, const char *page, const char *help)
{
	buf_put_str(out, ".\\\" Made from the table of verbs; do not edit.\n.TH \"");
	man_text(out, page);
	buf_printf(out, "\" 1 \"\" \"Estuary %s\" \"Estuary Manual\"\n.SH NAME\n", p->version);
	man_text(out, page);
	buf_put_str(out, " \\- ");
	man_text(out, help);
	buf_put_str(out, "\n");
}

static const char *
page_name(const struct program *p, const struct verb *v, char *out, size_t size)
{
	(void)snprintf(out, size, "%s-%s%s%s", p->name, v->group != NULL ? v->group : "",
	    v->group != NULL ? "-" : "", v->name);
	return out;
}

static void
put_opt(struct buf *out, const struct opt *o)
{
	const char *words = o->kind == OPT_BOOL ? "yes|no" : o->words;

	buf_put_str(out, ".TP\n");
	if (o->letter != 0)
		buf_printf(out, "\\fB\\-%c\\fR, ", o->letter);
	buf_put_str(out, "\\fB\\-\\-");
	man_text(out, o->name);
	buf_put_str(out, "\\fR");
	if (o->arg != NULL)
		buf_printf(out, " \\fI%s\\fR", o->arg);
	buf_put_str(out, "\n");
	man_text(out, o->help);
	buf_put_str(out, ".\n");
	if (words != NULL) {
		buf_put_str(out, "One of ");
		for (const char *p = words; *p != 0; p++) {
			char one[2] = { *p, 0 };

			if (*p == '|')
				buf_put_str(out, ", ");
			else
				man_text(out, one);
		}
		buf_put_str(out, ".\n");
	}
	if (o->kind == OPT_LIST || o->kind == OPT_MANY)
		buf_put_str(out, "May be repeated.\n");
	if (o->required)
		buf_put_str(out, "Must be given.\n");
}

static void
put_synopsis(struct buf *out, const struct program *p, const struct verb *v)
{
	const struct opt *o;
	char title[64];

	buf_put_str(out, ".SH SYNOPSIS\n.B ");
	man_text(out, p->name);
	buf_put_str(out, " ");
	man_text(out, verb_title(v, title, sizeof(title)));
	buf_put_str(out, "\n");
	for (size_t i = 0; (o = verb_opt(v, i)) != NULL; i++) {
		if (!o->required)
			continue;
		buf_put_str(out, "\\fB\\-\\-");
		man_text(out, o->name);
		buf_printf(out, "\\fR \\fI%s\\fR\n", o->arg);
	}
	buf_put_str(out, "[\\fIOPTION\\fR]...\\&\n");
	for (o = v->pos; o != NULL && o->name != NULL; o++)
		buf_printf(out, o->required ? "\\fI%s\\fR%s\n" : "[\\fI%s\\fR]%s\n", o->arg,
		    o->kind == OPT_LIST || o->kind == OPT_MANY ? "..." : "");
}

/* What the exit statuses of err_row() say; several codes share one. */
static const struct { int status; const char *means; } statuses[] = {
	{ 0, "It was done" },
	{ 64, "The command line, or what it asks for, makes no sense" },
	{ 65, "What was read or received is malformed, or too big" },
	{ 66, "There is no such thing: a file, a name, an ID" },
	{ 69, "Nobody answers, or not now: the same command may succeed later" },
	{ 70, "Cryptography failed, or what was checked is broken" },
	{ 73, "It is there already, or still in use" },
	{ 74, "A file, a disk or a connection failed: the same command may succeed later" },
	{ 75, "It waits for somebody: the same command may succeed later" },
	{ 77, "Refused: who asks is not known, or may not" },
};

const char *
man_status(int status)
{
	for (size_t i = 0; i < N_OF(statuses); i++)
		if (statuses[i].status == status)
			return statuses[i].means;
	return NULL;
}

void
man_exit_status(struct buf *out)
{
	buf_put_str(out, ".SH EXIT STATUS\n");
	for (size_t i = 0; i < N_OF(statuses); i++)
		buf_printf(out, ".TP\n%d\n%s.\n", statuses[i].status, statuses[i].means);
}

void
man_verb(struct buf *out, const struct program *p, const struct verb *v)
{
	char page[80];
	const struct opt *o;

	put_head(out, p, page_name(p, v, page, sizeof(page)), v->help);
	put_synopsis(out, p, v);
	buf_put_str(out, ".SH DESCRIPTION\n");
	man_text(out, v->help);
	buf_put_str(out, ".\n");
	put_paragraphs(out, v->text != NULL ? v->text : "");
	if (v->pos != NULL)
		buf_put_str(out, ".SH ARGUMENTS\n");
	for (o = v->pos; o != NULL && o->name != NULL; o++) {
		buf_printf(out, ".TP\n\\fI%s\\fR\n", o->arg);
		man_text(out, o->help);
		buf_put_str(out, ".\n");
	}
	buf_put_str(out, ".SH OPTIONS\n");
	for (size_t i = 0; (o = verb_opt(v, i)) != NULL; i++)
		put_opt(out, o);
	buf_put_str(out, ".SH EXIT STATUS\n0 when it was done. The others stand in\n.BR \\%");
	man_text(out, p->name);
	buf_put_str(out, " (1).\n");
	if (v->example != NULL) {
		buf_put_str(out, ".SH EXAMPLE\n.nf\n");
		man_text(out, v->example);
		buf_put_str(out, "\n.fi\n");
	}
	buf_put_str(out, ".SH SEE ALSO\n.BR \\%");
	man_text(out, p->name);
	buf_put_str(out, " (1)\n");
}

/* What the walks over the verbs write to. */
struct page_ctx {
	const struct program *p;
	struct buf *out;     /* of overview_row() */
	const char *dir;     /* of write_verb(), with err and result */
	struct err *e;
	int r;
};

static void
overview_row(void *ctx, const struct verb *v)
{
	struct page_ctx *x = ctx;
	char title[64], page[80];

	buf_put_str(x->out, ".TP\n.B ");
	man_text(x->out, verb_title(v, title, sizeof(title)));
	buf_put_str(x->out, "\n");
	man_text(x->out, v->help);
	buf_put_str(x->out, ", see\n.BR \\%");
	man_text(x->out, page_name(x->p, v, page, sizeof(page)));
	buf_put_str(x->out, " (1).\n");
}

void
man_overview(struct buf *out, const struct program *p)
{
	struct page_ctx x = { .p = p, .out = out };

	put_head(out, p, p->name, p->about);
	buf_put_str(out, ".SH SYNOPSIS\n.B ");
	man_text(out, p->name);
	buf_put_str(out, "\n\\fIVERB\\fR [\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]...\n.SH DESCRIPTION\n");
	buf_put_str(out, p->man_description);
	buf_put_str(out, ".SH VERBS\n");
	verb_each(p, overview_row, &x);
	man_exit_status(out);
	buf_put_str(out, p->man_sections != NULL ? p->man_sections : "");
}

static int
write_page(const char *dir, const char *page, const struct buf *text, struct err *e)
{
	char path[PATH_SIZE];
	int n = snprintf(path, sizeof(path), "%s/%s.1", dir, page);

	if (n < 0 || (size_t)n >= sizeof(path))
		return err_set(e, E_USAGE, "%.40s...: name too long", dir);
	return file_write(path, bytes_of_buf(text), 0644, e);
}

static void
write_verb(void *ctx, const struct verb *v)
{
	struct page_ctx *x = ctx;
	AUTO_BUF text = { 0 };
	char page[80];

	if (x->r != 0)
		return;
	man_verb(&text, x->p, v);
	x->r = write_page(x->dir, page_name(x->p, v, page, sizeof(page)), &text, x->e);
}

int
man_write(const struct program *p, const char *dir, struct err *e)
{
	struct page_ctx x = { .p = p, .dir = dir, .e = e };
	AUTO_BUF text = { 0 };

	x.r = file_mkdir(dir, 0755, e);
	if (x.r != 0)
		return x.r;
	man_overview(&text, p);
	x.r = write_page(dir, p->name, &text, e);
	verb_each(p, write_verb, &x);
	return x.r;
}
