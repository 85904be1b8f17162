/* SPDX-License-Identifier: Apache-2.0 */
/* core/cmd/test_verb.c - the tables of verbs, and command lines against them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/cmd/help.h"
#include "core/base/text.h"
#include "tests/unit/core/cmd/capture.h"
#include "tests/unit/core/cmd/toy.h"
#include "tests/unit/core/cmd/whole.h"

static void
the_tables_of_a_program_are_walked_group_by_group(void **state)
{
	(void)state;
	assert_int_equal(whole_program(&toy_program), 3);
	assert_null(verb_find(&toy_program, NULL, "make"));
	assert_null(verb_find(&toy_program, "key", "status"));
	assert_false(verb_is_group(&toy_program, "status"));
}

static void
options_and_arguments_may_stand_in_any_order(void **state)
{
	struct capture x;
	struct words w;
	bool help;
	struct err e;

	(void)state;
	capture_open(&x, &toy_program);
	assert_int_equal(capture_parse(&x, &w, toy_make, "make one --profile=p two -n 7 --json three --active yes -a", &help, &e), 0);
	assert_false(help);
	assert_true(x.c.json);
	assert_string_equal(cli_text(&x.c, "profile"), "p");
	assert_string_equal(cli_text(&x.c, "name"), "one");
	assert_int_equal(cli_count(&x.c, "rest"), 2);
	assert_string_equal(cli_at(&x.c, "rest", 1), "three");
	assert_int_equal(cli_number(&x.c, "limit", 0), 7);
	assert_true(cli_flag(&x.c, "active"));
	assert_true(cli_flag(&x.c, "all"));
	capture_close(&x);
}

static void
what_was_not_given_has_its_default(void **state)
{
	struct capture x;
	struct words w;
	bool help;
	struct err e;

	(void)state;
	capture_open(&x, &toy_program);
	assert_int_equal(capture_parse(&x, &w, toy_make, "make one -p p --active no", &help, &e), 0);
	assert_false(cli_flag(&x.c, "active"));
	assert_true(cli_has(&x.c, "active"));
	assert_false(cli_has(&x.c, "limit"));
	assert_int_equal(cli_number(&x.c, "limit", -5), -5);
	assert_null(cli_text(&x.c, "accept"));
	assert_string_equal(cli_text_or(&x.c, "accept", "own"), "own");
	assert_int_equal(cli_count(&x.c, "accept"), 0);
	capture_close(&x);
}

static void
lists_split_at_commas_and_others_do_not(void **state)
{
	struct capture x;
	struct words w;
	bool help;
	struct err e;

	(void)state;
	capture_open(&x, &toy_program);
	assert_int_equal(capture_parse(&x, &w, toy_make, "make one -p a,b --accept own,code --accept own --header a,b", &help, &e), 0);
	assert_int_equal(cli_count(&x.c, "accept"), 3);
	assert_string_equal(cli_at(&x.c, "accept", 1), "code");
	assert_string_equal(cli_text(&x.c, "profile"), "a,b");
	assert_int_equal(cli_count(&x.c, "header"), 1);
	capture_close(&x);
}

static void
a_wrong_line_is_refused_and_says_what_is_wrong(void **state)
{
	static const struct { const char *line, *said; } wrong[] = {
		{ "make one -p p --acept own", "did you mean --accept?" },
		{ "make one -p p --zzzzzzzzz", "--zzzzzzzzz: no such option" },
		{ "make one -p p --zzz=secret", "--zzz: no such option" },
		{ "make one -p p -z", "-z: no such option" },
		{ "make one -p", "needs an argument" },
		{ "make one --profile", "needs an argument" },
		{ "make one -p p --all=yes", "takes no argument" },
		{ "make one", "--profile is missing" },
		{ "make -p p", "NAME is missing" },
		{ "make one -p p -p q", "profile: given twice" },
		{ "make one -p p -n seven", "limit: 'seven' is not a number" },
		{ "make one -p p -n 99999999999", "limit: '99999999999' is more than 2147483647" },
		{ "make one -p p --active maybe", "'maybe' is not one of yes|no" },
		{ "make one -p p --accept own,ow", "'ow' is not one of own|code" },
		{ "make one -p p\033[2J", "not printable" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(wrong); i++) {
		struct capture x;
		struct words w;
		bool help;
		struct err e = { 0 };

		capture_open(&x, &toy_program);
		assert_int_equal(capture_parse(&x, &w, toy_make, wrong[i].line, &help, &e), E_USAGE);
		assert_non_null(strstr(e.msg, wrong[i].said));
		assert_int_equal(cli_fail(&x.c, &e, NULL), 64);
		capture_close(&x);
	}
}

static void
one_argument_too_many_is_refused(void **state)
{
	struct capture x;
	struct words w;
	bool help;
	struct err e;

	(void)state;
	capture_open(&x, &toy_program);
	assert_int_equal(capture_parse(&x, &w, verb_find(&toy_program, "key", "list"), "list root issuing", &help, &e), E_USAGE);
	assert_non_null(strstr(e.msg, "issuing: one argument too many"));
	capture_close(&x);
}

static void
help_asks_for_nothing_else(void **state)
{
	struct capture x;
	struct words w;
	bool help;
	struct err e;

	(void)state;
	capture_open(&x, &toy_program);
	assert_int_equal(capture_parse(&x, &w, toy_make, "make --help", &help, &e), 0);
	assert_true(help);
	capture_close(&x);
}

static void
a_misspelt_verb_finds_its_neighbour(void **state)
{
	char near[64];

	(void)state;
	assert_string_equal(verb_near(&toy_program, "key", "lst", near, sizeof(near)), "key list");
	assert_string_equal(verb_near(&toy_program, "kye", "make", near, sizeof(near)), "key make");
	assert_string_equal(verb_near(&toy_program, NULL, "sttus", near, sizeof(near)), "status");
	assert_string_equal(verb_near_group(&toy_program, "kay"), "key");
	assert_null(verb_near(&toy_program, "key", "frobnicate", near, sizeof(near)));
	assert_null(verb_near_group(&toy_program, "frobnicate"));
}

static void
an_error_is_a_line_for_people_and_an_object_with_json(void **state)
{
	struct capture x;
	struct err e;
	AUTO_JSON v = NULL;

	(void)state;
	capture_open(&x, &toy_program);
	x.c.json = true;
	(void)err_set(&e, E_POLICY, "csr: CN 'x\033[2J' is another device's");
	assert_int_equal(cli_fail(&x.c, &e, "ask for your own"), 77);
	assert_string_equal(capture_err(&x),
	    "toy-box: csr: CN 'x\\x1b[2J' is another device's\nhint: ask for your own\n");
	assert_int_equal(json_parse(&v, bytes_of(capture_out(&x)), &e), 0);
	assert_string_equal(json_str(json_object_get(v, "error"), "code", ""), "policy");
	assert_string_equal(json_str(json_object_get(v, "error"), "hint", ""), "ask for your own");
	capture_close(&x);
}

static void
help_names_every_option_and_argument(void **state)
{
	struct capture x;
	const char *s;

	(void)state;
	capture_open(&x, &toy_program);
	help_verb(x.c.out, &toy_program, toy_make);
	s = capture_out(&x);
	assert_non_null(strstr(s, "Usage: toy-box key make --profile PROFILE [OPTION]... NAME [REST]..."));
	assert_non_null(strstr(s, "-p, --profile PROFILE"));
	assert_non_null(strstr(s, "(own|code)"));
	assert_non_null(strstr(s, "--json"));
	capture_close(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tables_of_a_program_are_walked_group_by_group),
		cmocka_unit_test(options_and_arguments_may_stand_in_any_order),
		cmocka_unit_test(what_was_not_given_has_its_default),
		cmocka_unit_test(lists_split_at_commas_and_others_do_not),
		cmocka_unit_test(a_wrong_line_is_refused_and_says_what_is_wrong),
		cmocka_unit_test(one_argument_too_many_is_refused),
		cmocka_unit_test(help_asks_for_nothing_else),
		cmocka_unit_test(a_misspelt_verb_finds_its_neighbour),
		cmocka_unit_test(an_error_is_a_line_for_people_and_an_object_with_json),
		cmocka_unit_test(help_names_every_option_and_argument),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
