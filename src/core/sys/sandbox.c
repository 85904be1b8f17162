/* SPDX-License-Identifier: Apache-2.0 */
/* sys/sandbox.c - give up rights, in an order in which each step can still be taken */
#include "core/sys/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/text.h"
#include "core/sys/landlock.h"
#include "core/sys/seccomp.h"

#define ID_MAX UINT64_C(0xfffffffe) /* the highest means "leave as it is" to the kernel */

/* Nobody may read our memory: no core file, no ptrace, no /proc/pid/mem. */
static bool
hide_memory(void)
{
	struct rlimit none = { 0, 0 };

	return setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

/* No capability now, and none to be had again. */
static int
drop_capabilities(struct err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &head, data) != 0)
		return err_errno(e, E_IO, "confinement: dropping capabilities");
	if (syscall(SYS_capget, &head, data) != 0)
		return err_errno(e, E_IO, "confinement: reading capabilities");
	for (size_t i = 0; i < N_OF(data); i++)
		if ((data[i].permitted | data[i].effective | data[i].inheritable) != 0)
			return err_set(e, E_IO, "confinement: capabilities are still there");
	return 0;
}

/* The ids are what was asked for in every form, and root cannot be had back. */
static int
check_ids(uid_t uid, gid_t gid, struct err *e)
{
	uid_t r, eff, s;
	gid_t gr, geff, gs;

	if (getresuid(&r, &eff, &s) != 0 || r != uid || eff != uid || s != uid)
		return err_set(e, E_IO, "confinement: uid is not %u", uid);
	if (getresgid(&gr, &geff, &gs) != 0 || gr != gid || geff != gid || gs != gid)
		return err_set(e, E_IO, "confinement: gid is not %u", gid);
	if (getgroups(0, NULL) != 0)
		return err_set(e, E_IO, "confinement: supplementary groups are still there");
	if (setresuid(0, 0, 0) == 0 || setuid(0) == 0 || seteuid(0) == 0)
		return err_set(e, E_IO, "confinement: root can be had back");
	if (gid != 0 && (setresgid(0, 0, 0) == 0 || setgid(0) == 0))
		return err_set(e, E_IO, "confinement: group root can be had back");
	return 0;
}

static int
drop_ids(uid_t uid, gid_t gid, struct err *e)
{
	/* The bounding set needs CAP_SETPCAP; where a container withholds it, no-new-privs has to do. */
	for (unsigned long cap = 0; cap < 64; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (setgroups(0, NULL) != 0)
		return err_errno(e, E_IO, "confinement: dropping groups");
	if (setresgid(gid, gid, gid) != 0)
		return err_errno(e, E_IO, "confinement: gid %u", gid);
	if (setresuid(uid, uid, uid) != 0)
		return err_errno(e, E_IO, "confinement: uid %u", uid);
	return 0;
}

int
sandbox_enter(const struct sandbox *s, struct buf *report, bool *weak, struct err *e)
{
	bool hidden = hide_memory(), nnp, fenced, sockets;
	int r;

	if (s->drop && (r = drop_ids(s->uid, s->gid, e)) != 0)
		return r;
	if (geteuid() != 0 && (r = drop_capabilities(e)) != 0)
		return r;
	if (s->drop && (r = check_ids(s->uid, s->gid, e)) != 0)
		return r;
	hidden = hide_memory() && hidden; /* again: a change of uid sets the system's default */
	nnp = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;

	buf_printf(report, "uid=%u%s memory=%s nnp=%s ", geteuid(), geteuid() == 0 ? "(root)" : "",
	    hidden ? "hidden" : "open", nnp ? "yes" : "missing");
	fenced = landlock_enter(s->paths, s->network, report);
	buf_put_str(report, s->network && s->local ? "" : " ");
	sockets = seccomp_enter(s->network, s->local, report);
	*weak = !hidden || !nnp || !fenced || !sockets || geteuid() == 0;
	return 0;
}

/* The numeric form of both ids, or the record of a name. */
static int
find_user(const char *name, uid_t *uid, gid_t *gid, struct err *e)
{
	const struct passwd *pw = getpwnam(name);
	uint64_t n;

	if (pw != NULL) {
		*uid = pw->pw_uid;
		*gid = pw->pw_gid;
		return 0;
	}
	if (!text_parse_u64(&n, name, ID_MAX))
		return err_set(e, E_NOTFOUND, "user '%.40s': no such user", name);
	pw = getpwuid((uid_t)n);
	*uid = (uid_t)n;
	*gid = pw != NULL ? pw->pw_gid : (gid_t)n;
	return 0;
}

static int
find_group(const char *name, gid_t *gid, struct err *e)
{
	const struct group *gr = getgrnam(name);
	uint64_t n;

	if (gr != NULL) {
		*gid = gr->gr_gid;
		return 0;
	}
	if (!text_parse_u64(&n, name, ID_MAX))
		return err_set(e, E_NOTFOUND, "group '%.40s': no such group", name);
	*gid = (gid_t)n;
	return 0;
}

int
sandbox_lookup(const char *user, uid_t *uid, gid_t *gid, struct err *e)
{
	char name[128];
	char *colon;
	uid_t u = 0;
	gid_t g = 0;
	int r;

	if ((size_t)snprintf(name, sizeof(name), "%s", user) >= sizeof(name))
		return err_set(e, E_NOTFOUND, "user '%.40s...': name too long", user);
	colon = strchr(name, ':');
	if (colon != NULL)
		*colon++ = 0;
	if ((r = find_user(name, &u, &g, e)) != 0)
		return r;
	if (colon != NULL && (r = find_group(colon, &g, e)) != 0)
		return r;
	*uid = u;
	*gid = g;
	return 0;
}
