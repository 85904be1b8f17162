/* SPDX-License-Identifier: Apache-2.0 */
/* service/stem.c - file names: a readable part, and a digest that makes them unique (H4) */
#include "device/service/stem.h"

#include <limits.h>
#include <string.h>

#include "core/base/text.h"
#include "core/pki/key.h"

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

int
stem_check_id(const char *id, struct err *e)
{
	size_t n = strnlen(id, ID_MAX);

	if (n == 0 || n == ID_MAX)
		return err_set(e, E_FORMAT, "an ID has 1 to %d octets", ID_MAX - 1);
	if (!text_valid_utf8(bytes_of(id)))
		return err_set(e, E_FORMAT, "an ID is UTF-8 without control characters");
	return 0;
}

int
stem_name(char out[STEM_MAX], const char *id, const char *ext, struct err *e)
{
	AUTO_BUF name = BUF_MAX(NAME_MAX);
	uint8_t digest[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];
	int r = stem_check_id(id, e);

	if (r != 0)
		return r;
	for (const char *p = id; *p != 0; p++)
		if (strchr(ALNUM, *p) != NULL)
			buf_put_u8(&name, (uint8_t)*p);
	sha256(digest, bytes_of(id));
	text_hex(hex, (struct bytes){ digest, sizeof(digest) });
	buf_printf(&name, "-%s%s", hex, ext);
	if ((r = buf_check(&name, "the ID's file name", e)) != 0)
		return r;
	memcpy(out, buf_str(&name), name.n + 1);
	return 0;
}
