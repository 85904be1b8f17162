/* SPDX-License-Identifier: Apache-2.0 */
/* bench/device.c - a pretended device */
#include "bench/device.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

void
device_die(const char *what)
{
	(void)fprintf(stderr, "bench: failed: %s\n", what);
	ERR_print_errors_fp(stderr);
	_exit(1);
}

void
place_open(struct place *p)
{
	MUST((p->ctx = SSL_CTX_new(TLS_client_method())) != NULL);
	MUST(SSL_CTX_load_verify_locations(p->ctx, p->root_file, NULL) == 1);
	SSL_CTX_set_verify(p->ctx, SSL_VERIFY_PEER, NULL);
}

void
device_connect(struct device *d, const struct place *p)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)p->port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct linger abort_close = { 1, 0 }; /* no TIME_WAIT: thousands of connections leave the ports free */
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	MUST(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	MUST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_close, sizeof(abort_close)) == 0);
	MUST((d->ssl = SSL_new(p->ctx)) != NULL && SSL_set_fd(d->ssl, fd) == 1);
	if (d->cert != NULL)
		MUST(SSL_use_certificate(d->ssl, d->cert) == 1 && SSL_use_PrivateKey(d->ssl, d->key) == 1);
	MUST(SSL_connect(d->ssl) == 1);
}

void
device_hang_up(struct device *d)
{
	int fd = SSL_get_fd(d->ssl);

	(void)SSL_shutdown(d->ssl);
	SSL_free(d->ssl);
	d->ssl = NULL;
	(void)close(fd);
}

/* A request for a new key, in base64. */
static size_t
make_request(struct device *d, char *out)
{
	X509_REQ *req = X509_REQ_new();
	X509_NAME *name = X509_NAME_new();
	unsigned char der[1024], *p = der;
	int n;

	MUST((d->next_key = EVP_EC_gen("P-256")) != NULL && req != NULL && name != NULL);
	MUST(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (unsigned char *)d->name, -1, -1, 0) == 1);
	MUST(X509_REQ_set_subject_name(req, name) == 1 && X509_REQ_set_pubkey(req, d->next_key) == 1);
	MUST(X509_REQ_sign(req, d->next_key, EVP_sha256()) > 0);
	n = i2d_X509_REQ(req, &p);
	X509_NAME_free(name);
	X509_REQ_free(req);
	return (size_t)EVP_EncodeBlock((unsigned char *)out, der, n);
}

/* One answer; its body, and the status. */
static int
read_answer(SSL *ssl, char *buf, size_t size, char **body, size_t *body_n)
{
	size_t n = 0, got, length;
	char *end = NULL, *at;

	while (end == NULL && n < size - 1) {
		MUST(SSL_read_ex(ssl, buf + n, size - 1 - n, &got) == 1);
		n += got;
		buf[n] = 0;
		end = strstr(buf, "\r\n\r\n");
	}
	MUST(end != NULL && (at = strcasestr(buf, "content-length:")) != NULL && at < end);
	length = (size_t)atoi(at + 15);
	*body = end + 4;
	MUST(length < size - (size_t)(*body - buf));
	for (; n < (size_t)(*body - buf) + length; n += got)
		MUST(SSL_read_ex(ssl, buf + n, size - 1 - n, &got) == 1);
	buf[n] = 0;
	*body_n = length;
	return atoi(buf + strlen("HTTP/1.1 "));
}

/* The one certificate of a certs-only answer (RFC 7030 4.2.3). */
static X509 *
read_cert(char *body, size_t n)
{
	BIO *bio = BIO_push(BIO_new(BIO_f_base64()), BIO_new_mem_buf(body, (int)n));
	PKCS7 *p7 = d2i_PKCS7_bio(bio, NULL);
	X509 *cert;

	MUST(p7 != NULL && PKCS7_type_is_signed(p7) && sk_X509_num(p7->d.sign->cert) >= 1);
	cert = sk_X509_value(p7->d.sign->cert, 0);
	MUST(X509_up_ref(cert) == 1);
	PKCS7_free(p7);
	BIO_free_all(bio);
	return cert;
}

static void
take(struct device *d, X509 *cert, int keep)
{
	if (keep) {
		X509_free(cert);
		EVP_PKEY_free(d->next_key);
	} else {
		X509_free(d->cert);
		EVP_PKEY_free(d->key);
		d->cert = cert;
		d->key = d->next_key;
	}
	d->next_key = NULL;
}

void
device_enrol(struct device *d, const char *label, const char *op, const char *code, int keep)
{
	char request[2048], message[4096], basic[128] = "", plain[80], answer[16384], *body;
	size_t n = make_request(d, request), wrote, body_n;
	int len;

	if (code != NULL) {
		len = snprintf(plain, sizeof(plain), ":%s", code);
		len = snprintf(basic, sizeof(basic), "Authorization: Basic ") + EVP_EncodeBlock((unsigned char *)basic + 21, (unsigned char *)plain, len);
		(void)snprintf(basic + len, sizeof(basic) - (size_t)len, "\r\n");
	}
	len = snprintf(message, sizeof(message), "POST /.well-known/est/%s/%s HTTP/1.1\r\nHost: localhost\r\n%s"
	    "Content-Type: application/pkcs10\r\nContent-Length: %zu\r\n\r\n%s", label, op, basic, n, request);
	MUST(SSL_write_ex(d->ssl, message, (size_t)len, &wrote) == 1 && wrote == (size_t)len);
	if (read_answer(d->ssl, answer, sizeof(answer), &body, &body_n) != 200)
		device_die(body); /* the reason code, and the why */
	take(d, read_cert(body, body_n), keep);
}
