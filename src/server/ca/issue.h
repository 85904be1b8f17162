/* SPDX-License-Identifier: Apache-2.0 */
/* ca/issue.h - from who it is and what kind it is to the octets that are signed; pure, no key */
#ifndef SERVER_CA_ISSUE_H
#define SERVER_CA_ISSUE_H

#include "core/pki/csr.h"
#include "server/ca/profile.h"

#define ISSUE_SERIAL_LEN   16
#define ISSUE_REMAINING_S  60 /* an issuer with less life than this issues nothing */

/* The CA that signs; borrowed, as read from its certificate. */
struct issuer {
	struct bytes subject_der, ski;
	enum key_type key_type;
	int64_t not_before, not_after;
	int pathlen;                     /* -1: none */
	const char *crl_url, *aia_url;   /* NULL: none */
};

/* What is to be certified; names are decided already. */
struct issue_want {
	const struct profile *profile;
	const struct name *subject;
	const struct sans *sans;         /* NULL or empty: none */
	struct bytes spki;               /* judged, key_type is its judgement */
	enum key_type key_type;
	int64_t now;
	int64_t lifetime_s;              /* at most the profile's; 0: the profile's */
	uint8_t serial[ISSUE_SERIAL_LEN]; /* serial_random() */
};

/* What the certificate will say; issue_out_free() gives it back. */
struct issue_out {
	int64_t not_before, not_after;
	struct buf subject_der, san_der;
};
void issue_out_free(struct issue_out *out);

/*
 * Append the TBSCertificate.  issuer NULL: self-signed, signed by the key that it certifies.
 * notAfter is now and the lifetime, clamped to the issuer's; notBefore is
 * backdated, never before the issuer's.  A CA below an issuer with a path length
 * gets one that is smaller.  The result is parsed again and compared with the want and the
 * profile before it is handed out.  E_POLICY: profile, key, lifetime, path length
 * or name are not allowed; E_UNAVAIL: the issuer is expired, about to be, or
 * not yet valid; E_FORMAT: the serial is not of serial_random()'s form, or our
 * own octets fail the comparison.
 */
int issue_tbs(struct buf *tbs, struct issue_out *out, const struct issuer *issuer,
    const struct issue_want *w, struct err *e) MUST_CHECK;

/*
 * Decide the names of a NEW identity from what it asks for and what its kind allows; a
 * renewal takes its names from the record instead.  Refuses, with what and why
 * (E_POLICY): attributes and alternative names that the profile does not allow, those
 * of another device (enum san_rule), no name at all, CA:TRUE, keyCertSign or
 * cRLSign for a profile that makes no CAs, an extended usage beyond the
 * profile's, a critical extension that we do not know, a key type not in the
 * profile.  Other key usages asked for are ignored: the profile decides.  With a
 * template the request's subject is ignored.  Both outputs are written only on success.
 */
int issue_names(struct name *subject, struct sans *sans, const struct profile *p,
    const char *device, const struct csr *csr, struct err *e) MUST_CHECK;

/* The host of "scheme://host[:port][/...]", borrowed; empty when there is none, or when it is not plain. */
struct bytes issue_uri_host(struct bytes uri);

/* 16 random octets: positive, not zero, always 16 octets long as an INTEGER (RFC 5280 4.1.2.2). */
void serial_random(uint8_t out[ISSUE_SERIAL_LEN]);

#endif
