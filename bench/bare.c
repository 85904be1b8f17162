/* SPDX-License-Identifier: Apache-2.0 */
/* bench/bare.c - the floor: OpenSSL's own cost of a mutual-TLS accept, a signature, a verification */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/x509.h>

#include "bench/device.h"

#define SLICE_US 5000.0  /* of CPU, of one kind of arithmetic, before the next has its turn */
#define PAUSE_US 20000   /* between slices, for the server beside it */

static double
clock_us(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

double
cpu_us(void)
{
	return clock_us(CLOCK_PROCESS_CPUTIME_ID);
}

double
wall_s(void)
{
	return clock_us(CLOCK_MONOTONIC) / 1e6;
}

/* The settings of src/core/net/tls.c, as far as they cost or save anything. */
static SSL_CTX *
server_ctx(const char *chain_file, const char *key_file, const char *root_file, const char *issuing_file)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	MUST(ctx != NULL && SSL_CTX_use_certificate_chain_file(ctx, chain_file) == 1);
	MUST(SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) == 1);
	MUST(SSL_CTX_load_verify_locations(ctx, root_file, NULL) == 1 && SSL_CTX_load_verify_locations(ctx, issuing_file, NULL) == 1);
	MUST(X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_PARTIAL_CHAIN) == 1);
	SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(root_file));
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(ctx, 1);
	MUST(SSL_CTX_set_num_tickets(ctx, 0) == 1);
	return ctx;
}

double
bare_accept(const char *chain_file, const char *key_file, const char *root_file, const char *issuing_file, int fd,
    int until, long *n)
{
	SSL_CTX *ctx = server_ctx(chain_file, key_file, root_file, issuing_file);
	struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = until } };
	double began = cpu_us();

	for (*n = 0; poll(p, 2, -1) > 0 && p[1].revents == 0;) {
		int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		SSL *ssl;

		MUST(client >= 0);
		MUST((ssl = SSL_new(ctx)) != NULL && SSL_set_fd(ssl, client) == 1);
		if (SSL_accept(ssl) == 1)
			(*n)++;
		(void)SSL_shutdown(ssl);
		SSL_free(ssl);
		(void)close(client);
	}
	began = cpu_us() - began;
	SSL_CTX_free(ctx);
	return began / (double)(*n > 0 ? *n : 1);
}

static EVP_PKEY *
a_key(void)
{
	static EVP_PKEY *key;

	if (key == NULL)
		MUST((key = EVP_EC_gen("P-256")) != NULL);
	return key;
}

static const unsigned char digest[32] = { 1, 2, 3 };

/* One kind of arithmetic, and what it has taken so far. */
struct kind {
	void (*once)(void *arg);
	void *arg;
	double us;
	long n;
};

static void
slice(struct kind *k)
{
	double began = cpu_us(), us;

	do {
		for (int i = 0; i < 16; i++)
			k->once(k->arg);
		k->n += 16;
	} while ((us = cpu_us() - began) < SLICE_US);
	k->us += us;
}

static void
sign_once(void *arg)
{
	unsigned char sig[80];
	size_t n = sizeof(sig);

	MUST(EVP_PKEY_sign(arg, sig, &n, digest, sizeof(digest)) == 1);
}

static EVP_PKEY_CTX *
signer(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(a_key(), NULL);

	MUST(ctx != NULL && EVP_PKEY_sign_init(ctx) == 1);
	return ctx;
}

struct signed_digest {
	EVP_PKEY_CTX *ctx;
	unsigned char sig[80];
	size_t n;
};

static void
verify_once(void *arg)
{
	struct signed_digest *s = arg;

	MUST(EVP_PKEY_verify(s->ctx, s->sig, s->n, digest, sizeof(digest)) == 1);
}

static void
make_signed(struct signed_digest *s, EVP_PKEY_CTX *by)
{
	s->n = sizeof(s->sig);
	MUST(EVP_PKEY_sign(by, s->sig, &s->n, digest, sizeof(digest)) == 1);
	MUST((s->ctx = EVP_PKEY_CTX_new(a_key(), NULL)) != NULL && EVP_PKEY_verify_init(s->ctx) == 1);
}

struct der {
	unsigned char p[1024];
	int n;
};

static void
request_once(void *arg)
{
	const struct der *der = arg;
	const unsigned char *p = der->p;
	X509_REQ *req = d2i_X509_REQ(NULL, &p, der->n);

	MUST(req != NULL && X509_REQ_verify(req, X509_REQ_get0_pubkey(req)) == 1);
	X509_REQ_free(req);
}

static void
make_request(struct der *der)
{
	X509_REQ *req = X509_REQ_new();
	unsigned char *p = der->p;

	MUST(req != NULL && X509_REQ_set_pubkey(req, a_key()) == 1 && X509_REQ_sign(req, a_key(), EVP_sha256()) > 0);
	der->n = i2d_X509_REQ(req, &p);
	X509_REQ_free(req);
}

struct bare_arithmetic
bare_arithmetic(double seconds)
{
	EVP_PKEY_CTX *by = signer();
	struct signed_digest s;
	struct der der;
	struct kind kinds[] = { { sign_once, by, 0, 0 }, { verify_once, &s, 0, 0 }, { request_once, &der, 0, 0 } };
	double end = wall_s() + seconds;

	make_signed(&s, by);
	make_request(&der);
	do
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			slice(&kinds[i]);
			(void)usleep(PAUSE_US);
		}
	while (wall_s() < end);
	EVP_PKEY_CTX_free(s.ctx);
	EVP_PKEY_CTX_free(by);
	return (struct bare_arithmetic){ .sign_us = kinds[0].us / (double)kinds[0].n, .verify_us = kinds[1].us / (double)kinds[1].n,
		.request_us = kinds[2].us / (double)kinds[2].n };
}
