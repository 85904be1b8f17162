/* SPDX-License-Identifier: Apache-2.0 */
/* estuaryd/state.h - the state directory: one server at a time, and whose it is */
#ifndef SERVER_ESTUARYD_STATE_H
#define SERVER_ESTUARYD_STATE_H

#include <sys/types.h>

#include "server/proto/settings.h"

/* Whom the roles become. */
struct state_owner {
	bool change;       /* false: they stay who we are */
	uid_t uid;
	gid_t gid;
};

/*
 * Make the state directory with run/, keys/, store/ and public/ in it (0700 each, its parents must be there),
 * take its lock, and, when we are root and settings.user is set, give the
 * whole tree to that user.  The lock lives as long as *lock is open.  E_EXISTS when
 * another server runs on the directory, E_POLICY when the directory is open to others, E_NOTFOUND (user), E_IO.
 */
int state_open(int *lock, struct state_owner *owner, const struct settings *s, struct err *e) MUST_CHECK;
/* Give a Unix socket's file to the owner; nothing else, and through no link. */
int state_give_socket(const char *path, const struct state_owner *owner, struct err *e) MUST_CHECK;

#endif
