/* SPDX-License-Identifier: Apache-2.0 */
/* test_local.c - requests over a Unix socket: honest answers in every form, and hostile ones */
#include "core/net/local.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/time.h>
#include <cmocka.h>

#include "tests/unit/core/net/unix_peer.h"

#define PATIENCE_MS 30000

/* An answer: text, then `times` more of `more`. */
struct said {
	const char *text;
	size_t times;
	const char *more;
	bool hold;       /* and the connection stays open */
};

static bool
say(struct buf *out, size_t nth, struct bytes request, void *ctx)
{
	const struct said *s = ctx;

	(void)nth;
	(void)request;
	buf_put_str(out, s->text);
	for (size_t i = 0; i < s->times; i++)
		buf_put_str(out, s->more);
	return s->hold;
}

static int
ask(struct local_answer *a, const struct said *s, unsigned deadline_ms, struct err *e)
{
	struct unix_peer peer;
	int r;

	unix_peer_start(&peer, say, (void *)(uintptr_t)s);
	r = local_run(a, peer.path, "GET", "/x", (struct bytes){ 0 }, deadline_ms, e);
	unix_peer_stop(&peer, NULL);
	return r;
}

static void
honest_answers_are_read_in_every_form(void **state)
{
	static const struct {
		struct said said;
		unsigned status;
		bool json;
		const char *body;
	} rows[] = {
		{ { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}", .hold = true },
		  200, true, "{}" },
		{ { "HTTP/1.1 200 OK\r\ncontent-type:application/json; charset=utf-8 \r\ncontent-length:0\r\n\r\n", .hold = true },
		  200, true, "" },
		{ { "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end" }, 200, false, "until the end" },
		{ { "HTTP/1.1 200 OK\r\nContent-Type: application/jsonx\r\n\r\n{}" }, 200, false, "{}" },
		{ { "HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
		    .hold = true }, 400, false, "abc0123456789" },
		{ { "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n", .hold = true }, 200, false, "" },
		{ { "HTTP/1.1 204 No Content\r\n\r\n", .hold = true }, 204, false, "" },
		{ { "HTTP/1.1 204\r\nContent-Length: 7\r\n\r\n", .hold = true }, 204, false, "" },
		{ { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}and more", .hold = true }, 200, false, "{}" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct local_answer a;
		struct err e = { 0 };

		if (ask(&a, &rows[i].said, PATIENCE_MS, &e) != 0)
			fail_msg("row %zu: %s", i, e.msg);
		assert_int_equal(a.status, rows[i].status);
		assert_int_equal(a.json, rows[i].json);
		assert_string_equal(buf_str(&a.body), rows[i].body);
		local_clear(&a);
	}
}

#define OK "HTTP/1.1 200 OK\r\n"

static void
hostile_answers_are_errors(void **state)
{
	static const struct {
		struct said said;
		int code;
	} rows[] = {
		/* no answer, or no HTTP */
		{ { "" }, E_UNAVAIL },
		{ { "HTTP/1.1 200 OK" }, E_FORMAT },
		{ { "\r\n\r\n" }, E_FORMAT },
		{ { "SSH-2.0-OpenSSH_9\r\n" }, E_FORMAT },
		{ { "HTTP/2.0 200 OK\r\n\r\n" }, E_FORMAT },
		{ { "HTTP/1.1 20 OK\r\n\r\n" }, E_FORMAT },
		{ { "HTTP/1.1 2000 OK\r\n\r\n" }, E_FORMAT },
		{ { "HTTP/1.1 -20 OK\r\n\r\n" }, E_FORMAT },
		{ { "HTTP/1.1 100 Continue\r\n\r\n" }, E_FORMAT },
		{ { "HTTP/1.1 999 OK\r\n\r\n" }, E_FORMAT },
		/* heads */
		{ { OK, 1000000, "a: b\r\n" }, E_TOOBIG },
		{ { "HTTP/1.1 200 ", 9000, "a" }, E_TOOBIG },
		{ { OK "a: ", 9000, "b" }, E_TOOBIG },
		{ { OK "a: b\n\r\n" }, E_FORMAT },
		{ { OK "a: b\rc: d\r\n\r\n" }, E_FORMAT },
		{ { OK "no colon\r\n\r\n" }, E_FORMAT },
		{ { OK ": no name\r\n\r\n" }, E_FORMAT },
		{ { OK "name : value\r\n\r\n" }, E_FORMAT },
		{ { OK "a: b\r\n folded: c\r\n\r\n" }, E_FORMAT },
		{ { OK "a: b\r\n" }, E_FORMAT },
		/* lengths */
		{ { OK "Content-Length: -1\r\n\r\n" }, E_FORMAT },
		{ { OK "Content-Length: +1\r\n\r\nx" }, E_FORMAT },
		{ { OK "Content-Length: 0x1\r\n\r\nx" }, E_FORMAT },
		{ { OK "Content-Length:\r\n\r\n" }, E_FORMAT },
		{ { OK "Content-Length: 1, 1\r\n\r\nx" }, E_FORMAT },
		{ { OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx" }, E_FORMAT },
		{ { OK "Content-Length: 99999999999999999999\r\n\r\n" }, E_FORMAT },
		{ { OK "Content-Length: 9223372036854775807\r\n\r\n", .hold = true }, E_TOOBIG },
		{ { OK "Content-Length: 4194305\r\n\r\n", .hold = true }, E_TOOBIG },
		{ { OK "Content-Length: 10\r\n\r\nshort" }, E_FORMAT },
		{ { OK "\r\n", 300000, "0123456789abcdef" }, E_TOOBIG },
		/* chunks */
		{ { OK "Transfer-Encoding: gzip, chunked\r\n\r\n" }, E_FORMAT },
		{ { OK "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" }, E_FORMAT },
		{ { OK "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" }, E_FORMAT },
		{ { OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" }, E_FORMAT },
		{ { OK "Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n" }, E_FORMAT },
		{ { OK "Transfer-Encoding: chunked\r\n\r\n\r\n" }, E_FORMAT },
		{ { OK "Transfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n0\r\n\r\n" }, E_FORMAT },
		{ { OK "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n" }, E_FORMAT },
		{ { OK "Transfer-Encoding: chunked\r\n\r\n4\r\nabc\r\n0\r\n\r\n" }, E_FORMAT },
		{ { OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" }, E_FORMAT },
		{ { OK "Transfer-Encoding: chunked\r\n\r\n0\r\n" }, E_FORMAT },
		{ { OK "Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n", .hold = true }, E_TOOBIG },
		{ { OK "Transfer-Encoding: chunked\r\n\r\n000000001\r\nx\r\n0\r\n\r\n" }, E_FORMAT },
		{ { OK "Transfer-Encoding: chunked\r\n\r\n0\r\n", 100000, "a: b\r\n" }, E_TOOBIG },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct local_answer a;
		struct err e = { 0 };
		int r = ask(&a, &rows[i].said, PATIENCE_MS, &e);

		if (r != rows[i].code)
			fail_msg("row %zu: %d, %s", i, r, e.msg);
		assert_int_equal(a.body.n, 0);
		assert_true(e.msg[0] != '\0');
	}
}

static void
many_chunks_together_are_limited(void **state)
{
	static const struct said s = { OK "Transfer-Encoding: chunked\r\n\r\n", 300000, "10\r\n0123456789abcdef\r\n" };
	struct local_answer a;
	struct err e;

	(void)state;
	assert_int_equal(ask(&a, &s, PATIENCE_MS, &e), E_TOOBIG);
}

static void
an_answer_of_the_largest_size_is_read(void **state)
{
	static const struct said s = { OK "Content-Length: 4194304\r\n\r\n", 262144, "0123456789abcdef", true };
	struct local_answer a;
	struct err e;

	(void)state;
	assert_int_equal(ask(&a, &s, PATIENCE_MS, &e), 0);
	assert_int_equal(a.body.n, LOCAL_ANSWER_MAX);
	assert_memory_equal(a.body.p + a.body.n - 16, "0123456789abcdef", 16);
	local_clear(&a);
}

/* A service that says nothing, or a part, and stays. */
static void
the_deadline_is_for_the_whole(void **state)
{
	static const struct said rows[] = {
		{ "", .hold = true },
		{ "HTTP/1.1 20", .hold = true },
		{ OK "Content-Length: 10\r\n\r\nshort", .hold = true },
		{ OK "\r\nno end in sight", .hold = true },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct local_answer a;
		struct err e;

		assert_int_equal(ask(&a, &rows[i], 20, &e), E_UNAVAIL);
		assert_non_null(strstr(e.msg, "in time"));
		assert_int_equal(ask(&a, &rows[i], 0, &e), E_UNAVAIL);
	}
}

static bool
say_no_content(struct buf *out, size_t nth, struct bytes request, void *ctx)
{
	(void)nth;
	(void)request;
	(void)ctx;
	buf_put_str(out, "HTTP/1.1 204 No Content\r\n\r\n");
	return false;
}

static bool
be_busy_twice(struct buf *out, size_t nth, struct bytes request, void *ctx)
{
	(void)request;
	(void)ctx;
	buf_put_str(out, nth < 2 ? "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nContent-Length: 4\r\n\r\nbusy"
	    : "HTTP/1.1 204 No Content\r\n\r\n");
	return false;
}

static void
a_service_with_too_many_connections_is_asked_again(void **state)
{
	struct local_answer a;
	struct unix_peer peer;
	struct err e;

	(void)state;
	unix_peer_start(&peer, be_busy_twice, NULL);
	assert_int_equal(local_run(&a, peer.path, "GET", "/", (struct bytes){ 0 }, 0, &e), E_UNAVAIL);
	assert_int_equal(local_run(&a, peer.path, "GET", "/", (struct bytes){ 0 }, PATIENCE_MS, &e), 0);
	assert_int_equal(a.status, 204);
	assert_int_equal(a.body.n, 0);
	local_clear(&a);
	unix_peer_stop(&peer, NULL);
}

static void
nobody_there_is_unavailable_and_named(void **state)
{
	struct local_answer a;
	struct unix_peer peer;
	struct err e;
	char path[300];

	(void)state;
	unix_peer_start(&peer, say_no_content, NULL);
	unix_peer_stop(&peer, NULL);
	assert_int_equal(local_run(&a, peer.path, "GET", "/", (struct bytes){ 0 }, PATIENCE_MS, &e), E_UNAVAIL);
	assert_non_null(strstr(e.msg, peer.path));
	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(local_run(&a, path, "GET", "/", (struct bytes){ 0 }, PATIENCE_MS, &e), E_USAGE);
}

static void
on_signal(int n)
{
	(void)n;
}

/* Signals of a program that has us in it: one each millisecond, or none. */
static void
set_signals(bool on)
{
	struct sigaction how = { .sa_handler = on ? on_signal : SIG_DFL };
	struct itimerval each = { .it_interval = { .tv_usec = on ? 1000 : 0 }, .it_value = { .tv_usec = on ? 1000 : 0 } };

	if (on)
		assert_int_equal(sigaction(SIGALRM, &how, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &each, NULL), 0);
	if (!on)
		assert_int_equal(sigaction(SIGALRM, &how, NULL), 0);
}

/* A backlog that is full makes connect() wait; signals do not end that. */
static void
a_service_that_accepts_nobody_is_given_up_at_the_deadline(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/local-XXXXXX";
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), waiting[8];
	struct local_answer a;
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/s", dir);
	assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(listener, 0), 0);
	for (size_t i = 0; i < N_OF(waiting); i++) {
		waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(waiting[i], (struct sockaddr *)&sa, sizeof(sa));
	}
	assert_int_equal(local_run(&a, sa.sun_path, "GET", "/", (struct bytes){ 0 }, 30, &e), E_UNAVAIL);
	set_signals(true);
	assert_int_equal(local_run(&a, sa.sun_path, "GET", "/", (struct bytes){ 0 }, 30, &e), E_UNAVAIL);
	set_signals(false);
	assert_string_equal(e.msg, "no answer in time");
	for (size_t i = 0; i < N_OF(waiting); i++)
		(void)close(waiting[i]);
	(void)close(listener);
	(void)unlink(sa.sun_path);
	(void)rmdir(dir);
}

static void
the_request_is_what_was_meant(void **state)
{
	struct unix_peer peer;
	struct local_answer a;
	AUTO_BUF seen = { 0 };
	struct err e;

	(void)state;
	unix_peer_start(&peer, say_no_content, NULL);
	assert_int_equal(local_run(&a, peer.path, "GET", "/keypair/x?a=b", (struct bytes){ 0 }, PATIENCE_MS, &e), 0);
	local_clear(&a);
	assert_int_equal(local_run(&a, peer.path, "POST", "/sign", bytes_of("{\"a\":1}"), PATIENCE_MS, &e), 0);
	local_clear(&a);
	unix_peer_stop(&peer, &seen);
	assert_string_equal(buf_str(&seen),
	    "GET /keypair/x?a=b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
	    "POST /sign HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
	    "Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}");
}

static void
a_segment_has_no_sign_that_means_something(void **state)
{
	AUTO_BUF b = { 0 };

	(void)state;
	local_put_segment(&b, "aziot-edged/module/a b:1?x&y=%\x01\xc3\xa4~._-Z9\r\n#+");
	assert_string_equal(buf_str(&b), "aziot-edged%2Fmodule%2Fa%20b%3A1%3Fx%26y%3D%25%01%C3%A4~._-Z9%0D%0A%23%2B");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(honest_answers_are_read_in_every_form),
		cmocka_unit_test(hostile_answers_are_errors),
		cmocka_unit_test(many_chunks_together_are_limited),
		cmocka_unit_test(an_answer_of_the_largest_size_is_read),
		cmocka_unit_test(the_deadline_is_for_the_whole),
		cmocka_unit_test(a_service_with_too_many_connections_is_asked_again),
		cmocka_unit_test(nobody_there_is_unavailable_and_named),
		cmocka_unit_test(a_service_that_accepts_nobody_is_given_up_at_the_deadline),
		cmocka_unit_test(the_request_is_what_was_meant),
		cmocka_unit_test(a_segment_has_no_sign_that_means_something),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
