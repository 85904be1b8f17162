/* SPDX-License-Identifier: Apache-2.0 */
/* net/canned.c - the refusals that the server words itself */
#include "core/net/canned.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/rnd.h"

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

void
canned_text(struct buf *out, const char *reason, const char *text, const char *id)
{
	buf_printf(out, "%s: %s\nrequest: %s\n", reason, text, id);
}

void
canned_put(struct buf *out, unsigned status, const char *reason, const char *text, const char *id,
    int64_t now)
{
	AUTO_BUF body = { 0 };

	canned_text(&body, reason, text, id);
	buf_printf(out, "HTTP/1.1 %u %s\r\n", status, phrase_of(status));
	put_date(out, now);
	buf_printf(out, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n", body.n);
	buf_printf(out, "X-Request-Id: %s\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n", id);
	buf_put_bytes(out, bytes_of_buf(&body));
}
