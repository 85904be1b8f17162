/* SPDX-License-Identifier: Apache-2.0 */
/* config/restart.h - services whose configuration changed take it */
#ifndef DEVICE_CONFIG_RESTART_H
#define DEVICE_CONFIG_RESTART_H

#include "core/base/bytes.h"

#define RESTART_MAX 5

/*
 * Runs "systemctl ARGS" (ended by NULL) and gives its exit status; E_IO when it could not be run.
 */
typedef int (*restart_fn)(void *ctx, int *status, const char *const *args, struct err *e);

/* Does systemd run this machine? */
bool restart_possible(void);
/* The systemctl of this machine. */
int restart_systemctl(void *ctx, int *status, const char *const *args, struct err *e) MUST_CHECK;
/*
 * For each service ("keyd", ...; ended by NULL) that has a unit: stopped, its sockets started,
 * and started itself when it was running or is enabled; then edged or identityd, the first of a
 * start, when it has a unit.  *done tells which; E_UNAVAIL when one could not be started, after
 * the others.
 */
int restart_services(const char *done[RESTART_MAX + 1], const char *const *services, restart_fn run, void *ctx,
    struct err *e) MUST_CHECK;

#endif
