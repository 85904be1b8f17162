/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/test_label.c - a label's settings as text and back, and what no label may say */
#include "server/fleet/label.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct label
a_label(void)
{
	struct label l;

	label_default(&l, "pumps");
	assert_int_equal(label_set(&l, "ca", "issuing", NULL), 0);
	assert_int_equal(label_set(&l, "profile", "device", NULL), 0);
	assert_int_equal(label_set(&l, "accept", "own,code", NULL), 0);
	return l;
}

static void
what_nobody_set_lets_nobody_in(void **state)
{
	struct label l;

	(void)state;
	label_default(&l, "pumps");
	assert_int_equal(l.rule.accept, 0);
	assert_int_equal(l.reenrol, REENROL_STRICT);
	assert_int_equal(label_valid(&l, NULL), E_USAGE);
}

static void
each_setting_is_the_same_after_text_and_back(void **state)
{
	static const char *const set[][2] = { { "enabled", "false" }, { "default", "true" }, { "ca", "x" }, { "profile", "y" },
		{ "accept", "own,anchor,basic,code,secret" }, { "match", "all" }, { "secret_header", "X-S" }, { "reenrol", "force-subject" },
		{ "pop", "required" }, { "chain", "true" }, { "cte", "false" }, { "wrap", "0" }, { "retry_window", "5m" }, { "concurrent", "true" }, { "grace", "2h" }, { "base_path", "/a,/b/c,/d,/e" } };
	struct label a, b;
	AUTO_BUF one = { 0 };
	AUTO_BUF two = { 0 };

	(void)state;
	label_default(&a, "pumps");
	for (size_t i = 0; i < N_OF(set); i++) {
		AUTO_BUF value = { 0 };

		assert_int_equal(label_set(&a, set[i][0], set[i][1], NULL), 0);
		assert_string_equal(label_member(&a, i, &value), set[i][0]);
		assert_string_equal(buf_str(&value), set[i][1]);
	}
	assert_null(label_member(&a, N_OF(set), &one));
	label_to_text(&a, &one);
	assert_int_equal(label_from_text(&b, "pumps", buf_str(&one), NULL), 0);
	label_to_text(&b, &two);
	assert_string_equal(buf_str(&one), buf_str(&two));
}

static void
a_value_that_means_nothing_is_refused_and_changes_nothing(void **state)
{
	static const char *const bad[][2] = { { "enabled", "yes" }, { "accept", "own,everybody" }, { "accept", "own;code" }, { "match", "some" },
		{ "reenrol", "" }, { "pop", "never" }, { "wrap", "-1" }, { "wrap", "1001" }, { "retry_window", "2d" }, { "grace", "91d" },
		{ "grace", "soon" }, { "secret_header", "X: y" }, { "ca", "a/b" }, { "no-such", "x" }, { "base_path", "a" }, { "base_path", "/" }, { "base_path", "/a/" },
		{ "base_path", "/a//b" }, { "base_path", "/a/../b" }, { "base_path", "/.well-known/est/x" }, { "base_path", "/est/simpleenroll" },
		{ "base_path", "/health" }, { "base_path", "/x/registrations/y" }, { "base_path", "/a,/b,/a" }, { "base_path", "/a,/b,/c,/d,/e" } };
	struct label l = a_label();
	AUTO_BUF before = { 0 };
	AUTO_BUF after = { 0 };

	(void)state;
	label_to_text(&l, &before);
	for (size_t i = 0; i < N_OF(bad); i++) {
		struct err e = { 0 };

		assert_int_equal(label_set(&l, bad[i][0], bad[i][1], &e), E_USAGE);
		assert_non_null(strstr(e.msg, bad[i][0]));
	}
	label_to_text(&l, &after);
	assert_string_equal(buf_str(&before), buf_str(&after));
}

static void
a_label_is_not_named_like_an_operation(void **state)
{
	static const char *const bad[] = { "simpleenroll", "cacerts", "csrattrs", "", "a/b", "..\x01" };
	struct label l = a_label();

	(void)state;
	assert_int_equal(label_valid(&l, NULL), 0);
	for (size_t i = 0; i < N_OF(bad); i++) {
		l = a_label();
		(void)snprintf(l.name, sizeof(l.name), "%s", bad[i]);
		assert_int_equal(label_valid(&l, NULL), E_USAGE);
	}
}

static void
a_label_that_takes_secrets_names_their_header(void **state)
{
	struct label l = a_label();

	(void)state;
	assert_int_equal(label_set(&l, "accept", "secret", NULL), 0);
	assert_int_equal(label_valid(&l, NULL), E_USAGE);
	assert_int_equal(label_set(&l, "secret_header", "X-S", NULL), 0);
	assert_int_equal(label_valid(&l, NULL), 0);
}

static void
stored_text_with_an_unknown_key_is_refused(void **state)
{
	struct label l;

	(void)state;
	assert_true(label_from_text(&l, "pumps", "ca=x\nfuture=1\n", NULL) < 0);
	assert_true(label_from_text(&l, "pumps", "ca\n", NULL) < 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_nobody_set_lets_nobody_in),
		cmocka_unit_test(each_setting_is_the_same_after_text_and_back),
		cmocka_unit_test(a_value_that_means_nothing_is_refused_and_changes_nothing),
		cmocka_unit_test(a_label_is_not_named_like_an_operation),
		cmocka_unit_test(a_label_that_takes_secrets_names_their_header),
		cmocka_unit_test(stored_text_with_an_unknown_key_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
