/* SPDX-License-Identifier: Apache-2.0 */
/* authority/ask.c - questions to the provisioning service and the hub: decided, signed for, committed, answered */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/sys/log.h"
#include "server/authority/authority.h"
#include "server/provision/provision.h"

/* A device's question, or what a webhook said about one. */
struct question {
	struct provision p;
	struct enrol_operator sponsor;       /* vouches for the request of a register call */
	char sponsor_name[sizeof(((struct provision *)NULL)->actor)];
	bool alone;                          /* is to have a commit of its own */
	/* of a webhook */
	bool allocated;
	char registration[PROVISION_ID_MAX], operation[65], why[PROTO_TEXT_MAX];
	struct buf said;
	struct proto_ask q;                  /* large, so last */
};

/*
 * Questions that wait share a commit: each is decided when the ones before it are written, in the same transaction,
 * so it sees what they did.  One that gets a certificate is decided last, and committed by itself once that is signed.
 */
struct turn {
	struct authority *a;
	struct audit before;
	bool open;                           /* the transaction is */
	size_t n;
	struct work *work[AUTHORITY_TURN];
};

void
ask_free(struct question *ask)
{
	if (ask == NULL)
		return;
	provision_clear(&ask->p);
	buf_free(&ask->said);
	mem_free_wiped(ask, sizeof(*ask));
}

/* An answer without a body is put into words by the front. */
static void
refuse_at_once(struct authority *a, uint64_t peer, uint64_t id)
{
	struct proto_asked r = { .status = 503, .reason = "server.busy", .retry_after_s = 5 };
	AUTO_BUF b = { 0 };

	proto_put_asked(&b, &r);
	authority_send(a, peer, PROTO_ASKED, id, bytes_of_buf(&b));
}

void
ask_receive(struct authority *a, uint64_t peer, struct pipe_msg *m)
{
	struct work *w;
	struct err e = { 0 };

	if (a->n_waiting >= AUTHORITY_QUEUE) {
		refuse_at_once(a, peer, m->id);
		return;
	}
	w = work_new(a, peer, m->id);
	w->ask = mem_zalloc(sizeof(*w->ask));
	buf_put_bytes(&w->body, m->body);
	if (proto_get_ask(&w->ask->q, bytes_of_buf(&w->body), &e) != 0) {
		log_event(L_ERROR, "front.message", "why=%s", e.msg);
		work_free(w);
		refuse_at_once(a, peer, m->id);
		return;
	}
	authority_queue(a, w);
}

void
ask_allocated(struct authority *a, const char *registration, const char *operation, struct bytes answer,
    const char *why)
{
	struct work *w = work_new(a, 0, 0);
	struct question *ask = mem_zalloc(sizeof(*ask));

	w->ask = ask;
	ask->allocated = true;
	text_copy(ask->registration, sizeof(ask->registration), registration);
	text_copy(ask->operation, sizeof(ask->operation), operation);
	text_copy(ask->why, sizeof(ask->why), why);
	buf_put_bytes(&ask->said, answer);
	authority_queue(a, w);
}

/* --- what was decided, written and told --- */

static bool
changes(const struct work *w)
{
	const struct provision *p = &w->ask->p;

	return p->put_registration || p->module_change != PROVISION_NO_MODULE || w->x.kind == ENROL_ISSUE || w->x.fork;
}

/* One outcome into the transaction, which begins with the first that has something to write. */
static int
write_one(struct turn *t, struct work *w, int64_t now, struct err *e)
{
	struct authority *a = t->a;
	struct question *ask = w->ask;
	int rc = 0;

	if (!changes(w) && (ask->p.silent || !record_allowed(a, ask->p.actor, now)))
		return 0;
	if (!t->open && (rc = db_begin(a->db, e)) != 0)
		return rc;
	t->open = true;
	rc = provision_record(&ask->p, a->fleet, ask->allocated ? NULL : &ask->q, now, e);
	if (rc == 0 && (w->x.kind == ENROL_ISSUE || w->x.fork))
		rc = enrol_record(&w->x, a->fleet, bytes_of_buf(&w->signature), now, e);
	return rc;
}

static void
answer(struct work *w)
{
	struct provision *p = &w->ask->p;
	struct proto_asked r = { .status = p->status, .retry_after_s = p->retry_after_s,
		.body = bytes_of_buf(&p->body) };
	AUTO_BUF b = BUF_MAX(PIPE_MAX);

	if (w->ask->allocated)
		return;
	text_copy(r.reason, sizeof(r.reason), p->reason);
	proto_put_asked(&b, &r);
	authority_send(w->a, w->peer, PROTO_ASKED, w->id, bytes_of_buf(&b));
}

/* What leaves once it is committed: the certificate's chain, a question to a webhook, the answer. */
static void
follow(struct work *w)
{
	struct provision *p = &w->ask->p;
	struct bytes chain[8];
	size_t n = 0;

	if (w->x.kind != ENROL_REFUSED) {
		chain[n++] = bytes_of_buf(&w->x.cert.der);
		n += fleet_chain(w->x.ca, &chain[n], N_OF(chain) - n);
		provision_issued(p, chain, n);
	}
	if (p->webhook[0] != 0)
		courier_ask(w->a, p->webhook, bytes_of_buf(&p->webhook_body), p->registration.registration,
		    p->registration.operation);
	answer(w);
	work_free(w);
}

static void
refuse_unwritten(struct work *w, const char *reason, const struct err *e)
{
	log_event(L_WARN, "ask.not-recorded", "request=%s why=%s", w->ask->q.q.id, e->msg);
	if (!w->ask->allocated)
		provision_refuse(&w->ask->p, &w->ask->q, 503, reason, "%s", e->msg);
	answer(w);
	work_free(w);
}

/* Back to where it came from, as if nothing had been decided: the next time it does not share a commit. */
static void
put_back(struct work *w)
{
	struct authority *a = w->a;

	provision_clear(&w->ask->p);
	enrol_clear(&w->x);
	buf_reset(&w->signature);
	w->ask->alone = true;
	if ((w->next = a->first) == NULL)
		a->last = &w->next;
	a->first = w;
	a->n_waiting++;
}

/* Commit, and tell everybody; rc: what went wrong already.  last, or NULL: was decided behind them, and is written later. */
static bool
settle(struct turn *t, int rc, struct work *last, struct err *e)
{
	struct authority *a = t->a;
	bool store;

	if (rc == 0 && t->open && (rc = record_note_dropped(a, clock_now(), e)) == 0) {
		rc = db_commit(a->db, e);
		t->open = rc == 0;
	}
	for (size_t i = 0; rc == 0 && i < t->n; i++)
		follow(t->work[i]);
	if (rc == 0)
		return true;
	db_rollback(a->db);
	a->fleet->audit = t->before;
	store = rc == E_UNAVAIL || rc == E_IO;
	if (store)
		authority_store_state(a, false, e->msg);
	if (last != NULL)
		put_back(last);
	for (size_t i = t->n; i-- > 0;) {
		if (!store && t->n > 1) /* one of them cannot be written: which? */
			put_back(t->work[i]);
		else
			refuse_unwritten(t->work[i], store ? "server.store" : "server.conflict", e);
	}
	return false;
}

static void
commit(struct work *w)
{
	struct turn t = { .a = w->a, .before = w->a->fleet->audit, .n = 1, .work = { w } };
	struct err e = { 0 };

	(void)settle(&t, write_one(&t, w, clock_now(), &e), NULL, &e);
	authority_done(t.a);
}

/* --- the certificate that comes with a registration --- */

static void
refuse_certificate(struct work *w, unsigned status, const char *reason, const char *text)
{
	provision_refuse(&w->ask->p, &w->ask->q, status, reason, "%s", text);
	enrol_clear(&w->x);
}

static void
on_signature(void *ctx, enum err_code code, const char *why, struct pipe_msg *said)
{
	struct work *w = ctx;
	struct bytes sig;
	struct err e = { 0 };

	if (code == E_OK && sign_signature(&sig, said, &e) != 0) {
		code = E_IO;
		why = e.msg;
	}
	if (code == E_OK)
		buf_put_bytes(&w->signature, sig);
	else if (code == E_UNAVAIL || code == E_IO)
		refuse_certificate(w, 503, "server.signer", why);
	else
		refuse_certificate(w, 403, "signer.limit", why);
	commit(w);
}

/* Whoever registered may have this one name, by this label; nobody is asked again who it is. */
static int
decide_certificate(struct work *w, int64_t now, struct err *e)
{
	struct question *ask = w->ask;
	const struct fleet *f = w->a->fleet;
	const struct label *l = fleet_label(f, ask->p.label);
	int rc;

	text_copy(ask->sponsor_name, sizeof(ask->sponsor_name), ask->p.actor);
	ask->sponsor = (struct enrol_operator){ .actor = ask->sponsor_name, .label = l,
		.device = ask->p.registration.device_id, .renewed = ask->p.renewed, .lifetime_s = ask->p.longest_s };
	if (l != NULL && l->enabled) {
		ask->sponsor.profile = fleet_profile(f, l->profile);
		ask->sponsor.ca = fleet_ca(f, l->ca);
	}
	if (ask->sponsor.profile == NULL || ask->sponsor.ca == NULL) {
		refuse_certificate(w, 503, "dps.label", "the enrolment's label is disabled, or lacks its CA or profile");
		return 0;
	}
	text_copy(ask->q.q.label, sizeof(ask->q.q.label), l->name);
	rc = enrol_decide(&w->x, w->a->fleet, &ask->q.q, &ask->sponsor, now, e);
	if (rc == 0 && w->x.kind == ENROL_ISSUE && authority_signer_ok(w->a))
		return 0;
	if (rc == 0 && w->x.kind == ENROL_ISSUE)
		enrol_refuse(&w->x, 503, "server.signer", "the signer is away");
	buf_put_bytes(&ask->p.trace, bytes_of_buf(&w->x.trace));
	if (rc == 0 && w->x.kind == ENROL_REPLAYED)
		return 0;
	provision_refuse(&ask->p, &ask->q, w->x.status, w->x.reason, "%s", w->x.text);
	if (!w->x.fork) /* which is recorded with it */
		enrol_clear(&w->x);
	return rc;
}

/* --- decisions --- */

/* A token that nobody's key has signed costs its address a try, as a wrong password does; one that ended does not. */
static int
decide_question(struct work *w, int64_t now, struct err *e)
{
	struct question *ask = w->ask;
	struct fleet *f = w->a->fleet;
	bool token = ask->q.token.state == ASK_SAS_GIVEN;
	int rc;

	if (token && secret_exhausted(f->secret, ask->q.q.address, now)) {
		text_copy(ask->p.op, sizeof(ask->p.op), ask_op_name(ask->q.op));
		provision_refuse(&ask->p, &ask->q, 429, "dps.throttled", "too many wrong tokens came from %s this minute",
		    ask->q.q.address);
		return 0;
	}
	if ((rc = provision_decide(&ask->p, f, &ask->q, now, e)) != 0)
		return rc;
	if (token && strcmp(ask->p.reason, "dps.token-signature") == 0)
		secret_wrong(f->secret, ask->q.q.address, now);
	if (ask->p.status < 300 && changes(w) && !record_allowed(w->a, ask->p.actor, now)) {
		provision_refuse(&ask->p, &ask->q, 429, "dps.too-often", "'%s' changes something all the time", ask->p.actor);
		ask->p.silent = true; /* it is counted already */
	}
	return ask->p.label[0] != 0 && ask->p.status < 300 ? decide_certificate(w, now, e) : 0;
}

/* Registered anew, or removed, since the webhook was asked: then its answer is about nothing that is there. */
static int
decide_allocation(struct work *w, int64_t now, struct err *e)
{
	struct question *ask = w->ask;
	int rc = provision_allocated(&ask->p, w->a->fleet, ask->registration, ask->operation, bytes_of_buf(&ask->said),
	    ask->why, now, e);

	if (rc == E_NOTFOUND)
		ask->p.silent = true;
	return rc == E_NOTFOUND ? 0 : rc;
}

static struct work *
take_first(struct authority *a)
{
	struct work *w = a->first;

	if ((a->first = w->next) == NULL)
		a->last = &a->first;
	w->next = NULL;
	a->n_waiting--;
	return w;
}

/* May the first in the queue still be of this turn? */
static bool
fits(const struct turn *t)
{
	const struct work *w = t->a->first;

	return w != NULL && w->ask != NULL && t->n < AUTHORITY_TURN &&
	    (t->n == 0 || (!w->ask->alone && !t->work[0]->ask->alone));
}

void
ask_run(struct authority *a)
{
	struct turn t = { .a = a, .before = a->fleet->audit };
	struct work *signing = NULL;
	int64_t now = clock_now();
	struct err e = { 0 };
	int rc = 0;

	a->busy = true;
	while (rc == 0 && signing == NULL && fits(&t)) {
		struct work *w = take_first(a);

		rc = w->ask->allocated ? decide_allocation(w, now, &e) : decide_question(w, now, &e);
		if (rc == 0 && w->x.kind == ENROL_ISSUE) {
			signing = w;
			continue;
		}
		t.work[t.n++] = w;
		if (rc == 0)
			rc = write_one(&t, w, now, &e);
	}
	while ((rc == E_UNAVAIL || rc == E_IO) && fits(&t)) /* the store would keep each waiting as long again */
		t.work[t.n++] = take_first(a);
	if (settle(&t, rc, signing, &e) && signing != NULL)
		sign_tbs(a, signing->x.key_id, PROTO_WHAT_CERT, bytes_of_buf(&signing->x.tbs), on_signature, signing);
	else
		authority_done(a);
}
