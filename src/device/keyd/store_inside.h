/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/store_inside.h - what the store's files share */
#ifndef DEVICE_KEYD_STORE_INSIDE_H
#define DEVICE_KEYD_STORE_INSIDE_H

#include "device/keyd/store.h"

#define STORE_PATH_MAX (PLACE_MAX + STEM_MAX + 32)

struct store {
	const struct keyd_settings *settings;
	struct custody *custody;
	struct custody_key *handle_key;
	char records[PLACE_MAX + 16];
};

/* The custody's name of an ID that the API may reach. */
int store_name(char out[STEM_MAX], const char *id, struct err *e) MUST_CHECK;
/* The same, and the ID is not preloaded: its key may be made, replaced and removed. */
int store_name_own(char out[STEM_MAX], const struct store *st, const char *id, struct err *e) MUST_CHECK;

/* The record of an ID; one without history when there is none.  A damaged one is set aside and begun anew, with an alarm. */
int store_read_record(struct record *out, const struct store *st, const char *id, struct err *e) MUST_CHECK;
/* The record that goes with a file of the custody; false when there is none. */
bool store_record_of(struct record *out, const struct store *st, const char *name);
int store_write_record(const struct store *st, const struct record *r, struct err *e) MUST_CHECK;
/* Before a key that is there goes: give it its number, durably. */
int store_settle(const struct store *st, const char *id, const struct custody_key *going, struct err *e) MUST_CHECK;

/* The current pair alone, without a fallback. */
int store_current(struct custody_key **out, struct store *st, const char *name, enum custody_kind kind,
    struct err *e) MUST_CHECK;
/* Set a damaged key aside, with an alarm. */
int store_quarantine(struct store *st, const char *id, const char *name, const struct err *why,
    struct err *e) MUST_CHECK;

#endif
