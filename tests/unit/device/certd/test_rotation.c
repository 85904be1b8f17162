/* SPDX-License-Identifier: Apache-2.0 */
/* certd/test_rotation.c - power cuts after every durable step, and what other services and hands leave behind */
#include "world.h"

static bool
exists(enum generation_file f)
{
	char path[PLACE_MAX * 2];
	struct err e;

	assert_int_equal(generation_path(path, &settings, ID, f, &e), 0);
	return access(path, F_OK) == 0;
}

static void
check_at_rest(uint64_t generation)
{
	const struct credential *c = credential();

	assert_int_equal(c->gen.state, GEN_IDLE);
	assert_true(c->gen.number >= generation);
	assert_true(c->gen.proved);
	assert_true(pair_served());
	assert_int_equal(*before_of(KEY), -1); /* D7: nothing is left */
	assert_int_equal(*slot_of(TEMP), -1);
	assert_false(exists(GEN_NEW_FILE));
	assert_false(exists(GEN_OLD_FILE));
}

/* On again without a network: there is a pair, it is served; with one: the renewal comes to its end. */
static void
recover(void)
{
	restart();
	server.down = true;
	assert_int_equal(need(), 0);
	assert_true(pair_served());
	server.down = false;
	pass(DAY_S, 5 * MINUTE_S);
	check_at_rest(2);
	assert_true(credential()->life.not_before > BEGIN_S);
}

static void
rotate_once(void)
{
	pass(10 * MINUTE_S, MINUTE_S);
}

/* Steps of a whole rotation. */
static unsigned
sweep(unsigned second_cut)
{
	unsigned cut;

	for (cut = 1;; cut++) {
		void *none = NULL;
		bool went;

		(void)world_open(&none);
		settings.identity_policy.rotate_key = policy_default.rotate_key;
		engine_configure(engine, &settings);
		live_until_due();
		power_steps = 0;
		power_cut_at = cut;
		rotate_once();
		went = power_off;
		if (went && second_cut > 0) {
			restart();
			power_steps = 0;
			power_cut_at = second_cut;
			rotate_once();
		}
		recover();
		assert_int_equal(world_close(&none), 0);
		if (!went)
			return cut;
	}
}

static void
a_power_cut_after_any_step_leaves_a_pair_and_the_rotation_goes_on(void **state)
{
	(void)state;
	assert_in_range(sweep(0), 10, 100); /* as many steps as that were visited */
}

static void
so_does_a_second_one_while_it_recovers(void **state)
{
	(void)state;
	for (unsigned second = 1; second < 16; second++)
		(void)sweep(second);
}

/* 0, or the code that a reader of the certificate was answered with. */
static int
settled(void)
{
	unsigned had = need_answers;

	engine_settled(engine, ID, on_ready, NULL);
	pump();
	assert_int_equal(need_answers, had + 1);
	return need_why.code;
}

static void
a_certificate_is_not_told_while_its_key_may_be_another(void **state)
{
	unsigned doubts = 0;

	(void)state;
	for (unsigned cut = 1; cut < 40; cut++) {
		void *none = NULL;

		(void)world_open(&none);
		live_until_due();
		assert_int_equal(settled(), 0);
		power_steps = 0;
		power_cut_at = cut;
		rotate_once();
		restart();
		keyd_down = true;
		if (settled() == 0)
			assert_true(pair_served());
		else
			doubts++;
		keyd_down = false;
		world_now += ENGINE_HOLD_S + 1;
		assert_int_equal(settled(), 0);
		assert_true(pair_served());
		assert_int_equal(world_close(&none), 0);
	}
	assert_in_range(doubts, 1, 20);
}

static void
a_power_cut_in_a_rollback_leaves_the_old_pair(void **state)
{
	(void)state;
	for (unsigned cut = 1; cut < 40; cut++) {
		void *none = NULL;

		(void)world_open(&none);
		live_until_due();
		server.refuses_new = true;
		power_steps = 0;
		power_cut_at = cut;
		pass(30 * MINUTE_S, MINUTE_S);
		restart();
		server.down = true;
		assert_int_equal(need(), 0);
		assert_true(pair_served());
		server.down = server.refuses_new = false;
		pass(2 * DAY_S, 5 * MINUTE_S);
		check_at_rest(2);
		assert_int_equal(world_close(&none), 0);
	}
}

static void
a_renewal_that_keeps_its_key_survives_cuts_as_well(void **state)
{
	(void)state;
	for (unsigned cut = 1; cut < 25; cut++) {
		void *none = NULL;
		int key;

		(void)world_open(&none);
		settings.identity_policy.rotate_key = false;
		engine_configure(engine, &settings);
		live_until_due();
		key = *slot_of(KEY);
		power_steps = 0;
		power_cut_at = cut;
		rotate_once();
		recover();
		assert_int_equal(*slot_of(KEY), key);
		assert_int_equal(world_close(&none), 0);
	}
}

/* From the birth certificate to its copy, and from that to its successor. */
static void
the_copy_of_a_birth_certificate_survives_cuts_as_well(void **state)
{
	static char path[128];
	struct preloaded row = { .id = (char *)ID, .path = path, .identity = true };
	struct name n = device_name();
	struct err e;

	(void)state;
	for (unsigned cut = 1; cut < 25; cut++) {
		AUTO_BUF birth = BUF_MAX(CERTS_FILE_MAX);
		AUTO_BUF after = BUF_MAX(CERTS_FILE_MAX);
		void *none = NULL;

		(void)world_open(&none);
		(void)snprintf(path, sizeof(path), "%s/birth.pem", home_now);
		settings.preloaded = &row;
		settings.n_preloaded = 1;
		*slot_of(KEY) = make_key();
		put_cert(&birth, spki_of(*slot_of(KEY)), &n, world_now - 80 * DAY_S, world_now + 20 * DAY_S);
		assert_int_equal(__real_file_write(path, bytes_of_buf(&birth), 0644, &e), 0);
		power_steps = 0;
		power_cut_at = cut;
		engine_configure(engine, &settings);
		pass(DAY_S, 10 * MINUTE_S);
		restart();
		server.down = true;
		assert_int_equal(need(), 0);
		assert_true(pair_served());
		server.down = false;
		pass(10 * DAY_S, HOUR_S);
		assert_true(credential()->life.not_before > world_now - 20 * DAY_S);
		assert_int_equal(credential()->gen.state, GEN_IDLE);
		assert_int_equal(file_read(&after, path, CERTS_FILE_MAX, &e), 0);
		assert_true(bytes_equal(bytes_of_buf(&after), bytes_of_buf(&birth)));
		assert_int_equal(world_close(&none), 0);
	}
}

static void
what_an_original_service_left_between_certificate_and_key_is_completed(void **state)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);
	struct name n = device_name();
	int fresh = make_key();
	struct err e;

	(void)state;
	live_until_due();
	stop();
	/* It writes the certificate, then moves the key; it keeps no state. */
	put_cert(&pem, spki_of(fresh), &n, world_now, world_now + server.life_s);
	assert_int_equal(certs_write(&settings, ID, bytes_of_buf(&pem), &e), 0);
	*slot_of(TEMP) = fresh;
	generation_drop_cert(&settings, ID, GEN_STATE_FILE);
	server.issued = 0;
	restart();
	assert_int_equal(need(), 0);
	assert_int_equal(*slot_of(KEY), fresh);
	assert_true(pair_served());
	pass(10 * MINUTE_S, MINUTE_S);
	check_at_rest(1);
	assert_int_equal(server.issued, 0);
}

/* The state file is lost or torn at any point: the files say which pair there is. */
static void
state_that_is_torn_is_put_aside_and_found_out_again(void **state)
{
	AUTO_BUF text = { 0 };
	char path[PLACE_MAX * 2], aside[PLACE_MAX * 2 + 16];
	struct err e;

	(void)state;
	live_until_due();
	server.down = true; /* nothing can be asked for */
	assert_int_equal(generation_path(path, &settings, ID, GEN_STATE_FILE, &e), 0);
	(void)snprintf(aside, sizeof(aside), "%s.corrupt", path);
	assert_int_equal(file_read(&text, path, GENERATION_FILE_MAX, &e), 0);
	for (size_t n = 0; n + 3 < text.n; n += 7) {
		stop();
		assert_int_equal(__real_file_write(path, bytes_slice(bytes_of_buf(&text), 0, n), 0600, &e), 0);
		restart();
		assert_int_equal(need(), 0);
		assert_true(pair_served());
		assert_int_equal(access(aside, F_OK), 0);
		assert_int_equal(unlink(aside), 0);
	}
}

static void
state_lost_between_two_pairs_is_found_out_as_well(void **state)
{
	(void)state;
	for (unsigned cut = 1; cut < 20; cut++) {
		void *none = NULL;

		(void)world_open(&none);
		live_until_due();
		power_steps = 0;
		power_cut_at = cut;
		rotate_once();
		stop();
		power_off = false;
		power_cut_at = 0;
		generation_drop_cert(&settings, ID, GEN_STATE_FILE);
		server.down = true;
		start();
		assert_int_equal(need(), 0);
		assert_true(pair_served());
		server.down = false;
		pass(2 * DAY_S, 5 * MINUTE_S);
		check_at_rest(1); /* counted anew */
		assert_true(credential()->life.not_before > BEGIN_S);
		assert_int_equal(world_close(&none), 0);
	}
}

/* keyd put a damaged key aside and fell back to the one before: so does the certificate. */
static void
a_key_that_fell_back_takes_its_certificate_with_it(void **state)
{
	int old;

	(void)state;
	live_until_due();
	old = *slot_of(KEY);
	server.refuses_new = true;
	pass(2, 1); /* switched, not proved */
	assert_int_equal(credential()->gen.state, GEN_SWITCHED);
	stop();
	*slot_of(KEY) = *before_of(KEY);
	*before_of(KEY) = -1;
	server.down = true;
	restart();
	assert_int_equal(need(), 0);
	assert_int_equal(*slot_of(KEY), old);
	assert_true(pair_served());
}

static void
a_disk_that_is_full_stops_nothing_but_the_renewal(void **state)
{
	(void)state;
	live_until_due();
	disk_full = true;
	pass(HOUR_S, MINUTE_S);
	assert_int_equal(server.issued, 0);
	assert_true(rotation_usable(credential(), world_now));
	disk_full = false;
	pass(7 * HOUR_S, MINUTE_S); /* more than the longest pause */
	check_at_rest(2);
}

/* The new certificate is torn in the moment in which only the key is in its place: the key before comes back. */
static void
a_new_certificate_that_is_lost_after_its_key_was_switched_brings_the_old_pair_back(void **state)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);
	char path[PLACE_MAX * 2];
	int old, waited = 0;
	struct err e;

	(void)state;
	live_until_due();
	old = *slot_of(KEY);
	world_now += 2;
	while (*slot_of(KEY) == old && waited++ < 100) {
		engine_turn(engine);
		disk_full = queue != NULL && queue->j.kind == JOB_SWITCH; /* the certificate cannot follow */
		(void)work_one();
	}
	assert_int_equal(credential()->gen.state, GEN_SWITCHING);
	stop();
	assert_int_equal(generation_path(path, &settings, ID, GEN_NEW_FILE, &e), 0);
	assert_int_equal(__real_file_write(path, bytes_of("-----BEGIN"), 0644, &e), 0);
	disk_full = false;
	settings.est_auth.bootstrap_cert = settings.est_auth.bootstrap_pk = NULL;
	restart();
	pass(10 * MINUTE_S, MINUTE_S);
	assert_true(pair_served());
	pass(7 * HOUR_S, MINUTE_S);
	check_at_rest(2);
	assert_true(credential()->life.not_before > BEGIN_S + DAY_S);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_power_cut_after_any_step_leaves_a_pair_and_the_rotation_goes_on),
		cmocka_unit_test(so_does_a_second_one_while_it_recovers),
		cmocka_unit_test(a_certificate_is_not_told_while_its_key_may_be_another),
		cmocka_unit_test(a_power_cut_in_a_rollback_leaves_the_old_pair),
		cmocka_unit_test(a_renewal_that_keeps_its_key_survives_cuts_as_well),
		cmocka_unit_test(the_copy_of_a_birth_certificate_survives_cuts_as_well),
		cmocka_unit_test(state_lost_between_two_pairs_is_found_out_as_well),
		T(what_an_original_service_left_between_certificate_and_key_is_completed),
		T(state_that_is_torn_is_put_aside_and_found_out_again),
		T(a_key_that_fell_back_takes_its_certificate_with_it),
		T(a_disk_that_is_full_stops_nothing_but_the_renewal),
		T(a_new_certificate_that_is_lost_after_its_key_was_switched_brings_the_old_pair_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
