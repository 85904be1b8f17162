/* SPDX-License-Identifier: Apache-2.0 */
/* courier/call.c - one webhook, asked in a process of its own that ends with it */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "core/base/text.h"
#include "core/codec/wire.h"
#include "core/net/fetch.h"
#include "core/sys/spawn.h"
#include "server/courier/courier.h"
#include "server/proto/proto.h"

struct call {
	struct loop *loop;
	bool had;
};

void
courier_put_answer(struct buf *b, const struct courier_answer *a)
{
	char why[PROTO_TEXT_MAX];

	text_copy(why, sizeof(why), a->why);
	wire_put_u8(b, a->tried);
	wire_put_u32(b, a->status);
	wire_put_str(b, why);
	wire_put_bytes(b, a->body);
}

void
call_paths(struct sandbox_path paths[COURIER_PATHS], const char *exec)
{
	const char *file = getenv("SSL_CERT_FILE"), *dir = getenv("SSL_CERT_DIR");
	const struct sandbox_path all[COURIER_PATHS] = {
		{ .path = "/etc" }, { .path = "/usr" }, { .path = "/run/systemd/resolve" },
		{ .path = "/run/resolvconf" }, { .path = "/etc/resolv.conf" }, /* and the file that it links to */
		{ .path = "/var/lib/ca-certificates" }, { .path = file != NULL ? file : "/etc" },
		{ .path = dir != NULL ? dir : "/etc" },
		{ .path = exec != NULL ? "/dev/null" : "/lib", .write = exec != NULL }, { .path = exec, .exec = true },
		{ .path = "/lib", .exec = true }, { .path = "/lib64", .exec = true }, { .path = NULL },
	};

	memcpy(paths, all, sizeof(all)); /* without exec it ends there */
}

/* https alone, nobody but who verifies, no redirect: what the operator wrote down is asked, or nobody is. */
static void
ask(const char *url, struct bytes body, struct bytes trust, struct buf *out)
{
	static const char *const headers[] = { "Content-Type: application/json; charset=utf-8",
		"Accept: application/json", NULL };
	const struct fetch f = { .url = url, .method = "POST", .headers = headers, .trust_pem = trust, .body = body,
		.unknown_ca_hint = "name its CA by key 'courier.trust' of the server's configuration",
		.connect_ms = COURIER_CALL_MS, .total_ms = COURIER_CALL_MS };
	struct fetch_answer got = { 0 };
	struct courier_answer a = { .tried = true };
	char why[PROTO_TEXT_MAX] = "";
	struct err e = { 0 };

	if (fetch_run(&f, &got, &e) != 0)
		(void)snprintf(why, sizeof(why), "%s", e.msg);
	else if (got.status != 200)
		(void)snprintf(why, sizeof(why), "the webhook answered with HTTP status %u", got.status);
	else if (got.body.n > PROTO_FETCH_MAX)
		(void)snprintf(why, sizeof(why), "the webhook answered with more than %zu octets", PROTO_FETCH_MAX);
	else
		a.body = bytes_of_buf(&got.body);
	a.status = why[0] == 0 || got.status != 200 ? got.status : 0;
	a.why = why;
	courier_put_answer(out, &a);
	fetch_clear(&got);
}

static void
on_call(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct call *c = ctx;
	struct wire w = wire_open(m->body);
	AUTO_BUF out = BUF_MAX(PIPE_MAX);
	char url[1024];
	struct bytes body, trust;
	struct err e = { 0 };

	if (c->had)
		return;
	c->had = true;
	wire_str(&w, url, sizeof(url));
	body = wire_bytes(&w, PROTO_FETCH_MAX);
	trust = wire_bytes(&w, COURIER_TRUST_MAX);
	if (wire_end(&w, "call", &e) != 0)
		courier_put_answer(&out, &(struct courier_answer){ .why = e.msg });
	else
		ask(url, body, trust, &out);
	if (pipe_send(p, COURIER_CALLED, m->id, bytes_of_buf(&out), -1, &e) != 0)
		loop_stop(c->loop, err_row(e.code)->exit_status);
	else
		loop_stop(c->loop, 0); /* it leaves with pipe_free(), if not before */
}

static void
on_closed(void *ctx, struct pipe *p, const char *why)
{
	struct call *c = ctx;

	(void)p;
	(void)why;
	loop_stop(c->loop, EXIT_FAILURE);
}

int
call_main(void)
{
	static const struct pipe_permit permits[] = { { COURIER_CALL, "call", on_call }, { 0, NULL, NULL } };
	struct sandbox_path paths[COURIER_PATHS];
	const struct sandbox box = { .paths = paths, .network = true };
	struct call c = { .loop = loop_new() };
	AUTO_BUF report = { 0 };
	struct pipe *p;
	struct err e;
	bool weak;
	int status;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it blocks in the network: nobody else would end it */
	(void)signal(SIGPIPE, SIG_IGN);
	call_paths(paths, NULL);
	if (sandbox_enter(&box, &report, &weak, &e) != 0) /* how well, the role has said already */
		return err_row(e.code)->exit_status;
	p = pipe_new(c.loop, SPAWN_CONTROL_FD, permits, on_closed, &c);
	status = loop_run(c.loop);
	pipe_free(p);
	loop_free(c.loop);
	return status;
}
