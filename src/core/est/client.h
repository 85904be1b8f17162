/* SPDX-License-Identifier: Apache-2.0 */
/* est/client.h - the client's half of RFC 7030: judging answers before anything is written */
#ifndef CORE_EST_CLIENT_H
#define CORE_EST_CLIENT_H

#include "core/est/est.h"
#include "core/pki/trust.h"

#define EST_BAG_MAX 32 /* certificates in one answer */

struct est_bag {
	struct buf der;                    /* owns */
	size_t n;
	struct bytes cert[EST_BAG_MAX];    /* borrow der */
};
void est_bag_free(struct est_bag *b);
/* base64 in any wrapping, or PEM PKCS7 armour, or raw DER -> certificates.  E_FORMAT; an empty bag is E_FORMAT. */
int est_bag_parse(struct est_bag *out, struct bytes body, struct err *e) MUST_CHECK;
/* "sha256:HEX" (colons in the hex allowed) -> 32 octets: SHA-256 of the whole DER certificate.  E_FORMAT. */
int est_pin_parse(uint8_t out[SHA256_LEN], const char *text, struct err *e) MUST_CHECK;
/*
 * RFC 7030 4.1.1: find the pinned certificate in the bag; it must be a CA, and the server's chain (PEM) must
 * verify from it (for `host` when not NULL).  Appends to trust_pem the pinned anchor alone (K4: nothing self-signed is trusted for
 * being in the bag) and to chain_pem the other CA certificates of the bag that chain to it.  E_AUTH when the pin is not there or does not fit.
 */
int est_bag_trust(struct buf *trust_pem, struct buf *chain_pem, const struct est_bag *bag,
    const uint8_t pin[SHA256_LEN], struct err *e) MUST_CHECK;
/* The same when the anchors are known already: keeps the CA certificates that chain to them. */
int est_bag_chain(struct buf *chain_pem, const struct est_bag *bag, struct bytes trust_pem, int64_t now,
    struct err *e) MUST_CHECK;
/*
 * Pick the certificate for our key out of the answer (by public key, never by position) and check it: chains to the trust
 * (with intermediates of chain_pem and the bag), valid now (5 minutes of clock difference allowed), CA only when asked for.
 * want NULL: names are not compared; otherwise a difference is told in `note` (servers may choose names), not refused.
 */
int est_issued_check(struct buf *cert_pem, const struct est_bag *bag, const struct key *k, struct bytes trust_pem,
    struct bytes chain_pem, const struct csr_want *want, int64_t now, char *note, size_t note_size, struct err *e) MUST_CHECK;

#endif
