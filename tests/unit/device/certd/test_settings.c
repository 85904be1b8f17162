/* SPDX-License-Identifier: Apache-2.0 */
/* certd/test_settings.c - configurations as people write them, and what certd makes of them */
#include "device/certd/settings.h"

#include "certd_kit.h"

static struct place here;

static int
setup(void **state)
{
	struct err e;

	(void)state;
	(void)unsetenv("HTTPS_PROXY");
	(void)unsetenv("https_proxy");
	(void)unsetenv("NO_PROXY");
	(void)unsetenv("no_proxy");
	return place_find(&here, "certd", "/p", &e);
}

static void
refused(const char *text, const char *part)
{
	struct certd_settings *s = NULL;
	struct err e = { 0 };

	assert_int_equal(kit_read(&s, &here, text, &e), E_FORMAT);
	assert_null(s);
	if (strstr(e.msg, part) == NULL || strstr(e.msg, "config.toml:") == NULL)
		fail_msg("'%s' has no place or no '%s'", e.msg, part);
	buf_free(&kit_warnings);
}

static void
an_empty_configuration_has_the_defaults_of_its_place(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here, "");

	(void)state;
	assert_string_equal(s->home, "/p/var/lib/aziot/certd");
	assert_string_equal(s->keyd_socket, "/p/run/aziot/keyd.sock");
	assert_int_equal(s->max_requests, 10);
	assert_false(s->close_when_full);
	assert_true(s->trust_system);
	assert_true(s->identity_auto_renew);
	assert_int_equal(s->identity_policy.threshold.n, 80);
	assert_true(s->identity_policy.rotate_key);
	assert_null(s->proxy);
	assert_null(s->socket);
	assert_int_equal(kit_warnings.n, 0);
}

/* A certificate of its own file in config.d, with everything in its entry. */
static void
the_documented_entry_with_its_own_url_and_auth_is_read(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here,
	    "homedir_path = \"/var/lib/aziot/certd\"\n"
	    "[cert_issuance.est]\ntrusted_certs = [\"est-server-ca\"]\n"
	    "[preloaded_certs]\nest-server-ca = \"file:///path/to/file.pem\"\n"
	    "test-est-bootstrap-cert-id = \"file:///path/to/boot.pem\"\n"
	    "[cert_issuance.test-est-cert]\nmethod = \"est\"\n"
	    "common_name = \"name\"\n"
	    "url = \"https://est.example/.well-known/est/test-est-cert\"\n"
	    "identity_cert = \"test-est-cert-identity-id\"\nidentity_pk = \"test-est-cert-identity-id\"\n"
	    "bootstrap_identity_cert = \"test-est-bootstrap-cert-id\"\n"
	    "bootstrap_identity_pk = \"test-est-bootstrap-key-id\"\n"
	    "[[principal]]\nuid = 1000\ncerts = [\"test-est-cert\"]\n");
	const struct issuance *is = certd_issuance(s, "test-est-cert");
	const struct est_auth_settings *a = certd_auth(s, "test-est-cert");

	(void)state;
	assert_non_null(is);
	assert_int_equal(is->method, METHOD_EST);
	assert_string_equal(name_get(&is->subject, OID_CN), "name");
	assert_string_equal(certd_url(s, "test-est-cert", NULL), "https://est.example/.well-known/est/test-est-cert");
	assert_ptr_equal(a, &is->auth);
	assert_string_equal(a->identity_cert, "test-est-cert-identity-id");
	assert_string_equal(a->bootstrap_pk, "test-est-bootstrap-key-id");
	assert_string_equal(s->trusted_certs[0], "est-server-ca");
	assert_null(s->trusted_certs[1]);
	assert_string_equal(certd_preloaded(s, "est-server-ca")->path, "/path/to/file.pem");
	assert_true(principals_allow(s->principals, 1000, "test-est-cert"));
	assert_false(principals_allow(s->principals, 1001, "test-est-cert"));
	assert_int_equal(kit_warnings.n, 0);
}

static void
check_auth(const char *text)
{
	AUTO(certd_settings) s = kit_settings(&here, text);
	const struct est_auth_settings *a = certd_auth(s, "any");

	assert_non_null(a);
	assert_string_equal(a->username, "u");
	assert_string_equal(a->password, "p");
	assert_string_equal(a->identity_cert, "est-id");
	assert_string_equal(a->identity_pk, "est-id-key");
	assert_string_equal(a->bootstrap_cert, "boot");
	assert_string_equal(a->bootstrap_pk, "boot-key");
	assert_int_equal(kit_warnings.n, 0);
}

static void
auth_may_stand_in_the_est_table_or_in_its_auth_table(void **state)
{
#define KEYS                                                                   \
	"username = \"u\"\npassword = \"p\"\nidentity_cert = \"est-id\"\nidentity_pk = \"est-id-key\"\n" \
	"bootstrap_identity_cert = \"boot\"\nbootstrap_identity_pk = \"boot-key\"\n"
	(void)state;
	check_auth("[cert_issuance.est]\n" KEYS);
	check_auth("[cert_issuance.est.auth]\n" KEYS);
}

static void
what_stands_in_the_table_itself_goes_before_its_auth_table(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here, "[cert_issuance.est]\nusername = \"outer\"\n"
	    "[cert_issuance.est.auth]\nusername = \"inner\"\npassword = \"p\"\n");

	(void)state;
	assert_string_equal(s->est_auth.username, "outer");
	assert_string_equal(s->est_auth.password, "p");
}

static void
half_a_pair_is_told_of_and_not_used(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here, "[cert_issuance.est]\nusername = \"u\"\nidentity_cert = \"est-id\"\n");

	(void)state;
	assert_null(certd_auth(s, "any"));
	assert_null(s->est_auth.username);
	assert_null(s->est_auth.identity_cert);
	assert_true(kit_warned("username is given without password"));
	assert_true(kit_warned("identity_cert is given without identity_pk"));
}

static void
auth_of_a_certificate_replaces_the_global_one_as_a_whole(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here, "[cert_issuance.est]\nusername = \"u\"\npassword = \"p\"\n"
	    "[cert_issuance.est.urls]\ndefault = \"https://d/\"\n"
	    "[cert_issuance.x]\nmethod = \"est\"\nidentity_cert = \"i\"\nidentity_pk = \"k\"\n"
	    "[cert_issuance.y]\nmethod = \"est\"\n");

	(void)state;
	assert_null(certd_auth(s, "x")->username);
	assert_string_equal(certd_auth(s, "x")->identity_cert, "i");
	assert_string_equal(certd_auth(s, "y")->username, "u");
}

static void
files_may_stand_where_certificate_ids_do(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here, "[cert_issuance.est]\n"
	    "trusted_certs = [\"file:///var/aziot/certs/ca.pem\", \"other-ca\"]\n"
	    "[cert_issuance.est.urls]\ndefault = \"https://est.example/est/a/b/.well-known/est\"\n"
	    "[cert_issuance.est.auth]\n"
	    "identity_cert = \"file:///var/aziot/authcerts/certificate.pem\"\nidentity_pk = \"est-key\"\n"
	    "bootstrap_identity_cert = \"file:///var/aziot/authcerts/certificate.pem\"\nbootstrap_identity_pk = \"est-key\"\n"
	    "[cert_issuance.est.identity_auto_renew]\nrotate_key = true\nthreshold = \"80%\"\nretry = \"4%\"\n");

	(void)state;
	assert_int_equal(kit_warnings.n, 0);
	assert_string_equal(certd_preloaded(s, "file:///var/aziot/authcerts/certificate.pem")->path,
	    "/var/aziot/authcerts/certificate.pem");
	assert_non_null(certd_preloaded(s, "file:///var/aziot/certs/ca.pem"));
	assert_int_equal(s->n_preloaded, 2);
	assert_string_equal(s->est_auth.identity_cert, "file:///var/aziot/authcerts/certificate.pem");
}

static void
a_file_that_is_an_identity_and_no_bootstrap_has_a_copy(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here, "[preloaded_certs]\nborn = \"file:///b.pem\"\nboot = \"file:///c.pem\"\n"
	    "half = \"file:///h.pem\"\nmany = [\"born\"]\n"
	    "[cert_issuance.est]\nidentity_cert = \"born\"\nidentity_pk = \"k\"\n"
	    "bootstrap_identity_cert = \"boot\"\nbootstrap_identity_pk = \"k\"\n"
	    "[cert_issuance.x]\nmethod = \"est\"\nurl = \"https://e/\"\nidentity_cert = \"boot\"\nidentity_pk = \"k\"\n"
	    "[cert_issuance.y]\nmethod = \"est\"\nurl = \"https://e/\"\nidentity_cert = \"many\"\nidentity_pk = \"k\"\n"
	    "[cert_issuance.z]\nmethod = \"est\"\nurl = \"https://e/\"\nidentity_cert = \"half\"\n");

	(void)state;
	assert_true(certd_preloaded(s, "born")->identity);
	assert_false(certd_preloaded(s, "boot")->identity);
	assert_false(certd_preloaded(s, "many")->identity);
	assert_false(certd_preloaded(s, "half")->identity);
}

static void
a_key_file_is_refused_with_the_place_where_it_belongs(void **state)
{
	(void)state;
	refused("[cert_issuance.est.auth]\nidentity_cert = \"file:///c.pem\"\nidentity_pk = \"file:///c.key\"\n",
	    "[preloaded_keys]");
	refused("[cert_issuance.est.auth]\nbootstrap_identity_pk = \"pkcs11:token=t;object=o\"\n", "[preloaded_keys]");
}

static void
empty_texts_are_not_given(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here, "[cert_issuance.est]\nusername = \"\"\npassword = \"\"\n"
	    "[cert_issuance.est.urls]\ndefault = \"\"\n[cert_issuance.x]\nmethod = \"est\"\nurl = \"\"\n");

	(void)state;
	assert_null(certd_url(s, "x", NULL));
	assert_null(certd_auth(s, "x"));
	assert_true(kit_warned("no EST URL"));
	assert_true(kit_warned("no EST auth"));
}

static void
a_default_url_outside_urls_is_taken_and_told_of(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here, "[cert_issuance.est]\ndefault = \"https://d/\"\n");

	(void)state;
	assert_string_equal(certd_url(s, "x", NULL), "https://d/");
	assert_true(kit_warned("belongs into [cert_issuance.est.urls]"));
}

static void
the_url_is_the_nearest_one(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here, "[cert_issuance.est.urls]\ndevice-id = \"https://row/\"\n"
	    "own = \"https://not-this/\"\n"
	    "[cert_issuance.own]\nmethod = \"est\"\nurl = \"https://own/\"\n");
	AUTO(certd_settings) d = kit_settings(&here, "[cert_issuance.est.urls]\ndefault = \"https://d/\"\n");

	(void)state;
	assert_string_equal(certd_url(s, "own", "https://f/"), "https://own/");
	assert_string_equal(certd_url(s, "own-temp", "https://f/"), "https://own/");
	assert_string_equal(certd_url(s, "device-id", NULL), "https://row/");
	assert_string_equal(certd_url(s, "device-id-temp", NULL), "https://row/");
	assert_string_equal(certd_url(s, "other", "https://f/"), "https://f/");
	assert_null(certd_url(s, "other", NULL));
	assert_string_equal(certd_url(d, "other", "https://f/"), "https://d/");
}

static void
http_urls_are_warned_of_and_others_refused(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here, "[cert_issuance.est.urls]\ndefault = \"http://d/\"\n");

	(void)state;
	assert_true(kit_warned("config.toml:2:1: key 'cert_issuance.est.urls.default': http:"));
	assert_string_equal(certd_url(s, "x", NULL), "http://d/");
	refused("[cert_issuance.est.urls]\ndefault = \"ftp://d/\"\n", "https://");
}

static void
unknown_keys_are_named_with_their_place_and_the_nearest_key(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here, "[cert_issuance.est.auth]\nidentiy_pk = \"k\"\n"
	    "[cert_issuance.x]\nmethod = \"self_signed\"\nexpiri_days = 3\nsubject = { CN = \"a\" }\n");

	(void)state;
	assert_non_null(s);
	assert_true(kit_warned("config.toml:2:1"));
	assert_true(kit_warned("'identity_pk'"));
	assert_true(kit_warned("'expiry_days'"));
	assert_false(kit_warned("CN"));
}

static void
a_subject_is_put_together_in_the_order_of_its_keys(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here, "[cert_issuance]\n"
	    "x = { method = \"self_signed\", subject = { ST = \"Antarctica\", L = \"AQ\", CN = \"name\" } }\n"
	    "y = { method = \"self_signed\", subject = { organizationName = \"O1\", \"2.5.4.3\" = \"n\" } }\n");
	char text[NAME_TEXT_MAX];

	(void)state;
	assert_string_equal(name_text(&certd_issuance(s, "x")->subject, text), "CN=name,L=AQ,ST=Antarctica");
	assert_string_equal(name_text(&certd_issuance(s, "y")->subject, text), "CN=n,O=O1");
	refused("[cert_issuance]\nx = { method = \"est\", subject = { XY = \"z\" } }\n", "attribute");
}

static void
a_long_common_name_is_cut_between_characters(void **state)
{
	struct buf text = { 0 };
	char want[2 * 64 + 1];

	(void)state;
	buf_put_str(&text, "[cert_issuance.x]\nmethod = \"self_signed\"\ncommon_name = \"");
	for (int i = 0; i < 70; i++)
		buf_put_str(&text, "\xc3\xa9");
	buf_put_str(&text, "\"\n");
	for (int i = 0; i < 64; i++)
		memcpy(want + 2 * i, "\xc3\xa9", 2);
	want[128] = 0;
	{
		AUTO(certd_settings) s = kit_settings(&here, buf_str(&text));

		assert_string_equal(name_get(&certd_issuance(s, "x")->subject, OID_CN), want);
		assert_true(kit_warned("cut to 64"));
	}
	buf_free(&text);
}

static void
common_name_goes_before_a_subject(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here, "[cert_issuance.x]\nmethod = \"est\"\ncommon_name = \"a\"\n"
	    "subject = { O = \"b\" }\n");
	char text[NAME_TEXT_MAX];

	(void)state;
	assert_string_equal(name_text(&certd_issuance(s, "x")->subject, text), "CN=a");
	assert_true(kit_warned("common_name is used"));
}

static void
a_managed_certificate_has_key_names_and_policy(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here, "[cert_issuance.est]\nanonymous = true\n"
	    "[cert_issuance.est.urls]\ndefault = \"https://d/\"\n"
	    "[cert_issuance.web]\nmethod = \"est\"\npk = \"web-key\"\ncommon_name = \"pump-7\"\n"
	    "san = [\"dns:pump-7.example\", \"ip:192.0.2.7\"]\nalgorithms = \"ec-p256:*\"\nreenroll = true\n"
	    "auto_renew = { threshold = \"60m\", retry = \"4%\" }\nkey_usage = [\"digitalSignature\", \"keyAgreement\"]\n"
	    "extended_key_usage = [\"serverAuth\"]\n"
	    "[cert_issuance.off]\nmethod = \"est\"\npk = \"k\"\ncommon_name = \"o\"\nauto_renew = false\n");
	const struct issuance *is = certd_issuance(s, "web");

	(void)state;
	assert_int_equal(kit_warnings.n, 0);
	assert_string_equal(is->pk, "web-key");
	assert_int_equal(is->sans.n, 2);
	assert_true(is->reenroll);
	assert_true(is->auto_renew);
	assert_false(is->policy.threshold.percent);
	assert_int_equal(is->policy.threshold.n, 3600);
	assert_int_equal(is->ku, KU_DIGITAL_SIGNATURE | KU_KEY_AGREEMENT);
	assert_int_equal(is->n_eku, 1);
	assert_int_equal(is->eku[0], OID_SERVER_AUTH);
	assert_false(certd_issuance(s, "off")->auto_renew);
}

static void
only_what_is_meant_to_be_a_ca_may_become_one(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here, "[cert_issuance]\n"
	    "local_ca = { cert = \"local-ca\", pk = \"local-ca-key\" }\n"
	    "local-ca = { method = \"self_signed\" }\naziot-edged-ca = { method = \"local_ca\" }\n"
	    "device-id = { method = \"local_ca\" }\nsub = { method = \"local_ca\", ca = true, pathlen = 2 }\n");

	(void)state;
	assert_false(certd_issuance(s, "device-id")->ca);
	assert_true(certd_issuance(s, "aziot-edged-ca")->ca);
	assert_int_equal(certd_issuance(s, "aziot-edged-ca")->pathlen, 0);
	assert_int_equal(certd_issuance(s, "local-ca")->pathlen, 1);
	assert_int_equal(certd_issuance(s, "sub")->pathlen, 2);
	assert_int_equal(certd_issuance(s, "sub")->days, 30);
}

static void
headers_are_names_and_values_of_one_line(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here, "[cert_issuance.est]\nanonymous = true\n"
	    "headers = [\"Secret-Value: s3cret\"]\nheaders_always = true\n");

	(void)state;
	assert_string_equal(s->est_auth.headers[0], "Secret-Value: s3cret");
	assert_true(s->est_auth.headers_always);
	refused("[cert_issuance.est]\nheaders = [\"No value\"]\n", "Name: value");
	refused("[cert_issuance.est]\nheaders = [\"A: b\\r\\nC: d\"]\n", "Name: value");
}

static void
a_proxy_comes_from_the_environment_unless_it_is_configured(void **state)
{
	(void)state;
	assert_int_equal(setenv("https_proxy", "http://low:1", 1), 0);
	assert_int_equal(setenv("NO_PROXY", "a,b", 1), 0);
	{
		AUTO(certd_settings) s = kit_settings(&here, "");
		AUTO(certd_settings) none = kit_settings(&here, "[cert_issuance.est]\nproxy = \"\"\n");
		AUTO(certd_settings) own = kit_settings(&here, "[cert_issuance.est]\nproxy = \"http://p:2\"\n");

		assert_string_equal(s->proxy, "http://low:1");
		assert_string_equal(s->no_proxy, "a,b");
		assert_null(none->proxy);
		assert_string_equal(own->proxy, "http://p:2");
	}
	assert_int_equal(setenv("HTTPS_PROXY", "http://up:1", 1), 0);
	{
		AUTO(certd_settings) s = kit_settings(&here, "");

		assert_string_equal(s->proxy, "http://up:1");
	}
}

static void
endpoints_and_lists_are_read(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here, "close_when_full = true\nmax_requests = 3\n"
	    "[endpoints]\naziot_certd = \"unix:///x/c.sock\"\naziot_keyd = \"unix:///x/k.sock\"\n"
	    "[preloaded_certs]\nbundle = [\"a\", \"b\"]\n");

	(void)state;
	assert_string_equal(s->socket, "/x/c.sock");
	assert_string_equal(s->keyd_socket, "/x/k.sock");
	assert_true(s->close_when_full);
	assert_int_equal(s->max_requests, 3);
	assert_null(certd_preloaded(s, "bundle")->path);
	assert_string_equal(certd_preloaded(s, "bundle")->members[1], "b");
}

static void
wrong_values_are_refused_with_their_place(void **state)
{
	(void)state;
	refused("[cert_issuance]\nx = { expiry_days = 3 }\n", "method");
	refused("[cert_issuance]\nx = { method = \"scep\" }\n", "self_signed");
	refused("[cert_issuance]\nx = { method = \"est\", expiry_days = 0 }\n", "expiry_days");
	refused("[cert_issuance]\nx = \"est\"\n", "a table");
	refused("[cert_issuance]\nlocal_ca = { cert = \"c\" }\n", "both");
	refused("[preloaded_certs]\nx = \"https://e/\"\n", "preloaded_certs.x");
	refused("[preloaded_certs]\nx = 3\n", "an array");
	refused("[cert_issuance.est]\ntrusted_certs = \"x\"\n", "an array");
	refused("[cert_issuance.est.urls]\ndefault = \"https://u:s3cret@d/\"\n", "no user or password");
	refused("[cert_issuance.x]\nmethod = \"est\"\nurl = \"http://u@d\"\n", "no user or password");
	refused("homedir_path = \"relative\"\n", "absolute");
	refused("[cert_issuance.est]\ntimeout = \"2m\"\n", "1 s to 60 s");
	refused("[cert_issuance.est]\nidentity_auto_renew = { threshold = \"0%\" }\n", "threshold");
	refused("[cert_issuance]\nx = { method = \"est\", key_usage = [\"fly\"] }\n", "key usage");
	refused("[cert_issuance]\nx = { method = \"est\", san = [\"pump\"] }\n", "san");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_empty_configuration_has_the_defaults_of_its_place, setup),
		cmocka_unit_test_setup(the_documented_entry_with_its_own_url_and_auth_is_read, setup),
		cmocka_unit_test_setup(auth_may_stand_in_the_est_table_or_in_its_auth_table, setup),
		cmocka_unit_test_setup(what_stands_in_the_table_itself_goes_before_its_auth_table, setup),
		cmocka_unit_test_setup(half_a_pair_is_told_of_and_not_used, setup),
		cmocka_unit_test_setup(auth_of_a_certificate_replaces_the_global_one_as_a_whole, setup),
		cmocka_unit_test_setup(files_may_stand_where_certificate_ids_do, setup),
		cmocka_unit_test_setup(a_file_that_is_an_identity_and_no_bootstrap_has_a_copy, setup),
		cmocka_unit_test_setup(a_key_file_is_refused_with_the_place_where_it_belongs, setup),
		cmocka_unit_test_setup(empty_texts_are_not_given, setup),
		cmocka_unit_test_setup(a_default_url_outside_urls_is_taken_and_told_of, setup),
		cmocka_unit_test_setup(the_url_is_the_nearest_one, setup),
		cmocka_unit_test_setup(http_urls_are_warned_of_and_others_refused, setup),
		cmocka_unit_test_setup(unknown_keys_are_named_with_their_place_and_the_nearest_key, setup),
		cmocka_unit_test_setup(a_subject_is_put_together_in_the_order_of_its_keys, setup),
		cmocka_unit_test_setup(a_long_common_name_is_cut_between_characters, setup),
		cmocka_unit_test_setup(common_name_goes_before_a_subject, setup),
		cmocka_unit_test_setup(a_managed_certificate_has_key_names_and_policy, setup),
		cmocka_unit_test_setup(only_what_is_meant_to_be_a_ca_may_become_one, setup),
		cmocka_unit_test_setup(headers_are_names_and_values_of_one_line, setup),
		cmocka_unit_test_setup(a_proxy_comes_from_the_environment_unless_it_is_configured, setup),
		cmocka_unit_test_setup(endpoints_and_lists_are_read, setup),
		cmocka_unit_test_setup(wrong_values_are_refused_with_their_place, setup),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buf_free(&kit_warnings);
	return failed;
}
