/* SPDX-License-Identifier: Apache-2.0 */
/* config/detached.h - the services of a scratch prefix, as processes: what systemd does on a real system */
#ifndef DEVICE_CONFIG_DETACHED_H
#define DEVICE_CONFIG_DETACHED_H

#include <sys/types.h>

#include "device/service/place.h"

#define DETACHED_MAX 3

/*
 * Below the prefix: run/aziot/SERVICE.pid holds "PID START BOOT" (the process, when it was started in ticks since the
 * boot, and which boot that was), which together name one process for ever; var/log/aziot/SERVICE.log holds what it
 * says; etc/aziot/log-level how much that is.  run/aziot/system.lock is held while anything is started or stopped.
 */
enum detached_state {
	DETACHED_DOWN,      /* stopped, or never started */
	DETACHED_DIED,      /* started by us, and not stopped */
	DETACHED_SILENT,    /* it runs and does not answer */
	DETACHED_RUNNING,
	DETACHED_FOREIGN,   /* somebody else runs it: not touched */
};

/* Who starts and stops: the program, by its path, and the services that it has, in the order of their starts. */
struct detached {
	const char *prefix;           /* as place_find() takes it */
	const char *program;          /* "/usr/bin/estuary-agent": "PROGRAM SERVICE --prefix PREFIX" is the service */
	const char *services[DETACHED_MAX + 1]; /* ended by NULL */
};

/* How a service is; *pid is set when it is ours and alive. */
int detached_look(enum detached_state *out, pid_t *pid, const struct place *p, struct err *e) MUST_CHECK;
/* Has anybody written a configuration for it? */
bool detached_is_configured(const struct place *p);
/* PREFIX/var/log/aziot/SERVICE.log */
int detached_log(char out[PLACE_MAX], const struct place *p, struct err *e) MUST_CHECK;

/*
 * Start those that are configured and do not run, and wait until each answers; done takes the names of those that were
 * started.  E_UNAVAIL: one ended or does not answer (its last line is told), after the others; E_EXISTS: somebody else
 * is starting or stopping.
 */
int detached_start(const char *done[DETACHED_MAX + 1], const struct detached *d, struct err *e) MUST_CHECK;
/* Stop those that we started and that run, the last first; wait for each to end.  E_UNAVAIL: one does not. */
int detached_stop(const char *done[DETACHED_MAX + 1], const struct detached *d, struct err *e) MUST_CHECK;

/* Keep "debug" etc. as AZIOT_LOG of what is started from now on. */
int detached_set_level(const struct detached *d, const char *level, struct err *e) MUST_CHECK;

#endif
