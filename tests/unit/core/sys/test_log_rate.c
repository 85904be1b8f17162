/* SPDX-License-Identifier: Apache-2.0 */
/* sys/test_log_rate.c - of what strangers cause some lines are written, and the rest is counted */
#include "core/sys/log_rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define T 1000000 /* ms */

static struct log_rate r;

static int
fresh(void **state)
{
	(void)state;
	memset(&r, 0, sizeof(r));
	return 0;
}

/* Of n lines of an event at one time, how many are allowed? */
static unsigned
allowed(const char *event, unsigned n, uint64_t now_ms)
{
	unsigned yes = 0;

	while (n-- != 0)
		yes += log_rate_allows(&r, event, now_ms);
	return yes;
}

static void
held(uint64_t now_ms, bool all, const char *want, uint64_t want_n)
{
	const char *event = NULL;
	uint64_t n = 0;

	assert_true(log_rate_held(&r, now_ms, all, &event, &n));
	assert_string_equal(event, want);
	assert_int_equal(n, want_n);
}

static void
none_held(uint64_t now_ms, bool all)
{
	const char *event;
	uint64_t n;

	assert_false(log_rate_held(&r, now_ms, all, &event, &n));
}

static void
what_was_saved_up_is_written_and_then_so_many_a_second(void **state)
{
	unsigned yes = 0;

	(void)state;
	assert_int_equal(allowed("a", 5000, T), LOG_RATE_SAVED);
	for (int ms = 1; ms <= 10000; ms++)
		yes += allowed("a", 7, (uint64_t)T + (uint64_t)ms);
	assert_int_equal(yes, 10 * LOG_RATE_PER_S);
	assert_int_equal(allowed("a", 5000, T + 3600 * 1000), LOG_RATE_SAVED);
}

static void
one_event_takes_nothing_from_another(void **state)
{
	(void)state;
	assert_int_equal(allowed("a", 5000, T), LOG_RATE_SAVED);
	assert_int_equal(allowed("b", 1, T), 1);
}

static void
nothing_is_lost_without_being_told(void **state)
{
	uint64_t asked = 0, written = 0, told = 0, n;
	const char *event;

	(void)state;
	for (uint64_t ms = 0; ms < 5000; ms++) {
		asked += 11;
		written += allowed("a", 11, T + ms);
		while (ms % 1000 == 999 && log_rate_held(&r, T + ms, false, &event, &n))
			told += n;
	}
	while (log_rate_held(&r, T + 5000, true, &event, &n))
		told += n;
	assert_int_equal(written + told, asked);
	none_held(T + 9000, true);
}

static void
an_event_is_told_of_once_a_second(void **state)
{
	(void)state;
	(void)allowed("a", LOG_RATE_SAVED + 3, T);
	(void)allowed("b", LOG_RATE_SAVED + 4, T);
	held(T + 1, false, "a", 3);
	held(T + 1, false, "b", 4);
	none_held(T + 1, false);
	(void)allowed("a", 5, T + 1);
	none_held(T + 1000, false);
	held(T + 1001, false, "a", 5);
	(void)allowed("b", 2, T + 1);
	held(T + 2, true, "b", 2); /* at the end there is no waiting */
}

static void
more_events_than_there_are_places_share_the_last(void **state)
{
	static char word[LOG_RATE_EVENTS + 10][8];

	(void)state;
	for (unsigned i = 0; i < LOG_RATE_EVENTS + 10; i++) {
		(void)snprintf(word[i], sizeof(word[i]), "e%u", i);
		assert_int_equal(allowed(word[i], 1, T), 1);
	}
	(void)allowed(word[LOG_RATE_EVENTS], LOG_RATE_SAVED, T);
	assert_int_equal(allowed(word[LOG_RATE_EVENTS + 1], 1, T), 0);
	assert_int_equal(allowed(word[0], 1, T), 1);
	held(T, false, "others", 12);
}

static void
a_clock_that_stands_or_goes_back_gives_nothing_away(void **state)
{
	(void)state;
	(void)allowed("a", LOG_RATE_SAVED, T);
	assert_int_equal(allowed("a", 10, T - 500), 0);
	assert_int_equal(allowed("a", 10, T - 500), 0);
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_saved_up_is_written_and_then_so_many_a_second),
		TEST(one_event_takes_nothing_from_another),
		TEST(nothing_is_lost_without_being_told),
		TEST(an_event_is_told_of_once_a_second),
		TEST(more_events_than_there_are_places_share_the_last),
		TEST(a_clock_that_stands_or_goes_back_gives_nothing_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
