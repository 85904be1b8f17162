/* SPDX-License-Identifier: Apache-2.0 */
/* net/canned.c - the refusals that the server words itself */
#include "core/net/canned.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/rnd.h"
#include "core/base/text.h"
#include "core/codec/json.h"
#include "core/net/answer.h"
#include "core/net/limits.h"

#define ID_OCTETS 12
#define ID_TIME   6 /* of them: milliseconds since 1970 */

void
canned_id(char out[HTTP_ID_MAX])
{
	uint8_t id[ID_OCTETS];
	int64_t ms = clock_now_ms();

	/* Time first: ids that stand side by side in time do so in an index, too, which writes fewer pages. */
	for (size_t i = ID_TIME; i-- > 0; ms >>= 8)
		id[i] = (uint8_t)ms;
	rnd_public(id + ID_TIME, sizeof(id) - ID_TIME);
	out[0] = 'r';
	text_hex(out + 1, (struct bytes){ id, sizeof(id) });
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

	answer_begin(out, c->status, c->v10, now);
	buf_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, body.n);
	if (c->status == 429)
		buf_printf(out, "Retry-After: %d\r\n", NET_BUSY_AFTER_S);
	if (!c->how->plain_head)
		buf_printf(out, "X-Request-Id: %s\r\nCache-Control: no-store\r\n", c->id);
	buf_put_str(out, "Connection: close\r\n\r\n");
	if (!c->bodiless)
		buf_put_bytes(out, bytes_of_buf(&body));
}
