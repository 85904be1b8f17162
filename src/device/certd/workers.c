/* SPDX-License-Identifier: Apache-2.0 */
/* certd/workers.c - worker processes: one for each job, at most WORKERS_MAX at once */
#include "device/certd/workers.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/sys/pipe.h"
#include "core/sys/spawn.h"
#include "device/service/slog.h"

#define GRACE_MS 10000 /* what a worker has beyond its job's deadline, to tell what happened */

/* A process; it may outlive the wish for its answer, and the answer its end. */
struct worker {
	struct worker *next;
	struct workers *all;
	pid_t pid;                     /* 0: it has been reaped */
	bool killed;
	struct pipe *pipe;             /* NULL: nothing more is expected */
	struct loop_timer *deadline;
	struct workers_ticket *ticket; /* NULL: answered, or nobody wants the answer */
};

/* Somebody's job: waiting, or with its worker. */
struct workers_ticket {
	struct workers_ticket *next;   /* in the queue */
	struct job job;
	workers_done fn;
	void *ctx;
	struct worker *worker;         /* NULL: waiting */
};

struct workers {
	struct loop *loop;
	const char *path;
	unsigned grace_ms;
	struct loop_timer *soon;       /* starts what waits, from the loop */
	struct worker *running;
	unsigned n_running;
	struct workers_ticket *first, **last;
};

static void start_waiting(void *ctx);

struct workers *
workers_new(struct loop *l, const char *path)
{
	struct workers *w = mem_zalloc(sizeof(*w));

	*w = (struct workers){ .loop = l, .path = path, .grace_ms = GRACE_MS };
	w->last = &w->first;
	w->soon = loop_timer_new(l, start_waiting, w);
	return w;
}

void
workers_set_grace(struct workers *w, unsigned ms)
{
	w->grace_ms = ms;
}

static void
ticket_free(struct workers_ticket *t)
{
	job_clear(&t->job);
	mem_free(t);
}

/* When the process is reaped and its answer is in (or given up), nothing points here any more. */
static void
worker_settle(struct worker *k)
{
	struct workers *w = k->all;
	struct worker **at = &w->running;

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
	w->n_running--;
	loop_timer_in(w->soon, 0);
}

/* Tell whoever asked, once; k (or NULL: never started) and t may be gone after. */
static void
answer(struct workers_ticket *t, struct worker *k, const struct job_result *r)
{
	if (k != NULL) {
		k->ticket = NULL;
		worker_settle(k);
	}
	t->fn(t->ctx, r);
	ticket_free(t);
}

static void
answer_died(struct workers_ticket *t, struct worker *k, const char *why)
{
	struct job_result r = { .outcome = JOB_DIED, .retry_after_s = -1 };

	(void)snprintf(r.text, sizeof(r.text), "worker: %s", why);
	answer(t, k, &r);
}

static void
worker_kill(struct worker *k)
{
	k->killed = true;
	if (k->pid != 0) /* ours until it is reaped: no other process can have the number */
		(void)kill(k->pid, SIGKILL);
}

static void
on_result(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct worker *k = ctx;
	struct job_result r = { 0 };
	struct err e;

	(void)p;
	if (k->ticket == NULL)
		return;
	if (job_result_decode(&r, m->body, &e) != 0) {
		slog(SLOG_ERROR, "worker: malformed answer: %s", e.msg);
		worker_kill(k);
		answer_died(k->ticket, k, "malformed answer");
	} else {
		answer(k->ticket, k, &r);
	}
	job_result_clear(&r);
}

static const struct pipe_permit permits[] = {
	{ JOB_RESULT_MESSAGE, "result", on_result }, { 0, NULL, NULL },
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
	struct workers *w = ctx;
	struct worker *k = w->running;

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
	const char *const argv[] = { "certd-worker", NULL };
	AUTO_FD ours = -1;
	AUTO_FD theirs = -1;
	struct spawn s = { .path = k->all->path, .argv = argv, .stdout_fd = -1, .stderr_fd = -1, .die_with_parent = true };
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
start(struct workers *w, struct workers_ticket *t)
{
	unsigned deadline_s = t->job.deadline_s != 0 ? t->job.deadline_s : JOB_DEADLINE_S;
	AUTO_BUF message = BUF_MAX(PIPE_MAX);
	struct worker *k = mem_zalloc(sizeof(*k));
	struct err e;

	*k = (struct worker){ .next = w->running, .all = w, .ticket = t };
	k->deadline = loop_timer_new(w->loop, on_deadline, k);
	w->running = k;
	w->n_running++;
	t->worker = k;
	if (launch(k, &e) != 0) {
		answer_died(t, k, e.msg);
		return;
	}
	loop_on_child(w->loop, k->pid, on_child, w);
	loop_timer_in(k->deadline, (uint64_t)deadline_s * 1000 + w->grace_ms);
	job_encode(&message, &t->job);
	job_clear(&t->job);
	if (buf_check(&message, "job", &e) != 0 || pipe_send(k->pipe, JOB_MESSAGE, 1, bytes_of_buf(&message), -1, &e) != 0) {
		worker_kill(k);
		answer_died(t, k, e.msg);
	}
}

static void
start_waiting(void *ctx)
{
	struct workers *w = ctx;

	while (w->first != NULL && w->n_running < WORKERS_MAX) {
		struct workers_ticket *t = w->first;

		w->first = t->next;
		if (w->first == NULL)
			w->last = &w->first;
		start(w, t);
	}
}

struct workers_ticket *
workers_run(struct workers *w, struct job *j, workers_done fn, void *ctx)
{
	struct workers_ticket *t = mem_zalloc(sizeof(*t));

	*t = (struct workers_ticket){ .job = *j, .fn = fn, .ctx = ctx };
	mem_wipe(j, sizeof(*j)); /* its buffers have moved */
	*w->last = t;
	w->last = &t->next;
	loop_timer_in(w->soon, 0);
	return t;
}

void
workers_cancel(struct workers *w, struct workers_ticket *t)
{
	struct workers_ticket **at = &w->first;

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
	if (w->last == &t->next)
		w->last = at;
	ticket_free(t);
}

void
workers_free(struct workers *w)
{
	struct workers_ticket *t;
	struct worker *k;

	if (w == NULL)
		return;
	while ((t = w->first) != NULL) {
		w->first = t->next;
		ticket_free(t);
	}
	while ((k = w->running) != NULL) {
		w->running = k->next;
		worker_kill(k);
		if (k->pid != 0)
			(void)waitpid(k->pid, NULL, 0);
		if (k->ticket != NULL)
			ticket_free(k->ticket);
		pipe_free(k->pipe);
		loop_timer_free(k->deadline);
		mem_free(k);
	}
	loop_timer_free(w->soon);
	mem_free(w);
}
