/* SPDX-License-Identifier: Apache-2.0 */
/* store/cert_row.h - every certificate that we ever issued */
#ifndef SERVER_STORE_CERT_ROW_H
#define SERVER_STORE_CERT_ROW_H

#include "server/store/db.h"

#define CERT_LINE_NEW (-1)

struct cert_row {
	int64_t id, ca, device, parent;      /* parent: the certificate that authorised it; 0: none */
	char ca_name[ROW_NAME_MAX], device_name[257], device_state[16];
	char serial[48], parent_serial[48];
	uint8_t sha256[ROW_HASH_LEN], spki_sha256[ROW_HASH_LEN];
	char profile[ROW_NAME_MAX], label[ROW_NAME_MAX];
	char subject[ROW_TEXT_MAX], sans[ROW_TEXT_MAX];
	int64_t not_before, not_after;
	int64_t line;                         /* certificates of one line supersede each other; 0: the usual one, CERT_LINE_NEW: one of its own */
	int64_t superseded_by, superseded_at; /* the next certificate of its line, and when it was issued; 0: none */
	char authorised_by[160], request_id[32];
	int64_t issued_at, revoked_at;       /* 0: not revoked */
	int revoked_reason;
	int64_t proved_at;                   /* first use in a handshake; 0: never */
	struct buf der;
};
void cert_row_clear(struct cert_row *r);

int cert_row_insert(struct db *d, struct cert_row *r, struct err *e) MUST_CHECK; /* sets r->id; E_EXISTS: serial twice */
/* By its serial, which is indexed and ours alone, and its whole digest; without ca_name and parent_serial. */
int cert_row_presented(struct db *d, const char *serial, const uint8_t sha256[ROW_HASH_LEN], struct cert_row *r, struct err *e) MUST_CHECK;
int cert_row_by_serial(struct db *d, const char *serial, struct cert_row *r, struct err *e) MUST_CHECK;
int cert_row_by_id(struct db *d, int64_t id, struct cert_row *r, struct err *e) MUST_CHECK;
/* The newest unrevoked answer to the same asker ("": to anybody) for the same key at or after `since`: what a retry gets.  E_NOTFOUND. */
int cert_row_retry(struct db *d, const char *device, const char *label, const uint8_t spki_sha256[ROW_HASH_LEN],
    const char *authorised_by, int64_t since, struct cert_row *r, struct err *e) MUST_CHECK;
/* The newest that this asker was given for the device, whatever became of it.  E_NOTFOUND. */
int cert_row_authorised(struct db *d, const char *device, const char *authorised_by, struct cert_row *r, struct err *e) MUST_CHECK;
/* Is there a certificate for this key? */
int cert_row_key_known(struct db *d, const uint8_t spki_sha256[ROW_HASH_LEN], bool *known, struct err *e) MUST_CHECK;
/* Name of a device other than `device` that holds a certificate for this key, or "" . */
int cert_row_key_owner(struct db *d, const uint8_t spki_sha256[ROW_HASH_LEN], const char *device, char *out,
    size_t size, struct err *e) MUST_CHECK;
/* Was a certificate for this key revoked for keyCompromise (RFC 5280 5.3.1)? */
int cert_row_key_compromised(struct db *d, const uint8_t spki_sha256[ROW_HASH_LEN], bool *yes, struct err *e) MUST_CHECK;
/* Has the device an unrevoked certificate of `label` (any label when NULL) that is valid after `now`? */
int cert_row_live(struct db *d, int64_t device, const char *label, int64_t now, bool *live, struct err *e) MUST_CHECK;
/* Was every live certificate of the device authorised by a certificate of device `parent`?  Once it renews by itself, no more. */
int cert_row_descends(struct db *d, int64_t device, int64_t parent, int64_t now, bool *yes, struct err *e) MUST_CHECK;
/*
 * Does a certificate of the device go back, over those that were shown for each other, to one that this asker was given?
 * id: it is this one; 0: any that is live.
 */
int cert_row_goes_back(struct db *d, int64_t device, int64_t id, const char *authorised_by, int64_t now, bool *yes,
    struct err *e) MUST_CHECK;
/* Was a certificate issued by simplereenroll from the device's certificate `id`? */
int cert_row_reenrolled(struct db *d, int64_t device, int64_t id, bool *yes, struct err *e) MUST_CHECK;
int cert_row_prove(struct db *d, int64_t id, int64_t now, struct err *e) MUST_CHECK;
/* E_EXISTS: it is already; but keyCompromise (1), which is often known later, takes the place of another reason. */
int cert_row_revoke(struct db *d, int64_t id, int64_t now, int reason, struct err *e) MUST_CHECK;
/* Revoke for keyCompromise what is not revoked yet of the certificates for this key. */
int cert_row_revoke_key(struct db *d, const uint8_t spki_sha256[ROW_HASH_LEN], int64_t now, struct err *e) MUST_CHECK;
/*
 * List: NULL or "" filters nothing; state active, superseded, revoked or expired as of now; ids below `after`
 * when it is above 0 (newest first); at most limit.  fn as in ca_row_each(); rows have no der.
 */
int cert_row_list(struct db *d, const char *device, const char *ca, const char *state, int64_t now, int64_t after,
    int64_t limit, int (*fn)(void *ctx, struct cert_row *r), void *ctx, struct err *e) MUST_CHECK;
/* Revoked and not yet expired at `now` (kept one more day): what the CRL of the CA lists. */
int cert_row_revoked(struct db *d, int64_t ca, int64_t now,
    int (*fn)(void *ctx, const char *serial, int64_t revoked_at, int reason), void *ctx, struct err *e) MUST_CHECK;
#define CERT_PREFIX_LEAST 6 /* digits by which a serial is known */
/*
 * By a whole serial, or by its first digits, CERT_PREFIX_LEAST or more, when no other begins with them.  E_NOTFOUND;
 * E_USAGE: several do, and *e says how many.
 */
int cert_row_by_prefix(struct db *d, const char *digits, struct cert_row *r, struct err *e) MUST_CHECK;
const char *cert_row_state(const struct cert_row *r, int64_t now); /* "active", "superseded", "revoked", "expired" */

#endif
