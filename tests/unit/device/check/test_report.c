/* SPDX-License-Identifier: Apache-2.0 */
/* test_report.c - what people and programs get of a check's result, to the octet */
#include "device/check/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Everything that was printed. */
static char *printed;
static size_t printed_n;

static struct check_result
result(enum check_kind k)
{
	struct check_result r = { 0 };

	switch (k) {
	case CHECK_WARNING:
		check_warn(&r, "first line\nsecond line");
		break;
	case CHECK_ERROR:
		check_error(&r, "it is %s", "broken");
		check_cause(&r, "a cause\nin two lines");
		break;
	case CHECK_FATAL:
		check_fatal(&r, "no further");
		break;
	case CHECK_IGNORED:
		check_ignore(&r, "why");
		break;
	case CHECK_SKIPPED:
		check_skip(&r, "why");
		break;
	case CHECK_OK:
	case CHECK_TOLD:
		check_note(&r, "good to know");
		break;
	}
	return r;
}

/* A section with one check of each kind that is asked for; whether all was well. */
static bool
print(struct check_options o, const enum check_kind *kinds, size_t n)
{
	struct reporter p;
	json_t *info = json_object();
	bool ok;

	free(printed);
	printed = NULL;
	o.out = open_memstream(&printed, &printed_n);
	report_begin(&p, &o);
	report_section(&p, "Some checks");
	for (size_t i = 0; i < n; i++) {
		struct check_result r = result(kinds[i]);
		char id[8];

		(void)snprintf(id, sizeof(id), "c%zu", i);
		report_check(&p, id, "it works", &r);
		check_result_clear(&r);
	}
	report_section_end(&p);
	json_setf(info, "now", "today");
	report_end(&p, info);
	json_decref(info);
	ok = report_ok(&p);
	fclose(o.out);
	return ok;
}

#define PRINT(o, ...) print((o), (const enum check_kind[]){ __VA_ARGS__ }, N_OF(((const enum check_kind[]){ __VA_ARGS__ })))

static void
text_is_as_the_original_prints_it(void **state)
{
	(void)state;
	assert_false(PRINT((struct check_options){ 0 }, CHECK_OK, CHECK_WARNING, CHECK_ERROR, CHECK_IGNORED, CHECK_SKIPPED));
	assert_string_equal(printed,
	    "Some checks\n-----------\n"
	    "\u221a it works - OK\n"
	    "\u203c it works - Warning\n    first line\n    second line\n"
	    "\u00d7 it works - Error\n    it is broken\n"
	    "\n"
	    "1 check(s) succeeded.\n"
	    "1 check(s) raised warnings. Re-run with --verbose for more details.\n"
	    "1 check(s) raised errors. Re-run with --verbose for more details.\n"
	    "1 check(s) were skipped due to errors from other checks. Re-run with --verbose for more details.\n");
}

static void
verbose_text_has_causes_notes_and_what_was_skipped(void **state)
{
	(void)state;
	assert_false(PRINT((struct check_options){ .verbose = true }, CHECK_OK, CHECK_ERROR, CHECK_SKIPPED, CHECK_FATAL));
	assert_string_equal(printed,
	    "Some checks\n-----------\n"
	    "\u221a it works - OK\n    good to know\n"
	    "\u00d7 it works - Error\n    it is broken\n        caused by: a cause\n                   in two lines\n"
	    "\u203c it works - Warning\n    skipping because of previous failures\n"
	    "\u00d7 it works - Error\n    no further\n"
	    "\n"
	    "1 check(s) succeeded.\n"
	    "2 check(s) raised errors.\n"
	    "1 check(s) were skipped due to errors from other checks.\n");
}

static void
colour_is_there_when_it_is_wished_and_only_then(void **state)
{
	(void)state;
	(void)PRINT((struct check_options){ .colour = true }, CHECK_OK, CHECK_WARNING, CHECK_ERROR);
	assert_non_null(strstr(printed, "\033[32m\u221a it works - OK\033[0m\n"));
	assert_non_null(strstr(printed, "\033[33m\u203c it works - Warning\033[0m\n\033[33m    first line\033[0m\n"));
	assert_non_null(strstr(printed, "\033[31m\u00d7 it works - Error\033[0m\n"));
	(void)PRINT((struct check_options){ 0 }, CHECK_OK, CHECK_WARNING, CHECK_ERROR);
	assert_null(strchr(printed, '\033'));
}

static void
what_a_server_says_cannot_harm_a_terminal(void **state)
{
	struct check_result r = { 0 };
	struct reporter p;
	struct check_options o = { .out = NULL };

	(void)state;
	free(printed);
	printed = NULL;
	o.out = open_memstream(&printed, &printed_n);
	report_begin(&p, &o);
	check_error(&r, "%s", "\033]0;x\007");
	report_check(&p, "a", "b", &r);
	check_result_clear(&r);
	report_end(&p, NULL);
	fclose(o.out);
	assert_null(strchr(printed, '\033'));
	assert_null(strchr(printed, '\007'));
}

static void
warnings_are_errors_where_that_is_wished(void **state)
{
	const struct check_options both = { .output = CHECK_JSON, .warnings_as_errors = true };

	(void)state;
	assert_true(PRINT((struct check_options){ 0 }, CHECK_OK, CHECK_WARNING));
	assert_false(PRINT((struct check_options){ .warnings_as_errors = true }, CHECK_OK, CHECK_WARNING));
	assert_non_null(strstr(printed, "\u00d7 it works - Error\n    first line\n"));
	assert_true(PRINT((struct check_options){ .warnings_as_errors = true }, CHECK_OK, CHECK_IGNORED, CHECK_SKIPPED));
	assert_false(PRINT(both, CHECK_WARNING));
	assert_non_null(strstr(printed, "{\"result\":\"error\",\"details\":[\"first line\\nsecond line\"]}"));
}

static void
json_is_one_object_by_id(void **state)
{
	(void)state;
	(void)PRINT((struct check_options){ .output = CHECK_JSON }, CHECK_OK, CHECK_ERROR, CHECK_IGNORED);
	assert_string_equal(printed,
	    "{\"additional_info\":{\"now\":\"today\"},\"checks\":{"
	    "\"c0\":{\"result\":{\"result\":\"ok\"},\"additional_info\":{\"notes\":[\"good to know\"]}},"
	    "\"c1\":{\"result\":{\"result\":\"error\",\"details\":[\"it is broken\",\"a cause\\nin two lines\"]},\"additional_info\":{}},"
	    "\"c2\":{\"result\":{\"result\":\"ignored\"},\"additional_info\":{\"reason\":\"why\"}}}}\n");
}

static void
a_stream_is_one_value_a_result(void **state)
{
	(void)state;
	(void)PRINT((struct check_options){ .output = CHECK_JSON_STREAM }, CHECK_SKIPPED, CHECK_FATAL);
	assert_string_equal(printed,
	    "{\"kind\":\"section\",\"name\":\"Some checks\"}\n"
	    "{\"kind\":\"check\",\"id\":\"c0\",\"description\":\"it works\",\"result\":{\"result\":\"skipped\"},"
	    "\"additional_info\":{\"reason\":\"why\"}}\n"
	    "{\"kind\":\"check\",\"id\":\"c1\",\"description\":\"it works\",\"result\":{\"result\":\"fatal\",\"details\":[\"no further\"]},"
	    "\"additional_info\":{}}\n"
	    "{\"kind\":\"additional_info\",\"now\":\"today\"}\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_as_the_original_prints_it),
		cmocka_unit_test(verbose_text_has_causes_notes_and_what_was_skipped),
		cmocka_unit_test(colour_is_there_when_it_is_wished_and_only_then),
		cmocka_unit_test(what_a_server_says_cannot_harm_a_terminal),
		cmocka_unit_test(warnings_are_errors_where_that_is_wished),
		cmocka_unit_test(json_is_one_object_by_id),
		cmocka_unit_test(a_stream_is_one_value_a_result),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	free(printed);
	return r;
}
