/* SPDX-License-Identifier: Apache-2.0 */
/* net/fetch.c - one HTTP request as a client, by libcurl with nothing of its trust left to defaults */
#include "core/net/fetch.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/net/fetch_tls.h"

#define CONNECT_MS      10000
#define TOTAL_MS        60000
#define RETRY_AFTER_MAX 86400
#define BODY_TRIES      16   /* an ECDSA signature has the length wanted about every second time */
#define ATTEMPTS        3    /* connections, when a body turns out to be of another length than announced */

AUTO_DEFINE_OSSL(CURL, curl_easy_cleanup)
AUTO_DEFINE_OSSL(CURLU, curl_url_cleanup)
typedef struct curl_slist curl_slist;
AUTO_DEFINE_OSSL(curl_slist, curl_slist_free_all)

/* One fetch_run(). */
struct run {
	const struct fetch *f;
	struct fetch_answer *a;
	CURL *curl;
	struct fetch_tls tls;
	char peer[FETCH_HOST_MAX + 24]; /* "server host:port", or "server" of a socket that the caller names */
	struct buf body;         /* what make_body made last */
	char *wire;              /* the body as libcurl sends it: wire_n octets that never move */
	size_t wire_n;
	bool connected;          /* whatever goes wrong later is the answer's fault */
	bool again;              /* the body had another length: connect anew with that */
	bool too_big;
	struct err err;          /* of a callback; code E_OK: none */
};

/* --- the answer --- */

/* Does the line carry the field `name`?  Its value, trimmed, into out. */
static bool
field(const char *line, size_t n, const char *name, char *out, size_t size)
{
	size_t len = strlen(name);

	if (n <= len || line[len] != ':' || strncasecmp(line, name, len) != 0)
		return false;
	line += len + 1;
	n -= len + 1;
	while (n != 0 && (*line == ' ' || *line == '\t'))
		line++, n--;
	while (n != 0 && memchr(" \t\r\n", line[n - 1], 4) != NULL)
		n--;
	if (n >= size || !text_valid_utf8((struct bytes){ (const uint8_t *)line, n }))
		return false;
	(void)memcpy(out, line, n);
	out[n] = 0;
	return true;
}

/* RFC 9110 10.2.3: seconds, or a date. */
static int64_t
retry_after(const char *value)
{
	uint64_t seconds;
	int64_t date;

	if (text_parse_u64(&seconds, value, UINT64_MAX))
		return seconds < RETRY_AFTER_MAX ? (int64_t)seconds : RETRY_AFTER_MAX;
	date = (int64_t)curl_getdate(value, NULL);
	if (date < 0)
		return -1;
	date -= clock_now();
	return date < 0 ? 0 : date < RETRY_AFTER_MAX ? date : RETRY_AFTER_MAX;
}

static void
forget_head(struct fetch_answer *a)
{
	a->type[0] = a->request_id[0] = a->location[0] = a->www_authenticate[0] = 0;
	a->retry_after_s = -1;
}

static size_t
on_header(char *line, size_t size, size_t n, void *ctx)
{
	struct run *r = ctx;
	struct fetch_answer *a = r->a;
	char value[64];

	n *= size;
	if (n > 5 && memcmp(line, "HTTP/", 5) == 0)
		forget_head(a); /* a 1xx before it does not count */
	else if (field(line, n, "Retry-After", value, sizeof(value)))
		a->retry_after_s = retry_after(value);
	else if (!field(line, n, "Content-Type", a->type, sizeof(a->type)) &&
	    !field(line, n, "X-Request-Id", a->request_id, sizeof(a->request_id)) &&
	    !field(line, n, "Location", a->location, sizeof(a->location)) &&
	    a->www_authenticate[0] == 0)
		(void)field(
		    line, n, "WWW-Authenticate", a->www_authenticate, sizeof(a->www_authenticate));
	return n;
}

static size_t
on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct run *r = ctx;

	n *= size;
	if (n > FETCH_ANSWER_MAX - r->a->body.n) {
		r->too_big = true;
		return CURL_WRITEFUNC_ERROR;
	}
	buf_put(&r->a->body, p, n);
	return n;
}

/* --- the connection --- */

static CURLcode
on_context(CURL *curl, void *ctx, void *state)
{
	struct run *r = state;

	(void)curl;
	return fetch_tls_setup(ctx, &r->tls) == 0 ? CURLE_OK : CURLE_ABORTED_BY_CALLBACK;
}

/*
 * libcurl fixes the request's length before it connects, so a body that needs the
 * connection must come out as long as announced.  Signatures vary by an octet or two: a
 * few tries nearly always do.  When it is another length altogether (the server
 * speaks another TLS version), that becomes the announced one of a new connection.
 */
static int
fill_body(struct run *r, SSL *ssl)
{
	struct fetch_connection c = { .version = SSL_get_version(ssl), .binding_error = "" };
	struct err why = { 0 };

	if (tls_binding(c.binding, ssl, false, &why) != 0) {
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

/* Connected and, over TLS, verified: the last moment before the request leaves. */
static int
on_connection(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
	struct run *r = ctx;
	SSL *ssl = NULL;
	struct curl_tlssessioninfo *info = NULL;

	(void)ip, (void)local_ip, (void)port, (void)local_port;
	r->connected = true;
	if (r->f->unix_socket != NULL)
		return CURL_PREREQFUNC_OK;
	if (curl_easy_getinfo(r->curl, CURLINFO_TLS_SSL_PTR, &info) == CURLE_OK &&
	    info != NULL && info->backend == CURLSSLBACKEND_OPENSSL)
		ssl = info->internals;
	if (fetch_tls_verified(ssl, &r->tls, &r->err) != 0)
		return CURL_PREREQFUNC_ABORT;
	fetch_tls_chain(&r->a->server_chain_pem, ssl);
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
set_trust(struct run *r, struct err *e)
{
	const struct fetch *f = r->f;
	bool local = f->unix_socket != NULL;

#if CURL_AT_LEAST_VERSION(7, 85, 0)
	SET(CURLOPT_PROTOCOLS_STR, local ? "http" : "https");
#else
	SET(CURLOPT_PROTOCOLS, local ? CURLPROTO_HTTP : CURLPROTO_HTTPS);
#endif
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_PREREQFUNCTION, on_connection);
	SET(CURLOPT_PREREQDATA, r);
	if (local) {
		SET(CURLOPT_UNIX_SOCKET_PATH, f->unix_socket);
		SET(CURLOPT_PROXY, "");
		return 0;
	}
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
	SET(CURLOPT_SSL_CTX_FUNCTION, on_context);
	SET(CURLOPT_SSL_CTX_DATA, r);
	return 0;
}

static int
set_connection(struct run *r, struct err *e)
{
	const struct fetch *f = r->f;

	SET(CURLOPT_URL, f->url);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_TCP_NODELAY, 1L);
	SET(CURLOPT_FRESH_CONNECT, 1L);
	SET(CURLOPT_FORBID_REUSE, 1L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(f->connect_ms != 0 ? f->connect_ms : CONNECT_MS));
	SET(CURLOPT_TIMEOUT_MS, (long)(f->total_ms != 0 ? f->total_ms : TOTAL_MS));
	SET(CURLOPT_USERAGENT, "estuary/" ESTUARY_VERSION);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, r);
	SET(CURLOPT_WRITEFUNCTION, on_body);
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
set_method(struct run *r, struct err *e)
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

static int
set_headers(struct run *r, curl_slist **list, struct err *e)
{
	bool typed = false;
	int rc = append(list, "Expect:", e);

	for (const char *const *h = r->f->headers; rc == 0 && h != NULL && *h != NULL; h++) {
		/* A line end in a value would begin a header of somebody else's. */
		if (!text_valid_utf8(bytes_of(*h)) || strchr(*h, ':') == NULL || **h == ':')
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

/* --- what went wrong, in people's words --- */

static int
explain(const struct run *r, CURLcode rc, const char *words, int no, struct err *e)
{
	const char *peer = r->peer;

	if (rc == CURLE_OK)
		return 0;
	if (r->err.code != E_OK)
		return err_set(e, r->err.code, "%s", r->err.msg);
	if (r->tls.err.code != E_OK)
		return err_set(e, r->tls.err.code, "%s", r->tls.err.msg);
	if (fetch_tls_refusal(&r->tls, e) != 0)
		return E_AUTH;
	if (*words == 0)
		words = curl_easy_strerror(rc);
	if (r->too_big || rc == CURLE_FILESIZE_EXCEEDED)
		return err_set(e, E_TOOBIG, "%s: answer of more than %zu octets", peer,
		    FETCH_ANSWER_MAX);
	if (r->connected && rc == CURLE_UNSUPPORTED_PROTOCOL) /* HTTP/0.9 */
		rc = CURLE_WEIRD_SERVER_REPLY;
	switch (rc) {
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
	case CURLE_LOGIN_DENIED:
		return err_set(
		    e, E_USAGE, "url: https://host[:port]/path needed, without user or password");
	case CURLE_COULDNT_RESOLVE_HOST:
		return err_set(e, E_UNAVAIL, "%s: no address for this name", peer);
	case CURLE_COULDNT_CONNECT:
		return err_set(e, E_UNAVAIL, "%s: no connection: %s", peer,
		    no != 0 ? strerror(no) : words);
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(e, E_UNAVAIL, "%s: no answer in time", peer);
	case CURLE_SSL_CONNECT_ERROR:
		if (strstr(words, "wrong version number") != NULL)
			return err_set(e, E_UNAVAIL, "%s: does not speak TLS; is it the right port?", peer);
		return err_set(e, E_UNAVAIL, "%s: no TLS connection: %s", peer, words);
	case CURLE_PEER_FAILED_VERIFICATION:
		return err_set(e, E_AUTH, "%s: not verified: %s", peer, words);
	case CURLE_GOT_NOTHING:
		return err_set(
		    e, E_UNAVAIL, "%s: closed the connection without an answer", peer);
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
		return err_set(e, E_FORMAT, "%s: does not speak HTTP: %s", peer, words);
	default:
		return err_set(e, E_UNAVAIL, "%s: %s", peer, words);
	}
}

static int
perform(struct run *r, struct err *e)
{
	AUTO_OSSL(CURL) curl = curl_easy_init();
	AUTO_OSSL(curl_slist) headers = NULL;
	AUTO_OSSL(curl_slist) resolve = NULL;
	char words[CURL_ERROR_SIZE] = "";
	CURLcode rc;
	long status = 0, no = 0;
	int err;

	r->curl = curl;
	if (curl == NULL)
		return err_set(e, E_IO, "HTTP client: out of memory");
	SET(CURLOPT_ERRORBUFFER, words);
	if ((err = set_trust(r, e)) != 0 || (err = set_connection(r, e)) != 0 ||
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
	(void)curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &no);
	r->a->status = (unsigned)status;
	return explain(r, rc, words, (int)no, e);
}

/* --- all of it --- */

static int
find_host(struct run *r, struct err *e)
{
	AUTO_OSSL(CURLU) url = curl_url();
	char *host = NULL, *port = NULL;
	const char *p;
	size_t n;

	if (url == NULL || curl_url_set(url, CURLUPART_URL, r->f->url, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		return err_set(e, E_USAGE, "url: https://host[:port]/path needed");
	if (r->f->unix_socket == NULL)
		(void)curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
	(void)snprintf(r->peer, sizeof(r->peer), "server%s%.260s%s%.8s", port != NULL ? " " : "",
	    port != NULL ? host : "", port != NULL ? ":" : "", port != NULL ? port : "");
	curl_free(port);
	p = *host == '[' ? host + 1 : host;
	n = strcspn(p, "]%");
	if (n != 0 && p[n - 1] == '.') /* "host." is the same name, and no certificate says it so */
		n--;
	if (n >= sizeof(r->tls.host))
		n = 0;
	(void)snprintf(r->tls.host, sizeof(r->tls.host), "%.*s", (int)n, p);
	curl_free(host);
	return r->tls.host[0] != 0 ? 0 : err_set(e, E_USAGE, "url: no host in it, or too long");
}

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
first_body(struct run *r, struct err *e)
{
	struct fetch_connection sample = { .version = "TLSv1.3", .binding_error = "" };
	size_t n = r->f->max_tls == TLS1_2_VERSION ? 16 : 44; /* 12 and 32 octets in base64 */
	int rc = 0;

	if (r->f->make_body == NULL) {
		buf_put_bytes(&r->body, r->f->body);
	} else {
		(void)memset(sample.binding, 'A', n);
		rc = r->f->make_body(r->f->ctx, &sample, &r->body, e);
	}
	return rc != 0 ? rc : buf_check(&r->body, "request", e);
}

/* Try with the body's present length; the wire's content is the body itself, or comes in fill_body(). */
static int
attempt(struct run *r, struct err *e)
{
	int rc;

	mem_free_wiped(r->wire, r->wire_n);
	r->wire_n = r->body.n;
	r->wire = mem_dup(r->body.p != NULL ? r->body.p : (const uint8_t *)"", r->body.n);
	if (r->f->make_body != NULL)
		mem_wipe(r->wire, r->wire_n);
	r->again = r->connected = false;
	r->err = r->tls.err = (struct err){ 0 };
	fetch_clear(r->a);
	r->a->body.max = FETCH_ANSWER_MAX;
	rc = perform(r, e);
	mem_free_wiped(r->wire, r->wire_n);
	r->wire = NULL;
	return rc;
}

int
fetch_run(const struct fetch *f, struct fetch_answer *a, struct err *e)
{
	struct run r = { .f = f, .a = a, .tls = { .f = f } };
	int rc;

	fetch_clear(a);
	if ((rc = check_provisional(f, e)) != 0 || (rc = find_host(&r, e)) != 0 ||
	    (rc = first_body(&r, e)) != 0) {
		buf_free(&r.body);
		return rc;
	}
	for (int i = 0; i < ATTEMPTS; i++) {
		rc = attempt(&r, e);
		if (!r.again)
			break;
	}
	buf_free(&r.body);
	return rc;
}

void
fetch_clear(struct fetch_answer *a)
{
	buf_free(&a->body);
	buf_free(&a->server_chain_pem);
	forget_head(a);
	a->status = 0;
}
