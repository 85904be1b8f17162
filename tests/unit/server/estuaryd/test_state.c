/* SPDX-License-Identifier: Apache-2.0 */
/* test_state.c - the state directory: made, locked, and given to the server's user through no link */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "server/estuaryd/state.h"

static char root[64];

static int
make_root(void **state)
{
	(void)state;
	(void)snprintf(root, sizeof(root), "/tmp/estuary-state-XXXXXX");
	return mkdtemp(root) == NULL ? -1 : 0;
}

static int
remove_root(void **state)
{
	static const char *const leaves[] = { "s/run/lock", "s/run", "s/keys/k", "s/keys", "s/public", "s/store", "s/link",
		"s/twin", "s", "outside" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < N_OF(leaves); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", root, leaves[i]);
		if (unlink(path) != 0)
			(void)rmdir(path);
	}
	return rmdir(root);
}

static const char *
at(const char *leaf)
{
	static char path[4][128];
	static size_t i;

	i = (i + 1) % N_OF(path);
	(void)snprintf(path[i], sizeof(path[i]), "%s/%s", root, leaf);
	return path[i];
}

static struct settings
settings_here(void)
{
	struct settings s;

	settings_default(&s);
	(void)snprintf(s.dir, sizeof(s.dir), "%s/s", root);
	return s;
}

static uid_t
owner_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_uid;
}

static void
the_directories_are_made_for_us_alone(void **state)
{
	static const char *const dirs[] = { "s", "s/run", "s/keys", "s/store", "s/public" };
	struct settings s = settings_here();
	struct state_owner o;
	struct stat st;
	int lock;

	(void)state;
	assert_int_equal(state_open(&lock, &o, &s, NULL), 0);
	for (size_t i = 0; i < N_OF(dirs); i++) {
		assert_int_equal(stat(at(dirs[i]), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0700);
	}
	assert_false(o.change);
	(void)close(lock);
}

static void
a_second_server_on_the_directory_is_refused(void **state)
{
	struct settings s = settings_here();
	struct state_owner o;
	struct err e = { 0 };
	char want[SETTINGS_PATH_MAX + 200];
	int lock, second = -1;

	(void)state;
	assert_int_equal(state_open(&lock, &o, &s, NULL), 0);
	assert_int_equal(state_open(&second, &o, &s, &e), E_EXISTS);
	(void)snprintf(want, sizeof(want), "state directory '%s': another estuaryd runs on it: stop that one, "
	    "or give this one a directory of its own by key 'server.dir'", s.dir);
	assert_string_equal(e.msg, want);
	assert_int_equal(second, -1);
	(void)close(lock);
	assert_int_equal(state_open(&lock, &o, &s, NULL), 0);
	(void)close(lock);
}

static void
a_directory_that_others_may_write_is_refused(void **state)
{
	struct settings s = settings_here();
	struct state_owner o;
	struct err e = { 0 };
	int lock = -1;

	(void)state;
	assert_int_equal(mkdir(s.dir, 0700), 0);
	assert_int_equal(chmod(s.dir, 0703), 0);
	assert_int_equal(state_open(&lock, &o, &s, &e), E_POLICY);
	assert_non_null(strstr(e.msg, "others may write it: chmod o-w "));
	assert_int_equal(chmod(s.dir, 01777), 0);
	assert_int_equal(state_open(&lock, &o, &s, &e), E_POLICY);
	assert_non_null(strstr(e.msg, "everybody may write there: name another one by key 'server.dir'"));
	assert_int_equal(lock, -1);
}

static void
a_lock_that_is_a_link_is_refused(void **state)
{
	struct settings s = settings_here();
	struct state_owner o;
	int lock = -1;

	(void)state;
	assert_int_equal(mkdir(s.dir, 0700), 0);
	assert_int_equal(mkdir(at("s/run"), 0700), 0);
	assert_int_equal(symlink(at("outside"), at("s/run/lock")), 0);
	assert_int_equal(state_open(&lock, &o, &s, NULL), E_POLICY);
	assert_int_equal(access(at("outside"), F_OK), -1);
}

static void
root_gives_the_tree_to_the_user_but_nothing_outside_of_it(void **state)
{
	struct settings s = settings_here();
	struct state_owner o;
	struct err e = { 0 };
	int lock;

	(void)state;
	if (geteuid() != 0)
		skip();
	(void)snprintf(s.user, sizeof(s.user), "65534:65534");
	assert_int_equal(mkdir(s.dir, 0700), 0);
	assert_int_equal(mkdir(at("s/keys"), 0700), 0);
	assert_int_equal(file_write(at("s/keys/k"), bytes_of("k"), 0600, NULL), 0);
	assert_int_equal(file_write(at("outside"), bytes_of("o"), 0600, NULL), 0);
	assert_int_equal(symlink(at("outside"), at("s/link")), 0);
	assert_int_equal(link(at("outside"), at("s/twin")), 0);
	if (state_open(&lock, &o, &s, &e) != 0)
		fail_msg("%s", e.msg);
	assert_true(o.change);
	assert_int_equal(o.uid, 65534);
	assert_int_equal(owner_of(s.dir), 65534);
	assert_int_equal(owner_of(at("s/run")), 65534);
	assert_int_equal(owner_of(at("s/keys/k")), 65534);
	assert_int_equal(owner_of(at("outside")), 0);
	assert_int_equal(owner_of(at("s/twin")), 0);
	(void)close(lock);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_directories_are_made_for_us_alone, make_root, remove_root),
		cmocka_unit_test_setup_teardown(a_second_server_on_the_directory_is_refused, make_root, remove_root),
		cmocka_unit_test_setup_teardown(a_directory_that_others_may_write_is_refused, make_root, remove_root),
		cmocka_unit_test_setup_teardown(a_lock_that_is_a_link_is_refused, make_root, remove_root),
		cmocka_unit_test_setup_teardown(root_gives_the_tree_to_the_user_but_nothing_outside_of_it, make_root,
		    remove_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
