/* SPDX-License-Identifier: Apache-2.0 */
/* codec/test_media.c - media types and their parameters */
#include "core/codec/media.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
a_type_is_known_in_any_case_with_any_parameters(void **state)
{
	static const char *const good[] = {
		"application/pkcs10", "Application/PKCS10", " application/pkcs10 ", "application/pkcs10;",
		"application/pkcs10; charset=utf-8", "application/pkcs10;a=b;c=\"d;e=\\\"f\"",
		"application/pkcs10 ; a=b ; ; c=d", "application/pkcs10;a=\"\"",
		"application/pkcs10; smime-type=certs-only",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(good); i++)
		assert_true(media_is(good[i], "application/pkcs10"));
}

static void
another_or_a_malformed_type_is_not_it(void **state)
{
	static const char *const bad[] = {
		"", "application", "application/", "/pkcs10", "application/pkcs10foo", "application/pkcs1",
		"application /pkcs10", "application/ pkcs10", "application/pkcs10 foo", "application/pkcs10, text/plain",
		"application/pkcs10;a", "application/pkcs10;=b", "application/pkcs10;a=", "application/pkcs10;a =b",
		"application/pkcs10;a= b", "application/pkcs10;a=\"b", "application/pkcs10;a=\"b\\",
		"application/pkcs10;a=\"b\"c", "application/pkcs10;a=b c", "application/pkcs10;a=\"\x01\"",
		"application/pkcs10;a=\"\x7f\"", "*/*", "application/*",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_false(media_is(bad[i], "application/pkcs10"));
	assert_false(media_is(NULL, "application/pkcs10"));
}

static void
a_parameter_is_found_in_any_case_and_unquoted(void **state)
{
	char out[32];

	(void)state;
	assert_true(media_param("multipart/mixed; boundary=abc", "boundary", out, sizeof(out)));
	assert_string_equal(out, "abc");
	assert_true(media_param("multipart/mixed; x=y; Boundary=\"a \\\"b\\\\ ;c\"", "boundary", out, sizeof(out)));
	assert_string_equal(out, "a \"b\\ ;c");
	assert_true(media_param("a/b; c=\"\"", "c", out, sizeof(out)));
	assert_string_equal(out, "");
}

static void
an_absent_doubled_or_malformed_parameter_is_not_there(void **state)
{
	char out[4];

	(void)state;
	assert_false(media_param("a/b", "c", out, sizeof(out)));
	assert_false(media_param("a/b; cc=d", "c", out, sizeof(out)));
	assert_false(media_param("a/b; c=d; c=d", "c", out, sizeof(out)));
	assert_false(media_param("a/b; c=d; e", "c", out, sizeof(out)));
	assert_false(media_param("a; c=d", "c", out, sizeof(out)));
	assert_false(media_param(NULL, "c", out, sizeof(out)));
}

static void
a_value_that_does_not_fit_is_not_cut(void **state)
{
	char out[4] = "old";

	(void)state;
	assert_true(media_param("a/b; c=xyz", "c", out, sizeof(out)));
	assert_string_equal(out, "xyz");
	assert_false(media_param("a/b; c=wxyz", "c", out, sizeof(out)));
	assert_string_equal(out, "xyz");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_type_is_known_in_any_case_with_any_parameters),
		cmocka_unit_test(another_or_a_malformed_type_is_not_it),
		cmocka_unit_test(a_parameter_is_found_in_any_case_and_unquoted),
		cmocka_unit_test(an_absent_doubled_or_malformed_parameter_is_not_there),
		cmocka_unit_test(a_value_that_does_not_fit_is_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
