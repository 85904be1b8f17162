/* SPDX-License-Identifier: Apache-2.0 */
/* sys/spawn.c - start another of our executables */
#include "core/sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/file.h"

/* Where descriptors wait while 0 to 3 are put in place. */
#define PARKED 10

/* A copy of fd out of the way; -1 stays -1. */
static int
park(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, PARKED);
}

/* The copy goes to where the child expects it; dup2() takes its CLOEXEC off. */
static bool
place(int wanted, int parked, int at)
{
	if (wanted < 0)
		return true;
	return parked >= 0 && dup2(parked, at) == at;
}

/* Descriptors 0, 1, 2, the control pipe if there is one, status, and no others. */
static bool
arrange_fds(const struct spawn *s, int status)
{
	int control = park(s->control_fd), out = park(s->stdout_fd), err = park(s->stderr_fd);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	unsigned first = s->control_fd < 0 ? SPAWN_CONTROL_FD : SPAWN_CONTROL_FD + 1;

	if (null < 0 || !place(null, park(null), 0) || !place(s->stdout_fd, out, 1) ||
	    !place(s->stderr_fd, err, 2) || !place(s->control_fd, control, SPAWN_CONTROL_FD))
		return false;
	return close_range(first, (unsigned)status - 1, 0) == 0 &&
	    close_range((unsigned)status + 1, ~0u, 0) == 0;
}

/* Dispositions first: nothing that was blocked may meet a handler of the parent. */
static void
reset_signals(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int signo = 1; signo < NSIG; signo++)
		(void)sigaction(signo, &dfl, NULL); /* KILL and STOP cannot be, and need not */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
child(const struct spawn *s, int status_fd, pid_t parent)
{
	int status = park(status_fd), no;

	if (status < 0 || !arrange_fds(s, status))
		goto fail;
	reset_signals();
	if (s->detach && setsid() < 0)
		goto fail;
	if (s->die_with_parent) {
		if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0)
			goto fail;
		if (getppid() != parent) /* it went before we asked */
			_exit(0);
	}
	(void)execv(s->path, (char *const *)(uintptr_t)s->argv);
fail:
	no = errno;
	if (write(status >= 0 ? status : status_fd, &no, sizeof(no)) < 0)
		_exit(126);
	_exit(127);
}

/* Read what child() wrote: nothing when exec closed the descriptor. */
static int
exec_error(int fd)
{
	int no = 0;
	ssize_t n;

	do
		n = read(fd, &no, sizeof(no));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(no) ? no : 0;
}

int
spawn_start(pid_t *pid, const struct spawn *s, struct err *e)
{
	AUTO_FD reader = -1;
	AUTO_FD writer = -1;
	sigset_t all, old;
	pid_t parent = getpid(), made;
	int fds[2], no;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_errno(e, E_IO, "%s: pipe", s->path);
	reader = fds[0];
	writer = fds[1];
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	made = fork();
	if (made == 0)
		child(s, writer, parent);
	no = errno;
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	errno = no;
	if (made < 0)
		return err_errno(e, E_IO, "%s: fork", s->path);
	fd_autoclose(&writer);
	no = exec_error(reader);
	if (no != 0) {
		(void)waitpid(made, NULL, 0);
		errno = no;
		return err_errno(e, E_IO, "%s", s->path);
	}
	*pid = made;
	return 0;
}

int
spawn_exec(const char *path, const char *const *argv, struct err *e)
{
	(void)execv(path, (char *const *)(uintptr_t)argv);
	return err_errno(e, E_IO, "%s", path);
}

int
spawn_self_dir(char *out, size_t size, struct err *e)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (n < 0)
		return err_errno(e, E_IO, "/proc/self/exe");
	path[n] = 0;
	slash = strrchr(path, '/');
	if (slash == NULL)
		return err_set(e, E_IO, "/proc/self/exe: '%.200s' is no path", path);
	slash[slash == path ? 1 : 0] = 0;
	if ((size_t)snprintf(out, size, "%s", path) >= size)
		return err_set(e, E_TOOBIG, "%.200s...: path too long", path);
	return 0;
}
