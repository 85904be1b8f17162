/* SPDX-License-Identifier: Apache-2.0 */
/* sys/pipe.h - typed messages between two of our processes, with descriptor passing */
#ifndef CORE_SYS_PIPE_H
#define CORE_SYS_PIPE_H

#include "core/sys/loop.h"

#define PIPE_MAX ((size_t)16 * 1024 * 1024) /* octets of one message's body; a revocation list is the longest */

/*
 * A SOCK_SEQPACKET socketpair's end: messages are whole or not at all.
 * Wire form of one message: u32 type, u64 id, u32 length, body (big-endian).  What is sent
 * during one turn of the loop leaves at its end, together in one packet: one system call and one
 * wakeup at the other end serve all of it.  id ties an answer to its question.  A body above PIPE_INLINE_MAX
 * travels in a sealed memfd instead, so that no buffer limit of the system stands
 * in its way: type has its highest bit set, the body is the u32 length, the descriptor the memfd.
 * A message with a descriptor has a packet to itself.
 */
#define PIPE_INLINE_MAX ((size_t)64 * 1024)
struct pipe;

struct pipe_msg {
	uint32_t type;
	uint64_t id;
	struct bytes body; /* borrowed until the handler returns */
	int fd;            /* -1, or a descriptor: take it with TAKE_FD(m->fd), or it is closed after the handler */
};

typedef void (*pipe_fn)(void *ctx, struct pipe *p, struct pipe_msg *m);
typedef void (*pipe_closed_fn)(void *ctx, struct pipe *p, const char *why);

/*
 * One row of a role's permit table: a type and who handles it.  A message whose
 * type is not in the table closes the pipe (why: "message 17 not permitted").
 */
struct pipe_permit {
	uint32_t type;
	const char *name;
	pipe_fn fn;
};

/* Both ends, CLOEXEC and non-blocking, with send buffers for many inline messages where the system allows it.  E_IO. */
int pipe_pair(int fds[2], struct err *e) MUST_CHECK;
/* Serve fd (owned from here on).  The table ends with a row of fn NULL and outlives the pipe. */
struct pipe *pipe_new(struct loop *l, int fd, const struct pipe_permit *permits,
    pipe_closed_fn closed, void *ctx);
/*
 * Send at the end of this turn, or queue when the peer is slow; fd is -1 or is duplicated into
 * the message (the caller keeps its own).  Above PIPE_QUEUE_MAX queued octets the
 * pipe is closed as broken.  E_UNAVAIL once the peer is known to be gone or the pipe broken
 * (what it has not read is lost, and `closed` tells), E_TOOBIG above PIPE_MAX (with a descriptor: PIPE_INLINE_MAX), E_IO.  Never calls back.
 */
int pipe_send(struct pipe *p, uint32_t type, uint64_t id, struct bytes body, int fd,
    struct err *e) MUST_CHECK;
#define PIPE_QUEUE_MAX ((size_t)32 * 1024 * 1024)
bool pipe_alive(const struct pipe *p);
/* Leave what comes unread, and sleep through it, until called with false; a peer that goes wakes all the same. */
void pipe_rest(struct pipe *p, bool rest);
/* The peer sent what it must not: read nothing more; `closed` is called with why, but from the loop. */
void pipe_break(struct pipe *p, const char *why);
void pipe_free(struct pipe *p); /* what was sent leaves; also from inside its callbacks; `closed` is not called */

#endif
