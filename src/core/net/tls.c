/* SPDX-License-Identifier: Apache-2.0 */
/* net/tls.c - TLS contexts, who is at the other end, channel bindings */
#include "core/net/tls.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "core/base/mem.h"
#include "core/net/limits.h"
#include "core/pki/ossl.h"

#define CERT_LIST_MAX 32768 /* octets of a client's certificate message */
#define CHAIN_DEPTH   4
#define RSA_BITS_MAX  4096  /* of a client's key */
#define BINDING_LEN   32    /* RFC 9266 2 */

/* RFC 9325 4.2: forward secrecy and AEAD only. */
static const char ciphers_1_2[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

static const unsigned char alpn_ours[] = "\x08http/1.1\x08http/1.0"; /* curl --http1.0 offers the latter alone */

#define OLDER 4 /* changes of anchors that a handshake may span */

struct tls_server {
	SSL_CTX *ctx;
	struct trust *trust;
	struct trust *older[OLDER];    /* newest first: a handshake keeps the store that it began with */
};

/* What the handshake's judge said of a client's chain; hangs on the SSL. */
struct verdict {
	bool judged;
	enum trust_state state;
	uint32_t anchor;
	char detail[160];
};

static int verdict_index = -1;

static void
verdict_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	(void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
	mem_free(ptr);
}

/* The anchors that the handshake's store was made of. */
static const struct trust *
trust_of(const struct tls_server *s, X509_STORE_CTX *ctx)
{
	X509_STORE *store = X509_STORE_CTX_get0_store(ctx);

	if (s->trust != NULL && trust_store(s->trust) == store)
		return s->trust;
	for (size_t i = 0; i < OLDER; i++)
		if (s->older[i] != NULL && trust_store(s->older[i]) == store)
			return s->older[i];
	return NULL;
}

/* Is the signature of the handshake, which comes next, one that may be checked?  A huge made-up key costs far more than a handshake. */
static bool
is_bearable(X509_STORE_CTX *ctx)
{
	const X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
	EVP_PKEY *key = leaf != NULL ? X509_get0_pubkey(leaf) : NULL;

	return key == NULL || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key) <= RSA_BITS_MAX;
}

/* A bad chain never ends the handshake here, but for a key that costs too much: what it is worth is the request's business. */
static int
on_client_chain(X509_STORE_CTX *ctx, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct trust *t = trust_of(arg, ctx);
	struct verdict *v = SSL_get_ex_data(ssl, verdict_index);

	if (!is_bearable(ctx)) {
		X509_STORE_CTX_set_error(ctx, X509_V_ERR_CERT_REJECTED);
		return 0;
	}
	if (v == NULL) {
		v = mem_zalloc(sizeof(*v));
		if (SSL_set_ex_data(ssl, verdict_index, v) != 1) {
			mem_free(v);
			return 0;
		}
	}
	*v = (struct verdict){ .judged = t != NULL, .state = TRUST_UNKNOWN_ISSUER, .anchor = TRUST_ANCHOR_NONE };
	if (t != NULL)
		trust_judge_client(t, ctx, &v->state, &v->anchor, v->detail, sizeof(v->detail));
	else
		(void)snprintf(v->detail, sizeof(v->detail), "no trust anchors were known at the handshake");
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}

/* RFC 7301 3.2: no protocol in common is fatal; a client that offers none is fine. */
static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in,
    unsigned int inlen, void *arg)
{
	unsigned char *chosen;

	(void)ssl, (void)arg;
	if (SSL_select_next_proto(&chosen, outlen, alpn_ours, sizeof(alpn_ours) - 1, in, inlen) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* An encrypted key has no one here to type its password. */
static int
no_password(char *out, int size, int writing, void *arg)
{
	(void)out, (void)size, (void)writing, (void)arg;
	return -1;
}

static BIO *
reader(struct bytes b)
{
	BIO *bio = b.n <= INT32_MAX ? BIO_new_mem_buf(b.p != NULL ? b.p : (const void *)"", (int)b.n) : NULL;

	if (bio == NULL)
		abort();
	return bio;
}

static int
use_chain(SSL_CTX *ctx, struct bytes pem, struct err *e)
{
	AUTO_OSSL(BIO) in = reader(pem);
	AUTO_OSSL(X509) cert = PEM_read_bio_X509(in, NULL, no_password, NULL);

	if (cert == NULL)
		return err_ossl(e, E_FORMAT, "TLS certificate");
	if (SSL_CTX_use_certificate(ctx, cert) != 1)
		return err_ossl(e, E_CRYPTO, "TLS certificate");
	for (;;) {
		AUTO_OSSL(X509) next = PEM_read_bio_X509(in, NULL, no_password, NULL);

		if (next == NULL && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
			return err_ossl(e, E_FORMAT, "TLS certificate's chain");
		if (next == NULL) {
			ERR_clear_error(); /* the end of the file is an error to OpenSSL */
			return 0;
		}
		if (SSL_CTX_add1_chain_cert(ctx, next) != 1)
			return err_ossl(e, E_CRYPTO, "TLS certificate's chain");
	}
}

static int
use_key(SSL_CTX *ctx, struct bytes pem, struct err *e)
{
	AUTO_OSSL(BIO) in = reader(pem);
	AUTO_OSSL(EVP_PKEY) key = PEM_read_bio_PrivateKey(in, NULL, no_password, NULL);

	if (key == NULL)
		return err_ossl(e, E_FORMAT, "TLS key");
	if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		return err_ossl(e, E_CRYPTO, "TLS key does not fit its certificate");
	return 0;
}

static int
configure(SSL_CTX *ctx, struct err *e)
{
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
	    SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_max_cert_list(ctx, CERT_LIST_MAX);
	SSL_CTX_set_verify_depth(ctx, CHAIN_DEPTH);
	SSL_CTX_set_read_ahead(ctx, 1); /* a record is one read, not two */
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	SSL_CTX_set_security_level(ctx, 2); /* 112 bits: no SHA-1, no RSA below 2048, whatever the library was built with */
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, ciphers_1_2) != 1 || SSL_CTX_set_num_tickets(ctx, 0) != 1)
		return err_ossl(e, E_CRYPTO, "TLS settings");
	return 0;
}

int
tls_server_new(struct tls_server **out, struct bytes chain_pem, struct bytes key_pem, bool ask_client,
    struct err *e)
{
	struct tls_server *s = mem_zalloc(sizeof(*s));
	int r;

	if (verdict_index < 0)
		verdict_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, verdict_free);
	s->ctx = SSL_CTX_new(TLS_server_method());
	if (s->ctx == NULL || verdict_index < 0)
		r = err_ossl(e, E_CRYPTO, "TLS context");
	else if ((r = configure(s->ctx, e)) == 0 && (r = use_chain(s->ctx, chain_pem, e)) == 0)
		r = use_key(s->ctx, key_pem, e);
	if (r != 0) {
		tls_server_free(s);
		return r;
	}
	SSL_CTX_set_cert_verify_callback(s->ctx, on_client_chain, s);
	SSL_CTX_set_verify(s->ctx, ask_client ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	*out = s;
	return 0;
}

static void
free_certs(STACK_OF(X509) *certs)
{
	sk_X509_pop_free(certs, X509_free);
}

/* RFC 8446 4.2.4, RFC 5246 7.4.4: an empty list says "any"; so it is sent when the names are too many. */
static STACK_OF(X509_NAME) *
ca_names(const struct trust *t)
{
	STACK_OF(X509) *certs = X509_STORE_get1_all_certs(trust_store(t));
	STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
	size_t octets = 0;

	if (names == NULL)
		abort();
	for (int i = 0; i < sk_X509_num(certs); i++) {
		X509_NAME *name = X509_NAME_dup(X509_get_subject_name(sk_X509_value(certs, i)));
		int n = i2d_X509_NAME(name, NULL);

		if (name == NULL || n < 0 || sk_X509_NAME_push(names, name) <= 0)
			abort();
		octets += (size_t)n + 2;
	}
	free_certs(certs);
	if (octets > NET_CA_NAMES_MAX) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return NULL;
	}
	return names;
}

void
tls_server_set_trust(struct tls_server *s, struct trust *t)
{
	trust_free(s->older[OLDER - 1]);
	for (size_t i = OLDER - 1; i > 0; i--)
		s->older[i] = s->older[i - 1];
	s->older[0] = s->trust;
	s->trust = t;
	if (SSL_CTX_set1_verify_cert_store(s->ctx, trust_store(t)) != 1)
		abort();
	SSL_CTX_set0_CA_list(s->ctx, ca_names(t));
}

SSL_CTX *
tls_server_ctx(const struct tls_server *s)
{
	return s->ctx;
}

void
tls_server_free(struct tls_server *s)
{
	if (s == NULL)
		return;
	SSL_CTX_free(s->ctx);
	trust_free(s->trust);
	for (size_t i = 0; i < OLDER; i++)
		trust_free(s->older[i]);
	mem_free(s);
}

static bool
has_ems(SSL *ssl)
{
	return SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support(ssl) == 1;
}

static void
fill_cert(struct tls_peer *p, X509 *x)
{
	int n = i2d_X509(x, NULL);
	uint8_t *der = NULL;

	p->has_cert = true;
	if (n <= 0 || i2d_X509(x, &der) != n)
		return;
	p->der = BUF_MAX(CERT_LIST_MAX);
	buf_put(&p->der, der, (size_t)n);
	OPENSSL_free(der);
	p->cert_parsed = !p->der.over && cert_parse(&p->cert, bytes_of_buf(&p->der), NULL) == 0;
	ERR_clear_error();
}

void
tls_peer_fill(struct tls_peer *p, SSL *ssl)
{
	X509 *x = SSL_get0_peer_certificate(ssl);
	const struct verdict *v = verdict_index >= 0 ? SSL_get_ex_data(ssl, verdict_index) : NULL;

	*p = (struct tls_peer){ .ems = has_ems(ssl), .judged = true, .state = TRUST_NONE, .anchor = TRUST_ANCHOR_NONE };
	(void)snprintf(p->version, sizeof(p->version), "%s", SSL_get_version(ssl));
	(void)snprintf(p->cipher, sizeof(p->cipher), "%s", SSL_get_cipher_name(ssl));
	if (x == NULL)
		return;
	fill_cert(p, x);
	p->judged = v == NULL || v->judged;
	p->state = v != NULL ? v->state : TRUST_UNKNOWN_ISSUER;
	p->anchor = v != NULL ? v->anchor : TRUST_ANCHOR_NONE;
	(void)snprintf(p->detail, sizeof(p->detail), "%s", v != NULL ? v->detail : "not judged");
}

void
tls_peer_clear(struct tls_peer *p)
{
	if (p == NULL)
		return;
	buf_free(&p->der);
	*p = (struct tls_peer){ 0 };
}

/* RFC 5929 3.1: the first Finished of the handshake; the client's, or the server's of a resumed session. */
static size_t
first_finished(SSL *ssl, bool server, uint8_t *out, size_t size)
{
	bool clients = SSL_session_reused(ssl) == 0;

	return clients == server ? SSL_get_peer_finished(ssl, out, size) : SSL_get_finished(ssl, out, size);
}

int
tls_binding(char out[TLS_BINDING_MAX], SSL *ssl, bool server, struct err *e)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	uint8_t raw[EVP_MAX_MD_SIZE];
	size_t n = BINDING_LEN;

	if (SSL_is_init_finished(ssl) != 1)
		return err_set(e, E_UNAVAIL, "channel binding: the handshake is not done");
	if (!has_ems(ssl))
		return err_set(e, E_POLICY, "channel binding: TLS 1.2 without extended master secret (RFC 7627)");
	if (SSL_version(ssl) < TLS1_3_VERSION)
		n = first_finished(ssl, server, raw, sizeof(raw));
	else if (SSL_export_keying_material(ssl, raw, n, label, sizeof(label) - 1, raw, 0, 1) != 1)
		return err_ossl(e, E_CRYPTO, "channel binding");
	if (n == 0 || n > sizeof(raw))
		return err_set(e, E_CRYPTO, "channel binding: there is none");
	static_assert((EVP_MAX_MD_SIZE + 2) / 3 * 4 < TLS_BINDING_MAX, "a binding fits in base64");
	(void)EVP_EncodeBlock((unsigned char *)out, raw, (int)n);
	mem_wipe(raw, sizeof(raw));
	return 0;
}
