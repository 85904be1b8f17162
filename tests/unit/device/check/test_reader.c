/* SPDX-License-Identifier: Apache-2.0 */
/* test_reader.c - who can read a file, by every directory on the way to it */
#include "tests/unit/device/service/scratch.h"

#include "device/check/reader.h"

/* Somebody who owns nothing here, and whose group is ours or not. */
static struct reader
somebody(gid_t gid)
{
	return (struct reader){ .name = "aziotcs", .uid = geteuid() + 1, .gid = gid };
}

static void
expect(const struct reader *r, int rc, const char *words)
{
	struct err e = { 0 };
	char path[512];

	(void)snprintf(path, sizeof(path), "%s", scratch_path("a/b/cert.pem"));
	assert_int_equal(reader_check(r, path, &e), rc);
	if (rc != 0 && strstr(e.msg, words) == NULL)
		fail_msg("'%s' instead of '%s'", e.msg, words);
}

static void
set(mode_t root, mode_t a, mode_t b, mode_t file)
{
	assert_int_equal(chmod(scratch, root), 0);
	assert_int_equal(chmod(scratch_path("a"), a), 0);
	assert_int_equal(chmod(scratch_path("a/b"), b), 0);
	assert_int_equal(chmod(scratch_path("a/b/cert.pem"), file), 0);
}

static void
every_directory_on_the_way_must_be_open(void **state)
{
	struct reader r = somebody(getegid() + 1);

	(void)state;
	set(0755, 0755, 0755, 0644);
	expect(&r, 0, "");
	set(0711, 0711, 0711, 0644);
	expect(&r, 0, ""); /* entering is enough, nobody lists */
	set(0755, 0750, 0755, 0644);
	expect(&r, E_POLICY, "/a is closed to it");
	set(0755, 0755, 0744, 0644);
	expect(&r, E_POLICY, "/a/b is closed to it");
	set(0755, 0755, 0755, 0640);
	expect(&r, E_POLICY, "cannot be read by aziotcs");
	set(0700, 0755, 0755, 0644);
	expect(&r, E_POLICY, "cert-permissions");
}

static void
the_first_that_fits_counts_owner_group_or_everybody(void **state)
{
	struct reader r = somebody(getegid()), own = { .name = "me", .uid = geteuid(), .gid = getegid() + 1 };

	(void)state;
	set(0755, 0750, 0755, 0640);
	expect(&r, 0, "");
	set(0755, 0755, 0755, 0604); /* the group may not, so that everybody else may is of no use */
	expect(&r, E_POLICY, "cannot be read");
	r = somebody(getegid() + 1);
	r.groups[0] = getegid();
	r.n_groups = 1;
	set(0755, 0750, 0755, 0640);
	expect(&r, 0, "");
	set(0755, 0755, 0755, 0044);
	if (own.uid == 0)
		expect(&own, 0, ""); /* root reads everything */
	else
		expect(&own, E_POLICY, "cannot be read by me");
}

static void
what_is_not_there_is_told_as_that(void **state)
{
	struct reader r = somebody(getegid() + 1);
	struct err e = { 0 };

	(void)state;
	set(0755, 0755, 0755, 0644);
	assert_int_equal(reader_check(&r, scratch_path("a/none.pem"), &e), E_NOTFOUND);
	assert_int_equal(reader_check(&r, scratch_path("none/cert.pem"), &e), E_NOTFOUND);
	assert_int_equal(reader_check(&r, scratch_path("a/b"), &e), E_POLICY);
}

static void
below_a_prefix_the_homes_owner_is_the_user(void **state)
{
	struct reader r;
	struct place p;

	(void)state;
	assert_int_equal(place_find(&p, "certd", scratch, NULL), 0);
	reader_find(&r, &p);
	assert_int_equal(r.uid, geteuid());
	scratch_write("var/lib/aziot/certd/x", "");
	reader_find(&r, &p);
	assert_int_equal(r.uid, geteuid());
	if (geteuid() == 0) {
		assert_int_equal(chown(scratch_path("var/lib/aziot/certd"), 64321, 64322), 0);
		reader_find(&r, &p);
		assert_int_equal(r.uid, 64321);
		assert_int_equal(r.gid, 64322);
		assert_string_equal(r.name, "user 64321");
	}
}

static int
set_up(void **state)
{
	(void)state;
	scratch_make();
	scratch_write("a/b/cert.pem", "x");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	assert_int_equal(chmod(scratch, 0700), 0);
	scratch_remove();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_directory_on_the_way_must_be_open, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_first_that_fits_counts_owner_group_or_everybody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_there_is_told_as_that, set_up, tear_down),
		cmocka_unit_test_setup_teardown(below_a_prefix_the_homes_owner_is_the_user, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
