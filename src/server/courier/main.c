/* SPDX-License-Identifier: Apache-2.0 */
/* courier/main.c - the courier role: the authority's questions to webhooks, out into the network and back */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/codec/wire.h"
#include "core/sys/log.h"
#include "core/sys/spawn.h"
#include "server/courier/courier.h"
#include "server/proto/role.h"

struct courier {
	struct loop *loop;
	struct pipe *authority;
	struct calls *calls;
	char path[PATH_MAX];         /* of our own executable */
	struct buf trust;
	struct err error;            /* why the settings' file could not be read, before confinement */
};

static void
on_called(void *ctx, uint64_t id, struct bytes fetched)
{
	struct courier *c = ctx;

	if (c->authority != NULL)
		(void)!pipe_send(c->authority, PROTO_FETCHED, id, fetched, -1, NULL); /* a lost pipe tells by itself */
}

static void
refuse(struct courier *c, uint64_t id, const char *why)
{
	AUTO_BUF b = BUF_MAX(1024);

	courier_put_answer(&b, &(struct courier_answer){ .why = why });
	on_called(c, id, bytes_of_buf(&b));
}

static void
on_fetch(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct courier *c = ctx;
	struct wire w = wire_open(m->body);
	char url[1024];
	struct bytes body;
	struct err e = { 0 };

	wire_str(&w, url, sizeof(url));
	body = wire_bytes(&w, PROTO_FETCH_MAX);
	if (wire_end(&w, "fetch", &e) != 0)
		pipe_break(p, e.msg);
	else if (c->calls == NULL || c->error.code != 0)
		refuse(c, m->id, c->calls == NULL ? "the courier is still starting" : c->error.msg);
	else
		calls_add(c->calls, m->id, url, body);
}

static const struct pipe_permit permits[] = {
	{ PROTO_FETCH, "fetch", on_fetch },
	{ 0, NULL, NULL },
};

static void
on_lost(void *ctx, struct pipe *p, const char *why)
{
	struct courier *c = ctx;

	log_event(L_WARN, "authority.lost", "why=%s", why);
	pipe_free(p);
	c->authority = NULL;
	if (c->calls != NULL)
		calls_forget(c->calls);
	role_unlinked();
}

/* What is read here is read before confinement; a reload makes a new courier. */
static void
on_settings(void *ctx, const struct settings *s)
{
	struct courier *c = ctx;
	char dir[PATH_MAX - 16];

	if (c->path[0] != 0 || c->error.code != 0)
		return;
	if (spawn_self_dir(dir, sizeof(dir), &c->error) != 0 ||
	    (s->courier_trust[0] != 0 && file_read(&c->trust, s->courier_trust, COURIER_TRUST_MAX, &c->error) != 0))
		return;
	(void)snprintf(c->path, sizeof(c->path), "%s/%s", dir, role_name(ROLE_COURIER));
}

static void
on_peer(void *ctx, enum role r, uint32_t instance, int fd)
{
	struct courier *c = ctx;

	(void)instance;
	if (r != ROLE_AUTHORITY) {
		fd_autoclose(&fd);
		return;
	}
	if (c->authority != NULL) {
		pipe_free(TAKE(c->authority));
		if (c->calls != NULL)
			calls_forget(c->calls);
	}
	c->authority = pipe_new(c->loop, fd, permits, on_lost, c);
}

/* Without its anchors no webhook is asked, but that is no reason for the rest of the server to stand still. */
static int
on_start(void *ctx, struct err *e)
{
	struct courier *c = ctx;

	(void)e;
	if (c->error.code != 0)
		log_event(L_ERROR, "courier.trust", "why=%s", c->error.msg);
	c->calls = calls_new(c->loop, c->path, &c->trust, on_called, c);
	return 0;
}

static const struct sandbox *
on_sandbox(void *ctx)
{
	static struct sandbox_path paths[COURIER_PATHS];
	static const struct sandbox box = { .paths = paths, .network = true };
	const struct courier *c = ctx;

	call_paths(paths, c->path[0] != 0 ? c->path : NULL);
	return &box;
}

int
main(int argc, char **argv)
{
	static const struct role_hooks hooks = { .settings = on_settings, .peer = on_peer, .start = on_start,
		.sandbox = on_sandbox };
	struct courier c = { .trust = BUF_MAX(COURIER_TRUST_MAX) };
	int status;

	if (argc == 2 && strcmp(argv[1], COURIER_MODE) == 0)
		return call_main();
	c.loop = loop_new();
	status = role_main(ROLE_COURIER, &hooks, &c, c.loop);
	pipe_free(TAKE(c.authority));
	calls_free(c.calls);
	buf_free(&c.trust);
	loop_free(c.loop);
	return status;
}
