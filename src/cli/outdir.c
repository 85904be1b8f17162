/* SPDX-License-Identifier: Apache-2.0 */
/* cli/outdir.c - a directory that a verb writes: there as a whole or not at all */
#include "cli/outdir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define PATH_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-+@=,/"
#define ITEM_MAX        (OUTDIR_PATH_MAX + 512)

static const char *
item(const struct outdir *o, const char *name, char out[ITEM_MAX])
{
	(void)snprintf(out, ITEM_MAX, "%s/%s", o->work, name);
	return out;
}

/* The path without "..", links and a trailing slash; its last part need not be there. */
static int
absolute(char out[OUTDIR_PATH_MAX], const char *path, struct err *e)
{
	char parent[PATH_MAX], real[PATH_MAX];
	size_t n = strlen(path);
	const char *base;

	while (n > 1 && path[n - 1] == '/')
		n--;
	if (n == 0 || n >= OUTDIR_PATH_MAX)
		return err_set(e, E_USAGE, "--out: a path of up to %d characters", OUTDIR_PATH_MAX - 1);
	(void)snprintf(parent, sizeof(parent), "%.*s", (int)n, path);
	base = strrchr(parent, '/') != NULL ? strrchr(parent, '/') + 1 : parent;
	if (*base == 0 || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
		return err_set(e, E_USAGE, "--out: '%s' is no name for a new directory", path);
	text_copy(out, OUTDIR_PATH_MAX, base);
	if (base == parent)
		(void)snprintf(parent, sizeof(parent), ".");
	else
		parent[base - parent] = 0;
	if (realpath(parent, real) == NULL)
		return err_errno(e, E_NOTFOUND, "%s", parent);
	(void)snprintf(parent, sizeof(parent), "%s", out);
	if (snprintf(out, OUTDIR_PATH_MAX, "%s/%s", strcmp(real, "/") == 0 ? "" : real, parent) >= OUTDIR_PATH_MAX)
		return err_set(e, E_USAGE, "--out: a path of up to %d characters", OUTDIR_PATH_MAX - 1);
	if (out[strspn(out, PATH_CHARACTERS)] != 0)
		return err_set(e, E_USAGE, "--out: '%s': only letters, digits and . _ - + @ = , may be in it, "
		    "for it is written into files of other programs", out);
	return 0;
}

/* It is there: may it be written over? */
static int
take_over(struct outdir *o, const char *marker, bool force, struct err *e)
{
	char path[ITEM_MAX];
	struct stat st;

	if (!force)
		return err_set(e, E_EXISTS, "%s: is there already; --force replaces what an earlier run wrote there",
		    o->path);
	(void)snprintf(path, sizeof(path), "%s/%s", o->path, marker);
	if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(e, E_EXISTS, "%s: is there already, and this command did not make it; choose another",
		    o->path);
	o->fresh = false;
	(void)snprintf(o->work, sizeof(o->work), "%s", o->path);
	return 0;
}

int
outdir_begin(struct outdir *o, const char *path, const char *marker, bool force, struct err *e)
{
	struct stat st;
	int r;

	*o = (struct outdir){ .fresh = true, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	if ((r = absolute(o->path, path, e)) != 0)
		return r;
	if (lstat(o->path, &st) == 0)
		return take_over(o, marker, force, e);
	if (errno != ENOENT)
		return err_errno(e, E_IO, "%s", o->path);
	(void)snprintf(o->work, sizeof(o->work), "%s.XXXXXX", o->path);
	if (mkdtemp(o->work) == NULL) {
		r = err_errno(e, E_IO, "%s", o->work);
		o->work[0] = 0;
		return r;
	}
	if (chmod(o->work, 0755) != 0)
		return err_errno(e, E_IO, "%s", o->work);
	return 0;
}

static int
written(struct outdir *o, const char *name, bool is_dir, struct err *e)
{
	char path[ITEM_MAX];

	if (o->n == OUTDIR_NAMES)
		return err_set(e, E_TOOBIG, "%s: over %d files", o->path, OUTDIR_NAMES);
	o->is_dir[o->n] = is_dir;
	o->name[o->n++] = mem_strdup(name);
	if (o->uid != (uid_t)-1 && lchown(item(o, name, path), o->uid, o->gid) != 0)
		return err_errno(e, E_IO, "%s", path);
	return 0;
}

int
outdir_dir(struct outdir *o, const char *name, mode_t mode, struct err *e)
{
	char path[ITEM_MAX];
	int r = file_mkdir(item(o, name, path), mode, e);

	return r != 0 ? r : written(o, name, true, e);
}

int
outdir_put(struct outdir *o, const char *name, struct bytes content, mode_t mode, struct err *e)
{
	char path[ITEM_MAX];
	int r = file_write(item(o, name, path), content, mode, e);

	return r != 0 ? r : written(o, name, false, e);
}

int
outdir_drop(struct outdir *o, const char *name, struct err *e)
{
	char path[ITEM_MAX];

	if (unlink(item(o, name, path)) != 0 && errno != ENOENT)
		return err_errno(e, E_IO, "%s", path);
	return 0;
}

static int
sync_parent(const struct outdir *o, struct err *e)
{
	char parent[OUTDIR_PATH_MAX];
	AUTO_FD fd = -1;

	(void)snprintf(parent, sizeof(parent), "%s", o->path);
	*strrchr(parent, '/') = 0;
	fd = open(parent[0] != 0 ? parent : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		return err_errno(e, E_IO, "%s", parent);
	return 0;
}

int
outdir_finish(struct outdir *o, struct err *e)
{
	if (o->uid != (uid_t)-1 && lchown(o->work, o->uid, o->gid) != 0)
		return err_errno(e, E_IO, "%s", o->work);
	if (!o->fresh)
		return 0;
	if (rename(o->work, o->path) != 0)
		return err_errno(e, E_IO, "%s", o->path);
	o->work[0] = 0;
	return sync_parent(o, e);
}

void
outdir_end(struct outdir *o)
{
	char path[ITEM_MAX];
	bool undo = o->fresh && o->work[0] != 0;

	for (size_t i = o->n; i-- > 0;) {
		if (undo)
			(void)(o->is_dir[i] ? rmdir(item(o, o->name[i], path)) : unlink(item(o, o->name[i], path)));
		mem_free(o->name[i]);
	}
	if (undo)
		(void)rmdir(o->work);
	*o = (struct outdir){ 0 };
}
