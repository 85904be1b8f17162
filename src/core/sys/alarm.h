/* SPDX-License-Identifier: Apache-2.0 */
/* sys/alarm.h - wakes at intervals of the wall clock, and at once when somebody sets it */
#ifndef CORE_SYS_ALARM_H
#define CORE_SYS_ALARM_H

#include "core/sys/loop.h"

#define ALARM_EACH_S 60

struct alarm;

/*
 * Call fn from the loop each `each_s` seconds of the wall clock at the latest, when the clock was set (by hand, by
 * NTP, either way), and after a suspend that outlasted the interval.  A schedule in UTC that is looked at by fn needs
 * no other timer above that interval.  Failure to make one ends the process.
 */
struct alarm *alarm_new(struct loop *l, unsigned each_s, loop_fn fn, void *ctx);
void alarm_free(struct alarm *a); /* fine from inside fn */

#endif
