/* SPDX-License-Identifier: Apache-2.0 */
/* estuaryd/listeners.c - the listening sockets */
#include "server/estuaryd/listeners.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/sys/peer.h"

/* One address of the configuration, and the sockets that serve it. */
struct spot {
	const char *name;
	const char *host, *old_host;
	uint16_t port, old_port;          /* as configured: 0 stays 0 */
	int *fds;
	const int *old_fds;
	size_t n;
	bool shared;
	uint16_t *bound;
	uint16_t old_bound;
};

static int
share(int *out, const int *fds, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		out[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (out[i] < 0)
			return err_errno(e, E_IO, "duplicating a socket");
	}
	return 0;
}

/*
 * SO_REUSEPORT lets any process of this user join the port without a word.  A
 * first bind without it finds out whether somebody is there already.
 */
static int
probe(const struct spot *s, struct err *e)
{
	AUTO_FD fd = -1;
	uint16_t port;

	if (!s->shared || s->port == 0)
		return 0;
	return peer_listen_tcp(&fd, s->host, s->port, false, &port, e);
}

static int
bind_spot(const struct spot *s, struct err *e)
{
	uint16_t port = s->port;
	int r = probe(s, e);

	for (size_t i = 0; r == 0 && i < s->n; i++)
		r = peer_listen_tcp(&s->fds[i], s->host, port, s->shared, &port, e);
	if (r != 0)
		return err_prefix(e, r, "%s listener", s->name);
	*s->bound = port;
	return 0;
}

static int
open_spot(const struct spot *s, bool had, struct err *e)
{
	if (!had || strcmp(s->host, s->old_host) != 0 || s->port != s->old_port)
		return bind_spot(s, e);
	*s->bound = s->old_bound;
	return share(s->fds, s->old_fds, s->n, e);
}

static int
open_local(struct listeners *l, const struct listeners *old, const struct state_owner *owner,
    struct err *e)
{
	int r;

	if (old->local >= 0 && strcmp(old->of.local_socket, l->of.local_socket) == 0)
		return share(&l->local, &old->local, 1, e);
	if ((r = peer_listen_unix(&l->local, l->of.local_socket, 0600, e)) != 0 ||
	    (r = state_give_socket(l->of.local_socket, owner, e)) != 0)
		return err_prefix(e, r, "local listener");
	return 0;
}

int
listeners_open(struct listeners *out, const struct listeners *old, const struct settings *s,
    const struct state_owner *owner, struct err *e)
{
	struct listeners l = LISTENERS_NONE;
	const struct spot spots[] = {
		{ "device", s->device_host, old->of.device_host, s->device_port, old->of.device_port,
		  l.device, old->device, s->fronts, true, &l.device_port, old->device_port },
		{ "public", s->public_host, old->of.public_host, s->public_port, old->of.public_port,
		  l.public, old->public, s->fronts, true, &l.public_port, old->public_port },
		{ "operator", s->operator_host, old->of.operator_host, s->operator_port,
		  old->of.operator_port, &l.operator, &old->operator, 1, false, &l.operator_port,
		  old->operator_port },
	};
	int r = 0;

	l.of = *s;
	l.fronts = s->fronts;
	for (size_t i = 0; i < SETTINGS_FRONTS_MAX; i++)
		l.device[i] = l.public[i] = -1;
	for (size_t i = 0; r == 0 && i < N_OF(spots); i++)
		r = open_spot(&spots[i], old->fronts == s->fronts, e);
	if (r == 0)
		r = open_local(&l, old, owner, e);
	if (r != 0) {
		listeners_close(&l);
		return r;
	}
	*out = l;
	return 0;
}

void
listeners_close(struct listeners *l)
{
	for (size_t i = 0; i < l->fronts; i++) {
		fd_autoclose(&l->device[i]);
		fd_autoclose(&l->public[i]);
	}
	fd_autoclose(&l->operator);
	fd_autoclose(&l->local);
	*l = LISTENERS_NONE;
}

void
listeners_settle(const struct listeners *l, struct settings *s)
{
	bool v6 = strchr(s->name, ':') != NULL;

	s->device_port = l->device_port;
	s->operator_port = l->operator_port;
	s->public_port = l->public_port;
	if (s->public_url[0] == 0)
		(void)snprintf(s->public_url, sizeof(s->public_url), "http://%s%s%s:%u", v6 ? "[" : "",
		    s->name, v6 ? "]" : "", (unsigned)l->public_port);
}
