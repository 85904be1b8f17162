/* SPDX-License-Identifier: Apache-2.0 */
/* authority/authority.h - the authority role's state: one thing at a time, decided in memory, committed once */
#ifndef SERVER_AUTHORITY_AUTHORITY_H
#define SERVER_AUTHORITY_AUTHORITY_H

#include <sys/queue.h>

#include "core/codec/json.h"
#include "core/sys/pipe.h"
#include "server/fleet/enrol.h"
#include "server/proto/proto.h"
#include "server/proto/settings.h"

#define AUTHORITY_BATCH     128     /* enrolments that share one commit */
#define AUTHORITY_APART_MS  20      /* between the beginnings of two batches: a busy moment shares commits; twice that in a crowd */
#define AUTHORITY_CROWD     33      /* so many in one batch */
#define AUTHORITY_QUEUE     1024    /* requests that wait; over it fronts hear 503 */
#define AUTHORITY_TURN      64      /* questions of provisioning that share one commit */
#define AUTHORITY_SETTLE_MS 2000    /* how long an operator waits for fronts to follow */
#define AUTHORITY_SIGN_MS   5000    /* how long a signature may take, */
#define AUTHORITY_SIGNS_MS  100     /* and for each that was asked for before it: of the slowest key on a slow machine */
#define AUTHORITY_FRONTS    64
#define AUTHORITY_BUCKETS   4096
#define AUTHORITY_KEEP      ((size_t)4 << 20) /* octets freed after a batch that the next will need */

struct authority;

struct bucket {
	int64_t left, at; /* 0 at first: full since long ago */
};

struct question;
struct courier_call;

/* What waits for its turn: an enrolment, an operator's message, or a question of provisioning. */
struct work {
	struct work *next;
	struct authority *a;
	uint64_t peer, id;           /* whom to answer (struct peer's serial), and to which message */
	bool is_op;
	/* an enrolment, also one behind an operator's cert.request */
	struct buf body;             /* q borrows it */
	struct enrol x;
	bool silent;                 /* the outcome is not recorded */
	struct buf signature;
	struct enrol_operator as_operator;
	/* an operator's message */
	const struct verb *verb;
	json_t *args;
	json_t *result;              /* of a verb that is done, while fronts take it over */
	uint64_t snapshot, answer_at_ms;
	char actor[160];
	struct ca_plan *plan;        /* of ca.create */
	/* a question of provisioning; x is then the certificate that comes with its answer */
	struct question *ask;
	struct proto_enrol q;        /* large, so last: see work_new() */
};

/* A front or the console at the other end of a pipe. */
struct peer {
	uint64_t serial;             /* 0: free */
	enum role role;
	uint32_t instance;
	struct pipe *pipe;
	struct authority *a;
	uint64_t snapshot;           /* the last one that it has taken */
};

/* What stands below public/ for each CA. */
enum public_file { PUBLIC_CRL, PUBLIC_CERT };

/* How it stands with one CA; struct ca is made anew after every change, this is not. */
struct public_state {
	int64_t ca;                  /* its id; 0: free */
	bool looked, lost;           /* lost: the list's file was not there at the start, or was an older one */
	uint64_t retry_at_ms;        /* no list before then */
	char why[200];               /* why the last list could not be made; "" when it could */
	enum { PUBLIC_NOT_YET, PUBLIC_FAILED, PUBLIC_WRITTEN } cert;
};

/* fn gets the answer: E_OK and the body, or what went wrong. */
typedef void (*sign_fn)(void *ctx, enum err_code code, const char *why, struct pipe_msg *answer);
struct sign_call;

struct authority {
	struct loop *loop;
	struct settings settings;
	int64_t started_at;
	int lock;                    /* of the store: an authority that outlives its supervisor must not meet its successor */
	struct db *db;
	struct fleet *fleet;
	struct pipe *signer;
	TAILQ_HEAD(, sign_call) calls; /* in the order in which they were asked, which is that of the answers */
	size_t n_calls;
	struct pipe *courier;
	struct courier_call *errands;
	struct peer peers[2 * AUTHORITY_FRONTS + 4]; /* twice as many while fronts are replaced */
	uint64_t next_serial, next_call, next_errand;
	struct work *first, **last;
	struct work *spare;          /* for work_new() */
	size_t n_spare;
	struct work *settling;       /* done, but not yet in force at every front */
	uint64_t snapshot;           /* number of the last one sent */
	size_t n_waiting;
	bool busy;                   /* a batch, an operator's verb or a CRL is under way */
	struct batch *batch;
	uint64_t batch_at_ms;        /* when the last one began; 0: the next need not wait */
	unsigned apart_ms;           /* what the next one is to wait from then on */
	struct loop_timer *tick, *pace;
	bool store_ok;
	bool behind;                 /* something was committed that fleet does not have yet; then store_ok is false */
	char store_why[200];
	/* how many refusals and retries may still be recorded one by one; see record.c */
	struct bucket strangers, known[AUTHORITY_BUCKETS], issued[AUTHORITY_BUCKETS];
	int64_t dropped, dropped_noted;
	struct public_state published[FLEET_CAS];
	char crl_why[200];           /* of the first CA whose revocation list could not be made; "" when all could */
	bool draining;
	struct work *reload;         /* server.reload, which waits for what comes of it */
	char reload_why[PROTO_TEXT_MAX]; /* why the files as they are now are not in force; "": they are */
};

/* authority.c: peers, the queue, health */
void authority_next(struct authority *a);              /* start the next work, unless busy */
void authority_done(struct authority *a);              /* what was under way is over */
void authority_queue(struct authority *a, struct work *w);
void authority_send(struct authority *a, uint64_t peer, uint32_t type, uint64_t id, struct bytes body);
void authority_store_state(struct authority *a, bool ok, const char *why);
/* After a commit: memory follows.  When the store cannot be read it counts as lost, until the tick finds that it can. */
void authority_follow(struct authority *a);
bool authority_signer_ok(const struct authority *a);
void authority_attach(struct authority *a, enum role r, uint32_t instance, int fd); /* fd is ours from here on */
/* From who is at the other end of peer, as its message id; empty.  Those that were freed are used again: they are large. */
struct work *work_new(struct authority *a, uint64_t peer, uint64_t id);
void work_free(struct work *w);
bool work_alone(const struct work *w);                 /* shares no commit with enrolments */
void work_free_spare(struct authority *a);             /* before the authority itself */

/* snapshot.c: what fronts need to know */
void snapshot_send(struct authority *a, struct peer *p);
void snapshot_send_all(struct authority *a);
void snapshot_health(struct authority *a, struct peer *p); /* NULL: to all fronts */
/* Send one published file of the CA `name` to a front, or to all when p is NULL; nothing when it is not there yet. */
void snapshot_publish(struct authority *a, struct peer *p, enum public_file kind, const char *name);
#define PUBLIC_PATH_MAX (SETTINGS_PATH_MAX + 128)
void public_path(char path[PUBLIC_PATH_MAX], const struct authority *a, enum public_file kind, const char *name);

/* batch.c: many enrolments, one commit */
void batch_run(struct authority *a);

/* record.c: how much of what changes nothing is recorded one by one */
/* May one more be, of who was known as actor, "" for strangers?  If not it is counted. */
bool record_allowed(struct authority *a, const char *actor, int64_t now);
/* May this device have one more certificate now?  Each costs the store as much as a record. */
bool record_may_issue(struct authority *a, const char *device, int64_t now);
/* Put a note on what was only counted into the open transaction, once a minute. */
int record_note_dropped(struct authority *a, int64_t now, struct err *e) MUST_CHECK;

/* ask.c: questions to the provisioning service and the hub stand-in */
void ask_receive(struct authority *a, uint64_t peer, struct pipe_msg *m);
void ask_run(struct authority *a);                     /* those at the head of the queue */
void ask_free(struct question *ask);
/* A webhook's answer for a registration: recorded as work of its own.  why: there is none. */
void ask_allocated(struct authority *a, const char *registration, const char *operation, struct bytes answer,
    const char *why);

/* courier.c: webhooks, by way of the courier */
void courier_attach(struct authority *a, int fd);
/* Have the body sent; what comes back goes to ask_allocated().  When nobody could be asked, nothing does: the device asks again. */
void courier_ask(struct authority *a, const char *url, struct bytes body, const char *registration,
    const char *operation);
void courier_free(struct authority *a);

/* sign.c: questions to the signer */
void sign_attach(struct authority *a, int fd);
/* Ask the signer for a signature, or send type with body; fn is called exactly once, never from inside. */
void sign_ask(struct authority *a, uint32_t type, struct bytes body, sign_fn fn, void *ctx);
void sign_tbs(struct authority *a, const char *key_id, enum proto_what what, struct bytes tbs, sign_fn fn, void *ctx);
int sign_signature(struct bytes *sig, const struct pipe_msg *answer, struct err *e) MUST_CHECK;
void sign_expire(struct authority *a);                 /* each second */

/* crl.c: lists on schedule and after each revocation, and CAs' certificates */
bool crl_run_due(struct authority *a);                 /* true: one is under way now */
/* Build the CA's list now, whatever its schedule says; fn as for sign_ask(), without an answer. */
void crl_build(struct authority *a, struct ca *ca, sign_fn fn, void *ctx);
/* Write and publish the certificates of CAs that were not yet; what fails is logged, and tried again by the tick. */
void crl_put_certs(struct authority *a);

/* op.c: the operator's verbs */
void op_receive(struct authority *a, uint64_t peer, struct pipe_msg *m);
void op_run(struct work *w);
void op_done(struct work *w, json_t *result);          /* takes result; NULL is {}; w is op.c's from here on: fronts follow before it is answered */
void op_fail(struct work *w, const struct err *e);     /* frees w */
void op_cert_requested(struct work *w);                /* op_fleet.c: the enrolment behind cert.request is decided and committed */
/* Answer the verbs that are in force everywhere by now, or have waited long enough. */
void op_settle(struct authority *a);
/*
 * Commit the open transaction with an audit record of what was done, then make memory and fronts follow.  Once it is
 * committed this is 0, also when memory cannot follow yet: look for nothing new in a->fleet without asking.
 */
int op_commit(struct work *w, const char *object, const char *text, struct err *e) MUST_CHECK;

#define VERB_READ  1
#define VERB_WRITE 2   /* runs inside a transaction that op.c commits and records */
#define VERB_ASYNC 3   /* answers by itself */
struct verb {
	const char *name;
	int kind;
	const char *args;    /* names, blank between; '!' behind a required one */
	/* *result belongs to the caller.  ASYNC verbs return 0 and call op_done() or op_fail() later. */
	int (*fn)(struct work *w, json_t **result, struct err *e);
};
/* op_ca.c, op_policy.c (labels, profiles), op_access.c (credentials, trust, operators), op_fleet.c (devices, certificates, events), op_audit.c */
extern const struct verb op_ca_verbs[], op_policy_verbs[], op_access_verbs[], op_fleet_verbs[], op_audit_verbs[];
/* op_provision.c (ID scope, hubs, modules), op_dps_ca.c (uploaded CAs), op_enrolment.c (groups, enrolments), op_registration.c */
extern const struct verb op_provision_verbs[], op_dps_ca_verbs[], op_enrolment_verbs[], op_registration_verbs[];

/* op_ca.c: what came of a reload, an operator's or another. */
void op_reloaded(struct authority *a, const struct proto_reloaded *r);

/* An argument's text, or def when it is not there. */
const char *op_arg(const struct work *w, const char *name, const char *def);
/* One page of a list, as the arguments `after` and `limit` ask for it. */
struct op_page {
	json_t *items;
	int64_t after, limit, n, last;
};
struct op_page op_page(const struct work *w);
int op_page_add(struct op_page *p, json_t *item, int64_t id);   /* takes item; always 0, to end a row callback with */
json_t *op_page_end(struct op_page *p);                         /* {"items", "next"}; next only when the page is full */
json_t *op_items(json_t *items);                                /* a list that is never long; takes items */
/* PEM of a certificate, or of several, as a JSON string. */
json_t *op_pem(const struct bytes *der, size_t n);
json_t *op_chain_pem(const struct ca *ca, struct bytes leaf); /* leaf n 0: the CA's own chain */

/*
 * op_anchor.c: a CA certificate that an operator brings.  op_anchor_read() reads the one in the argument `pem` into der,
 * which c borrows: a CA's, in its time, not weak, and not another certificate for name or key of a CA of ours; *ours is
 * ours when it is the very same, or NULL.  what begins every error: "trust 'x'".  E_USAGE, E_FORMAT, E_POLICY.
 */
int op_anchor_read(struct work *w, const char *what, struct buf *der, struct cert *c, const struct ca **ours,
    struct err *e) MUST_CHECK;
bool op_anchor_issued(const struct cert *issuer, const struct cert *c); /* by name and signature */
/* E_POLICY when chains that end at an outside CA today (or at an uploaded one) would end at this one, or could. */
int op_anchor_beside_outside(struct work *w, const char *what, const struct cert *c, struct err *e) MUST_CHECK;
int op_anchor_beside_uploaded(struct work *w, const char *what, const struct cert *c, struct err *e) MUST_CHECK;
/* For a new CA of ours: is its subject nobody's that an operator brought?  E_POLICY. */
int op_anchor_name_free(struct work *w, const char *what, const struct name *subject, struct err *e) MUST_CHECK;

/* The ID scope, made when there is none (in the caller's transaction), and devices' address: "id_scope", "endpoint". */
int op_put_scope(struct work *w, json_t *v, struct err *e) MUST_CHECK;
/* Take a CA of ours for groups, under its own name, unless it is there: its row.  E_NOTFOUND: no such CA of either kind. */
struct dps_ca_row;
int op_dps_ca(struct work *w, const char *name, struct dps_ca_row *r, struct err *e) MUST_CHECK;

#endif
