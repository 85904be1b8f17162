/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/own.h - what our records say of a certificate that was presented */
#ifndef SERVER_FLEET_OWN_H
#define SERVER_FLEET_OWN_H

#include "server/fleet/fleet.h"
#include "server/store/cert_row.h"

/* What the front says about a chain, as a factor; TRUST_OK is CERT_MALFORMED until own_find() or the anchor says more. */
enum cert_factor own_factor(enum trust_state t);
/*
 * Look the certificate up that was presented (and is under no outside anchor); *factor is own_factor()'s and becomes
 * CERT_OWN (ours, recorded, live; *row is filled), CERT_REVOKED (whatever the chain is), CERT_NOT_RECORDED or CERT_EXPIRED
 * (since the handshake); otherwise it stays.  Whether it was superseded is the caller's question.  E_UNAVAIL, E_IO.
 */
int own_find(struct cert_row *row, enum cert_factor *factor, const struct fleet *f, const struct proto_enrol *q,
    int64_t now, struct err *e) MUST_CHECK;
/* Was it renewed so long ago that the grace of the label is over? */
bool own_superseded(const struct cert_row *row, const struct label *l, int64_t now);

#endif
