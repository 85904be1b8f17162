/* SPDX-License-Identifier: Apache-2.0 */
/* net/conn_pool.c - all connections: caps, deadlines, draining */
#include "core/net/conn_inside.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"

/* A phase has lasted too long. */
static void
expire(struct conn *c)
{
	switch (c->phase) {
	case PHASE_HANDSHAKE:
		c->pool->hooks->refused(c->pool->ctx, c->address, "time.handshake", "the handshake took too long", "");
		conn_close(c);
		break;
	case PHASE_IDLE:
		transport_finish(&c->t);
		conn_close(c);
		break;
	case PHASE_HEAD:
		if (c->busy)
			conn_close(c); /* a 429 that nobody asked for would be read by nobody */
		else
			conn_refuse(c, 408, "time.head", "the head took too long");
		break;
	case PHASE_BODY:
		conn_refuse(c, 408, "time.body", "the body took too long");
		break;
	case PHASE_ANSWER:
		conn_refuse(c, 503, "time.answer", "the answer took too long");
		break;
	case PHASE_LINGER:
		conn_close(c);
		break;
	case PHASE_GONE:
	case PHASE_DEAD:
	case PHASE_COUNT:
		break;
	}
}

/* Who has been idle for long enough is kept small. */
static void
cool(struct conn_pool *p, uint64_t now)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&p->warm)) != NULL && c->warm_until_ms <= now)
		conn_free_peer(c);
}

static void
on_tick(void *ctx)
{
	struct conn_pool *p = ctx;
	uint64_t now = clock_monotonic_ms();
	struct conn *c;

	p->ticking = false;
	for (int i = 0; i < PHASE_GONE; i++) {
		while ((c = TAILQ_FIRST(&p->queue[i])) != NULL && c->until_ms <= now)
			expire(c);
	}
	cool(p, now);
	if (p->count != 0) {
		loop_timer_in(p->tick, p->tick_ms);
		p->ticking = true;
	}
	p->hooks->settle(p->ctx);
}

static void
set_lengths(struct conn_pool *p)
{
	const struct http_limits *l = &p->lim;
	const uint64_t length[PHASE_COUNT] = {
		[PHASE_HANDSHAKE] = l->handshake_ms, [PHASE_IDLE] = l->idle_ms,
		[PHASE_HEAD] = l->head_ms, [PHASE_BODY] = l->body_ms, [PHASE_ANSWER] = l->answer_ms,
		[PHASE_LINGER] = NET_LINGER_MS, [PHASE_GONE] = UINT64_MAX, [PHASE_DEAD] = UINT64_MAX,
	};

	memcpy(p->length_ms, length, sizeof(length));
	p->tick_ms = NET_TICK_MS;
	for (int i = 0; i < PHASE_GONE; i++) {
		if (length[i] / 4 < p->tick_ms)
			p->tick_ms = length[i] / 4 + 1;
	}
}

struct conn_pool *
conn_pool_new(struct loop *l, const struct http_limits *lim, const struct conn_hooks *hooks, void *ctx)
{
	struct conn_pool *p = mem_zalloc(sizeof(*p));

	p->loop = l;
	p->lim = *lim;
	p->hooks = hooks;
	p->ctx = ctx;
	p->census = census_new(lim->connections);
	p->tick = loop_timer_new(l, on_tick, p);
	set_lengths(p);
	TAILQ_INIT(&p->ready);
	TAILQ_INIT(&p->warm);
	for (int i = 0; i < PHASE_COUNT; i++)
		TAILQ_INIT(&p->queue[i]);
	return p;
}

void
conn_pool_reap(struct conn_pool *p)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&p->queue[PHASE_DEAD])) != NULL) {
		TAILQ_REMOVE(&p->queue[PHASE_DEAD], c, link);
		census_leave(p->census, c->census);
		conn_free_peer(c);
		mem_free(c);
		p->count--;
	}
}

static void
finish(struct conn *c)
{
	transport_finish(&c->t);
	conn_close(c);
}

void
conn_pool_drain(struct conn_pool *p, bool now)
{
	struct conn *c, *next;
	uint64_t until = clock_monotonic_ms() + NET_DRAIN_MS;

	p->draining = true;
	for (int i = 0; now && i < PHASE_GONE; i++)
		while ((c = TAILQ_FIRST(&p->queue[i])) != NULL)
			finish(c);
	if (now)
		return;
	/* Who came a moment ago gets the time to ask; who was answered before can expect an end. */
	p->length_ms[PHASE_IDLE] = NET_DRAIN_MS;
	for (c = TAILQ_FIRST(&p->queue[PHASE_IDLE]); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c->asked)
			finish(c);
		else if (c->until_ms > until)
			c->until_ms = until;
	}
}

void
conn_pool_free(struct conn_pool *p)
{
	struct conn *c;

	if (p == NULL)
		return;
	conn_pool_drain(p, true);
	while ((c = TAILQ_FIRST(&p->queue[PHASE_GONE])) != NULL)
		conn_forget(c);
	conn_pool_reap(p);
	loop_timer_free(p->tick);
	census_free(p->census);
	mem_free(p);
}

/*
 * Of the owner with most connections, the oldest in this phase; NULL: no owner has `least`.
 * One that is only to be told to come again goes before all others.
 */
static struct conn *
largest(struct conn_pool *p, enum phase phase, size_t least)
{
	struct conn *c, *best = NULL;

	TAILQ_FOREACH(c, &p->queue[phase], link) {
		if (c->busy)
			return c;
		if (census_count(c->census) >= least) {
			best = c;
			least = census_count(c->census) + 1;
		}
	}
	return best;
}

/*
 * Who goes for a newcomer on a local socket whose uid has n connections with it.  What does nothing goes unless
 * its owner has less; what is about to ask goes when the newcomer's uid has less even so.
 */
static struct conn *
victim_local(struct conn_pool *p, size_t n)
{
	struct conn *c = largest(p, PHASE_HEAD, SIZE_MAX); /* to be told to come again */

	if (c == NULL)
		c = largest(p, PHASE_IDLE, n - 1);
	if (c == NULL)
		c = largest(p, PHASE_HEAD, n + 1);
	return c != NULL ? c : largest(p, PHASE_BODY, n + 1);
}

/* Of the heads of n queues the one that has been in its phase for longest, whose place the next one takes; NULL: none. */
static struct conn *
next_oldest(struct conn *heads[], size_t n)
{
	struct conn **first = NULL, *c;

	for (size_t i = 0; i < n; i++)
		if (heads[i] != NULL && (first == NULL || heads[i]->since_ms < (*first)->since_ms))
			first = &heads[i];
	if (first == NULL)
		return NULL;
	c = *first;
	*first = TAILQ_NEXT(c, link);
	return c;
}

/*
 * Who goes for a newcomer over TCP whose owner has n connections with it.  What has been idle for long goes first.
 * Then of those that have kept us waiting for longest (who is quick is not among them, however many a stranger has)
 * one of the owner with most connections; an owner with less than the newcomer's loses none, so that who has most
 * pushes away its own.  The look is short: a flood must not make each newcomer dear.
 */
static struct conn *
victim_tcp(struct conn_pool *p, size_t n)
{
	static const enum phase phases[] = { PHASE_LINGER, PHASE_IDLE, PHASE_HANDSHAKE, PHASE_HEAD, PHASE_BODY };
	struct conn *heads[N_OF(phases)], *best = NULL, *c;

	c = TAILQ_FIRST(&p->queue[PHASE_IDLE]);
	if (c != NULL && clock_monotonic_ms() - c->since_ms >= NET_STALE_MS)
		return c;
	for (size_t i = 0; i < N_OF(phases); i++)
		heads[i] = TAILQ_FIRST(&p->queue[phases[i]]);
	for (int i = 0; i < NET_YIELD_LOOK && (c = next_oldest(heads, N_OF(phases))) != NULL; i++) {
		if (census_count(c->census) >= n) {
			best = c;
			n = census_count(c->census) + 1;
		}
	}
	return best;
}

/* A connection makes room for another one. */
static void
yield(struct conn *c)
{
	bool asking = c->phase == PHASE_HANDSHAKE || c->phase == PHASE_HEAD || c->phase == PHASE_BODY;

	if (asking && c->uid == (uid_t)-1)
		c->pool->hooks->refused(c->pool->ctx, c->address, "cap.yield",
		    "there was no room for another connection but that of one that has not asked yet", c->id);
	if (c->phase != PHASE_HANDSHAKE)
		transport_finish(&c->t);
	conn_close(c);
}

/* Room for one more, if need be that of another connection. */
static bool
make_room(struct conn_pool *p, const struct conn *newcomer)
{
	struct conn *c;
	size_t n = census_count(newcomer->census);

	if (p->count < p->lim.connections)
		return true;
	if (newcomer->busy)
		return false;
	c = newcomer->uid == (uid_t)-1 ? victim_tcp(p, n) : victim_local(p, n);
	if (c == NULL)
		return false;
	yield(c);
	conn_pool_reap(p);
	return p->count < p->lim.connections;
}

/* Count a local newcomer by its uid; why it may not stay, or NULL. */
static const char *
enlist_local(struct conn_pool *p, struct conn *c, int fd)
{
	const struct http_local *o = &c->local;
	size_t limit;

	if (peer_uid(fd, &c->uid, NULL) != 0)
		return "peer.unknown";
	c->pid = peer_pid(fd);
	limit = c->uid == 0 && o->per_root != 0 ? o->per_root : o->per_uid;
	c->census = census_enter_uid(p->census, c->uid, false, limit != 0 ? limit : SIZE_MAX);
	if (c->census == NULL && o->say_busy) {
		c->census = census_enter_uid(p->census, c->uid, true, NET_BUSY_PER_UID);
		c->busy = true;
	}
	return c->census == NULL ? "cap.uid" : NULL;
}

static const char *
enlist(struct conn_pool *p, struct conn *c, int fd, const struct sockaddr_storage *from)
{
	if (from->ss_family == AF_UNIX)
		return enlist_local(p, c, fd);
	c->census = census_enter(p->census, from, p->lim.connections_per_address);
	return c->census == NULL ? "cap.address" : NULL;
}

static void
adopt(struct conn_pool *p, struct conn *c, struct tls_server *tls)
{
	c->pool = p;
	c->inner = c->file = -1;
	c->out = BUF_MAX(2 * CONN_BODY_MAX); /* with a head */
	c->in = BUF_MAX(p->lim.head_octets + p->lim.body_octets + 2 * (size_t)NET_RECORD);
	c->phase = tls != NULL ? PHASE_HANDSHAKE : c->busy ? PHASE_HEAD : PHASE_IDLE; /* busy: soon over */
	TAILQ_INSERT_TAIL(&p->queue[c->phase], c, link);
	conn_enter(c, c->phase);
	p->count++;
	c->watched = LOOP_READ;
	c->io = loop_io_new(p->loop, c->t.fd, LOOP_READ, conn_event, c);
	if (!p->ticking)
		loop_timer_in(p->tick, p->tick_ms);
	p->ticking = true;
}

static void
turn_away(struct conn_pool *p, struct conn *c, const char *why)
{
	char detail[64] = "connection closed at once";

	if (c->uid != (uid_t)-1)
		(void)snprintf(detail, sizeof(detail), "connection closed at once, of user %u", c->uid);
	p->hooks->refused(p->ctx, c->address, why, detail, "");
	census_leave(p->census, c->census);
	mem_free(c);
}

void
conn_pool_take(struct conn_pool *p, int fd, const struct sockaddr_storage *from,
    const struct conn_source *source)
{
	struct conn *c = mem_zalloc(sizeof(*c));
	const char *refusal;

	peer_address(fd, c->address);
	if (source->local != NULL)
		c->local = *source->local;
	c->tag = source->tag;
	c->uid = (uid_t)-1;
	c->t.fd = -1;
	refusal = enlist(p, c, fd, from);
	if (refusal == NULL && !make_room(p, c))
		refusal = "cap.total";
	if (refusal != NULL)
		(void)close(fd);
	else if (transport_open(&c->t, fd, source->tls, NULL) != 0)
		refusal = "tls.memory";
	if (refusal == NULL)
		adopt(p, c, source->tls);
	else
		turn_away(p, c, refusal);
}

size_t
conn_pool_count(const struct conn_pool *p)
{
	return p->count;
}

bool
conn_pool_send(struct conn_pool *p)
{
	size_t n = p->n_ready; /* what comes to them meanwhile waits for the next call */
	struct conn *c;

	for (size_t i = 0; i < n && (c = TAILQ_FIRST(&p->ready)) != NULL; i++) {
		conn_unready(c);
		conn_send(c);
	}
	return n != 0;
}

bool
conn_pool_kicked(struct conn_pool *p)
{
	bool kicked = p->kicked;

	p->kicked = false;
	return kicked;
}
