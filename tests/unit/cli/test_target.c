/* SPDX-License-Identifier: Apache-2.0 */
/* test_target.c - where an output may go, and what is never lost under it */
#include "cli/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/file.h"

static char dir[64];

/* The tests' directory is the current one. */
static int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/target.XXXXXX");
	return mkdtemp(dir) == NULL || chdir(dir) != 0 || mkdir("d", 0700) != 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "f", "link", "d/f", "d/link" };

	(void)state;
	for (size_t i = 0; i < N_OF(names); i++)
		(void)unlink(names[i]);
	return rmdir("d") != 0 || chdir("/") != 0 || rmdir(dir) != 0;
}

static void
put(const char *path, const char *text, size_t n)
{
	assert_int_equal(file_write(path, (struct bytes){ (const uint8_t *)text, n }, 0600, NULL), 0);
}

static void
one_file_is_known_however_it_is_written(void **state)
{
	char whole[128];

	(void)state;
	(void)snprintf(whole, sizeof(whole), "%s/f", dir);
	assert_int_equal(symlink("f", "link"), 0);
	assert_int_equal(symlink("../link", "d/link"), 0);
	assert_true(target_is_same("f", "./f"));
	assert_true(target_is_same("f", "d/../f"));
	assert_true(target_is_same("d/link", whole));
	assert_false(target_is_same("f", "d/f"));
	assert_false(target_is_same("f", "f2"));
	assert_false(target_is_same("no/f", "no/f"));
}

static void
a_private_key_is_known_by_its_content(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		bool key;
	} cases[] = {
		{ "", 0, false },
		{ "-----BEGIN CERTIFICATE-----\nMIIB\n", 33, false },
		{ "-----BEGIN CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\n", 59, true },
		{ "-----BEGIN ENCRYPTED PRIVATE KEY-----\n", 38, true },
		{ "\x30\x81\x87\x02\x01\x00\x30\x13", 8, true },
		{ "\x30\x77\x02\x01\x01\x04\x20", 7, true },
		{ "\x30\x82\x01\x00\x30\x82", 6, false },
		{ "\x30\x82\x01", 3, false },
	};

	(void)state;
	assert_false(target_has_key("f"));
	assert_false(target_has_key("d"));
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct err e = { 0 };

		put("f", cases[i].text, cases[i].n);
		assert_true(target_has_key("f") == cases[i].key);
		assert_int_equal(target_check("out", "f", TARGET_CERTS, &e), cases[i].key ? E_EXISTS : 0);
		assert_int_equal(target_check("out", "f", TARGET_KEY, &e), 0);
	}
}

static void
what_is_behind_a_link_is_replaced_and_the_link_stays(void **state)
{
	AUTO_BUF b = { 0 };
	struct stat st;

	(void)state;
	assert_int_equal(symlink("d/f", "link"), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(target_check("out", "link", TARGET_KEY, NULL), 0);
		assert_int_equal(target_write("link", bytes_of(i == 0 ? "first" : "next"), 0600, NULL, NULL), 0);
	}
	assert_int_equal(lstat("link", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(file_read(&b, "d/f", 10, NULL), 0);
	assert_string_equal(buf_str(&b), "next");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_file_is_known_however_it_is_written, setup, teardown),
		cmocka_unit_test_setup_teardown(a_private_key_is_known_by_its_content, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_behind_a_link_is_replaced_and_the_link_stays, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
