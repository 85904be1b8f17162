/* SPDX-License-Identifier: Apache-2.0 */
/* store/db.c - SQLite opened the durable way, and statements with typed binds */
#include "server/store/db.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "server/store/log_file.h"
#include "server/store/schema.h"

#define DB_STATEMENTS 160 /* distinct statement texts in this room */

struct db {
	sqlite3 *sql;
	size_t n;
	struct {
		const char *text;
		sqlite3_stmt *st;
	} cached[DB_STATEMENTS];
};

/* SQLite's words as ours: what clears up by itself is unavailable, the rest is broken. */
static int
db_err(struct db *d, struct err *e, const char *what)
{
	int code = sqlite3_errcode(d->sql);

	switch (code & 0xff) {
	case SQLITE_CONSTRAINT:
		return err_set(e, E_EXISTS, "store: %s: %s", what, sqlite3_errmsg(d->sql));
	case SQLITE_FULL:
		return err_set(e, E_UNAVAIL, "store: %s: no space left on its file system", what);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_NOMEM:
		return err_set(e, E_UNAVAIL, "store: %s: %s", what, sqlite3_errmsg(d->sql));
	default:
		return err_set(e, E_IO, "store: %s: %s", what, sqlite3_errmsg(d->sql));
	}
}

static int
bind_all(sqlite3_stmt *st, const char *binds, va_list ap)
{
	int bad = 0;

	for (int i = 0; binds[i] != 0; i++) {
		if (binds[i] == 's') {
			bad |= sqlite3_bind_text(st, i + 1, va_arg(ap, const char *), -1, SQLITE_STATIC);
		} else if (binds[i] == 'i') {
			bad |= sqlite3_bind_int64(st, i + 1, va_arg(ap, int64_t));
		} else {
			struct bytes b = va_arg(ap, struct bytes);

			bad |= b.p == NULL ? sqlite3_bind_null(st, i + 1) :
			    sqlite3_bind_blob64(st, i + 1, b.p, b.n, SQLITE_STATIC);
		}
	}
	return bad;
}

static sqlite3_stmt *
prepared(struct db *d, const char *text)
{
	sqlite3_stmt *st = NULL;

	for (size_t i = 0; i < d->n; i++)
		if (d->cached[i].text == text)
			return d->cached[i].st;
	if (sqlite3_prepare_v3(d->sql, text, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK)
		return NULL;
	if (d->n == DB_STATEMENTS) { /* replace the oldest: correct, only slower */
		(void)sqlite3_finalize(d->cached[0].st);
		memmove(&d->cached[0], &d->cached[1], (DB_STATEMENTS - 1) * sizeof(d->cached[0]));
		d->n--;
	}
	d->cached[d->n].text = text;
	d->cached[d->n++].st = st;
	return st;
}

static int
query_vopen(struct query *q, struct db *d, struct err *e, const char *sql, const char *binds, va_list ap)
{
	*q = (struct query){ d, prepared(d, sql) };
	if (q->st == NULL)
		return db_err(d, e, "prepare");
	if (bind_all(q->st, binds, ap) != SQLITE_OK) {
		int rc = db_err(d, e, "bind");

		query_close(q);
		return rc;
	}
	return 0;
}

int
query_open(struct query *q, struct db *d, struct err *e, const char *sql, const char *binds, ...)
{
	va_list ap;
	int rc;

	va_start(ap, binds);
	rc = query_vopen(q, d, e, sql, binds, ap);
	va_end(ap);
	return rc;
}

int
query_next(struct query *q, struct err *e)
{
	int rc = sqlite3_step(q->st);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		rc = 0;
	else
		rc = db_err(q->db, e, "step");
	query_close(q);
	return rc;
}

void
query_close(struct query *q)
{
	if (q->st == NULL)
		return;
	(void)sqlite3_reset(q->st);
	(void)sqlite3_clear_bindings(q->st);
	q->st = NULL;
}

void
query_str(struct query *q, int column, char *out, size_t size)
{
	const char *s = (const char *)sqlite3_column_text(q->st, column);

	text_copy(out, size, s != NULL ? s : "");
}

int64_t
query_i64(struct query *q, int column)
{
	return sqlite3_column_int64(q->st, column);
}

void
query_buf(struct query *q, int column, struct buf *out)
{
	const void *p = sqlite3_column_blob(q->st, column);

	buf_put(out, p, (size_t)sqlite3_column_bytes(q->st, column));
}

void
query_hash(struct query *q, int column, uint8_t out[ROW_HASH_LEN])
{
	const void *p = sqlite3_column_blob(q->st, column);

	memset(out, 0, ROW_HASH_LEN);
	if (sqlite3_column_bytes(q->st, column) == ROW_HASH_LEN)
		memcpy(out, p, ROW_HASH_LEN);
}

int
db_run(struct db *d, struct err *e, const char *sql, const char *binds, ...)
{
	struct query q;
	va_list ap;
	int rc;

	va_start(ap, binds);
	rc = query_vopen(&q, d, e, sql, binds, ap);
	va_end(ap);
	if (rc != 0)
		return rc;
	while ((rc = query_next(&q, e)) > 0)
		;
	return rc;
}

int64_t
db_last_id(struct db *d)
{
	return sqlite3_last_insert_rowid(d->sql);
}

int64_t
db_changes(struct db *d)
{
	return sqlite3_changes64(d->sql);
}

int
db_begin(struct db *d, struct err *e)
{
	return db_run(d, e, "BEGIN IMMEDIATE", "");
}

int
db_look(struct db *d, struct err *e)
{
	return db_run(d, e, "BEGIN", "");
}

void
db_look_end(struct db *d)
{
	if (db_run(d, NULL, "COMMIT", "") != 0)
		db_rollback(d);
}

int
db_commit(struct db *d, struct err *e)
{
	int rc = db_run(d, e, "COMMIT", "");

	if (rc != 0)
		db_rollback(d);
	return rc;
}

void
db_rollback(struct db *d)
{
	if (sqlite3_get_autocommit(d->sql) == 0)
		(void)sqlite3_exec(d->sql, "ROLLBACK", NULL, NULL, NULL);
}

int
db_mark(struct db *d, struct err *e)
{
	return db_run(d, e, "SAVEPOINT piece", "");
}

int
db_keep(struct db *d, struct err *e)
{
	return db_run(d, e, "RELEASE piece", "");
}

void
db_undo(struct db *d)
{
	(void)sqlite3_exec(d->sql, "ROLLBACK TO piece; RELEASE piece", NULL, NULL, NULL);
}

int
db_probe(struct db *d, struct err *e)
{
	return db_run(d, e, "INSERT INTO meta(key, value) VALUES('probe', 1) "
	    "ON CONFLICT(key) DO UPDATE SET value = value + 1", "");
}

static int
pragma_is(struct db *d, const char *sql, const char *want, struct err *e)
{
	char got[32] = "";
	struct query q;
	int rc = query_open(&q, d, e, sql, "");

	if (rc != 0)
		return rc;
	if ((rc = query_next(&q, e)) > 0)
		query_str(&q, 0, got, sizeof(got));
	query_close(&q);
	if (rc < 0)
		return rc;
	if (strcmp(got, want) != 0)
		return err_set(e, E_IO, "store: %s answers '%s', '%s' is needed: this file system cannot hold it", sql, got, want);
	return 0;
}

static int
migrate(struct db *d, struct err *e)
{
	struct query q;
	int64_t have = 0;
	int rc;

	if ((rc = query_open(&q, d, e, "PRAGMA user_version", "")) != 0)
		return rc;
	if ((rc = query_next(&q, e)) > 0)
		have = query_i64(&q, 0);
	query_close(&q);
	if (rc < 0)
		return rc;
	if (have > SCHEMA_VERSION)
		return err_set(e, E_IO, "store: its schema is version %d, this program knows up to %d: run the newer program",
		    (int)have, SCHEMA_VERSION);
	for (; have < SCHEMA_VERSION; have++)
		if (sqlite3_exec(d->sql, schema_step((int)have), NULL, NULL, NULL) != SQLITE_OK) {
			rc = db_err(d, e, "schema");
			db_rollback(d);
			return rc;
		}
	return 0;
}

/*
 * Room for what the largest batch changes, twice over, and no more: SQLite 3.40 walks over all of its cache at each
 * commit in which a page of an index was split, and what is not in there is in the kernel's.
 */
#define CACHE_KIB "4096"

int
db_open(struct db **out, const char *path, struct err *e)
{
	AUTO(db) d = mem_zalloc(sizeof(*d));
	mode_t mask = umask(077);
	int rc;

	/* A role has one thread; when SQLite runs already these two are too late, which only costs time. */
	(void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	rc = sqlite3_open_v2(path, &d->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
	    SQLITE_OPEN_PRIVATECACHE, log_file_vfs());

	(void)umask(mask);
	if (rc != SQLITE_OK)
		return err_set(e, E_IO, "store: %s: %s", path, sqlite3_errstr(rc));
	(void)sqlite3_extended_result_codes(d->sql, 1);
	(void)sqlite3_busy_timeout(d->sql, 2000);
	/*
	 * Temporary files in memory: the authority is confined to the store's directory, and a full batch needs one.  Pages
	 * of a transaction go to the log when it commits, never before, whatever they take of memory: SQLite 3.40 makes a log
	 * that cannot be recovered of pages that went there twice and a piece (db_mark()) that is then undone.
	 */
	if (sqlite3_exec(d->sql, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
	    "PRAGMA cache_spill=OFF; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF; PRAGMA wal_autocheckpoint=4000;"
	    "PRAGMA cache_size=-" CACHE_KIB, NULL, NULL, NULL) != SQLITE_OK)
		return db_err(d, e, path);
	if ((rc = pragma_is(d, "PRAGMA journal_mode", "wal", e)) != 0 ||
	    (rc = pragma_is(d, "PRAGMA synchronous", "2", e)) != 0 ||
	    (rc = pragma_is(d, "PRAGMA foreign_keys", "1", e)) != 0 ||
	    (rc = pragma_is(d, "PRAGMA cache_spill", "0", e)) != 0 ||
	    (rc = migrate(d, e)) != 0)
		return rc;
	*out = TAKE(d);
	return 0;
}

void
db_free(struct db *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n; i++)
		(void)sqlite3_finalize(d->cached[i].st);
	(void)sqlite3_close(d->sql);
	mem_free(d);
}
