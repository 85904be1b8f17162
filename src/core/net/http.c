/* SPDX-License-Identifier: Apache-2.0 */
/* net/http.c - the HTTP server: from connections to handlers; libmicrohttpd decodes bodies in chunks, and sees no network */
#include "core/net/http.h"

#include <assert.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/net/http_inside.h"
#include "core/net/path.h"

#define POOL_OCTETS(head) (2 * (head) + 8192) /* of libmicrohttpd, for one request */
#define POOL_STEP         ((size_t)4096)

const struct http_limits http_limits_default = {
	.handshake_ms = 5000, .head_ms = 10000, .body_ms = 10000, .answer_ms = 30000, .idle_ms = 60000,
	.head_octets = 8192, .body_octets = 65536, .connections = 4096, .connections_per_address = 256,
};

struct listening {
	struct listening *next;
	struct listener *listener;
	struct tls_server *tls;
	struct http_local local; /* all 0 but for http_server_listen_unix() */
	int tag;
};

struct http_server {
	struct loop *loop;
	struct http_limits lim;
	http_handler fn;
	http_refused refused;
	void *ctx;
	struct conn_pool *pool;
	struct MHD_Daemon *mhd;
	struct loop_io *mhd_io;
	struct loop_late *later;
	struct loop_timer *drain_end;
	bool due;                         /* libmicrohttpd has work */
	struct listening *listening;
	struct request_queue decoding, asked;
	bool draining;
	loop_fn drained;
	void *drained_ctx;
};

/* Where the other end of a socketpair "comes from": how libmicrohttpd's connection finds its request. */
union origin {
	struct sockaddr sa;
	struct sockaddr_un un;
	struct {
		sa_family_t family;
		struct http_request *request;
	} is;
};

static void
request_move(struct http_request *r, struct request_queue *to)
{
	if (r->queue != NULL)
		TAILQ_REMOVE(r->queue, r, link);
	r->queue = to;
	if (to != NULL)
		TAILQ_INSERT_TAIL(to, r, link);
}

static void
request_free(struct http_request *r)
{
	request_move(r, NULL);
	mem_free(r->head);
	mem_free(r->target);
	buf_free(&r->path);
	buf_free(&r->body);
	mem_free(r);
}

void
request_release(struct http_request *r)
{
	if (r->conn == NULL && !r->in_mhd && r->state != REQUEST_ASKED)
		request_free(r);
}

void
request_answered(struct http_request *r)
{
	assert(r->state == REQUEST_ASKED);
	r->state = REQUEST_ANSWERED;
	request_move(r, NULL);
	loop_late_ask(r->server->later);
}

/* The names and values become C strings in the request's own copy of the head. */
static void
terminate(struct http_request *r)
{
	struct guard *g = &r->guard;
	const char *q;

	r->head[g->method_text.p + g->method_text.n - (const uint8_t *)r->head] = 0;
	for (size_t i = 0; i < g->n; i++) {
		const struct guard_field *f = &g->field[i];

		r->head[f->name.p + f->name.n - (const uint8_t *)r->head] = 0;
		r->head[f->value.p + f->value.n - (const uint8_t *)r->head] = 0;
	}
	r->target = mem_dup(g->target.p, g->target.n);
	q = strchr(r->target, '?');
	r->query = q != NULL ? r->target + (q - r->target) + 1 : r->target + g->target.n;
	r->target[path_length(g->target)] = 0;
}

/* The head in r->head, judged; false and *no filled when it is not taken. */
static bool
judge_head(struct http_request *r, struct bytes head, const struct http_local *local, struct guard_no *no)
{
	unsigned lax = (local->no_host_ok ? GUARD_NO_HOST : 0) | (local->raw_paths ? GUARD_RAW_NUL : 0);

	if (!guard_check(&r->guard, head, lax, no))
		return false;
	if (path_decode(&r->path, r->guard.target, NULL) == 0)
		return true;
	buf_reset(&r->path);
	if (!local->raw_paths)
		*no = (struct guard_no){ 400, "head.path", "the path is written in a way that is not taken here" };
	return local->raw_paths;
}

static struct http_request *
on_open(void *ctx, struct conn *c, struct bytes head, const struct guard **g, struct guard_no *no)
{
	struct http_server *s = ctx;
	struct http_request *r = mem_zalloc(sizeof(*r));
	bool taken;

	r->server = s;
	r->head = mem_dup(head.p, head.n);
	r->body = BUF_MAX(s->lim.body_octets);
	text_copy(r->id, sizeof(r->id), conn_id(c));
	taken = judge_head(r, (struct bytes){ (uint8_t *)r->head, head.n }, conn_local(c), no);
	no->v10 = r->guard.v10;
	no->bodiless = r->guard.method == GUARD_HEAD;
	if (!taken) {
		request_free(r);
		return NULL;
	}
	terminate(r);
	r->conn = c;
	*g = &r->guard;
	return r;
}

static void
hand_over(struct http_request *r)
{
	r->state = REQUEST_ASKED;
	request_move(r, &r->server->asked);
	r->server->fn(r->server->ctx, r); /* r may be gone from here on */
}

static void
on_whole(void *ctx, struct http_request *r, struct bytes body)
{
	(void)ctx;
	buf_put_bytes(&r->body, body);
	hand_over(r);
}

static int
on_decoder(void *ctx, struct http_request *r)
{
	struct http_server *s = ctx;
	union origin o = { 0 };
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
		return -1;
	o.is.family = AF_UNIX;
	o.is.request = r;
	r->in_mhd = true;
	request_move(r, &s->decoding);
	if (MHD_add_connection(s->mhd, ends[1], &o.sa, sizeof(o)) == MHD_YES)
		return ends[0];
	r->in_mhd = false; /* libmicrohttpd has closed its end */
	request_move(r, NULL);
	(void)close(ends[0]);
	return -1;
}

static bool
on_finished(void *ctx, struct http_request *r)
{
	(void)ctx;
	if (r->state == REQUEST_ASKED)
		return true;
	r->conn = NULL;
	request_release(r);
	return false;
}

static struct http_request *
request_of(struct MHD_Connection *m)
{
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(m, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return i != NULL ? i->socket_context : NULL;
}

/* libmicrohttpd has begun, or is done, with a descriptor. */
static void
on_mhd_connection(void *ctx, struct MHD_Connection *m, void **slot, enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *i;
	struct http_request *r = *slot;
	union origin o;

	(void)ctx;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		i = MHD_get_connection_info(m, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
		if (i == NULL || i->client_addr == NULL)
			abort();
		memcpy(&o, i->client_addr, sizeof(o));
		*slot = o.is.request;
	} else if (r != NULL) {
		*slot = NULL;
		r->in_mhd = false;
		request_release(r);
	}
}

static enum MHD_Result
collect(struct http_request *r, const char *data, size_t *n)
{
	buf_put(&r->body, data, *n);
	*n = 0;
	if (!r->body.over)
		return MHD_YES;
	conn_body_over(r->conn); /* r->conn is NULL after */
	return MHD_NO;
}

/*
 * libmicrohttpd's access handler: called at the head, for each piece of body, at the end.
 * It is never told an answer: at the end of the body its work is done.
 */
static enum MHD_Result
on_mhd_request(void *ctx, struct MHD_Connection *m, const char *url, const char *method, const char *version,
    const char *data, size_t *n, void **slot)
{
	struct http_request *r = request_of(m);

	(void)ctx, (void)url, (void)method, (void)version;
	if (r == NULL || r->conn == NULL || r->state != REQUEST_COMING)
		return MHD_NO;
	if (*slot == NULL) {
		*slot = r;
		return MHD_YES;
	}
	if (*n != 0)
		return collect(r, data, n);
	conn_body_end(r->conn);
	hand_over(r);
	return MHD_NO;
}

static void
decode_all(struct http_server *s)
{
	struct http_request *next;

	for (struct http_request *r = TAILQ_FIRST(&s->decoding); r != NULL; r = next) {
		next = TAILQ_NEXT(r, link);
		if (r->conn != NULL)
			conn_decode(r->conn);
	}
}

/* Let libmicrohttpd and the connections that it decodes for work; false when they had nothing to do. */
static bool
decode(struct http_server *s)
{
	MHD_UNSIGNED_LONG_LONG ms;
	bool kicked = conn_pool_kicked(s->pool);

	if (!kicked && !s->due)
		return false;
	(void)MHD_run(s->mhd);
	decode_all(s);
	s->due = MHD_get_timeout(s->mhd, &ms) == MHD_YES && ms == 0;
	return true;
}

/* The last thing in every event: send and decode until there is nothing to do. */
static void
settle(void *ctx)
{
	struct http_server *s = ctx;
	bool more = true;

	for (int i = 0; i < NET_TURNS_MAX && more; i++) {
		more = conn_pool_send(s->pool);
		more = decode(s) || more;
	}
	if (more)
		loop_late_ask(s->later);
	conn_pool_reap(s->pool);
	if (s->draining && conn_pool_count(s->pool) == 0)
		loop_timer_in(s->drain_end, 0);
}

static void
on_mhd_ready(void *ctx, int fd, unsigned events)
{
	struct http_server *s = ctx;

	(void)fd, (void)events;
	s->due = true;
	settle(s);
}

static void
on_refused(void *ctx, const char *address, const char *event, const char *detail, const char *id)
{
	struct http_server *s = ctx;

	if (s->refused != NULL)
		s->refused(s->ctx, address, event, detail, id);
}

static const struct conn_hooks hooks = {
	.open = on_open, .whole = on_whole, .decoder = on_decoder, .finished = on_finished, .refused = on_refused,
	.settle = settle,
};

static struct MHD_Daemon *
start_mhd(struct http_server *s)
{
#if MHD_VERSION >= 0x00097701
	const enum MHD_OPTION strict = MHD_OPTION_CLIENT_DISCIPLINE_LVL;
	const int level = 2; /* its 3 is for testing clients */
#else
	const enum MHD_OPTION strict = MHD_OPTION_STRICT_FOR_CLIENT;
	const int level = 1;
#endif

	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
	    on_mhd_request, s, MHD_OPTION_NOTIFY_CONNECTION, on_mhd_connection, s,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)(2 * s->lim.connections + 16),
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, POOL_OCTETS(s->lim.head_octets),
	    MHD_OPTION_CONNECTION_MEMORY_INCREMENT, POOL_STEP,
	    MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, strict, level, MHD_OPTION_END);
}

static void
on_drain_end(void *ctx)
{
	struct http_server *s = ctx;
	loop_fn done = s->drained;

	conn_pool_drain(s->pool, true);
	s->draining = false;
	s->due = true;
	settle(s);
	s->drained = NULL;
	if (done != NULL)
		done(s->drained_ctx); /* may free s */
}

struct http_server *
http_server_new(struct loop *l, const struct http_limits *lim, http_handler fn, http_refused refused, void *ctx)
{
	struct http_server *s = mem_zalloc(sizeof(*s));
	const union MHD_DaemonInfo *i;

	(void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
	*s = (struct http_server){ .loop = l, .lim = *lim, .fn = fn, .refused = refused, .ctx = ctx };
	TAILQ_INIT(&s->decoding);
	TAILQ_INIT(&s->asked);
	s->pool = conn_pool_new(l, lim, &hooks, s);
	s->later = loop_late_new(l, settle, s);
	s->drain_end = loop_timer_new(l, on_drain_end, s);
	s->mhd = start_mhd(s);
	i = s->mhd != NULL ? MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (i == NULL)
		abort(); /* memory or descriptors, at the start of a role */
	s->mhd_io = loop_io_new(l, i->epoll_fd, LOOP_READ, on_mhd_ready, s);
	return s;
}

static void
on_connection(void *ctx, struct listener *l, int fd, const struct sockaddr_storage *from)
{
	struct http_server *s = ctx;

	for (const struct listening *i = s->listening; i != NULL; i = i->next) {
		if (i->listener == l) {
			conn_pool_take(s->pool, fd, from, &(struct conn_source){ i->tls, &i->local, i->tag });
			return;
		}
	}
	(void)close(fd);
}

static int
listen_on(struct http_server *s, int fd, const struct listening *how, struct err *e)
{
	struct listening *i;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
		fd_autoclose(&fd);
		return err_errno(e, E_IO, "listening socket");
	}
	i = mem_dup(how, sizeof(*how));
	i->next = s->listening;
	i->listener = listener_new(s->loop, fd, on_connection, settle, s);
	s->listening = i;
	return 0;
}

int
http_server_listen(struct http_server *s, int fd, struct tls_server *tls, int tag, struct err *e)
{
	return listen_on(s, fd, &(struct listening){ .tls = tls, .tag = tag }, e);
}

int
http_server_listen_unix(struct http_server *s, int fd, const struct http_local *opt, int tag, struct err *e)
{
	if (!peer_is_unix_listener(fd)) { /* a service manager may hand over anything */
		fd_autoclose(&fd);
		return err_set(e, E_USAGE, "listening socket: not a Unix stream socket that listens");
	}
	return listen_on(s, fd, &(struct listening){ .local = *opt, .tag = tag }, e);
}

void
http_server_limit_uids(struct http_server *s, size_t per_uid, size_t per_root)
{
	for (struct listening *i = s->listening; i != NULL; i = i->next) {
		i->local.per_uid = per_uid;
		i->local.per_root = per_root;
	}
}

static void
stop_listening(struct http_server *s)
{
	struct listening *next;

	for (struct listening *i = s->listening; i != NULL; i = next) {
		next = i->next;
		listener_free(i->listener);
		mem_free(i);
	}
	s->listening = NULL;
}

void
http_server_drain(struct http_server *s, unsigned ms, loop_fn done, void *ctx)
{
	stop_listening(s);
	s->draining = true;
	s->drained = done;
	s->drained_ctx = ctx;
	loop_timer_in(s->drain_end, ms);
	conn_pool_drain(s->pool, false);
	loop_late_ask(s->later);
}

void
http_server_free(struct http_server *s)
{
	struct http_request *r;

	if (s == NULL)
		return;
	stop_listening(s);
	s->draining = false;
	conn_pool_drain(s->pool, true);
	while ((r = TAILQ_FIRST(&s->asked)) != NULL)
		http_refuse(r, 503, "busy", "the server ends", NULL);
	loop_io_free(s->mhd_io);
	MHD_stop_daemon(s->mhd);
	while ((r = TAILQ_FIRST(&s->decoding)) != NULL)
		request_free(r);
	conn_pool_free(s->pool);
	loop_late_free(s->later);
	loop_timer_free(s->drain_end);
	mem_free(s);
}
