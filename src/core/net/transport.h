/* SPDX-License-Identifier: Apache-2.0 */
/* net/transport.h - the octets of one accepted connection, plain or TLS, never blocking */
#ifndef CORE_NET_TRANSPORT_H
#define CORE_NET_TRANSPORT_H

#include "core/net/tls.h"

struct transport {
	int fd;      /* owned */
	SSL *ssl;    /* NULL: plain */
	bool failed; /* TLS has broken off: no more records */
	unsigned shaken; /* records of handshakes that came */
};

enum transport_result {
	TRANSPORT_DONE,
	TRANSPORT_WANT_READ,   /* again when the descriptor is readable */
	TRANSPORT_WANT_WRITE,
	TRANSPORT_END,         /* the other side has closed in order */
	TRANSPORT_FAILED,
};

/* Takes fd (non-blocking), also on failure; tls NULL: plain.  *t stays where it is until it is closed.  E_CRYPTO. */
int transport_open(struct transport *t, int fd, const struct tls_server *tls, struct err *e) MUST_CHECK;
/* Go on with the handshake (nothing to do when plain); e says why it failed. */
enum transport_result transport_handshake(struct transport *t, struct err *e);
/* At most size octets to out; *n of them when DONE. */
enum transport_result transport_read(struct transport *t, void *out, size_t size, size_t *n);
/* At most b.n octets; *n were taken when DONE.  After WANT_* the same octets must come again first. */
enum transport_result transport_write(struct transport *t, struct bytes b, size_t *n);
/* Are there octets that no event of the descriptor will tell of? */
bool transport_pending(const struct transport *t);
/* Say that nothing more will be written: close_notify, then FIN. */
void transport_finish(struct transport *t);
/* Read past TLS and drop; false at the end or on failure. */
bool transport_drop(struct transport *t, void *scratch, size_t size, size_t *n);
/* Forget TLS and close the descriptor. */
void transport_close(struct transport *t);

#endif
