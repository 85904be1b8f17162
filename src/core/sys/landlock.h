/* SPDX-License-Identifier: Apache-2.0 */
/* sys/landlock.h - the file system and TCP as the kernel's Landlock can fence them */
#ifndef CORE_SYS_LANDLOCK_H
#define CORE_SYS_LANDLOCK_H

#include "core/sys/sandbox.h"

/*
 * Leave this process only the paths (path NULL ends them; absent ones are skipped
 * and named in report), no execution of anything, and no TCP when !network.
 * Needs no-new-privs.  Appends "landlock=abi7", or "landlock=missing(ENOSYS)"
 * and returns false, having fenced nothing.
 */
bool landlock_enter(const struct sandbox_path *paths, bool network, struct buf *report) MUST_CHECK;

#endif
