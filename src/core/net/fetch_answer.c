/* SPDX-License-Identifier: Apache-2.0 */
/* net/fetch_answer.c - reading what a server answers, within limits */
#include "core/net/fetch_inside.h"

#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "core/base/text.h"

#define RETRY_AFTER_MAX 86400

static bool
is_named(const char *line, size_t n, const char *name)
{
	return n > strlen(name) && strncasecmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':';
}

/* Does the line carry the field `name`?  Its value, trimmed, into out. */
static bool
field(const char *line, size_t n, const char *name, char *out, size_t size)
{
	size_t len = strlen(name);

	if (!is_named(line, n, name))
		return false;
	line += len + 1;
	n -= len + 1;
	while (n != 0 && (*line == ' ' || *line == '\t'))
		line++, n--;
	while (n != 0 && memchr(" \t\r\n", line[n - 1], 4) != NULL)
		n--;
	if (n >= size || !text_valid_utf8((struct bytes){ (const uint8_t *)line, n }))
		return false;
	(void)memcpy(out, line, n);
	out[n] = 0;
	return true;
}

/* RFC 9110 10.2.3: seconds, or a date. */
static int64_t
retry_after(const char *value)
{
	uint64_t seconds;
	int64_t date;

	if (text_parse_u64(&seconds, value, UINT64_MAX))
		return seconds < RETRY_AFTER_MAX ? (int64_t)seconds : RETRY_AFTER_MAX;
	date = (int64_t)curl_getdate(value, NULL);
	if (date < 0)
		return -1;
	date -= clock_now();
	return date < 0 ? 0 : date < RETRY_AFTER_MAX ? date : RETRY_AFTER_MAX;
}

/* RFC 9110 6.6.1 */
static int64_t
date_of(const char *value)
{
	int64_t date = (int64_t)curl_getdate(value, NULL);

	return date > 0 ? date : 0;
}

static void
forget_head(struct fetch_answer *a)
{
	a->type[0] = a->request_id[0] = a->label[0] = a->location[0] = a->www_authenticate[0] = 0;
	a->retry_after_s = -1;
	a->peer_date = 0;
}

static void
read_field(struct fetch_answer *a, const char *line, size_t n)
{
	char value[64];

	if (field(line, n, "Retry-After", value, sizeof(value)))
		a->retry_after_s = retry_after(value);
	else if (field(line, n, "Date", value, sizeof(value)))
		a->peer_date = date_of(value);
	else if (!field(line, n, "Content-Type", a->type, sizeof(a->type)) &&
	    !field(line, n, "X-Request-Id", a->request_id, sizeof(a->request_id)) &&
	    !field(line, n, "X-Estuary-Label", a->label, sizeof(a->label)) &&
	    !field(line, n, "Location", a->location, sizeof(a->location)) &&
	    a->www_authenticate[0] == 0)
		(void)field(line, n, "WWW-Authenticate", a->www_authenticate, sizeof(a->www_authenticate));
}

size_t
fetch_on_header(char *line, size_t size, size_t n, void *ctx)
{
	struct fetch_run *r = ctx;

	n *= size;
	r->head_n += n;
	if (r->head_n > FETCH_HEAD_MAX) {
		r->too_big = true;
		return CURL_WRITEFUNC_ERROR;
	}
	if (r->a->body.n != 0)
		return n; /* a trailer: too late to say anything */
	if (n > 5 && memcmp(line, "HTTP/", 5) == 0) {
		forget_head(r->a); /* a 1xx before it does not count */
		r->framed = false;
	} else {
		r->framed = r->framed || is_named(line, n, "Content-Length") || is_named(line, n, "Transfer-Encoding");
		read_field(r->a, line, n);
	}
	return n;
}

size_t
fetch_on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct fetch_run *r = ctx;

	n *= size;
	if (n > FETCH_ANSWER_MAX - r->a->body.n) {
		r->too_big = true;
		return CURL_WRITEFUNC_ERROR;
	}
	buf_put(&r->a->body, p, n);
	return n;
}

void
fetch_clear(struct fetch_answer *a)
{
	buf_free(&a->body);
	buf_free(&a->server_chain_pem);
	forget_head(a);
	a->status = 0;
	a->cause = FETCH_OK;
	a->tls_done = false;
	a->tls_alert = -1;
}
