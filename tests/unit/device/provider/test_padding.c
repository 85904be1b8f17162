/* SPDX-License-Identifier: Apache-2.0 */
/* test_padding.c - what is put around digests, judged by OpenSSL's verifier */
#include "device/provider/padding.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/text.h"
#include "core/pki/key.h"

static struct key *key;

static int
set_up(void **state)
{
	(void)state;
	return key_generate(&key, KEY_RSA_2048, NULL);
}

static int
tear_down(void **state)
{
	(void)state;
	key_free(key);
	return 0;
}

/* The private operation on what is padded already. */
static size_t
raw(uint8_t sig[256], const struct buf *em)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key_evp(key), NULL);
	size_t n = 256;

	assert_int_equal(EVP_PKEY_sign_init(c), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(c, RSA_NO_PADDING), 1);
	assert_int_equal(EVP_PKEY_sign(c, sig, &n, em->p, em->n), 1);
	EVP_PKEY_CTX_free(c);
	return n;
}

static bool
openssl_verifies(const struct buf *em, const EVP_MD *md, const EVP_MD *mgf1, int salt_len, struct bytes hash)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key_evp(key), NULL);
	uint8_t sig[256];
	size_t n = raw(sig, em);
	bool ok = EVP_PKEY_verify_init(c) == 1 && EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(c, md) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(c, mgf1) == 1 &&
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(c, salt_len) == 1 && EVP_PKEY_verify(c, sig, n, hash.p, hash.n) == 1;

	EVP_PKEY_CTX_free(c);
	return ok;
}

static void
pss_is_what_openssl_verifies(void **state)
{
	const EVP_MD *mds[] = { EVP_sha256(), EVP_sha384(), EVP_sha512() };
	uint8_t digest[64];

	(void)state;
	memset(digest, 0xa5, sizeof(digest));
	for (size_t i = 0; i < N_OF(mds); i++) {
		size_t n = (size_t)EVP_MD_get_size(mds[i]);
		const size_t salts[] = { n, 0, 20, 256 - n - 2 };

		for (size_t j = 0; j < N_OF(salts) * N_OF(mds); j++) {
			const EVP_MD *mgf1 = mds[j % N_OF(mds)];
			size_t salt = salts[j / N_OF(mds)];
			AUTO_BUF em = { 0 };
			struct err e;

			assert_int_equal(padding_pss(&em, mds[i], mgf1, 256, salt, (struct bytes){ digest, n }, &e), 0);
			assert_int_equal(em.n, 256);
			assert_true(openssl_verifies(&em, mds[i], mgf1, (int)salt, (struct bytes){ digest, n }));
			digest[0] ^= 1;
			assert_false(openssl_verifies(&em, mds[i], mgf1, (int)salt, (struct bytes){ digest, n }));
		}
	}
}

static void
every_salt_is_another(void **state)
{
	uint8_t digest[32] = { 0 };
	AUTO_BUF a = { 0 };
	AUTO_BUF b = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(padding_pss(&a, EVP_sha256(), EVP_sha256(), 256, 32, (struct bytes){ digest, 32 }, &e), 0);
	assert_int_equal(padding_pss(&b, EVP_sha256(), EVP_sha256(), 256, 32, (struct bytes){ digest, 32 }, &e), 0);
	assert_memory_not_equal(a.p, b.p, 256);
}

static void
what_does_not_fit_is_refused(void **state)
{
	static const struct {
		size_t modulus, salt, hash;
	} rows[] = {
		{ 256, 223, 32 }, { 256, 257, 32 }, { 256, SIZE_MAX, 32 }, { 256, 32, 31 }, { 256, 32, 64 }, { 256, 32, 0 },
		{ 513, 32, 32 }, { 33, 0, 32 }, { 16, 0, 32 }, { 0, 0, 32 },
	};
	uint8_t digest[64] = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		AUTO_BUF em = { 0 };
		struct err e;

		assert_int_equal(padding_pss(&em, EVP_sha256(), EVP_sha256(), rows[i].modulus, rows[i].salt,
		    (struct bytes){ digest, rows[i].hash }, &e), E_USAGE);
		assert_int_equal(em.n, 0);
	}
}

static void
assert_hex(const struct buf *b, const char *expected)
{
	char hex[300];

	assert_in_range(b->n, 1, 149);
	text_hex(hex, bytes_of_buf(b));
	assert_string_equal(hex, expected);
}

/* RFC 8017 9.2, note 1 */
static void
a_digest_info_is_as_the_rfc_prints_it(void **state)
{
	static const struct {
		enum oid digest;
		size_t n;
		const char *prefix;
	} rows[] = {
		{ OID_SHA256, 32, "3031300d060960864801650304020105000420" },
		{ OID_SHA384, 48, "3041300d060960864801650304020205000430" },
		{ OID_SHA512, 64, "3051300d060960864801650304020305000440" },
	};
	uint8_t digest[64] = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		AUTO_BUF b = { 0 };
		struct buf head;

		padding_digest_info(&b, rows[i].digest, (struct bytes){ digest, rows[i].n });
		assert_int_equal(b.n, 19 + rows[i].n);
		head = (struct buf){ .p = b.p, .n = 19 };
		assert_hex(&head, rows[i].prefix);
	}
}

/* RFC 4055 6: rSASSA-PSS-SHA256-Params and their like, and the default salt left out. */
static void
pss_algorithms_are_as_the_rfc_has_them(void **state)
{
	AUTO_BUF b = { 0 };

	(void)state;
	padding_put_pss(&b, OID_SHA256, OID_SHA256, 32);
	assert_hex(&b, "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108"
	    "300d06096086480165030402010500a203020120");
	buf_reset(&b);
	padding_put_pss(&b, OID_SHA512, OID_SHA256, 20);
	assert_hex(&b, "303c06092a864886f70d01010a302fa00f300d06096086480165030402030500a11c301a06092a864886f70d010108"
	    "300d06096086480165030402010500");
}

static void
digests_are_known_by_any_of_their_names(void **state)
{
	EVP_MD *md = EVP_MD_fetch(NULL, "SHA256", NULL);

	(void)state;
	assert_int_equal(padding_digest_oid(md), OID_SHA256);
	assert_int_equal(padding_digest_oid(EVP_sha384()), OID_SHA384);
	assert_int_equal(padding_digest_oid(EVP_sha512()), OID_SHA512);
	assert_int_equal(padding_digest_oid(EVP_sha1()), OID_UNKNOWN);
	assert_int_equal(padding_digest_oid(NULL), OID_UNKNOWN);
	EVP_MD_free(md);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pss_is_what_openssl_verifies),
		cmocka_unit_test(every_salt_is_another),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(a_digest_info_is_as_the_rfc_prints_it),
		cmocka_unit_test(pss_algorithms_are_as_the_rfc_has_them),
		cmocka_unit_test(digests_are_known_by_any_of_their_names),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
