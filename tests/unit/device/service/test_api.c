/* SPDX-License-Identifier: Apache-2.0 */
/* tests: what existing clients see on a service's socket */
#include "tests/unit/device/service/stage.h"

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
