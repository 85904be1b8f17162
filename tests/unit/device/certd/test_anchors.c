/* SPDX-License-Identifier: Apache-2.0 */
/* certd/test_anchors.c - successors of the configured anchors count for these alone, and survive a restart */
#include "device/certd/anchors.h"

#include "certd_kit.h"

static struct place place;
static struct certd_settings *settings;

static int
begin(void **state)
{
	char text[PLACE_MAX + 32];

	(void)state;
	place = kit_place();
	(void)snprintf(text, sizeof(text), "homedir_path = \"%s\"", place.prefix);
	settings = kit_settings(&place, text);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	certd_settings_free(settings);
	kit_remove(&place);
	return 0;
}

static void
assert_applied(const char *configured, const char *expected)
{
	AUTO_BUF trust = { 0 };

	buf_put_str(&trust, configured);
	anchors_apply(&trust, settings);
	assert_string_equal(buf_str(&trust), expected);
}

static void
what_is_configured_counts_until_something_is_learnt(void **state)
{
	(void)state;
	assert_applied("old root\n", "old root\n");
}

static void
the_successors_of_the_configured_anchors_take_their_place(void **state)
{
	(void)state;
	assert_int_equal(anchors_learn(settings, bytes_of("old root\n"), bytes_of("old root\nnew root\n"), NULL), 0);
	assert_applied("old root\n", "old root\nnew root\n");
	assert_int_equal(anchors_learn(settings, bytes_of("old root\n"), bytes_of("new root\n"), NULL), 0);
	assert_applied("old root\n", "new root\n");
}

static void
other_anchors_have_no_part_in_what_was_learnt(void **state)
{
	(void)state;
	assert_int_equal(anchors_learn(settings, bytes_of("old root\n"), bytes_of("new root\n"), NULL), 0);
	assert_applied("another root\n", "another root\n");
	assert_applied("", "");
}

static void
a_file_that_is_torn_changes_nothing(void **state)
{
	char path[PLACE_MAX + 16];
	struct buf text = { 0 };

	(void)state;
	assert_int_equal(anchors_learn(settings, bytes_of("old root\n"), bytes_of("new root\n"), NULL), 0);
	(void)snprintf(path, sizeof(path), "%s/anchors.pem", settings->home);
	assert_int_equal(file_read(&text, path, 4096, NULL), 0);
	for (size_t n = 0; n + strlen("new root\n") <= text.n; n++) {
		assert_int_equal(file_write(path, (struct bytes){ text.p, n }, 0600, NULL), 0);
		assert_applied("old root\n", "old root\n");
	}
	buf_free(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_configured_counts_until_something_is_learnt, begin, end),
		cmocka_unit_test_setup_teardown(the_successors_of_the_configured_anchors_take_their_place, begin, end),
		cmocka_unit_test_setup_teardown(other_anchors_have_no_part_in_what_was_learnt, begin, end),
		cmocka_unit_test_setup_teardown(a_file_that_is_torn_changes_nothing, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
