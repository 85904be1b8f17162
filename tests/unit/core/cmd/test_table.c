/* SPDX-License-Identifier: Apache-2.0 */
/* core/cmd/test_table.c - alignment, widths, truncation, colour, and what must not reach a terminal */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/cmd/table.h"
#include "tests/unit/core/cmd/capture.h"

static const struct column columns[] = {
	{ "NAME" }, { "STATE", NULL, COL_STATE }, { "NOT AFTER", NULL, COL_TIME }, { "TEXT" }, { .title = NULL },
};

static json_t *
parsed(const char *text)
{
	json_t *v = NULL;
	struct err e;

	assert_int_equal(json_parse(&v, bytes_of(text), &e), 0);
	return v;
}

static void
printed(const char *items, bool tty, unsigned width, const char *wanted)
{
	struct capture x;
	AUTO_JSON v = parsed(items);

	capture_open(&x, NULL);
	x.c.tty = x.c.colour = tty;
	x.c.width = width;
	table_print(&x.c, columns, v);
	assert_string_equal(capture_out(&x), wanted);
	capture_close(&x);
}

static void
columns_are_aligned_under_their_titles(void **state)
{
	(void)state;
	printed("[{\"name\":\"pump-7\",\"state\":\"active\",\"not_after\":1000000000,\"text\":\"x\"},"
	    "{\"name\":\"p\",\"state\":\"expected\"}]", false, 20,
	    "NAME    STATE     NOT AFTER             TEXT\n"
	    "pump-7  active    2001-09-09T01:46:40Z  x\n"
	    "p       expected  -                     -\n");
}

static void
wide_and_combining_characters_keep_the_columns(void **state)
{
	(void)state;
	assert_int_equal(table_width("pümp"), 4);
	assert_int_equal(table_width("ポンプ"), 6);
	assert_int_equal(table_width("e\xcc\x81"), 1);
	printed("[{\"name\":\"ポ\",\"state\":\"a\",\"text\":\"1\"},{\"name\":\"abcd\",\"state\":\"b\",\"text\":\"2\"}]", false, 0,
	    "NAME  STATE  NOT AFTER  TEXT\n"
	    "ポ    a      -          1\n"
	    "abcd  b      -          2\n");
}

static void
a_terminal_cuts_the_widest_column(void **state)
{
	(void)state;
	printed("[{\"name\":\"a\",\"state\":\"x\",\"text\":\"0123456789012345678901234567890123456789\"}]", true, 40,
	    "NAME  STATE  NOT AFTER  TEXT\n"
	    "a     x      -          012345678901234…\n");
}

/* What is copied from one table is pasted into the next command. */
static void
what_the_next_command_takes_is_never_cut(void **state)
{
	static const struct column ids[] = {
		{ "SERIAL", NULL, COL_SERIAL }, { "REQUEST", NULL, COL_ID }, { "TEXT" }, { .title = NULL },
	};
	struct capture x;
	AUTO_JSON v = parsed("[{\"serial\":\"54acc76b530d0123456789abcdef0123\",\"request\":\"r0a1b2c3d4e5f60718\","
	    "\"text\":\"012345678901234\"}]");
	AUTO_JSON named = parsed("[{\"name\":\"a-device-with-a-long-name\",\"state\":\"x\",\"text\":\"0123456789\"}]");

	(void)state;
	capture_open(&x, NULL);
	x.c.tty = true;
	x.c.width = 30;
	table_print(&x.c, ids, v);
	table_print(&x.c, columns, named);
	assert_string_equal(capture_out(&x),
	    "SERIAL        REQUEST             TEXT\n"
	    "54acc76b530d  r0a1b2c3d4e5f60718  012345…\n"
	    "NAME                       STATE  NOT AFTER  TEXT\n"
	    "a-device-with-a-long-name  x      -          012345…\n");
	capture_close(&x);
}

static void
states_have_colour_on_a_terminal_alone(void **state)
{
	(void)state;
	printed("[{\"name\":\"a\",\"state\":\"revoked\",\"text\":\"t\"}]", true, 80,
	    "NAME  STATE    NOT AFTER  TEXT\n"
	    "a     \033[31mrevoked\033[0m  -          t\n");
	printed("[{\"name\":\"a\",\"state\":\"revoked\",\"text\":\"t\"}]", false, 80,
	    "NAME  STATE    NOT AFTER  TEXT\n"
	    "a     revoked  -          t\n");
}

static void
nothing_from_outside_reaches_the_terminal_as_it_is(void **state)
{
	(void)state;
	printed("[{\"name\":\"\\u001b[2J\",\"state\":\"\\u202e\",\"text\":\"a\\nb\"}]", false, 0,
	    "NAME     STATE         NOT AFTER  TEXT\n"
	    "\\x1b[2J  \\xe2\\x80\\xae  -          a\\x0ab\n");
	printed("[{\"name\":{\"a\":\"\xe2\x80\xaeX\xc2\x9b\"}}]", false, 0,
	    "NAME                           STATE  NOT AFTER  TEXT\n"
	    "{\"a\":\"\\xe2\\x80\\xaeX\\xc2\\x9b\"}  -      -          -\n");
}

static void
an_empty_list_prints_no_table(void **state)
{
	struct capture x;
	AUTO_JSON v = parsed("[]");

	(void)state;
	capture_open(&x, NULL);
	table_print(&x.c, columns, v);
	assert_string_equal(capture_err(&x), "none\n");
	assert_string_equal(capture_out(&x), "");
	capture_close(&x);
}

static void
an_object_is_a_line_a_member_without_pem(void **state)
{
	struct capture x;
	AUTO_JSON v = parsed("{\"name\":\"root\",\"not_after\":1000000000,\"created_at\":0,\"lifetime\":\"90d\",\"keys\":[\"a\",\"b\"],"
	    "\"crl_number\":3,\"enabled\":true,\"none\":[],\"pem\":\"-----BEGIN CERTIFICATE-----\\n\"}");

	(void)state;
	capture_open(&x, NULL);
	table_print_object(&x.c, v);
	assert_string_equal(capture_out(&x),
	    "name             root\n"
	    "not after        2001-09-09T01:46:40Z\n"
	    "created at       -\n"
	    "lifetime         90d\n"
	    "keys             a, b\n"
	    "crl number       3\n"
	    "enabled          yes\n"
	    "none             -\n");
	capture_close(&x);
}

static void
lived(int64_t from, int64_t to, int64_t now, const char *wanted)
{
	struct capture x;

	capture_open(&x, NULL);
	table_life(&x.c, from, to, now);
	assert_string_equal(capture_out(&x), wanted);
	capture_close(&x);
}

static void
a_life_is_a_bar_between_nothing_and_all_of_it(void **state)
{
	(void)state;
	lived(100, 200, 125, "  [█████░░░░░░░░░░░░░░░] 25%");
	lived(100, 200, 99, "  [░░░░░░░░░░░░░░░░░░░░] 0%");
	lived(100, 200, 999, "  [████████████████████] 100%");
	lived(200, 200, 200, "");
	lived(200, 100, 150, "");
	lived(INT64_MIN, INT64_MAX, 0, "");
	lived(0, INT64_MAX, 1, "");
}

static void
a_member_that_is_absent_has_no_line(void **state)
{
	struct capture x;
	AUTO_JSON v = parsed("{\"issuer\":\"\\u001b[2J\",\"empty\":\"\",\"not_after\":1000000000}");

	(void)state;
	capture_open(&x, NULL);
	table_member(&x.c, "issuer", v, "issuer", COL_TEXT);
	table_member(&x.c, "empty", v, "empty", COL_TEXT);
	table_member(&x.c, "none", v, "none", COL_TIME);
	table_member(&x.c, "until", v, "not_after", COL_TIME);
	assert_string_equal(capture_out(&x), "issuer           \\x1b[2J\nuntil            2001-09-09T01:46:40Z\n");
	capture_close(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_aligned_under_their_titles),
		cmocka_unit_test(wide_and_combining_characters_keep_the_columns),
		cmocka_unit_test(a_terminal_cuts_the_widest_column),
		cmocka_unit_test(what_the_next_command_takes_is_never_cut),
		cmocka_unit_test(states_have_colour_on_a_terminal_alone),
		cmocka_unit_test(nothing_from_outside_reaches_the_terminal_as_it_is),
		cmocka_unit_test(an_empty_list_prints_no_table),
		cmocka_unit_test(an_object_is_a_line_a_member_without_pem),
		cmocka_unit_test(a_life_is_a_bar_between_nothing_and_all_of_it),
		cmocka_unit_test(a_member_that_is_absent_has_no_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
