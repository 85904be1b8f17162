/* SPDX-License-Identifier: Apache-2.0 */
/* test_est_keep.c - a pair on disk stays a pair, whenever the machine stops */
#include "cli/est_keep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "tests/unit/core/est/mint.h"

static char dir[64];

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/keep.XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "c.pem", "c.pem.key", "c.pem.key.new", "k.pem",
		"k.pem.new", "c.pem.new" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < N_OF(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	return rmdir(dir);
}

static struct est_keep
keep(const char *cert, const char *key)
{
	struct est_keep k;
	char a[128], b[128];

	(void)snprintf(a, sizeof(a), "%s/%s", dir, cert);
	(void)snprintf(b, sizeof(b), "%s/%s", dir, key != NULL ? key : "");
	mint_must(est_keep_init(&k, a, key != NULL ? b : NULL, NULL));
	return k;
}

/* The file's key, or NULL. */
static struct key *
key_of(const char *path)
{
	AUTO_BUF pem = { 0 };
	struct key *k = NULL;

	if (file_read(&pem, path, 65536, NULL) != 0 ||
	    key_from_pem(&k, bytes_of_buf(&pem), NULL) != 0)
		return NULL;
	return k;
}

static void
expect_pair(const struct est_keep *k, const struct minted *m)
{
	AUTO(key) got = key_of(k->key);
	AUTO_BUF pem = { 0 };
	AUTO_BUF der = { 0 };
	struct stat st;

	assert_non_null(got);
	assert_true(bytes_equal(key_spki(got), key_spki(m->key)));
	mint_must(file_read(&pem, k->cert, 65536, NULL));
	mint_must(pem_decode(&der, bytes_of_buf(&pem), "CERTIFICATE", NULL));
	assert_true(bytes_equal(bytes_of_buf(&der), mint_der(m)));
	assert_int_not_equal(access(k->key_new, F_OK), 0);
	assert_int_equal(stat(k->key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
finish(const struct est_keep *k, const struct minted *m)
{
	AUTO_BUF pem = { 0 };

	mint_pem(&pem, m, NULL);
	assert_int_equal(est_keep_finish(k, bytes_of_buf(&pem), m->key, NULL, NULL), 0);
}

static void
a_new_key_is_on_disk_at_once_and_used_again(void **state)
{
	struct est_keep k = keep("c.pem", NULL);
	AUTO(key) first = NULL;
	AUTO(key) again = NULL;
	AUTO(key) other = NULL;
	AUTO(key) there = NULL;
	struct stat st;
	bool reused;

	(void)state;
	assert_int_equal(est_keep_new_key(&first, &reused, &k, KEY_EC_P256, NULL), 0);
	assert_false(reused);
	assert_int_equal(stat(k.key_new, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(est_keep_new_key(&again, &reused, &k, KEY_EC_P256, NULL), 0);
	assert_true(reused);
	assert_true(bytes_equal(key_spki(first), key_spki(again)));
	assert_int_equal(est_keep_new_key(&other, &reused, &k, KEY_ED25519, NULL), 0);
	assert_false(reused);
	there = key_of(k.key_new);
	assert_true(bytes_equal(key_spki(there), key_spki(other)));
	assert_int_not_equal(access(k.key, F_OK), 0);
	assert_int_equal(unlink(k.key_new), 0);
}

static void
a_pair_is_put_in_two_files_or_in_one(void **state)
{
	struct minted m = mint(&(struct mint){ .cn = "a" });
	struct est_keep two = keep("c.pem", NULL), one = keep("c.pem", "./c.pem");

	(void)state;
	finish(&two, &m);
	expect_pair(&two, &m);
	finish(&one, &m);
	expect_pair(&one, &m);
	mint_free(&m);
}

static void
a_certificate_alone_leaves_the_key_in_its_place(void **state)
{
	struct minted m = mint(&(struct mint){ .cn = "a" });
	struct minted next = mint(&(struct mint){ .cn = "b", .key = m.key });
	const char *names[] = { "k.pem", "c.pem" };
	AUTO_BUF pem = { 0 };

	(void)state;
	mint_pem(&pem, &next, NULL);
	for (size_t i = 0; i < N_OF(names); i++) {
		struct est_keep k = keep("c.pem", names[i]);
		struct minted want = { m.key, next.der };

		finish(&k, &m);
		assert_int_equal(est_keep_finish(&k, bytes_of_buf(&pem), NULL, NULL, NULL), 0);
		expect_pair(&k, &want);
	}
	mint_free(&next);
	mint_free(&m);
}

static void
a_run_that_ended_between_certificate_and_key_is_finished(void **state)
{
	struct minted old = mint(&(struct mint){ .cn = "a" }), next = { 0 };
	struct est_keep k = keep("c.pem", "k.pem");
	AUTO_BUF pem = { 0 };
	bool flag;

	(void)state;
	finish(&k, &old);
	assert_int_equal(est_keep_new_key(&next.key, &flag, &k, KEY_EC_P256, NULL), 0);
	/* Not answered yet: nothing to finish, the old pair is whole. */
	assert_int_equal(est_keep_recover(&k, &flag, NULL), 0);
	assert_false(flag);
	/* Answered, certificate written, then the machine stopped. */
	next.der = mint(&(struct mint){ .cn = "b", .key = next.key }).der;
	mint_pem(&pem, &next, NULL);
	mint_must(file_write(k.cert, bytes_of_buf(&pem), 0644, NULL));
	assert_int_equal(est_keep_recover(&k, &flag, NULL), 0);
	assert_true(flag);
	expect_pair(&k, &next);
	assert_int_equal(est_keep_recover(&k, &flag, NULL), 0);
	assert_false(flag);
	mint_free(&next);
	mint_free(&old);
}

static void
a_run_that_ended_after_the_one_file_is_finished(void **state)
{
	struct minted m = { 0 };
	struct est_keep k = keep("c.pem", "c.pem");
	AUTO_BUF both = { 0 };
	bool flag;

	(void)state;
	assert_int_equal(est_keep_new_key(&m.key, &flag, &k, KEY_EC_P256, NULL), 0);
	m.der = mint(&(struct mint){ .cn = "b", .key = m.key }).der;
	assert_int_equal(key_to_pem(&both, m.key, NULL), 0);
	mint_pem(&both, &m, NULL);
	mint_must(file_write(k.cert, bytes_of_buf(&both), 0600, NULL));
	assert_int_equal(est_keep_recover(&k, &flag, NULL), 0);
	assert_true(flag);
	expect_pair(&k, &m);
	mint_free(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_new_key_is_on_disk_at_once_and_used_again, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_pair_is_put_in_two_files_or_in_one, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_certificate_alone_leaves_the_key_in_its_place, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_run_that_ended_between_certificate_and_key_is_finished, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_run_that_ended_after_the_one_file_is_finished, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
