/* SPDX-License-Identifier: Apache-2.0 */
/* authority/authority.c - peers, the queue of work, health */
#include "server/authority/authority.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/sys/log.h"

struct work *
work_new(struct authority *a, uint64_t peer, uint64_t id)
{
	struct work *w = a->spare;

	if (w == NULL) {
		w = mem_zalloc(sizeof(*w));
	} else {
		a->spare = w->next;
		a->n_spare--;
		memset(w, 0, offsetof(struct work, q));
		proto_clear_enrol(&w->q);
	}
	w->a = a;
	w->peer = peer;
	w->id = id;
	return w;
}

void
work_free_spare(struct authority *a)
{
	struct work *next;

	for (struct work *w = a->spare; w != NULL; w = next) {
		next = w->next;
		mem_free(w);
	}
	a->spare = NULL;
	a->n_spare = 0;
}

void
work_free(struct work *w)
{
	struct authority *a;

	if (w == NULL)
		return;
	a = w->a;
	buf_free(&w->body);
	enrol_clear(&w->x);
	buf_free(&w->signature);
	ask_free(w->ask);
	json_decref(w->args);
	json_decref(w->result);
	mem_free(w->plan);
	mem_wipe(w->q.password, sizeof(w->q.password));
	mem_wipe(w->q.secret, sizeof(w->q.secret));
	if (a->n_spare == AUTHORITY_BATCH) {
		mem_free(w);
		return;
	}
	w->next = a->spare;
	a->spare = w;
	a->n_spare++;
}

bool
authority_signer_ok(const struct authority *a)
{
	return a->signer != NULL && pipe_alive(a->signer);
}

void
authority_send(struct authority *a, uint64_t peer, uint32_t type, uint64_t id, struct bytes body)
{
	struct err e = { 0 };

	for (size_t i = 0; i < N_OF(a->peers); i++)
		if (a->peers[i].serial == peer && peer != 0 &&
		    pipe_send(a->peers[i].pipe, type, id, body, -1, &e) != 0)
			log_event(L_WARN, "peer.send", "role=%s why=%s", role_name(a->peers[i].role), e.msg);
}

void
authority_store_state(struct authority *a, bool ok, const char *why)
{
	bool changed = ok != a->store_ok;

	if (ok && a->behind)
		return; /* that something could be written does not make memory right */
	a->store_ok = ok;
	(void)snprintf(a->store_why, sizeof(a->store_why), "%s", why);
	if (!changed)
		return;
	log_event(ok ? L_NOTE : L_ERROR, ok ? "store.back" : "store.lost", "why=%s", why);
	snapshot_health(a, NULL);
}

void
authority_follow(struct authority *a)
{
	struct err e = { 0 };

	a->behind = fleet_reload(a->fleet, &e) != 0;
	if (a->behind)
		authority_store_state(a, false, e.msg);
}

void
authority_queue(struct authority *a, struct work *w)
{
	*a->last = w;
	a->last = &w->next;
	a->n_waiting++;
}

void
authority_done(struct authority *a)
{
	a->busy = false;
}

/* A batch does not follow another at once: what comes meanwhile shares its commit, the dearest part of it. */
static bool
waits_for_more(const struct authority *a)
{
	return a->n_waiting < AUTHORITY_BATCH && !a->draining && clock_monotonic_ms() < a->batch_at_ms + a->apart_ms;
}

/* Between two batches of a busy moment nothing that a front says is urgent, and to be woken by each request costs more than to read it. */
static void
rest_fronts(struct authority *a)
{
	bool pause = waits_for_more(a), rest = a->batch_at_ms != 0 && (a->busy || pause);

	if (pause && !a->busy)
		loop_timer_at(a->pace, a->batch_at_ms + a->apart_ms);
	for (size_t i = 0; i < N_OF(a->peers); i++)
		if (a->peers[i].serial != 0 && a->peers[i].role == ROLE_FRONT)
			pipe_rest(a->peers[i].pipe, rest);
}

bool
work_alone(const struct work *w)
{
	return w->ask != NULL || (w->verb != NULL && w->as_operator.actor == NULL);
}

static void
run_op(struct authority *a, struct work *w)
{
	if ((a->first = w->next) == NULL)
		a->last = &a->first;
	w->next = NULL;
	a->n_waiting--;
	a->busy = true;
	op_run(w);
}

static void
run_queue(struct authority *a)
{
	while (!a->busy && a->fleet != NULL) {
		struct work *w = a->first;

		if (w == NULL) {
			if (!crl_run_due(a))
				return;
		} else if (w->ask != NULL) {
			ask_run(a);
		} else if (work_alone(w)) {
			run_op(a, w);
		} else if (waits_for_more(a)) {
			return;
		} else {
			batch_run(a);
		}
	}
}

/* Each turn of the loop ends here, so that all that came in during the turn can share a commit. */
void
authority_next(struct authority *a)
{
	run_queue(a);
	rest_fronts(a);
}

/* A full queue is said at once, by the one who would have to wait. */
static void
refuse_full(struct authority *a, uint64_t peer, uint64_t id)
{
	struct proto_enrolled r = { .status = 503, .reason = "server.busy", .text = "too many requests wait", .retry_after_s = 5 };
	AUTO_BUF b = { 0 };

	proto_put_enrolled(&b, &r);
	authority_send(a, peer, PROTO_ENROLLED, id, bytes_of_buf(&b));
}

static void
on_enrol(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct peer *peer = ctx;
	struct work *w;
	struct err e = { 0 };

	(void)p;
	if (peer->a->n_waiting >= AUTHORITY_QUEUE) {
		refuse_full(peer->a, peer->serial, m->id);
		return;
	}
	w = work_new(peer->a, peer->serial, m->id);
	buf_put_bytes(&w->body, m->body);
	if (proto_get_enrol(&w->q, bytes_of_buf(&w->body), &e) != 0) {
		log_event(L_ERROR, "front.message", "why=%s", e.msg);
		work_free(w);
		refuse_full(peer->a, peer->serial, m->id);
		return;
	}
	authority_queue(peer->a, w);
}

static void
on_ask(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct peer *peer = ctx;

	(void)p;
	ask_receive(peer->a, peer->serial, m);
}

static void
on_seen(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct peer *peer = ctx;
	struct wire w = wire_open(m->body);
	char serial[48];
	struct bytes sha;
	struct cert_row row = { 0 };

	(void)p;
	if (peer->a->fleet == NULL)
		return; /* not started yet: told again at its next use */
	wire_str(&w, serial, sizeof(serial));
	sha = wire_bytes(&w, SHA256_LEN);
	if (wire_end(&w, "seen", NULL) != 0 || sha.n != SHA256_LEN)
		return;
	if (cert_row_presented(peer->a->db, serial, sha.p, &row, NULL) == 0 && row.proved_at == 0)
		(void)!cert_row_prove(peer->a->db, row.id, clock_now(), NULL); /* the same */
	cert_row_clear(&row);
}

static void
on_taken(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct peer *peer = ctx;

	(void)p;
	peer->snapshot = m->id;
	op_settle(peer->a);
}

static void
on_op(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct peer *peer = ctx;

	(void)p;
	op_receive(peer->a, peer->serial, m);
}

static const struct pipe_permit front_permits[] = {
	{ PROTO_ENROL, "enrol", on_enrol },
	{ PROTO_ASK, "ask", on_ask },
	{ PROTO_SEEN, "seen", on_seen },
	{ PROTO_SNAP_TAKEN, "snap-taken", on_taken },
	{ 0, NULL, NULL },
};
static const struct pipe_permit console_permits[] = {
	{ PROTO_OP, "op", on_op },
	{ 0, NULL, NULL },
};

static void
on_closed(void *ctx, struct pipe *p, const char *why)
{
	struct peer *peer = ctx;
	struct authority *a = peer->a;

	log_event(L_NOTE, "peer.lost", "role=%s instance=%u why=%s", role_name(peer->role), peer->instance, why);
	pipe_free(p);
	*peer = (struct peer){ 0 };
	op_settle(a);
}

/* A supervisor gives us pipes; the signer's is another thing than those of who asks us. */
static void
attach(struct authority *a, enum role r, uint32_t instance, int fd)
{
	struct peer *p = NULL;

	for (size_t i = 0; i < N_OF(a->peers) && p == NULL; i++)
		if (a->peers[i].serial == 0)
			p = &a->peers[i];
	if (p == NULL || (r != ROLE_FRONT && r != ROLE_CONSOLE)) {
		log_event(L_ERROR, "peer.refused", "role=%s", role_name(r));
		fd_autoclose(&fd);
		return;
	}
	*p = (struct peer){ ++a->next_serial, r, instance, NULL, a };
	p->pipe = pipe_new(a->loop, fd, r == ROLE_FRONT ? front_permits : console_permits, on_closed, p);
	if (a->fleet == NULL)
		return; /* still starting: all are told then */
	if (r == ROLE_FRONT)
		snapshot_send(a, p);
	else
		snapshot_health(a, p);
}

void
authority_attach(struct authority *a, enum role r, uint32_t instance, int fd)
{
	if (r == ROLE_SIGNER)
		sign_attach(a, fd);
	else if (r == ROLE_COURIER)
		courier_attach(a, fd);
	else
		attach(a, r, instance, fd);
}
