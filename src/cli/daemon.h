/* SPDX-License-Identifier: Apache-2.0 */
/* cli/daemon.h - an estuaryd of our own: found, started, waited for, stopped */
#ifndef CLI_DAEMON_H
#define CLI_DAEMON_H

#include <sys/types.h>

#include "core/base/bytes.h"

#define DAEMON_WAIT_MS 30000 /* until it answers, and until it serves */
#define DAEMON_WHY_MAX 300

struct daemon {
	pid_t pid;
	int log_fd;       /* what it says, for daemon_why() */
	off_t log_begin;  /* where this run's lines begin */
	unsigned pauses;  /* so far: they grow, so that a slow start is not a noisy one */
	int signo;        /* the signal that asked us to end, 0: none */
	bool ended;
	int status;       /* exit status, once ended: 128 + n after signal n */
};

#define DAEMON_NONE ((struct daemon){ .pid = -1, .log_fd = -1 })

/*
 * Start the estuaryd that belongs to this executable: beside it, in ../sbin, or in the
 * build tree, with --config; what it says goes to the end of the file `log`.  SIGINT, SIGTERM, SIGHUP and SIGCHLD are blocked from here on and
 * taken by daemon_pause() and daemon_rest().  E_NOTFOUND, E_IO.
 */
int daemon_start(struct daemon *d, const char *config, const char *log, struct err *e) MUST_CHECK;
/*
 * A short pause of a caller that waits for something until `deadline` (clock_monotonic_ms()).
 * E_UNAVAIL when the server has ended, when we were asked to end, or when it is too late.
 */
int daemon_pause(struct daemon *d, uint64_t deadline, const char *what, struct err *e) MUST_CHECK;
/* Stay at most ms, passing on signals; true when it has ended. */
bool daemon_rest(struct daemon *d, uint64_t ms);
/* The last reason for a failure that it has given since its start, a line for people; false: none. */
bool daemon_why(const struct daemon *d, char out[DAEMON_WHY_MAX]);
/* Ask it to end and wait until it has. */
void daemon_stop(struct daemon *d);
void daemon_clear(struct daemon *d);

#endif
