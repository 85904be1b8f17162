/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_inside.h - a request, as http.c keeps it and http_request.c reads and answers it */
#ifndef CORE_NET_HTTP_INSIDE_H
#define CORE_NET_HTTP_INSIDE_H

#include <sys/queue.h>

#include "core/net/conn.h"
#include "core/net/http.h"

enum request_state {
	REQUEST_COMING,   /* the body is not whole */
	REQUEST_ASKED,    /* the handler has it */
	REQUEST_ANSWERED,
};

TAILQ_HEAD(request_queue, http_request);

/*
 * Three hold a request: its connection (conn), libmicrohttpd while it decodes the body (in_mhd),
 * and while it is ASKED the handler.  It goes when the last lets go.
 */
struct http_request {
	TAILQ_ENTRY(http_request) link;
	struct request_queue *queue; /* decoding or asked, or NULL */
	struct http_server *server;
	struct conn *conn;
	bool in_mhd;
	enum request_state state;
	struct guard guard;
	char *head, *target, *query;    /* target is cut at its '?' */
	struct buf path, body;
	char id[HTTP_ID_MAX];
};

/* The handler has let go: no more than one answer.  What follows it is looked at when the turn ends. */
void request_answered(struct http_request *r);
/* Free it, if nobody holds it. */
void request_release(struct http_request *r);

#endif
