/* SPDX-License-Identifier: Apache-2.0 */
/* device/config/test_install.c - all files or none, what a crash left behind, and whose way is closed */
#include "device/config/install.h"

#include <sys/file.h>

#include "tests/unit/device/service/scratch.h"

static struct install in;
static struct buf text; /* what content() read last */

static int
setup(void **state)
{
	(void)state;
	scratch_make();
	in = (struct install){ 0 };
	(void)snprintf(in.base, sizeof(in.base), "%s", scratch);
	(void)snprintf(in.root, sizeof(in.root), "%s/etc/aziot", scratch);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	install_clear(&in);
	buf_free(&text);
	scratch_remove();
	return 0;
}

static struct install_file *
plan(const char *service, const char *path, const char *content)
{
	struct install_file *f = install_add(&in, service, path);

	assert_non_null(f);
	buf_put_str(&f->content, content);
	return f;
}

static struct buf text; /* the latest content() */

static const char *
content(const char *name)
{
	buf_free(&text);
	return file_read(&text, scratch_path(name), 4096, NULL) == 0 ? buf_str(&text) : NULL;
}

static mode_t
mode(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(scratch_path(name), &st), 0);
	return st.st_mode & 07777;
}

static void
files_and_the_directories_above_them_are_made(void **state)
{
	struct err e;

	(void)state;
	plan("keyd", "/etc/aziot/keyd/config.d/00-super.toml", "k\n");
	plan("keyd", "/var/secrets/aziot/keyd/device-id", "secret");
	assert_int_equal(install_compare(&in, &e), 0);
	assert_int_equal(in.v[0].change, INSTALL_NEW);
	assert_int_equal(install_commit(&in, &e), 0);
	assert_string_equal(content("etc/aziot/keyd/config.d/00-super.toml"), "k\n");
	assert_int_equal(mode("etc/aziot/keyd/config.d/00-super.toml"), 0600);
	assert_int_equal(mode("etc/aziot/keyd/config.d"), 0700);
	assert_int_equal(mode("etc/aziot/keyd") & 0755, 0755);
	assert_int_equal(mode("var/secrets/aziot/keyd"), 0700);
	assert_null(content("etc/aziot/.config-apply.journal"));
	assert_null(content("var/secrets/aziot/keyd/device-id.apply-new"));
}

static void
what_is_there_already_is_not_touched(void **state)
{
	struct stat before, after;
	struct err e;

	(void)state;
	plan("keyd", "/etc/aziot/keyd/config.d/00-super.toml", "k\n");
	plan("certd", "/etc/aziot/certd/config.d/00-super.toml", "c\n");
	assert_int_equal(install_compare(&in, &e), 0);
	assert_int_equal(install_commit(&in, &e), 0);
	assert_int_equal(stat(scratch_path("etc/aziot/keyd/config.d/00-super.toml"), &before), 0);
	install_clear(&in);
	plan("keyd", "/etc/aziot/keyd/config.d/00-super.toml", "k\n");
	plan("certd", "/etc/aziot/certd/config.d/00-super.toml", "d\n");
	in.v[0].change = in.v[1].change = INSTALL_SAME;
	assert_int_equal(install_compare(&in, &e), 0);
	assert_int_equal(in.v[0].change, INSTALL_SAME);
	assert_int_equal(in.v[1].change, INSTALL_CHANGED);
	assert_int_equal(install_commit(&in, &e), 0);
	assert_int_equal(stat(scratch_path("etc/aziot/keyd/config.d/00-super.toml"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_string_equal(content("etc/aziot/certd/config.d/00-super.toml"), "d\n");
}

static void
a_file_that_others_may_read_is_replaced_though_it_says_the_same(void **state)
{
	struct err e;

	(void)state;
	scratch_write("etc/aziot/keyd/config.d/00-super.toml", "k\n"); /* 0644 */
	plan("keyd", "/etc/aziot/keyd/config.d/00-super.toml", "k\n");
	assert_int_equal(install_compare(&in, &e), 0);
	assert_int_equal(in.v[0].change, INSTALL_CHANGED);
	assert_int_equal(install_commit(&in, &e), 0);
	assert_int_equal(mode("etc/aziot/keyd/config.d/00-super.toml"), 0600);
}

static void
what_is_to_go_goes_and_may_be_gone(void **state)
{
	struct err e;

	(void)state;
	scratch_write("var/secrets/aziot/keyd/device-id", "secret");
	plan("keyd", "/var/secrets/aziot/keyd/device-id", "")->remove = true;
	plan("keyd", "/var/secrets/aziot/keyd/other", "")->remove = true;
	assert_int_equal(install_compare(&in, &e), 0);
	assert_int_equal(in.v[0].change, INSTALL_REMOVED);
	assert_int_equal(in.v[1].change, INSTALL_SAME);
	assert_int_equal(install_commit(&in, &e), 0);
	assert_null(content("var/secrets/aziot/keyd/device-id"));
}

/* Before the journal nothing is decided: what lies about is an attempt that never was. */
static void
a_crash_before_the_decision_leaves_everything_as_it_was(void **state)
{
	struct err e;
	bool done = true;

	(void)state;
	scratch_write("etc/aziot/keyd/config.d/00-super.toml", "old\n");
	scratch_write("etc/aziot/keyd/config.d/00-super.toml.apply-new", "half");
	assert_int_equal(install_recover(&in, &done, &e), 0);
	assert_false(done);
	assert_string_equal(content("etc/aziot/keyd/config.d/00-super.toml"), "old\n");
	plan("keyd", "/etc/aziot/keyd/config.d/00-super.toml", "whole\n");
	assert_int_equal(install_compare(&in, &e), 0);
	assert_int_equal(install_commit(&in, &e), 0);
	assert_string_equal(content("etc/aziot/keyd/config.d/00-super.toml"), "whole\n");
}

/* After it everything is: whatever was done of it already, the rest follows. */
static void
a_crash_after_the_decision_is_completed(void **state)
{
	char journal[1024];
	struct err e;
	bool done = false;

	(void)state;
	for (int step = 0; step <= 3; step++) {
		(void)snprintf(journal, sizeof(journal),
		    "replace %s/a/one\nreplace %s/a/two\nremove %s/a/three\n", scratch, scratch, scratch);
		scratch_write("etc/aziot/.config-apply.journal", journal);
		assert_int_equal(chmod(scratch_path("etc/aziot/.config-apply.journal"), 0600), 0);
		scratch_write("a/one", step > 0 ? "1 new" : "1 old");
		scratch_write("a/two", step > 1 ? "2 new" : "2 old");
		if (step < 1)
			scratch_write("a/one.apply-new", "1 new");
		if (step < 2)
			scratch_write("a/two.apply-new", "2 new");
		if (step < 3)
			scratch_write("a/three", "3 old");
		assert_true(install_pending(&in));
		assert_int_equal(install_recover(&in, &done, &e), 0);
		assert_true(done);
		assert_false(install_pending(&in));
		assert_string_equal(content("a/one"), "1 new");
		assert_string_equal(content("a/two"), "2 new");
		assert_null(content("a/three"));
		assert_null(content("a/one.apply-new"));
	}
}

static void
when_one_file_cannot_be_written_none_is(void **state)
{
	struct err e;

	(void)state;
	scratch_write("etc/aziot/keyd/config.d/00-super.toml", "old\n");
	scratch_write("var", "in the way of a directory");
	plan("keyd", "/etc/aziot/keyd/config.d/00-super.toml", "new\n");
	plan("keyd", "/var/secrets/aziot/keyd/device-id", "secret");
	assert_int_equal(install_compare(&in, &e), 0);
	assert_int_equal(install_commit(&in, &e), E_IO);
	assert_string_equal(content("etc/aziot/keyd/config.d/00-super.toml"), "old\n");
	assert_null(content("etc/aziot/keyd/config.d/00-super.toml.apply-new"));
	assert_false(install_pending(&in));
}

static void
links_are_not_followed_out_of_a_services_directory(void **state)
{
	struct err e;

	(void)state;
	scratch_write("victim", "mine");
	scratch_write("etc/aziot/keyd/config.d/x", "");
	assert_int_equal(symlink("../../../../victim",
	    scratch_path("etc/aziot/keyd/config.d/00-super.toml.apply-new")), 0);
	plan("keyd", "/etc/aziot/keyd/config.d/00-super.toml", "new\n");
	assert_int_equal(install_compare(&in, &e), 0);
	assert_int_equal(install_commit(&in, &e), 0);
	assert_string_equal(content("victim"), "mine");
	assert_int_equal(unlink(scratch_path("etc/aziot/keyd/config.d/00-super.toml")), 0);
	assert_int_equal(symlink("../../../../victim",
	    scratch_path("etc/aziot/keyd/config.d/00-super.toml")), 0);
	assert_int_equal(install_compare(&in, &e), E_IO);
	assert_non_null(strstr(e.msg, "no regular file"));
}

static void
a_journal_that_is_none_of_ours_is_not_obeyed(void **state)
{
	struct err e;
	bool done;

	(void)state;
	scratch_write("victim", "mine");
	scratch_write("etc/aziot/x", "");
	assert_int_equal(symlink("../../victim", scratch_path("etc/aziot/.config-apply.journal")), 0);
	assert_int_equal(install_recover(&in, &done, &e), E_POLICY);
	assert_int_equal(unlink(scratch_path("etc/aziot/.config-apply.journal")), 0);
	scratch_write("etc/aziot/.config-apply.journal", "erase /\n");
	assert_int_equal(install_recover(&in, &done, &e), E_FORMAT);
	scratch_write("etc/aziot/.config-apply.journal", "remove /nowhere/torn");
	assert_int_equal(install_recover(&in, &done, &e), E_FORMAT);
}

static void
two_at_once_are_refused(void **state)
{
	AUTO_FD other = -1;
	struct err e;

	(void)state;
	scratch_write("etc/aziot/x", "");
	other = open(scratch_path("etc/aziot"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(other >= 0 && flock(other, LOCK_EX | LOCK_NB) == 0);
	plan("keyd", "/etc/aziot/keyd/config.d/00-super.toml", "new\n");
	assert_int_equal(install_compare(&in, &e), 0);
	assert_int_equal(install_commit(&in, &e), E_EXISTS);
	assert_null(content("etc/aziot/keyd/config.d/00-super.toml"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_and_the_directories_above_them_are_made),
		TEST(what_is_there_already_is_not_touched),
		TEST(a_file_that_others_may_read_is_replaced_though_it_says_the_same),
		TEST(what_is_to_go_goes_and_may_be_gone),
		TEST(a_crash_before_the_decision_leaves_everything_as_it_was),
		TEST(a_crash_after_the_decision_is_completed),
		TEST(when_one_file_cannot_be_written_none_is),
		TEST(links_are_not_followed_out_of_a_services_directory),
		TEST(a_journal_that_is_none_of_ours_is_not_obeyed),
		TEST(two_at_once_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
