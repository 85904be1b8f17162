/* SPDX-License-Identifier: Apache-2.0 */
/* certd/test_engine.c - credentials live through outages and wrong clocks, and stop for an operator alone */
#include "world.h"

/* --- coming to life --- */

static void
nobody_asks_for_an_identity_that_nobody_needs(void **state)
{
	(void)state;
	pass(DAY_S, 10 * MINUTE_S);
	assert_int_equal(server.asked, 0);
	assert_int_equal(credential()->pair, PAIR_NONE);
}

static void
the_first_need_enrols_by_the_bootstrap_once_for_all_who_wait(void **state)
{
	struct name n = device_name();

	(void)state;
	for (int i = 0; i < 5; i++)
		engine_need(engine, ID, &n, URL, on_ready, NULL);
	need_answers = 0;
	pump();
	assert_int_equal(need_answers, 5);
	assert_int_equal(need_why.code, 0);
	assert_int_equal(server.issued, 1);
	assert_string_equal(server.client, KEY); /* the proof, after the enrolment */
	assert_string_equal(credential()->subject, "CN=pump-7");
	assert_true(pair_served());
}

static void
a_need_that_fails_says_why_and_the_next_one_soon_after_hears_the_same(void **state)
{
	(void)state;
	server.down = true;
	assert_int_equal(need(), E_UNAVAIL);
	assert_non_null(strstr(need_why.msg, "no route"));
	assert_int_equal(server.asked, 1);
	assert_int_equal(need(), E_UNAVAIL);
	assert_int_equal(server.asked, 1);
	world_now += 11;
	server.down = false;
	assert_int_equal(need(), 0);
	assert_int_equal(server.asked, 2);
	engine_need(engine, "nobody", NULL, NULL, on_ready, NULL);
	pump();
	assert_int_equal(need_why.code, E_NOTFOUND);
}

static void
it_is_renewed_where_it_was_enrolled_also_after_a_restart(void **state)
{
	(void)state;
	settings.n_urls = 0;
	engine_configure(engine, &settings);
	live_until_due();
	server.url[0] = 0;
	restart();
	pass(10 * MINUTE_S, MINUTE_S);
	assert_int_equal(server.issued, 1);
	assert_string_equal(server.url, URL);
}

/* --- renewal --- */

static void
a_renewal_comes_at_its_time_with_a_new_key_by_the_old_one(void **state)
{
	int key;

	(void)state;
	live_until_due();
	key = *slot_of(KEY);
	pass(1, 1);
	assert_int_equal(server.issued, 1);
	assert_true(*slot_of(KEY) != key);
	assert_int_equal(credential()->gen.number, 2);
	assert_string_equal(server.client, KEY);
	assert_int_equal(*slot_of(TEMP), -1);
	assert_non_null(strstr(told, "Attempting to renew certificate est-id.\n"));
	assert_non_null(strstr(told, "Certificate est-id was renewed. Next renewal at 20"));
	assert_non_null(strstr(told, "+00:00.\n"));
	restart();
	pump();
	assert_non_null(strstr(told, "Certificate est-id will be auto-renewed. Next renewal at 20"));
}

static void
it_is_at_once_when_an_operator_wants_it(void **state)
{
	struct err e;

	(void)state;
	live();
	assert_int_equal(engine_renew_now(engine, ID, &e), 0);
	assert_int_equal(engine_renew_now(engine, "nobody", &e), E_NOTFOUND);
	pump();
	assert_int_equal(credential()->gen.number, 2);
}

static void
simplereenroll_is_used_where_it_is_configured(void **state)
{
	struct issuance entry = { .id = (char *)ID, .method = METHOD_EST, .reenroll = true };

	(void)state;
	settings.issuance = &entry;
	settings.n_issuance = 1;
	engine_configure(engine, &settings);
	live_until_due();
	assert_false(server.reenroll);
	pass(1, 1);
	assert_int_equal(server.issued, 1);
	assert_true(server.reenroll);
}

static void
reenroll(struct issuance *entry)
{
	*entry = (struct issuance){ .id = (char *)ID, .method = METHOD_EST, .reenroll = true };
	settings.issuance = entry;
	settings.n_issuance = 1;
	engine_configure(engine, &settings);
}

/* The server may have renewed it: who shows it for something else has it marked as forked. */
static void
nobody_is_given_an_identity_whose_own_renewal_is_on_its_way(void **state)
{
	struct issuance entry;

	(void)state;
	reenroll(&entry);
	live_until_due();
	server.says = JOB_NO_SERVER;
	pass(1, 1);
	assert_int_equal(credential()->gen.state, GEN_ASKED);
	assert_int_equal(need(), E_UNAVAIL);
	restart();
	world_now += 11;
	assert_int_equal(need(), E_UNAVAIL);
	world_now += 11;
	server.says = JOB_REQUEST_REFUSED; /* it says that it did not */
	assert_int_equal(need(), 0);
	engine_returned(engine, ID);
	server.says = JOB_DONE;
	pass(DAY_S, MINUTE_S);
	assert_int_equal(credential()->gen.number, 2);
	assert_int_equal(need(), 0);
	settings.n_issuance = 0;
}

static void
an_identity_is_not_renewed_under_the_hands_of_those_who_show_it(void **state)
{
	struct issuance entry;
	unsigned asked;

	(void)state;
	reenroll(&entry);
	live_until_due();
	asked = server.asked;
	assert_int_equal(need(), 0);
	pass(10, 1);
	assert_int_equal(server.asked, asked);
	engine_returned(engine, ID);
	pump();
	assert_int_equal(server.issued, 1);
	assert_int_equal(credential()->gen.number, 2);
	settings.n_issuance = 0;
}

static void
a_server_that_is_away_for_400_days_finds_a_device_that_still_asks(void **state)
{
	unsigned before;

	(void)state;
	live_until_due();
	server.down = true;
	pass(10 * DAY_S, 10 * MINUTE_S);
	assert_non_null(strstr(told, "Tried to renew est-id, but no route to the server. Retrying at 20"));
	had_pair = false; /* it expires */
	pass(390 * DAY_S, 10 * MINUTE_S);
	before = server.asked;
	assert_in_range(before, 390 * 24, 400 * 48);
	assert_string_equal(server.client, "boot-key");
	server.down = false;
	pass(HOUR_S, MINUTE_S);
	assert_int_equal(server.issued, 1);
	assert_true(pair_served());
}

static void
a_request_that_waits_for_approval_is_repeated_with_the_same_key_when_told(void **state)
{
	int key;

	(void)state;
	live_until_due();
	server.says = JOB_PENDING;
	server.retry_after_s = HOUR_S;
	pass(59 * MINUTE_S, MINUTE_S);
	assert_int_equal(server.asked, 1);
	key = *slot_of(TEMP);
	assert_true(key >= 0);
	restart();
	pass(59 * MINUTE_S, MINUTE_S);
	assert_int_equal(server.asked, 2);
	server.says = JOB_DONE;
	pass(HOUR_S, MINUTE_S);
	assert_int_equal(server.issued, 1);
	assert_int_equal(*slot_of(KEY), key);
}

static void
an_answer_that_may_have_been_a_good_one_does_not_cost_its_key(void **state)
{
	static const char *const checks[] = { "truncated", "garbage", "empty", "too-big", "wrong-type", "wrong-status",
		"redirect", "untrusted" };
	int key;

	(void)state;
	live_until_due();
	server.says = JOB_BAD_ANSWER;
	server.check = checks[0];
	pass(2, 1);
	key = *slot_of(TEMP);
	for (size_t i = 0; i < N_OF(checks); i++) {
		unsigned asked = server.asked;

		server.check = checks[i];
		pass(7 * HOUR_S, MINUTE_S);
		assert_true(server.asked > asked);
		assert_int_equal(*slot_of(TEMP), key);
	}
	server.says = JOB_DONE;
	pass(7 * HOUR_S, MINUTE_S);
	assert_int_equal(credential()->gen.number, 2);
	assert_int_equal(*slot_of(KEY), key);
}

static void
an_answer_that_is_no_good_costs_its_key(void **state)
{
	int key;

	(void)state;
	live_until_due();
	server.says = JOB_BAD_ANSWER;
	pass(2, 1);
	key = *slot_of(TEMP);
	pass(MINUTE_S, 1);
	assert_int_not_equal(*slot_of(TEMP), key);
	assert_string_equal(credential()->gen.error.check, "wrong-name");
	server.says = JOB_DONE;
	pass(HOUR_S, MINUTE_S);
	assert_int_equal(credential()->gen.number, 2);
}

/* One that asks by another key would be taken for a second holder: the server gave its answer. */
static void
an_answer_that_broke_on_the_way_or_that_a_wrong_clock_judged_keeps_its_key(void **state)
{
	static const struct { const char *check; int64_t ahead; bool keeps; } rows[] = {
		{ "truncated", 0, true }, { "garbage", 0, true }, { "untrusted", 0, true }, { "expired", DAY_S, true },
		{ "not-yet-valid", -DAY_S, true }, { "expired", 1, false }, { "not-yet-valid", -1, false }, { "is-a-ca", DAY_S, false },
	};

	(void)state;
	live_until_due();
	server.says = JOB_BAD_ANSWER;
	for (size_t i = 0; i < N_OF(rows); i++) {
		unsigned asked = server.asked;
		int key;

		server.check = rows[i].check;
		server.date = world_now - rows[i].ahead;
		pass(7 * HOUR_S, MINUTE_S); /* a key that the row before has cost is made */
		assert_true(server.asked > asked);
		server.date = world_now - rows[i].ahead;
		key = *slot_of(TEMP);
		asked = server.asked;
		while (server.asked < asked + 2) {
			server.date = world_now + MINUTE_S - rows[i].ahead;
			pass(MINUTE_S, MINUTE_S);
		}
		assert_int_equal(*slot_of(TEMP) == key, rows[i].keeps);
	}
	server.says = JOB_DONE;
	pass(DAY_S, MINUTE_S);
	assert_int_equal(credential()->gen.number, 2);
}

static void
certificates_of_two_minutes_are_always_fresh(void **state)
{
	(void)state;
	server.life_s = 120;
	assert_int_equal(need(), 0);
	had_pair = true;
	for (int i = 0; i < 1200; i++) {
		pass(1, 1);
		assert_true(rotation_usable(credential(), world_now));
	}
	assert_in_range(server.issued, 11, 15);
}

static void
a_certificate_that_is_due_as_it_comes_is_not_asked_for_without_end(void **state)
{
	(void)state;
	server.life_s = 100 * DAY_S;
	server.backdate_s = 90 * DAY_S;
	assert_int_equal(need(), 0);
	pass(DAY_S, MINUTE_S);
	assert_in_range(server.issued, 2, 10);
}

/* --- clocks --- */

/* As a clock that is ahead by minutes sees certificates of one minute. */
static void
a_certificate_that_ended_before_it_came_is_not_asked_for_without_end(void **state)
{
	(void)state;
	server.life_s = MINUTE_S;
	server.backdate_s = 2 * MINUTE_S;
	assert_int_equal(need(), E_UNAVAIL);
	assert_non_null(strstr(need_why.msg, "is the clock right?"));
	assert_int_equal(server.issued, 1);
	pass(MINUTE_S, 1);
	assert_in_range(server.issued, 5, 62);
	server.backdate_s = 0;
	pass(MINUTE_S, 1);
	assert_int_equal(need(), 0);
}

static void
a_clock_that_is_set_far_off_and_back_costs_nothing(void **state)
{
	static const int64_t steps[] = { -50 * 365 * DAY_S, -1 * DAY_S, -HOUR_S, HOUR_S, 3650 * DAY_S };

	(void)state;
	live();
	for (size_t i = 0; i < N_OF(steps); i++) {
		int64_t right = world_now;

		had_pair = false;
		server.down = true;
		world_now = right + steps[i];
		pass(20 * MINUTE_S, MINUTE_S);
		assert_int_equal(engine->clock_odd, steps[i] < -DAY_S);
		server.down = false;
		world_now = right + 20 * MINUTE_S;
		pass(2 * MINUTE_S, MINUTE_S);
		assert_true(rotation_usable(credential(), world_now));
		assert_true(pair_served());
		assert_int_equal(credential()->gen.state, GEN_IDLE);
		had_pair = true;
	}
}

static void
a_renewal_that_came_due_under_a_wrong_clock_is_done_when_it_is_right(void **state)
{
	int64_t right;

	(void)state;
	live_until_due();
	right = world_now + 1;
	server.down = true;
	world_now = 60; /* a boot without a battery */
	restart();
	pass(HOUR_S, MINUTE_S);
	assert_int_equal(server.asked, 0);
	server.down = false;
	world_now = right;
	pass(2 * MINUTE_S, MINUTE_S);
	assert_int_equal(credential()->gen.number, 2);
}

static void
a_pause_that_another_clock_made_is_not_waited_for(void **state)
{
	(void)state;
	live_until_due();
	server.down = true;
	pass(HOUR_S, MINUTE_S);
	world_now += 3650 * DAY_S;
	had_pair = false;
	pump();
	world_now -= 3650 * DAY_S;
	server.down = false;
	pass(2 * MINUTE_S, MINUTE_S);
	assert_int_equal(credential()->gen.number, 2);
}

/* --- proofs and refusals --- */

static void
the_old_pair_is_kept_until_the_new_one_was_taken(void **state)
{
	int old;

	(void)state;
	live_until_due();
	old = *slot_of(KEY);
	assert_int_equal(server.probed, 0);
	pass(1, 1);
	assert_int_equal(server.probed, 1);
	assert_true(credential()->gen.proved);
	assert_int_equal(*before_of(KEY), -1);
	/* A use by somebody else proves as well. */
	world_now = rotation_renew_at(credential()) - 1;
	old = *slot_of(KEY);
	server.refuses_new = true;
	pass(1, 1);
	assert_int_equal(credential()->gen.state, GEN_SWITCHED);
	assert_int_equal(*before_of(KEY), old);
	keys[*slot_of(KEY)].proved = true;
	engine_used(engine, ID, true);
	pump();
	assert_int_equal(credential()->gen.state, GEN_IDLE);
	assert_int_equal(*before_of(KEY), -1);
}

static void
a_new_pair_that_is_refused_three_times_gives_way_to_the_old(void **state)
{
	uint8_t old[SHA256_LEN];
	int key;

	(void)state;
	live_until_due();
	key = *slot_of(KEY);
	memcpy(old, credential()->sha256, sizeof(old));
	server.refuses_new = true;
	for (int i = 0; i < 600 && strstr(told, "is served again") == NULL; i++)
		pass(1, 1);
	assert_int_equal(server.probed, 3);
	assert_int_equal(*slot_of(KEY), key);
	assert_memory_equal(credential()->sha256, old, sizeof(old));
	assert_true(rotation_usable(credential(), world_now));
	assert_string_equal(credential()->gen.error.outcome, "rolled-back");
	pass(4 * DAY_S, MINUTE_S);
	assert_in_range(server.issued, 2, 60); /* again and again, with ever longer pauses */
	server.refuses_new = false;
	pass(DAY_S, MINUTE_S);
	assert_true(credential()->gen.proved && *slot_of(KEY) != key);
	assert_int_equal(credential()->gen.setbacks, 0);
}

static void
an_operator_does_not_wait_for_the_pause_after_a_roll_back(void **state)
{
	struct err e;

	(void)state;
	live_until_due();
	server.refuses_new = true;
	for (int i = 0; i < 600 && strstr(told, "is served again") == NULL; i++)
		pass(1, 1);
	server.refuses_new = false;
	server.issued = 0;
	assert_true(credential()->gen.next_try > world_now);
	assert_int_equal(engine_renew_now(engine, ID, &e), 0);
	pump();
	assert_int_equal(server.issued, 1);
	assert_int_equal(credential()->gen.state, GEN_IDLE);
}

static void
an_identity_that_servers_refuse_is_enrolled_anew_for_the_next_who_needs_it(void **state)
{
	(void)state;
	live();
	server.refuses_identity = true;
	engine_used(engine, ID, false);
	pump();
	assert_int_equal(server.asked, 0);
	assert_int_equal(need(), 0);
	assert_int_equal(server.issued, 1);
	assert_int_equal(credential()->gen.number, 2);
}

static void
a_renewal_that_is_refused_is_tried_by_the_bootstrap_next(void **state)
{
	(void)state;
	live_until_due();
	server.refuses_identity = true;
	for (int i = 0; i < 300 && server.issued == 0; i++)
		pass(1, 1);
	assert_int_equal(server.issued, 1);
	assert_int_equal(server.asked, 2);
}

/* --- operators and settings --- */

static void
an_operator_stops_it_for_good_and_resumes_it(void **state)
{
	struct err e;

	(void)state;
	live();
	assert_int_equal(engine_set_disabled(engine, ID, true, &e), 0);
	restart();
	assert_int_equal(need(), 0); /* it is still used */
	had_pair = false;
	pass(200 * DAY_S, HOUR_S);
	assert_int_equal(server.asked, 0);
	assert_int_equal(need(), E_POLICY);
	assert_int_equal(engine_renew_now(engine, ID, &e), E_POLICY);
	assert_int_equal(engine_set_disabled(engine, ID, false, &e), 0);
	pump();
	assert_int_equal(server.issued, 1);
}

static void
settings_may_change_at_any_moment(void **state)
{
	struct certd_settings other = settings;
	int64_t at;

	(void)state;
	live();
	server.down = true;
	world_now = rotation_renew_at(credential());
	pump();
	at = credential()->gen.next_try;
	assert_true(at > world_now);
	engine_configure(engine, &other); /* state and timers stay */
	assert_int_equal(credential()->gen.next_try, at);
	engine_need(engine, ID, NULL, NULL, on_ready, NULL);
	other.est_auth.identity_cert = NULL;
	engine_configure(engine, &other);
	pump();
	assert_int_equal(need_why.code, E_NOTFOUND);
	assert_null(engine_find(engine, ID));
	engine_configure(engine, &settings);
	pump();
	assert_int_equal(credential()->gen.number, 1);
}

/* --- what reviewers found --- */

static void
a_server_that_asks_for_a_day_is_left_alone_for_a_day(void **state)
{
	(void)state;
	live_until_due();
	server.says = JOB_BUSY;
	server.retry_after_s = 2 * DAY_S; /* counts as a day, and a bit by chance */
	pass(DAY_S - 2, HOUR_S / 2);
	assert_int_equal(server.asked, 1);
	server.says = JOB_DONE;
	pass(HOUR_S * 3, MINUTE_S);
	assert_int_equal(server.issued, 1);
}

/* The last try failed 12 hours from what is the right time. */
static void
pause_by_a_clock_that_is_ahead(void)
{
	live_until_due();
	server.down = true;
	pass(12 * HOUR_S, MINUTE_S);
	world_now += 12 * HOUR_S;
	pump();
	assert_true(credential()->gen.next_try > world_now);
}

static void
a_clock_that_is_set_back_by_hours_leaves_no_pause_behind(void **state)
{
	(void)state;
	pause_by_a_clock_that_is_ahead();
	server.down = false;
	world_now -= 12 * HOUR_S;
	pass(2 * MINUTE_S, MINUTE_S);
	assert_int_equal(server.issued, 1);
}

static void
nor_does_one_that_is_set_back_while_nothing_runs(void **state)
{
	(void)state;
	pause_by_a_clock_that_is_ahead();
	stop();
	server.down = false;
	world_now -= 12 * HOUR_S;
	start();
	pass(2 * MINUTE_S, MINUTE_S);
	assert_int_equal(server.issued, 1);
}

/* An exchange that took longer than it was waited for says nothing of the pair that came after. */
static void
what_is_heard_of_the_pair_before_proves_nothing(void **state)
{
	(void)state;
	live_until_due();
	server.no_proof = true;
	assert_int_equal(need(), 0);
	pass(80, 1);
	assert_int_equal(credential()->gen.number, 2);
	engine_used(engine, ID, true);
	pump();
	assert_int_equal(credential()->gen.state, GEN_SWITCHED);
	assert_false(credential()->gen.proved);
	assert_int_equal(need(), 0);
	keys[*slot_of(KEY)].proved = true;
	engine_used(engine, ID, true);
	pump();
	assert_int_equal(credential()->gen.state, GEN_IDLE);
}

/* --- what is told --- */

static void
the_status_says_it_all(void **state)
{
	AUTO_JSON list = json_array();
	json_t *o, *why;

	(void)state;
	live_until_due();
	server.down = true;
	pass(2, 1);
	engine_status(engine, list);
	assert_int_equal(json_array_size(list), 1);
	o = json_array_get(list, 0);
	assert_string_equal(json_str(o, "id", ""), ID);
	assert_string_equal(json_str(o, "key_id", ""), KEY);
	assert_string_equal(json_str(o, "source", ""), "est identity");
	assert_string_equal(json_str(o, "url", ""), URL);
	assert_string_equal(json_str(o, "state", ""), "asked");
	assert_string_equal(json_str(o, "subject", ""), "CN=pump-7");
	assert_int_equal(json_int(o, "generation", 0), 1);
	assert_int_equal(json_int(o, "tries", 0), 1);
	assert_true(json_flag(o, "proved", false) && json_flag(o, "usable", false));
	assert_true(json_flag(o, "clock_trusted", false));
	assert_false(json_flag(o, "disabled", true) || json_flag(o, "preloaded", true));
	assert_int_equal(json_int(o, "not_after", 0), credential()->life.not_after);
	assert_in_range(json_int(o, "next_renewal", 0), world_now, world_now + DAY_S);
	assert_in_range(json_int(o, "last_success", 0), 1, world_now);
	why = json_object_get(o, "last_error");
	assert_string_equal(json_str(why, "outcome", ""), "no-server");
	assert_string_equal(json_str(why, "text", ""), "no route to the server");
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(nobody_asks_for_an_identity_that_nobody_needs),
		T(the_first_need_enrols_by_the_bootstrap_once_for_all_who_wait),
		T(a_need_that_fails_says_why_and_the_next_one_soon_after_hears_the_same),
		T(it_is_renewed_where_it_was_enrolled_also_after_a_restart),
		T(a_renewal_comes_at_its_time_with_a_new_key_by_the_old_one),
		T(it_is_at_once_when_an_operator_wants_it),
		T(simplereenroll_is_used_where_it_is_configured),
		T(a_server_that_is_away_for_400_days_finds_a_device_that_still_asks),
		T(a_request_that_waits_for_approval_is_repeated_with_the_same_key_when_told),
		T(an_answer_that_may_have_been_a_good_one_does_not_cost_its_key),
		T(an_answer_that_is_no_good_costs_its_key),
		T(an_answer_that_broke_on_the_way_or_that_a_wrong_clock_judged_keeps_its_key),
		T(nobody_is_given_an_identity_whose_own_renewal_is_on_its_way),
		T(an_identity_is_not_renewed_under_the_hands_of_those_who_show_it),
		T(certificates_of_two_minutes_are_always_fresh),
		T(a_certificate_that_is_due_as_it_comes_is_not_asked_for_without_end),
		T(a_certificate_that_ended_before_it_came_is_not_asked_for_without_end),
		T(a_clock_that_is_set_far_off_and_back_costs_nothing),
		T(a_renewal_that_came_due_under_a_wrong_clock_is_done_when_it_is_right),
		T(a_pause_that_another_clock_made_is_not_waited_for),
		T(the_old_pair_is_kept_until_the_new_one_was_taken),
		T(an_operator_does_not_wait_for_the_pause_after_a_roll_back),
		T(a_new_pair_that_is_refused_three_times_gives_way_to_the_old),
		T(an_identity_that_servers_refuse_is_enrolled_anew_for_the_next_who_needs_it),
		T(a_renewal_that_is_refused_is_tried_by_the_bootstrap_next),
		T(an_operator_stops_it_for_good_and_resumes_it),
		T(settings_may_change_at_any_moment),
		T(a_server_that_asks_for_a_day_is_left_alone_for_a_day),
		T(a_clock_that_is_set_back_by_hours_leaves_no_pause_behind),
		T(nor_does_one_that_is_set_back_while_nothing_runs),
		T(what_is_heard_of_the_pair_before_proves_nothing),
		T(the_status_says_it_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
