/* SPDX-License-Identifier: Apache-2.0 */
/* proto/role.c - what every role does alike */
#include "server/proto/role.h"

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/sys/log.h"
#include "core/sys/pipe.h"
#include "core/sys/spawn.h"

#define EXIT_USAGE  64
#define EXIT_BROKEN 70 /* the supervisor and this role do not speak the same protocol */
#define UNLINKED_MS 1000

/* A process is one role. */
static struct role_state {
	const struct role_hooks *hooks;
	void *ctx;
	struct loop *loop;
	struct pipe *control;
	struct loop_timer *unlinked;
	char user[sizeof(((struct settings *)NULL)->user)];
	bool have_settings, started, draining;
} self;

void
role_exit(struct loop *l, int status)
{
	loop_stop(l, status);
}

int
role_tell(uint32_t type, struct bytes body, struct err *e)
{
	if (self.control == NULL)
		return err_set(e, E_UNAVAIL, "no supervisor");
	return pipe_send(self.control, type, 0, body, -1, e);
}

/* Nothing that comes from our own supervisor may be wrong. */
static void
broken(const char *why)
{
	log_event(L_ERROR, "role.protocol", "error=%s", why);
	role_exit(self.loop, EXIT_BROKEN);
}

static void
on_settings(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct settings s;
	struct err e = { 0 };

	(void)ctx;
	(void)p;
	if (settings_get(&s, m->body, &e) != 0) {
		broken(e.msg);
		return;
	}
	(void)snprintf(self.user, sizeof(self.user), "%s", s.user);
	self.have_settings = true;
	if (self.hooks->settings != NULL)
		self.hooks->settings(self.ctx, &s);
}

static void
on_peer(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct wire w = wire_open(m->body);
	uint8_t role = wire_u8(&w);
	uint32_t instance = wire_u32(&w);

	(void)ctx;
	(void)p;
	if (wire_end(&w, "peer", NULL) != 0 || role >= ROLE_COUNT || m->fd < 0)
		broken("malformed PEER");
	else if (self.hooks->peer != NULL) {
		self.hooks->peer(self.ctx, (enum role)role, instance, TAKE_FD(m->fd));
		loop_timer_stop(self.unlinked);
	}
}

static void
on_unlinked(void *ctx)
{
	(void)ctx;
	(void)!role_tell(PROTO_UNLINKED, (struct bytes){ 0 }, NULL); /* a supervisor that has gone is told of by itself */
}

void
role_unlinked(void)
{
	if (self.unlinked != NULL) /* else this is no role, but a test of its parts */
		loop_timer_in(self.unlinked, UNLINKED_MS);
}

static void
on_listener(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct wire w = wire_open(m->body);
	uint8_t which = wire_u8(&w);

	(void)ctx;
	(void)p;
	if (wire_end(&w, "listener", NULL) != 0 || which < LISTENER_DEVICE ||
	    which > LISTENER_LOCAL || m->fd < 0)
		broken("malformed LISTENER");
	else if (self.hooks->listener != NULL)
		self.hooks->listener(self.ctx, (enum listener)which, TAKE_FD(m->fd));
}

static void
on_reloaded(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct proto_reloaded r;

	(void)ctx;
	(void)p;
	if (proto_get_reloaded(&r, m->body, NULL) != 0)
		broken("malformed RELOADED");
	else if (self.hooks->reloaded != NULL)
		self.hooks->reloaded(self.ctx, &r);
}

/* Give up what this role does not need.  Root without a user to become stays root, and says so. */
static int
confine(struct buf *report, bool *weak, struct err *e)
{
	struct sandbox s = { 0 };
	int r;

	if (self.hooks->sandbox != NULL)
		s = *self.hooks->sandbox(self.ctx);
	s.drop = geteuid() == 0 && self.user[0] != 0;
	if (s.drop && (r = sandbox_lookup(self.user, &s.uid, &s.gid, e)) != 0)
		return r;
	return sandbox_enter(&s, report, weak, e);
}

static int
start(struct err *e)
{
	AUTO_BUF report = { 0 };
	AUTO_BUF body = { 0 };
	char line[PROTO_TEXT_MAX];
	bool weak = true;
	int r;

	if ((r = confine(&report, &weak, e)) != 0)
		return r;
	if (self.hooks->start != NULL && (r = self.hooks->start(self.ctx, e)) != 0)
		return r;
	log_event(weak ? L_WARN : L_NOTE, weak ? "role.not-confined" : "role.confined", "%s",
	    buf_str(&report));
	(void)snprintf(line, sizeof(line), "%s", buf_str(&report)); /* many absent paths may be cut */
	wire_put_str(&body, line);
	wire_put_u8(&body, weak);
	return role_tell(PROTO_READY, bytes_of_buf(&body), e);
}

static void
on_start(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct err e = { 0 };
	int r;

	(void)ctx;
	(void)p;
	if (m->body.n != 0 || !self.have_settings || self.started) {
		broken("START out of turn");
		return;
	}
	self.started = true;
	r = start(&e);
	if (r == 0)
		return;
	log_event(L_ERROR, "role.start-failed", "error=%s", e.msg);
	role_exit(self.loop, err_row((enum err_code)r)->exit_status);
}

static void
on_drain(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	(void)ctx;
	(void)p;
	if (m->body.n != 0) {
		broken("malformed DRAIN");
		return;
	}
	if (self.draining)
		return;
	self.draining = true;
	if (self.started && self.hooks->drain != NULL)
		self.hooks->drain(self.ctx);
	else
		role_exit(self.loop, 0);
}

static void
on_closed(void *ctx, struct pipe *p, const char *why)
{
	(void)ctx;
	(void)p;
	log_event(L_ERROR, "role.supervisor-gone", "why=%s", why);
	role_exit(self.loop, err_row(E_UNAVAIL)->exit_status);
}

static const struct pipe_permit permits[] = {
	{ PROTO_SETTINGS, "SETTINGS", on_settings },
	{ PROTO_PEER, "PEER", on_peer },
	{ PROTO_LISTENER, "LISTENER", on_listener },
	{ PROTO_START, "START", on_start },
	{ PROTO_DRAIN, "DRAIN", on_drain },
	{ PROTO_RELOADED, "RELOADED", on_reloaded },
	{ 0 },
};

static bool
is_control(int fd)
{
	int type = 0;
	socklen_t n = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_SEQPACKET;
}

int
role_main(enum role r, const struct role_hooks *h, void *ctx, struct loop *l)
{
	int status;

	if (!is_control(SPAWN_CONTROL_FD)) {
		(void)fprintf(stderr, "%s: started by estuaryd, not by hand\n", role_name(r));
		return EXIT_USAGE;
	}
	log_open(role_name(r));
	/* A terminal's ^C reaches every process of the group: only the supervisor acts on it. */
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	self = (struct role_state){ .hooks = h, .ctx = ctx, .loop = l };
	self.control = pipe_new(l, SPAWN_CONTROL_FD, permits, on_closed, NULL);
	self.unlinked = loop_timer_new(l, on_unlinked, NULL);
	status = loop_run(l);
	loop_timer_free(TAKE(self.unlinked));
	pipe_free(TAKE(self.control));
	return status;
}
