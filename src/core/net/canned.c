/* SPDX-License-Identifier: Apache-2.0 */
/* net/canned.c - the refusals that the server words itself */
#include "core/net/canned.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/rnd.h"
#include "core/net/answer.h"

#define ID_RANDOM 8 /* octets, behind 4 of time */

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
	answer_begin(out, status, false, now);
	buf_printf(out, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n", body.n);
	buf_printf(out, "X-Request-Id: %s\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n", id);
	buf_put_bytes(out, bytes_of_buf(&body));
}
