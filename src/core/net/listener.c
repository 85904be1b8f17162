/* SPDX-License-Identifier: Apache-2.0 */
/* net/listener.c - accepting connections, also when descriptors run out */
#include "core/net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/net/limits.h"

struct listener {
	int fd, reserve;
	struct loop_io *io;
	struct loop_timer *rest;
	listener_fn fn;
	loop_fn turn_done;
	void *ctx;
};

static int
open_reserve(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
pause_accepting(struct listener *l)
{
	loop_io_set(l->io, 0);
	loop_timer_in(l->rest, NET_ACCEPT_PAUSE);
}

/* Give up the reserve for a moment, so that one waiting client learns that there is no room. */
static void
turn_away(struct listener *l)
{
	int fd;

	if (l->reserve >= 0)
		(void)close(l->reserve);
	fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		(void)close(fd);
	l->reserve = open_reserve();
	pause_accepting(l);
}

static void
on_rested(void *ctx)
{
	struct listener *l = ctx;

	loop_io_set(l->io, LOOP_READ);
}

static void
on_connection(void *ctx, int lfd, unsigned events)
{
	struct listener *l = ctx;
	loop_fn turn_done = l->turn_done;
	int failed = 0;

	(void)events;
	for (int i = 0; i < NET_ACCEPT_BURST; i++) {
		struct sockaddr_storage from = { 0 };
		socklen_t n = sizeof(from);
		int fd = accept4(lfd, (struct sockaddr *)&from, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			l->fn(l->ctx, l, fd, &from);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			turn_away(l);
			break;
		}
		if (errno == EAGAIN)
			break;
		failed++; /* nearly always of this one connection (accept(2)) */
	}
	if (failed == NET_ACCEPT_BURST)
		pause_accepting(l); /* but what fails for ever must not keep the loop busy */
	if (turn_done != NULL)
		turn_done(l->ctx);
}

struct listener *
listener_new(struct loop *loop, int fd, listener_fn fn, loop_fn turn_done, void *ctx)
{
	struct listener *l = mem_zalloc(sizeof(*l));

	*l = (struct listener){ .fd = fd, .reserve = open_reserve(), .fn = fn, .turn_done = turn_done, .ctx = ctx };
	l->rest = loop_timer_new(loop, on_rested, l);
	l->io = loop_io_new(loop, fd, LOOP_READ, on_connection, l);
	return l;
}

void
listener_free(struct listener *l)
{
	if (l == NULL)
		return;
	loop_io_free(l->io);
	loop_timer_free(l->rest);
	(void)close(l->fd);
	if (l->reserve >= 0)
		(void)close(l->reserve);
	mem_free(l);
}
