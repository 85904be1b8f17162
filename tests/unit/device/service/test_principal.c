/* SPDX-License-Identifier: Apache-2.0 */
/* tests: who may change what */
#include "device/service/principal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static int
read_text(struct principals **out, const char *text, struct err *e)
{
	AUTO(toml) doc = NULL;
	int r = toml_parse(&doc, "f", bytes_of(text), e);

	assert_int_equal(r, 0);
	return principals_read(out, doc, "keys", e);
}

static void
patterns_cover_whole_ids_and_entries_of_a_user_add_up(void **state)
{
	AUTO(principals) p = NULL;

	(void)state;
	assert_int_equal(read_text(&p, "[[principal]]\nuid=10\nkeys=['device-id','est-*']\n[[principal]]\nuid=11\nkeys=['*']\n"
	    "[[principal]]\nuid=10\nkeys=['m?']\n[[principal]]\nuid=12\nkeys=[]", NULL), 0);
	assert_true(principals_allow(p, 10, "device-id"));
	assert_false(principals_allow(p, 10, "device-id-temp"));
	assert_false(principals_allow(p, 10, "Device-id"));
	assert_true(principals_allow(p, 10, "est-"));
	assert_true(principals_allow(p, 10, "est-id/x"));
	assert_true(principals_allow(p, 10, "m1"));
	assert_false(principals_allow(p, 10, "m"));
	assert_false(principals_allow(p, 10, "m12"));
	assert_true(principals_allow(p, 11, "anything"));
	assert_false(principals_allow(p, 12, "anything"));
	assert_false(principals_allow(p, 13, "device-id"));
	assert_false(principals_delegate(p, 11));
}

static void
root_may_all_and_nobody_nothing(void **state)
{
	AUTO(principals) p = NULL;
	AUTO(principals) none = NULL;

	(void)state;
	assert_int_equal(read_text(&none, "", NULL), 0);
	assert_true(principals_allow(none, 0, "x"));
	assert_false(principals_delegate(none, 0));
	assert_false(principals_allow(none, (uid_t)-1, "x"));
	assert_int_equal(read_text(&p, "[[principal]]\nuid=4294967294\nkeys=['*']\ndelegate=true", NULL), 0);
	assert_true(principals_allow(p, (uid_t)-2, "x"));
	assert_true(principals_delegate(p, (uid_t)-2));
	assert_false(principals_allow(p, (uid_t)-1, "x"));
	assert_false(principals_delegate(p, (uid_t)-1));
}

static void
delegation_needs_no_patterns_and_gives_none(void **state)
{
	AUTO(principals) p = NULL;

	(void)state;
	assert_int_equal(read_text(&p, "[[principal]]\nuid=5\ndelegate=true\n[[principal]]\nuid=6\ndelegate=false\nkeys=['a']", NULL), 0);
	assert_true(principals_delegate(p, 5));
	assert_false(principals_allow(p, 5, "a"));
	assert_false(principals_delegate(p, 6));
}

static void
what_is_no_principal_is_refused_with_its_place(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "principal=1", "f:1:1: key 'principal': is an integer" }, { "[principal]\nuid=1\nkeys=[]", "written as [[principal]]" },
		{ "principal=[1]", "f:1:12: key 'principal[0]': is an integer, not a table" },
		{ "[[principal]]\nkeys=[]", "has no 'uid'" }, { "[[principal]]\nuid=1", "f:1:3: key 'principal[0]': has no 'keys'" },
		{ "[[principal]]\nuid=1\ncerts=['*']", "has no 'keys'" }, { "[[principal]]\nuid='root'\nkeys=[]", "f:2:1: key 'principal[0].uid': is a string" },
		{ "[[principal]]\nuid=-1\nkeys=['*']", "is -1, not 0 to 4294967294" }, { "[[principal]]\nuid=4294967295\nkeys=['*']", "not 0 to" },
		{ "[[principal]]\nuid=4294967296\nkeys=['*']", "not 0 to" }, { "[[principal]]\nuid=1\nkeys='*'", "is a string, not an array" },
		{ "[[principal]]\nuid=1\nkeys=['a', 2]", "f:3:12: key 'principal[0].keys[1]': is an integer" },
		{ "[[principal]]\nuid=1\nkeys=[]\ndelegate=1", "f:4:1: key 'principal[0].delegate': is an integer, not a boolean" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		struct principals *p = NULL;
		struct err e = { 0 };

		assert_int_equal(read_text(&p, bad[i].text, &e), E_FORMAT);
		if (strstr(e.msg, bad[i].why) == NULL)
			fail_msg("%s: %s", bad[i].text, e.msg);
		assert_null(p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_cover_whole_ids_and_entries_of_a_user_add_up),
		cmocka_unit_test(root_may_all_and_nobody_nothing),
		cmocka_unit_test(delegation_needs_no_patterns_and_gives_none),
		cmocka_unit_test(what_is_no_principal_is_refused_with_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
