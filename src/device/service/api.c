/* SPDX-License-Identifier: Apache-2.0 */
/* service/api.c - a device service's socket: who asks, and answers in the form that existing clients read */
#include "device/service/api.h"

#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/net/http.h"
#include "core/sys/peer.h"
#include "device/service/api_request.h"
#include "device/service/slog.h"

#define JSON_TYPE       "application/json"
#define SOCKET_MODE     0660
#define DIRECTORY_MODE  0755

/* Who can reach these is whoever may open the socket; an answer may wait for an EST server. */
static const struct http_limits limits = {
	.handshake_ms = 5000, .head_ms = 5000, .body_ms = 5000, .answer_ms = 600000, .idle_ms = 60000,
	.head_octets = 8192, .body_octets = API_BODY_MAX, .connections = 256, .connections_per_address = 256,
};

/* An api_call as it is here. */
struct call {
	struct api_call open; /* first: handlers see no more of it */
	LIST_ENTRY(call) link;
};

struct api {
	const struct api_service *service;
	struct http_server *server;
	LIST_HEAD(, call) calls;
	void *ctx;
};

/* --- the log --- */

/* The headers that say how a request is to be read; others may hold secrets. */
static void
log_request(const struct api_call *c)
{
	static const char *const names[] = { "host", "user-agent", "accept", "content-type", "content-length",
		"transfer-encoding", "expect", "connection" };
	AUTO_BUF fields = { 0 };
	const char *query = http_query(c->http);

	for (size_t i = 0; i < N_OF(names); i++) {
		const char *value = http_header(c->http, names[i]);

		if (value != NULL)
			buf_printf(&fields, "%s\"%s\": \"%s\"", fields.n != 0 ? ", " : "", names[i], value);
	}
	slog(SLOG_INFO, "<-- %s %s%s%s {%s}", c->method, http_raw_path(c->http), *query != 0 ? "?" : "", query,
	    buf_str(&fields));
	slog(SLOG_DEBUG, "asked by user %u, process %d", c->uid, c->pid);
}

static void
log_failure(unsigned status, const char *text)
{
	AUTO_BUF lines = { 0 };

	buf_put_str(&lines, "!!! ");
	for (; *text != 0; text++) {
		buf_put_u8(&lines, (uint8_t)*text);
		if (*text == '\n')
			buf_put_str(&lines, "!!! ");
	}
	slog(status == 500 ? SLOG_ERROR : SLOG_INFO, "%s", buf_str(&lines));
}

/* --- answers --- */

static void
call_free(struct call *k)
{
	LIST_REMOVE(k, link);
	json_decref(k->open.body);
	mem_free(k);
}

static void
answer(struct api_call *c, unsigned status, const char *type, struct bytes body)
{
	static const struct http_header_field later[] = { { "Retry-After", API_RETRY_S }, { 0 } };
	bool busy = status == 429 || status == 503;

	if (type != NULL)
		slog(SLOG_INFO, "--> %u {\"content-type\": \"%s\"}", status, type);
	else
		slog(SLOG_INFO, "--> %u {}", status);
	http_answer(c->http, &(struct http_answer){ .status = status, .type = type, .body = body,
		.fields = busy ? later : NULL });
	call_free((struct call *)c);
}

void
api_reply(struct api_call *c, unsigned status, const json_t *v)
{
	AUTO_BUF body = { 0 };

	if (v == NULL) {
		answer(c, status == 200 ? 204 : status, NULL, (struct bytes){ NULL, 0 });
		return;
	}
	json_print(&body, v, false);
	answer(c, status, JSON_TYPE, bytes_of_buf(&body));
}

void
api_reply_text(struct api_call *c, const char *type, struct bytes text)
{
	answer(c, 200, type, text);
}

static void
fail(struct api_call *c, unsigned status, const char *text)
{
	AUTO_JSON body = json_object();

	log_failure(status, text);
	json_setf(body, "message", "%s", status == 500 ? "internal error" : text);
	api_reply(c, status, body);
}

void
api_fail(struct api_call *c, unsigned status, const char *fmt, ...)
{
	AUTO_BUF text = { 0 };
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	fail(c, status, buf_str(&text));
}

void
api_fail_parameter(struct api_call *c, const char *name, const char *fmt, ...)
{
	AUTO_BUF text = { 0 };
	AUTO_BUF cause = { 0 };
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&cause, fmt, ap);
	va_end(ap);
	buf_printf(&text, "parameter \"%s\" has an invalid value", name);
	if (cause.n != 0)
		buf_printf(&text, "\ncaused by: %s", buf_str(&cause));
	fail(c, 400, buf_str(&text));
}

void
api_fail_err(struct api_call *c, const struct err *e)
{
	static const struct {
		enum err_code code;
		unsigned status;
	} rows[] = {
		{ E_USAGE, 400 }, { E_FORMAT, 400 }, { E_AUTH, 401 }, { E_POLICY, 403 }, { E_NOTFOUND, 400 },
		{ E_TOOBIG, 413 }, { E_PENDING, 503 }, { E_UNAVAIL, 503 },
	};
	unsigned status = 500;

	for (size_t i = 0; i < N_OF(rows); i++) {
		if (rows[i].code == e->code)
			status = rows[i].status;
	}
	fail(c, status, e->msg);
}

/* --- requests --- */

static void
on_request(void *ctx, struct http_request *r)
{
	struct api *a = ctx;
	struct call *k = mem_zalloc(sizeof(*k));
	struct api_call *c = &k->open;
	const struct api_route *row;

	*c = (struct api_call){ .http = r, .uid = http_peer_uid(r), .pid = http_peer_pid(r), .method = http_method(r),
		.ctx = a->ctx };
	LIST_INSERT_HEAD(&a->calls, k, link);
	log_request(c);
	if (api_request_version(c, a->service->versions) &&
	    (row = api_request_route(c, a->service->routes)) != NULL && api_request_body(c, row))
		row->fn(c);
}

static void
on_refused(void *ctx, const char *address, const char *event, const char *detail, const char *id)
{
	const char *uid = strrchr(detail, ' '); /* its last word, of this event */

	(void)ctx, (void)address, (void)id;
	if (strcmp(event, "cap.uid") == 0 && uid != NULL)
		slog(SLOG_INFO, "Max simultaneous connections reached for user%s", uid);
	else
		slog(SLOG_INFO, "!!! %s: %s", event, detail);
}

/* --- the socket --- */

/* Make the directories above the socket.  H7: in one that everybody writes, anybody could take the socket's place. */
static int
make_directory(const char *socket, struct err *e)
{
	char dir[PLACE_MAX];
	struct stat st = { 0 };
	int r = file_mkdir_above(socket, DIRECTORY_MODE, e);

	if (r != 0)
		return r;
	(void)snprintf(dir, sizeof(dir), "%s", socket);
	*(strrchr(dir, '/') != NULL ? strrchr(dir, '/') : dir) = 0;
	if (dir[0] == 0)
		return 0;
	if (stat(dir, &st) != 0)
		return err_errno(e, E_IO, "%s", dir);
	if ((st.st_mode & S_IWOTH) != 0)
		return err_set(e, E_POLICY, "%s: everybody may write it (chmod o-w)", dir);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(e, E_POLICY, "%s: belongs to user %u (chown it)", dir, st.st_uid);
	return 0;
}

/* Of several descriptors none is ours by name: they are left alone. */
static int
open_socket(int *fd, const struct place *p, struct err *e)
{
	int n = place_take_passed(), r;

	if (n == 1) {
		*fd = PLACE_FIRST_FD;
		return 0;
	}
	if (n > 1)
		slog(SLOG_WARN, "%d sockets passed where one is wanted: listening on %s", n, p->socket);
	r = make_directory(p->socket, e);
	return r == 0 ? peer_listen_unix(fd, p->socket, SOCKET_MODE, e) : r;
}

int
api_new(struct api **out, struct loop *l, const struct api_service *s, const struct place *p, void *ctx,
    struct err *e)
{
	const struct http_local local = {
		.no_host_ok = true, .raw_paths = true, .json_refusals = true, .plain_head = true,
		.per_uid = s->per_uid, .per_root = (size_t)s->per_uid * API_ROOT_FACTOR,
		.say_busy = !s->close_when_full,
	};
	struct api *a;
	int fd, r = open_socket(&fd, p, e);

	if (r != 0)
		return r;
	a = mem_zalloc(sizeof(*a));
	a->service = s;
	a->ctx = ctx;
	LIST_INIT(&a->calls);
	a->server = http_server_new(l, &limits, on_request, on_refused, a);
	r = http_server_listen_unix(a->server, fd, &local, 0, e);
	if (r != 0) {
		api_free(a);
		return r;
	}
	slog(SLOG_INFO, "Starting server...");
	peer_notify("READY=1");
	*out = a;
	return 0;
}

void
api_limit(struct api *a)
{
	http_server_limit_uids(a->server, a->service->per_uid, (size_t)a->service->per_uid * API_ROOT_FACTOR);
}

void
api_drain(struct api *a, loop_fn done, void *ctx)
{
	peer_notify("STOPPING=1");
	http_server_drain(a->server, API_DRAIN_MS, done, ctx);
}

void
api_free(struct api *a)
{
	struct call *k;

	if (a == NULL)
		return;
	http_server_free(a->server);
	while ((k = LIST_FIRST(&a->calls)) != NULL)
		call_free(k);
	mem_free(a);
}
