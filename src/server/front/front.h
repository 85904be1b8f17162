/* SPDX-License-Identifier: Apache-2.0 */
/* front/front.h - the front role's state: two listeners, one pipe, and the authority's last snapshot */
#ifndef SERVER_FRONT_FRONT_H
#define SERVER_FRONT_FRONT_H

#include <sys/queue.h>

#include "core/net/http.h"
#include "core/sys/pipe.h"
#include "server/proto/proto.h"
#include "server/proto/settings.h"

#define FRONT_WAITING   4096    /* enrolments with the authority at one time */
#define FRONT_ANSWER_MS 20000   /* for the authority; then the client is told to try again */
#define FRONT_PATIENCE_MS 3000  /* for the authority's first words; then clients hear 503 instead of waiting */
#define FRONT_HEALTH_MS 5000    /* without a word from the authority it is taken for dead */

/* A label as it was last told, with its own copies. */
struct front_label {
	struct proto_label v;
	struct buf cacerts_body, csrattrs_body; /* as they go out */
	char etag[40];
};

/* Labels and anchors that belong together. */
struct snapshot {
	size_t n;
	struct front_label **label;
	struct trust *trust;                   /* NULL once the TLS context has it */
	uint8_t anchors[SHA256_LEN];           /* digest of all anchors as told */
};
void snapshot_free(struct snapshot *s);
AUTO_DEFINE(snapshot, snapshot_free)
const struct front_label *snapshot_label(const struct snapshot *s, const char *name); /* NULL: none, or disabled */

/* A file of the public listener. */
struct published {
	SLIST_ENTRY(published) link;
	char path[128], type[64], etag[80];
	int fd;
};

/* An enrolment that the authority is deciding on. */
struct waiting {
	TAILQ_ENTRY(waiting) link;
	uint64_t id, deadline_ms;
	struct http_request *request;
	uint32_t wrap;
	bool cte;
};

struct front {
	struct loop *loop;
	struct settings settings;
	struct http_server *http;
	struct tls_server *tls;
	struct err tls_error;
	int device_fd, public_fd;              /* until front_listen() */
	struct pipe *authority;
	struct snapshot *now, *next;           /* in use; being told */
	SLIST_HEAD(, published) published;
	bool store_ok, signer_ok;
	char health[PROTO_TEXT_MAX];
	uint64_t health_at_ms;
	TAILQ_HEAD(waiting_list, waiting) waiting;
	size_t n_waiting;
	uint64_t last_id;
	struct loop_timer *timer;
	uint64_t started_ms;
};

/* main.c: begin to accept, once */
void front_listen(struct front *f);

/* told.c: what the authority tells */
extern const struct pipe_permit front_permits[];
bool front_ready(const struct front *f, const char **why);

/* est.c: RFC 7030's operations */
void est_serve(struct front *f, struct http_request *r);
void est_answered(struct front *f, struct pipe_msg *m);   /* PROTO_ENROLLED */
void est_give_up(struct front *f, const char *why, bool late_only); /* 503 for who waits */

/* public.c: published files */
void public_serve(struct front *f, struct http_request *r);
void public_take(struct front *f, struct pipe_msg *m);    /* PROTO_PUBLISH */

#endif
