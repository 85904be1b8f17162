/* SPDX-License-Identifier: Apache-2.0 */
/* store/audit_row.h - the audit records (their chain is computed in fleet/audit), and operators' objects */
#ifndef SERVER_STORE_AUDIT_ROW_H
#define SERVER_STORE_AUDIT_ROW_H

#include "server/store/db.h"

#define AUDIT_TRACE_MAX 8192 /* octets of a decision trace */

struct audit_row {
	int64_t id, time;
	char kind[32];               /* "enrol", "reenrol", "operator", "crl", ... */
	char outcome[16];            /* "ok", "refused", "failed" */
	char reason[ROW_NAME_MAX];
	char actor[160], device[257], label[ROW_NAME_MAX], request_id[32], serial[48];
	char text[ROW_TEXT_MAX];
	const char *trace;           /* borrowed: lines "rule TAB outcome TAB text" */
	bool has_cert;
	uint8_t cert_sha256[ROW_HASH_LEN], prev[ROW_HASH_LEN], hash[ROW_HASH_LEN];
};

int audit_row_insert(struct db *d, const struct audit_row *r, struct err *e) MUST_CHECK; /* id is given by the caller */
/* id and hash of the newest record; 0 and zeros when there is none. */
int audit_row_last(struct db *d, int64_t *id, uint8_t hash[ROW_HASH_LEN], struct err *e) MUST_CHECK;
int audit_row_by_id(struct db *d, int64_t id, int (*fn)(void *ctx, struct audit_row *r), void *ctx, struct err *e) MUST_CHECK;
/* The newest record of a request. */
int audit_row_by_request(struct db *d, const char *request_id, int (*fn)(void *ctx, struct audit_row *r), void *ctx, struct err *e) MUST_CHECK;
/* NULL or "" filters nothing; newest first, ids below after when it is above 0. */
int audit_row_list(struct db *d, const char *device, const char *outcome, const char *kind, const char *request_id,
    int64_t after, int64_t limit, int (*fn)(void *ctx, struct audit_row *r), void *ctx, struct err *e) MUST_CHECK;
/* All, oldest first: to verify the chain. */
int audit_row_each(struct db *d, int (*fn)(void *ctx, struct audit_row *r), void *ctx, struct err *e) MUST_CHECK;

/* Labels ("label") and profiles ("profile") as key=value lines. */
int object_row_put(struct db *d, const char *kind, const char *name, const char *text, struct err *e) MUST_CHECK;
int object_row_each(struct db *d, const char *kind, int (*fn)(void *ctx, const char *name, const char *text), void *ctx,
    struct err *e) MUST_CHECK;

#endif
