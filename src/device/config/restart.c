/* SPDX-License-Identifier: Apache-2.0 */
/* config/restart.c - by systemctl, in the order of the original's restart */
#include "device/config/restart.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/sys/spawn.h"

#define UNIT_SIZE 48

/* Who depends on others stops before them. */
static const char *const order[] = { "edged", "identityd", "keyd", "certd", "tpmd" };

static const char *const edged_sockets[] = { "aziot-edged.mgmt.socket", "aziot-edged.workload.socket" };

struct restart {
	restart_fn run;
	void *ctx;
	struct err *e;
};

bool
restart_possible(void)
{
	return access("/run/systemd/system", F_OK) == 0;
}

int
restart_systemctl(void *ctx, int *status, const char *const *args, struct err *e)
{
	static const char *const places[] = { "/usr/bin/systemctl", "/bin/systemctl" };
	const char *argv[8] = { "systemctl" };
	AUTO_FD null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct spawn s = { .argv = argv, .control_fd = -1, .stdout_fd = null, .stderr_fd = -1 };
	pid_t pid;
	int r, how;

	(void)ctx;
	for (size_t i = 0; args[i] != NULL && i + 2 < N_OF(argv); i++)
		argv[i + 1] = args[i];
	s.path = access(places[0], X_OK) == 0 ? places[0] : places[1];
	if ((r = spawn_start(&pid, &s, e)) != 0)
		return r;
	while (waitpid(pid, &how, 0) < 0)
		if (errno != EINTR)
			return err_errno(e, E_IO, "systemctl");
	*status = WIFEXITED(how) ? WEXITSTATUS(how) : 255;
	return 0;
}

/* The exit status of "systemctl --quiet VERB UNIT"; 255 when it could not be run. */
static int
ask(const struct restart *x, const char *verb, const char *unit)
{
	const char *const args[] = { "--quiet", verb, unit, NULL };
	int status = 255;

	return x->run(x->ctx, &status, args, x->e) == 0 ? status : 255;
}

/* Do it; when it fails that is the error, the latest stays. */
static void
act(const struct restart *x, int *r, const char *verb, const char *unit)
{
	int status = ask(x, verb, unit);

	if (status != 0)
		*r = err_set(x->e, E_UNAVAIL, "systemctl %s %s ended with %d; see journalctl -u %s", verb,
		    unit, status, unit);
}

static void
start_sockets(const struct restart *x, int *r, const char *service)
{
	char unit[UNIT_SIZE];

	if (strcmp(service, "edged") == 0) {
		for (size_t i = 0; i < N_OF(edged_sockets); i++)
			act(x, r, "start", edged_sockets[i]);
		return;
	}
	(void)snprintf(unit, sizeof(unit), "aziot-%s.socket", service);
	act(x, r, "start", unit);
}

static bool
is_in(const char *service, const char *const *services)
{
	for (; *services != NULL; services++)
		if (strcmp(service, *services) == 0)
			return true;
	return false;
}

int
restart_services(const char *done[RESTART_MAX + 1], const char *const *services, restart_fn run, void *ctx,
    struct err *e)
{
	const struct restart x = { run, ctx, e };
	bool here[N_OF(order)] = { false }, ran[N_OF(order)] = { false };
	char unit[UNIT_SIZE];
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < N_OF(order); i++) {
		(void)snprintf(unit, sizeof(unit), "aziot-%s.service", order[i]);
		if (!is_in(order[i], services) || ask(&x, "cat", unit) != 0)
			continue;
		here[i] = true;
		ran[i] = ask(&x, "is-active", unit) == 0 || ask(&x, "is-enabled", unit) == 0;
		act(&x, &r, "stop", unit);
		done[n++] = order[i];
	}
	done[n] = NULL;
	for (size_t i = 0; i < N_OF(order); i++)
		if (here[i])
			start_sockets(&x, &r, order[i]);
	for (size_t i = N_OF(order); i-- > 0;) {
		bool first = i == 0 || (i == 1 && !here[0]);

		(void)snprintf(unit, sizeof(unit), "aziot-%s.service", order[i]);
		if (here[i] && (ran[i] || first))
			act(&x, &r, "start", unit);
	}
	return r;
}
