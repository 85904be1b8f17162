/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/talk.h - one EST server as a job describes it: what it may see of us, and what its answers mean */
#ifndef DEVICE_ENROL_TALK_H
#define DEVICE_ENROL_TALK_H

#include "core/est/client.h"
#include "core/net/fetch.h"
#include "device/enrol/job.h"

struct talk {
	const struct job *j;
	char base[JOB_URL_MAX + 1];     /* ends in "/" */
	bool plain;                     /* http: nobody is verified, so nothing of ours is shown */
	struct key *key;                /* of the client pair; NULL: none is shown */
	struct buf chain, password;
	const char *headers[JOB_HEADERS_MAX + 3];
	uint64_t until_ms;              /* of clock_monotonic_ms() */
};

/* Check the URL and the trust, open the client's key; what fails is settled in *r. */
int talk_open(struct talk *t, const struct job *j, struct job_result *r) MUST_CHECK;
void talk_close(struct talk *t);

/*
 * GET /cacerts.  The client pair is shown, for there are servers that want it in every handshake; password and
 * headers only when a first answer was 401, for a one-time code is for one request.  As fetch_run().
 */
int talk_cacerts(struct talk *t, struct fetch_answer *a, struct err *e) MUST_CHECK;
/* Connect to the URL and verify who is there; nothing is sent.  As fetch_run(). */
int talk_connect(struct talk *t, struct fetch_answer *a, struct err *e) MUST_CHECK;
/* POST body, or what make makes on the connection that carries it, to the operation.  As fetch_run(). */
int talk_enrol(struct talk *t, struct fetch_answer *a, struct bytes body,
    int (*make)(void *, const struct fetch_connection *, struct buf *, struct err *), void *ctx,
    struct err *e) MUST_CHECK;
/* "simpleenroll" or "simplereenroll". */
const char *talk_operation(const struct talk *t);

/*
 * What an exchange means (rc and e of fetch_run()): 0 for a 200 with a body of certificates, anything else is settled
 * in *r, by outcome, check and text.  Also there: the server's clock, request ID, status, and whether it took the pair.
 */
int talk_judge(struct job_result *r, const struct talk *t, const char *operation, int rc, const struct fetch_answer *a,
    const struct err *e) MUST_CHECK;

#endif
