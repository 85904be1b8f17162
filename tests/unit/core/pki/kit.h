/* SPDX-License-Identifier: Apache-2.0 */
/* kit.h - real keys and certificates for the tests of core/pki and server/ca */
#ifndef TESTS_KIT_H
#define TESTS_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/x509v3.h>

#include "core/pki/cert.h"
#include "core/pki/ossl.h"

#define T0   INT64_C(1800000000) /* 2027-01-15: "now" in the tests */
#define HOUR INT64_C(3600)
#define DAYS INT64_C(86400)

/* What a test wants of a certificate; the rest is usual. */
struct recipe {
	const char *subject;
	bool ca;
	int pathlen;                 /* with ca */
	uint32_t ku;
	size_t n_eku;
	enum oid eku[2];
	int64_t from, to;
};

/* A certificate with its key. */
struct made {
	struct key *key;
	struct buf subject, der;
	uint8_t ski[20];
};

static inline struct bytes
kit_der(const struct made *m)
{
	return bytes_of_buf(&m->der);
}

static inline void
made_free(struct made *m)
{
	key_free(m->key);
	buf_free(&m->subject);
	buf_free(&m->der);
	*m = (struct made){ 0 };
}

/* Sign a TBS by a key and put the whole into out. */
static inline void
kit_sign(struct buf *out, const struct buf *tbs, const struct key *key)
{
	AUTO_BUF sig = { 0 };
	struct err e = { 0 };

	if (key_sign(&sig, key, bytes_of_buf(tbs), &e) != 0)
		fail_msg("%s", e.msg);
	cert_assemble(out, bytes_of_buf(tbs), key_sig_alg(key_get_type(key)), bytes_of_buf(&sig));
}

static inline struct cert_want
kit_want(const struct made *m, const struct recipe *r, const struct made *issuer)
{
	static const uint8_t serial[] = { 0x0a, 0x1b, 0x2c };

	return (struct cert_want){
		.serial = { serial, sizeof(serial) },
		.issuer = bytes_of_buf(&issuer->subject), .subject = bytes_of_buf(&m->subject),
		.spki = key_spki(m->key), .not_before = r->from, .not_after = r->to,
		.ca = r->ca, .pathlen = r->pathlen, .ku = r->ku, .n_eku = r->n_eku, .eku = r->eku,
		.aki = { issuer->ski, sizeof(issuer->ski) },
		.sig_alg = key_sig_alg(key_get_type(issuer->key)),
	};
}

/* issuer NULL: self-signed. */
static inline void
kit_make(struct made *m, const struct recipe *r, const struct made *issuer)
{
	AUTO_BUF tbs = { 0 };
	struct cert_want w;
	struct name n;

	*m = (struct made){ 0 };
	assert_int_equal(key_generate(&m->key, KEY_EC_P256, NULL), 0);
	assert_int_equal(name_from_text(&n, r->subject, NULL), 0);
	name_encode(&m->subject, &n);
	sha1(m->ski, key_bits(key_spki(m->key)));
	if (issuer == NULL)
		issuer = m;
	w = kit_want(m, r, issuer);
	cert_build_tbs(&tbs, &w);
	kit_sign(&m->der, &tbs, issuer->key);
}

static inline X509 *
kit_x509(struct bytes der)
{
	const unsigned char *p = der.p;
	X509 *x = d2i_X509(NULL, &p, (long)der.n);

	assert_non_null(x);
	assert_ptr_equal(p, der.p + der.n);
	return x;
}

/* Where a run of octets stands in another. */
static inline bool
kit_has(struct bytes hay, const char *needle, size_t n)
{
	return memmem(hay.p, hay.n, needle, n) != NULL;
}
#define KIT_HAS(hay, literal) kit_has(hay, literal, sizeof(literal) - 1)

static const struct recipe kit_root = {
	.subject = "CN=Root", .ca = true, .pathlen = -1, .ku = KU_KEY_CERT_SIGN | KU_CRL_SIGN,
	.from = T0 - 10 * DAYS, .to = T0 + 100 * DAYS,
};
static const struct recipe kit_issuing = {
	.subject = "CN=Issuing", .ca = true, .pathlen = 0, .ku = KU_KEY_CERT_SIGN | KU_CRL_SIGN,
	.from = T0 - 5 * DAYS, .to = T0 + 50 * DAYS,
};
static const struct recipe kit_device = {
	.subject = "CN=pump-7", .ku = KU_DIGITAL_SIGNATURE, .n_eku = 1, .eku = { OID_CLIENT_AUTH },
	.from = T0 - HOUR, .to = T0 + 10 * DAYS,
};

#endif
