/* SPDX-License-Identifier: Apache-2.0 */
/* provider/padding.c - DigestInfo and EMSA-PSS */
#include "device/provider/padding.h"

#include <openssl/evp.h>

#include <string.h>

#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "core/pki/der.h"
#include "core/pki/ossl.h"

#define TRAILER 0xbc

/* id-mgf1 (RFC 8017 A.2.1): 1.2.840.113549.1.1.8 */
static const uint8_t id_mgf1[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08 };

enum oid
padding_digest_oid(const EVP_MD *md)
{
	if (md == NULL)
		return OID_UNKNOWN;
	if (EVP_MD_is_a(md, "SHA2-256"))
		return OID_SHA256;
	if (EVP_MD_is_a(md, "SHA2-384"))
		return OID_SHA384;
	return EVP_MD_is_a(md, "SHA2-512") ? OID_SHA512 : OID_UNKNOWN;
}

void
padding_put_digest(struct buf *out, enum oid digest)
{
	size_t mark = der_begin(out, DER_SEQUENCE);

	der_put_oid(out, oid_contents(digest));
	der_put_null(out);
	der_finish(out, mark);
}

void
padding_digest_info(struct buf *out, enum oid digest, struct bytes hash)
{
	size_t mark = der_begin(out, DER_SEQUENCE);

	padding_put_digest(out, digest);
	der_put(out, DER_OCTET_STRING, hash);
	der_finish(out, mark);
}

void
padding_put_pss(struct buf *out, enum oid digest, enum oid mgf1, size_t salt_len)
{
	size_t all = der_begin(out, DER_SEQUENCE), params, part, alg;

	der_put_oid(out, oid_contents(OID_RSA_PSS));
	params = der_begin(out, DER_SEQUENCE);
	part = der_begin(out, DER_CONTEXT_CONS(0));
	padding_put_digest(out, digest);
	der_finish(out, part);
	part = der_begin(out, DER_CONTEXT_CONS(1));
	alg = der_begin(out, DER_SEQUENCE);
	der_put_oid(out, (struct bytes){ id_mgf1, sizeof(id_mgf1) });
	padding_put_digest(out, mgf1);
	der_finish(out, alg);
	der_finish(out, part);
	/* DER leaves out what is the default, 20. */
	if (salt_len != 20) {
		part = der_begin(out, DER_CONTEXT_CONS(2));
		der_put_int(out, (int64_t)salt_len);
		der_finish(out, part);
	}
	der_finish(out, params);
	der_finish(out, all);
}

/* Hash of the parts in order. */
static int
hash_parts(uint8_t out[EVP_MAX_MD_SIZE], const EVP_MD *md, const struct bytes *parts, size_t n, struct err *e)
{
	AUTO_OSSL(EVP_MD_CTX) c = EVP_MD_CTX_new();
	int ok = c != NULL && EVP_DigestInit_ex2(c, md, NULL) == 1;

	for (size_t i = 0; ok && i < n; i++)
		ok = EVP_DigestUpdate(c, parts[i].p, parts[i].n) == 1;
	if (!ok || EVP_DigestFinal_ex(c, out, NULL) != 1)
		return err_ossl(e, E_CRYPTO, "keyd: pss: digest");
	return 0;
}

/* RFC 8017 B.2.1: XOR the mask that grows from seed into db. */
static int
apply_mgf1(uint8_t *db, size_t n, const EVP_MD *md, struct bytes seed, struct err *e)
{
	uint8_t mask[EVP_MAX_MD_SIZE];
	size_t step = (size_t)EVP_MD_get_size(md);

	for (size_t at = 0; at < n; at += step) {
		size_t i = at / step;
		uint8_t counter[4] = { (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };
		struct bytes parts[] = { seed, { counter, sizeof(counter) } };
		int r = hash_parts(mask, md, parts, N_OF(parts), e);

		if (r != 0)
			return r;
		for (size_t j = 0; j < step && at + j < n; j++)
			db[at + j] ^= mask[j];
	}
	return 0;
}

int
padding_pss(struct buf *out, const EVP_MD *md, const EVP_MD *mgf1, size_t modulus_len, size_t salt_len,
    struct bytes hash, struct err *e)
{
	static const uint8_t zeros[8];
	uint8_t em[PADDING_MODULUS_MAX] = { 0 }, h[EVP_MAX_MD_SIZE];
	size_t db_len = modulus_len - hash.n - 1;
	uint8_t *salt;
	int r;

	if (modulus_len > sizeof(em) || hash.n != (size_t)EVP_MD_get_size(md))
		return err_set(e, E_USAGE, "keyd: pss: digest of %zu octets", hash.n);
	if (salt_len > modulus_len || hash.n + salt_len + 2 > modulus_len)
		return err_set(e, E_USAGE, "keyd: pss: salt of %zu octets too long for the key", salt_len);
	/* DB = PS || 01 || salt */
	salt = em + db_len - salt_len;
	salt[-1] = 1;
	rnd_bytes(salt, salt_len);
	struct bytes parts[] = { { zeros, sizeof(zeros) }, hash, { salt, salt_len } };
	r = hash_parts(h, md, parts, N_OF(parts), e);
	if (r == 0)
		r = apply_mgf1(em, db_len, mgf1, (struct bytes){ h, hash.n }, e);
	if (r != 0)
		return r;
	em[0] &= 0x7f; /* emBits is one less than the modulus has */
	memcpy(em + db_len, h, hash.n);
	em[modulus_len - 1] = TRAILER;
	buf_put(out, em, modulus_len);
	return 0;
}
