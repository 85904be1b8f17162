/* SPDX-License-Identifier: Apache-2.0 */
/* proto/test_settings.c - settings on their way to the roles */
#include "server/proto/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/mem.h"

static void
the_defaults_go_round_unchanged(void **state)
{
	static struct settings s, got;
	AUTO_BUF b = { 0 };
	AUTO_BUF again = { 0 };

	(void)state;
	settings_default(&s);
	settings_put(&b, &s);
	assert_int_equal(settings_get(&got, bytes_of_buf(&b), NULL), 0);
	settings_put(&again, &got);
	assert_true(bytes_equal(bytes_of_buf(&b), bytes_of_buf(&again)));
	assert_string_equal(got.dir, "/var/lib/estuary");
	assert_int_equal(got.device_port, 8443);
	assert_string_not_equal(got.name, "");
}

static void
every_field_has_its_place(void **state)
{
	static struct settings s, g;
	AUTO_BUF b = { 0 };

	(void)state;
	s = (struct settings){ .dir = "/a", .user = "b", .fronts = 3, .device_host = "c", .device_port = 4,
		.operator_host = "d", .operator_port = 5, .public_host = "e", .public_port = 65535,
		.local_socket = "f", .name = "g", .public_url = "h", .tls_chain = "i", .tls_key = "j",
		.ready_file = "k", .courier_trust = "l", .idle_s = 7, .connections = 8, .connections_per_address = 9,
		.crl_lifetime_s = INT64_C(10) << 32 };
	settings_put(&b, &s);
	assert_int_equal(settings_get(&g, bytes_of_buf(&b), NULL), 0);
	assert_string_equal(g.dir, "/a");
	assert_string_equal(g.user, "b");
	assert_string_equal(g.device_host, "c");
	assert_string_equal(g.operator_host, "d");
	assert_string_equal(g.public_host, "e");
	assert_string_equal(g.local_socket, "f");
	assert_string_equal(g.name, "g");
	assert_string_equal(g.public_url, "h");
	assert_string_equal(g.tls_chain, "i");
	assert_string_equal(g.tls_key, "j");
	assert_string_equal(g.ready_file, "k");
	assert_string_equal(g.courier_trust, "l");
	assert_true(g.fronts == 3 && g.device_port == 4 && g.operator_port == 5 && g.public_port == 65535);
	assert_true(g.idle_s == 7 && g.connections == 8 && g.connections_per_address == 9);
	assert_true(g.crl_lifetime_s == INT64_C(10) << 32);
}

static void
settings_of_any_other_length_are_refused_and_change_nothing(void **state)
{
	static struct settings s, got;
	AUTO_BUF b = { 0 };

	(void)state;
	settings_default(&s);
	settings_put(&b, &s);
	for (size_t n = 0; n < b.n; n++) {
		uint8_t *cut = mem_dup(b.p, n);

		assert_int_equal(settings_get(&got, (struct bytes){ cut, n }, NULL), E_FORMAT);
		mem_free(cut);
	}
	buf_put_u8(&b, 0);
	assert_int_equal(settings_get(&got, bytes_of_buf(&b), NULL), E_FORMAT);
	assert_string_equal(got.dir, "");
}

static int
result(const struct settings *s)
{
	static struct settings got;
	AUTO_BUF b = { 0 };

	settings_put(&b, s);
	return settings_get(&got, bytes_of_buf(&b), NULL);
}

static void
settings_that_no_supervisor_sends_are_refused(void **state)
{
	static struct settings s;

	(void)state;
	settings_default(&s);
	s.fronts = SETTINGS_FRONTS_MAX + 1;
	assert_int_equal(result(&s), E_FORMAT);
	settings_default(&s);
	s.dir[0] = '.';
	assert_int_equal(result(&s), E_FORMAT);
	settings_default(&s);
	s.crl_lifetime_s = 0;
	assert_int_equal(result(&s), E_FORMAT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_defaults_go_round_unchanged),
		cmocka_unit_test(every_field_has_its_place),
		cmocka_unit_test(settings_of_any_other_length_are_refused_and_change_nothing),
		cmocka_unit_test(settings_that_no_supervisor_sends_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
