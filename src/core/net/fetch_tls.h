/* SPDX-License-Identifier: Apache-2.0 */
/* net/fetch_tls.h - who the server must be, for fetch.c alone: anchors, name, client certificate, all from memory */
#ifndef CORE_NET_FETCH_TLS_H
#define CORE_NET_FETCH_TLS_H

#include "core/net/fetch.h"

#define FETCH_HOST_MAX 256

/* The demands of one TLS connection, to the server or to an https proxy, and what became of them. */
struct fetch_tls {
	const struct fetch *f;
	bool proxy;                  /* f's anchors and the system's, always verified, no client certificate */
	char host[FETCH_HOST_MAX];   /* name or address literal that the certificate must be for */
	bool ready;                  /* the context carries all demands */
	int verify_error;            /* the first X509_V_ERR_ of the chain that was refused, */
	bool above;                  /* and it is about a CA's certificate, not the server's own */
	char why[200];               /* what of that certificate did not fit */
	int alert;                   /* the fatal alert that came, or -1 */
	bool closed;                 /* close_notify came */
	bool cert_asked;             /* the other side asked for a client certificate */
	struct err err;              /* of fetch_tls_setup() */
};

/* Forget what became of an earlier connection. */
void fetch_tls_reset(struct fetch_tls *t);
/*
 * Put the demands into a client's SSL_CTX: only TLS 1.2 and later, f's anchors or the system's, the host's
 * name (or, under explicit anchors alone, EKU id-kp-cmcRA: RFC 7030 3.6.1), the client certificate.  The reason
 * stands in t->err.
 */
int fetch_tls_setup(SSL_CTX *ctx, struct fetch_tls *t) MUST_CHECK;
/* After the handshake: E_AUTH unless this very connection was verified as t demands. */
int fetch_tls_verified(SSL *ssl, const struct fetch_tls *t, struct err *e) MUST_CHECK;
/* Append what the server presented, leaf first, as PEM. */
void fetch_tls_chain(struct buf *pem, SSL *ssl);
/* E_AUTH and words for people, when the server's certificate was refused; 0 when it was not. */
int fetch_tls_refusal(const struct fetch_tls *t, struct err *e);

#endif
