/* SPDX-License-Identifier: Apache-2.0 */
/* sys/log.h - a role's log lines: event name first, then key=value, on standard error */
#ifndef CORE_SYS_LOG_H
#define CORE_SYS_LOG_H

#include <sys/types.h>

#include "core/base/bytes.h"

enum log_level { L_ERROR, L_WARN, L_NOTE };

/*
 * One line: "<time> <role>[pid] LEVEL event key=value ...".  The text after the
 * event is made by printf and escaped (text_escape), so nothing in it can forge
 * a line.  Never blocks the role: a full pipe drops lines and counts them.
 */
void log_open(const char *role);
void log_event(enum log_level level, const char *event, const char *fmt, ...) PRINTF(3, 4);
/*
 * The same for what anybody can cause from afar: of each event (a constant word) no more lines than log_rate.h
 * says; the rest is counted, and told of by log_held().  Allocates nothing for what is only counted.
 */
void log_stranger(enum log_level level, const char *event, const char *fmt, ...) PRINTF(3, 4);
/* To be called each second, and with `all` at the end: "event more=N" for each event with lines that were counted. */
void log_held(bool all);

/* write() that does not wait: the flags of a descriptor that others share stay alone.  For what writes lines of its own. */
ssize_t log_write(int fd, struct bytes b) MUST_CHECK;

#endif
