/* SPDX-License-Identifier: Apache-2.0 */
/* store/db.h - the database: opened, migrated, in one transaction at a time */
#ifndef SERVER_STORE_DB_H
#define SERVER_STORE_DB_H

#include "core/base/bytes.h"

#define ROW_NAME_MAX 65    /* names of objects, NUL included */
#define ROW_TEXT_MAX 1024  /* a line or two for people */
#define ROW_HASH_LEN 32

struct db;

/*
 * Open or make the SQLite file at path (mode 0600), WAL with synchronous=FULL, both read
 * back; bring the schema to this version in one transaction.  A schema newer than we know
 * is refused.  E_IO, E_UNAVAIL (locked by another process).  One writer: this process.
 */
int db_open(struct db **out, const char *path, struct err *e) MUST_CHECK;
void db_free(struct db *d);
AUTO_DEFINE(db, db_free)

int db_begin(struct db *d, struct err *e) MUST_CHECK;
/* On success everything since db_begin() is on the disk; on failure it is rolled back (E_UNAVAIL: disk full, I/O error). */
int db_commit(struct db *d, struct err *e) MUST_CHECK;
/* Between these two are questions alone, to one state of the store: the lock is taken once and not for each. */
int db_look(struct db *d, struct err *e) MUST_CHECK;
void db_look_end(struct db *d);
void db_rollback(struct db *d); /* also when no transaction is open */
/* One piece of a transaction that can be taken back alone: mark, then keep it or undo to the mark. */
int db_mark(struct db *d, struct err *e) MUST_CHECK;
int db_keep(struct db *d, struct err *e) MUST_CHECK;
void db_undo(struct db *d);
/* Write and commit one value: does the store take writes?  E_UNAVAIL. */
int db_probe(struct db *d, struct err *e) MUST_CHECK;

/*
 * --- for the *_row.c files of this room ---
 * A prepared statement, cached by the address of its text (a string literal).  Binds: s const char *
 * (NULL is SQL NULL), i int64_t, b struct bytes (p NULL is SQL NULL); what they point to is borrowed until the query
 * is closed.  One statement at a time per text.
 */
struct sqlite3_stmt;
struct query {
	struct db *db;
	struct sqlite3_stmt *st;
};
/* Prepare and bind; a failure to prepare or bind is our bug or a broken file: E_IO. */
int query_open(struct query *q, struct db *d, struct err *e, const char *sql, const char *binds, ...) MUST_CHECK;
/* 1: a row, 0: no more (and closed), negative: err_code (and closed). */
int query_next(struct query *q, struct err *e) MUST_CHECK;
void query_close(struct query *q);
/* Columns of the present row. */
void query_str(struct query *q, int column, char *out, size_t size);
int64_t query_i64(struct query *q, int column);
void query_buf(struct query *q, int column, struct buf *out); /* appended */
void query_hash(struct query *q, int column, uint8_t out[ROW_HASH_LEN]); /* zeros when NULL */
/* Open, run to the end, close: for what returns no rows.  A broken UNIQUE constraint is E_EXISTS. */
int db_run(struct db *d, struct err *e, const char *sql, const char *binds, ...) MUST_CHECK;
int64_t db_last_id(struct db *d);
int64_t db_changes(struct db *d);

#endif
