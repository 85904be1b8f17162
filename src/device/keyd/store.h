/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/store.h - keys by ID: preloaded or in custody, with usage, generations, and what is damaged set aside */
#ifndef DEVICE_KEYD_STORE_H
#define DEVICE_KEYD_STORE_H

#include "core/codec/json.h"
#include "core/custody/custody.h"
#include "device/keyd/handles.h"
#include "device/keyd/record.h"
#include "device/keyd/settings.h"

/*
 * Errors, where nothing else is said: E_NOTFOUND no such key; E_USAGE the wrong kind of key, or parameters that do not go;
 * E_POLICY it is preloaded (read-only) or in a back end that is not installed; E_FORMAT the key is damaged: it is never
 * replaced, see store_create_pair(); E_IO, E_CRYPTO.  The ID of the handle key is refused everywhere (E_AUTH).
 */
struct store;

/* Home is made when missing; the handle key is read, or made when there is none. s is borrowed, and may change meanwhile. */
int store_new(struct store **out, const struct keyd_settings *s, struct err *e) MUST_CHECK;
void store_free(struct store *st);
AUTO_DEFINE(store, store_free)
const struct custody_key *store_handle_key(const struct store *st);

/* A key with what is known of it. */
struct store_key {
	struct custody_key *key;    /* owned: store_key_clear() */
	uint64_t generation;
	unsigned usage;             /* USAGE_* */
	bool previous;              /* it is the previous generation: asked for, or because the current one is damaged */
	bool preloaded;
};
void store_key_clear(struct store_key *k);

/*
 * The key of an ID.  When the current one is damaged, or gone without having been deleted, and the previous generation
 * is whole, that is given, with an alarm in the log.
 */
int store_load(struct store_key *out, struct store *st, enum custody_kind kind, const char *id,
    struct err *e) MUST_CHECK;
/* The key that a handle names: a bound one names the generation it was made for, current or previous.  E_POLICY: that is gone. */
int store_use(struct store_key *out, struct store *st, const struct handle *h, struct err *e) MUST_CHECK;

/*
 * Create unless it exists; out is loaded.  A damaged key is set aside (HOME/quarantine) and stays an error until its file
 * there is deleted or store_forget() is called: no identity's key is ever made anew in silence.  Keys named "...-temp" are
 * no identity's yet: a damaged one is set aside and replaced, with an alarm.
 */
int store_create_pair(struct store_key *out, struct store *st, const char *id, enum key_type type,
    struct err *e) MUST_CHECK;
int store_create_key(struct store_key *out, struct store *st, const char *id, unsigned usage,
    struct err *e) MUST_CHECK;
/* Replaces a symmetric key. */
int store_import_key(struct store_key *out, struct store *st, const char *id, struct bytes secret, unsigned usage,
    struct err *e) MUST_CHECK;
/* Every generation of it. */
int store_delete(struct store *st, const struct handle *h, struct err *e) MUST_CHECK;
/* The pair `from` becomes `to`, whose key goes. */
int store_move(struct store *st, const char *from, const char *to, struct err *e) MUST_CHECK;
int store_forget(struct store *st, const char *id, struct err *e) MUST_CHECK; /* E_NOTFOUND: nothing was set aside */

/* --- generations (store_generation.c) --- */

struct store_state {
	uint64_t generation;
	bool previous;              /* there is another generation to go back to */
};
int store_state(struct store_state *out, struct store *st, const char *id, struct err *e) MUST_CHECK;
/*
 * The pair `from`, whose public key is spki, becomes `id`; the pair that was `id` is kept as previous.  Done already is
 * success.  A crash at any instant leaves `id` with its old key or the new one, and a second try ends the work.
 */
int store_switch(struct store *st, const char *id, const char *from, struct bytes spki, struct err *e) MUST_CHECK;
/* The current key works: the previous one goes.  E_FORMAT, and nothing goes, when the current one cannot be read. */
int store_prove(struct store *st, const char *id, struct err *e) MUST_CHECK;
/* The previous key is current again, and what was current goes.  E_NOTFOUND without a previous one. */
int store_rollback(struct store *st, const char *id, struct err *e) MUST_CHECK;

/*
 * Call fn with {"id"?, "file", "kind", "generation", "state"} of each key but the handle key; id is NULL when not known.
 * Each costs a trial of the key, so `wanted` is asked first (NULL: all are).
 */
int store_each(struct store *st, bool (*wanted)(void *ctx, const char *id),
    void (*fn)(void *ctx, const char *id, json_t *row), void *ctx, struct err *e) MUST_CHECK;

#endif
