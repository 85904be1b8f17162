/* SPDX-License-Identifier: Apache-2.0 */
/* codec/test_media.c - media types, whatever their parameters */
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_type_is_known_in_any_case_with_any_parameters),
		cmocka_unit_test(another_or_a_malformed_type_is_not_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
