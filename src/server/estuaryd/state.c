/* SPDX-License-Identifier: Apache-2.0 */
/* estuaryd/state.c - the state directory */
#include "server/estuaryd/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/sys/sandbox.h"

#define STATE_DEPTH_MAX 8 /* directories below the state directory */

static int give_entry(int dir, const char *name, const struct state_owner *o, int depth, struct err *e);

/* What is in the directory fd, which is closed. */
static int
give_contents(int fd, const struct state_owner *o, int depth, struct err *e)
{
	DIR *d = fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (d == NULL) {
		(void)close(fd);
		return err_errno(e, E_IO, "reading a directory");
	}
	while (r == 0 && (errno = 0, entry = readdir(d)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = give_entry(dirfd(d), entry->d_name, o, depth, e);
	if (r == 0 && errno != 0)
		r = err_errno(e, E_IO, "reading a directory");
	(void)closedir(d);
	return r;
}

/*
 * The tree's user can write in it, and we are root: so nothing is followed, and a
 * file with a second name may be somebody else's and stays as it is.
 */
static int
give_entry(int dir, const char *name, const struct state_owner *o, int depth, struct err *e)
{
	AUTO_FD fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && (errno == ELOOP || errno == ENXIO || errno == ENOENT))
		return 0; /* a link, a socket, or gone: not ours to give */
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_errno(e, E_IO, "%s", name);
	if (!S_ISDIR(st.st_mode) && !(S_ISREG(st.st_mode) && st.st_nlink == 1))
		return 0;
	if ((st.st_uid != o->uid || st.st_gid != o->gid) && fchown(fd, o->uid, o->gid) != 0)
		return err_errno(e, E_IO, "%s: giving it to uid %u", name, (unsigned)o->uid);
	if (!S_ISDIR(st.st_mode) || depth >= STATE_DEPTH_MAX)
		return 0;
	return give_contents(TAKE_FD(fd), o, depth + 1, e);
}

static int
find_owner(struct state_owner *o, const struct settings *s, struct err *e)
{
	*o = (struct state_owner){ .uid = geteuid(), .gid = getegid() };
	if (geteuid() != 0 || s->user[0] == 0)
		return 0;
	o->change = true;
	if (sandbox_lookup(s->user, &o->uid, &o->gid, e) != 0)
		return err_prefix(e, E_NOTFOUND, "key 'server.user'");
	return 0;
}

static int
make_dirs(const struct settings *s, struct err *e)
{
	static const char *const leaves[] = { "run", "keys", "store", "public" };
	char path[SETTINGS_PATH_MAX + 16];
	struct stat st;
	int r = file_mkdir(s->dir, 0700, e);

	if (r != 0)
		return err_prefix(e, E_IO, "state directory");
	if (stat(s->dir, &st) != 0)
		return err_errno(e, E_IO, "state directory '%s'", s->dir);
	if ((st.st_mode & S_IWOTH) != 0 && (st.st_mode & S_ISVTX) != 0)
		return err_set(e, E_POLICY, "state directory '%s': everybody may write there: name another one by key 'server.dir'", s->dir);
	if ((st.st_mode & S_IWOTH) != 0)
		return err_set(e, E_POLICY, "state directory '%s': others may write it: chmod o-w %s", s->dir,
		    s->dir);
	for (size_t i = 0; r == 0 && i < N_OF(leaves); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", s->dir, leaves[i]);
		r = file_mkdir(path, 0700, e);
	}
	return r;
}

static int
take_lock(int *lock, const struct settings *s, struct err *e)
{
	char path[SETTINGS_PATH_MAX + 16];
	struct stat st;
	int r;

	(void)snprintf(path, sizeof(path), "%s/run/lock", s->dir);
	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(e, E_POLICY, "%s: is no regular file: remove it", path);
	r = file_lock(lock, path, e);
	if (r == E_EXISTS)
		return err_set(e, E_EXISTS, "state directory '%s': another estuaryd runs on it: stop that one, "
		    "or give this one a directory of its own by key 'server.dir'", s->dir);
	return r;
}

int
state_open(int *lock, struct state_owner *owner, const struct settings *s, struct err *e)
{
	AUTO_FD held = -1;
	struct state_owner o;
	int r;

	if ((r = find_owner(&o, s, e)) != 0 || (r = make_dirs(s, e)) != 0 ||
	    (r = take_lock(&held, s, e)) != 0)
		return r;
	if (o.change && (r = give_entry(AT_FDCWD, s->dir, &o, 0, e)) != 0)
		return err_prefix(e, E_IO, "state directory '%s'", s->dir);
	*lock = TAKE_FD(held);
	*owner = o;
	return 0;
}

int
state_give_socket(const char *path, const struct state_owner *owner, struct err *e)
{
	AUTO_FD fd = -1;
	struct stat st;

	if (!owner->change)
		return 0;
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_errno(e, E_IO, "%s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, E_POLICY, "%s: is no socket", path);
	if (fchownat(fd, "", owner->uid, owner->gid, AT_EMPTY_PATH) != 0)
		return err_errno(e, E_IO, "%s: giving it to uid %u", path, (unsigned)owner->uid);
	return 0;
}
