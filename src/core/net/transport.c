/* SPDX-License-Identifier: Apache-2.0 */
/* net/transport.c - the octets of one accepted connection, plain or TLS */
#include "core/net/transport.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "core/pki/ossl.h"

/*
 * Records of handshakes that one connection may send.  Those after its handshake (KeyUpdate, or an asking for a new one)
 * are work for nothing, of which OpenSSL does as much in one read as there comes: who goes on for ever is cut off.
 */
#define SHAKES_MAX 256

static void
on_record(int written, int version, int type, const void *head, size_t n, SSL *ssl, void *arg)
{
	struct transport *t = arg;
	bool of_type = type == SSL3_RT_HEADER || type == SSL3_RT_INNER_CONTENT_TYPE; /* which follows the header in 1.3 */

	(void)version, (void)ssl;
	if (written || !of_type || n == 0 || *(const uint8_t *)head != SSL3_RT_HANDSHAKE || ++t->shaken <= SHAKES_MAX)
		return;
	(void)shutdown(t->fd, SHUT_RDWR);
}

int
transport_open(struct transport *t, int fd, const struct tls_server *tls, struct err *e)
{
	*t = (struct transport){ .fd = fd };
	if (tls == NULL)
		return 0;
	t->ssl = SSL_new(tls_server_ctx(tls));
	if (t->ssl == NULL || SSL_set_fd(t->ssl, fd) != 1) {
		transport_close(t);
		return err_ossl(e, E_CRYPTO, "TLS connection");
	}
	SSL_set_accept_state(t->ssl);
	SSL_set_msg_callback(t->ssl, on_record);
	SSL_set_msg_callback_arg(t->ssl, t);
	return 0;
}

/* SSL_get_error() reads the queue.  It is nearly always empty, and to clear it takes longer than to see that. */
static void
forget_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

/* What an SSL_* call that returned r means. */
static enum transport_result
tls_result(struct transport *t, int r)
{
	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_NONE:
		return TRANSPORT_DONE;
	case SSL_ERROR_WANT_READ:
		return TRANSPORT_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TRANSPORT_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return TRANSPORT_END;
	default:
		t->failed = true;
		return TRANSPORT_FAILED;
	}
}

/* The same for a call on the socket itself that returned r < 0. */
static enum transport_result
plain_result(enum transport_result again)
{
	return errno == EAGAIN || errno == EINTR ? again : TRANSPORT_FAILED;
}

enum transport_result
transport_handshake(struct transport *t, struct err *e)
{
	enum transport_result r;

	if (t->ssl == NULL)
		return TRANSPORT_DONE;
	forget_errors();
	r = tls_result(t, SSL_do_handshake(t->ssl));
	if (r == TRANSPORT_FAILED)
		(void)err_ossl(e, E_CRYPTO, ERR_peek_last_error() != 0 ? "handshake" : "handshake: cut off");
	else if (r == TRANSPORT_END)
		(void)err_set(e, E_CRYPTO, "handshake: cut off");
	return r;
}

enum transport_result
transport_read(struct transport *t, void *out, size_t size, size_t *n)
{
	enum transport_result result;
	ssize_t r;

	if (t->ssl == NULL) {
		r = recv(t->fd, out, size, 0);
		if (r < 0)
			return plain_result(TRANSPORT_WANT_READ);
		*n = (size_t)r;
		return r == 0 ? TRANSPORT_END : TRANSPORT_DONE;
	}
	forget_errors();
	result = tls_result(t, SSL_read_ex(t->ssl, out, size, n));
	if (result == TRANSPORT_FAILED)
		forget_errors();
	return result;
}

enum transport_result
transport_write(struct transport *t, struct bytes b, size_t *n)
{
	enum transport_result result;
	ssize_t r;

	if (t->ssl == NULL) {
		r = send(t->fd, b.p, b.n, MSG_NOSIGNAL);
		if (r < 0)
			return plain_result(TRANSPORT_WANT_WRITE);
		*n = (size_t)r;
		return TRANSPORT_DONE;
	}
	forget_errors();
	result = tls_result(t, SSL_write_ex(t->ssl, b.p, b.n, n));
	if (result == TRANSPORT_FAILED)
		forget_errors();
	return result;
}

bool
transport_pending(const struct transport *t)
{
	return t->ssl != NULL && SSL_has_pending(t->ssl) == 1;
}

void
transport_finish(struct transport *t)
{
	if (t->ssl != NULL && !t->failed) {
		forget_errors();
		(void)SSL_shutdown(t->ssl); /* what does not fit now is not worth waiting for */
		forget_errors();
	}
	(void)shutdown(t->fd, SHUT_WR);
}

bool
transport_drop(struct transport *t, void *scratch, size_t size, size_t *n)
{
	ssize_t r = recv(t->fd, scratch, size, 0);

	*n = r > 0 ? (size_t)r : 0;
	return r > 0 || (r < 0 && (errno == EAGAIN || errno == EINTR));
}

void
transport_close(struct transport *t)
{
	SSL_free(t->ssl);
	t->ssl = NULL;
	if (t->fd >= 0)
		(void)close(t->fd);
	t->fd = -1;
}
