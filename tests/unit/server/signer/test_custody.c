/* SPDX-License-Identifier: Apache-2.0 */
/* signer/test_custody.c - keys are made once, kept whole, and refused when their files do not agree */
#include "server/signer/custody.h"

#include "dir.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>

/* Which call from now on fails with EIO; 0: none. */
static int bad_fsync, bad_readdir;

static void *
real(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);

	assert_non_null(f);
	return f;
}

/* In the place of libc's. */
int
fsync(int fd)
{
	int (*libc)(int);

	if (bad_fsync > 0 && --bad_fsync == 0) {
		errno = EIO;
		return -1;
	}
	*(void **)&libc = real("fsync");
	return libc(fd);
}

struct dirent *
readdir(DIR *d)
{
	struct dirent *(*libc)(DIR *);

	if (bad_readdir > 0 && --bad_readdir == 0) {
		errno = EIO;
		return NULL;
	}
	*(void **)&libc = real("readdir");
	return libc(d);
}

static struct custody *
open_dir(void)
{
	struct custody *c = NULL;
	struct err e = { 0 };

	if (custody_open(&c, dir, &e) != 0)
		fail_msg("%s", e.msg);
	return c;
}

/* Make "issuing" and give the directory back. */
static void
make_key(void)
{
	AUTO(custody) c = open_dir();
	struct proto_keygen want = keygen("issuing");
	struct custody_key *k = NULL;

	assert_int_equal(custody_make(&k, c, &want, NULL), 0);
}

static void
put_file(const char *name, const char *text)
{
	assert_int_equal(file_write(in_dir(name), bytes_of(text), 0600, NULL), 0);
}

/* The only key is broken, and why. */
static void
expect_broken(const char *why)
{
	AUTO(custody) c = open_dir();
	struct custody_key *k = NULL;
	struct err e = { 0 };

	assert_int_equal(custody_count(c), 1);
	assert_null(custody_at(c, 0)->key);
	assert_int_equal(custody_find(&k, c, "issuing", &e), E_UNAVAIL);
	assert_null(k);
	if (strstr(e.msg, why) == NULL)
		fail_msg("expected '%s', got '%s'", why, e.msg);
}

static void
a_key_that_was_made_is_there_after_a_restart(void **state)
{
	AUTO(custody) c = open_dir();
	AUTO_BUF spki = { 0 };
	struct proto_keygen want = keygen("root");
	struct custody_key *k = NULL;

	(void)state;
	want.may_sign_ca = 1;
	want.max_pathlen = 1;
	want.type = KEY_EC_P384;
	assert_int_equal(custody_make(&k, c, &want, NULL), 0);
	assert_string_equal(k->id, "root");
	buf_put_bytes(&spki, key_spki(k->key));
	custody_free(TAKE(c));
	c = open_dir();
	assert_int_equal(custody_find(&k, c, "root", NULL), 0);
	assert_true(bytes_equal(key_spki(k->key), bytes_of_buf(&spki)));
	assert_int_equal(k->limits.type, KEY_EC_P384);
	assert_true(k->limits.may_sign_ca);
	assert_int_equal(k->limits.max_pathlen, 1);
	assert_true(k->limits.max_lifetime_s == 30 * DAYS);
	assert_int_equal(k->limits.max_per_s, 2);
	assert_true(k->crl_number == 0);
}

static void
the_files_of_a_key_are_its_owner_s_alone(void **state)
{
	static const char *const names[] = { "issuing.pem", "issuing.limits" };
	struct stat st;

	(void)state;
	make_key();
	for (size_t i = 0; i < N_OF(names); i++) {
		assert_int_equal(stat(in_dir(names[i]), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
}

static void
an_id_that_is_there_is_never_written_over(void **state)
{
	static const char *const names[] = { "issuing.pem", "issuing.limits", "issuing.crl" };
	struct proto_keygen want = keygen("issuing");
	struct custody_key *k = NULL;
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(names); i++) {
		AUTO(custody) c = open_dir();
		AUTO_BUF text = { 0 };

		put_file(names[i], "left");
		assert_int_equal(custody_make(&k, c, &want, &e), E_EXISTS);
		assert_non_null(strstr(e.msg, names[i]));
		assert_int_equal(file_read(&text, in_dir(names[i]), 100, NULL), 0);
		assert_string_equal(buf_str(&text), "left");
		assert_int_equal(unlink(in_dir(names[i])), 0);
	}
	make_key();
	{
		AUTO(custody) c = open_dir();

		assert_int_equal(custody_make(&k, c, &want, &e), E_EXISTS);
	}
	assert_null(k);
}

static void
an_id_that_is_no_name_or_limits_out_of_range_make_nothing(void **state)
{
	static const char *const bad[] = { "", "../x", ".x", "a/b", "a b", "-x" };
	AUTO(custody) c = open_dir();
	struct proto_keygen want;
	struct custody_key *k = NULL;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		want = keygen(bad[i]);
		assert_int_equal(custody_make(&k, c, &want, NULL), E_FORMAT);
	}
	want = keygen("x");
	want.max_lifetime_s = INT64_MAX;
	assert_int_equal(custody_make(&k, c, &want, NULL), E_FORMAT);
	want = keygen("x");
	want.max_per_s = 0;
	assert_int_equal(custody_make(&k, c, &want, NULL), E_FORMAT);
	assert_int_equal(custody_count(c), 0);
	assert_int_equal(access(in_dir("x.pem"), F_OK), -1);
	assert_int_equal(access(in_dir("x.limits"), F_OK), -1);
}

static void
a_key_without_its_limits_signs_nothing(void **state)
{
	(void)state;
	make_key();
	assert_int_equal(unlink(in_dir("issuing.limits")), 0);
	expect_broken("issuing.limits: No such file");
}

static void
limits_of_another_key_are_refused(void **state)
{
	(void)state;
	make_key();
	{
		AUTO(custody) c = open_dir();
		struct proto_keygen want = keygen("other");
		struct custody_key *k = NULL;
		char from[400];

		want.may_sign_ca = 1;
		assert_int_equal(custody_make(&k, c, &want, NULL), 0);
		(void)snprintf(from, sizeof(from), "%s", in_dir("other.limits"));
		assert_int_equal(rename(from, in_dir("issuing.limits")), 0);
		assert_int_equal(unlink(in_dir("other.pem")), 0);
	}
	expect_broken("issuing.limits: belongs to another key");
}

static void
a_key_that_others_may_read_is_refused(void **state)
{
	(void)state;
	make_key();
	assert_int_equal(chmod(in_dir("issuing.pem"), 0640), 0);
	expect_broken("issuing.pem: must be a file of mode 0600");
}

static void
a_key_behind_a_symbolic_link_is_refused(void **state)
{
	char target[400];

	(void)state;
	make_key();
	(void)snprintf(target, sizeof(target), "%s", in_dir("moved"));
	assert_int_equal(rename(in_dir("issuing.pem"), target), 0);
	assert_int_equal(symlink(target, in_dir("issuing.pem")), 0);
	expect_broken("issuing.pem: must be a file");
}

static void
a_file_that_is_no_key_is_refused(void **state)
{
	(void)state;
	make_key();
	put_file("issuing.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
	expect_broken("issuing.pem: ");
}

static void
a_crl_number_is_remembered_on_disk(void **state)
{
	struct custody_key *k = NULL;

	(void)state;
	make_key();
	{
		AUTO(custody) c = open_dir();

		assert_int_equal(custody_find(&k, c, "issuing", NULL), 0);
		assert_int_equal(custody_remember_crl(c, k, 41, NULL), 0);
		assert_int_equal(custody_remember_crl(c, k, INT64_MAX, NULL), 0);
		assert_true(k->crl_number == INT64_MAX);
	}
	{
		AUTO(custody) c = open_dir();

		assert_int_equal(custody_find(&k, c, "issuing", NULL), 0);
		assert_true(k->crl_number == INT64_MAX);
	}
}

static void
a_damaged_crl_number_makes_the_key_unusable(void **state)
{
	static const char *const bad[] = { "", "\n", "12", "x\n", "-1\n", "1\n2\n", "9223372036854775808\n" };

	(void)state;
	make_key();
	for (size_t i = 0; i < N_OF(bad); i++) {
		put_file("issuing.crl", bad[i]);
		expect_broken("issuing.crl: not a");
	}
}

static void
a_directory_that_cannot_be_read_to_its_end_is_not_opened(void **state)
{
	struct custody *c = NULL;
	struct err e = { 0 };

	(void)state;
	make_key();
	for (int n = 1; n < 4; n++) {
		bad_readdir = n;
		assert_int_equal(custody_open(&c, dir, &e), E_IO);
		assert_null(c);
	}
	bad_readdir = 0;
	c = open_dir();
	assert_int_equal(custody_count(c), 1);
	custody_free(c);
}

static void
a_key_that_could_not_be_made_durable_leaves_nothing(void **state)
{
	(void)state;
	for (int n = 1; n <= 4; n++) { /* each file, and its directory */
		AUTO(custody) c = open_dir();
		struct proto_keygen want = keygen("issuing");
		struct custody_key *k = NULL;

		bad_fsync = n;
		assert_int_equal(custody_make(&k, c, &want, NULL), E_IO);
		assert_int_equal(bad_fsync, 0);
		assert_int_equal(access(in_dir("issuing.pem"), F_OK), -1);
		assert_int_equal(access(in_dir("issuing.limits"), F_OK), -1);
		assert_int_equal(custody_count(c), 0);
	}
	make_key();
}

static void
only_one_process_has_the_directory(void **state)
{
	AUTO(custody) c = open_dir();
	struct custody *second = NULL;

	(void)state;
	assert_int_equal(custody_open(&second, dir, NULL), E_EXISTS);
	assert_null(second);
	custody_free(TAKE(c));
	c = open_dir();
}

static void
other_files_are_no_keys(void **state)
{
	AUTO(custody) c = NULL;
	struct custody_key *k = NULL;

	(void)state;
	put_file("readme", "x");
	put_file(".pem", "x");
	put_file("-x.pem", "x");
	put_file("a b.pem", "x");
	put_file("x.pem.0123456789abcdef.tmp", "x");
	put_file("stray.limits", "x");
	c = open_dir();
	assert_int_equal(custody_count(c), 0);
	assert_int_equal(custody_find(&k, c, "readme", NULL), E_NOTFOUND);
}

static void
a_key_of_which_nothing_came_can_be_dropped_whole(void **state)
{
	AUTO(custody) c = open_dir();
	struct proto_keygen other = keygen("other"), want = keygen("issuing");
	struct custody_key *k = NULL, *kept = NULL;
	struct stat st;

	(void)state;
	assert_int_equal(custody_make(&k, c, &want, NULL), 0);
	assert_int_equal(custody_make(&kept, c, &other, NULL), 0);
	k->n_signed = 1; /* a root signs itself */
	assert_int_equal(custody_drop(c, k, NULL), 0);
	assert_int_equal(custody_find(&k, c, "issuing", NULL), E_NOTFOUND);
	assert_int_equal(custody_find(&k, c, "other", NULL), 0);
	assert_ptr_equal(k, kept);
	assert_int_not_equal(stat(in_dir("issuing.pem"), &st), 0);
	assert_int_not_equal(stat(in_dir("issuing.limits"), &st), 0);
	assert_int_equal(custody_make(&k, c, &want, NULL), 0);
}

static void
a_key_that_was_there_at_the_start_is_never_dropped(void **state)
{
	AUTO(custody) c = NULL;
	struct custody_key *k = NULL;

	(void)state;
	make_key();
	c = open_dir();
	assert_int_equal(custody_find(&k, c, "issuing", NULL), 0);
	assert_int_equal(custody_drop(c, k, NULL), E_POLICY);
	assert_int_equal(custody_find(&k, c, "issuing", NULL), 0);
}

static void
a_key_that_a_ca_used_is_never_dropped(void **state)
{
	AUTO(custody) c = open_dir();
	struct proto_keygen want = keygen("issuing");
	struct custody_key *k = NULL;

	(void)state;
	assert_int_equal(custody_make(&k, c, &want, NULL), 0);
	k->n_signed = 2;
	assert_int_equal(custody_drop(c, k, NULL), E_POLICY);
	k->n_signed = 1;
	assert_int_equal(custody_remember_crl(c, k, 1, NULL), 0);
	assert_int_equal(custody_drop(c, k, NULL), E_POLICY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(a_key_that_was_made_is_there_after_a_restart),
		IN_DIR(the_files_of_a_key_are_its_owner_s_alone),
		IN_DIR(an_id_that_is_there_is_never_written_over),
		IN_DIR(an_id_that_is_no_name_or_limits_out_of_range_make_nothing),
		IN_DIR(a_key_without_its_limits_signs_nothing),
		IN_DIR(limits_of_another_key_are_refused),
		IN_DIR(a_key_that_others_may_read_is_refused),
		IN_DIR(a_key_behind_a_symbolic_link_is_refused),
		IN_DIR(a_file_that_is_no_key_is_refused),
		IN_DIR(a_crl_number_is_remembered_on_disk),
		IN_DIR(a_damaged_crl_number_makes_the_key_unusable),
		IN_DIR(a_directory_that_cannot_be_read_to_its_end_is_not_opened),
		IN_DIR(a_key_that_could_not_be_made_durable_leaves_nothing),
		IN_DIR(only_one_process_has_the_directory),
		IN_DIR(other_files_are_no_keys),
		IN_DIR(a_key_of_which_nothing_came_can_be_dropped_whole),
		IN_DIR(a_key_that_was_there_at_the_start_is_never_dropped),
		IN_DIR(a_key_that_a_ca_used_is_never_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
