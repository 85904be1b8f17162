/* SPDX-License-Identifier: Apache-2.0 */
/* test_oid.c - the table against the dotted numbers of the documents */
#include "core/pki/oid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static const struct { enum oid oid; const char *dotted; } numbers[] = {
	{ OID_CN, "2.5.4.3" },
	{ OID_SURNAME, "2.5.4.4" },
	{ OID_SERIAL_NUMBER, "2.5.4.5" },
	{ OID_C, "2.5.4.6" },
	{ OID_L, "2.5.4.7" },
	{ OID_ST, "2.5.4.8" },
	{ OID_STREET, "2.5.4.9" },
	{ OID_O, "2.5.4.10" },
	{ OID_OU, "2.5.4.11" },
	{ OID_TITLE, "2.5.4.12" },
	{ OID_GIVEN_NAME, "2.5.4.42" },
	{ OID_DN_QUALIFIER, "2.5.4.46" },
	{ OID_ORGANIZATION_IDENTIFIER, "2.5.4.97" },
	{ OID_UID, "0.9.2342.19200300.100.1.1" },
	{ OID_DC, "0.9.2342.19200300.100.1.25" },
	{ OID_EMAIL, "1.2.840.113549.1.9.1" },
	{ OID_EC_PUBLIC_KEY, "1.2.840.10045.2.1" },
	{ OID_P256, "1.2.840.10045.3.1.7" },
	{ OID_P384, "1.3.132.0.34" },
	{ OID_P521, "1.3.132.0.35" },
	{ OID_RSA, "1.2.840.113549.1.1.1" },
	{ OID_ED25519, "1.3.101.112" },
	{ OID_RSA_PSS, "1.2.840.113549.1.1.10" },
	{ OID_ECDSA_SHA256, "1.2.840.10045.4.3.2" },
	{ OID_ECDSA_SHA384, "1.2.840.10045.4.3.3" },
	{ OID_ECDSA_SHA512, "1.2.840.10045.4.3.4" },
	{ OID_RSA_SHA256, "1.2.840.113549.1.1.11" },
	{ OID_RSA_SHA384, "1.2.840.113549.1.1.12" },
	{ OID_RSA_SHA512, "1.2.840.113549.1.1.13" },
	{ OID_RSA_SHA1, "1.2.840.113549.1.1.5" },
	{ OID_RSA_MD5, "1.2.840.113549.1.1.4" },
	{ OID_ECDSA_SHA1, "1.2.840.10045.4.1" },
	{ OID_SHA256, "2.16.840.1.101.3.4.2.1" },
	{ OID_SHA384, "2.16.840.1.101.3.4.2.2" },
	{ OID_SHA512, "2.16.840.1.101.3.4.2.3" },
	{ OID_SKI, "2.5.29.14" },
	{ OID_KEY_USAGE, "2.5.29.15" },
	{ OID_SAN, "2.5.29.17" },
	{ OID_BASIC_CONSTRAINTS, "2.5.29.19" },
	{ OID_CRL_NUMBER, "2.5.29.20" },
	{ OID_REASON_CODE, "2.5.29.21" },
	{ OID_CRLDP, "2.5.29.31" },
	{ OID_CERT_POLICIES, "2.5.29.32" },
	{ OID_AKI, "2.5.29.35" },
	{ OID_EKU, "2.5.29.37" },
	{ OID_AIA, "1.3.6.1.5.5.7.1.1" },
	{ OID_NAME_CONSTRAINTS, "2.5.29.30" },
	{ OID_IDP, "2.5.29.28" },
	{ OID_SERVER_AUTH, "1.3.6.1.5.5.7.3.1" },
	{ OID_CLIENT_AUTH, "1.3.6.1.5.5.7.3.2" },
	{ OID_CODE_SIGNING, "1.3.6.1.5.5.7.3.3" },
	{ OID_OCSP_SIGNING, "1.3.6.1.5.5.7.3.9" },
	{ OID_CMC_RA, "1.3.6.1.5.5.7.3.28" },
	{ OID_ANY_EKU, "2.5.29.37.0" },
	{ OID_CA_ISSUERS, "1.3.6.1.5.5.7.48.2" },
	{ OID_OCSP, "1.3.6.1.5.5.7.48.1" },
	{ OID_EXTENSION_REQUEST, "1.2.840.113549.1.9.14" },
	{ OID_CHALLENGE_PASSWORD, "1.2.840.113549.1.9.7" },
	{ OID_EST_IDENTITY_LINKING, "1.2.840.113549.1.9.16.2.58" },
	{ OID_OTP_CHALLENGE, "1.2.840.113549.1.9.16.2.56" },
	{ OID_REVOCATION_CHALLENGE, "1.2.840.113549.1.9.16.2.57" },
	{ OID_MS_CERT_EXTENSIONS, "1.3.6.1.4.1.311.2.1.14" },
	{ OID_CHANGE_SUBJECT_NAME, "1.3.6.1.5.5.7.7.36" },
	{ OID_CERT_REQ_INFO_TEMPLATE, "1.2.840.113549.1.9.16.2.61" },
	{ OID_EXTENSION_REQ_TEMPLATE, "1.2.840.113549.1.9.16.2.62" },
	{ OID_SMIME_CAPABILITIES, "1.2.840.113549.1.9.15" },
	{ OID_SIGNED_DATA, "1.2.840.113549.1.7.2" },
	{ OID_DATA, "1.2.840.113549.1.7.1" },
	{ OID_HW_MODULE_NAME, "1.3.6.1.5.5.7.8.4" },};

static void
every_oid_has_the_number_of_its_document(void **state)
{
	char text[80];

	(void)state;
	assert_int_equal(N_OF(numbers), OID_COUNT - 1);
	for (size_t i = 0; i < N_OF(numbers); i++) {
		assert_int_equal(numbers[i].oid, i + 1);
		assert_string_equal(oid_dotted(oid_contents(numbers[i].oid), text), numbers[i].dotted);
	}
}

static void
every_oid_is_found_by_its_octets_and_by_its_name(void **state)
{
	(void)state;
	for (int o = OID_UNKNOWN + 1; o < OID_COUNT; o++) {
		assert_int_equal(oid_find(oid_contents((enum oid)o)), o);
		assert_int_equal(oid_by_name(oid_name((enum oid)o)), o);
	}
}

static void
names_are_found_in_any_case_and_by_their_usual_aliases(void **state)
{
	(void)state;
	assert_int_equal(oid_by_name("cn"), OID_CN);
	assert_int_equal(oid_by_name("CLIENTAUTH"), OID_CLIENT_AUTH);
	assert_int_equal(oid_by_name("e"), OID_EMAIL);
	assert_int_equal(oid_by_name("gn"), OID_GIVEN_NAME);
}

static void
what_we_do_not_know_is_unknown(void **state)
{
	struct bytes cn = oid_contents(OID_CN);

	(void)state;
	assert_int_equal(oid_find((struct bytes){ 0 }), OID_UNKNOWN);
	assert_int_equal(oid_find(bytes_slice(cn, 0, 2)), OID_UNKNOWN);
	assert_int_equal(oid_by_name("?"), OID_UNKNOWN);
	assert_int_equal(oid_by_name(""), OID_UNKNOWN);
	assert_string_equal(oid_name(OID_UNKNOWN), "?");
}

static void
dotted_text_never_leaves_its_room(void **state)
{
	uint8_t long_oid[64], huge[20];
	char text[80];

	(void)state;
	memset(long_oid, 0x7f, sizeof(long_oid));
	assert_int_equal(strlen(oid_dotted((struct bytes){ long_oid, sizeof(long_oid) }, text)), 79);
	memset(huge, 0xff, sizeof(huge));
	huge[0] = 0x2a;
	huge[19] = 0x01;
	assert_string_equal(oid_dotted((struct bytes){ huge, sizeof(huge) }, text), "1.2.?");
	assert_string_equal(oid_dotted((struct bytes){ 0 }, text), "?");
	assert_string_equal(oid_dotted((struct bytes){ (const uint8_t *)"\x88\x37\x03", 3 }, text), "2.999.3");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_oid_has_the_number_of_its_document),
		cmocka_unit_test(every_oid_is_found_by_its_octets_and_by_its_name),
		cmocka_unit_test(names_are_found_in_any_case_and_by_their_usual_aliases),
		cmocka_unit_test(what_we_do_not_know_is_unknown),
		cmocka_unit_test(dotted_text_never_leaves_its_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
