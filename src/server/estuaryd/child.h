/* SPDX-License-Identifier: Apache-2.0 */
/* estuaryd/child.h - one process of a role: its start, its control pipe, its end */
#ifndef SERVER_ESTUARYD_CHILD_H
#define SERVER_ESTUARYD_CHILD_H

#include <sys/types.h>

#include "core/sys/loop.h"
#include "core/sys/pipe.h"
#include "server/proto/proto.h"

struct child;

/* Called with the ctx of child_start(). */
struct child_events {
	void (*ready)(void *ctx, struct child *c);
	void (*reload)(void *ctx, struct child *c); /* it wishes for what SIGHUP does; authority alone */
	void (*unlinked)(void *ctx, struct child *c); /* a pipe that child_link() gave it broke */
	void (*gone)(void *ctx, struct child *c);   /* the process is dead; the callee frees c */
};

struct child {
	struct child *next;       /* for the owner's list */
	enum role role;
	uint32_t instance;
	pid_t pid;
	uint64_t started_ms;
	bool ready, leaving;
	bool refused;             /* it ended by itself before it was ready: it could not start with what it was given */
	/* The rest is child.c's. */
	struct pipe *control;
	bool unreachable;         /* the control pipe is no more */
	uint64_t unlinked_ms;     /* when it last asked for new pipes */
	struct loop_timer *timer; /* a slow start, then the end of patience with a leaving one */
	const struct child_events *events;
	void *ctx;
};

/*
 * Where a role's executable is, seen from the directory of our own: installed
 * beside us in libexec, in the same directory, or in the build tree.  E_NOTFOUND.
 */
int child_find(char *path, size_t size, const char *self_dir, enum role r, struct err *e) MUST_CHECK;
/* Start it; nothing has been sent to it yet.  It dies with us, however we die.  E_IO. */
int child_start(struct child **out, struct loop *l, const char *path, enum role r,
    uint32_t instance, const struct child_events *events, void *ctx, struct err *e) MUST_CHECK;
/* Send a message; when it cannot be sent, the child is given up and gone() follows.  fd stays the caller's. */
void child_tell(struct child *c, uint32_t type, struct bytes body, int fd);
/* Give both an end of a new pipe between them, which replaces an older one. */
void child_link(struct child *a, struct child *b);
/* Ask it to finish and leave; killed after most_ms. */
void child_drain(struct child *c, unsigned most_ms);
void child_kill(struct child *c);
/* Only from gone(). */
void child_free(struct child *c);

#endif
