/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/own.c - what our records say of a certificate that was presented */
#include "server/fleet/own.h"

enum cert_factor
own_factor(enum trust_state t)
{
	static const enum cert_factor of[TRUST_STATE_COUNT] = {
		[TRUST_NONE] = CERT_ABSENT, [TRUST_OK] = CERT_MALFORMED, [TRUST_EXPIRED] = CERT_EXPIRED,
		[TRUST_NOT_YET] = CERT_NOT_YET, [TRUST_UNKNOWN_ISSUER] = CERT_UNKNOWN_ISSUER,
		[TRUST_BAD_SIGNATURE] = CERT_BAD_SIGNATURE, [TRUST_WRONG_PURPOSE] = CERT_WRONG_PURPOSE,
		[TRUST_CHAIN] = CERT_CHAIN, [TRUST_MALFORMED] = CERT_MALFORMED,
	};

	return t < TRUST_STATE_COUNT ? of[t] : CERT_MALFORMED;
}

int
own_find(struct cert_row *row, enum cert_factor *factor, const struct fleet *f, const struct proto_enrol *q, int64_t now,
    struct err *e)
{
	int rc = cert_row_presented(f->db, q->cert_serial, q->cert_sha256, row, e);

	if (rc == E_NOTFOUND) {
		if (q->cert_state == TRUST_OK)
			*factor = CERT_NOT_RECORDED;
		return 0;
	}
	if (rc != 0)
		return rc;
	if (row->revoked_at != 0)
		*factor = CERT_REVOKED;
	else if (q->cert_state == TRUST_OK)
		*factor = row->not_after < now ? CERT_EXPIRED : CERT_OWN;
	return 0;
}

bool
own_superseded(const struct cert_row *row, const struct label *l, int64_t now)
{
	return row->superseded_by != 0 && l != NULL && row->superseded_at + l->grace_s <= now;
}
