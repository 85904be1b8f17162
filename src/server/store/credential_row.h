/* SPDX-License-Identifier: Apache-2.0 */
/* store/credential_row.h - passwords, one-time codes, secret values; outside anchors; operators */
#ifndef SERVER_STORE_CREDENTIAL_ROW_H
#define SERVER_STORE_CREDENTIAL_ROW_H

#include "server/store/db.h"

struct credential_row {
	int64_t id;
	char kind[16];                 /* "password", "code", "secret" */
	char label[ROW_NAME_MAX];      /* "" every label that takes the kind */
	char user[160];                /* of a password */
	char verifier[192];            /* crypt(3) of a password; keyed hash in hex of the others */
	char scope[16], scope_value[ROW_TEXT_MAX];
	bool active, disabled;
	int64_t uses_left;             /* -1: no end */
	int64_t created_at, expires_at /* 0: never */, used_at;
	char used_by[257];
};

int credential_row_insert(struct db *d, struct credential_row *r, struct err *e) MUST_CHECK;
int credential_row_by_id(struct db *d, int64_t id, struct credential_row *r, struct err *e) MUST_CHECK;
/* A password by its user, or another kind by its verifier; E_NOTFOUND. */
int credential_row_by_user(struct db *d, const char *user, struct credential_row *r, struct err *e) MUST_CHECK;
int credential_row_by_verifier(struct db *d, const char *kind, const char *verifier, struct credential_row *r, struct err *e) MUST_CHECK;
/* One use by a device: E_EXISTS when no use is left (nothing is changed then). */
int credential_row_use(struct db *d, int64_t id, const char *device, int64_t now, struct err *e) MUST_CHECK;
int credential_row_disable(struct db *d, int64_t id, struct err *e) MUST_CHECK;
int credential_row_list(struct db *d, const char *kind, const char *label, int64_t after, int64_t limit,
    int (*fn)(void *ctx, struct credential_row *r), void *ctx, struct err *e) MUST_CHECK;
const char *credential_row_state(const struct credential_row *r, int64_t now); /* "live", "used", "expired", "disabled" */

struct anchor_row {
	int64_t id;
	char name[ROW_NAME_MAX], label[ROW_NAME_MAX], scope[16], scope_value[ROW_TEXT_MAX];
	bool active;
	int64_t created_at;
	struct buf der;
};
void anchor_row_clear(struct anchor_row *r);
int anchor_row_insert(struct db *d, struct anchor_row *r, struct err *e) MUST_CHECK;
int anchor_row_by_name(struct db *d, const char *name, struct anchor_row *r, struct err *e) MUST_CHECK;
int anchor_row_by_id(struct db *d, int64_t id, struct anchor_row *r, struct err *e) MUST_CHECK;
int anchor_row_remove(struct db *d, const char *name, struct err *e) MUST_CHECK;
int anchor_row_each(struct db *d, int (*fn)(void *ctx, struct anchor_row *r), void *ctx, struct err *e) MUST_CHECK;

struct operator_row {
	int64_t id;
	char name[ROW_NAME_MAX];
	int64_t created_at, last_used;
};
int operator_row_insert(struct db *d, const char *name, const char *token_hash, int64_t now, struct err *e) MUST_CHECK;
int operator_row_by_token(struct db *d, const char *token_hash, int64_t now, struct operator_row *r, struct err *e) MUST_CHECK;
/* Its token opens nothing from the commit on.  E_NOTFOUND; E_POLICY: it is the last one. */
int operator_row_remove(struct db *d, const char *name, struct err *e) MUST_CHECK;
int operator_row_each(struct db *d, int (*fn)(void *ctx, struct operator_row *r), void *ctx, struct err *e) MUST_CHECK;

#endif
