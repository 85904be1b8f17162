/* SPDX-License-Identifier: Apache-2.0 */
/* cli/test_verb.c - the tables of verbs, and command lines against them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "cli/help.h"
#include "core/base/text.h"
#include "capture.h"

static int
nothing(struct cli *c)
{
	(void)c;
	return 0;
}

static const struct opt try_opts[] = {
	{ .name = "profile", .letter = 'p', .kind = OPT_TEXT, .arg = "PROFILE", .help = "x", .required = true },
	{ .name = "accept", .kind = OPT_LIST, .arg = "KIND", .help = "x", .words = "own|code" },
	{ .name = "header", .kind = OPT_MANY, .arg = "H", .help = "x" },
	{ .name = "limit", .letter = 'n', .kind = OPT_NUMBER, .arg = "N", .help = "x" },
	{ .name = "active", .kind = OPT_BOOL, .arg = "YES", .help = "x" },
	{ .name = "all", .letter = 'a', .kind = OPT_FLAG, .help = "x" },
	{ .name = NULL },
};
static const struct opt try_pos[] = {
	{ .name = "name", .kind = OPT_TEXT, .arg = "NAME", .help = "x", .required = true },
	{ .name = "rest", .kind = OPT_MANY, .arg = "REST", .help = "x" },
	{ .name = NULL },
};
static const struct verb try = {
	.group = "try", .name = "it", .help = "Try it", .opts = try_opts, .pos = try_pos, .run = nothing,
};

struct unique {
	char seen[8192];
	size_t n;
};

/* One record must be whole: help prints it, the man page prints it, the shell completes it. */
static void
check_verb(void *ctx, const struct verb *v)
{
	struct unique *u = ctx;
	const struct opt *o, *p;
	char title[64], key[80];

	verb_title(v, title, sizeof(title));
	(void)snprintf(key, sizeof(key), "|%s|", title);
	assert_null(strstr(u->seen, key));
	(void)strncat(u->seen, key, sizeof(u->seen) - strlen(u->seen) - 1);
	u->n++;
	assert_non_null(v->run);
	assert_non_null(v->help);
	assert_true(v->help[strlen(v->help) - 1] != '.');
	assert_ptr_equal(verb_find(v->group, v->name), v);
	if (v->group != NULL)
		assert_true(verb_is_group(v->group));
	for (size_t i = 0; (o = verb_opt(v, i)) != NULL; i++) {
		assert_non_null(o->help);
		assert_int_equal(o->arg == NULL, o->kind == OPT_FLAG);
		for (size_t k = i + 1; (p = verb_opt(v, k)) != NULL; k++) {
			assert_string_not_equal(o->name, p->name);
			assert_true(o->letter == 0 || o->letter != p->letter);
		}
		for (p = v->pos; p != NULL && p->name != NULL; p++)
			assert_string_not_equal(o->name, p->name);
	}
	for (o = v->pos; o != NULL && o->name != NULL; o++) {
		assert_non_null(o->arg);
		assert_non_null(o->help);
	}
}

static void
every_record_of_every_table_is_whole_and_unique(void **state)
{
	struct unique u = { 0 };

	(void)state;
	verb_each(check_verb, &u);
	assert_true(u.n > 35);
}

static void
every_message_of_the_protocol_has_its_verb(void **state)
{
	static const char *const verbs[] = {
		"server.status", "server.reload", "ca.create", "ca.list", "ca.show", "profile.list", "profile.show",
		"profile.create", "profile.set", "label.list", "label.show", "label.create", "label.set",
		"credential.add", "credential.list", "credential.show", "credential.disable", "trust.add",
		"trust.list", "trust.show", "trust.remove", "device.list", "device.show", "device.release",
		"cert.list", "cert.show", "cert.request", "cert.revoke", "crl.publish", "operator.add",
		"operator.list", "audit.list", "audit.show", "audit.why", "audit.verify", "event.list",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(verbs); i++) {
		char group[32];
		const char *dot = strchr(verbs[i], '.');
		const struct verb *v;

		(void)snprintf(group, sizeof(group), "%.*s", (int)(dot - verbs[i]), verbs[i]);
		v = verb_find(group, dot + 1);
		assert_non_null(v);
		assert_string_equal(v->op, verbs[i]);
	}
}

static void
options_and_arguments_may_stand_in_any_order(void **state)
{
	struct capture x;
	struct words w;
	bool help;
	struct err e;

	(void)state;
	capture_open(&x);
	assert_int_equal(capture_parse(&x, &w, &try, "it one --profile=p two -n 7 --json three --active yes -a", &help, &e), 0);
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
	capture_open(&x);
	assert_int_equal(capture_parse(&x, &w, &try, "it one -p p --active no", &help, &e), 0);
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
	capture_open(&x);
	assert_int_equal(capture_parse(&x, &w, &try, "it one -p a,b --accept own,code --accept own --header a,b", &help, &e), 0);
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
		{ "it one -p p --acept own", "did you mean --accept?" },
		{ "it one -p p --zzzzzzzzz", "--zzzzzzzzz: no such option" },
		{ "it one -p p --zzz=secret", "--zzz: no such option" },
		{ "it one -p p -z", "-z: no such option" },
		{ "it one -p", "needs an argument" },
		{ "it one --profile", "needs an argument" },
		{ "it one -p p --all=yes", "takes no argument" },
		{ "it one", "--profile is missing" },
		{ "it -p p", "NAME is missing" },
		{ "it one -p p -p q", "profile: given twice" },
		{ "it one -p p -n seven", "limit: 'seven' is not a number" },
		{ "it one -p p -n 99999999999", "is not a number" },
		{ "it one -p p --active maybe", "'maybe' is not one of yes|no" },
		{ "it one -p p --accept own,ow", "'ow' is not one of own|code" },
		{ "it one -p p\033[2J", "not printable" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(wrong); i++) {
		struct capture x;
		struct words w;
		bool help;
		struct err e = { 0 };

		capture_open(&x);
		assert_int_equal(capture_parse(&x, &w, &try, wrong[i].line, &help, &e), E_USAGE);
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
	capture_open(&x);
	assert_int_equal(capture_parse(&x, &w, verb_find("ca", "show"), "show root issuing", &help, &e), E_USAGE);
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
	capture_open(&x);
	assert_int_equal(capture_parse(&x, &w, &try, "it --help", &help, &e), 0);
	assert_true(help);
	capture_close(&x);
}

static void
a_misspelt_verb_finds_its_neighbour(void **state)
{
	char near[64];

	(void)state;
	assert_string_equal(verb_near("ca", "lst", near, sizeof(near)), "ca list");
	assert_string_equal(verb_near("audt", "why", near, sizeof(near)), "audit why");
	assert_string_equal(verb_near(NULL, "quikstart", near, sizeof(near)), "quickstart");
	assert_string_equal(verb_near_group("lable"), "label");
	assert_null(verb_near("ca", "frobnicate", near, sizeof(near)));
	assert_null(verb_near_group("frobnicate"));
}

static void
an_error_is_a_line_for_people_and_an_object_with_json(void **state)
{
	struct capture x;
	struct err e;
	AUTO_JSON v = NULL;

	(void)state;
	capture_open(&x);
	x.c.json = true;
	(void)err_set(&e, E_POLICY, "csr: CN 'x\033[2J' is another device's");
	assert_int_equal(cli_fail(&x.c, &e, "ask for your own"), 77);
	assert_string_equal(capture_err(&x),
	    "estuary: csr: CN 'x\\x1b[2J' is another device's\nhint: ask for your own\n");
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
	capture_open(&x);
	help_verb(x.c.out, &try);
	s = capture_out(&x);
	assert_non_null(strstr(s, "Usage: estuary try it --profile PROFILE [OPTION]... NAME [REST]..."));
	assert_non_null(strstr(s, "-p, --profile PROFILE"));
	assert_non_null(strstr(s, "(own|code)"));
	assert_non_null(strstr(s, "--json"));
	capture_close(&x);
}

struct overview {
	const char *text;
};

static void
is_in_overview(void *ctx, const struct verb *v)
{
	const struct overview *o = ctx;

	assert_non_null(strstr(o->text, v->help));
}

static void
the_overview_has_every_verb(void **state)
{
	struct capture x;
	struct overview o;

	(void)state;
	capture_open(&x);
	help_overview(x.c.out);
	o.text = capture_out(&x);
	verb_each(is_in_overview, &o);
	capture_close(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_record_of_every_table_is_whole_and_unique),
		cmocka_unit_test(every_message_of_the_protocol_has_its_verb),
		cmocka_unit_test(options_and_arguments_may_stand_in_any_order),
		cmocka_unit_test(what_was_not_given_has_its_default),
		cmocka_unit_test(lists_split_at_commas_and_others_do_not),
		cmocka_unit_test(a_wrong_line_is_refused_and_says_what_is_wrong),
		cmocka_unit_test(one_argument_too_many_is_refused),
		cmocka_unit_test(help_asks_for_nothing_else),
		cmocka_unit_test(a_misspelt_verb_finds_its_neighbour),
		cmocka_unit_test(an_error_is_a_line_for_people_and_an_object_with_json),
		cmocka_unit_test(help_names_every_option_and_argument),
		cmocka_unit_test(the_overview_has_every_verb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
