/* SPDX-License-Identifier: Apache-2.0 */
/* est/client.h - the client's half of RFC 7030: judging answers before anything is written */
#ifndef CORE_EST_CLIENT_H
#define CORE_EST_CLIENT_H

#include "core/est/est.h"
#include "core/pki/trust.h"

#define EST_BAG_MAX    32  /* certificates in one answer */
#define EST_CHAIN_MAX  192 /* certificates in a PEM text given as trust or chain; a system's bundle has about 150 */
#define EST_SKEW_S     300 /* how far the clocks of client and server may be apart */

struct est_bag {
	struct buf der;                    /* owns */
	size_t n;
	struct bytes cert[EST_BAG_MAX];    /* borrow der */
};
void est_bag_free(struct est_bag *b);
#define AUTO_BAG __attribute__((cleanup(est_bag_free))) struct est_bag

/* Does it look like a root: one name, and key identifiers that do not differ?  (NewWithOld and OldWithNew have one name and two keys.) */
bool est_self_signed(const struct cert *c);

/*
 * base64 in any wrapping, or PEM PKCS7 armour, or raw DER -> certificates; also of indefinite length, as some libraries write CMS.
 * E_FORMAT; an empty bag is E_FORMAT.
 */
int est_bag_parse(struct est_bag *out, struct bytes body, struct err *e) MUST_CHECK;
/* "sha256:HEX" (colons in the hex allowed) -> 32 octets: SHA-256 of the whole DER certificate.  E_FORMAT. */
int est_pin_parse(uint8_t out[SHA256_LEN], const char *text, struct err *e) MUST_CHECK;

/* The three ways from an answer to /cacerts to a trust; each appends PEM. */

/*
 * RFC 7030 4.1.1, for a server not yet verified: find the pinned certificate in the bag; it must be a CA, and
 * what the server presented (PEM, leaf first) must verify from it as a TLS server.  trust_pem gets the pinned anchor alone
 * (K4: nothing self-signed is trusted for being in the bag), chain_pem the other CA certificates of the bag that chain to it.
 * The host's name is for the next connection to check.  E_AUTH when the pin is not there or does not fit.
 */
int est_bag_trust(struct buf *trust_pem, struct buf *chain_pem, const struct est_bag *bag, const uint8_t pin[SHA256_LEN],
    struct bytes server_chain_pem, int64_t now, struct err *e) MUST_CHECK;
/* The anchors are known already: keeps the CA certificates that chain to them and are not among them. */
int est_bag_chain(struct buf *chain_pem, const struct est_bag *bag, struct bytes trust_pem, int64_t now,
    struct err *e) MUST_CHECK;
/* RFC 7030 4.1.3, over a connection verified otherwise (the system's anchors): the self-signed CA certificates.  E_AUTH when there is none. */
int est_bag_roots(struct buf *trust_pem, const struct est_bag *bag, int64_t now, struct err *e) MUST_CHECK;
/*
 * The anchors for next time (RFC 7030 4.1.3, RFC 4210 4.4): those of trust_pem that are still valid, and each new
 * root of the bag that an old one vouches for by NewWithOld: another certificate of the bag with the same subject and
 * key that chains to trust_pem.  A new root alone is passed over (C10).  *n_new counts them.
 */
int est_bag_rollover(struct buf *next_pem, size_t *n_new, const struct est_bag *bag, struct bytes trust_pem, int64_t now,
    struct err *e) MUST_CHECK;

/*
 * Pick the certificate for our key (whole SPKI) out of the answer (by public key, never by position) and check it: chains to the
 * trust (with intermediates of chain_pem and the bag), valid now (EST_SKEW_S allowed), CA only when asked for.
 * want NULL: names are not compared and no CA is taken; otherwise a difference is told in `note` (servers may choose names), not
 * refused; want->subject NULL: names are not compared.
 */
int est_issued_check(struct buf *cert_pem, const struct est_bag *bag, struct bytes spki, struct bytes trust_pem,
    struct bytes chain_pem, const struct csr_want *want, int64_t now, char *note, size_t note_size, struct err *e) MUST_CHECK;
/* Append those of chain_pem that lead from the first certificate of cert_pem upwards, in order, the self-signed left out. */
int est_chain_path(struct buf *out, struct bytes cert_pem, struct bytes chain_pem, struct err *e) MUST_CHECK;

/*
 * Append the DER of a request that repeats a certificate's subject and SAN octet for octet (RFC 7030 4.2.2), for
 * /simplereenroll; its CA bit is asked for again.  challenge NULL: none.  E_FORMAT, E_CRYPTO.
 */
int est_renewal_build(struct buf *out, const struct cert *old, const char *challenge, const struct key *k,
    struct err *e) MUST_CHECK;
/* The same, and it asks for the extended key usage clientAuth. */
int est_renewal_build_client(struct buf *out, const struct cert *old, const char *challenge, const struct key *k,
    struct err *e) MUST_CHECK;

#endif
