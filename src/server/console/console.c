/* SPDX-License-Identifier: Apache-2.0 */
/* console/console.c - the console role: two listeners, one pipe to the authority, a list of who waits */
#include "server/console/console.h"

#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/codec/media.h"
#include "core/net/http.h"
#include "core/sys/log.h"
#include "core/sys/pipe.h"
#include "server/console/op.h"

#define ANSWER_MS    30000 /* for the authority; then the operator is told to try again */
#define WAITING_MAX  256   /* requests under way; operators are few */
#define PEM_MAX      ((size_t)256 * 1024)
#define DRAIN_MS     (ANSWER_MS + 5000)

/* A request that the authority is working on. */
struct waiting {
	TAILQ_ENTRY(waiting) link;
	uint64_t id;
	uint64_t deadline_ms;
	struct http_request *request;
	char verb[OP_VERB_MAX];
	char actor[32];
};

struct console {
	struct loop *loop;
	struct http_server *http;
	struct tls_server *tls;
	struct err tls_error;          /* why tls is NULL */
	int local, operator;           /* listening sockets until start() */
	struct pipe *authority;
	bool health_known, store_ok, signer_ok;
	uid_t owner;                   /* of the state directory */
	struct http_limits limits;
	char name[SETTINGS_HOST_MAX];
	unsigned port;
	struct loop_timer *timer;      /* the first deadline of `waiting` */
	TAILQ_HEAD(, waiting) waiting; /* in the order of their deadlines */
	size_t n_waiting;
	uint64_t last_id;
};

/* --- answers --- */

static const struct http_header_field retry_soon[] = {
	{ "Retry-After", "1" }, { NULL, NULL },
};
static const struct http_header_field want_token[] = {
	{ "WWW-Authenticate", "Bearer realm=\"estuary\"" }, { NULL, NULL },
};

static void
answer_json(struct http_request *r, unsigned status, struct bytes json)
{
	const struct http_header_field *fields = NULL;

	if (status == 401)
		fields = want_token;
	else if (status == 503)
		fields = retry_soon;
	http_answer(r, &(struct http_answer){ .status = status, .type = "application/json", .body = json,
	    .fields = fields });
}

static void
refuse_with(struct http_request *r, unsigned status, enum err_code code, const char *message,
    const char *hint)
{
	AUTO_BUF json = BUF_MAX(4096);

	op_refusal(&json, code, message, hint);
	log_event(L_NOTE, "operator.refused", "id=%s address=%s status=%u why=\"%s\"", http_id(r),
	    http_address(r), status, message);
	answer_json(r, status, bytes_of_buf(&json));
}

static void
refuse(struct http_request *r, enum err_code code, const char *message, const char *hint)
{
	refuse_with(r, (unsigned)err_row(code)->http_status, code, message, hint);
}

/* --- who waits for the authority --- */

static void
forget(struct console *c, struct waiting *w)
{
	TAILQ_REMOVE(&c->waiting, w, link);
	c->n_waiting--;
	mem_free(w);
}

static void
set_timer(struct console *c)
{
	const struct waiting *first = TAILQ_FIRST(&c->waiting);

	if (first != NULL)
		loop_timer_at(c->timer, first->deadline_ms);
	else
		loop_timer_stop(c->timer);
}

static struct waiting *
find(struct console *c, uint64_t id)
{
	struct waiting *w;

	TAILQ_FOREACH(w, &c->waiting, link)
		if (w->id == id)
			return w;
	return NULL;
}

static void
give_up(struct console *c, struct waiting *w, const char *why)
{
	refuse(w->request, E_UNAVAIL, why, "whether it was done is not known: look before you repeat it");
	forget(c, w);
}

static void
on_timer(void *ctx)
{
	struct console *c = ctx;
	uint64_t now = clock_monotonic_ms();
	struct waiting *w;

	while ((w = TAILQ_FIRST(&c->waiting)) != NULL && w->deadline_ms <= now)
		give_up(c, w, "the authority did not answer in time");
	set_timer(c);
}

static void
lose_authority(struct console *c, const char *why)
{
	struct waiting *w;

	if (c->authority == NULL)
		return;
	log_event(L_WARN, "authority.lost", "why=\"%s\" waiting=%zu", why, c->n_waiting);
	pipe_free(c->authority);
	c->authority = NULL;
	c->health_known = false;
	while ((w = TAILQ_FIRST(&c->waiting)) != NULL)
		give_up(c, w, "the authority went away");
	set_timer(c);
	role_unlinked();
}

static void
on_closed(void *ctx, struct pipe *p, const char *why)
{
	(void)p;
	lose_authority(ctx, why);
}

static void
on_answer(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct console *c = ctx;
	struct waiting *w = find(c, m->id);
	unsigned status;
	struct bytes json;
	struct err e;

	(void)p;
	if (w == NULL)
		return; /* too late: it has been told so */
	if (op_answer(&status, &json, m->body, &e) != 0) {
		lose_authority(c, e.msg);
		return;
	}
	log_event(L_NOTE, "operator.request", "id=%s address=%s actor=%s verb=%s status=%u",
	    http_id(w->request), http_address(w->request), w->actor, w->verb, status);
	answer_json(w->request, status, json);
	forget(c, w);
	set_timer(c);
}

static void
on_health(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct console *c = ctx;
	struct wire w = wire_open(m->body);

	(void)p;
	c->store_ok = wire_u8(&w) != 0;
	c->signer_ok = wire_u8(&w) != 0;
	c->health_known = true;
}

static const struct pipe_permit permits[] = {
	{ PROTO_OP_ANSWER, "op-answer", on_answer },
	{ PROTO_HEALTH, "health", on_health },
	{ 0, NULL, NULL },
};

/* --- requests --- */

static void
ask(struct console *c, struct http_request *r, const char *verb, const char *actor, struct bytes op)
{
	struct waiting *w;
	struct err e;

	if (c->authority == NULL || !pipe_alive(c->authority)) {
		refuse(r, E_UNAVAIL, "the authority is not there", "it is being started again: retry in a second");
		return;
	}
	if (c->n_waiting >= WAITING_MAX) {
		refuse(r, E_UNAVAIL, "too many requests under way", NULL);
		return;
	}
	w = mem_zalloc(sizeof(*w));
	w->id = ++c->last_id;
	w->deadline_ms = clock_monotonic_ms() + ANSWER_MS;
	w->request = r;
	(void)snprintf(w->verb, sizeof(w->verb), "%s", verb);
	(void)snprintf(w->actor, sizeof(w->actor), "%s", actor[0] != 0 ? actor : "token");
	TAILQ_INSERT_TAIL(&c->waiting, w, link);
	c->n_waiting++;
	set_timer(c);
	if (pipe_send(c->authority, PROTO_OP, w->id, op, -1, &e) != 0)
		lose_authority(c, e.msg);
}

/* The socket says who a local caller is, the token who a remote one is; never both. */
static bool
identify(struct http_request *r, char actor[32], char token[OP_TOKEN_MAX])
{
	actor[0] = token[0] = 0;
	if (http_tag(r) == LISTENER_LOCAL) {
		(void)snprintf(actor, 32, "local:uid=%u", (unsigned)http_peer_uid(r));
		return true;
	}
	return http_header_count(r, "Authorization") == 1 &&
	    op_bearer(token, http_header(r, "Authorization"));
}

static void
serve_operator(struct console *c, struct http_request *r)
{
	const char *type = http_header(r, "Content-Type");
	const struct tls_peer *peer = http_tls(r);
	char actor[32], token[OP_TOKEN_MAX], verb[OP_VERB_MAX], tls[80] = "";
	AUTO_BUF op = BUF_MAX(PIPE_MAX);
	struct err e;

	if (!identify(r, actor, token)) {
		refuse(r, E_AUTH, "a token is needed", "send Authorization: Bearer TOKEN, one that 'operator.add' made");
		return;
	}
	if (type != NULL && !media_is(type, "application/json")) {
		refuse_with(r, 415, E_FORMAT, "the request is not application/json", NULL);
		return;
	}
	if (peer != NULL)
		(void)snprintf(tls, sizeof(tls), "%s %s", peer->version, peer->cipher);
	if (op_build(&op, verb, http_body(r), &(struct op_caller){ .id = http_id(r), .actor = actor,
	    .token = token, .address = http_address(r), .tls = tls }, &e) == 0)
		ask(c, r, verb, actor, bytes_of_buf(&op));
	else
		refuse(r, e.code, e.msg, NULL);
	mem_wipe(token, sizeof(token));
}

static void
answer_text(struct http_request *r, unsigned status, const char *text)
{
	static const struct http_header_field nosniff[] = {
		{ "X-Content-Type-Options", "nosniff" }, { NULL, NULL },
	};

	http_answer(r, &(struct http_answer){ .status = status, .type = "text/plain; charset=utf-8",
	    .body = bytes_of(text), .fields = status == 503 ? retry_soon : nosniff });
}

static void
serve_live(struct console *c, struct http_request *r)
{
	(void)c;
	answer_text(r, 200, "live\n");
}

static void
serve_ready(struct console *c, struct http_request *r)
{
	if (c->authority == NULL || !pipe_alive(c->authority))
		answer_text(r, 503, "not ready: the authority is not there\n");
	else if (c->health_known && !c->store_ok)
		answer_text(r, 503, "not ready: the store does not work\n");
	else if (c->health_known && !c->signer_ok)
		answer_text(r, 503, "not ready: the signer does not work\n");
	else
		answer_text(r, 200, "ready\n");
}

static void
serve_page(struct console *c, struct http_request *r)
{
	AUTO_BUF text = BUF_MAX(4096);

	buf_printf(&text, "Estuary %s: the operators' listener\n\n"
	    "This server is operated with the command 'estuary', from anywhere with a token:\n\n"
	    "    estuary --url https://%s:%u --token-file FILE server status\n\n"
	    "or on the server's own machine, as its user or root, without one.\n"
	    "'estuary operator add NAME' makes a token; 'estuary --help' lists the commands.\n\n"
	    "What the command sends, any program may send: POST /operator, JSON, Authorization: Bearer.\n"
	    "A REST API and a portal are not part of this version.\n",
	    ESTUARY_VERSION, c->name, c->port);
	answer_text(r, 200, buf_str(&text));
}

static const struct route {
	const char *path, *method;
	void (*serve)(struct console *c, struct http_request *r);
} routes[] = {
	{ "/operator", "POST", serve_operator },
	{ "/health/live", "GET", serve_live },
	{ "/health/ready", "GET", serve_ready },
	{ "/", "GET", serve_page },
};

/* root, ourselves, or whom the state belongs to: they could read all of it anyway. */
static bool
may_use_socket(const struct console *c, uid_t uid)
{
	return uid != (uid_t)-1 && (uid == 0 || uid == getuid() || uid == c->owner);
}

static void
on_request(void *ctx, struct http_request *r)
{
	struct console *c = ctx;
	const char *method = http_method(r);

	if (http_tag(r) == LISTENER_LOCAL && !may_use_socket(c, http_peer_uid(r))) {
		refuse(r, E_POLICY, "this socket is for root and the server's user", NULL);
		return;
	}
	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	for (size_t i = 0; i < N_OF(routes); i++) {
		if (strcmp(http_path(r), routes[i].path) != 0)
			continue;
		if (strcmp(method, routes[i].method) == 0)
			routes[i].serve(c, r);
		else
			http_refuse(r, 405, "method", "this path takes another method",
			    (const struct http_header_field[]){ { "Allow", routes[i].method }, { NULL, NULL } });
		return;
	}
	http_refuse(r, 404, "not-found", "no such path: POST /operator is for operators", NULL);
}

static void
on_refused(void *ctx, const char *address, const char *event, const char *detail, const char *id)
{
	(void)ctx;
	log_event(L_NOTE, "http.refused", "id=%s address=%s event=%s why=\"%s\"", id != NULL ? id : "-",
	    address, event, detail);
}

/* --- the role --- */

static int
load_tls(struct tls_server **out, const struct settings *s, struct err *e)
{
	AUTO_BUF chain = BUF_MAX(PEM_MAX), key = BUF_MAX(PEM_MAX);
	int r;

	if ((r = file_read(&chain, s->tls_chain, PEM_MAX, e)) != 0 ||
	    (r = file_read(&key, s->tls_key, PEM_MAX, e)) != 0)
		return r;
	r = tls_server_new(out, bytes_of_buf(&chain), bytes_of_buf(&key), false, e);
	if (r != 0)
		return err_prefix(e, r, "%.150s", s->tls_chain);
	return 0;
}

static void
on_settings(void *ctx, const struct settings *s)
{
	struct console *c = ctx;
	struct stat st;

	(void)snprintf(c->name, sizeof(c->name), "%s", s->name);
	c->port = s->operator_port;
	if (c->http != NULL)
		return; /* new files, limits and sockets come with a new console */
	c->owner = stat(s->dir, &st) == 0 ? st.st_uid : 0;
	c->limits = http_limits_default;
	c->limits.idle_ms = s->idle_s * 1000;
	c->limits.connections = s->connections;
	c->limits.connections_per_address = s->connections_per_address;
	c->limits.body_octets = OP_BODY_MAX;
	c->limits.answer_ms = ANSWER_MS + 10000;
	tls_server_free(c->tls);
	c->tls = NULL;
	if (load_tls(&c->tls, s, &c->tls_error) != 0)
		c->tls = NULL;
}

static void
on_peer(void *ctx, enum role r, uint32_t instance, int fd)
{
	struct console *c = ctx;

	(void)instance;
	if (r != ROLE_AUTHORITY) {
		fd_autoclose(&fd);
		return;
	}
	lose_authority(c, "a new one takes its place");
	c->authority = pipe_new(c->loop, fd, permits, on_closed, c);
}

static void
on_listener(void *ctx, enum listener which, int fd)
{
	struct console *c = ctx;
	AUTO_FD owned = fd;

	if (which == LISTENER_LOCAL && c->local < 0)
		c->local = TAKE_FD(owned);
	else if (which == LISTENER_OPERATOR && c->operator < 0)
		c->operator = TAKE_FD(owned);
}

static int
on_start(void *ctx, struct err *e)
{
	struct console *c = ctx;
	int r;

	if (c->operator >= 0 && c->tls == NULL) {
		*e = c->tls_error;
		return err_prefix(e, e->code, "operator listener: TLS");
	}
	c->http = http_server_new(c->loop, &c->limits, on_request, on_refused, c);
	if (c->local >= 0 &&
	    (r = http_server_listen(c->http, TAKE_FD(c->local), NULL, LISTENER_LOCAL, e)) != 0)
		return r;
	if (c->operator >= 0)
		return http_server_listen(c->http, TAKE_FD(c->operator), c->tls, LISTENER_OPERATOR, e);
	return 0;
}

static void
on_drained(void *ctx)
{
	struct console *c = ctx;

	role_exit(c->loop, 0);
}

static void
on_drain(void *ctx)
{
	struct console *c = ctx;

	if (c->http == NULL)
		role_exit(c->loop, 0);
	else
		http_server_drain(c->http, DRAIN_MS, on_drained, c);
}

const struct role_hooks console_hooks = {
	.settings = on_settings, .peer = on_peer, .listener = on_listener, .start = on_start,
	.drain = on_drain,
};

struct console *
console_new(struct loop *l)
{
	struct console *c = mem_zalloc(sizeof(*c));

	c->loop = l;
	c->local = c->operator = -1;
	(void)err_set(&c->tls_error, E_NOTFOUND, "no certificate was given");
	c->timer = loop_timer_new(l, on_timer, c);
	TAILQ_INIT(&c->waiting);
	return c;
}

void
console_free(struct console *c)
{
	struct waiting *w;

	if (c == NULL)
		return;
	while ((w = TAILQ_FIRST(&c->waiting)) != NULL)
		give_up(c, w, "the server is ending");
	pipe_free(c->authority);
	http_server_free(c->http);
	tls_server_free(c->tls);
	loop_timer_free(c->timer);
	fd_autoclose(&c->local);
	fd_autoclose(&c->operator);
	mem_free(c);
}
