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

#define UNIT_SIZE  48
#define SAID_MAX   ((size_t)4096) /* of what systemctl prints that is read */

const char *const restart_order[RESTART_MAX + 1] = { "edged", "identityd", "keyd", "certd", "tpmd", NULL };

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

/* Everything up to the end; more than fits is read and forgotten, so that nobody waits for us. */
static void
read_all(struct buf *out, int fd)
{
	char piece[512];
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		if (out->n + (size_t)n <= SAID_MAX)
			buf_put(out, piece, (size_t)n);
	}
}

int
restart_systemctl(void *ctx, int *status, struct buf *out, const char *const *args, struct err *e)
{
	static const char *const places[] = { "/usr/bin/systemctl", "/bin/systemctl" };
	const char *argv[8] = { "systemctl" };
	int ends[2] = { -1, -1 };
	AUTO_FD reader = -1;
	AUTO_FD writer = -1;
	struct spawn s = { .argv = argv, .control_fd = -1, .stderr_fd = -1 };
	pid_t pid;
	int r, how;

	(void)ctx;
	if (out != NULL && pipe2(ends, O_CLOEXEC) != 0)
		return err_errno(e, E_IO, "systemctl: pipe");
	reader = ends[0];
	writer = out != NULL ? ends[1] : open("/dev/null", O_WRONLY | O_CLOEXEC);
	s.stdout_fd = writer;
	for (size_t i = 0; args[i] != NULL && i + 2 < N_OF(argv); i++)
		argv[i + 1] = args[i];
	s.path = access(places[0], X_OK) == 0 ? places[0] : places[1];
	if ((r = spawn_start(&pid, &s, e)) != 0)
		return r;
	fd_autoclose(&writer);
	if (out != NULL)
		read_all(out, reader);
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

	return x->run(x->ctx, &status, NULL, args, x->e) == 0 ? status : 255;
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

static bool
has_unit(const struct restart *x, const char *service, char unit[UNIT_SIZE])
{
	(void)snprintf(unit, UNIT_SIZE, "aziot-%s.service", service);
	return ask(x, "cat", unit) == 0;
}

bool
restart_has_unit(const char *service, restart_fn run, void *ctx)
{
	struct err e;
	const struct restart x = { run, ctx, &e };
	char unit[UNIT_SIZE];

	return has_unit(&x, service, unit);
}

int
restart_services(const char *done[RESTART_MAX + 1], const char *const *services, restart_fn run, void *ctx,
    struct err *e)
{
	const struct restart x = { run, ctx, e };
	bool here[RESTART_MAX] = { false }, ran[RESTART_MAX] = { false };
	char unit[UNIT_SIZE];
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < RESTART_MAX; i++) {
		if (!is_in(restart_order[i], services) || !has_unit(&x, restart_order[i], unit))
			continue;
		here[i] = true;
		ran[i] = ask(&x, "is-active", unit) == 0 || ask(&x, "is-enabled", unit) == 0;
		act(&x, &r, "stop", unit);
		done[n++] = restart_order[i];
	}
	done[n] = NULL;
	for (size_t i = 0; i < RESTART_MAX; i++)
		if (here[i])
			start_sockets(&x, &r, restart_order[i]);
	for (size_t i = RESTART_MAX; i-- > 0;) {
		bool first = i == 0 || (i == 1 && !here[0]);

		(void)snprintf(unit, sizeof(unit), "aziot-%s.service", restart_order[i]);
		if (here[i] && (ran[i] || first))
			act(&x, &r, "start", unit);
	}
	return r;
}

int
restart_stop(const char *done[RESTART_MAX + 1], const char *const *services, restart_fn run, void *ctx, struct err *e)
{
	const struct restart x = { run, ctx, e };
	char unit[UNIT_SIZE];
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < RESTART_MAX; i++) {
		if (!is_in(restart_order[i], services) || !has_unit(&x, restart_order[i], unit))
			continue;
		act(&x, &r, "stop", unit);
		done[n++] = restart_order[i];
	}
	done[n] = NULL;
	return r;
}

/* "active", "inactive", "failed", ...: one word, or "unknown". */
static void
word_of(char out[UNIT_SIZE], const struct restart *x, const char *unit)
{
	const char *const args[] = { "show", "--property=ActiveState", "--value", unit, NULL };
	AUTO_BUF said = BUF_MAX(SAID_MAX);
	int status = 255;

	if (x->run(x->ctx, &status, &said, args, x->e) != 0 || status != 0 || said.n == 0)
		buf_put_str(&said, "unknown");
	(void)snprintf(out, UNIT_SIZE, "%.*s", (int)strcspn(buf_str(&said), "\n"), buf_str(&said));
}

/* The first of its sockets that does not listen, or NULL. */
static const char *
bad_socket(char unit[UNIT_SIZE], const struct restart *x, const char *service)
{
	bool edged = strcmp(service, "edged") == 0;
	char word[UNIT_SIZE];

	for (size_t i = 0; i < (edged ? N_OF(edged_sockets) : 1); i++) {
		(void)snprintf(unit, UNIT_SIZE, edged ? "%s" : "aziot-%s.socket", edged ? edged_sockets[i] : service);
		word_of(word, x, unit);
		if (strcmp(word, "active") != 0)
			return unit;
	}
	return NULL;
}

bool
restart_state(struct buf *out, const char *service, restart_fn run, void *ctx)
{
	struct err e;
	const struct restart x = { run, ctx, &e };
	char unit[UNIT_SIZE], word[UNIT_SIZE];
	const char *bad;
	bool active, idle;

	(void)snprintf(unit, sizeof(unit), "aziot-%s.service", service);
	word_of(word, &x, unit);
	active = strcmp(word, "active") == 0;
	idle = strcmp(word, "inactive") == 0;
	if (!active && !idle) {
		buf_printf(out, "Down - %s", word);
		return false;
	}
	bad = bad_socket(unit, &x, service);
	if (bad != NULL)
		buf_printf(out, "Down - %s is not listening", bad);
	else
		buf_put_str(out, active ? "Running" : "Ready");
	return bad == NULL;
}
