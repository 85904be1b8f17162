/* SPDX-License-Identifier: Apache-2.0 */
/* net/tls.h - TLS contexts of servers and clients, who is at the other end, channel bindings */
#ifndef CORE_NET_TLS_H
#define CORE_NET_TLS_H

#include <openssl/types.h>

#include "core/pki/trust.h"

#define TLS_BINDING_MAX 96 /* characters of a channel binding in base64, NUL included */

/* A server's context: certificate, key, and the anchors that client certificates are judged by. */
struct tls_server;
/*
 * chain_pem: leaf first; the root may be there and is sent (people fetch it with s_client -showcerts).
 * TLS 1.2 and 1.3, ECDHE AEAD suites, no tickets, no session cache, no renegotiation, ALPN http/1.1 or http/1.0,
 * certificate lists at most 32 KiB, depth at most 4.  When ask_client: a certificate is requested, never
 * required, and a bad one does not end the handshake: it is judged, and the request decides.
 * E_FORMAT, E_CRYPTO (key and certificate do not match, ...).
 */
int tls_server_new(struct tls_server **out, struct bytes chain_pem, struct bytes key_pem,
    bool ask_client, struct err *e) MUST_CHECK;
/* Take over a new set of anchors (owned), also as the list of CA names sent; live connections keep what they were judged by. */
void tls_server_set_trust(struct tls_server *s, struct trust *t);
SSL_CTX *tls_server_ctx(const struct tls_server *s);
void tls_server_free(struct tls_server *s);

/* What the handshake told about a client; computed once per connection. */
struct tls_peer {
	char version[16];          /* "TLSv1.3" */
	char cipher[48];
	bool ems;                  /* extended master secret (always true for 1.3) */
	bool judged;               /* false: a certificate came before the anchors were known; state says nothing then */
	enum trust_state state;
	uint32_t anchor;           /* TRUST_ANCHOR_NONE unless state is TRUST_OK or the chain was found all the same */
	char detail[160];
	bool has_cert;             /* a certificate was sent; cert is set when it could be parsed */
	bool cert_parsed;
	struct cert cert;          /* borrows der */
	struct buf der;
};
void tls_peer_fill(struct tls_peer *p, SSL *ssl);   /* after the handshake */
void tls_peer_clear(struct tls_peer *p);

/*
 * The channel binding of a live connection in base64 without line ends.  TLS 1.2: tls-unique
 * (RFC 5929 3.1: the first Finished of the latest handshake; needs EMS), TLS 1.3: tls-exporter
 * (RFC 9266 2: "EXPORTER-Channel-Binding", empty context given, 32 octets).  E_POLICY
 * without extended master secret.  server: which side we are.
 */
int tls_binding(char out[TLS_BINDING_MAX], SSL *ssl, bool server, struct err *e) MUST_CHECK;

#endif
