/* SPDX-License-Identifier: Apache-2.0 */
/* tests: what existing clients see on a service's socket */
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

static void
say_id(struct api_call *c)
{
	AUTO_JSON v = json_object();

	json_setf(v, "id", "%s", c->id);
	json_setf(v, "version", "%zu", c->version);
	api_reply(c, 200, v);
}

static void
say_body(struct api_call *c)
{
	api_reply(c, strcmp(c->method, "PUT") == 0 ? 201 : 200, c->body);
}

static void
say_key(struct api_call *c)
{
	AUTO_JSON v = json_object();
	const char *key;

	if (!api_need_str(c, "keyId", &key))
		return;
	json_setf(v, "keyHandle", "%s", key);
	api_reply(c, 200, v);
}

static void
say_octets_n(struct api_call *c)
{
	AUTO_JSON v = json_object();
	AUTO_BUF out = BUF_MAX(64);

	if (!api_need_base64(c, "message", &out))
		return;
	json_setf(v, "n", "%zu", out.n);
	api_reply(c, 200, v);
}

static void
say_nothing(struct api_call *c)
{
	api_reply(c, 200, NULL);
}

static void
say_spki(struct api_call *c)
{
	AUTO_JSON v = json_object();

	json_setf(v, "fixed", "%s", c->id);
	api_reply(c, 200, v);
}

static void
say_who(struct api_call *c)
{
	AUTO_JSON v = json_object();

	json_setf(v, "who", "%u %d", c->uid, c->pid);
	api_reply(c, 200, v);
}

static void
say_text(struct api_call *c)
{
	api_reply_text(c, "text/plain; version=0.0.4", bytes_of("up 1\n"));
}

static void
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

static void
on_later(void *ctx)
{
	struct stage *s = ctx;
	struct api_call *c = s->waiting;

	s->waiting = NULL;
	if (c != NULL)
		say_nothing(c);
}

static void
answer_later(struct api_call *c)
{
	struct stage *s = c->ctx;

	s->waiting = c;
	loop_timer_in(s->later, 20);
}

static void
keep(struct api_call *c)
{
	struct stage *s = c->ctx;

	s->waiting = c;
}

static void
on_drained(void *ctx)
{
	struct stage *s = ctx;

	s->drained = true;
	if (s->child_ended)
		loop_stop(s->loop, 0);
}

static void
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

static void
too_late(void *ctx)
{
	struct stage *s = ctx;

	loop_stop(s->loop, 9);
}

static void
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

static void
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
static void
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

static const char *
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

static const char *
play(int (*scene)(const struct stage *s))
{
	struct stage s = { 0 };

	stage_open(&s, 100, false);
	stage_play(&s, scene);
	return stage_close(&s);
}

/* --- the client --- */

static int
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
static bool
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

static bool
say(int fd, const char *text)
{
	return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

static bool
has_field(const char *line)
{
	char with[300];

	(void)snprintf(with, sizeof(with), "\r\n%s\r\n", line);
	return strcasestr(reply.head, with) != NULL;
}

/* One request on a connection of its own. */
static bool
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

static int
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

/* --- scenes --- */

static int
scene_versions(const struct stage *s)
{
	static const struct row rows[] = {
		{ "GET /nowhere" H "\r\n", 400, MESSAGE("api-version not specified") },
		{ "GET /who?" H "\r\n", 400, MESSAGE("api-version not specified") },
		{ "GET /who?version=2020-09-01" H "\r\n", 400, MESSAGE("api-version not specified") },
		{ "GET /who?API-VERSION=2020-09-01" H "\r\n", 400, MESSAGE("api-version not specified") },
		{ "PATCH /nowhere" H "\r\n", 400, MESSAGE("api-version not specified") },
		{ "GET /who?api-version=2019-01-01" H "\r\n", 400, MESSAGE("invalid api-version \\\"2019-01-01\\\"") },
		{ "GET /who?api-version=" H "\r\n", 400, MESSAGE("invalid api-version \\\"\\\"") },
		{ "GET /who?api-version" H "\r\n", 400, MESSAGE("invalid api-version \\\"\\\"") },
		{ "GET /who?api-version=a+b%20%22" H "\r\n", 400, MESSAGE("invalid api-version \\\"a b \\\"\\\"") },
		{ "GET /who?api-version=%ff" H "\r\n", 400, MESSAGE("invalid api-version \\\"\\\\xff\\\"") },
		{ "GET /keypair/x?api-version=2020-09-01&api-version=2021-05-01" H "\r\n", 200, "{\"id\":\"x\",\"version\":\"1\"}" },
		{ "GET /keypair/x?api-version=2021-05-01&api-version=1" H "\r\n", 400, MESSAGE("invalid api-version \\\"1\\\"") },
		{ "GET /keypair/x?a=b&&%61pi%2dversion=2020%2D09-01&c" H "\r\n", 200, "{\"id\":\"x\",\"version\":\"0\"}" },
		{ "GET /keypair/x" OWN H "\r\n", 200, "{\"id\":\"x\",\"version\":\"2\"}" },
	};

	return ask_all(s, rows, N_OF(rows));
}

static void
the_version_is_judged_before_the_path(void **state)
{
	(void)state;
	(void)play(scene_versions);
}

static int
scene_routes(const struct stage *s)
{
	static const struct row rows[] = {
		{ "GET /nowhere" V1 H "\r\n", 404, MESSAGE("not found") },
		{ "GET /" V1 H "\r\n", 404, MESSAGE("not found") },
		{ "GET /keypair/" V1 H "\r\n", 404, MESSAGE("not found") },
		{ "GET /keypai" V1 H "\r\n", 404, MESSAGE("not found") },
		{ "GET //who" V1 H "\r\n", 404, MESSAGE("not found") },
		{ "GET /wh%6f" V1 H "\r\n", 404, MESSAGE("not found") }, /* paths are compared as they were sent */
		{ "GET /keypair" V1 H "\r\n", 400, MESSAGE("method not allowed") },
		{ "PATCH /keypair" V1 H "\r\n", 400, MESSAGE("method not allowed") },
		{ "PUT /keypair/x" V1 H "content-length: 0\r\n\r\n", 400, MESSAGE("method not allowed") },
		{ "POST /keypair/x" V1 H BODY(2, "{}"), 400, MESSAGE("method not allowed") }, /* a later version has it */
		{ "POST /keypair/x" V2 H BODY(2, "{}"), 200, "{\"id\":\"x\",\"version\":\"1\"}" },
		{ "GET /status" V1 H "\r\n", 404, MESSAGE("not found") },
		{ "POST /status" OWN H "\r\n", 400, MESSAGE("method not allowed") },
		{ "GET /status" OWN H "\r\n", 200, "{\"fixed\":\"\"}" },
		{ "POST /parameters/spki" V1 H "\r\n", 200, "{\"id\":\"spki\",\"version\":\"0\"}" },
		{ "POST /parameters/spki" OWN H "\r\n", 200, "{\"fixed\":\"\"}" },
		{ "POST /parameters/spkiX" OWN H "\r\n", 200, "{\"id\":\"spkiX\",\"version\":\"2\"}" },
	};

	return ask_all(s, rows, N_OF(rows));
}

static void
routes_go_by_path_version_and_method(void **state)
{
	(void)state;
	(void)play(scene_routes);
}

static int
scene_ids(const struct stage *s)
{
#define ID(sent, got) { "GET /keypair/" sent V1 H "\r\n", 200, "{\"id\":\"" got "\",\"version\":\"0\"}" }
#define NO_ID(sent) { "GET /keypair/" sent V1 H "\r\n", 404, MESSAGE("not found") }
	static const struct row rows[] = {
		ID("device-id", "device-id"), ID("a%20b", "a b"), ID("a+b", "a+b"), ID("aziot-edged/module/m:1:server", "aziot-edged/module/m:1:server"),
		ID("a%2Fb", "a/b"), ID("%C3%A9", "\xc3\xa9"), ID("a%25b", "a%b"), ID("%2541", "%41"), ID("100%", "100%"), ID("a%zz", "a%zz"),
		ID("..", ".."), ID("%2e%2e/x", "../x"), ID("a//b/", "a//b/"), ID("a%5cb", "a\\\\b"),
		NO_ID("%ff"), NO_ID("%C3"), NO_ID("a%00b"), NO_ID("%00"), NO_ID("a%0ab"), NO_ID("%ed%a0%80"),
	};
	char path[1200] = "GET /keypair/";

	NEED(ask_all(s, rows, N_OF(rows)) == 0);
	memset(path + 13, 'a', ID_MAX - 1);
	(void)snprintf(path + 13 + ID_MAX - 1, 100, "%s%s\r\n", V1, H);
	NEED(ask(s, path) && reply.status == 200);
	memset(path + 13, 'a', ID_MAX);
	(void)snprintf(path + 13 + ID_MAX, 100, "%s%s\r\n", V1, H);
	NEED(ask(s, path) && reply.status == 404);
	return 0;
}

static void
an_id_is_the_rest_of_the_path_decoded_once(void **state)
{
	(void)state;
	(void)play(scene_ids);
}

static int
scene_bodies(const struct stage *s)
{
#define MISSING MESSAGE("missing request body")
	static const struct row rows[] = {
		{ "POST /keypair" V1 H JSON BODY(13, "{\"keyId\":\"k\"}"), 200, "{\"keyHandle\":\"k\"}" },
		{ "POST /keypair" V1 H BODY(13, "{\"keyId\":\"k\"}"), 200, "{\"keyHandle\":\"k\"}" },
		{ "POST /keypair" V1 H "Content-Type: application/json; charset=utf-8\r\n" BODY(13, "{\"keyId\":\"k\"}"), 200, "{\"keyHandle\":\"k\"}" },
		{ "POST /keypair" V1 H "Content-Type:  application/json ;x\r\n" BODY(13, "{\"keyId\":\"k\"}"), 200, "{\"keyHandle\":\"k\"}" },
		{ "POST /keypair" V1 H JSON "transfer-encoding: chunked\r\n\r\nd\r\n{\"keyId\":\"k\"}\r\n0\r\n\r\n", 200, "{\"keyHandle\":\"k\"}" },
		{ "POST /keypair" V1 H "Content-Type: text/plain\r\n" BODY(13, "{\"keyId\":\"k\"}"), 400, MISSING },
		{ "POST /keypair" V1 H "Content-Type: application/jsonx\r\n" BODY(2, "{}"), 400, MISSING },
		{ "POST /keypair" V1 H "Content-Type:\r\n" BODY(2, "{}"), 400, MISSING },
		{ "POST /keypair" V1 H JSON "\r\n", 400, MISSING },
		{ "POST /keypair" V1 H JSON "content-length: 0\r\n\r\n", 400, MISSING },
		{ "DELETE /keypair" V1 H "\r\n", 400, MISSING },
		{ "DELETE /keypair" V1 H JSON BODY(7, "{\"a\":1}"), 200, "{\"a\":1}" },
		{ "POST /keypair" V1 H JSON BODY(2, "{}"), 422, MESSAGE("missing field `keyId`") },
		{ "POST /keypair" V1 H JSON BODY(11, "{\"keyId\":1}"), 422, MESSAGE("field `keyId` is not a string") },
		{ "POST /keypair" V1 H JSON BODY(14, "{\"keyId\":null}"), 422, MESSAGE("field `keyId` is not a string") },
		{ "POST /keypair" V1 H JSON BODY(2, "[]"), 422, MESSAGE("the request body is no JSON object") },
		{ "POST /keypair" V1 H JSON BODY(4, "null"), 422, MESSAGE("the request body is no JSON object") },
		{ "POST /may" V1 H "\r\n", 204, NULL },
		{ "POST /may" V1 H JSON BODY(7, "{\"a\":1}"), 200, "{\"a\":1}" },
		{ "POST /may" V1 H "Content-Type: text/plain\r\n" BODY(1, "x"), 204, NULL },
		{ "DELETE /certificates/x" V1 H "\r\n", 204, NULL },
		{ "DELETE /certificates/x" V1 H JSON BODY(2, "{}"), 204, NULL },
		{ "PUT /certificates/x" V1 H JSON BODY(9, "{\"pem\":1}"), 201, "{\"pem\":1}" },
		{ "PUT /certificates/x" V1 H BODY(9, "{\"pem\":1}"), 201, "{\"pem\":1}" },
		{ "PUT /certificates/x" V1 H "Content-Type: text/plain\r\n" BODY(9, "{\"pem\":1}"), 415, MESSAGE("request body must be application/json") },
		{ "PUT /certificates/x" V1 H "Content-Type: text/plain\r\ncontent-length: 0\r\n\r\n", 415, MESSAGE("request body must be application/json") },
		{ "GET /keypair/x" V1 H JSON BODY(5, "what?"), 200, "{\"id\":\"x\",\"version\":\"0\"}" },
		{ "POST /octets" V1 H JSON BODY(18, "{\"message\":\"AAEC\"}"), 200, "{\"n\":\"3\"}" },
		{ "POST /octets" V1 H JSON BODY(18, "{\"message\":\"AA==\"}"), 200, "{\"n\":\"1\"}" },
	};
	static const char *const unread[] = {
		"POST /keypair" V1 H JSON BODY(5, "{\"a\":"), "POST /keypair" V1 H JSON BODY(4, "{} x"), "POST /keypair" V1 H JSON BODY(13, "{\"a\":1,\"a\":2}"),
		"POST /keypair" V1 H JSON BODY(9, "{\"a\":\"\xff\"}"), "POST /may" V1 H JSON BODY(1, " "), "DELETE /certificates/x" V1 H JSON BODY(1, "{"),
		"PUT /certificates/x" V1 H JSON "content-length: 0\r\n\r\n", "POST /keypair" V1 H JSON BODY(18, "{\"keyId\":\"\\u0000\"}"),
		"POST /octets" V1 H JSON BODY(17, "{\"message\":\"AAE\"}"), "POST /octets" V1 H JSON BODY(19, "{\"message\":\"A AEC\"}"),
		"POST /octets" V1 H JSON BODY(18, "{\"message\":\"-_==\"}"), "POST /octets" V1 H JSON BODY(13, "{\"message\":1}"),
	};

	NEED(ask_all(s, rows, N_OF(rows)) == 0);
	for (size_t i = 0; i < N_OF(unread); i++) {
		if (!ask(s, unread[i]) || reply.status != 422 || strncmp(reply.body, "{\"message\":\"", 12) != 0)
			return (void)printf("%s\n%d %s\n", unread[i], reply.status, reply.body), (void)fflush(stdout), 1;
	}
	return 0;
}

static void
bodies_are_taken_by_method_and_type(void **state)
{
	(void)state;
	(void)play(scene_bodies);
}

static int
scene_malformed(const struct stage *s)
{
	static const struct {
		const char *request;
		int status;
	} rows[] = {
		{ "GET\r\n\r\n", 400 }, { "GET /who" V1 "\r\n\r\n", 400 }, { "GET who" V1 H "\r\n", 400 }, { "BREW /who" V1 H "\r\n", 501 },
		{ "GET /who" V1 " HTTP/2.0\r\n\r\n", 505 }, { "GET /who" V1 H "host: a\r\nhost: b\r\n\r\n", 400 },
		{ "GET /who" V1 H "a b: c\r\n\r\n", 400 }, { "POST /keypair" V1 H "content-length: -1\r\n\r\n", 400 },
		{ "POST /keypair" V1 H "content-length: 1\r\ncontent-length: 2\r\n\r\n", 400 },
		{ "POST /keypair" V1 H "content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400 },
		{ "POST /keypair" V1 H "transfer-encoding: gzip\r\n\r\n", 501 }, { "POST /keypair" V1 H JSON "content-length: 1048577\r\n\r\n", 413 },
		{ "GET /keypair/\xc3\xa9" V1 H "\r\n", 400 },
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		if (!ask(s, rows[i].request) || reply.status != rows[i].status || strncmp(reply.body, "{\"message\":\"", 12) != 0 ||
		    !has_field("content-type: application/json"))
			return (void)printf("%s\n%d %s\n", rows[i].request, reply.status, reply.body), (void)fflush(stdout), 1;
	}
	return 0;
}

static void
malformed_requests_are_refused_in_json(void **state)
{
	(void)state;
	(void)play(scene_malformed);
}

static int
scene_errors(const struct stage *s)
{
#define GET_ERROR(name) "GET /error/" name V1 H "\r\n"
	static const struct row rows[] = {
		{ GET_ERROR("usage"), 400, MESSAGE("u") }, { GET_ERROR("format"), 400, MESSAGE("f") },
		{ GET_ERROR("auth"), 401, MESSAGE("user 5 is not authorized") }, { GET_ERROR("policy"), 403, MESSAGE("p") },
		{ GET_ERROR("notfound"), 400, MESSAGE("n") }, { GET_ERROR("toobig"), 413, MESSAGE("t") },
		{ GET_ERROR("io"), 500, MESSAGE("internal error") }, { GET_ERROR("exists"), 500, MESSAGE("internal error") },
		{ GET_ERROR("crypto"), 500, MESSAGE("internal error") }, { GET_ERROR("other"), 500, MESSAGE("internal error") },
		{ GET_ERROR("parameter"), 400, MESSAGE("parameter \\\"handle\\\" has an invalid value\\ncaused by: invalid handle") },
		{ GET_ERROR("bare"), 400, MESSAGE("parameter \\\"handle\\\" has an invalid value") },
	};

	NEED(ask_all(s, rows, N_OF(rows)) == 0);
	NEED(ask(s, GET_ERROR("pending")) && reply.status == 503 && has_field("Retry-After: " API_RETRY_S));
	NEED(ask(s, GET_ERROR("unavail")) && reply.status == 503 && strcmp(reply.body, MESSAGE("d")) == 0);
	return 0;
}

static void
errors_have_their_status_and_internal_ones_say_no_more(void **state)
{
	const char *log;

	(void)state;
	log = play(scene_errors);
	assert_non_null(strstr(log, " [INFO] - !!! user 5 is not authorized\n"));
	assert_non_null(strstr(log, " [INFO] - !!! parameter \"handle\" has an invalid value\n"));
	assert_non_null(strstr(log, " [INFO] - !!! caused by: invalid handle\n"));
	assert_non_null(strstr(log, " [ERR!] - !!! /secret/path: broken\n"));
	assert_non_null(strstr(log, " [ERR!] - !!! for good\n"));
	assert_non_null(strstr(log, " [ERR!] - !!! octet \\xff in other\n"));
}

static int
scene_answers(const struct stage *s)
{
	char who[64];
	int fd = dial(s);

	(void)snprintf(who, sizeof(who), "{\"who\":\"%u %d\"}", getuid(), getpid());
	for (int i = 0; i < 3; i++) { /* keep-alive, without a Host, as the clients that block do it */
		NEED(say(fd, "GET /who" V1 H "\r\n") && hear(fd) && reply.status == 200 && strcmp(reply.body, who) == 0);
		NEED(strncmp(reply.head, "HTTP/1.1 200 OK\r\n", 17) == 0 && strlen(reply.head) < 256);
	}
	NEED(say(fd, "GET /later" V1 H "host: keyd.sock\r\n\r\n") && hear(fd) && reply.status == 204);
	NEED(!has_field("content-length: 0") || reply.body[0] == 0);
	NEED(say(fd, "GET /text" V1 H "authorization: Basic secret\r\nuser-agent: me\r\n\r\n") && hear(fd) && reply.status == 200);
	NEED(has_field("content-type: text/plain; version=0.0.4") && strcmp(reply.body, "up 1\n") == 0);
	(void)close(fd);
	NEED(ask(s, "POST /keypair" V1 H "expect: 100-continue\r\n" JSON BODY(13, "{\"keyId\":\"k\"}")) && reply.status == 200);
	return 0;
}

static void
answers_are_small_heads_on_kept_connections(void **state)
{
	const char *log;

	(void)state;
	log = play(scene_answers);
	assert_non_null(strstr(log, " [INFO] - Starting server...\n"));
	assert_non_null(strstr(log, " [INFO] - <-- GET /who" V1 " {}\n"));
	assert_non_null(strstr(log, " [INFO] - <-- GET /later" V1 " {\"host\": \"keyd.sock\"}\n"));
	assert_non_null(strstr(log, " [INFO] - <-- GET /text" V1 " {\"user-agent\": \"me\"}\n"));
	assert_non_null(strstr(log, " [INFO] - --> 200 {\"content-type\": \"application/json\"}\n"));
	assert_non_null(strstr(log, " [INFO] - --> 204 {}\n"));
	assert_null(strstr(log, "secret"));
}

/* Fill what this user may have, and one more. */
static int
fill(const struct stage *s, int *last)
{
	unsigned max = s->service.per_uid * (getuid() == 0 ? API_ROOT_FACTOR : 1);

	for (unsigned i = 0; i < max; i++) {
		int fd = dial(s);

		NEED(say(fd, "GET /who" V1 H "\r\n") && hear(fd) && reply.status == 200);
	}
	*last = dial(s);
	return 0;
}

static int
scene_full_closed(const struct stage *s)
{
	char c;
	int fd;

	NEED(fill(s, &fd) == 0);
	NEED(recv(fd, &c, 1, 0) <= 0);
	return 0;
}

static int
scene_full_told(const struct stage *s)
{
	int fd;

	NEED(fill(s, &fd) == 0);
	NEED(say(fd, "GET /who" V1 H "\r\n") && hear(fd) && reply.status == 429);
	NEED(has_field("content-type: application/json") && strcasestr(reply.head, "\r\nretry-after: ") != NULL);
	return 0;
}

static void
one_user_has_so_many_connections(void **state)
{
	(void)state;
	for (int closes = 0; closes < 2; closes++) {
		struct stage s = { 0 };

		stage_open(&s, 2, closes);
		stage_play(&s, closes ? scene_full_closed : scene_full_told);
		assert_non_null(strstr(stage_close(&s), "Max simultaneous connections reached for user "));
	}
}

static int
scene_drain(const struct stage *s)
{
	int fd = dial(s), idle = dial(s);
	struct stat st;

	NEED(say(idle, "GET /who" V1 H "\r\n") && hear(idle));
	NEED(stat(s->place.socket, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 07777) == 0660);
	NEED(say(fd, "GET /drain" V1 H "\r\n") && hear(fd) && reply.status == 204);
	NEED(recv(fd, reply.body, 1, 0) == 0 && recv(idle, reply.body, 1, 0) == 0);
	return 0;
}

static void
draining_lets_calls_finish(void **state)
{
	struct stage s = { 0 };

	(void)state;
	stage_open(&s, 100, false);
	stage_play(&s, scene_drain);
	assert_true(s.drained);
	(void)stage_close(&s);
}

static int
scene_keep(const struct stage *s)
{
	int fd = dial(s), other = dial(s);

	NEED(say(fd, "GET /keep" V1 H "\r\n"));
	NEED(say(other, "GET /who" V1 H "\r\n") && hear(other) && reply.status == 200); /* nobody waits for it */
	return 0;
}

static void
calls_that_nobody_answered_go_with_the_api(void **state)
{
	struct stage s = { 0 };

	(void)state;
	stage_open(&s, 100, false);
	stage_play(&s, scene_keep);
	assert_non_null(s.waiting);
	(void)stage_close(&s);
}

/* --- the socket --- */

static int
listening_socket(int family)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(family, SOCK_STREAM, 0);

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s/passed", scratch);
	if (family == AF_UNIX)
		return bind(fd, (const struct sockaddr *)&un, sizeof(un)) == 0 && listen(fd, 1) == 0 ? fd : -1;
	return bind(fd, (const struct sockaddr *)&in, sizeof(in)) == 0 && listen(fd, 1) == 0 ? fd : -1;
}

/* In a child, as the service manager starts a service: sockets from 3 on, and whether one was bound. */
static int
start_passed(int family, const char *fds, bool ours, int *r, bool *bound)
{
	struct api_service service = { "fake", versions, routes, 10, false };
	struct loop *l;
	struct place p;
	struct api *a = NULL;
	struct stat st;
	char pid[24];
	int fd = listening_socket(family);

	NEED(fd >= 0 && dup2(fd, 3) == 3 && dup2(fd, 4) == 4);
	(void)snprintf(pid, sizeof(pid), "%d", ours ? getpid() : getppid());
	(void)setenv("LISTEN_PID", pid, 1);
	(void)setenv("LISTEN_FDS", fds, 1);
	NEED(place_find(&p, "certd", scratch, NULL) == 0);
	l = loop_new();
	*r = api_new(&a, l, &service, &p, NULL, NULL);
	*bound = stat(p.socket, &st) == 0;
	NEED(*r != 0 || *bound || fcntl(3, F_GETFD) == FD_CLOEXEC);
	api_free(a);
	loop_free(l);
	return 0;
}

static int
in_child(int (*fn)(void))
{
	pid_t pid = fork();
	int status = -1;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int
pass_one(void)
{
	bool bound;
	int r;

	NEED(start_passed(AF_UNIX, "1", true, &r, &bound) == 0);
	NEED(r == 0 && !bound);
	return 0;
}

static int
pass_to_another(void)
{
	bool bound;
	int r;

	NEED(start_passed(AF_UNIX, "1", false, &r, &bound) == 0);
	NEED(r == 0 && bound);
	return 0;
}

static int
pass_two(void)
{
	bool bound;
	int r;

	NEED(start_passed(AF_UNIX, "2", true, &r, &bound) == 0);
	NEED(r == 0 && bound);
	return 0;
}

static int
pass_tcp(void)
{
	bool bound;
	int r;

	NEED(start_passed(AF_INET, "1", true, &r, &bound) == 0);
	NEED(r == E_USAGE && !bound);
	return 0;
}

static void
a_passed_unix_socket_is_used_when_it_is_the_only_one_and_ours(void **state)
{
	static int (*const cases[])(void) = { pass_one, pass_to_another, pass_two, pass_tcp };

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		int status;

		scratch_make();
		scratch_catch_log();
		status = in_child(cases[i]);
		(void)scratch_log();
		scratch_remove();
		assert_int_equal(status, 0);
	}
}

static int
refused_to_listen(int code)
{
	struct api_service service = { "fake", versions, routes, 10, false };
	struct loop *l = loop_new();
	struct api *a = NULL;
	struct place p;
	int r;

	assert_int_equal(place_find(&p, "keyd", scratch, NULL), 0);
	r = api_new(&a, l, &service, &p, NULL, NULL);
	api_free(a);
	loop_free(l);
	return r == code;
}

static void
a_socket_s_place_is_not_taken_by_force(void **state)
{
	(void)state;
	scratch_make();
	scratch_catch_log();
	scratch_write("run/aziot/keyd.sock", "a file");
	assert_true(refused_to_listen(E_EXISTS));
	assert_int_equal(unlink(scratch_path("run/aziot/keyd.sock")), 0);
	assert_int_equal(symlink("/dev/null", scratch_path("run/aziot/keyd.sock")), 0);
	assert_true(refused_to_listen(E_EXISTS));
	assert_int_equal(unlink(scratch_path("run/aziot/keyd.sock")), 0);
	assert_int_equal(chmod(scratch_path("run/aziot"), 0777), 0);
	assert_true(refused_to_listen(E_POLICY));
	assert_int_equal(chmod(scratch_path("run/aziot"), 0755), 0);
	assert_true(refused_to_listen(0));
	assert_true(refused_to_listen(0)); /* a socket that was left behind is replaced */
	(void)scratch_log();
	scratch_remove();
}

static void
the_service_manager_is_told(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct stage s = { 0 };
	char text[100] = "";

	(void)state;
	(void)snprintf(un.sun_path, sizeof(un.sun_path), "/tmp/service-notify-%d", getpid());
	(void)unlink(un.sun_path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&un, sizeof(un)), 0);
	(void)setenv("NOTIFY_SOCKET", un.sun_path, 1);
	stage_open(&s, 1, false);
	assert_true(recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT) > 0);
	(void)unsetenv("NOTIFY_SOCKET");
	(void)stage_close(&s);
	(void)unlink(un.sun_path);
	(void)close(fd);
	assert_string_equal(text, "READY=1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_version_is_judged_before_the_path),
		cmocka_unit_test(routes_go_by_path_version_and_method),
		cmocka_unit_test(an_id_is_the_rest_of_the_path_decoded_once),
		cmocka_unit_test(bodies_are_taken_by_method_and_type),
		cmocka_unit_test(malformed_requests_are_refused_in_json),
		cmocka_unit_test(errors_have_their_status_and_internal_ones_say_no_more),
		cmocka_unit_test(answers_are_small_heads_on_kept_connections),
		cmocka_unit_test(one_user_has_so_many_connections),
		cmocka_unit_test(draining_lets_calls_finish),
		cmocka_unit_test(calls_that_nobody_answered_go_with_the_api),
		cmocka_unit_test(a_passed_unix_socket_is_used_when_it_is_the_only_one_and_ours),
		cmocka_unit_test(a_socket_s_place_is_not_taken_by_force),
		cmocka_unit_test(the_service_manager_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
