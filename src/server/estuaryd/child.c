/* SPDX-License-Identifier: Apache-2.0 */
/* estuaryd/child.c - one process of a role */
#include "server/estuaryd/child.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/sys/log.h"
#include "core/sys/spawn.h"

#define CHILD_SLOW_MS 30000 /* a start that takes longer is worth a line in the log */
#define CHILD_DYING_MS 2000 /* between the end of its pipe and its own */
#define UNLINKED_LEAST_MS 500 /* between two wishes for new pipes */

#define WHO        "role=%s instance=%u pid=%d"
#define WHO_OF(c)  role_name((c)->role), (unsigned)(c)->instance, (int)(c)->pid

int
child_find(char *path, size_t size, const char *self_dir, enum role r, struct err *e)
{
	static const struct { const char *between; bool own_dir; } places[] = {
		{ "/../libexec/estuary/", false }, /* installed */
		{ "/", false },                    /* all in one directory */
		{ "/../", true },                  /* the build tree: ROLE/ROLE */
	};
	const char *name = role_name(r);

	for (size_t i = 0; i < N_OF(places); i++) {
		int n = snprintf(path, size, "%s%s%s%s%s", self_dir, places[i].between,
		    places[i].own_dir ? name : "", places[i].own_dir ? "/" : "", name);
		struct stat st;

		if (n > 0 && (size_t)n < size && stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
		    access(path, X_OK) == 0)
			return 0;
	}
	return err_set(e, E_NOTFOUND, "executable of role '%s': not in %.100s/../libexec/estuary, nor beside "
	    "estuaryd", name, self_dir);
}

static void
on_ready(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct child *c = ctx;
	struct wire w = wire_open(m->body);
	char report[PROTO_TEXT_MAX];
	uint8_t weak;
	struct err e;

	(void)p;
	wire_str(&w, report, sizeof(report));
	weak = wire_u8(&w);
	if (wire_end(&w, "ready", &e) != 0 || c->ready) {
		log_event(L_ERROR, "role.misbehaves", WHO " why=\"malformed or second ready message\"", WHO_OF(c));
		child_kill(c);
		return;
	}
	c->ready = true;
	if (!c->leaving)
		loop_timer_stop(c->timer);
	log_event(L_NOTE, "role.ready", WHO " confined=%s", WHO_OF(c), weak != 0 ? "partly" : "yes");
	c->events->ready(c->ctx, c);
}

static void
on_reload_wish(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct child *c = ctx;

	(void)p;
	if (c->role != ROLE_AUTHORITY || m->body.n != 0) {
		log_event(L_ERROR, "role.misbehaves", WHO " why=\"a reload is not its to ask for\"", WHO_OF(c));
		child_kill(c);
		return;
	}
	c->events->reload(c->ctx, c);
}

static void
on_unlinked(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct child *c = ctx;
	uint64_t now = clock_monotonic_ms(), last = c->unlinked_ms;

	(void)p;
	c->unlinked_ms = now;
	if (m->body.n != 0 || (last != 0 && now - last < UNLINKED_LEAST_MS)) {
		log_event(L_ERROR, "role.misbehaves", WHO " why=\"a malformed wish for pipes, or one at once after another\"", WHO_OF(c));
		child_kill(c);
		return;
	}
	c->events->unlinked(c->ctx, c);
}

static const struct pipe_permit permits[] = {
	{ PROTO_READY, "ready", on_ready },
	{ PROTO_RELOAD_WISH, "reload-wish", on_reload_wish },
	{ PROTO_UNLINKED, "unlinked", on_unlinked },
	{ 0, NULL, NULL },
};

/* It is on its way out, or it broke the protocol; the former is let finish. */
static void
lose(struct child *c, const char *why)
{
	c->unreachable = true;
	if (c->leaving)
		return;
	log_event(L_WARN, "role.unreachable", WHO " why=\"%s\"", WHO_OF(c), why);
	loop_timer_in(c->timer, CHILD_DYING_MS);
}

static void
on_closed(void *ctx, struct pipe *p, const char *why)
{
	(void)p;
	lose(ctx, why);
}

static void
on_timer(void *ctx)
{
	struct child *c = ctx;

	if (c->leaving || c->unreachable) {
		log_event(L_WARN, "role.killed", WHO " why=\"%s\"", WHO_OF(c),
		    c->leaving ? "did not finish in time" : "its control pipe is closed");
		child_kill(c);
	} else {
		log_event(L_WARN, "role.slow", WHO " why=\"not ready after %d s\"", WHO_OF(c),
		    CHILD_SLOW_MS / 1000);
	}
}

static void
on_death(void *ctx, pid_t pid, int status)
{
	struct child *c = ctx;
	bool well = c->leaving && WIFEXITED(status) && WEXITSTATUS(status) == 0;

	(void)pid;
	c->refused = !c->ready && !c->leaving && WIFEXITED(status);
	if (WIFSIGNALED(status))
		log_event(L_ERROR, "role.died", WHO " signal=%d (%s)", WHO_OF(c), WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	else
		log_event(well ? L_NOTE : L_ERROR, well ? "role.left" : "role.died", WHO " status=%d", WHO_OF(c),
		    WEXITSTATUS(status));
	c->events->gone(c->ctx, c);
}

int
child_start(struct child **out, struct loop *l, const char *path, enum role r,
    uint32_t instance, const struct child_events *events, void *ctx, struct err *e)
{
	const char *const argv[] = { role_name(r), NULL };
	int fds[2] = { -1, -1 };
	struct child *c;
	pid_t pid;
	int rc = pipe_pair(fds, e);

	if (rc != 0)
		return rc;
	rc = spawn_start(&pid, &(struct spawn){ .path = path, .argv = argv, .control_fd = fds[1],
	    .stdout_fd = -1, .stderr_fd = -1, .die_with_parent = true }, e);
	fd_autoclose(&fds[1]);
	if (rc != 0) {
		fd_autoclose(&fds[0]);
		return rc;
	}
	c = mem_zalloc(sizeof(*c));
	*c = (struct child){ .role = r, .instance = instance, .pid = pid,
	    .started_ms = clock_monotonic_ms(), .events = events, .ctx = ctx };
	c->control = pipe_new(l, fds[0], permits, on_closed, c);
	c->timer = loop_timer_new(l, on_timer, c);
	loop_timer_in(c->timer, CHILD_SLOW_MS);
	loop_on_child(l, pid, on_death, c);
	*out = c;
	return 0;
}

void
child_tell(struct child *c, uint32_t type, struct bytes body, int fd)
{
	struct err e;

	if (pipe_send(c->control, type, 0, body, fd, &e) != 0)
		lose(c, e.msg);
}

static void
tell_peer(struct child *c, const struct child *peer, int fd)
{
	AUTO_BUF body = BUF_MAX(16);

	wire_put_u8(&body, (uint8_t)peer->role);
	wire_put_u32(&body, peer->instance);
	child_tell(c, PROTO_PEER, bytes_of_buf(&body), fd);
}

void
child_link(struct child *a, struct child *b)
{
	int fds[2];
	struct err e;

	if (pipe_pair(fds, &e) != 0) {
		/* A role without its peer would look alive and be of no use; a new one tries again. */
		log_event(L_ERROR, "role.unlinked", WHO " why=\"%s\"", WHO_OF(a), e.msg);
		child_kill(a);
		return;
	}
	tell_peer(a, b, fds[0]);
	tell_peer(b, a, fds[1]);
	fd_autoclose(&fds[0]);
	fd_autoclose(&fds[1]);
}

void
child_drain(struct child *c, unsigned most_ms)
{
	c->leaving = true;
	loop_timer_in(c->timer, most_ms);
	child_tell(c, PROTO_DRAIN, (struct bytes){ NULL, 0 }, -1);
}

void
child_kill(struct child *c)
{
	(void)kill(c->pid, SIGKILL);
}

void
child_free(struct child *c)
{
	if (c == NULL)
		return;
	pipe_free(c->control);
	loop_timer_free(c->timer);
	mem_free(c);
}
