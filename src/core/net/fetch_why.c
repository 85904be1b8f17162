/* SPDX-License-Identifier: Apache-2.0 */
/* net/fetch_why.c - why there is no answer: a cause for programs, words for people */
#include "core/net/fetch_inside.h"

#include <openssl/ssl.h>
#include <string.h>

/* The alerts that a server sends about a client's certificate, or about none (RFC 8446 6.2, 4.4.2.4). */
static bool
is_about_certificate(int alert)
{
	switch (alert) {
	case SSL_AD_HANDSHAKE_FAILURE:
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_ACCESS_DENIED:
	case SSL_AD_DECRYPT_ERROR:
	case SSL_AD_CERTIFICATE_REQUIRED:
		return true;
	default:
		return false;
	}
}

static bool
refused_client(const struct fetch_run *r)
{
	return r->tls.cert_asked && is_about_certificate(r->tls.alert);
}

/* Was it the proxy, before anything was said to the server? */
static bool
at_proxy(const struct fetch_run *r)
{
	return r->proxy.used && !r->connected && !r->tls.ready;
}

static enum fetch_cause
cause_of(const struct fetch_run *r, CURLcode rc)
{
	if (r->err.code != E_OK)
		return r->err.code == E_AUTH && !r->a->tls_done && !r->plain ? FETCH_SERVER_UNTRUSTED : FETCH_OTHER;
	if (r->tls.err.code != E_OK || r->proxy_tls.err.code != E_OK)
		return FETCH_OTHER;
	if (r->proxy_tls.verify_error != X509_V_OK)
		return FETCH_PROXY;
	if (r->tls.verify_error != X509_V_OK)
		return FETCH_SERVER_UNTRUSTED;
	if (r->too_big || rc == CURLE_FILESIZE_EXCEEDED)
		return FETCH_TOOBIG;
	if (refused_client(r))
		return FETCH_CLIENT_REFUSED;
	if (rc == CURLE_OPERATION_TIMEDOUT)
		return FETCH_TIMEOUT;
	if (at_proxy(r) && rc != CURLE_URL_MALFORMAT && rc != CURLE_UNSUPPORTED_PROTOCOL)
		return FETCH_PROXY;
	switch (rc) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return FETCH_RESOLVE;
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
		return FETCH_CONNECT;
	case CURLE_PEER_FAILED_VERIFICATION:
		return FETCH_SERVER_UNTRUSTED;
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return r->connected ? FETCH_TRUNCATED : FETCH_CONNECT;
	default:
		return FETCH_OTHER;
	}
}

static int
explain_refused_client(const struct fetch_run *r, struct err *e)
{
	return err_set(e, E_AUTH, r->f->client_cert_pem != NULL ? "%s: refused our certificate: TLS alert %s"
	                                                        : "%s: wants a client certificate: TLS alert %s",
	    r->peer, SSL_alert_desc_string_long(r->tls.alert));
}

static int
explain_proxy(const struct fetch_run *r, CURLcode rc, const char *words, struct err *e)
{
	AUTO_BUF shown = { 0 };
	long status = 0;

	fetch_proxy_show(&shown, &r->proxy);
	(void)curl_easy_getinfo(r->curl, CURLINFO_HTTP_CONNECTCODE, &status);
	if (fetch_tls_refusal(&r->proxy_tls, e) != 0)
		return E_AUTH;
	if (rc == CURLE_COULDNT_RESOLVE_PROXY)
		return err_set(e, E_UNAVAIL, "proxy %s: no address for this name", buf_str(&shown));
	if (status != 0 && status / 100 != 2)
		return err_set(e, status == 407 ? E_AUTH : E_UNAVAIL,
		    "proxy %s: refuses to connect to the server: status %ld", buf_str(&shown), status);
	return err_set(e, E_UNAVAIL, "proxy %s: %s", buf_str(&shown), words);
}

static int
explain_server(const struct fetch_run *r, CURLcode rc, const char *words, struct err *e)
{
	const char *peer = r->peer;
	long no = 0;

	(void)curl_easy_getinfo(r->curl, CURLINFO_OS_ERRNO, &no);
	if (r->connected && rc == CURLE_UNSUPPORTED_PROTOCOL) /* HTTP/0.9 */
		rc = CURLE_WEIRD_SERVER_REPLY;
	switch (rc) {
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
	case CURLE_LOGIN_DENIED:
		return err_set(
		    e, E_USAGE, "url: https://host[:port]/path needed, without user or password");
	case CURLE_COULDNT_RESOLVE_HOST:
		return err_set(e, E_UNAVAIL, "%s: no address for this name", peer);
	case CURLE_COULDNT_CONNECT:
		return err_set(e, E_UNAVAIL, "%s: no connection: %s", peer,
		    no != 0 ? strerror((int)no) : words);
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(e, E_UNAVAIL, "%s: no answer in time", peer);
	case CURLE_SSL_CONNECT_ERROR:
		if (strstr(words, "wrong version number") != NULL)
			return err_set(e, E_UNAVAIL, "%s: does not speak TLS; is it the right port?", peer);
		return err_set(e, E_UNAVAIL, "%s: no TLS connection: %s", peer, words);
	case CURLE_PEER_FAILED_VERIFICATION:
		return err_set(e, E_AUTH, "%s: not verified: %s", peer, words);
	case CURLE_GOT_NOTHING:
		return err_set(
		    e, E_UNAVAIL, "%s: closed the connection without an answer", peer);
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
		return err_set(e, E_FORMAT, "%s: does not speak HTTP: %s", peer, words);
	default:
		return err_set(e, E_UNAVAIL, "%s: %s", peer, words);
	}
}

/* RFC 9112 9.8: a body that ends with the connection is whole only when close_notify says so. */
static bool
is_cut_off(const struct fetch_run *r)
{
	unsigned status = r->a->status;

	return !r->done && !r->plain && !r->framed && !r->tls.closed && status != 204 && status != 304 &&
	    strcmp(r->f->method, "HEAD") != 0;
}

int
fetch_explain(const struct fetch_run *r, CURLcode rc, const char *words, struct err *e)
{
	const struct err *own = r->err.code != E_OK ? &r->err
	    : r->tls.err.code != E_OK ? &r->tls.err : &r->proxy_tls.err;

	if (rc == CURLE_OK && is_cut_off(r)) {
		rc = CURLE_PARTIAL_FILE;
		words = "the connection was cut off in the answer";
	}
	r->a->tls_alert = r->tls.alert;
	if (r->done)
		rc = CURLE_OK;
	r->a->cause = rc == CURLE_OK ? FETCH_OK : cause_of(r, rc);
	if (rc == CURLE_OK)
		return 0;
	if (own->code != E_OK)
		return err_set(e, own->code, "%s", own->msg);
	if (*words == 0)
		words = curl_easy_strerror(rc);
	if (r->a->cause == FETCH_PROXY)
		return explain_proxy(r, rc, words, e);
	if (fetch_tls_refusal(&r->tls, e) != 0)
		return E_AUTH;
	if (r->a->cause == FETCH_TOOBIG)
		return err_set(e, E_TOOBIG, "%s: answer of more than %zu octets, or a head of more than %zu",
		    r->peer, FETCH_ANSWER_MAX, FETCH_HEAD_MAX);
	if (r->a->cause == FETCH_CLIENT_REFUSED)
		return explain_refused_client(r, e);
	return explain_server(r, rc, words, e);
}
