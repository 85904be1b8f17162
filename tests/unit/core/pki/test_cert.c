/* SPDX-License-Identifier: Apache-2.0 */
/* test_cert.c - certificates written and read, with OpenSSL as the second opinion */
#include "tests/unit/core/pki/kit.h"

#include <time.h>

#include "core/pki/der.h"

static struct made root, device;

static int
setup(void **state)
{
	(void)state;
	kit_make(&root, &kit_root, NULL);
	kit_make(&device, &kit_device, &root);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	made_free(&root);
	made_free(&device);
	return 0;
}

/* A certificate of the device's key with what the test changed, signed by the root. */
static void
build(struct buf *out, const struct cert_want *w)
{
	AUTO_BUF tbs = { 0 };

	cert_build_tbs(&tbs, w);
	kit_sign(out, &tbs, root.key);
}

static void
a_certificate_reads_back_as_it_was_wanted(void **state)
{
	struct cert_want w = kit_want(&device, &kit_device, &root);
	char text[2 * CERT_SERIAL_MAX + 1];
	AUTO_BUF san = { 0 }, der = { 0 };
	struct sans sans = { 0 };
	struct cert c;

	(void)state;
	assert_int_equal(sans_add_text(&sans, "dns:pump-7.example", NULL), 0);
	sans_encode(&san, &sans);
	w.san = bytes_of_buf(&san);
	build(&der, &w);
	assert_int_equal(cert_parse(&c, bytes_of_buf(&der), NULL), 0);
	assert_string_equal(cert_serial_text(c.serial, text), "0a1b2c");
	assert_true(bytes_equal(c.issuer, w.issuer));
	assert_true(bytes_equal(c.subject_der, w.subject));
	assert_true(c.subject_known);
	assert_string_equal(name_get(&c.subject, OID_CN), "pump-7");
	assert_true(c.has_san && c.sans_known && sans_equal(&c.sans, &sans));
	assert_true(bytes_equal(c.spki, w.spki));
	assert_int_equal(c.key_type, KEY_EC_P256);
	assert_int_equal(c.sig_alg, OID_ECDSA_SHA256);
	assert_true(c.not_before == w.not_before && c.not_after == w.not_after);
	assert_false(c.has_bc || c.ca || c.unknown_critical);
	assert_int_equal(c.pathlen, -1);
	assert_true(c.has_ku && c.ku == KU_DIGITAL_SIGNATURE);
	assert_true(cert_has_eku(&c, OID_CLIENT_AUTH));
	assert_false(cert_has_eku(&c, OID_SERVER_AUTH));
	assert_memory_equal(c.ski.p, device.ski, 20);
	assert_memory_equal(c.aki.p, root.ski, 20);
}

static void
openssl_reads_and_verifies_what_was_built(void **state)
{
	AUTO_OSSL(X509) x = kit_x509(kit_der(&device));
	AUTO_OSSL(X509) r = kit_x509(kit_der(&root));
	unsigned char *again = NULL;
	int n;

	(void)state;
	assert_int_equal(X509_get_version(x), 2);
	assert_int_equal(X509_verify(x, key_evp(root.key)), 1);
	assert_int_equal(X509_verify(r, key_evp(root.key)), 1);
	assert_int_equal(X509_check_issued(r, x), X509_V_OK);
	assert_int_equal(X509_check_issued(r, r), X509_V_OK);
	assert_int_equal(X509_check_ca(r), 1);
	assert_int_equal(X509_check_ca(x), 0);
	assert_int_equal(X509_check_purpose(x, X509_PURPOSE_SSL_CLIENT, 0), 1);
	assert_int_equal(X509_check_purpose(x, X509_PURPOSE_SSL_SERVER, 0), 0);
	assert_int_equal(X509_get_ext_count(x), 4);
	X509_set_version(x, 2); /* forget the encoding it came in */
	n = i2d_re_X509_tbs(x, &again);
	assert_true(n > 0);
	assert_true(kit_has(kit_der(&device), (const char *)again, (size_t)n));
	OPENSSL_free(again);
}

static void
every_key_type_is_certified_and_verified(void **state)
{
	static const enum key_type types[] = { KEY_EC_P256, KEY_EC_P384, KEY_EC_P521, KEY_RSA_2048,
		KEY_ED25519 };

	(void)state;
	for (size_t i = 0; i < N_OF(types); i++) {
		struct made m = { .subject = root.subject };
		AUTO_BUF tbs = { 0 }, der = { 0 };
		AUTO(key) key = NULL;
		AUTO_OSSL(X509) x = NULL;
		struct cert_want w;
		struct cert c;

		assert_int_equal(key_generate(&key, types[i], NULL), 0);
		m.key = key;
		w = kit_want(&m, &kit_root, &m);
		cert_build_tbs(&tbs, &w);
		kit_sign(&der, &tbs, key);
		x = kit_x509(bytes_of_buf(&der));
		assert_int_equal(X509_verify(x, key_evp(key)), 1);
		assert_int_equal(cert_parse(&c, bytes_of_buf(&der), NULL), 0);
		assert_int_equal(c.key_type, types[i]);
	}
}

static void
a_leaf_has_no_basic_constraints_and_a_ca_has_critical_ones(void **state)
{
	struct cert_want w = kit_want(&device, &kit_issuing, &root);
	AUTO_BUF tbs = { 0 };

	(void)state;
	assert_false(KIT_HAS(kit_der(&device), "\x55\x1d\x13"));
	assert_true(KIT_HAS(kit_der(&root), "\x30\x0f\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x05\x30\x03\x01\x01\xff"));
	cert_build_tbs(&tbs, &w);
	assert_true(KIT_HAS(bytes_of_buf(&tbs),
	    "\x55\x1d\x13\x01\x01\xff\x04\x08\x30\x06\x01\x01\xff\x02\x01\x00"));
}

static void
key_usage_is_critical_and_its_trailing_zeros_are_dropped(void **state)
{
	(void)state;
	assert_true(KIT_HAS(kit_der(&device), "\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x07\x80"));
	assert_true(KIT_HAS(kit_der(&root), "\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x01\x06"));
}

static void
the_key_identifier_is_sha1_of_the_key_bits(void **state)
{
	AUTO_OSSL(X509) x = kit_x509(kit_der(&device));
	const ASN1_OCTET_STRING *ski = X509_get0_subject_key_id(x);
	const ASN1_OCTET_STRING *aki = X509_get0_authority_key_id(x);
	unsigned char want[20];

	(void)state;
	assert_int_equal(X509_pubkey_digest(x, EVP_sha1(), want, NULL), 1);
	assert_int_equal(ASN1_STRING_length(ski), 20);
	assert_memory_equal(ASN1_STRING_get0_data(ski), want, 20);
	assert_memory_equal(ASN1_STRING_get0_data(aki), root.ski, 20);
}

static void
times_change_their_form_with_2050(void **state)
{
	static const struct { int64_t t; const char *der; } rows[] = {
		{ INT64_C(2524607999), "\x17\x0d" "491231235959Z" },
		{ INT64_C(2524608000), "\x18\x0f" "20500101000000Z" },
		{ INT64_MAX, "\x18\x0f" "99991231235959Z" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct cert_want w = kit_want(&device, &kit_device, &root);
		AUTO_BUF der = { 0 };
		struct cert c;

		w.not_after = rows[i].t;
		build(&der, &w);
		assert_true(kit_has(bytes_of_buf(&der), rows[i].der, strlen(rows[i].der)));
		assert_int_equal(cert_parse(&c, bytes_of_buf(&der), NULL), 0);
		assert_true(c.not_after == rows[i].t);
	}
}

static void
alternative_names_are_critical_only_without_a_subject(void **state)
{
	struct cert_want w = kit_want(&device, &kit_device, &root);
	AUTO_BUF san = { 0 }, named = { 0 }, nameless = { 0 };
	struct sans sans = { 0 };
	struct cert c;

	(void)state;
	assert_int_equal(sans_add_text(&sans, "ip:192.0.2.1", NULL), 0);
	sans_encode(&san, &sans);
	w.san = bytes_of_buf(&san);
	build(&named, &w);
	w.subject = (struct bytes){ (const uint8_t *)"\x30\x00", 2 };
	build(&nameless, &w);
	assert_true(KIT_HAS(bytes_of_buf(&named), "\x55\x1d\x11\x04"));
	assert_true(KIT_HAS(bytes_of_buf(&nameless), "\x55\x1d\x11\x01\x01\xff\x04"));
	assert_int_equal(cert_parse(&c, bytes_of_buf(&nameless), NULL), 0);
	assert_true(c.subject_known && c.subject.n == 0 && !c.unknown_critical);
}

static void
openssl_finds_the_pointers(void **state)
{
	struct cert_want w = kit_want(&device, &kit_device, &root);
	AUTO_OSSL(X509) x = NULL;
	AUTO_BUF der = { 0 };
	STACK_OF(OPENSSL_STRING) *ocsp;
	AUTHORITY_INFO_ACCESS *aia;
	CRL_DIST_POINTS *points;
	GENERAL_NAME *g;
	int critical;

	(void)state;
	w.crl_url = "http://ca.example/crl/issuing.crl";
	w.ocsp_url = "http://ca.example/ocsp";
	w.aia_url = "http://ca.example/ca/issuing.cer";
	build(&der, &w);
	x = kit_x509(bytes_of_buf(&der));
	points = X509_get_ext_d2i(x, NID_crl_distribution_points, &critical, NULL);
	assert_int_equal(critical, 0);
	assert_int_equal(sk_DIST_POINT_num(points), 1);
	g = sk_GENERAL_NAME_value(sk_DIST_POINT_value(points, 0)->distpoint->name.fullname, 0);
	assert_int_equal(g->type, GEN_URI);
	assert_memory_equal(ASN1_STRING_get0_data(g->d.ia5), w.crl_url, strlen(w.crl_url));
	aia = X509_get_ext_d2i(x, NID_info_access, &critical, NULL);
	assert_int_equal(critical, 0);
	assert_int_equal(sk_ACCESS_DESCRIPTION_num(aia), 2);
	assert_int_equal(OBJ_obj2nid(sk_ACCESS_DESCRIPTION_value(aia, 1)->method), NID_ad_ca_issuers);
	ocsp = X509_get1_ocsp(x);
	assert_string_equal(sk_OPENSSL_STRING_value(ocsp, 0), w.ocsp_url);
	X509_email_free(ocsp);
	AUTHORITY_INFO_ACCESS_free(aia);
	CRL_DIST_POINTS_free(points);
}

/* --- what is refused --- */

/* A certificate by hand: each part as a test wants it, NULL: as usual. */
struct hand {
	struct bytes version, serial, inner_alg, validity, extensions;
};

static struct bytes
either(struct bytes a, const char *usual, size_t n)
{
	return a.p != NULL ? a : (struct bytes){ (const uint8_t *)usual, n };
}
#define EITHER(a, literal) either(a, literal, sizeof(literal) - 1)
#define RAW(literal)       { (const uint8_t *)(literal), sizeof(literal) - 1 }

#define ALG  "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
#define FROM "\x17\x0d" "270101000000Z"
#define TO   "\x17\x0d" "280101000000Z"

static int
parse_hand(struct cert *c, const struct hand *h, struct err *e)
{
	static struct buf der; /* c borrows it until the next call */
	size_t whole, tbs, outer;

	buf_free(&der);
	whole = der_begin(&der, DER_SEQUENCE);
	tbs = der_begin(&der, DER_SEQUENCE);
	der_put_raw(&der, EITHER(h->version, "\xa0\x03\x02\x01\x02"));
	der_put_raw(&der, EITHER(h->serial, "\x02\x01\x01"));
	der_put_raw(&der, EITHER(h->inner_alg, ALG));
	der_put_raw(&der, bytes_of_buf(&root.subject));
	der_put_raw(&der, EITHER(h->validity, "\x30\x1e" FROM TO));
	der_put_raw(&der, bytes_of_buf(&device.subject));
	der_put_raw(&der, key_spki(device.key));
	if (h->extensions.p != NULL) {
		outer = der_begin(&der, DER_CONTEXT_CONS(3));
		der_put(&der, DER_SEQUENCE, h->extensions);
		der_finish(&der, outer);
	}
	der_finish(&der, tbs);
	der_put_raw(&der, (struct bytes)RAW(ALG));
	der_put_bits(&der, (struct bytes)RAW("\x01"), 0);
	der_finish(&der, whole);
	return cert_parse(c, bytes_of_buf(&der), e);
}

static void
a_certificate_with_a_wrong_part_is_refused_by_its_name(void **state)
{
	static const struct { struct hand h; const char *says; } rows[] = {
		{ { .version = RAW("\xa0\x03\x02\x01\x01") }, "version" },
		{ { .version = RAW("") }, "version" },
		{ { .serial = RAW("\x02\x01\xff") }, "serial" },
		{ { .serial = RAW("\x02\x15" "123456789012345678901") }, "serial" },
		{ { .serial = RAW("\x02\x02\x00\x01") }, "not minimal" },
		{ { .inner_alg = RAW("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03") }, "two signature" },
		{ { .validity = RAW("\x30\x1e" TO FROM) }, "ends before" },
		{ { .validity = RAW("\x30\x1e\x17\x0d" "270231000000Z" TO) }, "validity" },
		{ { .validity = RAW("\x30\x0f" FROM) }, "validity" },
		{ { .extensions = RAW("") }, "empty extensions" },
		/* keyUsage twice */
		{ { .extensions = RAW("\x30\x0b\x06\x03\x55\x1d\x0f\x04\x04\x03\x02\x07\x80"
		    "\x30\x0b\x06\x03\x55\x1d\x0f\x04\x04\x03\x02\x07\x80") }, "twice" },
		/* basicConstraints: a path length without cA; octets after the value */
		{ { .extensions = RAW("\x30\x0c\x06\x03\x55\x1d\x13\x04\x05\x30\x03\x02\x01\x00") },
		    "basicConstraints" },
		{ { .extensions = RAW("\x30\x0b\x06\x03\x55\x1d\x13\x04\x04\x30\x00\x05\x00") }, "2.5.29.19" },
		/* extendedKeyUsage without any */
		{ { .extensions = RAW("\x30\x09\x06\x03\x55\x1d\x25\x04\x02\x30\x00") }, "empty" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct err e = { 0 };
		struct cert c;

		assert_int_equal(parse_hand(&c, &rows[i].h, &e), E_FORMAT);
		if (strstr(e.msg, rows[i].says) == NULL)
			fail_msg("row %zu says: %s", i, e.msg);
	}
}

static void
an_explicit_false_is_read_as_one(void **state)
{
	struct hand h = { .extensions = RAW("\x30\x0f\x06\x03\x55\x1d\x13\x01\x01\x00\x04\x05\x30\x03\x01\x01\x00") };
	struct cert c;

	(void)state;
	assert_int_equal(parse_hand(&c, &h, NULL), 0);
	assert_true(c.has_bc && !c.ca && c.pathlen == -1);
}

static void
only_a_critical_unknown_extension_is_marked(void **state)
{
	struct hand plain = { .extensions = RAW("\x30\x08\x06\x02\x2a\x03\x04\x02\x05\x00") };
	struct hand critical = { .extensions = RAW("\x30\x0b\x06\x02\x2a\x03\x01\x01\xff\x04\x02\x05\x00") };
	struct cert c;

	(void)state;
	assert_int_equal(parse_hand(&c, &plain, NULL), 0);
	assert_false(c.unknown_critical);
	assert_int_equal(parse_hand(&c, &critical, NULL), 0);
	assert_true(c.unknown_critical);
}

static void
names_that_are_not_ours_leave_the_certificate_readable(void **state)
{
	/* two attributes in one RDN; an x400Address */
	static const uint8_t multi[] = "\x30\x16\x31\x14\x30\x08\x06\x03\x55\x04\x03\x0c\x01" "a"
	    "\x30\x08\x06\x03\x55\x04\x0a\x0c\x01" "b";
	struct cert_want w = kit_want(&device, &kit_device, &root);
	struct hand h = { .extensions = RAW("\x30\x0b\x06\x03\x55\x1d\x11\x04\x04\x30\x02\xa3\x00") };
	AUTO_BUF der = { 0 };
	struct cert c;

	(void)state;
	w.subject = (struct bytes){ multi, sizeof(multi) - 1 };
	build(&der, &w);
	assert_int_equal(cert_parse(&c, bytes_of_buf(&der), NULL), 0);
	assert_false(c.subject_known);
	assert_true(bytes_equal(c.subject_der, w.subject));
	assert_int_equal(parse_hand(&c, &h, NULL), 0);
	assert_true(c.has_san);
	assert_false(c.sans_known);
}

static void
a_certificate_that_is_cut_or_extended_is_refused(void **state)
{
	struct bytes der = kit_der(&device);
	AUTO_BUF longer = { 0 };
	struct cert c = { .n_eku = 7 };

	(void)state;
	for (size_t n = 0; n < der.n; n++)
		assert_int_equal(cert_parse(&c, bytes_slice(der, 0, n), NULL), E_FORMAT);
	buf_put_bytes(&longer, der);
	buf_put_u8(&longer, 0);
	assert_int_equal(cert_parse(&c, bytes_of_buf(&longer), NULL), E_FORMAT);
	assert_int_equal(c.n_eku, 7); /* written only on success */
}

static void
a_huge_certificate_is_not_looked_at(void **state)
{
	static const uint8_t huge[CERT_MAX + 1];
	struct cert c;

	(void)state;
	assert_int_equal(cert_parse(&c, (struct bytes){ huge, sizeof(huge) }, NULL), E_TOOBIG);
}

static void
a_serial_number_is_written_without_its_sign_octet(void **state)
{
	char text[2 * CERT_SERIAL_MAX + 1];

	(void)state;
	assert_string_equal(cert_serial_text((struct bytes)RAW("\x00\xff\x01"), text), "ff01");
	assert_string_equal(cert_serial_text((struct bytes)RAW("\x00"), text), "00");
	assert_int_equal(strlen(cert_serial_text((struct bytes)RAW("1234567890123456789012"), text)), 40);
}

static void
building_takes_microseconds(void **state)
{
	struct cert_want w = kit_want(&device, &kit_device, &root);
	static const uint8_t sig[70];
	uint64_t began;

	(void)state;
	w.crl_url = w.aia_url = "http://ca.example/some/path";
	began = (uint64_t)clock();
	for (int i = 0; i < 2000; i++) {
		AUTO_BUF tbs = { 0 }, der = { 0 };

		cert_build_tbs(&tbs, &w);
		cert_assemble(&der, bytes_of_buf(&tbs), w.sig_alg, (struct bytes){ sig, sizeof(sig) });
	}
	/* About 3 in the open, 20 under sanitizers; a mistake in kind is what this finds. */
	assert_true((uint64_t)clock() - began < UINT64_C(2000) * 200);
	print_message("%.2f us a certificate\n", (double)((uint64_t)clock() - began) / 2000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_certificate_reads_back_as_it_was_wanted),
		cmocka_unit_test(openssl_reads_and_verifies_what_was_built),
		cmocka_unit_test(every_key_type_is_certified_and_verified),
		cmocka_unit_test(a_leaf_has_no_basic_constraints_and_a_ca_has_critical_ones),
		cmocka_unit_test(key_usage_is_critical_and_its_trailing_zeros_are_dropped),
		cmocka_unit_test(the_key_identifier_is_sha1_of_the_key_bits),
		cmocka_unit_test(times_change_their_form_with_2050),
		cmocka_unit_test(alternative_names_are_critical_only_without_a_subject),
		cmocka_unit_test(openssl_finds_the_pointers),
		cmocka_unit_test(a_certificate_with_a_wrong_part_is_refused_by_its_name),
		cmocka_unit_test(an_explicit_false_is_read_as_one),
		cmocka_unit_test(only_a_critical_unknown_extension_is_marked),
		cmocka_unit_test(names_that_are_not_ours_leave_the_certificate_readable),
		cmocka_unit_test(a_certificate_that_is_cut_or_extended_is_refused),
		cmocka_unit_test(a_huge_certificate_is_not_looked_at),
		cmocka_unit_test(a_serial_number_is_written_without_its_sign_octet),
		cmocka_unit_test(building_takes_microseconds),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
