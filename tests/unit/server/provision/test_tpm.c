/* SPDX-License-Identifier: Apache-2.0 */
/* test_tpm.c - public keys of TPMs, good and hostile; what was wrapped, opened as a TPM does */
#include "server/provision/tpm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/rsa.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/codec/wire.h"
#include "core/pki/ossl.h"

AUTO_DEFINE_OSSL(EVP_KDF, EVP_KDF_free)
AUTO_DEFINE_OSSL(EVP_KDF_CTX, EVP_KDF_CTX_free)
AUTO_DEFINE_OSSL(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

/* Where things stand in the TPM2B_PUBLICs that put_public() writes. */
enum { EK_RSA_LEN = 316, SRK_RSA_LEN = 284, EK_ECC_LEN = 124, SRK_ECC_LEN = 92 };

static const char policy_hex[] = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa";

/* A TPM's two keys of one kind, with the private halves that a TPM keeps. */
struct pair {
	struct key *ek, *srk;
	struct buf ek_public, srk_public;
};
static struct pair rsa, ecc;

static void
put_u16(struct buf *b, size_t v)
{
	buf_put_u8(b, (uint8_t)(v >> 8));
	buf_put_u8(b, (uint8_t)v);
}

static void
put_hex(struct buf *b, const char *hex)
{
	uint8_t octets[128];
	size_t n = strlen(hex) / 2;

	assert_true(text_unhex(octets, n, hex));
	buf_put(b, octets, n);
}

/* A TPM2B_PUBLIC by the default template, field by field. */
static void
put_public(struct buf *out, const struct key *k, bool is_ek)
{
	AUTO_BUF area = { 0 };
	bool is_rsa = key_get_type(k) == KEY_RSA_2048;
	struct bytes modulus;

	put_hex(&area, is_rsa ? "0001" "000b" : "0023" "000b");
	put_hex(&area, is_ek ? "000300b2" "0020" : "00030472" "0000");
	put_hex(&area, is_ek ? policy_hex : "");
	put_hex(&area, "0006" "0080" "0043" "0010");
	if (is_rsa) {
		assert_int_equal(key_rsa_modulus(&modulus, key_spki(k), NULL), 0);
		put_hex(&area, "0800" "00000000" "0100");
		buf_put_bytes(&area, modulus);
	} else {
		put_hex(&area, "0003" "0010" "0020");
		buf_put_bytes(&area, bytes_slice(key_bits(key_spki(k)), 1, 32));
		put_hex(&area, "0020");
		buf_put_bytes(&area, bytes_slice(key_bits(key_spki(k)), 33, 32));
	}
	put_u16(out, area.n);
	buf_put_bytes(out, bytes_of_buf(&area));
}

static int
make_pair(struct pair *p, enum key_type t)
{
	if (key_generate(&p->ek, t, NULL) != 0 || key_generate(&p->srk, t, NULL) != 0)
		return -1;
	put_public(&p->ek_public, p->ek, true);
	put_public(&p->srk_public, p->srk, false);
	return 0;
}

static void
free_pair(struct pair *p)
{
	key_free(p->ek);
	key_free(p->srk);
	buf_free(&p->ek_public);
	buf_free(&p->srk_public);
}

static int
make_pairs(void **state)
{
	(void)state;
	return make_pair(&rsa, KEY_RSA_2048) | make_pair(&ecc, KEY_EC_P256);
}

static int
free_pairs(void **state)
{
	(void)state;
	free_pair(&rsa);
	free_pair(&ecc);
	return 0;
}

/* --- reading --- */

static void
keys_by_the_default_templates_are_read(void **state)
{
	struct tpm_ek ek;
	struct tpm_srk srk;

	(void)state;
	assert_int_equal(rsa.ek_public.n, EK_RSA_LEN);
	assert_int_equal(rsa.srk_public.n, SRK_RSA_LEN);
	assert_int_equal(ecc.ek_public.n, EK_ECC_LEN);
	assert_int_equal(ecc.srk_public.n, SRK_ECC_LEN);
	assert_int_equal(tpm_ek_read(&ek, bytes_of_buf(&rsa.ek_public), NULL), 0);
	assert_int_equal(ek.key.type, KEY_RSA_2048);
	assert_true(bytes_equal((struct bytes){ ek.key.spki, ek.key.spki_n }, key_spki(rsa.ek)));
	assert_int_equal(tpm_srk_read(&srk, bytes_of_buf(&rsa.srk_public), NULL), 0);
	assert_true(bytes_equal((struct bytes){ srk.key.spki, srk.key.spki_n }, key_spki(rsa.srk)));
	assert_int_equal(tpm_ek_read(&ek, bytes_of_buf(&ecc.ek_public), NULL), 0);
	assert_int_equal(ek.key.type, KEY_EC_P256);
	assert_true(bytes_equal((struct bytes){ ek.key.spki, ek.key.spki_n }, key_spki(ecc.ek)));
	assert_int_equal(tpm_srk_read(&srk, bytes_of_buf(&ecc.srk_public), NULL), 0);
	assert_true(bytes_equal((struct bytes){ srk.key.spki, srk.key.spki_n }, key_spki(ecc.srk)));
}

/* What swtpm said about a key of its own. */
static void
a_name_is_the_one_that_the_tpm_gives(void **state)
{
	AUTO_BUF public = { 0 };
	struct tpm_srk srk;
	char hex[2 * TPM_NAME_LEN + 1];

	(void)state;
	put_hex(&public, "005a0023000b000304720000000600800043001000030010002059378231"
	    "aaff0f76d7bf6b1c5507d43785394d3546b780d0826a365e810f86710020"
	    "514cb743bc9c4044c4d730f90ce7eac5dfa6e4233d74645f0a344bfcd61c83e8");
	assert_int_equal(tpm_srk_read(&srk, bytes_of_buf(&public), NULL), 0);
	text_hex(hex, (struct bytes){ srk.key.name, sizeof(srk.key.name) });
	assert_string_equal(hex, "000b1c4cd33bad4b3ce23867c670a7d5a1328262e1c163e4c9d007f1206a6fdf6b56");
}

/* A good key of which some octets are others. */
struct bad {
	size_t at;
	const char *hex;
	int code;
	const char *why;
};

/* Refused with this code and these words, and nothing was written; code 0: taken. */
static void
assert_read(bool is_ek, struct bytes in, int code, const char *why)
{
	union { struct tpm_ek ek; struct tpm_srk srk; struct tpm_key key; } got, before;
	struct err e = { 0 };
	uint8_t *copy = mem_dup(in.p, in.n); /* of exactly so many octets: a sanitizer sees the end */
	int r;

	memset(&got, 0x5a, sizeof(got));
	before = got;
	in.p = copy;
	r = is_ek ? tpm_ek_read(&got.ek, in, &e) : tpm_srk_read(&got.srk, in, &e);
	if (r != code || strstr(e.msg, why) == NULL)
		fail_msg("%d, wanted %d with '%s': %s", r, code, why, e.msg);
	if (code != 0) {
		assert_memory_equal(&got, &before, sizeof(got));
		assert_ptr_equal(strstr(e.msg, is_ek ? "tpm: endorsement key: " : "tpm: storage root key: "), e.msg);
	}
	mem_free(copy);
}

static void
assert_all_refused(bool is_ek, const struct buf *good, const struct bad *bad, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t copy[TPM_PUBLIC_MAX];
		size_t len = strlen(bad[i].hex) / 2;

		memcpy(copy, good->p, good->n);
		assert_true(bad[i].at + len <= good->n);
		assert_true(text_unhex(copy + bad[i].at, len, bad[i].hex));
		assert_read(is_ek, (struct bytes){ copy, good->n }, bad[i].code, bad[i].why);
	}
}

static void
an_endorsement_key_of_another_kind_is_refused(void **state)
{
	static const struct bad bad[] = {
		{ 2, "0008", E_POLICY, "algorithm 0x0008: RSA (0x0001) or ECC (0x0023) needed" }, /* keyed hash */
		{ 2, "0025", E_POLICY, "algorithm 0x0025" },                  /* symmetric */
		{ 2, "0000", E_POLICY, "algorithm 0x0000" },
		{ 4, "0004", E_POLICY, "name algorithm 0x0004: SHA-256 (0x000b) needed" }, /* SHA-1 */
		{ 4, "000c", E_POLICY, "name algorithm 0x000c" },             /* SHA-384 */
		{ 4, "0010", E_POLICY, "name algorithm 0x0010" },             /* none: an object without a name */
		/* Not fixedTPM. */
		{ 6, "000300b0", E_POLICY, "attributes 0x000300b0: the default template's 0x000300b2 needed" },
		{ 6, "000300a2", E_POLICY, "attributes" },                    /* not fixedParent */
		{ 6, "00030092", E_POLICY, "attributes" },                    /* not made by the TPM */
		{ 6, "00030032", E_POLICY, "attributes" },                    /* not adminWithPolicy */
		{ 6, "000200b2", E_POLICY, "attributes" },                    /* not restricted: decrypts for anybody */
		{ 6, "000100b2", E_POLICY, "attributes" },                    /* not decrypt */
		{ 6, "000700b2", E_POLICY, "attributes" },                    /* signs too */
		{ 6, "000300f2", E_POLICY, "attributes" },                    /* userWithAuth */
		{ 6, "000304b2", E_POLICY, "attributes" },                    /* noDA */
		{ 6, "00030472", E_POLICY, "attributes" },                    /* a storage root key's */
		{ 6, "000308b2", E_POLICY, "attributes" },                    /* encryptedDuplication */
		{ 6, "800300b2", E_POLICY, "attributes" },                    /* reserved */
		{ 6, "00000000", E_POLICY, "attributes" },
		{ 10, "0000", E_POLICY, "policy of 0 octets: the template's has 32" },
		{ 10, "001f", E_POLICY, "policy of 31 octets" },
		{ 10, "0021", E_POLICY, "policy of 33 octets" },
		{ 10, "ffff", E_POLICY, "policy of 65535 octets" },
		{ 12, "00", E_POLICY, "another policy than the default template's" },
		{ 43, "ab", E_POLICY, "another policy" },
		{ 44, "0010", E_POLICY, "symmetric algorithm 0x0010: AES (0x0006) needed" }, /* none */
		{ 44, "0026", E_POLICY, "symmetric algorithm" },              /* Camellia */
		{ 46, "0100", E_POLICY, "symmetric key bits 0x0100: 128 (0x0080) needed" },
		{ 48, "0040", E_POLICY, "symmetric mode 0x0040: CFB (0x0043) needed" },
		{ 50, "0017", E_POLICY, "scheme 0x0017: none (0x0010) needed" }, /* OAEP */
	};

	(void)state;
	assert_all_refused(true, &rsa.ek_public, bad, N_OF(bad));
	assert_all_refused(true, &ecc.ek_public, bad, N_OF(bad));
}

static void
a_bad_rsa_key_is_refused(void **state)
{
	static const struct bad bad[] = {
		{ 52, "0400", E_POLICY, "key bits 0x0400: 2048 (0x0800) needed" },
		{ 52, "0c00", E_POLICY, "key bits" },
		{ 52, "0000", E_POLICY, "key bits" },
		{ 54, "00000001", E_POLICY, "public exponent 1: 65537 needed" },
		{ 54, "00000003", E_POLICY, "public exponent 3" },
		{ 54, "00010003", E_POLICY, "public exponent 65539" },
		{ 54, "ffffffff", E_POLICY, "public exponent 4294967295" },
		{ 58, "0000", E_FORMAT, "modulus of 0 octets: 256 needed" },
		{ 58, "0080", E_FORMAT, "modulus of 128 octets" },
		{ 58, "00ff", E_FORMAT, "modulus of 255 octets" },
		{ 58, "0101", E_FORMAT, "modulus of 257 octets" },
		{ 58, "ffff", E_FORMAT, "modulus of 65535 octets" },
		{ 60, "7f", E_POLICY, "rsa of 2047 bits" },
		{ 60, "00", E_POLICY, "rsa of 20" },
		{ 315, "02", E_POLICY, "even modulus" },
	};

	(void)state;
	assert_all_refused(true, &rsa.ek_public, bad, N_OF(bad));
}

static void
a_modulus_that_somebody_can_factor_is_refused(void **state)
{
	uint8_t copy[EK_RSA_LEN];

	(void)state;
	memcpy(copy, rsa.ek_public.p, sizeof(copy));
	memset(copy + 60, 0, 256);
	assert_read(true, (struct bytes){ copy, sizeof(copy) }, E_POLICY, "rsa of");
	/* 2^2048 - 1 is divisible by 3. */
	memset(copy + 60, 0xff, 256);
	assert_read(true, (struct bytes){ copy, sizeof(copy) }, E_POLICY, "rsa modulus has the factor 3");
}

static void
the_exponent_may_be_written_out(void **state)
{
	static const struct bad good[] = { { 54, "00010001", 0, "" } };

	(void)state;
	assert_all_refused(true, &rsa.ek_public, good, 1);
}

static void
a_bad_point_is_refused(void **state)
{
	static const struct bad bad[] = {
		{ 52, "0004", E_POLICY, "curve 0x0004: P-256 (0x0003) needed" },
		{ 52, "0010", E_POLICY, "curve 0x0010" },                     /* BN P-256 */
		{ 54, "0020", E_POLICY, "key derivation scheme 0x0020: none (0x0010) needed" },
		{ 56, "0000", E_FORMAT, "x of 0 octets: 32 needed" },
		{ 56, "001f", E_FORMAT, "x of 31 octets" },
		{ 56, "0021", E_FORMAT, "x of 33 octets" },
		{ 90, "001f", E_FORMAT, "y of 31 octets" },
		{ 90, "ffff", E_FORMAT, "y of 65535 octets" },
		{ 58, "0000000000000000000000000000000000000000000000000000000000000000", E_FORMAT, "its curve" },
		/* The field's prime: a coordinate that is not reduced. */
		{ 58, "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff", E_FORMAT, "its curve" },
	};
	uint8_t copy[EK_ECC_LEN];

	(void)state;
	assert_all_refused(true, &ecc.ek_public, bad, N_OF(bad));
	memcpy(copy, ecc.ek_public.p, sizeof(copy));
	copy[sizeof(copy) - 1] ^= 1;
	assert_read(true, (struct bytes){ copy, sizeof(copy) }, E_FORMAT, "not on its curve");
}

static void
a_storage_root_key_that_promises_less_is_refused(void **state)
{
	static const struct bad bad[] = {
		{ 2, "0008", E_POLICY, "algorithm 0x0008" },
		/* Not fixedTPM. */
		{ 6, "00030470", E_POLICY, "attributes 0x00030470: the default template's 0x00030072 needed" },
		{ 6, "00030462", E_POLICY, "attributes" },                    /* not fixedParent */
		{ 6, "00030452", E_POLICY, "attributes" },                    /* not made by the TPM */
		{ 6, "00030432", E_POLICY, "attributes" },                    /* not userWithAuth */
		{ 6, "00020472", E_POLICY, "attributes" },                    /* not restricted */
		{ 6, "00010472", E_POLICY, "attributes" },                    /* not decrypt */
		{ 6, "00070472", E_POLICY, "attributes" },                    /* signs too */
		{ 6, "00030476", E_POLICY, "attributes" },                    /* gone after a restart (stClear) */
		{ 6, "000304f2", E_POLICY, "attributes" },                    /* adminWithPolicy */
		{ 6, "000300b2", E_POLICY, "attributes" },                    /* an endorsement key's */
		{ 10, "0020", E_POLICY, "policy of 32 octets" },
		{ 16, "0044", E_POLICY, "symmetric mode 0x0044" },
	};
	static const struct bad without_noda[] = { { 6, "00030072", 0, "" } };

	(void)state;
	assert_all_refused(false, &rsa.srk_public, bad, N_OF(bad));
	assert_all_refused(false, &ecc.srk_public, bad, N_OF(bad));
	assert_all_refused(false, &rsa.srk_public, without_noda, 1);
}

/* Once with the length in front as it was, once with one that fits. */
static void
assert_refused_at_every_length(bool is_ek, const struct buf *good)
{
	uint8_t copy[TPM_PUBLIC_MAX + 1] = { 0 };

	memcpy(copy, good->p, good->n);
	for (size_t n = 0; n < sizeof(copy); n++) {
		if (n == good->n)
			continue;
		copy[0] = good->p[0];
		copy[1] = good->p[1];
		assert_read(is_ek, (struct bytes){ copy, n }, E_FORMAT, "");
		if (n < 2)
			continue;
		copy[0] = (uint8_t)((n - 2) >> 8);
		copy[1] = (uint8_t)(n - 2);
		assert_read(is_ek, (struct bytes){ copy, n }, E_FORMAT, n < good->n ? "cut off" : "");
	}
}

static void
a_key_cut_off_or_with_something_after_it_is_refused_at_every_length(void **state)
{
	(void)state;
	assert_refused_at_every_length(true, &rsa.ek_public);
	assert_refused_at_every_length(false, &rsa.srk_public);
	assert_refused_at_every_length(true, &ecc.ek_public);
	assert_refused_at_every_length(false, &ecc.srk_public);
}

static void
a_length_in_front_that_is_wrong_is_refused(void **state)
{
	static const struct bad bad[] = {
		{ 0, "0000", E_FORMAT, "TPM2B_PUBLIC says 0 octets and has 314" },
		{ 0, "0139", E_FORMAT, "says 313 octets" },
		{ 0, "013b", E_FORMAT, "says 315 octets" },
		{ 0, "ffff", E_FORMAT, "says 65535 octets" },
	};
	static const uint8_t large[TPM_PUBLIC_MAX + 1];

	(void)state;
	assert_all_refused(true, &rsa.ek_public, bad, N_OF(bad));
	assert_read(true, (struct bytes){ large, sizeof(large) }, E_FORMAT,
	    "TPM2B_PUBLIC of 513 octets: at most 512 are read");
	assert_read(true, (struct bytes){ NULL, 0 }, E_FORMAT, "cut off");
}

/* --- wrapping: the TPM's side, with OpenSSL's own key derivations --- */

enum { CREDENTIAL, EK_SECRET, PRIVATE, SRK_SEED, PUBLIC, REST, PARTS };

/* What stands behind a length of two octets. */
static struct bytes
take_sized(struct bytes *rest)
{
	size_t n;
	struct bytes out;

	assert_true(rest->n >= 2);
	n = (size_t)rest->p[0] << 8 | rest->p[1];
	out = bytes_slice(*rest, 2, n);
	assert_int_equal(out.n, n);
	*rest = bytes_slice(*rest, 2 + n, rest->n);
	return out;
}

static void
split(struct bytes part[PARTS], struct bytes blob)
{
	for (int i = 0; i < PARTS; i++)
		part[i] = take_sized(&blob);
	assert_int_equal(blob.n, 0);
}

static void
derive(uint8_t *out, size_t n, const char *kdf_name, const OSSL_PARAM *params)
{
	AUTO_OSSL(EVP_KDF) kdf = EVP_KDF_fetch(NULL, kdf_name, NULL);
	AUTO_OSSL(EVP_KDF_CTX) ctx = EVP_KDF_CTX_new(kdf);

	assert_non_null(ctx);
	assert_int_equal(EVP_KDF_derive(ctx, out, n, params), 1);
}

static OSSL_PARAM
octets(const char *name, struct bytes b)
{
	return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)b.p, b.n);
}

/* KDFa is SP 800-108's counter mode, whose zero octet after the label is the TPM's NUL. */
static void
kdfa(uint8_t *out, size_t n, const uint8_t seed[32], const char *label, struct bytes context)
{
	char mac[] = "HMAC", digest[] = "SHA2-256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MAC, mac, 0),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		octets(OSSL_KDF_PARAM_KEY, (struct bytes){ seed, 32 }),
		octets(OSSL_KDF_PARAM_SALT, bytes_of(label)),
		context.n != 0 ? octets(OSSL_KDF_PARAM_INFO, context) : OSSL_PARAM_construct_end(),
		OSSL_PARAM_construct_end(),
	};

	derive(out, n, "KBKDF", params);
}

/* KDFe is SP 800-56C's one-step derivation. */
static void
kdfe(uint8_t out[32], const uint8_t z[32], const char *label, const uint8_t *our_x, const uint8_t *their_x)
{
	AUTO_BUF info = { 0 };
	char digest[] = "SHA2-256";

	buf_put(&info, label, strlen(label) + 1);
	buf_put(&info, our_x, 32);
	buf_put(&info, their_x, 32);
	derive(out, 32, "SSKDF", (OSSL_PARAM[]){
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		octets(OSSL_KDF_PARAM_KEY, (struct bytes){ z, 32 }),
		octets(OSSL_KDF_PARAM_INFO, bytes_of_buf(&info)),
		OSSL_PARAM_construct_end(),
	});
}

static void
open_rsa_seed(uint8_t seed[32], const struct key *k, const char *label, struct bytes sealed)
{
	AUTO_OSSL(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key_evp(k), NULL);
	uint8_t plain[256];
	size_t n = sizeof(plain);

	assert_int_equal(EVP_PKEY_decrypt_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()), 1);
	assert_int_equal(EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, OPENSSL_memdup(label, strlen(label) + 1),
	    (int)strlen(label) + 1), 1);
	assert_int_equal(EVP_PKEY_decrypt(ctx, plain, &n, sealed.p, sealed.n), 1);
	assert_int_equal(n, 32);
	memcpy(seed, plain, n);
}

static void
open_ecc_seed(uint8_t seed[32], const struct key *k, const char *label, struct bytes sealed)
{
	AUTO_OSSL(EVP_PKEY) ours = EVP_PKEY_new();
	AUTO_OSSL(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key_evp(k), NULL);
	struct bytes x = take_sized(&sealed), y = take_sized(&sealed);
	uint8_t point[65] = { 4 }, z[32];
	size_t n = sizeof(z);

	assert_int_equal(sealed.n, 0);
	assert_int_equal(x.n, 32);
	assert_int_equal(y.n, 32);
	memcpy(point + 1, x.p, 32);
	memcpy(point + 33, y.p, 32);
	assert_int_equal(EVP_PKEY_copy_parameters(ours, key_evp(k)), 1);
	assert_int_equal(EVP_PKEY_set1_encoded_public_key(ours, point, sizeof(point)), 1);
	assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
	assert_int_equal(EVP_PKEY_derive_set_peer(ctx, ours), 1);
	assert_int_equal(EVP_PKEY_derive(ctx, z, &n), 1);
	kdfe(seed, z, label, x.p, key_bits(key_spki(k)).p + 1);
}

static void
open_seed(uint8_t seed[32], const struct key *k, const char *label, struct bytes sealed)
{
	if (key_get_type(k) == KEY_RSA_2048)
		open_rsa_seed(seed, k, label, sealed);
	else
		open_ecc_seed(seed, k, label, sealed);
}

static void
decrypt_cfb(struct buf *out, const uint8_t key[16], struct bytes in)
{
	static const uint8_t iv[16];
	AUTO_OSSL(EVP_CIPHER_CTX) ctx = EVP_CIPHER_CTX_new();
	uint8_t plain[512];
	int n = 0;

	assert_true(in.n <= sizeof(plain));
	assert_int_equal(EVP_DecryptInit_ex(ctx, EVP_aes_128_cfb128(), NULL, key, iv), 1);
	assert_int_equal(EVP_DecryptUpdate(ctx, plain, &n, in.p, (int)in.n), 1);
	buf_put(out, plain, (size_t)n);
}

/* Integrity before anything is decrypted, as a TPM does it. */
static void
open_protected(struct buf *out, const uint8_t seed[32], struct bytes name, struct bytes in)
{
	AUTO_BUF covered = { 0 };
	struct bytes mac = take_sized(&in);
	uint8_t key[16], mac_key[32], want[32];

	kdfa(key, sizeof(key), seed, "STORAGE", name);
	kdfa(mac_key, sizeof(mac_key), seed, "INTEGRITY", (struct bytes){ 0 });
	buf_put_bytes(&covered, in);
	buf_put_bytes(&covered, name);
	hmac_sha256(want, (struct bytes){ mac_key, sizeof(mac_key) }, bytes_of_buf(&covered));
	assert_true(bytes_equal(mac, (struct bytes){ want, sizeof(want) }));
	decrypt_cfb(out, key, in);
}

/* What is below the inner wrapper: TPM2B_SENSITIVE, of the object with this public area. */
static void
assert_sensitive(struct bytes in, struct bytes name, struct bytes public, struct bytes secret)
{
	struct bytes integrity = take_sized(&in), sensitive2b = in, sensitive = take_sized(&in), seed;
	uint8_t digest[32];

	assert_int_equal(in.n, 0);
	sha256_two(digest, sensitive2b, name);
	assert_true(bytes_equal(integrity, (struct bytes){ digest, sizeof(digest) }));
	assert_memory_equal(sensitive.p, "\x00\x08", 2);
	sensitive = bytes_slice(sensitive, 2, sensitive.n);
	assert_int_equal(take_sized(&sensitive).n, 0);  /* authValue */
	seed = take_sized(&sensitive);
	assert_int_equal(seed.n, 32);
	assert_true(bytes_equal(take_sized(&sensitive), secret));
	assert_int_equal(sensitive.n, 0);
	sha256_two(digest, seed, secret);
	assert_int_equal(public.n, 48);
	assert_memory_equal(public.p, "\x00\x08\x00\x0b\x00\x04\x04\x40\x00\x00\x00\x05\x00\x0b\x00\x20", 16);
	assert_memory_equal(public.p + 16, digest, sizeof(digest));
}

static void
assert_opens(const struct pair *ek_of, const struct pair *srk_of, struct bytes secret)
{
	AUTO_BUF blob = { 0 };
	AUTO_BUF credential = { 0 };
	AUTO_BUF outer = { 0 };
	AUTO_BUF inner = { 0 };
	struct tpm_ek ek;
	struct tpm_srk srk;
	struct bytes part[PARTS], key;
	uint8_t seed[32], name[TPM_NAME_LEN] = { 0x00, 0x0b };

	assert_int_equal(tpm_ek_read(&ek, bytes_of_buf(&ek_of->ek_public), NULL), 0);
	assert_int_equal(tpm_srk_read(&srk, bytes_of_buf(&srk_of->srk_public), NULL), 0);
	assert_int_equal(tpm_wrap(&blob, &ek, &srk, secret, NULL), 0);
	assert_true(blob.n <= TPM_BLOB_MAX);
	split(part, bytes_of_buf(&blob));

	open_seed(seed, ek_of->ek, "IDENTITY", part[EK_SECRET]);
	open_protected(&credential, seed, (struct bytes){ srk.key.name, TPM_NAME_LEN }, part[CREDENTIAL]);
	key = bytes_of_buf(&credential);
	key = take_sized(&key);
	assert_int_equal(key.n, 16);

	sha256(name + 2, part[PUBLIC]);
	open_seed(seed, srk_of->srk, "DUPLICATE", part[SRK_SEED]);
	open_protected(&outer, seed, (struct bytes){ name, TPM_NAME_LEN }, part[PRIVATE]);
	decrypt_cfb(&inner, key.p, bytes_of_buf(&outer));
	assert_sensitive(bytes_of_buf(&inner), (struct bytes){ name, TPM_NAME_LEN }, part[PUBLIC], secret);
	assert_int_equal(part[REST].n, 0);
}

static void
what_was_wrapped_is_opened_by_both_private_keys(void **state)
{
	static const uint8_t secret[TPM_SECRET_MAX] = "sixteen octets, or more, of a key that a TPM shall have alone..";

	(void)state;
	assert_opens(&rsa, &rsa, (struct bytes){ secret, 32 });
	assert_opens(&ecc, &ecc, (struct bytes){ secret, TPM_SECRET_MIN });
	assert_opens(&rsa, &ecc, (struct bytes){ secret, TPM_SECRET_MAX });
	assert_opens(&ecc, &rsa, (struct bytes){ secret, 48 });
}

static void
read_rsa(struct tpm_ek *ek, struct tpm_srk *srk)
{
	assert_int_equal(tpm_ek_read(ek, bytes_of_buf(&rsa.ek_public), NULL), 0);
	assert_int_equal(tpm_srk_read(srk, bytes_of_buf(&rsa.srk_public), NULL), 0);
}

static void
no_two_answers_have_a_part_in_common(void **state)
{
	static const uint8_t secret[32];
	AUTO_BUF one = { 0 };
	AUTO_BUF two = { 0 };
	struct bytes a[PARTS], b[PARTS];
	struct tpm_ek ek;
	struct tpm_srk srk;

	(void)state;
	read_rsa(&ek, &srk);
	assert_int_equal(tpm_wrap(&one, &ek, &srk, (struct bytes){ secret, 32 }, NULL), 0);
	assert_int_equal(tpm_wrap(&two, &ek, &srk, (struct bytes){ secret, 32 }, NULL), 0);
	split(a, bytes_of_buf(&one));
	split(b, bytes_of_buf(&two));
	for (int i = 0; i < REST; i++)
		assert_false(bytes_equal(a[i], b[i]));
}

static void
a_secret_of_another_length_is_not_wrapped(void **state)
{
	static const size_t lengths[] = { 0, 1, TPM_SECRET_MIN - 1, TPM_SECRET_MAX + 1, 4096 };
	static const uint8_t secret[4096];
	AUTO_BUF out = { 0 };
	struct err e = { 0 };
	struct tpm_ek ek;
	struct tpm_srk srk;

	(void)state;
	read_rsa(&ek, &srk);
	buf_put_str(&out, "before");
	for (size_t i = 0; i < N_OF(lengths); i++) {
		assert_int_equal(tpm_wrap(&out, &ek, &srk, (struct bytes){ secret, lengths[i] }, &e), E_POLICY);
		assert_non_null(strstr(e.msg, "octets: 16 to 64 needed"));
	}
	assert_string_equal(buf_str(&out), "before");
}

static void
a_key_that_nobody_read_gets_nothing(void **state)
{
	static const uint8_t secret[32];
	AUTO_BUF out = { 0 };
	struct err e = { 0 };
	struct tpm_ek ek;
	struct tpm_srk srk;

	(void)state;
	read_rsa(&ek, &srk);
	buf_put_str(&out, "before");
	srk = (struct tpm_srk){ 0 };
	assert_int_equal(tpm_wrap(&out, &ek, &srk, (struct bytes){ secret, 32 }, &e), E_POLICY);
	assert_string_equal(e.msg, "tpm: key: none: RSA needed");
	assert_string_equal(buf_str(&out), "before");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_by_the_default_templates_are_read),
		cmocka_unit_test(a_name_is_the_one_that_the_tpm_gives),
		cmocka_unit_test(an_endorsement_key_of_another_kind_is_refused),
		cmocka_unit_test(a_bad_rsa_key_is_refused),
		cmocka_unit_test(a_modulus_that_somebody_can_factor_is_refused),
		cmocka_unit_test(the_exponent_may_be_written_out),
		cmocka_unit_test(a_bad_point_is_refused),
		cmocka_unit_test(a_storage_root_key_that_promises_less_is_refused),
		cmocka_unit_test(a_key_cut_off_or_with_something_after_it_is_refused_at_every_length),
		cmocka_unit_test(a_length_in_front_that_is_wrong_is_refused),
		cmocka_unit_test(what_was_wrapped_is_opened_by_both_private_keys),
		cmocka_unit_test(no_two_answers_have_a_part_in_common),
		cmocka_unit_test(a_secret_of_another_length_is_not_wrapped),
		cmocka_unit_test(a_key_that_nobody_read_gets_nothing),
	};

	return cmocka_run_group_tests(tests, make_pairs, free_pairs);
}
