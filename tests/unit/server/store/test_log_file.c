/* SPDX-License-Identifier: Apache-2.0 */
/* store/test_log_file.c - the log in large pieces: nothing later, nothing lost, nothing of what failed */
#include "fresh_db.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FRAME (24 + 4096)

/* The default VFS below ours: it counts what really is written to a log, and may fail it. */
static const sqlite3_io_methods *real;
static sqlite3_io_methods counted;
static sqlite3_vfs *plain;
static int writes, fail_at; /* fail_at: the write that finds the disk full; 0: none */
static bool once;           /* else all after it find it full, too */

static int
count_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 at)
{
	writes++;
	return fail_at != 0 && (once ? writes == fail_at : writes >= fail_at) ? SQLITE_FULL : real->xWrite(file, p, n, at);
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

static void
what_is_committed_is_in_the_file(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	assert_int_equal(db_begin(db, NULL), 0);
	add_devices("a", 1);
	assert_int_equal(elsewhere(DEVICES), 0);
	assert_int_equal(db_commit(db, NULL), 0);
	assert_int_equal(elsewhere(DEVICES), 1);
	/* Also of a process that ended at once. */
	db_free(db);
	db = NULL;
	if ((pid = fork()) == 0) {
		if (db_open(&db, db_path, NULL) != 0 || db_begin(db, NULL) != 0)
			_exit(1);
		add_devices("b", 2);
		_exit(db_commit(db, NULL) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(elsewhere(DEVICES), 3);
	assert_int_equal(db_open(&db, db_path, NULL), 0);
}

#define MAKE_BIG "CREATE TABLE big(n INTEGER, b TEXT)"
#define BIG_GOOD "SELECT count(*) FROM big WHERE b = printf('%060000d', n)"
#define BIG_ALL  "SELECT count(*) FROM big"

/* Pages that the cache has no room for go to the log before the commit, and come back from it.  0, or why it stopped. */
static int
large_transaction(int rows)
{
	int rc = 0;

	for (int i = 0; i < rows && rc == 0; i++)
		rc = db_run(db, NULL, "INSERT INTO big(n, b) VALUES(?1, printf('%060000d', ?1))", "i", (int64_t)i);
	return rc;
}

static void
a_transaction_beyond_the_cache_reads_what_it_wrote(void **state)
{
	int64_t before;

	(void)state;
	assert_int_equal(db_run(db, NULL, MAKE_BIG, ""), 0);
	before = log_frames();
	assert_int_equal(db_begin(db, NULL), 0);
	assert_int_equal(large_transaction(200), 0);
	assert_true(log_frames() - before > 500);
	assert_int_equal(count(BIG_GOOD), 200);
	assert_int_equal(elsewhere(BIG_ALL), 0);
	assert_int_equal(db_commit(db, NULL), 0);
	assert_int_equal(elsewhere(BIG_GOOD), 200);
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

static void
what_was_refused_does_not_come_back(void **state)
{
	(void)state;
	for (int closed = 0; closed < 2; closed++) {
		pid_t pid;
		int status;

		db_free(db);
		db = NULL;
		if ((pid = fork()) == 0) {
			if (db_open(&db, db_path, NULL) != 0 || db_begin(db, NULL) != 0)
				_exit(1);
			add_devices("refused", 3);
			writes = 0;
			fail_at = 1;
			if (db_commit(db, NULL) != E_UNAVAIL)
				_exit(2);
			fail_at = 0; /* the disk has room again, but nobody asks for it */
			if (closed != 0)
				db_free(db);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(elsewhere(DEVICES), 0);
		assert_int_equal(db_open(&db, db_path, NULL), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DB(the_writes_of_a_commit_are_joined),
		WITH_DB(what_is_committed_is_in_the_file),
		WITH_DB(a_transaction_beyond_the_cache_reads_what_it_wrote),
		WITH_DB(a_write_that_fails_refuses_its_commit_and_no_other),
		WITH_DB(also_one_of_a_transaction_beyond_the_cache),
		WITH_DB(also_when_the_next_write_would_succeed),
		WITH_DB(what_was_refused_does_not_come_back),
	};

	count_all(); /* before the first db_open() */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
