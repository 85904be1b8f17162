/* SPDX-License-Identifier: Apache-2.0 */
/* tests: Unix sockets for clients that were written against another server, and what one of them may take */
#include "tests/unit/core/net/play.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/net/limits.h"

#define BARE "GET /x HTTP/1.1\r\n\r\n"

static const struct http_local all = {
	.no_host_ok = true, .raw_paths = true, .json_refusals = true, .plain_head = true,
};

/* Open the stage on a socket in a directory of its own; the name goes with it. */
static void
open_local(struct stage *s, const struct http_limits *lim, const struct http_local *local)
{
	char dir[] = "/tmp/local-XXXXXX";

	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	(void)snprintf(s->path, sizeof(s->path), "%s/s", dir);
	s->local = local;
	stage_open(s, lim, NULL);
	assert_int_equal(chmod(s->path, 0666), 0);
}

static void
close_local(struct stage *s)
{
	char *slash;

	(void)unlink(s->path);
	slash = strrchr(s->path, '/');
	*slash = 0;
	(void)rmdir(s->path);
	stage_close(s);
}

static void
play_local(int (*scene)(struct stage *), const struct http_limits *lim, const struct http_local *local)
{
	struct stage s = { 0 };

	open_local(&s, lim, local);
	stage_play(&s, scene);
	close_local(&s);
}

static int
scene_unix(struct stage *s)
{
	struct client c = dial(s, NULL);
	char want[100];

	(void)snprintf(want, sizeof(want), "plain -  unix %d", (int)getuid());
	NEED(say(&c, "GET /peer HTTP/1.1\r\nHost: a\r\n\r\n"));
	NEED(hear(&c, false) && body_is(want));
	(void)snprintf(want, sizeof(want), "%d", (int)getpid());
	NEED(say(&c, "GET /pid HTTP/1.1\r\nHost: a\r\n\r\n"));
	NEED(hear(&c, false) && body_is(want));
	return 0;
}

static void
a_unix_socket_tells_who_is_there(void **state)
{
	(void)state;
	play_local(scene_unix, NULL, NULL);
	play_local(scene_unix, NULL, &all);
}

static int
scene_no_host(struct stage *s)
{
	struct client c = dial(s, NULL);

	for (int i = 0; i < 2; i++) {
		NEED(say(&c, "POST /x?api-version=2 HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}"));
		NEED(hear(&c, false) && reply.status == 200 && body_is("POST /x /x api-version=2 5 2:{}"));
	}
	NEED(say(&c, "GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
	    "GET /3 HTTP/1.1\r\nHost: keyd.sock\r\n\r\n"));
	NEED(hear(&c, false) && body_is("GET /1 /1  5 0:"));
	NEED(hear(&c, false) && body_is("POST /2 /2  5 3:abc"));
	NEED(hear(&c, false) && body_is("GET /3 /3  5 0:"));
	NEED(say(&c, "POST /4 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
	NEED(hear(&c, false) && body_is("POST /4 /4  5 3:abc") && is_closed(&c));
	hang_up(&c);
	c = dial(s, NULL);
	NEED(say(&c, "POST /5 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
	NEED(hear(&c, true) && reply.status == 100 && say(&c, "abc"));
	NEED(hear(&c, false) && body_is("POST /5 /5  5 3:abc"));
	NEED(say(&c, "GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"));
	NEED(hear(&c, false) && reply.status == 400 && is_closed(&c));
	return 0;
}

static int
scene_host_needed(struct stage *s)
{
	struct client c = dial(s, NULL);

	NEED(say(&c, BARE));
	NEED(hear(&c, false) && reply.status == 400 && is_closed(&c));
	return 0;
}

static void
requests_without_host_are_taken_where_the_listener_says_so(void **state)
{
	const struct http_local none = { 0 };

	(void)state;
	play_local(scene_no_host, NULL, &all);
	play_local(scene_host_needed, NULL, &none);
}

static int
scene_paths(struct stage *s)
{
	static const struct { const char *raw, *path; } cases[] = {
		{ "/certificates/a*$:;@b", "/certificates/a*$:;@b" }, { "/keys/%61", "/keys/a" },
		{ "/keys/a%2Fb", "" }, { "/keys/%25", "" }, { "/keys/%00", "" }, { "/keys/%c0%af", "" }, { "/keys/%zz", "" },
		{ "/../etc", "" }, { "/%2e%2e", "" }, { "/a\\b", "" }, { "/[]|^", "/[]|^" }, { "//", "//" },
	};
	struct client c = dial(s, NULL);

	for (size_t i = 0; i < N_OF(cases); i++) {
		char text[200], want[200];

		(void)snprintf(text, sizeof(text), "GET %s?q=%%2F HTTP/1.1\r\n\r\n", cases[i].raw);
		(void)snprintf(want, sizeof(want), "GET %s %s q=%%2F 5 0:", cases[i].path, cases[i].raw);
		NEED(say(&c, text));
		NEED(hear(&c, false) && reply.status == 200 && body_is(want));
	}
	return 0;
}

static void
a_path_comes_as_it_was_sent_also_when_it_cannot_be_decoded(void **state)
{
	(void)state;
	play_local(scene_paths, NULL, &all);
}

/* A client that reads once, into 512 octets, and takes what it has for the whole head. */
static bool
hear_at_once(struct client *c)
{
	char *end;
	ssize_t n;

	memset(&reply, 0, offsetof(struct reply, body));
	n = read_octets(c, reply.head, 512);
	if (n <= 0 || sscanf(reply.head, "%15s %d", reply.version, &reply.status) != 2)
		return false;
	end = strstr(reply.head, "\r\n\r\n");
	if (end == NULL)
		return false;
	reply.n = (size_t)n - (size_t)(end + 4 - reply.head);
	memcpy(reply.body, end + 4, reply.n);
	end[4] = 0;
	return true;
}

static bool
is_plain(void)
{
	return strcasestr(reply.head, "\r\nX-Request-Id:") == NULL && strcasestr(reply.head, "\r\nCache-Control:") == NULL;
}

static int
scene_small(struct stage *s)
{
	struct client c = dial(s, NULL);

	NEED(say(&c, "POST /x HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"));
	NEED(hear_at_once(&c) && reply.status == 200 && body_is("POST /x /x  5 2:{}") && is_plain());
	NEED(strstr(reply.head, "\r\ncontent-type: text/plain\r\n") != NULL);
	NEED(strstr(reply.head, "\r\nDate: ") != NULL && strstr(reply.head, "\r\nContent-Length: 18\r\n") != NULL);
	NEED(say(&c, "GET /record HTTP/1.1\r\n\r\n"));
	NEED(hear_at_once(&c) && has_field("Content-Length: 15000") && reply.n > 300);
	hang_up(&c);
	c = dial(s, NULL);
	NEED(say(&c, "GET /big HTTP/1.1\r\n\r\n")); /* more than any one write carries */
	NEED(hear_at_once(&c) && has_field("Content-Length: 300000") && reply.n > 300);
	hang_up(&c);
	c = dial(s, NULL);
	NEED(say(&c, "GET /empty HTTP/1.1\r\n\r\n"));
	NEED(hear_at_once(&c) && reply.status == 204 && reply.n == 0 && strcasestr(reply.head, "content-") == NULL);
	NEED(say(&c, "GET /late HTTP/1.1\r\n\r\n"));
	NEED(hear_at_once(&c) && body_is("late"));
	NEED(say(&c, "GET /refuse HTTP/1.1\r\n\r\n"));
	NEED(hear_at_once(&c) && reply.status == 403 && body_is("{\"message\":\"not you\"}"));
	NEED(has_field("content-type: application/json") && is_plain());
	NEED(say(&c, "GET /split HTTP/1.1\r\n\r\n"));
	NEED(hear_at_once(&c) && reply.status == 500 && body_is("{\"message\":\"internal error\"}"));
	return 0;
}

static void
head_and_body_leave_together_and_the_head_is_small(void **state)
{
	(void)state;
	play_local(scene_small, NULL, &all);
}

static const struct http_limits tight = {
	.handshake_ms = 100, .head_ms = 100, .body_ms = 100, .answer_ms = 100, .idle_ms = 10000,
	.head_octets = 1024, .body_octets = 2000, .connections = 10, .connections_per_address = 1,
};

static int
scene_refused(struct stage *s)
{
	static const struct { const char *text; int status; } cases[] = {
		{ "GET / HTTP/1.1\nHost", 400 }, { "GET x HTTP/1.1\r\n\r\n", 400 }, { "BREW / HTTP/1.1\r\n\r\n", 501 },
		{ "GET / HTTP/2.0\r\n\r\n", 505 }, { "POST / HTTP/1.1\r\nContent-Length: 2001\r\n\r\n", 413 },
		{ "GET / HTTP/1.1\r\nExpect: x\r\n\r\n", 417 }, { "GET / HTTP/1.1\r\nX: ", 408 },
		{ "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhell", 408 },
		{ "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400 },
		{ "GET /never HTTP/1.1\r\n\r\n", 503 },
	};
	char big[1100];

	for (size_t i = 0; i <= N_OF(cases); i++) {
		struct client c = dial(s, NULL);

		(void)snprintf(big, sizeof(big), "GET / HTTP/1.1\r\nX: %01060d", 0);
		NEED(say(&c, i < N_OF(cases) ? cases[i].text : big));
		NEED(hear_at_once(&c) && reply.status == (i < N_OF(cases) ? cases[i].status : 431));
		NEED(has_field("Content-Type: application/json") && has_field("Connection: close") && is_plain());
		NEED(strncmp((const char *)reply.body, "{\"message\":\"", 12) == 0 && reply.body[reply.n - 1] == '}');
		NEED(is_closed(&c));
		hang_up(&c);
	}
	return 0;
}

static void
refusals_have_the_form_that_the_clients_know(void **state)
{
	(void)state;
	play_local(scene_refused, &tight, &all);
}

static int
scene_mebibyte(struct stage *s)
{
	static char body[1024 * 1024];
	struct client c = dial(s, NULL);

	NEED(say(&c, "POST /count HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n"));
	NEED(say_octets(&c, body, sizeof(body)));
	NEED(hear(&c, false) && reply.status == 200 && body_is("1048576"));
	NEED(say(&c, "POST /count HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n"));
	NEED(hear(&c, false) && reply.status == 413);
	return 0;
}

static void
a_body_may_be_as_large_as_the_server_says(void **state)
{
	struct http_limits lim = http_limits_default;

	(void)state;
	lim.body_octets = (size_t)1024 * 1024;
	play_local(scene_mebibyte, &lim, &all);
}

/* --- how much one uid may take --- */

/* A connection that the server has taken and answered. */
static struct client
dial_known(const struct stage *s)
{
	struct client c = dial(s, NULL);

	if (!say(&c, BARE) || !hear(&c, false) || reply.status != 200)
		_exit(97);
	return c;
}

static int
scene_too_many(struct stage *s)
{
	struct client a = dial_known(s), b = dial_known(s), c = dial(s, NULL);

	NEED(b.fd >= 0 && is_closed(&c)); /* not an octet */
	hang_up(&c);
	NEED(say(&a, "GET /x HTTP/1.1\r\nConnection: close\r\n\r\n") && hear(&a, false) && is_closed(&a));
	hang_up(&a);
	for (int i = 0; i < 1000; i++) { /* its place becomes free as soon as the server has seen it go */
		c = dial(s, NULL);
		if (say(&c, BARE) && hear(&c, false))
			return 0;
		hang_up(&c);
	}
	return __LINE__;
}

static void
over_its_limit_a_uid_is_closed_without_an_octet(void **state)
{
	struct http_local local = all;
	struct stage s = { 0 };

	(void)state;
	local.per_uid = 2;
	open_local(&s, NULL, &local);
	stage_play(&s, scene_too_many);
	assert_true(was_refused(&s, "cap.uid"));
	close_local(&s);
}

static int
scene_told(struct stage *s)
{
	static char body[1024 * 1024];
	char told[96];
	struct client a = dial_known(s), b = dial_known(s), c = dial(s, NULL);

	NEED(a.fd >= 0 && b.fd >= 0);
	NEED(say(&c, "POST /x HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n") && say_octets(&c, body, sizeof(body)));
	NEED(hear_at_once(&c) && reply.status == 429 && has_field("Retry-After: 5") && has_field("Connection: close"));
	NEED(has_field("Content-Type: application/json") && is_plain());
	(void)snprintf(told, sizeof(told), "{\"message\":\"there are too many connections of user %d\"}", (int)getuid());
	NEED(body_is(told));
	NEED(is_closed(&c));
	hang_up(&c);
	c = dial(s, NULL);
	NEED(is_closed(&c)); /* who does not ask within the head's time is not told */
	hang_up(&c);
	NEED(say(&a, BARE) && hear(&a, false) && reply.status == 200);
	return 0;
}

static void
over_its_limit_a_uid_is_told_to_come_again_where_the_listener_says_so(void **state)
{
	struct http_local local = all;
	struct http_limits lim = http_limits_default;
	struct stage s = { 0 };

	(void)state;
	local.per_uid = 2;
	local.say_busy = true;
	lim.head_ms = 100;
	lim.body_octets = (size_t)1024 * 1024;
	open_local(&s, &lim, &local);
	stage_play(&s, scene_told);
	assert_true(was_refused(&s, "cap.uid"));
	assert_int_equal(s.asked, 3);
	close_local(&s);
}

static int
scene_even_that(struct stage *s)
{
	struct client a = dial_known(s), told[NET_BUSY_PER_UID], c;

	for (size_t i = 0; i < N_OF(told); i++)
		told[i] = dial(s, NULL);
	c = dial(s, NULL);
	NEED(a.fd >= 0 && is_closed(&c));
	for (size_t i = 0; i < N_OF(told); i++)
		NEED(say(&told[i], BARE) && hear(&told[i], false) && reply.status == 429);
	return 0;
}

static void
those_who_are_told_are_few_too(void **state)
{
	struct http_local local = all;

	(void)state;
	local.per_uid = 1;
	local.say_busy = true;
	play_local(scene_even_that, NULL, &local);
}

/* Connect as somebody else; SO_PEERCRED is who connect() was called by. */
static struct client
dial_as(const struct stage *s, uid_t uid)
{
	struct client c;

	if (seteuid(uid) != 0)
		_exit(95);
	c = dial(s, NULL);
	if (seteuid(0) != 0)
		_exit(95);
	return c;
}

static struct client
known_as(const struct stage *s, uid_t uid)
{
	struct client c = dial_as(s, uid);

	if (!say(&c, BARE) || !hear(&c, false) || reply.status != 200)
		_exit(97);
	return c;
}

static int
scene_fair(struct stage *s)
{
	struct client quiet, many[4], half[2], last;

	quiet = known_as(s, 1001);
	for (size_t i = 0; i < N_OF(many); i++)
		many[i] = known_as(s, 1002);
	last = known_as(s, 1003); /* six are all: the oldest of 1002 goes, not the oldest of all */
	last = known_as(s, 1003);
	NEED(is_closed(&many[0]));
	NEED(say(&quiet, BARE) && hear(&quiet, false));
	NEED(say(&last, BARE) && hear(&last, false));
	for (size_t i = 0; i < N_OF(half); i++) { /* those that have begun to ask are not idle */
		NEED(say(&many[i + 1], "POST /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"));
		NEED(hear(&many[i + 1], true) && reply.status == 100);
	}
	NEED(say(&many[3], BARE) && hear(&many[3], false));
	return 0;
}

static int
scene_flood(struct stage *s)
{
	struct client flood[6], c;

	for (size_t i = 0; i < N_OF(flood); i++) {
		flood[i] = dial_as(s, 1002);
		NEED(say(&flood[i], "POST /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"));
		NEED(hear(&flood[i], true) && reply.status == 100);
	}
	c = dial_as(s, 1002); /* its own kind does not push it away */
	NEED(is_closed(&c));
	c = known_as(s, 1001); /* nobody is idle, and one of six goes all the same */
	NEED(is_closed(&flood[0]));
	NEED(say(&flood[1], "x") && hear(&flood[1], false) && reply.status == 200);
	NEED(say(&c, BARE) && hear(&c, false));
	return 0;
}

static int
scene_told_first(struct stage *s)
{
	struct client a = known_as(s, 1001), b = known_as(s, 1001), told[4], c;

	for (size_t i = 0; i < N_OF(told); i++)
		told[i] = dial_as(s, 1001);
	c = known_as(s, 1002); /* six are there: one that has no right to be goes, none that is idle */
	NEED(is_closed(&told[0]));
	NEED(say(&a, BARE) && hear(&a, false) && say(&b, BARE) && hear(&b, false) && say(&c, BARE) && hear(&c, false));
	NEED(say(&told[1], BARE) && hear(&told[1], false) && reply.status == 429);
	return 0;
}

static void
when_all_places_are_taken_the_uid_with_most_makes_room(void **state)
{
	struct http_limits lim = http_limits_default;
	struct http_local local = all;

	(void)state;
	if (geteuid() != 0)
		skip(); /* only root can connect as two users */
	lim.connections = 6;
	local.per_uid = 20;
	play_local(scene_fair, &lim, &local);
	play_local(scene_flood, &lim, &local);
	local.per_uid = 2;
	local.say_busy = true;
	play_local(scene_told_first, &lim, &local);
}

static int
scene_root(struct stage *s)
{
	struct client c[3], d;

	for (size_t i = 0; i < N_OF(c); i++)
		c[i] = known_as(s, 0);
	d = dial_as(s, 0);
	NEED(is_closed(&d));
	d = known_as(s, 1001);
	d = dial_as(s, 1001);
	NEED(is_closed(&d));
	return 0;
}

static void
uid_0_has_a_limit_of_its_own(void **state)
{
	struct http_local local = all;

	(void)state;
	if (geteuid() != 0)
		skip();
	local.per_uid = 1;
	local.per_root = 3;
	play_local(scene_root, NULL, &local);
}

static void
only_a_listening_unix_socket_is_listened_on(void **state)
{
	struct stage s = { 0 };
	struct err e = { 0 };
	uint16_t port = 0;
	int fd = -1, pair[2];

	(void)state;
	open_local(&s, NULL, &all);
	assert_int_equal(peer_listen_tcp(&fd, "127.0.0.1", 0, false, &port, &e), 0);
	assert_int_equal(http_server_listen_unix(s.server, fd, &all, 6, &e), E_USAGE);
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* it was taken all the same */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(http_server_listen_unix(s.server, pair[0], &all, 6, &e), E_USAGE);
	(void)close(pair[1]);
	close_local(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_unix_socket_tells_who_is_there),
		cmocka_unit_test(requests_without_host_are_taken_where_the_listener_says_so),
		cmocka_unit_test(a_path_comes_as_it_was_sent_also_when_it_cannot_be_decoded),
		cmocka_unit_test(head_and_body_leave_together_and_the_head_is_small),
		cmocka_unit_test(refusals_have_the_form_that_the_clients_know),
		cmocka_unit_test(a_body_may_be_as_large_as_the_server_says),
		cmocka_unit_test(over_its_limit_a_uid_is_closed_without_an_octet),
		cmocka_unit_test(over_its_limit_a_uid_is_told_to_come_again_where_the_listener_says_so),
		cmocka_unit_test(those_who_are_told_are_few_too),
		cmocka_unit_test(when_all_places_are_taken_the_uid_with_most_makes_room),
		cmocka_unit_test(uid_0_has_a_limit_of_its_own),
		cmocka_unit_test(only_a_listening_unix_socket_is_listened_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
