/* SPDX-License-Identifier: Apache-2.0 */
/* base/file.h - whole files, read with a limit and replaced so that no crash tears them */
#ifndef CORE_BASE_FILE_H
#define CORE_BASE_FILE_H

#include <sys/types.h>

#include "core/base/bytes.h"

void fd_autoclose(int *fd); /* for AUTO_FD; -1 is fine */

/* The whole file into *out (appended); E_NOTFOUND, E_IO, or E_TOOBIG above max octets. */
int file_read(struct buf *out, const char *path, size_t max, struct err *e) MUST_CHECK;
/*
 * Replace path by content: temporary name beside it, write, fsync, rename, fsync
 * of the directory.  After a crash at any point path is wholly old or wholly new.
 * mode is exact (no umask).  Fails with E_IO; path is then as it was, or, when only the
 * directory could not be synced, new already, and a crash decides which.
 */
int file_write(const char *path, struct bytes content, mode_t mode, struct err *e) MUST_CHECK;
/* Could file_write() begin to write there now?  What it makes beside path goes again.  E_IO. */
int file_may_write(const char *path, struct err *e) MUST_CHECK;
/* mkdir, and no error when it is a directory already; the parents must be there. */
int file_mkdir(const char *path, mode_t mode, struct err *e) MUST_CHECK;
/* The directories above path; those that are missing get `mode`. */
int file_mkdir_above(const char *path, mode_t mode, struct err *e) MUST_CHECK;
/* The same, and path itself: what is above is everybody's to pass, say, and path is not. */
int file_mkdir_all(const char *path, mode_t above, mode_t mode, struct err *e) MUST_CHECK;
/*
 * Take the exclusive lock of path (made when missing, and never through a symbolic link); the lock lives as long
 * as *fd_out is open.  E_EXISTS when another process holds it.
 */
int file_lock(int *fd_out, const char *path, struct err *e) MUST_CHECK;

#endif
