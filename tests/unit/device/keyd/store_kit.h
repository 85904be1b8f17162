/* SPDX-License-Identifier: Apache-2.0 */
/* keyd: a store of keys in a scratch directory, and what is done most with it */
#ifndef TESTS_STORE_KIT_H
#define TESTS_STORE_KIT_H

#include "tests/unit/device/service/scratch.h"

#include "core/base/mem.h"
#include "device/keyd/store.h"
#include "device/service/slog.h"

static struct keyd_preloaded preloaded[2]; /* "given", "tokens" */
static struct keyd_settings settings;
static struct store *st;

static inline void
open_store(void)
{
	struct err e;

	if (store_new(&st, &settings, &e) != 0)
		fail_msg("%s", e.msg);
}

/* As after a crash: everything anew from the files. */
static inline void
reopen(void)
{
	store_free(st);
	st = NULL;
	open_store();
}

static inline int
begin(void **state)
{
	static char home[128], given[128], scheme[] = "pkcs11", ids[][8] = { "given", "tokens" };

	(void)state;
	slog_filter("off");
	scratch_make();
	(void)snprintf(home, sizeof(home), "%s/home", scratch);
	(void)snprintf(given, sizeof(given), "%s/given.pem", scratch);
	preloaded[0] = (struct keyd_preloaded){ .id = ids[0], .path = given };
	preloaded[1] = (struct keyd_preloaded){ .id = ids[1], .scheme = scheme };
	settings = (struct keyd_settings){ .home = home, .bind = true, .preloaded = preloaded,
	    .n_preloaded = N_OF(preloaded) };
	open_store();
	return 0;
}

static inline int
end(void **state)
{
	(void)state;
	store_free(st);
	st = NULL;
	scratch_remove();
	return 0;
}

/* --- files behind IDs --- */

static inline const char *
path_of(const char *dir, const char *id, const char *ext)
{
	static char path[512];
	char name[STEM_MAX];
	struct err e;

	assert_int_equal(stem_name(name, id, ext, &e), 0);
	(void)snprintf(path, sizeof(path), "%s/%s/%s", settings.home, dir, name);
	return path;
}

static inline bool
is_there(const char *dir, const char *id)
{
	return access(path_of(dir, id, ".key"), F_OK) == 0;
}

static inline void
read_key(struct buf *out, const char *id)
{
	struct err e;

	buf_reset(out);
	assert_int_equal(file_read(out, path_of("keys", id, ".key"), 65536, &e), 0);
}

static inline void
damage(const char *id)
{
	assert_int_equal(file_write(path_of("keys", id, ".key"), bytes_of("-----BEGIN PRIVATE KEY-----\nMI"), 0600,
	    NULL), 0);
}

/* --- what is done most --- */

static inline uint64_t
create(const char *id, struct buf *spki)
{
	struct store_key k = { 0 };
	struct err e;

	if (store_create_pair(&k, st, id, KEY_EC_P256, &e) != 0)
		fail_msg("%s", e.msg);
	if (spki != NULL) {
		buf_reset(spki);
		buf_put_bytes(spki, custody_key_spki(k.key));
	}
	store_key_clear(&k);
	return k.generation;
}

/* The pair that an ID gives now; E_... otherwise. */
static inline int
look(const char *id, struct buf *spki, uint64_t *generation)
{
	struct store_key k = { 0 };
	struct err e;
	int r = store_load(&k, st, CUSTODY_PAIR, id, &e);

	if (r != 0)
		return r;
	if (spki != NULL) {
		buf_reset(spki);
		buf_put_bytes(spki, custody_key_spki(k.key));
	}
	if (generation != NULL)
		*generation = k.generation;
	store_key_clear(&k);
	return 0;
}

static inline void
assert_is(const char *id, const struct buf *spki)
{
	AUTO_BUF now = { 0 };

	assert_int_equal(look(id, &now, NULL), 0);
	assert_true(bytes_equal(bytes_of_buf(&now), bytes_of_buf(spki)));
}

/* What a handle of that generation gives; E_... otherwise. */
static inline int
use(const char *id, uint64_t generation, struct buf *spki)
{
	struct handle h = { .kind = HANDLE_PAIR, .bound = true, .generation = generation };
	struct store_key k = { 0 };
	struct err e;
	int r;

	memcpy(h.id, id, strlen(id) + 1);
	if ((r = store_use(&k, st, &h, &e)) != 0)
		return r;
	buf_reset(spki);
	buf_put_bytes(spki, custody_key_spki(k.key));
	store_key_clear(&k);
	return 0;
}

static inline int
delete(const char *id, enum handle_kind kind, uint64_t generation)
{
	struct handle h = { .kind = kind, .bound = generation != 0, .generation = generation };
	struct err e;

	memcpy(h.id, id, strlen(id) + 1);
	return store_delete(st, &h, &e);
}

static inline struct store_state
state_of(const char *id)
{
	struct store_state s = { 0 };
	struct err e;

	assert_int_equal(store_state(&s, st, id, &e), 0);
	return s;
}

#endif
