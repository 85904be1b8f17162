/* SPDX-License-Identifier: Apache-2.0 */
/* tests: where a service listens, by itself and as the service manager starts it */
#include "tests/unit/device/service/stage.h"

static int
listening_socket(int family)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(family, SOCK_STREAM, 0);

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s/passed", scratch);
	if (family == AF_UNIX)
		return bind(fd, (const struct sockaddr *)&un, sizeof(un)) == 0 && listen(fd, 1) == 0 ? fd : -1;
	return bind(fd, (const struct sockaddr *)&in, sizeof(in)) == 0 && listen(fd, 1) == 0 ? fd : -1;
}

/* In a child, as the service manager starts a service: sockets from 3 on, and whether one was bound. */
static int
start_passed(int family, const char *fds, bool ours, int *r, bool *bound)
{
	struct api_service service = { "fake", versions, routes, 10, false };
	struct loop *l;
	struct place p;
	struct api *a = NULL;
	struct stat st;
	char pid[24];
	int fd = listening_socket(family);

	NEED(fd >= 0 && dup2(fd, 3) == 3 && dup2(fd, 4) == 4);
	(void)snprintf(pid, sizeof(pid), "%d", ours ? getpid() : getppid());
	(void)setenv("LISTEN_PID", pid, 1);
	(void)setenv("LISTEN_FDS", fds, 1);
	NEED(place_find(&p, "certd", scratch, NULL) == 0);
	l = loop_new();
	*r = api_new(&a, l, &service, &p, NULL, NULL);
	*bound = stat(p.socket, &st) == 0;
	NEED(*r != 0 || *bound || fcntl(3, F_GETFD) == FD_CLOEXEC);
	api_free(a);
	loop_free(l);
	return 0;
}

static int
in_child(int (*fn)(void))
{
	pid_t pid = fork();
	int status = -1;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int
pass_one(void)
{
	bool bound;
	int r;

	NEED(start_passed(AF_UNIX, "1", true, &r, &bound) == 0);
	NEED(r == 0 && !bound);
	return 0;
}

static int
pass_to_another(void)
{
	bool bound;
	int r;

	NEED(start_passed(AF_UNIX, "1", false, &r, &bound) == 0);
	NEED(r == 0 && bound);
	return 0;
}

static int
pass_two(void)
{
	bool bound;
	int r;

	NEED(start_passed(AF_UNIX, "2", true, &r, &bound) == 0);
	NEED(r == 0 && bound);
	return 0;
}

static int
pass_tcp(void)
{
	bool bound;
	int r;

	NEED(start_passed(AF_INET, "1", true, &r, &bound) == 0);
	NEED(r == E_USAGE && !bound);
	return 0;
}

static void
a_passed_unix_socket_is_used_when_it_is_the_only_one_and_ours(void **state)
{
	static int (*const cases[])(void) = { pass_one, pass_to_another, pass_two, pass_tcp };

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		int status;

		scratch_make();
		scratch_catch_log();
		status = in_child(cases[i]);
		(void)scratch_log();
		scratch_remove();
		assert_int_equal(status, 0);
	}
}

static int
refused_to_listen(int code)
{
	struct api_service service = { "fake", versions, routes, 10, false };
	struct loop *l = loop_new();
	struct api *a = NULL;
	struct place p;
	int r;

	assert_int_equal(place_find(&p, "keyd", scratch, NULL), 0);
	r = api_new(&a, l, &service, &p, NULL, NULL);
	api_free(a);
	loop_free(l);
	return r == code;
}

static void
a_socket_s_place_is_not_taken_by_force(void **state)
{
	(void)state;
	scratch_make();
	scratch_catch_log();
	scratch_write("run/aziot/keyd.sock", "a file");
	assert_true(refused_to_listen(E_EXISTS));
	assert_int_equal(unlink(scratch_path("run/aziot/keyd.sock")), 0);
	assert_int_equal(symlink("/dev/null", scratch_path("run/aziot/keyd.sock")), 0);
	assert_true(refused_to_listen(E_EXISTS));
	assert_int_equal(unlink(scratch_path("run/aziot/keyd.sock")), 0);
	assert_int_equal(chmod(scratch_path("run/aziot"), 0777), 0);
	assert_true(refused_to_listen(E_POLICY));
	assert_int_equal(chmod(scratch_path("run/aziot"), 0755), 0);
	assert_true(refused_to_listen(0));
	assert_true(refused_to_listen(0)); /* a socket that was left behind is replaced */
	(void)scratch_log();
	scratch_remove();
}

static void
the_service_manager_is_told(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct stage s = { 0 };
	char text[100] = "";

	(void)state;
	(void)snprintf(un.sun_path, sizeof(un.sun_path), "/tmp/service-notify-%d", getpid());
	(void)unlink(un.sun_path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&un, sizeof(un)), 0);
	(void)setenv("NOTIFY_SOCKET", un.sun_path, 1);
	stage_open(&s, 1, false);
	assert_true(recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT) > 0);
	(void)unsetenv("NOTIFY_SOCKET");
	(void)stage_close(&s);
	(void)unlink(un.sun_path);
	(void)close(fd);
	assert_string_equal(text, "READY=1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_passed_unix_socket_is_used_when_it_is_the_only_one_and_ours),
		cmocka_unit_test(a_socket_s_place_is_not_taken_by_force),
		cmocka_unit_test(the_service_manager_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
