/* SPDX-License-Identifier: Apache-2.0 */
/* net/canned.c - the refusals that the server words itself */
#include "core/net/canned.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/rnd.h"
#include "core/codec/json.h"
#include "core/net/limits.h"

#define ID_RANDOM 8 /* octets, behind 4 of time */

static const struct {
	unsigned status;
	const char *phrase;
} phrases[] = {
	{ 400, "Bad Request" },
	{ 404, "Not Found" },
	{ 408, "Request Timeout" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 417, "Expectation Failed" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 503, "Service Unavailable" },
	{ 505, "HTTP Version Not Supported" },
};

static const char *
phrase_of(unsigned status)
{
	for (size_t i = 0; i < N_OF(phrases); i++) {
		if (phrases[i].status == status)
			return phrases[i].phrase;
	}
	return "Refused";
}

/* RFC 9110 5.6.7: IMF-fixdate. */
static void
put_date(struct buf *out, int64_t now)
{
	static const char days[] = "ThuFriSatSunMonTueWed", /* 1970 began on a Thursday */
	    months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct clock_parts p = clock_split(now);

	buf_printf(out, "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n", days + 3 * (now / 86400 % 7),
	    p.day, months + 3 * (p.month - 1), p.year, p.hour, p.minute, p.second);
}

void
canned_id(char out[HTTP_ID_MAX])
{
	/* Time first: ids that stand side by side in time do so in an index, too, which writes fewer pages. */
	(void)snprintf(out, HTTP_ID_MAX, "r%08x", (unsigned)clock_now());
	rnd_hex(out + strlen(out), ID_RANDOM);
}

const char *
canned_body(struct buf *out, const struct canned *c)
{
	if (!c->how->json_refusals) {
		buf_printf(out, "%s: %s\nrequest: %s\n", c->reason, c->text, c->id);
		return "text/plain; charset=utf-8";
	}
	AUTO_JSON body = json_object();
	json_setf(body, "message", "%s", c->text);
	json_print(out, body, false);
	return "application/json";
}

void
canned_put(struct buf *out, const struct canned *c, int64_t now)
{
	AUTO_BUF body = { 0 };
	const char *type = canned_body(&body, c);

	buf_printf(out, "HTTP/1.1 %u %s\r\n", c->status, phrase_of(c->status));
	put_date(out, now);
	buf_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, body.n);
	if (c->status == 429)
		buf_printf(out, "Retry-After: %d\r\n", NET_BUSY_AFTER_S);
	if (!c->how->plain_head)
		buf_printf(out, "X-Request-Id: %s\r\nCache-Control: no-store\r\n", c->id);
	buf_put_str(out, "Connection: close\r\n\r\n");
	buf_put_bytes(out, bytes_of_buf(&body));
}
