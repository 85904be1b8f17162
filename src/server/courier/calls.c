/* SPDX-License-Identifier: Apache-2.0 */
/* courier/calls.c - the processes that ask webhooks, at most COURIER_CALLS at once */
#include <signal.h>
#include <sys/wait.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/codec/wire.h"
#include "core/sys/log.h"
#include "core/sys/spawn.h"
#include "server/courier/courier.h"
#include "server/proto/proto.h"

#define GRACE_MS 2000 /* for a process to start and to tell, beyond the call's own time */

/* A webhook to be asked: waiting, or with its process. */
struct call {
	struct call *next;
	struct calls *all;
	uint64_t id;
	struct buf message;
	pid_t pid;                   /* 0: waiting, or reaped */
	bool wanted;                 /* somebody waits for the answer */
	struct pipe *pipe;
	struct loop_timer *deadline;
};

struct calls {
	struct loop *loop;
	const char *path;
	const struct buf *trust;
	calls_fn fn;
	void *ctx;
	struct call *first, **last;  /* waiting */
	size_t n_waiting;
	struct call *running;
	unsigned n_running;
	struct loop_timer *soon;     /* starts what waits, from the loop */
};

static void start_waiting(void *ctx);

struct calls *
calls_new(struct loop *l, const char *path, const struct buf *trust, calls_fn fn, void *ctx)
{
	struct calls *c = mem_zalloc(sizeof(*c));

	*c = (struct calls){ .loop = l, .path = path, .trust = trust, .fn = fn, .ctx = ctx };
	c->last = &c->first;
	c->soon = loop_timer_new(l, start_waiting, c);
	return c;
}

static void
call_free(struct call *k)
{
	buf_free(&k->message);
	pipe_free(k->pipe);
	loop_timer_free(k->deadline);
	mem_free(k);
}

static void
tell(struct calls *c, uint64_t id, const char *why)
{
	AUTO_BUF b = BUF_MAX(1024);

	courier_put_answer(&b, &(struct courier_answer){ .why = why });
	c->fn(c->ctx, id, bytes_of_buf(&b));
}

/* Over once its process is reaped and its answer is in, or nobody wants it. */
static void
settle(struct call *k)
{
	struct calls *c = k->all;
	struct call **at = &c->running;

	if (k->pid != 0 || k->wanted)
		return;
	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	c->n_running--;
	call_free(k);
	loop_timer_in(c->soon, 0);
}

/* NULL fetched: there is none, and why. */
static void
answer(struct call *k, const struct bytes *fetched, const char *why)
{
	bool wanted = k->wanted;

	k->wanted = false;
	if (wanted && fetched != NULL)
		k->all->fn(k->all->ctx, k->id, *fetched);
	else if (wanted)
		tell(k->all, k->id, why);
	settle(k);
}

static void
on_called(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	(void)p;
	answer(ctx, &m->body, NULL);
}

static const struct pipe_permit permits[] = { { COURIER_CALLED, "called", on_called }, { 0, NULL, NULL } };

static void
on_pipe_closed(void *ctx, struct pipe *p, const char *why)
{
	(void)p;
	(void)why;
	answer(ctx, NULL, "the process that asked the webhook ended without an answer");
}

static void
on_deadline(void *ctx)
{
	struct call *k = ctx;

	if (k->pid != 0) /* ours until it is reaped: no other process can have the number */
		(void)kill(k->pid, SIGKILL);
	answer(k, NULL, "the process that asked the webhook did not end in time");
}

static void
on_child(void *ctx, pid_t pid, int status)
{
	struct calls *c = ctx;
	struct call *k = c->running;

	while (k != NULL && k->pid != pid)
		k = k->next;
	if (k == NULL)
		return;
	if (WIFSIGNALED(status))
		log_event(L_WARN, "call.killed", "signal=%d", WTERMSIG(status));
	k->pid = 0;
	settle(k); /* with an answer still in the pipe it stays until that is read */
}

static int
launch(struct call *k, struct err *e)
{
	const char *const argv[] = { "courier", COURIER_MODE, NULL };
	int fds[2], r = pipe_pair(fds, e);
	struct spawn s = { .path = k->all->path, .argv = argv, .stdout_fd = -1, .stderr_fd = -1,
		.die_with_parent = true };

	if (r != 0)
		return r;
	s.control_fd = fds[1];
	r = spawn_start(&k->pid, &s, e);
	fd_autoclose(&fds[1]);
	if (r != 0) {
		k->pid = 0;
		fd_autoclose(&fds[0]);
		return r;
	}
	k->pipe = pipe_new(k->all->loop, fds[0], permits, on_pipe_closed, k);
	return 0;
}

static void
start(struct calls *c, struct call *k)
{
	struct err e = { 0 };

	k->next = c->running;
	c->running = k;
	c->n_running++;
	if (launch(k, &e) != 0) {
		log_event(L_ERROR, "call.not-started", "why=%s", e.msg);
		answer(k, NULL, e.msg);
		return;
	}
	loop_on_child(c->loop, k->pid, on_child, c);
	k->deadline = loop_timer_new(c->loop, on_deadline, k);
	loop_timer_in(k->deadline, COURIER_CALL_MS + GRACE_MS);
	if (pipe_send(k->pipe, COURIER_CALL, 1, bytes_of_buf(&k->message), -1, &e) != 0)
		loop_timer_in(k->deadline, 0);
}

static void
start_waiting(void *ctx)
{
	struct calls *c = ctx;

	while (c->first != NULL && c->n_running < COURIER_CALLS) {
		struct call *k = c->first;

		if ((c->first = k->next) == NULL)
			c->last = &c->first;
		c->n_waiting--;
		start(c, k);
	}
}

void
calls_add(struct calls *c, uint64_t id, const char *url, struct bytes body)
{
	struct call *k;

	if (c->n_waiting == COURIER_QUEUE) {
		tell(c, id, "too many webhooks wait to be asked");
		return;
	}
	k = mem_zalloc(sizeof(*k));
	*k = (struct call){ .all = c, .id = id, .wanted = true };
	wire_put_str(&k->message, url);
	wire_put_bytes(&k->message, body);
	wire_put_bytes(&k->message, bytes_of_buf(c->trust));
	*c->last = k;
	c->last = &k->next;
	c->n_waiting++;
	loop_timer_in(c->soon, 0);
}

void
calls_forget(struct calls *c)
{
	struct call *k, *next;

	while ((k = c->first) != NULL) {
		c->first = k->next;
		call_free(k);
	}
	c->last = &c->first;
	c->n_waiting = 0;
	for (k = c->running; k != NULL; k = next) {
		next = k->next;
		k->wanted = false;
		if (k->pid != 0)
			(void)kill(k->pid, SIGKILL);
		settle(k);
	}
}

void
calls_free(struct calls *c)
{
	struct call *k;

	if (c == NULL)
		return;
	calls_forget(c);
	while ((k = c->running) != NULL) {
		c->running = k->next;
		(void)waitpid(k->pid, NULL, 0);
		call_free(k);
	}
	loop_timer_free(c->soon);
	mem_free(c);
}
