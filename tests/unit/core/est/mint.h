/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/core/est/mint.h - certificates made on the spot, right or wrong as a test wants them */
#ifndef TESTS_EST_MINT_H
#define TESTS_EST_MINT_H

#include <stdlib.h>

#include "core/base/rnd.h"
#include "core/pki/cert.h"

#define MINT_FROM ((int64_t)1600000000)  /* 2020 */
#define MINT_NOW  ((int64_t)1750000000)  /* 2025 */
#define MINT_TO   ((int64_t)4000000000)  /* 2096 */

/* A certificate with the key it is for. */
struct minted {
	struct key *key;
	struct buf der;
};

struct mint {
	const char *cn;                /* NULL: empty subject */
	const char *san;               /* "dns:x" */
	bool ca, last;                 /* last: no CA below it */
	enum oid eku, more_eku;        /* OID_UNKNOWN: none */
	int64_t from, to;              /* 0: MINT_FROM, MINT_TO */
	const struct key *key;         /* NULL: a new one; else for this (borrowed) key */
	const struct minted *issuer;   /* NULL: self-signed */
};

static inline void
mint_must(int rc)
{
	if (rc != 0)
		abort();
}

static inline struct bytes
mint_der(const struct minted *m)
{
	return bytes_of_buf(&m->der);
}

static inline void
mint_free(struct minted *m)
{
	key_free(m->key);
	m->key = NULL;
	buf_free(&m->der);
}

static inline struct minted
mint(const struct mint *p)
{
	struct minted out = { 0 };
	AUTO_BUF subject = { 0 };
	AUTO_BUF san = { 0 };
	AUTO_BUF tbs = { 0 };
	AUTO_BUF sig = { 0 };
	struct name name = { 0 };
	struct sans sans = { 0 };
	uint8_t serial[16];
	const struct key *key = p->key, *signer;
	const enum oid eku[] = { p->eku, p->more_eku };
	struct cert issuer;
	struct cert_want w = { .ca = p->ca, .pathlen = p->last ? 0 : -1, .not_before = p->from != 0 ? p->from : MINT_FROM,
		.not_after = p->to != 0 ? p->to : MINT_TO };

	if (key == NULL) {
		mint_must(key_generate(&out.key, KEY_EC_P256, NULL));
		key = out.key;
	}
	if (p->cn != NULL)
		mint_must(name_add(&name, OID_CN, p->cn, NULL));
	name_encode(&subject, &name);
	if (p->san != NULL) {
		mint_must(sans_add_text(&sans, p->san, NULL));
		sans_encode(&san, &sans);
	}
	rnd_bytes(serial, sizeof(serial));
	serial[0] = (serial[0] & 0x7f) | 0x40;
	w.serial = (struct bytes){ serial, sizeof(serial) };
	w.subject = w.issuer = bytes_of_buf(&subject);
	w.san = bytes_of_buf(&san);
	w.spki = key_spki(key);
	w.ku = p->ca ? KU_KEY_CERT_SIGN | KU_CRL_SIGN : KU_DIGITAL_SIGNATURE;
	w.n_eku = (size_t)(p->eku != OID_UNKNOWN) + (size_t)(p->more_eku != OID_UNKNOWN);
	w.eku = eku;
	signer = key;
	if (p->issuer != NULL) {
		mint_must(cert_parse(&issuer, mint_der(p->issuer), NULL));
		w.issuer = issuer.subject_der;
		w.aki = issuer.ski;
		signer = p->issuer->key;
	}
	w.sig_alg = key_sig_alg(key_get_type(signer));
	cert_build_tbs(&tbs, &w);
	mint_must(key_sign(&sig, signer, bytes_of_buf(&tbs), NULL));
	cert_assemble(&out.der, bytes_of_buf(&tbs), w.sig_alg, bytes_of_buf(&sig));
	return out;
}

/* PEM of some certificates, one after the other. */
static inline void
mint_pem(struct buf *out, const struct minted *a, const struct minted *b)
{
	pem_encode(out, mint_der(a), "CERTIFICATE");
	if (b != NULL)
		pem_encode(out, mint_der(b), "CERTIFICATE");
}

#endif
