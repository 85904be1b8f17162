/* SPDX-License-Identifier: Apache-2.0 */
/* pki/trust.h - which anchor a certificate chains to, and why not (RFC 5280 6, by OpenSSL) */
#ifndef CORE_PKI_TRUST_H
#define CORE_PKI_TRUST_H

#include <openssl/types.h>

#include "core/pki/cert.h"

/* How a presented chain stands.  Order is part of the protocol between our processes. */
enum trust_state {
	TRUST_NONE,            /* nothing was presented */
	TRUST_OK,
	TRUST_EXPIRED,         /* leaf or issuer */
	TRUST_NOT_YET,
	TRUST_UNKNOWN_ISSUER,  /* no path to an anchor */
	TRUST_BAD_SIGNATURE,
	TRUST_WRONG_PURPOSE,   /* keyUsage or extendedKeyUsage forbid TLS client authentication, or it is a CA certificate */
	TRUST_CHAIN,           /* path length, name constraints, unknown critical extension, depth */
	TRUST_MALFORMED,
	TRUST_STATE_COUNT
};
const char *trust_state_name(enum trust_state s); /* "ok", "expired", ... */

#define TRUST_ANCHOR_NONE 0

/* A set of anchors; each has a caller's id above 0.  Anchors may be self-signed or not (partial chains are valid). */
struct trust;
struct trust *trust_new(void);
void trust_free(struct trust *t);
AUTO_DEFINE(trust, trust_free)
int trust_add(struct trust *t, uint32_t id, struct bytes der, struct err *e) MUST_CHECK;
/*
 * The same for one that gives way: E_EXISTS too when an anchor with an id below `strong` has its subject, as a path validation compares
 * names (RFC 5280 7.1), because chains that end at that one could then end at this one, or nowhere.
 */
int trust_add_beside(struct trust *t, uint32_t id, struct bytes der, uint32_t strong, struct err *e) MUST_CHECK;
/* Are two Names (whole TLVs) one to a path validation?  Case, blanks and the kind of string do not matter then. */
bool trust_same_name(struct bytes a, struct bytes b);
/* The X509_STORE for an SSL_CTX; borrowed. */
X509_STORE *trust_store(const struct trust *t);
/*
 * Judge an OpenSSL-verified-or-not client chain: call from SSL_CTX_set_cert_verify_callback
 * with its X509_STORE_CTX.  Fills state, the anchor's id, and one line of detail (OpenSSL's words and depth); never trusts on error.
 */
void trust_judge_client(const struct trust *t, X509_STORE_CTX *ctx, enum trust_state *state,
    uint32_t *anchor, char *detail, size_t size);
/*
 * For clients and tools: does leaf (with intermediates) chain to an anchor, as purpose server, client or any (0,1,2), at time `at`?
 * Issuers' keys and signatures of less than 112 bits (RSA below 2048, SHA-1) are no chain, as in TLS.
 */
int trust_verify(const struct trust *t, struct bytes leaf, const struct bytes *intermediates, size_t n,
    int purpose, int64_t at, uint32_t *anchor, struct err *e) MUST_CHECK;

#endif
