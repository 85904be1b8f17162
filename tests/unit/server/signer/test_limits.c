/* SPDX-License-Identifier: Apache-2.0 */
/* signer/test_limits.c - one test for each limit, on octets built by our own builders and on others */
#include "server/signer/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/pki/cert.h"
#include "core/pki/der.h"

#define NOW  INT64_C(1800000000) /* 2027-01-15 */
#define DAYS INT64_C(86400)

static const struct limits leaf_limits = {
	.type = KEY_EC_P256, .max_pathlen = -1, .max_lifetime_s = 30 * DAYS, .max_per_s = 5,
};
static const struct limits ca_limits = {
	.type = KEY_EC_P256, .may_sign_ca = true, .max_pathlen = 1, .max_lifetime_s = 30 * DAYS, .max_per_s = 5,
};

/* A Name and an SPKI as far as this room looks at them. */
static const uint8_t name_octets[] = { 0x30, 0x0c, 0x31, 0x0a, 0x30, 0x08, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x01, 'x' };
static const uint8_t spki_octets[] = { 0x30, 0x0c, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x03, 0x00, 0xaa, 0xbb };
static const uint8_t serial_octets[] = { 0x01, 0x02 };
#define BYTES(a) ((struct bytes){ (a), sizeof(a) })

/* --- certificates --- */

/* What most tests change one thing of. */
static struct cert_want
want(void)
{
	return (struct cert_want){
		.serial = BYTES(serial_octets), .issuer = BYTES(name_octets), .subject = BYTES(name_octets),
		.spki = BYTES(spki_octets), .not_before = NOW - 60, .not_after = NOW + 10 * DAYS,
		.pathlen = -1, .ku = KU_DIGITAL_SIGNATURE, .sig_alg = OID_ECDSA_SHA256,
	};
}

static struct cert_want
want_ca(int pathlen)
{
	struct cert_want w = want();

	w.ca = true;
	w.pathlen = pathlen;
	w.ku = KU_KEY_CERT_SIGN | KU_CRL_SIGN;
	return w;
}

static int
judge_tbs(const struct limits *l, struct bytes tbs, struct err *e)
{
	e->code = E_OK;
	e->msg[0] = 0;
	return limits_judge_cert(l, tbs, NOW, e);
}

static int
judge_want(const struct limits *l, const struct cert_want *w, struct err *e)
{
	AUTO_BUF tbs = { 0 };

	cert_build_tbs(&tbs, w);
	return judge_tbs(l, bytes_of_buf(&tbs), e);
}

static void
expect_ok(const struct limits *l, const struct cert_want *w)
{
	struct err e;

	if (judge_want(l, w, &e) != 0)
		fail_msg("refused: %s", e.msg);
}

static void
expect_refused(const struct limits *l, const struct cert_want *w, const char *why)
{
	struct err e;

	assert_int_equal(judge_want(l, w, &e), E_POLICY);
	if (strstr(e.msg, why) == NULL)
		fail_msg("expected '%s', got '%s'", why, e.msg);
}

static void
a_usual_certificate_is_signed(void **state)
{
	static const enum oid uses[] = { OID_CLIENT_AUTH, OID_SERVER_AUTH };
	struct cert_want w = want();

	(void)state;
	w.n_eku = 2;
	w.eku = uses;
	w.aki = BYTES(serial_octets);
	w.crl_url = "http://x/crl";
	w.aia_url = "http://x/ca";
	w.ocsp_url = "http://x/ocsp";
	expect_ok(&leaf_limits, &w);
	expect_ok(&ca_limits, &w);
}

static void
an_algorithm_that_is_not_the_key_s_is_refused(void **state)
{
	static const enum oid others[] = { OID_ECDSA_SHA384, OID_ECDSA_SHA512, OID_RSA_SHA256, OID_ED25519 };
	struct limits rsa = leaf_limits;
	struct cert_want w = want();

	(void)state;
	for (size_t i = 0; i < N_OF(others); i++) {
		w.sig_alg = others[i];
		expect_refused(&leaf_limits, &w, "signature algorithm is not ec-p256's ");
	}
	rsa.type = KEY_RSA_3072;
	w.sig_alg = OID_RSA_SHA256;
	expect_ok(&rsa, &w);
	w.sig_alg = OID_ECDSA_SHA256;
	expect_refused(&rsa, &w, "signature algorithm is not rsa-3072's");
}

static void
a_lifetime_above_the_cap_is_refused(void **state)
{
	struct cert_want w = want();

	(void)state;
	w.not_before = NOW - 60;
	w.not_after = w.not_before + 30 * DAYS;
	expect_ok(&leaf_limits, &w);
	w.not_after++;
	expect_refused(&leaf_limits, &w, "lives 2592001 s, this key signs at most 2592000 s");
	w.not_before -= 3600; /* what lies in the past counts too */
	w.not_after = NOW + 30 * DAYS;
	expect_refused(&leaf_limits, &w, "lives ");
	w.not_after = INT64_MAX; /* no end (RFC 5280 4.1.2.5) */
	expect_refused(&leaf_limits, &w, "lives ");
}

static void
a_certificate_of_the_far_future_is_refused(void **state)
{
	struct cert_want w = want();

	(void)state;
	w.not_before = NOW + LIMITS_SKEW_S;
	w.not_after = w.not_before + 30 * DAYS;
	expect_ok(&leaf_limits, &w);
	w.not_before++;
	w.not_after++;
	expect_refused(&leaf_limits, &w, "ends later than one that begins now could");
}

static void
an_end_before_the_beginning_is_refused(void **state)
{
	struct cert_want w = want();

	(void)state;
	w.not_after = w.not_before - 1;
	expect_refused(&leaf_limits, &w, "ends before it begins");
	w.not_after = w.not_before;
	expect_ok(&leaf_limits, &w);
}

static void
a_ca_without_the_grant_is_refused(void **state)
{
	struct cert_want w = want_ca(0);

	(void)state;
	expect_refused(&leaf_limits, &w, "has no grant");
	expect_ok(&ca_limits, &w);
}

static void
a_longer_path_than_allowed_is_refused(void **state)
{
	struct cert_want w = want_ca(1);
	struct limits any = ca_limits;

	(void)state;
	expect_ok(&ca_limits, &w);
	w.pathlen = 2;
	expect_refused(&ca_limits, &w, "with a longer path, this key signs at most path length 1");
	any.max_pathlen = -1;
	expect_ok(&any, &w);
}

static void
no_path_length_is_the_longest_path(void **state)
{
	struct cert_want w = want_ca(-1);
	struct limits any = ca_limits;

	(void)state;
	expect_refused(&ca_limits, &w, "without a path length");
	any.max_pathlen = -1;
	expect_ok(&any, &w);
}

static void
signing_usages_without_ca_are_refused(void **state)
{
	struct cert_want w = want();

	(void)state;
	w.ku = KU_DIGITAL_SIGNATURE | KU_KEY_CERT_SIGN;
	expect_refused(&leaf_limits, &w, "but is no CA");
	expect_refused(&ca_limits, &w, "but is no CA");
	w.ku = KU_CRL_SIGN;
	expect_refused(&ca_limits, &w, "but is no CA");
}

static void
usages_that_speak_in_our_name_are_never_signed(void **state)
{
	static const enum oid never[] = { OID_ANY_EKU, OID_OCSP_SIGNING, OID_CMC_RA };
	struct cert_want w = want();

	(void)state;
	for (size_t i = 0; i < N_OF(never); i++) {
		enum oid uses[] = { OID_CLIENT_AUTH, never[i] };

		w.eku = uses;
		w.n_eku = 2;
		expect_refused(&leaf_limits, &w, "is never signed");
		expect_refused(&ca_limits, &w, "is never signed");
	}
}

/* --- certificates that our builder would not write --- */

struct odd {
	int version;               /* -1: none */
	struct bytes serial;       /* INTEGER contents */
	const char *after_spki;    /* raw, before the extensions */
	size_t after_spki_n;
	const char *extensions;    /* raw Extension TLVs; NULL: no field */
	size_t extensions_n;
};
#define RAW(s) (s), sizeof(s) - 1

static int
judge_odd(const struct limits *l, const struct odd *o, struct err *e)
{
	AUTO_BUF b = { 0 };
	size_t tbs = der_begin(&b, DER_SEQUENCE), part, list;

	if (o->version >= 0) {
		part = der_begin(&b, DER_CONTEXT_CONS(0));
		der_put_int(&b, o->version);
		der_finish(&b, part);
	}
	der_put(&b, DER_INTEGER, o->serial);
	key_put_sig_alg(&b, OID_ECDSA_SHA256);
	der_put_raw(&b, BYTES(name_octets));
	part = der_begin(&b, DER_SEQUENCE);
	der_put_time(&b, NOW);
	der_put_time(&b, NOW + DAYS);
	der_finish(&b, part);
	der_put_raw(&b, BYTES(name_octets));
	der_put_raw(&b, BYTES(spki_octets));
	buf_put(&b, o->after_spki, o->after_spki_n);
	if (o->extensions != NULL) {
		part = der_begin(&b, DER_CONTEXT_CONS(3));
		list = der_begin(&b, DER_SEQUENCE);
		buf_put(&b, o->extensions, o->extensions_n);
		der_finish(&b, list);
		der_finish(&b, part);
	}
	der_finish(&b, tbs);
	return judge_tbs(l, bytes_of_buf(&b), e);
}

#define BC_CA     "\x30\x0f\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x05\x30\x03\x01\x01\xff"
#define BC_CA_NOT_CRITICAL "\x30\x0c\x06\x03\x55\x1d\x13\x04\x05\x30\x03\x01\x01\xff"
#define BC_NONE   "\x30\x09\x06\x03\x55\x1d\x13\x04\x02\x30\x00"
#define BC_PATHLEN "\x30\x0c\x06\x03\x55\x1d\x13\x04\x05\x30\x03\x02\x01\x05"
#define UNKNOWN   "\x30\x09\x06\x03\x55\x1d\x63\x04\x02\x05\x00"

static void
only_v3_is_signed(void **state)
{
	struct odd o = { .version = 2, .serial = BYTES(serial_octets) };
	struct err e;

	(void)state;
	assert_int_equal(judge_odd(&leaf_limits, &o, &e), 0);
	for (o.version = -1; o.version < 4; o.version++) {
		if (o.version == 2)
			continue;
		assert_int_equal(judge_odd(&leaf_limits, &o, &e), E_POLICY);
		assert_string_equal(e.msg, "certificate: not v3");
	}
}

static void
a_serial_that_is_not_positive_or_too_long_is_refused(void **state)
{
	static const uint8_t zero[] = { 0 }, negative[] = { 0xff }, high[20] = { 0x7f }, longer[21] = { 0x01 },
	    padded[21] = { 0x00, 0x80 };
	struct odd o = { .version = 2 };
	struct err e;

	(void)state;
	o.serial = BYTES(zero);
	assert_int_equal(judge_odd(&leaf_limits, &o, &e), E_POLICY);
	o.serial = BYTES(negative);
	assert_int_equal(judge_odd(&leaf_limits, &o, &e), E_POLICY);
	assert_string_equal(e.msg, "certificate: serial number is not positive");
	o.serial = BYTES(high);
	assert_int_equal(judge_odd(&leaf_limits, &o, &e), 0);
	o.serial = BYTES(longer);
	assert_int_equal(judge_odd(&leaf_limits, &o, &e), E_POLICY);
	assert_string_equal(e.msg, "certificate: serial number of 21 octets: at most 20");
	o.serial = BYTES(padded); /* the sign octet is one of them */
	assert_int_equal(judge_odd(&leaf_limits, &o, &e), E_POLICY);
}

static void
an_extension_that_stands_twice_is_refused(void **state)
{
	struct odd o = { 2, BYTES(serial_octets), NULL, 0, RAW(BC_NONE BC_CA) };
	struct err e;

	(void)state;
	assert_int_equal(judge_odd(&leaf_limits, &o, &e), E_POLICY);
	assert_string_equal(e.msg, "extension 2.5.29.19 stands twice");
	assert_int_equal(judge_odd(&ca_limits, &o, &e), E_POLICY);
}

static void
an_extension_that_we_do_not_write_is_refused(void **state)
{
	struct odd o = { 2, BYTES(serial_octets), NULL, 0, RAW(UNKNOWN) };
	struct err e;

	(void)state;
	assert_int_equal(judge_odd(&leaf_limits, &o, &e), E_POLICY);
	assert_string_equal(e.msg, "extension 2.5.29.99 is none that this signer signs");
}

static void
a_ca_whose_constraints_are_not_critical_is_refused(void **state)
{
	struct limits any = ca_limits;
	struct odd o = { 2, BYTES(serial_octets), NULL, 0, RAW(BC_CA_NOT_CRITICAL) };
	struct err e;

	(void)state;
	any.max_pathlen = -1;
	assert_int_equal(judge_odd(&any, &o, &e), E_POLICY);
	assert_string_equal(e.msg, "certificate: basicConstraints of a CA are not critical");
	o = (struct odd){ 2, BYTES(serial_octets), NULL, 0, RAW(BC_CA) };
	assert_int_equal(judge_odd(&any, &o, &e), 0);
}

static void
empty_constraints_make_no_ca_and_a_path_length_without_ca_is_refused(void **state)
{
	struct odd none = { 2, BYTES(serial_octets), NULL, 0, RAW(BC_NONE) };
	struct odd pathlen = { 2, BYTES(serial_octets), NULL, 0, RAW(BC_PATHLEN) };
	struct err e;

	(void)state;
	assert_int_equal(judge_odd(&leaf_limits, &none, &e), 0);
	assert_int_equal(judge_odd(&ca_limits, &pathlen, &e), E_POLICY);
}

static void
unique_identifiers_and_other_fields_are_refused(void **state)
{
	struct odd o = { 2, BYTES(serial_octets), RAW("\x81\x02\x00\xaa"), NULL, 0 };
	struct err e;

	(void)state;
	assert_int_equal(judge_odd(&leaf_limits, &o, &e), E_FORMAT);
	o = (struct odd){ 2, BYTES(serial_octets), RAW("\x05\x00"), RAW(BC_NONE) };
	assert_int_equal(judge_odd(&leaf_limits, &o, &e), E_FORMAT);
}

static void
malformed_extension_values_are_refused(void **state)
{
	static const struct { const char *p; size_t n; } bad[] = {
		{ RAW("\x30\x09\x06\x03\x55\x1d\x13\x04\x02\x05\x00") },                     /* basicConstraints is NULL */
		{ RAW("\x30\x08\x06\x03\x55\x1d\x13\x04\x01\x30") },                         /* cut */
		{ RAW("\x30\x0c\x06\x03\x55\x1d\x13\x04\x05\x30\x03\x01\x01\x01") },         /* BOOLEAN 01 */
		{ RAW("\x30\x09\x06\x03\x55\x1d\x0f\x04\x02\x05\x00") },                     /* keyUsage is NULL */
		{ RAW("\x30\x0b\x06\x03\x55\x1d\x0f\x04\x04\x03\x02\x01\x07") },             /* unused bit set */
		{ RAW("\x30\x0c\x06\x03\x55\x1d\x0f\x04\x05\x03\x02\x01\x06\x00") },         /* octets after it */
		{ RAW("\x30\x0b\x06\x03\x55\x1d\x25\x04\x04\x30\x02\x05\x00") },             /* extKeyUsage of a NULL */
		{ RAW("\x30\x07\x06\x03\x55\x1d\x25\x04\x00") },                             /* empty */
		{ RAW("\x30\x05\x06\x03\x55\x1d\x25") },                                     /* no value */
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		struct odd o = { 2, BYTES(serial_octets), NULL, 0, bad[i].p, bad[i].n };

		assert_int_equal(judge_odd(&ca_limits, &o, &e), E_FORMAT);
	}
}

static void
every_cut_and_every_addition_is_refused(void **state)
{
	AUTO_BUF tbs = { 0 };
	struct cert_want w = want_ca(0);
	struct err e;

	(void)state;
	cert_build_tbs(&tbs, &w);
	for (size_t n = 0; n < tbs.n; n++)
		assert_int_not_equal(judge_tbs(&ca_limits, (struct bytes){ tbs.p, n }, &e), 0);
	assert_int_equal(judge_tbs(&ca_limits, bytes_of_buf(&tbs), &e), 0);
	buf_put_u8(&tbs, 0);
	assert_int_equal(judge_tbs(&ca_limits, bytes_of_buf(&tbs), &e), E_FORMAT);
}

static void
a_certificate_is_no_crl_and_a_crl_no_certificate(void **state)
{
	AUTO_BUF cert = { 0 };
	AUTO_BUF crl = { 0 };
	struct cert_want w = want();
	uint64_t number = 0;
	struct err e;

	(void)state;
	cert_build_tbs(&cert, &w);
	crl_build_tbs(&crl, BYTES(name_octets), BYTES(serial_octets), OID_ECDSA_SHA256, NOW, NOW + DAYS, 1, NULL, 0);
	assert_int_not_equal(limits_judge_crl(&leaf_limits, bytes_of_buf(&cert), 0, &number, &e), 0);
	assert_int_not_equal(limits_judge_cert(&leaf_limits, bytes_of_buf(&crl), NOW, &e), 0);
	assert_true(number == 0);
}

static void
an_oversized_certificate_is_refused_unread(void **state)
{
	static uint8_t large[CERT_MAX + 1];
	struct err e;

	(void)state;
	assert_int_equal(judge_tbs(&leaf_limits, BYTES(large), &e), E_TOOBIG);
}

/* --- revocation lists --- */

static int
judge_list(uint64_t number, uint64_t last, size_t entries, uint64_t *out, struct err *e)
{
	static struct crl_entry entry[3000];
	AUTO_BUF tbs = { 0 };

	for (size_t i = 0; i < entries; i++)
		entry[i] = (struct crl_entry){ { 1, (uint8_t)(i >> 8), (uint8_t)i }, 3, NOW - 5, i % 2 != 0 ? 1 : 0 };
	crl_build_tbs(&tbs, BYTES(name_octets), BYTES(serial_octets), OID_ECDSA_SHA256, NOW, NOW + DAYS, number,
	    entry, entries);
	return limits_judge_crl(&leaf_limits, bytes_of_buf(&tbs), last, out, e);
}

static void
a_usual_crl_is_signed_and_its_number_known(void **state)
{
	uint64_t number = 0;

	(void)state;
	assert_int_equal(judge_list(1, 0, 0, &number, NULL), 0);
	assert_true(number == 1);
	assert_int_equal(judge_list(UINT64_C(0x7fffffffffffffff), 77, 3, &number, NULL), 0);
	assert_true(number == INT64_MAX);
	assert_int_equal(judge_list(9, 8, 3000, &number, NULL), 0); /* more than one der_check() takes */
}

static void
a_crl_number_must_rise(void **state)
{
	uint64_t number = 5;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(judge_list(7, 7, 1, &number, &e), E_POLICY);
	assert_string_equal(e.msg, "CRL: number 7 is not above 7, which this key signed");
	assert_int_equal(judge_list(6, 7, 1, &number, &e), E_POLICY);
	assert_int_equal(judge_list(0, 0, 1, &number, &e), E_POLICY);
	assert_true(number == 5);
}

/* A list in parts that our builder would not write. */
struct odd_list {
	int version;            /* -1: none */
	enum oid alg;
	int64_t next_update;    /* 0: none */
	const char *entries;    /* raw; NULL: no field */
	size_t entries_n;
	const char *extensions;
	size_t extensions_n;
};

static int
judge_odd_list(const struct odd_list *o, struct err *e)
{
	AUTO_BUF b = { 0 };
	size_t tbs = der_begin(&b, DER_SEQUENCE), part, list;
	uint64_t number;

	if (o->version >= 0)
		der_put_int(&b, o->version);
	key_put_sig_alg(&b, o->alg);
	der_put_raw(&b, BYTES(name_octets));
	der_put_time(&b, NOW);
	if (o->next_update != 0)
		der_put_time(&b, o->next_update);
	if (o->entries != NULL) {
		list = der_begin(&b, DER_SEQUENCE);
		buf_put(&b, o->entries, o->entries_n);
		der_finish(&b, list);
	}
	if (o->extensions != NULL) {
		part = der_begin(&b, DER_CONTEXT_CONS(0));
		list = der_begin(&b, DER_SEQUENCE);
		buf_put(&b, o->extensions, o->extensions_n);
		der_finish(&b, list);
		der_finish(&b, part);
	}
	der_finish(&b, tbs);
	return limits_judge_crl(&leaf_limits, bytes_of_buf(&b), 0, &number, e);
}

#define NUMBER "\x30\x0a\x06\x03\x55\x1d\x14\x04\x03\x02\x01\x05"
#define DELTA  "\x30\x0d\x06\x03\x55\x1d\x1b\x01\x01\xff\x04\x03\x02\x01\x01"
#define ENTRY  "\x30\x12\x02\x01\x05\x17\x0d" "270101000000Z"

static void
a_list_that_is_not_v2_complete_and_dated_is_refused(void **state)
{
	static const struct odd_list good = { 1, OID_ECDSA_SHA256, NOW + DAYS, RAW(ENTRY), RAW(NUMBER) };
	struct odd_list o = good;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(judge_odd_list(&o, &e), 0);
	o.version = -1;
	assert_int_equal(judge_odd_list(&o, &e), E_POLICY);
	assert_string_equal(e.msg, "CRL: not v2");
	o.version = 2;
	assert_int_equal(judge_odd_list(&o, &e), E_POLICY);
	o = good;
	o.alg = OID_ECDSA_SHA384;
	assert_int_equal(judge_odd_list(&o, &e), E_POLICY);
	o = good;
	o.next_update = 0;
	assert_int_equal(judge_odd_list(&o, &e), E_POLICY);
	assert_string_equal(e.msg, "CRL: no nextUpdate after its thisUpdate");
	o.next_update = NOW;
	assert_int_equal(judge_odd_list(&o, &e), E_POLICY);
	o = good;
	o.extensions = NULL;
	assert_int_equal(judge_odd_list(&o, &e), E_POLICY);
	assert_string_equal(e.msg, "CRL: has no number");
	o.extensions = "";
	o.extensions_n = 0;
	assert_int_equal(judge_odd_list(&o, &e), E_POLICY);
}

static void
a_list_with_odd_extensions_or_entries_is_refused(void **state)
{
	static const struct { struct odd_list o; int code; } bad[] = {
		{ { 1, OID_ECDSA_SHA256, NOW + DAYS, RAW(ENTRY), RAW(NUMBER NUMBER) }, E_POLICY },
		{ { 1, OID_ECDSA_SHA256, NOW + DAYS, RAW(ENTRY), RAW(NUMBER DELTA) }, E_POLICY },
		{ { 1, OID_ECDSA_SHA256, NOW + DAYS, RAW("\x30\x12\x02\x01\x00\x17\x0d" "270101000000Z"), RAW(NUMBER) }, E_POLICY },
		{ { 1, OID_ECDSA_SHA256, NOW + DAYS, RAW("\x30\x12\x02\x01\x05\x17\x0d" "271301000000Z"), RAW(NUMBER) }, E_FORMAT },
		{ { 1, OID_ECDSA_SHA256, NOW + DAYS, RAW("\x30\x03\x02\x01\x05"), RAW(NUMBER) }, E_FORMAT },
		{ { 1, OID_ECDSA_SHA256, NOW + DAYS, RAW("\x05\x00"), RAW(NUMBER) }, E_FORMAT },
		{ { 1, OID_ECDSA_SHA256, NOW + DAYS, RAW(ENTRY "\x30"), RAW(NUMBER) }, E_FORMAT },
		{ { 1, OID_ECDSA_SHA256, NOW + DAYS, RAW(ENTRY), RAW("\x30\x0a\x06\x03\x55\x1d\x14\x04\x03\x02\x01\xff") }, E_FORMAT },
		{ { 1, OID_ECDSA_SHA256, NOW + DAYS, RAW(ENTRY), RAW("\x30\x0c\x06\x03\x55\x1d\x14\x04\x05\x02\x01\x05\x05\x00") }, E_FORMAT },
	};
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		int r = judge_odd_list(&bad[i].o, &e);

		if (bad[i].code != r)
			fail_msg("case %zu: %d: %s", i, r, e.msg);
	}
}

static void
every_cut_of_a_list_is_refused(void **state)
{
	AUTO_BUF b = { 0 };
	struct crl_entry entry = { { 7 }, 1, NOW, 1 };
	uint64_t number;

	(void)state;
	crl_build_tbs(&b, BYTES(name_octets), BYTES(serial_octets), OID_ECDSA_SHA256, NOW, NOW + DAYS, 3, &entry, 1);
	for (size_t n = 0; n < b.n; n++)
		assert_int_not_equal(limits_judge_crl(&leaf_limits, (struct bytes){ b.p, n }, 0, &number, NULL), 0);
	assert_int_equal(limits_judge_crl(&leaf_limits, bytes_of_buf(&b), 0, &number, NULL), 0);
	buf_put_u8(&b, 0);
	assert_int_equal(limits_judge_crl(&leaf_limits, bytes_of_buf(&b), 0, &number, NULL), E_FORMAT);
}

/* --- rate --- */

static unsigned
take_all(struct limits_bucket *b, uint64_t now_ms)
{
	unsigned n = 0;

	while (n < 1000 && limits_take(&leaf_limits, b, now_ms))
		n++;
	return n;
}

static void
a_burst_is_ten_seconds_worth_and_then_it_is_the_rate(void **state)
{
	struct limits_bucket b = { 0 };

	(void)state;
	assert_int_equal(take_all(&b, 1000000), 50);
	assert_int_equal(take_all(&b, 1000199), 0);
	assert_int_equal(take_all(&b, 1000200), 1);
	assert_int_equal(take_all(&b, 1001200), 5);
	assert_int_equal(take_all(&b, 1011199), 49);
	assert_int_equal(take_all(&b, 9000000), 50); /* never more than the burst */
	assert_int_equal(take_all(&b, UINT64_MAX), 50);
}

static void
asking_often_does_not_lose_what_trickles_in(void **state)
{
	struct limits_bucket b = { 0 };
	unsigned n = 0;

	(void)state;
	(void)take_all(&b, 0);
	for (uint64_t ms = 1; ms <= 10000; ms++)
		n += limits_take(&leaf_limits, &b, ms);
	assert_int_equal(n, 50);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_usual_certificate_is_signed),
		cmocka_unit_test(an_algorithm_that_is_not_the_key_s_is_refused),
		cmocka_unit_test(a_lifetime_above_the_cap_is_refused),
		cmocka_unit_test(a_certificate_of_the_far_future_is_refused),
		cmocka_unit_test(an_end_before_the_beginning_is_refused),
		cmocka_unit_test(a_ca_without_the_grant_is_refused),
		cmocka_unit_test(a_longer_path_than_allowed_is_refused),
		cmocka_unit_test(no_path_length_is_the_longest_path),
		cmocka_unit_test(signing_usages_without_ca_are_refused),
		cmocka_unit_test(usages_that_speak_in_our_name_are_never_signed),
		cmocka_unit_test(only_v3_is_signed),
		cmocka_unit_test(a_serial_that_is_not_positive_or_too_long_is_refused),
		cmocka_unit_test(an_extension_that_stands_twice_is_refused),
		cmocka_unit_test(an_extension_that_we_do_not_write_is_refused),
		cmocka_unit_test(a_ca_whose_constraints_are_not_critical_is_refused),
		cmocka_unit_test(empty_constraints_make_no_ca_and_a_path_length_without_ca_is_refused),
		cmocka_unit_test(unique_identifiers_and_other_fields_are_refused),
		cmocka_unit_test(malformed_extension_values_are_refused),
		cmocka_unit_test(every_cut_and_every_addition_is_refused),
		cmocka_unit_test(a_certificate_is_no_crl_and_a_crl_no_certificate),
		cmocka_unit_test(an_oversized_certificate_is_refused_unread),
		cmocka_unit_test(a_usual_crl_is_signed_and_its_number_known),
		cmocka_unit_test(a_crl_number_must_rise),
		cmocka_unit_test(a_list_that_is_not_v2_complete_and_dated_is_refused),
		cmocka_unit_test(a_list_with_odd_extensions_or_entries_is_refused),
		cmocka_unit_test(every_cut_of_a_list_is_refused),
		cmocka_unit_test(a_burst_is_ten_seconds_worth_and_then_it_is_the_rate),
		cmocka_unit_test(asking_often_does_not_lose_what_trickles_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
