/* SPDX-License-Identifier: Apache-2.0 */
/* device/config/test_connection.c - connection strings, and the super-config that is made of one */
#include "device/config/connection.h"

#include "device/config/mp.h"
#include "tests/unit/device/service/scratch.h"

static void
a_connection_string_is_read_in_any_order_with_or_without_padding(void **state)
{
	static const char *const rows[] = {
		"HostName=h.example;DeviceId=d;SharedAccessKey=c2VjcmV0Cg==",
		    "SharedAccessKey=c2VjcmV0Cg;x=y;DeviceId=d;HostName=h.example;",
		"HostName=h.example;DeviceId=d;SharedAccessKeyName=n;SharedAccessKey=c2VjcmV0Cg=",
	};
	struct connection c;
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		assert_int_equal(connection_parse(&c, rows[i], &e), 0);
		assert_string_equal(buf_str(&c.hub), "h.example");
		assert_string_equal(buf_str(&c.device), "d");
		assert_true(bytes_equal_str(bytes_of_buf(&c.key), "secret\n"));
		connection_clear(&c);
	}
}

static void
what_is_missing_is_named_and_the_key_is_not(void **state)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "", "HostName=" }, { "HostName=h", "DeviceId=" },
		  { "HostName=;DeviceId=d;SharedAccessKey=c2VjcmV0", "HostName=" },
		{ "HostName=h;DeviceId=d", "SharedAccessKey=" },
		  { "HostName=h;DeviceId=d;SharedAccessKey=hush%", "not base64" },
		{ "HostName=h;DeviceId=d;SharedAccessKey=====", "not base64" },
	};
	struct connection c;
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		assert_int_equal(connection_parse(&c, rows[i].in, &e), E_FORMAT);
		assert_non_null(strstr(e.msg, rows[i].want));
		assert_null(strstr(e.msg, "hush"));
	}
}

static void
mp_makes_a_configuration_of_it(void **state)
{
	AUTO_BUF out = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(mp_text(&out, "HostName=h;DeviceId=d;SharedAccessKey=c2VjcmV0", &e), 0);
	assert_string_equal(buf_str(&out), "[provisioning]\nsource = \"manual\"\n"
	    "connection_string = \"HostName=h;DeviceId=d;SharedAccessKey=c2VjcmV0\"\n\n[aziot_keys]\n\n"
	    "[preloaded_keys]\n\n"
	    "[cert_issuance]\n\n[preloaded_certs]\n\n[tpm]\n");
	buf_reset(&out);
	assert_int_equal(mp_text(&out, "HostName=h;DeviceId=d", &e), E_FORMAT);
	assert_int_equal(out.n, 0);
}

static void
a_configuration_is_replaced_by_force_alone_and_nobody_else_reads_it(void **state)
{
	AUTO_BUF now = { 0 };
	struct stat st;
	struct err e;

	(void)state;
	scratch_make();
	scratch_write("config.toml", "old\n");
	assert_int_equal(mp_write(scratch_path("config.toml"), bytes_of("new\n"), false, &e), E_EXISTS);
	assert_non_null(strstr(e.msg, "--force"));
	assert_int_equal(mp_write(scratch_path("config.toml"), bytes_of("new\n"), true, &e), 0);
	assert_int_equal(file_read(&now, scratch_path("config.toml"), 100, &e), 0);
	assert_string_equal(buf_str(&now), "new\n");
	assert_int_equal(stat(scratch_path("config.toml"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	scratch_remove();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_string_is_read_in_any_order_with_or_without_padding),
		cmocka_unit_test(what_is_missing_is_named_and_the_key_is_not),
		cmocka_unit_test(mp_makes_a_configuration_of_it),
		cmocka_unit_test(a_configuration_is_replaced_by_force_alone_and_nobody_else_reads_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
