/* SPDX-License-Identifier: Apache-2.0 */
/* store/test_log_file.c - the log in large pieces: nothing later, nothing lost, nothing of what failed */
#include "fresh_db.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "server/store/log_file.h"

#define FRAME (24 + 4096)

/* The default VFS below ours: it counts what really is written to a log, and may fail it. */
static const sqlite3_io_methods *real;
static sqlite3_io_methods counted;
static sqlite3_vfs *plain;
static int writes;
static int fail_at;               /* the write that finds the disk full; 0: none */
static bool once;                 /* else all after it find it full, too */
static sqlite3_int64 fail_beyond; /* what would make the file longer than this finds the disk full; 0: nothing */
static bool fail_sync;

static int
count_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 at)
{
	writes++;
	if ((fail_at != 0 && (once ? writes == fail_at : writes >= fail_at)) || (fail_beyond != 0 && at + n > fail_beyond))
		return SQLITE_FULL;
	return real->xWrite(file, p, n, at);
}

static int
maybe_sync(sqlite3_file *file, int flags)
{
	return fail_sync ? SQLITE_IOERR_FSYNC : real->xSync(file, flags);
}

static int
open_counted(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	int rc = plain->xOpen(plain, name, file, flags, out);

	(void)vfs;
	if (rc == SQLITE_OK && (flags & SQLITE_OPEN_WAL) != 0) {
		real = file->pMethods;
		counted = *real;
		counted.xWrite = count_write;
		counted.xSync = maybe_sync;
		file->pMethods = &counted;
	}
	return rc;
}

static void
count_all(void)
{
	static sqlite3_vfs vfs;

	plain = sqlite3_vfs_find(NULL);
	vfs = *plain;
	vfs.zName = "counted";
	vfs.xOpen = open_counted;
	assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

static int64_t
log_frames(void)
{
	char path[96];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s-wal", db_path);
	return stat(path, &st) == 0 ? (st.st_size - 32) / FRAME : 0;
}

/* What another process sees, one number. */
static int64_t
elsewhere(const char *sql)
{
	sqlite3_stmt *st = NULL;
	sqlite3 *other;
	int64_t n;

	assert_int_equal(sqlite3_open_v2(db_path, &other, SQLITE_OPEN_READWRITE, plain->zName), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(other, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(other);
	return n;
}

#define DEVICES "SELECT count(*) FROM device"
#define SOUND   "SELECT integrity_check = 'ok' FROM pragma_integrity_check"

static void
add_devices(const char *kind, int n)
{
	char name[32];

	for (int i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "%s-%d", kind, i);
		(void)add_cert(add_device(name), kind[0] * 100000 + i);
	}
}

static int64_t
count(const char *sql)
{
	struct query q;
	int64_t n;

	assert_int_equal(query_open(&q, db, NULL, sql, ""), 0);
	assert_int_equal(query_next(&q, NULL), 1);
	n = query_i64(&q, 0);
	query_close(&q);
	return n;
}

static void
the_writes_of_a_commit_are_joined(void **state)
{
	int64_t before = log_frames();

	(void)state;
	assert_int_equal(db_begin(db, NULL), 0);
	add_devices("a", 300);
	writes = 0;
	assert_int_equal(db_commit(db, NULL), 0);
	assert_true(log_frames() - before >= 30);
	assert_in_range(writes, 1, (log_frames() - before) / 10);
}

/* Run fn on the store in a process that then ends at once, as by kill -9; fn says 0 when all went as it should. */
static void
in_a_process_that_is_killed(int (*fn)(void))
{
	pid_t pid;
	int status;

	db_free(db);
	db = NULL;
	if ((pid = fork()) == 0)
		_exit(db_open(&db, db_path, NULL) == 0 ? fn() : 99);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(db_open(&db, db_path, NULL), 0);
}

/* 0, or what the commit of so many devices says. */
static int
commit_devices(const char *kind, int n)
{
	if (db_begin(db, NULL) != 0)
		return E_IO;
	add_devices(kind, n);
	return db_commit(db, NULL);
}

static int
commit_two(void)
{
	return commit_devices("b", 2);
}

static void
what_is_committed_is_in_the_file(void **state)
{
	(void)state;
	assert_int_equal(db_begin(db, NULL), 0);
	add_devices("a", 1);
	assert_int_equal(elsewhere(DEVICES), 0);
	assert_int_equal(db_commit(db, NULL), 0);
	assert_int_equal(elsewhere(DEVICES), 1);
	in_a_process_that_is_killed(commit_two);
	assert_int_equal(elsewhere(DEVICES), 3);
}

#define MAKE_BIG "CREATE TABLE big(n INTEGER, b TEXT)"
#define BIG_GOOD "SELECT count(*) FROM big WHERE b = printf('%060000d', n)"
#define BIG_ALL  "SELECT count(*) FROM big"

/* More pages than the cache has room for.  0, or why it stopped. */
static int
large_transaction(int rows)
{
	int rc = 0;

	for (int i = 0; i < rows && rc == 0; i++)
		rc = db_run(db, NULL, "INSERT INTO big(n, b) VALUES(?1, printf('%060000d', ?1))", "i", (int64_t)i);
	return rc;
}

static void
nothing_of_a_transaction_beyond_the_cache_is_in_the_log_before_its_commit(void **state)
{
	int64_t before;

	(void)state;
	assert_int_equal(db_run(db, NULL, MAKE_BIG, ""), 0);
	before = log_frames();
	assert_int_equal(db_begin(db, NULL), 0);
	writes = 0;
	assert_int_equal(large_transaction(200), 0);
	assert_int_equal(count(BIG_GOOD), 200);
	assert_int_equal(writes, 0);
	assert_int_equal(elsewhere(BIG_ALL), 0);
	assert_int_equal(db_commit(db, NULL), 0);
	assert_true(log_frames() - before > 2000);
	assert_int_equal(elsewhere(BIG_GOOD), 200);
	assert_int_equal(elsewhere(SOUND), 1);
}

static int
undo_a_large_piece(void)
{
	if (db_begin(db, NULL) != 0 || db_run(db, NULL, MAKE_BIG, "") != 0 || db_mark(db, NULL) != 0)
		return 1;
	if (large_transaction(200) != 0 || db_run(db, NULL, "UPDATE big SET n = n + 1", "") != 0)
		return 2;
	db_undo(db);
	return commit_devices("kept", 1) == 0 ? 3 : db_commit(db, NULL) != 0 ? 4 : commit_devices("after", 5);
}

/* SQLite 3.40 would have lost what was acknowledged: see db_open(). */
static void
a_large_piece_that_is_undone_costs_no_commit_after_it(void **state)
{
	(void)state;
	in_a_process_that_is_killed(undo_a_large_piece);
	assert_int_equal(elsewhere(DEVICES), 5);
	assert_int_equal(elsewhere(BIG_ALL), 0);
	assert_int_equal(elsewhere(SOUND), 1);
}

/* A transaction, large or small, whose n-th write finds the disk full: false when it had less. */
static bool
fails_at(int n, bool large)
{
	int64_t had = count(DEVICES);
	int rc;

	assert_int_equal(db_begin(db, NULL), 0);
	writes = 0;
	fail_at = n;
	(void)!device_row_touch(db, "refused", NOW, &(int64_t){ 0 }, NULL);
	if (large)
		(void)!large_transaction(120);
	rc = db_commit(db, NULL); /* also after a statement of it that failed */
	if (rc != 0)
		assert_int_equal(count(DEVICES), had); /* the disk may still be full, and can be read */
	assert_int_equal(fail_at != 0 && writes < n, rc == 0);
	fail_at = 0;
	return rc != 0;
}

static void
each_write_that_fails(bool large, bool once_only)
{
	int n = 1, kept = 0;
	char name[32];

	once = once_only;
	assert_int_equal(db_run(db, NULL, MAKE_BIG, ""), 0);
	for (; fails_at(n, large); n++) {
		assert_int_equal(elsewhere(DEVICES), kept);
		assert_int_equal(elsewhere(BIG_ALL), 0);
		(void)snprintf(name, sizeof(name), "kept-%d", kept++);
		assert_int_equal(db_begin(db, NULL), 0);
		(void)add_device(name);
		writes = 0;
		assert_int_equal(db_commit(db, NULL), 0);
		if (!large)
			assert_int_equal(writes, 1); /* its own: nothing of the refused one comes before it */
	}
	assert_true(kept >= (large ? 50 : 1));
	assert_int_equal(elsewhere(DEVICES), kept + 1);
	assert_int_equal(elsewhere(BIG_GOOD), large ? 120 : 0);
	assert_int_equal(elsewhere(SOUND), 1);
}

static void
a_write_that_fails_refuses_its_commit_and_no_other(void **state)
{
	(void)state;
	each_write_that_fails(false, false);
}

static void
also_one_of_a_transaction_beyond_the_cache(void **state)
{
	(void)state;
	each_write_that_fails(true, false);
}

static void
also_when_the_next_write_would_succeed(void **state)
{
	(void)state;
	each_write_that_fails(true, true);
}

static int
refused_by_a_full_disk(void)
{
	fail_at = 1;
	writes = 0;
	if (commit_devices("refused", 3) != E_UNAVAIL)
		return 1;
	fail_at = 0; /* there is room again, but nobody asks for it */
	return 0;
}

static int
refused_and_closed(void)
{
	int rc = refused_by_a_full_disk();

	db_free(db);
	return rc;
}

static int
refused_by_a_sync(void)
{
	if (db_probe(db, NULL) != 0) /* so that the log has a head, whose own sync comes first */
		return 2;
	fail_sync = true;
	return commit_devices("refused", 3) == E_UNAVAIL && commit_devices("refused", 200) == E_UNAVAIL ? 0 : 1;
}

static void
what_was_refused_does_not_come_back(void **state)
{
	int (*const refusals[])(void) = { refused_by_a_full_disk, refused_and_closed, refused_by_a_sync };

	(void)state;
	assert_int_equal(commit_devices("kept", 1), 0);
	for (size_t i = 0; i < N_OF(refusals); i++) {
		in_a_process_that_is_killed(refusals[i]);
		assert_int_equal(elsewhere(DEVICES), 1);
		assert_int_equal(elsewhere(SOUND), 1);
	}
}

static void
a_log_that_cannot_grow_refuses_what_is_too_large_and_takes_the_rest(void **state)
{
	(void)state;
	assert_int_equal(db_run(db, NULL, MAKE_BIG, ""), 0);
	fail_beyond = 32 + (log_frames() + 40) * FRAME;
	for (int i = 0; i < 3; i++) {
		int rc = db_begin(db, NULL);

		assert_int_equal(rc, 0);
		assert_int_equal(large_transaction(20), 0);
		assert_int_equal(db_commit(db, NULL), E_UNAVAIL);
		assert_int_equal(db_begin(db, NULL), 0);
		(void)add_device(i == 0 ? "a" : i == 1 ? "b" : "c");
		assert_int_equal(db_commit(db, NULL), 0);
	}
	fail_beyond = 0;
	assert_int_equal(elsewhere(DEVICES), 3);
	assert_int_equal(elsewhere(BIG_ALL), 0);
}

/* A second writer is none of ours, but an operator may be one, with the sqlite3 command. */
static void
what_was_refused_is_not_written_over_what_another_process_commits(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	assert_int_equal(db_run(db, NULL, MAKE_BIG, ""), 0);
	assert_int_equal(db_begin(db, NULL), 0);
	assert_int_equal(large_transaction(20), 0);
	writes = 0;
	fail_at = 3;
	once = false;
	assert_int_equal(db_commit(db, NULL), E_UNAVAIL);
	fail_at = 0;
	if ((pid = fork()) == 0) {
		sqlite3 *other;

		_exit(sqlite3_open_v2(db_path, &other, SQLITE_OPEN_READWRITE, plain->zName) == SQLITE_OK &&
		    sqlite3_exec(other, "WITH RECURSIVE c(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM c WHERE i < 119)"
		    "INSERT INTO big SELECT i, printf('%060000d', i) FROM c", NULL, NULL, NULL) == SQLITE_OK ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(commit_devices("a", 2), 0);
	assert_int_equal(elsewhere(BIG_GOOD), 20);
	assert_int_equal(elsewhere(DEVICES), 2);
	assert_int_equal(elsewhere(SOUND), 1);
}

/* --- the file alone --- */

static sqlite3_file *wal;
static char log_path[112]; /* a VFS looks behind the name's NUL for parameters */

static void
open_log(void)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(log_file_vfs());

	memset(log_path, 0, sizeof(log_path));
	(void)snprintf(log_path, sizeof(log_path) - 8, "%s-log", db_path);
	wal = calloc(1, (size_t)vfs->szOsFile);
	assert_non_null(wal);
	assert_int_equal(vfs->xOpen(vfs, log_path, wal, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_WAL, NULL), SQLITE_OK);
	writes = 0;
}

static void
close_log(void)
{
	assert_int_equal(wal->pMethods->xClose(wal), SQLITE_OK);
	free(wal);
	assert_int_equal(unlink(log_path), 0);
}

static void
put(const char *text, sqlite3_int64 at)
{
	assert_int_equal(wal->pMethods->xWrite(wal, text, (int)strlen(text), at), SQLITE_OK);
}

static void
what_is_held_is_read_back(void **state)
{
	char got[5] = "";

	(void)state;
	open_log();
	put("aaaa", 0);
	put("bbbb", 4);
	assert_int_equal(writes, 0);
	assert_int_equal(wal->pMethods->xRead(wal, got, 4, 2), SQLITE_OK);
	assert_string_equal(got, "aabb");
	assert_int_equal(writes, 1);
	put("cccc", 8);
	assert_int_equal(wal->pMethods->xRead(wal, got, 4, 4), SQLITE_OK); /* beside it */
	assert_string_equal(got, "bbbb");
	assert_int_equal(writes, 1);
	put("dd", 2); /* back, and over what was written */
	assert_int_equal(writes, 2);
	assert_int_equal(wal->pMethods->xRead(wal, got, 4, 0), SQLITE_OK);
	assert_string_equal(got, "aadd");
	close_log();
}

static void
sizes_and_what_is_too_large_to_be_held_are_right(void **state)
{
	static char large[70000], back[70000];
	sqlite3_int64 size;

	(void)state;
	memset(large, 'x', sizeof(large));
	open_log();
	put("aaaa", 0);
	assert_int_equal(wal->pMethods->xWrite(wal, large, sizeof(large), 4), SQLITE_OK);
	put("bbbb", 4 + sizeof(large));
	assert_int_equal(wal->pMethods->xFileSize(wal, &size), SQLITE_OK);
	assert_int_equal(size, 8 + sizeof(large));
	assert_int_equal(wal->pMethods->xRead(wal, back, sizeof(back), 4), SQLITE_OK);
	assert_memory_equal(back, large, sizeof(large));
	put("cccc", 8 + sizeof(large));
	assert_int_equal(wal->pMethods->xTruncate(wal, 2), SQLITE_OK);
	assert_int_equal(wal->pMethods->xFileSize(wal, &size), SQLITE_OK);
	assert_int_equal(size, 2);
	close_log();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DB(the_writes_of_a_commit_are_joined),
		WITH_DB(what_is_committed_is_in_the_file),
		WITH_DB(nothing_of_a_transaction_beyond_the_cache_is_in_the_log_before_its_commit),
		WITH_DB(a_large_piece_that_is_undone_costs_no_commit_after_it),
		WITH_DB(a_write_that_fails_refuses_its_commit_and_no_other),
		WITH_DB(also_one_of_a_transaction_beyond_the_cache),
		WITH_DB(also_when_the_next_write_would_succeed),
		WITH_DB(what_was_refused_does_not_come_back),
		WITH_DB(a_log_that_cannot_grow_refuses_what_is_too_large_and_takes_the_rest),
		WITH_DB(what_was_refused_is_not_written_over_what_another_process_commits),
		WITH_DB(what_is_held_is_read_back),
		WITH_DB(sizes_and_what_is_too_large_to_be_held_are_right),
	};

	count_all(); /* before the first db_open() */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
