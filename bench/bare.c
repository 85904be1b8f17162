/* SPDX-License-Identifier: Apache-2.0 */
/* bench/bare.c - the floor: OpenSSL's own cost of a mutual-TLS accept, a signature, a verification */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/x509.h>

#include "bench/device.h"

#define ARITHMETIC_US 200000.0 /* how long one figure is measured */

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

/* CPU of one call. */
static double
each(void (*once)(void *), void *arg)
{
	double began = cpu_us();
	long n = 0;

	for (; cpu_us() - began < ARITHMETIC_US; n += 16)
		for (int i = 0; i < 16; i++)
			once(arg);
	return (cpu_us() - began) / (double)n;
}

static void
sign_once(void *arg)
{
	unsigned char sig[80];
	size_t n = sizeof(sig);

	MUST(EVP_PKEY_sign(arg, sig, &n, digest, sizeof(digest)) == 1);
}

double
bare_sign(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(a_key(), NULL);
	double us;

	MUST(ctx != NULL && EVP_PKEY_sign_init(ctx) == 1);
	us = each(sign_once, ctx);
	EVP_PKEY_CTX_free(ctx);
	return us;
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

double
bare_verify(void)
{
	struct signed_digest s = { .n = sizeof(s.sig) };
	EVP_PKEY_CTX *signer = EVP_PKEY_CTX_new(a_key(), NULL);
	double us;

	MUST(signer != NULL && EVP_PKEY_sign_init(signer) == 1 && EVP_PKEY_sign(signer, s.sig, &s.n, digest, sizeof(digest)) == 1);
	MUST((s.ctx = EVP_PKEY_CTX_new(a_key(), NULL)) != NULL && EVP_PKEY_verify_init(s.ctx) == 1);
	us = each(verify_once, &s);
	EVP_PKEY_CTX_free(s.ctx);
	EVP_PKEY_CTX_free(signer);
	return us;
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

double
bare_request(void)
{
	X509_REQ *req = X509_REQ_new();
	struct der der;
	unsigned char *p = der.p;

	MUST(req != NULL && X509_REQ_set_pubkey(req, a_key()) == 1 && X509_REQ_sign(req, a_key(), EVP_sha256()) > 0);
	der.n = i2d_X509_REQ(req, &p);
	X509_REQ_free(req);
	return each(request_once, &der);
}
