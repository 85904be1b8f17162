/* SPDX-License-Identifier: Apache-2.0 */
/* net/fetch_proxy.c - a proxy's URI taken apart, and the hosts that are reached without it */
#include "core/net/fetch_proxy.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/mem.h"
#include "core/base/text.h"

#define SEPARATORS ", \t\r\n"

AUTO_DEFINE_OSSL(CURLU, curl_url_cleanup)

/* --- the URI --- */

/* One part into out; false when it is not there or does not fit. */
static bool
get_part(CURLU *u, CURLUPart part, char *out, size_t size)
{
	char *text = NULL;
	int n = -1;

	if (curl_url_get(u, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK)
		n = snprintf(out, size, "%s", text);
	curl_free(text);
	return n > 0 && (size_t)n < size;
}

/* User or password, decoded; NULL when there is none.  false: it cannot be decoded. */
static bool
get_secret(CURLU *u, CURLUPart part, CURLUcode none, char **out)
{
	char *text = NULL;
	CURLUcode rc = curl_url_get(u, part, &text, CURLU_URLDECODE);

	if (rc == CURLUE_OK) {
		*out = mem_strdup(text);
		mem_wipe(text, strlen(text));
		curl_free(text);
	}
	return rc == CURLUE_OK || rc == none;
}

/* The port is the scheme's own when none is given; libcurl's default of 1080 is nobody's. */
static bool
take_apart(struct fetch_proxy *p, const char *uri)
{
	AUTO_OSSL(CURLU) u = curl_url();
	AUTO_BUF whole = { 0 };
	char scheme[16], host[FETCH_HOST_MAX], port[8];
	size_t n;

	buf_printf(&whole, "%s%s", strstr(uri, "://") == NULL ? "http://" : "", uri);
	if (u == NULL || curl_url_set(u, CURLUPART_URL, buf_str(&whole), 0) != CURLUE_OK ||
	    !get_part(u, CURLUPART_SCHEME, scheme, sizeof(scheme)) ||
	    !get_part(u, CURLUPART_HOST, host, sizeof(host)) ||
	    !get_part(u, CURLUPART_PORT, port, sizeof(port)) ||
	    !get_secret(u, CURLUPART_USER, CURLUE_NO_USER, &p->user) ||
	    !get_secret(u, CURLUPART_PASSWORD, CURLUE_NO_PASSWORD, &p->password))
		return false;
	p->tls = strcmp(scheme, "https") == 0;
	if ((size_t)snprintf(p->url, sizeof(p->url), "%s://%s:%s", scheme, host, port) >= sizeof(p->url))
		return false;
	n = *host == '[' ? strcspn(host + 1, "]%") : strlen(host);
	(void)snprintf(p->host, sizeof(p->host), "%.*s", (int)n, *host == '[' ? host + 1 : host);
	/* RFC 7617 2: a user with a colon in it would be another with another password. */
	return (p->tls || strcmp(scheme, "http") == 0) && p->host[0] != 0 &&
	    (p->user == NULL || strchr(p->user, ':') == NULL);
}

int
fetch_proxy_parse(struct fetch_proxy *p, const char *uri, struct err *e)
{
	*p = (struct fetch_proxy){ .used = true };
	if (take_apart(p, uri))
		return 0;
	fetch_proxy_clear(p);
	return err_set(e, E_USAGE, "proxy: http[s]://[user:password@]host[:port] needed");
}

void
fetch_proxy_clear(struct fetch_proxy *p)
{
	if (p->user != NULL)
		mem_free_wiped(p->user, strlen(p->user));
	if (p->password != NULL)
		mem_free_wiped(p->password, strlen(p->password));
	*p = (struct fetch_proxy){ 0 };
}

void
fetch_proxy_show(struct buf *out, const struct fetch_proxy *p)
{
	const char *host = strstr(p->url, "://") + 3;

	buf_printf(out, "%.*s", (int)(host - p->url), p->url);
	if (p->user != NULL)
		text_escape(out, bytes_of(p->user));
	if (p->user != NULL || p->password != NULL)
		buf_printf(out, "%s@", p->password != NULL ? ":***" : "");
	buf_put_str(out, host);
}

/* --- who is reached without it --- */

struct address {
	uint8_t octet[sizeof(struct in6_addr)];
	unsigned bits; /* 32, 128; 0: none */
};

static struct address
address_of(const char *text)
{
	struct address a = { .bits = 0 };

	if (inet_pton(AF_INET, text, a.octet) == 1)
		a.bits = 32;
	else if (inet_pton(AF_INET6, text, a.octet) == 1)
		a.bits = 128;
	return a;
}

static bool
same_bits(const struct address *a, const struct address *b, unsigned n)
{
	unsigned rest = n % 8;

	if (memcmp(a->octet, b->octet, n / 8) != 0)
		return false;
	return rest == 0 || (a->octet[n / 8] ^ b->octet[n / 8]) >> (8 - rest) == 0;
}

/* An address, or address/length. */
static bool
covers_address(char *item, const struct address *host)
{
	char *slash = strchr(item, '/');
	uint64_t n = host->bits;
	struct address a;

	if (slash != NULL) {
		*slash = 0;
		if (!text_parse_u64(&n, slash + 1, host->bits))
			return false;
	}
	a = address_of(item);
	return a.bits == host->bits && same_bits(&a, host, (unsigned)n);
}

/* The name itself, or one below it. */
static bool
covers_name(const char *item, const char *host)
{
	size_t n, h = strlen(host);

	item += strncmp(item, "*.", 2) == 0 ? 2 : *item == '.' ? 1 : 0;
	n = strlen(item);
	if (n != 0 && item[n - 1] == '.')
		n--;
	if (h != 0 && host[h - 1] == '.')
		h--;
	if (n == 0 || n > h || strncasecmp(host + h - n, item, n) != 0)
		return false;
	return n == h || host[h - n - 1] == '.';
}

bool
fetch_without_proxy(const char *list, const char *host)
{
	const struct address a = address_of(host);
	char item[FETCH_HOST_MAX];

	while (list != NULL && *(list += strspn(list, SEPARATORS)) != 0) {
		size_t n = strcspn(list, SEPARATORS);
		bool bracketed = *list == '[' && list[n - 1] == ']';

		(void)snprintf(item, sizeof(item), "%.*s", (int)(bracketed ? n - 2 : n), list + bracketed);
		if (n < sizeof(item) && (strcmp(item, "*") == 0 ||
		    (a.bits != 0 ? covers_address(item, &a) : covers_name(item, host))))
			return true;
		list += n;
	}
	return false;
}
