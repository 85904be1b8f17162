/* SPDX-License-Identifier: Apache-2.0 */
/* cli/test_man.c - man pages and completion, from the same tables */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "cli/help.h"
#include "cli/man.h"
#include "capture.h"

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
	man_verb(&out, &hostile);
	s = buf_str(&out);
	assert_non_null(strstr(s, ".TH \"estuary\\-try\\-it\" 1"));
	assert_non_null(strstr(s, "\n\\&.Leading dot\n\\&'and quote\n.PP\nSecond \\-\\- paragraph\n"));
	assert_non_null(strstr(s, "\\fB\\-d\\fR, \\fB\\-\\-san\\-dns\\fR \\fINAME\\fR\nA back\\eslash.\nOne of none, any.\n"));
}

static void
check_page(void *ctx, const struct verb *v)
{
	AUTO_BUF out = { 0 };
	struct buf *overview = ctx;
	char see[96];

	man_verb(&out, v);
	assert_non_null(strstr(buf_str(&out), ".SH SYNOPSIS\n"));
	assert_non_null(strstr(buf_str(&out), ".SH OPTIONS\n"));
	(void)snprintf(see, sizeof(see), ".BR estuary\\-%s%s%s (1)", v->group != NULL ? v->group : "",
	    v->group != NULL ? "\\-" : "", v->name);
	assert_non_null(strstr(buf_str(overview), see));
}

static void
every_verb_has_a_page_and_the_overview_names_it(void **state)
{
	AUTO_BUF overview = { 0 };

	(void)state;
	man_overview(&overview);
	verb_each(check_page, &overview);
}

static void
completion_knows_words_files_and_options(void **state)
{
	struct capture x;
	const char *s;

	(void)state;
	capture_open(&x);
	help_completion(x.c.out);
	s = capture_out(&x);
	assert_non_null(strstr(s, "\t'ca create')\n"));
	assert_non_null(strstr(s, "--kind) words='root subordinate' ;;"));
	assert_non_null(strstr(s, "--csr) files=1 ;;"));
	assert_non_null(strstr(s, "complete -F _estuary estuary"));
	capture_close(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_never_taken_for_a_request),
		cmocka_unit_test(every_verb_has_a_page_and_the_overview_names_it),
		cmocka_unit_test(completion_knows_words_files_and_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
