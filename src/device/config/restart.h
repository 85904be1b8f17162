/* SPDX-License-Identifier: Apache-2.0 */
/* config/restart.h - the services as units of systemd: restarted, stopped, looked at */
#ifndef DEVICE_CONFIG_RESTART_H
#define DEVICE_CONFIG_RESTART_H

#include "core/base/bytes.h"

#define RESTART_MAX 5

/*
 * Runs "systemctl ARGS" (ended by NULL) and gives its exit status, and what it prints when out
 * is not NULL; E_IO when it could not be run.
 */
typedef int (*restart_fn)(void *ctx, int *status, struct buf *out, const char *const *args, struct err *e);

/* "edged", "identityd", "keyd", "certd", "tpmd": who depends on others stops before them.  Ended by NULL. */
extern const char *const restart_order[RESTART_MAX + 1];

/* Does systemd run this machine? */
bool restart_possible(void);
/* The systemctl of this machine. */
int restart_systemctl(void *ctx, int *status, struct buf *out, const char *const *args, struct err *e) MUST_CHECK;
/* Is there a unit aziot-SERVICE.service? */
bool restart_has_unit(const char *service, restart_fn run, void *ctx);
/*
 * For each service ("keyd", ...; ended by NULL) that has a unit: stopped, its sockets started,
 * and started itself when it was running or is enabled; then edged or identityd, the first of a
 * start, when it has a unit.  *done tells which; E_UNAVAIL when one could not be started, after
 * the others.
 */
int restart_services(const char *done[RESTART_MAX + 1], const char *const *services, restart_fn run, void *ctx,
    struct err *e) MUST_CHECK;
/* Stop each that has a unit; its sockets stay, so that the next who asks starts it.  *done and E_UNAVAIL as above. */
int restart_stop(const char *done[RESTART_MAX + 1], const char *const *services, restart_fn run, void *ctx,
    struct err *e) MUST_CHECK;
/*
 * "Running", "Ready" (its sockets wait for whoever asks), or "Down - ..." with what systemd says; true: it is well.
 */
bool restart_state(struct buf *out, const char *service, restart_fn run, void *ctx);

#endif
