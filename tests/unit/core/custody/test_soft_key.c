/* SPDX-License-Identifier: Apache-2.0 */
/* custody/test_soft_key.c - what keys in memory do, against OpenSSL's own verification and published vectors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/custody/soft_key.h"
#include "core/pki/ossl.h"

static struct custody_key *
new_pair(enum key_type t)
{
	AUTO(key) k = NULL;
	AUTO_BUF pem = { 0 };
	struct custody_key *out = NULL;
	struct err e;

	assert_int_equal(key_generate(&k, t, &e), 0);
	assert_int_equal(key_to_pem(&pem, k, NULL), 0);
	assert_int_equal(soft_key_of_pem(&out, bytes_of_buf(&pem), &e), 0);
	return out;
}

static EVP_PKEY *
public_of(const struct custody_key *k)
{
	EVP_PKEY *pub = NULL;
	struct err e;

	assert_int_equal(key_public(&pub, custody_key_type(k), custody_key_spki(k), &e), 0);
	return pub;
}

/* What the raw signature recovers to, or how it verifies, with nothing but OpenSSL. */
static bool
verifies_raw(const struct custody_key *k, int padding, struct bytes sig, struct bytes in)
{
	AUTO_OSSL(EVP_PKEY) pub = public_of(k);
	AUTO_OSSL(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new(pub, NULL);

	assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
	if (padding != 0)
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, padding), 1);
	return EVP_PKEY_verify(ctx, sig.p, sig.n, in.p, in.n) == 1;
}

static void
ec_pairs_sign_digests_of_any_usual_length(void **state)
{
	static const enum key_type types[] = { KEY_EC_P256, KEY_EC_P384, KEY_EC_P521 };
	static const size_t lengths[] = { 20, 28, 32, 48, 64 };
	uint8_t digest[64];

	(void)state;
	memset(digest, 0xa5, sizeof(digest));
	for (size_t i = 0; i < N_OF(types); i++) {
		AUTO(custody_key) k = new_pair(types[i]);

		for (size_t j = 0; j < N_OF(lengths); j++) {
			AUTO_BUF sig = { 0 };
			struct err e;

			assert_int_equal(custody_sign_digest(&sig, k, (struct bytes){ digest, lengths[j] }, &e), 0);
			assert_true(verifies_raw(k, 0, bytes_of_buf(&sig), (struct bytes){ digest, lengths[j] }));
		}
	}
}

static void
what_is_no_digest_is_not_signed(void **state)
{
	AUTO(custody_key) k = new_pair(KEY_EC_P256);
	AUTO_BUF sig = { 0 };
	uint8_t text[65] = { 1 };
	struct err e;

	(void)state;
	assert_int_equal(custody_sign_digest(&sig, k, (struct bytes){ text, 0 }, &e), E_USAGE);
	assert_int_equal(custody_sign_digest(&sig, k, (struct bytes){ text, 19 }, &e), E_USAGE);
	assert_int_equal(custody_sign_digest(&sig, k, (struct bytes){ text, 65 }, &e), E_USAGE);
	assert_int_equal(sig.n, 0);
}

static void
rsa_private_pads_a_digestinfo_or_nothing(void **state)
{
	AUTO(custody_key) k = new_pair(KEY_RSA_2048);
	AUTO_BUF padded = { 0 };
	AUTO_BUF raw = { 0 };
	uint8_t in[256] = { 0 };
	struct err e;

	(void)state;
	memset(in + 1, 0x5a, sizeof(in) - 1);
	assert_int_equal(custody_rsa_private(&padded, k, true, (struct bytes){ in, 245 }, &e), 0);
	assert_true(verifies_raw(k, RSA_PKCS1_PADDING, bytes_of_buf(&padded), (struct bytes){ in, 245 }));
	assert_int_equal(custody_rsa_private(&raw, k, false, (struct bytes){ in, 256 }, &e), 0);
	assert_int_equal(raw.n, 256);
	assert_true(verifies_raw(k, RSA_NO_PADDING, bytes_of_buf(&raw), (struct bytes){ in, 256 }));
}

static void
rsa_private_refuses_what_does_not_fit_the_modulus(void **state)
{
	AUTO(custody_key) k = new_pair(KEY_RSA_2048);
	AUTO_BUF out = { 0 };
	uint8_t in[257];
	struct err e;

	(void)state;
	memset(in, 0xff, sizeof(in));
	assert_int_equal(custody_rsa_private(&out, k, true, (struct bytes){ in, 246 }, &e), E_USAGE);
	assert_int_equal(custody_rsa_private(&out, k, false, (struct bytes){ in, 255 }, &e), E_USAGE);
	assert_int_equal(custody_rsa_private(&out, k, false, (struct bytes){ in, 257 }, &e), E_USAGE);
	assert_int_equal(custody_rsa_private(&out, k, false, (struct bytes){ in, 256 }, &e), E_USAGE); /* above it */
	assert_int_equal(out.n, 0);
}

static void
ed25519_signs_messages(void **state)
{
	AUTO(custody_key) k = new_pair(KEY_ED25519);
	AUTO_OSSL(EVP_PKEY) pub = public_of(k);
	AUTO_BUF sig = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(custody_sign_message(&sig, k, bytes_of("hello"), &e), 0);
	assert_int_equal(key_verify(pub, KEY_ED25519, OID_ED25519, bytes_of("hello"), bytes_of_buf(&sig), &e), 0);
}

static void
a_key_does_only_what_its_kind_does(void **state)
{
	uint8_t octets[32] = { 1 }, mac[CUSTODY_MAC_LEN];
	struct bytes b = { octets, sizeof(octets) };
	AUTO(custody_key) ec = new_pair(KEY_EC_P256);
	AUTO(custody_key) ed = new_pair(KEY_ED25519);
	AUTO(custody_key) secret = soft_key_of_secret(b);
	AUTO_BUF out = { 0 };
	struct custody_key *derived = NULL;
	struct err e;

	(void)state;
	assert_int_equal(custody_sign_digest(&out, ed, b, &e), E_USAGE);
	assert_int_equal(custody_sign_digest(&out, secret, b, &e), E_USAGE);
	assert_int_equal(custody_sign_message(&out, ec, b, &e), E_USAGE);
	assert_int_equal(custody_sign_message(&out, secret, b, &e), E_USAGE);
	assert_int_equal(custody_rsa_private(&out, ec, true, b, &e), E_USAGE);
	assert_int_equal(custody_rsa_private(&out, secret, false, b, &e), E_USAGE);
	assert_int_equal(custody_hmac(mac, ec, b, &e), E_USAGE);
	assert_int_equal(custody_derive(&derived, ed, b, &e), E_USAGE);
	assert_int_equal(custody_seal(&out, ec, b, b, b, &e), E_USAGE);
	assert_int_equal(custody_open(&out, ec, b, b, b, &e), E_USAGE);
	assert_int_equal(out.n, 0);
	assert_null(derived);
}

/* RFC 4231, test case 2 */
static void
hmac_and_derivation_are_hmac_sha256(void **state)
{
	AUTO(custody_key) k = soft_key_of_secret(bytes_of("Jefe"));
	AUTO(custody_key) derived = NULL;
	uint8_t mac[CUSTODY_MAC_LEN], want[CUSTODY_MAC_LEN];
	struct err e;

	(void)state;
	assert_true(text_unhex(want, sizeof(want), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
	assert_int_equal(custody_hmac(mac, k, bytes_of("what do ya want for nothing?"), &e), 0);
	assert_memory_equal(mac, want, sizeof(want));
	assert_int_equal(custody_derive(&derived, k, bytes_of("what do ya want for nothing?"), &e), 0);
	assert_true(bytes_equal(soft_key_secret(derived), (struct bytes){ want, sizeof(want) }));
}

/* The GCM test vectors' case 16 (AES-256, 60 octets, 20 of associated data), in both outer forms. */
static void
aead_is_aes_256_gcm_in_the_form_of_existing_data(void **state)
{
	static const char key_hex[] = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
	static const char iv_hex[] = "cafebabefacedbaddecaf888";
	static const char aad_hex[] = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
	static const char plain_hex[] = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
	static const char cipher_hex[] = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662";
	static const char tag_hex[] = "76fc6ece0f4e1768cddf8853bb2d551b";
	uint8_t key[32], iv[12], aad[20], plain[60], want[77], legacy[77];
	AUTO(custody_key) k = NULL;
	AUTO_BUF sealed = { 0 };
	AUTO_BUF opened = { 0 };
	struct bytes i = { iv, sizeof(iv) }, a = { aad, sizeof(aad) }, p = { plain, sizeof(plain) };
	struct err e;

	(void)state;
	assert_true(text_unhex(key, 32, key_hex) && text_unhex(iv, 12, iv_hex) && text_unhex(aad, 20, aad_hex) &&
	    text_unhex(plain, 60, plain_hex) && text_unhex(want + 1, 60, cipher_hex) && text_unhex(want + 61, 16, tag_hex));
	want[0] = 2;
	legacy[0] = 1;
	memcpy(legacy + 1, want + 61, 16);
	memcpy(legacy + 17, want + 1, 60);
	k = soft_key_of_secret((struct bytes){ key, sizeof(key) });
	assert_int_equal(custody_seal(&sealed, k, i, a, p, &e), 0);
	assert_true(bytes_equal(bytes_of_buf(&sealed), (struct bytes){ want, sizeof(want) }));
	assert_int_equal(custody_open(&opened, k, i, a, (struct bytes){ want, sizeof(want) }, &e), 0);
	assert_true(bytes_equal(bytes_of_buf(&opened), p));
	buf_reset(&opened);
	assert_int_equal(custody_open(&opened, k, i, a, (struct bytes){ legacy, sizeof(legacy) }, &e), 0);
	assert_true(bytes_equal(bytes_of_buf(&opened), p));
}

static void
a_changed_cipher_text_does_not_open(void **state)
{
	uint8_t octets[32] = { 7 };
	AUTO(custody_key) k = soft_key_of_secret((struct bytes){ octets, sizeof(octets) });
	AUTO_BUF sealed = { 0 };
	AUTO_BUF opened = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(custody_seal(&sealed, k, bytes_of("iv"), bytes_of("aad"), bytes_of("text"), &e), 0);
	for (size_t i = 1; i < sealed.n; i++) {
		sealed.p[i] ^= 1;
		assert_int_equal(custody_open(&opened, k, bytes_of("iv"), bytes_of("aad"), bytes_of_buf(&sealed), &e), E_AUTH);
		sealed.p[i] ^= 1;
	}
	assert_int_equal(custody_open(&opened, k, bytes_of("iv"), bytes_of("other"), bytes_of_buf(&sealed), &e), E_AUTH);
	assert_int_equal(custody_open(&opened, k, bytes_of("in"), bytes_of("aad"), bytes_of_buf(&sealed), &e), E_AUTH);
	sealed.p[0] = 3;
	assert_int_equal(custody_open(&opened, k, bytes_of("iv"), bytes_of("aad"), bytes_of_buf(&sealed), &e), E_USAGE);
	assert_int_equal(custody_open(&opened, k, bytes_of("iv"), bytes_of("aad"), bytes_slice(bytes_of_buf(&sealed), 0,
	    16), &e),
	    E_USAGE);
	assert_int_equal(opened.n, 0);
}

static void
aead_wants_an_iv_and_a_key_of_32_octets(void **state)
{
	uint8_t octets[32] = { 7 }, iv[129] = { 0 };
	AUTO(custody_key) k = soft_key_of_secret((struct bytes){ octets, sizeof(octets) });
	AUTO(custody_key) odd = soft_key_of_secret((struct bytes){ octets, 31 });
	AUTO_BUF out = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(custody_seal(&out, k, (struct bytes){ iv, 0 }, bytes_of(""), bytes_of("x"), &e), E_USAGE);
	assert_int_equal(custody_seal(&out, k, (struct bytes){ iv, 129 }, bytes_of(""), bytes_of("x"), &e), E_USAGE);
	assert_int_equal(custody_seal(&out, odd, bytes_of("iv"), bytes_of(""), bytes_of("x"), &e), E_USAGE);
	assert_int_equal(out.n, 0);
	assert_int_equal(custody_seal(&out, k, (struct bytes){ iv, 128 }, bytes_of(""), bytes_of(""), &e), 0);
}

static void
digests_tell_keys_apart_without_telling_them(void **state)
{
	AUTO(custody_key) a = soft_key_of_secret(bytes_of("one secret"));
	AUTO(custody_key) b = soft_key_of_secret(bytes_of("another secret"));
	AUTO(custody_key) c = new_pair(KEY_EC_P256);
	uint8_t da[SHA256_LEN], again[SHA256_LEN], db[SHA256_LEN], dc[SHA256_LEN], spki[SHA256_LEN];
	struct err e;

	(void)state;
	assert_int_equal(custody_key_digest(da, a, &e), 0);
	assert_int_equal(custody_key_digest(again, a, &e), 0);
	assert_int_equal(custody_key_digest(db, b, &e), 0);
	assert_int_equal(custody_key_digest(dc, c, &e), 0);
	sha256(spki, custody_key_spki(c));
	assert_memory_equal(da, again, SHA256_LEN);
	assert_memory_not_equal(da, db, SHA256_LEN);
	assert_memory_equal(dc, spki, SHA256_LEN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ec_pairs_sign_digests_of_any_usual_length),
		cmocka_unit_test(what_is_no_digest_is_not_signed),
		cmocka_unit_test(rsa_private_pads_a_digestinfo_or_nothing),
		cmocka_unit_test(rsa_private_refuses_what_does_not_fit_the_modulus),
		cmocka_unit_test(ed25519_signs_messages),
		cmocka_unit_test(a_key_does_only_what_its_kind_does),
		cmocka_unit_test(hmac_and_derivation_are_hmac_sha256),
		cmocka_unit_test(aead_is_aes_256_gcm_in_the_form_of_existing_data),
		cmocka_unit_test(a_changed_cipher_text_does_not_open),
		cmocka_unit_test(aead_wants_an_iv_and_a_key_of_32_octets),
		cmocka_unit_test(digests_tell_keys_apart_without_telling_them),
	};

	return cmocka_run_group_tests_name("soft_key", tests, NULL, NULL);
}
