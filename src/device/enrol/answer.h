/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/answer.h - judging what an EST server issued, before anything of ours is replaced */
#ifndef DEVICE_ENROL_ANSWER_H
#define DEVICE_ENROL_ANSWER_H

#include "core/est/client.h"
#include "device/enrol/job.h"

/* What the certificate must be. */
struct answer_want {
	struct bytes spki;
	const struct name *subject; /* NULL: old's, octet for octet */
	const struct sans *sans;    /* what was asked for */
	const struct cert *old;     /* its names are ours too; NULL: none */
	bool ca;                    /* a CA certificate was asked for */
	bool any_name;
};

/* What it may be judged by; PEM. */
struct answer_trust {
	struct bytes anchors;
	struct bytes between;       /* CA certificates that chain to them */
};

/* An answer to an enrolment.  What it cannot be is settled: "empty", "too-big", "garbage". */
int answer_parse(struct est_bag *bag, struct job_result *r, struct bytes body) MUST_CHECK;

/*
 * The certificate for our key (by the whole SPKI, never by position), in PEM.  Each check that fails is settled by
 * its name: "wrong-key"; "expired", "not-yet-valid" (EST_SKEW_S allowed); "is-a-ca"; "wrong-name"; "untrusted".
 * Names: the device that the request speaks of (its CN, else serialNumber, else first dNSName) must be named by the
 * subject, alone or as a whole word of a server's template ("pump-7 Edge CA"); an alternative name must have been
 * asked for, stand in `old`, or be made of that device's name ("pump-7.lab.example").  Names that are missing, or
 * other attributes of the subject, are told in r->note.
 */
int answer_judge(struct buf *leaf_pem, struct job_result *r, const struct est_bag *bag, const struct answer_want *w,
    const struct answer_trust *t, int64_t now) MUST_CHECK;

/*
 * r->chain: the leaf, those that lead from it upwards, and for the original's users the rest of /cacerts, each once.
 * Self-signed certificates that are not among `roots` (PEM: anchors, and those they vouch for), and those too weak
 * for TLS, are left out, with a note.
 */
int answer_chain(struct job_result *r, struct bytes leaf_pem, const struct est_bag *answer, const struct est_bag *cas,
    const struct answer_trust *t, struct bytes roots, int64_t now) MUST_CHECK;

#endif
