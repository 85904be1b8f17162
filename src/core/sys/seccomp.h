/* SPDX-License-Identifier: Apache-2.0 */
/* sys/seccomp.h - no sockets but Unix ones, by a small system call filter */
#ifndef CORE_SYS_SECCOMP_H
#define CORE_SYS_SECCOMP_H

#include "core/base/bytes.h"

/*
 * From here on socket() makes AF_UNIX sockets only and io_uring, which could make
 * others, is not there: EPERM.  Sockets that are open stay usable.  Needs
 * no-new-privs.  Appends "seccomp=yes", or "seccomp=missing(<why>)" and returns false.
 */
bool seccomp_enter(struct buf *report) MUST_CHECK;

#endif
