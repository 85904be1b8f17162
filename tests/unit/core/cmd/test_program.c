/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/test_program.c - from a command line to a verb, by any program's name */
#include "core/cmd/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/core/cmd/capture.h"
#include "tests/unit/core/cmd/toy.h"

/* `toy-box LINE` ends with the status and says these, among others; "": nothing at all. */
static void
said(const char *line, int status, const char *out, const char *err)
{
	struct capture x;
	struct words w;

	capture_open(&x, &toy_program);
	capture_words(&w, line);
	assert_int_equal(program_run(&x.c, w.argc, w.argv), status);
	assert_non_null(strstr(capture_out(&x), out));
	assert_non_null(strstr(capture_err(&x), err));
	assert_true((*out == 0) == (*capture_out(&x) == 0));
	assert_true((*err == 0) == (*capture_err(&x) == 0));
	capture_close(&x);
}

static void
a_verb_runs_alone_or_in_its_group(void **state)
{
	(void)state;
	said("status", 0, "status ran\n", "");
	said("key list", 0, "list ran\n", "");
	said("key make n -p p", 0, "make ran\n", "");
}

static void
a_wrong_word_is_answered_by_the_programs_own_name(void **state)
{
	(void)state;
	said("sttus", 64, "",
	    "toy-box: sttus: no such verb; did you mean `toy-box status`?\nhint: `toy-box help` lists the verbs\n");
	said("kay", 64, "", "did you mean `toy-box key`?");
	said("key lst", 64, "", "toy-box: key lst: no such verb; did you mean `toy-box key list`?\n");
	said("zzzzzzzz", 64, "", "toy-box: zzzzzzzz: no such verb\n");
	said("key make n", 64, "", "toy-box: --profile is missing\nhint: `toy-box help key make`\n");
	said("--frob", 64, "", "toy-box: --frob: no such option before a verb\n");
	said("--man", 64, "", "toy-box: --man: needs a directory\n");
	said("key", 64, "", "  key list               All keys\n");
	said("", 64, "", "Usage: toy-box VERB");
}

static void
help_is_had_in_every_way(void **state)
{
	static const char overview[] =
	    "Usage: toy-box VERB [OPTION]... [ARGUMENT]...\nA box of toys.\n\nAlone:\n  status                 How it is\n\n"
	    "Keys:\n  key make               Make a key\n  key list               All keys\n\n`toy-box help VERB` says more.";

	(void)state;
	said("--help", 0, overview, "");
	said("-h", 0, overview, "");
	said("help", 0, overview, "");
	said("help key", 0, "  key list               All keys\n", "");
	said("key --help", 0, "  key list               All keys\n", "");
	said("help status", 0, "Usage: toy-box status [OPTION]...\nHow it is.\n", "");
	said("help key list", 0, "Usage: toy-box key list [OPTION]... [NAME]\n", "");
	said("key make --help", 0, "Usage: toy-box key make --profile PROFILE", "");
	said("help key lst", 64, "", "did you mean `toy-box key list`?");
	said("--version", 0, "toy-box 1.2.3\n", "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_verb_runs_alone_or_in_its_group),
		cmocka_unit_test(a_wrong_word_is_answered_by_the_programs_own_name),
		cmocka_unit_test(help_is_had_in_every_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
