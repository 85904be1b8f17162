/* SPDX-License-Identifier: Apache-2.0 */
/* agent/zip.c - local headers and contents first, the directory of all behind them */
#include "device/agent/zip.h"

#include <string.h>

#include "core/base/clock.h"

#define LOCAL_MARK     0x04034b50u
#define DIRECTORY_MARK 0x02014b50u
#define END_MARK       0x06054b50u
#define VERSION        20     /* 2.0: what a stored file in a directory needs */
#define MADE_BY_UNIX   (3 << 8 | VERSION)
#define UTF8_NAMES     0x0800
#define FILE_MODE      ((0100000u | 0600u) << 16)
#define CRC_POLYNOMIAL 0xedb88320u

static uint32_t
crc32_of(struct bytes b)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < b.n; i++) {
		crc ^= b.p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1) != 0 ? CRC_POLYNOMIAL : 0);
	}
	return ~crc;
}

static void
put16(struct buf *out, unsigned v)
{
	buf_put_u8(out, (uint8_t)v);
	buf_put_u8(out, (uint8_t)(v >> 8));
}

static void
put32(struct buf *out, uint32_t v)
{
	put16(out, v & 0xffff);
	put16(out, v >> 16);
}

/* What a local header and one of the directory have in common: from the version to the name's length and no extras. */
static void
put_common(struct buf *out, const struct zip *z, const char *name, struct bytes content)
{
	struct clock_parts t = clock_split(z->when);
	int year = t.year < 1980 ? 1980 : t.year;

	put16(out, VERSION);
	put16(out, UTF8_NAMES);
	put16(out, 0); /* stored */
	put16(out, (unsigned)(t.hour << 11 | t.minute << 5 | t.second / 2));
	put16(out, (unsigned)((year - 1980) << 9 | t.month << 5 | t.day));
	put32(out, crc32_of(content));
	put32(out, (uint32_t)content.n);
	put32(out, (uint32_t)content.n);
	put16(out, (unsigned)strlen(name));
	put16(out, 0);
}

int
zip_add(struct zip *z, const char *name, struct bytes content, struct err *e)
{
	uint32_t at = (uint32_t)z->archive.n;

	if (z->n == ZIP_FILES_MAX || strlen(name) > ZIP_NAME_MAX || content.n > UINT32_MAX / 2)
		return err_set(e, E_TOOBIG, "%.100s: does not fit into the archive", name);
	put32(&z->archive, LOCAL_MARK);
	put_common(&z->archive, z, name, content);
	buf_put_str(&z->archive, name);
	buf_put_bytes(&z->archive, content);
	put32(&z->directory, DIRECTORY_MARK);
	put16(&z->directory, MADE_BY_UNIX);
	put_common(&z->directory, z, name, content);
	put16(&z->directory, 0); /* no comment, the first disk, no internal attributes */
	put16(&z->directory, 0);
	put16(&z->directory, 0);
	put32(&z->directory, FILE_MODE);
	put32(&z->directory, at);
	buf_put_str(&z->directory, name);
	z->n++;
	return buf_check(&z->archive, "archive", e);
}

int
zip_end(struct zip *z, struct err *e)
{
	uint32_t at = (uint32_t)z->archive.n;

	buf_put_bytes(&z->archive, bytes_of_buf(&z->directory));
	put32(&z->archive, END_MARK);
	put32(&z->archive, 0); /* of one disk */
	put16(&z->archive, z->n);
	put16(&z->archive, z->n);
	put32(&z->archive, (uint32_t)z->directory.n);
	put32(&z->archive, at);
	put16(&z->archive, 0);
	return buf_check(&z->archive, "archive", e);
}

void
zip_clear(struct zip *z)
{
	buf_free(&z->archive);
	buf_free(&z->directory);
}
