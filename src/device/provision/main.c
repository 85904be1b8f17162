/* SPDX-License-Identifier: Apache-2.0 */
/* provision/main.c - the worker: one task from the control pipe, its result back, the end */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "core/base/clock.h"
#include "core/sys/pipe.h"
#include "core/sys/sandbox.h"
#include "core/sys/spawn.h"
#include "device/provision/provision_inside.h"
#include "device/service/crew.h"

struct worker {
	struct loop *loop;
	bool had;      /* a second task is one too many */
};

/* Only two parts talk to somebody outside of this machine. */
static bool
needs_network(enum task_kind k)
{
	return k >= TASK_DPS && k <= TASK_MODULE_DELETE;
}

/* What a task reads: the library's settings; for the network, how names are resolved and the system's anchors. */
static int
confine(enum task_kind k, const json_t *args, struct err *e)
{
	const char *file = getenv("SSL_CERT_FILE"), *dir = getenv("SSL_CERT_DIR"), *certd = json_str(args, "certd", "");
	const struct sandbox_path paths[] = {
		{ "/etc", false }, { "/usr", false }, { "/lib", false }, { "/run/systemd/resolve", false },
		{ "/run/resolvconf", false }, { "/var/lib/ca-certificates", false },
		{ file != NULL ? file : "/etc", false }, { dir != NULL ? dir : "/etc", false },
		{ json_str(args, "keyd", ""), false }, { certd[0] != 0 ? certd : "/etc", false }, { NULL, false },
	};
	const struct sandbox box = { .paths = paths, .network = needs_network(k) };
	AUTO_BUF report = { 0 };
	bool weak;

	return sandbox_enter(&box, &report, &weak, e); /* a kernel without Landlock is no reason not to provision */
}

static void
answer(struct worker *w, struct pipe *p, uint64_t id, const struct task_result *r)
{
	AUTO_BUF message = BUF_MAX(PIPE_MAX);
	struct err e = { 0 };

	task_result_encode(&message, r);
	/* It leaves with pipe_free(), if not before. */
	if (buf_check(&message, "result", &e) != 0 ||
	    pipe_send(p, CREW_ANSWER, id, bytes_of_buf(&message), -1, &e) != 0)
		loop_stop(w->loop, err_row(e.code)->exit_status);
	else
		loop_stop(w->loop, 0);
}

static void
on_task(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct worker *w = ctx;
	struct task_result r = { .retry_after_s = -1, .value = json_object() };
	enum task_kind k = TASK_NONE;
	AUTO_JSON args = NULL;
	struct err e = { 0 };

	if (w->had)
		return;
	w->had = true;
	if (task_decode(&k, &args, m->body, &e) != 0) {
		(void)task_settle(&r, TASK_BAD_TASK, &e);
	} else if (confine(k, args, &e) != 0) {
		(void)task_settle(&r, TASK_DIED, &e);
	} else {
		task_result_clear(&r);
		task_run(&r, k, args, clock_now());
	}
	answer(w, p, m->id, &r);
	task_result_clear(&r);
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
	static const struct pipe_permit permits[] = { { CREW_MESSAGE, "task", on_task }, { 0, NULL, NULL } };
	struct worker w = { .loop = loop_new() };
	struct pipe *p;
	int status;

	/* It blocks in the network and in other services: when identityd goes, nobody else would end it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	p = pipe_new(w.loop, SPAWN_CONTROL_FD, permits, on_closed, &w);
	status = loop_run(w.loop);
	pipe_free(p);
	loop_free(w.loop);
	return status;
}
