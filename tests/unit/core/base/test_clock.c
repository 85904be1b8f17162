/* SPDX-License-Identifier: Apache-2.0 */
/* base/test_clock.c - dates and durations */
#include "core/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
known_moments_are_written_in_utc(void **state)
{
	static const struct { int64_t t; const char *text; } known[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ -1, "1969-12-31T23:59:59Z" },
		{ 951782400, "2000-02-29T00:00:00Z" },
		{ 1709164800, "2024-02-29T00:00:00Z" },
		{ 2147483647, "2038-01-19T03:14:07Z" },
		{ 2524607999, "2049-12-31T23:59:59Z" },
		{ 4107542400, "2100-03-01T00:00:00Z" },
		{ INT64_C(253402300799), "9999-12-31T23:59:59Z" },
		{ INT64_C(-62167219200), "0000-01-01T00:00:00Z" },
	};
	char out[CLOCK_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < N_OF(known); i++)
		assert_string_equal(clock_text(known[i].t, out), known[i].text);
}

static void
joining_what_was_split_gives_the_moment_back(void **state)
{
	(void)state;
	for (int64_t t = INT64_C(-62167219200); t < INT64_C(253402300800); t += 86400 * 13 + 3607) {
		struct clock_parts p = clock_split(t);

		assert_in_range(p.month, 1, 12);
		assert_in_range(p.day, 1, 31);
		assert_in_range(p.hour, 0, 23);
		assert_true(clock_join(&p) == t);
	}
}

static void
durations_are_a_number_and_a_unit(void **state)
{
	static const struct { const char *text; int64_t s; } good[] = {
		{ "0", 0 }, { "90", 90 }, { "90s", 90 }, { "15m", 900 }, { "12h", 43200 },
		{ "30d", 2592000 }, { "1y", 31536000 }, { "600y", INT64_C(600) * 31536000 },
	};
	int64_t s = -1;

	(void)state;
	for (size_t i = 0; i < N_OF(good); i++) {
		assert_int_equal(clock_parse_duration(&s, good[i].text, NULL), 0);
		assert_true(s == good[i].s);
	}
}

static void
anything_else_is_no_duration_and_changes_nothing(void **state)
{
	static const char *const bad[] = {
		"", "d", "-1d", "+1d", " 1d", "1 d", "1w", "1dd", "1d1h", "1.5h", "0x10", "1000y",
		"99999999999999999999", "9223372036854775807y", "1D",
	};
	struct err e = { 0 };
	int64_t s = 77;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		e.msg[0] = 0;
		assert_int_equal(clock_parse_duration(&s, bad[i], &e), E_FORMAT);
		assert_string_not_equal(e.msg, "");
		assert_int_equal(s, 77);
	}
}

static void
a_duration_is_written_in_its_largest_exact_unit(void **state)
{
	static const struct { int64_t s; const char *text; } known[] = {
		{ 0, "0s" }, { 1, "1s" }, { 60, "1m" }, { 90, "90s" }, { 3600, "1h" },
		{ 86400, "1d" }, { 90000, "25h" }, { 31536000, "1y" }, { 31622400, "366d" },
	};
	char out[CLOCK_TEXT_MAX];
	int64_t back;

	(void)state;
	for (size_t i = 0; i < N_OF(known); i++) {
		assert_string_equal(clock_duration_text(known[i].s, out), known[i].text);
		assert_int_equal(clock_parse_duration(&back, out, NULL), 0);
		assert_true(back == known[i].s);
	}
}

static void
the_monotonic_clock_never_goes_back(void **state)
{
	uint64_t a = clock_monotonic_ms();

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint64_t b = clock_monotonic_ms();

		assert_true(b >= a);
		a = b;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_moments_are_written_in_utc),
		cmocka_unit_test(joining_what_was_split_gives_the_moment_back),
		cmocka_unit_test(durations_are_a_number_and_a_unit),
		cmocka_unit_test(anything_else_is_no_duration_and_changes_nothing),
		cmocka_unit_test(a_duration_is_written_in_its_largest_exact_unit),
		cmocka_unit_test(the_monotonic_clock_never_goes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
