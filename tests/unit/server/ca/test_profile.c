/* SPDX-License-Identifier: Apache-2.0 */
/* test_profile.c - what a profile may say, and how it is written down */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "server/ca/profile.h"

static const char *const box[] = { "device", "idevid", "edge-ca", "tls-server", "root", "subordinate" };

static struct profile
of_the_box(const char *name)
{
	const struct profile *p = profile_of_the_box(name);

	assert_non_null(p);
	return *p;
}

/* By what they say: a struct has octets between its members. */
static void
assert_same(const struct profile *a, const struct profile *b)
{
	AUTO_BUF x = { 0 }, y = { 0 };

	profile_to_text(&x, a);
	profile_to_text(&y, b);
	assert_string_equal(buf_str(&x), buf_str(&y));
}

static void
every_profile_of_the_box_is_valid(void **state)
{
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(box); i++) {
		struct profile p = of_the_box(box[i]);

		if (profile_valid(&p, &e) != 0)
			fail_msg("%s", e.msg);
		assert_string_equal(profile_of_the_box_at(i)->name, box[i]);
	}
	assert_null(profile_of_the_box_at(N_OF(box)));
	assert_null(profile_of_the_box("pump"));
	assert_true(profile_is_internal("root") && profile_is_internal("subordinate"));
	assert_false(profile_is_internal("edge-ca"));
}

static void
leaf_profiles_of_the_box_have_no_powers(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(box); i++) {
		struct profile p = of_the_box(box[i]);
		bool ca = i == 2 || i >= 4;

		assert_int_equal(p.ca, ca);
		assert_int_equal((p.ku & KU_KEY_CERT_SIGN) != 0, ca);
	}
	assert_int_equal(of_the_box("device").eku[0], OID_CLIENT_AUTH);
	assert_int_equal(of_the_box("tls-server").eku[0], OID_SERVER_AUTH);
	assert_int_equal(of_the_box("tls-server").n_eku, 1);
	assert_int_equal(of_the_box("edge-ca").pathlen, 0);
	assert_int_equal(of_the_box("subordinate").pathlen, 1);
}

/* --- a rule each --- */

static void b_name(struct profile *p) { p->name[0] = '/'; }
static void b_short(struct profile *p) { p->lifetime_s = 59; }
static void b_long(struct profile *p) { p->lifetime_s = PROFILE_LIFETIME_MAX + 1; }
static void b_backdate(struct profile *p) { p->backdate_s = 86401; }
static void b_backdate_future(struct profile *p) { p->backdate_s = -1; }
static void b_pathlen(struct profile *p) { p->pathlen = 0; }
static void b_signs(struct profile *p) { p->ku |= KU_KEY_CERT_SIGN; }
static void b_signs_crl(struct profile *p) { p->ku |= KU_CRL_SIGN; }
static void b_no_ku(struct profile *p) { p->ku = 0; }
static void b_odd_ku(struct profile *p) { p->ku |= 1u << 7; }
static void b_any(struct profile *p) { p->eku[0] = OID_ANY_EKU; }
static void b_not_eku(struct profile *p) { p->eku[0] = OID_CN; }
static void b_eku_twice(struct profile *p) { p->eku[1] = p->eku[0]; p->n_eku = 2; }
static void b_eku_many(struct profile *p) { p->n_eku = PROFILE_EKU_MAX + 1; }
static void b_no_keys(struct profile *p) { p->keys = 0; }
static void b_odd_keys(struct profile *p) { p->keys |= 1u << KEY_NONE; }
static void b_ip_device(struct profile *p) { p->san[SAN_IP] = SAN_RULE_DEVICE; }
static void b_nameless(struct profile *p) { p->n_subject_types = 0; p->san[SAN_DNS] = SAN_RULE_NONE; }
static void b_placeholder(struct profile *p) { memcpy(p->subject, "CN={user}", 10); }
static void b_open(struct profile *p) { memcpy(p->subject, "CN={device", 11); }
static void b_template(struct profile *p) { memcpy(p->subject, "pump", 5); }
static void b_attribute(struct profile *p) { memcpy(p->subject, "XX=pump", 8); }
static void b_empty(struct profile *p) { memcpy(p->subject, "CN=", 4); }
static void b_country(struct profile *p) { memcpy(p->subject, "C={device}", 11); }
static void c_no_sign(struct profile *p) { p->ku = KU_CRL_SIGN; }
static void c_request(struct profile *p) { memcpy(p->subject, "request", 8); p->n_subject_types = 1; p->subject_types[0] = OID_CN; }
static void c_san(struct profile *p) { p->san[SAN_DNS] = SAN_RULE_ANY; }
static void c_pathlen(struct profile *p) { p->pathlen = 16; }

static void
a_profile_that_breaks_a_rule_is_refused_by_the_rules_name(void **state)
{
	static const struct {
		void (*spoil)(struct profile *p);
		const char *base, *rule;
	} rows[] = {
		{ b_name, "device", "name" }, { b_short, "device", "lifetime" }, { b_long, "device", "lifetime" },
		{ b_backdate, "device", "backdate" }, { b_backdate_future, "device", "backdate" },
		{ b_pathlen, "device", "pathlen-without-ca" }, { b_signs, "device", "leaf-signs" },
		{ b_signs_crl, "device", "leaf-signs" }, { b_no_ku, "device", "ku" }, { b_odd_ku, "device", "ku" },
		{ b_any, "device", "any-eku" }, { b_not_eku, "device", "eku" }, { b_eku_twice, "device", "eku" },
		{ b_eku_many, "device", "eku" }, { b_no_keys, "device", "keys" }, { b_odd_keys, "device", "keys" },
		{ b_ip_device, "device", "san" }, { b_nameless, "device", "nameless" },
		{ b_placeholder, "device", "placeholder" }, { b_open, "device", "placeholder" },
		{ b_template, "device", "subject" }, { b_attribute, "device", "subject" },
		{ b_empty, "device", "subject" }, { b_country, "device", "subject" },
		{ c_no_sign, "edge-ca", "ca-without-keyCertSign" }, { c_request, "edge-ca", "ca-subject" },
		{ c_san, "edge-ca", "ca-with-san" }, { c_pathlen, "edge-ca", "pathlen" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct profile p = of_the_box(rows[i].base);
		struct err e = { 0 };
		char want[80];

		rows[i].spoil(&p);
		(void)snprintf(want, sizeof(want), "rule %s:", rows[i].rule);
		assert_int_equal(profile_valid(&p, &e), E_POLICY);
		if (strstr(e.msg, want) == NULL)
			fail_msg("row %zu: %s instead of %s", i, e.msg, want);
	}
}

/* --- text --- */

static void
every_profile_survives_the_stores_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(box); i++) {
		AUTO_BUF text = { 0 };
		struct profile p;
		struct err e = { 0 };

		profile_to_text(&text, profile_of_the_box_at(i));
		if (profile_from_text(&p, bytes_of_buf(&text), &e) != 0)
			fail_msg("%s", e.msg);
		assert_same(&p, profile_of_the_box_at(i));
		assert_string_equal(p.name, box[i]);
		assert_int_equal(p.n_eku, profile_of_the_box_at(i)->n_eku);
		assert_int_equal(p.keys, PROFILE_KEYS_ALL);
	}
}

static void
members_are_set_and_read_as_words(void **state)
{
	static const struct { const char *key, *value, *read; } rows[] = {
		{ "lifetime", "2160h", "90d" }, { "backdate", "60", "1m" }, { "ca", "true", "true" },
		{ "pathlen", "3", "3" }, { "pathlen", "none", "none" }, { "pathlen", "-1", "none" },
		{ "ku", "cRLSign,digitalSignature", "digitalSignature,cRLSign" }, { "ku", "", "" },
		{ "eku", "serverAuth, clientAuth", "serverAuth,clientAuth" }, { "eku", "", "" },
		{ "subject", "CN={device},O=Pumps & Co", "CN={device},O=Pumps & Co" },
		{ "subject_types", "cn,serialnumber", "CN,serialNumber" }, { "san_dns", "any", "any" },
		{ "san_ip", "none", "none" }, { "san_uri", "device", "device" }, { "san_email", "any", "any" },
		{ "san_other", "any", "any" }, { "keys", "ed25519 ec-p256", "ec-p256,ed25519" },
		{ "pointers", "false", "false" },
	};
	struct profile p = of_the_box("device");

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		AUTO_BUF out = { 0 };
		struct err e = { 0 };

		if (profile_set(&p, rows[i].key, rows[i].value, &e) != 0)
			fail_msg("%s", e.msg);
		assert_int_equal(profile_get(&p, rows[i].key, &out), 0);
		assert_string_equal(buf_str(&out), rows[i].read);
	}
	for (size_t i = 0; profile_key(i) != NULL; i++) {
		AUTO_BUF out = { 0 };

		assert_int_equal(profile_get(&p, profile_key(i), &out), 0);
	}
}

static void
wrong_words_change_nothing_and_are_named(void **state)
{
	static const struct { const char *key, *value, *says; } rows[] = {
		{ "lifetime", "soon", "soon" }, { "ca", "yes", "true or false" }, { "pathlen", "16", "none, or 0 to 15" },
		{ "ku", "digitalSignature,signAll", "signAll" }, { "eku", "clientAuth,everything", "everything" },
		{ "eku", "serverAuth,serverAuth,serverAuth,serverAuth,serverAuth,serverAuth,serverAuth,serverAuth,"
		    "serverAuth", "more than 8" },
		{ "subject", "", "octets" }, { "subject", "CN=a\nb", "plain text" }, { "subject_types", "CN,ZZ", "ZZ" },
		{ "san_dns", "all", "none, device or any" }, { "keys", "rsa-1024", "rsa-1024" },
		{ "pointers", "1", "true or false" },
	};
	struct profile p = of_the_box("device");

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct err e = { 0 };

		assert_int_equal(profile_set(&p, rows[i].key, rows[i].value, &e), E_FORMAT);
		if (strstr(e.msg, rows[i].says) == NULL || strstr(e.msg, rows[i].key) == NULL)
			fail_msg("row %zu: %s", i, e.msg);
	}
	assert_same(&p, profile_of_the_box("device"));
	assert_int_equal(profile_set(&p, "colour", "red", NULL), E_NOTFOUND);
	assert_int_equal(profile_get(&p, "colour", NULL), E_NOTFOUND);
}

static void
a_stored_text_with_less_more_or_worse_is_refused(void **state)
{
	AUTO_BUF good = { 0 };
	struct profile p = { .pathlen = 42 };
	struct bytes text;

	(void)state;
	profile_to_text(&good, profile_of_the_box("device"));
	text = bytes_of_buf(&good);
	for (size_t n = 0; n < text.n; n++)
		assert_int_equal(profile_from_text(&p, bytes_slice(text, 0, n), NULL), E_FORMAT);
	buf_put_str(&good, "ca=true\n"); /* a second time */
	assert_int_equal(profile_from_text(&p, bytes_of_buf(&good), NULL), E_FORMAT);
	good.n -= 8;
	buf_put_str(&good, "colour=red\n");
	assert_int_equal(profile_from_text(&p, bytes_of_buf(&good), NULL), E_FORMAT);
	good.n -= 11;
	memcpy(memmem(good.p, good.n, "ca=false", 8), "ca=true\n", 8);
	assert_int_not_equal(profile_from_text(&p, bytes_of_buf(&good), NULL), 0);
	assert_int_equal(p.pathlen, 42); /* written only on success */
}

static void
a_stored_profile_is_judged_again(void **state)
{
	struct profile bad = of_the_box("device"), p;
	AUTO_BUF text = { 0 };

	(void)state;
	bad.ku |= KU_KEY_CERT_SIGN;
	profile_to_text(&text, &bad);
	assert_int_equal(profile_from_text(&p, bytes_of_buf(&text), NULL), E_POLICY);
}

/* --- templates --- */

static void
a_template_is_filled_with_the_devices_name(void **state)
{
	struct profile p = of_the_box("edge-ca");
	char text[NAME_TEXT_MAX];
	struct name n;

	(void)state;
	assert_int_equal(profile_subject(&n, &p, "pump-7", NULL), 0);
	assert_string_equal(name_text(&n, text), "CN=pump-7 Edge CA");
	assert_int_equal(profile_set(&p, "subject", "CN={device}-{device},O=A\\, B,OU=x", NULL), 0);
	assert_int_equal(profile_subject(&n, &p, "z", NULL), 0);
	assert_int_equal(n.n, 3);
	assert_string_equal(n.ava[0].value, "z-z");
	assert_string_equal(n.ava[1].value, "A, B");
}

static void
a_devices_name_cannot_leave_its_attribute(void **state)
{
	struct profile p = of_the_box("edge-ca");
	struct name n;

	(void)state;
	assert_int_equal(profile_subject(&n, &p, "x,O=Evil/CN=y\\+{device}", NULL), 0);
	assert_int_equal(n.n, 1);
	assert_string_equal(n.ava[0].value, "x,O=Evil/CN=y\\+{device} Edge CA");
}

static void
a_name_that_does_not_fit_is_refused_not_cut(void **state)
{
	struct profile p = of_the_box("edge-ca");
	char device[65] = { 0 };
	struct err e = { 0 };
	struct name n;

	(void)state;
	memset(device, 'd', 56); /* and " Edge CA" makes 64 */
	assert_int_equal(profile_subject(&n, &p, device, NULL), 0);
	memset(device, 'd', 57);
	assert_int_equal(profile_subject(&n, &p, device, &e), E_POLICY);
	assert_int_equal(e.code, E_POLICY);
	assert_int_equal(profile_subject(&n, &p, "a\nb", NULL), E_POLICY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_profile_of_the_box_is_valid),
		cmocka_unit_test(leaf_profiles_of_the_box_have_no_powers),
		cmocka_unit_test(a_profile_that_breaks_a_rule_is_refused_by_the_rules_name),
		cmocka_unit_test(every_profile_survives_the_stores_text),
		cmocka_unit_test(members_are_set_and_read_as_words),
		cmocka_unit_test(wrong_words_change_nothing_and_are_named),
		cmocka_unit_test(a_stored_text_with_less_more_or_worse_is_refused),
		cmocka_unit_test(a_stored_profile_is_judged_again),
		cmocka_unit_test(a_template_is_filled_with_the_devices_name),
		cmocka_unit_test(a_devices_name_cannot_leave_its_attribute),
		cmocka_unit_test(a_name_that_does_not_fit_is_refused_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
