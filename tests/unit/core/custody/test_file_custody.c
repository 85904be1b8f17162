/* SPDX-License-Identifier: Apache-2.0 */
/* custody/test_file_custody.c - keys in files: whole, closed to others, never outside their directory */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <ftw.h>
#include <unistd.h>
#include <cmocka.h>

#include <openssl/pem.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/custody/file_custody.h"
#include "core/custody/soft_key.h"

#define NAME "a-1.key"

static char top[64], home[80];
static struct custody *c;

static int
begin(void **state)
{
	struct err e;

	(void)state;
	(void)snprintf(top, sizeof(top), "/tmp/custody-XXXXXX");
	if (mkdtemp(top) == NULL)
		return -1;
	(void)snprintf(home, sizeof(home), "%s/home", top);
	return file_custody_new(&c, home, &e);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static int
end(void **state)
{
	(void)state;
	custody_free(c);
	c = NULL;
	return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *
path_of(const char *dir, const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s/%s", home, dir, name);
	return path;
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void
put(const char *dir, const char *name, struct bytes b, mode_t mode)
{
	assert_int_equal(file_write(path_of(dir, name), b, mode, NULL), 0);
}

static int
load(enum custody_kind kind)
{
	AUTO(custody_key) k = NULL;
	struct err e;

	return c->ops->load(&k, c, CUSTODY_CURRENT, NAME, kind, &e);
}

static void
a_made_pair_is_pkcs8_that_only_we_read(void **state)
{
	AUTO(custody_key) k = NULL;
	AUTO_BUF text = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(c->ops->create_pair(c, NAME, KEY_EC_P384, &e), 0);
	assert_int_equal(c->ops->load(&k, c, CUSTODY_CURRENT, NAME, CUSTODY_PAIR, &e), 0);
	assert_int_equal(custody_key_type(k), KEY_EC_P384);
	assert_int_equal(file_read(&text, path_of("keys", NAME), 4096, &e), 0);
	assert_int_equal(strncmp(buf_str(&text), "-----BEGIN PRIVATE KEY-----\n", 28), 0);
	assert_int_equal(mode_of(path_of("keys", NAME)), 0600);
	assert_int_equal(mode_of(path_of("keys", "")), 0700);
	assert_int_equal(mode_of(home), 0700);
}

static void
a_made_secret_is_32_raw_octets(void **state)
{
	AUTO(custody_key) k = NULL;
	AUTO_BUF text = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(c->ops->create_secret(c, NAME, &e), 0);
	assert_int_equal(c->ops->load(&k, c, CUSTODY_CURRENT, NAME, CUSTODY_SECRET, &e), 0);
	assert_int_equal(file_read(&text, path_of("keys", NAME), 4096, &e), 0);
	assert_int_equal(text.n, 32);
	assert_true(bytes_equal(soft_key_secret(k), bytes_of_buf(&text)));
}

static void
a_key_that_others_could_read_is_closed_when_it_is_used(void **state)
{
	(void)state;
	put("keys", NAME, bytes_of("0123456789abcdef0123456789abcdef"), 0644);
	assert_int_equal(load(CUSTODY_SECRET), 0);
	assert_int_equal(mode_of(path_of("keys", NAME)), 0600);
}

/* Every prefix, and every octet of the base64 and its frame flipped: never another key. */
static void
a_pair_cut_or_flipped_anywhere_is_damaged_or_itself(void **state)
{
	AUTO(custody_key) k = NULL;
	AUTO_BUF text = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(c->ops->create_pair(c, NAME, KEY_EC_P256, &e), 0);
	assert_int_equal(c->ops->load(&k, c, CUSTODY_CURRENT, NAME, CUSTODY_PAIR, &e), 0);
	assert_int_equal(file_read(&text, path_of("keys", NAME), 4096, &e), 0);
	for (size_t n = 0; n + 1 < text.n; n++) {
		struct custody_key *got = NULL;

		put("keys", NAME, (struct bytes){ text.p, n }, 0600);
		if (c->ops->load(&got, c, CUSTODY_CURRENT, NAME, CUSTODY_PAIR, &e) == 0)
			assert_true(bytes_equal(custody_key_spki(got), custody_key_spki(k)));
		else
			assert_true(e.code == E_FORMAT);
		custody_key_free(got);
	}
	for (size_t i = 0; i < text.n; i++) {
		struct custody_key *got = NULL;

		text.p[i] ^= 0x04;
		put("keys", NAME, bytes_of_buf(&text), 0600);
		text.p[i] ^= 0x04;
		if (c->ops->load(&got, c, CUSTODY_CURRENT, NAME, CUSTODY_PAIR, &e) == 0)
			assert_true(bytes_equal(custody_key_spki(got), custody_key_spki(k)));
		else
			assert_true(e.code == E_FORMAT);
		custody_key_free(got);
	}
}

static void
a_pair_whose_halves_do_not_fit_is_damaged(void **state)
{
	AUTO(key) a = NULL;
	AUTO(key) b = NULL;
	AUTO_BUF pem_a = { 0 };
	AUTO_BUF pem_b = { 0 };
	AUTO_BUF mixed = { 0 };
	struct err e;

	/* PKCS#8 of P-256 ends with the public point: the end of one file after the beginning of another. */
	(void)state;
	assert_int_equal(key_generate(&a, KEY_EC_P256, &e), 0);
	assert_int_equal(key_generate(&b, KEY_EC_P256, &e), 0);
	assert_int_equal(key_to_pem(&pem_a, a, NULL), 0);
	assert_int_equal(key_to_pem(&pem_b, b, NULL), 0);
	assert_int_equal(pem_a.n, pem_b.n);
	buf_put_bytes(&mixed, bytes_slice(bytes_of_buf(&pem_a), 0, 28 + 65 + 33)); /* through the private octets */
	buf_put_bytes(&mixed, bytes_slice(bytes_of_buf(&pem_b), mixed.n, pem_b.n));
	put("keys", NAME, bytes_of_buf(&mixed), 0600);
	assert_int_equal(load(CUSTODY_PAIR), E_FORMAT);
}

static void
empty_and_zero_files_are_damaged_as_any_kind(void **state)
{
	static const uint8_t zeros[4096];

	(void)state;
	put("keys", NAME, bytes_of(""), 0600);
	assert_int_equal(load(CUSTODY_PAIR), E_FORMAT);
	assert_int_equal(load(CUSTODY_SECRET), E_FORMAT);
	put("keys", NAME, (struct bytes){ zeros, 32 }, 0600);
	assert_int_equal(load(CUSTODY_PAIR), E_FORMAT);
	assert_int_equal(load(CUSTODY_SECRET), E_FORMAT);
	put("keys", NAME, (struct bytes){ zeros, sizeof(zeros) }, 0600);
	assert_int_equal(load(CUSTODY_PAIR), E_FORMAT);
}

static void
one_kind_is_not_taken_for_the_other(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(load(CUSTODY_PAIR), E_NOTFOUND);
	assert_int_equal(c->ops->create_pair(c, NAME, KEY_ED25519, &e), 0);
	assert_int_equal(load(CUSTODY_SECRET), E_USAGE);
	put("keys", NAME, bytes_of("0123456789abcdef0123456789abcdef"), 0600);
	assert_int_equal(load(CUSTODY_PAIR), E_USAGE);
}

static void
planted_links_and_other_files_are_no_keys(void **state)
{
	char outside[128];
	struct stat st;
	struct err e;

	(void)state;
	(void)snprintf(outside, sizeof(outside), "%s/outside", top);
	assert_int_equal(file_write(outside, bytes_of("0123456789abcdef0123456789abcdef"), 0644, &e), 0);
	assert_int_equal(symlink(outside, path_of("keys", NAME)), 0);
	assert_int_equal(load(CUSTODY_SECRET), E_FORMAT);
	/* A write replaces the link, and never what it points to. */
	assert_int_equal(c->ops->create_secret(c, NAME, &e), 0);
	assert_int_equal(lstat(path_of("keys", NAME), &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(stat(outside, &st), 0);
	assert_int_equal(st.st_size, 32);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(unlink(path_of("keys", NAME)), 0);
	assert_int_equal(mkfifo(path_of("keys", NAME), 0600), 0);
	assert_int_equal(load(CUSTODY_SECRET), E_FORMAT);
}

static void
a_link_in_place_of_the_directory_is_refused(void **state)
{
	struct custody *again = NULL;
	char link[128];
	struct err e;

	(void)state;
	assert_int_equal(rmdir(path_of("keys", "")), 0);
	(void)snprintf(link, sizeof(link), "%s/keys", home);
	assert_int_equal(symlink(top, link), 0);
	assert_int_equal(file_custody_new(&again, home, &e), E_POLICY);
	assert_null(again);
}

static void
a_home_that_others_may_write_is_closed_or_refused(void **state)
{
	struct custody *other;
	struct err e;

	(void)state;
	assert_int_equal(chmod(home, 0777), 0);
	assert_int_equal(file_custody_home(home, &e), 0);
	assert_int_equal(mode_of(home), 0755);
	if (geteuid() != 0)
		return;
	assert_int_equal(chown(home, 12345, 0), 0);
	assert_int_equal(file_custody_home(home, &e), E_POLICY);
	assert_int_equal(file_custody_new(&other, home, &e), E_POLICY);
	assert_int_equal(chown(home, 0, 0), 0);
}

static void
text_before_a_pem_makes_it_no_secret(void **state)
{
	AUTO_BUF text = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(c->ops->create_pair(c, NAME, KEY_EC_P256, &e), 0);
	buf_put_str(&text, "Bag Attributes\n");
	assert_int_equal(file_read(&text, path_of("keys", NAME), 65536, &e), 0);
	put("keys", NAME, bytes_of_buf(&text), 0600);
	assert_int_equal(load(CUSTODY_PAIR), 0);
	assert_int_equal(load(CUSTODY_SECRET), E_USAGE);
}

static void
names_cannot_leave_the_directory(void **state)
{
	static const char *const names[] = { "", ".", "..", "../x", "a/b", "/etc/passwd", ".hidden", "a b", "a\nb",
	    "a\\b", "\xc3\xa9" };
	char longer[300];
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(names); i++) {
		AUTO(custody_key) k = NULL;

		assert_int_equal(c->ops->load(&k, c, CUSTODY_CURRENT, names[i], CUSTODY_PAIR, &e), E_FORMAT);
		assert_int_equal(c->ops->create_secret(c, names[i], &e), E_FORMAT);
		assert_int_equal(c->ops->remove(c, CUSTODY_CURRENT, names[i], &e), E_FORMAT);
		assert_int_equal(c->ops->move(c, NAME, names[i], &e), E_FORMAT);
		assert_int_equal(c->ops->keep(c, names[i], &e), E_FORMAT);
		assert_int_equal(c->ops->restore(c, names[i], &e), E_FORMAT);
	}
	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	assert_int_equal(c->ops->create_secret(c, longer, &e), E_TOOBIG);
}

static void
keep_and_restore_bring_the_same_key_back(void **state)
{
	AUTO(custody_key) before = NULL;
	AUTO(custody_key) after = NULL;
	struct err e;

	(void)state;
	assert_int_equal(c->ops->create_pair(c, NAME, KEY_EC_P256, &e), 0);
	assert_int_equal(c->ops->load(&before, c, CUSTODY_CURRENT, NAME, CUSTODY_PAIR, &e), 0);
	assert_int_equal(c->ops->keep(c, NAME, &e), 0);
	assert_int_equal(mode_of(path_of("previous", NAME)), 0600);
	assert_int_equal(load(CUSTODY_PAIR), 0); /* it is never without */
	assert_int_equal(c->ops->create_pair(c, NAME, KEY_EC_P256, &e), 0);
	assert_int_equal(c->ops->restore(c, NAME, &e), 0);
	assert_int_equal(c->ops->load(&after, c, CUSTODY_CURRENT, NAME, CUSTODY_PAIR, &e), 0);
	assert_true(bytes_equal(custody_key_spki(before), custody_key_spki(after)));
	assert_int_equal(c->ops->restore(c, NAME, &e), E_NOTFOUND);
}

static void
what_is_set_aside_is_kept_told_and_given_up_on_demand(void **state)
{
	char first[256], second[256], where[256] = "";
	struct custody_entry list[8];
	size_t n = 0;
	struct err e;

	(void)state;
	assert_int_equal(c->ops->quarantined(c, NAME, where, sizeof(where), &e), E_NOTFOUND);
	assert_int_equal(c->ops->quarantine(c, NAME, 1700000000, where, sizeof(where), &e), E_NOTFOUND);
	assert_string_equal(where, "");
	put("keys", NAME, bytes_of("-----BEGIN nothing"), 0600);
	assert_int_equal(c->ops->quarantine(c, NAME, 1700000000, first, sizeof(first), &e), 0);
	put("keys", NAME, bytes_of("-----BEGIN nothing either"), 0600);
	assert_int_equal(c->ops->quarantine(c, NAME, 1700000000, second, sizeof(second), &e), 0);
	assert_string_not_equal(first, second); /* the first is not overwritten */
	assert_int_equal(access(first, F_OK), 0);
	assert_int_equal(access(second, F_OK), 0);
	assert_int_equal(c->ops->quarantined(c, NAME, where, sizeof(where), &e), 0);
	assert_int_equal(c->ops->quarantined(c, "a-1.ke", where, sizeof(where), &e), E_NOTFOUND);
	assert_int_equal(c->ops->list(c, list, N_OF(list), &n, &e), 0);
	assert_int_equal(n, 2);
	assert_true(list[0].quarantined && list[1].quarantined);
	assert_string_equal(list[0].name, NAME);
	assert_int_equal(c->ops->forget(c, NAME, &e), 0);
	assert_int_equal(c->ops->forget(c, NAME, &e), E_NOTFOUND);
	assert_int_not_equal(access(first, F_OK), 0);
}

static void
half_written_files_of_a_crash_are_swept(void **state)
{
	struct custody *again = NULL;
	struct err e;

	(void)state;
	put("keys", NAME ".0123456789abcdef.tmp", bytes_of("half a key"), 0600);
	put("previous", NAME ".0123456789abcdef.tmp", bytes_of("half a key"), 0600);
	put("keys", "notes.tmp", bytes_of("somebody's"), 0600);
	assert_int_equal(file_custody_new(&again, home, &e), 0);
	custody_free(again);
	assert_int_not_equal(access(path_of("keys", NAME ".0123456789abcdef.tmp"), F_OK), 0);
	assert_int_not_equal(access(path_of("previous", NAME ".0123456789abcdef.tmp"), F_OK), 0);
	assert_int_equal(access(path_of("keys", "notes.tmp"), F_OK), 0);
}

static void
secrets_that_could_be_mistaken_later_are_not_imported(void **state)
{
	static const uint8_t zeros[32];
	AUTO_BUF big = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(c->ops->import_secret(c, NAME, bytes_of(""), &e), E_USAGE);
	assert_int_equal(c->ops->import_secret(c, NAME, (struct bytes){ zeros, sizeof(zeros) }, &e), E_USAGE);
	assert_int_equal(c->ops->import_secret(c, NAME, bytes_of("-----BEGIN PRIVATE KEY-----"), &e), E_USAGE);
	while (big.n <= CUSTODY_SECRET_MAX)
		buf_put_str(&big, "0123456789abcdef");
	assert_int_equal(c->ops->import_secret(c, NAME, bytes_of_buf(&big), &e), E_USAGE);
	assert_int_equal(load(CUSTODY_SECRET), E_NOTFOUND);
	assert_int_equal(c->ops->import_secret(c, NAME, bytes_of("k"), &e), 0);
	assert_int_equal(load(CUSTODY_SECRET), 0);
}

/* SEC 1's own form, "EC PRIVATE KEY". */
static void
put_traditional(struct buf *out, const struct key *k)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p = NULL;
	long n;

	assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, key_evp(k), NULL, NULL, 0, NULL, NULL), 1);
	n = BIO_get_mem_data(bio, &p);
	buf_put(out, p, (size_t)n);
	assert_non_null(strstr(buf_str(out), "EC PRIVATE KEY"));
	BIO_free(bio);
}

static void
a_preloaded_file_may_be_a_traditional_pem_behind_a_link(void **state)
{
	AUTO(key) made = NULL;
	AUTO(custody_key) k = NULL;
	AUTO_BUF pem = { 0 };
	char target[128], linked[128];
	struct err e;

	(void)state;
	(void)snprintf(target, sizeof(target), "%s/preloaded", top);
	(void)snprintf(linked, sizeof(linked), "%s/link", top);
	assert_int_equal(key_generate(&made, KEY_EC_P256, &e), 0);
	assert_int_equal(key_to_pem(&pem, made, NULL), 0);
	assert_int_equal(file_write(target, bytes_of_buf(&pem), 0444, &e), 0);
	assert_int_equal(symlink(target, linked), 0);
	assert_int_equal(file_custody_load(&k, linked, CUSTODY_PAIR, &e), 0);
	assert_true(bytes_equal(custody_key_spki(k), key_spki(made)));
	assert_int_equal(mode_of(target), 0444); /* read-only in every respect */
	custody_key_free(TAKE(k));
	buf_reset(&pem);
	put_traditional(&pem, made);
	assert_int_equal(file_write(target, bytes_of_buf(&pem), 0444, &e), 0);
	assert_int_equal(file_custody_load(&k, linked, CUSTODY_PAIR, &e), 0);
	assert_true(bytes_equal(custody_key_spki(k), key_spki(made)));
	custody_key_free(TAKE(k));
	assert_int_equal(unlink(target), 0);
	assert_int_equal(file_custody_load(&k, linked, CUSTODY_PAIR, &e), E_NOTFOUND);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(a_made_pair_is_pkcs8_that_only_we_read),
		T(a_made_secret_is_32_raw_octets),
		T(a_key_that_others_could_read_is_closed_when_it_is_used),
		T(a_pair_cut_or_flipped_anywhere_is_damaged_or_itself),
		T(a_pair_whose_halves_do_not_fit_is_damaged),
		T(empty_and_zero_files_are_damaged_as_any_kind),
		T(one_kind_is_not_taken_for_the_other),
		T(planted_links_and_other_files_are_no_keys),
		T(a_link_in_place_of_the_directory_is_refused),
		T(a_home_that_others_may_write_is_closed_or_refused),
		T(text_before_a_pem_makes_it_no_secret),
		T(names_cannot_leave_the_directory),
		T(keep_and_restore_bring_the_same_key_back),
		T(what_is_set_aside_is_kept_told_and_given_up_on_demand),
		T(half_written_files_of_a_crash_are_swept),
		T(secrets_that_could_be_mistaken_later_are_not_imported),
		T(a_preloaded_file_may_be_a_traditional_pem_behind_a_link),
	};

	return cmocka_run_group_tests_name("file_custody", tests, NULL, NULL);
}
