/* SPDX-License-Identifier: Apache-2.0 */
/* net/conn_inside.h - what conn.c (one connection) and conn_pool.c (all of them) share; for no one else */
#ifndef CORE_NET_CONN_INSIDE_H
#define CORE_NET_CONN_INSIDE_H

#include <sys/queue.h>

#include "core/net/census.h"
#include "core/net/conn.h"
#include "core/net/transport.h"

/* Each phase has one length, so its queue is in the order of the deadlines. */
enum phase {
	PHASE_HANDSHAKE,
	PHASE_IDLE,   /* before and between requests */
	PHASE_HEAD,
	PHASE_BODY,
	PHASE_ANSWER,
	PHASE_LINGER, /* everything is said: the client's last octets are dropped */
	PHASE_GONE,   /* closed, but a request is still unanswered */
	PHASE_DEAD,   /* for conn_pool_reap() */
	PHASE_COUNT
};

TAILQ_HEAD(conn_queue, conn);

struct conn_pool {
	struct loop *loop;
	struct http_limits lim;
	const struct conn_hooks *hooks;
	void *ctx;
	struct census *census;
	struct loop_timer *tick;
	uint64_t length_ms[PHASE_COUNT]; /* UINT64_MAX: without end */
	uint64_t tick_ms;
	size_t count;
	bool ticking, draining, kicked;
	struct conn_queue queue[PHASE_COUNT];
	TAILQ_HEAD(, conn) ready; /* have an answer to send */
	TAILQ_HEAD(, conn) warm;   /* idle with a peer, in the order in which they became so */
	size_t n_ready, n_warm;
	uint8_t scratch[NET_RECORD];
};

struct conn {
	TAILQ_ENTRY(conn) link;
	struct conn_pool *pool;
	enum phase phase;
	uint64_t since_ms, until_ms; /* in this phase */
	struct transport t;
	struct loop_io *io;
	unsigned watched;
	struct census_entry *census;
	struct tls_peer *peer;  /* made when asked for; kept while requests come */
	TAILQ_ENTRY(conn) warm_link;
	uint64_t warm_until_ms; /* 0: not in `warm` */
	struct http_local local;
	uid_t uid;
	pid_t pid;
	bool busy;              /* one too many of its uid: to be told so, and nothing else */
	int tag;
	bool finished_out;      /* transport_finish() was called */
	/* the request under way */
	struct http_request *request;
	int inner;              /* of the decoder, while there is one; else -1 */
	struct buf in, out;
	TAILQ_ENTRY(conn) ready_link;
	bool ready;             /* in `ready` */
	size_t looked;          /* how far guard_end() has come in `in` */
	size_t need;            /* octets of `in` that are this request; chunked: unknown, 0 */
	size_t body_n;          /* of these, the body at their end */
	size_t fed;             /* octets of `in` that the decoder has */
	size_t wire;            /* octets of a chunked body so far */
	size_t put;             /* octets of `out` that the client has */
	bool asked;             /* it has had a request */
	bool v10, bodiless;     /* of the request under way, as far as it is known: HTTP/1.0, HEAD */
	bool chunked, expect, close, answered;
	int file;               /* follows `out`; -1: none */
	uint64_t file_at, file_left;
	size_t lingered;
	char id[HTTP_ID_MAX];
	char address[PEER_TEXT_MAX];
};

/* To the end of a phase's queue, with a new deadline. */
void conn_enter(struct conn *c, enum phase phase);
/* End the connection now.  The struct stays until it is reaped. */
void conn_close(struct conn *c);
/* Refuse what is under way with an answer of our own, and close. */
void conn_refuse(struct conn *c, unsigned status, const char *event, const char *text);
/* The loop's callback for the client's descriptor. */
void conn_event(void *ctx, int fd, unsigned events);
void conn_free_peer(struct conn *c);
void conn_unready(struct conn *c);
/* Send what there is of the answer, as far as it goes. */
void conn_send(struct conn *c);

#endif
