/* SPDX-License-Identifier: Apache-2.0 */
/* net/fetch.h - one HTTP request as a client (over libcurl), on one verified connection */
#ifndef CORE_NET_FETCH_H
#define CORE_NET_FETCH_H

#include "core/net/tls.h"
#include "core/pki/key.h"

#define FETCH_ANSWER_MAX ((size_t)1024 * 1024) /* octets of a body */
#define FETCH_HEAD_MAX   ((size_t)32 * 1024)   /* octets of all heads of an answer */

/* What the request callback may know of the connection that it will go over. */
struct fetch_connection {
	const char *version;               /* "TLSv1.3" */
	char binding[TLS_BINDING_MAX];     /* "" when there is none (see tls_binding()) */
	const char *binding_error;         /* why, or "" */
};

struct fetch {
	const char *url;                   /* https only, unless unix_socket or plain_ok is set */
	const char *method;                /* "GET", "POST" */
	const char *const *headers;        /* "Name: value", NULL-terminated; may be NULL */
	const char *unix_socket;           /* connect there instead; NULL: TCP */
	bool plain_ok;                     /* http:// is taken too: nobody is verified then, nothing is hidden */
	struct bytes trust_pem;            /* anchors; n 0: the system's */
	/* The system's anchors besides trust_pem; a cmcRA certificate is no substitute for the name then. */
	bool trust_also_system;
	/* What people can do about a server of an unknown CA; NULL: the options of the command line. */
	const char *unknown_ca_hint;
	/* Do not verify the server; nothing secret may be sent, chain is kept for the caller (RFC 7030 4.1.1). */
	bool provisional;
	const char *client_cert_pem;       /* leaf first, what is below it is sent too; NULL: none */
	const char *client_key_pem;        /* its key as text, or: */
	const struct key *client_key;      /* a key that need not leave its provider (borrowed) */
	const char *user, *password;       /* Basic, sent with the first request; NULL: none */
	struct bytes body;
	/* When set: makes the body after the handshake, on the connection that will carry it. */
	int (*make_body)(void *ctx, const struct fetch_connection *c, struct buf *body, struct err *e);
	void *ctx;
	/*
	 * http://[user:password@]host[:port] or https://...; NULL: none (the environment is never asked).  User
	 * and password are percent-decoded and sent as Basic.  An https proxy must verify under trust_pem or the
	 * system's anchors and never gets the client certificate.
	 */
	const char *proxy;
	const char *no_proxy;              /* hosts that are reached without it: fetch_without_proxy(); NULL: none */
	/* Follow one redirect (307, 308; of a GET also 301 to 303) to https at the same host and port. */
	bool same_origin_redirects;
	/* Connect and verify, and go: no request is sent, and the answer says only how the connection was. */
	bool connect_only;
	const char *resolve;               /* "host:port:address" for tests; NULL: none */
	unsigned connect_ms, total_ms;     /* 0: 10 s and 60 s */
	int max_tls;                       /* 0, or TLS1_2_VERSION */
};

/* Why there is no answer. */
enum fetch_cause {
	FETCH_OK,               /* there is one, of whatever status */
	FETCH_RESOLVE,          /* the host has no address */
	FETCH_CONNECT,          /* no connection, or no TLS on it */
	FETCH_TIMEOUT,          /* connect_ms or total_ms are over */
	FETCH_PROXY,            /* the proxy could not be reached or verified, or refused */
	FETCH_SERVER_UNTRUSTED, /* the server's certificate does not verify; the error says why */
	FETCH_CLIENT_REFUSED,   /* the server asked for a client certificate and broke off over ours, or over none */
	FETCH_TRUNCATED,        /* it ended before the answer did */
	FETCH_TOOBIG,           /* FETCH_ANSWER_MAX or FETCH_HEAD_MAX */
	FETCH_OTHER,            /* wrong use, no HTTP, make_body(), ... */
};

struct fetch_answer {
	enum fetch_cause cause;
	bool tls_done;                     /* the handshake ended and the server was verified (or is provisional) */
	int tls_alert;                     /* the fatal alert that the server sent (RFC 8446 6), -1: none */
	int64_t peer_date;                 /* its Date in UTC seconds; 0: none */
	unsigned status;
	char type[128];
	char request_id[64];               /* X-Request-Id */
	char label[160];                   /* X-Estuary-Label */
	int64_t retry_after_s;             /* from seconds or an HTTP date; -1: none; at most a day */
	char location[512];
	char www_authenticate[256];
	struct buf body;
	struct buf server_chain_pem;       /* what the server presented */
};

/*
 * Do it, blocking, in total_ms at most over all connections and redirects.  E_UNAVAIL: no
 * connection, E_AUTH: the server is not who it should be (its words say which check failed)
 * or refused our certificate, E_FORMAT, E_TOOBIG, E_USAGE.  A redirect that is not followed is an
 * answer.  *a is to be cleared by the caller in either case.  Words about a proxy show its password
 * as "***".  Not for several threads at once; names are resolved in a thread of libcurl's.
 */
int fetch_run(const struct fetch *f, struct fetch_answer *a, struct err *e) MUST_CHECK;
void fetch_clear(struct fetch_answer *a);
/* Is it one line "Name: value", as fetch_run() takes them? */
bool fetch_is_header(const char *line);
/*
 * Is host (a name or address literal, no brackets) in a list as NO_PROXY has it?  Items stand between commas or
 * blanks: "*", a name (it and all names below it; "." or "*." in front changes nothing), an address, a CIDR block.
 */
bool fetch_without_proxy(const char *list, const char *host);

#endif
