/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/test_store.c - keys by ID: what exists is kept, and what is damaged is never replaced */
#include "store_kit.h"

#include <signal.h>
#include <sys/resource.h>

/* --- tests: making --- */

static void
create_keeps_what_exists(void **state)
{
	AUTO_BUF first = { 0 };
	AUTO_BUF again = { 0 };

	(void)state;
	assert_int_equal(look("device-id", NULL, NULL), E_NOTFOUND);
	assert_int_equal(create("device-id", &first), 1);
	assert_int_equal(create("device-id", &again), 1);
	assert_true(bytes_equal(bytes_of_buf(&first), bytes_of_buf(&again)));
	reopen();
	assert_is("device-id", &first);
}

static void
keys_that_were_restored_under_the_running_service_are_kept(void **state)
{
	AUTO_BUF spki = { 0 };
	char keys[512], aside[512];

	(void)state;
	(void)create("device-id", &spki);
	(void)snprintf(keys, sizeof(keys), "%s", scratch_path("home/keys"));
	(void)snprintf(aside, sizeof(aside), "%s", scratch_path("home/backup"));
	assert_int_equal(rename(keys, aside), 0);
	assert_int_equal(look("device-id", NULL, NULL), E_IO); /* and not that there is none */
	assert_int_equal(mkdir(keys, 0700), 0);
	assert_int_equal(look("device-id", NULL, NULL), E_NOTFOUND);
	assert_int_equal(rmdir(keys), 0);
	assert_int_equal(rename(aside, keys), 0);
	assert_int_equal(create("device-id", NULL), 1);
	assert_is("device-id", &spki);
}

static void
files_are_where_the_original_has_them(void **state)
{
	(void)state;
	(void)create("device-id", NULL);
	assert_int_equal(access(scratch_path(
	    "home/keys/deviceid-bd732105ef89cf8edd2606a5309c8a26b7b5599a4e124a0fe6199b6b2f60e655.key"), F_OK), 0);
	assert_int_equal(access(scratch_path(
	    "home/keys/handlevalidationkey-40f1ca41fe8b50f53e10f3e3a580dcae24087f37aa498ba9903f2612b03e90ba.key"), F_OK), 0);
}

static void
pair_and_secret_of_one_id_exclude_each_other(void **state)
{
	struct store_key k = { 0 };
	struct err e;

	(void)state;
	(void)create("pair", NULL);
	assert_int_equal(store_load(&k, st, CUSTODY_SECRET, "pair", &e), E_USAGE);
	assert_int_equal(store_create_key(&k, st, "pair", USAGE_SIGN, &e), E_USAGE);
	assert_int_equal(store_import_key(&k, st, "pair", bytes_of("secret"), USAGE_SIGN, &e), E_USAGE);
	assert_int_equal(store_import_key(&k, st, "short", bytes_of("s"), USAGE_SIGN, &e), 0); /* one octet is no damaged pair */
	store_key_clear(&k);
	assert_int_equal(look("short", NULL, NULL), E_USAGE);
	assert_int_equal(store_create_pair(&k, st, "short", KEY_EC_P256, &e), E_USAGE);
	assert_int_equal(store_move(st, "pair", "short", &e), E_USAGE);
	assert_int_equal(look("pair", NULL, NULL), 0);
}

static void
usage_is_what_was_asked_first_and_an_import_replaces_it(void **state)
{
	struct store_key k = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(store_create_key(&k, st, "m", USAGE_ENCRYPT, &e), 0);
	assert_int_equal(k.usage, USAGE_ENCRYPT);
	store_key_clear(&k);
	assert_int_equal(store_create_key(&k, st, "m", USAGE_ALL, &e), 0); /* exists: not widened */
	assert_int_equal(k.usage, USAGE_ENCRYPT);
	assert_int_equal(k.generation, 1);
	store_key_clear(&k);
	reopen();
	assert_int_equal(store_import_key(&k, st, "m", bytes_of("new"), USAGE_SIGN, &e), 0);
	assert_int_equal(k.usage, USAGE_SIGN);
	assert_int_equal(k.generation, 2);
	store_key_clear(&k);
}

/* H3: who may replace a key must not get more of the old one by a replacement that fails. */
static void
an_import_that_is_refused_changes_no_usage(void **state)
{
	static const uint8_t zeros[32];
	struct store_key k = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(store_create_key(&k, st, "m", USAGE_ENCRYPT, &e), 0);
	store_key_clear(&k);
	assert_int_equal(store_import_key(&k, st, "m", (struct bytes){ zeros, sizeof(zeros) }, USAGE_ALL, &e), E_USAGE);
	assert_int_equal(store_load(&k, st, CUSTODY_SECRET, "m", &e), 0);
	assert_int_equal(k.usage, USAGE_ENCRYPT);
	assert_int_equal(k.generation, 1);
	store_key_clear(&k);
}

/* A handle of the key that was lost must not open the one that is made in its place. */
static void
the_number_of_a_damaged_key_is_not_given_again(void **state)
{
	struct store_key k = { 0 };
	AUTO_BUF spki = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(create("id-temp", NULL), 1);
	damage("id-temp");
	assert_int_equal(create("id-temp", NULL), 2);
	assert_int_equal(use("id-temp", 1, &spki), E_POLICY);
	assert_int_equal(create("id", NULL), 1);
	damage("id");
	assert_int_equal(store_create_pair(&k, st, "id", KEY_EC_P256, &e), E_FORMAT);
	assert_int_equal(store_forget(st, "id", &e), 0);
	assert_int_equal(create("id", NULL), 2);
	assert_int_equal(use("id", 1, &spki), E_POLICY);
}

/* A home of the original has no records. */
static void
keys_of_an_earlier_service_are_taken_over(void **state)
{
	struct store_key k = { 0 };
	AUTO_BUF spki = { 0 };
	uint64_t generation = 0;
	struct err e;

	(void)state;
	(void)create("device-id", &spki);
	assert_int_equal(unlink(path_of("records", "device-id", ".json")), 0);
	assert_int_equal(file_write(path_of("keys", "sym", ".key"), bytes_of("0123456789abcdef0123456789abcdef"), 0644,
	    &e), 0);
	reopen();
	assert_int_equal(look("device-id", &spki, &generation), 0);
	assert_int_equal(generation, 1);
	assert_int_equal(store_load(&k, st, CUSTODY_SECRET, "sym", &e), 0);
	assert_int_equal(k.usage, USAGE_ALL);
	store_key_clear(&k);
	assert_int_equal(look("sym", NULL, NULL), E_USAGE);
	assert_int_equal(store_create_pair(&k, st, "sym", KEY_EC_P256, &e), E_USAGE);
}

static void
the_handle_key_is_out_of_reach(void **state)
{
	static const char id[] = KEYD_HANDLE_KEY_ID;
	struct handle h = { .kind = HANDLE_KEY };
	struct store_key k = { 0 };
	struct store_state s;
	struct err e;

	(void)state;
	memcpy(h.id, id, sizeof(id));
	(void)create("x", NULL);
	assert_int_equal(store_load(&k, st, CUSTODY_SECRET, id, &e), E_AUTH);
	assert_int_equal(store_load(&k, st, CUSTODY_PAIR, id, &e), E_AUTH);
	assert_int_equal(store_use(&k, st, &h, &e), E_AUTH);
	assert_int_equal(store_create_pair(&k, st, id, KEY_EC_P256, &e), E_AUTH);
	assert_int_equal(store_create_key(&k, st, id, USAGE_ALL, &e), E_AUTH);
	assert_int_equal(store_import_key(&k, st, id, bytes_of("mine"), USAGE_ALL, &e), E_AUTH);
	assert_int_equal(store_delete(st, &h, &e), E_AUTH);
	assert_int_equal(store_move(st, "x", id, &e), E_AUTH);
	assert_int_equal(store_move(st, id, "y", &e), E_AUTH);
	assert_int_equal(store_switch(st, id, "x", bytes_of(""), &e), E_AUTH);
	assert_int_equal(store_switch(st, "x", id, bytes_of(""), &e), E_AUTH);
	assert_int_equal(store_prove(st, id, &e), E_AUTH);
	assert_int_equal(store_rollback(st, id, &e), E_AUTH);
	assert_int_equal(store_state(&s, st, id, &e), E_AUTH);
	assert_int_equal(store_forget(st, id, &e), E_AUTH);
}

static void
the_handle_key_outlives_restarts_and_a_torn_one_is_made_anew(void **state)
{
	AUTO_BUF before = { 0 };
	AUTO_BUF after = { 0 };

	(void)state;
	read_key(&before, KEYD_HANDLE_KEY_ID);
	assert_int_equal(before.n, 32);
	reopen();
	read_key(&after, KEYD_HANDLE_KEY_ID);
	assert_true(bytes_equal(bytes_of_buf(&before), bytes_of_buf(&after)));
	for (size_t n = 0; n < 32; n += 31) { /* one octet could be guessed */
		assert_int_equal(file_write(path_of("keys", KEYD_HANDLE_KEY_ID, ".key"), (struct bytes){ before.p, n }, 0600,
		    NULL), 0);
		reopen();
		read_key(&after, KEYD_HANDLE_KEY_ID);
		assert_int_equal(after.n, 32);
		assert_false(bytes_equal(bytes_of_buf(&before), bytes_of_buf(&after)));
	}
}

/* --- damage --- */

static void
a_damaged_identity_is_set_aside_and_never_made_anew(void **state)
{
	struct store_key k = { 0 };
	AUTO_BUF spki = { 0 };
	AUTO_BUF next = { 0 };
	struct err e;

	(void)state;
	(void)create("device-id", &spki);
	damage("device-id");
	assert_int_equal(look("device-id", NULL, NULL), E_FORMAT);
	assert_true(is_there("keys", "device-id")); /* to look is not to touch */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(store_create_pair(&k, st, "device-id", KEY_EC_P256, &e), E_FORMAT);
		assert_non_null(strstr(e.msg, "/quarantine/"));
		assert_false(is_there("keys", "device-id"));
		reopen();
	}
	assert_int_equal(look("device-id", NULL, NULL), E_FORMAT);
	assert_int_equal(store_forget(st, "device-id", &e), 0);
	assert_int_equal(look("device-id", NULL, NULL), E_NOTFOUND);
	(void)create("device-id", &next);
	assert_false(bytes_equal(bytes_of_buf(&spki), bytes_of_buf(&next)));
}

static void
a_good_copy_put_back_ends_the_quarantine(void **state)
{
	struct store_key k = { 0 };
	AUTO_BUF spki = { 0 };
	AUTO_BUF copy = { 0 };
	struct err e;

	(void)state;
	(void)create("device-id", &spki);
	read_key(&copy, "device-id");
	damage("device-id");
	assert_int_equal(store_create_pair(&k, st, "device-id", KEY_EC_P256, &e), E_FORMAT);
	assert_int_equal(file_write(path_of("keys", "device-id", ".key"), bytes_of_buf(&copy), 0600, &e), 0);
	assert_is("device-id", &spki);
	(void)create("device-id", NULL);
	assert_is("device-id", &spki);
}

static void
a_damaged_secret_is_not_made_anew_but_may_be_imported(void **state)
{
	struct store_key k = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(store_create_key(&k, st, "m", USAGE_ENCRYPT, &e), 0);
	store_key_clear(&k);
	assert_int_equal(file_write(path_of("keys", "m", ".key"), bytes_of(""), 0600, &e), 0);
	assert_int_equal(store_create_key(&k, st, "m", USAGE_ENCRYPT, &e), E_FORMAT);
	assert_int_equal(store_load(&k, st, CUSTODY_SECRET, "m", &e), E_FORMAT);
	assert_int_equal(store_import_key(&k, st, "m", bytes_of("known elsewhere"), USAGE_ENCRYPT, &e), 0);
	store_key_clear(&k);
}

static void
a_damaged_successor_is_replaced(void **state)
{
	AUTO_BUF spki = { 0 };
	AUTO_BUF next = { 0 };
	struct err e;

	(void)state;
	(void)create("device-id-temp", &spki);
	damage("device-id-temp");
	assert_int_equal(look("device-id-temp", NULL, NULL), E_FORMAT);
	(void)create("device-id-temp", &next);
	assert_false(bytes_equal(bytes_of_buf(&spki), bytes_of_buf(&next)));
	assert_int_equal(store_forget(st, "device-id-temp", &e), E_NOTFOUND); /* nothing piles up */
}

static void
a_damaged_record_costs_a_pair_nothing_and_a_secret_its_uses(void **state)
{
	struct store_key k = { 0 };
	AUTO_BUF spki = { 0 };
	uint64_t generation = 0, again = 0;
	struct err e;

	(void)state;
	(void)create("device-id", &spki);
	assert_int_equal(store_create_key(&k, st, "m", USAGE_ENCRYPT, &e), 0);
	store_key_clear(&k);
	assert_int_equal(file_write(path_of("records", "device-id", ".json"), bytes_of("{"), 0600, &e), 0);
	assert_int_equal(file_write(path_of("records", "m", ".json"), bytes_of("{}"), 0600, &e), 0);
	assert_int_equal(look("device-id", NULL, &generation), 0);
	assert_true(generation > 1); /* no handle that was given before is for it by chance */
	assert_int_equal(look("device-id", NULL, &again), 0);
	assert_int_equal(generation, again);
	assert_is("device-id", &spki);
	assert_int_equal(store_load(&k, st, CUSTODY_SECRET, "m", &e), 0);
	assert_int_equal(k.usage, 0);
	store_key_clear(&k);
}

static void
a_damaged_record_gives_no_rights_while_the_disk_is_full(void **state)
{
	struct rlimit before, none;
	struct store_key k = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(store_create_key(&k, st, "m", USAGE_ENCRYPT, &e), 0);
	store_key_clear(&k);
	assert_int_equal(file_write(path_of("records", "m", ".json"), bytes_of("{}"), 0600, &e), 0);
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = (struct rlimit){ 0, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(store_load(&k, st, CUSTODY_SECRET, "m", &e), E_IO);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(store_load(&k, st, CUSTODY_SECRET, "m", &e), 0);
	assert_int_equal(k.usage, 0);
	store_key_clear(&k);
}

/* --- preloaded keys, tokens --- */

static void
preloaded_keys_are_read_and_never_written(void **state)
{
	struct store_key k = { 0 };
	AUTO_BUF pem = { 0 };
	AUTO_BUF now = { 0 };
	AUTO_BUF spki = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(look("given", NULL, NULL), E_NOTFOUND);
	assert_int_equal(store_create_pair(&k, st, "given", KEY_EC_P256, &e), E_POLICY); /* not made there, nor elsewhere */
	(void)create("source", &spki);
	read_key(&pem, "source");
	assert_int_equal(file_write(preloaded[0].path, bytes_of_buf(&pem), 0400, &e), 0);
	assert_is("given", &spki);
	(void)create("given", NULL);
	assert_int_equal(delete("given", HANDLE_PAIR, 1), E_POLICY);
	assert_int_equal(store_move(st, "source", "given", &e), E_POLICY);
	assert_int_equal(store_move(st, "given", "source", &e), E_POLICY);
	assert_int_equal(store_import_key(&k, st, "given", bytes_of("x"), USAGE_ALL, &e), E_POLICY);
	assert_int_equal(store_switch(st, "given", "source", bytes_of_buf(&spki), &e), E_POLICY);
	assert_int_equal(store_prove(st, "given", &e), E_POLICY);
	assert_int_equal(store_rollback(st, "given", &e), E_POLICY);
	assert_int_equal(file_read(&now, preloaded[0].path, 65536, &e), 0);
	assert_true(bytes_equal(bytes_of_buf(&pem), bytes_of_buf(&now)));
	assert_int_equal(file_write(preloaded[0].path, bytes_of("-----BEGIN x"), 0400, &e), 0);
	assert_int_equal(store_create_pair(&k, st, "given", KEY_EC_P256, &e), E_FORMAT);
	assert_is("source", &spki);
}

static void
a_back_end_that_is_not_there_is_named(void **state)
{
	struct store_key k = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(store_load(&k, st, CUSTODY_PAIR, "tokens", &e), E_POLICY);
	assert_non_null(strstr(e.msg, "tokens"));
	assert_non_null(strstr(e.msg, "pkcs11"));
	settings.token = true; /* keys that belong into a token do not come to lie in files */
	assert_int_equal(store_create_pair(&k, st, "new", KEY_EC_P256, &e), E_POLICY);
	assert_int_equal(store_create_key(&k, st, "new", USAGE_ALL, &e), E_POLICY);
	assert_int_equal(store_import_key(&k, st, "new", bytes_of("x"), USAGE_ALL, &e), E_POLICY);
	assert_false(is_there("keys", "new"));
}

/* --- moving and removing --- */

static void
move_replaces_and_counts(void **state)
{
	AUTO_BUF old = { 0 };
	AUTO_BUF next = { 0 };
	AUTO_BUF got = { 0 };
	struct err e;

	(void)state;
	(void)create("id", &old);
	(void)create("id-temp", &next);
	assert_int_equal(store_move(st, "id", "id", &e), E_USAGE);
	assert_string_equal(e.msg, "source and destination for move are identical");
	assert_int_equal(store_move(st, "nothing", "id", &e), E_NOTFOUND);
	assert_is("id", &old);
	assert_int_equal(store_move(st, "id-temp", "id", &e), 0);
	assert_is("id", &next);
	assert_int_equal(look("id-temp", NULL, NULL), E_NOTFOUND);
	assert_int_equal(use("id", 2, &got), 0);
	assert_int_equal(use("id", 1, &got), E_POLICY);        /* nothing was kept */
	assert_int_equal(create("id-temp", NULL), 2);           /* not the one that a handle of before is for */
}

static void
delete_removes_every_generation_and_ends_its_handles(void **state)
{
	AUTO_BUF spki = { 0 };
	AUTO_BUF got = { 0 };
	struct err e;

	(void)state;
	(void)create("id", NULL);
	(void)create("id-temp", &spki);
	assert_int_equal(store_switch(st, "id", "id-temp", bytes_of_buf(&spki), &e), 0);
	assert_int_equal(delete("id", HANDLE_PAIR, 1), E_POLICY); /* by a handle of the previous one: no */
	assert_is("id", &spki);
	assert_int_equal(delete("id", HANDLE_PAIR, 2), 0);
	assert_int_equal(look("id", NULL, NULL), E_NOTFOUND);
	assert_false(is_there("previous", "id"));
	assert_int_equal(create("id", NULL), 3);
	assert_int_equal(use("id", 2, &got), E_POLICY);
}

/* --- the list --- */

static void
add_row(void *ctx, const char *id, json_t *row)
{
	json_t *all = ctx;

	(void)json_object_set(all, id != NULL ? id : json_str(row, "file", ""), row);
}

static const char *
state_in(const json_t *all, const char *id)
{
	return json_str(json_object_get(all, id), "state", "absent");
}

static void
the_list_tells_every_key_but_the_handle_key(void **state)
{
	AUTO_JSON all = json_object();
	struct store_key k = { 0 };
	char stem[STEM_MAX];
	struct err e;

	(void)state;
	(void)create("pair", NULL);
	(void)create("bad", NULL);
	damage("bad");
	(void)create("aside", NULL);
	damage("aside");
	assert_int_equal(store_create_pair(&k, st, "aside", KEY_EC_P256, &e), E_FORMAT);
	assert_int_equal(store_create_key(&k, st, "sym", USAGE_ALL, &e), 0);
	store_key_clear(&k);
	assert_int_equal(store_each(st, NULL, add_row, all, &e), 0);
	assert_string_equal(state_in(all, "pair"), "ok");
	assert_string_equal(json_str(json_object_get(all, "pair"), "kind", ""), "ec-p256");
	assert_string_equal(json_str(json_object_get(all, "sym"), "kind", ""), "symmetric");
	assert_string_equal(state_in(all, "bad"), "damaged");
	assert_string_equal(state_in(all, "aside"), "quarantined");
	assert_string_equal(state_in(all, "given"), "missing");
	assert_string_equal(state_in(all, "tokens"), "no back end");
	assert_int_equal(stem_name(stem, KEYD_HANDLE_KEY_ID, ".key", &e), 0);
	assert_string_equal(state_in(all, stem), "absent");
	assert_int_equal(json_object_size(all), 6);
}

static bool
is_pair(void *ctx, const char *id)
{
	(void)ctx;
	return id != NULL && strcmp(id, "pair") == 0;
}

/* A list must not cost a stranger's wish as many private operations as there are keys. */
static void
the_list_looks_at_what_is_wanted_alone(void **state)
{
	AUTO_JSON all = json_object();
	struct stat before, after;
	struct err e;

	(void)state;
	(void)create("pair", NULL);
	(void)create("other", NULL);
	/* A key that is looked at is closed to others. */
	assert_int_equal(chmod(path_of("keys", "other", ".key"), 0644), 0);
	assert_int_equal(stat(path_of("keys", "other", ".key"), &before), 0);
	assert_int_equal(store_each(st, is_pair, add_row, all, &e), 0);
	assert_int_equal(stat(path_of("keys", "other", ".key"), &after), 0);
	assert_int_equal(json_object_size(all), 1);
	assert_string_equal(state_in(all, "pair"), "ok");
	assert_int_equal(after.st_mode, before.st_mode);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(create_keeps_what_exists),
		T(keys_that_were_restored_under_the_running_service_are_kept),
		T(files_are_where_the_original_has_them),
		T(pair_and_secret_of_one_id_exclude_each_other),
		T(usage_is_what_was_asked_first_and_an_import_replaces_it),
		T(an_import_that_is_refused_changes_no_usage),
		T(the_number_of_a_damaged_key_is_not_given_again),
		T(keys_of_an_earlier_service_are_taken_over),
		T(the_handle_key_is_out_of_reach),
		T(the_handle_key_outlives_restarts_and_a_torn_one_is_made_anew),
		T(a_damaged_identity_is_set_aside_and_never_made_anew),
		T(a_good_copy_put_back_ends_the_quarantine),
		T(a_damaged_secret_is_not_made_anew_but_may_be_imported),
		T(a_damaged_successor_is_replaced),
		T(a_damaged_record_costs_a_pair_nothing_and_a_secret_its_uses),
		T(a_damaged_record_gives_no_rights_while_the_disk_is_full),
		T(preloaded_keys_are_read_and_never_written),
		T(a_back_end_that_is_not_there_is_named),
		T(move_replaces_and_counts),
		T(delete_removes_every_generation_and_ends_its_handles),
		T(the_list_tells_every_key_but_the_handle_key),
		T(the_list_looks_at_what_is_wanted_alone),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
