/* SPDX-License-Identifier: Apache-2.0 */
/* provider/uri.c - key names read and written */
#include "device/provider/uri.h"

#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/codec/base64.h"
#include "core/net/local.h"

#define SCHEME    "keyd:"
#define PEM_WIDTH 64

/* Percent-decoded text without NUL, not empty. */
static int
decode(char **out, struct bytes part, const char *what, struct err *e)
{
	AUTO_BUF b = { 0 };

	if (*out != NULL)
		return err_set(e, E_FORMAT, "keyd: URI: %s twice", what);
	for (size_t i = 0; i < part.n; i++) {
		uint8_t c = part.p[i];

		if (c == '%') {
			char hex[3] = "";

			if (part.n - i > 2)
				memcpy(hex, part.p + i + 1, 2);
			if (!text_unhex(&c, 1, hex))
				return err_set(e, E_FORMAT, "keyd: URI: %s: malformed %%XX", what);
			i += 2;
		}
		buf_put_u8(&b, c);
	}
	if (b.n == 0 || !text_valid_utf8(bytes_of_buf(&b)))
		return err_set(e, E_FORMAT, "keyd: URI: %s: no text", what);
	*out = buf_take_str(&b);
	return 0;
}

/* Up to `end` or all; what is after it in *rest. */
static struct bytes
cut(struct bytes text, char end, struct bytes *rest)
{
	const uint8_t *p = text.n != 0 ? memchr(text.p, end, text.n) : NULL;
	size_t n = p != NULL ? (size_t)(p - text.p) : text.n;

	*rest = bytes_slice(text, n + 1, text.n);
	return bytes_slice(text, 0, n);
}

static int
parse_member(struct uri *u, struct bytes member, struct err *e)
{
	struct bytes value, name = cut(member, '=', &value);

	if (bytes_equal_str(name, "handle"))
		return decode(&u->handle, value, "handle", e);
	if (bytes_equal_str(name, "socket"))
		return decode(&u->socket, value, "socket", e);
	return err_set(e, E_FORMAT, "keyd: URI: neither handle nor socket after '?'");
}

static int
parse(struct uri *u, struct bytes text, struct err *e)
{
	struct bytes query, id = cut(text, '?', &query);
	int r = id.n != 0 ? decode(&u->id, id, "ID", e) : 0;

	while (r == 0 && query.n != 0)
		r = parse_member(u, cut(query, '&', &query), e);
	if (r == 0 && (u->id == NULL) == (u->handle == NULL))
		r = err_set(e, E_FORMAT, "keyd: URI: an ID or a handle needed");
	if (r == 0 && u->socket != NULL && u->socket[0] != '/')
		r = err_set(e, E_FORMAT, "keyd: URI: socket: an absolute path needed");
	return r;
}

int
uri_parse(struct uri *out, struct bytes text, struct err *e)
{
	static const char scheme[] = SCHEME;
	size_t n = sizeof(scheme) - 1;
	struct uri u = { 0 };
	int r;

	if (text.n > URI_MAX)
		return err_set(e, E_TOOBIG, "keyd: URI of %zu octets: %zu at most", text.n, URI_MAX);
	if (!bytes_equal_str(bytes_slice(text, 0, n), scheme))
		return err_set(e, E_FORMAT, "keyd: URI: '" SCHEME "' in front needed");
	r = parse(&u, bytes_slice(text, n, text.n), e);
	if (r == 0)
		*out = u;
	else
		uri_clear(&u);
	return r;
}

void
uri_clear(struct uri *u)
{
	if (u == NULL)
		return;
	mem_free(u->id);
	if (u->handle != NULL)
		mem_free_wiped(u->handle, strlen(u->handle));
	mem_free(u->socket);
	*u = (struct uri){ 0 };
}

void
uri_put(struct buf *out, const struct uri *u)
{
	char mark = '?';

	buf_put_str(out, SCHEME);
	if (u->id != NULL)
		local_put_segment(out, u->id);
	if (u->handle != NULL) {
		buf_printf(out, "%chandle=", mark);
		local_put_segment(out, u->handle);
		mark = '&';
	}
	if (u->socket != NULL) {
		buf_printf(out, "%csocket=", mark);
		local_put_segment(out, u->socket);
	}
}

void
uri_put_pem(struct buf *out, struct bytes text)
{
	AUTO_BUF body = { 0 };

	base64_encode(&body, text, 0);
	buf_put_str(out, "-----BEGIN " URI_LABEL "-----\n");
	for (size_t at = 0; at < body.n; at += PEM_WIDTH) {
		buf_put_bytes(out, bytes_slice(bytes_of_buf(&body), at, PEM_WIDTH));
		buf_put_u8(out, '\n');
	}
	buf_put_str(out, "-----END " URI_LABEL "-----\n");
}
