/* SPDX-License-Identifier: Apache-2.0 */
/* net/http.h - the HTTP server: our TLS and guard, libmicrohttpd for bodies in chunks, answers now or later */
#ifndef CORE_NET_HTTP_H
#define CORE_NET_HTTP_H

#include "core/net/tls.h"
#include "core/sys/loop.h"
#include "core/sys/peer.h"

#define HTTP_ID_MAX 32 /* a request id's text, NUL included: "r" and 24 hex digits */

/* Who can reach these: everybody.  All times are absolute from the start of the phase. */
struct http_limits {
	unsigned handshake_ms;       /* 5000 */
	unsigned head_ms;            /* 10000: first octet of a head to its last */
	unsigned body_ms;            /* 10000: end of head to last octet of the body */
	unsigned answer_ms;          /* 30000: end of body to the answer's last octet taken by the client */
	unsigned idle_ms;            /* 60000: between requests */
	size_t head_octets;          /* 8192 */
	size_t body_octets;          /* 65536 */
	size_t connections;          /* in all; over it one that keeps us waiting is closed (below), or the new one */
	size_t connections_per_address; /* or IPv6 /64; over it a new one is closed at once */
};
extern const struct http_limits http_limits_default;
/*
 * When all connections are taken, a newcomer over TCP gets the place of one that has been idle for NET_STALE_MS.
 * Where none is, of the oldest ones without a whole request that of the address (or /64) with most connections, which
 * are no fewer than the newcomer's: who floods pushes away its own.  refused() tells "cap.yield", or "cap.total".
 */

struct http_server;
struct http_request;

/*
 * Called once per request, when head and body are whole and the guard has passed
 * them.  Answer with http_answer(), at once or later; the request lives until then
 * (also when the client has gone: the answer then goes nowhere).
 */
typedef void (*http_handler)(void *ctx, struct http_request *r);
/* A request that the guard or a limit refused, or a handshake that failed: for the log. event is a constant word. */
typedef void (*http_refused)(void *ctx, const char *address, const char *event, const char *detail, const char *id);

/* Ignores SIGPIPE for the whole process.  Memory or descriptors that are missing here end the process. */
struct http_server *http_server_new(struct loop *l, const struct http_limits *lim, http_handler fn,
    http_refused refused, void *ctx);
/*
 * Accept on a listening socket (owned from here on).  tls NULL: plain.  `tag` comes back
 * with each request, to tell listeners apart.  The tls_server is borrowed.
 */
int http_server_listen(struct http_server *s, int fd, struct tls_server *tls, int tag, struct err *e) MUST_CHECK;

/*
 * What a Unix socket's clients get that TCP's do not, for services whose clients were written against another
 * server.  All off or 0: as http_server_listen().
 */
struct http_local {
	bool no_host_ok;     /* HTTP/1.1 without Host is taken; more than one Host never is */
	bool raw_paths;      /* a path that path_decode() refuses comes to the handler, with http_path() "" */
	bool json_refusals;  /* refusals are {"message":"text"}, application/json; those of http_refuse() too */
	bool plain_head;     /* no X-Request-Id, no Cache-Control of our own: a small head */
	size_t per_uid;      /* connections that one uid may have at once (SO_PEERCRED of connect()); 0: no such limit */
	size_t per_root;     /* the same for uid 0; 0: as per_uid */
	/* Over it: 429 with Retry-After once a head has come (NET_BUSY_PER_UID of these a uid); else closed at once. */
	bool say_busy;
};
/*
 * Accept on a listening Unix socket (owned from here on, on failure too).  Connections are counted by
 * uid over all such listeners of the server.  When http_limits.connections are there, the longest idle
 * one of the uid that has most makes room; where none is idle, one whose request is not whole yet, of a
 * uid that would still have more than the newcomer's.  refused() tells "cap.uid", "cap.total".
 * E_USAGE: not a listening Unix stream socket.
 */
int http_server_listen_unix(struct http_server *s, int fd, const struct http_local *opt, int tag,
    struct err *e) MUST_CHECK;
/* Other limits for the connections that come to Unix sockets from now on; see http_local. */
void http_server_limit_uids(struct http_server *s, size_t per_uid, size_t per_root);
/* Stop accepting, let requests under way finish (at most ms), then call done. */
void http_server_drain(struct http_server *s, unsigned ms, loop_fn done, void *ctx);
void http_server_free(struct http_server *s); /* requests that are not answered yet go with it */

/* The request.  Everything is borrowed until http_answer(). */
const char *http_id(const struct http_request *r);
int http_tag(const struct http_request *r);
const char *http_method(const struct http_request *r);
/* Percent-decoded once, UTF-8, no NUL, begins with '/', no "." or ".." segments left (those are refused). */
const char *http_path(const struct http_request *r);
const char *http_raw_path(const struct http_request *r); /* what stands before '?', octet for octet */
const char *http_query(const struct http_request *r);   /* after '?', raw; "" when none */
const char *http_header(const struct http_request *r, const char *name);   /* first value, or NULL; name in any case */
/* Has the client what this ETag (quoted) names?  If-None-Match: a list that has it, or * (RFC 9110 13.1.2): 304 is the answer. */
bool http_has(const struct http_request *r, const char *etag);
size_t http_header_count(const struct http_request *r, const char *name);
struct bytes http_body(const struct http_request *r);
const char *http_address(const struct http_request *r); /* the client's */
uid_t http_peer_uid(const struct http_request *r);      /* Unix sockets; (uid_t)-1 otherwise */
pid_t http_peer_pid(const struct http_request *r);      /* Unix sockets, for logs alone (pids come again); 0: not known */
/* NULL on plain listeners. */
const struct tls_peer *http_tls(const struct http_request *r);
int http_binding(const struct http_request *r, char out[TLS_BINDING_MAX], struct err *e) MUST_CHECK;

struct http_header_field {
	const char *name, *value;
};

struct http_answer {
	unsigned status;
	const char *type;            /* Content-Type; NULL: none */
	struct bytes body;           /* copied */
	int fd;                      /* > 0: the body is this whole file instead (duplicated) */
	const struct http_header_field *fields; /* ended by name NULL; NULL: none */
	bool close;                  /* and close the connection */
};
/*
 * Send the answer and forget the request.  Adds Content-Length, Date, X-Request-Id,
 * and Cache-Control: no-store unless fields has a Cache-Control (see http_local.plain_head).  HTTP/1.0 clients get a
 * 1.0 status line and a closed connection.  HEAD gets the head alone, 204 and 304 no body.
 * What cannot be sent (a line end in a field, a file that is none, a body above 16 MiB) becomes a 500.
 */
void http_answer(struct http_request *r, const struct http_answer *a);
/* The usual refusal: text/plain, "reason: text\nrequest: id\n" (see http_local.json_refusals). */
void http_refuse(struct http_request *r, unsigned status, const char *reason, const char *text,
    const struct http_header_field *fields);

#endif
