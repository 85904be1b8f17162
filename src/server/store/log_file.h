/* SPDX-License-Identifier: Apache-2.0 */
/* store/log_file.h - SQLite's write-ahead log, written in large pieces */
#ifndef SERVER_STORE_LOG_FILE_H
#define SERVER_STORE_LOG_FILE_H

/*
 * The name of a VFS for sqlite3_open_v2() (https://sqlite.org/vfs.html), registered at the first call; NULL: it could not
 * be.  It is the default one, but for the log: a page there is two small writes across the borders of the file's blocks,
 * and a commit has some eighty, which cost the kernel twice of what they cost in one.  They are held until they are many,
 * or until SQLite reads them or syncs, which with synchronous=FULL it does before anybody is told of a commit.  What
 * cannot be written fails the commit, at the latest at that sync, and leaves nothing behind.  For connections with
 * synchronous=FULL and cache_spill off, so that all of a transaction's writes belong to its commit.
 */
const char *log_file_vfs(void);

#endif
