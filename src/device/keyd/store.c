/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/store.c - keys by ID */
#include "device/keyd/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/custody/file_custody.h"
#include "device/keyd/store_inside.h"
#include "device/service/slog.h"

#define HANDLE_KEY_LEAST 32u /* octets: a shorter one could be guessed */
#define TEMP_SUFFIX      "-temp"
#define PRELOADED_GENERATION 1u

void
store_key_clear(struct store_key *k)
{
	custody_key_free(k->key);
	k->key = NULL;
}

/* --- names --- */

int
store_name(char out[STEM_MAX], const char *id, struct err *e)
{
	if (strcmp(id, KEYD_HANDLE_KEY_ID) == 0)
		return err_set(e, E_AUTH, "key %s: not reachable", id);
	return stem_name(out, id, ".key", e);
}

int
store_name_own(char out[STEM_MAX], const struct store *st, const char *id, struct err *e)
{
	if (keyd_preloaded(st->settings, id) != NULL)
		return err_set(e, E_POLICY, "key %s: preloaded, and so read-only", id);
	return store_name(out, id, e);
}

static bool
is_temp(const char *id)
{
	size_t n = strlen(id), m = sizeof(TEMP_SUFFIX) - 1;

	return n > m && strcmp(id + n - m, TEMP_SUFFIX) == 0;
}

/* --- damage --- */

int
store_quarantine(struct store *st, const char *id, const char *name, const struct err *why, struct err *e)
{
	char where[STORE_PATH_MAX];
	struct record rec;
	int r = store_read_record(&rec, st, id, e);

	if (r != 0)
		return r;
	rec.last++; /* handles were made with its number: another key must not get it */
	if ((r = store_write_record(st, &rec, e)) != 0)
		return r;
	r = st->custody->ops->quarantine(st->custody, name, clock_now(), where, sizeof(where), e);
	if (r != 0)
		return err_prefix(e, (enum err_code)r, "key %s: damaged (%.150s), and not to be set aside", id, why->msg);
	slog(SLOG_ERROR, "Key %s is damaged (%s). It was set aside as %s.", id, why->msg, where);
	return 0;
}

/* What is there is damaged, or was. */
static int
fail_damaged(struct store *st, const char *id, const char *name, const struct err *why, struct err *e)
{
	char where[STORE_PATH_MAX];

	if (st->custody->ops->quarantined(st->custody, name, where, sizeof(where), NULL) != 0)
		return err_set(e, E_FORMAT, "key %s: damaged: %.200s", id, why->msg);
	return err_set(e, E_FORMAT, "key %s: damaged, and set aside as %.200s: put a good copy back, or delete that file to give "
	    "the key up", id, where);
}

/* --- loading --- */

int
store_current(struct custody_key **out, struct store *st, const char *name, enum custody_kind kind, struct err *e)
{
	return st->custody->ops->load(out, st->custody, CUSTODY_CURRENT, name, kind, e);
}

static int
load_preloaded(struct store_key *out, const struct keyd_preloaded *p, enum custody_kind kind, struct err *e)
{
	int r;

	if (p->path == NULL)
		return err_set(e, E_POLICY, "key %s: is configured as %s:, and no such back end is installed", p->id, p->scheme);
	if ((r = file_custody_load(&out->key, p->path, kind, e)) != 0)
		return err_prefix(e, (enum err_code)r, "key %s", p->id);
	out->generation = PRELOADED_GENERATION;
	out->usage = USAGE_ALL;
	out->preloaded = true;
	return 0;
}

/* The previous generation, when it is whole.  wanted 0: any; otherwise that one alone. */
static int
load_previous(struct store_key *out, struct store *st, const char *name, enum custody_kind kind,
    const struct record *rec,
    uint64_t wanted, struct err *e)
{
	AUTO(custody_key) key = NULL;
	uint8_t digest[SHA256_LEN];
	int r = st->custody->ops->load(&key, st->custody, CUSTODY_PREVIOUS, name, kind, e);

	if (r == 0)
		r = custody_key_digest(digest, key, e);
	if (r != 0)
		return r;
	if (wanted != 0 && record_known(rec, digest) != wanted)
		return err_set(e, E_NOTFOUND, "key %s: no generation %" PRIu64, rec->id, wanted);
	out->generation = record_known(rec, digest);
	out->usage = rec->usage;
	out->previous = true;
	out->key = TAKE(key);
	return 0;
}

static int
load_current(struct store_key *out, struct store *st, const char *name, enum custody_kind kind,
    const struct record *rec,
    struct err *e)
{
	AUTO(custody_key) key = NULL;
	uint8_t digest[SHA256_LEN];
	int r = store_current(&key, st, name, kind, e);

	if (r == 0)
		r = custody_key_digest(digest, key, e);
	if (r != 0)
		return r;
	out->generation = record_generation(rec, digest);
	out->usage = rec->usage;
	out->key = TAKE(key);
	return 0;
}

/* The current key is not there as it should be: the previous one, or why not. */
static int
load_instead(struct store_key *out, struct store *st, const char *name, enum custody_kind kind,
    const struct record *rec,
    const struct err *why, struct err *e)
{
	char where[STORE_PATH_MAX];

	if (why->code != E_NOTFOUND && why->code != E_FORMAT && why->code != E_IO)
		return err_set(e, why->code, "key %s: %.300s", rec->id, why->msg);
	if (load_previous(out, st, name, kind, rec, 0, NULL) == 0) {
		slog(SLOG_ERROR, "Key %s cannot be read (%s). Its previous generation is used instead.", rec->id, why->msg);
		return 0;
	}
	if (why->code == E_FORMAT || (why->code == E_NOTFOUND &&
	    st->custody->ops->quarantined(st->custody, name, where, sizeof(where), NULL) == 0))
		return fail_damaged(st, rec->id, name, why, e);
	if (why->code == E_NOTFOUND)
		return err_set(e, E_NOTFOUND, "key %s: there is none", rec->id);
	return err_set(e, why->code, "key %s: %.300s", rec->id, why->msg);
}

/* The record that decides what the key may do, after the kind was checked. */
static int
begin_load(char name[STEM_MAX], struct record *rec, struct store *st, enum custody_kind kind, const char *id,
    struct err *e)
{
	int r = store_name(name, id, e);

	if (r == 0)
		r = store_read_record(rec, st, id, e);
	if (r == 0 && kind == CUSTODY_PAIR && rec->secret)
		return err_set(e, E_USAGE, "key %s: a symmetric key, not a key pair", id);
	return r;
}

int
store_load(struct store_key *out, struct store *st, enum custody_kind kind, const char *id, struct err *e)
{
	const struct keyd_preloaded *p = keyd_preloaded(st->settings, id);
	struct store_key k = { 0 };
	char name[STEM_MAX];
	struct record rec;
	struct err why;
	int r;

	if (p != NULL) {
		if ((r = load_preloaded(&k, p, kind, e)) == 0)
			*out = k;
		return r;
	}
	if ((r = begin_load(name, &rec, st, kind, id, e)) != 0)
		return r;
	if (load_current(&k, st, name, kind, &rec, &why) != 0)
		r = load_instead(&k, st, name, kind, &rec, &why, e);
	if (r == 0)
		*out = k;
	return r;
}

int
store_use(struct store_key *out, struct store *st, const struct handle *h, struct err *e)
{
	enum custody_kind kind = h->kind == HANDLE_PAIR ? CUSTODY_PAIR : CUSTODY_SECRET;
	struct store_key k = { 0 };
	char name[STEM_MAX];
	struct record rec;
	int r = store_load(&k, st, kind, h->id, e);

	if (r != 0)
		return r;
	if (!h->bound || k.generation == h->generation) {
		*out = k;
		return 0;
	}
	store_key_clear(&k);
	k = (struct store_key){ 0 };
	if ((r = begin_load(name, &rec, st, kind, h->id, e)) != 0)
		return r;
	if (h->generation == 0 || load_previous(&k, st, name, kind, &rec, h->generation, NULL) != 0)
		return err_set(e, E_POLICY, "the handle is of an earlier generation of key %s: load the key again", h->id);
	*out = k;
	return 0;
}

/* --- making --- */

/* There is no whole key: may one be made?  0 when it may. */
static int
clear_the_way(struct store *st, const char *id, const char *name, enum custody_kind kind, struct err *e)
{
	AUTO(custody_key) key = NULL;
	struct err why;
	int r = store_current(&key, st, name, kind, &why);

	if (r == E_FORMAT && (r = store_quarantine(st, id, name, &why, e)) != 0)
		return r;
	if (r != 0 && r != E_NOTFOUND)
		return err_set(e, (enum err_code)r, "key %s: %.300s", id, why.msg);
	if (!is_temp(id))
		return fail_damaged(st, id, name, &why, e);
	r = st->custody->ops->forget(st->custody, name, e);
	if (r == 0)
		slog(SLOG_ERROR, "Key %s is made anew in place of the damaged one.", id);
	return r == E_NOTFOUND ? 0 : r;
}

/* A key that is meant for a token must not come to lie in a file. */
static int
fail_token(const char *id, struct err *e)
{
	return err_set(e, E_POLICY, "key %s: new keys belong into the token of pkcs11_base_slot, and no such back end is installed",
	    id);
}

/* E_EXISTS when out is loaded; 0 when the key is to be made. */
static int
begin_create(struct store_key *out, char name[STEM_MAX], struct store *st, enum custody_kind kind, const char *id,
    struct err *e)
{
	int r = store_load(out, st, kind, id, e);

	if (r == 0)
		return E_EXISTS;
	if (r != E_NOTFOUND && r != E_FORMAT)
		return r;
	if (keyd_preloaded(st->settings, id) != NULL)
		return r == E_FORMAT ? r : store_name_own(name, st, id, e);
	if (st->settings->token)
		return fail_token(id, e);
	if (store_name(name, id, NULL) != 0)
		return r;
	return r == E_NOTFOUND ? 0 : clear_the_way(st, id, name, kind, e);
}

/* Before the key: what it may do must never be wider than was asked. */
static int
write_usage(struct store *st, const char *id, bool secret, unsigned usage, struct err *e)
{
	struct record rec;
	int r = store_read_record(&rec, st, id, e);

	if (r != 0)
		return r;
	rec.secret = secret;
	rec.usage = usage;
	return store_write_record(st, &rec, e);
}

int
store_create_pair(struct store_key *out, struct store *st, const char *id, enum key_type type, struct err *e)
{
	char name[STEM_MAX];
	int r = begin_create(out, name, st, CUSTODY_PAIR, id, e);

	if (r != 0)
		return r == E_EXISTS ? 0 : r;
	if ((r = write_usage(st, id, false, USAGE_ALL, e)) != 0 ||
	    (r = st->custody->ops->create_pair(st->custody, name, type, e)) != 0)
		return r;
	return store_load(out, st, CUSTODY_PAIR, id, e);
}

int
store_create_key(struct store_key *out, struct store *st, const char *id, unsigned usage, struct err *e)
{
	char name[STEM_MAX];
	int r = begin_create(out, name, st, CUSTODY_SECRET, id, e);

	if (r != 0)
		return r == E_EXISTS ? 0 : r;
	if ((r = write_usage(st, id, true, usage, e)) != 0 ||
	    (r = st->custody->ops->create_secret(st->custody, name, e)) != 0)
		return r;
	return store_load(out, st, CUSTODY_SECRET, id, e);
}

/*
 * The old secret must not get what only the new one may do, whether a crash or a refusal comes between: so the record
 * allows first what both may, and all that was asked once the new one is there.
 */
static int
replace_secret(struct store *st, const char *id, const char *name, struct bytes secret, unsigned usage, struct err *e)
{
	struct record before;
	struct err why;
	int r = store_read_record(&before, st, id, e);

	if (r != 0 || (r = write_usage(st, id, true, before.usage & usage, e)) != 0)
		return r;
	if ((r = st->custody->ops->import_secret(st->custody, name, secret, e)) == 0)
		return write_usage(st, id, true, usage, e);
	if (store_write_record(st, &before, &why) != 0)
		slog(SLOG_ERROR, "Key %s was not replaced, and may be used for less than before (%s).", id, why.msg);
	return r;
}

int
store_import_key(struct store_key *out, struct store *st, const char *id, struct bytes secret, unsigned usage,
    struct err *e)
{
	AUTO(custody_key) old = NULL;
	char name[STEM_MAX];
	struct err why;
	int r = store_name_own(name, st, id, e);

	if (r != 0)
		return r;
	if (st->settings->token)
		return fail_token(id, e);
	r = store_current(&old, st, name, CUSTODY_SECRET, &why);
	if (r == E_FORMAT)
		r = store_quarantine(st, id, name, &why, e);
	else if (r == E_NOTFOUND)
		r = 0;
	else if (r != 0)
		return err_set(e, (enum err_code)r, "key %s: %.300s", id, why.msg);
	else
		r = store_settle(st, id, old, e);
	if (r == 0 && old != NULL)
		r = replace_secret(st, id, name, secret, usage, e);
	else if (r == 0 && (r = write_usage(st, id, true, usage, e)) == 0)
		r = st->custody->ops->import_secret(st->custody, name, secret, e);
	return r == 0 ? store_load(out, st, CUSTODY_SECRET, id, e) : r;
}

/* --- removing and moving --- */

int
store_delete(struct store *st, const struct handle *h, struct err *e)
{
	struct store_key k = { 0 };
	char name[STEM_MAX];
	int r = store_name_own(name, st, h->id, e);

	if (r == 0)
		r = store_use(&k, st, h, e);
	if (r == 0 && h->bound && k.previous)
		r = err_set(e, E_POLICY, "key %s: the handle is of its previous generation: load the key again", h->id);
	if (r == 0)
		r = store_settle(st, h->id, k.key, e);
	store_key_clear(&k);
	/* The previous one first: a key that is gone while its predecessor is there would be taken for damaged. */
	if (r == 0)
		r = st->custody->ops->remove(st->custody, CUSTODY_PREVIOUS, name, e);
	return r == 0 ? st->custody->ops->remove(st->custody, CUSTODY_CURRENT, name, e) : r;
}

/* The key that is about to be replaced by another pair gets its number; a damaged one is set aside. */
static int
leave_place(struct store *st, const char *id, const char *name, struct err *e)
{
	AUTO(custody_key) going = NULL;
	struct record rec;
	struct err why;
	int r = store_read_record(&rec, st, id, e);

	if (r != 0)
		return r;
	if (rec.secret && store_current(&going, st, name, CUSTODY_SECRET, NULL) == 0)
		return err_set(e, E_USAGE, "key %s: a symmetric key, not a key pair", id);
	r = store_current(&going, st, name, CUSTODY_PAIR, &why);
	if (r == E_FORMAT)
		return store_quarantine(st, id, name, &why, e);
	if (r == E_NOTFOUND)
		return write_usage(st, id, false, USAGE_ALL, e);
	if (r != 0)
		return err_set(e, (enum err_code)r, "key %s: %.300s", id, why.msg);
	return store_settle(st, id, going, e);
}

int
store_move(struct store *st, const char *from, const char *to, struct err *e)
{
	struct store_key k = { 0 };
	char from_name[STEM_MAX], to_name[STEM_MAX];
	int r;

	if (strcmp(from, to) == 0)
		return err_set(e, E_USAGE, "source and destination for move are identical");
	if ((r = store_name_own(from_name, st, from, e)) != 0 || (r = store_name_own(to_name, st, to, e)) != 0 ||
	    (r = store_load(&k, st, CUSTODY_PAIR, from, e)) != 0)
		return r;
	if (k.previous)
		r = err_set(e, E_FORMAT, "key %s: damaged; its previous generation is not moved", from);
	if (r == 0)
		r = store_settle(st, from, k.key, e);
	store_key_clear(&k);
	if (r != 0 || (r = leave_place(st, to, to_name, e)) != 0 ||
	    (r = st->custody->ops->remove(st->custody, CUSTODY_PREVIOUS, from_name, e)) != 0)
		return r;
	return st->custody->ops->move(st->custody, from_name, to_name, e);
}

int
store_forget(struct store *st, const char *id, struct err *e)
{
	char name[STEM_MAX];
	int r = store_name_own(name, st, id, e);

	return r == 0 ? st->custody->ops->forget(st->custody, name, e) : r;
}

/* --- the handle key, beginning and end --- */

/* Handles are worth less than keys: after damage there is a new one, and everybody loads their keys again. */
static int
open_handle_key(struct store *st, struct err *e)
{
	AUTO(custody_key) key = NULL;
	char name[STEM_MAX];
	struct err why;
	int r = stem_name(name, KEYD_HANDLE_KEY_ID, ".key", e);

	if (r != 0)
		return r;
	r = store_current(&key, st, name, CUSTODY_SECRET, &why);
	if (r == 0 && custody_secret_len(key) < HANDLE_KEY_LEAST)
		r = err_set(&why, E_FORMAT, "shorter than %u octets", HANDLE_KEY_LEAST);
	if (r == 0) {
		st->handle_key = TAKE(key);
		return 0;
	}
	if (r == E_FORMAT)
		r = store_quarantine(st, KEYD_HANDLE_KEY_ID, name, &why, e);
	else
		r = r == E_NOTFOUND ? 0 : err_set(e, (enum err_code)r, "the key that makes handles: %.300s", why.msg);
	if (r != 0)
		return r;
	if ((r = st->custody->ops->create_secret(st->custody, name, e)) != 0)
		return r;
	return store_current(&st->handle_key, st, name, CUSTODY_SECRET, e);
}

int
store_new(struct store **out, const struct keyd_settings *s, struct err *e)
{
	AUTO(store) st = mem_zalloc(sizeof(*st));
	int r;

	st->settings = s;
	(void)snprintf(st->records, sizeof(st->records), "%s/records", s->home);
	if ((r = file_custody_new(&st->custody, s->home, e)) != 0 || (r = file_custody_dir(s->home, "records", e)) != 0 ||
	    (r = open_handle_key(st, e)) != 0)
		return r;
	*out = TAKE(st);
	return 0;
}

void
store_free(struct store *st)
{
	if (st == NULL)
		return;
	custody_key_free(st->handle_key);
	custody_free(st->custody);
	mem_free(st);
}

const struct custody_key *
store_handle_key(const struct store *st)
{
	return st->handle_key;
}
