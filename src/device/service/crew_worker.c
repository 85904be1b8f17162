/* SPDX-License-Identifier: Apache-2.0 */
/* service/crew_worker.c - the worker's side of a crew: one message from the control pipe, its answer back, the end */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "core/sys/pipe.h"
#include "core/sys/spawn.h"
#include "device/service/crew.h"

struct worker {
	struct loop *loop;
	crew_work work;
	size_t most;
	bool had;      /* a second message is one too many */
};

static void
on_message(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct worker *w = ctx;
	struct buf answer = BUF_MAX(w->most);
	struct err e = { 0 };

	if (w->had)
		return;
	w->had = true;
	w->work(m->body, &answer);
	/* It leaves with pipe_free(), if not before. */
	if (buf_check(&answer, "result", &e) != 0 ||
	    pipe_send(p, CREW_ANSWER, m->id, bytes_of_buf(&answer), -1, &e) != 0)
		loop_stop(w->loop, err_row(e.code)->exit_status);
	else
		loop_stop(w->loop, 0);
	buf_free(&answer);
}

static void
on_closed(void *ctx, struct pipe *p, const char *why)
{
	struct worker *w = ctx;

	(void)p, (void)why;
	loop_stop(w->loop, w->had ? 0 : EXIT_FAILURE);
}

int
crew_worker_main(crew_work work, size_t most)
{
	static const struct pipe_permit permits[] = { { CREW_MESSAGE, "message", on_message }, { 0, NULL, NULL } };
	struct worker w = { .loop = loop_new(), .work = work, .most = most };
	struct pipe *p;
	int status;

	/* It blocks in the network and in other services: when who started it goes, nobody else would end it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	p = pipe_new(w.loop, SPAWN_CONTROL_FD, permits, on_closed, &w);
	status = loop_run(w.loop);
	pipe_free(p);
	loop_free(w.loop);
	return status;
}
