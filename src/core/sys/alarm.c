/* SPDX-License-Identifier: Apache-2.0 */
/* sys/alarm.c - the wall clock's alarm, over a timerfd that is cancelled when the clock is set */
#include "core/sys/alarm.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"

struct alarm {
	int fd;
	struct loop_io *io;
	unsigned each_s;
	loop_fn fn;
	void *ctx;
};

static void
fail(const char *what)
{
	perror(what);
	abort();
}

/* Absolute and with CANCEL_ON_SET: a clock that is set ends the wait with ECANCELED, whichever way it went. */
static void
arm(struct alarm *a)
{
	struct itimerspec at = { 0 };
	int r;

	/* timerfd_settime(2), NOTES: ECANCELED is a clock that was set meanwhile, and `at` is of the one before. */
	do {
		at.it_value.tv_sec = clock_now() + a->each_s;
		r = timerfd_settime(a->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, NULL);
	} while (r != 0 && errno == ECANCELED);
	if (r != 0)
		fail("alarm: arming");
}

static void
on_time(void *ctx, int fd, unsigned events)
{
	struct alarm *a = ctx;
	uint64_t n;

	(void)events;
	/* Expired, or cancelled by a clock that was set: either way it is time to look. */
	(void)!read(fd, &n, sizeof(n));
	arm(a);
	a->fn(a->ctx); /* a may be gone from here on */
}

struct alarm *
alarm_new(struct loop *l, unsigned each_s, loop_fn fn, void *ctx)
{
	struct alarm *a = mem_zalloc(sizeof(*a));

	*a = (struct alarm){ .each_s = each_s, .fn = fn, .ctx = ctx };
	a->fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (a->fd < 0)
		fail("alarm: making a timer");
	arm(a);
	a->io = loop_io_new(l, a->fd, LOOP_READ, on_time, a);
	return a;
}

void
alarm_free(struct alarm *a)
{
	if (a == NULL)
		return;
	loop_io_free(a->io);
	fd_autoclose(&a->fd);
	mem_free(a);
}
