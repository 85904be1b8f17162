/* SPDX-License-Identifier: Apache-2.0 */
/* estuaryd/listeners.h - the listening sockets, bound once and held for as long as their addresses stay */
#ifndef SERVER_ESTUARYD_LISTENERS_H
#define SERVER_ESTUARYD_LISTENERS_H

#include "server/estuaryd/state.h"
#include "server/proto/settings.h"

/*
 * The supervisor holds every socket, so that what waits in the queue of a role
 * that died is served by the next one.  Each front has a device and a public socket of its
 * own (SO_REUSEPORT).  A zeroed struct is not empty: start with LISTENERS_NONE.
 */
struct listeners {
	size_t fronts;
	int device[SETTINGS_FRONTS_MAX], public[SETTINGS_FRONTS_MAX];
	int operator, local;
	struct settings of;       /* what was asked for */
	uint16_t device_port, operator_port, public_port; /* what was got */
};
#define LISTENERS_NONE ((struct listeners){ .fronts = 0, .operator = -1, .local = -1 })

/*
 * The sockets that s wants (s->fronts of them for devices and the public, not 0).  Those of `old`
 * whose address is the same are shared with it, the others are bound; old stays
 * open and untouched, also when this fails, and is to be closed by the caller after success.  E_IO, E_EXISTS.
 */
int listeners_open(struct listeners *out, const struct listeners *old, const struct settings *s,
    const struct state_owner *owner, struct err *e) MUST_CHECK;
/* Close all; *l is LISTENERS_NONE after. */
void listeners_close(struct listeners *l);
/* The settings as the roles get them: ports as bound, public_url filled in. */
void listeners_settle(const struct listeners *l, struct settings *s);

#endif
