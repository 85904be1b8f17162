/* SPDX-License-Identifier: Apache-2.0 */
/* authority/test_record.c - how many refusals are recorded one by one, also of those who share a bucket */
#include "server/authority/authority.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/mem.h"

#define NOW   1800000000
#define SAVED 1000 /* of one who is known */

static struct authority *a;

static int
begin(void **state)
{
	(void)state;
	a = mem_zalloc(sizeof(*a));
	return 0;
}

static int
end(void **state)
{
	(void)state;
	mem_free(a);
	return 0;
}

static unsigned
recorded(const char *actor, unsigned n, int64_t now)
{
	unsigned yes = 0;

	while (n-- != 0)
		yes += record_allowed(a, actor, now);
	return yes;
}

/* The first actor who meets an exhausted bucket, which is that of the one before. */
static void
find_companion(char name[32])
{
	for (unsigned i = 0; i < 1000000; i++) {
		(void)snprintf(name, 32, "certificate %06x", i);
		if (!record_allowed(a, name, NOW))
			return;
	}
	fail_msg("nobody shares the bucket");
}

static void
one_who_is_known_is_recorded_as_often_as_was_saved_up_and_then_once_a_second(void **state)
{
	(void)state;
	assert_int_equal(recorded("certificate a", 3000, NOW), SAVED);
	assert_int_equal(recorded("certificate a", 3000, NOW + 7), 7);
	assert_int_equal(recorded("certificate a", 3000, NOW + 1000000), SAVED);
	assert_int_equal(a->dropped, 3 * 3000 - 2 * SAVED - 7);
}

static void
two_who_share_a_bucket_in_turn_are_recorded_no_more_often_than_one(void **state)
{
	char other[32];
	unsigned yes = 0;

	(void)state;
	assert_int_equal(recorded("certificate a", SAVED, NOW), SAVED);
	find_companion(other);
	for (int i = 0; i < 2000; i++)
		yes += recorded("certificate a", 1, NOW + 3) + recorded(other, 1, NOW + 3);
	assert_int_equal(yes, 3);
}

static void
strangers_share_a_bucket_that_takes_nothing_from_those_who_are_known(void **state)
{
	(void)state;
	assert_int_equal(recorded("", 30000, NOW), 20000);
	assert_int_equal(recorded("certificate a", 1, NOW), 1);
}

static void
a_device_in_any_case_has_so_many_certificates_and_then_one_a_second(void **state)
{
	unsigned yes = 0;

	(void)state;
	for (int i = 0; i < 3000; i++)
		yes += record_may_issue(a, i % 2 == 0 ? "pump-7" : "PUMP-7", NOW);
	assert_int_equal(yes, SAVED);
	for (int i = 0; i < 10; i++)
		yes += record_may_issue(a, "Pump-7", NOW + 3);
	assert_int_equal(yes, SAVED + 3);
	assert_true(record_may_issue(a, "pump-8", NOW));
	assert_true(record_allowed(a, "pump-7", NOW)); /* which is counted apart */
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(one_who_is_known_is_recorded_as_often_as_was_saved_up_and_then_once_a_second),
		CASE(two_who_share_a_bucket_in_turn_are_recorded_no_more_often_than_one),
		CASE(strangers_share_a_bucket_that_takes_nothing_from_those_who_are_known),
		CASE(a_device_in_any_case_has_so_many_certificates_and_then_one_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
