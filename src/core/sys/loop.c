/* SPDX-License-Identifier: Apache-2.0 */
/* sys/loop.c - the event loop, over sd-event */
#include "core/sys/loop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"

/* How long an unbroken stream of events may put off the end of a turn. */
#define TURN_MAX_MS 20
#define TIMER_ACCURACY_US 1000

/* Below whatever else is pending. */
#define PRIORITY_IDLE 100

#define EVENTS_MAX 64 /* taken from the kernel at one time */

/* A watcher that the loop owns: idle, signal or child. */
struct hook {
	struct hook *next;
	struct loop *loop;
	sd_event_source *source;
	loop_fn idle;
	loop_signal_fn signal;
	loop_child_fn child;
	void *ctx;
};

struct loop_late {
	TAILQ_ENTRY(loop_late) link;
	struct loop *loop;
	bool asked;
	loop_fn fn;
	void *ctx;
};

/*
 * sd-event asks the kernel once for each event that it hands out.  Descriptors have a set of their own, which is one
 * source to it: what they have to say together is asked for once.
 */
struct loop {
	sd_event *ev;
	int set;
	sd_event_source *set_source;
	struct epoll_event events[EVENTS_MAX]; /* of the set, while they are handed out */
	int n_events;
	bool stopped;
	sd_event_source *turn_end; /* enabled while something is to be done at the end of the turn */
	struct hook *hooks;
	TAILQ_HEAD(, loop_late) late;
	uint64_t turn_began_ms; /* 0: nothing has happened since the idle callbacks ran */
};

struct loop_io {
	struct loop *loop;
	int fd;
	loop_io_fn fn;
	void *ctx;
};

struct loop_timer {
	struct loop *loop;
	sd_event_source *source;
	loop_fn fn;
	void *ctx;
};

/* What fails here is memory, a descriptor limit or a wrong call: none can be served around. */
static void
need(int r, const char *what)
{
	if (r >= 0)
		return;
	(void)fprintf(stderr, "loop: %s: %s\n", what, strerror(-r));
	abort();
}

static void
end_turn(struct loop *l)
{
	struct hook *next;
	struct loop_late *late;

	l->turn_began_ms = 0;
	for (struct hook *h = l->hooks; h != NULL; h = next) {
		next = h->next;
		if (h->idle != NULL)
			h->idle(h->ctx);
	}
	while ((late = TAILQ_FIRST(&l->late)) != NULL) {
		TAILQ_REMOVE(&l->late, late, link);
		late->asked = false;
		late->fn(late->ctx); /* late may be gone from here on */
	}
}

static int
on_turn_end(sd_event_source *s, void *arg)
{
	(void)s;
	end_turn(arg);
	return 0;
}

static void
await_turn_end(struct loop *l)
{
	int r = sd_event_source_set_enabled(l->turn_end, SD_EVENT_ONESHOT);

	if (r != -ESTALE) /* the loop has ended */
		need(r, "waiting for the end of a turn");
}

/* After each callback: a turn ends even under a load that never pauses. */
static int
after_callback(struct loop *l)
{
	uint64_t now = clock_monotonic_ms();

	if (l->turn_began_ms == 0) {
		l->turn_began_ms = now;
		await_turn_end(l);
	} else if (now - l->turn_began_ms >= TURN_MAX_MS) {
		end_turn(l);
	}
	return 0;
}

static void
on_io(struct loop_io *w, uint32_t revents)
{
	unsigned events = 0;

	if ((revents & EPOLLIN) != 0)
		events |= LOOP_READ;
	if ((revents & EPOLLOUT) != 0)
		events |= LOOP_WRITE;
	if ((revents & (EPOLLHUP | EPOLLERR)) != 0)
		events |= LOOP_HUP;
	w->fn(w->ctx, w->fd, events); /* w may be gone from here on */
}

static int
on_set(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct loop *l = arg;

	(void)s;
	(void)revents;
	l->n_events = epoll_wait(fd, l->events, EVENTS_MAX, 0);
	for (int i = 0; i < l->n_events && !l->stopped; i++)
		if (l->events[i].data.ptr != NULL) { /* else forgotten meanwhile */
			on_io(l->events[i].data.ptr, l->events[i].events);
			(void)after_callback(l);
		}
	l->n_events = 0;
	return 0;
}

struct loop *
loop_new(void)
{
	struct loop *l = mem_zalloc(sizeof(*l));

	TAILQ_INIT(&l->late);
	need(sd_event_new(&l->ev), "making the loop");
	need((l->set = epoll_create1(EPOLL_CLOEXEC)) >= 0 ? 0 : -errno, "making the loop");
	need(sd_event_add_io(l->ev, &l->set_source, l->set, EPOLLIN, on_set, l), "making the loop");
	need(sd_event_add_defer(l->ev, &l->turn_end, on_turn_end, l), "making the loop");
	need(sd_event_source_set_priority(l->turn_end, PRIORITY_IDLE), "making the loop");
	need(sd_event_source_set_enabled(l->turn_end, SD_EVENT_OFF), "making the loop");
	return l;
}

void
loop_free(struct loop *l)
{
	struct hook *next;

	if (l == NULL)
		return;
	for (struct hook *h = l->hooks; h != NULL; h = next) {
		next = h->next;
		(void)sd_event_source_disable_unref(h->source);
		mem_free(h);
	}
	(void)sd_event_source_disable_unref(l->turn_end);
	(void)sd_event_source_disable_unref(l->set_source);
	(void)close(l->set);
	(void)sd_event_unref(l->ev);
	mem_free(l);
}

int
loop_run(struct loop *l)
{
	int r = sd_event_loop(l->ev);

	need(r, "running the loop");
	return r;
}

void
loop_stop(struct loop *l, int code)
{
	assert(code >= 0);
	l->stopped = true;
	need(sd_event_exit(l->ev, code), "stopping the loop");
}

static struct epoll_event
epoll_event(struct loop_io *w, unsigned events)
{
	return (struct epoll_event){ .data.ptr = w, .events =
	    ((events & LOOP_READ) != 0 ? (uint32_t)EPOLLIN : 0) | ((events & LOOP_WRITE) != 0 ? (uint32_t)EPOLLOUT : 0) };
}

struct loop_io *
loop_io_new(struct loop *l, int fd, unsigned events, loop_io_fn fn, void *ctx)
{
	struct loop_io *w = mem_zalloc(sizeof(*w));
	struct epoll_event ev = epoll_event(w, events);

	*w = (struct loop_io){ .loop = l, .fd = fd, .fn = fn, .ctx = ctx };
	need(epoll_ctl(l->set, EPOLL_CTL_ADD, fd, &ev) == 0 ? 0 : -errno, "watching a descriptor");
	return w;
}

/* What the kernel has said about w and has not been handed out yet: nobody hears it. */
static void
forget_event(struct loop_io *w)
{
	struct loop *l = w->loop;

	for (int i = 0; i < l->n_events; i++)
		if (l->events[i].data.ptr == w)
			l->events[i].data.ptr = NULL;
}

void
loop_io_set(struct loop_io *w, unsigned events)
{
	struct epoll_event ev = epoll_event(w, events);

	forget_event(w); /* what is still so is said again */
	need(epoll_ctl(w->loop->set, EPOLL_CTL_MOD, w->fd, &ev) == 0 ? 0 : -errno, "watching a descriptor");
}

void
loop_io_free(struct loop_io *w)
{
	if (w == NULL)
		return;
	forget_event(w);
	(void)epoll_ctl(w->loop->set, EPOLL_CTL_DEL, w->fd, NULL);
	mem_free(w);
}

static int
on_time(sd_event_source *s, uint64_t usec, void *arg)
{
	struct loop_timer *t = arg;
	struct loop *l = t->loop;

	(void)s;
	(void)usec;
	t->fn(t->ctx); /* t may be gone from here on */
	return after_callback(l);
}

struct loop_timer *
loop_timer_new(struct loop *l, loop_fn fn, void *ctx)
{
	struct loop_timer *t = mem_zalloc(sizeof(*t));

	*t = (struct loop_timer){ .loop = l, .fn = fn, .ctx = ctx };
	need(sd_event_add_time(l->ev, &t->source, CLOCK_MONOTONIC, UINT64_MAX, TIMER_ACCURACY_US,
	    on_time, t), "making a timer");
	loop_timer_stop(t);
	return t;
}

void
loop_timer_at(struct loop_timer *t, uint64_t monotonic_ms)
{
	uint64_t us;
	int r;

	if (__builtin_mul_overflow(monotonic_ms, 1000, &us))
		us = UINT64_MAX;
	r = sd_event_source_set_time(t->source, us);
	if (r == -ESTALE)
		return; /* the loop has ended: what is torn down after it may still ask for time */
	need(r, "setting a timer");
	need(sd_event_source_set_enabled(t->source, SD_EVENT_ONESHOT), "setting a timer");
}

void
loop_timer_in(struct loop_timer *t, uint64_t ms)
{
	uint64_t at;

	if (__builtin_add_overflow(clock_monotonic_ms(), ms, &at))
		at = UINT64_MAX;
	loop_timer_at(t, at);
}

void
loop_timer_stop(struct loop_timer *t)
{
	need(sd_event_source_set_enabled(t->source, SD_EVENT_OFF), "stopping a timer");
}

void
loop_timer_free(struct loop_timer *t)
{
	if (t == NULL)
		return;
	(void)sd_event_source_disable_unref(t->source);
	mem_free(t);
}

static struct hook *
hook_new(struct loop *l, void *ctx)
{
	struct hook *h = mem_zalloc(sizeof(*h));

	*h = (struct hook){ .next = l->hooks, .loop = l, .ctx = ctx };
	l->hooks = h;
	return h;
}

static void
hook_free(struct hook *h)
{
	struct hook **at = &h->loop->hooks;

	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	(void)sd_event_source_disable_unref(h->source);
	mem_free(h);
}

void
loop_on_idle(struct loop *l, loop_fn fn, void *ctx)
{
	hook_new(l, ctx)->idle = fn;
}

struct loop_late *
loop_late_new(struct loop *l, loop_fn fn, void *ctx)
{
	struct loop_late *t = mem_zalloc(sizeof(*t));

	*t = (struct loop_late){ .loop = l, .fn = fn, .ctx = ctx };
	return t;
}

void
loop_late_ask(struct loop_late *t)
{
	if (t->asked)
		return;
	t->asked = true;
	TAILQ_INSERT_TAIL(&t->loop->late, t, link);
	await_turn_end(t->loop);
}

void
loop_late_free(struct loop_late *t)
{
	if (t == NULL)
		return;
	if (t->asked)
		TAILQ_REMOVE(&t->loop->late, t, link);
	mem_free(t);
}

static void
block_signal(int signo)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, signo);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		need(-errno, "blocking a signal");
}

static int
on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *arg)
{
	struct hook *h = arg;

	(void)s;
	h->signal(h->ctx, (int)si->ssi_signo);
	return after_callback(h->loop);
}

void
loop_on_signal(struct loop *l, int signo, loop_signal_fn fn, void *ctx)
{
	struct hook *h = hook_new(l, ctx);

	h->signal = fn;
	block_signal(signo);
	need(sd_event_add_signal(l->ev, &h->source, signo, on_signal, h), "watching a signal");
}

/* What waitpid() would have said. */
static int
wait_status(const siginfo_t *si)
{
	if (si->si_code == CLD_EXITED)
		return (si->si_status & 0xff) << 8;
	return si->si_status | (si->si_code == CLD_DUMPED ? 0x80 : 0);
}

static int
on_child(sd_event_source *s, const siginfo_t *si, void *arg)
{
	struct hook *h = arg;
	struct loop *l = h->loop;
	loop_child_fn fn = h->child;
	void *ctx = h->ctx;

	(void)s;
	hook_free(h); /* sd-event keeps the source itself until it has reaped the child */
	fn(ctx, si->si_pid, wait_status(si));
	return after_callback(l);
}

void
loop_on_child(struct loop *l, pid_t pid, loop_child_fn fn, void *ctx)
{
	struct hook *h = hook_new(l, ctx);

	h->child = fn;
	block_signal(SIGCHLD); /* sd-event asks for it, also where it uses a pidfd */
	need(sd_event_add_child(l->ev, &h->source, pid, WEXITED, on_child, h), "watching a child");
}
