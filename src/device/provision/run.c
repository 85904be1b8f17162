/* SPDX-License-Identifier: Apache-2.0 */
/* provision/run.c - which part does which task, and how each says what came of it */
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "device/provision/provision_inside.h"

int
task_settle(struct task_result *r, enum task_outcome o, const struct err *e)
{
	AUTO_BUF line = { 0 };

	text_escape(&line, bytes_of(e->msg));
	r->outcome = o;
	text_copy(r->text, sizeof(r->text), buf_str(&line));
	return e->code;
}

int
task_fail(struct task_result *r, enum task_outcome o, enum err_code code, const char *fmt, ...)
{
	AUTO_BUF text = { 0 };
	AUTO_BUF line = { 0 };
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	text_escape(&line, bytes_of_buf(&text));
	r->outcome = o;
	text_copy(r->text, sizeof(r->text), buf_str(&line));
	return code;
}

int
task_missing(struct task_result *r, const char *check, const struct err *e)
{
	json_setf(r->value, "check", "%s", check);
	return task_settle(r, TASK_NOT_FOUND, e);
}

void
task_note(struct task_result *r, const char *fmt, ...)
{
	const char *had = json_str(r->value, "note", "");
	AUTO_BUF text = BUF_MAX(TASK_TEXT_MAX - 1);
	AUTO_BUF line = { 0 };
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	text_escape(&line, bytes_of_buf(&text));
	if (strlen(had) + 2 + line.n < TASK_TEXT_MAX) /* what does not fit is left out */
		json_setf(r->value, "note", "%s%s%s", had, had[0] != 0 ? "; " : "", buf_str(&line));
}

void
task_run(struct task_result *r, enum task_kind k, const json_t *args, int64_t now)
{
	*r = (struct task_result){ .outcome = TASK_DONE, .retry_after_s = -1, .value = json_object() };
	switch (k) {
	case TASK_DPS:
		dps_run(r, args, now);
		return;
	case TASK_MODULE_LIST:
	case TASK_MODULE_GET:
	case TASK_MODULE_CREATE:
	case TASK_MODULE_UPDATE:
	case TASK_MODULE_DELETE:
		hub_run(r, k, args, now);
		return;
	case TASK_KEY_HANDLE:
	case TASK_MODULE_HANDLE:
	case TASK_KEY_SWITCH:
	case TASK_KEY_PROVE:
	case TASK_KEY_DELETE:
		keys_run(r, k, args);
		return;
	case TASK_CERT_ISSUE:
	case TASK_CERT_GET:
	case TASK_CERT_PUT:
	case TASK_CERT_DELETE:
		certs_run(r, k, args);
		return;
	case TASK_LOCAL_ID:
		local_id_run(r, args);
		return;
	case TASK_NONE:
	case TASK_KIND_COUNT:
		break;
	}
	(void)task_fail(r, TASK_BAD_TASK, E_USAGE, "task: of no kind that is known");
}
