/* SPDX-License-Identifier: Apache-2.0 */
/* codec/test_json.c - JSON in and out */
#include "core/codec/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void
a_document_comes_back_as_it_was(void **state)
{
	static const char *const docs[] = {
		"{}", "[]", "null", "true", "\"x\"", "-7", "{\"b\":1,\"a\":[1,2.5,null,{\"c\":\"\xc3\xbc\"}]}",
		"9223372036854775807",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(docs); i++) {
		AUTO_JSON v = NULL;
		AUTO_BUF out = { 0 };

		assert_int_equal(json_parse(&v, bytes_of(docs[i]), NULL), 0);
		json_print(&out, v, false);
		assert_string_equal(buf_str(&out), docs[i]);
	}
}

static void
malformed_json_is_refused_with_its_place(void **state)
{
	static const char *const bad[] = {
		"", " ", "{", "{}}", "{} {}", "[1,]", "{\"a\":1,}", "{a:1}", "'x'", "01", "1.", ".5", "+1", "NaN",
		"tru", "\"\t\"", "\"\\x\"", "\"\\ud800\"", "\"\\u0000\"", "\"\xff\"", "\"\xc0\x80\"",
		"{\"a\":1,\"a\":2}", "{\"x\":{\"a\":1,\"a\":1}}", "[1] //", "\xef\xbb\xbf{}", "9223372036854775808",
	};
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		json_t *v = NULL;

		e.msg[0] = 0;
		assert_int_equal(json_parse(&v, bytes_of(bad[i]), &e), E_FORMAT);
		assert_memory_equal(e.msg, "json:", 5);
		assert_null(v);
	}
	assert_int_equal(json_parse(&(json_t *){ NULL }, bytes_of("{\"a\":\n  x}"), &e), E_FORMAT);
	assert_memory_equal(e.msg, "json:2:3: ", 10);
	assert_int_equal(json_parse(&(json_t *){ NULL }, (struct bytes){ NULL, 0 }, &e), E_FORMAT);
}

static void
a_refusal_does_not_repeat_what_it_read(void **state)
{
	struct err e = { 0 };
	json_t *v = NULL;

	(void)state;
	assert_int_equal(json_parse(&v, bytes_of("{\"password\":\"hunter2\" \"hunter3\"}"), &e), E_FORMAT);
	assert_null(strstr(e.msg, "hunter"));
}

static void
deep_nesting_is_refused_not_followed(void **state)
{
	char deep[20001];
	json_t *v = NULL;

	(void)state;
	memset(deep, '[', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = 0;
	assert_int_equal(json_parse(&v, bytes_of(deep), NULL), E_FORMAT);
}

static void
members_have_defaults_when_absent_or_of_another_type(void **state)
{
	AUTO_JSON v = NULL;

	(void)state;
	assert_int_equal(json_parse(&v, bytes_of("{\"s\":\"x\",\"i\":-3,\"b\":true,\"n\":null}"), NULL), 0);
	assert_string_equal(json_str(v, "s", "d"), "x");
	assert_string_equal(json_str(v, "i", "d"), "d");
	assert_null(json_str(v, "none", NULL));
	assert_true(json_int(v, "i", 9) == -3);
	assert_true(json_int(v, "s", 9) == 9);
	assert_true(json_flag(v, "b", false));
	assert_true(json_flag(v, "n", true));
	assert_false(json_flag(v, "none", false));
	assert_string_equal(json_str(NULL, "s", "d"), "d");
}

static void
text_set_by_format_is_always_valid_json(void **state)
{
	AUTO_JSON v = json_object();
	AUTO_JSON back = NULL;
	AUTO_BUF out = { 0 };

	(void)state;
	json_setf(v, "a", "%d \"q\"\n", 7);
	json_setf(v, "b", "bad \xff octet");
	json_setf(v, "c", "\xc3\xbc");
	json_setf(v, "c", "again");
	json_print(&out, v, false);
	assert_string_equal(buf_str(&out), "{\"a\":\"7 \\\"q\\\"\\n\",\"b\":\"bad \\\\xff octet\",\"c\":\"again\"}");
	assert_int_equal(json_parse(&back, bytes_of_buf(&out), NULL), 0);
}

static void
pretty_print_is_indented_and_appended(void **state)
{
	AUTO_JSON v = NULL;
	AUTO_BUF out = { 0 };

	(void)state;
	assert_int_equal(json_parse(&v, bytes_of("{\"a\":[1]}"), NULL), 0);
	buf_put_str(&out, "x ");
	json_print(&out, v, true);
	assert_string_equal(buf_str(&out), "x {\n  \"a\": [\n    1\n  ]\n}");
}

static void
printing_keeps_the_ceiling_of_the_buffer(void **state)
{
	AUTO_JSON v = NULL;
	AUTO_BUF out = BUF_MAX(4);

	(void)state;
	assert_int_equal(json_parse(&v, bytes_of("[1,2,3]"), NULL), 0);
	json_print(&out, v, false);
	assert_int_equal(buf_check(&out, "answer", NULL), E_TOOBIG);
}

static void
depth_is_bounded_where_it_is_asked_for_and_strings_do_not_count(void **state)
{
	static const struct { const char *text; int want; } rows[] = {
		{ "{\"a\":[1]}", 0 }, { "{\"a\":[{}]}", E_FORMAT }, { "[[[", E_FORMAT }, { "[[]", E_FORMAT }, { "\"[[[[\"", 0 },
		{ "[\"\\\"[[[\"]", 0 }, { "[\"\\\\\",[[]]]", E_FORMAT }, { "[[],[],[],[]]", 0 }, { "]]]]", E_FORMAT }, { "7", 0 },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		AUTO_JSON v = NULL;

		assert_int_equal(json_parse_within(&v, bytes_of(rows[i].text), 2, NULL), rows[i].want);
	}
}

static void
octets_become_base64_in_one_line(void **state)
{
	AUTO_JSON v = json_base64((struct bytes){ (const uint8_t *)"\0\xff" "0123456789012345678901234567890123456789012345678901234567", 60 });
	AUTO_JSON none = json_base64((struct bytes){ 0 });

	(void)state;
	assert_string_equal(json_string_value(v), "AP8wMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3");
	assert_string_equal(json_string_value(none), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_document_comes_back_as_it_was),
		cmocka_unit_test(malformed_json_is_refused_with_its_place),
		cmocka_unit_test(a_refusal_does_not_repeat_what_it_read),
		cmocka_unit_test(deep_nesting_is_refused_not_followed),
		cmocka_unit_test(depth_is_bounded_where_it_is_asked_for_and_strings_do_not_count),
		cmocka_unit_test(members_have_defaults_when_absent_or_of_another_type),
		cmocka_unit_test(text_set_by_format_is_always_valid_json),
		cmocka_unit_test(pretty_print_is_indented_and_appended),
		cmocka_unit_test(octets_become_base64_in_one_line),
		cmocka_unit_test(printing_keeps_the_ceiling_of_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
