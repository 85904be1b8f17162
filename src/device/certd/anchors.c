/* SPDX-License-Identifier: Apache-2.0 */
/* certd/anchors.c - HOME/anchors.pem: a line that says for which configured anchors it is, then PEM */
#include "device/certd/anchors.h"

#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/pki/key.h"
#include "device/certd/certs.h"

#define ANCHORS_MODE 0600
#define HEAD_MAX    (sizeof("# successors of ") + 2 * SHA256_LEN + 1)

static void
path_of(char out[PLACE_MAX + 16], const struct certd_settings *s)
{
	(void)snprintf(out, PLACE_MAX + 16, "%s/anchors.pem", s->home);
}

/* Other anchors, other successors: an operator who takes one away takes what it vouched for. */
static void
line_for(char out[HEAD_MAX], struct bytes configured)
{
	uint8_t digest[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];

	sha256(digest, configured);
	text_hex(hex, (struct bytes){ digest, sizeof(digest) });
	(void)snprintf(out, HEAD_MAX, "# successors of %s\n", hex);
}

void
anchors_apply(struct buf *trust, const struct certd_settings *s)
{
	char path[PLACE_MAX + 16], line[HEAD_MAX];
	AUTO_BUF kept = BUF_MAX(CERTS_FILE_MAX);
	size_t n;

	path_of(path, s);
	line_for(line, bytes_of_buf(trust));
	n = strlen(line);
	if (file_read(&kept, path, CERTS_FILE_MAX, NULL) != 0 || kept.n <= n || memcmp(kept.p, line, n) != 0)
		return;
	buf_reset(trust);
	buf_put(trust, kept.p + n, kept.n - n);
}

int
anchors_learn(const struct certd_settings *s, struct bytes configured, struct bytes next, struct err *e)
{
	char path[PLACE_MAX + 16], line[HEAD_MAX];
	AUTO_BUF text = BUF_MAX(CERTS_FILE_MAX);
	int r;

	path_of(path, s);
	line_for(line, configured);
	buf_put_str(&text, line);
	buf_put_bytes(&text, next);
	if ((r = buf_check(&text, "anchors", e)) != 0)
		return r;
	return file_write(path, bytes_of_buf(&text), ANCHORS_MODE, e);
}
