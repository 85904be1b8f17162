/* SPDX-License-Identifier: Apache-2.0 */
/* tests: the configuration's files, values and unknown names */
#include "tests/unit/device/service/scratch.h"

#include "device/service/settings.h"

#define ETC "etc/aziot/keyd/"

static struct place place;

static int
set_up(void **state)
{
	(void)state;
	(void)unsetenv("AZIOT_KEYD_CONFIG");
	(void)unsetenv("AZIOT_KEYD_CONFIG_DIR");
	scratch_make();
	return place_find(&place, "keyd", scratch, NULL);
}

static int
tear_down(void **state)
{
	(void)state;
	scratch_remove();
	return 0;
}

/* --- files --- */

static const char *
load_str(const char *key)
{
	static char value[100];
	AUTO(toml) doc = NULL;
	struct err e = { 0 };
	const char *s;

	if (settings_load(&doc, &place, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(settings_str(&s, doc, key, "(none)", &e), 0);
	(void)snprintf(value, sizeof(value), "%s", s);
	return value;
}

static void
check_refused(int code, const char *text)
{
	struct toml *doc = NULL;
	struct err e = { 0 };

	assert_int_equal(settings_load(&doc, &place, &e), code);
	assert_null(doc);
	if (strstr(e.msg, text) == NULL)
		fail_msg("%s", e.msg);
}

static void
nothing_at_all_is_an_empty_configuration(void **state)
{
	(void)state;
	assert_string_equal(load_str("a"), "(none)");
}

static void
the_base_file_may_be_missing(void **state)
{
	(void)state;
	scratch_write(ETC "config.d/00-super.toml", "a='super'");
	assert_string_equal(load_str("a"), "super");
}

static void
files_are_merged_in_the_order_of_their_names(void **state)
{
	(void)state;
	scratch_write(ETC "config.toml", "a='base'\nb='base'");
	scratch_write(ETC "config.d/10-x.toml", "a='10'\nc='10'");
	scratch_write(ETC "config.d/00-super.toml", "a='00'\nb='00'\nc='00'");
	scratch_write(ETC "config.d/9.toml", "c='9'");
	assert_string_equal(load_str("a"), "10");
	assert_string_equal(load_str("b"), "00");
	assert_string_equal(load_str("c"), "9"); /* by octets, not by value */
}

static void
arrays_of_all_files_are_joined_and_keep_their_places(void **state)
{
	AUTO(toml) doc = NULL;
	const struct toml *list;
	struct err e = { 0 };

	(void)state;
	scratch_write(ETC "config.toml", "[[principal]]\nuid=1");
	scratch_write(ETC "config.d/a.toml", "\n[[principal]]\nuid=2");
	scratch_write(ETC "config.d/b.toml", "\n\n[[principal]]\nuid=3");
	assert_int_equal(settings_load(&doc, &place, &e), 0);
	list = toml_get(doc, "principal");
	assert_int_equal(toml_count(list), 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(toml_line(toml_get(toml_at(list, (size_t)i), "uid")), i + 2);
	assert_string_equal(toml_file(toml_at(list, 2)), scratch_path(ETC "config.d/b.toml"));
}

static void
only_regular_files_that_end_in_toml_count(void **state)
{
	char target[600];

	(void)state;
	scratch_write(ETC "config.d/a.toml", "a='good'");
	scratch_write(ETC "config.d/b.toml.bak", "a='bak'");
	scratch_write(ETC "config.d/c.TOML", "a='upper'");
	scratch_write(ETC "config.d/.toml", "a='hidden'");
	scratch_write(ETC "config.d/d", "a='d'");
	scratch_write(ETC "config.d/e.toml/x.toml", "a='below'");
	scratch_write("elsewhere", "a='linked'");
	(void)snprintf(target, sizeof(target), "%s/elsewhere", scratch);
	assert_int_equal(symlink(target, scratch_path(ETC "config.d/f.toml")), 0);
	scratch_catch_log();
	assert_string_equal(load_str("a"), "good");
	assert_non_null(strstr(scratch_log(), "config.d/f.toml is a symbolic link and not read"));
}

static void
the_base_file_may_be_a_link(void **state)
{
	char target[600];

	(void)state;
	scratch_write("elsewhere", "a='linked'");
	scratch_write(ETC "config.d/a.toml", "");
	(void)snprintf(target, sizeof(target), "%s/elsewhere", scratch);
	assert_int_equal(symlink(target, scratch_path(ETC "config.toml")), 0);
	assert_string_equal(load_str("a"), "linked");
}

static void
errors_name_file_line_and_column(void **state)
{
	(void)state;
	scratch_write(ETC "config.toml", "a=1");
	scratch_write(ETC "config.d/a.toml", "x=1\ny=");
	check_refused(E_FORMAT, ETC "config.d/a.toml:2:3: found the end of the file");
	scratch_write(ETC "config.d/a.toml", "x='\xff'");
	check_refused(E_FORMAT, "a.toml:1:4: found octet 0xff, which is not UTF-8");
}

static void
what_others_may_write_is_refused(void **state)
{
	(void)state;
	scratch_write(ETC "config.toml", "a='base'");
	scratch_write(ETC "config.d/a.toml", "b='x'");
	assert_int_equal(chmod(scratch_path(ETC "config.d"), 0777), 0);
	check_refused(E_POLICY, ETC "config.d: everybody may write it");
	assert_int_equal(chmod(scratch_path(ETC "config.d"), 0755), 0);
	assert_string_equal(load_str("b"), "x");
	assert_int_equal(chmod(scratch_path(ETC "config.d/a.toml"), 0646), 0);
	check_refused(E_POLICY, ETC "config.d/a.toml: everybody may write it");
	assert_int_equal(chmod(scratch_path(ETC "config.d/a.toml"), 0644), 0);
	assert_int_equal(chmod(scratch_path(ETC "config.toml"), 0602), 0);
	check_refused(E_POLICY, ETC "config.toml: everybody may write it");
	assert_int_equal(chmod(scratch_path(ETC "config.toml"), 0600), 0);
	assert_int_equal(chmod(scratch_path(ETC), 0777), 0);
	check_refused(E_POLICY, "etc/aziot/keyd: everybody may write it");
	assert_int_equal(chmod(scratch_path(ETC), 01777), 0); /* sticky, like /tmp */
	assert_string_equal(load_str("a"), "base");
}

/* The socket is open to the service's group: who may ask must not be able to say who may what. */
static void
what_the_services_clients_may_write_is_refused(void **state)
{
	gid_t before = getegid(), group = geteuid() == 0 ? 12345 : before;

	(void)state;
	scratch_write(ETC "config.d/a.toml", "b='x'");
	assert_int_equal(chown(scratch_path(ETC "config.d/a.toml"), (uid_t)-1, group), 0);
	assert_int_equal(chmod(scratch_path(ETC "config.d/a.toml"), 0664), 0);
	if (geteuid() == 0) {
		assert_string_equal(load_str("b"), "x"); /* another group: the operator's affair */
		assert_int_equal(setegid(group), 0);
	}
	check_refused(E_POLICY, "a.toml: the service's clients (group ");
	assert_int_equal(chmod(scratch_path(ETC "config.d/a.toml"), 0644), 0);
	assert_string_equal(load_str("b"), "x");
	assert_int_equal(setegid(before), 0);
}

static void
files_of_a_third_user_are_refused(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	scratch_write(ETC "config.toml", "a='base'");
	scratch_write(ETC "config.d/a.toml", "b='x'");
	assert_int_equal(chown(scratch_path(ETC "config.d/a.toml"), 12345, 0), 0);
	check_refused(E_POLICY, "belongs to user 12345, not to root or user 0");
}

static void
root_may_look_with_a_services_eyes(void **state)
{
	AUTO(toml) doc = NULL;
	struct toml *none = NULL;
	struct err e = { 0 };

	(void)state;
	if (geteuid() != 0)
		skip();
	scratch_write(ETC "config.d/a.toml", "b='x'");
	assert_int_equal(chown(scratch_path(ETC "config.d/a.toml"), 12345, 0), 0);
	assert_int_equal(settings_load_as(&doc, &place, 12345, 12345, &e), 0);
	assert_int_equal(settings_load_as(&none, &place, 12346, 12346, &e), E_POLICY);
	assert_int_equal(chown(scratch_path(ETC "config.d/a.toml"), 0, 12345), 0);
	assert_int_equal(chmod(scratch_path(ETC "config.d/a.toml"), 0664), 0);
	assert_int_equal(settings_load_as(&none, &place, 12345, 12345, &e), E_POLICY);
	assert_non_null(strstr(e.msg, "the service's clients (group 12345)"));
}

static void
sizes_have_limits(void **state)
{
	AUTO_BUF big = { 0 };
	char name[64];

	(void)state;
	while (big.n <= TOML_MAX)
		buf_put_str(&big, "# 64 octets of a comment that says nothing, and no more of this\n");
	scratch_write(ETC "config.toml", buf_str(&big));
	check_refused(E_TOOBIG, "config.toml: over its limit");
	scratch_write(ETC "config.toml", "");
	for (int i = 0; i <= SETTINGS_FILES_MAX; i++) {
		(void)snprintf(name, sizeof(name), ETC "config.d/%d.toml", i);
		scratch_write(name, "");
	}
	check_refused(E_TOOBIG, "config.d: more than 256 files");
}

static void
what_is_no_file_is_refused(void **state)
{
	(void)state;
	scratch_write(ETC "config.toml/x", "");
	check_refused(E_IO, "config.toml: no regular file");
	assert_int_equal(unlink(scratch_path(ETC "config.toml/x")), 0);
	assert_int_equal(rmdir(scratch_path(ETC "config.toml")), 0);
	assert_int_equal(mkfifo(scratch_path(ETC "config.toml"), 0600), 0);
	check_refused(E_IO, "config.toml: no regular file");
	assert_int_equal(unlink(scratch_path(ETC "config.toml")), 0);
	scratch_write(ETC "config.d", "");
	check_refused(E_IO, "config.d: Not a directory");
}

/* --- values --- */

static struct toml *
parse(const char *text)
{
	struct toml *doc = NULL;

	assert_int_equal(toml_parse(&doc, "f", bytes_of(text), NULL), 0);
	return doc;
}

static void
members_have_types_defaults_and_bounds(void **state)
{
	AUTO(toml) doc = parse("s='x'\ni=7\nb=true");
	struct err e = { 0 };
	const char *s = NULL;
	int64_t i = 0;
	bool b = false;

	(void)state;
	assert_int_equal(settings_str(&s, doc, "s", "d", &e), 0);
	assert_string_equal(s, "x");
	assert_int_equal(settings_int(&i, doc, "i", 1, 0, 10, &e), 0);
	assert_int_equal(i, 7);
	assert_int_equal(settings_bool(&b, doc, "b", false, &e), 0);
	assert_true(b);
	assert_int_equal(settings_str(&s, doc, "none", NULL, &e), 0);
	assert_null(s);
	assert_int_equal(settings_int(&i, doc, "none", 99, 0, 10, &e), 0);
	assert_int_equal(i, 99);
	assert_int_equal(settings_bool(&b, NULL, "b", false, &e), 0); /* of a table that is absent */
	assert_false(b);
	assert_int_equal(settings_str(&s, doc, "i", NULL, &e), E_FORMAT);
	assert_string_equal(e.msg, "f:2:1: key 'i': is an integer, not a string");
	assert_int_equal(settings_int(&i, doc, "i", 1, 8, 10, &e), E_FORMAT);
	assert_string_equal(e.msg, "f:2:1: key 'i': is 7, not 8 to 10");
	assert_int_equal(settings_int(&i, doc, "i", 1, 0, 6, &e), E_FORMAT);
	assert_int_equal(settings_int(&i, doc, "b", 1, 0, 6, &e), E_FORMAT);
	assert_int_equal(settings_bool(&b, doc, "s", true, &e), E_FORMAT);
	assert_int_equal(i, 99); /* nothing is written on failure */
	assert_false(b);
}

static void
spans_of_time_are_read_as_people_write_them(void **state)
{
	static const struct {
		const char *text;
		int64_t s;
	} rows[] = {
		{ "90", 90 }, { "90s", 90 }, { "90 s", 90 }, { "1 sec", 1 }, { "2 seconds", 2 }, { "60m", 3600 }, { "60 min", 3600 },
		{ "1 minute", 60 }, { "5 Minutes", 300 }, { "1h", 3600 }, { "2 hours", 7200 }, { "12 hr", 43200 }, { "1 day", 86400 },
		{ "30 days", 2592000 }, { "30d", 2592000 }, { "2 weeks", 1209600 }, { "1w", 604800 }, { "1y", 31536000 }, { "0", 0 },
		{ "0 s", 0 }, { "100 years", 3153600000 }, { "3153600000", 3153600000 }, { "007 s", 7 },
		{ "", -1 }, { " ", -1 }, { "s", -1 }, { "-1 s", -1 }, { "+1 s", -1 }, { "1.5 h", -1 }, { "1 month", -1 }, { "80%", -1 },
		{ " 1 s", -1 }, { "1 s ", -1 }, { "1 h 30 m", -1 }, { "1\tday", -1 }, { "101 years", -1 }, { "3153600001", -1 },
		{ "99999999999", -1 }, { "99999999999999999999999999 s", -1 }, { "1 M", 60 }, { "1 ms", -1 }, { "0x10", -1 },
	};
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		int64_t s = -1;
		int r = settings_parse_duration(&s, rows[i].text, &e);

		if (s != rows[i].s || r != (rows[i].s < 0 ? E_FORMAT : 0))
			fail_msg("'%s': %d, %lld", rows[i].text, r, (long long)s);
	}
}

static void
a_span_is_a_text_or_a_number_of_seconds(void **state)
{
	AUTO(toml) doc = parse("a='1 day'\nb=90\nc=-1\nd='soon'\ne=1.5\nf=3153600001");
	struct err e = { 0 };
	int64_t s = 5;

	(void)state;
	assert_int_equal(settings_duration(&s, doc, "none", 5, &e), 0);
	assert_int_equal(s, 5);
	assert_int_equal(settings_duration(&s, doc, "c", 5, &e), E_FORMAT);
	assert_int_equal(settings_duration(&s, doc, "d", 5, &e), E_FORMAT);
	assert_non_null(strstr(e.msg, "f:4:1: key 'd': 'soon' is no duration such as"));
	assert_int_equal(settings_duration(&s, doc, "e", 5, &e), E_FORMAT);
	assert_int_equal(settings_duration(&s, doc, "f", 5, &e), E_FORMAT);
	assert_int_equal(s, 5);
	assert_int_equal(settings_duration(&s, doc, "a", 5, &e), 0);
	assert_int_equal(s, 86400);
	assert_int_equal(settings_duration(&s, doc, "b", 5, &e), 0);
	assert_int_equal(s, 90);
}

/* --- unknown names --- */

static void
collect(void *ctx, const char *text)
{
	buf_printf(ctx, "%s\n", text);
}

static void
unknown_keys_are_told_with_what_was_meant(void **state)
{
	static const struct settings_key auth[] = { { "identity_pk" }, { "identity_cert" }, { "pk" }, { NULL } };
	static const struct settings_key issuance[] = { { "method" }, { "auth", auth }, { NULL } };
	static const struct settings_key certs[] = { { "est", auth }, { "*", issuance }, { NULL } };
	static const struct settings_key user[] = { { "uid" }, { "keys" }, { NULL } };
	static const struct settings_key schema[] = { { "homedir_path" }, { "cert_issuance", certs }, { "principal", user },
		{ "free" }, { NULL } };
	AUTO(toml) doc = parse("homedir_path='x'\nhomdir_path='y'\nfree={ anything=1 }\n"
	    "[cert_issuance.est]\nidentiy_pk='k'\nidentity_cert='c'\n[cert_issuance.device-id]\nmethod='est'\n"
	    "auth={ identity_pk='k', colour='red' }\n[cert_issuance]\nother=1\n[[principal]]\nuid=1\nkey=[]\n[[principal]]\nuids=2\n"
	    "[\"a\\nb\"]\n");
	AUTO_BUF all = { 0 };

	(void)state;
	settings_unknown(doc, schema, collect, &all);
	assert_string_equal(buf_str(&all),
	    "f:2:1: unknown key 'homdir_path' (did you mean 'homedir_path'?)\n"
	    "f:5:1: unknown key 'identiy_pk' (did you mean 'identity_pk'?)\n"
	    "f:9:25: unknown key 'colour'\n"
	    "f:14:1: unknown key 'key' (did you mean 'keys'?)\n"
	    "f:16:1: unknown key 'uids' (did you mean 'uid'?)\n"
	    "f:17:2: unknown key 'a\\x0ab'\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_at_all_is_an_empty_configuration, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_base_file_may_be_missing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(files_are_merged_in_the_order_of_their_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(arrays_of_all_files_are_joined_and_keep_their_places, set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_regular_files_that_end_in_toml_count, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_base_file_may_be_a_link, set_up, tear_down),
		cmocka_unit_test_setup_teardown(errors_name_file_line_and_column, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_others_may_write_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_services_clients_may_write_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(files_of_a_third_user_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(root_may_look_with_a_services_eyes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sizes_have_limits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_file_is_refused, set_up, tear_down),
		cmocka_unit_test(members_have_types_defaults_and_bounds),
		cmocka_unit_test(spans_of_time_are_read_as_people_write_them),
		cmocka_unit_test(a_span_is_a_text_or_a_number_of_seconds),
		cmocka_unit_test(unknown_keys_are_told_with_what_was_meant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
