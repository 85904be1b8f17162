/* SPDX-License-Identifier: Apache-2.0 */
/* net/conn.h - a client's connection: phases with absolute deadlines, guarded heads in, whole answers out */
#ifndef CORE_NET_CONN_H
#define CORE_NET_CONN_H

#include "core/net/guard.h"
#include "core/net/http.h"
#include "core/net/listener.h"

/*
 * A connection takes heads that the guard has judged, with their bodies, and sends one answer a
 * request.  A body in chunks goes through an inner descriptor, at whose other end an HTTP library
 * decodes it; it is the last one of its connection, since how far that library has read is not known.
 *
 * All work is done from events; whatever a hook below or a conn_* call leaves to do is done
 * by `settle`, which the owner runs last in each event.  Connections that are over
 * stay valid until conn_pool_reap().
 */
struct conn;
struct conn_pool;

/* What the owner does; `r` is what its open() returned. */
struct conn_hooks {
	/*
	 * Judge a whole head (borrowed).  NULL and *no filled refuses it; its v10 and bodiless are
	 * filled in any case.  Otherwise *g is borrowed until finished().
	 */
	struct http_request *(*open)(void *ctx, struct conn *c, struct bytes head, const struct guard **g,
	    struct guard_no *no);
	/* The request is whole; its body (borrowed for the call) was not in chunks. */
	void (*whole)(void *ctx, struct http_request *r, struct bytes body);
	/* Where head and chunks are to be written (owned by the connection from here on), or -1. */
	int (*decoder)(void *ctx, struct http_request *r);
	/*
	 * The connection is done with r.  true: the owner still needs the connection (an
	 * answer is due): it stays valid until conn_forget().
	 */
	bool (*finished)(void *ctx, struct http_request *r);
	http_refused refused;
	loop_fn settle;
};

struct conn_pool *conn_pool_new(struct loop *l, const struct http_limits *lim, const struct conn_hooks *hooks,
    void *ctx);
void conn_pool_free(struct conn_pool *p); /* closes everything */
/* Where connections come from: borrowed for the call, but for tls. */
struct conn_source {
	struct tls_server *tls;      /* NULL: plain */
	const struct http_local *local; /* copied; NULL: not such a listener */
	int tag;
};
/* Take an accepted descriptor (owned), or close it when a cap forbids it. */
void conn_pool_take(struct conn_pool *p, int fd, const struct sockaddr_storage *from,
    const struct conn_source *source);
size_t conn_pool_count(const struct conn_pool *p);
/* From now on every answer closes; what is idle is closed at once, everything when `now`. */
void conn_pool_drain(struct conn_pool *p, bool now);
void conn_pool_reap(struct conn_pool *p);
/* Has octets for a decoder, or closed one, since the last call? */
bool conn_pool_kicked(struct conn_pool *p);
/* Send the answers that were given since the last call, as far as they go; false when there were none. */
bool conn_pool_send(struct conn_pool *p);

/* Move octets to the decoder as far as they go. */
void conn_decode(struct conn *c);
/* The decoder has seen the end of the body; it is closed. */
void conn_body_end(struct conn *c);
/* The body is too long: answer 413 and close. */
void conn_body_over(struct conn *c);

#define CONN_BODY_MAX BUF_DEFAULT_MAX /* octets of a body in memory */

/* A final answer: head and body in memory, then the first `file_octets` of a file. */
struct conn_answer {
	struct bytes head, body;
	int file;              /* owned by the connection once taken; -1: none */
	uint64_t file_octets;
	bool close;            /* and the connection ends with it */
};
/* Keep the answer to be sent by `settle`.  false when the connection does not want one any more: nothing was taken. */
bool conn_answer(struct conn *c, const struct conn_answer *a);
/* Must the answer say that the connection closes? */
bool conn_closing(const struct conn *c);
void conn_forget(struct conn *c); /* the request is over for the owner */

/* Of the connection; borrowed while it is valid. */
int conn_tag(const struct conn *c);
const char *conn_id(const struct conn *c); /* of the request under way */
const char *conn_address(const struct conn *c);
uid_t conn_uid(const struct conn *c);
pid_t conn_pid(const struct conn *c);
const struct http_local *conn_local(const struct conn *c); /* all 0 when its listener has no such options */
const struct tls_peer *conn_peer(struct conn *c); /* NULL: plain */
int conn_binding(const struct conn *c, char out[TLS_BINDING_MAX], struct err *e) MUST_CHECK;

#endif
