/* SPDX-License-Identifier: Apache-2.0 */
/* check/report.c - results as text for people, or as JSON in the form that existing programs read */
#include "device/check/report.h"

#include <string.h>

#include "core/base/text.h"

#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define RED    "\033[31m"
#define PLAIN  "\033[0m"

static const struct {
	const char *name; /* in JSON */
	const char *mark, *word;
	const char *colour;
} kinds[CHECK_TOLD] = {
	[CHECK_OK] = { "ok", "\u221a", "OK", GREEN },
	[CHECK_IGNORED] = { "ignored", NULL, NULL, "" },
	[CHECK_SKIPPED] = { "skipped", "\u203c", "Warning", YELLOW },
	[CHECK_WARNING] = { "warning", "\u203c", "Warning", YELLOW },
	[CHECK_ERROR] = { "error", "\u00d7", "Error", RED },
	[CHECK_FATAL] = { "fatal", "\u00d7", "Error", RED },
};

static bool
is_text(const struct reporter *p)
{
	return p->o->output == CHECK_TEXT;
}

static const char *
colour(const struct reporter *p, enum check_kind k)
{
	return p->o->colour ? kinds[k].colour : "";
}

static const char *
plain(const struct reporter *p)
{
	return p->o->colour ? PLAIN : "";
}

/* One JSON value; each arrives when its check is done. */
static void
put_json(const struct reporter *p, const json_t *v)
{
	AUTO_BUF text = { 0 };

	json_print(&text, v, false);
	(void)fwrite(text.p, 1, text.n, p->o->out);
	fputc('\n', p->o->out);
	(void)fflush(p->o->out);
}

void
report_begin(struct reporter *p, const struct check_options *o)
{
	*p = (struct reporter){ .o = o, .checks = json_object() };
}

void
report_section(struct reporter *p, const char *name)
{
	AUTO_JSON o = NULL;

	if (is_text(p)) {
		fprintf(p->o->out, "%s\n", name);
		for (size_t i = 0; i < strlen(name); i++)
			fputc('-', p->o->out);
		fputc('\n', p->o->out);
		return;
	}
	if (p->o->output != CHECK_JSON_STREAM)
		return;
	o = json_object();
	json_setf(o, "kind", "section");
	json_setf(o, "name", "%s", name);
	put_json(p, o);
}

void
report_section_end(struct reporter *p)
{
	if (is_text(p))
		fputc('\n', p->o->out);
}

/* --- text --- */

/* Lines that a terminal cannot be harmed by: `first` before the first, as many blanks before the others. */
static void
put_lines(const struct reporter *p, const char *tint, const char *first, const char *text)
{
	const char *before = first;

	while (*text != 0) {
		size_t n = strcspn(text, "\n");
		AUTO_BUF line = { 0 };

		text_escape(&line, (struct bytes){ (const uint8_t *)text, n });
		fprintf(p->o->out, "%s%*s%s%s\n", tint, (int)strlen(first), before, buf_str(&line),
		    *tint != 0 ? plain(p) : "");
		before = "";
		text += n + (text[n] == '\n');
	}
}

static void
put_text(const struct reporter *p, const char *description, enum check_kind k, const struct check_result *r)
{
	const char *tint = colour(p, k);
	json_t *v;
	size_t i;

	if (kinds[k].mark == NULL || (k == CHECK_SKIPPED && !p->o->verbose))
		return;
	fprintf(p->o->out, "%s%s %s - %s%s\n", tint, kinds[k].mark, description, kinds[k].word, plain(p));
	if (k == CHECK_SKIPPED)
		put_lines(p, tint, "    ", "skipping because of previous failures");
	json_array_foreach(r->details, i, v)
		put_lines(p, tint, "    ", json_string_value(v));
	if (!p->o->verbose)
		return;
	json_array_foreach(r->causes, i, v)
		put_lines(p, tint, "        caused by: ", json_string_value(v));
	json_array_foreach(r->notes, i, v)
		put_lines(p, "", "    ", json_string_value(v));
}

/* --- JSON --- */

static json_t *
result_json(enum check_kind k, const struct check_result *r)
{
	json_t *o = json_object(), *details = json_array();

	json_setf(o, "result", "%s", kinds[k].name);
	if (r->details != NULL)
		(void)json_array_extend(details, r->details);
	if (r->causes != NULL)
		(void)json_array_extend(details, r->causes);
	if (k >= CHECK_WARNING)
		(void)json_object_set(o, "details", details);
	json_decref(details);
	return o;
}

static json_t *
check_json(enum check_kind k, const struct check_result *r)
{
	json_t *o = json_object(), *info = r->info != NULL ? json_incref(r->info) : json_object();

	if (json_array_size(r->notes) != 0)
		(void)json_object_set(info, "notes", r->notes);
	(void)json_object_set_new(o, "result", result_json(k, r));
	(void)json_object_set_new(o, "additional_info", info);
	return o;
}

static void
put_stream(const struct reporter *p, const char *id, const char *description, json_t *check)
{
	AUTO_JSON o = json_object();

	json_setf(o, "kind", "check");
	json_setf(o, "id", "%s", id);
	json_setf(o, "description", "%s", description);
	(void)json_object_update(o, check);
	put_json(p, o);
}

void
report_check(struct reporter *p, const char *id, const char *description, const struct check_result *r)
{
	enum check_kind k = r->kind == CHECK_WARNING && p->o->warnings_as_errors ? CHECK_ERROR : r->kind;
	AUTO_JSON check = check_json(k, r);

	p->n[k]++;
	if (is_text(p))
		put_text(p, description, k, r);
	else if (p->o->output == CHECK_JSON)
		(void)json_object_set(p->checks, id, check);
	else
		put_stream(p, id, description, check);
	(void)fflush(p->o->out);
}

/* --- the end --- */

static void
put_count(const struct reporter *p, enum check_kind k, size_t n, const char *what)
{
	if (n == 0)
		return;
	fprintf(p->o->out, "%s%zu check(s) %s%s%s\n", colour(p, k), n, what,
	    p->o->verbose ? "" : " Re-run with --verbose for more details.", plain(p));
}

static void
put_summary(const struct reporter *p)
{
	fprintf(p->o->out, "%s%zu check(s) succeeded.%s\n", colour(p, CHECK_OK), p->n[CHECK_OK], plain(p));
	put_count(p, CHECK_WARNING, p->n[CHECK_WARNING], "raised warnings.");
	put_count(p, CHECK_ERROR, p->n[CHECK_ERROR] + p->n[CHECK_FATAL], "raised errors.");
	put_count(p, CHECK_SKIPPED, p->n[CHECK_SKIPPED], "were skipped due to errors from other checks.");
}

void
report_end(struct reporter *p, json_t *info)
{
	AUTO_JSON o = json_object();

	if (is_text(p)) {
		put_summary(p);
	} else if (p->o->output == CHECK_JSON) {
		(void)json_object_set(o, "additional_info", info);
		(void)json_object_set(o, "checks", p->checks);
		put_json(p, o);
	} else {
		json_setf(o, "kind", "additional_info");
		(void)json_object_update(o, info);
		put_json(p, o);
	}
	json_decref(p->checks);
	p->checks = NULL;
}

bool
report_ok(const struct reporter *p)
{
	return p->n[CHECK_ERROR] + p->n[CHECK_FATAL] == 0;
}
