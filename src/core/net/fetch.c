/* SPDX-License-Identifier: Apache-2.0 */
/* net/fetch.c - one HTTP request as a client, by libcurl with nothing of its trust left to defaults */
#include "core/net/fetch_inside.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define CONNECT_MS      10000
#define TOTAL_MS        60000
#define BODY_TRIES      16   /* an ECDSA signature has the length wanted about every second time */
#define ATTEMPTS        3    /* connections, when a body turns out to be of another length than announced */

AUTO_DEFINE_OSSL(CURL, curl_easy_cleanup)
AUTO_DEFINE_OSSL(CURLU, curl_url_cleanup)
typedef struct curl_slist curl_slist;
AUTO_DEFINE_OSSL(curl_slist, curl_slist_free_all)

/* --- the connection --- */

/*
 * libcurl asks for each TLS connection, that to an https proxy first, and does not say which it is.  The highest
 * version tells: set_proxy() names it for the proxy's, set_trust() never names this one for the server's.
 */
static CURLcode
on_context(CURL *curl, void *ctx, void *state)
{
	struct fetch_run *r = state;
	bool proxy = r->proxy.tls && SSL_CTX_get_max_proto_version(ctx) == TLS1_3_VERSION;

	(void)curl;
	if (r->proxy.tls && !proxy && !r->proxy_tls.ready) {
		(void)err_set(&r->err, E_CRYPTO, "proxy: libcurl did not begin with its TLS");
		return CURLE_ABORTED_BY_CALLBACK;
	}
	return fetch_tls_setup(ctx, proxy ? &r->proxy_tls : &r->tls) == 0 ? CURLE_OK : CURLE_ABORTED_BY_CALLBACK;
}

/*
 * libcurl fixes the request's length before it connects, so a body that needs the
 * connection must come out as long as announced.  Signatures vary by an octet or two: a
 * few tries nearly always do.  When it is another length altogether (the server
 * speaks another TLS version), that becomes the announced one of a new connection.
 */
static int
fill_body(struct fetch_run *r, SSL *ssl)
{
	struct fetch_connection c = { .version = ssl != NULL ? SSL_get_version(ssl) : "", .binding_error = "" };
	struct err why = { 0 };

	if (ssl == NULL) {
		c.binding_error = "no TLS connection";
	} else if (tls_binding(c.binding, ssl, false, &why) != 0) {
		c.binding[0] = 0;
		c.binding_error = why.msg;
	}
	for (int i = 0; i < BODY_TRIES; i++) {
		buf_reset(&r->body);
		if (r->f->make_body(r->f->ctx, &c, &r->body, &r->err) != 0)
			return -1;
		if (r->body.n == r->wire_n) {
			(void)memcpy(r->wire, r->body.p, r->wire_n);
			return 0;
		}
	}
	r->again = true;
	return err_set(&r->err, E_UNAVAIL, "request: its length changes with every connection");
}

/* The connection is the one that was meant, as verified as it must be. */
static int
check_tls(struct fetch_run *r, SSL **out)
{
	struct curl_tlssessioninfo *info = NULL;

	if (curl_easy_getinfo(r->curl, CURLINFO_TLS_SSL_PTR, &info) == CURLE_OK &&
	    info != NULL && info->backend == CURLSSLBACKEND_OPENSSL)
		*out = info->internals;
	if (fetch_tls_verified(*out, &r->tls, &r->err) != 0)
		return -1;
	r->a->tls_done = true;
	fetch_tls_chain(&r->a->server_chain_pem, *out);
	return 0;
}

/* Connected and, over TLS, verified: the last moment before the request leaves. */
static int
on_connection(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
	struct fetch_run *r = ctx;
	SSL *ssl = NULL;

	(void)ip, (void)local_ip, (void)port, (void)local_port;
	r->connected = true;
	if (!r->plain && check_tls(r, &ssl) != 0)
		return CURL_PREREQFUNC_ABORT;
	r->done = r->f->connect_only;
	if (r->done)
		return CURL_PREREQFUNC_ABORT; /* the one way out that sends nothing */
	if (r->f->make_body != NULL && fill_body(r, ssl) != 0)
		return CURL_PREREQFUNC_ABORT;
	return CURL_PREREQFUNC_OK;
}

/* --- the request --- */

/* A setopt that counts: one that libcurl does not know must not pass unseen. */
#define SET(option, value)                                                     \
	do {                                                                   \
		if (curl_easy_setopt(r->curl, (option), (value)) != CURLE_OK)  \
			return err_set(e, E_UNAVAIL,                           \
			    "HTTP client: libcurl does not know " #option);    \
	} while (0)

static int
set_trust(struct fetch_run *r, struct err *e)
{
	const struct fetch *f = r->f;

#if CURL_AT_LEAST_VERSION(7, 85, 0)
	SET(CURLOPT_PROTOCOLS_STR, r->plain ? "http" : "https");
#else
	SET(CURLOPT_PROTOCOLS, r->plain ? CURLPROTO_HTTP : CURLPROTO_HTTPS);
#endif
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_PREREQFUNCTION, on_connection);
	SET(CURLOPT_PREREQDATA, r);
	SET(CURLOPT_SSL_CTX_FUNCTION, on_context);
	SET(CURLOPT_SSL_CTX_DATA, r);
	/* Anchors and name are ours (fetch_tls.c); libcurl's own name check knows no cmcRA. */
	SET(CURLOPT_CAINFO, NULL);
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_SSL_VERIFYPEER, f->provisional ? 0L : 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 0L);
	SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
	SET(CURLOPT_SSLVERSION,
	    f->max_tls == TLS1_2_VERSION
		? (long)CURL_SSLVERSION_TLSv1_2 | (long)CURL_SSLVERSION_MAX_TLSv1_2
		: (long)CURL_SSLVERSION_TLSv1_2);
	return 0;
}

/* The environment's proxies and exceptions are never asked: "" keeps libcurl from it. */
static int
set_proxy(struct fetch_run *r, struct err *e)
{
	const struct fetch_proxy *p = &r->proxy;

	SET(CURLOPT_PROXY, p->url);
	SET(CURLOPT_NOPROXY, "");
	if (r->f->unix_socket != NULL)
		SET(CURLOPT_UNIX_SOCKET_PATH, r->f->unix_socket);
	if (!p->used)
		return 0;
	SET(CURLOPT_PROXYTYPE, (long)(p->tls ? CURLPROXY_HTTPS : CURLPROXY_HTTP));
	SET(CURLOPT_PROXYAUTH, (long)CURLAUTH_BASIC);
	SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	if (p->user != NULL || p->password != NULL) {
		SET(CURLOPT_PROXYUSERNAME, p->user != NULL ? p->user : "");
		SET(CURLOPT_PROXYPASSWORD, p->password != NULL ? p->password : "");
	}
	SET(CURLOPT_PROXY_CAINFO, NULL);
	SET(CURLOPT_PROXY_CAPATH, NULL);
	SET(CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2 | (long)CURL_SSLVERSION_MAX_TLSv1_3);
	return 0;
}

/* The time left of the whole, and of it that for connecting. */
static int
set_times(struct fetch_run *r, struct err *e)
{
	uint64_t now = clock_monotonic_ms(), left = r->until_ms > now ? r->until_ms - now : 1;
	uint64_t connect = r->f->connect_ms != 0 ? r->f->connect_ms : CONNECT_MS;

	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(connect < left ? connect : left));
	SET(CURLOPT_TIMEOUT_MS, (long)left);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L); /* nor wait for a resolver that is still at it */
	return 0;
}

static int
set_connection(struct fetch_run *r, struct err *e)
{
	const struct fetch *f = r->f;

	SET(CURLOPT_URL, r->url);
	SET(CURLOPT_TCP_NODELAY, 1L);
	SET(CURLOPT_FRESH_CONNECT, 1L);
	SET(CURLOPT_FORBID_REUSE, 1L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_USERAGENT, "estuary/" ESTUARY_VERSION);
	SET(CURLOPT_HEADERFUNCTION, fetch_on_header);
	SET(CURLOPT_HEADERDATA, r);
	SET(CURLOPT_WRITEFUNCTION, fetch_on_body);
	SET(CURLOPT_WRITEDATA, r);
	SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)FETCH_ANSWER_MAX);
	if (f->user != NULL || f->password != NULL) {
		SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		SET(CURLOPT_USERNAME, f->user != NULL ? f->user : "");
		SET(CURLOPT_PASSWORD, f->password != NULL ? f->password : "");
	}
	return 0;
}

static int
set_method(struct fetch_run *r, struct err *e)
{
	if (strcmp(r->f->method, "GET") == 0) {
		SET(CURLOPT_HTTPGET, 1L);
		return 0;
	}
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDS, r->wire);
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->wire_n);
	if (strcmp(r->f->method, "POST") != 0)
		SET(CURLOPT_CUSTOMREQUEST, r->f->method);
	return 0;
}

static int
append(curl_slist **list, const char *line, struct err *e)
{
	curl_slist *longer = curl_slist_append(*list, line);

	if (longer == NULL)
		return err_set(e, E_IO, "HTTP client: out of memory");
	*list = longer;
	return 0;
}

bool
fetch_is_header(const char *line)
{
	return text_valid_utf8(bytes_of(line)) && strchr(line, ':') != NULL && *line != ':';
}

static int
set_headers(struct fetch_run *r, curl_slist **list, struct err *e)
{
	bool typed = false;
	int rc = append(list, "Expect:", e);

	for (const char *const *h = r->f->headers; rc == 0 && h != NULL && *h != NULL; h++) {
		/* A line end in a value would begin a header of somebody else's. */
		if (!fetch_is_header(*h))
			return err_set(e, E_USAGE, "header: not one line 'Name: value'");
		typed = typed || strncasecmp(*h, "Content-Type:", 13) == 0;
		rc = append(list, *h, e);
	}
	if (rc == 0 && !typed)
		rc = append(list, "Content-Type:", e); /* libcurl's own guess is wrong */
	if (rc != 0)
		return rc;
	SET(CURLOPT_HTTPHEADER, *list);
	return 0;
}

static int
perform(struct fetch_run *r, struct err *e)
{
	AUTO_OSSL(CURL) curl = curl_easy_init();
	AUTO_OSSL(curl_slist) headers = NULL;
	AUTO_OSSL(curl_slist) resolve = NULL;
	char words[CURL_ERROR_SIZE] = "";
	CURLcode rc;
	long status = 0;
	int err;

	r->curl = curl;
	if (curl == NULL)
		return err_set(e, E_IO, "HTTP client: out of memory");
	SET(CURLOPT_ERRORBUFFER, words);
	if ((err = set_trust(r, e)) != 0 || (err = set_proxy(r, e)) != 0 ||
	    (err = set_times(r, e)) != 0 || (err = set_connection(r, e)) != 0 ||
	    (err = set_method(r, e)) != 0 || (err = set_headers(r, &headers, e)) != 0)
		return err;
	if (r->f->resolve != NULL) {
		err = append(&resolve, r->f->resolve, e);
		if (err != 0)
			return err;
		SET(CURLOPT_RESOLVE, resolve);
	}
	rc = curl_easy_perform(curl);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	r->a->status = (unsigned)status;
	return fetch_explain(r, rc, words, e);
}

/* --- where to --- */

/*
 * A name or address as libcurl has it, without brackets, zone and last dot ("host." is the same
 * name, and no certificate says it so).
 */
static void
bare_host(char out[FETCH_HOST_MAX], const char *host)
{
	const char *p = *host == '[' ? host + 1 : host;
	size_t n = strcspn(p, "]%");

	if (n != 0 && p[n - 1] == '.')
		n--;
	(void)snprintf(out, FETCH_HOST_MAX, "%.*s", n < FETCH_HOST_MAX ? (int)n : 0, p);
}

static int
find_host(struct fetch_run *r, struct err *e)
{
	AUTO_OSSL(CURLU) url = curl_url();
	char *host = NULL, *port = NULL, *scheme = NULL;
	bool local = r->f->unix_socket != NULL;

	if (url == NULL || curl_url_set(url, CURLUPART_URL, r->url, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		return err_set(e, E_USAGE, "url: https://host[:port]/path needed");
	if (!local)
		(void)curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
	(void)snprintf(r->peer, sizeof(r->peer), "server%s%.260s%s%.8s", port != NULL ? " " : "",
	    port != NULL ? host : "", port != NULL ? ":" : "", port != NULL ? port : "");
	r->plain = local || (r->f->plain_ok && curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    strcmp(scheme, "http") == 0);
	bare_host(r->tls.host, host);
	curl_free(scheme);
	curl_free(port);
	curl_free(host);
	return r->tls.host[0] != 0 ? 0 : err_set(e, E_USAGE, "url: no host in it, or too long");
}

static int
find_proxy(struct fetch_run *r, struct err *e)
{
	const struct fetch *f = r->f;
	int rc;

	if (f->proxy == NULL || f->unix_socket != NULL || fetch_without_proxy(f->no_proxy, r->tls.host))
		return 0;
	rc = fetch_proxy_parse(&r->proxy, f->proxy, e);
	if (rc == 0)
		bare_host(r->proxy_tls.host, r->proxy.host);
	return rc;
}

static bool
same_part(CURLU *a, CURLU *b, CURLUPart part)
{
	char *x = NULL, *y = NULL;
	bool same = curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK && strcasecmp(x, y) == 0;

	curl_free(x);
	curl_free(y);
	return same;
}

/* RFC 9110 15.4: what may be sent again elsewhere as it is. */
static bool
is_redirect(const struct fetch *f, unsigned status)
{
	if (status == 307 || status == 308)
		return true;
	return strcmp(f->method, "GET") == 0 && status >= 301 && status <= 303;
}

/* Does the answer lead to another place at the same origin?  Then r->url is that. */
static bool
redirect(struct fetch_run *r)
{
	AUTO_OSSL(CURLU) from = curl_url();
	AUTO_OSSL(CURLU) to = NULL;
	char *user = NULL, *whole = NULL;
	bool ok;

	if (!r->f->same_origin_redirects || r->redirected != NULL || r->plain ||
	    !is_redirect(r->f, r->a->status) || r->a->location[0] == 0 ||
	    from == NULL || curl_url_set(from, CURLUPART_URL, r->url, 0) != CURLUE_OK)
		return false;
	to = curl_url_dup(from);
	ok = to != NULL && curl_url_set(to, CURLUPART_URL, r->a->location, 0) == CURLUE_OK &&
	    same_part(from, to, CURLUPART_SCHEME) && same_part(from, to, CURLUPART_HOST) &&
	    same_part(from, to, CURLUPART_PORT) &&
	    curl_url_get(to, CURLUPART_USER, &user, 0) == CURLUE_NO_USER &&
	    curl_url_get(to, CURLUPART_URL, &whole, 0) == CURLUE_OK;
	curl_free(user);
	if (ok)
		r->url = r->redirected = mem_strdup(whole);
	curl_free(whole);
	return ok;
}

/* --- all of it --- */

/* RFC 7030 4.1.1: before the server is verified it gets a plain GET and nothing else. */
static int
check_provisional(const struct fetch *f, struct err *e)
{
	if (!f->provisional)
		return 0;
	if (f->user != NULL || f->password != NULL || f->client_cert_pem != NULL ||
	    f->headers != NULL || f->body.n != 0 || f->make_body != NULL ||
	    strcmp(f->method, "GET") != 0)
		return err_set(
		    e, E_POLICY, "server: not verified yet, nothing but a GET may be sent");
	return 0;
}

/* The length to announce: of the body, or of one made for a connection as we expect it. */
static int
first_body(struct fetch_run *r, struct err *e)
{
	struct fetch_connection sample = { .version = "TLSv1.3", .binding_error = "" };
	size_t n = r->f->max_tls == TLS1_2_VERSION ? 16 : 44; /* 12 and 32 octets in base64 */
	int rc = 0;

	if (r->f->make_body == NULL) {
		buf_put_bytes(&r->body, r->f->body);
	} else {
		if (r->plain)
			sample = (struct fetch_connection){ .version = "", .binding_error = "no TLS connection" };
		else
			(void)memset(sample.binding, 'A', n);
		rc = r->f->make_body(r->f->ctx, &sample, &r->body, e);
	}
	return rc != 0 ? rc : buf_check(&r->body, "request", e);
}

/* Try with the body's present length; the wire's content is the body itself, or comes in fill_body(). */
static int
attempt(struct fetch_run *r, struct err *e)
{
	int rc;

	r->wire_n = r->body.n;
	r->wire = mem_dup(r->body.p != NULL ? r->body.p : (const uint8_t *)"", r->body.n);
	if (r->f->make_body != NULL)
		mem_wipe(r->wire, r->wire_n);
	r->again = r->done = r->connected = r->too_big = r->framed = false;
	r->head_n = 0;
	r->err = (struct err){ 0 };
	fetch_tls_reset(&r->tls);
	fetch_tls_reset(&r->proxy_tls);
	fetch_clear(r->a);
	r->a->cause = FETCH_OTHER;
	r->a->body.max = FETCH_ANSWER_MAX;
	rc = perform(r, e);
	mem_free_wiped(r->wire, r->wire_n);
	r->wire = NULL;
	return rc;
}

static int
run(struct fetch_run *r, struct err *e)
{
	int rc;

	if ((rc = check_provisional(r->f, e)) != 0 || (rc = find_host(r, e)) != 0 ||
	    (rc = find_proxy(r, e)) != 0 || (rc = first_body(r, e)) != 0)
		return rc;
	for (int i = 0; i < ATTEMPTS; i++) {
		rc = attempt(r, e);
		if (!r->again && (rc != 0 || !redirect(r)))
			break;
	}
	return rc;
}

int
fetch_run(const struct fetch *f, struct fetch_answer *a, struct err *e)
{
	static bool ready;
	struct fetch_run r = { .f = f, .a = a, .url = f->url, .tls = { .f = f },
		.proxy_tls = { .f = f, .proxy = true } };
	int rc;

	fetch_clear(a);
	a->cause = FETCH_OTHER;
	ready = ready || curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
	if (!ready)
		return err_set(e, E_IO, "HTTP client: libcurl does not start");
	r.until_ms = clock_monotonic_ms() + (f->total_ms != 0 ? f->total_ms : TOTAL_MS);
	rc = run(&r, e);
	fetch_proxy_clear(&r.proxy);
	buf_free(&r.body);
	mem_free(r.redirected);
	return rc;
}
