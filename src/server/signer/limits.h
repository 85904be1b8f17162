/* SPDX-License-Identifier: Apache-2.0 */
/* signer/limits.h - what a key may ever sign, judged from the octets to be signed; no key, no file */
#ifndef SERVER_SIGNER_LIMITS_H
#define SERVER_SIGNER_LIMITS_H

#include "core/pki/key.h"

#define LIMITS_TEXT_MAX ((size_t)4096)
#define LIMITS_SKEW_S   300  /* how much later than this process's clock the authority's may be */
#define LIMITS_BURST_S  10   /* a bucket holds that many seconds' worth of signatures */

/* Fixed when the key is made; the signer never changes them. */
struct limits {
	enum key_type type;
	bool may_sign_ca;
	int32_t max_pathlen;         /* largest pathLenConstraint; -1: any, also none */
	int64_t max_lifetime_s;      /* of any certificate, notBefore to notAfter */
	uint32_t max_per_s;
	uint8_t spki_sha256[SHA256_LEN]; /* of the key that they belong to */
};

/* The TOML text of an ID.limits file, and back: every limit there, none other.  E_FORMAT, position. */
void limits_print(struct buf *out, const struct limits *l);
int limits_parse(struct limits *out, const char *file, struct bytes text, struct err *e) MUST_CHECK;

/*
 * May a key with these limits sign this TBSCertificate (RFC 5280 4.1)?  E_FORMAT: it is none.
 * E_POLICY: not v3, the signature algorithm is not the key's, the serial is not positive or over 20
 * octets, it lives longer than the key's cap or ends later than a certificate of now could,
 * it is or may act as a CA without the grant or with a longer path, it carries an
 * extension twice or one that we do not write, or it may answer OCSP or act as an RA.
 */
int limits_judge_cert(const struct limits *l, struct bytes tbs, int64_t now,
    struct err *e) MUST_CHECK;
/*
 * May it sign this TBSCertList (RFC 5280 5.1)?  Only v2 with nextUpdate and one CRL number, which
 * must be greater than `last`; it goes to *number.  E_FORMAT, E_POLICY.
 */
int limits_judge_crl(const struct limits *l, struct bytes tbs, uint64_t last, uint64_t *number,
    struct err *e) MUST_CHECK;

/* How much may still be signed.  Zero-initialised it is full. */
struct limits_bucket {
	bool used;
	uint64_t at_ms;
	uint64_t milli;     /* thousandths of a signature */
};
/* Take one signature out; false when there is none.  now_ms is of clock_monotonic_ms(). */
bool limits_take(const struct limits *l, struct limits_bucket *b, uint64_t now_ms);

#endif
