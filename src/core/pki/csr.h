/* SPDX-License-Identifier: Apache-2.0 */
/* pki/csr.h - a PKCS#10 request whose sender has proved it holds the key (RFC 2986) */
#ifndef CORE_PKI_CSR_H
#define CORE_PKI_CSR_H

#include "core/pki/key.h"
#include "core/pki/name.h"

#define CSR_MAX ((size_t)16 * 1024) /* octets of DER we are willing to look at */
#define CSR_CHALLENGE_MAX 256       /* octets of a challengePassword, NUL included */
#define CSR_EKU_MAX 16

/* What the request asks for beside its names; profiles decide, nothing is copied. */
struct csr {
	bool has_san;
	enum key_type key_type;
	struct bytes spki;               /* whole TLV, borrowed from the DER given to csr_parse() */
	uint8_t spki_sha256[SHA256_LEN];
	bool wants_ca;                   /* basicConstraints cA TRUE */
	int pathlen;                     /* its pathLenConstraint, at most 255; -1: none */
	bool has_key_usage;
	uint32_t key_usage;              /* bit i = KeyUsage bit i (RFC 5280 4.2.1.3) */
	size_t n_eku;
	enum oid eku[CSR_EKU_MAX];       /* OID_UNKNOWN for those we do not know */
	size_t n_other_ext;              /* other extensions asked for, ignored */
	bool critical_unknown;           /* one of those others is critical */
	bool has_challenge;
	char challenge[CSR_CHALLENGE_MAX]; /* RFC 7030 3.5 tls-unique, RFC 9266 tls-exporter, or estIdentityLinking's */
	bool changes_subject;            /* ChangeSubjectName attribute present (RFC 6402 2.8) */
	/* Large, so last: only what their counts say is ever written. */
	struct name subject;             /* may be empty (n == 0) */
	struct sans sans;
};

/* No request: as if all of it were zero. */
void csr_clear(struct csr *c);

/*
 * Parse one DER CertificationRequest in full strictness (der_check() first) and
 * verify its self-signature, so that a struct csr cannot exist without proof of
 * possession.  Order: size, DER, version 0, names, key judged from DER,
 * attributes, signature algorithm fits the key, then and only then arithmetic.
 * Refused: trailing octets, repeated attribute types, more than one
 * extensionRequest or more than one value in it, an extension twice, Microsoft's
 * twin of extensionRequest, malformed SAN/KU/EKU/BC values, challengePassword of another
 * type than UTF8/Printable/IA5/T61String or empty or over 255, MD5 and SHA-1 signatures, PSS.
 * Unknown attributes are ignored.  Writes *out only on success; it borrows `der`.
 * E_TOOBIG, E_FORMAT, E_POLICY (key or algorithm not taken), E_AUTH (signature).
 */
int csr_parse(struct csr *out, struct bytes der, struct err *e) MUST_CHECK;

/* What a client asks for. */
struct csr_want {
	const struct name *subject;
	const struct sans *sans;     /* NULL or empty: no SAN extension */
	const char *challenge;       /* NULL: no challengePassword */
	bool ca;                     /* ask for basicConstraints CA:TRUE, pathlen 0 and keyCertSign */
	bool client_auth;            /* ask for EKU clientAuth */
	bool server_auth;            /* and serverAuth */
	bool leaf;                   /* ask for basicConstraints CA:FALSE, critical, and have the EKU critical too */
	uint32_t ku;                 /* KeyUsage bits to ask for, critical; 0: none (a CA has its own) */
};
/* Append the DER of a signed request. */
int csr_build(struct buf *out, const struct csr_want *w, const struct key *k, struct err *e) MUST_CHECK;

#endif
