/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/main.c - the worker: one job from the control pipe, its result back, the end */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "core/base/clock.h"
#include "core/sys/pipe.h"
#include "core/sys/sandbox.h"
#include "core/sys/spawn.h"
#include "device/enrol/enrol_inside.h"

#define RESULT_MAX ((size_t)2 * 1024 * 1024)

struct worker {
	struct loop *loop;
	bool had;      /* a second job is one too many */
};

/* What a job reads: the library's settings; for the network, how names are resolved and the system's anchors. */
static int
confine(const struct job *j, struct err *e)
{
	const char *file = getenv("SSL_CERT_FILE"), *dir = getenv("SSL_CERT_DIR");
	const struct sandbox_path paths[] = {
		{ "/etc", false }, { "/usr", false }, { "/lib", false }, { "/run/systemd/resolve", false },
		{ "/run/resolvconf", false }, { "/var/lib/ca-certificates", false },
		{ file != NULL ? file : "/etc", false }, { dir != NULL ? dir : "/etc", false },
		{ j->keyd_socket, false }, { NULL, false },
	};
	const struct sandbox box = { .paths = paths, .drop = j->drop, .uid = j->drop_uid, .gid = j->drop_gid,
		.network = j->kind == JOB_EST || j->kind == JOB_PROBE || j->kind == JOB_TLS };
	AUTO_BUF report = { 0 };
	bool weak;

	if (sandbox_enter(&box, &report, &weak, e) != 0) /* a kernel without Landlock is no reason not to renew */
		return e->code;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* another user's process had forgotten it */
	return 0;
}

static void
answer(struct worker *w, struct pipe *p, uint64_t id, const struct job_result *r)
{
	AUTO_BUF message = BUF_MAX(RESULT_MAX);
	struct err e = { 0 };

	job_result_encode(&message, r);
	/* It leaves with pipe_free(), if not before. */
	if (buf_check(&message, "result", &e) != 0 ||
	    pipe_send(p, JOB_RESULT_MESSAGE, id, bytes_of_buf(&message), -1, &e) != 0)
		loop_stop(w->loop, err_row(e.code)->exit_status);
	else
		loop_stop(w->loop, 0);
}

static void
on_job(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct worker *w = ctx;
	struct job_result r = { .retry_after_s = -1 };
	struct job j = { 0 };
	struct err e = { 0 };

	if (w->had)
		return;
	w->had = true;
	if (job_decode(&j, m->body, &e) != 0)
		(void)enrol_settle(&r, JOB_BAD_JOB, NULL, &e);
	else if (confine(&j, &e) != 0)
		(void)enrol_settle(&r, JOB_DIED, NULL, &e);
	else
		enrol_run(&r, &j, clock_now());
	answer(w, p, m->id, &r);
	job_clear(&j);
	job_result_clear(&r);
}

static void
on_closed(void *ctx, struct pipe *p, const char *why)
{
	struct worker *w = ctx;

	(void)p, (void)why;
	loop_stop(w->loop, w->had ? 0 : EXIT_FAILURE);
}

int
main(void)
{
	static const struct pipe_permit permits[] = { { JOB_MESSAGE, "job", on_job }, { 0, NULL, NULL } };
	struct worker w = { .loop = loop_new() };
	struct pipe *p;
	int status;

	/* It blocks in the network and in the Keys Service: when certd goes, nobody else would end it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	p = pipe_new(w.loop, SPAWN_CONTROL_FD, permits, on_closed, &w);
	status = loop_run(w.loop);
	pipe_free(p);
	loop_free(w.loop);
	return status;
}
