/* SPDX-License-Identifier: Apache-2.0 */
/* net/fetch.h - one HTTP request as a client (over libcurl), on one verified connection */
#ifndef CORE_NET_FETCH_H
#define CORE_NET_FETCH_H

#include "core/net/tls.h"

#define FETCH_ANSWER_MAX ((size_t)1024 * 1024)

/* What the request callback may know of the connection that it will go over. */
struct fetch_connection {
	const char *version;               /* "TLSv1.3" */
	char binding[TLS_BINDING_MAX];     /* "" when there is none (see tls_binding()) */
	const char *binding_error;         /* why, or "" */
};

struct fetch {
	const char *url;                   /* https only, unless unix_socket is set */
	const char *method;                /* "GET", "POST" */
	const char *const *headers;        /* "Name: value", NULL-terminated; may be NULL */
	const char *unix_socket;           /* connect there instead; NULL: TCP */
	struct bytes trust_pem;            /* anchors; n 0: the system's */
	bool provisional;                  /* do not verify the server; nothing secret may be sent, chain is kept for the caller (RFC 7030 4.1.1) */
	const char *client_cert_pem, *client_key_pem; /* contents; NULL: none */
	const char *user, *password;       /* Basic, sent with the first request; NULL: none */
	struct bytes body;
	/* When set: makes the body after the handshake, on the connection that will carry it. */
	int (*make_body)(void *ctx, const struct fetch_connection *c, struct buf *body, struct err *e);
	void *ctx;
	const char *resolve;               /* "host:port:address" for tests; NULL: none */
	unsigned connect_ms, total_ms;     /* 0: 10 s and 60 s */
	int max_tls;                       /* 0, or TLS1_2_VERSION */
};

struct fetch_answer {
	unsigned status;
	char type[128];
	char request_id[64];               /* X-Request-Id */
	int64_t retry_after_s;             /* from seconds or an HTTP date; -1: none; at most a day */
	char location[512];
	char www_authenticate[256];
	struct buf body;
	struct buf server_chain_pem;       /* what the server presented */
};

/*
 * Do it, blocking.  No redirect is followed.  E_UNAVAIL: no connection, E_AUTH: the
 * server is not who it should be (its words say which check failed), E_FORMAT, E_TOOBIG.
 * *a is to be cleared by the caller in either case.
 */
int fetch_run(const struct fetch *f, struct fetch_answer *a, struct err *e) MUST_CHECK;
void fetch_clear(struct fetch_answer *a);

#endif
