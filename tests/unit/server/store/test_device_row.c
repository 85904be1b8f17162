/* SPDX-License-Identifier: Apache-2.0 */
/* store/test_device_row.c - devices, their names and states */
#include "fresh_db.h"

static void
a_name_that_differs_in_case_alone_is_the_same_device(void **state)
{
	(void)state;
	assert_int_equal(add_device("pump-7"), add_device("PUMP-7"));
	assert_int_not_equal(add_device("pump-7"), add_device("pump-8"));
}

static void
a_contact_makes_an_expected_device_active_and_leaves_a_forked_one(void **state)
{
	char now[16];
	int64_t id;

	(void)state;
	(void)add_device("d");
	assert_int_equal(device_row_set_state(db, "d", "expected", NULL), 0);
	(void)add_device("d");
	assert_int_equal(device_row_find(db, "d", &id, now, NULL), 0);
	assert_string_equal(now, "active");
	assert_int_equal(device_row_set_state(db, "d", "forked", NULL), 0);
	assert_int_equal(device_row_touch(db, "d", NOW, &id, NULL), 0); /* by the id that is known */
	assert_int_equal(device_row_find(db, "d", &id, now, NULL), 0);
	assert_string_equal(now, "forked");
}

static void
a_device_that_is_not_there_is_not_found(void **state)
{
	struct device_row r;

	(void)state;
	assert_int_equal(device_row_by_name(db, "x", &r, NULL), E_NOTFOUND);
	assert_int_equal(device_row_set_state(db, "x", "forked", NULL), E_NOTFOUND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DB(a_name_that_differs_in_case_alone_is_the_same_device),
		WITH_DB(a_contact_makes_an_expected_device_active_and_leaves_a_forked_one),
		WITH_DB(a_device_that_is_not_there_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
