/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/test_audit.c - the chain of records, and what breaks it */
#include "../store/fresh_db.h"

#include "server/fleet/audit.h"

static struct audit chain;

static void
append(int n)
{
	for (int i = 0; i < n; i++) {
		struct audit_row r = { .time = NOW + i, .kind = "enrol", .outcome = "ok", .reason = "ok", .trace = "label\tok\tx\n" };

		(void)snprintf(r.text, sizeof(r.text), "issued %d", i);
		assert_int_equal(audit_append(&chain, db, &r, NULL), 0);
	}
}

static struct audit_check
verified(void)
{
	struct audit_check c;

	assert_int_equal(audit_verify(&c, db, NULL), 0);
	return c;
}

static int
begin(void **state)
{
	chain = (struct audit){ 0 };
	return open_db(state);
}

static void
a_chain_as_it_was_written_holds(void **state)
{
	(void)state;
	append(5);
	assert_int_equal(verified().records, 5);
	assert_int_equal(verified().first_bad, 0);
}

static void
the_chain_goes_on_where_the_store_ends(void **state)
{
	(void)state;
	append(3);
	assert_int_equal(audit_load(&chain, db, NULL), 0);
	assert_int_equal(chain.id, 3);
	append(1);
	assert_int_equal(verified().first_bad, 0);
}

static void
a_record_that_was_changed_is_found(void **state)
{
	(void)state;
	append(5);
	assert_int_equal(db_run(db, NULL, "UPDATE audit SET text = 'nothing' WHERE id = 3", ""), 0);
	assert_int_equal(verified().first_bad, 3);
}

static void
a_record_that_was_taken_out_is_found(void **state)
{
	(void)state;
	append(5);
	assert_int_equal(db_run(db, NULL, "DELETE FROM audit WHERE id = 2", ""), 0);
	assert_int_equal(verified().first_bad, 3);
}

static void
a_text_moved_from_one_field_to_the_next_makes_another_hash(void **state)
{
	struct audit_row a = { .actor = "ab", .device = "c" }, b = { .actor = "a", .device = "bc" };
	uint8_t x[ROW_HASH_LEN], y[ROW_HASH_LEN];

	(void)state;
	audit_hash(x, &a);
	audit_hash(y, &b);
	assert_memory_not_equal(x, y, sizeof(x));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_chain_as_it_was_written_holds, begin, close_db),
		cmocka_unit_test_setup_teardown(the_chain_goes_on_where_the_store_ends, begin, close_db),
		cmocka_unit_test_setup_teardown(a_record_that_was_changed_is_found, begin, close_db),
		cmocka_unit_test_setup_teardown(a_record_that_was_taken_out_is_found, begin, close_db),
		cmocka_unit_test(a_text_moved_from_one_field_to_the_next_makes_another_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
