/* SPDX-License-Identifier: Apache-2.0 */
/* test_cms.c - bags of certificates, written and read */
#include "tests/unit/core/pki/kit.h"

#include <openssl/cms.h>

#include "core/pki/der.h"

AUTO_DEFINE_OSSL(CMS_ContentInfo, CMS_ContentInfo_free)

static struct made root, issuing, device;

static int
setup(void **state)
{
	(void)state;
	kit_make(&root, &kit_root, NULL);
	kit_make(&issuing, &kit_issuing, &root);
	kit_make(&device, &kit_device, &issuing);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	made_free(&root);
	made_free(&issuing);
	made_free(&device);
	return 0;
}

static void
an_empty_bag_is_these_octets(void **state)
{
	/* version 1, no digest algorithm, id-data without content, no signer */
	static const uint8_t want[] = "\x30\x23\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x16"
	    "\x30\x14\x02\x01\x01\x31\x00\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\x31\x00";
	struct bytes certs[1];
	AUTO_BUF der = { 0 };
	size_t n = 9;

	(void)state;
	cms_certs_only(&der, NULL, 0);
	assert_int_equal(der.n, sizeof(want) - 1);
	assert_memory_equal(der.p, want, der.n);
	assert_int_equal(cms_parse_certs(certs, &n, 1, bytes_of_buf(&der), NULL), 0);
	assert_int_equal(n, 0);
}

/* X.690 11.6, for elements of which none begins another. */
static bool
ascending(struct bytes a, struct bytes b)
{
	return memcmp(a.p, b.p, a.n < b.n ? a.n : b.n) < 0;
}

static void
certificates_come_back_each_once_in_der_order(void **state)
{
	const struct bytes put[] = { kit_der(&device), kit_der(&issuing), kit_der(&root),
		kit_der(&issuing) };
	struct bytes got[4];
	AUTO_BUF der = { 0 };
	size_t n;

	(void)state;
	cms_certs_only(&der, put, 4);
	assert_int_equal(cms_parse_certs(got, &n, 4, bytes_of_buf(&der), NULL), 0);
	assert_int_equal(n, 3);
	assert_true(ascending(got[0], got[1]) && ascending(got[1], got[2]));
	for (size_t i = 0; i < 3; i++)
		assert_true(bytes_equal(got[i], put[0]) || bytes_equal(got[i], put[1]) ||
		    bytes_equal(got[i], put[2]));
}

static void
openssl_finds_the_certificates_and_no_content(void **state)
{
	const struct bytes put[] = { kit_der(&root), kit_der(&issuing) };
	AUTO_OSSL(CMS_ContentInfo) cms = NULL;
	STACK_OF(X509) *certs;
	AUTO_BUF der = { 0 };
	const unsigned char *p;

	(void)state;
	cms_certs_only(&der, put, 2);
	p = der.p;
	cms = d2i_CMS_ContentInfo(NULL, &p, (long)der.n);
	assert_non_null(cms);
	assert_ptr_equal(p, der.p + der.n);
	assert_int_equal(OBJ_obj2nid(CMS_get0_type(cms)), NID_pkcs7_signed);
	assert_int_equal(OBJ_obj2nid(CMS_get0_eContentType(cms)), NID_pkcs7_data);
	assert_int_equal(CMS_is_detached(cms), 1);
	certs = CMS_get1_certs(cms);
	assert_int_equal(sk_X509_num(certs), 2);
	sk_X509_pop_free(certs, X509_free);
	assert_null(CMS_get1_crls(cms));
}

static void
more_certificates_than_asked_for_are_refused(void **state)
{
	const struct bytes put[] = { kit_der(&root), kit_der(&issuing) };
	struct bytes got[1];
	AUTO_BUF der = { 0 };
	size_t n = 9;

	(void)state;
	cms_certs_only(&der, put, 2);
	assert_int_equal(cms_parse_certs(got, &n, 1, bytes_of_buf(&der), NULL), E_TOOBIG);
	assert_int_equal(n, 9);
}

static void
what_other_servers_put_beside_the_certificates_is_passed_over(void **state)
{
	/* version 3, a digest algorithm, an empty eContent, crls: read, not used */
	static const uint8_t head[] = "\x02\x01\x03\x31\x0d\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01"
	    "\x30\x0f\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\xa0\x02\x04\x00";
	struct bytes root_der = kit_der(&root), got[2];
	AUTO_BUF der = { 0 };
	size_t info, content, data, n;

	(void)state;
	info = der_begin(&der, DER_SEQUENCE);
	der_put_oid(&der, oid_contents(OID_SIGNED_DATA));
	content = der_begin(&der, DER_CONTEXT_CONS(0));
	data = der_begin(&der, DER_SEQUENCE);
	buf_put(&der, head, sizeof(head) - 1);
	der_put(&der, DER_CONTEXT_CONS(0), root_der);
	der_put(&der, DER_CONTEXT_CONS(1), (struct bytes){ 0 });
	der_put(&der, DER_SET, (struct bytes){ 0 });
	der_finish(&der, data);
	der_finish(&der, content);
	der_finish(&der, info);
	assert_int_equal(cms_parse_certs(got, &n, 2, bytes_of_buf(&der), NULL), 0);
	assert_int_equal(n, 1);
	assert_true(bytes_equal(got[0], root_der));
}

static void
other_content_and_ber_and_cut_messages_are_refused(void **state)
{
	static const uint8_t ber[] = "\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\x00\x00";
	const struct bytes put = kit_der(&root);
	AUTO_BUF der = { 0 };
	struct bytes got[2];
	size_t n;

	(void)state;
	assert_int_equal(cms_parse_certs(got, &n, 2, (struct bytes){ ber, sizeof(ber) - 1 }, NULL), E_FORMAT);
	assert_int_equal(cms_parse_certs(got, &n, 2, put, NULL), E_FORMAT);
	cms_certs_only(&der, &put, 1);
	for (size_t i = 0; i < der.n; i++)
		assert_int_equal(cms_parse_certs(got, &n, 2, bytes_slice(bytes_of_buf(&der), 0, i), NULL),
		    E_FORMAT);
	der.p[14] = 0x01; /* id-data is not id-signedData */
	assert_int_equal(cms_parse_certs(got, &n, 2, bytes_of_buf(&der), NULL), E_FORMAT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_bag_is_these_octets),
		cmocka_unit_test(certificates_come_back_each_once_in_der_order),
		cmocka_unit_test(openssl_finds_the_certificates_and_no_content),
		cmocka_unit_test(more_certificates_than_asked_for_are_refused),
		cmocka_unit_test(what_other_servers_put_beside_the_certificates_is_passed_over),
		cmocka_unit_test(other_content_and_ber_and_cut_messages_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
