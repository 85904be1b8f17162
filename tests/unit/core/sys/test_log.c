/* SPDX-License-Identifier: Apache-2.0 */
/* sys/test_log.c - lines that nobody can forge, from a logger that never waits */
#include "core/sys/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static int reader, saved_stderr;
static char text[1 << 20];

/* Standard error becomes the writing end of fds. */
static void
capture(const int fds[2])
{
	reader = fds[0];
	saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	(void)dup2(fds[1], STDERR_FILENO);
	(void)close(fds[1]);
	(void)fcntl(reader, F_SETFL, O_NONBLOCK);
}

static int
setup(void **state)
{
	int fds[2];

	(void)state;
	if (pipe2(fds, O_CLOEXEC) != 0)
		return -1;
	capture(fds);
	log_open("front");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	(void)dup2(saved_stderr, STDERR_FILENO);
	(void)close(saved_stderr);
	(void)close(reader);
	return 0;
}

/* What has been logged since the last call. */
static const char *
logged(void)
{
	size_t n = 0;
	ssize_t got;

	while (n < sizeof(text) - 1 && (got = read(reader, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = 0;
	return text;
}

static size_t
lines(const char *s)
{
	size_t n = 0;

	for (; *s != 0; s++)
		n += *s == '\n';
	return n;
}

static void
a_line_names_time_role_level_and_event(void **state)
{
	char want[100];
	const char *line;

	(void)state;
	log_event(L_WARN, "est.refused", "label=%s status=%d", "pumps", 403);
	line = logged();
	(void)snprintf(want, sizeof(want), "Z front[%d] WARN est.refused label=pumps status=403\n", getpid());
	assert_int_equal(line[4], '-');
	assert_string_equal(line + 19, want);
}

static void
nothing_in_the_text_can_forge_a_line(void **state)
{
	(void)state;
	log_event(L_NOTE, "x", "user=%s", "a\nb\r\x1b[31m\xc3\x28");
	assert_int_equal(lines(logged()), 1);
	assert_non_null(strstr(text, "user=a\\x0ab\\x0d\\x1b[31m\\xc3("));
}

static void
a_text_that_is_long_and_hostile_is_one_line_cut_short(void **state)
{
	static char hostile[5000];

	(void)state;
	memset(hostile, '\n', sizeof(hostile) - 1);
	log_event(L_NOTE, "x", "%s", hostile);
	assert_int_equal(lines(logged()), 1);
	assert_true(strlen(text) <= 4096);
	assert_int_equal(text[strlen(text) - 1], '\n');
}

static void
check_dropping(void)
{
	for (int i = 0; i < 20000; i++) /* some megabytes: more than any pipe or socket takes */
		log_event(L_NOTE, "flood", "n=%d %0300d", i, 0);
	(void)logged();
	log_event(L_NOTE, "after", "%s", "");
	assert_non_null(strstr(logged(), "WARN log.dropped lines="));
	assert_non_null(strstr(text, "NOTE after"));
	log_event(L_NOTE, "later", "%s", "");
	assert_null(strstr(logged(), "dropped"));
}

static void
a_full_pipe_drops_lines_and_counts_them(void **state)
{
	(void)state;
	check_dropping();
}

static void
a_full_socket_drops_lines_and_counts_them(void **state)
{
	int fds[2];

	(void)teardown(state);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	capture(fds);
	check_dropping();
}

static void
what_strangers_cause_is_written_a_hundred_times_and_then_counted(void **state)
{
	char *more;
	unsigned long n;

	(void)state;
	for (int i = 0; i < 5000; i++)
		log_stranger(L_NOTE, "head.syntax", "n=%d", i);
	log_stranger(L_NOTE, "head.size", "%s", "another event");
	log_held(false);
	n = lines(logged());
	assert_true(n >= 102 && n < 1000);
	assert_non_null(strstr(text, "NOTE head.size another event\n"));
	assert_non_null(more = strstr(text, "NOTE head.syntax more="));
	assert_int_equal(strtoul(more + strlen("NOTE head.syntax more="), NULL, 10) + n - 2, 5000);
	log_held(true);
	assert_string_equal(logged(), "");
}

static void
a_reader_that_has_gone_does_not_end_the_role(void **state)
{
	(void)state;
	(void)close(reader);
	log_event(L_NOTE, "x", "%s", "");
	log_event(L_NOTE, "x", "%s", "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_line_names_time_role_level_and_event),
		TEST(nothing_in_the_text_can_forge_a_line),
		TEST(a_text_that_is_long_and_hostile_is_one_line_cut_short),
		TEST(a_full_pipe_drops_lines_and_counts_them),
		TEST(a_full_socket_drops_lines_and_counts_them),
		TEST(what_strangers_cause_is_written_a_hundred_times_and_then_counted),
		TEST(a_reader_that_has_gone_does_not_end_the_role),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
