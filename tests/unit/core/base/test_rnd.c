/* SPDX-License-Identifier: Apache-2.0 */
/* base/test_rnd.c - the kernel's random numbers, drawn one by one or many at a time */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/base/bytes.h"
#include "core/base/rnd.h"

#define DRAWN 300

/* Of chance, once in 10^33 runs. */
static void
no_two_draws_are_alike(void **state)
{
	static uint8_t drawn[DRAWN][16], none[16];

	(void)state;
	for (size_t i = 0; i < DRAWN; i++) {
		rnd_public(drawn[i], sizeof(drawn[i]));
		assert_memory_not_equal(drawn[i], none, sizeof(none));
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(drawn[i], drawn[j], sizeof(drawn[i]));
	}
}

static void
draws_of_any_length_fill_what_was_asked_for_and_no_more(void **state)
{
	(void)state;
	for (size_t n = 0; n <= 32; n++) {
		uint8_t seen[33] = { 0 }, got[34];

		for (int i = 0; i < 64; i++) {
			memset(got, 0, sizeof(got));
			rnd_public(got, n);
			for (size_t k = 0; k < n; k++)
				seen[k] |= got[k];
			assert_int_equal(got[n], 0);
		}
		for (size_t k = 0; k < n; k++)
			assert_int_equal(seen[k], 0xff);
	}
}

static void
what_is_below_stays_below(void **state)
{
	bool seen[7] = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint32_t v = rnd_below(N_OF(seen));

		assert_in_range(v, 0, N_OF(seen) - 1);
		seen[v] = true;
	}
	for (size_t i = 0; i < N_OF(seen); i++)
		assert_true(seen[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_two_draws_are_alike),
		cmocka_unit_test(draws_of_any_length_fill_what_was_asked_for_and_no_more),
		cmocka_unit_test(what_is_below_stays_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
