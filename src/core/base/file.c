/* SPDX-License-Identifier: Apache-2.0 */
/* base/file.c - whole files */
#include "core/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/rnd.h"

#define TMP_NAME_MAX 4096 /* octets of a temporary file's name, and its NUL */

void
fd_autoclose(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

int
file_read(struct buf *out, const char *path, size_t max, struct err *e)
{
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	uint8_t chunk[16384];
	size_t all = 0;
	ssize_t n;
	int r = 0;

	if (fd < 0)
		return err_errno(e, errno == ENOENT ? E_NOTFOUND : E_IO, "%s", path);
	while (r == 0 && (n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		all += n > 0 ? (size_t)n : 0;
		if (n < 0)
			r = err_errno(e, E_IO, "%s", path);
		else if (all > max)
			r = err_set(e, E_TOOBIG, "%s: more than %zu octets", path, max);
		else
			buf_put(out, chunk, (size_t)n);
	}
	mem_wipe(chunk, sizeof(chunk)); /* it may have been a key */
	return r != 0 ? r : buf_check(out, path, e);
}

static int
write_all(int fd, struct bytes b)
{
	while (b.n != 0) {
		ssize_t n = write(fd, b.p, b.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		b = bytes_slice(b, (size_t)n, b.n);
	}
	return 0;
}

/* The directory that holds path, opened. */
static int
open_parent(const char *path)
{
	char dir[4096];
	char *slash;

	if ((size_t)snprintf(dir, sizeof(dir), "%s", path) >= sizeof(dir)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	slash = strrchr(dir, '/');
	if (slash == dir)
		dir[1] = 0;
	else if (slash != NULL)
		*slash = 0;
	return open(slash != NULL ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The temporary file beside path, and the directory that both are in, opened. */
static int
open_beside(int *fd, int *dir, char tmp[TMP_NAME_MAX], const char *path, struct err *e)
{
	char tag[17];

	*dir = open_parent(path);
	if (*dir < 0)
		return err_errno(e, E_IO, "%s: its directory", path);
	rnd_hex(tag, 8);
	if (snprintf(tmp, TMP_NAME_MAX, "%s.%s.tmp", path, tag) >= TMP_NAME_MAX)
		return err_set(e, E_IO, "%.200s...: name too long", path);
	*fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return *fd >= 0 ? 0 : err_errno(e, E_IO, "%s: a file beside it", path);
}

int
file_may_write(const char *path, struct err *e)
{
	AUTO_FD dir = -1;
	AUTO_FD fd = -1;
	char tmp[TMP_NAME_MAX];
	int r = open_beside(&fd, &dir, tmp, path, e);

	return r == 0 && unlink(tmp) != 0 ? err_errno(e, E_IO, "%s", tmp) : r;
}

int
file_write(const char *path, struct bytes content, mode_t mode, struct err *e)
{
	AUTO_FD dir = -1;
	AUTO_FD fd = -1;
	char tmp[TMP_NAME_MAX];
	int r = open_beside(&fd, &dir, tmp, path, e);

	if (r != 0)
		return r;
	if (write_all(fd, content) != 0 || fchmod(fd, mode) != 0 || fsync(fd) != 0 ||
	    rename(tmp, path) != 0) {
		(void)err_errno(e, E_IO, "%s", path);
		(void)unlink(tmp);
		return E_IO;
	}
	if (fsync(dir) != 0)
		return err_errno(e, E_IO, "%s: its directory", path);
	return 0;
}

int
file_mkdir(const char *path, mode_t mode, struct err *e)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	return err_errno(e, E_IO, "%s", path);
}

int
file_mkdir_above(const char *path, mode_t mode, struct err *e)
{
	char *part = mem_strdup(path);
	int rc = 0;

	for (char *p = part[0] != 0 ? strchr(part + 1, '/') : NULL; rc == 0 && p != NULL; p = strchr(p + 1, '/')) {
		*p = 0;
		rc = file_mkdir(part, mode, e);
		*p = '/';
	}
	mem_free(part);
	return rc;
}

int
file_mkdir_all(const char *path, mode_t above, mode_t mode, struct err *e)
{
	int rc = file_mkdir_above(path, above, e);

	return rc != 0 ? rc : file_mkdir(path, mode, e);
}

int
file_lock(int *fd_out, const char *path, struct err *e)
{
	AUTO_FD fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_errno(e, E_IO, "%s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno == EWOULDBLOCK)
			return err_set(e, E_EXISTS, "%s: held by another process", path);
		return err_errno(e, E_IO, "%s", path);
	}
	*fd_out = TAKE_FD(fd);
	return 0;
}
