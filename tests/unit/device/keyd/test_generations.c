/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/test_generations.c - an ID gets another key: the old one stays until the new one is proved, and generations survive crashes */
#include "store_kit.h"

/* id (generation 1) and a successor, whose public keys come back. */
static void
two_keys(struct buf *old, struct buf *next)
{
	(void)create("id", old);
	(void)create("id-temp", next);
}

static void
switch_keeps_the_old_key_until_the_new_one_is_proved(void **state)
{
	AUTO_BUF old = { 0 };
	AUTO_BUF next = { 0 };
	AUTO_BUF got = { 0 };
	struct err e;

	(void)state;
	two_keys(&old, &next);
	assert_false(state_of("id").previous);
	assert_int_equal(store_switch(st, "id", "id-temp", bytes_of_buf(&next), &e), 0);
	reopen();
	assert_is("id", &next);
	assert_false(is_there("keys", "id-temp"));
	assert_int_equal(state_of("id").generation, 2);
	assert_true(state_of("id").previous);
	assert_int_equal(use("id", 1, &got), 0); /* who holds a handle of before goes on with the key of before */
	assert_true(bytes_equal(bytes_of_buf(&got), bytes_of_buf(&old)));
	assert_int_equal(use("id", 2, &got), 0);
	assert_true(bytes_equal(bytes_of_buf(&got), bytes_of_buf(&next)));
	assert_int_equal(store_prove(st, "id", &e), 0);
	assert_int_equal(store_prove(st, "id", &e), 0);
	assert_false(state_of("id").previous);
	assert_int_equal(use("id", 1, &got), E_POLICY);
	assert_int_equal(store_rollback(st, "id", &e), E_NOTFOUND);
	assert_is("id", &next);
}

static void
rollback_brings_the_old_key_back(void **state)
{
	AUTO_BUF old = { 0 };
	AUTO_BUF next = { 0 };
	AUTO_BUF third = { 0 };
	AUTO_BUF got = { 0 };
	struct err e;

	(void)state;
	two_keys(&old, &next);
	assert_int_equal(store_rollback(st, "id", &e), E_NOTFOUND);
	assert_int_equal(store_switch(st, "id", "id-temp", bytes_of_buf(&next), &e), 0);
	assert_int_equal(store_rollback(st, "id", &e), 0);
	assert_is("id", &old);
	assert_int_equal(state_of("id").generation, 1);
	assert_false(state_of("id").previous);
	assert_int_equal(use("id", 1, &got), 0);
	assert_int_equal(use("id", 2, &got), E_POLICY);
	assert_int_equal(store_rollback(st, "id", &e), E_NOTFOUND);
	(void)create("id-temp", &third);
	assert_int_equal(store_switch(st, "id", "id-temp", bytes_of_buf(&third), &e), 0);
	assert_int_equal(state_of("id").generation, 3); /* 2 was the refused one */
	assert_int_equal(use("id", 1, &got), 0);
}

static void
switch_takes_only_the_key_that_was_named(void **state)
{
	AUTO_BUF old = { 0 };
	AUTO_BUF next = { 0 };
	struct err e;

	(void)state;
	two_keys(&old, &next);
	assert_int_equal(store_switch(st, "id", "id-temp", bytes_of_buf(&old), &e), E_USAGE);
	assert_int_equal(store_switch(st, "id", "id", bytes_of_buf(&old), &e), E_USAGE);
	assert_int_equal(store_switch(st, "id", "nothing", bytes_of_buf(&next), &e), E_NOTFOUND);
	assert_is("id", &old);
	assert_is("id-temp", &next);
	assert_false(state_of("id").previous);
}

static void
the_first_key_of_an_id_may_come_by_switch(void **state)
{
	AUTO_BUF next = { 0 };
	struct err e;

	(void)state;
	(void)create("id-temp", &next);
	assert_int_equal(store_switch(st, "id", "id-temp", bytes_of_buf(&next), &e), 0);
	assert_is("id", &next);
	assert_int_equal(state_of("id").generation, 1);
	assert_false(state_of("id").previous);
}

/* The instants at which a switch leaves files: after the number, after the copy, after the rename. */
static void
a_switch_that_a_crash_cut_off_is_ended_by_a_second_try(void **state)
{
	for (int instant = 0; instant < 3; instant++) {
		AUTO_BUF old = { 0 };
		AUTO_BUF next = { 0 };
		AUTO_BUF pem = { 0 };
		AUTO_BUF got = { 0 };
		struct err e;

		if (instant > 0) {
			(void)end(state);
			(void)begin(state);
		}
		two_keys(&old, &next);
		read_key(&pem, "id");
		if (instant >= 1)
			assert_int_equal(file_write(path_of("previous", "id", ".key"), bytes_of_buf(&pem), 0600, &e), 0);
		if (instant == 2) {
			assert_int_equal(store_switch(st, "id", "id-temp", bytes_of_buf(&next), &e), 0);
		} else {
			reopen();
			assert_is("id", &old);
			assert_false(state_of("id").previous); /* a copy of itself is none */
			assert_int_equal(store_rollback(st, "id", &e), E_NOTFOUND);
			assert_is("id", &old);
		}
		reopen();
		assert_int_equal(store_switch(st, "id", "id-temp", bytes_of_buf(&next), &e), 0);
		assert_is("id", &next);
		assert_int_equal(state_of("id").generation, 2);
		assert_true(state_of("id").previous);
		assert_int_equal(use("id", 1, &got), 0);
		assert_true(bytes_equal(bytes_of_buf(&got), bytes_of_buf(&old)));
	}
}

static void
a_damaged_new_key_falls_back_and_rolls_back(void **state)
{
	AUTO_BUF old = { 0 };
	AUTO_BUF next = { 0 };
	struct store_key k = { 0 };
	struct err e;

	(void)state;
	two_keys(&old, &next);
	assert_int_equal(store_switch(st, "id", "id-temp", bytes_of_buf(&next), &e), 0);
	damage("id");
	assert_is("id", &old);
	(void)create("id", NULL);
	assert_is("id", &old);
	assert_int_equal(store_prove(st, "id", &e), E_FORMAT); /* what cannot be read proved nothing */
	assert_true(is_there("previous", "id"));
	assert_int_equal(store_move(st, "id", "elsewhere", &e), E_FORMAT);
	assert_true(state_of("id").previous);
	assert_int_equal(store_rollback(st, "id", &e), 0);
	assert_is("id", &old);
	assert_false(is_there("previous", "id"));
	assert_int_equal(store_load(&k, st, CUSTODY_PAIR, "id", &e), 0);
	assert_false(k.previous);
	assert_int_equal(k.generation, 1);
	store_key_clear(&k);
}

static void
a_key_that_vanished_falls_back_too(void **state)
{
	AUTO_BUF old = { 0 };
	AUTO_BUF next = { 0 };
	struct err e;

	(void)state;
	two_keys(&old, &next);
	assert_int_equal(store_switch(st, "id", "id-temp", bytes_of_buf(&next), &e), 0);
	assert_int_equal(unlink(path_of("keys", "id", ".key")), 0);
	assert_is("id", &old);
	assert_int_equal(store_rollback(st, "id", &e), 0);
	assert_is("id", &old);
}

static void
a_switch_over_a_damaged_key_keeps_the_whole_one_before_it(void **state)
{
	AUTO_BUF old = { 0 };
	AUTO_BUF next = { 0 };
	AUTO_BUF third = { 0 };
	AUTO_BUF got = { 0 };
	struct err e;

	(void)state;
	two_keys(&old, &next);
	assert_int_equal(store_switch(st, "id", "id-temp", bytes_of_buf(&next), &e), 0);
	damage("id");
	(void)create("id-temp", &third);
	assert_int_equal(store_switch(st, "id", "id-temp", bytes_of_buf(&third), &e), 0);
	assert_is("id", &third);
	assert_int_equal(use("id", 1, &got), 0);
	assert_true(bytes_equal(bytes_of_buf(&got), bytes_of_buf(&old)));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(switch_keeps_the_old_key_until_the_new_one_is_proved),
		T(rollback_brings_the_old_key_back),
		T(switch_takes_only_the_key_that_was_named),
		T(the_first_key_of_an_id_may_come_by_switch),
		T(a_switch_that_a_crash_cut_off_is_ended_by_a_second_try),
		T(a_damaged_new_key_falls_back_and_rolls_back),
		T(a_key_that_vanished_falls_back_too),
		T(a_switch_over_a_damaged_key_keeps_the_whole_one_before_it),
	};

	return cmocka_run_group_tests_name("generations", tests, NULL, NULL);
}
