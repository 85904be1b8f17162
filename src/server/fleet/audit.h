/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/audit.h - the hash chain over the audit records */
#ifndef SERVER_FLEET_AUDIT_H
#define SERVER_FLEET_AUDIT_H

#include "server/store/audit_row.h"

/* The chain's end.  One writer; after a rollback it must be read again. */
struct audit {
	int64_t id;
	uint8_t hash[ROW_HASH_LEN];
};

/* Read the end of the chain from the store. */
int audit_load(struct audit *a, struct db *d, struct err *e) MUST_CHECK;
/* Number, chain and insert a record inside the caller's transaction.  r->id, prev and hash are set. */
int audit_append(struct audit *a, struct db *d, struct audit_row *r, struct err *e) MUST_CHECK;
/* SHA-256 over prev and every field with its length: what r->hash must be. */
void audit_hash(uint8_t out[ROW_HASH_LEN], const struct audit_row *r);

struct audit_check {
	int64_t records, first_bad; /* 0: none is bad */
};
/* Walk the whole chain: numbers without a gap, each prev the hash before it, each hash right. */
int audit_verify(struct audit_check *out, struct db *d, struct err *e) MUST_CHECK;

#endif
