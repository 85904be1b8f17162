/* SPDX-License-Identifier: Apache-2.0 */
/* certd/test_hands.c - what the engine shares with others: files, keys, births, certificates that it manages for them */
#include "world.h"

/* --- files and keys in other hands --- */

static void
what_an_operator_deletes_is_asked_for_at_once(void **state)
{
	char path[PLACE_MAX * 2];
	struct err e;

	(void)state;
	live();
	had_pair = false;
	assert_int_equal(certs_path(path, &settings, ID, &e), 0);
	assert_int_equal(unlink(path), 0);
	*slot_of(KEY) = -1;
	pass(MINUTE_S, MINUTE_S);
	assert_int_equal(server.issued, 1);
	assert_true(pair_served());
}

/* Also between the proof and the end of its predecessor, which then is served again. */
static void
a_key_that_vanishes_before_the_one_before_it_is_gone_brings_that_back(void **state)
{
	int old;

	(void)state;
	live_until_due();
	old = *slot_of(KEY);
	server.refuses_new = true;
	pass(1, 1);
	keyd_down = true;
	keys[*slot_of(KEY)].proved = true;
	engine_used(engine, ID, true);
	pass(5 * MINUTE_S, MINUTE_S);
	assert_int_equal(credential()->gen.state, GEN_SWITCHED);
	assert_true(credential()->gen.proved);
	*slot_of(KEY) = -1;
	had_pair = false; /* that is nothing the engine can know */
	keyd_down = false;
	server.down = true;
	pass(7 * HOUR_S, MINUTE_S);
	assert_int_equal(*slot_of(KEY), old);
	assert_true(rotation_usable(credential(), world_now));
	assert_true(pair_served());
}

static void
a_key_that_vanished_is_noticed_when_somebody_says_look(void **state)
{
	(void)state;
	live();
	had_pair = false;
	*slot_of(KEY) = -1;
	engine_look(engine, ID);
	pump();
	assert_int_equal(server.issued, 1);
	assert_true(pair_served());
}

static void
a_certificate_that_others_replace_is_scheduled_anew(void **state)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);
	struct name n = device_name();
	struct err e;

	(void)state;
	live();
	put_cert(&pem, spki_of(*slot_of(KEY)), &n, world_now, world_now + 10 * DAY_S);
	assert_int_equal(certs_write(&settings, ID, bytes_of_buf(&pem), &e), 0);
	pass(MINUTE_S, MINUTE_S);
	assert_int_equal(server.issued, 0);
	assert_in_range(rotation_renew_at(credential()), world_now + 7 * DAY_S, world_now + 9 * DAY_S);
	pass(9 * DAY_S, 10 * MINUTE_S);
	assert_int_equal(server.issued, 1);
}

static void
a_keys_service_that_is_down_is_no_reason_to_enrol(void **state)
{
	(void)state;
	live();
	keyd_down = true;
	restart();
	assert_int_equal(need(), E_UNAVAIL);
	assert_non_null(strstr(need_why.msg, "Keys Service"));
	keyd_down = false;
	pass(5 * MINUTE_S, MINUTE_S);
	assert_int_equal(need(), 0);
	assert_int_equal(server.asked, 0);
}

static void
a_key_that_keyd_will_not_replace_is_kept_rather_than_its_certificate_lost(void **state)
{
	int key;

	(void)state;
	live_until_due();
	key = *slot_of(KEY);
	keyd_fixed = true;
	pass(DAY_S, MINUTE_S);
	assert_int_equal(*slot_of(KEY), key);
	assert_true(credential()->life.not_before > world_now - DAY_S);
	assert_true(pair_served());
	assert_non_null(strstr(told, "will not replace key est-key"));
}

static void
a_preloaded_identity_is_watched_and_never_replaced(void **state)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX), after = { 0 };
	char path[PLACE_MAX];
	struct preloaded row = { .id = (char *)ID, .path = path };
	struct name n = device_name();
	struct err e;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/mine.pem", home_now);
	settings.preloaded = &row;
	settings.n_preloaded = 1;
	engine_configure(engine, &settings);
	*slot_of(KEY) = make_key();
	put_cert(&pem, spki_of(*slot_of(KEY)), &n, world_now, world_now + DAY_S);
	assert_int_equal(__real_file_write(path, bytes_of_buf(&pem), 0644, &e), 0);
	assert_int_equal(need(), 0);
	pass(2 * DAY_S, 10 * MINUTE_S);
	assert_int_equal(need(), E_POLICY);
	assert_int_equal(engine_renew_now(engine, ID, &e), E_POLICY);
	assert_int_equal(server.asked, 0);
	assert_int_equal(file_read(&after, path, CERTS_FILE_MAX, &e), 0);
	assert_true(bytes_equal(bytes_of_buf(&after), bytes_of_buf(&pem)));
}

/* --- an identity that is a file --- */

static char birth_path[128];
static struct preloaded birth_row = { .id = (char *)ID, .path = birth_path, .identity = true };

/* The file of the identity's birth, for the key that keyd has, or for a new one. */
static void
put_birth(struct buf *pem, bool new_key, int64_t not_before, int64_t not_after)
{
	struct name n = device_name();
	struct err e;

	if (new_key || *slot_of(KEY) < 0)
		*slot_of(KEY) = make_key();
	buf_reset(pem);
	put_cert(pem, spki_of(*slot_of(KEY)), &n, not_before, not_after);
	assert_int_equal(__real_file_write(birth_path, bytes_of_buf(pem), 0644, &e), 0);
}

static void
be_born(struct buf *pem, int64_t life)
{
	(void)snprintf(birth_path, sizeof(birth_path), "%s/birth.pem", home_now);
	settings.preloaded = &birth_row;
	settings.n_preloaded = 1;
	put_birth(pem, true, world_now, world_now + life);
	engine_configure(engine, &settings);
	assert_int_equal(need(), 0);
}

static bool
file_is(const char *path, const struct buf *pem)
{
	AUTO_BUF now = BUF_MAX(CERTS_FILE_MAX);
	struct err e;

	return file_read(&now, path, CERTS_FILE_MAX, &e) == 0 && bytes_equal(bytes_of_buf(&now), bytes_of_buf(pem));
}

/* What is served is the copy in certd's home. */
static bool
copy_is(const struct buf *pem)
{
	char path[PLACE_MAX * 2];
	struct err e;

	assert_int_equal(certs_path(path, &settings, ID, &e), 0);
	return strstr(path, "/certs/estid-") != NULL && file_is(path, pem);
}

/* The same, with a first renewal: the copy is no longer the birth certificate. */
static void
be_born_and_renewed(struct buf *pem, int64_t life)
{
	struct err e;

	be_born(pem, life);
	assert_int_equal(engine_renew_now(engine, ID, &e), 0);
	pass(HOUR_S, MINUTE_S);
	assert_false(copy_is(pem));
}

static void
a_birth_certificate_is_copied_and_the_copy_is_renewed_with_its_key(void **state)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);
	int key;

	(void)state;
	be_born(&pem, 90 * DAY_S);
	key = *slot_of(KEY);
	assert_true(copy_is(&pem));
	had_pair = false;
	pass(200 * DAY_S, HOUR_S);
	assert_true(server.issued >= 2);
	assert_int_equal(*slot_of(KEY), key);
	assert_true(file_is(birth_path, &pem));
	assert_false(copy_is(&pem));
	assert_int_equal(need(), 0);
	restart();
	assert_int_equal(need(), 0);
	assert_false(copy_is(&pem));
}

static void
a_birth_certificate_that_no_server_renews_is_served_as_a_copy(void **state)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);

	(void)state;
	settings.n_urls = 0;
	be_born(&pem, 30 * DAY_S);
	assert_true(copy_is(&pem));
	assert_true(credential()->preloaded);
	/* Somebody puts a newer one there, and then one for another key. */
	pass(DAY_S, HOUR_S);
	put_birth(&pem, false, world_now, world_now + 30 * DAY_S);
	pump();
	assert_true(copy_is(&pem));
	put_birth(&pem, true, world_now - 40 * DAY_S, world_now + 30 * DAY_S);
	pump();
	assert_true(copy_is(&pem));
	assert_int_equal(need(), 0);
	pass(31 * DAY_S, HOUR_S);
	assert_int_equal(need(), E_POLICY);
	assert_int_equal(server.asked, 0);
	settings.n_urls = N_OF(urls);
}

static void
a_copy_that_is_deleted_is_taken_anew_from_the_birth_certificate(void **state)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);
	char path[PLACE_MAX * 2];
	struct err e;

	(void)state;
	be_born_and_renewed(&pem, 90 * DAY_S);
	assert_int_equal(certs_path(path, &settings, ID, &e), 0);
	assert_int_equal(__real_unlink(path), 0);
	restart();
	assert_int_equal(need(), 0);
	assert_true(copy_is(&pem));
}

static void
a_copy_that_ended_gives_way_to_the_birth_certificate_that_has_not(void **state)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);

	(void)state;
	be_born_and_renewed(&pem, 3650 * DAY_S);
	server.down = true;
	had_pair = false;
	pass(100 * DAY_S, HOUR_S);
	assert_true(copy_is(&pem));
	assert_int_equal(need(), 0);
}

static void
a_birth_certificate_that_somebody_replaced_counts_when_it_is_newer_or_ours_is_refused(void **state)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);

	(void)state;
	be_born_and_renewed(&pem, 90 * DAY_S);
	put_birth(&pem, false, world_now - 10 * DAY_S, world_now + 200 * DAY_S);
	pump();
	assert_false(copy_is(&pem)); /* ours is good, and newer */
	had_pair = false;
	engine_used(engine, ID, false);
	assert_int_equal(need(), 0);
	assert_true(copy_is(&pem));
	world_now += DAY_S;
	put_birth(&pem, false, world_now, world_now + 300 * DAY_S);
	pump();
	assert_true(copy_is(&pem));
}

static void
a_full_disk_hinders_no_birth_certificate(void **state)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);
	char path[PLACE_MAX * 2];
	struct err e;

	(void)state;
	disk_full = true;
	be_born(&pem, 90 * DAY_S);
	assert_int_equal(certs_path(path, &settings, ID, &e), 0);
	assert_string_equal(path, birth_path);
	disk_full = false;
	engine_look(engine, ID);
	pump();
	assert_true(copy_is(&pem));
}

/* --- certificates that certd manages for others --- */

static struct issuance
managed(enum certd_method method)
{
	struct issuance i = { .id = (char *)"web", .method = method, .days = 30, .has_subject = true,
		.pk = (char *)"web-key", .auto_renew = true, .policy = policy_default };

	i.subject = device_name();
	return i;
}

static struct credential *
manage(struct issuance *i)
{
	settings.issuance = i;
	settings.n_issuance = 1;
	engine_configure(engine, &settings);
	pump();
	return engine_find(engine, i->id);
}

static void
self_signed_certificates_renew_with_the_key_they_have(void **state)
{
	struct issuance i = managed(METHOD_SELF_SIGNED);
	struct credential *c;
	int key;

	(void)state;
	i.policy.rotate_key = false;
	c = manage(&i);
	assert_int_equal(c->gen.number, 1);
	assert_true(c->gen.proved);
	key = *slot_of("web-key");
	pass(25 * DAY_S, HOUR_S);
	assert_int_equal(c->gen.number, 2);
	assert_int_equal(c->gen.state, GEN_IDLE);
	assert_int_equal(*slot_of("web-key"), key);
	i.policy.rotate_key = true;
	engine_configure(engine, &settings);
	pass(25 * DAY_S, HOUR_S);
	assert_int_equal(c->gen.number, 3);
	assert_int_not_equal(*slot_of("web-key"), key);
	assert_int_equal(server.asked, 0);
}

static void
local_issuance_says_what_is_missing_and_goes_on_when_it_is_there(void **state)
{
	struct issuance i = managed(METHOD_LOCAL_CA);
	struct credential *c = manage(&i);

	(void)state;
	assert_int_equal(c->gen.number, 0);
	assert_non_null(strstr(c->gen.error.text, "local_ca"));
	settings.local_ca_cert = (char *)"boot";
	settings.local_ca_pk = (char *)"boot-key";
	engine_configure(engine, &settings);
	pass(5 * MINUTE_S, MINUTE_S);
	assert_int_equal(c->gen.number, 1);
	assert_true(c->gen.proved);
}

static void
a_managed_certificate_is_asked_for_by_the_identity_which_is_made_first(void **state)
{
	struct issuance i = managed(METHOD_EST);
	struct credential *c;

	(void)state;
	server.down = true;
	c = manage(&i);
	assert_int_equal(c->gen.number, 0);
	assert_string_equal(server.client, "boot-key");
	server.down = false;
	pass(5 * MINUTE_S, MINUTE_S);
	assert_int_equal(c->gen.number, 1);
	assert_int_equal(credential()->gen.number, 1);
	assert_int_equal(server.issued, 2);
	assert_true(c->gen.proved);
}

/* The server it comes from may not be the one that it is for. */
static void
a_managed_certificate_that_its_server_never_takes_is_served_all_the_same(void **state)
{
	struct issuance i = managed(METHOD_EST);
	struct credential *c;

	(void)state;
	live();
	server.refuses_new = true;
	c = manage(&i);
	pass(HOUR_S, MINUTE_S);
	assert_int_equal(server.issued, 1);
	assert_int_equal(server.probed, 3);
	assert_int_equal(c->gen.number, 1);
	assert_int_equal(c->gen.state, GEN_IDLE);
	assert_false(c->gen.taken_once);
}

static void
a_pair_is_not_switched_under_an_exchange_that_uses_it(void **state)
{
	int key;

	(void)state;
	live_until_due();
	key = *slot_of(KEY);
	assert_int_equal(need(), 0); /* and now it is in use */
	world_now++;
	pump();
	assert_int_equal(credential()->gen.state, GEN_STAGED);
	assert_int_equal(*slot_of(KEY), key);
	engine_used(engine, ID, true);
	pump();
	assert_int_not_equal(*slot_of(KEY), key);
	/* Who never says that he is done is waited for no longer than an exchange can last. */
	key = *slot_of(KEY);
	world_now = rotation_renew_at(credential()) - 1;
	assert_int_equal(need(), 0);
	pass(60, 1);
	assert_int_equal(*slot_of(KEY), key);
	pass(20, 1);
	assert_int_not_equal(*slot_of(KEY), key);
}

/* --- keys that two IDs mean --- */

/* A second credential: the managed certificate `web` with a key of somebody's choice. */
static struct issuance
web_with(const char *key)
{
	struct issuance i = managed(METHOD_SELF_SIGNED);

	i.pk = (char *)(uintptr_t)key;
	return i;
}

static bool
belongs(const char *cert_id, const char *key_id)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX), der = { 0 };
	struct cert c;
	struct err e;

	return certs_read(&pem, &settings, cert_id, &e) == 0 && leaf_of(&c, &der, bytes_of_buf(&pem)) &&
	    *slot_of(key_id) >= 0 && bytes_equal(c.spki, spki_of(*slot_of(key_id)));
}

static void
a_key_that_two_certificates_share_stays(void **state)
{
	struct issuance i = web_with(KEY);
	int key;

	(void)state;
	settings.issuance = &i;
	settings.n_issuance = 1;
	engine_configure(engine, &settings);
	assert_int_equal(need(), 0);
	pass(10 * MINUTE_S, MINUTE_S);
	assert_true(belongs(ID, KEY) && belongs("web", KEY));
	key = *slot_of(KEY);
	pass(200 * DAY_S, HOUR_S);
	assert_int_equal(*slot_of(KEY), key);
	assert_true(belongs(ID, KEY) && belongs("web", KEY));
	assert_true(engine_find(engine, "web")->life.not_after > world_now);
	assert_true(credential()->life.not_after > world_now);
	assert_non_null(strstr(told, "is not replaced"));
}

static void
a_key_whose_id_is_that_of_anothers_successor_is_not_deleted(void **state)
{
	struct issuance i = web_with(TEMP);
	int key;

	(void)state;
	live();
	i.days = 3650;
	settings.issuance = &i;
	settings.n_issuance = 1;
	engine_configure(engine, &settings);
	pump();
	assert_true(belongs("web", TEMP));
	key = *slot_of(TEMP);
	world_now = rotation_renew_at(credential());
	pump();
	assert_true(credential()->life.not_before > BEGIN_S + DAY_S);
	assert_int_equal(*slot_of(TEMP), key);
	assert_true(belongs("web", TEMP) && belongs(ID, KEY));
}

/* Nor is the bootstrap's, which is no credential. */
static void
a_bootstrap_key_that_is_named_like_a_successor_is_not_deleted(void **state)
{
	(void)state;
	live();
	settings.est_auth.bootstrap_pk = (char *)TEMP;
	*slot_of(TEMP) = *slot_of("boot-key");
	engine_configure(engine, &settings);
	world_now = rotation_renew_at(credential());
	pump();
	assert_int_equal(server.issued, 1);
	assert_int_equal(*slot_of(TEMP), *slot_of("boot-key"));
}

static void
an_identity_that_others_replace_is_no_longer_the_one_that_was_refused(void **state)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);
	struct name n = device_name();
	struct err e;

	(void)state;
	live();
	engine_used(engine, ID, false);
	pump();
	assert_false(rotation_usable(credential(), world_now));
	put_cert(&pem, spki_of(*slot_of(KEY)), &n, world_now, world_now + server.life_s);
	assert_int_equal(certs_write(&settings, ID, bytes_of_buf(&pem), &e), 0);
	assert_int_equal(need(), 0);
	assert_int_equal(server.asked, 0);
}

static void
a_preloaded_identity_that_was_refused_has_its_turn_again(void **state)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);
	char path[PLACE_MAX];
	struct preloaded row = { .id = (char *)ID, .path = path };
	struct name n = device_name();
	struct err e;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/mine.pem", home_now);
	settings.preloaded = &row;
	settings.n_preloaded = 1;
	engine_configure(engine, &settings);
	*slot_of(KEY) = make_key();
	put_cert(&pem, spki_of(*slot_of(KEY)), &n, world_now, world_now + 9 * DAY_S);
	assert_int_equal(__real_file_write(path, bytes_of_buf(&pem), 0644, &e), 0);
	assert_int_equal(need(), 0);
	engine_used(engine, ID, false);
	assert_int_equal(need(), E_POLICY);
	pass(HOUR_S, MINUTE_S);
	assert_int_equal(need(), 0);
	/* Somebody puts another in its place: that was refused by nobody. */
	engine_used(engine, ID, false);
	assert_int_equal(need(), E_POLICY);
	buf_reset(&pem);
	put_cert(&pem, spki_of(*slot_of(KEY)), &n, world_now, world_now + 9 * DAY_S);
	assert_int_equal(__real_file_write(path, bytes_of_buf(&pem), 0644, &e), 0);
	assert_int_equal(need(), 0);
}

static void
a_successors_key_that_certd_may_not_ask_for_hinders_no_new_start(void **state)
{
	(void)state;
	live();
	keyd_secret = TEMP;
	*slot_of(KEY) = *before_of(KEY) = -1; /* lost, whatever it was */
	keyd_fixed = true;
	had_pair = false;
	engine_look(engine, ID);
	pass(HOUR_S, MINUTE_S);
	assert_int_equal(credential()->pair, PAIR_MATCH);
	assert_true(pair_served());
}

static void
a_first_pair_needs_no_right_to_a_successors_key(void **state)
{
	(void)state;
	keyd_secret = TEMP;
	assert_int_equal(need(), 0); /* at once, not after some tries */
	assert_int_equal(server.asked, 1);
	assert_true(pair_served());
	assert_false(credential()->gen.rotate);
}

static void
a_proof_that_is_never_given_does_not_stop_the_next_renewal(void **state)
{
	(void)state;
	live_until_due();
	server.no_proof = true; /* it answers each question but the one that proves */
	pass(HOUR_S, MINUTE_S);
	assert_int_equal(credential()->gen.state, GEN_SWITCHED);
	assert_int_equal(credential()->gen.number, 2);
	pass(85 * DAY_S, HOUR_S);
	assert_true(credential()->gen.number >= 3);
	assert_string_not_equal(server.client, "boot-key");
	assert_true(credential()->life.not_after > world_now + 50 * DAY_S);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_an_operator_deletes_is_asked_for_at_once),
		T(a_key_that_vanishes_before_the_one_before_it_is_gone_brings_that_back),
		T(a_key_that_vanished_is_noticed_when_somebody_says_look),
		T(a_certificate_that_others_replace_is_scheduled_anew),
		T(a_keys_service_that_is_down_is_no_reason_to_enrol),
		T(a_key_that_keyd_will_not_replace_is_kept_rather_than_its_certificate_lost),
		T(a_preloaded_identity_is_watched_and_never_replaced),
		T(a_birth_certificate_is_copied_and_the_copy_is_renewed_with_its_key),
		T(a_birth_certificate_that_no_server_renews_is_served_as_a_copy),
		T(a_copy_that_is_deleted_is_taken_anew_from_the_birth_certificate),
		T(a_copy_that_ended_gives_way_to_the_birth_certificate_that_has_not),
		T(a_birth_certificate_that_somebody_replaced_counts_when_it_is_newer_or_ours_is_refused),
		T(a_full_disk_hinders_no_birth_certificate),
		T(self_signed_certificates_renew_with_the_key_they_have),
		T(local_issuance_says_what_is_missing_and_goes_on_when_it_is_there),
		T(a_managed_certificate_is_asked_for_by_the_identity_which_is_made_first),
		T(a_managed_certificate_that_its_server_never_takes_is_served_all_the_same),
		T(a_pair_is_not_switched_under_an_exchange_that_uses_it),
		T(a_key_that_two_certificates_share_stays),
		T(a_key_whose_id_is_that_of_anothers_successor_is_not_deleted),
		T(a_bootstrap_key_that_is_named_like_a_successor_is_not_deleted),
		T(an_identity_that_others_replace_is_no_longer_the_one_that_was_refused),
		T(a_preloaded_identity_that_was_refused_has_its_turn_again),
		T(a_successors_key_that_certd_may_not_ask_for_hinders_no_new_start),
		T(a_first_pair_needs_no_right_to_a_successors_key),
		T(a_proof_that_is_never_given_does_not_stop_the_next_renewal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
