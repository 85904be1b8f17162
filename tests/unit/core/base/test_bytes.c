/* SPDX-License-Identifier: Apache-2.0 */
/* base/test_bytes.c - borrowed octets and the bounded buffer */
#include "core/base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/base/mem.h"

static void
the_octets_of_a_string_end_before_its_nul(void **state)
{
	(void)state;
	assert_int_equal(bytes_of("abc").n, 3);
	assert_int_equal(bytes_of("").n, 0);
	assert_int_equal(bytes_of(NULL).n, 0);
}

static void
equal_means_same_length_and_same_octets(void **state)
{
	(void)state;
	assert_true(bytes_equal(bytes_of("ab"), bytes_of("ab")));
	assert_false(bytes_equal(bytes_of("ab"), bytes_of("abc")));
	assert_false(bytes_equal(bytes_of("ab"), bytes_of("ac")));
	assert_true(bytes_equal((struct bytes){ NULL, 0 }, bytes_of("")));
	assert_true(bytes_equal_str(bytes_of("x"), "x"));
	assert_false(bytes_equal_str(bytes_of("x"), ""));
}

static void
a_slice_never_leaves_its_run(void **state)
{
	struct bytes b = bytes_of("abcdef");

	(void)state;
	assert_true(bytes_equal_str(bytes_slice(b, 2, 3), "cde"));
	assert_true(bytes_equal_str(bytes_slice(b, 4, 99), "ef"));
	assert_true(bytes_equal_str(bytes_slice(b, 4, SIZE_MAX), "ef"));
	assert_int_equal(bytes_slice(b, 7, 1).n, 0);
	assert_int_equal(bytes_slice(b, SIZE_MAX, SIZE_MAX).n, 0);
}

static void
a_buffer_grows_by_pieces_of_any_kind(void **state)
{
	AUTO_BUF b = { 0 };
	char text[600];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	buf_put_str(&b, "a");
	buf_put_u8(&b, 'b');
	buf_put(&b, "cd", 2);
	buf_put_bytes(&b, bytes_of("ef"));
	buf_put(&b, NULL, 0);
	buf_printf(&b, "%d", 42);
	assert_string_equal(buf_str(&b), "abcdef42");
	buf_printf(&b, "%s", text);
	assert_int_equal(b.n, 8 + 599);
	assert_int_equal(buf_check(&b, "b", NULL), 0);
}

static void
nothing_is_stored_over_the_ceiling(void **state)
{
	AUTO_BUF b = BUF_MAX(4);
	struct err e = { 0 };

	(void)state;
	buf_put_str(&b, "abcd");
	assert_int_equal(buf_check(&b, "b", &e), 0);
	buf_put_u8(&b, 'e');
	assert_string_equal(buf_str(&b), "abcd");
	assert_int_equal(buf_check(&b, "answer", &e), E_TOOBIG);
	assert_string_equal(e.msg, "answer: over its limit of 4 octets");
}

static void
once_over_the_ceiling_smaller_pieces_are_not_stored_either(void **state)
{
	AUTO_BUF b = BUF_MAX(4);

	(void)state;
	buf_put_str(&b, "ab");
	buf_printf(&b, "%s", "cdef");
	buf_put_u8(&b, 'c');
	assert_string_equal(buf_str(&b), "ab");
	assert_true(b.over);
	buf_reset(&b);
	buf_put_str(&b, "wxyz");
	assert_string_equal(buf_str(&b), "wxyz");
	assert_int_equal(buf_check(&b, "b", NULL), 0);
}

static void
a_length_near_size_max_does_not_wrap(void **state)
{
	AUTO_BUF b = { 0 };

	(void)state;
	buf_put_u8(&b, 'a');
	buf_put(&b, "", SIZE_MAX);
	assert_int_equal(b.n, 1);
	assert_true(b.over);
}

static void
a_taken_string_leaves_the_buffer_empty_with_its_ceiling(void **state)
{
	AUTO_BUF b = BUF_MAX(10);
	char *s;

	(void)state;
	buf_put_str(&b, "abc");
	s = buf_take_str(&b);
	assert_string_equal(s, "abc");
	mem_free(s);
	assert_int_equal(b.n, 0);
	assert_int_equal(b.max, 10);
	assert_string_equal(buf_str(&b), "");
}

static void
an_empty_buffer_reads_as_an_empty_string(void **state)
{
	struct buf b = { 0 };

	(void)state;
	assert_string_equal(buf_str(&b), "");
	assert_int_equal(bytes_of_buf(&b).n, 0);
	buf_free(&b);
	buf_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_octets_of_a_string_end_before_its_nul),
		cmocka_unit_test(equal_means_same_length_and_same_octets),
		cmocka_unit_test(a_slice_never_leaves_its_run),
		cmocka_unit_test(a_buffer_grows_by_pieces_of_any_kind),
		cmocka_unit_test(nothing_is_stored_over_the_ceiling),
		cmocka_unit_test(once_over_the_ceiling_smaller_pieces_are_not_stored_either),
		cmocka_unit_test(a_length_near_size_max_does_not_wrap),
		cmocka_unit_test(a_taken_string_leaves_the_buffer_empty_with_its_ceiling),
		cmocka_unit_test(an_empty_buffer_reads_as_an_empty_string),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
