/* SPDX-License-Identifier: Apache-2.0 */
/* provision/sas.c - shared access signatures and addresses as text */
#include "device/provision/sas.h"

#include <string.h>

#include "core/base/text.h"
#include "core/codec/base64.h"

static void
put_percent(struct buf *out, char c)
{
	buf_printf(out, "%%%02X", (unsigned)(uint8_t)c);
}

void
sas_put_resource(struct buf *out, const char *text)
{
	static const char encoded[] = " \"<>`#?{}=";

	for (; *text != 0; text++) {
		char c = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;

		if ((uint8_t)c < 0x20 || (uint8_t)c >= 0x7f || strchr(encoded, c) != NULL)
			put_percent(out, c);
		else
			buf_put_u8(out, (uint8_t)c);
	}
}

void
sas_put_input(struct buf *out, const char *resource, int64_t until)
{
	buf_printf(out, "%s\n%lld", resource, (long long)until);
}

/* application/x-www-form-urlencoded, of base64. */
static void
put_form(struct buf *out, const char *text)
{
	for (; *text != 0; text++) {
		if (*text == '+' || *text == '/' || *text == '=')
			put_percent(out, *text);
		else
			buf_put_u8(out, (uint8_t)*text);
	}
}

void
sas_put_token(struct buf *out, const char *resource, struct bytes signature, int64_t until, const char *policy)
{
	AUTO_BUF text = { 0 };

	base64_encode(&text, signature, 0);
	buf_printf(out, "SharedAccessSignature sr=%s&sig=", resource);
	put_form(out, buf_str(&text));
	buf_printf(out, "&se=%lld", (long long)until);
	if (policy != NULL)
		buf_printf(out, "&skn=%s", policy);
}

void
sas_put_segment(struct buf *out, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;:@";
	/* A segment of dots alone would be taken out of the path. */
	bool dots = strcmp(text, ".") == 0 || strcmp(text, "..") == 0;

	for (; *text != 0; text++) {
		if (strchr(plain, *text) != NULL && !dots)
			buf_put_u8(out, (uint8_t)*text);
		else
			put_percent(out, *text);
	}
}

/* --- hosts --- */

static bool
is_port(const char *text)
{
	uint64_t port;

	return text_parse_u64(&port, text, 65535) && port != 0;
}

bool
sas_valid_host(const char *text)
{
	static const char name[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
	static const char address[] = "0123456789abcdefABCDEF:.";
	size_t n = text[0] == '[' ? strspn(text + 1, address) + 1 : strspn(text, name);

	if (n > 253 || n < 1)
		return false;
	if (text[0] == '[') {
		if (n < 3 || text[n] != ']')
			return false;
		n++;
	} else if (text[0] == '-' || text[0] == '.') {
		return false;
	}
	return text[n] == 0 || (text[n] == ':' && is_port(text + n + 1));
}

int
sas_host_of(struct buf *out, const char *url, struct err *e)
{
	static const char scheme[] = "https://";
	AUTO_BUF host = { 0 };
	size_t n;

	if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
		return err_set(e, E_USAGE, "'%.200s': https://host[:port] is needed", url);
	url += sizeof(scheme) - 1;
	n = strcspn(url, "/?#");
	buf_put(&host, url, n);
	if (!sas_valid_host(buf_str(&host)) || strpbrk(url + n, "?#") != NULL)
		return err_set(e, E_USAGE, "'https://%.200s': https://host[:port] is needed", url);
	buf_put_bytes(out, bytes_of_buf(&host));
	return 0;
}
