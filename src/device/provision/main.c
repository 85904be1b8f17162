/* SPDX-License-Identifier: Apache-2.0 */
/* provision/main.c - the worker: one task from the control pipe, its result back, the end */
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/sys/pipe.h"
#include "core/sys/sandbox.h"
#include "device/provision/provision_inside.h"
#include "device/service/crew.h"

/* Only two parts talk to somebody outside of this machine. */
static bool
needs_network(enum task_kind k)
{
	return k >= TASK_DPS && k <= TASK_MODULE_DELETE;
}

/*
 * What a task reads: the library's settings; for the network, how names are resolved (a link's file as well: small systems have it
 * below /tmp or /run) and the system's anchors.
 */
static int
confine(enum task_kind k, const json_t *args, struct err *e)
{
	const char *file = getenv("SSL_CERT_FILE"), *dir = getenv("SSL_CERT_DIR"), *certd = json_str(args, "certd", "");
	const struct sandbox_path paths[] = {
		{ "/etc", false }, { "/usr", false }, { "/lib", false }, { "/run/systemd/resolve", false },
		{ "/run/resolvconf", false }, { "/etc/resolv.conf", false }, { "/var/lib/ca-certificates", false },
		{ file != NULL ? file : "/etc", false }, { dir != NULL ? dir : "/etc", false },
		{ json_str(args, "keyd", ""), false }, { certd[0] != 0 ? certd : "/etc", false }, { NULL, false },
	};
	const struct sandbox box = { .paths = paths, .network = needs_network(k), .local = true };
	AUTO_BUF report = { 0 };
	bool weak;

	return sandbox_enter(&box, &report, &weak, e); /* a kernel without Landlock is no reason not to provision */
}

static void
do_task(struct bytes message, struct buf *out)
{
	struct task_result r = { .retry_after_s = -1, .value = json_object() };
	enum task_kind k = TASK_NONE;
	AUTO_JSON args = NULL;
	struct err e = { 0 };

	if (task_decode(&k, &args, message, &e) != 0) {
		(void)task_settle(&r, TASK_BAD_TASK, &e);
	} else if (confine(k, args, &e) != 0) {
		(void)task_settle(&r, TASK_DIED, &e);
	} else {
		task_result_clear(&r);
		task_run(&r, k, args, clock_now());
	}
	task_result_encode(out, &r);
	task_result_clear(&r);
}

int
main(void)
{
	return crew_worker_main(do_task, PIPE_MAX);
}
