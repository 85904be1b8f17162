/* SPDX-License-Identifier: Apache-2.0 */
/* net/path.c - the path of a request target, decoded once */
#include "core/net/path.h"

#include <string.h>

#include "core/base/text.h"

size_t
path_length(struct bytes target)
{
	const uint8_t *q = target.n != 0 ? memchr(target.p, '?', target.n) : NULL;

	return q != NULL ? (size_t)(q - target.p) : target.n;
}

/* The octet that "%XX" at the start of b stands for; false when it is broken or may not be written so. */
static bool
unescape(uint8_t *out, struct bytes b)
{
	char hex[3] = { 0 };

	if (b.n < 3)
		return false;
	memcpy(hex, b.p + 1, 2);
	return text_unhex(out, 1, hex) && *out != '/' && *out != '%';
}

static bool
has_dot_segment(struct bytes path)
{
	for (size_t i = 0, start = 0; i <= path.n; i++) {
		if (i < path.n && path.p[i] != '/')
			continue;
		if ((i - start == 1 && path.p[start] == '.') ||
		    (i - start == 2 && memcmp(path.p + start, "..", 2) == 0))
			return true;
		start = i + 1;
	}
	return false;
}

int
path_decode(struct buf *out, struct bytes target, struct err *e)
{
	struct bytes raw = bytes_slice(target, 0, path_length(target)), path;
	size_t start = out->n;

	for (size_t i = 0; i < raw.n; i++) {
		uint8_t c = raw.p[i];

		if (c == '%') {
			if (!unescape(&c, bytes_slice(raw, i, raw.n)))
				return err_set(e, E_FORMAT, "the path has an escape that is not taken here");
			i += 2;
		}
		if (c == '\\')
			return err_set(e, E_FORMAT, "the path has a backslash");
		buf_put_u8(out, c);
	}
	path = bytes_slice(bytes_of_buf(out), start, out->n);
	if (path.n == 0 || path.p[0] != '/')
		return err_set(e, E_FORMAT, "the path does not begin with /");
	if (!text_valid_utf8(path))
		return err_set(e, E_FORMAT, "the path is not UTF-8 without control characters");
	if (has_dot_segment(path))
		return err_set(e, E_FORMAT, "the path has a segment . or ..");
	return buf_check(out, "path", e);
}
