/* SPDX-License-Identifier: Apache-2.0 */
/* net/fetch_tls.c - who the server must be, for fetch.c alone */
#include "core/net/fetch_tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/pki/ossl.h"

AUTO_DEFINE_OSSL(X509_STORE, X509_STORE_free)
AUTO_DEFINE_OSSL(EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free)

static int
state_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return index;
}

static struct fetch_tls *
state_of(SSL *ssl)
{
	return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), state_index());
}

/* OpenSSL must not ask a terminal for a passphrase. */
static int
no_passphrase(char *out, int size, int writing, void *ctx)
{
	(void)out, (void)size, (void)writing, (void)ctx;
	return -1;
}

/* --- judging --- */

/* RFC 7030 3.6.1: is the certificate one of a registration authority of the EST server's own PKI? */
static bool
is_cmc_ra(X509 *cert)
{
	AUTO_OSSL(EXTENDED_KEY_USAGE) eku = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);

	for (int i = 0; i < sk_ASN1_OBJECT_num(eku); i++)
		if (OBJ_obj2nid(sk_ASN1_OBJECT_value(eku, i)) == NID_cmcRA)
			return true;
	return false;
}

/* What the certificate says of itself, for the refusal's words. */
static void
describe(struct fetch_tls *t, X509 *x)
{
	unsigned char *der = NULL;
	int n = x != NULL ? i2d_X509(x, &der) : -1;
	char name[NAME_TEXT_MAX], from[CLOCK_TEXT_MAX], to[CLOCK_TEXT_MAX];
	struct cert c;

	t->why[0] = 0;
	if (n > 0 && cert_parse(&c, (struct bytes){ der, (size_t)n }, NULL) == 0)
		switch (t->verify_error) {
		case X509_V_ERR_HOSTNAME_MISMATCH:
		case X509_V_ERR_IP_ADDRESS_MISMATCH:
			(void)snprintf(t->why, sizeof(t->why), "it is for %.150s",
			    c.has_san && c.sans_known ? sans_text(&c.sans, name)
						      : "no name at all");
			break;
		case X509_V_ERR_CERT_HAS_EXPIRED:
		case X509_V_ERR_CERT_NOT_YET_VALID:
			(void)snprintf(t->why, sizeof(t->why), "%.100s is valid from %s to %s",
			    t->above && c.subject_known ? name_text(&c.subject, name) : "it", clock_text(c.not_before, from),
			    clock_text(c.not_after, to));
			break;
		default:
			(void)snprintf(t->why, sizeof(t->why), "%.150s",
			    c.subject_known ? name_text(&c.subject, name) : "");
		}
	OPENSSL_free(der);
}

/* RFC 7030 3.6.1, 3.6.2: the caller's anchors and no others. */
static bool
is_explicit(const struct fetch_tls *t)
{
	return t->f->trust_pem.n != 0 && !t->f->trust_also_system && !t->proxy;
}

/* RFC 8446 6: in TLS 1.3 all alerts but two are fatal, whatever their level says. */
static void
on_info(const SSL *ssl, int where, int value)
{
	struct fetch_tls *t = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), state_index());
	int alert = value & 0xff;

	if ((where & SSL_CB_READ_ALERT) != SSL_CB_READ_ALERT || alert == SSL_AD_USER_CANCELLED)
		return;
	if (alert == SSL_AD_CLOSE_NOTIFY)
		t->closed = true;
	else if (value >> 8 == SSL3_AL_FATAL || SSL_version(ssl) == TLS1_3_VERSION)
		t->alert = alert;
}

static int
on_asked(SSL *ssl, void *ctx)
{
	struct fetch_tls *t = ctx;

	(void)ssl;
	t->cert_asked = true;
	return 1;
}

static int
on_verify(int ok, X509_STORE_CTX *ctx)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct fetch_tls *t = state_of(ssl);
	X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
	int error = X509_STORE_CTX_get_error(ctx);
	bool name =
	    error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH;

	if (ok == 1)
		return 1;
	if (name && is_explicit(t) && is_cmc_ra(X509_STORE_CTX_get0_cert(ctx))) {
		X509_STORE_CTX_set_error(ctx, X509_V_OK);
		return 1;
	}
	if (t->verify_error == X509_V_OK) {
		t->verify_error = error;
		t->above = X509_STORE_CTX_get_error_depth(ctx) > 0;
		describe(t, cert != NULL ? cert : X509_STORE_CTX_get0_cert(ctx));
	}
	return 0;
}

int
fetch_tls_refusal(const struct fetch_tls *t, struct err *e)
{
	const char *who = t->proxy ? "proxy" : "server",
		   *hint = t->f->unknown_ca_hint != NULL ? t->f->unknown_ca_hint
							 : "name that CA by --trust FILE or --pin sha256:...";
	const char *which = t->above ? "a CA above its certificate" : "its certificate";
	const char *clock = t->verify_error == X509_V_ERR_CERT_NOT_YET_VALID
	    ? "; is this machine's clock right?"
	    : "";

	switch (t->verify_error) {
	case X509_V_OK:
		return 0;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return err_set(e, E_AUTH,
		    "%s %s: its certificate comes from an unknown CA (%s)%s%s", who,
		    t->host, t->why, *hint != 0 ? "; " : "", hint);
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return err_set(e, E_AUTH, "%s %s: its certificate is not for this name; %s", who,
		    t->host, t->why);
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return err_set(e, E_AUTH, "%s %s: %s has expired; %s", who, t->host, which, t->why);
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return err_set(e, E_AUTH, "%s %s: %s is not valid yet; %s%s", who, t->host, which, t->why, clock);
	case X509_V_ERR_INVALID_PURPOSE:
		return err_set(
		    e, E_AUTH, "%s %s: its certificate is not one for TLS servers", who, t->host);
	default:
		return err_set(e, E_AUTH, "%s %s: its certificate does not verify: %s", who, t->host,
		    X509_verify_cert_error_string(t->verify_error));
	}
}

int
fetch_tls_verified(SSL *ssl, const struct fetch_tls *t, struct err *e)
{
	if (!t->ready || ssl == NULL || state_of(ssl) != t)
		return err_set(e, E_AUTH, "server %s: its certificate was not checked", t->host);
	if (t->f->provisional)
		return 0;
	if (SSL_get_verify_mode(ssl) != SSL_VERIFY_PEER ||
	    SSL_get_verify_result(ssl) != X509_V_OK || SSL_get0_peer_certificate(ssl) == NULL)
		return err_set(e, E_AUTH, "server %s: its certificate does not verify", t->host);
	return 0;
}

/* --- demands --- */

static int
add_anchors(X509_STORE *store, struct bytes pem, struct err *e)
{
	AUTO_OSSL(BIO) in = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *x;
	int n = 0;

	while (in != NULL && (x = PEM_read_bio_X509(in, NULL, no_passphrase, NULL)) != NULL) {
		int ok = X509_STORE_add_cert(store, x);

		X509_free(x);
		if (ok != 1)
			return err_ossl(e, E_CRYPTO, "trust: anchor");
		n++;
	}
	/* "no start line" ends the text; anything else is a broken certificate, and half a trust is none. */
	if (n == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return err_ossl(e, E_FORMAT,
		    n == 0 ? "trust: no certificate in it" : "trust: broken certificate");
	ERR_clear_error();
	return 0;
}

static int
set_anchors(SSL_CTX *ctx, const struct fetch_tls *t, struct err *e)
{
	const struct fetch *f = t->f;
	AUTO_OSSL(X509_STORE) store = X509_STORE_new();
	int r = 0;

	if (store == NULL)
		return err_ossl(e, E_CRYPTO, "trust");
	if (f->trust_pem.n != 0)
		r = add_anchors(store, f->trust_pem, e);
	if (r == 0 && (f->trust_pem.n == 0 || f->trust_also_system || t->proxy) &&
	    X509_STORE_set_default_paths(store) != 1)
		r = err_ossl(e, E_CRYPTO, "trust: the system's anchors");
	if (r != 0)
		return r;
	/* Anchors of our own need not be roots.  (Of the system's all are.) */
	if (f->trust_pem.n != 0)
		(void)X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	/* Of another's store in the context nothing is left: libcurl may share that with other handles. */
	SSL_CTX_set1_cert_store(ctx, store);
	return 0;
}

static int
set_name(SSL_CTX *ctx, const char *host, struct err *e)
{
	X509_VERIFY_PARAM *p = SSL_CTX_get0_param(ctx);
	unsigned char address[sizeof(struct in6_addr)];
	int ok;

	X509_VERIFY_PARAM_set_hostflags(p,
	    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
		ok = X509_VERIFY_PARAM_set1_ip_asc(p, host);
	else
		ok = X509_VERIFY_PARAM_set1_host(p, host, strlen(host));
	return ok == 1 ? 0 : err_ossl(e, E_CRYPTO, "server's name");
}

/* The leaf and what stands below it in the same text. */
static int
set_client_cert(SSL_CTX *ctx, const char *pem, struct err *e)
{
	AUTO_OSSL(BIO) in = BIO_new_mem_buf(pem, -1);
	AUTO_OSSL(X509) leaf = in != NULL ? PEM_read_bio_X509(in, NULL, no_passphrase, NULL) : NULL;
	X509 *x;

	if (leaf == NULL || SSL_CTX_use_certificate(ctx, leaf) != 1)
		return err_ossl(e, E_FORMAT, "client certificate");
	while ((x = PEM_read_bio_X509(in, NULL, no_passphrase, NULL)) != NULL)
		if (SSL_CTX_add0_chain_cert(ctx, x) != 1) {
			X509_free(x);
			return err_ossl(e, E_FORMAT, "client certificate: chain");
		}
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return err_ossl(e, E_FORMAT, "client certificate: chain");
	ERR_clear_error(); /* the end of the text is an error to OpenSSL */
	return 0;
}

/* A reference to the client's key: the one that its provider keeps, or from text. */
static EVP_PKEY *
client_key(const struct fetch *f)
{
	AUTO_OSSL(BIO) in = NULL;

	if (f->client_key != NULL)
		return EVP_PKEY_up_ref(key_evp(f->client_key)) == 1 ? key_evp(f->client_key) : NULL;
	in = BIO_new_mem_buf(f->client_key_pem != NULL ? f->client_key_pem : "", -1);
	return in != NULL ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL) : NULL;
}

static int
set_client(SSL_CTX *ctx, const struct fetch *f, struct err *e)
{
	AUTO_OSSL(EVP_PKEY) key = NULL;
	int r;

	if (f->client_cert_pem == NULL)
		return 0;
	r = set_client_cert(ctx, f->client_cert_pem, e);
	if (r != 0)
		return r;
	key = client_key(f);
	if (key == NULL)
		return err_ossl(e, E_FORMAT, "client key");
	if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		return err_ossl(e, E_FORMAT, "client key: not that of the client certificate");
	return 0;
}

void
fetch_tls_reset(struct fetch_tls *t)
{
	t->ready = t->cert_asked = t->closed = false;
	t->verify_error = X509_V_OK;
	t->alert = -1;
	t->why[0] = 0;
	t->err = (struct err){ 0 };
}

int
fetch_tls_setup(SSL_CTX *ctx, struct fetch_tls *t)
{
	int r = 0;

	fetch_tls_reset(t);
	if (SSL_CTX_set_ex_data(ctx, state_index(), t) != 1 ||
	    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
		return err_ossl(&t->err, E_CRYPTO, "TLS");
	/* RFC 5929 3.1: the handshake that the binding speaks of must stay the latest. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	SSL_CTX_set_info_callback(ctx, on_info);
	SSL_CTX_set_cert_cb(ctx, on_asked, t);
	if (t->f->provisional && !t->proxy) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	} else {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
		r = set_anchors(ctx, t, &t->err);
		if (r == 0)
			r = set_name(ctx, t->host, &t->err);
		if (r == 0 && !t->proxy)
			r = set_client(ctx, t->f, &t->err);
	}
	ERR_clear_error();
	t->ready = r == 0;
	return r;
}

void
fetch_tls_chain(struct buf *pem, SSL *ssl)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);

	for (int i = 0; i < sk_X509_num(chain); i++) {
		unsigned char *der = NULL;
		int n = i2d_X509(sk_X509_value(chain, i), &der);

		if (n > 0)
			pem_encode(pem, (struct bytes){ der, (size_t)n }, "CERTIFICATE");
		OPENSSL_free(der);
	}
}
