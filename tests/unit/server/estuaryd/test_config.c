/* SPDX-License-Identifier: Apache-2.0 */
/* test_config.c - every key of the configuration, and what is said of every kind of mistake */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "server/estuaryd/config.h"

static int
parse(struct settings *s, const char *text, struct err *e)
{
	return config_parse(s, "e.toml", "/etc/estuary", bytes_of(text), e);
}

static struct settings
parse_good(const char *text)
{
	struct settings s;
	struct err e = { 0 };

	if (parse(&s, text, &e) != 0)
		fail_msg("%s", e.msg);
	return s;
}

static void
assert_refused(const char *text, const char *message)
{
	struct settings s, before;
	struct err e = { 0 };

	memset(&s, 0x5a, sizeof(s));
	memcpy(&before, &s, sizeof(s));
	assert_int_equal(parse(&s, text, &e), E_FORMAT);
	assert_string_equal(e.msg, message);
	assert_memory_equal(&s, &before, sizeof(s));
}

static void
an_empty_file_yields_the_defaults(void **state)
{
	struct settings s = parse_good(""), def;

	(void)state;
	settings_default(&def);
	assert_string_equal(s.dir, def.dir);
	assert_string_equal(s.name, def.name);
	assert_string_equal(s.local_socket, "/var/lib/estuary/run/operator.sock");
	assert_string_equal(s.tls_chain, "/var/lib/estuary/tls/server.pem");
	assert_string_equal(s.tls_key, "/var/lib/estuary/tls/server.key");
	assert_string_equal(s.ready_file, "/var/lib/estuary/run/ready");
	assert_string_equal(s.public_url, "");
	assert_int_equal(s.fronts, 0);
	assert_int_equal(s.device_port, def.device_port);
	assert_int_equal(s.crl_lifetime_s, 7 * 86400);
}

static void
each_text_key_reaches_its_field(void **state)
{
	static const struct { const char *text; size_t offset; const char *want; } rows[] = {
		{ "[server]\ndir = '/srv/e'", offsetof(struct settings, dir), "/srv/e" },
		{ "[server]\nname = 'est.example'", offsetof(struct settings, name), "est.example" },
		{ "[server]\nuser = 'estuary:pki'", offsetof(struct settings, user), "estuary:pki" },
		{ "[server]\ntls_chain = '/t/c.pem'", offsetof(struct settings, tls_chain), "/t/c.pem" },
		{ "[server]\ntls_key = '/t/k.pem'", offsetof(struct settings, tls_key), "/t/k.pem" },
		{ "[server]\nready_file = '/run/r'", offsetof(struct settings, ready_file), "/run/r" },
		{ "[courier]\ntrust = '/t/ca.pem'", offsetof(struct settings, courier_trust), "/t/ca.pem" },
		{ "[courier]\ntrust = ''", offsetof(struct settings, courier_trust), "" },
		{ "[device]\nhost = '192.0.2.1'", offsetof(struct settings, device_host), "192.0.2.1" },
		{ "[operator]\nhost = '::1'", offsetof(struct settings, operator_host), "::1" },
		{ "[operator]\nsocket = '/run/o'", offsetof(struct settings, local_socket), "/run/o" },
		{ "[public]\nhost = ''", offsetof(struct settings, public_host), "" },
		{ "[public]\nurl = 'http://crl.example/'", offsetof(struct settings, public_url),
		  "http://crl.example" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct settings s = parse_good(rows[i].text);

		assert_string_equal((const char *)&s + rows[i].offset, rows[i].want);
	}
}

static void
each_number_key_reaches_its_field_and_no_other(void **state)
{
	struct settings s = parse_good(
	    "[server]\nfronts = 64\n"
	    "[device]\nport = 65535\n"
	    "[operator]\nport = 0\n"
	    "[public]\nport = 80\n"
	    "[limits]\nidle = '2m'\nconnections = 1000000\nconnections_per_address = 1\n"
	    "[crl]\nlifetime = 3600\n");

	(void)state;
	assert_int_equal(s.fronts, 64);
	assert_int_equal(s.device_port, 65535);
	assert_int_equal(s.operator_port, 0);
	assert_int_equal(s.public_port, 80);
	assert_int_equal(s.idle_s, 120);
	assert_int_equal(s.connections, 1000000);
	assert_int_equal(s.connections_per_address, 1);
	assert_int_equal(s.crl_lifetime_s, 3600);
	assert_int_equal(parse_good("[crl]\nlifetime = '30d'").crl_lifetime_s, 30 * 86400);
	assert_int_equal(parse_good("[limits]\nidle = 7").idle_s, 7);
}

static void
a_relative_path_starts_at_the_directory_of_the_file(void **state)
{
	struct settings s = parse_good("[server]\ndir = 'state'\ntls_key = '../k.pem'");

	(void)state;
	assert_string_equal(s.dir, "/etc/estuary/state");
	assert_string_equal(s.tls_key, "/etc/estuary/../k.pem");
	assert_string_equal(s.local_socket, "/etc/estuary/state/run/operator.sock");
}

static void
a_value_of_another_kind_is_refused_with_its_place(void **state)
{
	(void)state;
	assert_refused("[device]\nhost = '*'\nport = \"8443\"\n",
	    "e.toml:3:1: key 'device.port': expected an integer 0..65535, found a string");
	assert_refused("[device]\n  port = 1.5\n",
	    "e.toml:2:3: key 'device.port': expected an integer 0..65535, found a float");
	assert_refused("[server]\ndir = 7\n",
	    "e.toml:2:1: key 'server.dir': expected a path of at most 1023 octets, found an integer");
	assert_refused("[server]\nuser = ['a']\n",
	    "e.toml:2:1: key 'server.user': expected a string of at most 63 octets, found an array");
	assert_refused("[limits]\nidle = true\n",
	    "e.toml:2:1: key 'limits.idle': expected a duration 1s..1d as in \"90s\", or seconds, "
	    "found a boolean");
	assert_refused("device = 7\n", "e.toml:1:1: key 'device': expected a table, found an integer");
	assert_refused("[[device]]\nport = 1\n",
	    "e.toml:1:3: key 'device': expected a table, found an array");
}

static void
a_number_out_of_range_is_refused_with_the_range(void **state)
{
	(void)state;
	assert_refused("[device]\nport = 65536\n",
	    "e.toml:2:1: key 'device.port': expected an integer 0..65535, found 65536");
	assert_refused("[public]\nport = -1\n",
	    "e.toml:2:1: key 'public.port': expected an integer 0..65535, found -1");
	assert_refused("[server]\nfronts = 65\n",
	    "e.toml:2:1: key 'server.fronts': expected an integer 0..64, found 65");
	assert_refused("[limits]\nconnections = 0\n",
	    "e.toml:2:1: key 'limits.connections': expected an integer 1..1000000, found 0");
	assert_refused("[crl]\nlifetime = '10s'\n",
	    "e.toml:2:1: key 'crl.lifetime': expected a duration 1m..366d as in \"90s\", or seconds, "
	    "found \"10s\"");
	assert_refused("[limits]\nidle = 'soon'\n",
	    "e.toml:2:1: key 'limits.idle': expected a duration 1s..1d as in \"90s\", or seconds, "
	    "found \"soon\"");
}

static void
a_text_that_does_not_fit_its_purpose_is_refused(void **state)
{
	(void)state;
	assert_refused("[server]\ndir = ''\n",
	    "e.toml:2:1: key 'server.dir': expected a path of at most 1023 octets, found \"\"");
	assert_refused("[server]\ndir = \"a\\nb\"\n",
	    "e.toml:2:1: key 'server.dir': expected a path of at most 1023 octets, found \"a\\x0ab\"");
	assert_refused("[server]\nname = '*'\n",
	    "e.toml:2:1: key 'server.name': expected a host name or an address, found \"*\"");
	assert_refused("[device]\nhost = 'a b'\n",
	    "e.toml:2:1: key 'device.host': expected a host name, an address or \"*\", found \"a b\"");
	assert_refused("[public]\nurl = 'ftp://x'\n",
	    "e.toml:2:1: key 'public.url': expected a URL that begins with http:// or https:// and a host, "
	    "found \"ftp://x\"");
	assert_refused("[public]\nurl = 'http:///x'\n",
	    "e.toml:2:1: key 'public.url': expected a URL that begins with http:// or https:// and a host, "
	    "found \"http:///x\"");
	assert_refused("[server]\nuser = 'u234567890123456789012345678901234567890123456789012345678901234'\n",
	    "e.toml:2:1: key 'server.user': expected a string of at most 63 octets, "
	    "found \"u234567890123456789012345678901234567890...\"");
}

static void
an_unknown_key_is_refused_with_the_nearest_known_one(void **state)
{
	(void)state;
	assert_refused("[device]\nprot = 1\n",
	    "e.toml:2:1: key 'device.prot': unknown key; did you mean 'device.port'?");
	assert_refused("[server]\nlifetime = 1\n",
	    "e.toml:2:1: key 'server.lifetime': unknown key; did you mean 'crl.lifetime'?");
	assert_refused("[server.x]\n", "e.toml:1:9: key 'server.x': unknown key");
	assert_refused("[limits]\nbananas = 1\n", "e.toml:2:1: key 'limits.bananas': unknown key");
	assert_refused("[devices]\nport = 1\n",
	    "e.toml:1:2: key 'devices': unknown table; did you mean 'device'?");
	assert_refused("[quarantine]\n", "e.toml:1:2: key 'quarantine': unknown table");
	assert_refused("port = 1\n", "e.toml:1:1: key 'port': unknown key; did you mean 'device.port'?");
}

static void
a_path_too_long_for_its_purpose_is_refused(void **state)
{
	struct settings s;
	struct err e = { 0 };
	AUTO_BUF text = { 0 };

	(void)state;
	buf_put_str(&text, "[operator]\nsocket = '");
	for (int i = 0; i < 100; i++)
		buf_put_u8(&text, 's');
	buf_put_str(&text, "'\n");
	assert_int_equal(parse(&s, buf_str(&text), &e), E_FORMAT);
	assert_string_equal(e.msg, "e.toml:2:1: key 'operator.socket': together with '/etc/estuary' longer than "
	    "107 octets");

	buf_reset(&text);
	buf_put_str(&text, "[server]\ndir = '/");
	for (int i = 0; i < 95; i++)
		buf_put_u8(&text, 'd');
	buf_put_str(&text, "'\n");
	assert_int_equal(parse(&s, buf_str(&text), &e), E_FORMAT);
	assert_non_null(strstr(e.msg, "e.toml: key 'operator.socket': '/ddd"));
	assert_non_null(strstr(e.msg, "longer than 107 octets"));
}

static void
what_is_no_toml_is_refused_with_its_place(void **state)
{
	struct settings s;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(parse(&s, "[server]\ndir = \n", &e), E_FORMAT);
	assert_memory_equal(e.msg, "e.toml:2:", 9);
	assert_int_equal(parse(&s, "[device]\nport = 1\nport = 2\n", &e), E_FORMAT);
	assert_memory_equal(e.msg, "e.toml:3:", 9);
}

/* The sample with every key in force. */
static void
uncomment(struct buf *out, struct bytes sample)
{
	for (size_t i = 0; i < sample.n; i++) {
		bool line_start = i == 0 || sample.p[i - 1] == '\n';

		if (line_start && sample.p[i] == '#' && i + 1 < sample.n && sample.p[i + 1] != ' ')
			continue;
		buf_put_u8(out, sample.p[i]);
	}
}

/* Field by field: as roles get them. */
static void
assert_same(const struct settings *a, const struct settings *b)
{
	AUTO_BUF x = { 0 }, y = { 0 };

	settings_put(&x, a);
	settings_put(&y, b);
	assert_true(bytes_equal(bytes_of_buf(&x), bytes_of_buf(&y)));
}

static void
the_sample_says_what_the_defaults_are(void **state)
{
	AUTO_BUF sample = { 0 }, text = { 0 };
	struct settings s, def = parse_good("");

	(void)state;
	config_sample(&sample);
	s = parse_good(buf_str(&sample));
	assert_same(&s, &def);
	uncomment(&text, bytes_of_buf(&sample));
	assert_non_null(strstr(buf_str(&text), "\nlifetime = \"7d\"\n"));
	s = parse_good(buf_str(&text));
	assert_string_equal(s.name, "est.example.com"); /* by default it is the host's */
	memcpy(s.name, def.name, sizeof(s.name));
	assert_same(&s, &def);
}

static void
a_running_server_keeps_its_directory_its_user_and_its_fronts(void **state)
{
	static const struct { const char *text, *message; } rows[] = {
		{ "[server]\ndir = '/x'", "key 'server.dir': changes only with a restart of the server" },
		{ "[server]\nuser = 'x'", "key 'server.user': changes only with a restart of the server" },
		{ "[server]\nfronts = 3", "key 'server.fronts': changes only with a restart of the server" },
	};
	struct settings was = parse_good(""), now;
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		now = parse_good(rows[i].text);
		assert_int_equal(config_may_change(&was, &now, &e), E_POLICY);
		assert_string_equal(e.msg, rows[i].message);
	}
	now = parse_good("[device]\nport = 1\n[crl]\nlifetime = '1d'\n[server]\nname = 'x'");
	assert_int_equal(config_may_change(&was, &now, &e), 0);
}

/* --- files --- */

struct place {
	char dir[64], file[80];
};

static int
make_place(void **state)
{
	static struct place p;

	(void)snprintf(p.dir, sizeof(p.dir), "/tmp/estuary-config-XXXXXX");
	if (mkdtemp(p.dir) == NULL)
		return -1;
	(void)snprintf(p.file, sizeof(p.file), "%s/e.toml", p.dir);
	*state = &p;
	return file_write(p.file, bytes_of("[server]\ndir = 'state'\n"), 0600, NULL);
}

static int
remove_place(void **state)
{
	struct place *p = *state;

	(void)unlink(p->file);
	return rmdir(p->dir);
}

static void
a_file_of_ours_is_read(void **state)
{
	struct place *p = *state;
	char want[80];
	struct settings s;

	(void)snprintf(want, sizeof(want), "%s/state", p->dir);
	assert_int_equal(config_load(&s, p->file, NULL), 0);
	assert_string_equal(s.dir, want);
}

static void
a_file_that_others_may_write_is_refused(void **state)
{
	struct place *p = *state;
	struct settings s;
	struct err e = { 0 };

	assert_int_equal(chmod(p->file, 0646), 0);
	assert_int_equal(config_load(&s, p->file, &e), E_POLICY);
	assert_non_null(strstr(e.msg, "e.toml: others may write it"));
}

static void
a_file_in_a_directory_that_others_may_write_is_refused(void **state)
{
	struct place *p = *state;
	struct settings s;
	struct err e = { 0 };

	assert_int_equal(chmod(p->dir, 0707), 0);
	assert_int_equal(config_load(&s, p->file, &e), E_POLICY);
	assert_non_null(strstr(e.msg, ": others may write it: chmod o-w /tmp/"));
}

static void
a_directory_for_everybody_is_not_to_be_changed(void **state)
{
	struct place *p = *state;
	struct settings s;
	struct err e = { 0 };

	assert_int_equal(chmod(p->dir, 01777), 0);
	assert_int_equal(config_load(&s, p->file, &e), E_POLICY);
	assert_non_null(strstr(e.msg, ": everybody may write there: put the configuration into a directory that only root"));
	assert_null(strstr(e.msg, "chmod"));
}

static void
a_file_of_somebody_else_is_refused(void **state)
{
	struct place *p = *state;
	struct settings s;
	struct err e = { 0 };

	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(p->file, 65534, 65534), 0);
	assert_int_equal(config_load(&s, p->file, &e), E_POLICY);
	assert_non_null(strstr(e.msg, "belongs to uid 65534"));
}

static void
a_missing_file_is_named(void **state)
{
	struct settings s;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(config_load(&s, "/nowhere/e.toml", &e), E_NOTFOUND);
	assert_non_null(strstr(e.msg, "/nowhere/e.toml"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_file_yields_the_defaults),
		cmocka_unit_test(each_text_key_reaches_its_field),
		cmocka_unit_test(each_number_key_reaches_its_field_and_no_other),
		cmocka_unit_test(a_relative_path_starts_at_the_directory_of_the_file),
		cmocka_unit_test(a_value_of_another_kind_is_refused_with_its_place),
		cmocka_unit_test(a_number_out_of_range_is_refused_with_the_range),
		cmocka_unit_test(a_text_that_does_not_fit_its_purpose_is_refused),
		cmocka_unit_test(an_unknown_key_is_refused_with_the_nearest_known_one),
		cmocka_unit_test(a_path_too_long_for_its_purpose_is_refused),
		cmocka_unit_test(what_is_no_toml_is_refused_with_its_place),
		cmocka_unit_test(the_sample_says_what_the_defaults_are),
		cmocka_unit_test(a_running_server_keeps_its_directory_its_user_and_its_fronts),
		cmocka_unit_test_setup_teardown(a_file_of_ours_is_read, make_place, remove_place),
		cmocka_unit_test_setup_teardown(a_file_that_others_may_write_is_refused, make_place, remove_place),
		cmocka_unit_test_setup_teardown(a_file_in_a_directory_that_others_may_write_is_refused, make_place,
		    remove_place),
		cmocka_unit_test_setup_teardown(a_directory_for_everybody_is_not_to_be_changed, make_place,
		    remove_place),
		cmocka_unit_test_setup_teardown(a_file_of_somebody_else_is_refused, make_place, remove_place),
		cmocka_unit_test(a_missing_file_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
