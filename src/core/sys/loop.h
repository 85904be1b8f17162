/* SPDX-License-Identifier: Apache-2.0 */
/* sys/loop.h - the one event loop of a role (over sd-event) */
#ifndef CORE_SYS_LOOP_H
#define CORE_SYS_LOOP_H

#include <stdint.h>
#include <sys/types.h>

#include "core/base/bytes.h"

struct loop;
struct loop_io;
struct loop_timer;
struct loop_late;

#define LOOP_READ  1u
#define LOOP_WRITE 2u
#define LOOP_HUP   4u /* always watched */

typedef void (*loop_io_fn)(void *ctx, int fd, unsigned events);
typedef void (*loop_fn)(void *ctx);
typedef void (*loop_signal_fn)(void *ctx, int signo);
typedef void (*loop_child_fn)(void *ctx, pid_t pid, int status); /* status as of waitpid() */

/* A new loop; failure to make one ends the process. */
struct loop *loop_new(void);
void loop_free(struct loop *l);
/* Run until loop_stop(); returns the code given to it. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l, int code);

/*
 * Watch fd (level-triggered); fd stays the caller's, and stays open as long as the watcher.
 * loop_io_free() is fine from inside its callback.  Watchers and timers go before the loop does.
 */
struct loop_io *loop_io_new(struct loop *l, int fd, unsigned events, loop_io_fn fn, void *ctx);
void loop_io_set(struct loop_io *w, unsigned events); /* 0: none but HUP */
void loop_io_free(struct loop_io *w);

/* A one-shot timer, made unarmed.  Times are of clock_monotonic_ms(); arming again moves it. */
struct loop_timer *loop_timer_new(struct loop *l, loop_fn fn, void *ctx);
void loop_timer_at(struct loop_timer *t, uint64_t monotonic_ms);
void loop_timer_in(struct loop_timer *t, uint64_t ms);
void loop_timer_stop(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);

/*
 * Called before the loop would sleep, once per turn, after all other callbacks of that turn;
 * after 20 ms at the latest where events come without a pause.
 */
void loop_on_idle(struct loop *l, loop_fn fn, void *ctx);
/* One call at the end of the turn, behind those, each time it is asked for; asking again before changes nothing. */
struct loop_late *loop_late_new(struct loop *l, loop_fn fn, void *ctx);
void loop_late_ask(struct loop_late *t);
void loop_late_free(struct loop_late *t);
void loop_on_signal(struct loop *l, int signo, loop_signal_fn fn, void *ctx); /* blocks the signal first */
void loop_on_child(struct loop *l, pid_t pid, loop_child_fn fn, void *ctx);   /* once, by pidfd */

#endif
