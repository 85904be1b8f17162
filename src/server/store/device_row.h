/* SPDX-License-Identifier: Apache-2.0 */
/* store/device_row.h - devices, and what happened to them */
#ifndef SERVER_STORE_DEVICE_ROW_H
#define SERVER_STORE_DEVICE_ROW_H

#include "server/store/db.h"

#define DEVICE_NAME_MAX 257 /* a device's name, NUL included */

struct device_row {
	int64_t id;
	char name[DEVICE_NAME_MAX], state[16]; /* "active", "expected", "forked", "retired" */
	int64_t created_at, last_contact;
	int64_t certificates, not_after;       /* a count and the latest end; filled by list and by_name */
	char subject[ROW_TEXT_MAX];            /* of its first certificate: later ones may be for other things, such as an Edge CA */
};

int device_row_by_name(struct db *d, const char *name, struct device_row *r, struct err *e) MUST_CHECK; /* E_NOTFOUND */
/* id and state alone; E_NOTFOUND. */
int device_row_find(struct db *d, const char *name, int64_t *id, char state[16], struct err *e) MUST_CHECK;
/* Last contact of the device is now; *id is what device_row_find() said, or 0: then it is made, "active", when there is none. */
int device_row_touch(struct db *d, const char *name, int64_t now, int64_t *id, struct err *e) MUST_CHECK;
int device_row_set_state(struct db *d, const char *name, const char *state, struct err *e) MUST_CHECK; /* E_NOTFOUND */
/*
 * What an active one is as of now by its certificates: "expired", the latest that was not revoked is over; "revoked", all
 * were revoked; else "active".  Any other state is what was decided about the device, and stands.
 */
const char *device_row_state(const struct device_row *r, int64_t now);
/* List: NULL or "" filters nothing; state is one of device_row_state() as of now; ids above `after`, at most limit. */
int device_row_list(struct db *d, const char *state, const char *q, int64_t now, int64_t after, int64_t limit,
    int (*fn)(void *ctx, struct device_row *r), void *ctx, struct err *e) MUST_CHECK;

struct event_row {
	int64_t id, time;
	char kind[ROW_NAME_MAX], device[DEVICE_NAME_MAX], text[ROW_TEXT_MAX];
};
int event_row_add(struct db *d, int64_t now, const char *kind, const char *device, const char *text, struct err *e) MUST_CHECK;
int event_row_list(struct db *d, const char *device, int64_t after, int64_t limit,
    int (*fn)(void *ctx, struct event_row *r), void *ctx, struct err *e) MUST_CHECK;

#endif
