/* SPDX-License-Identifier: Apache-2.0 */
/* test_provider.c - keys of the Keys Service inside our own programs */
#include "device/provider/provider.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "core/pki/ossl.h"
#include "device/provider/init.h"
#include "tests/unit/device/provider/fake_keyd.h"

static const enum key_type types[] = { KEY_EC_P256, KEY_EC_P384, KEY_EC_P521, KEY_RSA_2048, KEY_RSA_3072, KEY_ED25519 };

/* A service with one key; f's other members are set before. */
static void
start(struct fake_keyd *f, enum key_type t)
{
	struct err e;

	f->id = "device-id";
	assert_int_equal(key_generate(&f->key, t, &e), 0);
	if (f->later == FAKE_OTHER || f->lies)
		assert_int_equal(key_generate(&f->other, t, &e), 0);
	unix_peer_start(&f->peer, fake_answer, f);
	assert_int_equal(provider_use(f->peer.path, &e), 0);
}

static void
stop(struct fake_keyd *f)
{
	unix_peer_stop(&f->peer, NULL);
	key_free(f->key);
	key_free(f->other);
}

static struct key *
must_load(const struct fake_keyd *f)
{
	struct key *k = NULL;
	struct err e = { 0 };

	if (provider_key(&k, f->id, &e) != 0)
		fail_msg("%s", e.msg);
	return k;
}

static int
sign_and_verify(const struct key *k, const struct key *real, struct err *e)
{
	AUTO_BUF sig = { 0 };
	struct bytes data = bytes_of("what is signed");
	int r = key_sign(&sig, k, data, e);

	if (r == 0)
		r = key_verify(key_evp(real), key_get_type(real), key_sig_alg(key_get_type(real)), data,
		    bytes_of_buf(&sig), e);
	return r;
}

static void
a_key_signs_as_if_it_were_here(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(types); i++) {
		struct fake_keyd f = { 0 };
		struct err e = { 0 };
		AUTO(key) k = NULL;

		start(&f, types[i]);
		k = must_load(&f);
		assert_int_equal(key_get_type(k), types[i]);
		assert_true(bytes_equal(key_spki(k), key_spki(f.key)));
		if (sign_and_verify(k, f.key, &e) != 0)
			fail_msg("%s: %s", key_type_name(types[i]), e.msg);
		/* Ways that OpenSSL tried before it came to ours leave nothing behind. */
		assert_int_equal(ERR_peek_error(), 0);
		stop(&f);
	}
}

static void
a_key_is_had_by_a_handle(void **state)
{
	struct fake_keyd f = { 0 };
	AUTO(key) k = NULL;
	struct err e = { 0 };

	(void)state;
	start(&f, KEY_EC_P256);
	assert_int_equal(provider_key_by_handle(&k, "sr=a+/=&sig=b", &e), 0);
	assert_int_equal(sign_and_verify(k, f.key, &e), 0);
	stop(&f);
}

static void
a_request_for_a_certificate_is_made(void **state)
{
	struct fake_keyd f = { 0 };
	AUTO(key) k = NULL;
	X509_REQ *req = X509_REQ_new();

	(void)state;
	start(&f, KEY_RSA_2048);
	k = must_load(&f);
	assert_int_equal(X509_REQ_set_version(req, X509_REQ_VERSION_1), 1);
	assert_int_equal(X509_REQ_set_pubkey(req, key_evp(k)), 1);
	assert_true(X509_REQ_sign(req, key_evp(k), EVP_sha256()) > 0);
	assert_int_equal(X509_REQ_verify(req, key_evp(f.key)), 1);
	/* Also by the key itself: a held key verifies with its public half. */
	assert_int_equal(X509_REQ_verify(req, key_evp(k)), 1);
	X509_REQ_free(req);
	stop(&f);
}

static void
the_private_half_cannot_be_had(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(types); i++) {
		struct fake_keyd f = { 0 };
		AUTO(key) k = NULL;
		AUTO_BUF pem = { 0 };
		OSSL_PARAM *params = NULL;
		BIGNUM *d = NULL;
		uint8_t raw[64];
		size_t n = sizeof(raw);

		start(&f, types[i]);
		k = must_load(&f);
		assert_int_not_equal(EVP_PKEY_todata(key_evp(k), EVP_PKEY_KEYPAIR, &params), 1);
		assert_null(params);
		assert_int_equal(EVP_PKEY_todata(key_evp(k), EVP_PKEY_PUBLIC_KEY, &params), 1);
		OSSL_PARAM_free(params);
		assert_int_not_equal(EVP_PKEY_get_bn_param(key_evp(k), OSSL_PKEY_PARAM_PRIV_KEY, &d), 1);
		assert_int_not_equal(EVP_PKEY_get_bn_param(key_evp(k), OSSL_PKEY_PARAM_RSA_D, &d), 1);
		assert_int_not_equal(EVP_PKEY_get_octet_string_param(key_evp(k), OSSL_PKEY_PARAM_PRIV_KEY, raw, sizeof(raw), &n), 1);
		assert_int_equal(key_to_pem(&pem, k, NULL), E_CRYPTO);
		assert_int_equal(pem.n, 0);
		ERR_clear_error();
		stop(&f);
	}
}

static void
a_key_equals_its_public_half_and_no_other(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(types); i++) {
		struct fake_keyd f = { 0 };
		AUTO(key) k = NULL;
		AUTO(key) other = NULL;
		AUTO_OSSL(EVP_PKEY) dup = NULL;
		struct err e;

		start(&f, types[i]);
		k = must_load(&f);
		assert_int_equal(key_generate(&other, types[i], &e), 0);
		assert_int_equal(EVP_PKEY_eq(key_evp(k), key_evp(f.key)), 1);
		assert_int_equal(EVP_PKEY_eq(key_evp(f.key), key_evp(k)), 1);
		assert_int_equal(EVP_PKEY_eq(key_evp(k), key_evp(other)), 0);
		dup = EVP_PKEY_dup(key_evp(k));
		assert_non_null(dup);
		assert_int_equal(EVP_PKEY_eq(dup, key_evp(f.key)), 1);
		stop(&f);
	}
}

static void
libssl_takes_the_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(types); i++) {
		struct fake_keyd f = { 0 };
		AUTO(key) k = NULL;
		SSL_CTX *ctx = SSL_CTX_new(TLS_method());

		start(&f, types[i]);
		k = must_load(&f);
		assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key_evp(k)), 1);
		SSL_CTX_free(ctx);
		stop(&f);
	}
}

static void
pss_parameters_are_set_and_told(void **state)
{
	struct fake_keyd f = { 0 };
	AUTO(key) k = NULL;
	AUTO_OSSL(EVP_MD_CTX) sign = EVP_MD_CTX_new();
	AUTO_OSSL(EVP_MD_CTX) half = EVP_MD_CTX_new();
	AUTO_OSSL(EVP_MD_CTX) verify = EVP_MD_CTX_new();
	EVP_PKEY_CTX *c;
	const EVP_MD *md = NULL;
	uint8_t sig[256];
	size_t n = 0;
	int padding = 0, salt = 0;

	(void)state;
	start(&f, KEY_RSA_2048);
	k = must_load(&f);
	assert_int_equal(EVP_DigestSignInit_ex(sign, &c, "SHA384", NULL, NULL, key_evp(k), NULL), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(c, 20), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(c, EVP_sha256()), 1);
	assert_true(EVP_PKEY_CTX_get_rsa_padding(c, &padding) > 0);
	assert_int_equal(padding, RSA_PKCS1_PSS_PADDING);
	assert_true(EVP_PKEY_CTX_get_rsa_pss_saltlen(c, &salt) > 0);
	assert_int_equal(salt, 20);
	assert_true(EVP_PKEY_CTX_get_rsa_mgf1_md(c, &md) > 0);
	assert_true(EVP_MD_is_a(md, "SHA256"));
	assert_true(EVP_PKEY_CTX_get_signature_md(c, &md) > 0);
	assert_true(EVP_MD_is_a(md, "SHA384"));
	assert_int_equal(EVP_DigestSignUpdate(sign, "what is ", 8), 1);
	/* A copy has its own future. */
	assert_int_equal(EVP_MD_CTX_copy_ex(half, sign), 1);
	assert_int_equal(EVP_DigestSignUpdate(half, "thrown away", 11), 1);
	assert_int_equal(EVP_DigestSignUpdate(sign, "signed", 6), 1);
	assert_int_equal(EVP_DigestSignFinal(sign, NULL, &n), 1);
	assert_int_equal(n, 256);
	assert_int_equal(EVP_DigestSignFinal(sign, sig, &n), 1);
	assert_int_equal(EVP_DigestVerifyInit_ex(verify, &c, "SHA384", NULL, NULL, key_evp(f.key), NULL), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(c, 20), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(c, EVP_sha256()), 1);
	assert_int_equal(EVP_DigestVerify(verify, sig, n, (const uint8_t *)"what is signed", 14), 1);
	stop(&f);
}

static void
what_a_key_does_not_do_is_refused(void **state)
{
	struct fake_keyd f = { 0 };
	AUTO(key) k = NULL;
	AUTO_OSSL(EVP_MD_CTX) m = EVP_MD_CTX_new();
	AUTO_OSSL(EVP_PKEY_CTX) c = NULL;
	uint8_t sig[256], in[300] = { 0 };
	size_t n = sizeof(sig);

	(void)state;
	start(&f, KEY_RSA_2048);
	k = must_load(&f);
	assert_int_not_equal(EVP_DigestSignInit_ex(m, NULL, "SHA1", NULL, NULL, key_evp(k), NULL), 1);
	c = EVP_PKEY_CTX_new_from_pkey(NULL, key_evp(k), NULL);
	assert_int_equal(EVP_PKEY_sign_init(c), 1);
	assert_int_not_equal(EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(c, RSA_NO_PADDING), 1);
	assert_int_not_equal(EVP_PKEY_sign(c, sig, &n, in, 255), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()), 1);
	assert_int_not_equal(EVP_PKEY_sign(c, sig, &n, in, 31), 1);
	assert_int_not_equal(EVP_PKEY_decrypt_init(c), 1);
	ERR_clear_error();
	stop(&f);
}

static void
a_handle_that_ends_is_had_again_for_the_same_pair_only(void **state)
{
	static const struct {
		int later;
		int result;
	} rows[] = { { FAKE_SAME, 0 }, { FAKE_GONE, E_CRYPTO }, { FAKE_OTHER, E_CRYPTO } };

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct fake_keyd f = { .good_for = 1 };
		AUTO(key) k = NULL;
		struct err e = { 0 };

		f.later = (__typeof__(f.later))rows[i].later;
		start(&f, KEY_EC_P256);
		k = must_load(&f);
		assert_int_equal(sign_and_verify(k, f.key, &e), 0);
		assert_int_equal(sign_and_verify(k, f.key, &e), rows[i].result);
		if (rows[i].later == FAKE_GONE)
			assert_non_null(strstr(e.msg, "keyd: no such key"));
		if (rows[i].later == FAKE_OTHER)
			assert_non_null(strstr(e.msg, "keyd: refused"));
		stop(&f);
	}
}

static void
a_handle_alone_that_ends_has_ended(void **state)
{
	struct fake_keyd f = { .good_for = 1 };
	AUTO(key) k = NULL;
	struct err e = { 0 };

	(void)state;
	start(&f, KEY_EC_P256);
	assert_int_equal(provider_key_by_handle(&k, "h", &e), 0);
	assert_int_equal(sign_and_verify(k, f.key, &e), 0);
	assert_int_equal(sign_and_verify(k, f.key, &e), E_CRYPTO);
	assert_non_null(strstr(e.msg, "keyd: not authorised"));
	stop(&f);
}

static void
a_signature_of_the_wrong_size_is_refused(void **state)
{
	static const enum key_type sized[] = { KEY_RSA_2048, KEY_ED25519 };

	(void)state;
	for (size_t i = 0; i < N_OF(sized); i++) {
		struct fake_keyd f = { .later = FAKE_NONSENSE };
		AUTO(key) k = NULL;
		struct err e = { 0 };

		start(&f, sized[i]);
		k = must_load(&f);
		assert_int_equal(sign_and_verify(k, f.key, &e), E_CRYPTO);
		assert_non_null(strstr(e.msg, "keyd: malformed"));
		stop(&f);
	}
}

/* A service that is broken, or has another key by that name now: it shows before anybody relies on the signature. */
static void
a_signature_of_another_key_is_not_given_out(void **state)
{
	static const int paddings[] = { RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING };

	(void)state;
	for (size_t i = 0; i < N_OF(types) + 1; i++) {
		struct fake_keyd f = { .lies = true };
		EVP_MD_CTX *m = EVP_MD_CTX_new();
		EVP_PKEY_CTX *c = NULL;
		AUTO(key) k = NULL;
		uint8_t sig[1024];
		size_t n = sizeof(sig);
		enum key_type t = i < N_OF(types) ? types[i] : KEY_RSA_2048;

		start(&f, t);
		k = must_load(&f);
		assert_int_equal(EVP_DigestSignInit_ex(m, &c, t == KEY_ED25519 ? NULL : "SHA256", NULL, NULL, key_evp(k), NULL), 1);
		if (EVP_PKEY_is_a(key_evp(k), "RSA"))
			assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(c, paddings[i == N_OF(types)]), 1);
		assert_int_not_equal(EVP_DigestSign(m, sig, &n, (const uint8_t *)"data", 4), 1);
		assert_int_equal(ERR_GET_REASON(ERR_peek_error()), -E_FORMAT);
		ERR_clear_error();
		EVP_MD_CTX_free(m);
		stop(&f);
	}
}

static void
why_a_key_is_not_had_is_told(void **state)
{
	struct fake_keyd f = { 0 };
	struct key *k = NULL;
	struct err e = { 0 };

	(void)state;
	start(&f, KEY_EC_P256);
	assert_int_equal(provider_key(&k, "nobody", &e), E_NOTFOUND);
	assert_string_equal(e.msg, "keyd: no key pair 'nobody' (a parameter has an invalid value)");
	assert_int_equal(ERR_peek_error(), 0);
	stop(&f);
	assert_int_equal(provider_key(&k, "device-id", &e), E_UNAVAIL);
	assert_non_null(strstr(e.msg, f.peer.path));
	assert_null(k);
}

/* --- with the provider in front of the default one --- */

static EVP_PKEY *
generate(OSSL_LIB_CTX *lib, enum key_type t)
{
	if (t == KEY_ED25519)
		return EVP_PKEY_Q_keygen(lib, NULL, "ED25519");
	if (t == KEY_RSA_2048 || t == KEY_RSA_3072)
		return EVP_PKEY_Q_keygen(lib, NULL, "RSA", (size_t)2048);
	return EVP_PKEY_Q_keygen(lib, NULL, "EC", t == KEY_EC_P256 ? "P-256" : t == KEY_EC_P384 ? "P-384" : "P-521");
}

/* Through PEM and back. */
static EVP_PKEY *
reread(OSSL_LIB_CTX *lib, const EVP_PKEY *pkey)
{
	AUTO_OSSL(BIO) bio = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_PrivateKey_ex(bio, pkey, NULL, NULL, 0, NULL, NULL, lib, NULL), 1);
	return PEM_read_bio_PrivateKey_ex(bio, NULL, NULL, NULL, lib, NULL);
}

static void
keys_of_our_own_are_as_ever_with_the_provider_in_front(void **state)
{
	OSSL_LIB_CTX *lib = OSSL_LIB_CTX_new();
	OSSL_PROVIDER *first, *second;

	(void)state;
	assert_int_equal(OSSL_PROVIDER_add_builtin(lib, PROVIDER_NAME, provider_init), 1);
	first = OSSL_PROVIDER_load(lib, PROVIDER_NAME);
	second = OSSL_PROVIDER_load(lib, "default");
	assert_non_null(first);
	assert_non_null(second);
	for (size_t i = 0; i < N_OF(types); i++) {
		AUTO_OSSL(EVP_PKEY) made = generate(lib, types[i]);
		AUTO_OSSL(EVP_PKEY) read = NULL;
		AUTO_OSSL(EVP_MD_CTX) sign = EVP_MD_CTX_new();
		AUTO_OSSL(EVP_MD_CTX) verify = EVP_MD_CTX_new();
		const char *md = types[i] == KEY_ED25519 ? NULL : "SHA256";
		uint8_t sig[600];
		size_t n = sizeof(sig);

		assert_non_null(made);
		/* This is the case that the test is for. */
		assert_ptr_equal(EVP_PKEY_get0_provider(made), first);
		read = reread(lib, made);
		assert_non_null(read);
		assert_int_equal(EVP_PKEY_eq(made, read), 1);
		assert_int_equal(EVP_DigestSignInit_ex(sign, NULL, md, lib, NULL, made, NULL), 1);
		assert_int_equal(EVP_DigestSign(sign, sig, &n, (const uint8_t *)"x", 1), 1);
		assert_int_equal(EVP_DigestVerifyInit_ex(verify, NULL, md, lib, NULL, read, NULL), 1);
		assert_int_equal(EVP_DigestVerify(verify, sig, n, (const uint8_t *)"x", 1), 1);
		assert_int_not_equal(EVP_DigestVerify(verify, sig, n, (const uint8_t *)"y", 1), 1);
		ERR_clear_error();
	}
	assert_int_equal(OSSL_PROVIDER_unload(first), 1);
	assert_int_equal(OSSL_PROVIDER_unload(second), 1);
	OSSL_LIB_CTX_free(lib);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_signs_as_if_it_were_here),
		cmocka_unit_test(a_key_is_had_by_a_handle),
		cmocka_unit_test(a_request_for_a_certificate_is_made),
		cmocka_unit_test(the_private_half_cannot_be_had),
		cmocka_unit_test(a_key_equals_its_public_half_and_no_other),
		cmocka_unit_test(libssl_takes_the_key),
		cmocka_unit_test(pss_parameters_are_set_and_told),
		cmocka_unit_test(what_a_key_does_not_do_is_refused),
		cmocka_unit_test(a_handle_that_ends_is_had_again_for_the_same_pair_only),
		cmocka_unit_test(a_handle_alone_that_ends_has_ended),
		cmocka_unit_test(a_signature_of_the_wrong_size_is_refused),
		cmocka_unit_test(a_signature_of_another_key_is_not_given_out),
		cmocka_unit_test(why_a_key_is_not_had_is_told),
		cmocka_unit_test(keys_of_our_own_are_as_ever_with_the_provider_in_front),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
