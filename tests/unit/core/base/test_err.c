/* SPDX-License-Identifier: Apache-2.0 */
/* base/test_err.c - errors as values, and what their codes mean outside */
#include "core/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

static void
an_error_is_its_code_and_one_line(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(err_set(&e, E_POLICY, "csr: %s", "no"), E_POLICY);
	assert_int_equal(e.code, E_POLICY);
	assert_string_equal(e.msg, "csr: no");
	assert_int_equal(err_set(NULL, E_AUTH, "nobody listens"), E_AUTH);
}

static void
the_system_s_reason_follows_and_errno_is_kept(void **state)
{
	struct err e = { 0 };

	(void)state;
	errno = ENOENT;
	assert_int_equal(err_errno(&e, E_IO, "%s", "/a/b"), E_IO);
	assert_string_equal(e.msg, "/a/b: No such file or directory");
	assert_int_equal(errno, ENOENT);
}

static void
a_prefix_goes_in_front_and_keeps_the_code(void **state)
{
	struct err e = { 0 };

	(void)state;
	(void)err_set(&e, E_FORMAT, "line 3");
	assert_int_equal(err_prefix(&e, E_IO, "file %d", 7), E_FORMAT);
	assert_string_equal(e.msg, "file 7: line 3");
	assert_int_equal(err_prefix(NULL, E_IO, "x"), E_IO);
}

static void
a_message_that_fits_behind_its_prefix_is_not_cut(void **state)
{
	struct err e = { 0 };
	char text[301];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	(void)err_set(&e, E_FORMAT, "%s", text);
	(void)err_prefix(&e, E_FORMAT, "file");
	assert_int_equal(strncmp(e.msg, "file: ", 6), 0);
	assert_string_equal(e.msg + 6, text);
}

static void
long_messages_are_cut_not_overrun(void **state)
{
	struct err e = { 0 };
	char text[1000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	(void)err_set(&e, E_FORMAT, "%s", text);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	(void)err_prefix(&e, E_FORMAT, "%s", text);
	assert_true(strlen(e.msg) < sizeof(e.msg));
	errno = EIO;
	(void)err_errno(&e, E_IO, "%s", text);
	assert_non_null(strstr(e.msg, "x: Input/output error"));
}

static void
every_code_has_a_row_of_its_own(void **state)
{
	(void)state;
	for (int code = E_OK; code >= E_USAGE; code--) {
		const struct err_row *r = err_row((enum err_code)code);

		assert_int_equal(r->code, code);
		assert_in_range(r->http_status, 200, 599);
		assert_in_range(r->exit_status, 0, 125);
		assert_int_equal(code == E_OK, r->exit_status == 0);
		for (int other = E_OK; other > code; other--)
			assert_string_not_equal(r->name, err_row((enum err_code)other)->name);
	}
}

static void
an_unknown_code_counts_as_io(void **state)
{
	(void)state;
	assert_int_equal(err_row((enum err_code)-99)->code, E_IO);
	assert_int_equal(err_row((enum err_code)1)->code, E_IO);
}

static void
only_what_may_pass_by_itself_is_worth_a_retry(void **state)
{
	(void)state;
	assert_true(err_row(E_UNAVAIL)->retry);
	assert_true(err_row(E_PENDING)->retry);
	assert_false(err_row(E_POLICY)->retry);
	assert_false(err_row(E_FORMAT)->retry);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_is_its_code_and_one_line),
		cmocka_unit_test(the_system_s_reason_follows_and_errno_is_kept),
		cmocka_unit_test(a_prefix_goes_in_front_and_keeps_the_code),
		cmocka_unit_test(a_message_that_fits_behind_its_prefix_is_not_cut),
		cmocka_unit_test(long_messages_are_cut_not_overrun),
		cmocka_unit_test(every_code_has_a_row_of_its_own),
		cmocka_unit_test(an_unknown_code_counts_as_io),
		cmocka_unit_test(only_what_may_pass_by_itself_is_worth_a_retry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
