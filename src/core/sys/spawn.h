/* SPDX-License-Identifier: Apache-2.0 */
/* sys/spawn.h - start another of our executables with an exact set of descriptors */
#ifndef CORE_SYS_SPAWN_H
#define CORE_SYS_SPAWN_H

#include <sys/types.h>

#include "core/base/bytes.h"

#define SPAWN_CONTROL_FD 3 /* where a role finds its control pipe */

struct spawn {
	const char *path;          /* of the executable */
	const char *const *argv;   /* NULL-terminated, argv[0] included */
	int control_fd;            /* becomes descriptor 3 of the child; -1: none */
	int stdout_fd;             /* becomes 1; -1: inherited */
	int stderr_fd;             /* becomes 2; -1: inherited */
	bool die_with_parent;      /* PR_SET_PDEATHSIG: SIGTERM when we go */
	bool detach;               /* a session of its own: it outlives us and our terminal */
};

/* fork and exec; every other descriptor is closed in the child, signals are reset.  E_IO when exec fails. */
int spawn_start(pid_t *pid, const struct spawn *s, struct err *e) MUST_CHECK;
/* Replace this process (never returns on success). */
int spawn_exec(const char *path, const char *const *argv, struct err *e);
/* Directory of this process's own executable, e.g. to find its siblings. */
int spawn_self_dir(char *out, size_t size, struct err *e) MUST_CHECK;

#endif
