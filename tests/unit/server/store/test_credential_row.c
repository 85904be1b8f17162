/* SPDX-License-Identifier: Apache-2.0 */
/* store/test_credential_row.c - passwords, codes and their uses */
#include "fresh_db.h"

#include "server/store/credential_row.h"

static struct credential_row
add(const char *kind, const char *user, const char *verifier, int64_t uses)
{
	struct credential_row r = { .scope = "new", .uses_left = uses, .created_at = NOW };

	(void)snprintf(r.kind, sizeof(r.kind), "%s", kind);
	(void)snprintf(r.user, sizeof(r.user), "%s", user);
	(void)snprintf(r.verifier, sizeof(r.verifier), "%s", verifier);
	assert_int_equal(credential_row_insert(db, &r, NULL), 0);
	return r;
}

static void
a_code_is_used_as_often_as_it_may_be(void **state)
{
	struct credential_row r = add("code", "", "v", 2);

	(void)state;
	assert_int_equal(credential_row_use(db, r.id, "a", NOW, NULL), 0);
	assert_int_equal(credential_row_use(db, r.id, "b", NOW, NULL), 0);
	assert_int_equal(credential_row_use(db, r.id, "c", NOW, NULL), E_EXISTS);
	assert_int_equal(credential_row_by_id(db, r.id, &r, NULL), 0);
	assert_string_equal(r.used_by, "b");
	assert_string_equal(credential_row_state(&r, NOW), "used");
}

static void
a_password_has_no_last_use(void **state)
{
	struct credential_row r = add("password", "u", "v", -1);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(credential_row_use(db, r.id, "a", NOW, NULL), 0);
	assert_int_equal(credential_row_by_user(db, "u", &r, NULL), 0);
	assert_int_equal(r.uses_left, -1);
}

static void
kinds_are_not_mixed_up(void **state)
{
	struct credential_row r;

	(void)state;
	(void)add("code", "", "v", 1);
	(void)add("password", "u", "$y$", -1);
	assert_int_equal(credential_row_by_verifier(db, "secret", "v", &r, NULL), E_NOTFOUND);
	assert_int_equal(credential_row_by_verifier(db, "password", "$y$", &r, NULL), E_NOTFOUND);
	assert_int_equal(credential_row_by_user(db, "", &r, NULL), E_NOTFOUND);
	assert_int_equal(credential_row_by_verifier(db, "code", "v", &r, NULL), 0);
}

static void
a_user_is_there_once(void **state)
{
	struct credential_row r = add("password", "u", "v", -1);

	(void)state;
	assert_int_equal(credential_row_insert(db, &r, NULL), E_EXISTS);
}

static void
disabled_comes_before_used_and_expired(void **state)
{
	struct credential_row r = { .uses_left = 1, .expires_at = NOW };

	(void)state;
	assert_string_equal(credential_row_state(&r, NOW - 1), "live");
	assert_string_equal(credential_row_state(&r, NOW), "expired");
	r.uses_left = 0;
	assert_string_equal(credential_row_state(&r, NOW), "used");
	r.disabled = true;
	assert_string_equal(credential_row_state(&r, NOW), "disabled");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DB(a_code_is_used_as_often_as_it_may_be),
		WITH_DB(a_password_has_no_last_use),
		WITH_DB(kinds_are_not_mixed_up),
		WITH_DB(a_user_is_there_once),
		cmocka_unit_test(disabled_comes_before_used_and_expired),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
