/* SPDX-License-Identifier: Apache-2.0 */
/* provision/fault.c - a service's error bodies as values */
#include "device/provision/fault.h"

#include <string.h>

#include "core/base/text.h"
#include "core/codec/media.h"

static bool
says(const char *words, const char *what)
{
	return strcasestr(words, what) != NULL;
}

/* The first of these members that is a text with something in it. */
static const char *
first_text(const json_t *v, const char *const *names)
{
	for (; *names != NULL; names++)
		if (json_str(v, *names, "")[0] != 0)
			return json_str(v, *names, "");
	return "";
}

/* "ErrorCode:DeviceNotFound;Device x" and one line of it: the rest is an exception's trace. */
static void
copy_line(char *out, size_t size, const char *text)
{
	size_t n = strcspn(text, "\r\n");

	text_copy(out, n + 1 < size ? n + 1 : size, text);
}

void
fault_of_json(struct fault *f, const json_t *v)
{
	static const char *const words[] = { "message", "errorMessage", "Message", "detail", NULL };
	static const char *const tracking[] = { "trackingId", "TrackingId", NULL };

	*f = (struct fault){ .code = json_int(v, "errorCode", json_int(v, "code", 0)) };
	copy_line(f->words, sizeof(f->words), first_text(v, words));
	copy_line(f->tracking, sizeof(f->tracking), first_text(v, tracking));
	f->network = json_flag(v, "networkError", false);
	f->disabled = says(f->words, "disabled") || says(f->words, "blocked");
}

void
fault_of_body(struct fault *f, const char *type, struct bytes body)
{
	AUTO_JSON v = NULL;
	AUTO_BUF text = BUF_MAX(sizeof(f->words));
	bool plain = type[0] == 0 || media_is(type, "text/plain");
	size_t n = body.n < sizeof(f->words) - 1 ? body.n : sizeof(f->words) - 1;

	*f = (struct fault){ 0 };
	if (json_parse(&v, body, NULL) == 0) {
		fault_of_json(f, v);
		return;
	}
	if (!plain || n == 0)
		return;
	buf_put(&text, body.p, n);
	copy_line(f->words, sizeof(f->words), buf_str(&text));
	f->disabled = says(f->words, "disabled") || says(f->words, "blocked");
}

void
fault_print(struct buf *out, const struct fault *f)
{
	if (f->code != 0)
		buf_printf(out, " (error %lld)", (long long)f->code);
	if (f->words[0] != 0)
		buf_printf(out, ": %s", f->words);
	if (f->tracking[0] != 0)
		buf_printf(out, " [trackingId %s]", f->tracking);
}
