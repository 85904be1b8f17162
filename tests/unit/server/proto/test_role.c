/* SPDX-License-Identifier: Apache-2.0 */
/* proto/test_role.c - a role from start to end, driven as its supervisor would drive it */
#include "server/proto/role.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "core/sys/pipe.h"
#include "core/sys/spawn.h"

/* The supervisor's side. */
static struct loop *loop;
static struct pipe *control;
static pid_t role;
static int status;
static char report[256];
static size_t n_ready, n_wishes;
static bool drain_when_ready, terminate_when_ready;

/* The role's side: what its hooks have seen, in order. */
static struct loop *role_loop;
static char seen[64];

static void
hook_settings(void *ctx, const struct settings *s)
{
	(void)ctx;
	(void)strncat(seen, strcmp(s->dir, "/tmp") == 0 ? "S" : "?", 2);
}

static void
hook_peer(void *ctx, enum role r, uint32_t instance, int fd)
{
	(void)ctx;
	(void)strncat(seen, r == ROLE_FRONT && instance == 3 && close(fd) == 0 ? "P" : "?", 2);
}

static void
hook_listener(void *ctx, enum listener which, int fd)
{
	(void)ctx;
	(void)strncat(seen, which == LISTENER_PUBLIC && close(fd) == 0 ? "L" : "?", 2);
}

static void
hook_reloaded(void *ctx, const struct proto_reloaded *r)
{
	(void)ctx;
	(void)strncat(seen, r->asked == 1 && r->code == E_FORMAT && strcmp(r->why, "x.toml:1:1") == 0 ? "R" : "?", 2);
}

/* Confined by now: nothing is reachable where the kernel has Landlock, no socket is to be had. */
static int
hook_start(void *ctx, struct err *e)
{
	(void)ctx;
	if (socket(AF_INET, SOCK_STREAM, 0) >= 0)
		return err_set(e, E_IO, "not confined");
	if (strcmp(seen, "SPLR") != 0)
		return err_set(e, E_IO, "hooks: %s", seen);
	return role_tell(PROTO_RELOAD_WISH, (struct bytes){ 0 }, e);
}

static int
hook_start_fails(void *ctx, struct err *e)
{
	(void)ctx;
	return err_set(e, E_NOTFOUND, "no key");
}

static void
hook_drain(void *ctx)
{
	(void)ctx;
	role_exit(role_loop, 0);
}

static const struct role_hooks full = {
	.settings = hook_settings, .peer = hook_peer, .listener = hook_listener, .reloaded = hook_reloaded,
	.start = hook_start, .drain = hook_drain,
};
static const struct role_hooks failing = { .start = hook_start_fails };
static const struct role_hooks empty = { 0 };

static void
on_ready(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct wire w = wire_open(m->body);

	(void)ctx;
	wire_str(&w, report, sizeof(report));
	assert_true(wire_u8(&w) <= 1);
	assert_int_equal(wire_end(&w, "ready", NULL), 0);
	n_ready++;
	if (terminate_when_ready)
		assert_int_equal(kill(role, SIGTERM) | kill(role, SIGINT) | kill(role, SIGHUP), 0);
	if (drain_when_ready)
		assert_int_equal(pipe_send(p, PROTO_DRAIN, 0, (struct bytes){ 0 }, -1, NULL), 0);
	else
		pipe_free(TAKE(control));
}

static void
on_wish(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	(void)ctx;
	(void)p;
	(void)m;
	n_wishes++;
}

static const struct pipe_permit permits[] = {
	{ PROTO_READY, "READY", on_ready }, { PROTO_RELOAD_WISH, "RELOAD_WISH", on_wish }, { 0 },
};

static void
on_role_ended(void *ctx, pid_t pid, int wait_status)
{
	(void)ctx;
	assert_int_equal(pid, role);
	status = wait_status;
	loop_stop(loop, 0);
}

/* In the child: a role whose log nobody needs to read. */
static void
be_role(const struct role_hooks *h, int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	(void)dup2(null, STDERR_FILENO);
	(void)dup2(fd, SPAWN_CONTROL_FD);
	(void)close_range(SPAWN_CONTROL_FD + 1, ~0u, 0);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	role_loop = loop_new();
	_exit(role_main(ROLE_CONSOLE, h, NULL, role_loop));
}

static void
start_role(const struct role_hooks *h)
{
	int fds[2];

	assert_int_equal(pipe_pair(fds, NULL), 0);
	role = fork();
	if (role == 0)
		be_role(h, fds[1]);
	(void)close(fds[1]);
	control = pipe_new(loop, fds[0], permits, NULL, NULL);
	loop_on_child(loop, role, on_role_ended, NULL);
}

static void
tell(uint32_t type, struct bytes body, int fd)
{
	assert_int_equal(pipe_send(control, type, 0, body, fd, NULL), 0);
}

static void
tell_settings(const char *user)
{
	struct settings s;
	AUTO_BUF b = { 0 };

	settings_default(&s);
	(void)snprintf(s.dir, sizeof(s.dir), "/tmp");
	(void)snprintf(s.user, sizeof(s.user), "%s", user);
	settings_put(&b, &s);
	tell(PROTO_SETTINGS, bytes_of_buf(&b), -1);
}

static void
tell_descriptors(void)
{
	static const uint8_t peer[] = { ROLE_FRONT, 0, 0, 0, 3 }, listener[] = { LISTENER_PUBLIC };
	AUTO_FD fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	AUTO_BUF reloaded = { 0 };

	tell(PROTO_PEER, (struct bytes){ peer, sizeof(peer) }, fd);
	tell(PROTO_LISTENER, (struct bytes){ listener, sizeof(listener) }, fd);
	proto_put_reloaded(&reloaded, &(struct proto_reloaded){ .asked = 1, .code = E_FORMAT, .why = "x.toml:1:1" });
	tell(PROTO_RELOADED, bytes_of_buf(&reloaded), -1);
}

static int
exit_status(void)
{
	(void)loop_run(loop);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int
setup(void **state)
{
	(void)state;
	loop = loop_new();
	n_ready = n_wishes = 0;
	drain_when_ready = true;
	terminate_when_ready = false;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pipe_free(TAKE(control));
	loop_free(loop);
	return 0;
}

static void
a_role_starts_confined_reports_and_drains(void **state)
{
	(void)state;
	start_role(&full);
	tell_settings("");
	tell_descriptors();
	tell(PROTO_START, (struct bytes){ 0 }, -1);
	assert_int_equal(exit_status(), 0);
	assert_int_equal(n_ready, 1);
	assert_int_equal(n_wishes, 1);
	assert_non_null(strstr(report, "landlock="));
}

static void
a_role_started_by_root_becomes_the_user_of_the_settings(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	start_role(&full);
	tell_settings("65534:65534");
	tell_descriptors();
	tell(PROTO_START, (struct bytes){ 0 }, -1);
	assert_int_equal(exit_status(), 0);
	assert_int_equal(strncmp(report, "uid=65534 ", 10), 0);
}

static void
a_role_without_hooks_starts_and_ends_too(void **state)
{
	(void)state;
	start_role(&empty);
	tell_settings("");
	tell_descriptors();
	tell(PROTO_START, (struct bytes){ 0 }, -1);
	assert_int_equal(exit_status(), 0);
	assert_int_equal(n_ready, 1);
}

static void
signals_to_a_role_do_nothing(void **state)
{
	(void)state;
	terminate_when_ready = true;
	start_role(&empty);
	tell_settings("");
	tell(PROTO_START, (struct bytes){ 0 }, -1);
	assert_int_equal(exit_status(), 0);
}

static void
a_role_ends_when_its_supervisor_goes(void **state)
{
	(void)state;
	drain_when_ready = false;
	start_role(&full);
	tell_settings("");
	tell_descriptors();
	tell(PROTO_START, (struct bytes){ 0 }, -1);
	assert_int_equal(exit_status(), 69);
}

static void
a_start_that_fails_ends_the_role_with_its_code(void **state)
{
	(void)state;
	start_role(&failing);
	tell_settings("");
	tell(PROTO_START, (struct bytes){ 0 }, -1);
	assert_int_equal(exit_status(), 66);
	assert_int_equal(n_ready, 0);
}

static void
a_user_that_is_none_ends_a_role_of_root(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	start_role(&empty);
	tell_settings("no such user");
	tell(PROTO_START, (struct bytes){ 0 }, -1);
	assert_int_equal(exit_status(), 66);
	assert_int_equal(n_ready, 0);
}

static void
a_start_before_the_settings_ends_the_role(void **state)
{
	(void)state;
	start_role(&empty);
	tell(PROTO_START, (struct bytes){ 0 }, -1);
	assert_int_equal(exit_status(), 70);
}

static void
a_peer_without_its_descriptor_ends_the_role(void **state)
{
	static const uint8_t peer[] = { ROLE_FRONT, 0, 0, 0, 3 };

	(void)state;
	start_role(&full);
	tell(PROTO_PEER, (struct bytes){ peer, sizeof(peer) }, -1);
	assert_int_equal(exit_status(), 70);
}

static void
a_malformed_outcome_of_a_reload_ends_the_role(void **state)
{
	(void)state;
	start_role(&full);
	tell(PROTO_RELOADED, (struct bytes){ 0 }, -1);
	assert_int_equal(exit_status(), 70);
}

static void
a_message_that_no_supervisor_sends_ends_the_role(void **state)
{
	(void)state;
	start_role(&full);
	tell(PROTO_ENROL, (struct bytes){ 0 }, -1);
	assert_int_equal(exit_status(), 69);
}

static void
a_role_started_by_hand_says_so_and_ends(void **state)
{
	pid_t pid = fork();
	int by_hand;

	(void)state;
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		(void)dup2(null, STDERR_FILENO);
		(void)dup2(null, SPAWN_CONTROL_FD);
		_exit(role_main(ROLE_FRONT, &empty, NULL, NULL));
	}
	assert_int_equal(waitpid(pid, &by_hand, 0), pid);
	assert_true(WIFEXITED(by_hand));
	assert_int_equal(WEXITSTATUS(by_hand), 64);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_role_starts_confined_reports_and_drains),
		TEST(a_role_started_by_root_becomes_the_user_of_the_settings),
		TEST(a_role_without_hooks_starts_and_ends_too),
		TEST(signals_to_a_role_do_nothing),
		TEST(a_role_ends_when_its_supervisor_goes),
		TEST(a_start_that_fails_ends_the_role_with_its_code),
		TEST(a_user_that_is_none_ends_a_role_of_root),
		TEST(a_start_before_the_settings_ends_the_role),
		TEST(a_peer_without_its_descriptor_ends_the_role),
		TEST(a_malformed_outcome_of_a_reload_ends_the_role),
		TEST(a_message_that_no_supervisor_sends_ends_the_role),
		TEST(a_role_started_by_hand_says_so_and_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
