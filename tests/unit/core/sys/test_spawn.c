/* SPDX-License-Identifier: Apache-2.0 */
/* sys/test_spawn.c - what a started process finds: its descriptors, its signals, its end */
#include "core/sys/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/file.h"

#define SELF "/proc/self/exe"

/* Start this program again as `role` (see main()), its standard output into *out. */
static pid_t
start(const char *role, int control_fd, bool die_with_parent, int *out)
{
	const char *argv[] = { "helper", role, NULL };
	struct spawn s = { .path = SELF, .argv = argv, .control_fd = control_fd, .stderr_fd = -1,
		.die_with_parent = die_with_parent };
	struct err e = { 0 };
	pid_t pid;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	s.stdout_fd = fds[1];
	if (spawn_start(&pid, &s, &e) != 0)
		fail_msg("%s", e.msg);
	(void)close(fds[1]);
	*out = fds[0];
	return pid;
}

/* All that the child prints; it must exit with 0. */
static const char *
output(pid_t pid, int fd, char text[4096])
{
	size_t n = 0;
	ssize_t got;
	int status;

	while (n < 4095 && (got = read(fd, text + n, 4095 - n)) > 0)
		n += (size_t)got;
	text[n] = 0;
	(void)close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return text;
}

static void
a_child_has_no_descriptors_but_its_own(void **state)
{
	int leak = open("/", O_RDONLY | O_DIRECTORY); /* no CLOEXEC */
	int high = fcntl(leak, F_DUPFD, 200);
	char text[4096];
	int control[2], out;
	pid_t pid;

	(void)state;
	assert_true(leak >= 0 && high >= 200);
	assert_int_equal(pipe2(control, O_CLOEXEC), 0);
	pid = start("fds", control[0], false, &out);
	assert_string_equal(output(pid, out, text), "0 1 2 3 ");
	pid = start("fds", -1, false, &out);
	assert_string_equal(output(pid, out, text), "0 1 2 ");
	(void)close(control[0]);
	(void)close(control[1]);
	(void)close(leak);
	(void)close(high);
}

static void
the_control_descriptor_is_3_wherever_it_was(void **state)
{
	int control[2], out, low[4];
	char text[4096];
	pid_t pid;

	(void)state;
	/* Take 3 for something else, so that places must be swapped. */
	for (size_t i = 0; i < N_OF(low); i++)
		low[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(pipe2(control, O_CLOEXEC), 0);
	assert_int_equal(write(control[1], "over 3", 6), 6);
	(void)close(control[1]);
	pid = start("control", control[0], false, &out);
	assert_string_equal(output(pid, out, text), "over 3");
	(void)close(control[0]);
	for (size_t i = 0; i < N_OF(low); i++)
		(void)close(low[i]);
}

static void
standard_input_is_empty(void **state)
{
	char text[4096];
	int out;
	pid_t pid = start("stdin", -1, false, &out);

	(void)state;
	assert_string_equal(output(pid, out, text), "end");
}

static void
signals_are_as_in_a_fresh_process(void **state)
{
	sigset_t set, old;
	char text[4096];
	int out;
	pid_t pid;

	(void)state;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, &old);
	(void)signal(SIGPIPE, SIG_IGN);
	pid = start("signals", -1, false, &out);
	assert_string_equal(output(pid, out, text), "clean");
	/* and ours are as they were */
	(void)sigprocmask(SIG_SETMASK, &old, &set);
	assert_int_equal(sigismember(&set, SIGUSR1), 1);
	assert_int_equal(sigismember(&set, SIGUSR2), 0);
	(void)signal(SIGPIPE, SIG_DFL);
}

static void
an_executable_that_is_not_there_is_an_error_and_leaves_no_child(void **state)
{
	const char *argv[] = { "x", NULL };
	struct spawn s = { .path = "/nonexistent/x", .argv = argv, .control_fd = -1, .stdout_fd = -1,
		.stderr_fd = -1 };
	struct err e = { 0 };
	pid_t pid = -7;

	(void)state;
	assert_int_equal(spawn_start(&pid, &s, &e), E_IO);
	assert_non_null(strstr(e.msg, "/nonexistent/x: No such file"));
	assert_int_equal(pid, -7);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(spawn_exec("/nonexistent/x", argv, &e), E_IO);
}

static void
a_child_may_be_made_to_die_with_its_parent(void **state)
{
	char octet;
	int status, fds[2];
	pid_t middle;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	middle = fork();
	if (middle == 0) {
		const char *argv[] = { "helper", "wait", NULL };
		struct spawn s = { .path = SELF, .argv = argv, .control_fd = -1, .stdout_fd = fds[1],
			.stderr_fd = -1, .die_with_parent = true };
		pid_t pid;

		_exit(spawn_start(&pid, &s, NULL) == 0 ? 0 : 1);
	}
	(void)close(fds[1]);
	assert_int_equal(waitpid(middle, &status, 0), middle);
	assert_int_equal(status, 0);
	assert_int_equal(read(fds[0], &octet, 1), 0); /* the grandchild, its last writer, has gone */
	(void)close(fds[0]);
}

static void
the_own_directory_is_found(void **state)
{
	char dir[1024], small[2];

	(void)state;
	assert_int_equal(spawn_self_dir(dir, sizeof(dir), NULL), 0);
	assert_int_equal(dir[0], '/');
	assert_int_equal(access(dir, X_OK), 0);
	assert_int_equal(spawn_self_dir(small, sizeof(small), NULL), E_TOOBIG);
}

/* The helper's sides. */
static int
print_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *f;
	bool open_fd[256] = { false };

	while (d != NULL && (f = readdir(d)) != NULL) {
		long fd = strtol(f->d_name, NULL, 10);

		if (f->d_name[0] != '.' && fd != dirfd(d) && fd < 256)
			open_fd[fd] = true;
	}
	for (int i = 0; i < 256; i++)
		if (open_fd[i])
			(void)printf("%d ", i);
	return d == NULL || closedir(d) != 0;
}

static int
copy(int fd)
{
	char text[100];
	ssize_t n = read(fd, text, sizeof(text));

	if (n == 0)
		(void)printf("end");
	return n < 0 || fwrite(text, 1, (size_t)n, stdout) != (size_t)n;
}

static int
print_signals(void)
{
	AUTO_BUF b = { 0 };
	const char *blocked, *ignored;
	/* Signals 32 and 33 are the C library's: whoever came by its posix_spawn(), as all below make, may ignore them. */
	const unsigned long long of_libc = 3ull << 31;

	if (file_read(&b, "/proc/self/status", 1 << 16, NULL) != 0)
		return 1;
	blocked = strstr(buf_str(&b), "SigBlk:\t");
	ignored = strstr(buf_str(&b), "SigIgn:\t");
	if (blocked != NULL && ignored != NULL && strtoull(blocked + 8, NULL, 16) == 0 &&
	    (strtoull(ignored + 8, NULL, 16) & ~of_libc) == 0)
		(void)printf("clean");
	return 0;
}

static int
helper(const char *role)
{
	if (strcmp(role, "fds") == 0)
		return print_fds();
	if (strcmp(role, "control") == 0)
		return copy(SPAWN_CONTROL_FD);
	if (strcmp(role, "stdin") == 0)
		return copy(STDIN_FILENO);
	if (strcmp(role, "signals") == 0)
		return print_signals();
	if (strcmp(role, "wait") == 0)
		for (;;)
			(void)pause();
	return 2;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_has_no_descriptors_but_its_own),
		cmocka_unit_test(the_control_descriptor_is_3_wherever_it_was),
		cmocka_unit_test(standard_input_is_empty),
		cmocka_unit_test(signals_are_as_in_a_fresh_process),
		cmocka_unit_test(an_executable_that_is_not_there_is_an_error_and_leaves_no_child),
		cmocka_unit_test(a_child_may_be_made_to_die_with_its_parent),
		cmocka_unit_test(the_own_directory_is_found),
	};

	if (argc == 2 && strcmp(argv[0], "helper") == 0)
		return helper(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
