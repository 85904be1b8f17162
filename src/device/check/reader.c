/* SPDX-License-Identifier: Apache-2.0 */
/* check/reader.c - may the user that a service runs as read a file? */
#include "device/check/reader.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define HELP "https://aka.ms/iotedge/cert-permissions"

static const struct {
	const char *service, *user;
} users[] = {
	{ "keyd", "aziotks" },
	{ "certd", "aziotcs" },
	{ "identityd", "aziotid" },
	{ "tpmd", "aziottpm" },
	{ "edged", "iotedge" },
};

static const struct passwd *
user_of(const struct place *p)
{
	for (size_t i = 0; p->prefix[0] == 0 && i < N_OF(users); i++)
		if (strcmp(users[i].service, p->service) == 0)
			return getpwnam(users[i].user);
	return NULL;
}

void
reader_find(struct reader *out, const struct place *p)
{
	const struct passwd *pw = user_of(p);
	struct stat st;

	*out = (struct reader){ .uid = geteuid(), .gid = getegid() };
	if (pw == NULL && stat(p->home, &st) == 0) {
		out->uid = st.st_uid;
		out->gid = st.st_gid;
		pw = getpwuid(st.st_uid);
	}
	if (pw == NULL) {
		(void)snprintf(out->name, sizeof(out->name), "user %u", out->uid);
		return;
	}
	(void)snprintf(out->name, sizeof(out->name), "%s", pw->pw_name);
	out->uid = pw->pw_uid;
	out->gid = pw->pw_gid;
	out->n_groups = READER_GROUPS_MAX;
	if (getgrouplist(pw->pw_name, pw->pw_gid, out->groups, &out->n_groups) < 0)
		out->n_groups = READER_GROUPS_MAX; /* more than those: the first ones count */
}

static bool
in_group(const struct reader *r, gid_t g)
{
	if (g == r->gid)
		return true;
	for (int i = 0; i < r->n_groups; i++)
		if (r->groups[i] == g)
			return true;
	return false;
}

/* bit: S_IROTH or S_IXOTH. */
static bool
may(const struct reader *r, const char *path, const struct stat *st, mode_t bit)
{
	if (r->uid == 0 || getxattr(path, "system.posix_acl_access", NULL, 0) > 0)
		return true;
	if (st->st_uid == r->uid)
		return (st->st_mode & (bit << 6)) != 0;
	if (in_group(r, st->st_gid))
		return (st->st_mode & (bit << 3)) != 0;
	return (st->st_mode & bit) != 0;
}

static int
look(struct stat *st, const char *path, struct err *e)
{
	if (stat(path, st) == 0)
		return 0;
	if (errno == ENOENT || errno == ENOTDIR)
		return err_set(e, E_NOTFOUND, "%s: no such file", path);
	return err_errno(e, E_IO, "%s", path);
}

int
reader_check(const struct reader *r, const char *path, struct err *e)
{
	char dir[PLACE_MAX * 2];
	struct stat st;
	int rc;

	if ((size_t)snprintf(dir, sizeof(dir), "%s", path) >= sizeof(dir))
		return err_set(e, E_IO, "%.100s...: a path of more than %zu octets", path, sizeof(dir) - 1);
	for (char *slash = strchr(dir + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if ((rc = look(&st, dir, e)) != 0)
			return rc;
		if (!may(r, dir, &st, S_IXOTH))
			return err_set(e, E_POLICY,
			    "%s cannot be read by %s: directory %s is closed to it (chmod o+x, or chown %s; " HELP ")",
			    path, r->name, dir, r->name);
		*slash = '/';
	}
	if ((rc = look(&st, dir, e)) != 0)
		return rc;
	if (S_ISDIR(st.st_mode))
		return err_set(e, E_POLICY, "%s: a directory, not a file", path);
	if (!may(r, dir, &st, S_IROTH))
		return err_set(e, E_POLICY, "%s cannot be read by %s (chown %s, mode 0400; " HELP ")", path, r->name,
		    r->name);
	return 0;
}
