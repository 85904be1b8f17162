/* SPDX-License-Identifier: Apache-2.0 */
/* provision/cloud.h - requests to a service of the cloud: as whom, how often, until when, and what went wrong */
#ifndef DEVICE_PROVISION_CLOUD_H
#define DEVICE_PROVISION_CLOUD_H

#include "core/net/fetch.h"
#include "device/provision/provision_inside.h"

#define CLOUD_WAIT_MAX_S 60 /* a service that wants us to wait longer is asked again by identityd */

struct cloud {
	struct task_result *r;
	const json_t *args;
	/* Of the service. */
	char host[256];                 /* with its port */
	const char *name;               /* "DPS", "IoT hub": for people */
	const char *refused, *not_found; /* what can be done about 401, 404 */
	enum task_outcome on_not_found; /* what a 404 means */
	const char *policy;             /* of a token: skn, or NULL */
	struct buf resource;            /* what a token is for */
	struct buf trust;               /* PEM anchors */
	/* As whom. */
	struct key *key;                /* of the client certificate */
	struct keyd_handle handle;      /* of the key that signs tokens */
	struct buf token;               /* "Authorization: ..." */
	int64_t token_until;
	int64_t skew_s;                 /* the service's clock less ours, where that counted */
	/* When. */
	int64_t now;                    /* at start_ms */
	uint64_t start_ms, until_ms;    /* of clock_monotonic_ms() */
};

struct cloud_request {
	const char *method;
	const char *path;               /* with its query */
	const json_t *body;             /* NULL: none */
	bool if_match;                  /* "If-Match: *" */
};

struct cloud_reply {
	struct fetch_answer a;          /* status 0: there is none, and why tells */
	struct err why;
	bool repeated;                  /* an earlier attempt may have reached the service */
};

/*
 * c's members of the service are set by the caller, all others zero; resource must be there with auth "sas".
 * What fails is settled in c->r, here and below.
 */
int cloud_open(struct cloud *c, struct task_result *r, const json_t *args, int64_t now) MUST_CHECK;
void cloud_close(struct cloud *c);

/*
 * One attempt: 0 when there is an answer of whatever status (its status, Date and Retry-After are in c->r then), a
 * negative code when there is none (reply->why; nothing is settled), or when a token could not be made (which is
 * settled: *fatal).
 */
int cloud_try(struct cloud *c, const struct cloud_request *q, struct cloud_reply *reply, bool *fatal) MUST_CHECK;
/*
 * As many as args.attempts, as long as there is no answer or it is 429 or 5xx; with pauses, those that the service asks
 * for where it does.  0: there is an answer, and it says neither; everything else is settled.
 */
int cloud_run(struct cloud *c, const struct cloud_request *q, struct cloud_reply *reply) MUST_CHECK;
void cloud_reply_clear(struct cloud_reply *reply);

/* May a failed attempt be repeated with any hope?  Servers that are not who they should be are none to come back to. */
bool cloud_hopeful(const struct cloud_reply *reply);
/*
 * A 401, and the service's clock is far from ours: the next token is made for that clock, unless that is more than a
 * day ahead.  True once: ask again.
 */
bool cloud_other_clock(struct cloud *c, const struct cloud_reply *reply);
/* Settle what is no success: no answer, a status, a redirect. */
int cloud_settle(struct cloud *c, const struct cloud_reply *reply);
/* The answer's JSON; anything else is settled. */
int cloud_json(json_t **out, struct cloud *c, const struct cloud_reply *reply) MUST_CHECK;
/*
 * Wait for retry_after_s, or (-1) for usual_ms give or take a third.  False, at once: the deadline would pass, or that
 * is longer than we wait here.
 */
bool cloud_wait(const struct cloud *c, int64_t retry_after_s, unsigned usual_ms);

#endif
