/* SPDX-License-Identifier: Apache-2.0 */
/* test_issue_names.c - what a new identity may be called, and what it may not ask for */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "server/ca/issue.h"

/* A request as csr_parse() gives it: CN=pump-7, nothing else. */
static struct csr
plain(void)
{
	struct csr c = { .key_type = KEY_EC_P256 };

	assert_int_equal(name_add(&c.subject, OID_CN, "pump-7", NULL), 0);
	return c;
}

static void
with_san(struct csr *c, const char *text)
{
	c->has_san = true;
	assert_int_equal(sans_add_text(&c->sans, text, NULL), 0);
}

static void
taken(const struct csr *c, const char *profile)
{
	struct err e = { 0 };
	struct name n;
	struct sans s;

	if (issue_names(&n, &s, profile_of_the_box(profile), "pump-7", c, &e) != 0)
		fail_msg("%s", e.msg);
}

static void
refused(const struct csr *c, const struct profile *p, const char *says)
{
	struct name n = { .n = 11 };
	struct sans s = { .n = 12 };
	struct err e = { 0 };

	assert_int_equal(issue_names(&n, &s, p, "pump-7", c, &e), E_POLICY);
	assert_int_equal(e.code, E_POLICY);
	if (strstr(e.msg, says) == NULL)
		fail_msg("'%s' does not say '%s'", e.msg, says);
	assert_true(n.n == 11 && s.n == 12); /* written only on success */
}

static const struct profile *
box(const char *name)
{
	return profile_of_the_box(name);
}

static void
allowed_names_are_taken_from_the_request(void **state)
{
	struct csr c = plain();
	struct name n;
	struct sans s = { .n = 5 };

	(void)state;
	assert_int_equal(name_add(&c.subject, OID_O, "Pumps", NULL), 0);
	assert_int_equal(issue_names(&n, &s, box("device"), "pump-7", &c, NULL), 0);
	assert_true(name_equal(&n, &c.subject));
	assert_int_equal(s.n, 0);
	with_san(&c, "dns:pump-7");
	assert_int_equal(issue_names(&n, &s, box("device"), "pump-7", &c, NULL), 0);
	assert_true(sans_equal(&s, &c.sans));
}

static void
an_attribute_beyond_the_profile_is_named(void **state)
{
	struct csr c = plain();

	(void)state;
	assert_int_equal(name_add(&c.subject, OID_EMAIL, "a@b.example", NULL), 0);
	refused(&c, box("device"), "emailAddress");
}

static void
a_template_replaces_what_the_request_says(void **state)
{
	struct csr c = plain();
	char text[NAME_TEXT_MAX];
	struct name n;
	struct sans s;

	(void)state;
	c.wants_ca = c.has_key_usage = true;
	c.key_usage = KU_KEY_CERT_SIGN | KU_DIGITAL_SIGNATURE;
	assert_int_equal(name_add(&c.subject, OID_EMAIL, "a@b.example", NULL), 0);
	assert_int_equal(issue_names(&n, &s, box("edge-ca"), "pump-7", &c, NULL), 0);
	assert_string_equal(name_text(&n, text), "CN=pump-7 Edge CA");
}

static void
a_request_without_any_name_is_refused(void **state)
{
	struct csr c = { .key_type = KEY_EC_P256 };

	(void)state;
	refused(&c, box("device"), "neither a subject");
	with_san(&c, "dns:pump-7.example");
	taken(&c, "device");
}

static void
a_dns_name_must_be_the_devices_own(void **state)
{
	static const struct { const char *san; bool ok; } rows[] = {
		{ "dns:pump-7", true }, { "dns:PUMP-7", true }, { "dns:pump-7.plant.example", true },
		{ "dns:pump-77", false }, { "dns:pump-7x.example", false }, { "dns:pump-8", false },
		{ "dns:x.pump-7", false }, { "dns:*.pump-7", false }, { "dns:pump", false },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct csr c = plain();

		with_san(&c, rows[i].san);
		if (rows[i].ok)
			taken(&c, "device");
		else
			refused(&c, box("device"), "not that of device 'pump-7'");
	}
}

static void
a_uri_must_have_the_device_as_its_host(void **state)
{
	static const struct { const char *san; bool ok; } rows[] = {
		{ "uri:https://pump-7", true }, { "uri:https://pump-7/x?y#z", true },
		{ "uri:coaps://pump-7.example:5684/x", true }, { "uri:https://pump-8/pump-7", false },
		{ "uri:https://pump-7@evil.example/", false }, { "uri:https://pump-7.x@evil.example/", false },
		{ "uri:https://pump-7.x%40evil.example/", false }, { "uri:https://evil.example/://pump-7", false },
		{ "uri:urn:dev:pump-7", false }, { "uri:urn:x://pump-7", false }, { "uri:https://evil.example#://pump-7", false },
	};
	struct profile p = *box("device");

	(void)state;
	p.san[SAN_URI] = SAN_RULE_DEVICE;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct csr c = plain();
		struct name n;
		struct sans s;

		with_san(&c, rows[i].san);
		if (!rows[i].ok)
			refused(&c, &p, "not that of device");
		else if (issue_names(&n, &s, &p, "pump-7", &c, NULL) != 0)
			fail_msg("%s", rows[i].san);
	}
}

static void
a_device_without_a_name_owns_no_names(void **state)
{
	struct csr c = plain();
	struct name n;
	struct sans s;

	(void)state;
	with_san(&c, "dns:anything");
	assert_int_equal(issue_names(&n, &s, box("device"), "", &c, NULL), E_POLICY);
}

static void
kinds_of_names_are_allowed_one_by_one(void **state)
{
	struct csr ip = plain(), mail = plain(), hw = plain(), two = plain();

	(void)state;
	with_san(&ip, "ip:192.0.2.1");
	refused(&ip, box("device"), "IP address");
	taken(&ip, "tls-server");
	with_san(&mail, "email:a@b.example");
	refused(&mail, box("tls-server"), "e-mail");
	hw.has_san = true;
	hw.sans.n = 1;
	hw.sans.san[0].kind = SAN_OTHER;
	taken(&hw, "idevid");
	refused(&hw, box("device"), "hardwareModuleName");
	with_san(&two, "dns:pump-7"); /* one good, one not */
	with_san(&two, "ip:192.0.2.1");
	refused(&two, box("device"), "IP address");
	refused(&two, box("edge-ca"), "DNS name");
}

static void
powers_are_refused_to_who_may_not_have_them(void **state)
{
	struct csr ca = plain(), sign = plain(), crl = plain(), eku = plain(), odd = plain(), strange = plain();

	(void)state;
	ca.wants_ca = true;
	refused(&ca, box("device"), "csr asks for CA:TRUE: profile 'device' makes no CA certificates");
	taken(&ca, "edge-ca");
	sign.has_key_usage = crl.has_key_usage = true;
	sign.key_usage = KU_KEY_CERT_SIGN;
	crl.key_usage = KU_CRL_SIGN;
	refused(&sign, box("device"), "keyCertSign");
	refused(&crl, box("tls-server"), "cRLSign");
	eku.n_eku = 2;
	eku.eku[0] = OID_CLIENT_AUTH;
	eku.eku[1] = OID_SERVER_AUTH;
	refused(&eku, box("device"), "serverAuth");
	odd.n_eku = 1;
	odd.eku[0] = OID_UNKNOWN;
	refused(&odd, box("device"), "unknown");
	strange.critical_unknown = true;
	refused(&strange, box("device"), "critical");
}

static void
other_key_usages_are_the_profiles_to_decide(void **state)
{
	struct csr c = plain();

	(void)state;
	c.has_key_usage = true;
	c.key_usage = KU_KEY_ENCIPHERMENT | KU_NON_REPUDIATION;
	c.n_eku = 1;
	c.eku[0] = OID_CLIENT_AUTH;
	taken(&c, "device");
}

static void
a_key_type_beyond_the_profile_is_refused(void **state)
{
	struct csr c = plain();
	struct profile p = *box("device");

	(void)state;
	p.keys = 1u << KEY_EC_P384;
	refused(&c, &p, "ec-p256");
	c.key_type = KEY_NONE;
	refused(&c, box("device"), "key");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allowed_names_are_taken_from_the_request),
		cmocka_unit_test(an_attribute_beyond_the_profile_is_named),
		cmocka_unit_test(a_template_replaces_what_the_request_says),
		cmocka_unit_test(a_request_without_any_name_is_refused),
		cmocka_unit_test(a_dns_name_must_be_the_devices_own),
		cmocka_unit_test(a_uri_must_have_the_device_as_its_host),
		cmocka_unit_test(a_device_without_a_name_owns_no_names),
		cmocka_unit_test(kinds_of_names_are_allowed_one_by_one),
		cmocka_unit_test(powers_are_refused_to_who_may_not_have_them),
		cmocka_unit_test(other_key_usages_are_the_profiles_to_decide),
		cmocka_unit_test(a_key_type_beyond_the_profile_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
