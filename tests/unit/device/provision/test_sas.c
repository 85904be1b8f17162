/* SPDX-License-Identifier: Apache-2.0 */
/* test_sas.c - tokens as Python's hmac makes them, and addresses that no ID can change */
#include "device/provision/sas.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "core/pki/key.h"

/* hmac.new(key, resource + "\n" + until, sha256), base64, urllib.parse.quote_plus(safe="*-._") */
static const struct {
	const char *text;
	const char *policy;
	int64_t until;
	bool long_key;
	const char *token;
} golden[] = {
	{ "0ne00ABCDEF/registrations/Pump-7", "registration", 1800000000, false,
	  "SharedAccessSignature sr=0ne00abcdef/registrations/pump-7&sig=uY%2B5s1%2BLccuzlzCBzjMS7Wj4ybAc5MGPTHpWT5i%2BpPU%3D"
	  "&se=1800000000&skn=registration" },
	{ "0ne00ABCDEF/registrations/Pump-7", "registration", 1800000000, true,
	  "SharedAccessSignature sr=0ne00abcdef/registrations/pump-7&sig=bLQknLmftPbZIcwYox4m9v%2BjEadeyUy680StwmVr%2FhU%3D"
	  "&se=1800000000&skn=registration" },
	{ "Hub.Example:8443/devices/a=b%c d", NULL, 1800003600, false,
	  "SharedAccessSignature sr=hub.example:8443/devices/a%3Db%c%20d&sig=IHqeHJ8T%2BTUPaLFo1SiMO6aAUNXFxRs6naCBIAbKEuw%3D"
	  "&se=1800003600" },
	{ "Hub.Example:8443/devices/a=b%c d", NULL, 1800003600, true,
	  "SharedAccessSignature sr=hub.example:8443/devices/a%3Db%c%20d&sig=AS597OcX%2FbnMkX9w7fHDCcUh75UVVL86OzEFtkpKiGA%3D"
	  "&se=1800003600" },
	{ "s/registrations/x", "registration", 4102444800, false,
	  "SharedAccessSignature sr=s/registrations/x&sig=dvJMJZgZ7SY0q75l%2BOwe0oqAaUpPXph6jGRKttIrtqA%3D"
	  "&se=4102444800&skn=registration" },
};

static void
tokens_are_those_that_python_makes(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(golden); i++) {
		AUTO_BUF resource = { 0 };
		AUTO_BUF input = { 0 };
		AUTO_BUF token = { 0 };
		uint8_t key[64], mac[SHA256_LEN];
		size_t n = golden[i].long_key ? 64 : 32;

		for (size_t j = 0; j < n; j++)
			key[j] = golden[i].long_key ? 0xff : (uint8_t)j;
		sas_put_resource(&resource, golden[i].text);
		sas_put_input(&input, buf_str(&resource), golden[i].until);
		hmac_sha256(mac, (struct bytes){ key, n }, bytes_of_buf(&input));
		sas_put_token(&token, buf_str(&resource), (struct bytes){ mac, sizeof(mac) }, golden[i].until,
		    golden[i].policy);
		assert_string_equal(buf_str(&token), golden[i].token);
	}
}

static void
a_resource_is_in_lower_case_and_encoded_as_the_services_do_it(void **state)
{
	static const struct {
		const char *text, *resource;
	} rows[] = {
		{ "Scope/registrations/ID", "scope/registrations/id" },
		{ "a b\"<>`#?{}=", "a%20b%22%3C%3E%60%23%3F%7B%7D%3D" },
		{ "a%2Fb/c", "a%2fb/c" },
		{ "\xc3\x9c" "ber", "%C3%9Cber" },
		{ "a:b@c$d&e+f", "a:b@c$d&e+f" },
		{ "\x7f\x01", "%7F%01" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		AUTO_BUF out = { 0 };

		sas_put_resource(&out, rows[i].text);
		assert_string_equal(buf_str(&out), rows[i].resource);
	}
}

static void
no_id_can_change_the_path_that_it_is_put_into(void **state)
{
	static const struct {
		const char *text, *segment;
	} rows[] = {
		{ "pump-7", "pump-7" },
		{ "$edgeAgent", "$edgeAgent" },
		{ "a:b@c", "a:b@c" },
		{ "a/b", "a%2Fb" },
		{ "../x", "..%2Fx" },
		{ "..", "%2E%2E" },
		{ ".", "%2E" },
		{ "a?b#c", "a%3Fb%23c" },
		{ "a%2Fb", "a%252Fb" },
		{ "a=b", "a%3Db" },
		{ "a\r\nb", "a%0D%0Ab" },
		{ "\xc3\x9c", "%C3%9C" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		AUTO_BUF out = { 0 };

		sas_put_segment(&out, rows[i].text);
		assert_string_equal(buf_str(&out), rows[i].segment);
	}
}

static void
a_host_is_a_host_and_nothing_more(void **state)
{
	static const char *const good[] = {
		"hub", "hub.azure-devices.net", "localhost:8443", "192.0.2.1", "192.0.2.1:443", "[::1]", "[2001:db8::1]:8443",
		"a_b.example",
	};
	static const char *const bad[] = {
		"", ":443", "hub:", "hub:0", "hub:65536", "hub:44x", "hub/path", "user@hub", "hub?x", "hub#x", "hub hub", "-hub",
		".hub", "[]", "[::1", "[::1]x", "[::1]:", "::1", "hub\r\nX: y", "h\xc3\xbc", "[g]",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(good); i++)
		if (!sas_valid_host(good[i]))
			fail_msg("'%s' was refused", good[i]);
	for (size_t i = 0; i < N_OF(bad); i++)
		if (sas_valid_host(bad[i]))
			fail_msg("'%s' was taken", bad[i]);
}

static void
an_endpoint_gives_its_host_and_its_path_is_dropped(void **state)
{
	static const char *const good[][2] = {
		{ "https://global.azure-devices-provisioning.net", "global.azure-devices-provisioning.net" },
		{ "https://global.azure-devices-provisioning.net/", "global.azure-devices-provisioning.net" },
		{ "https://localhost:8443/some/path", "localhost:8443" },
	};
	static const char *const bad[] = {
		"http://host", "host", "https://", "https:///x", "https://user:pw@host", "https://host?x=y", "https://host/x#y",
		"ftp://host", "https://host:99999/",
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(good); i++) {
		AUTO_BUF out = { 0 };

		assert_int_equal(sas_host_of(&out, good[i][0], &e), 0);
		assert_string_equal(buf_str(&out), good[i][1]);
	}
	for (size_t i = 0; i < N_OF(bad); i++) {
		AUTO_BUF out = { 0 };

		if (sas_host_of(&out, bad[i], &e) != E_USAGE || out.n != 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_non_null(strstr(e.msg, "https://host[:port] is needed"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_are_those_that_python_makes),
		cmocka_unit_test(a_resource_is_in_lower_case_and_encoded_as_the_services_do_it),
		cmocka_unit_test(no_id_can_change_the_path_that_it_is_put_into),
		cmocka_unit_test(a_host_is_a_host_and_nothing_more),
		cmocka_unit_test(an_endpoint_gives_its_host_and_its_path_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
