/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/store_generation.c - a pair and its successor: switch, prove, roll back; and the list of all keys */
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/custody/file_custody.h"
#include "device/keyd/store_inside.h"
#include "device/service/slog.h"

/* The previous pair, when it is whole and another one than `current` (NULL: than none).  E_NOTFOUND. */
static int
load_other(struct custody_key **out, struct store *st, const char *id, const char *name,
    const struct custody_key *current,
    struct err *e)
{
	AUTO(custody_key) key = NULL;
	struct err why;
	int r = st->custody->ops->load(&key, st->custody, CUSTODY_PREVIOUS, name, CUSTODY_PAIR, &why);

	/* The same key: a switch that went no further than to keep it. */
	if (r == E_NOTFOUND || (r == 0 && current != NULL && bytes_equal(custody_key_spki(key), custody_key_spki(current))))
		return err_set(e, E_NOTFOUND, "key %s: no previous generation", id);
	if (r != 0)
		return err_set(e, (enum err_code)r, "key %s: its previous generation: %.250s", id, why.msg);
	*out = TAKE(key);
	return 0;
}

int
store_state(struct store_state *out, struct store *st, const char *id, struct err *e)
{
	AUTO(custody_key) other = NULL;
	struct store_key k = { 0 };
	char name[STEM_MAX];
	int r = store_load(&k, st, CUSTODY_PAIR, id, e);

	if (r != 0)
		return r;
	*out = (struct store_state){ .generation = k.generation, .previous = k.previous };
	if (!k.preloaded && !k.previous && (r = store_name(name, id, e)) == 0)
		out->previous = load_other(&other, st, id, name, k.key, NULL) == 0;
	store_key_clear(&k);
	return r;
}

/* There is no `from`: was it switched already?  Then it is `id`, and only the disk may not know yet. */
static int
switched_already(struct store *st, const char *id, const char *name, const char *from_name, struct bytes spki,
    struct err *e)
{
	AUTO(custody_key) current = NULL;

	if (store_current(&current, st, name, CUSTODY_PAIR, NULL) != 0 || !bytes_equal(custody_key_spki(current), spki))
		return err_set(e, E_NOTFOUND, "key %s: there is nothing to switch to", id);
	return st->custody->ops->remove(st->custody, CUSTODY_CURRENT, from_name, e);
}

/*
 * In this order: the number of the key that goes, its copy, the rename.  A crash before the rename leaves the old key
 * current (and a copy that equals it, which counts as none); after it the new one.  A damaged key is not kept: the
 * previous generation, if there is one, is better.
 */
static int
switch_now(struct store *st, const struct record *rec, const char *name, const char *from_name, struct err *e)
{
	const char *id = rec->id;
	AUTO(custody_key) current = NULL;
	struct err why;
	int r = store_current(&current, st, name, CUSTODY_PAIR, &why);

	if (r == 0 && ((r = store_settle(st, id, current, e)) != 0 || (r = st->custody->ops->keep(st->custody, name,
	    e)) != 0))
		return r;
	if (r == E_FORMAT && (r = store_quarantine(st, id, name, &why, e)) != 0)
		return r;
	if (r == E_NOTFOUND)
		r = store_write_record(st, rec, e);
	else if (r != 0)
		(void)err_set(e, (enum err_code)r, "key %s: %.300s", id, why.msg);
	if (r != 0)
		return r;
	return st->custody->ops->move(st->custody, from_name, name, e);
}

int
store_switch(struct store *st, const char *id, const char *from, struct bytes spki, struct err *e)
{
	AUTO(custody_key) next = NULL;
	char name[STEM_MAX], from_name[STEM_MAX];
	struct record rec;
	struct err why;
	int r;

	if (strcmp(id, from) == 0)
		return err_set(e, E_USAGE, "source and destination for switch are identical");
	if ((r = store_name_own(name, st, id, e)) != 0 || (r = store_name_own(from_name, st, from, e)) != 0 ||
	    (r = store_read_record(&rec, st, id, e)) != 0)
		return r;
	if (rec.secret)
		return err_set(e, E_USAGE, "key %s: a symmetric key, not a key pair", id);
	r = store_current(&next, st, from_name, CUSTODY_PAIR, &why);
	if (r == E_NOTFOUND)
		return switched_already(st, id, name, from_name, spki, e);
	if (r != 0)
		return err_set(e, (enum err_code)r, "key %s: %.300s", from, why.msg);
	if (!bytes_equal(custody_key_spki(next), spki))
		return err_set(e, E_USAGE, "key %s: its public key is another one than spki", from);
	if ((r = store_settle(st, from, next, e)) != 0 ||
	    (r = st->custody->ops->remove(st->custody, CUSTODY_PREVIOUS, from_name, e)) != 0)
		return r;
	return switch_now(st, &rec, name, from_name, e);
}

int
store_prove(struct store *st, const char *id, struct err *e)
{
	AUTO(custody_key) current = NULL;
	char name[STEM_MAX];
	struct err why;
	int r = store_name_own(name, st, id, e);

	if (r != 0)
		return r;
	if ((r = store_current(&current, st, name, CUSTODY_PAIR, &why)) != 0)
		return err_set(e, (enum err_code)r, "key %s: %.300s", id, why.msg);
	return st->custody->ops->remove(st->custody, CUSTODY_PREVIOUS, name, e);
}

int
store_rollback(struct store *st, const char *id, struct err *e)
{
	AUTO(custody_key) current = NULL;
	AUTO(custody_key) other = NULL;
	char name[STEM_MAX];
	struct err why;
	int r = store_name_own(name, st, id, e), have;

	if (r != 0)
		return r;
	have = store_current(&current, st, name, CUSTODY_PAIR, &why);
	if ((r = load_other(&other, st, id, name, current, e)) != 0)
		return r;
	if (have == 0)
		r = store_settle(st, id, current, e);
	else if (have == E_FORMAT)
		r = store_quarantine(st, id, name, &why, e);
	else if (have != E_NOTFOUND)
		r = err_set(e, (enum err_code)have, "key %s: %.300s", id, why.msg);
	if (r != 0 || (r = st->custody->ops->restore(st->custody, name, e)) != 0)
		return r;
	slog(SLOG_WARN, "Key %s was rolled back to its previous generation.", id);
	return 0;
}

/* --- the list --- */

static const char *
kind_of(const struct custody_key *k)
{
	return custody_key_kind(k) == CUSTODY_SECRET ? "symmetric" : key_type_name(custody_key_type(k));
}

static json_t *
new_row(const char *id, const char *file, const char *kind, uint64_t generation, const char *state)
{
	json_t *row = json_object();

	if (id != NULL)
		json_setf(row, "id", "%s", id);
	json_setf(row, "file", "%s", file);
	json_setf(row, "kind", "%s", kind);
	if (generation != 0)
		(void)json_object_set_new(row, "generation", json_integer((json_int_t)generation));
	json_setf(row, "state", "%s", state);
	return row;
}

/* The key of a file, as either kind; why it is none is told as a state. */
static const char *
open_entry(struct custody_key **out, struct store *st, const struct custody_entry *en)
{
	int r;

	if (en->quarantined)
		return "quarantined";
	r = st->custody->ops->load(out, st->custody, en->shelf, en->name, CUSTODY_PAIR, NULL);
	if (r == E_USAGE)
		r = st->custody->ops->load(out, st->custody, en->shelf, en->name, CUSTODY_SECRET, NULL);
	if (r != 0)
		return r == E_FORMAT ? "damaged" : "unreadable";
	return en->shelf == CUSTODY_CURRENT ? "ok" : "previous";
}

/* Whom a list is for. */
struct audience {
	bool (*wanted)(void *ctx, const char *id);
	void (*fn)(void *ctx, const char *id, json_t *row);
	void *ctx;
};

static bool
is_wanted(const struct audience *to, const char *id)
{
	return to->wanted == NULL || to->wanted(to->ctx, id);
}

static void
tell_entry(struct store *st, const struct custody_entry *en, const struct audience *to)
{
	AUTO(custody_key) key = NULL;
	AUTO_JSON row = NULL;
	uint8_t digest[SHA256_LEN];
	struct record rec = { 0 };
	uint64_t generation = 0;
	bool known = store_record_of(&rec, st, en->name);
	const char *state;

	if (!is_wanted(to, known ? rec.id : NULL))
		return;
	state = open_entry(&key, st, en);
	/* A symmetric key of an unusual length is one because its record says so. */
	if (key == NULL && known && rec.secret && !en->quarantined &&
	    st->custody->ops->load(&key, st->custody, en->shelf, en->name, CUSTODY_SECRET, NULL) == 0)
		state = "ok";
	if (key != NULL && known && custody_key_digest(digest, key, NULL) == 0)
		generation = en->shelf == CUSTODY_CURRENT ? record_generation(&rec, digest) : record_known(&rec, digest);
	row = new_row(known ? rec.id : NULL, en->name, key != NULL ? kind_of(key) : "unknown", generation, state);
	to->fn(to->ctx, known ? rec.id : NULL, row);
}

/* Which of the two kinds a preloaded key is, its file says. */
static void
tell_preloaded(const struct keyd_preloaded *p, const struct audience *to)
{
	AUTO(custody_key) key = NULL;
	AUTO_JSON row = NULL;
	const char *state = "preloaded";
	int r = E_UNAVAIL;

	if (!is_wanted(to, p->id))
		return;
	if (p->path != NULL && (r = file_custody_load(&key, p->path, CUSTODY_PAIR, NULL)) == E_USAGE)
		r = file_custody_load(&key, p->path, CUSTODY_SECRET, NULL);
	if (r != 0)
		state = r == E_UNAVAIL ? "no back end" : r == E_NOTFOUND ? "missing" : "unreadable";
	row = new_row(p->id, p->path != NULL ? p->path : p->scheme, key != NULL ? kind_of(key) : "unknown", 0, state);
	to->fn(to->ctx, p->id, row);
}

int
store_each(struct store *st, bool (*wanted)(void *ctx, const char *id), void (*fn)(void *ctx, const char *id, json_t *row),
    void *ctx, struct err *e)
{
	const struct audience to = { wanted, fn, ctx };
	struct custody_entry *all = mem_zalloc_n(CUSTODY_LIST_MAX, sizeof(*all));
	char handle_key[STEM_MAX];
	size_t n = 0;
	int r = stem_name(handle_key, KEYD_HANDLE_KEY_ID, ".key", e);

	if (r == 0)
		r = st->custody->ops->list(st->custody, all, CUSTODY_LIST_MAX, &n, e);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (strcmp(all[i].name, handle_key) != 0)
			tell_entry(st, &all[i], &to);
	for (size_t i = 0; r == 0 && i < st->settings->n_preloaded; i++)
		tell_preloaded(&st->settings->preloaded[i], &to);
	mem_free(all);
	return r;
}
