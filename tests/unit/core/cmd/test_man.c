/* SPDX-License-Identifier: Apache-2.0 */
/* core/cmd/test_man.c - man pages and completion, from the same tables */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/cmd/help.h"
#include "core/cmd/man.h"
#include "tests/unit/core/cmd/capture.h"
#include "tests/unit/core/cmd/toy.h"

static const struct opt opts[] = {
	{ .name = "san-dns", .letter = 'd', .kind = OPT_LIST, .arg = "NAME", .help = "A back\\slash", .words = "none|any" },
	{ .name = NULL },
};
static const struct verb hostile = {
	.group = "try", .name = "it", .help = "Try it", .opts = opts,
	.text = ".Leading dot\n'and quote\n\nSecond -- paragraph",
};

static void
text_is_never_taken_for_a_request(void **state)
{
	AUTO_BUF out = { 0 };
	const char *s;

	(void)state;
	man_verb(&out, &toy_program, &hostile);
	s = buf_str(&out);
	assert_non_null(strstr(s, ".TH \"toy\\-box\\-try\\-it\" 1"));
	assert_non_null(strstr(s, "\n\\&.Leading dot\n\\&'and quote\n.PP\nSecond \\-\\- paragraph\n"));
	assert_non_null(strstr(s, "\\fB\\-d\\fR, \\fB\\-\\-san\\-dns\\fR \\fINAME\\fR\nA back\\eslash.\nOne of none, any.\n"));
}

static void
the_overview_has_the_program_its_verbs_and_its_own_sections(void **state)
{
	AUTO_BUF out = { 0 };
	const char *s;

	(void)state;
	man_overview(&out, &toy_program);
	s = buf_str(&out);
	assert_non_null(strstr(s, ".TH \"toy\\-box\" 1 \"\" \"Estuary 1.2.3\""));
	assert_non_null(strstr(s, ".SH NAME\ntoy\\-box \\- a box of toys\n"));
	assert_non_null(strstr(s, ".SH DESCRIPTION\nIt is a box.\n.SH VERBS\n"));
	assert_non_null(strstr(s, ".B status\nHow it is, see\n.BR \\%toy\\-box\\-status (1).\n"));
	assert_non_null(strstr(s, ".BR \\%toy\\-box\\-key\\-make (1).\n"));
	assert_non_null(strstr(s, ".SH EXIT STATUS\n"));
	assert_non_null(strstr(s, ".SH FILES\n.TP\n.I /etc/toy\\-box\n"));
}

static void
every_exit_status_of_an_error_is_said_once_and_in_words(void **state)
{
	AUTO_BUF out = { 0 };
	char row[16];
	const char *at;

	(void)state;
	man_exit_status(&out);
	assert_non_null(strstr(buf_str(&out), ".TP\n0\nIt was done.\n"));
	for (int code = -1; err_row((enum err_code)code)->code == (enum err_code)code; code--) {
		int status = err_row((enum err_code)code)->exit_status;

		assert_non_null(man_status(status));
		(void)snprintf(row, sizeof(row), ".TP\n%d\n", status);
		at = strstr(buf_str(&out), row);
		assert_non_null(at);
		assert_null(strstr(at + 1, row));
	}
	assert_null(man_status(1));
}

static void
a_long_list_of_choices_is_cut_behind_a_bar(void **state)
{
	static const struct opt choices[] = {
		{ .name = "kind", .kind = OPT_TEXT, .arg = "KIND", .help = "Which",
		  .words = "aaaaaaaaaaaaaaaa|bbbbbbbbbbbbbbbb|cccccccccccccccc|dddddddddddddddd" },
		{ .name = NULL },
	};
	static const struct verb long_one = { .name = "it", .help = "Try it", .opts = choices };
	struct capture x;

	(void)state;
	capture_open(&x, &toy_program);
	help_verb(x.c.out, &toy_program, &long_one);
	assert_non_null(strstr(capture_out(&x), "  --kind KIND         Which\n"
	    "                          (aaaaaaaaaaaaaaaa|bbbbbbbbbbbbbbbb|cccccccccccccccc|\n"
	    "                          dddddddddddddddd)\n"));
	capture_close(&x);
}

static void
a_verb_without_results_has_no_json(void **state)
{
	static const struct verb log = { .name = "log", .help = "Show it", .no_json = true };
	struct cli c = { .program = &toy_program };
	char word[] = "log", json[] = "--json", *argv[] = { word, json, NULL };
	bool help;
	struct err e;

	(void)state;
	assert_null(verb_find_opt(&log, "json"));
	assert_non_null(verb_find_opt(&log, "help"));
	assert_int_equal(cli_parse(&c, &log, 2, argv, &help, &e), E_USAGE);
	assert_false(c.json);
	cli_clear(&c);
}

static void
completion_knows_words_files_and_options(void **state)
{
	struct capture x;
	const char *s;

	(void)state;
	capture_open(&x, &toy_program);
	help_completion(x.c.out, &toy_program);
	s = capture_out(&x);
	assert_non_null(strstr(s, "compgen -W 'help status key'"));
	assert_non_null(strstr(s, "\t'key make')\n"));
	assert_non_null(strstr(s, "--accept) words='own code' ;;"));
	assert_non_null(strstr(s, "--csr) files=1 ;;"));
	assert_non_null(strstr(s, "\n_toy_box() {\n"));
	assert_non_null(strstr(s, "complete -F _toy_box toy-box\n"));
	capture_close(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_never_taken_for_a_request),
		cmocka_unit_test(the_overview_has_the_program_its_verbs_and_its_own_sections),
		cmocka_unit_test(every_exit_status_of_an_error_is_said_once_and_in_words),
		cmocka_unit_test(a_long_list_of_choices_is_cut_behind_a_bar),
		cmocka_unit_test(a_verb_without_results_has_no_json),
		cmocka_unit_test(completion_knows_words_files_and_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
