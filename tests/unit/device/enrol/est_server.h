/* SPDX-License-Identifier: Apache-2.0 */
/* est_server.h - an EST server in a child process, honest or not as its script says, and a record of what it saw */
#ifndef TESTS_ENROL_EST_SERVER_H
#define TESTS_ENROL_EST_SERVER_H

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/codec/base64.h"
#include "core/net/tls.h"
#include "core/pki/csr.h"
#include "tests/unit/core/est/mint.h"

/* What it saw; shared with the test. */
struct seen {
	int cacerts, enrols;
	char cacerts_head[4096], enrol_head[4096];
	char challenge[CSR_CHALLENGE_MAX], binding[TLS_BINDING_MAX];
	bool client;                /* the last connection had a client certificate */
	bool lf_only;               /* the request's lines ended in LF */
	struct sans sans;
	bool client_auth;
};

/* How it behaves. */
struct script {
	const struct minted *cert, *root, *issuing;   /* of the server itself; what it issues from, and its root */
	const struct minted *client_ca;               /* not NULL: asks for a client certificate, and insists */
	const char *cacerts, *enrol;                  /* a whole answer; NULL: the right one */
	size_t zeros;                                 /* and so many octets after the whole answer to an enrolment */
	struct mint issue;                            /* the certificate; its issuer: issuing */
	const struct minted *extra;                   /* stands in both answers too */
	bool pem;                                     /* PEM armour around it */
	bool cacerts_wants_password;
};

struct est_server {
	struct script s;
	struct seen *seen;
	pid_t pid;
	int port;
};

static inline X509 *
x509_of(const struct minted *m)
{
	const unsigned char *p = m->der.p;
	X509 *x = d2i_X509(NULL, &p, (long)m->der.n);

	if (x == NULL)
		abort();
	return x;
}

static inline SSL_CTX *
server_ctx(const struct script *s)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	X509 *cert = x509_of(s->cert);

	mint_must(SSL_CTX_use_certificate(ctx, cert) != 1);
	mint_must(SSL_CTX_use_PrivateKey(ctx, key_evp(s->cert->key)) != 1);
	X509_free(cert);
	if (s->client_ca != NULL) {
		X509 *ca = x509_of(s->client_ca);

		mint_must(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca) != 1);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		X509_free(ca);
	}
	return ctx;
}

/* Head and body into request; where the body begins, or 0 when the other side has gone. */
static inline size_t
read_request(SSL *ssl, struct buf *request)
{
	size_t want = SIZE_MAX, head = 0;
	char piece[4096];

	while (request->n < want) {
		int n = SSL_read(ssl, piece, sizeof(piece));
		const char *end, *length;

		if (n <= 0)
			return 0;
		buf_put(request, piece, (size_t)n);
		end = strstr(buf_str(request), "\r\n\r\n");
		if (end == NULL)
			continue;
		length = strcasestr(buf_str(request), "\r\nContent-Length:");
		head = (size_t)(end + 4 - buf_str(request));
		want = head + (length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0);
	}
	return head;
}

static inline void
put_answer(struct buf *out, const struct bytes *certs, size_t n, bool pem)
{
	AUTO_BUF body = { 0 };
	AUTO_BUF der = { 0 };

	cms_certs_in_order(&der, certs, n);
	if (pem)
		pem_encode(&body, bytes_of_buf(&der), "PKCS7");
	else
		base64_encode(&body, bytes_of_buf(&der), 64);
	buf_printf(out,
	    "HTTP/1.1 200 OK\r\nContent-Type: application/pkcs7-mime; smime-type=certs-only\r\nX-Request-Id: r42\r\n"
	    "Content-Length: %zu\r\n\r\n", body.n);
	buf_put_bytes(out, bytes_of_buf(&body));
}

static inline void
answer_cacerts(struct est_server *s, const char *request, struct buf *out)
{
	struct bytes certs[4];
	size_t n = 0;

	s->seen->cacerts++;
	(void)snprintf(s->seen->cacerts_head, sizeof(s->seen->cacerts_head), "%s", request);
	if (s->s.cacerts_wants_password && strstr(request, "Authorization: Basic") == NULL) {
		buf_put_str(out, "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n");
		return;
	}
	if (s->s.cacerts != NULL) {
		buf_put_str(out, s->s.cacerts);
		return;
	}
	if (s->s.root != NULL)
		certs[n++] = mint_der(s->s.root);
	certs[n++] = mint_der(s->s.issuing);
	if (s->s.extra != NULL)
		certs[n++] = mint_der(s->s.extra);
	put_answer(out, certs, n, false);
}

static inline void
note_request(struct seen *seen, struct bytes body)
{
	static struct csr csr;
	AUTO_BUF der = { 0 };

	seen->lf_only = body.n != 0 && body.p[body.n - 1] == '\n' && memchr(body.p, '\r', body.n) == NULL;
	if (base64_decode(&der, body, NULL) != 0 || csr_parse(&csr, bytes_of_buf(&der), NULL) != 0)
		return;
	(void)snprintf(seen->challenge, sizeof(seen->challenge), "%s", csr.challenge);
	seen->sans = csr.sans;
	seen->client_auth = csr.n_eku == 1 && csr.eku[0] == OID_CLIENT_AUTH;
}

static inline void
answer_enrol(struct est_server *s, SSL *ssl, struct buf *request, size_t head, struct buf *out)
{
	struct minted issued;
	struct mint m = s->s.issue;
	struct bytes certs[4];
	size_t n = 0;

	s->seen->enrols++;
	mint_must(tls_binding(s->seen->binding, ssl, true, NULL));
	note_request(s->seen, bytes_slice(bytes_of_buf(request), head, request->n));
	(void)snprintf(s->seen->enrol_head, sizeof(s->seen->enrol_head), "%.*s", (int)head, buf_str(request));
	if (s->s.enrol != NULL) {
		buf_put_str(out, s->s.enrol);
		return;
	}
	m.issuer = s->s.issuing;
	issued = mint(&m);
	if (s->s.extra != NULL)
		certs[n++] = mint_der(s->s.extra);
	certs[n++] = mint_der(&issued);
	put_answer(out, certs, n, s->s.pem);
	mint_free(&issued);
}

static inline void
serve_one(struct est_server *s, SSL *ssl)
{
	static const char zeros[4096];
	AUTO_BUF request = { 0 };
	AUTO_BUF out = { 0 };
	size_t head = read_request(ssl, &request), left = 0;
	X509 *client = SSL_get1_peer_certificate(ssl);

	s->seen->client = client != NULL;
	X509_free(client);
	if (head == 0)
		return;
	if (strstr(buf_str(&request), "/cacerts HTTP") != NULL) {
		answer_cacerts(s, buf_str(&request), &out);
	} else {
		answer_enrol(s, ssl, &request, head, &out);
		left = s->s.zeros;
	}
	(void)SSL_write(ssl, out.p, (int)out.n);
	for (; left != 0; left -= left < sizeof(zeros) ? left : sizeof(zeros))
		if (SSL_write(ssl, zeros, (int)(left < sizeof(zeros) ? left : sizeof(zeros))) <= 0)
			break;
	(void)SSL_shutdown(ssl);
}

static inline void
serve(struct est_server *s, int fd)
{
	SSL_CTX *ctx = server_ctx(&s->s);

	for (;;) {
		SSL *ssl = SSL_new(ctx);
		int c = accept(fd, NULL, NULL);

		(void)SSL_set_fd(ssl, c);
		if (SSL_accept(ssl) == 1)
			serve_one(s, ssl);
		ERR_clear_error();
		SSL_free(ssl);
		(void)close(c);
	}
}

static inline void
server_start(struct est_server *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof(a);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	s->port = ntohs(a.sin_port);
	s->seen = mmap(NULL, sizeof(*s->seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(s->seen, MAP_FAILED);
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
server_stop(struct est_server *s)
{
	(void)kill(s->pid, SIGKILL);
	(void)waitpid(s->pid, NULL, 0);
	(void)munmap(s->seen, sizeof(*s->seen));
}

#endif
