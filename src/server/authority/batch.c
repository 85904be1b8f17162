/* SPDX-License-Identifier: Apache-2.0 */
/* authority/batch.c - many enrolments decided together, signed side by side, committed once, then answered */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/sys/log.h"
#include "server/authority/authority.h"

struct batch {
	struct authority *a;
	size_t n, waiting;
	struct work *work[AUTHORITY_BATCH];
};

static void
answer_one(struct work *w)
{
	struct proto_enrolled r = { .status = w->x.status, .challenge = w->x.challenge, .retry_after_s = w->x.retry_after_s };
	AUTO_BUF b = BUF_MAX(PIPE_MAX);

	if (w->is_op)
		return; /* op_cert_requested() answers */
	text_copy(r.reason, sizeof(r.reason), w->x.reason);
	text_copy(r.text, sizeof(r.text), w->x.text);
	if (w->x.status == 200) {
		r.cert[r.n_certs++] = bytes_of_buf(&w->x.cert.der);
		if (w->x.append_chain)
			r.n_certs += (uint32_t)fleet_chain(w->x.ca, &r.cert[1], N_OF(r.cert) - 1);
	}
	proto_put_enrolled(&b, &r);
	authority_send(w->a, w->peer, PROTO_ENROLLED, w->id, bytes_of_buf(&b));
}

static void
finish(struct batch *b)
{
	struct authority *a = b->a;

	for (size_t i = 0; i < b->n; i++) {
		answer_one(b->work[i]);
		if (b->work[i]->is_op)
			op_cert_requested(b->work[i]);
		else
			work_free(b->work[i]);
	}
	mem_free(b);
	a->batch = NULL;
	authority_done(a);
}

static bool
recordable(struct authority *a, const struct enrol *x, int64_t now)
{
	return x->kind == ENROL_ISSUE || x->fork || record_allowed(a, x->actor, now);
}

/* One outcome into the open transaction; what cannot be written becomes a refusal, alone. */
static int
record_alone(struct authority *a, struct work *w, int64_t now, struct err *e)
{
	struct audit before = a->fleet->audit;
	struct err why = { 0 };
	int rc;

	if ((rc = db_mark(a->db, e)) != 0)
		return rc;
	rc = enrol_record(&w->x, a->fleet, bytes_of_buf(&w->signature), now, &why);
	if (rc == 0)
		return db_keep(a->db, e);
	db_undo(a->db);
	a->fleet->audit = before;
	if (rc == E_UNAVAIL || rc == E_IO) {
		*e = why;
		return rc;
	}
	/* A use that another request of this batch took, or a serial that exists: this request alone fails. */
	log_event(L_WARN, "enrol.not-recorded", "request=%s why=%s", w->x.id, why.msg);
	enrol_refuse(&w->x, 503, "server.conflict", "%s", why.msg);
	w->x.fork = false;
	w->x.prove = 0;
	return enrol_record(&w->x, a->fleet, (struct bytes){ 0 }, now, e);
}

/* each: every outcome so that it can fail alone; that copies each page it changes. */
static int
write_all(struct batch *b, bool each, int64_t now, struct err *e)
{
	struct authority *a = b->a;
	int rc = db_begin(a->db, e);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < b->n && rc == 0; i++) {
		struct work *w = b->work[i];

		if (w->silent)
			continue;
		rc = each ? record_alone(a, w, now, e) : enrol_record(&w->x, a->fleet, bytes_of_buf(&w->signature), now, e);
	}
	if (rc == 0)
		rc = record_note_dropped(a, now, e);
	if (rc != 0) {
		db_rollback(a->db);
		return rc;
	}
	return db_commit(a->db, e);
}

static void
commit(struct batch *b)
{
	struct authority *a = b->a;
	struct audit before = a->fleet->audit;
	int64_t now = clock_now();
	struct err e = { 0 };
	int rc;

	for (size_t i = 0; i < b->n; i++)
		b->work[i]->silent = !recordable(a, &b->work[i]->x, now);
	rc = write_all(b, false, now, &e);
	if (rc != 0 && rc != E_UNAVAIL && rc != E_IO) { /* one of them cannot be written: which? */
		a->fleet->audit = before;
		rc = write_all(b, true, now, &e);
	}
	if (rc == 0) {
		authority_store_state(a, true, "");
		finish(b);
		return;
	}
	a->fleet->audit = before;
	authority_store_state(a, false, e.msg);
	for (size_t i = 0; i < b->n; i++)
		enrol_refuse(&b->work[i]->x, 503, "server.store", "%s", e.msg);
	finish(b);
}

static void
on_signature(void *ctx, enum err_code code, const char *why, struct pipe_msg *answer)
{
	struct work *w = ctx;
	struct batch *b = w->a->batch;
	struct bytes sig;
	struct err e = { 0 };

	if (code == E_OK && sign_signature(&sig, answer, &e) != 0) {
		code = E_IO;
		why = e.msg;
	}
	if (code == E_OK)
		buf_put_bytes(&w->signature, sig);
	else if (code == E_UNAVAIL || code == E_IO)
		enrol_refuse(&w->x, 503, "server.signer", "%s", why);
	else
		enrol_refuse(&w->x, 403, "signer.limit", "%s", why);
	if (--b->waiting == 0)
		commit(b);
}

static bool
conflicts(const struct batch *b, const struct work *w)
{
	for (size_t i = 0; i < b->n; i++)
		if (enrol_conflict(&b->work[i]->x, &w->x))
			return true;
	return false;
}

/* Decide one; false when it must wait for the next batch. */
static bool
decide_one(struct batch *b, struct work *w, int64_t now)
{
	struct authority *a = b->a;
	struct err e = { 0 };
	int rc = enrol_decide(&w->x, a->fleet, &w->q, w->is_op ? &w->as_operator : NULL, now, &e);

	if (rc != 0)
		authority_store_state(a, false, e.msg);
	if (conflicts(b, w)) {
		enrol_clear(&w->x);
		return false;
	}
	if (w->x.kind == ENROL_ISSUE && !authority_signer_ok(a))
		enrol_refuse(&w->x, 503, "server.signer", "the signer is away");
	else if (w->x.kind == ENROL_ISSUE && !w->is_op && !record_may_issue(a, w->x.device, now))
		enrol_refuse(&w->x, 429, "device.too-often", "the device had more certificates in a short time than any needs");
	return true;
}

/* Take from the head of the queue what may share a commit: enrolments up to what stands alone. */
static void
gather(struct batch *b, int64_t now)
{
	struct authority *a = b->a;
	struct work **at = &a->first;
	bool looking = db_look(a->db, NULL) == 0; /* if not, each question says why */

	while (*at != NULL && b->n < AUTHORITY_BATCH && !work_alone(*at)) {
		struct work *w = *at;

		if (!decide_one(b, w, now)) {
			a->batch_at_ms = 0;
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->next = NULL;
		a->n_waiting--;
		b->work[b->n++] = w;
	}
	if (looking)
		db_look_end(a->db);
	for (a->last = &a->first; *a->last != NULL; a->last = &(*a->last)->next)
		;
}

void
batch_run(struct authority *a)
{
	struct batch *b = mem_zalloc(sizeof(*b));

	b->a = a;
	a->batch = b;
	a->busy = true;
	a->batch_at_ms = clock_monotonic_ms();
	gather(b, clock_now());
	a->apart_ms = b->n < AUTHORITY_CROWD ? AUTHORITY_APART_MS : 2 * AUTHORITY_APART_MS;
	if (b->n < 2)
		a->batch_at_ms = 0; /* one alone does not wait for company that did not come */
	for (size_t i = 0; i < b->n; i++)
		b->waiting += b->work[i]->x.kind == ENROL_ISSUE;
	if (b->waiting == 0) {
		commit(b);
		return;
	}
	for (size_t i = 0; i < b->n; i++)
		if (b->work[i]->x.kind == ENROL_ISSUE)
			sign_tbs(a, b->work[i]->x.key_id, PROTO_WHAT_CERT, bytes_of_buf(&b->work[i]->x.tbs), on_signature, b->work[i]);
}
