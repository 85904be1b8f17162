/* SPDX-License-Identifier: Apache-2.0 */
/* service/crew.c - worker processes: one for each message, at most CREW_MAX at once */
#include "device/service/crew.h"

#include <signal.h>
#include <sys/wait.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/sys/pipe.h"
#include "core/sys/spawn.h"
#include "device/service/slog.h"

#define GRACE_MS 10000 /* what a worker has beyond its deadline, to tell what happened */

/* A process; it may outlive the wish for its answer, and the answer its end. */
struct worker {
	struct worker *next;
	struct crew *all;
	pid_t pid;                  /* 0: it has been reaped */
	bool killed;
	struct pipe *pipe;          /* NULL: nothing more is expected */
	struct loop_timer *deadline;
	struct crew_ticket *ticket; /* NULL: answered, or nobody wants the answer */
};

/* Somebody's message: waiting, or with its worker. */
struct crew_ticket {
	struct crew_ticket *next;   /* in the queue */
	struct buf message;
	unsigned deadline_s;
	struct crew_asker asker;
	struct worker *worker;      /* NULL: waiting */
};

struct crew {
	struct loop *loop;
	const char *path, *name;
	unsigned grace_ms;
	struct loop_timer *soon;    /* starts what waits, from the loop */
	struct worker *running;
	unsigned n_running;
	struct crew_ticket *first, **last;
};

static void start_waiting(void *ctx);

struct crew *
crew_new(struct loop *l, const char *path, const char *name)
{
	struct crew *c = mem_zalloc(sizeof(*c));

	*c = (struct crew){ .loop = l, .path = path, .name = name, .grace_ms = GRACE_MS };
	c->last = &c->first;
	c->soon = loop_timer_new(l, start_waiting, c);
	return c;
}

void
crew_set_grace(struct crew *c, unsigned ms)
{
	c->grace_ms = ms;
}

static void
ticket_free(struct crew_ticket *t)
{
	if (t->asker.gone != NULL)
		t->asker.gone(t->asker.ctx);
	buf_free(&t->message);
	mem_free(t);
}

/* When the process is reaped and its answer is in (or given up), nothing points here any more. */
static void
worker_settle(struct worker *k)
{
	struct crew *c = k->all;
	struct worker **at = &c->running;

	if (k->ticket == NULL) {
		pipe_free(k->pipe);
		k->pipe = NULL;
	}
	if (k->pid != 0 || k->ticket != NULL)
		return;
	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	loop_timer_free(k->deadline);
	mem_free(k);
	c->n_running--;
	loop_timer_in(c->soon, 0);
}

/* Tell whoever asked, once; k (or NULL: never started), t and the crew may be gone after. */
static void
answer(struct crew_ticket *t, struct worker *k, struct bytes octets, const char *died)
{
	AUTO_BUF kept = BUF_MAX(PIPE_MAX); /* the pipe goes with its worker */

	buf_put_bytes(&kept, octets);
	if (k != NULL) {
		k->ticket = NULL;
		loop_timer_in(k->deadline, k->all->grace_ms);
		worker_settle(k);
	}
	t->asker.done(t->asker.ctx, bytes_of_buf(&kept), died);
	ticket_free(t);
}

static void
answer_died(struct crew_ticket *t, struct worker *k, const char *why)
{
	answer(t, k, (struct bytes){ 0 }, why);
}

static void
worker_kill(struct worker *k)
{
	k->killed = true;
	if (k->pid != 0) /* ours until it is reaped: no other process can have the number */
		(void)kill(k->pid, SIGKILL);
}

static void
on_answer(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct worker *k = ctx;

	(void)p;
	if (k->ticket != NULL)
		answer(k->ticket, k, m->body, NULL);
}

static const struct pipe_permit permits[] = {
	{ CREW_ANSWER, "answer", on_answer }, { 0, NULL, NULL },
};

static void
on_pipe_closed(void *ctx, struct pipe *p, const char *why)
{
	struct worker *k = ctx;

	(void)p;
	(void)why;
	if (k->ticket != NULL)
		answer_died(k->ticket, k, "ended without an answer");
}

static void
on_deadline(void *ctx)
{
	struct worker *k = ctx;

	worker_kill(k);
	if (k->ticket != NULL)
		answer_died(k->ticket, k, "no answer in time");
}

static void
on_child(void *ctx, pid_t pid, int status)
{
	struct crew *c = ctx;
	struct worker *k = c->running;

	while (k != NULL && k->pid != pid)
		k = k->next;
	if (k == NULL)
		return;
	if (WIFSIGNALED(status) && !k->killed)
		slog(SLOG_ERROR, "worker %d: ended by signal %d", (int)pid, WTERMSIG(status));
	k->pid = 0;
	worker_settle(k); /* with an answer still in the pipe it stays until that is read */
}

/* The process with its end of the pipe, or why there is none. */
static int
launch(struct worker *k, struct err *e)
{
	const char *const argv[] = { k->all->name, NULL };
	AUTO_FD ours = -1;
	AUTO_FD theirs = -1;
	struct spawn s = {
		.path = k->all->path, .argv = argv, .stdout_fd = -1, .stderr_fd = -1, .die_with_parent = true,
	};
	int fds[2], r;

	if ((r = pipe_pair(fds, e)) != 0)
		return r;
	ours = fds[0];
	theirs = fds[1];
	s.control_fd = theirs;
	if ((r = spawn_start(&k->pid, &s, e)) != 0) {
		k->pid = 0;
		return r;
	}
	k->pipe = pipe_new(k->all->loop, TAKE_FD(ours), permits, on_pipe_closed, k);
	return 0;
}

static void
start(struct crew *c, struct crew_ticket *t)
{
	struct worker *k = mem_zalloc(sizeof(*k));
	struct err e;
	int r;

	*k = (struct worker){ .next = c->running, .all = c, .ticket = t };
	k->deadline = loop_timer_new(c->loop, on_deadline, k);
	c->running = k;
	c->n_running++;
	t->worker = k;
	if (launch(k, &e) != 0) {
		answer_died(t, k, e.msg);
		return;
	}
	loop_on_child(c->loop, k->pid, on_child, c);
	loop_timer_in(k->deadline, (uint64_t)t->deadline_s * 1000 + c->grace_ms);
	r = buf_check(&t->message, "message", &e);
	if (r == 0)
		r = pipe_send(k->pipe, CREW_MESSAGE, 1, bytes_of_buf(&t->message), -1, &e);
	buf_free(&t->message);
	if (r != 0) {
		worker_kill(k);
		answer_died(t, k, e.msg);
	}
}

static void
start_waiting(void *ctx)
{
	struct crew *c = ctx;

	while (c->first != NULL && c->n_running < CREW_MAX) {
		struct crew_ticket *t = c->first;

		c->first = t->next;
		if (c->first == NULL)
			c->last = &c->first;
		start(c, t);
	}
}

struct crew_ticket *
crew_run(struct crew *c, struct buf *message, unsigned deadline_s, const struct crew_asker *a)
{
	struct crew_ticket *t = mem_zalloc(sizeof(*t));

	*t = (struct crew_ticket){ .message = *message, .deadline_s = deadline_s, .asker = *a };
	*message = (struct buf){ .max = message->max };
	*c->last = t;
	c->last = &t->next;
	loop_timer_in(c->soon, 0);
	return t;
}

void
crew_cancel(struct crew *c, struct crew_ticket *t)
{
	struct crew_ticket **at = &c->first;

	if (t->worker != NULL) {
		worker_kill(t->worker);
		t->worker->ticket = NULL;
		worker_settle(t->worker);
		ticket_free(t);
		return;
	}
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	if (c->last == &t->next)
		c->last = at;
	ticket_free(t);
}

void
crew_free(struct crew *c)
{
	struct crew_ticket *t;
	struct worker *k;

	if (c == NULL)
		return;
	while ((t = c->first) != NULL) {
		c->first = t->next;
		ticket_free(t);
	}
	while ((k = c->running) != NULL) {
		c->running = k->next;
		worker_kill(k);
		if (k->pid != 0)
			(void)waitpid(k->pid, NULL, 0);
		if (k->ticket != NULL)
			ticket_free(k->ticket);
		pipe_free(k->pipe);
		loop_timer_free(k->deadline);
		mem_free(k);
	}
	loop_timer_free(c->soon);
	mem_free(c);
}
