/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/bind.h - which names a certificate gets: bound to the identity that was presented, or taken from the request by profile */
#ifndef SERVER_FLEET_BIND_H
#define SERVER_FLEET_BIND_H

#include "server/fleet/fleet.h"
#include "server/store/cert_row.h"

/* One of our certificates as it was presented: its record and what it says. */
struct own_cert {
	struct cert_row row;
	struct cert cert;              /* borrows row.der */
};

struct bound {
	char device[257];
	struct name subject;
	struct sans sans;
};

/* The device that names speak of: CN, else serialNumber, else the first dNSName, superfluous blanks dropped; "" when there is none. */
void bind_named(const struct name *subject, const struct sans *sans, char out[257]);
void bind_requested(const struct csr *csr, char out[257]); /* that of a request */

/*
 * Decide the names.  own NULL: nothing of ours was presented, the profile takes names from the request (the caller
 * checks scopes).  With own: RFC 7030 4.2.2 on simplereenroll, and the same on simpleenroll at a label of the same
 * profile ("renewal in disguise"); at other profiles the request must name the same device.  reenrol says
 * strict (compare), force-subject (the names of the certificate, whatever is asked) or off (simpleenroll may name others).
 * E_POLICY with *reason set; each rule goes to the trace.
 */
int bind_names(struct bound *out, struct fleet *f, const struct label *l, const struct profile *p,
    const struct proto_enrol *q, const struct own_cert *own, int64_t now, struct buf *trace, const char **reason,
    struct err *e) MUST_CHECK;

#endif
