/* SPDX-License-Identifier: Apache-2.0 */
/* pki/cert.h - certificates as values: what one says, and how one of ours is written (RFC 5280) */
#ifndef CORE_PKI_CERT_H
#define CORE_PKI_CERT_H

#include "core/pki/key.h"
#include "core/pki/name.h"

#define CERT_MAX        ((size_t)16 * 1024)
#define CERT_SERIAL_MAX 20
#define CERT_EKU_MAX    16

/*
 * <openssl/x509v3.h> has macros of these names with other values.  Included before
 * this header they give way; a file that includes it after must not use KU_*.
 */
#undef KU_DIGITAL_SIGNATURE
#undef KU_NON_REPUDIATION
#undef KU_KEY_ENCIPHERMENT
#undef KU_DATA_ENCIPHERMENT
#undef KU_KEY_AGREEMENT
#undef KU_KEY_CERT_SIGN
#undef KU_CRL_SIGN

/* KeyUsage bits (RFC 5280 4.2.1.3). */
enum {
	KU_DIGITAL_SIGNATURE = 1u << 0, KU_NON_REPUDIATION = 1u << 1, KU_KEY_ENCIPHERMENT = 1u << 2,
	KU_DATA_ENCIPHERMENT = 1u << 3, KU_KEY_AGREEMENT = 1u << 4, KU_KEY_CERT_SIGN = 1u << 5,
	KU_CRL_SIGN = 1u << 6,
};

/* A parsed certificate; the struct bytes borrow the DER that was given. */
struct cert {
	struct bytes der, tbs, issuer, subject_der, spki, sig;
	enum oid sig_alg;
	struct bytes serial;             /* INTEGER contents */
	int64_t not_before, not_after;   /* INT64_MAX for 99991231235959Z */
	bool subject_known;              /* subject parsed into `subject` by name_parse() */
	bool has_san, sans_known;
	bool has_bc, ca;
	int pathlen;                     /* -1: none */
	bool has_ku;
	uint32_t ku;
	bool has_eku;
	size_t n_eku;
	enum oid eku[CERT_EKU_MAX];
	struct bytes ski, aki;           /* key identifiers, n 0 when absent */
	bool unknown_critical;
	enum key_type key_type;          /* KEY_NONE when we would not take such a key */
	uint8_t sha256[SHA256_LEN], spki_sha256[SHA256_LEN];
	/* Large, so last: only what their counts say is ever written. */
	struct name subject;
	struct sans sans;
};

/*
 * Parse one DER certificate, nothing after it.  Names that name_parse() refuses leave subject_known false; the rest must be
 * right.  E_FORMAT, E_TOOBIG.
 */
int cert_parse(struct cert *out, struct bytes der, struct err *e) MUST_CHECK;
/* The same without the two digests, which stay zero. */
int cert_read(struct cert *out, struct bytes der, struct err *e) MUST_CHECK;
/* One of X.509 version 1: the same rules, and neither version nor extensions.  It is nobody's identity: it shows that a key signed it. */
int cert_read_v1(struct cert *out, struct bytes der, struct err *e) MUST_CHECK;
bool cert_has_eku(const struct cert *c, enum oid eku);
/* Why this certificate does not identify a TLS client, in words; NULL: it does.  Stricter than OpenSSL: no CA, digitalSignature. */
const char *cert_unfit_as_client(const struct cert *c);
/* "0a1b2c" of the serial, lower case, at most 40 digits. */
const char *cert_serial_text(struct bytes serial, char out[2 * CERT_SERIAL_MAX + 1]);

/* What one of our certificates says; the writer adds nothing of its own. */
struct cert_want {
	struct bytes serial;             /* positive, at most 20 octets, big-endian */
	struct bytes issuer;             /* Name TLV, byte for byte the CA's subject */
	struct bytes subject;            /* Name TLV */
	struct bytes san;                /* GeneralNames TLV, n 0: none; critical when the subject is empty */
	struct bytes spki;
	int64_t not_before, not_after;
	bool ca;
	int pathlen;                     /* with ca; -1: none */
	uint32_t ku;                     /* critical; 0: none */
	size_t n_eku;
	const enum oid *eku;
	struct bytes aki;                /* issuer's key identifier */
	const char *crl_url, *aia_url;   /* NULL: none */
	const char *ocsp_url;            /* NULL: none */
	enum oid sig_alg;                /* of the issuer's key */
};

/* Append the TBSCertificate: v3, SKI by SHA-1 of the key bits, extensions in a fixed order. */
void cert_build_tbs(struct buf *out, const struct cert_want *w);
/* Append SEQUENCE { tbs, algorithm, signature }: a certificate or a CRL. */
void cert_assemble(struct buf *out, struct bytes tbs, enum oid sig_alg, struct bytes sig);

/* One entry of a CRL; reason 0 leaves the reason code out (RFC 5280 5.3.1). */
struct crl_entry {
	uint8_t serial[CERT_SERIAL_MAX];
	size_t serial_n;
	int64_t revoked_at;
	int reason;
};
/* Append a TBSCertList v2 with cRLNumber and AKI; no entries: no revokedCertificates field. */
void crl_build_tbs(struct buf *out, struct bytes issuer, struct bytes aki, enum oid sig_alg,
    int64_t this_update, int64_t next_update, uint64_t number, const struct crl_entry *entries, size_t n);
/* The cRLNumber of a whole CRL of such a form, below 2^63; nothing else in it is judged.  E_FORMAT. */
int crl_read_number(uint64_t *out, struct bytes der, struct err *e) MUST_CHECK;

/* certs-only SignedData as RFC 7030 4.1.3 / RFC 5272 4.1: strict DER, no eContent, no crls field, certificates in SET OF order. */
void cms_certs_only(struct buf *out, const struct bytes *certs, size_t n);
/* The same in the order given, for clients that take the first for theirs; with more than one it is BER, no longer DER. */
void cms_certs_in_order(struct buf *out, const struct bytes *certs, size_t n);
/* The certificates of such a SignedData, in the order found; BER is not taken.  *n of at most max; they borrow der. */
int cms_parse_certs(struct bytes *certs, size_t *n, size_t max, struct bytes der, struct err *e) MUST_CHECK;

/* PEM (RFC 7468): each block of `label` decoded and appended to out, its start and length in parts.  E_FORMAT when there is none. */
int pem_decode_all(struct buf *out, struct bytes *parts, size_t *n, size_t max, struct bytes text,
    const char *label, struct err *e) MUST_CHECK;
int pem_decode(struct buf *out, struct bytes text, const char *label, struct err *e) MUST_CHECK; /* exactly the first */
void pem_encode(struct buf *out, struct bytes der, const char *label);

#endif
