/* SPDX-License-Identifier: Apache-2.0 */
/* store/log_file.c - a VFS that joins the writes to the log */
#include "server/store/log_file.h"

#include <sqlite3.h>
#include <string.h>

#include "core/base/mem.h"

#define HELD_MAX 65536 /* the default VFS writes less than 131072 octets at one time */

/* What stands behind the default VFS's own file in memory. */
struct log_file {
	const sqlite3_io_methods *real;
	sqlite3_io_methods ours; /* real's, but for those below */
	uint8_t *held;
	int n;
	sqlite3_int64 at;        /* where held belongs */
};

static sqlite3_vfs *base; /* the default one */

static struct log_file *
of(sqlite3_file *file)
{
	return (struct log_file *)(void *)((char *)file + base->szOsFile);
}

static int
flush(sqlite3_file *file)
{
	struct log_file *f = of(file);
	int rc = f->n == 0 ? SQLITE_OK : f->real->xWrite(file, f->held, f->n, f->at);

	if (rc == SQLITE_OK)
		f->n = 0;
	return rc;
}

static int
log_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 at)
{
	struct log_file *f = of(file);
	int rc;

	if ((at != f->at + f->n || n > HELD_MAX - f->n) && (rc = flush(file)) != SQLITE_OK) {
		f->n = 0; /* the commit has failed, and the next one begins at its place */
		return rc;
	}
	if (n > HELD_MAX)
		return f->real->xWrite(file, p, n, at);
	if (f->n == 0)
		f->at = at;
	memcpy(f->held + f->n, p, (size_t)n);
	f->n += n;
	return SQLITE_OK;
}

static int
log_read(sqlite3_file *file, void *p, int n, sqlite3_int64 at)
{
	struct log_file *f = of(file);
	/* Only what is asked for: after a failed write the older part of the log can still be read. */
	bool held = at < f->at + f->n && at + n > f->at;
	int rc = held ? flush(file) : SQLITE_OK;

	return rc != SQLITE_OK ? rc : f->real->xRead(file, p, n, at);
}

static int
log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int rc = flush(file);

	return rc != SQLITE_OK ? rc : of(file)->real->xTruncate(file, size);
}

static int
log_size(sqlite3_file *file, sqlite3_int64 *out)
{
	int rc = flush(file);

	return rc != SQLITE_OK ? rc : of(file)->real->xFileSize(file, out);
}

/* Of a commit that fails here nothing may come into the log later, nor stay there: it would be taken for one that did not. */
static int
log_sync(sqlite3_file *file, int flags)
{
	struct log_file *f = of(file);
	bool wrote = f->n != 0;
	int rc = flush(file);

	f->n = 0;
	if (rc == SQLITE_OK && (rc = f->real->xSync(file, flags)) != SQLITE_OK && wrote)
		(void)f->real->xTruncate(file, f->at);
	return rc;
}

static int
log_close(sqlite3_file *file)
{
	struct log_file *f = of(file);

	mem_free(f->held); /* what no sync asked for is in no commit */
	return f->real->xClose(file);
}

static int
open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
	int rc = base->xOpen(base, name, file, flags, out_flags);
	struct log_file *f = of(file);

	(void)vfs;
	if (rc != SQLITE_OK || (flags & SQLITE_OPEN_WAL) == 0 ||
	    (file->pMethods->xDeviceCharacteristics(file) & SQLITE_IOCAP_POWERSAFE_OVERWRITE) == 0)
		return rc; /* without that, SQLite writes after a sync, too */
	*f = (struct log_file){ .real = file->pMethods, .ours = *file->pMethods, .held = mem_zalloc(HELD_MAX) };
	if (f->ours.iVersion > 3)
		f->ours.iVersion = 3; /* as much as was copied */
	f->ours.xWrite = log_write;
	f->ours.xRead = log_read;
	f->ours.xTruncate = log_truncate;
	f->ours.xFileSize = log_size;
	f->ours.xSync = log_sync;
	f->ours.xClose = log_close;
	file->pMethods = &f->ours;
	return SQLITE_OK;
}

const char *
log_file_vfs(void)
{
	static sqlite3_vfs vfs;

	if (base == NULL) {
		if ((base = sqlite3_vfs_find(NULL)) == NULL)
			return NULL;
		vfs = *base; /* it does all the rest, with its own data */
		vfs.zName = "estuary";
		vfs.szOsFile = base->szOsFile + (int)sizeof(struct log_file);
		vfs.xOpen = open_file;
		if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK)
			base = NULL;
	}
	return base != NULL ? vfs.zName : NULL;
}
