/* SPDX-License-Identifier: Apache-2.0 */
/* sys/seccomp.h - whom a process can still reach, by a small system call filter */
#ifndef CORE_SYS_SECCOMP_H
#define CORE_SYS_SECCOMP_H

#include "core/base/bytes.h"

/*
 * What this process may open from here on.  network: network sockets; local: Unix sockets of other processes.  Without
 * either it connects to nothing and signals nobody but itself.  io_uring, which could do the same, is not there.
 * What is denied is EPERM; what is open stays usable.  With both there is no filter.  Needs no-new-privs.
 * Appends "seccomp=yes" (nothing with both), or "seccomp=missing(<why>)" and returns false.
 */
bool seccomp_enter(bool network, bool local, struct buf *report) MUST_CHECK;

#endif
