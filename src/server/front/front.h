/* SPDX-License-Identifier: Apache-2.0 */
/* front/front.h - the front role's state: two listeners, one pipe, and the authority's last snapshot */
#ifndef SERVER_FRONT_FRONT_H
#define SERVER_FRONT_FRONT_H

#include <sys/queue.h>

#include "core/net/http.h"
#include "core/sys/pipe.h"
#include "server/proto/proto.h"
#include "server/proto/settings.h"

#define FRONT_WAITING   4096    /* requests with the authority at one time */
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
	bool bad;                              /* a label of it could not be read: it is never in use */
};
void snapshot_free(struct snapshot *s);
AUTO_DEFINE(snapshot, snapshot_free)
const struct front_label *snapshot_label(const struct snapshot *s, const char *name); /* NULL: none, or disabled */
/* The label that a target speaks of, "" for the default one; NULL when its base path is no label's. */
const char *snapshot_name(const struct snapshot *s, const struct est_target *t);

/* A file of the public listener. */
struct published {
	SLIST_ENTRY(published) link;
	char path[128], type[64], etag[80];
	int fd;
};

struct waiting;
/* What may wait: which message answers it, and how the client hears that, or that no answer came. */
struct waiting_kind {
	uint32_t type;
	void (*answered)(struct waiting *w, struct bytes body);
	void (*unavailable)(struct http_request *r, const char *why);
};

/* A request that the authority is deciding on. */
struct waiting {
	TAILQ_ENTRY(waiting) link;
	const struct waiting_kind *kind;
	uint64_t id, deadline_ms;
	struct http_request *request;
	/* of an enrolment */
	uint32_t wrap;
	bool cte;
};

struct front {
	struct loop *loop;
	struct settings settings;
	struct http_server *http, *public_http; /* apart: strangers' connections take no device's place */
	unsigned n_draining;
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

/* judge.c: what a client presented, as plain values */
void judge_client(struct proto_enrol *q, const struct http_request *r); /* request id, address, connection, certificate */
/* A certificate signing request, in any form that est_request_der() takes; only who may come in hears what is wrong with it. */
void judge_request(struct proto_enrol *q, const struct http_request *r, struct bytes text, struct buf *der);
void judge_refuse(struct proto_enrol *q, unsigned status, const char *reason, const char *text); /* instead of a request */
void judge_note(struct proto_enrol *q, const char *text);  /* what was lenient; NULL: nothing was */

/* waiting.c: requests that the authority is deciding on */
/* Is there room for one more?  If not, the client has heard so. */
bool waiting_room(struct front *f, struct http_request *r, const struct waiting_kind *k);
/* Ask the authority; NULL: it cannot be asked, and the client has heard so. */
struct waiting *waiting_ask(struct front *f, struct http_request *r, const struct waiting_kind *k, uint32_t type,
    const struct buf *body);
void waiting_answered(struct front *f, struct pipe_msg *m);
void waiting_give_up(struct front *f, const char *why, bool late_only); /* 503 for who waits */

/* est.c: RFC 7030's operations */
void est_serve(struct front *f, struct http_request *r);

/* provision.c: the provisioning service and the hub stand-in; false: the path is not theirs */
bool provision_serve(struct front *f, struct http_request *r);

/* public.c: published files */
void public_serve(struct front *f, struct http_request *r);
void public_take(struct front *f, struct pipe_msg *m);    /* PROTO_PUBLISH */

#endif
