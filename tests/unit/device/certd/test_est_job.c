/* SPDX-License-Identifier: Apache-2.0 */
/* certd/test_est_job.c - what a worker is told about an EST server, and as whom it goes there */
#include "device/certd/est_job.h"

#include "certd_kit.h"

static struct place here;

static int
setup(void **state)
{
	char path[PLACE_MAX * 2];

	(void)state;
	(void)unsetenv("HTTPS_PROXY");
	(void)unsetenv("https_proxy");
	here = kit_place();
	(void)snprintf(path, sizeof(path), "%s/boot.pem", here.prefix);
	kit_write(path, "BOOT\n");
	(void)snprintf(path, sizeof(path), "%s/ca.pem", here.prefix);
	kit_write(path, "CA");
	(void)snprintf(path, sizeof(path), "%s/password", here.prefix);
	kit_write(path, "from a file\r\n");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kit_remove(&here);
	buf_free(&kit_warnings);
	return 0;
}

/* "@" is the scratch directory. */
static struct certd_settings *
settings(const char *text)
{
	struct certd_settings *s;
	struct buf whole = { 0 };

	buf_printf(&whole, "homedir_path = \"%s/home\"\n", here.prefix);
	for (; *text != 0; text++) {
		if (*text == '@')
			buf_put_str(&whole, here.prefix);
		else
			buf_put_u8(&whole, (uint8_t)*text);
	}
	s = kit_settings(&here, buf_str(&whole));
	buf_free(&whole);
	return s;
}

#define FULL                                                                   \
	"[cert_issuance.est]\ntrusted_certs = [\"file://@/ca.pem\", \"file://@/ca.pem\"]\ntrust_system = false\ntimeout = \"20s\"\n" \
	"proxy = \"http://p:1\"\nno_proxy = \"n\"\nusername = \"u\"\npassword = \"p\"\n" \
	"identity_cert = \"est-id\"\nidentity_pk = \"est-key\"\n" \
	"bootstrap_identity_cert = \"file://@/boot.pem\"\nbootstrap_identity_pk = \"boot-key\"\n" \
	"headers = [\"Secret-Value: s\"]\n" \
	"[cert_issuance.est.urls]\ndefault = \"https://d/est\"\n"

static void
the_bootstrap_job_has_pair_password_and_secret_headers(void **state)
{
	AUTO(certd_settings) s = settings(FULL);
	struct job j = { 0 };
	struct err e = { 0 };

	(void)state;
	if (est_job_fill(&j, s, "est-id", "device-id", NULL, EST_AS_BOOTSTRAP, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(j.kind, JOB_EST);
	assert_string_equal(j.url, "https://d/est");
	assert_false(j.plain_http);
	assert_string_equal(buf_str(&j.client_chain), "BOOT\n");
	assert_string_equal(j.client_key, "boot-key");
	assert_string_equal(j.user, "u");
	assert_string_equal(buf_str(&j.password), "p");
	assert_int_equal(j.n_headers, 1);
	assert_string_equal(j.header[0], "Secret-Value: s");
	assert_string_equal(buf_str(&j.trust), "CA\nCA");
	assert_false(j.trust_system);
	assert_int_equal(j.deadline_s, 20);
	assert_string_equal(j.proxy, "http://p:1");
	assert_string_equal(j.no_proxy, "n");
	assert_string_equal(j.keyd_socket, s->keyd_socket);
	job_clear(&j);
}

static void
the_identity_goes_without_secret_headers_unless_they_are_for_always(void **state)
{
	AUTO(certd_settings) s = settings(FULL);
	AUTO(certd_settings) always = settings("[cert_issuance.est]\nheaders_always = true\nheaders = [\"A: b\"]\n"
	    "identity_cert = \"est-id\"\nidentity_pk = \"est-key\"\n[cert_issuance.est.urls]\ndefault = \"http://d/\"\n");
	struct job j = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(certs_write(s, "est-id", bytes_of("ID\n"), &e), 0);
	assert_int_equal(est_job_fill(&j, s, "x", "x", NULL, EST_AS_IDENTITY, &e), 0);
	assert_string_equal(buf_str(&j.client_chain), "ID\n");
	assert_string_equal(j.client_key, "est-key");
	assert_string_equal(j.user, "u");
	assert_int_equal(j.n_headers, 0);
	job_clear(&j);
	assert_int_equal(est_job_fill(&j, always, "x", "x", NULL, EST_AS_IDENTITY, &e), 0);
	assert_int_equal(j.n_headers, 1);
	assert_true(j.plain_http);
	job_clear(&j);
}

/* The identity's own certificate is asked for with the auth of whoever needs it. */
static void
auth_is_the_owners_and_url_the_certificates_own_or_the_fallback(void **state)
{
	AUTO(certd_settings) s = settings("[cert_issuance.x]\nmethod = \"est\"\nurl = \"https://x/\"\n"
	    "username = \"xu\"\npassword_file = \"@/password\"\nidentity_cert = \"x-id\"\nidentity_pk = \"x-key\"\n");
	struct job j = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(est_job_fill(&j, s, "x-id", "x", "https://x/", EST_AS_BOOTSTRAP, &e), 0);
	assert_string_equal(j.url, "https://x/");
	assert_string_equal(j.user, "xu");
	assert_string_equal(buf_str(&j.password), "from a file");
	assert_int_equal(j.client_chain.n, 0);
	job_clear(&j);
}

static void
fails(const struct certd_settings *s, const char *id, enum est_as as, int code, const char *part)
{
	struct job j = { .days = 77 };
	struct err e;

	assert_int_equal(est_job_fill(&j, s, id, id, NULL, as, &e), code);
	if (strstr(e.msg, part) == NULL)
		fail_msg("'%s' lacks '%s'", e.msg, part);
	assert_int_equal(j.days, 77);
}

static void
what_is_missing_is_named_with_the_key_to_set(void **state)
{
	AUTO(certd_settings) none = settings("[cert_issuance.x]\nmethod = \"est\"\n");
	AUTO(certd_settings) no_url = settings("[cert_issuance.est]\nanonymous = true\n");
	AUTO(certd_settings) no_boot = settings("[cert_issuance.est]\nidentity_cert = \"i\"\nidentity_pk = \"k\"\n"
	    "[cert_issuance.est.urls]\ndefault = \"https://d/\"\n");
	AUTO(certd_settings) no_trust = settings("[cert_issuance.est]\nanonymous = true\ntrusted_certs = [\"gone\"]\n"
	    "[cert_issuance.est.urls]\ndefault = \"https://d/\"\n");

	(void)state;
	fails(none, "x", EST_AS_NOBODY, E_NOTFOUND, "EST auth is not configured");
	fails(no_url, "x", EST_AS_NOBODY, E_NOTFOUND, "EST URL is not configured");
	fails(no_boot, "x", EST_AS_BOOTSTRAP, E_NOTFOUND, "bootstrap_identity_cert");
	fails(no_boot, "x", EST_AS_IDENTITY, E_NOTFOUND, "identity_cert: certificate 'i': not found");
	fails(no_trust, "x", EST_AS_NOBODY, E_NOTFOUND, "trusted_certs: certificate 'gone'");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_bootstrap_job_has_pair_password_and_secret_headers),
		T(the_identity_goes_without_secret_headers_unless_they_are_for_always),
		T(auth_is_the_owners_and_url_the_certificates_own_or_the_fallback),
		T(what_is_missing_is_named_with_the_key_to_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
