/* SPDX-License-Identifier: Apache-2.0 */
/* test_fetch.c - the HTTP client against small TLS servers, honest and not */
#include "core/net/fetch.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "tests/unit/core/est/mint.h"

/* --- the server: a child that answers until it is ended --- */

struct server {
	const struct minted *cert, *under;  /* under: sent too; NULL: not */
	int max_tls;
	const struct minted *client_ca;     /* not NULL: ask for a client certificate */
	const char *answer;                 /* whole, head and body; NULL: say what was seen */
	size_t zeros;                       /* and so many octets after it */
	pid_t pid;
	int port;
};

static X509 *
x509_of(const struct minted *m)
{
	const unsigned char *p = m->der.p;
	X509 *x = d2i_X509(NULL, &p, (long)m->der.n);

	assert_non_null(x);
	return x;
}

static SSL_CTX *
server_ctx(const struct server *s)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	X509 *cert = x509_of(s->cert);

	mint_must(SSL_CTX_use_certificate(ctx, cert) != 1);
	mint_must(SSL_CTX_use_PrivateKey(ctx, key_evp(s->cert->key)) != 1);
	if (s->under != NULL)
		mint_must(SSL_CTX_add0_chain_cert(ctx, x509_of(s->under)) != 1);
	if (s->max_tls != 0)
		mint_must(SSL_CTX_set_max_proto_version(ctx, s->max_tls) != 1);
	if (s->client_ca != NULL) {
		X509 *ca = x509_of(s->client_ca);

		mint_must(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca) != 1);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		X509_free(ca);
	}
	X509_free(cert);
	return ctx;
}

/* Head and body; false when the other side has gone. */
static bool
read_request(SSL *ssl, struct buf *request)
{
	char piece[4096];
	size_t want = SIZE_MAX;

	while (request->n < want) {
		int n = SSL_read(ssl, piece, sizeof(piece));
		const char *end, *length;

		if (n <= 0)
			return false;
		buf_put(request, piece, (size_t)n);
		end = strstr(buf_str(request), "\r\n\r\n");
		if (end == NULL)
			continue;
		length = strcasestr(buf_str(request), "\r\nContent-Length:");
		want = (size_t)(end + 4 - buf_str(request)) +
		    (length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0);
	}
	return true;
}

static void
answer(const struct server *s, SSL *ssl, int nth)
{
	static const char zeros[4096];
	AUTO_BUF request = { 0 };
	AUTO_BUF seen = { 0 };
	AUTO_BUF out = { 0 };
	char binding[TLS_BINDING_MAX];
	X509 *client;

	if (!read_request(ssl, &request))
		return;
	if (s->answer != NULL) {
		buf_put_str(&out, s->answer);
	} else {
		mint_must(tls_binding(binding, ssl, true, NULL));
		client = SSL_get1_peer_certificate(ssl);
		buf_printf(&seen, "connection=%d binding=%s client=%s verified=%ld\n%s", nth,
		    binding, client != NULL ? "yes" : "no", SSL_get_verify_result(ssl),
		    buf_str(&request));
		buf_printf(&out,
		    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Request-Id: r1\r\n"
		    "Content-Length: %zu\r\n\r\n%s",
		    seen.n, buf_str(&seen));
		X509_free(client);
	}
	(void)SSL_write(ssl, out.p, (int)out.n);
	for (size_t left = s->zeros; left != 0; left -= left < sizeof(zeros) ? left : sizeof(zeros))
		if (SSL_write(ssl, zeros, (int)(left < sizeof(zeros) ? left : sizeof(zeros))) <= 0)
			break;
	(void)SSL_shutdown(ssl);
}

static void
serve(const struct server *s, int fd)
{
	SSL_CTX *ctx = server_ctx(s);

	for (int nth = 1;; nth++) {
		SSL *ssl = SSL_new(ctx);
		int c = accept(fd, NULL, NULL);

		(void)SSL_set_fd(ssl, c);
		if (SSL_accept(ssl) == 1)
			answer(s, ssl, nth);
		ERR_clear_error();
		SSL_free(ssl);
		(void)close(c);
	}
}

static int
listen_somewhere(int *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static void
start(struct server *s)
{
	int fd = listen_somewhere(&s->port);

	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a test fails */
		(void)signal(SIGPIPE, SIG_IGN);
		serve(s, fd);
	}
	(void)close(fd);
}

static void
stop(struct server *s)
{
	(void)kill(s->pid, SIGKILL);
	(void)waitpid(s->pid, NULL, 0);
}

/* --- the world --- */

struct world {
	struct minted root, issuing, other_root, server, device;
	struct buf root_pem, issuing_pem, other_pem, device_pem, device_key;
};

static int
setup(void **state)
{
	static struct world w;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)unsetenv("https_proxy");
	(void)unsetenv("all_proxy");
	(void)unsetenv("ALL_PROXY");
	(void)unsetenv("HTTPS_PROXY");
	w.root = mint(&(struct mint){ .cn = "Root", .ca = true, .to = INT64_MAX });
	w.other_root = mint(&(struct mint){ .cn = "Other", .ca = true, .to = INT64_MAX });
	w.issuing = mint(&(struct mint){ .cn = "Issuing", .ca = true, .issuer = &w.root, .to = INT64_MAX });
	w.server = mint(&(struct mint){ .cn = "est", .san = "dns:est.lab.example", .eku = OID_SERVER_AUTH,
	    .issuer = &w.issuing, .to = INT64_MAX });
	w.device = mint(&(struct mint){ .cn = "pump-7", .eku = OID_CLIENT_AUTH, .issuer = &w.issuing, .to = INT64_MAX });
	mint_pem(&w.root_pem, &w.root, NULL);
	mint_pem(&w.issuing_pem, &w.issuing, NULL);
	mint_pem(&w.other_pem, &w.other_root, NULL);
	mint_pem(&w.device_pem, &w.device, &w.issuing);
	key_to_pem(&w.device_key, w.device.key);
	*state = &w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;
	struct minted *certs[] = { &w->root, &w->other_root, &w->issuing, &w->server, &w->device };
	struct buf *pems[] = { &w->root_pem, &w->issuing_pem, &w->other_pem, &w->device_pem,
		&w->device_key };

	for (size_t i = 0; i < N_OF(certs); i++) {
		mint_free(certs[i]);
		buf_free(pems[i]);
	}
	return 0;
}

/* fetch_run() with the url "https://est.lab.example:PORT/x" of that server, when f has none of its own. */
static int
run(const struct server *s, struct fetch f, struct fetch_answer *a, struct err *e)
{
	char url[64], resolve[64];

	(void)snprintf(url, sizeof(url), "https://est.lab.example:%d/x", s->port);
	(void)snprintf(resolve, sizeof(resolve), "est.lab.example:%d:127.0.0.1", s->port);
	if (f.url == NULL)
		f.url = url;
	if (f.method == NULL)
		f.method = "GET";
	f.resolve = resolve;
	f.total_ms = 20000;
	return fetch_run(&f, a, e);
}

static void
expect_failure(const struct server *s, const struct fetch *f, enum err_code code, const char *words)
{
	struct fetch_answer a = { 0 };
	struct err e = { 0 };

	assert_int_equal(run(s, *f, &a, &e), code);
	if (strstr(e.msg, words) == NULL)
		fail_msg("'%s' is not in '%s'", words, e.msg);
	assert_int_equal(a.body.n, 0);
	fetch_clear(&a);
}

static void
expect_seen(const struct server *s, const struct fetch *f, const char *words)
{
	struct fetch_answer a = { 0 };
	struct err e = { 0 };

	if (run(s, *f, &a, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(a.status, 200);
	if (strstr(buf_str(&a.body), words) == NULL)
		fail_msg("'%s' is not in '%s'", words, buf_str(&a.body));
	fetch_clear(&a);
}

/* --- who the server is --- */

static void
a_verified_server_is_asked_and_its_answer_read(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing };
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem) };
	struct fetch_answer a = { 0 };
	AUTO_BUF leaf = { 0 };

	start(&s);
	assert_int_equal(run(&s, f, &a, NULL), 0);
	assert_int_equal(a.status, 200);
	assert_string_equal(a.type, "text/plain");
	assert_string_equal(a.request_id, "r1");
	assert_int_equal(a.retry_after_s, -1);
	assert_non_null(strstr(buf_str(&a.body), "\nGET /x HTTP/1.1\r\n"));
	assert_null(strstr(buf_str(&a.body), "Expect"));
	assert_null(strstr(buf_str(&a.body), "Authorization"));
	mint_pem(&leaf, &w->server, NULL);
	assert_int_equal(strncmp(buf_str(&a.server_chain_pem), buf_str(&leaf), leaf.n), 0);
	fetch_clear(&a);
	stop(&s);
}

static void
an_intermediate_ca_is_an_anchor_too(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server };

	start(&s);
	expect_seen(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&w->issuing_pem) }, "connection=1");
	stop(&s);
}

static void
a_server_of_an_unknown_ca_is_refused(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing };

	start(&s);
	expect_failure(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&w->other_pem) }, E_AUTH, "unknown CA");
	expect_failure(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&w->other_pem) }, E_AUTH, "--pin");
	expect_failure(&s, &(struct fetch){ 0 }, E_AUTH, "unknown CA"); /* the system does not know it either */
	stop(&s);
}

static void
broken_anchors_are_no_reason_to_take_others(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing };
	AUTO_BUF half = { 0 };

	start(&s);
	buf_put_bytes(&half, bytes_of_buf(&w->root_pem));
	buf_put_str(&half, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
	expect_failure(&s, &(struct fetch){ .trust_pem = bytes_of("nothing") }, E_FORMAT, "trust");
	expect_failure(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&half) }, E_FORMAT, "trust");
	stop(&s);
}

/* A server whose certificate is as given, under the right root. */
static void
expect_server(struct world *w, struct mint m, const char *url_host, int rc, const char *words)
{
	struct minted cert;
	struct server s = { .cert = &cert };
	char url[64];
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem), .url = url };

	m.issuer = &w->root;
	m.to = m.to != 0 ? m.to : INT64_MAX;
	cert = mint(&m);
	start(&s);
	(void)snprintf(url, sizeof(url), "https://%s:%d/x", url_host, s.port);
	if (rc != 0)
		expect_failure(&s, &f, (enum err_code)rc, words);
	else
		expect_seen(&s, &f, words);
	stop(&s);
	mint_free(&cert);
}

static void
the_name_must_be_in_the_alternative_names(void **state)
{
	struct world *w = *state;

	expect_server(w, (struct mint){ .cn = "x", .san = "dns:est.lab.example" }, "est.lab.example", 0, "connection=1");
	expect_server(w, (struct mint){ .cn = "x", .san = "dns:est.lab.example" }, "EST.lab.example", 0, "connection=1");
	expect_server(w, (struct mint){ .cn = "x", .san = "dns:*.lab.example" }, "est.lab.example", 0, "connection=1");
	expect_server(w, (struct mint){ .cn = "x", .san = "ip:127.0.0.1" }, "127.0.0.1", 0, "connection=1");
	expect_server(w, (struct mint){ .cn = "x", .san = "dns:other.example" }, "est.lab.example", E_AUTH, "other.example");
	expect_server(w, (struct mint){ .cn = "est.lab.example" }, "est.lab.example", E_AUTH, "not for this name");
	expect_server(w, (struct mint){ .cn = "x", .san = "dns:est.lab.example" }, "127.0.0.1", E_AUTH, "not for this name");
}

static void
a_registration_authority_needs_no_name_under_explicit_anchors(void **state)
{
	struct world *w = *state;

	expect_server(w, (struct mint){ .cn = "x", .san = "dns:other.example", .eku = OID_SERVER_AUTH, .more_eku = OID_CMC_RA },
	    "est.lab.example", 0, "connection=1");
	expect_server(w, (struct mint){ .cn = "x", .san = "dns:other.example", .eku = OID_SERVER_AUTH, .more_eku = OID_CLIENT_AUTH },
	    "est.lab.example", E_AUTH, "not for this name");
}

static void
an_expired_or_wrong_certificate_is_refused(void **state)
{
	struct world *w = *state;

	expect_server(w, (struct mint){ .cn = "x", .san = "dns:est.lab.example", .to = MINT_FROM + 100 }, "est.lab.example", E_AUTH,
	    "expired");
	expect_server(w, (struct mint){ .cn = "x", .san = "dns:est.lab.example", .from = (int64_t)250000000000 }, "est.lab.example", E_AUTH,
	    "not valid yet");
	expect_server(w, (struct mint){ .cn = "x", .san = "dns:est.lab.example", .eku = OID_CLIENT_AUTH }, "est.lab.example", E_AUTH,
	    "not one for TLS servers");
}

/* --- a server that nobody vouches for --- */

static void
an_unverified_server_gets_a_get_and_its_chain_is_kept(void **state)
{
	struct world *w = *state;
	struct server s = {
		.cert = &w->server,
		.under = &w->issuing,
		.client_ca = &w->root,
		.answer =
		    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"
	};
	struct fetch_answer a = { 0 };

	start(&s);
	assert_int_equal(run(&s, (struct fetch){ .provisional = true }, &a, NULL), 0);
	assert_int_equal(a.status, 401);
	assert_string_equal(a.www_authenticate, "Basic realm=\"x\"");
	assert_true(a.server_chain_pem.n != 0);
	fetch_clear(&a);
	stop(&s);
}

static void
an_unverified_server_gets_no_secret(void **state)
{
	struct world *w = *state;
	static const char *const headers[] = { "X-Secret: s", NULL };
	struct server s = { .port = 1 };
	struct fetch bad[] = {
		{ .user = "u" }, { .password = "p" }, { .headers = headers }, { .client_cert_pem = buf_str(&w->device_pem) },
		{ .body = bytes_of("x") }, { .method = "POST" },
	};

	for (size_t i = 0; i < N_OF(bad); i++) {
		bad[i].provisional = true;
		expect_failure(&s, &bad[i], E_POLICY, "not verified");
	}
}

/* --- what is sent --- */

static void
credentials_are_sent_with_the_first_request(void **state)
{
	struct world *w = *state;
	static const char *const headers[] = { "X-Extra: 1", NULL };
	struct server s = { .cert = &w->server, .under = &w->issuing, .client_ca = &w->root };
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem) };

	start(&s);
	expect_seen(&s, &f, "client=no");
	f.user = "";
	f.password = "secret";
	expect_seen(&s, &f, "\r\nAuthorization: Basic OnNlY3JldA==\r\n");
	f.headers = headers;
	expect_seen(&s, &f, "\r\nX-Extra: 1\r\n");
	f.client_cert_pem = buf_str(&w->device_pem);
	f.client_key_pem = buf_str(&w->device_key);
	expect_seen(&s, &f, "client=yes verified=0\n");
	stop(&s);
}

static void
a_key_that_is_not_the_certificates_is_refused(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing };
	AUTO_BUF key = { 0 };
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem), .client_cert_pem = buf_str(&w->device_pem) };

	start(&s);
	key_to_pem(&key, w->root.key);
	f.client_key_pem = buf_str(&key);
	expect_failure(&s, &f, E_FORMAT, "client key");
	f.client_key_pem = NULL;
	expect_failure(&s, &f, E_FORMAT, "client key");
	stop(&s);
}

static void
requests_that_must_not_be_sent_are_refused(void **state)
{
	static const char *const split[] = { "X: 1\r\nY: 2", NULL },
				 *const nameless[] = { "nothing", NULL };
	struct server s = { .port = 1 };

	(void)state;
	expect_failure(&s, &(struct fetch){ .url = "http://est.lab.example/" }, E_USAGE, "https");
	expect_failure(&s, &(struct fetch){ .url = "file:///etc/passwd" }, E_USAGE, "https");
	expect_failure(&s, &(struct fetch){ .url = "https://u:p@est.lab.example/" }, E_USAGE, "without user");
	expect_failure(&s, &(struct fetch){ .url = "" }, E_USAGE, "https");
	expect_failure(&s, &(struct fetch){ .headers = split }, E_USAGE, "header");
	expect_failure(&s, &(struct fetch){ .headers = nameless }, E_USAGE, "header");
}

/* --- bodies that belong to their connection --- */

struct maker {
	int calls;
	int lengths;               /* how many lengths its bodies take in turn */
	char binding[TLS_BINDING_MAX];
	bool refuse;
};

static int
make(void *ctx, const struct fetch_connection *c, struct buf *body, struct err *e)
{
	struct maker *m = ctx;

	m->calls++;
	if (m->refuse && m->calls > 1) /* the first is the sample */
		return err_set(e, E_POLICY, "will not");
	(void)snprintf(m->binding, sizeof(m->binding), "%s", c->binding);
	buf_printf(body, "bound=%s", c->binding);
	for (int i = 0; i < m->calls % m->lengths; i++)
		buf_put_str(body, ".");
	return 0;
}

static void
expect_bound(struct world *w, int max_tls, int lengths, size_t binding_n)
{
	struct server s = { .cert = &w->server, .under = &w->issuing, .max_tls = max_tls };
	struct maker m = { .lengths = lengths };
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem), .method = "POST", .make_body = make, .ctx = &m };
	struct fetch_answer a = { 0 };
	char words[256];

	start(&s);
	mint_must(run(&s, f, &a, NULL));
	assert_int_equal(a.status, 200);
	assert_int_equal(strlen(m.binding), binding_n);
	(void)snprintf(words, sizeof(words), " binding=%s ", m.binding);
	assert_non_null(strstr(buf_str(&a.body), words));
	(void)snprintf(words, sizeof(words), "\r\n\r\nbound=%s", m.binding);
	assert_non_null(strstr(buf_str(&a.body), words));
	assert_non_null(strstr(buf_str(&a.body), "\r\nContent-Length: "));
	assert_null(strstr(buf_str(&a.body), "chunked"));
	assert_null(strstr(buf_str(&a.body), "Expect"));
	fetch_clear(&a);
	stop(&s);
}

static void
a_body_is_made_for_the_connection_that_carries_it(void **state)
{
	expect_bound(*state, 0, 1, 44);
	expect_bound(*state, TLS1_2_VERSION, 1, 16);
}

static void
bodies_of_changing_length_are_made_again_until_one_fits(void **state)
{
	expect_bound(*state, 0, 3, 44);
	expect_bound(*state, TLS1_2_VERSION, 3, 16);
}

static void
no_request_leaves_when_its_body_cannot_be_made(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing };
	struct maker m = { .lengths = 1, .refuse = true };

	start(&s);
	expect_failure(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&w->root_pem), .method = "POST", .make_body = make,
	    .ctx = &m }, E_POLICY, "will not");
	stop(&s);
}

static void
no_body_is_made_for_a_server_that_is_refused(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing };
	struct maker m = { .lengths = 1 };

	start(&s);
	expect_failure(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&w->other_pem), .method = "POST", .make_body = make,
	    .ctx = &m }, E_AUTH, "unknown CA");
	assert_int_equal(m.calls, 1); /* the sample alone, for a connection that never was */
	stop(&s);
}

/* --- what comes back --- */

static void
expect_retry(struct world *w, const char *value, int64_t want)
{
	char text[256];
	struct server s = { .cert = &w->server, .under = &w->issuing, .answer = text };
	struct fetch_answer a = { 0 };

	(void)snprintf(text, sizeof(text),
	    "HTTP/1.1 202 Accepted\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", value);
	start(&s);
	mint_must(run(&s, (struct fetch){ .trust_pem = bytes_of_buf(&w->root_pem) }, &a, NULL));
	assert_int_equal(a.status, 202);
	assert_int_equal(a.retry_after_s, want);
	fetch_clear(&a);
	stop(&s);
}

static void
retry_after_is_seconds_or_a_date_and_at_most_a_day(void **state)
{
	expect_retry(*state, "7", 7);
	expect_retry(*state, "99999999999999999999", -1);
	expect_retry(*state, "100000", 86400);
	expect_retry(*state, "Fri, 01 Jan 2016 00:00:00 GMT", 0);
	expect_retry(*state, "Fri, 01 Jan 2500 00:00:00 GMT", 86400);
	expect_retry(*state, "soon", -1);
	expect_retry(*state, "-1", -1);
}

static void
redirects_are_not_followed(void **state)
{
	struct world *w = *state;
	struct server s = {
		.cert = &w->server,
		.under = &w->issuing,
		.answer =
		    "HTTP/1.1 307 T\r\nLocation: https://est.lab.example/y\r\nContent-Length: 0\r\n\r\n"
	};
	struct fetch_answer a = { 0 };

	start(&s);
	assert_int_equal(run(&s, (struct fetch){ .trust_pem = bytes_of_buf(&w->root_pem) }, &a, NULL), 0);
	assert_int_equal(a.status, 307);
	assert_string_equal(a.location, "https://est.lab.example/y");
	fetch_clear(&a);
	stop(&s);
}

static void
an_answer_over_the_limit_is_refused(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing, .zeros = 2 * FETCH_ANSWER_MAX,
		.answer = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" };
	struct fetch_answer a = { 0 };
	struct err e = { 0 };

	start(&s);
	assert_int_equal(run(&s, (struct fetch){ .trust_pem = bytes_of_buf(&w->root_pem) }, &a, &e), E_TOOBIG);
	assert_true(a.body.n <= FETCH_ANSWER_MAX);
	fetch_clear(&a);
	stop(&s);
}

static void
what_is_not_http_is_no_answer(void **state)
{
	struct world *w = *state;
	static const char *const answers[] = { "", "SSH-2.0-x\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort" };

	for (size_t i = 0; i < N_OF(answers); i++) {
		struct server s = { .cert = &w->server, .under = &w->issuing, .answer = answers[i] };
		struct fetch_answer a = { 0 };
		struct err e = { 0 };
		int r;

		start(&s);
		r = run(&s, (struct fetch){ .trust_pem = bytes_of_buf(&w->root_pem) }, &a, &e);
		assert_true(r == E_UNAVAIL || r == E_FORMAT);
		assert_non_null(strstr(e.msg, "est.lab.example"));
		fetch_clear(&a);
		stop(&s);
	}
}

static void
a_closed_port_is_told_as_such(void **state)
{
	struct server s = { 0 };
	int fd = listen_somewhere(&s.port);

	(void)state;
	(void)close(fd);
	expect_failure(&s, &(struct fetch){ 0 }, E_UNAVAIL, "Connection refused");
}

static void
a_local_socket_is_spoken_to_without_tls(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/fetch.XXXXXX", seen[4096];
	struct fetch f = { .url = "http://localhost/operator", .method = "POST", .body = bytes_of("{}"), .unix_socket = a.sun_path };
	struct fetch_answer answer_got = { 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	pid = fork();
	if (pid == 0) {
		static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
		int c = accept(fd, NULL, NULL);

		if (read(c, seen, sizeof(seen)) <= 0 || write(c, text, sizeof(text) - 1) < 0)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(fetch_run(&f, &answer_got, NULL), 0);
	assert_string_equal(buf_str(&answer_got.body), "ok");
	fetch_clear(&answer_got);
	(void)waitpid(pid, NULL, 0);
	(void)close(fd);
	(void)unlink(a.sun_path);
	(void)rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_verified_server_is_asked_and_its_answer_read),
		cmocka_unit_test(an_intermediate_ca_is_an_anchor_too),
		cmocka_unit_test(a_server_of_an_unknown_ca_is_refused),
		cmocka_unit_test(broken_anchors_are_no_reason_to_take_others),
		cmocka_unit_test(the_name_must_be_in_the_alternative_names),
		cmocka_unit_test(a_registration_authority_needs_no_name_under_explicit_anchors),
		cmocka_unit_test(an_expired_or_wrong_certificate_is_refused),
		cmocka_unit_test(an_unverified_server_gets_a_get_and_its_chain_is_kept),
		cmocka_unit_test(an_unverified_server_gets_no_secret),
		cmocka_unit_test(credentials_are_sent_with_the_first_request),
		cmocka_unit_test(a_key_that_is_not_the_certificates_is_refused),
		cmocka_unit_test(requests_that_must_not_be_sent_are_refused),
		cmocka_unit_test(a_body_is_made_for_the_connection_that_carries_it),
		cmocka_unit_test(bodies_of_changing_length_are_made_again_until_one_fits),
		cmocka_unit_test(no_request_leaves_when_its_body_cannot_be_made),
		cmocka_unit_test(no_body_is_made_for_a_server_that_is_refused),
		cmocka_unit_test(retry_after_is_seconds_or_a_date_and_at_most_a_day),
		cmocka_unit_test(redirects_are_not_followed),
		cmocka_unit_test(an_answer_over_the_limit_is_refused),
		cmocka_unit_test(what_is_not_http_is_no_answer),
		cmocka_unit_test(a_closed_port_is_told_as_such),
		cmocka_unit_test(a_local_socket_is_spoken_to_without_tls),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
