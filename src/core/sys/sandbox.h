/* SPDX-License-Identifier: Apache-2.0 */
/* sys/sandbox.h - give up rights: uid, new privileges, file system, dumps */
#ifndef CORE_SYS_SANDBOX_H
#define CORE_SYS_SANDBOX_H

#include <sys/types.h>

#include "core/base/bytes.h"

struct sandbox_path {
	const char *path;
	bool write;
	bool exec;                        /* programs there may be started, under the same confinement */
};

struct sandbox {
	bool drop;                        /* change to uid/gid (needs root) */
	uid_t uid;
	gid_t gid;
	const struct sandbox_path *paths; /* what stays reachable; path NULL ends it */
	bool network;                     /* may open new network sockets (else seccomp or Landlock forbids socket(AF_INET*)) */
	bool local;                       /* may connect to Unix sockets (else seccomp forbids it) */
};

/*
 * Confine this process, in this order: no core dumps and not dumpable, drop to
 * uid/gid with no supplementary groups and no capabilities, no-new-privs,
 * Landlock for the file system (and TCP where the kernel's ABI has it).
 * What could be done goes to `report` as one line of key=value ("uid=61184
 * landlock=abi5 nnp=yes"), what could not with its reason ("landlock=missing(ENOSYS)").
 * E_IO only when a drop that was asked for failed: the caller must then not go on.
 * *weak is set when any part is missing, so that the role can say so loudly.
 */
int sandbox_enter(const struct sandbox *s, struct buf *report, bool *weak, struct err *e) MUST_CHECK;
/* uid/gid of "name", "name:group" or "uid:gid"; E_NOTFOUND. */
int sandbox_lookup(const char *user, uid_t *uid, gid_t *gid, struct err *e) MUST_CHECK;

#endif
