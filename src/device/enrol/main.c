/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/main.c - the worker: one job from the control pipe, its result back, the end */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "core/base/clock.h"
#include "core/sys/sandbox.h"
#include "device/enrol/enrol_inside.h"
#include "device/service/crew.h"

#define RESULT_MAX ((size_t)2 * 1024 * 1024)

/*
 * What a job reads: the library's settings; for the network, how names are resolved (a link's file as well: small systems have it
 * below /tmp or /run) and the system's anchors.
 */
static int
confine(const struct job *j, struct err *e)
{
	const char *file = getenv("SSL_CERT_FILE"), *dir = getenv("SSL_CERT_DIR");
	const struct sandbox_path paths[] = {
		{ "/etc", false }, { "/usr", false }, { "/lib", false }, { "/run/systemd/resolve", false },
		{ "/run/resolvconf", false }, { "/etc/resolv.conf", false }, { "/var/lib/ca-certificates", false },
		{ file != NULL ? file : "/etc", false }, { dir != NULL ? dir : "/etc", false },
		{ j->keyd_socket, false }, { NULL, false },
	};
	const struct sandbox box = { .paths = paths, .drop = j->drop, .uid = j->drop_uid, .gid = j->drop_gid,
		.local = true, .network = j->kind == JOB_EST || j->kind == JOB_PROBE || j->kind == JOB_TLS };
	AUTO_BUF report = { 0 };
	bool weak;

	if (sandbox_enter(&box, &report, &weak, e) != 0) /* a kernel without Landlock is no reason not to renew */
		return e->code;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* another user's process had forgotten it */
	return 0;
}

static void
do_job(struct bytes message, struct buf *out)
{
	struct job_result r = { .retry_after_s = -1 };
	struct job j = { 0 };
	struct err e = { 0 };

	if (job_decode(&j, message, &e) != 0)
		(void)enrol_settle(&r, JOB_BAD_JOB, NULL, &e);
	else if (confine(&j, &e) != 0)
		(void)enrol_settle(&r, JOB_DIED, NULL, &e);
	else
		enrol_run(&r, &j, clock_now());
	job_result_encode(out, &r);
	job_clear(&j);
	job_result_clear(&r);
}

int
main(void)
{
	return crew_worker_main(do_job, RESULT_MAX);
}
