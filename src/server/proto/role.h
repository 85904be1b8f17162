/* SPDX-License-Identifier: Apache-2.0 */
/* proto/role.h - what every role does alike: its control pipe, confinement, start and end */
#ifndef SERVER_PROTO_ROLE_H
#define SERVER_PROTO_ROLE_H

#include "core/sys/loop.h"
#include "core/sys/sandbox.h"
#include "server/proto/proto.h"
#include "server/proto/settings.h"

/*
 * What differs between roles.  Each is called with role_main()'s ctx; NULL members
 * are fine for what a role does not need (a descriptor that nobody takes is closed).
 * Order: settings, then peer and listener in any order, then sandbox and start once;
 * settings and peer may come again later (reload, a restarted peer), drain at the end.
 */
struct role_hooks {
	/* New settings; *s is borrowed.  First called before confinement: read here what lies outside. */
	void (*settings)(void *ctx, const struct settings *s);
	void (*peer)(void *ctx, enum role r, uint32_t instance, int fd);       /* fd is the callee's */
	void (*listener)(void *ctx, enum listener which, int fd);              /* fd is the callee's */
	/* A reload is in force, or was refused; the authority alone is told. */
	void (*reloaded)(void *ctx, const struct proto_reloaded *r);
	/* Serve.  Already confined.  An error ends the role. */
	int (*start)(void *ctx, struct err *e);
	/* Finish what is under way, then role_exit(); NULL: exit at once. */
	void (*drain)(void *ctx);
	/* What this role keeps; borrowed.  role_main() sees to drop, uid and gid.  NULL: no paths, no network. */
	const struct sandbox *(*sandbox)(void *ctx);
};

/*
 * Be role r on descriptor SPAWN_CONTROL_FD until role_exit() or until the
 * supervisor goes away; returns the exit status.  On PROTO_START: become
 * settings.user when started as root, sandbox_enter(), start(), PROTO_READY.
 * SIGTERM and SIGINT do nothing here: the supervisor decides.
 */
int role_main(enum role r, const struct role_hooks *h, void *ctx, struct loop *l);
void role_exit(struct loop *l, int status);
/*
 * The pipe to the peer is no more.  A peer that ended is started again and comes by itself; when none has come within a
 * second it may live, and the pipe broke for another reason, so the supervisor is asked for a new one.
 */
void role_unlinked(void);
/* Send to the supervisor.  E_UNAVAIL when it is gone. */
int role_tell(uint32_t type, struct bytes body, struct err *e) MUST_CHECK;

#endif
