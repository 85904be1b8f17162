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

struct names {
	char text[64];
	int64_t last;
};

static int
note(void *ctx, struct device_row *r)
{
	struct names *n = ctx;
	size_t at = strlen(n->text);

	(void)snprintf(n->text + at, sizeof(n->text) - at, "%s%s", at != 0 ? " " : "", r->name);
	n->last = r->id;
	return 0;
}

/* The filter and what a row says of itself are one rule. */
static void
assert_in_state(const char *state, const char *names)
{
	static const char *const each[] = { "fresh", "old", "gone", "mixed", "forked" };
	struct names n = { 0 };

	assert_int_equal(device_row_list(db, state, "", NOW, 0, 100, note, &n, NULL), 0);
	assert_string_equal(n.text, names);
	for (size_t i = 0; i < N_OF(each); i++) {
		struct device_row r;

		assert_int_equal(device_row_by_name(db, each[i], &r, NULL), 0);
		assert_int_equal(strcmp(device_row_state(&r, NOW), state) == 0, strstr(names, each[i]) != NULL);
	}
}

static void
add_ended(int64_t device, int n, int64_t not_after, bool revoked)
{
	struct cert_row r = a_cert(device, n);

	r.not_after = not_after;
	assert_int_equal(cert_row_insert(db, &r, NULL), 0);
	if (revoked)
		assert_int_equal(cert_row_revoke(db, r.id, NOW, 1, NULL), 0);
	cert_row_clear(&r);
}

static void
add_one_of_each_state(void)
{
	int64_t id;

	(void)add_device("new");
	add_ended(add_device("fresh"), 1, NOW + 9, false);
	add_ended(add_device("old"), 2, NOW - 1, false);
	add_ended(add_device("gone"), 3, NOW + 9, true);
	id = add_device("mixed");
	add_ended(id, 4, NOW + 9, true);
	add_ended(id, 5, NOW - 1, false);
	add_ended(add_device("forked"), 6, NOW - 1, false);
	assert_int_equal(device_row_set_state(db, "forked", "forked", NULL), 0);
}

static void
a_filter_by_state_finds_what_says_that_it_is_in_that_state(void **state)
{
	(void)state;
	add_one_of_each_state();
	assert_in_state("active", "new fresh");
	assert_in_state("expired", "old mixed");
	assert_in_state("revoked", "gone");
	assert_in_state("forked", "forked");
	assert_in_state("retired", "");
}

static void
pages_of_a_filtered_list_leave_nothing_out(void **state)
{
	struct names n = { 0 };

	(void)state;
	add_one_of_each_state();
	assert_int_equal(device_row_list(db, "expired", "", NOW, 0, 1, note, &n, NULL), 0);
	assert_string_equal(n.text, "old");
	assert_int_equal(device_row_list(db, "expired", "", NOW, n.last, 1, note, &n, NULL), 0);
	assert_string_equal(n.text, "old mixed");
	assert_int_equal(device_row_list(db, "expired", "", NOW, n.last, 1, note, &n, NULL), 0);
	assert_string_equal(n.text, "old mixed");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DB(a_name_that_differs_in_case_alone_is_the_same_device),
		WITH_DB(a_contact_makes_an_expected_device_active_and_leaves_a_forked_one),
		WITH_DB(a_device_that_is_not_there_is_not_found),
		WITH_DB(a_filter_by_state_finds_what_says_that_it_is_in_that_state),
		WITH_DB(pages_of_a_filtered_list_leave_nothing_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
