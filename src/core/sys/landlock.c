/* SPDX-License-Identifier: Apache-2.0 */
/* sys/landlock.c - Landlock by system call, up to ABI 7 */
#include "core/sys/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/text.h"

/* The kernel's interface, spelled out: the build's headers may be older than the running kernel. */
#define FS_EXECUTE     (UINT64_C(1) << 0)
#define FS_WRITE_FILE  (UINT64_C(1) << 1)
#define FS_READ_FILE   (UINT64_C(1) << 2)
#define FS_READ_DIR    (UINT64_C(1) << 3)
#define FS_REMOVE_DIR  (UINT64_C(1) << 4)
#define FS_REMOVE_FILE (UINT64_C(1) << 5)
#define FS_MAKE_DIR    (UINT64_C(1) << 7)
#define FS_MAKE_REG    (UINT64_C(1) << 8)
#define FS_MAKE_SOCK   (UINT64_C(1) << 9)
#define FS_ALL_ABI1    ((UINT64_C(1) << 13) - 1)
#define FS_REFER       (UINT64_C(1) << 13) /* ABI 2 */
#define FS_TRUNCATE    (UINT64_C(1) << 14) /* ABI 3 */
#define FS_IOCTL_DEV   (UINT64_C(1) << 15) /* ABI 5 */
#define NET_TCP        UINT64_C(3)         /* ABI 4: bind, connect */
#define SCOPE_ALL      UINT64_C(3)         /* ABI 6: abstract Unix sockets, signals */

#define RIGHTS_READ (FS_READ_FILE | FS_READ_DIR)
#define RIGHTS_WRITE                                                           \
	(RIGHTS_READ | FS_WRITE_FILE | FS_TRUNCATE | FS_REMOVE_FILE | FS_REMOVE_DIR |  \
	    FS_MAKE_REG | FS_MAKE_DIR | FS_MAKE_SOCK | FS_REFER)
/* What means anything for a path that is no directory. */
#define RIGHTS_OF_FILE (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH      1

#ifndef __NR_landlock_create_ruleset
#define __NR_landlock_create_ruleset 444
#define __NR_landlock_add_rule       445
#define __NR_landlock_restrict_self  446
#endif

/* An older kernel takes the longer struct as long as what it does not know is 0. */
struct ruleset {
	uint64_t handled_access_fs, handled_access_net, scoped;
};

struct path_beneath {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

static struct ruleset
rules_of_abi(long abi, bool network)
{
	struct ruleset r = { .handled_access_fs = FS_ALL_ABI1 };

	if (abi >= 2)
		r.handled_access_fs |= FS_REFER;
	if (abi >= 3)
		r.handled_access_fs |= FS_TRUNCATE;
	if (abi >= 4 && !network)
		r.handled_access_net = NET_TCP;
	if (abi >= 5)
		r.handled_access_fs |= FS_IOCTL_DEV;
	if (abi >= 6)
		r.scoped = SCOPE_ALL;
	return r;
}

/* Negative with errno when the rule could not be added; a path that cannot be opened needs none. */
static long
allow(int ruleset, uint64_t handled, const struct sandbox_path *p, struct buf *absent)
{
	AUTO_FD fd = open(p->path, O_PATH | O_CLOEXEC);
	struct path_beneath rule = { .parent_fd = fd };
	struct stat st;

	if (fd < 0) {
		buf_put_str(absent, " absent=");
		text_escape(absent, bytes_of(p->path));
		return 0;
	}
	if (fstat(fd, &st) != 0)
		return -1;
	rule.allowed_access = ((p->write ? RIGHTS_WRITE : RIGHTS_READ) | (p->exec ? FS_EXECUTE : 0)) & handled;
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= RIGHTS_OF_FILE;
	return syscall(__NR_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
}

/* The ABI entered, or negative with errno. */
static long
enter(const struct sandbox_path *paths, bool network, struct buf *absent)
{
	long abi = syscall(__NR_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
	struct ruleset rules = rules_of_abi(abi, network);
	AUTO_FD fd = -1;

	if (abi < 0)
		return abi;
	fd = (int)syscall(__NR_landlock_create_ruleset, &rules, sizeof(rules), 0);
	if (fd < 0)
		return fd;
	for (; paths != NULL && paths->path != NULL; paths++)
		if (allow(fd, rules.handled_access_fs, paths, absent) < 0)
			return -1;
	if (syscall(__NR_landlock_restrict_self, fd, 0) != 0)
		return -1;
	return abi;
}

bool
landlock_enter(const struct sandbox_path *paths, bool network, struct buf *report)
{
	AUTO_BUF absent = { 0 };
	long abi = enter(paths, network, &absent);

	if (abi < 0) {
		buf_printf(report, "landlock=missing(%s)", strerrorname_np(errno));
		return false;
	}
	buf_printf(report, "landlock=abi%ld", abi);
	buf_put_bytes(report, bytes_of_buf(&absent));
	return true;
}
