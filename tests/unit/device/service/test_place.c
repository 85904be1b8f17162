/* SPDX-License-Identifier: Apache-2.0 */
/* tests: where a service finds its files */
#include "tests/unit/device/service/scratch.h"

static void
clear_environment(void)
{
	static const char *const names[] = { "ESTUARY_PREFIX", "AZIOT_KEYD_CONFIG", "AZIOT_KEYD_CONFIG_DIR", "AZIOT_LOG",
		"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES" };

	for (size_t i = 0; i < N_OF(names); i++)
		(void)unsetenv(names[i]);
}

static void
paths_are_those_of_the_services_that_were_there_before(void **state)
{
	struct place p;

	(void)state;
	clear_environment();
	assert_int_equal(place_find(&p, "keyd", NULL, NULL), 0);
	assert_string_equal(p.service, "keyd");
	assert_string_equal(p.prefix, "");
	assert_string_equal(p.config_file, "/etc/aziot/keyd/config.toml");
	assert_string_equal(p.config_dir, "/etc/aziot/keyd/config.d");
	assert_string_equal(p.home, "/var/lib/aziot/keyd");
	assert_string_equal(p.socket, "/run/aziot/keyd.sock");
	assert_null(p.log_filter);
}

static void
everything_can_live_under_a_prefix(void **state)
{
	char other[PLACE_MAX];
	struct place p;

	(void)state;
	clear_environment();
	assert_int_equal(place_find(&p, "certd", "/s//", NULL), 0);
	assert_string_equal(p.config_file, "/s/etc/aziot/certd/config.toml");
	assert_string_equal(p.home, "/s/var/lib/aziot/certd");
	assert_string_equal(p.socket, "/s/run/aziot/certd.sock");
	assert_int_equal(place_socket(other, &p, "keyd", NULL), 0);
	assert_string_equal(other, "/s/run/aziot/keyd.sock");
	(void)setenv("ESTUARY_PREFIX", "/t", 1);
	assert_int_equal(place_find(&p, "certd", NULL, NULL), 0);
	assert_string_equal(p.prefix, "/t");
	assert_int_equal(place_find(&p, "certd", "/s", NULL), 0);
	assert_string_equal(p.prefix, "/s");
}

static void
the_environment_moves_file_and_directory_each_by_itself(void **state)
{
	struct place p;

	(void)state;
	clear_environment();
	(void)setenv("AZIOT_KEYD_CONFIG", "/x/c.toml", 1);
	(void)setenv("AZIOT_LOG", "debug", 1);
	assert_int_equal(place_find(&p, "keyd", "/s", NULL), 0);
	assert_string_equal(p.config_file, "/x/c.toml");
	assert_string_equal(p.config_dir, "/s/etc/aziot/keyd/config.d");
	assert_string_equal(p.log_filter, "debug");
	assert_int_equal(place_find(&p, "certd", "/s", NULL), 0);
	assert_string_equal(p.config_file, "/s/etc/aziot/certd/config.toml");
	(void)setenv("AZIOT_KEYD_CONFIG_DIR", "/x/d", 1);
	assert_int_equal(place_find(&p, "keyd", "/s", NULL), 0);
	assert_string_equal(p.config_dir, "/x/d");
	clear_environment();
}

static void
bad_prefixes_are_refused(void **state)
{
	char text[PLACE_MAX + 20] = "/";
	struct err e = { 0 };
	struct place p;

	(void)state;
	clear_environment();
	assert_int_equal(place_find(&p, "keyd", "s", &e), E_USAGE);
	memset(text, '/', 1);
	memset(text + 1, 'a', 89); /* the socket's path must fit a socket's name */
	assert_int_equal(place_find(&p, "keyd", text, &e), E_USAGE);
	text[87] = 0;
	assert_int_equal(place_find(&p, "keyd", text, &e), 0);
	memset(text + 1, 'a', sizeof(text) - 2);
	assert_int_equal(place_find(&p, "keyd", text, &e), E_USAGE);
	(void)setenv("AZIOT_KEYD_CONFIG", text, 1);
	assert_int_equal(place_find(&p, "keyd", NULL, &e), E_USAGE);
	clear_environment();
}

static void
uris_name_paths(void **state)
{
	static const struct {
		const char *uri, *path;
	} files[] = {
		{ "file:///a/b", "/a/b" }, { "file:///a/b%20c", "/a/b c" }, { "file://localhost/a", "/a" }, { "FILE:///a", "/a" },
		{ "file:/a", "/a" }, { "file:///%c3%A9", "/\xc3\xa9" }, { "file:///a%25b", "/a%b" },
		{ "file://other/a", NULL }, { "file://", NULL }, { "file:///", NULL }, { "file:a", NULL }, { "/a", NULL },
		{ "http://localhost/a", NULL }, { "file:////a", NULL }, { "file:///a?b", NULL }, { "file:///a#b", NULL },
		{ "file:///a%2", NULL }, { "file:///a%zz", NULL }, { "file:///a%00b", NULL }, { "file:///a%2fb", NULL },
		{ "file:///a%0ab", NULL }, { "file:///\xff", NULL }, { "", NULL }, { "unix:///a", NULL },
	};
	char path[PLACE_MAX], text[PLACE_MAX + 20] = "file:///";
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(files); i++) {
		int r = place_from_file_uri(path, files[i].uri, &e);

		assert_int_equal(r, files[i].path != NULL ? 0 : E_FORMAT);
		if (r == 0)
			assert_string_equal(path, files[i].path);
		else
			assert_non_null(strstr(e.msg, "'"));
	}
	memset(text + 8, 'a', PLACE_MAX - 2);
	assert_int_equal(place_from_file_uri(path, text, &e), 0);
	text[8 + PLACE_MAX - 2] = 'a';
	assert_int_equal(place_from_file_uri(path, text, &e), E_FORMAT);
	assert_int_equal(place_from_unix_uri(path, "unix:///run/x.sock", &e), 0);
	assert_string_equal(path, "/run/x.sock");
	memcpy(text, "unix:///", 8);
	assert_int_equal(place_from_unix_uri(path, text, &e), E_FORMAT);
	assert_int_equal(place_from_unix_uri(path, "http://127.0.0.1:80", &e), E_FORMAT);
}

static void
passed_descriptors_are_counted_once_and_by_their_owner_alone(void **state)
{
	char pid[24];

	(void)state;
	clear_environment();
	assert_int_equal(place_take_passed(), 0);
	(void)setenv("LISTEN_FDS", "1", 1);
	assert_int_equal(place_take_passed(), 0);
	(void)setenv("LISTEN_PID", "1", 1);
	assert_int_equal(place_take_passed(), 0);
	(void)snprintf(pid, sizeof(pid), "%d", getpid());
	(void)setenv("LISTEN_PID", pid, 1);
	(void)setenv("LISTEN_FDS", "-1", 1);
	assert_int_equal(place_take_passed(), 0);
	(void)setenv("LISTEN_FDS", "100000", 1);
	assert_int_equal(place_take_passed(), 0);
	(void)setenv("LISTEN_FDS", "1", 1);
	assert_int_equal(place_take_passed(), 1);
	assert_null(getenv("LISTEN_PID"));
	assert_int_equal(place_take_passed(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_those_of_the_services_that_were_there_before),
		cmocka_unit_test(everything_can_live_under_a_prefix),
		cmocka_unit_test(the_environment_moves_file_and_directory_each_by_itself),
		cmocka_unit_test(bad_prefixes_are_refused),
		cmocka_unit_test(uris_name_paths),
		cmocka_unit_test(passed_descriptors_are_counted_once_and_by_their_owner_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
