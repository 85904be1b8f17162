/* SPDX-License-Identifier: Apache-2.0 */
/* tests: log lines */
#include "tests/unit/device/service/scratch.h"

#include <regex.h>

#include "device/service/slog.h"

static void
say_all(void)
{
	slog(SLOG_ERROR, "e");
	slog(SLOG_WARN, "w");
	slog(SLOG_INFO, "i");
	slog(SLOG_DEBUG, "d");
	slog(SLOG_TRACE, "t");
}

static void
check(const char *log, const char *pattern)
{
	regex_t re;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&re, log, 0, NULL, 0) != 0)
		fail_msg("no %s in: %s", pattern, log);
	regfree(&re);
}

#define TIME "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"

static void
lines_have_priority_time_level_and_module(void **state)
{
	(void)state;
	scratch_catch_log();
	slog_open("aziot_keyd");
	slog_filter("trace");
	say_all();
	check(scratch_log(), "^<3>" TIME " \\[ERR!\\] - e\n<4>" TIME " \\[WARN\\] - w\n<6>" TIME " \\[INFO\\] - i\n<7>" TIME
	    " \\[DBUG\\] - \\[aziot_keyd\\] d\n<7>" TIME " \\[TRCE\\] - \\[aziot_keyd\\] t\n$");
}

static void
the_filter_takes_levels_and_targets_in_any_case(void **state)
{
	static const struct {
		const char *filter;
		size_t lines;
	} rows[] = {
		{ NULL, 3 }, { "", 3 }, { "error", 1 }, { "warn", 2 }, { "info", 3 }, { "debug", 4 }, { "trace", 5 }, { "off", 0 },
		{ "DeBuG", 4 }, { " warn ", 2 }, { "nonsense", 3 }, { "warn,error", 1 }, { "aziot_keyd=debug", 4 },
		{ "aziot=off", 0 }, { "aziot_keyd", 5 }, { "http_common=trace", 3 }, { "warn,http_common=trace", 2 },
		{ "aziot_keyd=trace,error", 5 }, { "error,aziot=warn,aziot_keyd=debug", 4 }, { "aziot_keyd=debug,aziot=warn", 4 },
		{ "aziot_keydd=off", 3 }, { "aziot_keyd=", 3 }, { "=debug", 3 }, { "aziot_keyd = debug", 4 }, { ",,warn,,", 2 },
		{ "warn/some pattern,debug", 2 }, { "erro", 3 }, { "errors", 3 },
	};

	(void)state;
	slog_open("aziot_keyd");
	for (size_t i = 0; i < N_OF(rows); i++) {
		size_t n = 0;

		scratch_catch_log();
		slog_filter(rows[i].filter);
		say_all();
		for (const char *p = scratch_log(); (p = strchr(p, '\n')) != NULL; p++)
			n++;
		if (n != rows[i].lines)
			fail_msg("%s: %zu lines", rows[i].filter, n);
	}
	slog_filter(NULL);
}

static void
no_text_forges_a_line(void **state)
{
	const char *log;

	(void)state;
	scratch_catch_log();
	slog(SLOG_INFO, "one\ntwo\x1b[0m\r %s", "\xff\xe2\x80\xae");
	log = scratch_log();
	check(log, "^<6>" TIME " \\[INFO\\] - one\n<6>" TIME " \\[INFO\\] - two\\\\x1b\\[0m\\\\x0d \\\\xff\\\\xe2\\\\x80\\\\xae\n$");
}

static void
a_long_text_becomes_a_line_that_a_pipe_takes_whole(void **state)
{
	char text[30000] = "";
	const char *log;

	(void)state;
	memset(text, '\x01', sizeof(text) - 1);
	scratch_catch_log();
	slog(SLOG_INFO, "%s", text);
	log = scratch_log();
	assert_true(strlen(log) <= 4096 && strlen(log) > 1000);
	assert_ptr_equal(strchr(log, '\n'), log + strlen(log) - 1);
}

static void
a_full_pipe_drops_lines_and_counts_them(void **state)
{
	int ends[2], old = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	char text[8192];
	ssize_t n;
	size_t said = 0;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	for (; said < 4000; said++)
		slog(SLOG_INFO, "a line that is about eighty characters long, so that the pipe is full some time");
	while (read(ends[0], text, sizeof(text)) > 0)
		;
	slog(SLOG_INFO, "after");
	n = read(ends[0], text, sizeof(text) - 1);
	assert_int_equal(dup2(old, STDERR_FILENO), STDERR_FILENO);
	(void)close(old);
	(void)close(ends[0]);
	(void)close(ends[1]);
	assert_true(n > 0);
	text[n] = 0;
	check(text, "^<4>" TIME " \\[WARN\\] - [0-9]+ log lines were dropped\n<6>" TIME " \\[INFO\\] - after\n$");
}

static void
a_fatal_error_tells_its_causes_one_by_one(void **state)
{
	struct err e = { 0 };

	(void)state;
	scratch_catch_log();
	(void)err_set(&e, E_FORMAT, "configuration: /etc/x.toml:1:2: key 'a': is no string");
	slog_fatal(&e);
	check(scratch_log(), "^<3>" TIME " \\[ERR!\\] - configuration\n<3>" TIME " \\[ERR!\\] - caused by: /etc/x.toml:1:2\n<3>" TIME
	    " \\[ERR!\\] - caused by: key 'a'\n<3>" TIME " \\[ERR!\\] - caused by: is no string\n$");
}

static int
set_up(void **state)
{
	(void)state;
	scratch_make();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	scratch_remove();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_have_priority_time_level_and_module),
		cmocka_unit_test(the_filter_takes_levels_and_targets_in_any_case),
		cmocka_unit_test(no_text_forges_a_line),
		cmocka_unit_test(a_long_text_becomes_a_line_that_a_pipe_takes_whole),
		cmocka_unit_test(a_full_pipe_drops_lines_and_counts_them),
		cmocka_unit_test(a_fatal_error_tells_its_causes_one_by_one),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
