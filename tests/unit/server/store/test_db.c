/* SPDX-License-Identifier: Apache-2.0 */
/* store/test_db.c - opening, transactions and marks */
#include "fresh_db.h"

#include <sys/stat.h>

static bool
has_device(const char *name)
{
	char state[16];
	int64_t id;

	return device_row_find(db, name, &id, state, NULL) == 0;
}

static void
the_file_is_its_owners_alone(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(db_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
what_was_committed_is_there_after_opening_again(void **state)
{
	(void)state;
	assert_int_equal(db_begin(db, NULL), 0);
	add_device("kept");
	assert_int_equal(db_commit(db, NULL), 0);
	assert_int_equal(db_begin(db, NULL), 0);
	add_device("lost");
	db_free(db);
	assert_int_equal(db_open(&db, db_path, NULL), 0);
	assert_true(has_device("kept"));
	assert_false(has_device("lost"));
}

static void
a_rollback_takes_everything_back_and_may_come_twice(void **state)
{
	(void)state;
	assert_int_equal(db_begin(db, NULL), 0);
	add_device("a");
	db_rollback(db);
	db_rollback(db);
	assert_false(has_device("a"));
}

static void
a_piece_is_undone_alone(void **state)
{
	(void)state;
	assert_int_equal(db_begin(db, NULL), 0);
	assert_int_equal(db_mark(db, NULL), 0);
	add_device("first");
	assert_int_equal(db_keep(db, NULL), 0);
	assert_int_equal(db_mark(db, NULL), 0);
	add_device("second");
	db_undo(db);
	assert_int_equal(db_commit(db, NULL), 0);
	assert_true(has_device("first"));
	assert_false(has_device("second"));
}

static void
temporary_data_stays_in_memory(void **state)
{
	struct query q;

	/* The role is confined to its directory: a statement's own journal elsewhere could not be made. */
	(void)state;
	assert_int_equal(query_open(&q, db, NULL, "PRAGMA temp_store", ""), 0);
	assert_int_equal(query_next(&q, NULL), 1);
	assert_int_equal(query_i64(&q, 0), 2);
	query_close(&q);
}

static bool
has_index(const char *name)
{
	struct query q;
	bool has;

	assert_int_equal(query_open(&q, db, NULL, "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = ?", "s", name), 0);
	has = query_next(&q, NULL) == 1;
	query_close(&q);
	return has;
}

static void
a_store_of_the_first_version_follows(void **state)
{
	/* What came after it. */
	static const char *const since[] = { "DROP TABLE module", "DROP TABLE hub", "DROP TABLE registration", "DROP TABLE enrolment",
		"DROP TABLE dps_ca" };

	(void)state;
	assert_false(has_index("audit_device"));
	for (size_t i = 0; i < N_OF(since); i++)
		assert_int_equal(db_run(db, NULL, since[i], ""), 0);
	assert_int_equal(db_run(db, NULL, "CREATE INDEX audit_device ON audit(device, id)", ""), 0);
	assert_int_equal(db_run(db, NULL, "PRAGMA user_version = 1", ""), 0);
	db_free(db);
	db = NULL;
	assert_int_equal(db_open(&db, db_path, NULL), 0);
	assert_false(has_index("audit_device"));
	assert_true(has_index("audit_request"));
}

static void
a_newer_schema_is_refused(void **state)
{
	struct db *other = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(db_run(db, NULL, "PRAGMA user_version = 999", ""), 0);
	db_free(db);
	db = NULL;
	assert_int_equal(db_open(&other, db_path, &e), E_IO);
	assert_null(other);
	assert_non_null(strstr(e.msg, "999"));
}

static void
a_store_that_can_be_written_says_so(void **state)
{
	(void)state;
	assert_int_equal(db_probe(db, NULL), 0);
	assert_int_equal(db_probe(db, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DB(the_file_is_its_owners_alone),
		WITH_DB(what_was_committed_is_there_after_opening_again),
		WITH_DB(a_rollback_takes_everything_back_and_may_come_twice),
		WITH_DB(a_piece_is_undone_alone),
		WITH_DB(temporary_data_stays_in_memory),
		WITH_DB(a_store_of_the_first_version_follows),
		WITH_DB(a_newer_schema_is_refused),
		WITH_DB(a_store_that_can_be_written_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
