/* SPDX-License-Identifier: Apache-2.0 */
/* play.h - an HTTP server in a loop, and a blocking client in a child process that plays a scene with it */
#ifndef TESTS_PLAY_H
#define TESTS_PLAY_H

#include "tests/unit/core/net/house.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/net/http.h"

/* In a scene: the line that was not so is the child's exit status. */
#define NEED(x) do { if (!(x)) return __LINE__; } while (0)

#define PLAY_LATE_MS 20

struct stage {
	struct loop *loop;
	struct http_server *server;
	struct tls_server *tls;         /* NULL: plain */
	uint16_t port;
	char path[108];                 /* of a Unix socket; "": TCP */
	const struct http_local *local; /* its options; NULL: none */
	struct loop_timer *later, *watchdog;
	struct http_request *late[8];   /* to be answered by the timer */
	size_t n_late;
	struct http_request *kept[8];   /* answered by nobody, or when the child has ended */
	bool answer_kept;
	loop_fn before_answers;         /* or NULL */
	size_t n_kept, asked;
	struct buf refused;             /* events, a blank after each */
	int told[2];                    /* a pipe that gets an octet for each; 0: none */
	int status;                     /* of the child */
	bool drained;
	rlim_t nofile;                  /* of the child; 0: as ours */
};

/* --- the client --- */

struct client {
	int fd;
	SSL *ssl;
};

struct reply {
	int status;
	char version[16];
	char head[4096];
	uint8_t body[400000];
	size_t n, first;                /* octets of the body; octets that the first read gave */
};
static struct reply reply;

static inline struct client
dial(const struct stage *s, SSL_CTX *tls)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(s->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = 10 };
	struct client c = { .fd = socket(s->path[0] != 0 ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };

	memcpy(un.sun_path, s->path, sizeof(s->path));
	(void)setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(c.fd, s->path[0] != 0 ? (const struct sockaddr *)&un : (const struct sockaddr *)&in,
	    s->path[0] != 0 ? sizeof(un) : sizeof(in)) != 0)
		_exit(99);
	if (tls != NULL) {
		c.ssl = SSL_new(tls);
		if (SSL_set_fd(c.ssl, c.fd) != 1 || SSL_connect(c.ssl) != 1)
			_exit(98);
	}
	return c;
}

static inline void
hang_up(struct client *c)
{
	SSL_free(c->ssl);
	(void)close(c->fd);
	*c = (struct client){ .fd = -1 };
}

static inline bool
say_octets(struct client *c, const void *p, size_t n)
{
	size_t done = 0;

	if (c->ssl != NULL)
		return SSL_write_ex(c->ssl, p, n, &done) == 1 && done == n;
	return send(c->fd, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static inline bool
say(struct client *c, const char *text)
{
	return say_octets(c, text, strlen(text));
}

static inline ssize_t
read_octets(struct client *c, void *p, size_t n)
{
	size_t done = 0;

	if (c->ssl == NULL)
		return recv(c->fd, p, n, 0);
	return SSL_read_ex(c->ssl, p, n, &done) == 1 ? (ssize_t)done : 0;
}

/* Nothing more comes: the other side has closed. */
static inline bool
is_closed(struct client *c)
{
	char x;

	return read_octets(c, &x, 1) <= 0;
}

/* One whole answer, octet-exact: nothing that follows it is read. */
static inline bool
hear(struct client *c, bool head_only)
{
	size_t n = 0, want = 0;
	const char *cl;
	ssize_t r;

	memset(&reply, 0, offsetof(struct reply, body));
	while (n < 4 || memcmp(reply.head + n - 4, "\r\n\r\n", 4) != 0) {
		if (n == sizeof(reply.head) - 1 || read_octets(c, reply.head + n, 1) != 1)
			return false;
		n++;
	}
	if (sscanf(reply.head, "%15s %d", reply.version, &reply.status) != 2)
		return false;
	cl = strstr(reply.head, "\r\nContent-Length: ");
	if (cl != NULL && !head_only)
		want = (size_t)strtoul(cl + 18, NULL, 10);
	for (reply.n = 0; reply.n < want; reply.n += (size_t)r) {
		r = want <= sizeof(reply.body) ? read_octets(c, reply.body + reply.n, want - reply.n) : 0;
		if (r <= 0)
			return false;
	}
	return true;
}

static inline bool
has_field(const char *line)
{
	char with[300];

	(void)snprintf(with, sizeof(with), "\r\n%s\r\n", line);
	return strstr(reply.head, with) != NULL;
}

static inline bool
body_is(const char *text)
{
	return reply.n == strlen(text) && memcmp(reply.body, text, reply.n) == 0;
}

static inline bool
body_has(const char *text)
{
	return memmem(reply.body, reply.n, text, strlen(text)) != NULL;
}

/* --- the server --- */

static inline void
stage_refused(void *ctx, const char *address, const char *event, const char *detail, const char *id)
{
	struct stage *s = ctx;

	assert_true(address[0] != 0 && detail[0] != 0);
	assert_true(id[0] == 0 || (id[0] == 'r' && strlen(id) == 25));
	buf_printf(&s->refused, "%s ", event);
	if (s->told[1] != 0)
		assert_int_equal(write(s->told[1], "x", 1), 1);
}

static inline bool
was_refused(struct stage *s, const char *event)
{
	return strstr(buf_str(&s->refused), event) != NULL;
}

static inline void
answer_text(struct http_request *r, const char *text)
{
	http_answer(r, &(struct http_answer){ .status = 200, .type = "text/plain", .body = bytes_of(text) });
}

static inline void
stage_later(void *ctx)
{
	struct stage *s = ctx;
	size_t n = s->n_late;

	s->n_late = 0;
	for (size_t i = 0; i < n; i++)
		answer_text(s->late[i], "late");
}

static inline void
answer_echo(struct http_request *r)
{
	AUTO_BUF b = { 0 };

	buf_printf(&b, "%s %s %s %s %d %zu:", http_method(r), http_path(r), http_raw_path(r), http_query(r),
	    http_tag(r), http_body(r).n);
	buf_put_bytes(&b, http_body(r));
	http_answer(r, &(struct http_answer){ .status = 200, .type = "text/plain", .body = bytes_of_buf(&b) });
}

static inline void
answer_peer(struct http_request *r)
{
	const struct tls_peer *p = http_tls(r);
	char binding[TLS_BINDING_MAX] = "", text[400];

	if (http_binding(r, binding, NULL) != 0)
		binding[0] = 0;
	(void)snprintf(text, sizeof(text), "%s %s %s %s %d", p != NULL ? p->version : "plain",
	    p != NULL ? trust_state_name(p->state) : "-", binding, http_address(r), (int)http_peer_uid(r));
	answer_text(r, text);
}

static inline void
answer_number(struct http_request *r, size_t n)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%zu", n);
	answer_text(r, text);
}

static inline void
answer_big(struct http_request *r, size_t n)
{
	AUTO_BUF b = { 0 };

	for (size_t i = 0; i < n; i++)
		buf_put_u8(&b, (uint8_t)(i % 251));
	http_answer(r, &(struct http_answer){ .status = 200, .body = bytes_of_buf(&b) });
}

static inline void
answer_file(struct http_request *r)
{
	FILE *f = tmpfile();

	assert_non_null(f);
	for (size_t i = 0; i < 100000; i++)
		(void)fputc((int)(i % 251), f);
	(void)fflush(f);
	http_answer(r, &(struct http_answer){ .status = 200, .type = "application/pkix-crl", .fd = fileno(f) });
	(void)fclose(f);
}

static inline void
stage_handle(void *ctx, struct http_request *r)
{
	static const struct http_header_field cached[] = { { "Cache-Control", "max-age=60" }, { "ETag", "\"1\"" }, { 0 } };
	static const struct http_header_field split[] = { { "X-Text", "a\r\nX-Other: b" }, { 0 } };
	struct stage *s = ctx;
	const char *path = http_path(r);

	s->asked++;
	assert_true(http_id(r)[0] == 'r' && strlen(http_id(r)) == 25);
	if (strcmp(path, "/late") == 0) {
		s->late[s->n_late++] = r;
		loop_timer_in(s->later, PLAY_LATE_MS);
	} else if (strcmp(path, "/never") == 0) {
		s->kept[s->n_kept++] = r;
	} else if (strcmp(path, "/peer") == 0) {
		answer_peer(r);
	} else if (strcmp(path, "/pid") == 0) {
		answer_number(r, (size_t)http_peer_pid(r));
	} else if (strcmp(path, "/count") == 0) {
		answer_number(r, http_body(r).n);
	} else if (strcmp(path, "/big") == 0) {
		answer_big(r, 300000);
	} else if (strcmp(path, "/record") == 0) {
		answer_big(r, 15000);
	} else if (strcmp(path, "/file") == 0) {
		answer_file(r);
	} else if (strcmp(path, "/empty") == 0) {
		http_answer(r, &(struct http_answer){ .status = 204 });
	} else if (strcmp(path, "/close") == 0) {
		http_answer(r, &(struct http_answer){ .status = 200, .close = true });
	} else if (strcmp(path, "/cached") == 0) {
		http_answer(r, &(struct http_answer){ .status = 200, .fields = cached });
	} else if (strcmp(path, "/split") == 0) {
		http_answer(r, &(struct http_answer){ .status = 200, .fields = split });
	} else if (strcmp(path, "/refuse") == 0) {
		http_refuse(r, 403, "no", "not you", NULL);
	} else if (strcmp(path, "/header") == 0) {
		assert_int_equal(http_header_count(r, "x-a"), 2);
		assert_null(http_header(r, "X-B"));
		answer_text(r, http_header(r, "X-A"));
	} else {
		answer_echo(r);
	}
}

static inline void
stage_child(void *ctx, pid_t pid, int status)
{
	struct stage *s = ctx;

	(void)pid;
	s->status = status;
	if (s->before_answers != NULL)
		s->before_answers(s);
	for (size_t i = 0; s->answer_kept && i < s->n_kept; i++) {
		assert_string_equal(http_path(s->kept[i]), "/never");
		assert_string_equal(http_address(s->kept[i]), "127.0.0.1");
		answer_text(s->kept[i], "nobody hears");
	}
	loop_stop(s->loop, 0);
}

static inline void
stage_bark(void *ctx)
{
	(void)ctx;
	fail_msg("the scene did not end");
}

static inline void
stage_drained(void *ctx)
{
	struct stage *s = ctx;

	s->drained = true;
	loop_stop(s->loop, 0);
}

static inline void
stage_open(struct stage *s, const struct http_limits *lim, struct tls_server *tls)
{
	struct err e = { 0 };
	int fd = -1;

	s->loop = loop_new();
	s->tls = tls;
	s->server = http_server_new(s->loop, lim != NULL ? lim : &http_limits_default, stage_handle, stage_refused, s);
	s->later = loop_timer_new(s->loop, stage_later, s);
	s->watchdog = loop_timer_new(s->loop, stage_bark, s);
	loop_timer_in(s->watchdog, 30000);
	if (s->path[0] != 0)
		assert_int_equal(peer_listen_unix(&fd, s->path, 0600, &e), 0);
	else
		assert_int_equal(peer_listen_tcp(&fd, "127.0.0.1", 0, false, &s->port, &e), 0);
	assert_int_equal(s->local != NULL ? http_server_listen_unix(s->server, fd, s->local, 5, &e)
	                                  : http_server_listen(s->server, fd, tls, 5, &e), 0);
}

/* Play a scene in a child process and serve it until it ends. */
static inline void
stage_play(struct stage *s, int (*scene)(struct stage *))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (s->nofile != 0 && setrlimit(RLIMIT_NOFILE, &(struct rlimit){ s->nofile, s->nofile }) != 0)
			_exit(96);
		_exit(scene(s) % 256);
	}
	loop_on_child(s->loop, pid, stage_child, s);
	(void)loop_run(s->loop);
	if (!WIFEXITED(s->status) || WEXITSTATUS(s->status) != 0)
		fail_msg("the scene failed at line %d (or that plus a multiple of 256)", WEXITSTATUS(s->status));
}

static inline void
stage_close(struct stage *s)
{
	http_server_free(s->server);
	loop_timer_free(s->later);
	loop_timer_free(s->watchdog);
	loop_free(s->loop);
	tls_server_free(s->tls);
	buf_free(&s->refused);
}

/* The usual: open, play, close. */
static inline void
play(int (*scene)(struct stage *), const struct http_limits *lim, struct tls_server *tls)
{
	struct stage s = { 0 };

	stage_open(&s, lim, tls);
	stage_play(&s, scene);
	stage_close(&s);
}

#endif
