/* SPDX-License-Identifier: Apache-2.0 */
/* test_cipher.c - sealed secrets opened by the other side; AES-CFB against published values */
#include "core/pki/cipher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/rsa.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/pki/ossl.h"

#define LIT(s) ((struct bytes){ (const uint8_t *)(s), sizeof(s) - 1 })

static struct key *rsa, *ec;

static int
make_keys(void **state)
{
	(void)state;
	return key_generate(&rsa, KEY_RSA_2048, NULL) | key_generate(&ec, KEY_EC_P256, NULL);
}

static int
free_keys(void **state)
{
	(void)state;
	key_free(rsa);
	key_free(ec);
	return 0;
}

static void
assert_hex(const uint8_t *got, const char *hex)
{
	uint8_t want[128];
	size_t n = strlen(hex) / 2;

	assert_true(text_unhex(want, n, hex));
	assert_memory_equal(got, want, n);
}

/* --- AES-CFB --- */

/*
 * SP 800-38A F.3.13 has an initialisation vector, we have zeroes.  A first block that
 * encrypts to that vector puts the chain where the published one begins: AES of zeroes under this key is
 * RFC 4493's 7df76b0c1ab899b33e42f047b91b546f, and the vector xor that is the block.
 */
static void
cfb_is_that_of_sp_800_38a(void **state)
{
	uint8_t key[CIPHER_KEY_LEN], data[80];

	(void)state;
	assert_true(text_unhex(key, sizeof(key), "2b7e151628aed2a6abf7158809cf4f3c"));
	assert_true(text_unhex(data, sizeof(data), "7df6690f1ebd9fb4364bfa4cb5165a60"
	    "6bc1bee22e409f96e93d7e117393172a" "ae2d8a571e03ac9c9eb76fac45af8e51"
	    "30c81c46a35ce411e5fbc1191a0a52ef" "f69f2445df4f9b17ad2b417be66c3710"));
	cipher_cfb(key, data, sizeof(data));
	assert_hex(data, "000102030405060708090a0b0c0d0e0f"
	    "3b3fd92eb72dad20333449f8e83cfb4a" "c8a64537a0b3a93fcde3cdad9f1ce58b"
	    "26751f67a3cbb140b1808cf187a4f4df" "c04b05357c5d1c0eeac4c66f9ff7f2e6");
}

/* The first of CAVP's CFB128VarKey128. */
static void
cfb_of_one_block_is_that_of_the_validation_programme(void **state)
{
	uint8_t key[CIPHER_KEY_LEN] = { 0x80 }, data[16] = { 0 };

	(void)state;
	cipher_cfb(key, data, sizeof(data));
	assert_hex(data, "0edd33d3c621e546455bd8ba1418bec8");
}

static void
cfb_of_a_part_is_the_part_of_cfb(void **state)
{
	const uint8_t key[CIPHER_KEY_LEN] = { 1, 2, 3 };
	uint8_t whole[50] = { 0 };

	(void)state;
	cipher_cfb(key, whole, sizeof(whole));
	for (size_t n = 0; n < sizeof(whole); n++) {
		uint8_t part[sizeof(whole)] = { 0 };

		cipher_cfb(key, part, n);
		assert_memory_equal(part, whole, n);
		for (size_t i = n; i < sizeof(part); i++)
			assert_int_equal(part[i], 0);
	}
}

/* --- RSA-OAEP --- */

/* What the holder of the private key reads; n 0: nothing. */
static size_t
open_oaep(uint8_t *out, size_t size, const struct key *k, struct bytes label, struct bytes sealed)
{
	AUTO_OSSL(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key_evp(k), NULL);
	void *copy = OPENSSL_memdup(label.p, label.n);

	assert_int_equal(EVP_PKEY_decrypt_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()), 1);
	assert_int_equal(EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, copy, (int)label.n), 1);
	return EVP_PKEY_decrypt(ctx, out, &size, sealed.p, sealed.n) == 1 ? size : 0;
}

static void
oaep_is_opened_by_the_key_and_the_label_with_its_nul(void **state)
{
	AUTO_BUF sealed = { 0 };
	AUTO_BUF again = { 0 };
	uint8_t got[256];

	(void)state;
	assert_int_equal(cipher_oaep(&sealed, KEY_RSA_2048, key_spki(rsa), LIT("IDENTITY\0"), LIT("a seed"), NULL), 0);
	assert_int_equal(sealed.n, 256);
	assert_int_equal(open_oaep(got, sizeof(got), rsa, LIT("IDENTITY\0"), bytes_of_buf(&sealed)), 6);
	assert_memory_equal(got, "a seed", 6);
	assert_int_equal(open_oaep(got, sizeof(got), rsa, LIT("IDENTITY"), bytes_of_buf(&sealed)), 0);
	assert_int_equal(open_oaep(got, sizeof(got), rsa, LIT("DUPLICATE\0"), bytes_of_buf(&sealed)), 0);
	assert_int_equal(cipher_oaep(&again, KEY_RSA_2048, key_spki(rsa), LIT("IDENTITY\0"), LIT("a seed"), NULL), 0);
	assert_false(bytes_equal(bytes_of_buf(&sealed), bytes_of_buf(&again)));
}

/* RFC 8017 7.1.1: at most 256 - 2 * 32 - 2 octets. */
static void
oaep_of_what_does_not_fit_fails_and_writes_nothing(void **state)
{
	static const uint8_t plain[191];
	AUTO_BUF out = { 0 };
	struct err e = { 0 };

	(void)state;
	buf_put_str(&out, "before");
	assert_int_equal(cipher_oaep(&out, KEY_RSA_2048, key_spki(rsa), LIT("L"),
	    (struct bytes){ plain, 191 }, &e), E_CRYPTO);
	assert_non_null(strstr(e.msg, "RSA-OAEP"));
	assert_string_equal(buf_str(&out), "before");
	assert_int_equal(cipher_oaep(&out, KEY_RSA_2048, key_spki(rsa), LIT("L"), (struct bytes){ plain, 190 }, &e), 0);
	assert_int_equal(out.n, 6 + 256);
}

/* --- P-256 --- */

static void
both_sides_of_an_agreement_have_the_same_secret(void **state)
{
	AUTO_OSSL(EVP_PKEY) ours = EVP_PKEY_new();
	AUTO_OSSL(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key_evp(ec), NULL);
	struct cipher_agreed a, b;
	uint8_t point[1 + 2 * P256_LEN] = { 4 }, z[P256_LEN];
	size_t n = sizeof(z);

	(void)state;
	assert_int_equal(cipher_agree(&a, KEY_EC_P256, key_spki(ec), NULL), 0);
	memcpy(point + 1, a.x, P256_LEN);
	memcpy(point + 1 + P256_LEN, a.y, P256_LEN);
	assert_int_equal(EVP_PKEY_copy_parameters(ours, key_evp(ec)), 1);
	assert_int_equal(EVP_PKEY_set1_encoded_public_key(ours, point, sizeof(point)), 1);
	assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
	assert_int_equal(EVP_PKEY_derive_set_peer(ctx, ours), 1);
	assert_int_equal(EVP_PKEY_derive(ctx, z, &n), 1);
	assert_memory_equal(a.z, z, sizeof(z));
	assert_int_equal(cipher_agree(&b, KEY_EC_P256, key_spki(ec), NULL), 0);
	assert_memory_not_equal(a.x, b.x, P256_LEN);
	assert_memory_not_equal(a.z, b.z, P256_LEN);
}

static void
a_point_that_is_not_on_the_curve_agrees_with_nothing(void **state)
{
	struct bytes spki = key_spki(ec);
	uint8_t *bad = mem_dup(spki.p, spki.n);
	struct cipher_agreed a, before;
	struct err e = { 0 };

	(void)state;
	memset(&a, 0x5a, sizeof(a));
	before = a;
	bad[spki.n - 1] ^= 1;
	assert_int_equal(cipher_agree(&a, KEY_EC_P256, (struct bytes){ bad, spki.n }, &e), E_FORMAT);
	assert_ptr_equal(strstr(e.msg, "key: point not on its curve"), e.msg);
	assert_memory_equal(&a, &before, sizeof(a));
	assert_int_equal(cipher_check_key(KEY_EC_P256, (struct bytes){ bad, spki.n }, &e), E_FORMAT);
	mem_free(bad);
}

static void
only_a_key_of_the_right_kind_is_sealed_to(void **state)
{
	AUTO_BUF out = { 0 };
	AUTO(key) p384 = NULL;
	struct cipher_agreed a;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(key_generate(&p384, KEY_EC_P384, NULL), 0);
	assert_int_equal(cipher_check_key(KEY_RSA_2048, key_spki(rsa), &e), 0);
	assert_int_equal(cipher_check_key(KEY_EC_P256, key_spki(ec), &e), 0);
	assert_int_equal(cipher_check_key(KEY_EC_P384, key_spki(p384), &e), E_POLICY);
	assert_string_equal(e.msg, "key: ec-p384: RSA or P-256 needed");
	assert_int_equal(cipher_oaep(&out, KEY_EC_P256, key_spki(ec), LIT("L"), LIT("x"), &e), E_POLICY);
	assert_string_equal(e.msg, "key: ec-p256: RSA needed");
	assert_int_equal(out.n, 0);
	assert_int_equal(cipher_agree(&a, KEY_RSA_2048, key_spki(rsa), &e), E_POLICY);
	assert_int_equal(cipher_agree(&a, KEY_EC_P384, key_spki(p384), &e), E_POLICY);
	assert_string_equal(e.msg, "key: ec-p384: P-256 needed");
}

/* The GCM specification's test case 16: AES-256, a nonce of 96 bits, 20 octets bound. */
static void
what_another_sealed_by_gcm_opens(void **state)
{
	static const char sealed_hex[] = "cafebabefacedbaddecaf888"
		"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662" "76fc6ece0f4e1768cddf8853bb2d551b";
	static const char plain_hex[] = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
		"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
	uint8_t key[CIPHER_SEAL_KEY_LEN], bound[20], sealed[12 + 60 + 16];
	char hex[2 * 60 + 1];
	AUTO_BUF plain = { 0 };

	(void)state;
	assert_true(text_unhex(key, sizeof(key), "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"));
	assert_true(text_unhex(bound, sizeof(bound), "feedfacedeadbeeffeedfacedeadbeefabaddad2"));
	assert_true(text_unhex(sealed, sizeof(sealed), sealed_hex));
	assert_int_equal(cipher_open(&plain, key, (struct bytes){ bound, sizeof(bound) }, (struct bytes){ sealed, sizeof(sealed) }, NULL), 0);
	assert_int_equal(plain.n, 60);
	text_hex(hex, bytes_of_buf(&plain));
	assert_string_equal(hex, plain_hex);
}

static void
what_is_sealed_opens_with_its_key_and_what_it_is_bound_to(void **state)
{
	static const char *const plains[] = { "", "x", "a secret of more than one block of sixteen octets" };
	uint8_t key[CIPHER_SEAL_KEY_LEN] = { 1 }, other[CIPHER_SEAL_KEY_LEN] = { 2 };

	(void)state;
	for (size_t i = 0; i < N_OF(plains); i++) {
		AUTO_BUF sealed = { 0 };
		AUTO_BUF plain = { 0 };
		struct err e = { 0 };

		cipher_seal(&sealed, key, LIT("use"), bytes_of(plains[i]));
		assert_int_equal(sealed.n, strlen(plains[i]) + CIPHER_SEAL_MORE);
		assert_int_equal(cipher_open(&plain, other, LIT("use"), bytes_of_buf(&sealed), &e), E_CRYPTO);
		assert_int_equal(cipher_open(&plain, key, LIT("uses"), bytes_of_buf(&sealed), &e), E_CRYPTO);
		assert_int_equal(cipher_open(&plain, key, LIT(""), bytes_of_buf(&sealed), &e), E_CRYPTO);
		assert_int_equal(cipher_open(&plain, key, LIT("use"), LIT("short"), &e), E_CRYPTO);
		assert_int_equal(plain.n, 0);
		assert_int_equal(cipher_open(&plain, key, LIT("use"), bytes_of_buf(&sealed), &e), 0);
		assert_string_equal(buf_str(&plain), plains[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cfb_is_that_of_sp_800_38a),
		cmocka_unit_test(cfb_of_one_block_is_that_of_the_validation_programme),
		cmocka_unit_test(cfb_of_a_part_is_the_part_of_cfb),
		cmocka_unit_test(oaep_is_opened_by_the_key_and_the_label_with_its_nul),
		cmocka_unit_test(oaep_of_what_does_not_fit_fails_and_writes_nothing),
		cmocka_unit_test(both_sides_of_an_agreement_have_the_same_secret),
		cmocka_unit_test(a_point_that_is_not_on_the_curve_agrees_with_nothing),
		cmocka_unit_test(only_a_key_of_the_right_kind_is_sealed_to),
		cmocka_unit_test(what_another_sealed_by_gcm_opens),
		cmocka_unit_test(what_is_sealed_opens_with_its_key_and_what_it_is_bound_to),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
