/* SPDX-License-Identifier: Apache-2.0 */
/* front/main.c - the front role: its listeners, its routes, its start and end */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/sys/log.h"
#include "server/front/front.h"
#include "server/proto/role.h"

#define PEM_MAX  ((size_t)256 * 1024)
#define DRAIN_MS 10000
/* How many the public listener may have, beside so many of devices. */
#define PUBLIC_SHARE(connections) ((connections) / 4 + 1)

static void
serve_ready(struct front *f, struct http_request *r)
{
	const char *why;

	if (front_ready(f, &why))
		http_answer(r, &(struct http_answer){ .status = 200, .type = "text/plain; charset=utf-8", .body = bytes_of("ready\n") });
	else
		http_refuse(r, 503, "server.not-ready", why, (const struct http_header_field[]){ { "Retry-After", "2" }, { NULL, NULL } });
}

/* A certificate of ours in a handshake has proved its key: the authority wants to know. */
static void
tell_seen(struct front *f, const struct tls_peer *p)
{
	char serial[2 * CERT_SERIAL_MAX + 1];
	AUTO_BUF b = { 0 };

	if (p->state != TRUST_OK || !p->cert_parsed || f->authority == NULL)
		return;
	wire_put_str(&b, cert_serial_text(p->cert.serial, serial));
	wire_put_bytes(&b, (struct bytes){ p->cert.sha256, SHA256_LEN });
	(void)!pipe_send(f->authority, PROTO_SEEN, 0, bytes_of_buf(&b), -1, NULL); /* told again at its next use */
}

static void
serve_certificate(struct front *f, struct http_request *r)
{
	const struct tls_peer *p = http_tls(r);
	AUTO_BUF pem = { 0 };

	if (p == NULL || !p->has_cert) {
		http_refuse(r, 404, "certificate.none", "no client certificate was presented in the handshake", NULL);
		return;
	}
	tell_seen(f, p);
	pem_encode(&pem, bytes_of_buf(&p->der), "CERTIFICATE");
	http_answer(r, &(struct http_answer){ .status = 200, .type = "application/x-pem-file", .body = bytes_of_buf(&pem) });
}

static void
serve_live(struct front *f, struct http_request *r)
{
	(void)f;
	http_answer(r, &(struct http_answer){ .status = 200, .type = "text/plain; charset=utf-8", .body = bytes_of("live\n") });
}

static const struct {
	const char *path;
	int listener; /* 0: any */
	void (*serve)(struct front *f, struct http_request *r);
} routes[] = {
	{ "/health/live", 0, serve_live },
	{ "/health/ready", 0, serve_ready },
	{ "/health/certificate", LISTENER_DEVICE, serve_certificate },
};

static void
on_request(void *ctx, struct http_request *r)
{
	struct front *f = ctx;
	bool get = strcmp(http_method(r), "GET") == 0 || strcmp(http_method(r), "HEAD") == 0;

	for (size_t i = 0; i < N_OF(routes); i++)
		if (strcmp(routes[i].path, http_path(r)) == 0 && (routes[i].listener == 0 || routes[i].listener == http_tag(r))) {
			if (get)
				routes[i].serve(f, r);
			else
				http_refuse(r, 405, "method", "only GET and HEAD here",
				    (const struct http_header_field[]){ { "Allow", "GET, HEAD" }, { NULL, NULL } });
			return;
		}
	if (http_tag(r) == LISTENER_PUBLIC)
		public_serve(f, r);
	else if (!provision_serve(f, r))
		est_serve(f, r);
}

static void
on_refused(void *ctx, const char *address, const char *event, const char *detail, const char *id)
{
	(void)ctx;
	log_stranger(L_NOTE, event, "address=%s id=%s %s", address, id, detail);
}

/* Whoever connects waits in the sockets' queues until labels and anchors are known, but not for long. */
void
front_listen(struct front *f)
{
	struct err e = { 0 };

	if (f->http == NULL || f->device_fd < 0 || f->n_draining != 0)
		return;
	if (http_server_listen(f->http, TAKE_FD(f->device_fd), f->tls, LISTENER_DEVICE, &e) != 0 ||
	    http_server_listen(f->public_http, TAKE_FD(f->public_fd), NULL, LISTENER_PUBLIC, &e) != 0) {
		log_event(L_ERROR, "front.listen", "why=%s", e.msg);
		role_exit(f->loop, err_row(e.code)->exit_status);
	}
}

static void
on_timer(void *ctx)
{
	struct front *f = ctx;

	waiting_give_up(f, "the authority did not answer in time", true);
	log_held(false);
	if (clock_monotonic_ms() - f->started_ms >= FRONT_PATIENCE_MS)
		front_listen(f);
	loop_timer_in(f->timer, 1000);
}

/* Certificate and key are read before confinement; a reload makes a new front. */
static void
on_settings(void *ctx, const struct settings *s)
{
	struct front *f = ctx;
	AUTO_BUF chain = BUF_MAX(PEM_MAX);
	AUTO_BUF key = BUF_MAX(PEM_MAX);

	f->settings = *s;
	if (f->tls == NULL && (file_read(&chain, s->tls_chain, PEM_MAX, &f->tls_error) != 0 ||
	    file_read(&key, s->tls_key, PEM_MAX, &f->tls_error) != 0 ||
	    tls_server_new(&f->tls, bytes_of_buf(&chain), bytes_of_buf(&key), true, &f->tls_error) != 0))
		f->tls = NULL;
}

static void
on_listener(void *ctx, enum listener which, int fd)
{
	struct front *f = ctx;
	int *place = which == LISTENER_DEVICE ? &f->device_fd : which == LISTENER_PUBLIC ? &f->public_fd : NULL;

	if (place == NULL) {
		fd_autoclose(&fd);
		return;
	}
	fd_autoclose(place);
	*place = fd;
}

static void
on_lost(void *ctx, struct pipe *p, const char *why)
{
	struct front *f = ctx;

	log_event(L_WARN, "authority.lost", "why=%s", why);
	pipe_free(p);
	f->authority = NULL;
	waiting_give_up(f, "the authority went away", false);
	role_unlinked();
}

static void
on_peer(void *ctx, enum role r, uint32_t instance, int fd)
{
	struct front *f = ctx;

	(void)instance;
	if (r != ROLE_AUTHORITY) {
		fd_autoclose(&fd);
		return;
	}
	if (f->authority != NULL) {
		pipe_free(TAKE(f->authority));
		waiting_give_up(f, "the authority was replaced", false);
	}
	f->authority = pipe_new(f->loop, fd, front_permits, on_lost, f);
}

/* As the settings say; fewer connections when there are not descriptors for so many, a quarter of which have other uses. */
static struct http_limits
limits_of(const struct front *f)
{
	struct http_limits limits = http_limits_default;
	size_t room = peer_raise_nofile() / 5 * 3;

	if (f->settings.idle_s != 0)
		limits.idle_ms = f->settings.idle_s * 1000;
	if (f->settings.connections != 0)
		limits.connections = f->settings.connections;
	if (f->settings.connections_per_address != 0)
		limits.connections_per_address = f->settings.connections_per_address;
	if (room != 0 && limits.connections > room) {
		log_event(L_WARN, "front.descriptors", "connections=%zu of %zu, for want of descriptors", room, limits.connections);
		limits.connections = room;
	}
	return limits;
}

static int
on_start(void *ctx, struct err *e)
{
	struct front *f = ctx;
	struct http_limits limits;

	if (f->tls == NULL) {
		*e = f->tls_error;
		return f->tls_error.code;
	}
	limits = limits_of(f);
	f->http = http_server_new(f->loop, &limits, on_request, on_refused, f);
	limits.connections = PUBLIC_SHARE(limits.connections);
	f->public_http = http_server_new(f->loop, &limits, on_request, on_refused, f);
	f->started_ms = clock_monotonic_ms();
	if (f->now != NULL)
		front_listen(f);
	f->timer = loop_timer_new(f->loop, on_timer, f);
	loop_timer_in(f->timer, 1000);
	return 0;
}

static void
on_drained(void *ctx)
{
	struct front *f = ctx;

	if (--f->n_draining == 0)
		role_exit(f->loop, 0);
}

static void
on_drain(void *ctx)
{
	struct front *f = ctx;

	if (f->http == NULL) {
		role_exit(f->loop, 0);
		return;
	}
	f->n_draining = 2;
	http_server_drain(f->http, DRAIN_MS, on_drained, f);
	http_server_drain(f->public_http, DRAIN_MS, on_drained, f);
}

static const struct sandbox *
on_sandbox(void *ctx)
{
	static const struct sandbox_path nothing[] = { { NULL, false } };
	static const struct sandbox box = { .paths = nothing };

	(void)ctx;
	return &box;
}

static void
free_all(struct front *f)
{
	struct published *x;

	http_server_free(f->http);
	http_server_free(f->public_http);
	tls_server_free(f->tls);
	pipe_free(f->authority);
	snapshot_free(f->now);
	snapshot_free(f->next);
	while ((x = SLIST_FIRST(&f->published)) != NULL) {
		SLIST_REMOVE_HEAD(&f->published, link);
		fd_autoclose(&x->fd);
		mem_free(x);
	}
	loop_timer_free(f->timer);
	loop_free(f->loop);
	mem_free(f);
}

int
main(void)
{
	static const struct role_hooks hooks = { .settings = on_settings, .peer = on_peer, .listener = on_listener,
		.start = on_start, .drain = on_drain, .sandbox = on_sandbox };
	struct front *f = mem_zalloc(sizeof(*f));
	int status;

	f->device_fd = f->public_fd = -1;
	TAILQ_INIT(&f->waiting);
	SLIST_INIT(&f->published);
	f->loop = loop_new();
	status = role_main(ROLE_FRONT, &hooks, f, f->loop);
	waiting_give_up(f, "the server ends", false);
	log_held(true);
	free_all(f);
	return status;
}
