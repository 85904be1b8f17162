/* SPDX-License-Identifier: Apache-2.0 */
/* pki/digest.c - SHA-2, SHA-1 for key identifiers, HMAC; algorithms fetched once a process */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <stdlib.h>

#include "core/pki/key.h"
#include "core/pki/ossl.h"

AUTO_DEFINE_OSSL(EVP_MAC_CTX, EVP_MAC_CTX_free)

/*
 * OpenSSL 3.0 looks an algorithm up under a lock each time it is named, which
 * costs as much as hashing a kilobyte.  A role has one thread, so one
 * fetched method and one context a digest serve the whole process.
 */
struct digest {
	const char *name;
	EVP_MD *md;
	EVP_MD_CTX *ctx;
};

static struct digest sha2_256 = { .name = "SHA2-256" };

/* A digest that does not work leaves nothing to be sure of. */
static void
must(int ok)
{
	if (ok != 1)
		abort();
}

static void
hash(struct digest *d, uint8_t *out, struct bytes a, struct bytes b)
{
	if (d->md == NULL) {
		d->md = EVP_MD_fetch(NULL, d->name, NULL);
		d->ctx = EVP_MD_CTX_new();
		must(d->md != NULL && d->ctx != NULL);
	}
	must(EVP_DigestInit_ex2(d->ctx, d->md, NULL));
	must(EVP_DigestUpdate(d->ctx, a.p, a.n));
	must(EVP_DigestUpdate(d->ctx, b.p, b.n));
	must(EVP_DigestFinal_ex(d->ctx, out, NULL));
}

void
sha256_two(uint8_t out[SHA256_LEN], struct bytes a, struct bytes b)
{
	hash(&sha2_256, out, a, b);
}

void
sha256(uint8_t out[SHA256_LEN], struct bytes data)
{
	sha256_two(out, data, (struct bytes){ 0 });
}

void
sha1(uint8_t out[20], struct bytes data)
{
	static struct digest d = { .name = "SHA1" };

	hash(&d, out, data, (struct bytes){ 0 });
}

/* The digest of a signature algorithm; NULL when it has none. */
static struct digest *
find_digest(enum oid sig_alg)
{
	static struct digest sha2_384 = { .name = "SHA2-384" }, sha2_512 = { .name = "SHA2-512" };

	switch (sig_alg) {
	case OID_ECDSA_SHA256:
	case OID_RSA_SHA256:
		return &sha2_256;
	case OID_ECDSA_SHA384:
	case OID_RSA_SHA384:
		return &sha2_384;
	case OID_ECDSA_SHA512:
	case OID_RSA_SHA512:
		return &sha2_512;
	default:
		return NULL;
	}
}

const char *
digest_name(enum oid sig_alg)
{
	const struct digest *d = find_digest(sig_alg);

	return d != NULL ? d->name : NULL;
}

size_t
digest_for(uint8_t out[DIGEST_MAX], enum oid sig_alg, struct bytes data)
{
	struct digest *d = find_digest(sig_alg);

	must(d != NULL);
	hash(d, out, data, (struct bytes){ 0 });
	return (size_t)EVP_MD_get_size(d->md);
}

void
hmac_sha256(uint8_t out[SHA256_LEN], struct bytes key, struct bytes data)
{
	static EVP_MAC *mac;
	AUTO_OSSL(EVP_MAC_CTX) ctx = NULL;
	char digest[] = "SHA2-256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	size_t n = 0;

	if (mac == NULL)
		mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	ctx = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
	must(ctx != NULL);
	/* A NULL key would mean "the one before". */
	must(EVP_MAC_init(ctx, key.n != 0 ? key.p : (const uint8_t *)"", key.n, params));
	must(EVP_MAC_update(ctx, data.p, data.n));
	must(EVP_MAC_final(ctx, out, &n, SHA256_LEN));
	must(n == SHA256_LEN);
}
