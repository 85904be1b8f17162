/* SPDX-License-Identifier: Apache-2.0 */
/* sys/test_loop.c - timers, descriptors, signals, children and idleness of one loop */
#include "core/sys/loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/clock.h"

static struct loop *loop;
static char order[16];
static size_t n_order;

static int
setup(void **state)
{
	(void)state;
	loop = loop_new();
	n_order = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

/* Append the letter that ctx points to. */
static void
note(void *ctx)
{
	order[n_order++] = *(const char *)ctx;
	order[n_order] = 0;
}

static void
note_and_stop(void *ctx)
{
	note(ctx);
	loop_stop(loop, 0);
}

static char a = 'a', b = 'b', c = 'c';

static void
timers_fire_in_the_order_of_their_times(void **state)
{
	struct loop_timer *ta = loop_timer_new(loop, note, &a);
	struct loop_timer *tb = loop_timer_new(loop, note, &b);
	struct loop_timer *tc = loop_timer_new(loop, note_and_stop, &c);
	uint64_t now = clock_monotonic_ms();

	(void)state;
	loop_timer_at(tc, now + 30);
	loop_timer_at(ta, now + 10);
	loop_timer_at(tb, now);
	assert_int_equal(loop_run(loop), 0);
	assert_string_equal(order, "bac");
	assert_true(clock_monotonic_ms() >= now + 30);
	loop_timer_free(ta);
	loop_timer_free(tb);
	loop_timer_free(tc);
}

static void
a_timer_moves_and_stops(void **state)
{
	struct loop_timer *ta = loop_timer_new(loop, note, &a);
	struct loop_timer *tb = loop_timer_new(loop, note, &b);
	struct loop_timer *tc = loop_timer_new(loop, note_and_stop, &c);

	(void)state;
	loop_timer_in(ta, 0);
	loop_timer_in(ta, UINT64_MAX); /* never */
	loop_timer_in(tb, 0);
	loop_timer_stop(tb);
	loop_timer_in(tc, UINT64_MAX);
	loop_timer_in(tc, 1);
	(void)loop_run(loop);
	assert_string_equal(order, "c");
	loop_timer_free(ta);
	loop_timer_free(tb);
	loop_timer_free(tc);
}

static struct loop_timer *own;

static void
free_own_timer(void *ctx)
{
	(void)ctx;
	loop_timer_free(own);
	loop_stop(loop, 5);
}

static void
a_timer_may_free_itself_and_the_loop_returns_the_code(void **state)
{
	(void)state;
	own = loop_timer_new(loop, free_own_timer, NULL);
	loop_timer_in(own, 0);
	assert_int_equal(loop_run(loop), 5);
}

struct reader {
	struct loop_io *io;
	unsigned events;
	struct reader *neighbour;
};

static void
read_one_and_free(void *ctx, int fd, unsigned events)
{
	struct reader *r = ctx;
	char octet;

	r->events = events;
	if ((events & LOOP_READ) != 0)
		assert_int_equal(read(fd, &octet, 1), 1);
	loop_io_free(TAKE(r->io));
	if (r->neighbour != NULL)
		loop_io_free(TAKE(r->neighbour->io));
	loop_stop(loop, 0);
}

static void
a_watcher_may_free_itself_and_another_that_is_due(void **state)
{
	struct reader r = { 0 }, q = { .neighbour = &r };
	int fds[2];

	(void)state;
	r.neighbour = &q;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(write(fds[0], "x", 1), 1);
	assert_int_equal(write(fds[1], "y", 1), 1);
	r.io = loop_io_new(loop, fds[0], LOOP_READ, read_one_and_free, &r);
	q.io = loop_io_new(loop, fds[1], LOOP_READ, read_one_and_free, &q);
	(void)loop_run(loop);
	assert_int_equal(r.events | q.events, LOOP_READ);
	assert_true(r.events == 0 || q.events == 0); /* one was called, the other is gone */
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void
a_hangup_is_told_without_being_asked_for(void **state)
{
	struct reader r = { 0 };
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	r.io = loop_io_new(loop, fds[0], LOOP_READ, read_one_and_free, &r);
	loop_io_set(r.io, 0);
	(void)close(fds[1]);
	(void)loop_run(loop);
	assert_int_equal(r.events, LOOP_HUP);
	(void)close(fds[0]);
}

static void
idleness_comes_after_every_callback_of_the_turn(void **state)
{
	struct loop_timer *ta = loop_timer_new(loop, note, &a);
	struct loop_timer *tb = loop_timer_new(loop, note, &b);

	(void)state;
	loop_on_idle(loop, note_and_stop, &c);
	loop_timer_in(ta, 0);
	loop_timer_in(tb, 0);
	(void)loop_run(loop);
	assert_int_equal(n_order, 3);
	assert_int_equal(order[2], 'c');
	loop_timer_free(ta);
	loop_timer_free(tb);
}

static void
never_read(void *ctx, int fd, unsigned events)
{
	(void)ctx;
	(void)fd;
	(void)events;
}

static void
idleness_has_its_turn_under_a_load_that_never_pauses(void **state)
{
	struct loop_io *io;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	io = loop_io_new(loop, fds[0], LOOP_READ, never_read, NULL);
	loop_on_idle(loop, note, &a);
	loop_on_idle(loop, note_and_stop, &b);
	(void)loop_run(loop); /* without that turn it would not come back */
	assert_int_equal(n_order, 2);
	loop_io_free(io);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void
stop_with_signal(void *ctx, int signo)
{
	(void)ctx;
	loop_stop(loop, signo);
}

static void
a_signal_becomes_a_callback(void **state)
{
	(void)state;
	loop_on_signal(loop, SIGUSR1, stop_with_signal, NULL);
	assert_int_equal(raise(SIGUSR1), 0); /* blocked by now, else it would end the test */
	assert_int_equal(loop_run(loop), SIGUSR1);
}

struct ended {
	pid_t pid;
	int status;
};

static void
child_ended(void *ctx, pid_t pid, int status)
{
	*(struct ended *)ctx = (struct ended){ pid, status };
	loop_stop(loop, 0);
}

static pid_t
child_that(int exit_status, int signo)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (signo != 0)
		(void)kill(getpid(), signo);
	_exit(exit_status);
}

static void
a_child_that_exits_is_told_with_its_status_and_reaped(void **state)
{
	struct ended e = { 0 };
	pid_t pid = child_that(7, 0);

	(void)state;
	loop_on_child(loop, pid, child_ended, &e);
	(void)loop_run(loop);
	assert_int_equal(e.pid, pid);
	assert_true(WIFEXITED(e.status));
	assert_int_equal(WEXITSTATUS(e.status), 7);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
}

static void
a_child_that_is_killed_is_told_with_the_signal(void **state)
{
	struct ended e = { 0 };

	(void)state;
	loop_on_child(loop, child_that(0, SIGKILL), child_ended, &e);
	(void)loop_run(loop);
	assert_true(WIFSIGNALED(e.status));
	assert_int_equal(WTERMSIG(e.status), SIGKILL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(timers_fire_in_the_order_of_their_times),
		TEST(a_timer_moves_and_stops),
		TEST(a_timer_may_free_itself_and_the_loop_returns_the_code),
		TEST(a_watcher_may_free_itself_and_another_that_is_due),
		TEST(a_hangup_is_told_without_being_asked_for),
		TEST(idleness_comes_after_every_callback_of_the_turn),
		TEST(idleness_has_its_turn_under_a_load_that_never_pauses),
		TEST(a_signal_becomes_a_callback),
		TEST(a_child_that_exits_is_told_with_its_status_and_reaped),
		TEST(a_child_that_is_killed_is_told_with_the_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
