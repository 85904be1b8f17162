/* SPDX-License-Identifier: Apache-2.0 */
/* fetch_kit.h - small servers and proxies, honest and not, for the tests of the HTTP client */
#ifndef TESTS_FETCH_KIT_H
#define TESTS_FETCH_KIT_H

#include "core/net/fetch.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
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
	const struct minted *cert, *under;  /* under: sent too; NULL: not; cert NULL: plain */
	int max_tls, min_tls;               /* 0: any */
	const struct minted *client_ca;     /* not NULL: ask for a client certificate */
	bool client_must;                   /* and do without none */
	const char *answer;                 /* whole, head and body; NULL: say what was seen */
	const char *moved;                  /* how requests begin that get `answer`, others what was seen; NULL: all */
	size_t zeros;                       /* and so many octets after it */
	bool cut;                           /* end without close_notify */
	bool drip;                          /* then an octet each 5 ms until the client goes */
	pid_t pid;
	int port;
};

/* What a server has of one client. */
struct line {
	SSL *ssl; /* NULL: plain */
	int fd;
};

static inline int
line_read(const struct line *l, void *p, size_t n)
{
	return l->ssl != NULL ? SSL_read(l->ssl, p, (int)n) : (int)read(l->fd, p, n);
}

static inline int
line_write(const struct line *l, const void *p, size_t n)
{
	return l->ssl != NULL ? SSL_write(l->ssl, p, (int)n) : (int)write(l->fd, p, n);
}

static inline X509 *
x509_of(const struct minted *m)
{
	const unsigned char *p = m->der.p;
	X509 *x = d2i_X509(NULL, &p, (long)m->der.n);

	assert_non_null(x);
	return x;
}

static inline SSL_CTX *
server_ctx(const struct server *s)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	X509 *cert = x509_of(s->cert);

	mint_must(SSL_CTX_use_certificate(ctx, cert) != 1);
	mint_must(SSL_CTX_use_PrivateKey(ctx, key_evp(s->cert->key)) != 1);
	if (s->under != NULL)
		mint_must(SSL_CTX_add0_chain_cert(ctx, x509_of(s->under)) != 1);
	mint_must(SSL_CTX_set_max_proto_version(ctx, s->max_tls) != 1);
	mint_must(SSL_CTX_set_min_proto_version(ctx, s->min_tls) != 1);
	if (s->client_ca != NULL) {
		X509 *ca = x509_of(s->client_ca);

		mint_must(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca) != 1);
		SSL_CTX_set_verify(ctx,
		    SSL_VERIFY_PEER | (s->client_must ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
		X509_free(ca);
	}
	X509_free(cert);
	return ctx;
}

/* Head and body; false when the other side has gone. */
static inline bool
read_request(const struct line *l, struct buf *request)
{
	char piece[4096];
	size_t want = SIZE_MAX;

	while (request->n < want) {
		int n = line_read(l, piece, sizeof(piece));
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

static inline void
answer_seen(const struct line *l, struct buf *request, struct buf *out, int nth)
{
	AUTO_BUF seen = { 0 };
	char binding[TLS_BINDING_MAX] = "-";
	X509 *client = l->ssl != NULL ? SSL_get1_peer_certificate(l->ssl) : NULL;

	if (l->ssl != NULL)
		mint_must(tls_binding(binding, l->ssl, true, NULL));
	buf_printf(&seen, "connection=%d binding=%s client=%s verified=%ld\n%s", nth, binding,
	    client != NULL ? "yes" : "no", l->ssl != NULL ? SSL_get_verify_result(l->ssl) : -1,
	    buf_str(request));
	buf_printf(out,
	    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Request-Id: r1\r\n"
	    "Content-Length: %zu\r\n\r\n%s",
	    seen.n, buf_str(&seen));
	X509_free(client);
}

static inline void
answer(const struct server *s, const struct line *l, int nth)
{
	static const char zeros[4096];
	AUTO_BUF request = { 0 };
	AUTO_BUF out = { 0 };
	struct pollfd gone = { .fd = l->fd, .events = POLLIN };

	if (!read_request(l, &request))
		return;
	if (s->answer != NULL &&
	    (s->moved == NULL || strncmp(buf_str(&request), s->moved, strlen(s->moved)) == 0))
		buf_put_str(&out, s->answer);
	else
		answer_seen(l, &request, &out, nth);
	if (out.n != 0)
		(void)line_write(l, out.p, out.n);
	for (size_t left = s->zeros; left != 0; left -= left < sizeof(zeros) ? left : sizeof(zeros))
		if (line_write(l, zeros, left < sizeof(zeros) ? left : sizeof(zeros)) <= 0)
			break;
	while (s->drip && poll(&gone, 1, 5) == 0)
		if (line_write(l, "x", 1) <= 0)
			break;
	if (l->ssl != NULL && !s->cut)
		(void)SSL_shutdown(l->ssl);
}

/* What the client still sends is read, so that what it was sent last is not lost to a reset. */
static inline void
close_gently(int fd)
{
	char rest[4096];

	(void)shutdown(fd, SHUT_WR);
	while (read(fd, rest, sizeof(rest)) > 0)
		;
	(void)close(fd);
}

static inline void
serve(const struct server *s, int fd)
{
	SSL_CTX *ctx = s->cert != NULL ? server_ctx(s) : NULL;

	for (int nth = 1;; nth++) {
		struct line l = { .ssl = ctx != NULL ? SSL_new(ctx) : NULL, .fd = accept(fd, NULL, NULL) };

		if (l.ssl != NULL)
			(void)SSL_set_fd(l.ssl, l.fd);
		if (l.ssl == NULL || SSL_accept(l.ssl) == 1)
			answer(s, &l, nth);
		ERR_clear_error();
		SSL_free(l.ssl);
		close_gently(l.fd);
	}
}

static inline int
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

/* For answers that name the port: listen_somewhere() first. */
static inline void
start_on(struct server *s, int fd)
{
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a test fails */
		(void)signal(SIGPIPE, SIG_IGN);
		serve(s, fd);
	}
	(void)close(fd);
}

static inline void
start(struct server *s)
{
	start_on(s, listen_somewhere(&s->port));
}

static inline void
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

/* The environment names proxies where nobody listens: whoever asked it would get nowhere. */
static inline int
setup(void **state)
{
	static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" };
	static struct world w;

	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < N_OF(names); i++)
		assert_int_equal(setenv(names[i], "http://127.0.0.1:1", 1), 0);
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
	assert_int_equal(key_to_pem(&w.device_key, w.device.key, NULL), 0);
	*state = &w;
	return 0;
}

static inline int
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
static inline int
run(const struct server *s, struct fetch f, struct fetch_answer *a, struct err *e)
{
	char url[64], resolve[64];

	(void)snprintf(url, sizeof(url), "https://est.lab.example:%d/x", s->port);
	(void)snprintf(resolve, sizeof(resolve), "est.lab.example:%d:127.0.0.1", s->port);
	if (f.url == NULL)
		f.url = url;
	if (f.method == NULL)
		f.method = "GET";
	if (f.total_ms == 0)
		f.total_ms = 20000;
	f.resolve = resolve;
	return fetch_run(&f, a, e);
}

static inline void
expect_failure(const struct server *s, const struct fetch *f, enum err_code code, const char *words)
{
	struct fetch_answer a = { 0 };
	struct err e = { 0 };

	assert_int_equal(run(s, *f, &a, &e), code);
	if (strstr(e.msg, words) == NULL)
		fail_msg("'%s' is not in '%s'", words, e.msg);
	assert_int_equal(a.body.n, 0);
	assert_int_not_equal(a.cause, FETCH_OK);
	fetch_clear(&a);
}

/* The same by its cause; the words, too, are those of one line. */
static inline void
expect_cause(const struct server *s, const struct fetch *f, enum fetch_cause cause, enum err_code code,
    const char *words)
{
	struct fetch_answer a = { 0 };
	struct err e = { 0 };

	assert_int_equal(run(s, *f, &a, &e), code);
	if (a.cause != cause || strstr(e.msg, words) == NULL)
		fail_msg("cause %d and '%s', not %d and '%s'", a.cause, e.msg, cause, words);
	fetch_clear(&a);
}

static inline void
expect_seen(const struct server *s, const struct fetch *f, const char *words)
{
	struct fetch_answer a = { 0 };
	struct err e = { 0 };

	if (run(s, *f, &a, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(a.cause, FETCH_OK);
	assert_int_equal(a.status, 200);
	if (strstr(buf_str(&a.body), words) == NULL)
		fail_msg("'%s' is not in '%s'", words, buf_str(&a.body));
	fetch_clear(&a);
}

#endif
