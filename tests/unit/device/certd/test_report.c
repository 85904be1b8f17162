/* SPDX-License-Identifier: Apache-2.0 */
/* certd/test_report.c - what monitoring and people are told of the certificates */
#include "device/certd/report.h"

#include "certd_kit.h"

static const json_t *
with(const json_t *list, const char *member, const char *text)
{
	const json_t *o;
	size_t i;

	json_array_foreach(list, i, o)
		if (strcmp(json_str(o, member, ""), text) == 0)
			return o;
	return NULL;
}

static void
certificates_are_listed_by_id_and_unknown_files_by_path(void **state)
{
	struct place here = kit_place();
	AUTO_BUF text = { 0 };
	AUTO(key) k = kit_key();
	AUTO_BUF pem = { 0 };
	AUTO_JSON list = json_array();
	char path[PLACE_MAX * 2];
	const json_t *o;
	struct err e;

	(void)state;
	kit_cert(&pem, k, "pump-7");
	(void)snprintf(path, sizeof(path), "%s/broken.pem", here.prefix);
	kit_write(path, "broken");
	buf_printf(&text, "homedir_path = \"%s/home\"\n[preloaded_certs]\nbroken = \"file://%s\"\nall = [\"x\"]\n"
	    "[cert_issuance]\nx = { method = \"self_signed\" }\ngone = { method = \"self_signed\" }\n", here.prefix, path);
	{
		AUTO(certd_settings) s = kit_settings(&here, buf_str(&text));

		assert_int_equal(certs_write(s, "x", bytes_of_buf(&pem), &e), 0);
		assert_int_equal(certs_write(s, "module", bytes_of_buf(&pem), &e), 0);
		assert_int_equal(certs_path(path, s, "module", &e), 0);
		report_certificates(list, s);
	}
	assert_int_equal(json_array_size(list), 4);
	o = with(list, "id", "x");
	assert_string_equal(json_str(o, "subject", ""), "CN=pump-7");
	assert_string_equal(json_str(o, "method", ""), "self_signed");
	assert_string_equal(json_str(o, "serial", ""), "2a");
	assert_int_equal(json_int(o, "not_after", 0), KIT_NOW + 1000);
	assert_false(json_flag(o, "preloaded", true));
	o = with(list, "id", "broken");
	assert_true(json_flag(o, "preloaded", false));
	assert_non_null(json_object_get(o, "error"));
	o = with(list, "id", "all");
	assert_null(json_object_get(o, "path"));
	o = with(list, "path", path);
	assert_non_null(o);
	assert_null(json_object_get(o, "id"));
	kit_remove(&here);
	buf_free(&kit_warnings);
}

static void
metrics_are_what_prometheus_reads(void **state)
{
	AUTO_JSON certificates = NULL;
	AUTO_JSON credentials = NULL;
	AUTO_BUF text = { 0 };
	const char *t;

	(void)state;
	assert_int_equal(json_parse(&certificates, bytes_of("[{\"id\":\"a\\\"b\\\\c\",\"not_after\":123},"
	    "{\"path\":\"/h/certs/m.cer\",\"not_after\":5},{\"id\":\"broken\"}]"), NULL), 0);
	assert_int_equal(json_parse(&credentials, bytes_of("[{\"id\":\"est-id\",\"next_renewal\":7,\"tries\":0,"
	    "\"generation\":3,\"proved\":true,\"disabled\":false,\"last_success\":0}]"), NULL), 0);
	report_metrics(&text, certificates, credentials, false);
	t = buf_str(&text);
	assert_non_null(strstr(t, "# TYPE estuary_certificate_not_after_seconds gauge\n"
	    "estuary_certificate_not_after_seconds{id=\"a\\\"b\\\\c\"} 123\n"
	    "estuary_certificate_not_after_seconds{file=\"m.cer\"} 5\n#"));
	assert_non_null(strstr(t, "\nestuary_renewal_next_seconds{id=\"est-id\"} 7\n"));
	assert_non_null(strstr(t, "\nestuary_renewal_tries{id=\"est-id\"} 0\n"));
	assert_non_null(strstr(t, "\nestuary_credential_generation{id=\"est-id\"} 3\n"));
	assert_non_null(strstr(t, "\nestuary_credential_proved{id=\"est-id\"} 1\n"));
	assert_non_null(strstr(t, "\nestuary_configuration_ok 0\n"));
	assert_null(strstr(t, "last_success_seconds{"));
	assert_null(strstr(t, "broken"));
	for (const char *line = t; *line != 0; line = strchr(line, '\n') + 1)
		assert_true(strncmp(line, "# HELP estuary_", 15) == 0 || strncmp(line, "# TYPE estuary_", 15) == 0 ||
		    strncmp(line, "estuary_", 8) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certificates_are_listed_by_id_and_unknown_files_by_path),
		cmocka_unit_test(metrics_are_what_prometheus_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
