/* SPDX-License-Identifier: Apache-2.0 */
/* device/config/test_diff.c - differences are shown by lines with what stands around them, and no secret is */
#include "device/config/diff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
check(const char *old, const char *fresh, const char *want)
{
	AUTO_BUF out = { 0 };

	diff_lines(&out, bytes_of(old), bytes_of(fresh));
	assert_string_equal(buf_str(&out), want);
}

static void
equal_texts_differ_in_nothing(void **state)
{
	(void)state;
	check("", "", "");
	check("a\nb\n", "a\nb\n", "");
}

static void
lines_go_and_come_where_they_stand(void **state)
{
	(void)state;
	check("a\nb\nc\n", "a\nB\nc\n", "  a\n- b\n+ B\n  c\n");
	check("", "a\nb\n", "+ a\n+ b\n");
	check("a\n", "", "- a\n");
	check("a\nb\n", "a\nx\nb\n", "  a\n+ x\n  b\n");
	check("a", "a\nb", "  a\n+ b\n");
}

static void
what_is_far_from_a_change_is_left_out(void **state)
{
	(void)state;
	check("1\n2\n3\n4\n5\n6\n7\n8\n9\nx\n", "1\n2\n3\n4\n5\n6\n7\n8\n9\ny\n",
	    "  ...\n  7\n  8\n  9\n- x\n+ y\n");
	check("x\n1\n2\n3\n4\n5\n6\n7\n8\ny\n", "X\n1\n2\n3\n4\n5\n6\n7\n8\nY\n",
	    "- x\n+ X\n  1\n  2\n  3\n  ...\n  6\n  7\n  8\n- y\n+ Y\n");
}

static void
passwords_headers_and_pins_are_not_shown(void **state)
{
	(void)state;
	check("password = \"old\"\n", "password = \"new\"\n", "- password = \"***\"\n+ password = \"***\"\n");
	check("", "headers = [\"Secret-Value: s\"]\n", "+ headers = \"***\"\n");
	check("", "k = \"pkcs11:token=x?pin-value=1234\"\n", "+ k = \"pkcs11:token=x?pin-value=***\"\n");
	check("", "proxy = \"http://u:hush@p:8080\"\n", "+ proxy = \"***\"\n");
	check("", "proxy = \"http://p:8080\"\n", "+ proxy = \"http://p:8080\"\n");
	check("owner = \"old\"\n", "endorsement = \"new\"\n", "- owner = \"***\"\n+ endorsement = \"***\"\n");
	check("", "[agent.env]\nTOKEN = \"hush\"\n[agent.config]\nimage = \"i\"\n",
	    "+ [agent.env]\n+ TOKEN = \"***\"\n+ [agent.config]\n+ image = \"i\"\n");
}

static void
nothing_in_it_can_harm_a_terminal(void **state)
{
	(void)state;
	check("", "a\x1b[31m\n", "+ a\\x1b[31m\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_texts_differ_in_nothing),
		cmocka_unit_test(lines_go_and_come_where_they_stand),
		cmocka_unit_test(what_is_far_from_a_change_is_left_out),
		cmocka_unit_test(passwords_headers_and_pins_are_not_shown),
		cmocka_unit_test(nothing_in_it_can_harm_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
