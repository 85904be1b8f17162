/* SPDX-License-Identifier: Apache-2.0 */
/* service/settings.c - the configuration's files: who may have written them, and what they say together */
#include "device/service/settings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "device/service/slog.h"

#define SUFFIX ".toml"

/* Paths of config.d's files; full ones, so that their order is that of their paths. */
struct list {
	size_t n;
	char *path[SETTINGS_FILES_MAX];
};

static void
list_clear(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		mem_free(l->path[i]);
	l->n = 0;
}

/* Whose configuration it is. */
struct user {
	uid_t uid;
	gid_t gid;
};

/* H12: who can write what we obey can be whoever we obey. */
static int
check_owner(const char *path, const struct stat *st, const struct user *who, struct err *e)
{
	if (st->st_uid != 0 && st->st_uid != who->uid)
		return err_set(e, E_POLICY, "%s: belongs to user %u, not to root or user %u (chown it)", path,
		    st->st_uid, who->uid);
	if ((st->st_mode & S_IWOTH) != 0)
		return err_set(e, E_POLICY, "%s: everybody may write it (chmod o-w)", path);
	/* Our own group is whom the socket is open to. */
	if ((st->st_mode & S_IWGRP) != 0 && st->st_gid == who->gid && st->st_gid != 0)
		return err_set(e, E_POLICY, "%s: the service's clients (group %u) may write it (chmod g-w)", path, st->st_gid);
	return 0;
}

/* The directory that holds a file. */
static int
check_parent(const char *path, const struct user *who, struct err *e)
{
	char dir[PLACE_MAX];
	struct stat st;
	char *slash;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash == NULL)
		(void)snprintf(dir, sizeof(dir), ".");
	else
		slash[slash == dir] = 0;
	if (stat(dir, &st) != 0)
		return err_errno(e, E_IO, "%s", dir);
	/* Sticky ones (/tmp) let nobody replace what is another's. */
	if ((st.st_mode & S_ISVTX) != 0)
		st.st_mode &= (mode_t)~S_IWOTH;
	return check_owner(dir, &st, who, e);
}

static int
read_all(struct buf *out, int fd, const char *path, struct err *e)
{
	uint8_t chunk[16384];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) != 0 && !out->over) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, E_IO, "%s", path);
		buf_put(out, chunk, (size_t)n);
	}
	mem_wipe(chunk, sizeof(chunk)); /* there may be a password */
	return buf_check(out, path, e);
}

/* One file, checked by the handle that it is read from. */
static int
read_file(struct toml **out, const char *path, int flags, const struct user *who, struct err *e)
{
	AUTO_BUF text = BUF_MAX(TOML_MAX);
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags);
	struct stat st;
	int r;

	if (fd < 0)
		return err_errno(e, E_IO, "%s", path);
	if (fstat(fd, &st) != 0)
		return err_errno(e, E_IO, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_IO, "%s: no regular file", path);
	if ((r = check_owner(path, &st, who, e)) != 0 || (r = read_all(&text, fd, path, e)) != 0)
		return r;
	return toml_parse(out, path, bytes_of_buf(&text), e);
}

static int
read_base(struct toml **out, const char *path, const struct user *who, struct err *e)
{
	int r;

	if (access(path, F_OK) != 0 && errno == ENOENT)
		return toml_parse(out, path, (struct bytes){ NULL, 0 }, e);
	r = check_parent(path, who, e);
	return r == 0 ? read_file(out, path, 0, who, e) : r;
}

/* Is it one that counts?  1 or 0, or an error. */
static int
is_taken(int dir, const char *name, const char *path, struct err *e)
{
	size_t n = strlen(name);
	struct stat st;

	if (n <= strlen(SUFFIX) || strcmp(name + n - strlen(SUFFIX), SUFFIX) != 0)
		return 0;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_errno(e, E_IO, "%s", path);
	if (S_ISLNK(st.st_mode))
		slog(SLOG_WARN, "%s is a symbolic link and not read", path);
	return S_ISREG(st.st_mode);
}

static int
list_one(struct list *l, int dir, const char *in, const char *name, struct err *e)
{
	char path[PLACE_MAX + NAME_MAX + 2];
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s", in, name);
	r = is_taken(dir, name, path, e);
	if (r != 1)
		return r;
	if (l->n == SETTINGS_FILES_MAX)
		return err_set(e, E_TOOBIG, "%s: more than %d files", in, SETTINGS_FILES_MAX);
	l->path[l->n++] = mem_strdup(path);
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
list_open(struct list *l, DIR *d, const char *path, const struct user *who, struct err *e)
{
	const struct dirent *entry;
	struct stat st;
	int r = 0;

	if (fstat(dirfd(d), &st) != 0)
		return err_errno(e, E_IO, "%s", path);
	r = check_owner(path, &st, who, e);
	while (r == 0 && (errno = 0, entry = readdir(d)) != NULL)
		r = list_one(l, dirfd(d), path, entry->d_name, e);
	if (r == 0 && errno != 0)
		return err_errno(e, E_IO, "%s", path);
	qsort(l->path, l->n, sizeof(l->path[0]), by_name);
	return r;
}

static int
list_dir(struct list *l, const char *path, const struct user *who, struct err *e)
{
	DIR *d = opendir(path);
	int r;

	if (d == NULL)
		return errno == ENOENT ? 0 : err_errno(e, E_IO, "%s", path);
	r = list_open(l, d, path, who, e);
	(void)closedir(d);
	return r;
}

int
settings_load_as(struct toml **out, const struct place *p, uid_t uid, gid_t gid, struct err *e)
{
	const struct user who = { uid, gid };
	__attribute__((cleanup(list_clear))) struct list files = { 0 };
	AUTO(toml) all = NULL;
	int r = read_base(&all, p->config_file, &who, e);

	if (r == 0)
		r = list_dir(&files, p->config_dir, &who, e);
	for (size_t i = 0; r == 0 && i < files.n; i++) {
		struct toml *more;

		r = read_file(&more, files.path[i], O_NOFOLLOW, &who, e);
		if (r == 0)
			r = toml_merge(all, more, e);
	}
	if (r == 0)
		*out = TAKE(all);
	return r;
}

int
settings_load(struct toml **out, const struct place *p, struct err *e)
{
	return settings_load_as(out, p, geteuid(), getegid(), e);
}
