/* SPDX-License-Identifier: Apache-2.0 */
/* provision/asking.h - what the steps of one decision share; inside this room alone */
#ifndef SERVER_PROVISION_ASKING_H
#define SERVER_PROVISION_ASKING_H

#include "core/codec/json.h"
#include "server/fleet/own.h"
#include "server/fleet/trace.h"
#include "server/provision/attest.h"
#include "server/provision/provision.h"

struct asking {
	struct provision *p;
	struct fleet *f;
	const struct proto_ask *q;
	int64_t now;
	bool stop;                       /* the outcome is settled: no further step */
	char scope[ASK_ID_MAX];          /* ours */
	char registration[PROVISION_ID_MAX]; /* that is asked about, in lower case */
	const char *cn;                  /* of the certificate; NULL: none, or several */
	enum cert_factor factor;         /* what was found out about the certificate ... */
	enum attest_cert cert;           /* ... and what it may count for */
	bool own;                        /* it is ours, recorded and live */
	struct cert_row own_row;
	bool enrolled;                   /* `enrolment` speaks for the registration: who asks has proved it */
	struct enrolment_row enrolment;
	bool known;                      /* there is a record, in p->registration; p->put_registration: with changes */
};

/* Steps go on, settle the outcome (stop), or fail because the store did. */
typedef int (*asking_fn)(struct asking *s, struct err *e);

/* Settle as a refusal; always 0, to end a step with. */
int asking_refuse(struct asking *s, unsigned status, const char *reason, const char *fmt, ...) PRINTF(4, 5);
/* Settle with a body (taken) or none. */
int asking_answer(struct asking *s, unsigned status, json_t *body);
void asking_note(struct asking *s, enum trace_mark mark, const char *rule, const char *fmt, ...) PRINTF(4, 5);

/* judge.c: the certificate by itself: what may it count for? */
int judge_certificate(struct asking *s, struct err *e) MUST_CHECK;
/*
 * ... and is it under a CA that a group names?  only: it must be this group, or a nearer one that is disabled; 0: any.
 * Fills s->enrolment, or refuses.
 */
int judge_chain(struct asking *s, int64_t only, struct err *e) MUST_CHECK;

/*
 * prove.c: has who asks proved to be s->registration?  The table's way is gone to its end: s->enrolled and
 * s->enrolment, or the outcome is settled.  only: the enrolment that may speak, which is in s->enrolment; 0: an
 * individual one (kind), which is there too, or any group.
 */
int prove(struct asking *s, enum attest_kind kind, int64_t only, struct err *e) MUST_CHECK;
enum attest_kind prove_kind(const struct enrolment_row *r);

/* tpm_key.c: the keys that a TPM was given */
int tpm_key_challenge(struct asking *s, struct err *e) MUST_CHECK;
/* Is the token signed with one that counts?  One that is proved by this is noted in p->registration. */
int tpm_key_proves(struct asking *s, struct err *e) MUST_CHECK;

/* allocate.c: the hub of a registration, or *ask: a webhook is to say.  "": there is none to choose. */
int allocate(struct asking *s, char hub[ROW_TEXT_MAX], bool *ask, struct err *e) MUST_CHECK;
/* Is the hub enabled, and one of the enrolment's? */
bool allocate_may(const struct enrolment_row *n, const struct hub_row *r);
int allocate_allows(struct db *d, const struct enrolment_row *r, const char *hub, bool *allowed, struct err *e) MUST_CHECK;
/* The weighted rendezvous: what the hub bids for the registration; the lowest bid wins (see allocate_wins()). */
uint64_t allocate_bid(const char *hub, const char *registration);
bool allocate_wins(uint64_t bid, int64_t weight, uint64_t other_bid, int64_t other_weight);

/* webhook.c: what a webhook is asked, into p */
int webhook_ask(struct asking *s, struct err *e) MUST_CHECK;

/* state.c: a record as its device sees it, with the certificate that it was given last, while that is good */
int state_json(json_t **out, struct asking *s, struct err *e) MUST_CHECK;
/* "issuedCertificateChain" of a registration's state: base64 of the DER certificates, the leaf first. */
void state_put_chain(json_t *state, const struct bytes *chain, size_t n);

/* register.c: the three questions of the provisioning service */
int register_device(struct asking *s, struct err *e) MUST_CHECK;
int register_operation(struct asking *s, struct err *e) MUST_CHECK;
int register_status(struct asking *s, struct err *e) MUST_CHECK;
/* The device ID that the registration has or would have. */
const char *register_device_id(struct asking *s);

/* hub.c: a question to the hub */
int hub_decide(struct asking *s, struct err *e) MUST_CHECK;

#endif
