/* SPDX-License-Identifier: Apache-2.0 */
/* tests: requests in, answers out, over plain connections */
#include "tests/unit/core/net/play.h"

#define HOST "Host: a\r\n"

static int
scene_keep_alive(struct stage *s)
{
	struct client c = dial(s, NULL);

	for (int i = 0; i < 3; i++) {
		NEED(say(&c, "POST /%65cho?x=%20 HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"));
		NEED(hear(&c, false));
		NEED(reply.status == 200 && strcmp(reply.version, "HTTP/1.1") == 0);
		NEED(body_is("POST /echo /%65cho x=%20 5 5:hello"));
		NEED(has_field("Content-Type: text/plain") && has_field("Cache-Control: no-store"));
		NEED(strstr(reply.head, "\r\nDate: ") != NULL && strstr(reply.head, "\r\nX-Request-Id: r") != NULL);
		NEED(strstr(reply.head, "\r\nConnection: ") == NULL);
	}
	return 0;
}

static void
a_connection_carries_one_request_after_another(void **state)
{
	(void)state;
	play(scene_keep_alive, NULL, NULL);
}

static int
scene_pipelined(struct stage *s)
{
	struct client c = dial(s, NULL);

	NEED(say(&c, "GET /1 HTTP/1.1\r\n" HOST "\r\nGET /late HTTP/1.1\r\n" HOST "\r\n"
	    "POST /3 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcGET /late HTTP/1.1\r\n" HOST "\r\n"
	    "GET /5 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\nGET /6 HTTP/1.1\r\n" HOST "\r\n"));
	NEED(hear(&c, false) && body_has("/1"));
	NEED(hear(&c, false) && body_is("late"));
	NEED(hear(&c, false) && body_has("3:abc"));
	NEED(hear(&c, false) && body_is("late"));
	NEED(hear(&c, false) && body_has("/5") && has_field("Connection: close"));
	NEED(is_closed(&c));
	return 0;
}

static void
pipelined_requests_are_answered_in_order_and_none_after_close(void **state)
{
	struct stage s = { 0 };

	(void)state;
	stage_open(&s, NULL, NULL);
	stage_play(&s, scene_pipelined);
	assert_int_equal(s.asked, 5);
	stage_close(&s);
}

static int
scene_octet_by_octet(struct stage *s)
{
	static const char text[] = "\r\nPOST /slow HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nabcd\r\nGET /next HTTP/1.1\r\n"
	                           HOST "\r\n";
	struct client c = dial(s, NULL);
	const int one = 1;

	(void)setsockopt(c.fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one));
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		NEED(say_octets(&c, text + i, 1));
	NEED(hear(&c, false) && body_has("4:abcd"));
	NEED(hear(&c, false) && body_has("/next"));
	return 0;
}

static void
requests_may_come_octet_by_octet_with_empty_lines_between(void **state)
{
	(void)state;
	play(scene_octet_by_octet, NULL, NULL);
}

static int
scene_old(struct stage *s)
{
	struct client c = dial(s, NULL);

	NEED(say(&c, "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n\r\n"));
	NEED(hear(&c, false));
	NEED(reply.status == 200 && strcmp(reply.version, "HTTP/1.0") == 0);
	NEED(has_field("Connection: close") && body_has("/x"));
	NEED(is_closed(&c));
	return 0;
}

static void
an_http_1_0_request_gets_a_1_0_answer_and_a_close(void **state)
{
	(void)state;
	play(scene_old, NULL, NULL);
}

static int
scene_head(struct stage *s)
{
	struct client c = dial(s, NULL);

	NEED(say(&c, "HEAD /record HTTP/1.1\r\n" HOST "\r\n"));
	NEED(hear(&c, true) && reply.status == 200 && has_field("Content-Length: 15000"));
	NEED(say(&c, "HEAD /file HTTP/1.1\r\n" HOST "\r\n"));
	NEED(hear(&c, true) && reply.status == 200 && has_field("Content-Length: 100000"));
	NEED(say(&c, "GET /empty HTTP/1.1\r\n" HOST "\r\n"));
	NEED(hear(&c, false) && reply.status == 204);
	NEED(say(&c, "GET /after HTTP/1.1\r\n" HOST "\r\n"));
	NEED(hear(&c, false) && body_has("/after"));
	return 0;
}

static void
head_and_204_have_no_body(void **state)
{
	(void)state;
	play(scene_head, NULL, NULL);
}

static bool
is_pattern(size_t n)
{
	if (reply.n != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (reply.body[i] != i % 251)
			return false;
	}
	return true;
}

static int
scene_big(struct stage *s)
{
	struct client c = dial(s, NULL);

	NEED(say(&c, "GET /big HTTP/1.1\r\n" HOST "\r\n"));
	NEED(hear(&c, false) && is_pattern(300000));
	NEED(say(&c, "GET /file HTTP/1.1\r\n" HOST "\r\n"));
	NEED(hear(&c, false) && is_pattern(100000) && has_field("Content-Type: application/pkix-crl"));
	NEED(say(&c, "GET /big HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"));
	NEED(hear(&c, false) && is_pattern(300000));
	NEED(is_closed(&c));
	return 0;
}

static void
answers_and_files_larger_than_any_buffer_arrive_whole(void **state)
{
	(void)state;
	play(scene_big, NULL, NULL);
}

static int
scene_fields(struct stage *s)
{
	struct client c = dial(s, NULL);

	NEED(say(&c, "GET /cached HTTP/1.1\r\n" HOST "\r\n"));
	NEED(hear(&c, false) && has_field("Cache-Control: max-age=60") && has_field("ETag: \"1\""));
	NEED(strstr(reply.head, "no-store") == NULL);
	NEED(say(&c, "GET /header HTTP/1.1\r\n" HOST "X-A:  one \r\nx-a: two\r\n\r\n"));
	NEED(hear(&c, false) && body_is("one"));
	NEED(say(&c, "GET /refuse HTTP/1.1\r\n" HOST "\r\n"));
	NEED(hear(&c, false) && reply.status == 403 && body_has("no: not you\nrequest: r"));
	NEED(say(&c, "GET /split HTTP/1.1\r\n" HOST "\r\n"));
	NEED(hear(&c, false) && reply.status == 500 && strstr(reply.head, "X-Other") == NULL);
	NEED(is_closed(&c));
	return 0;
}

static void
fields_go_both_ways_and_cannot_be_split(void **state)
{
	(void)state;
	play(scene_fields, NULL, NULL);
}

static int
scene_chunked(struct stage *s)
{
	struct client c = dial(s, NULL);

	NEED(say(&c, "POST /x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"));
	NEED(say(&c, "4\r\ndefg\r\n0\r\n\r\n"));
	NEED(hear(&c, false) && reply.status == 200 && body_has("7:abcdefg"));
	NEED(has_field("Connection: close") && is_closed(&c));
	c = dial(s, NULL);
	NEED(say(&c, "POST /late HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n" HOST "\r\n"));
	NEED(hear(&c, false) && body_is("late"));
	NEED(is_closed(&c));
	return 0;
}

static void
chunked_bodies_are_taken_and_end_the_connection(void **state)
{
	struct stage s = { 0 };

	(void)state;
	stage_open(&s, NULL, NULL);
	stage_play(&s, scene_chunked);
	assert_int_equal(s.asked, 2);
	stage_close(&s);
}

/* RFC 9112 7.1.1 would have them ignored; libmicrohttpd 1.0.1 refuses them at every level of strictness. */
static int
scene_chunk_extension(struct stage *s)
{
	struct client c = dial(s, NULL);

	NEED(say(&c, "POST /x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n4;ext=1\r\ndefg\r\n0\r\n\r\n"));
	NEED(hear(&c, false) && (reply.status == 200 ? body_has("4:defg") : reply.status == 400));
	NEED(is_closed(&c));
	return 0;
}

static void
a_chunk_extension_is_ignored_or_refused_and_never_body(void **state)
{
	(void)state;
	play(scene_chunk_extension, NULL, NULL);
}

static int
scene_bad_chunks(struct stage *s)
{
	static const char *const bodies[] = { "x\r\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "-1\r\n\r\n",
		"ffffffffffffffffff\r\nabc\r\n", " 3\r\nabc\r\n0\r\n\r\n", "0x3\r\nabc\r\n0\r\n\r\n" };

	for (size_t i = 0; i < N_OF(bodies); i++) {
		struct client c = dial(s, NULL);

		NEED(say(&c, "POST /x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"));
		NEED(say(&c, bodies[i]));
		NEED(hear(&c, false) && reply.status == 400 && has_field("Connection: close"));
		NEED(is_closed(&c));
		hang_up(&c);
	}
	return 0;
}

static void
broken_chunks_are_refused_in_our_words(void **state)
{
	struct stage s = { 0 };

	(void)state;
	stage_open(&s, NULL, NULL);
	stage_play(&s, scene_bad_chunks);
	assert_int_equal(s.asked, 0);
	assert_true(was_refused(&s, "body.syntax"));
	stage_close(&s);
}

static int
scene_expect(struct stage *s)
{
	struct client c = dial(s, NULL);

	NEED(say(&c, "POST /x HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
	NEED(hear(&c, true) && reply.status == 100);
	NEED(say(&c, "abc"));
	NEED(hear(&c, false) && reply.status == 200 && body_has("3:abc"));
	NEED(say(&c, "POST /y HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc"));
	NEED(hear(&c, false) && reply.status == 200 && body_has("/y"));
	NEED(say(&c, "POST /z HTTP/1.1\r\n" HOST "Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"));
	NEED(hear(&c, false) && reply.status == 413);
	NEED(is_closed(&c));
	c = dial(s, NULL);
	NEED(say(&c, "POST /x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"));
	NEED(hear(&c, true) && reply.status == 100);
	NEED(say(&c, "3\r\nabc\r\n0\r\n\r\n"));
	NEED(hear(&c, false) && reply.status == 200 && body_has("3:abc"));
	return 0;
}

static void
an_expectation_is_met_once_or_refused_at_once(void **state)
{
	(void)state;
	play(scene_expect, NULL, NULL);
}

static int
scene_refused(struct stage *s)
{
	static const struct { const char *text; int status; } cases[] = {
		{ "GET / HTTP/1.1\nHost", 400 }, { "GET / HTTP/1.1\r\n\r\n", 400 }, { "TRACE / HTTP/1.1\r\n" HOST "\r\n", 501 },
		{ "GET /%2e%2e/x HTTP/1.1\r\n" HOST "\r\n", 400 }, { "GET / HTTP/2.0\r\n" HOST "\r\n", 505 },
		{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
		  "GET /smuggled HTTP/1.1\r\n" HOST "\r\n", 400 },
		{ "POST / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\nhello", 400 },
		{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n", 413 },
		{ "GET / HTTP/1.1\r\n" HOST "Expect: x\r\n\r\n", 417 },
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		struct client c = dial(s, NULL);

		NEED(say(&c, cases[i].text));
		NEED(hear(&c, false) && reply.status == cases[i].status);
		NEED(has_field("Connection: close") && has_field("Content-Type: text/plain; charset=utf-8"));
		NEED(body_has("\nrequest: r") && strstr(reply.head, "\r\nX-Request-Id: r") != NULL);
		NEED(is_closed(&c));
		hang_up(&c);
	}
	return 0;
}

static void
what_the_guard_refuses_never_reaches_the_handler(void **state)
{
	struct stage s = { 0 };

	(void)state;
	stage_open(&s, NULL, NULL);
	stage_play(&s, scene_refused);
	assert_int_equal(s.asked, 0);
	assert_true(was_refused(&s, "head.syntax") && was_refused(&s, "head.path") && was_refused(&s, "body.size"));
	stage_close(&s);
}

static int
scene_half_closed(struct stage *s)
{
	struct client c = dial(s, NULL);

	NEED(say(&c, "GET /late HTTP/1.1\r\n" HOST "\r\n"));
	NEED(shutdown(c.fd, SHUT_WR) == 0);
	NEED(hear(&c, false) && body_is("late"));
	NEED(is_closed(&c));
	return 0;
}

static void
a_client_that_has_said_its_last_word_still_gets_its_answer(void **state)
{
	(void)state;
	play(scene_half_closed, NULL, NULL);
}

static struct stage *draining;

static void
begin_drain(void *ctx)
{
	(void)ctx;
	http_server_drain(draining->server, 5000, stage_drained, draining);
}

static int
scene_drain(struct stage *s)
{
	struct client idle = dial(s, NULL), c = dial(s, NULL);

	NEED(say(&idle, "GET / HTTP/1.1\r\n" HOST "\r\n") && hear(&idle, false));
	NEED(say(&c, "GET /late HTTP/1.1\r\n" HOST "\r\n")); /* answered after the drain has begun */
	NEED(hear(&c, false) && body_is("late") && has_field("Connection: close"));
	NEED(is_closed(&c) && is_closed(&idle));
	return 0;
}

static void
ignore_child(void *ctx, pid_t pid, int status)
{
	struct stage *s = ctx;

	(void)pid;
	s->status = status;
	if (s->drained)
		loop_stop(s->loop, 0);
}

static void
note_drained(void *ctx)
{
	struct stage *s = ctx;

	s->drained = true;
	if (s->status != -1)
		loop_stop(s->loop, 0);
}

static void
drain_when_asked(void *ctx, struct http_request *r)
{
	struct stage *s = ctx;

	stage_handle(s, r);
	if (s->n_late != 0)
		http_server_drain(s->server, 5000, note_drained, s);
}

static void
a_drain_lets_requests_finish_and_closes_the_idle(void **state)
{
	struct stage s = { .status = -1 };
	struct http_server *usual;
	struct err e = { 0 };
	int fd;
	pid_t pid;

	(void)state;
	stage_open(&s, NULL, NULL);
	usual = s.server;
	s.server = http_server_new(s.loop, &http_limits_default, drain_when_asked, stage_refused, &s);
	http_server_free(usual);
	assert_int_equal(peer_listen_tcp(&fd, "127.0.0.1", 0, false, &s.port, &e), 0);
	assert_int_equal(http_server_listen(s.server, fd, NULL, 5, &e), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(scene_drain(&s) % 256);
	loop_on_child(s.loop, pid, ignore_child, &s);
	(void)loop_run(s.loop);
	assert_true(s.drained && WIFEXITED(s.status));
	assert_int_equal(WEXITSTATUS(s.status), 0);
	stage_close(&s);
}

static void
a_drain_of_nothing_is_done_at_once(void **state)
{
	struct stage s = { 0 };

	(void)state;
	stage_open(&s, NULL, NULL);
	draining = &s;
	begin_drain(NULL);
	(void)loop_run(s.loop);
	assert_true(s.drained);
	stage_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_carries_one_request_after_another),
		cmocka_unit_test(pipelined_requests_are_answered_in_order_and_none_after_close),
		cmocka_unit_test(requests_may_come_octet_by_octet_with_empty_lines_between),
		cmocka_unit_test(an_http_1_0_request_gets_a_1_0_answer_and_a_close),
		cmocka_unit_test(head_and_204_have_no_body),
		cmocka_unit_test(answers_and_files_larger_than_any_buffer_arrive_whole),
		cmocka_unit_test(fields_go_both_ways_and_cannot_be_split),
		cmocka_unit_test(chunked_bodies_are_taken_and_end_the_connection),
		cmocka_unit_test(a_chunk_extension_is_ignored_or_refused_and_never_body),
		cmocka_unit_test(broken_chunks_are_refused_in_our_words),
		cmocka_unit_test(an_expectation_is_met_once_or_refused_at_once),
		cmocka_unit_test(what_the_guard_refuses_never_reaches_the_handler),
		cmocka_unit_test(a_client_that_has_said_its_last_word_still_gets_its_answer),
		cmocka_unit_test(a_drain_lets_requests_finish_and_closes_the_idle),
		cmocka_unit_test(a_drain_of_nothing_is_done_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
