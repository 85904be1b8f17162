/* SPDX-License-Identifier: Apache-2.0 */
/* store/test_ca_row.c - when a CA's revocation list is due */
#include "fresh_db.h"

static struct ca_row
look(void)
{
	struct ca_row r = { 0 };

	assert_int_equal(ca_row_by_name(db, "issuing", &r, NULL), 0);
	buf_free(&r.der);
	return r;
}

static void
a_number_that_was_taken_leaves_the_list_due_until_it_is_out(void **state)
{
	int64_t id = add_ca(), number = 0;

	(void)state;
	assert_int_equal(ca_row_set_crl_due(db, id, NOW, NULL), 0);
	assert_true(look().crl_next == NOW);
	for (int64_t n = 1; n < 4; n++) {
		assert_int_equal(ca_row_next_crl(db, id, &number, NULL), 0);
		assert_true(number == n);
		assert_true(look().crl_number == n);
		assert_true(look().crl_next == 0);
	}
	assert_int_equal(ca_row_set_crl_due(db, id, NOW + 1, NULL), 0);
	assert_true(look().crl_next == NOW + 1);
	assert_true(look().crl_number == 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DB(a_number_that_was_taken_leaves_the_list_due_until_it_is_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
