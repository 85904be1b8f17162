/* SPDX-License-Identifier: Apache-2.0 */
/* check/result.c - how a check says what it found */
#include "device/check/inside.h"

#include "core/base/text.h"

static json_t *
list_of(json_t **list)
{
	if (*list == NULL)
		*list = json_array();
	return *list;
}

static void append(json_t *list, const char *fmt, va_list ap) PRINTF(2, 0);

static void
append(json_t *list, const char *fmt, va_list ap)
{
	AUTO_BUF text = { 0 };
	json_t *v;

	buf_vprintf(&text, fmt, ap);
	v = json_stringn((const char *)text.p, text.n);
	if (v == NULL) { /* not UTF-8 */
		AUTO_BUF safe = { 0 };

		text_escape(&safe, bytes_of_buf(&text));
		v = json_string(buf_str(&safe));
	}
	(void)json_array_append_new(list, v);
}

static void
worsen(struct check_result *r, enum check_kind k)
{
	if (r->kind < k)
		r->kind = k;
}

void
check_warn(struct check_result *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	append(list_of(&r->details), fmt, ap);
	va_end(ap);
	worsen(r, CHECK_WARNING);
}

void
check_error(struct check_result *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	append(list_of(&r->details), fmt, ap);
	va_end(ap);
	worsen(r, CHECK_ERROR);
}

void
check_fatal(struct check_result *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	append(list_of(&r->details), fmt, ap);
	va_end(ap);
	worsen(r, CHECK_FATAL);
}

void
check_cause(struct check_result *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	append(list_of(&r->causes), fmt, ap);
	va_end(ap);
}

/* Why it was not looked at. */
static void set_reason(struct check_result *r, const char *fmt, va_list ap) PRINTF(2, 0);

static void
set_reason(struct check_result *r, const char *fmt, va_list ap)
{
	AUTO_BUF text = { 0 };

	buf_vprintf(&text, fmt, ap);
	if (r->info == NULL)
		r->info = json_object();
	json_setf(r->info, "reason", "%s", buf_str(&text));
}

void
check_ignore(struct check_result *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_reason(r, fmt, ap);
	va_end(ap);
	worsen(r, CHECK_IGNORED);
}

void
check_skip(struct check_result *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_reason(r, fmt, ap);
	va_end(ap);
	worsen(r, CHECK_SKIPPED);
}

void
check_note(struct check_result *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	append(list_of(&r->notes), fmt, ap);
	va_end(ap);
}

void
check_result_clear(struct check_result *r)
{
	json_decref(r->details);
	json_decref(r->causes);
	json_decref(r->notes);
	json_decref(r->info);
	*r = (struct check_result){ 0 };
}
