/* SPDX-License-Identifier: Apache-2.0 */
/* config/install.c - the transaction: new files beside the old, a journal, renames */
#include "device/config/install.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"

#define JOURNAL     ".config-apply.journal"
#define JOURNAL_MAX ((size_t)16 * 1024)
#define NEW_SUFFIX  ".apply-new"
#define OLD_MAX     ((size_t)1024 * 1024)
#define PATH_SIZE   (PLACE_MAX + 32)
#define WORD_REPLACE "replace "
#define WORD_REMOVE  "remove "

struct install_file *
install_add(struct install *in, const char *service, const char *path)
{
	struct install_file *f = &in->v[in->n];

	if (in->n == INSTALL_FILES_MAX || strchr(in->base, '\n') != NULL ||
	    (size_t)snprintf(f->path, sizeof(f->path), "%s%s", in->base, path) >= sizeof(f->path))
		return NULL;
	in->n++;
	f->service = service;
	f->uid = (uid_t)-1;
	f->gid = (gid_t)-1;
	return f;
}

void
install_clear(struct install *in)
{
	for (size_t i = 0; i < in->n; i++) {
		buf_free(&in->v[i].content);
		buf_free(&in->v[i].old);
	}
	in->n = 0;
}

/* --- what is there --- */

static bool
same_owner(const struct install_file *f, const struct stat *st)
{
	return (f->uid == (uid_t)-1 || f->uid == st->st_uid) &&
	    (f->gid == (gid_t)-1 || f->gid == st->st_gid) && (st->st_mode & 07777) == 0600;
}

static int
compare_one(struct install_file *f, struct err *e)
{
	struct stat st;
	int r;

	if (lstat(f->path, &st) != 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			return err_errno(e, E_IO, "%s", f->path);
		f->change = f->remove ? INSTALL_SAME : INSTALL_NEW;
		return 0;
	}
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_IO, "%s: is no regular file; move it away", f->path);
	if ((r = file_read(&f->old, f->path, OLD_MAX, e)) != 0)
		return r;
	if (f->remove)
		f->change = INSTALL_REMOVED;
	else if (bytes_equal(bytes_of_buf(&f->old), bytes_of_buf(&f->content)) && same_owner(f, &st))
		f->change = INSTALL_SAME;
	else
		f->change = INSTALL_CHANGED;
	return 0;
}

int
install_compare(struct install *in, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < in->n; i++)
		r = compare_one(&in->v[i], e);
	return r;
}

/* --- one file --- */

/* The directory of a path, opened without following a link in its place, and the name in it. */
static int
open_dir(int *fd, const char **name, const char *path, struct err *e)
{
	char dir[PLACE_MAX];
	const char *slash = strrchr(path, '/');

	if (slash == NULL || slash == path)
		return err_set(e, E_IO, "%s: is no absolute path in a directory", path);
	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	*fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*fd < 0)
		return err_errno(e, E_IO, "%s", dir);
	*name = slash + 1;
	return 0;
}

/* The directories above path; the last one, like the file, is the service's own. */
static int
make_dirs(const struct install *in, const struct install_file *f, struct err *e)
{
	char dir[PLACE_MAX];
	char *last;

	(void)snprintf(dir, sizeof(dir), "%s", f->path);
	last = strrchr(dir, '/');
	for (char *p = dir + strlen(in->base) + 1; p <= last; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		if (mkdir(dir, p == last ? 0700 : 0755) == 0) {
			if (p == last && f->uid != (uid_t)-1 && lchown(dir, f->uid, f->gid) != 0)
				return err_errno(e, E_IO, "%s: chown", dir);
		} else if (errno != EEXIST)
			return err_errno(e, E_IO, "%s", dir);
		*p = '/';
	}
	return 0;
}

static int
write_fd(int fd, const struct install_file *f)
{
	struct bytes rest = bytes_of_buf(&f->content);

	while (rest.n != 0) {
		ssize_t n = write(fd, rest.p, rest.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		rest = bytes_slice(rest, (size_t)n, rest.n);
	}
	if (f->uid != (uid_t)-1 && fchown(fd, f->uid, f->gid) != 0)
		return -1;
	return fchmod(fd, 0600) == 0 && fsync(fd) == 0 ? 0 : -1;
}

/* The new content beside its place, synced. */
static int
prepare(const struct install *in, const struct install_file *f, struct err *e)
{
	AUTO_FD dir = -1;
	AUTO_FD fd = -1;
	const char *name;
	char fresh[NAME_MAX + 1];
	int r;

	if ((r = make_dirs(in, f, e)) != 0 || (r = open_dir(&dir, &name, f->path, e)) != 0)
		return r;
	if ((size_t)snprintf(fresh, sizeof(fresh), "%s" NEW_SUFFIX, name) >= sizeof(fresh))
		return err_set(e, E_IO, "%s: name too long", f->path);
	(void)unlinkat(dir, fresh, 0);
	fd = openat(dir, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || write_fd(fd, f) != 0 || fsync(dir) != 0) {
		(void)err_errno(e, E_IO, "%s" NEW_SUFFIX, f->path);
		(void)unlinkat(dir, fresh, 0);
		return E_IO;
	}
	return 0;
}

/* Forget the new content again. */
static void
withdraw(const struct install_file *f)
{
	char fresh[PATH_SIZE];

	(void)snprintf(fresh, sizeof(fresh), "%s" NEW_SUFFIX, f->path);
	(void)unlink(fresh);
}

/* Idempotent: what was done already is no error. */
static int
put_in_place(const char *path, bool remove, struct err *e)
{
	AUTO_FD dir = -1;
	const char *name;
	char fresh[NAME_MAX + 1];
	int r = open_dir(&dir, &name, path, e);

	if (r != 0)
		return r;
	(void)snprintf(fresh, sizeof(fresh), "%s" NEW_SUFFIX, name);
	r = remove ? unlinkat(dir, name, 0) : renameat(dir, fresh, dir, name);
	if (r != 0 && errno != ENOENT)
		return err_errno(e, E_IO, "%s", path);
	return fsync(dir) == 0 ? 0 : err_errno(e, E_IO, "%s: its directory", path);
}

/* --- the journal --- */

static void
journal_path(char out[PATH_SIZE], const struct install *in)
{
	(void)snprintf(out, PATH_SIZE, "%s/" JOURNAL, in->root);
}

/* From here on the change is certain. */
static int
decide(const struct install *in, struct err *e)
{
	struct install_file journal = { .uid = (uid_t)-1, .content = BUF_MAX(JOURNAL_MAX) };
	int r;

	if ((size_t)snprintf(journal.path, sizeof(journal.path), "%s/" JOURNAL, in->root) >=
	    sizeof(journal.path))
		return err_set(e, E_USAGE, "%s: name too long", in->root);
	for (size_t i = 0; i < in->n; i++) {
		const struct install_file *f = &in->v[i];

		if (f->change != INSTALL_SAME)
			buf_printf(&journal.content, "%s%s\n",
			    f->change == INSTALL_REMOVED ? WORD_REMOVE : WORD_REPLACE, f->path);
	}
	if ((r = buf_check(&journal.content, JOURNAL, e)) == 0 && (r = prepare(in, &journal, e)) == 0)
		r = put_in_place(journal.path, false, e);
	buf_free(&journal.content);
	return r;
}

/* Do what a line says. */
static int
obey(const char *line, struct err *e)
{
	if (strncmp(line, WORD_REPLACE, strlen(WORD_REPLACE)) == 0)
		return put_in_place(line + strlen(WORD_REPLACE), false, e);
	if (strncmp(line, WORD_REMOVE, strlen(WORD_REMOVE)) == 0)
		return put_in_place(line + strlen(WORD_REMOVE), true, e);
	return err_set(e, E_FORMAT, JOURNAL ": '%.100s' is no line of it", line);
}

/* The journal is obeyed and goes. */
static int
complete(const struct install *in, struct err *e)
{
	AUTO_BUF text = BUF_MAX(JOURNAL_MAX);
	AUTO_FD root = -1;
	char path[PATH_SIZE];
	struct stat st;
	int r;

	journal_path(path, in);
	if (lstat(path, &st) != 0)
		return err_errno(e, E_IO, "%s", path);
	if (!S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()))
		return err_set(e, E_POLICY, "%s: not written by us", path);
	if ((r = file_read(&text, path, JOURNAL_MAX, e)) != 0)
		return r;
	for (char *line = text.n != 0 ? (char *)(uintptr_t)buf_str(&text) : NULL;
	     r == 0 && line != NULL && *line != 0;) {
		char *end = strchr(line, '\n');

		if (end == NULL)
			return err_set(e, E_FORMAT, "%s: its last line is not whole", path);
		*end = 0;
		r = obey(line, e);
		line = end + 1;
	}
	if (r != 0)
		return r;
	root = open(in->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || unlinkat(root, JOURNAL, 0) != 0 || fsync(root) != 0)
		return err_errno(e, E_IO, "%s", path);
	return 0;
}

/* One at a time; the lock is on the directory itself and needs no file. */
static int
lock(int *fd, const struct install *in, struct err *e)
{
	*fd = open(in->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return err_errno(e, E_IO, "%s", in->root);
	if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(e, E_EXISTS, "%s: another config apply is at work", in->root);
	return err_errno(e, E_IO, "%s: lock", in->root);
}

bool
install_pending(const struct install *in)
{
	char path[PATH_SIZE];
	struct stat st;

	journal_path(path, in);
	return lstat(path, &st) == 0;
}

int
install_recover(const struct install *in, bool *done, struct err *e)
{
	AUTO_FD held = -1;
	int r;

	*done = false;
	if (!install_pending(in))
		return 0;
	if ((r = lock(&held, in, e)) != 0 || (r = complete(in, e)) != 0)
		return r;
	*done = true;
	return 0;
}

/* The directory of the journal itself. */
static int
make_root(const struct install *in, struct err *e)
{
	struct install_file f = { .uid = (uid_t)-1 };

	(void)snprintf(f.path, sizeof(f.path), "%s", in->root);
	if (make_dirs(in, &f, e) != 0)
		return E_IO;
	return file_mkdir(in->root, 0755, e);
}

int
install_commit(struct install *in, struct err *e)
{
	AUTO_FD held = -1;
	size_t changes = 0, i;
	int r;

	if ((r = make_root(in, e)) != 0 || (r = lock(&held, in, e)) != 0)
		return r;
	for (i = 0; i < in->n; i++) {
		changes += in->v[i].change != INSTALL_SAME;
		withdraw(&in->v[i]); /* of an attempt that never was decided */
	}
	if (changes == 0)
		return 0;
	for (i = 0; r == 0 && i < in->n; i++)
		if (in->v[i].change == INSTALL_NEW || in->v[i].change == INSTALL_CHANGED)
			r = prepare(in, &in->v[i], e);
	if (r == 0)
		r = decide(in, e);
	if (r != 0) {
		for (i = 0; i < in->n && !install_pending(in); i++)
			withdraw(&in->v[i]);
		return r;
	}
	r = complete(in, e);
	if (r != 0)
		(void)err_prefix(e, (enum err_code)r, "decided, and completed by the next config apply");
	return r;
}
