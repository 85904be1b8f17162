/* SPDX-License-Identifier: Apache-2.0 */
/* certd/pending.c - requests that wait for somebody's approval at the EST server */
#include "device/certd/pending.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "device/service/slog.h"
#include "device/service/stem.h"

#define ASK_AGAIN_S     60    /* when the server does not say */
#define ASK_AGAIN_MAX_S 86400
#define JITTER_PART     10    /* of the pause is added at most, so that a fleet does not ask in step */

struct pending {
	struct pending *next;
	struct pendings *all;
	char id[ID_MAX];
	struct buf der;
	struct csr csr;              /* borrows der */
	struct buf pem;              /* n 0: not issued yet */
	uint64_t until_ms;
	struct loop_timer *timer;
};

struct pendings {
	struct loop *loop;
	pendings_poll fn;
	void *ctx;
	size_t n;
	struct pending *first;       /* newest first */
};

struct pendings *
pendings_new(struct loop *l, pendings_poll fn, void *ctx)
{
	struct pendings *p = mem_zalloc(sizeof(*p));

	*p = (struct pendings){ .loop = l, .fn = fn, .ctx = ctx };
	return p;
}

/* Unlink and free what *at points to. */
static void
forget(struct pending **at)
{
	struct pending *q = *at;

	*at = q->next;
	q->all->n--;
	loop_timer_free(q->timer);
	buf_free(&q->der);
	buf_free(&q->pem);
	mem_free(q);
}

void
pendings_free(struct pendings *p)
{
	if (p == NULL)
		return;
	while (p->first != NULL)
		forget(&p->first);
	mem_free(p);
}

static struct pending **
place_of(struct pendings *p, const char *id)
{
	struct pending **at = &p->first;

	while (*at != NULL && strcmp((*at)->id, id) != 0)
		at = &(*at)->next;
	return at;
}

void
pendings_drop(struct pendings *p, const char *id)
{
	struct pending **at = place_of(p, id);

	if (*at != NULL)
		forget(at);
}

/* Signatures differ from one request to the next; key and names are what it is about. */
static bool
same_request(const struct csr *a, const struct csr *b)
{
	return memcmp(a->spki_sha256, b->spki_sha256, SHA256_LEN) == 0 && name_equal(&a->subject, &b->subject) &&
	    a->has_san == b->has_san && sans_equal(&a->sans, &b->sans) && a->wants_ca == b->wants_ca;
}

static void
on_time(void *ctx)
{
	struct pending *q = ctx;

	if (q->pem.n != 0 || clock_monotonic_ms() >= q->until_ms) {
		if (q->pem.n == 0)
			slog(SLOG_WARN, "Certificate %s: the EST server did not decide in time; its request is given up", q->id);
		pendings_drop(q->all, q->id);
		return;
	}
	q->all->fn(q->all->ctx, q->id, bytes_of_buf(&q->der));
}

static struct pending *
remember(struct pendings *p, const char *id, struct bytes der)
{
	struct pending *q = mem_zalloc(sizeof(*q)), **oldest = &p->first;

	while (p->n >= PENDING_MAX && (*oldest)->next != NULL)
		oldest = &(*oldest)->next;
	if (p->n >= PENDING_MAX)
		forget(oldest);
	*q = (struct pending){ .next = p->first, .all = p, .until_ms = clock_monotonic_ms() + PENDING_LIFE_MS };
	(void)snprintf(q->id, sizeof(q->id), "%s", id);
	buf_put_bytes(&q->der, der);
	q->timer = loop_timer_new(p->loop, on_time, q);
	p->first = q;
	p->n++;
	if (csr_parse(&q->csr, bytes_of_buf(&q->der), NULL) == 0)
		return q;
	forget(&p->first); /* it parsed before, so this is not reached */
	return NULL;
}

void
pendings_wait(struct pendings *p, const char *id, const struct csr *csr, struct bytes der, int64_t retry_after_s)
{
	int64_t pause_s = retry_after_s > 0 ? retry_after_s : ASK_AGAIN_S;
	struct pending *q = *place_of(p, id);

	if (q != NULL && !same_request(&q->csr, csr)) {
		pendings_drop(p, id);
		q = NULL;
	}
	if (q == NULL && (q = remember(p, id, der)) == NULL)
		return;
	if (pause_s > ASK_AGAIN_MAX_S)
		pause_s = ASK_AGAIN_MAX_S;
	loop_timer_in(q->timer, (uint64_t)pause_s * 1000 + rnd_below((uint32_t)pause_s * 1000 / JITTER_PART));
}

void
pendings_issued(struct pendings *p, const char *id, const struct csr *csr, struct bytes pem)
{
	struct pending *q = *place_of(p, id);

	if (q == NULL || !same_request(&q->csr, csr))
		return;
	buf_reset(&q->pem);
	buf_put_bytes(&q->pem, pem);
	loop_timer_in(q->timer, PENDING_KEPT_MS);
}

bool
pendings_take(struct pendings *p, const char *id, const struct csr *csr, struct buf *pem)
{
	struct pending **at = place_of(p, id);

	if (*at == NULL || !same_request(&(*at)->csr, csr))
		return false;
	if ((*at)->pem.n != 0) {
		buf_put_bytes(pem, bytes_of_buf(&(*at)->pem));
		forget(at);
	}
	return true;
}
