/* SPDX-License-Identifier: Apache-2.0 */
/* sys/peer.h - sockets: listening, who is at the other end, service notification */
#ifndef CORE_SYS_PEER_H
#define CORE_SYS_PEER_H

#include <sys/types.h>

#include "core/base/bytes.h"

#define PEER_TEXT_MAX 64

/* uid of the process at the other end of a Unix socket, as of connect(). */
int peer_uid(int fd, uid_t *uid, struct err *e) MUST_CHECK;
/* Its pid as of then, for logs: by now it may be gone, or another's.  0 when not known. */
pid_t peer_pid(int fd);
/* Is it a Unix stream socket that listens? */
bool peer_is_unix_listener(int fd);
/* "192.0.2.7" or "2001:db8::1" (no port), or "unix"; never fails ("?"). */
void peer_address(int fd, char out[PEER_TEXT_MAX]);

/*
 * Listen on TCP host:port ("" or "*" is every address, dual stack; port 0 is any
 * free one), CLOEXEC, non-blocking, SO_REUSEADDR, and SO_REUSEPORT when shared
 * so that each front has a queue of its own.  *port_out is the real port.
 */
int peer_listen_tcp(int *fd, const char *host, uint16_t port, bool shared, uint16_t *port_out,
    struct err *e) MUST_CHECK;
/*
 * Listen on a Unix stream socket with exact mode; an old socket file is replaced, any other file (a link, a
 * directory) is E_EXISTS.  Nobody can connect before the mode is set.
 */
int peer_listen_unix(int *fd, const char *path, mode_t mode, struct err *e) MUST_CHECK;
/* Raise RLIMIT_NOFILE to its hard limit; returns what holds now. */
size_t peer_raise_nofile(void);
/* sd_notify(); no error when there is no service manager. */
void peer_notify(const char *state);

#endif
