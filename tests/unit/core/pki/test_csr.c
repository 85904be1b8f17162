/* SPDX-License-Identifier: Apache-2.0 */
/* test_csr.c - requests that must pass, and every attack on the parser that we know by name */
#include "core/pki/csr.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include <openssl/x509.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/pki/cert.h"
#include "core/pki/der.h"
#include "core/pki/ossl.h"
#include "csr_cases.h"

AUTO_DEFINE_OSSL(X509_REQ, X509_REQ_free)

/* A refusal may cost this much CPU, whatever was sent; the sanitizers take their share. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define REFUSAL_US 20000
#else
#define REFUSAL_US 2000
#endif

static void
load(struct buf *out, const char *dir, const char *sub, const char *file)
{
	char path[4096];
	struct err e;

	(void)snprintf(path, sizeof(path), "%s/%s/%s", dir, sub, file);
	if (file_read(out, path, 1 << 20, &e) != 0)
		fail_msg("%s", e.msg);
}

static void
load_case(struct buf *out, const char *file)
{
	char name[256];

	(void)snprintf(name, sizeof(name), "%s.der", file);
	load(out, getenv("VECTORS"), "csr", name);
}

static void
good_requests_pass_and_their_key_is_openssls(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(good_cases); i++) {
		AUTO_BUF der = { 0 };
		AUTO_OSSL(X509_REQ) req = NULL;
		const unsigned char *p;
		unsigned char *spki = NULL;
		struct csr c;
		struct err e;
		int n;

		load_case(&der, good_cases[i].file);
		if (csr_parse(&c, bytes_of_buf(&der), &e) != 0)
			fail_msg("%s: %s", good_cases[i].file, e.msg);
		assert_int_equal(c.key_type, good_cases[i].type);
		p = der.p;
		req = d2i_X509_REQ(NULL, &p, (long)der.n);
		n = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(req), &spki);
		assert_int_equal(n, c.spki.n);
		assert_memory_equal(spki, c.spki.p, c.spki.n);
		OPENSSL_free(spki);
	}
}

static void
every_attack_is_refused_for_its_own_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(bad_cases); i++) {
		AUTO_BUF der = { 0 };
		struct csr c;
		struct err e = { 0 };
		int r;

		load_case(&der, bad_cases[i].file);
		r = csr_parse(&c, bytes_of_buf(&der), &e);
		if (r != bad_cases[i].code || strstr(e.msg, bad_cases[i].why) == NULL ||
		    strncmp(e.msg, "csr: ", 5) != 0)
			fail_msg("%s: %d '%s', expected %d '%s'", bad_cases[i].file, r, e.msg,
			    bad_cases[i].code, bad_cases[i].why);
	}
}

static void
every_vector_has_its_expectation(void **state)
{
	char path[4096];
	DIR *d;
	struct dirent *f;
	size_t n = 0;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/csr", getenv("VECTORS"));
	d = opendir(path);
	assert_non_null(d);
	while ((f = readdir(d)) != NULL)
		n += f->d_name[0] != '.';
	(void)closedir(d);
	assert_int_equal(n, N_OF(good_cases) + N_OF(bad_cases));
}

static void
every_refusal_is_cheap(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(bad_cases); i++) {
		AUTO_BUF der = { 0 };
		uint64_t best = UINT64_MAX;

		load_case(&der, bad_cases[i].file);
		for (int again = 0; again < 3; again++) {
			struct csr c;
			uint64_t before = (uint64_t)clock(), took;

			assert_int_not_equal(csr_parse(&c, bytes_of_buf(&der), NULL), 0);
			took = (uint64_t)clock() - before;
			best = took < best ? took : best;
		}
		if (best > REFUSAL_US)
			fail_msg("%s: %u us", bad_cases[i].file, (unsigned)best);
	}
}

static void
a_request_says_what_it_asks_for(void **state)
{
	AUTO_BUF der = { 0 };
	struct csr c;
	char text[NAME_TEXT_MAX];
	uint8_t digest[SHA256_LEN];

	(void)state;
	load_case(&der, "good-everything");
	assert_int_equal(csr_parse(&c, bytes_of_buf(&der), NULL), 0);
	assert_string_equal(name_text(&c.subject, text), "C=CH,DC=example,DC=plant,O=Wasserwerk Zürich,"
	    "OU=Pumps,OU=North,serialNumber=00-17,CN=pump-7,emailAddress=pump-7@example.com");
	assert_true(c.has_san);
	assert_string_equal(sans_text(&c.sans, text), "DNS:pump-7.example, DNS:*.pump-7.example, IP:192.0.2.1, "
	    "IP:::1, URI:urn:uuid:00000000-0000-0000-0000-000000000007, email:pump-7@example.com, "
	    "hardwareModuleName:1.3.6.1.4.1.32473.1/0017");
	assert_true(c.wants_ca);
	assert_true(c.has_key_usage);
	assert_int_equal(c.key_usage, KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT | KU_KEY_CERT_SIGN);
	assert_int_equal(c.n_eku, 2);
	assert_int_equal(c.eku[0], OID_CLIENT_AUTH);
	assert_int_equal(c.eku[1], OID_UNKNOWN);
	assert_int_equal(c.n_other_ext, 1);
	assert_true(c.critical_unknown);
	assert_true(c.has_challenge);
	assert_string_equal(c.challenge, "c2VjcmV0+/==");
	assert_false(c.changes_subject);
	sha256(digest, c.spki);
	assert_memory_equal(digest, c.spki_sha256, sizeof(digest));
}

static void
a_plain_request_asks_for_nothing_else(void **state)
{
	AUTO_BUF der = { 0 };
	struct csr c;

	(void)state;
	load_case(&der, "good-ec-p256");
	assert_int_equal(csr_parse(&c, bytes_of_buf(&der), NULL), 0);
	assert_false(c.has_san || c.wants_ca || c.has_key_usage || c.has_challenge || c.critical_unknown ||
	    c.changes_subject);
	assert_int_equal(c.n_eku + c.n_other_ext + c.sans.n, 0);
}

static void
linking_and_change_of_subject_are_seen(void **state)
{
	AUTO_BUF linking = { 0 }, change = { 0 };
	struct csr c;

	(void)state;
	load_case(&linking, "good-linking");
	assert_int_equal(csr_parse(&c, bytes_of_buf(&linking), NULL), 0);
	assert_string_equal(c.challenge, "abcd");
	load_case(&change, "good-change-subject");
	assert_int_equal(csr_parse(&c, bytes_of_buf(&change), NULL), 0);
	assert_true(c.changes_subject);
}

static void
every_single_bit_is_covered_by_the_proof(void **state)
{
	AUTO_BUF der = { 0 };

	(void)state;
	load_case(&der, "good-ec-p256");
	for (size_t bit = 0; bit < der.n * 8; bit++) {
		struct csr c;

		der.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (csr_parse(&c, bytes_of_buf(&der), NULL) == 0)
			fail_msg("bit %zu", bit);
		der.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void
every_part_of_a_request_is_refused_and_never_read_past(void **state)
{
	AUTO_BUF der = { 0 };

	(void)state;
	load_case(&der, "good-everything");
	for (size_t n = 0; n < der.n; n++) {
		uint8_t *exact = mem_zalloc(n); /* the sanitizer sees its end */
		struct csr c;

		memcpy(exact, der.p, n);
		assert_int_equal(csr_parse(&c, (struct bytes){ exact, n }, NULL), E_FORMAT);
		mem_free(exact);
	}
}

static void
nothing_is_written_on_refusal(void **state)
{
	static struct csr before, after;

	(void)state;
	memset(&before, 0x5a, sizeof(before));
	after = before;
	for (size_t i = 0; i < N_OF(bad_cases); i += 7) {
		AUTO_BUF der = { 0 };

		load_case(&der, bad_cases[i].file);
		assert_int_not_equal(csr_parse(&after, bytes_of_buf(&der), NULL), 0);
		assert_memory_equal(&before, &after, sizeof(before));
	}
}

static void
a_megabyte_is_not_even_looked_at(void **state)
{
	size_t n = 1 << 20;
	uint8_t *big = mem_zalloc(n);
	struct csr c;

	(void)state;
	assert_int_equal(csr_parse(&c, (struct bytes){ big, n }, NULL), E_TOOBIG);
	assert_int_equal(csr_parse(&c, (struct bytes){ big, CSR_MAX + 1 }, NULL), E_TOOBIG);
	assert_int_equal(csr_parse(&c, (struct bytes){ big, CSR_MAX }, NULL), E_FORMAT);
	mem_free(big);
}

/* --- requests that we write --- */

static void
requests_that_we_write_pass_here_and_in_openssl(void **state)
{
	static const enum key_type types[] = { KEY_EC_P256, KEY_EC_P384, KEY_RSA_2048, KEY_ED25519 };
	struct name subject = { 0 };
	struct sans sans = { 0 };
	struct csr_want w = { .subject = &subject, .sans = &sans, .challenge = "AbC+/=", .ca = true, .client_auth = true };

	(void)state;
	assert_int_equal(name_from_text(&subject, "CN=pump-7,O=Example", NULL), 0);
	assert_int_equal(sans_add_text(&sans, "dns:pump-7.example", NULL), 0);
	for (size_t i = 0; i < N_OF(types); i++) {
		AUTO(key) k = NULL;
		AUTO_BUF der = { 0 };
		AUTO_OSSL(X509_REQ) req = NULL;
		const unsigned char *p;
		struct csr c;

		assert_int_equal(key_generate(&k, types[i], NULL), 0);
		assert_int_equal(csr_build(&der, &w, k, NULL), 0);
		assert_int_equal(csr_parse(&c, bytes_of_buf(&der), NULL), 0);
		assert_true(name_equal(&c.subject, &subject));
		assert_true(sans_equal(&c.sans, &sans));
		assert_string_equal(c.challenge, "AbC+/=");
		assert_true(c.wants_ca && c.pathlen == 0 && c.key_usage == (KU_KEY_CERT_SIGN | KU_CRL_SIGN));
		assert_true(c.n_eku == 1 && c.eku[0] == OID_CLIENT_AUTH);
		assert_true(bytes_equal(c.spki, key_spki(k)));
		p = der.p;
		req = d2i_X509_REQ(NULL, &p, (long)der.n);
		assert_int_equal(X509_REQ_verify(req, key_evp(k)), 1);
	}
}

static void
an_end_entity_asks_for_the_usages_that_it_wants(void **state)
{
	static const uint8_t leaf[] = { 0x30, 0x0c, 0x06, 0x03, 0x55, 0x1d, 0x13, 0x01, 0x01, 0xff, 0x04, 0x02, 0x30, 0x00 };
	static const uint8_t critical_eku[] = { 0x06, 0x03, 0x55, 0x1d, 0x25, 0x01, 0x01, 0xff };
	AUTO(key) k = NULL;
	AUTO_BUF der = { 0 };
	AUTO_BUF plain = { 0 };
	struct name subject = { 0 };
	struct csr_want w = { .subject = &subject, .leaf = true, .client_auth = true, .server_auth = true,
		.ku = KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT };
	struct csr c;

	(void)state;
	assert_int_equal(name_from_text(&subject, "CN=pump-7", NULL), 0);
	assert_int_equal(key_generate(&k, KEY_EC_P256, NULL), 0);
	assert_int_equal(csr_build(&der, &w, k, NULL), 0);
	assert_int_equal(csr_parse(&c, bytes_of_buf(&der), NULL), 0);
	assert_true(c.has_key_usage && c.key_usage == w.ku && !c.wants_ca);
	assert_true(c.n_eku == 2 && c.eku[0] == OID_CLIENT_AUTH && c.eku[1] == OID_SERVER_AUTH);
	assert_non_null(memmem(der.p, der.n, leaf, sizeof(leaf)));
	assert_non_null(memmem(der.p, der.n, critical_eku, sizeof(critical_eku)));
	/* Without them the request has none of it; EKUs of one that is no declared end entity are not critical. */
	w.leaf = w.server_auth = false;
	w.ku = 0;
	assert_int_equal(csr_build(&plain, &w, k, NULL), 0);
	assert_int_equal(csr_parse(&c, bytes_of_buf(&plain), NULL), 0);
	assert_true(!c.has_key_usage && c.n_eku == 1 && c.n_other_ext == 0);
	assert_null(memmem(plain.p, plain.n, leaf, 5));
	assert_null(memmem(plain.p, plain.n, critical_eku, sizeof(critical_eku)));
}

static void
a_request_for_little_holds_little(void **state)
{
	AUTO(key) k = NULL;
	AUTO_BUF der = { 0 };
	struct name subject = { 0 };
	struct csr_want w = { .subject = &subject };
	struct csr c;

	(void)state;
	assert_int_equal(key_generate(&k, KEY_EC_P256, NULL), 0);
	assert_int_equal(csr_build(&der, &w, k, NULL), 0);
	assert_int_equal(csr_parse(&c, bytes_of_buf(&der), NULL), 0);
	assert_int_equal(c.subject.n + c.sans.n + c.n_eku + c.n_other_ext, 0);
	assert_false(c.has_san || c.has_challenge || c.wants_ca);
	assert_int_equal(c.pathlen, -1);
	/* an empty attributes field stands right before the algorithm */
	assert_non_null(memmem(der.p, der.n, "\xa0\x00\x30\x0a", 4));
}

static void
a_challenge_that_cannot_be_sent_is_refused(void **state)
{
	AUTO(key) k = NULL;
	AUTO_BUF der = { 0 };
	struct name subject = { 0 };
	char challenge[CSR_CHALLENGE_MAX + 1] = { 0 };
	struct csr_want w = { .subject = &subject, .challenge = challenge };

	(void)state;
	assert_int_equal(key_generate(&k, KEY_EC_P256, NULL), 0);
	assert_int_equal(csr_build(&der, &w, k, NULL), E_FORMAT);
	memset(challenge, 'a', CSR_CHALLENGE_MAX);
	assert_int_equal(csr_build(&der, &w, k, NULL), E_FORMAT);
	assert_int_equal(der.n, 0);
	challenge[CSR_CHALLENGE_MAX - 1] = 0;
	assert_int_equal(csr_build(&der, &w, k, NULL), 0);
}

/* --- the samples printed in the RFCs, where somebody has them --- */

static void
the_samples_of_the_rfcs_are_judged(void **state)
{
	static const struct { const char *sub, *file; int code; const char *why; } samples[] = {
		{ "rfc7030", "A3-simpleenroll-req.p10.der", E_POLICY, "sha1WithRSAEncryption" },
		{ "rfc7030", "A4-serverkeygen-req.p10.der", E_POLICY, "sha1WithRSAEncryption" },
		/* RFC 9148 A.2 has C1 control characters in its challengePassword. */
		{ "rfc9148", "A2-sen-req.p10.der", E_FORMAT, "challenge" },
		{ "rfc9148", "A3-skg-req.p10.der", 0, "" },
	};
	const char *dir = getenv("ESTUARY_SHARED_VECTORS");

	(void)state;
	if (dir == NULL)
		skip();
	for (size_t i = 0; i < N_OF(samples); i++) {
		AUTO_BUF der = { 0 };
		struct csr c;
		struct err e = { 0 };

		load(&der, dir, samples[i].sub, samples[i].file);
		assert_int_equal(csr_parse(&c, bytes_of_buf(&der), &e), samples[i].code);
		assert_non_null(strstr(e.msg, samples[i].why));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_requests_pass_and_their_key_is_openssls),
		cmocka_unit_test(every_attack_is_refused_for_its_own_reason),
		cmocka_unit_test(every_vector_has_its_expectation),
		cmocka_unit_test(every_refusal_is_cheap),
		cmocka_unit_test(a_request_says_what_it_asks_for),
		cmocka_unit_test(a_plain_request_asks_for_nothing_else),
		cmocka_unit_test(linking_and_change_of_subject_are_seen),
		cmocka_unit_test(every_single_bit_is_covered_by_the_proof),
		cmocka_unit_test(every_part_of_a_request_is_refused_and_never_read_past),
		cmocka_unit_test(nothing_is_written_on_refusal),
		cmocka_unit_test(a_megabyte_is_not_even_looked_at),
		cmocka_unit_test(requests_that_we_write_pass_here_and_in_openssl),
		cmocka_unit_test(an_end_entity_asks_for_the_usages_that_it_wants),
		cmocka_unit_test(a_request_for_little_holds_little),
		cmocka_unit_test(a_challenge_that_cannot_be_sent_is_refused),
		cmocka_unit_test(the_samples_of_the_rfcs_are_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
