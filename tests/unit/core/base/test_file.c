/* SPDX-License-Identifier: Apache-2.0 */
/* base/test_file.c - whole files, in a directory of the test's own */
#include "core/base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static const char *
in_dir(const char *name)
{
	static char path[400];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int
make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/test_file.XXXXXX");
	return mkdtemp(dir) == NULL;
}

/* How many files the directory holds; with `remove` it goes away with them. */
static int
count_files(bool remove)
{
	DIR *d = opendir(dir);
	struct dirent *f;
	int n = 0;

	while (d != NULL && (f = readdir(d)) != NULL) {
		if (f->d_name[0] == '.')
			continue;
		n++;
		if (remove && unlink(in_dir(f->d_name)) != 0)
			(void)rmdir(in_dir(f->d_name));
	}
	if (d != NULL)
		(void)closedir(d);
	if (remove)
		(void)rmdir(dir);
	return n;
}

static int
drop_dir(void **state)
{
	(void)state;
	(void)count_files(true);
	return 0;
}

static void
what_was_written_is_read(void **state)
{
	AUTO_BUF b = { 0 };
	struct stat st;

	(void)state;
	assert_int_equal(file_write(in_dir("f"), bytes_of("hello"), 0640, NULL), 0);
	assert_int_equal(file_read(&b, in_dir("f"), 5, NULL), 0);
	assert_string_equal(buf_str(&b), "hello");
	assert_int_equal(stat(in_dir("f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
}

static void
the_mode_is_exact_whatever_the_umask(void **state)
{
	mode_t old = umask(0);
	struct stat st;

	(void)state;
	assert_int_equal(file_write(in_dir("f"), bytes_of("x"), 0600, NULL), 0);
	(void)umask(0777);
	assert_int_equal(file_write(in_dir("g"), bytes_of("x"), 0644, NULL), 0);
	(void)umask(old);
	assert_int_equal(stat(in_dir("f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(in_dir("g"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
}

static void
writing_replaces_the_file_and_leaves_nothing_beside_it(void **state)
{
	AUTO_BUF b = { 0 };
	struct stat old, new;

	(void)state;
	assert_int_equal(file_write(in_dir("f"), bytes_of("a longer first text"), 0600, NULL), 0);
	assert_int_equal(stat(in_dir("f"), &old), 0);
	assert_int_equal(file_write(in_dir("f"), bytes_of("short"), 0600, NULL), 0);
	assert_int_equal(stat(in_dir("f"), &new), 0);
	assert_int_not_equal(old.st_ino, new.st_ino); /* another file under the name, not the same one rewritten */
	assert_int_equal(file_read(&b, in_dir("f"), 100, NULL), 0);
	assert_string_equal(buf_str(&b), "short");
	assert_int_equal(count_files(false), 1);
}

static void
a_write_that_fails_leaves_nothing(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(file_mkdir(in_dir("d"), 0700, NULL), 0);
	assert_int_equal(file_write(in_dir("d"), bytes_of("x"), 0600, &e), E_IO);
	assert_non_null(strstr(e.msg, "/d: "));
	assert_int_equal(count_files(false), 1);
	assert_int_equal(file_write(in_dir("none/f"), bytes_of("x"), 0600, &e), E_IO);
}

static void
asking_whether_a_file_may_be_written_changes_nothing(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(file_may_write(in_dir("f"), &e), 0);
	assert_int_equal(count_files(false), 0);
	assert_int_equal(file_may_write(in_dir("no/f"), &e), E_IO);
	assert_non_null(strstr(e.msg, "/no/f: its directory: No such file or directory"));
	assert_int_equal(count_files(false), 0);
}

static void
a_missing_file_is_not_found(void **state)
{
	AUTO_BUF b = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(file_read(&b, in_dir("none"), 10, &e), E_NOTFOUND);
	assert_non_null(strstr(e.msg, "/none: No such file"));
}

static void
a_file_over_the_limit_is_refused(void **state)
{
	AUTO_BUF b = { 0 };

	(void)state;
	assert_int_equal(file_write(in_dir("f"), bytes_of("123456"), 0600, NULL), 0);
	assert_int_equal(file_read(&b, in_dir("f"), 5, NULL), E_TOOBIG);
	buf_reset(&b);
	assert_int_equal(file_read(&b, in_dir("f"), 6, NULL), 0);
}

static void
a_directory_is_no_file(void **state)
{
	AUTO_BUF b = { 0 };

	(void)state;
	assert_int_equal(file_read(&b, dir, 10, NULL), E_IO);
}

static void
making_a_directory_twice_is_no_error_but_over_a_file_is(void **state)
{
	(void)state;
	assert_int_equal(file_mkdir(in_dir("d"), 0700, NULL), 0);
	assert_int_equal(file_mkdir(in_dir("d"), 0700, NULL), 0);
	assert_int_equal(file_write(in_dir("f"), bytes_of(""), 0600, NULL), 0);
	assert_int_equal(file_mkdir(in_dir("f"), 0700, NULL), E_IO);
	assert_int_equal(file_mkdir(in_dir("none/d"), 0700, NULL), E_IO);
}

static mode_t
mode_of(const char *path)
{
	struct stat st = { 0 };

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? st.st_mode & 0777 : 0;
}

static void
what_is_above_a_directory_is_made_too(void **state)
{
	(void)state;
	assert_int_equal(file_mkdir_above(in_dir("p/q/r"), 0750, NULL), 0);
	assert_int_equal(mode_of(in_dir("p/q")), 0750);
	assert_int_equal(mode_of(in_dir("p/q/r")), 0);
	assert_int_equal(file_mkdir_all(in_dir("p/q/r"), 0755, 0700, NULL), 0);
	assert_int_equal(mode_of(in_dir("p/q/r")), 0700);
	assert_int_equal(mode_of(in_dir("p/q")), 0750); /* it was there */
	assert_int_equal(file_mkdir_all(in_dir("p/q/r"), 0755, 0700, NULL), 0);
	assert_int_equal(file_write(in_dir("plain"), bytes_of("x"), 0600, NULL), 0);
	assert_int_equal(file_mkdir_all(in_dir("plain/below"), 0755, 0700, NULL), E_IO);
	assert_int_equal(file_mkdir_above("nothing-above", 0755, NULL), 0);
	assert_int_equal(rmdir(in_dir("p/q/r")), 0);
	assert_int_equal(rmdir(in_dir("p/q")), 0);
	assert_int_equal(rmdir(in_dir("p")), 0);
	assert_int_equal(unlink(in_dir("plain")), 0);
}

static void
a_lock_is_held_by_one_until_it_is_closed(void **state)
{
	int first = -1, second = -1;

	(void)state;
	assert_int_equal(file_lock(&first, in_dir("lock"), NULL), 0);
	assert_int_equal(fcntl(first, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(file_lock(&second, in_dir("lock"), NULL), E_EXISTS);
	assert_int_equal(second, -1);
	fd_autoclose(&first);
	assert_int_equal(first, -1);
	assert_int_equal(file_lock(&second, in_dir("lock"), NULL), 0);
	fd_autoclose(&second);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_written_is_read),
		TEST(the_mode_is_exact_whatever_the_umask),
		TEST(writing_replaces_the_file_and_leaves_nothing_beside_it),
		TEST(a_write_that_fails_leaves_nothing),
		TEST(asking_whether_a_file_may_be_written_changes_nothing),
		TEST(a_missing_file_is_not_found),
		TEST(a_file_over_the_limit_is_refused),
		TEST(a_directory_is_no_file),
		TEST(making_a_directory_twice_is_no_error_but_over_a_file_is),
		TEST(what_is_above_a_directory_is_made_too),
		TEST(a_lock_is_held_by_one_until_it_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
