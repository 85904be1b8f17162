/* SPDX-License-Identifier: Apache-2.0 */
/* test_backoff.c - how long a role that dies has to wait */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "server/estuaryd/backoff.h"

static void
a_first_death_waits_a_tenth_of_a_second(void **state)
{
	struct backoff b = { 0 };

	(void)state;
	assert_int_equal(backoff_next(&b, 0), 100);
}

static void
each_further_death_doubles_the_wait_up_to_five_seconds(void **state)
{
	static const unsigned want[] = { 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000 };
	struct backoff b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_int_equal(backoff_next(&b, 50), want[i]);
}

static void
ten_seconds_of_life_start_it_from_the_first_step_again(void **state)
{
	struct backoff b = { 0 };

	(void)state;
	for (int i = 0; i < 5; i++)
		(void)backoff_next(&b, 9999);
	assert_int_equal(backoff_next(&b, 9999), 3200);
	assert_int_equal(backoff_next(&b, 10000), 100);
	assert_int_equal(backoff_next(&b, 0), 200);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_first_death_waits_a_tenth_of_a_second),
		cmocka_unit_test(each_further_death_doubles_the_wait_up_to_five_seconds),
		cmocka_unit_test(ten_seconds_of_life_start_it_from_the_first_step_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
