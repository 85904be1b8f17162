/* SPDX-License-Identifier: Apache-2.0 */
/* test_key.c - keys judged, made, written, read, signing and verifying; digests against published values */
#include "core/pki/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include <openssl/pem.h>

#include "core/base/text.h"
#include "core/pki/der.h"
#include "core/pki/ossl.h"

#define LIT(s) ((struct bytes){ (const uint8_t *)(s), sizeof(s) - 1 })

static const enum key_type types[] = {
	KEY_EC_P256, KEY_EC_P384, KEY_EC_P521, KEY_RSA_2048, KEY_RSA_3072, KEY_ED25519,
};
static struct key *keys[N_OF(types)];

static int
make_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(types); i++)
		if (key_generate(&keys[i], types[i], NULL) != 0)
			return -1;
	return 0;
}

static int
free_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(types); i++)
		key_free(keys[i]);
	return 0;
}

/* What OpenSSL wrote in PEM for a key made by its own means. */
static void
put_pem(struct buf *out, EVP_PKEY *pkey, bool traditional, const char *password)
{
	AUTO_OSSL(BIO) bio = BIO_new(BIO_s_mem());
	const EVP_CIPHER *cipher = password != NULL ? EVP_aes_128_cbc() : NULL;
	char *p;
	long n;

	assert_non_null(bio);
	if (traditional)
		assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, pkey, cipher, NULL, 0, NULL,
		    (char *)(uintptr_t)password), 1);
	else
		assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, pkey, cipher, NULL, 0, NULL,
		    (char *)(uintptr_t)password), 1);
	n = BIO_get_mem_data(bio, &p);
	buf_put(out, p, (size_t)n);
}

static void
types_are_found_by_their_names(void **state)
{
	(void)state;
	for (int t = KEY_NONE + 1; t < KEY_TYPE_COUNT; t++)
		assert_int_equal(key_type_by_name(key_type_name((enum key_type)t)), t);
	assert_int_equal(key_type_by_name("EC-P256"), KEY_EC_P256);
	assert_int_equal(key_type_by_name("rsa-1024"), KEY_NONE);
	assert_int_equal(key_type_by_name("none"), KEY_NONE);
}

static void
a_key_that_we_make_is_a_key_that_we_take(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(types); i++) {
		enum key_type t;
		struct bytes spki = key_spki(keys[i]);

		assert_int_equal(der_check(spki, "spki", NULL), 0);
		assert_int_equal(key_judge(&t, spki, NULL), 0);
		assert_int_equal(t, types[i]);
		assert_int_equal(key_get_type(keys[i]), t);
		assert_int_equal(key_check_weak(t, spki, NULL), 0);
		assert_true(spki.n <= KEY_SPKI_MAX);
	}
}

static void
a_public_key_equals_the_one_that_openssl_decodes(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(types); i++) {
		struct bytes spki = key_spki(keys[i]);
		const unsigned char *p = spki.p;
		AUTO_OSSL(EVP_PKEY) ours = NULL;
		AUTO_OSSL(EVP_PKEY) theirs = d2i_PUBKEY(NULL, &p, (long)spki.n);

		assert_int_equal(key_public(&ours, types[i], spki, NULL), 0);
		assert_int_equal(EVP_PKEY_eq(ours, theirs), 1);
	}
}

static void
two_public_keys_of_one_curve_do_not_touch_each_other(void **state)
{
	AUTO(key) other = NULL;
	AUTO_OSSL(EVP_PKEY) a = NULL;
	AUTO_OSSL(EVP_PKEY) b = NULL;

	(void)state;
	assert_int_equal(key_generate(&other, KEY_EC_P256, NULL), 0);
	assert_int_equal(key_public(&a, KEY_EC_P256, key_spki(keys[0]), NULL), 0);
	assert_int_equal(key_public(&b, KEY_EC_P256, key_spki(other), NULL), 0);
	assert_int_equal(EVP_PKEY_eq(a, key_evp(keys[0])), 1);
	assert_int_equal(EVP_PKEY_eq(b, key_evp(other)), 1);
	assert_int_not_equal(EVP_PKEY_eq(a, b), 1);
}

static void
key_bits_are_the_contents_of_the_bit_string(void **state)
{
	struct bytes spki = key_spki(keys[0]), bits = key_bits(spki);

	(void)state;
	assert_int_equal(bits.n, 65);
	assert_int_equal(bits.p[0], 4);
	assert_ptr_equal(bits.p + bits.n, spki.p + spki.n);
	assert_int_equal(key_bits(LIT("\x30\x00")).n, 0);
}

static void
what_a_key_signs_it_verifies_and_openssl_does(void **state)
{
	struct bytes data = bytes_of("the very words");

	(void)state;
	for (size_t i = 0; i < N_OF(types); i++) {
		AUTO_BUF sig = { 0 };
		AUTO_OSSL(EVP_PKEY) pub = NULL;
		AUTO_OSSL(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
		enum oid alg = key_sig_alg(types[i]);

		buf_put_u8(&sig, 'x'); /* what stands before stays */
		assert_int_equal(key_sign(&sig, keys[i], data, NULL), 0);
		assert_int_equal(sig.p[0], 'x');
		assert_int_equal(key_public(&pub, types[i], key_spki(keys[i]), NULL), 0);
		assert_int_equal(key_verify(pub, types[i], alg, data, bytes_slice(bytes_of_buf(&sig), 1, sig.n), NULL), 0);
		assert_int_equal(EVP_DigestVerifyInit_ex(ctx, NULL, digest_name(alg), NULL, NULL, pub, NULL), 1);
		assert_int_equal(EVP_DigestVerify(ctx, sig.p + 1, sig.n - 1, data.p, data.n), 1);
	}
}

static void
one_key_signs_again_and_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(types); i++) {
		AUTO_OSSL(EVP_PKEY) pub = NULL;

		assert_int_equal(key_public(&pub, types[i], key_spki(keys[i]), NULL), 0);
		for (uint8_t k = 0; k < 5; k++) {
			AUTO_BUF sig = { 0 };
			struct bytes data = { &k, 1 };

			assert_int_equal(key_sign(&sig, keys[i], data, NULL), 0);
			assert_int_equal(key_verify(pub, types[i], key_sig_alg(types[i]), data,
			    bytes_of_buf(&sig), NULL), 0);
		}
	}
}

static void
a_signature_with_one_bit_changed_does_not_verify(void **state)
{
	struct bytes data = bytes_of("the very words");

	(void)state;
	for (size_t i = 0; i < N_OF(types); i++) {
		AUTO_BUF sig = { 0 };
		AUTO_OSSL(EVP_PKEY) pub = NULL;
		struct err e;

		assert_int_equal(key_sign(&sig, keys[i], data, NULL), 0);
		assert_int_equal(key_public(&pub, types[i], key_spki(keys[i]), NULL), 0);
		sig.p[sig.n / 2] ^= 4;
		assert_int_equal(key_verify(pub, types[i], key_sig_alg(types[i]), data, bytes_of_buf(&sig), &e), E_AUTH);
		assert_non_null(strstr(e.msg, "does not verify"));
		assert_int_equal(key_verify(pub, types[i], key_sig_alg(types[i]), data, (struct bytes){ 0 }, NULL), E_AUTH);
	}
}

static void
keys_that_are_needed_once_verify_what_is_theirs_and_nothing_else(void **state)
{
	struct bytes data = bytes_of("the very words");
	uint8_t off_curve[65] = { 4, 1 };
	AUTO_BUF bad_spki = { 0 };

	(void)state;
	buf_put_bytes(&bad_spki, key_spki(keys[0]));
	memcpy(bad_spki.p + bad_spki.n - sizeof(off_curve), off_curve, sizeof(off_curve));
	for (size_t i = 0; i < N_OF(types); i++) {
		AUTO(key) other = NULL;
		AUTO_BUF sig = { 0 };
		AUTO_BUF theirs = { 0 };
		enum oid alg = key_sig_alg(types[i]);
		struct bytes spki = key_spki(keys[i]);

		assert_int_equal(key_generate(&other, types[i], NULL), 0);
		assert_int_equal(key_sign(&sig, keys[i], data, NULL), 0);
		assert_int_equal(key_sign(&theirs, other, data, NULL), 0);
		for (int turn = 0; turn < 2; turn++) {
			assert_int_equal(key_verify_once(types[i], spki, alg, data, bytes_of_buf(&sig), NULL), 0);
			assert_int_equal(key_verify_once(types[i], key_spki(other), alg, data, bytes_of_buf(&sig), NULL), E_AUTH);
			assert_int_equal(key_verify_once(types[i], key_spki(other), alg, data, bytes_of_buf(&theirs), NULL), 0);
			assert_int_equal(key_verify_once(types[i], spki, alg, data, bytes_of_buf(&theirs), NULL), E_AUTH);
			/* A point that is refused leaves no place where the one before could stand. */
			assert_int_equal(key_verify_once(KEY_EC_P256, bytes_of_buf(&bad_spki), OID_ECDSA_SHA256, data,
			    bytes_of_buf(&sig), NULL), E_FORMAT);
		}
		assert_int_equal(key_verify_once(types[i], spki, alg, data, (struct bytes){ 0 }, NULL), E_AUTH);
	}
}

static void
an_algorithm_that_does_not_fit_the_key_is_refused(void **state)
{
	static const struct { enum key_type t; enum oid alg; int r; } cases[] = {
		{ KEY_EC_P256, OID_ECDSA_SHA256, 0 }, { KEY_EC_P256, OID_ECDSA_SHA512, 0 },
		{ KEY_RSA_2048, OID_RSA_SHA384, 0 }, { KEY_ED25519, OID_ED25519, 0 },
		{ KEY_EC_P256, OID_RSA_SHA256, E_POLICY }, { KEY_RSA_2048, OID_ECDSA_SHA256, E_POLICY },
		{ KEY_ED25519, OID_ECDSA_SHA256, E_POLICY }, { KEY_EC_P256, OID_ED25519, E_POLICY },
		{ KEY_RSA_2048, OID_RSA_SHA1, E_POLICY }, { KEY_RSA_2048, OID_RSA_MD5, E_POLICY },
		{ KEY_RSA_2048, OID_RSA_PSS, E_POLICY }, { KEY_EC_P256, OID_ECDSA_SHA1, E_POLICY },
		{ KEY_EC_P256, OID_UNKNOWN, E_POLICY }, { KEY_EC_P256, OID_CN, E_POLICY },
		{ KEY_NONE, OID_ECDSA_SHA256, E_POLICY },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++)
		assert_int_equal(key_check_sig_alg(cases[i].t, cases[i].alg, NULL), cases[i].r);
}

static void
signature_algorithms_are_written_with_the_right_parameters(void **state)
{
	AUTO_BUF b = { 0 };

	(void)state;
	key_put_sig_alg(&b, OID_ECDSA_SHA256);
	key_put_sig_alg(&b, OID_RSA_SHA256);
	key_put_sig_alg(&b, OID_ED25519);
	assert_true(bytes_equal(bytes_of_buf(&b), LIT(
	    "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
	    "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"
	    "\x30\x05\x06\x03\x2b\x65\x70")));
}

static void
a_private_key_survives_its_file(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(types); i++) {
		AUTO_BUF pem = { 0 };
		AUTO(key) back = NULL;

		assert_int_equal(key_to_pem(&pem, keys[i], NULL), 0);
		assert_non_null(strstr(buf_str(&pem), "-----BEGIN PRIVATE KEY-----"));
		assert_int_equal(key_from_pem(&back, bytes_of_buf(&pem), NULL), 0);
		assert_true(bytes_equal(key_spki(back), key_spki(keys[i])));
		assert_int_equal(EVP_PKEY_eq(key_evp(back), key_evp(keys[i])), 1);
	}
}

static void
a_key_whose_private_half_is_not_here_is_not_written(void **state)
{
	AUTO_OSSL(EVP_PKEY) pub = NULL;
	AUTO_BUF pem = { 0 };
	AUTO(key) k = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(key_public(&pub, types[0], key_spki(keys[0]), NULL), 0);
	assert_int_equal(key_from_evp(&k, pub, NULL), 0);
	assert_int_equal(key_to_pem(&pem, k, &e), E_CRYPTO);
	assert_int_equal(e.code, E_CRYPTO);
	assert_int_equal(pem.n, 0);
}

static void
traditional_files_are_read_too(void **state)
{
	for (size_t i = 0; i < 4; i += 3) { /* P-256 and RSA */
		AUTO_BUF pem = { 0 };
		AUTO(key) back = NULL;

		(void)state;
		put_pem(&pem, key_evp(keys[i]), true, NULL);
		assert_int_equal(key_from_pem(&back, bytes_of_buf(&pem), NULL), 0);
		assert_int_equal(key_get_type(back), types[i]);
	}
}

static void
an_encrypted_file_is_refused_and_nobody_is_asked(void **state)
{
	static const bool forms[] = { false, true };

	(void)state;
	for (size_t i = 0; i < N_OF(forms); i++) {
		AUTO_BUF pem = { 0 };
		struct key *k = NULL;

		put_pem(&pem, key_evp(keys[0]), forms[i], "secret");
		assert_int_equal(key_from_pem(&k, bytes_of_buf(&pem), NULL), E_FORMAT);
		assert_null(k);
	}
}

static void
a_file_with_a_compressed_point_is_read_as_the_same_key(void **state)
{
	AUTO_BUF pem = { 0 }, back_pem = { 0 };
	AUTO(key) first = NULL;
	AUTO(key) back = NULL;

	(void)state;
	assert_int_equal(key_to_pem(&pem, keys[0], NULL), 0);
	assert_int_equal(key_from_pem(&first, bytes_of_buf(&pem), NULL), 0);
	assert_int_equal(EVP_PKEY_set_utf8_string_param(key_evp(first), "point-format", "compressed"), 1);
	put_pem(&back_pem, key_evp(first), false, NULL);
	assert_int_equal(key_from_pem(&back, bytes_of_buf(&back_pem), NULL), 0);
	assert_true(bytes_equal(key_spki(back), key_spki(keys[0])));
}

static void
private_keys_that_we_do_not_take_are_refused_by_name(void **state)
{
	AUTO_OSSL(EVP_PKEY) rsa = EVP_RSA_gen(1024);
	AUTO_OSSL(EVP_PKEY) curve = EVP_EC_gen("secp256k1");
	AUTO_OSSL(EVP_PKEY) x25519 = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	const struct { EVP_PKEY *pkey; const char *why; } cases[] = {
		{ rsa, "rsa of 1024 bits" }, { curve, "1.3.132.0.10" }, { x25519, "1.3.101.110" },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct key *k = NULL;

		assert_int_equal(key_from_evp(&k, cases[i].pkey, &e), E_POLICY);
		assert_non_null(strstr(e.msg, cases[i].why));
		assert_null(k);
	}
}

static void
a_file_that_is_no_key_is_refused(void **state)
{
	struct key *k = NULL;

	(void)state;
	assert_int_equal(key_from_pem(&k, bytes_of(""), NULL), E_FORMAT);
	assert_int_equal(key_from_pem(&k, bytes_of("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"),
	    NULL), E_FORMAT);
	assert_null(k);
}

static void
weak_key_checks_stay_below_a_millisecond(void **state)
{
	struct bytes spki = key_spki(keys[4]);
	uint64_t best = UINT64_MAX;

	(void)state;
	for (int i = 0; i < 5; i++) {
		uint64_t before = (uint64_t)clock(), took;

		assert_int_equal(key_check_weak(KEY_RSA_3072, spki, NULL), 0);
		took = (uint64_t)clock() - before;
		best = took < best ? took : best;
	}
	assert_true(best < 1000);
}

static void
assert_hex(const uint8_t *p, size_t n, const char *want)
{
	char hex[2 * DIGEST_MAX + 1];

	text_hex(hex, (struct bytes){ p, n });
	assert_string_equal(hex, want);
}

static void
digests_give_the_published_values(void **state)
{
	uint8_t d[DIGEST_MAX];

	(void)state;
	for (int again = 0; again < 2; again++) {
		sha256(d, bytes_of("abc")); /* FIPS 180-4 examples */
		assert_hex(d, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
		sha256_two(d, bytes_of("a"), bytes_of("bc"));
		assert_hex(d, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
		sha256(d, (struct bytes){ 0 });
		assert_hex(d, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
		sha1(d, bytes_of("abc"));
		assert_hex(d, 20, "a9993e364706816aba3e25717850c26c9cd0d89d");
		assert_int_equal(digest_for(d, OID_ECDSA_SHA384, bytes_of("abc")), 48);
		assert_hex(d, 48, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
		    "8086072ba1e7cc2358baeca134c825a7");
		assert_int_equal(digest_for(d, OID_RSA_SHA512, bytes_of("abc")), 64);
	}
}

static void
hmac_gives_the_published_values(void **state)
{
	uint8_t d[SHA256_LEN];

	(void)state;
	hmac_sha256(d, bytes_of("Jefe"), bytes_of("what do ya want for nothing?")); /* RFC 4231 4.3 */
	assert_hex(d, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	hmac_sha256(d, (struct bytes){ 0 }, (struct bytes){ 0 }); /* not with the key before */
	assert_hex(d, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_are_found_by_their_names),
		cmocka_unit_test(a_key_that_we_make_is_a_key_that_we_take),
		cmocka_unit_test(a_public_key_equals_the_one_that_openssl_decodes),
		cmocka_unit_test(two_public_keys_of_one_curve_do_not_touch_each_other),
		cmocka_unit_test(key_bits_are_the_contents_of_the_bit_string),
		cmocka_unit_test(what_a_key_signs_it_verifies_and_openssl_does),
		cmocka_unit_test(one_key_signs_again_and_again),
		cmocka_unit_test(a_signature_with_one_bit_changed_does_not_verify),
		cmocka_unit_test(keys_that_are_needed_once_verify_what_is_theirs_and_nothing_else),
		cmocka_unit_test(an_algorithm_that_does_not_fit_the_key_is_refused),
		cmocka_unit_test(signature_algorithms_are_written_with_the_right_parameters),
		cmocka_unit_test(a_private_key_survives_its_file),
		cmocka_unit_test(a_key_whose_private_half_is_not_here_is_not_written),
		cmocka_unit_test(traditional_files_are_read_too),
		cmocka_unit_test(an_encrypted_file_is_refused_and_nobody_is_asked),
		cmocka_unit_test(a_file_with_a_compressed_point_is_read_as_the_same_key),
		cmocka_unit_test(private_keys_that_we_do_not_take_are_refused_by_name),
		cmocka_unit_test(a_file_that_is_no_key_is_refused),
		cmocka_unit_test(weak_key_checks_stay_below_a_millisecond),
		cmocka_unit_test(digests_give_the_published_values),
		cmocka_unit_test(hmac_gives_the_published_values),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
