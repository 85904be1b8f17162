/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/test_settings.c - configurations as config apply and people write them, and what identityd makes of them */
#include "device/identityd/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define HEAD "hostname = \"pump\"\nhomedir = \"/var/lib/aziot/identityd\"\n"
#define DPS  HEAD "[provisioning]\nsource = \"dps\"\nglobal_endpoint = \"https://dps.example/\"\nscope_id = \"0ne1\"\n" \
	"[provisioning.attestation]\n"
#define X509 DPS "method = \"x509\"\nidentity_cert = \"device-id\"\nidentity_pk = \"device-id\"\n"
#define NONE HEAD "[provisioning]\nsource = \"none\"\n"

static struct place here;
static struct buf warnings;

static void
note_warning(void *ctx, const char *text)
{
	(void)ctx;
	buf_printf(&warnings, "%s\n", text);
}

static int
setup(void **state)
{
	struct err e;

	(void)state;
	(void)unsetenv("HTTPS_PROXY");
	(void)unsetenv("https_proxy");
	(void)unsetenv("NO_PROXY");
	(void)unsetenv("no_proxy");
	return place_find(&here, "identityd", "/p", &e);
}

static int
read_text(struct identityd_settings **out, const char *text, struct err *e)
{
	AUTO(toml) doc = NULL;

	buf_free(&warnings);
	if (toml_parse(&doc, "00-super.toml", bytes_of(text), e) != 0)
		fail_msg("%s", e->msg);
	return identityd_settings_read(out, doc, &here, note_warning, NULL, e);
}

static struct identityd_settings *
taken(const char *text)
{
	struct identityd_settings *s = NULL;
	struct err e = { 0 };

	if (read_text(&s, text, &e) != 0)
		fail_msg("%s", e.msg);
	return s;
}

static void
refused(const char *text, const char *part)
{
	struct identityd_settings *s = NULL;
	struct err e = { 0 };

	assert_int_equal(read_text(&s, text, &e), E_FORMAT);
	assert_null(s);
	if (strstr(e.msg, part) == NULL)
		fail_msg("'%s' has no '%s'", e.msg, part);
	buf_free(&warnings);
}

static void
what_config_apply_writes_for_a_group_by_x509_is_read(void **state)
{
	AUTO(identityd_settings) s = taken(HEAD
	    "prefer_module_identity_cache = false\n\n[provisioning]\nsource = \"dps\"\n"
	    "global_endpoint = \"https://global.azure-devices-provisioning.net/\"\nscope_id = \"0ne00AB\"\n\n"
	    "[provisioning.attestation]\nmethod = \"x509\"\nidentity_cert = \"device-id\"\nidentity_pk = \"device-id\"\n"
	    "registration_id = \"my-device\"\n\n[provisioning.attestation.identity_auto_renew]\nrotate_key = false\n"
	    "threshold = \"80%\"\nretry = \"4%\"\n\n[[principal]]\nuid = 1000\nname = \"aziot-edge\"\n");

	(void)state;
	assert_string_equal(s->hostname, "pump");
	assert_int_equal(s->source, SOURCE_IS_DPS);
	assert_int_equal(s->auth, AUTH_IS_X509);
	assert_string_equal(s->registration, "my-device");
	assert_string_equal(name_get(&s->subject, OID_CN), "my-device");
	assert_string_equal(s->scope, "0ne00AB");
	assert_true(s->renew);
	assert_false(s->policy.rotate_key);
	assert_int_equal(s->policy.threshold.n, 80);
	assert_int_equal(s->cloud_timeout_s, 70);
	assert_int_equal(s->cloud_retries, 1);
	assert_string_equal(s->keyd_socket, "/p/run/aziot/keyd.sock");
	assert_true(s->n_principals == 1 && s->principal[0].daemon && s->principal[0].uid == 1000);
	assert_int_equal(warnings.n, 0);
}

static void
a_subject_table_is_a_name_with_the_cn_first_and_the_rest_in_order(void **state)
{
	AUTO(identityd_settings) s = taken(X509 "[provisioning.attestation.registration_id]\nO = \"Example\"\nC = \"AQ\"\n"
	    "CN = \"pump-7\"\nL = \"Pole\"\n");
	char text[NAME_TEXT_MAX];

	(void)state;
	assert_string_equal(name_text(&s->subject, text), "CN=pump-7,C=AQ,L=Pole,O=Example");
	assert_string_equal(s->registration, "pump-7");
	assert_false(s->renew);
}

static void
a_manual_device_has_its_id_as_cn_whatever_the_subject_says(void **state)
{
	AUTO(identityd_settings) s = taken(HEAD "[provisioning]\nsource = \"manual\"\niothub_hostname = \"hub.example\"\n"
	    "device_id = \"pump-7\"\n[provisioning.authentication]\nmethod = \"x509\"\nidentity_cert = \"device-id\"\n"
	    "identity_pk = \"device-id\"\ncsr_subject = { CN = \"other\", O = \"Example\" }\n");
	AUTO(identityd_settings) sas = taken(HEAD "[provisioning]\nsource = \"manual\"\niothub_hostname = \"hub.example\"\n"
	    "device_id = \"pump-7\"\nlocal_gateway_hostname = \"parent\"\n[provisioning.authentication]\nmethod = \"sas\"\n"
	    "device_id_pk = \"device-id\"\n");
	char text[NAME_TEXT_MAX];

	(void)state;
	assert_string_equal(name_text(&s->subject, text), "CN=pump-7,O=Example");
	assert_int_equal(sas->auth, AUTH_IS_SAS);
	assert_string_equal(sas->symmetric_key, "device-id");
	assert_string_equal(sas->gateway, "parent");
}

static void
principals_have_their_types_and_one_alone_is_the_daemon(void **state)
{
	AUTO(identityd_settings) s = taken(NONE "[localid]\ndomain = \"example\"\n"
	    "[[principal]]\nuid = 1\nname = \"a\"\n[[principal]]\nuid = 2\nname = \"b\"\n"
	    "[[principal]]\nuid = 3\nname = \"c\"\nidtype = [\"local\"]\nlocalid = { type = \"x509\", attributes = \"server\" }\n");

	(void)state;
	assert_int_equal(s->n_principals, 3);
	assert_true(s->principal[0].daemon);
	assert_false(s->principal[1].daemon);
	assert_true(s->principal[2].local && s->principal[2].server && !s->principal[2].daemon);
	assert_non_null(strstr(buf_str(&warnings), "second principal without idtype"));
	buf_free(&warnings);
}

static void
the_proxy_is_the_configured_one_or_the_environments(void **state)
{
	struct identityd_settings *s;

	(void)state;
	assert_int_equal(setenv("https_proxy", "http://a:1", 1), 0);
	s = taken(NONE);
	assert_string_equal(s->proxy, "http://a:1");
	identityd_settings_free(s);
	s = taken(HEAD "[provisioning]\nsource = \"none\"\nproxy = \"\"\n");
	assert_string_equal(s->proxy, "");
	identityd_settings_free(s);
	(void)unsetenv("https_proxy");
}

static void
unknown_keys_are_told_with_what_was_meant(void **state)
{
	AUTO(identityd_settings) s = taken(X509 "registration_id = \"x\"\nidentiy_auto_renew = 1\n");

	(void)state;
	assert_non_null(s);
	assert_non_null(strstr(buf_str(&warnings), "identity_auto_renew"));
	buf_free(&warnings);
}

static void
what_cannot_work_is_refused_with_its_place_and_reason(void **state)
{
	static const struct {
		const char *text, *part;
	} rows[] = {
		{ "[provisioning]\nsource = \"none\"\n", "hostname" },
		{ HEAD, "no [provisioning]" },
		{ HEAD "[provisioning]\nsource = \"cloud\"\n", "\"manual\", \"dps\" or \"none\"" },
		{ HEAD "[provisioning]\n", "source" },
		{ HEAD "cloud_timeout_sec = 10\n[provisioning]\nsource = \"none\"\n", "70 to" },
		{ HEAD "cloud_retries = -1\n[provisioning]\nsource = \"none\"\n", "cloud_retries" },
		{ "hostname = \"h\"\nhomedir = \"relative\"\n[provisioning]\nsource = \"none\"\n", "absolute" },
		{ DPS "method = \"x509\"\nidentity_cert = \"device-id\"\n", "identity_pk" },
		{ DPS "method = \"symmetric_key\"\nsymmetric_key = \"k\"\n", "registration_id" },
		{ DPS "method = \"symmetric_key\"\nregistration_id = \"r\"\n", "symmetric_key" },
		{ DPS "method = \"tpm\"\n", "registration_id" },
		{ DPS "method = \"magic\"\nregistration_id = \"r\"\n", "\"tpm\" is needed" },
		{ DPS "method = \"symmetric_key\"\nsymmetric_key = \"k\"\nregistration_id = \"a b\"\n", "letters, digits" },
		{ DPS "method = \"symmetric_key\"\nsymmetric_key = \"k\"\nregistration_id = { CN = \"x\" }\n", "a text is needed" },
		{ X509 "registration_id = { O = \"x\" }\n", "needs a CN" },
		{ X509 "registration_id = { CN = \"x\", XX = \"y\" }\n", "not an attribute" },
		{ X509 "registration_id = \"0123456789012345678901234567890123456789012345678901234567890123456789\"\n", "64" },
		{ X509 "registration_id = \"x\"\n[provisioning.attestation.identity_auto_renew]\nthreshold = \"100%\"\n", "threshold" },
		{ HEAD "[provisioning]\nsource = \"dps\"\nglobal_endpoint = \"http://dps\"\nscope_id = \"s\"\n", "https://" },
		{ HEAD "[provisioning]\nsource = \"dps\"\nglobal_endpoint = \"https://u:p@dps\"\nscope_id = \"s\"\n", "https://" },
		{ HEAD "[provisioning]\nsource = \"dps\"\nglobal_endpoint = \"https://dps\"\n", "scope_id" },
		{ HEAD "[provisioning]\nsource = \"dps\"\nglobal_endpoint = \"https://dps\"\nscope_id = \"s\"\n"
		    "local_gateway_hostname = \"p\"\n", "nested mode" },
		{ HEAD "[provisioning]\nsource = \"manual\"\niothub_hostname = \"h\"\n", "device_id" },
		{ HEAD "[provisioning]\nsource = \"manual\"\niothub_hostname = \"h\"\ndevice_id = \"d\"\n", "authentication" },
		{ HEAD "[provisioning]\nsource = \"none\"\ntrusted_certs = [1]\n", "a text" },
		{ HEAD "[provisioning]\nsource = \"dps\"\nglobal_endpoint = \"https://dps\"\nscope_id = \"s\"\n"
		    "payload = { uri = \"http://x\" }\n[provisioning.attestation]\nmethod = \"tpm\"\nregistration_id = \"r\"\n", "payload" },
		{ NONE "[[principal]]\nuid = 1\n", "name" },
		{ NONE "[[principal]]\nname = \"a\"\n", "uid" },
		{ NONE "[[principal]]\nuid = 4294967295\nname = \"a\"\n", "uid" },
		{ NONE "[[principal]]\nuid = 1\nname = \"a\"\n[[principal]]\nuid = 2\nname = \"a\"\n", "already" },
		{ NONE "[[principal]]\nuid = 1\nname = \"a\"\nidtype = [\"module\"]\n", "provisioning source" },
		{ NONE "[[principal]]\nuid = 1\nname = \"a\"\nidtype = [\"local\"]\n", "[localid]" },
		{ NONE "[[principal]]\nuid = 1\nname = \"a\"\nidtype = [\"leaf\"]\n", "idtype" },
		{ NONE "[localid]\ndomain = \"d\"\n[[principal]]\nuid = 1\nname = \"a\"\nidtype = []\n"
		    "localid = { type = \"x509\" }\n", "no \"local\"" },
		{ NONE "[localid]\n", "domain" },
		{ NONE "[endpoints]\naziot_keyd = \"tcp://x\"\n", "aziot_keyd" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++)
		refused(rows[i].text, rows[i].part);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_config_apply_writes_for_a_group_by_x509_is_read),
		cmocka_unit_test(a_subject_table_is_a_name_with_the_cn_first_and_the_rest_in_order),
		cmocka_unit_test(a_manual_device_has_its_id_as_cn_whatever_the_subject_says),
		cmocka_unit_test(principals_have_their_types_and_one_alone_is_the_daemon),
		cmocka_unit_test(the_proxy_is_the_configured_one_or_the_environments),
		cmocka_unit_test(unknown_keys_are_told_with_what_was_meant),
		cmocka_unit_test(what_cannot_work_is_refused_with_its_place_and_reason),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
