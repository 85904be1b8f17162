/* SPDX-License-Identifier: Apache-2.0 */
/* net/answer.c - the head of an answer, as it is written */
#include "core/net/answer.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"

static const struct {
	unsigned status;
	const char *phrase;
} phrases[] = {
	{ 200, "OK" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 304, "Not Modified" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 417, "Expectation Failed" },
	{ 422, "Unprocessable Content" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 503, "Service Unavailable" },
	{ 505, "HTTP Version Not Supported" },
};

/* RFC 9112 4: it may be empty, and nobody reads it. */
static const char *
phrase_of(unsigned status)
{
	for (size_t i = 0; i < N_OF(phrases); i++) {
		if (phrases[i].status == status)
			return phrases[i].phrase;
	}
	return "";
}

/* RFC 9110 5.6.7: IMF-fixdate. */
static void
put_date(struct buf *out, int64_t now)
{
	static char date[40]; /* the last one: many answers leave in one second */
	static int64_t of = -1;
	static const char days[] = "ThuFriSatSunMonTueWed", /* 1970 began on a Thursday */
	    months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct clock_parts p;

	if (now != of) {
		p = clock_split(now);
		(void)snprintf(date, sizeof(date), "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n",
		    days + 3 * (now / 86400 % 7), p.day, months + 3 * (p.month - 1), p.year, p.hour, p.minute, p.second);
		of = now;
	}
	buf_put_str(out, date);
}

void
answer_begin(struct buf *out, unsigned status, bool v10, int64_t now)
{
	buf_printf(out, "HTTP/1.%d %u %s\r\n", v10 ? 0 : 1, status, phrase_of(status));
	put_date(out, now);
}

/* RFC 9110 5.5: no control octet; blanks around a value would be lost. */
static bool
is_value(const char *s)
{
	for (const unsigned char *p = (const unsigned char *)s; *p != 0; p++)
		if (*p < ' ' || *p == 0x7f)
			return false;
	return s[0] != ' ' && (s[0] == 0 || s[strlen(s) - 1] != ' ');
}

/* RFC 9110 5.1, of what we write ourselves: letters, digits, hyphens. */
static bool
is_name(const char *s)
{
	return s[0] != 0 && s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-")] == 0;
}

bool
answer_field(struct buf *out, const char *name, const char *value)
{
	if (!is_name(name) || !is_value(value))
		return false;
	buf_put_str(out, name);
	buf_put_str(out, ": ");
	buf_put_str(out, value);
	buf_put_str(out, "\r\n");
	return true;
}
