/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/enrol.c - which part does which job, and how each says what came of it */
#include "device/enrol/enrol_inside.h"

#include <stdio.h>
#include <string.h>

#include "core/base/text.h"

/* Append text to a member of JOB_TEXT_MAX, escaped and cut. */
static void
put_text(char member[JOB_TEXT_MAX], const char *text)
{
	size_t had = strlen(member);
	AUTO_BUF line = { 0 };

	text_escape(&line, bytes_of(text));
	(void)snprintf(member + had, JOB_TEXT_MAX - had, "%s", buf_str(&line));
}

int
enrol_settle(struct job_result *r, enum job_outcome o, const char *check, const struct err *e)
{
	r->outcome = o;
	(void)snprintf(r->check, sizeof(r->check), "%s", check != NULL ? check : "");
	r->text[0] = 0;
	put_text(r->text, e->msg);
	return e->code;
}

int
enrol_fail(struct job_result *r, enum job_outcome o, const char *check, enum err_code code, const char *fmt, ...)
{
	struct err e = { .code = code };
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(e.msg, sizeof(e.msg), fmt, ap);
	va_end(ap);
	return enrol_settle(r, o, check, &e);
}

int
enrol_settle_key(struct job_result *r, const struct err *e)
{
	const char *check = e->code == E_NOTFOUND ? "not-found"
	    : e->code == E_AUTH || e->code == E_POLICY ? "not-authorised" : NULL;

	return enrol_settle(r, JOB_KEY_FAILED, check, e);
}

void
enrol_note(struct job_result *r, const char *fmt, ...)
{
	char text[JOB_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r->note[0] != 0)
		put_text(r->note, "; ");
	put_text(r->note, text);
}

void
enrol_run(struct job_result *r, const struct job *j, int64_t now)
{
	*r = (struct job_result){ .retry_after_s = -1 };
	switch (j->kind) {
	case JOB_EST:
		enrol_est(r, j, now);
		return;
	case JOB_PROBE:
		enrol_probe(r, j, now);
		return;
	case JOB_TLS:
		enrol_tls(r, j, now);
		return;
	case JOB_SIGN:
		enrol_sign(r, j, now);
		return;
	case JOB_MATCH:
	case JOB_SPKI:
	case JOB_SWITCH:
	case JOB_PROVE:
	case JOB_ROLLBACK:
	case JOB_DELETE:
		enrol_keys(r, j);
		return;
	case JOB_KIND_COUNT:
		break;
	}
	(void)enrol_fail(r, JOB_BAD_JOB, NULL, E_USAGE, "job: of no kind that is known");
}
