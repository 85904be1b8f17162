/* SPDX-License-Identifier: Apache-2.0 */
/* cli/daemon.c - an estuaryd of our own */
#include "cli/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/sys/spawn.h"

#define PAUSE_LEAST_MS 20u
#define PAUSE_MOST_MS  320u
#define PATH_SIZE      4096
#define LOG_TAIL       16384 /* octets at the end of the log that are looked at for a reason */

static int
find(char path[PATH_SIZE], struct err *e)
{
	static const char *const places[] = {
		"estuaryd", "../sbin/estuaryd", "../server/estuaryd/estuaryd",
	};
	char dir[PATH_SIZE / 2];
	int r = spawn_self_dir(dir, sizeof(dir), e);

	if (r != 0)
		return r;
	for (size_t i = 0; i < N_OF(places); i++) {
		(void)snprintf(path, PATH_SIZE, "%s/%s", dir, places[i]);
		if (access(path, X_OK) == 0)
			return 0;
	}
	return err_set(e, E_NOTFOUND, "estuaryd: not beside %s/estuary, nor in ../sbin", dir);
}

static void
watched(sigset_t *set)
{
	(void)sigemptyset(set);
	(void)sigaddset(set, SIGINT);
	(void)sigaddset(set, SIGTERM);
	(void)sigaddset(set, SIGHUP);
	(void)sigaddset(set, SIGCHLD);
}

int
daemon_start(struct daemon *d, const char *config, const char *log, struct err *e)
{
	AUTO_FD log_fd = open(log, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	char path[PATH_SIZE];
	const char *const argv[] = { "estuaryd", "--config", config, NULL };
	struct spawn s = { .path = path, .argv = argv, .control_fd = -1, .stdout_fd = log_fd,
		.stderr_fd = log_fd, .die_with_parent = true };
	sigset_t set;
	int r = find(path, e);

	*d = DAEMON_NONE;
	if (r != 0)
		return r;
	if (log_fd < 0)
		return err_errno(e, E_IO, "%s", log);
	watched(&set);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	d->log_begin = lseek(log_fd, 0, SEEK_END);
	r = spawn_start(&d->pid, &s, e);
	d->log_fd = TAKE_FD(log_fd);
	return r;
}

/* What a line of the log gives as a reason: the supervisor's last words, or a role's that could not start.  NULL: none. */
static const char *
reason_in(const char *line)
{
	static const char own[] = "estuaryd: ", error[] = " ERROR ";
	const char *at = strstr(line, error);

	if (strncmp(line, own, sizeof(own) - 1) == 0)
		return line + sizeof(own) - 1;
	if (at == NULL || (strstr(at, "error=") == NULL && strstr(at, "why=") == NULL))
		return NULL;
	return at + sizeof(error) - 1;
}

bool
daemon_why(const struct daemon *d, char out[DAEMON_WHY_MAX])
{
	char text[LOG_TAIL + 1], *rest = text, *line;
	off_t end = d->log_fd >= 0 ? lseek(d->log_fd, 0, SEEK_END) : -1;
	ssize_t n;

	out[0] = 0;
	if (end < 0)
		return false;
	n = pread(d->log_fd, text, LOG_TAIL, end - d->log_begin > LOG_TAIL ? end - LOG_TAIL : d->log_begin);
	text[n < 0 ? 0 : n] = 0;
	while ((line = strsep(&rest, "\n")) != NULL) {
		const char *why = reason_in(line);

		if (why != NULL)
			text_copy(out, DAEMON_WHY_MAX, why);
	}
	return out[0] != 0;
}

/* Has it ended?  Then say how. */
static bool
reap(struct daemon *d)
{
	int status;

	if (!d->ended && waitpid(d->pid, &status, WNOHANG) == d->pid) {
		d->ended = true;
		d->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	return d->ended;
}

/*
 * One signal, or none within the time.  What a terminal sends goes to the whole foreground
 * group and so to the server, too: only what was sent to us alone is passed on.
 */
static void
take_signal(struct daemon *d, uint64_t ms)
{
	const struct timespec within = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
	siginfo_t info = { 0 };
	sigset_t set;
	int signo;

	watched(&set);
	signo = sigtimedwait(&set, &info, &within);
	if (signo <= 0 || signo == SIGCHLD)
		return;
	if (signo != SIGHUP)
		d->signo = signo;
	if (info.si_code != SI_KERNEL && !reap(d))
		(void)kill(d->pid, signo);
}

int
daemon_pause(struct daemon *d, uint64_t deadline, const char *what, struct err *e)
{
	take_signal(d, d->pauses < 4 ? PAUSE_LEAST_MS << d->pauses : PAUSE_MOST_MS);
	d->pauses++;
	if (reap(d))
		return err_set(e, E_UNAVAIL, "estuaryd: ended with status %d before it %s", d->status, what);
	if (d->signo != 0)
		return err_set(e, E_UNAVAIL, "ended by signal %d before the server %s", d->signo, what);
	if (clock_monotonic_ms() >= deadline)
		return err_set(e, E_UNAVAIL, "estuaryd: not yet after %d s: that it %s",
		    DAEMON_WAIT_MS / 1000, what);
	return 0;
}

bool
daemon_rest(struct daemon *d, uint64_t ms)
{
	uint64_t deadline = clock_monotonic_ms() + ms, now;

	while (!reap(d) && (now = clock_monotonic_ms()) < deadline)
		take_signal(d, deadline - now);
	return d->ended;
}

void
daemon_stop(struct daemon *d)
{
	if (d->pid <= 0 || reap(d))
		return;
	(void)kill(d->pid, SIGTERM);
	while (!daemon_rest(d, DAEMON_WAIT_MS))
		;
}

void
daemon_clear(struct daemon *d)
{
	fd_autoclose(&d->log_fd);
}
