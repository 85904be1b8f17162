/* SPDX-License-Identifier: Apache-2.0 */
/* net/listener.h - accepting connections, also when descriptors run out */
#ifndef CORE_NET_LISTENER_H
#define CORE_NET_LISTENER_H

#include <sys/socket.h>

#include "core/sys/loop.h"

struct listener;

/* fd (non-blocking, close-on-exec) is owned from here on. */
typedef void (*listener_fn)(void *ctx, struct listener *l, int fd, const struct sockaddr_storage *from);

/*
 * Take connections from a listening socket (owned from here on), at most
 * NET_ACCEPT_BURST in a turn.  When descriptors run out, waiting clients are turned away one
 * by one (by a descriptor held in reserve) instead of hanging, and accepting rests for a while, as it does
 * after a burst of which every accept() failed.  Nothing that accept() says ends it.
 * `turn_done` (or NULL) is called after each burst, last of all.
 */
struct listener *listener_new(struct loop *l, int fd, listener_fn fn, loop_fn turn_done, void *ctx);
void listener_free(struct listener *l);

#endif
