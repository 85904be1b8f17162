/* SPDX-License-Identifier: Apache-2.0 */
/* service/api.h - the HTTP rules that all device services share: versions, routes, bodies, errors, who asks */
#ifndef DEVICE_SERVICE_API_H
#define DEVICE_SERVICE_API_H

#include <sys/types.h>

#include "core/codec/json.h"
#include "core/sys/loop.h"
#include "device/service/place.h"
#include "device/service/stem.h"

#define API_BODY_MAX    ((size_t)1024 * 1024)
#define API_VERSION_OWN "2026-11-01" /* what only Estuary's services speak: status, metrics, generations */
#define API_RETRY_S     "30"         /* the Retry-After of 429 and 503 */
#define API_ROOT_FACTOR 4            /* root may have so many times the connections of another user */
#define API_DRAIN_MS    10000u

enum api_body { API_NO_BODY, API_MAY_BODY, API_MUST_BODY };

/* One request under way; lives until one api_reply* or api_fail* call, which may come later. */
struct api_call {
	struct http_request *http;
	uid_t uid;
	pid_t pid;
	const char *method;
	size_t version;        /* index in the service's versions */
	char id[ID_MAX];       /* the variable segment, decoded; "" when the route has none */
	json_t *body;          /* parsed; NULL when there is none */
	void *ctx;             /* the service's */
	void *user;            /* the handler's own */
};

typedef void (*api_handler)(struct api_call *c);

/* A row of a service's table; ended by method NULL. */
struct api_route {
	const char *method;    /* "GET" */
	const char *path;      /* "/keypair/{id}": the variable is the rest of the path, which may hold '/' (IDs do) */
	enum api_body body;    /* PUT always needs JSON */
	size_t since;          /* index of the first version that has it */
	api_handler fn;
};

struct api_service {
	const char *name;               /* "aziot-keyd" */
	const char *const *versions;    /* ascending, ended by NULL */
	const struct api_route *routes;
	unsigned per_uid;               /* simultaneous connections of one user (max_requests), as of api_new() or api_limit() */
	bool close_when_full;           /* the original's way; otherwise 429 with Retry-After */
};

struct api;
/*
 * Listen and serve: on the descriptor that systemd passed (LISTEN_PID is ours; LISTEN_FDS is 1), else on place->socket
 * (0660; its directory is made, 0755).  Once it listens, logs "Starting server..." and tells the service manager
 * READY.  Requests and answers are logged as "<-- METHOD uri {headers}" and "--> STATUS {headers}", with headers that
 * cannot be secrets.  s is borrowed.  E_IO, E_EXISTS, E_USAGE: what was passed is no Unix socket, E_POLICY:
 * everybody may write the socket's directory.
 */
int api_new(struct api **out, struct loop *l, const struct api_service *s, const struct place *p, void *ctx,
    struct err *e) MUST_CHECK;
/* The service's per_uid has changed: it holds for the connections that come from now on. */
void api_limit(struct api *a);
/* Stop accepting, let calls under way finish (at most 10 s), then done. */
void api_drain(struct api *a, loop_fn done, void *ctx);
/* Calls under way go with it: nobody may answer them after. */
void api_free(struct api *a);

/* Answers end the call; c is gone after.  v NULL: no body, and 204 in the place of 200.  v is borrowed. */
void api_reply(struct api_call *c, unsigned status, const json_t *v);
void api_reply_text(struct api_call *c, const char *type, struct bytes text);
/*
 * {"message": text}; 500 says "internal error" and no more: the text goes to the log.  429 and 503 have a
 * Retry-After.
 */
void api_fail(struct api_call *c, unsigned status, const char *fmt, ...) PRINTF(3, 4);
/* 400 'parameter "NAME" has an invalid value\ncaused by: CAUSE'; without a cause when that is empty */
void api_fail_parameter(struct api_call *c, const char *name, const char *fmt, ...) PRINTF(3, 4);
/*
 * By the code of e: E_USAGE, E_FORMAT and E_NOTFOUND 400, E_AUTH 401, E_POLICY 403, E_TOOBIG 413, E_PENDING and
 * E_UNAVAIL 503, else 500.
 */
void api_fail_err(struct api_call *c, const struct err *e);

/* The last value of a parameter in the query, decoded, instead of what value holds; false when there is none. */
bool api_query(const struct api_call *c, const char *name, struct buf *value);
/* A required string member of the body (422 and false when absent or no string); *out is borrowed from the body. */
bool api_need_str(struct api_call *c, const char *member, const char **out);
/* A required member of standard base64 with padding, appended; 422 and false otherwise. */
bool api_need_base64(struct api_call *c, const char *member, struct buf *out);

#endif
