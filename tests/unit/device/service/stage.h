/* SPDX-License-Identifier: Apache-2.0 */
/* tests: a small service with its socket, and a client of it that blocks, in a process of its own */
#ifndef TESTS_STAGE_H
#define TESTS_STAGE_H

#include "tests/unit/device/service/scratch.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "core/net/http.h"
#include "device/service/api.h"

/* In a scene: the line that was not so is the child's exit status (its low octet). */
#define NEED(x) do { if (!(x)) { (void)printf("%s:%d: %s\n", __FILE__, __LINE__, #x); (void)fflush(stdout); return 1; } } while (0)
#define V1  "?api-version=2020-09-01"
#define V2  "?api-version=2021-05-01"
#define OWN "?api-version=" API_VERSION_OWN
#define H   " HTTP/1.1\r\n"
#define JSON "content-type: application/json\r\n"

/* --- a small service --- */

struct stage {
	struct loop *loop;
	struct api *api;
	struct api_service service;
	struct place place;
	struct loop_timer *later, *watchdog;
	struct api_call *waiting;
	int status;          /* of the child */
	bool child_ended, drains, drained;
};

static inline void
say_id(struct api_call *c)
{
	AUTO_JSON v = json_object();

	json_setf(v, "id", "%s", c->id);
	json_setf(v, "version", "%zu", c->version);
	api_reply(c, 200, v);
}

static inline void
say_body(struct api_call *c)
{
	api_reply(c, strcmp(c->method, "PUT") == 0 ? 201 : 200, c->body);
}

static inline void
say_key(struct api_call *c)
{
	AUTO_JSON v = json_object();
	const char *key;

	if (!api_need_str(c, "keyId", &key))
		return;
	json_setf(v, "keyHandle", "%s", key);
	api_reply(c, 200, v);
}

static inline void
say_octets_n(struct api_call *c)
{
	AUTO_JSON v = json_object();
	AUTO_BUF out = BUF_MAX(64);

	if (!api_need_base64(c, "message", &out))
		return;
	json_setf(v, "n", "%zu", out.n);
	api_reply(c, 200, v);
}

static inline void
say_nothing(struct api_call *c)
{
	api_reply(c, 200, NULL);
}

static inline void
say_spki(struct api_call *c)
{
	AUTO_JSON v = json_object();

	json_setf(v, "fixed", "%s", c->id);
	api_reply(c, 200, v);
}

static inline void
say_who(struct api_call *c)
{
	AUTO_JSON v = json_object();

	json_setf(v, "who", "%u %d", c->uid, c->pid);
	api_reply(c, 200, v);
}

static inline void
say_text(struct api_call *c)
{
	api_reply_text(c, "text/plain; version=0.0.4", bytes_of("up 1\n"));
}

static inline void
say_error(struct api_call *c)
{
	static const struct {
		const char *name;
		struct err e;
	} rows[] = {
		{ "usage", { E_USAGE, "u" } }, { "format", { E_FORMAT, "f" } }, { "auth", { E_AUTH, "user 5 is not authorized" } },
		{ "policy", { E_POLICY, "p" } }, { "notfound", { E_NOTFOUND, "n" } }, { "toobig", { E_TOOBIG, "t" } },
		{ "pending", { E_PENDING, "w" } }, { "unavail", { E_UNAVAIL, "d" } }, { "io", { E_IO, "/secret/path: broken\nfor good" } },
		{ "exists", { E_EXISTS, "x" } }, { "crypto", { E_CRYPTO, "y" } },
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		if (strcmp(c->id, rows[i].name) == 0) {
			api_fail_err(c, &rows[i].e);
			return;
		}
	}
	if (strcmp(c->id, "parameter") == 0)
		api_fail_parameter(c, "handle", "%s", "invalid handle");
	else if (strcmp(c->id, "bare") == 0)
		api_fail_parameter(c, "handle", "%s", "");
	else
		api_fail(c, 500, "octet \xff in %s", c->id);
}

static inline void
on_later(void *ctx)
{
	struct stage *s = ctx;
	struct api_call *c = s->waiting;

	s->waiting = NULL;
	if (c != NULL)
		say_nothing(c);
}

static inline void
answer_later(struct api_call *c)
{
	struct stage *s = c->ctx;

	s->waiting = c;
	loop_timer_in(s->later, 20);
}

static inline void
keep(struct api_call *c)
{
	struct stage *s = c->ctx;

	s->waiting = c;
}

static inline void
on_drained(void *ctx)
{
	struct stage *s = ctx;

	s->drained = true;
	if (s->child_ended)
		loop_stop(s->loop, 0);
}

static inline void
drain(struct api_call *c)
{
	struct stage *s = c->ctx;

	s->drains = true;
	api_drain(s->api, on_drained, s);
	answer_later(c);
}

static const struct api_route routes[] = {
	{ "POST", "/keypair", API_MUST_BODY, 0, say_key },
	{ "DELETE", "/keypair", API_MUST_BODY, 0, say_body },
	{ "GET", "/keypair/{id}", API_NO_BODY, 0, say_id },
	{ "POST", "/keypair/{to}", API_MUST_BODY, 1, say_id },
	{ "POST", "/may", API_MAY_BODY, 0, say_body },
	{ "DELETE", "/certificates/{id}", API_NO_BODY, 0, say_body },
	{ "PUT", "/certificates/{id}", API_MUST_BODY, 0, say_body },
	{ "POST", "/parameters/{name}", API_NO_BODY, 0, say_id },
	{ "POST", "/parameters/spki", API_NO_BODY, 2, say_spki },
	{ "GET", "/status", API_NO_BODY, 2, say_spki },
	{ "POST", "/octets", API_MUST_BODY, 0, say_octets_n },
	{ "GET", "/error/{name}", API_NO_BODY, 0, say_error },
	{ "GET", "/who", API_NO_BODY, 0, say_who },
	{ "GET", "/text", API_NO_BODY, 0, say_text },
	{ "GET", "/later", API_NO_BODY, 0, answer_later },
	{ "GET", "/keep", API_NO_BODY, 0, keep },
	{ "GET", "/drain", API_NO_BODY, 0, drain },
	{ 0 },
};

static const char *const versions[] = { "2020-09-01", "2021-05-01", API_VERSION_OWN, NULL };

/* --- the stage --- */

static inline void
too_late(void *ctx)
{
	struct stage *s = ctx;

	loop_stop(s->loop, 9);
}

static inline void
stage_open(struct stage *s, unsigned per_uid, bool close_when_full)
{
	struct err e = { 0 };

	scratch_make();
	scratch_catch_log();
	s->loop = loop_new();
	s->service = (struct api_service){ "fake", versions, routes, per_uid, close_when_full };
	assert_int_equal(place_find(&s->place, "keyd", scratch, &e), 0);
	s->later = loop_timer_new(s->loop, on_later, s);
	s->watchdog = loop_timer_new(s->loop, too_late, s);
	if (api_new(&s->api, s->loop, &s->service, &s->place, s, &e) != 0)
		fail_msg("%s", e.msg);
}

static inline void
on_child(void *ctx, pid_t pid, int status)
{
	struct stage *s = ctx;

	(void)pid;
	s->status = status;
	s->child_ended = true;
	if (!s->drains || s->drained)
		loop_stop(s->loop, 0);
}

/* The scene plays in a child, a client that blocks. */
static inline void
stage_play(struct stage *s, int (*scene)(const struct stage *s))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(scene(s));
	loop_on_child(s->loop, pid, on_child, s);
	loop_timer_in(s->watchdog, 60000);
	assert_int_equal(loop_run(s->loop), 0);
}

static inline const char *
stage_close(struct stage *s)
{
	const char *log;

	api_free(s->api);
	loop_timer_free(s->later);
	loop_timer_free(s->watchdog);
	loop_free(s->loop);
	log = scratch_log();
	scratch_remove();
	if (s->status != 0)
		fail_msg("the scene failed; log:\n%s", log);
	return log;
}

static inline const char *
play(int (*scene)(const struct stage *s))
{
	struct stage s = { 0 };

	stage_open(&s, 100, false);
	stage_play(&s, scene);
	return stage_close(&s);
}

/* --- the client --- */

static inline int
dial(const struct stage *s)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = 20 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%.*s", (int)sizeof(un.sun_path) - 1, s->place.socket);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&un, sizeof(un)) != 0)
		_exit(99);
	return fd;
}

struct reply {
	int status;
	char head[2048];
	char body[4096];
};
static struct reply reply;

/* One answer as the clients that block read it: the first read must bring the whole head, in at most 512 octets. */
static inline bool
hear(int fd)
{
	ssize_t n = recv(fd, reply.head, 512, 0), more;
	size_t have, want;
	char *end, *cl;

	if (n <= 0)
		return false;
	reply.head[n] = 0;
	end = strstr(reply.head, "\r\n\r\n");
	if (end == NULL || sscanf(reply.head, "HTTP/1.1 %d", &reply.status) != 1)
		return false;
	have = (size_t)(reply.head + n - end - 4);
	memcpy(reply.body, end + 4, have);
	end[2] = 0;
	cl = strcasestr(reply.head, "\r\ncontent-length: ");
	want = cl != NULL ? (size_t)strtoul(cl + 18, NULL, 10) : 0;
	for (; have < want && want < sizeof(reply.body); have += (size_t)more) {
		more = recv(fd, reply.body + have, want - have, 0);
		if (more <= 0)
			return false;
	}
	reply.body[have] = 0;
	return have == want;
}

static inline bool
say(int fd, const char *text)
{
	return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

static inline bool
has_field(const char *line)
{
	char with[300];

	(void)snprintf(with, sizeof(with), "\r\n%s\r\n", line);
	return strcasestr(reply.head, with) != NULL;
}

/* One request on a connection of its own. */
static inline bool
ask(const struct stage *s, const char *text)
{
	int fd = dial(s);
	bool ok = say(fd, text) && hear(fd);

	(void)close(fd);
	return ok;
}

struct row {
	const char *request;
	int status;
	const char *body; /* whole; NULL: none, and no content-type */
};

static inline int
ask_all(const struct stage *s, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct row *r = &rows[i];
		bool good = ask(s, r->request) && reply.status == r->status &&
		    strcmp(reply.body, r->body != NULL ? r->body : "") == 0;

		if (r->body == NULL)
			good = good && strcasestr(reply.head, "content-type") == NULL;
		else
			good = good && strstr(reply.head, "ontent-") != NULL && strcasestr(reply.head, "\r\ndate: ") != NULL &&
			    has_field("content-type: application/json");
		if (!good) {
			(void)printf("%s\ngave %s\n%s\n", r->request, reply.head, reply.body);
			(void)fflush(stdout);
			return 1;
		}
	}
	return 0;
}

#define MESSAGE(t) "{\"message\":\"" t "\"}"
#define BODY(n, t) "content-length: " #n "\r\n\r\n" t

#endif
