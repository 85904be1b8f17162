/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/test_store.c - keys by ID: what exists is kept, what is damaged is never replaced, and generations survive crashes */
#include "tests/unit/device/service/scratch.h"

#include "core/base/mem.h"
#include "device/keyd/store.h"
#include "device/service/slog.h"

static struct keyd_preloaded preloaded[2]; /* "given", "tokens" */
static struct keyd_settings settings;
static struct store *st;

static void
open_store(void)
{
	struct err e;

	if (store_new(&st, &settings, &e) != 0)
		fail_msg("%s", e.msg);
}

/* As after a crash: everything anew from the files. */
static void
reopen(void)
{
	store_free(st);
	st = NULL;
	open_store();
}

static int
begin(void **state)
{
	static char home[128], given[128], scheme[] = "pkcs11", ids[][8] = { "given", "tokens" };

	(void)state;
	slog_filter("off");
	scratch_make();
	(void)snprintf(home, sizeof(home), "%s/home", scratch);
	(void)snprintf(given, sizeof(given), "%s/given.pem", scratch);
	preloaded[0] = (struct keyd_preloaded){ .id = ids[0], .path = given };
	preloaded[1] = (struct keyd_preloaded){ .id = ids[1], .scheme = scheme };
	settings = (struct keyd_settings){ .home = home, .bind = true, .preloaded = preloaded,
	    .n_preloaded = N_OF(preloaded) };
	open_store();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	store_free(st);
	st = NULL;
	scratch_remove();
	return 0;
}

/* --- files behind IDs --- */

static const char *
path_of(const char *dir, const char *id, const char *ext)
{
	static char path[512];
	char name[STEM_MAX];
	struct err e;

	assert_int_equal(stem_name(name, id, ext, &e), 0);
	(void)snprintf(path, sizeof(path), "%s/%s/%s", settings.home, dir, name);
	return path;
}

static bool
is_there(const char *dir, const char *id)
{
	return access(path_of(dir, id, ".key"), F_OK) == 0;
}

static void
read_key(struct buf *out, const char *id)
{
	struct err e;

	buf_reset(out);
	assert_int_equal(file_read(out, path_of("keys", id, ".key"), 65536, &e), 0);
}

static void
damage(const char *id)
{
	assert_int_equal(file_write(path_of("keys", id, ".key"), bytes_of("-----BEGIN PRIVATE KEY-----\nMI"), 0600,
	    NULL), 0);
}

/* --- what is done most --- */

static uint64_t
create(const char *id, struct buf *spki)
{
	struct store_key k = { 0 };
	struct err e;

	if (store_create_pair(&k, st, id, KEY_EC_P256, &e) != 0)
		fail_msg("%s", e.msg);
	if (spki != NULL) {
		buf_reset(spki);
		buf_put_bytes(spki, custody_key_spki(k.key));
	}
	store_key_clear(&k);
	return k.generation;
}

/* The pair that an ID gives now; E_... otherwise. */
static int
look(const char *id, struct buf *spki, uint64_t *generation)
{
	struct store_key k = { 0 };
	struct err e;
	int r = store_load(&k, st, CUSTODY_PAIR, id, &e);

	if (r != 0)
		return r;
	if (spki != NULL) {
		buf_reset(spki);
		buf_put_bytes(spki, custody_key_spki(k.key));
	}
	if (generation != NULL)
		*generation = k.generation;
	store_key_clear(&k);
	return 0;
}

static void
assert_is(const char *id, const struct buf *spki)
{
	AUTO_BUF now = { 0 };

	assert_int_equal(look(id, &now, NULL), 0);
	assert_true(bytes_equal(bytes_of_buf(&now), bytes_of_buf(spki)));
}

/* What a handle of that generation gives; E_... otherwise. */
static int
use(const char *id, uint64_t generation, struct buf *spki)
{
	struct handle h = { .kind = HANDLE_PAIR, .bound = true, .generation = generation };
	struct store_key k = { 0 };
	struct err e;
	int r;

	memcpy(h.id, id, strlen(id) + 1);
	if ((r = store_use(&k, st, &h, &e)) != 0)
		return r;
	buf_reset(spki);
	buf_put_bytes(spki, custody_key_spki(k.key));
	store_key_clear(&k);
	return 0;
}

static int
delete(const char *id, enum handle_kind kind, uint64_t generation)
{
	struct handle h = { .kind = kind, .bound = generation != 0, .generation = generation };
	struct err e;

	memcpy(h.id, id, strlen(id) + 1);
	return store_delete(st, &h, &e);
}

static struct store_state
state_of(const char *id)
{
	struct store_state s = { 0 };
	struct err e;

	assert_int_equal(store_state(&s, st, id, &e), 0);
	return s;
}

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

/* --- generations --- */

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
		T(preloaded_keys_are_read_and_never_written),
		T(a_back_end_that_is_not_there_is_named),
		T(move_replaces_and_counts),
		T(delete_removes_every_generation_and_ends_its_handles),
		T(switch_keeps_the_old_key_until_the_new_one_is_proved),
		T(rollback_brings_the_old_key_back),
		T(switch_takes_only_the_key_that_was_named),
		T(the_first_key_of_an_id_may_come_by_switch),
		T(a_switch_that_a_crash_cut_off_is_ended_by_a_second_try),
		T(a_damaged_new_key_falls_back_and_rolls_back),
		T(a_key_that_vanished_falls_back_too),
		T(a_switch_over_a_damaged_key_keeps_the_whole_one_before_it),
		T(the_list_tells_every_key_but_the_handle_key),
		T(the_list_looks_at_what_is_wanted_alone),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
