/* SPDX-License-Identifier: Apache-2.0 */
/* net/test_answer.c - the head of an answer */
#include "core/net/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void
a_head_begins_with_its_status_and_date(void **state)
{
	static const struct { unsigned status; bool v10; int64_t now; const char *head; } cases[] = {
		{ 200, false, 784111777, "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" },
		{ 404, true, 784111777, "HTTP/1.0 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" },
		{ 599, false, 0, "HTTP/1.1 599 \r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n" },
		{ 503, false, 951782400, "HTTP/1.1 503 Service Unavailable\r\nDate: Tue, 29 Feb 2000 00:00:00 GMT\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_BUF b = { 0 };

		answer_begin(&b, cases[i].status, cases[i].v10, cases[i].now);
		assert_string_equal(buf_str(&b), cases[i].head);
	}
}

static void
a_field_is_written_whole_or_not_at_all(void **state)
{
	static const char *const names[] = { "", "A B", "A:", "A\r\nB", "A\n", "\xc3\xa4" },
	    *const values[] = { "a\r\nB: c", "a\n", "\r", "a\tb", "a\x7f", "\x01", " a", "a " };
	AUTO_BUF b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_false(answer_field(&b, names[i], "x"));
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		assert_false(answer_field(&b, "X-A", values[i]));
	assert_int_equal(b.n, 0);
	assert_true(answer_field(&b, "X-Text", "a b: c, \"d\" \xc3\xa4"));
	assert_true(answer_field(&b, "ETag", ""));
	assert_string_equal(buf_str(&b), "X-Text: a b: c, \"d\" \xc3\xa4\r\nETag: \r\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_head_begins_with_its_status_and_date),
		cmocka_unit_test(a_field_is_written_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
