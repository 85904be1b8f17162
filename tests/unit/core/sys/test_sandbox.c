/* SPDX-License-Identifier: Apache-2.0 */
/* sys/test_sandbox.c - what a confined process can no longer do, tried in a child of each test */
#include "core/sys/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/file.h"

#define NOBODY 65534u
#define SKIPPED 77

static char dir[32], inside[64], outside[64];

/* In the child: the first thing that is not so ends it, telling where. */
#define CHECK(x) do { \
		if (!(x)) { \
			(void)fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #x, errno); \
			_exit(1); \
		} \
	} while (0)

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/sandbox-XXXXXX");
	if (mkdtemp(dir) == NULL || chmod(dir, 0777) != 0)
		return -1;
	(void)snprintf(inside, sizeof(inside), "%s/in", dir);
	(void)snprintf(outside, sizeof(outside), "%s/out", dir);
	if (mkdir(inside, 0777) != 0 || chmod(inside, 0777) != 0)
		return -1;
	return file_write(outside, bytes_of("x"), 0666, NULL);
}

static int
teardown(void **state)
{
	char path[80];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/new", inside);
	(void)unlink(path);
	(void)unlink(outside);
	(void)rmdir(inside);
	return rmdir(dir);
}

/* Run in a child, which cannot undo what is done to it. */
static void
in_child(void (*body)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
enter(const struct sandbox *s, struct buf *report, bool *weak)
{
	struct err e = { 0 };

	if (sandbox_enter(s, report, weak, &e) != 0) {
		(void)fprintf(stderr, "%s\n", e.msg);
		_exit(1);
	}
}

static void
drop_body(void)
{
	struct sandbox s = { .drop = true, .uid = NOBODY, .gid = NOBODY };
	struct buf report = { 0 };
	bool weak;
	uid_t r, eff, saved;

	if (geteuid() != 0)
		_exit(SKIPPED);
	CHECK(setgroups(2, (gid_t[2]){ 0, 10 }) == 0);
	enter(&s, &report, &weak);
	CHECK(getresuid(&r, &eff, &saved) == 0 && r == NOBODY && eff == NOBODY && saved == NOBODY);
	CHECK(getegid() == NOBODY && getgroups(0, NULL) == 0);
	CHECK(setuid(0) != 0 && setresuid(0, 0, 0) != 0 && setgid(0) != 0);
	CHECK(prctl(PR_CAPBSET_READ, 0, 0, 0, 0) == 0);
	CHECK(strncmp(buf_str(&report), "uid=65534 memory=hidden nnp=yes landlock=", 41) == 0);
}

static void
root_cannot_be_had_back(void **state)
{
	(void)state;
	in_child(drop_body);
}

static void
failed_drop_body(void)
{
	struct sandbox s = { .drop = true, .uid = 12345, .gid = 12345 };
	struct buf report = { 0 };
	bool weak;

	if (geteuid() == 0)
		CHECK(setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
		    setresuid(NOBODY, NOBODY, NOBODY) == 0);
	CHECK(sandbox_enter(&s, &report, &weak, NULL) == E_IO);
}

static void
a_drop_that_is_not_possible_is_an_error(void **state)
{
	(void)state;
	in_child(failed_drop_body);
}

static void
drop_to_root_body(void)
{
	struct sandbox s = { .drop = true };
	struct buf report = { 0 };
	bool weak;

	CHECK(sandbox_enter(&s, &report, &weak, NULL) == E_IO);
}

static void
a_drop_to_root_is_none_and_an_error(void **state)
{
	(void)state;
	in_child(drop_to_root_body);
}

static void
memory_body(void)
{
	struct sandbox s = { 0 };
	struct buf report = { 0 };
	struct rlimit core;
	bool weak;

	enter(&s, &report, &weak);
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 && core.rlim_max == 0);
}

static void
memory_stays_hidden_and_privileges_are_not_gained(void **state)
{
	(void)state;
	in_child(memory_body);
}

static bool
can_write_new(const char *in)
{
	char path[80];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/new", in);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	(void)close(fd);
	return unlink(path) == 0;
}

static void
fence_body(void)
{
	const struct sandbox_path paths[] = { { inside, true }, { "/dev/null", false },
		{ "/nonexistent\n", false }, { 0 } };
	struct sandbox s = { .paths = paths, .network = true };
	struct buf report = { 0 };
	bool weak;

	enter(&s, &report, &weak);
	if (strstr(buf_str(&report), "landlock=missing(") != NULL) {
		CHECK(weak);
		_exit(SKIPPED);
	}
	CHECK(can_write_new(inside));
	CHECK(open(outside, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	CHECK(open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	CHECK(unlink(outside) != 0);
	CHECK(!can_write_new(dir));
	CHECK(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
	CHECK(open("/dev/null", O_WRONLY | O_CLOEXEC) < 0 && errno == EACCES);
	CHECK(execl("/bin/true", "true", NULL) != 0 && errno == EACCES);
	CHECK(strstr(buf_str(&report), "absent=/nonexistent\\x0a") != NULL);
}

static void
nothing_but_the_named_paths_is_reachable(void **state)
{
	(void)state;
	in_child(fence_body);
}

static void
read_body(void)
{
	const struct sandbox_path paths[] = { { dir, false }, { 0 } };
	struct sandbox s = { .paths = paths, .network = true };
	struct buf report = { 0 };
	bool weak;

	enter(&s, &report, &weak);
	if (strstr(buf_str(&report), "landlock=missing(") != NULL)
		_exit(SKIPPED);
	CHECK(open(outside, O_RDONLY | O_CLOEXEC) >= 0);
	CHECK(open(outside, O_WRONLY | O_CLOEXEC) < 0 && errno == EACCES);
	CHECK(!can_write_new(inside));
}

static void
a_path_to_read_cannot_be_written(void **state)
{
	(void)state;
	in_child(read_body);
}

static void
no_network_body(void)
{
	struct sandbox s = { 0 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(in);
	struct buf report = { 0 };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client, server, local;
	const struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/tmp/nobody-listens-here" };
	bool weak;

	/* A connection waits on a listener that was opened before. */
	CHECK(bind(listener, (const struct sockaddr *)&in, sizeof(in)) == 0 && listen(listener, 5) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&in, &n) == 0);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(connect(client, (const struct sockaddr *)&in, sizeof(in)) == 0);
	enter(&s, &report, &weak);
	if (strstr(buf_str(&report), "seccomp=missing(") != NULL) {
		CHECK(weak);
		_exit(SKIPPED);
	}
	CHECK(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM);
	CHECK(socket(AF_INET6, SOCK_DGRAM, 0) < 0 && errno == EPERM);
	CHECK(socket(AF_NETLINK, SOCK_RAW, 0) < 0 && errno == EPERM);
	CHECK(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM);
	local = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(local >= 0 && connect(local, (const struct sockaddr *)&un, sizeof(un)) < 0 && errno == EPERM);
	CHECK(kill(getppid(), 0) < 0 && errno == EPERM && kill(getpid(), 0) < 0 && errno == EPERM);
	CHECK(syscall(SYS_tgkill, getppid(), getppid(), 0) < 0 && errno == EPERM);
	CHECK(raise(0) == 0); /* abort() needs it */
	server = accept(listener, NULL, NULL);
	CHECK(server >= 0 && write(server, "x", 1) == 1);
}

static void
new_network_sockets_are_refused_and_open_ones_serve(void **state)
{
	(void)state;
	in_child(no_network_body);
}

/* Whoever speaks with strangers must not reach a socket that trusts its user. */
static void
strangers_body(void)
{
	struct sandbox s = { .network = true };
	struct buf report = { 0 };
	bool weak;

	enter(&s, &report, &weak);
	if (strstr(buf_str(&report), "seccomp=missing(") != NULL) {
		CHECK(weak);
		_exit(SKIPPED);
	}
	CHECK(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EPERM);
	CHECK(socket(AF_INET, SOCK_STREAM, 0) >= 0);
}

static void
who_uses_the_network_alone_reaches_no_local_socket(void **state)
{
	(void)state;
	in_child(strangers_body);
}

static void
local_body(void)
{
	const struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/tmp/nobody-listens-here" };
	struct sandbox s = { .local = true };
	struct buf report = { 0 };
	bool weak;
	int fd;

	enter(&s, &report, &weak);
	if (strstr(buf_str(&report), "seccomp=missing(") != NULL)
		_exit(SKIPPED);
	CHECK(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)&un, sizeof(un)) < 0 && errno != EPERM);
}

static void
who_uses_local_sockets_alone_reaches_no_network(void **state)
{
	(void)state;
	in_child(local_body);
}

static void
network_body(void)
{
	struct sandbox s = { .network = true, .local = true };
	struct buf report = { 0 };
	bool weak;

	enter(&s, &report, &weak);
	CHECK(socket(AF_INET, SOCK_STREAM, 0) >= 0);
	CHECK(strstr(buf_str(&report), "seccomp") == NULL);
}

static void
who_may_use_the_network_still_can(void **state)
{
	(void)state;
	in_child(network_body);
}

static void
weak_body(void)
{
	struct sandbox s = { 0 };
	struct buf report = { 0 };
	bool weak = false;

	if (geteuid() != 0)
		_exit(SKIPPED);
	enter(&s, &report, &weak);
	CHECK(weak && strstr(buf_str(&report), "uid=0(root)") != NULL);
}

static void
to_stay_root_is_weak(void **state)
{
	(void)state;
	in_child(weak_body);
}

static void
users_are_found_by_name_and_by_number(void **state)
{
	uid_t uid = 1;
	gid_t gid = 1;

	(void)state;
	assert_int_equal(sandbox_lookup("root", &uid, &gid, NULL), 0);
	assert_int_equal(uid, 0);
	assert_int_equal(gid, 0);
	assert_int_equal(sandbox_lookup("12345:23456", &uid, &gid, NULL), 0);
	assert_int_equal(uid, 12345);
	assert_int_equal(gid, 23456);
	assert_int_equal(sandbox_lookup("12345:root", &uid, &gid, NULL), 0);
	assert_int_equal(gid, 0);
}

static void
users_that_are_none_are_not_found(void **state)
{
	const char *const bad[] = { "", ":", "no such user", "root:no such group", "4294967295:1", "1:4294967295",
		"-1:1", "0x1:1", "1:" };
	uid_t uid = 7;
	gid_t gid = 7;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_int_equal(sandbox_lookup(bad[i], &uid, &gid, NULL), E_NOTFOUND);
	assert_int_equal(uid, 7);
	assert_int_equal(gid, 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_cannot_be_had_back),
		cmocka_unit_test(a_drop_that_is_not_possible_is_an_error),
		cmocka_unit_test(a_drop_to_root_is_none_and_an_error),
		cmocka_unit_test(memory_stays_hidden_and_privileges_are_not_gained),
		cmocka_unit_test(nothing_but_the_named_paths_is_reachable),
		cmocka_unit_test(a_path_to_read_cannot_be_written),
		cmocka_unit_test(new_network_sockets_are_refused_and_open_ones_serve),
		cmocka_unit_test(who_uses_the_network_alone_reaches_no_local_socket),
		cmocka_unit_test(who_uses_local_sockets_alone_reaches_no_network),
		cmocka_unit_test(who_may_use_the_network_still_can),
		cmocka_unit_test(to_stay_root_is_weak),
		cmocka_unit_test(users_are_found_by_name_and_by_number),
		cmocka_unit_test(users_that_are_none_are_not_found),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
