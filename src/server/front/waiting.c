/* SPDX-License-Identifier: Apache-2.0 */
/* front/waiting.c - requests that the authority is deciding on */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "server/front/front.h"

bool
waiting_room(struct front *f, struct http_request *r, const struct waiting_kind *k)
{
	if (f->authority != NULL && f->n_waiting < FRONT_WAITING)
		return true;
	k->unavailable(r, f->authority == NULL ? "the authority is away" : "too many requests wait");
	return false;
}

struct waiting *
waiting_ask(struct front *f, struct http_request *r, const struct waiting_kind *k, uint32_t type,
    const struct buf *body)
{
	struct waiting *w;
	struct err e = { 0 };

	if (buf_check(body, "request", &e) != 0 ||
	    pipe_send(f->authority, type, ++f->last_id, bytes_of_buf(body), -1, &e) != 0) {
		k->unavailable(r, e.msg);
		return NULL;
	}
	w = mem_zalloc(sizeof(*w));
	w->kind = k;
	w->id = f->last_id;
	w->request = r;
	w->deadline_ms = clock_monotonic_ms() + FRONT_ANSWER_MS;
	TAILQ_INSERT_TAIL(&f->waiting, w, link);
	f->n_waiting++;
	return w;
}

static void
forget(struct front *f, struct waiting *w)
{
	TAILQ_REMOVE(&f->waiting, w, link);
	f->n_waiting--;
	mem_free(w);
}

void
waiting_answered(struct front *f, struct pipe_msg *m)
{
	struct waiting *w;

	TAILQ_FOREACH(w, &f->waiting, link)
		if (w->id == m->id && w->kind->type == m->type)
			break;
	if (w == NULL)
		return; /* given up already */
	w->kind->answered(w, m->body);
	forget(f, w);
}

void
waiting_give_up(struct front *f, const char *why, bool late_only)
{
	uint64_t now = clock_monotonic_ms();
	struct waiting *w;

	while ((w = TAILQ_FIRST(&f->waiting)) != NULL && (!late_only || w->deadline_ms <= now)) {
		w->kind->unavailable(w->request, why);
		forget(f, w);
	}
}
