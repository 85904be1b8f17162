/* SPDX-License-Identifier: Apache-2.0 */
/* config/connection.c - connection strings */
#include "device/config/connection.h"

#include <string.h>

#include "core/base/text.h"
#include "core/codec/base64.h"

#define KEY_MAX 4096

int
connection_key(struct buf *out, struct bytes text, struct err *e)
{
	AUTO_BUF padded = BUF_MAX(KEY_MAX);
	AUTO_BUF key = BUF_MAX(KEY_MAX);

	while (text.n > 0 && text.p[text.n - 1] == '=')
		text.n--;
	buf_put_bytes(&padded, text);
	while (padded.n % 4 != 0)
		buf_put_u8(&padded, '=');
	if (padded.over || text.n == 0 || base64_decode(&key, bytes_of_buf(&padded), NULL) != 0)
		return err_set(e, E_FORMAT, "the key is not base64");
	buf_put_bytes(out, bytes_of_buf(&key));
	return 0;
}

static bool
is_named(struct bytes part, const char *name)
{
	size_t n = strlen(name);

	return part.n > n && memcmp(part.p, name, n) == 0 && part.p[n] == '=';
}

static int
take(struct connection *c, struct bytes part, struct err *e)
{
	const struct {
		const char *name;
		struct buf *out;
	} texts[] = { { "HostName", &c->hub }, { "DeviceId", &c->device } };

	for (size_t i = 0; i < N_OF(texts); i++) {
		size_t n = strlen(texts[i].name) + 1;

		if (is_named(part, texts[i].name)) {
			buf_reset(texts[i].out);
			buf_put_bytes(texts[i].out, bytes_slice(part, n, part.n));
		}
	}
	if (!is_named(part, "SharedAccessKey"))
		return 0;
	buf_reset(&c->key);
	return connection_key(&c->key, bytes_slice(part, strlen("SharedAccessKey="), part.n), e);
}

static int
check(struct connection *c, struct err *e)
{
	if (c->hub.n == 0)
		return err_set(e, E_FORMAT, "the connection string has no HostName=");
	if (c->device.n == 0)
		return err_set(e, E_FORMAT, "the connection string has no DeviceId=");
	if (c->key.n == 0)
		return err_set(e, E_FORMAT, "the connection string has no SharedAccessKey=");
	if (!text_valid_utf8(bytes_of_buf(&c->hub)) || !text_valid_utf8(bytes_of_buf(&c->device)))
		return err_set(e, E_FORMAT, "the connection string has control characters");
	return 0;
}

int
connection_parse(struct connection *out, const char *text, struct err *e)
{
	struct connection c = { 0 };
	int r = 0;

	for (const char *p = text; r == 0 && *p != 0;) {
		size_t n = strcspn(p, ";");

		r = take(&c, (struct bytes){ (const uint8_t *)p, n }, e);
		p += n + (p[n] == ';');
	}
	if (r == 0)
		r = check(&c, e);
	if (r == 0)
		*out = c;
	else
		connection_clear(&c);
	return r;
}

void
connection_clear(struct connection *c)
{
	buf_free(&c->hub);
	buf_free(&c->device);
	buf_free(&c->key);
}
