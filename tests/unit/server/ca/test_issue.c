/* SPDX-License-Identifier: Apache-2.0 */
/* test_issue.c - certificates from root to device, as OpenSSL and our own path validation see them */
#include "tests/unit/core/pki/kit.h"

#include <time.h>

#include "core/pki/trust.h"
#include "server/ca/issue.h"

/* A CA of ours: its key, its certificate, and what it says. */
struct authority {
	struct key *key;
	struct buf der;
	struct cert cert;
	struct issuer issuer;
};

static struct authority root, sub;

static void
sign_into(struct authority *a, const struct buf *tbs, const struct key *key)
{
	kit_sign(&a->der, tbs, key);
	assert_int_equal(cert_parse(&a->cert, bytes_of_buf(&a->der), NULL), 0);
	a->issuer = (struct issuer){ a->cert.subject_der, a->cert.ski, key_get_type(a->key),
		a->cert.not_before, a->cert.not_after, a->cert.pathlen, "http://ca.example/crl",
		"http://ca.example/cer" };
}

/* A want of `profile` for a subject and a key, at T0. */
static struct issue_want
want(const char *profile, const struct name *subject, const struct key *key)
{
	struct issue_want w = { .profile = profile_of_the_box(profile), .subject = subject,
		.spki = key_spki(key), .key_type = key_get_type(key), .now = T0 };

	serial_random(w.serial);
	return w;
}

static void
make_ca(struct authority *a, const char *profile, const char *cn, const struct authority *parent)
{
	AUTO_BUF tbs = { 0 };
	struct issue_out out = { 0 };
	struct issue_want w;
	struct name n = { 0 };
	struct err e = { 0 };

	assert_int_equal(key_generate(&a->key, KEY_EC_P256, NULL), 0);
	assert_int_equal(name_add(&n, OID_CN, cn, NULL), 0);
	w = want(profile, &n, a->key);
	if (issue_tbs(&tbs, &out, parent != NULL ? &parent->issuer : NULL, &w, &e) != 0)
		fail_msg("%s", e.msg);
	sign_into(a, &tbs, parent != NULL ? parent->key : a->key);
	issue_out_free(&out);
}

static int
setup(void **state)
{
	(void)state;
	make_ca(&root, "root", "Root", NULL);
	make_ca(&sub, "subordinate", "Issuing", &root);
	return 0;
}

static void
authority_free(struct authority *a)
{
	key_free(a->key);
	buf_free(&a->der);
}

static int
teardown(void **state)
{
	(void)state;
	authority_free(&root);
	authority_free(&sub);
	return 0;
}

static struct name
named(const char *cn)
{
	struct name n = { 0 };

	assert_int_equal(name_add(&n, OID_CN, cn, NULL), 0);
	return n;
}

/* Issue below the subordinate and sign; what it says in *c, which borrows *der. */
static int
issue(struct buf *der, struct cert *c, const struct issuer *by, const struct issue_want *w, struct err *e)
{
	AUTO_BUF tbs = { 0 };
	struct issue_out out = { 0 };
	int rc = issue_tbs(&tbs, &out, by, w, e);

	if (rc == 0) {
		kit_sign(der, &tbs, sub.key);
		assert_int_equal(cert_parse(c, bytes_of_buf(der), NULL), 0);
		assert_true(out.not_before == c->not_before && out.not_after == c->not_after);
		assert_true(bytes_equal(bytes_of_buf(&out.subject_der), c->subject_der));
		issue_out_free(&out);
	} else {
		assert_int_equal(tbs.n, 0);
		assert_null(out.subject_der.p);
	}
	return rc;
}

static void
a_chain_from_root_to_device_is_valid(void **state)
{
	AUTO(trust) t = trust_new();
	struct made k;
	struct name n = named("pump-7");
	AUTO_BUF der = { 0 };
	struct bytes with = bytes_of_buf(&sub.der);
	struct issue_want w;
	struct err e = { 0 };
	struct cert c;
	uint32_t anchor;

	(void)state;
	kit_make(&k, &kit_device, NULL);
	w = want("device", &n, k.key);
	assert_int_equal(issue(&der, &c, &sub.issuer, &w, &e), 0);
	assert_int_equal(trust_add(t, 1, bytes_of_buf(&root.der), NULL), 0);
	if (trust_verify(t, bytes_of_buf(&der), &with, 1, 1, T0, &anchor, &e) != 0)
		fail_msg("%s", e.msg);
	assert_true(c.not_after == T0 + 90 * DAYS);
	assert_true(c.not_before == sub.cert.not_before);
	assert_false(c.ca || c.has_bc);
	assert_int_equal(c.ku, KU_DIGITAL_SIGNATURE);
	assert_true(bytes_equal(c.aki, sub.cert.ski));
	assert_int_equal(c.serial.n, 16);
	made_free(&k);
}

static void
openssl_takes_the_whole_chain_in_strict_mode(void **state)
{
	struct name n = named("pump-7 Edge CA");
	struct authority edge = { 0 };
	struct issue_want w;
	AUTO_BUF tbs = { 0 };
	struct issue_out out = { 0 };
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *between = sk_X509_new_null();
	AUTO_OSSL(X509) top = kit_x509(bytes_of_buf(&root.der));
	AUTO_OSSL(X509) mid = kit_x509(bytes_of_buf(&sub.der));
	AUTO_OSSL(X509) leaf = NULL;

	(void)state;
	assert_int_equal(key_generate(&edge.key, KEY_EC_P256, NULL), 0);
	w = want("edge-ca", &n, edge.key);
	assert_int_equal(issue_tbs(&tbs, &out, &sub.issuer, &w, NULL), 0);
	sign_into(&edge, &tbs, sub.key);
	leaf = kit_x509(bytes_of_buf(&edge.der));
	assert_int_equal(X509_STORE_add_cert(store, top), 1);
	assert_true(sk_X509_push(between, mid) > 0);
	assert_int_equal(X509_STORE_CTX_init(ctx, store, leaf, between), 1);
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
	X509_STORE_CTX_set_time(ctx, 0, (time_t)T0);
	if (X509_verify_cert(ctx) != 1)
		fail_msg("%s", X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
	assert_int_equal(X509_get_pathlen(leaf), 0);
	assert_int_equal(X509_get_pathlen(mid), 1);
	assert_int_equal(X509_get_pathlen(top), -1);
	sk_X509_free(between);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	issue_out_free(&out);
	authority_free(&edge);
}

static void
times_are_clamped_to_the_issuers(void **state)
{
	static const struct { int64_t from, to, lifetime, nb, na; } rows[] = {
		{ T0 - DAYS, T0 + 900 * DAYS, 0, T0 - 300, T0 + 90 * DAYS },
		{ T0 - 100, T0 + 900 * DAYS, 0, T0 - 100, T0 + 90 * DAYS },
		{ T0, T0 + 60, 0, T0, T0 + 60 },
		{ T0 - DAYS, T0 + 89 * DAYS, 0, T0 - 300, T0 + 89 * DAYS },
		{ T0 - DAYS, INT64_MAX, 60, T0 - 300, T0 + 60 },
	};
	struct name n = named("pump-7");

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct issuer by = sub.issuer;
		struct issue_want w = want("device", &n, root.key);
		AUTO_BUF der = { 0 };
		struct cert c;

		by.not_before = rows[i].from;
		by.not_after = rows[i].to;
		w.lifetime_s = rows[i].lifetime;
		assert_int_equal(issue(&der, &c, &by, &w, NULL), 0);
		assert_true(c.not_before == rows[i].nb && c.not_after == rows[i].na);
	}
}

static void
an_issuer_out_of_its_time_issues_nothing(void **state)
{
	static const struct { int64_t from, to; const char *says; } rows[] = {
		{ T0 - DAYS, T0 - 1, "expired" }, { T0 - DAYS, T0 + 59, "expires within" }, { T0 + 1, T0 + DAYS, "not yet" },
	};
	struct name n = named("pump-7");

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct issuer by = sub.issuer;
		struct issue_want w = want("device", &n, root.key);
		AUTO_BUF der = { 0 };
		struct err e = { 0 };
		struct cert c;

		by.not_before = rows[i].from;
		by.not_after = rows[i].to;
		assert_int_equal(issue(&der, &c, &by, &w, &e), E_UNAVAIL);
		assert_non_null(strstr(e.msg, rows[i].says));
	}
}

static void
a_lifetime_is_within_the_profiles(void **state)
{
	static const int64_t lifetimes[] = { 59, -1, 90 * DAYS + 1 };
	struct name n = named("pump-7");

	(void)state;
	for (size_t i = 0; i < N_OF(lifetimes); i++) {
		struct issue_want w = want("device", &n, root.key);
		AUTO_BUF der = { 0 };
		struct cert c;

		w.lifetime_s = lifetimes[i];
		assert_int_equal(issue(&der, &c, &sub.issuer, &w, NULL), E_POLICY);
	}
}

/* The path length that an edge CA of pathlen `want_len` gets below an issuer of `theirs`; -2: refused. */
static int
pathlen_below(int theirs, int want_len)
{
	struct profile p = *profile_of_the_box("edge-ca");
	struct name n = named("pump-7 Edge CA");
	struct issue_want w = want("edge-ca", &n, root.key);
	struct issuer by = sub.issuer;
	AUTO_BUF der = { 0 };
	struct cert c;

	p.pathlen = want_len;
	w.profile = &p;
	by.pathlen = theirs;
	return issue(&der, &c, &by, &w, NULL) == 0 ? c.pathlen : -2;
}

static void
path_lengths_shrink_downwards(void **state)
{
	(void)state;
	assert_int_equal(pathlen_below(-1, -1), -1);
	assert_int_equal(pathlen_below(-1, 3), 3);
	assert_int_equal(pathlen_below(1, 0), 0);
	assert_int_equal(pathlen_below(1, 5), 0);
	assert_int_equal(pathlen_below(3, -1), 2);
	assert_int_equal(pathlen_below(0, 0), -2);
}

static void
what_the_want_may_not_be_is_refused(void **state)
{
	struct name n = named("pump-7"), nobody = { 0 }, same = named("ISSUING");
	struct profile p = *profile_of_the_box("device");
	struct sans sans = { 0 };
	AUTO_BUF der = { 0 };
	struct issue_want w;
	struct cert c;

	(void)state;
	assert_int_equal(sans_add_text(&sans, "dns:pump-7", NULL), 0);
	w = want("device", &n, root.key);
	p.keys = 1u << KEY_RSA_2048;
	w.profile = &p;
	assert_int_equal(issue(&der, &c, &sub.issuer, &w, NULL), E_POLICY); /* the key's type */
	p = *profile_of_the_box("device");
	p.ku |= KU_KEY_CERT_SIGN;
	assert_int_equal(issue(&der, &c, &sub.issuer, &w, NULL), E_POLICY); /* a bad profile */
	w = want("device", &n, root.key);
	assert_int_equal(issue(&der, &c, NULL, &w, NULL), E_POLICY); /* a leaf signs nobody, itself neither */
	w.subject = &same;
	assert_int_equal(issue(&der, &c, &sub.issuer, &w, NULL), E_POLICY); /* the CA's own name */
	w.subject = &nobody;
	assert_int_equal(issue(&der, &c, &sub.issuer, &w, NULL), E_POLICY); /* no name */
	w.sans = &sans;
	assert_int_equal(issue(&der, &c, &sub.issuer, &w, NULL), 0);
	assert_true(c.has_san && sans_equal(&c.sans, &sans) && c.subject.n == 0);
	w = want("edge-ca", &n, root.key);
	w.sans = &sans;
	assert_int_equal(issue(&der, &c, &sub.issuer, &w, NULL), E_POLICY); /* a CA with alternative names */
}

static void
a_serial_that_is_short_or_negative_is_refused(void **state)
{
	struct name n = named("pump-7");
	struct issue_want w = want("device", &n, root.key);
	AUTO_BUF der = { 0 };
	struct cert c;

	(void)state;
	w.serial[0] = 0;
	assert_int_equal(issue(&der, &c, &sub.issuer, &w, NULL), E_FORMAT);
	w.serial[0] = 0x80;
	assert_int_equal(issue(&der, &c, &sub.issuer, &w, NULL), E_FORMAT);
	w.serial[0] = 0x7f;
	assert_int_equal(issue(&der, &c, &sub.issuer, &w, NULL), 0);
}

static void
what_was_written_is_compared_before_it_is_handed_out(void **state)
{
	struct name n = named("pump-7");
	struct issue_want w = want("device", &n, root.key);
	struct issuer by = sub.issuer;
	struct err e = { 0 };
	AUTO_BUF der = { 0 };
	struct cert c;

	(void)state;
	w.key_type = KEY_EC_P384; /* not what the SPKI is */
	assert_int_equal(issue(&der, &c, &sub.issuer, &w, &e), E_FORMAT);
	assert_non_null(strstr(e.msg, "public key"));
	w = want("device", &n, root.key);
	by.ski.n = 0; /* an issuer without key identifier */
	assert_int_equal(issue(&der, &c, &by, &w, NULL), 0);
	assert_int_equal(c.aki.n, 0);
	w.spki.n--;
	assert_int_equal(issue(&der, &c, &sub.issuer, &w, NULL), E_FORMAT);
}

static void
pointers_are_there_when_the_profile_says_so(void **state)
{
	struct profile p = *profile_of_the_box("device");
	struct name n = named("pump-7");
	struct issue_want w = want("device", &n, root.key);
	AUTO_BUF with = { 0 }, without = { 0 };
	struct cert c;

	(void)state;
	assert_int_equal(issue(&with, &c, &sub.issuer, &w, NULL), 0);
	assert_true(KIT_HAS(bytes_of_buf(&with), "http://ca.example/crl"));
	assert_true(KIT_HAS(bytes_of_buf(&with), "http://ca.example/cer"));
	p.pointers = false;
	w.profile = &p;
	assert_int_equal(issue(&without, &c, &sub.issuer, &w, NULL), 0);
	assert_false(KIT_HAS(bytes_of_buf(&without), "http://"));
	assert_false(KIT_HAS(bytes_of_buf(&root.der), "http://"));
}

static void
a_root_names_its_own_key_as_its_issuers(void **state)
{
	(void)state;
	assert_true(bytes_equal(root.cert.aki, root.cert.ski));
	assert_true(bytes_equal(root.cert.issuer, root.cert.subject_der));
	assert_true(root.cert.ca);
	assert_int_equal(root.cert.ku, KU_KEY_CERT_SIGN | KU_CRL_SIGN);
}

static void
serials_are_positive_and_sixteen_octets_long(void **state)
{
	uint8_t s[2][ISSUE_SERIAL_LEN];
	uint8_t seen = 0;

	(void)state;
	for (size_t i = 0; i < 5000; i++) {
		serial_random(s[i % 2]);
		assert_true(s[i % 2][0] > 0 && s[i % 2][0] < 0x80);
		seen |= s[i % 2][0];
		assert_memory_not_equal(s[0], s[1], ISSUE_SERIAL_LEN);
	}
	assert_int_equal(seen, 0x7f); /* only the top bit is fixed */
}

static void
issuing_takes_microseconds(void **state)
{
	struct name n = named("pump-7");
	struct issue_want w = want("device", &n, root.key);
	uint64_t began = (uint64_t)clock(), took;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		AUTO_BUF tbs = { 0 };
		struct issue_out out = { 0 };

		assert_int_equal(issue_tbs(&tbs, &out, &sub.issuer, &w, NULL), 0);
		issue_out_free(&out);
	}
	took = (uint64_t)clock() - began;
	print_message("%.2f us a certificate, its lint included\n", (double)took / 1000);
	assert_true(took < UINT64_C(1000) * 500);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_from_root_to_device_is_valid),
		cmocka_unit_test(openssl_takes_the_whole_chain_in_strict_mode),
		cmocka_unit_test(times_are_clamped_to_the_issuers),
		cmocka_unit_test(an_issuer_out_of_its_time_issues_nothing),
		cmocka_unit_test(a_lifetime_is_within_the_profiles),
		cmocka_unit_test(path_lengths_shrink_downwards),
		cmocka_unit_test(what_the_want_may_not_be_is_refused),
		cmocka_unit_test(a_serial_that_is_short_or_negative_is_refused),
		cmocka_unit_test(what_was_written_is_compared_before_it_is_handed_out),
		cmocka_unit_test(pointers_are_there_when_the_profile_says_so),
		cmocka_unit_test(a_root_names_its_own_key_as_its_issuers),
		cmocka_unit_test(serials_are_positive_and_sixteen_octets_long),
		cmocka_unit_test(issuing_takes_microseconds),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
