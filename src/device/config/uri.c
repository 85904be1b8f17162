/* SPDX-License-Identifier: Apache-2.0 */
/* config/uri.c - URLs and URIs, checked and normalised */
#include "device/config/uri.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/text.h"

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define HOST_MAX 253

static bool
is_alnum(char c)
{
	return strchr(ALNUM, c) != NULL && c != 0;
}

/* Append, with what stands in `also` and everything that is not printable ASCII percent-encoded. */
static void
put_encoded(struct buf *out, const char *s, size_t n, const char *also)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c <= ' ' || c >= 0x7f || strchr(also, c) != NULL)
			buf_printf(out, "%%%02X", c);
		else
			buf_put_u8(out, c);
	}
}

bool
uri_is_placeholder(const char *text)
{
	const char *open = strchr(text, '<');

	return open != NULL && strchr(open, '>') != NULL;
}

static int
bad_host(const char *text, struct err *e)
{
	if (uri_is_placeholder(text))
		return err_set(e, E_FORMAT,
		    "'%.200s' still has the placeholder of a document; put your server's name there", text);
	return err_set(e, E_FORMAT, "'%.200s' has no host; write https://server.example/path", text);
}

/* Letters, digits, dots, hyphens and underscores, or an IPv6 address in brackets. */
static bool
put_host(struct buf *out, const char *host, size_t n)
{
	bool v6 = n > 2 && host[0] == '[' && host[n - 1] == ']';

	if (n == 0 || n > HOST_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool edge = v6 && (i == 0 || i == n - 1);

		if (!edge && !(v6 ? isxdigit((unsigned char)host[i]) || host[i] == ':' || host[i] == '.' :
		    is_alnum(host[i]) || strchr(".-_", host[i]) != NULL))
			return false;
		buf_put_u8(out, (uint8_t)tolower((unsigned char)host[i]));
	}
	return true;
}

/* ":443" behind the host; nothing for the scheme's own. */
static bool
put_port(struct buf *out, const char *port, size_t n, bool plain)
{
	char digits[8] = "";
	uint64_t number;

	if (n == 0)
		return true;
	if (n < sizeof(digits))
		memcpy(digits, port, n);
	if (!text_parse_u64(&number, digits, 65535) || number == 0)
		return false;
	if (number != (plain ? 80 : 443))
		buf_printf(out, ":%u", (unsigned)number);
	return true;
}

int
uri_web(struct buf *out, bool *plain, const char *text, struct err *e)
{
	AUTO_BUF whole = { 0 };
	bool http = strncasecmp(text, "http://", 7) == 0;
	const char *host, *port, *bracket;
	size_t n;

	if (!http && strncasecmp(text, "https://", 8) != 0)
		return err_set(e, E_FORMAT, "'%.200s' is no URL; write https://server.example/path", text);
	host = text + (http ? 7 : 8);
	n = strcspn(host, "/?#");
	if (memchr(host, '@', n) != NULL)
		return err_set(e, E_FORMAT,
		    "user and password do not belong into a URL; write username and password");
	if (strchr(host, '#') != NULL)
		return err_set(e, E_FORMAT, "'%.200s': what follows '#' is never sent; leave it out", text);
	bracket = memchr(host, ']', n);
	port = memchr(bracket != NULL ? bracket : host, ':',
	    bracket != NULL ? n - (size_t)(bracket - host) : n);
	buf_put_str(&whole, http ? "http://" : "https://");
	if (!put_host(&whole, host, port != NULL ? (size_t)(port - host) : n))
		return bad_host(text, e);
	if (port != NULL && !put_port(&whole, port + 1, n - (size_t)(port + 1 - host), http))
		return err_set(e, E_FORMAT, "'%.200s': a port is a number from 1 to 65535", text);
	if (host[n] != '/')
		buf_put_u8(&whole, '/');
	put_encoded(&whole, host + n, strlen(host + n), "\"<>`{}");
	*plain = http;
	buf_put_bytes(out, bytes_of_buf(&whole));
	return 0;
}

void
uri_of_path(struct buf *out, const char *path)
{
	buf_put_str(out, "file://");
	put_encoded(out, path, strlen(path), "\"#<>?`{}%");
}

/* --- PKCS#11 (RFC 7512), the part that the services know --- */

struct token_uri {
	char slot[24], token[128], object[128], pin[128];
	bool has_slot, has_token, has_object, has_pin;
};

/* What an attribute says, decoded; false when it is too long or ill-encoded. */
static bool
decode(char *out, size_t size, const char *s, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++, k++) {
		uint8_t c = (uint8_t)s[i];
		char hex[3] = { 0 };

		if (c == '%') {
			memcpy(hex, s + i + 1, n - i > 2 ? 2 : n - i - 1);
			if (!text_unhex(&c, 1, hex) || c == 0)
				return false;
			i += 2;
		}
		if (k + 1 >= size)
			return false;
		out[k] = (char)c;
	}
	out[k] = 0;
	return true;
}

static bool
take(struct token_uri *u, const char *part, size_t n)
{
	const struct {
		const char *name;
		char *value;
		size_t size;
		bool *has;
	} known[] = {
		{ "slot-id=", u->slot, sizeof(u->slot), &u->has_slot },
		{ "token=", u->token, sizeof(u->token), &u->has_token },
		{ "object=", u->object, sizeof(u->object), &u->has_object },
		{ "pin-value=", u->pin, sizeof(u->pin), &u->has_pin },
	};

	for (size_t i = 0; i < N_OF(known); i++) {
		size_t k = strlen(known[i].name);

		if (n < k || strncmp(part, known[i].name, k) != 0)
			continue;
		*known[i].has = true;
		return decode(known[i].value, known[i].size, part + k, n - k);
	}
	return true; /* others do not matter to the services */
}

static void
put_attribute(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "%s=", name);
	for (; *value != 0; value++)
		buf_printf(out, is_alnum(*value) ? "%c" : "%%%02X", (unsigned char)*value);
}

int
uri_pkcs11(struct buf *out, const char *text, bool is_key, struct err *e)
{
	struct token_uri u = { 0 };
	uint64_t slot;

	for (const char *p = text + strlen("pkcs11:"); *p != 0;) {
		size_t n = strcspn(p, ";?&");

		if (!take(&u, p, n))
			return err_set(e, E_FORMAT,
			    "the PKCS#11 URI has an attribute that is too long or not percent-encoded");
		p += n + (p[n] != 0);
	}
	if (!u.has_slot && !u.has_token)
		return err_set(e, E_FORMAT,
		    "a PKCS#11 URI needs slot-id= or token=, as in pkcs11:token=Keys;object=est-id");
	if (u.has_slot && !text_parse_u64(&slot, u.slot, UINT32_MAX))
		return err_set(e, E_FORMAT, "slot-id of the PKCS#11 URI must be a number");
	if (is_key && !u.has_object)
		return err_set(e, E_FORMAT,
		    "the PKCS#11 URI of a key needs object=, its label in the token");
	buf_put_str(out, "pkcs11:");
	put_attribute(out, u.has_slot ? "slot-id" : "token", u.has_slot ? u.slot : u.token);
	if (u.has_object) {
		buf_put_u8(out, ';');
		put_attribute(out, "object", u.object);
	}
	if (u.has_pin) {
		buf_put_u8(out, '?');
		put_attribute(out, "pin-value", u.pin);
	}
	return 0;
}
