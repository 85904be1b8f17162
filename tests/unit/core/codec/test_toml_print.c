/* SPDX-License-Identifier: Apache-2.0 */
/* codec/test_toml_print.c - what is printed is TOML, says the same, and looks as expected */
#include "core/codec/toml_print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void
keys_are_bare_where_they_may_be_and_quoted_otherwise(void **state)
{
	AUTO_BUF out = { 0 };

	(void)state;
	toml_print_int(&out, "bare_Key-1", 1);
	toml_print_int(&out, "a.b", 2);
	toml_print_int(&out, "", 3);
	toml_print_bool(&out, "t", true);
	toml_print_str(&out, "absent", NULL);
	assert_string_equal(buf_str(&out), "bare_Key-1 = 1\n\"a.b\" = 2\n\"\" = 3\nt = true\n");
}

static void
strings_are_basic_and_come_back_as_they_were(void **state)
{
	static const char text[] = "quote \" slash \\ tab \t line \n bell \a del \x7f umlaut \xc3\xa4";
	AUTO_BUF out = { 0 };
	AUTO(toml) doc = NULL;
	struct err e;

	(void)state;
	toml_print_str(&out, "k", text);
	assert_string_equal(buf_str(&out),
	    "k = \"quote \\\" slash \\\\ tab \\t line \\n bell \\u0007 del \\u007F umlaut \xc3\xa4\"\n");
	assert_int_equal(toml_parse(&doc, "x", bytes_of_buf(&out), &e), 0);
	assert_string_equal(toml_string(toml_get(doc, "k")), text);
}

static void
headers_have_an_empty_line_before_them_but_not_at_the_beginning(void **state)
{
	static const char *const ids[] = { "a", "b c" };
	AUTO_BUF out = { 0 };

	(void)state;
	toml_print_table(&out, "first", NULL);
	toml_print_table(&out, "a", "b.c", "d", NULL);
	toml_print_strs(&out, "ids", ids, 2);
	toml_print_array_table(&out, "p", NULL);
	toml_print_strs(&out, "none", NULL, 0);
	assert_string_equal(buf_str(&out),
	    "[first]\n\n[a.\"b.c\".d]\nids = [\"a\", \"b c\"]\n\n[[p]]\nnone = []\n");
	buf_reset(&out);
	buf_put_str(&out, "# header\n\n");
	toml_print_table(&out, "t", NULL);
	assert_string_equal(buf_str(&out), "# header\n\n[t]\n");
}

static void
a_parsed_table_is_printed_sorted_with_tables_last(void **state)
{
	static const char in[] = "z = [1, 2]\nsub.y = 1.5\nsub.x = 2024-01-02\nonly.below = {}\na = true\n"
	    "mixed = [{ b = 1, a = [] }, 2]\n[[list]]\nq = \"1\"\n[[list]]\nin.w = inf\n";
	static const char want[] = "a = true\nmixed = [{ a = [], b = 1 }, 2]\nz = [1, 2]\n\n[[p.list]]\n"
	    "q = \"1\"\n\n[[p.list]]\n\n"
	    "[p.list.in]\nw = inf\n\n[p.only.below]\n\n[p.sub]\nx = 2024-01-02\ny = 1.5\n";
	AUTO_BUF out = { 0 };
	AUTO(toml) doc = NULL;
	struct err e;

	(void)state;
	assert_int_equal(toml_parse(&doc, "x", bytes_of(in), &e), 0);
	toml_print_members(&out, doc, "p");
	assert_string_equal(buf_str(&out), want);
}

static void
what_is_printed_of_a_document_parses_to_the_same_again(void **state)
{
	static const char in[] = "f = 0.1\ng = 1e300\nh = -0.0\ni = -9223372036854775808\nn = nan\n"
	    "t = { \"a b\" = [[], [{}]] }\n"
	    "[x.\"y.z\"]\nd = 1979-05-27T07:32:00Z\n";
	AUTO_BUF once = { 0 };
	AUTO_BUF twice = { 0 };
	AUTO(toml) a = NULL;
	AUTO(toml) b = NULL;
	struct err e;

	(void)state;
	assert_int_equal(toml_parse(&a, "x", bytes_of(in), &e), 0);
	toml_print_members(&once, a, "");
	assert_int_equal(toml_parse(&b, "x", bytes_of_buf(&once), &e), 0);
	toml_print_members(&twice, b, "");
	assert_string_equal(buf_str(&once), buf_str(&twice));
	assert_true(toml_float(toml_get(b, "f")) == 0.1 && toml_float(toml_get(b, "g")) == 1e300);
	assert_int_equal(toml_integer(toml_get(b, "i")), INT64_MIN);
	assert_non_null(strstr(buf_str(&once), "[x.\"y.z\"]\nd = 1979-05-27T07:32:00Z\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_bare_where_they_may_be_and_quoted_otherwise),
		cmocka_unit_test(strings_are_basic_and_come_back_as_they_were),
		cmocka_unit_test(headers_have_an_empty_line_before_them_but_not_at_the_beginning),
		cmocka_unit_test(a_parsed_table_is_printed_sorted_with_tables_last),
		cmocka_unit_test(what_is_printed_of_a_document_parses_to_the_same_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
