/* SPDX-License-Identifier: Apache-2.0 */
/* test_crl.c - revocation lists as OpenSSL reads them */
#include "tests/unit/core/pki/kit.h"

AUTO_DEFINE_OSSL(X509_CRL, X509_CRL_free)

static struct made root;

static int
setup(void **state)
{
	(void)state;
	kit_make(&root, &kit_root, NULL);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	made_free(&root);
	return 0;
}

static X509_CRL *
publish(struct buf *der, int64_t next, uint64_t number, const struct crl_entry *entries, size_t n)
{
	AUTO_BUF tbs = { 0 };
	const unsigned char *p;
	X509_CRL *crl;

	crl_build_tbs(&tbs, bytes_of_buf(&root.subject), (struct bytes){ root.ski, 20 },
	    OID_ECDSA_SHA256, T0, next, number, entries, n);
	kit_sign(der, &tbs, root.key);
	p = der->p;
	crl = d2i_X509_CRL(NULL, &p, (long)der->n);
	assert_non_null(crl);
	assert_ptr_equal(p, der->p + der->n);
	return crl;
}

static void
a_list_carries_its_number_its_key_and_its_entries(void **state)
{
	const struct crl_entry entries[] = {
		{ .serial = { 0x01 }, .serial_n = 1, .revoked_at = T0 - HOUR, .reason = 1 },
		{ .serial = { 0xff, 0x02 }, .serial_n = 2, .revoked_at = T0 - 2 * HOUR },
	};
	AUTO_BUF der = { 0 };
	AUTO_OSSL(X509_CRL) crl = publish(&der, T0 + 7 * DAYS, UINT64_C(0xffffffffffffffff), entries, 2);
	ASN1_INTEGER *number;
	AUTHORITY_KEYID *aki;
	X509_REVOKED *r;
	ASN1_ENUMERATED *reason;

	(void)state;
	assert_int_equal(X509_CRL_verify(crl, key_evp(root.key)), 1);
	assert_int_equal(X509_CRL_get_version(crl), 1);
	number = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
	assert_memory_equal(ASN1_STRING_get0_data(number), "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	aki = X509_CRL_get_ext_d2i(crl, NID_authority_key_identifier, NULL, NULL);
	assert_memory_equal(ASN1_STRING_get0_data(aki->keyid), root.ski, 20);
	assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)), 2);
	r = sk_X509_REVOKED_value(X509_CRL_get_REVOKED(crl), 0);
	reason = X509_REVOKED_get_ext_d2i(r, NID_crl_reason, NULL, NULL);
	assert_int_equal(ASN1_ENUMERATED_get(reason), 1);
	/* RFC 5280 5.3.1: unspecified is said by silence. */
	r = sk_X509_REVOKED_value(X509_CRL_get_REVOKED(crl), 1);
	assert_int_equal(X509_REVOKED_get_ext_count(r), 0);
	assert_memory_equal(ASN1_STRING_get0_data(X509_REVOKED_get0_serialNumber(r)), "\xff\x02", 2);
	ASN1_INTEGER_free(number);
	AUTHORITY_KEYID_free(aki);
	ASN1_ENUMERATED_free(reason);
}

static void
a_list_without_entries_has_no_empty_sequence(void **state)
{
	AUTO_BUF der = { 0 };
	AUTO_OSSL(X509_CRL) crl = publish(&der, T0 + 7 * DAYS, 1, NULL, 0);

	(void)state;
	assert_null(X509_CRL_get_REVOKED(crl));
	assert_false(KIT_HAS(bytes_of_buf(&der), "Z\x30\x00"));
	assert_int_equal(X509_CRL_verify(crl, key_evp(root.key)), 1);
}

static void
the_next_update_after_2049_is_a_generalized_time(void **state)
{
	AUTO_BUF der = { 0 };
	AUTO_OSSL(X509_CRL) crl = publish(&der, INT64_C(2524608000), 1, NULL, 0);

	(void)state;
	assert_int_equal(ASN1_STRING_type(X509_CRL_get0_nextUpdate(crl)), V_ASN1_GENERALIZEDTIME);
	assert_int_equal(ASN1_STRING_type(X509_CRL_get0_lastUpdate(crl)), V_ASN1_UTCTIME);
}

static void
openssl_refuses_a_revoked_certificate_by_our_list(void **state)
{
	const struct crl_entry entry = { .serial = { 0x0a, 0x1b, 0x2c }, .serial_n = 3, .revoked_at = T0 };
	AUTO_BUF der = { 0 };
	AUTO_OSSL(X509_CRL) crl = publish(&der, T0 + DAYS, 5, &entry, 1);
	struct made device;
	AUTO_OSSL(X509) x = NULL;
	X509_REVOKED *found = NULL;

	(void)state;
	kit_make(&device, &kit_device, &root);
	x = kit_x509(kit_der(&device));
	assert_int_equal(X509_CRL_get0_by_cert(crl, &found, x), 1);
	assert_non_null(found);
	made_free(&device);
}

static void
the_number_of_a_list_is_read_again(void **state)
{
	static const struct { uint64_t number; size_t n; } cases[] = { { 1, 0 }, { 128, 1 }, { 300, 1 }, { INT64_MAX, 0 } };
	const struct crl_entry entry = { .serial = { 0x0a }, .serial_n = 1, .revoked_at = T0, .reason = 1 };

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		AUTO_BUF der = { 0 };
		AUTO_OSSL(X509_CRL) crl = publish(&der, T0 + DAYS, cases[i].number, &entry, cases[i].n);
		uint64_t number = 0;

		assert_int_equal(crl_read_number(&number, bytes_of_buf(&der), NULL), 0);
		assert_true(number == cases[i].number);
	}
}

static void
a_list_that_is_cut_or_has_more_behind_it_has_no_number(void **state)
{
	AUTO_BUF der = { 0 };
	AUTO_OSSL(X509_CRL) crl = publish(&der, T0 + DAYS, 7, NULL, 0);
	uint64_t number = 5;

	(void)state;
	for (size_t n = 0; n < der.n; n++)
		assert_int_equal(crl_read_number(&number, bytes_slice(bytes_of_buf(&der), 0, n), NULL), E_FORMAT);
	buf_put_u8(&der, 0);
	assert_int_equal(crl_read_number(&number, bytes_of_buf(&der), NULL), E_FORMAT);
	assert_true(number == 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_carries_its_number_its_key_and_its_entries),
		cmocka_unit_test(a_list_without_entries_has_no_empty_sequence),
		cmocka_unit_test(the_next_update_after_2049_is_a_generalized_time),
		cmocka_unit_test(openssl_refuses_a_revoked_certificate_by_our_list),
		cmocka_unit_test(the_number_of_a_list_is_read_again),
		cmocka_unit_test(a_list_that_is_cut_or_has_more_behind_it_has_no_number),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
