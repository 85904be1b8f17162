/* SPDX-License-Identifier: Apache-2.0 */
/* tests: the HTTP server's limits: sizes, deadlines, how many connections */
#include "tests/unit/core/net/play.h"

#define HOST "Host: a\r\n"

static const struct http_limits tight = {
	.handshake_ms = 100, .head_ms = 100, .body_ms = 100, .answer_ms = 100, .idle_ms = 100,
	.head_octets = 1024, .body_octets = 2000, .connections = 4, .connections_per_address = 4,
};

static int
scene_sizes(struct stage *s)
{
	char big[3000];
	struct client c = dial(s, NULL);

	memset(big, 'a', sizeof(big));
	NEED(say(&c, "GET / HTTP/1.1\r\n" HOST "X: ") && say_octets(&c, big, 1024)); /* and no end */
	NEED(hear(&c, false) && reply.status == 431 && is_closed(&c));
	hang_up(&c);
	c = dial(s, NULL);
	NEED(say(&c, "POST / HTTP/1.1\r\n" HOST "Content-Length: 2001\r\n\r\n") && say_octets(&c, big, 2001));
	NEED(hear(&c, false) && reply.status == 413 && is_closed(&c));
	hang_up(&c);
	c = dial(s, NULL);
	NEED(say(&c, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n7d1\r\n") && say_octets(&c, big, 2001));
	NEED(hear(&c, false) && reply.status == 413 && is_closed(&c));
	hang_up(&c);
	c = dial(s, NULL);
	NEED(say(&c, "POST / HTTP/1.1\r\n" HOST "Content-Length: 2000\r\n\r\n") && say_octets(&c, big, 2000));
	NEED(hear(&c, false) && reply.status == 200);
	return 0;
}

static void
heads_and_bodies_over_their_limit_are_refused(void **state)
{
	(void)state;
	play(scene_sizes, &tight, NULL);
}

static int
scene_largest_head(struct stage *s)
{
	struct client c = dial(s, NULL);
	char head[8192 + 1], *p = head;

	p += sprintf(p, "GET / HTTP/1.1\r\n" HOST);
	for (int i = 0; i < 62; i++)
		p += sprintf(p, "X-Some-Header-%02d: %s\r\n", i, "value");
	p += sprintf(p, "X: ");
	while (p < head + 8188)
		*p++ = 'a';
	memcpy(p, "\r\n\r\n", 5);
	for (int i = 0; i < 2; i++) {
		NEED(say(&c, head));
		NEED(hear(&c, false) && reply.status == 200);
	}
	return 0;
}

static void
a_head_as_large_as_the_limit_passes(void **state)
{
	(void)state;
	play(scene_largest_head, NULL, NULL);
}

static int
scene_drip(struct stage *s)
{
	struct client c = dial(s, NULL);
	uint64_t began = clock_monotonic_ms();
	struct timeval pace = { .tv_usec = 5000 };
	char x;

	(void)setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &pace, sizeof(pace));
	NEED(say(&c, "GET / HTTP/1.1\r\n" HOST "X: "));
	while (recv(c.fd, &x, 1, MSG_PEEK) < 0) { /* an octet each 5 ms does not help */
		NEED(clock_monotonic_ms() - began < 2000);
		(void)say(&c, "a");
	}
	NEED(hear(&c, false) && reply.status == 408);
	NEED(clock_monotonic_ms() - began >= 100);
	return 0;
}

static int
scene_slow_body(struct stage *s)
{
	struct client c = dial(s, NULL);

	NEED(say(&c, "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhell"));
	NEED(hear(&c, false) && reply.status == 408 && is_closed(&c));
	hang_up(&c);
	c = dial(s, NULL);
	NEED(say(&c, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhell"));
	NEED(hear(&c, false) && reply.status == 408 && is_closed(&c));
	return 0;
}

static int
scene_idle(struct stage *s)
{
	struct client c = dial(s, NULL);
	uint64_t began;

	NEED(is_closed(&c)); /* never a request */
	hang_up(&c);
	c = dial(s, NULL);
	NEED(say(&c, "GET / HTTP/1.1\r\n" HOST "\r\n") && hear(&c, false));
	began = clock_monotonic_ms();
	NEED(is_closed(&c));
	NEED(clock_monotonic_ms() - began >= 90);
	return 0;
}

static void
a_phase_ends_at_its_deadline_however_busy_the_client(void **state)
{
	struct stage s = { 0 };

	(void)state;
	stage_open(&s, &tight, NULL);
	stage_play(&s, scene_drip);
	assert_true(was_refused(&s, "time.head"));
	stage_close(&s);
	s = (struct stage){ 0 };
	stage_open(&s, &tight, NULL);
	stage_play(&s, scene_slow_body);
	assert_true(was_refused(&s, "time.body"));
	assert_int_equal(s.asked, 0);
	stage_close(&s);
	play(scene_idle, &tight, NULL);
}

static int
scene_never(struct stage *s)
{
	struct client c = dial(s, NULL);

	NEED(say(&c, "GET /never HTTP/1.1\r\n" HOST "\r\n"));
	NEED(hear(&c, false) && reply.status == 503 && body_has("time.answer") && is_closed(&c));
	return 0;
}

static void
an_answer_that_does_not_come_becomes_503_and_may_still_be_given(void **state)
{
	struct stage s = { .answer_kept = true };

	(void)state;
	stage_open(&s, &tight, NULL);
	stage_play(&s, scene_never);
	assert_int_equal(s.n_kept, 1);
	stage_close(&s);
}

static int
scene_gone(struct stage *s)
{
	struct client c = dial(s, NULL);
	const struct linger now = { .l_onoff = 1 };

	NEED(say(&c, "POST /late HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx"));
	(void)setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	hang_up(&c); /* a reset */
	c = dial(s, NULL);
	for (int i = 0; i < 2; i++) { /* the second answer comes after that of the first client */
		NEED(say(&c, "GET /late HTTP/1.1\r\n" HOST "\r\n"));
		NEED(hear(&c, false) && body_is("late"));
	}
	return 0;
}

static void
a_client_that_has_gone_gets_no_answer_and_does_no_harm(void **state)
{
	struct stage s = { 0 };

	(void)state;
	stage_open(&s, NULL, NULL);
	stage_play(&s, scene_gone);
	assert_int_equal(s.asked, 3);
	stage_close(&s);
}

/* A connection that the server has seen to be busy, and keeps. */
static struct client
dial_busy(const struct stage *s)
{
	struct client c = dial(s, NULL);

	if (!say(&c, "POST /never HTTP/1.1\r\n" HOST "Content-Length: 1\r\nExpect: 100-continue\r\n\r\n") ||
	    !hear(&c, true) || reply.status != 100 || !say(&c, "x"))
		_exit(97);
	return c;
}

static int
scene_crowd(struct stage *s)
{
	struct client busy[3], c, d;

	for (size_t i = 0; i < N_OF(busy); i++)
		busy[i] = dial_busy(s);
	c = dial(s, NULL);
	NEED(say(&c, "GET / HTTP/1.1\r\n" HOST "\r\n") && hear(&c, false) && reply.status == 200);
	d = dial_busy(s); /* the fifth: the idle one goes */
	NEED(d.fd >= 0 && is_closed(&c));
	hang_up(&c);
	c = dial(s, NULL); /* nobody is idle: the new one goes */
	NEED(is_closed(&c));
	return 0;
}

static void
over_the_cap_the_idle_make_room_or_the_new_one_goes(void **state)
{
	struct http_limits lim = http_limits_default;
	struct stage s = { 0 };

	(void)state;
	lim.connections = 4;
	stage_open(&s, &lim, NULL);
	stage_play(&s, scene_crowd);
	assert_true(was_refused(&s, "cap.total"));
	stage_close(&s); /* with up to four requests that nobody has answered */
}

/* A plain connection from one of the loopback's addresses. */
static struct client
dial_from(const struct stage *s, const char *address)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	const struct timeval patience = { .tv_sec = 10 };
	struct client c = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };

	(void)setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (inet_pton(AF_INET, address, &in.sin_addr) != 1 || bind(c.fd, (const struct sockaddr *)&in, sizeof(in)) != 0)
		_exit(94);
	in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(s->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (connect(c.fd, (const struct sockaddr *)&in, sizeof(in)) != 0)
		_exit(99);
	return c;
}

/* One that the server has seen to be in its body; "x" is the rest. */
static struct client
dial_half(const struct stage *s, const char *address)
{
	struct client c = dial_from(s, address);

	if (!say(&c, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nExpect: 100-continue\r\n\r\n") ||
	    !hear(&c, true) || reply.status != 100)
		_exit(93);
	return c;
}

static bool
is_served(struct client *c, const char *rest)
{
	return say(c, rest) && hear(c, false) && reply.status == 200;
}

#define WHOLE "GET / HTTP/1.1\r\n" HOST "\r\n"

static int
scene_flood(struct stage *s)
{
	struct client flood[5], quiet = dial_half(s, "127.0.0.2"), c;

	for (size_t i = 0; i < N_OF(flood); i++)
		flood[i] = dial_half(s, "127.0.0.3");
	c = dial_from(s, "127.0.0.4"); /* all six places are taken: one of five goes, not the oldest of all */
	NEED(is_served(&c, WHOLE) && is_closed(&flood[0]));
	NEED(is_served(&quiet, "x"));
	NEED(is_served(&flood[1], "x"));
	return 0;
}

static int
scene_own(struct stage *s)
{
	struct client quiet[3], flood[3], c;

	for (size_t i = 0; i < N_OF(quiet); i++)
		quiet[i] = dial_half(s, i == 0 ? "127.0.0.2" : i == 1 ? "127.0.0.4" : "127.0.0.5");
	for (size_t i = 0; i < N_OF(flood); i++)
		flood[i] = dial_half(s, "127.0.0.3");
	for (size_t i = 0; i < N_OF(flood); i++) { /* who has most pushes away its own */
		c = dial_half(s, "127.0.0.3");
		NEED(is_closed(&flood[i]));
	}
	for (size_t i = 0; i < N_OF(quiet); i++)
		NEED(is_served(&quiet[i], "x"));
	NEED(is_served(&c, "x"));
	return 0;
}

static int
scene_one_each(struct stage *s)
{
	struct client c[7];
	char from[16];

	for (size_t i = 0; i < N_OF(c); i++) {
		(void)snprintf(from, sizeof(from), "127.0.0.%zu", i + 2);
		c[i] = dial_half(s, from);
	}
	NEED(is_closed(&c[0])); /* where nobody has more than another, who has waited for longest goes */
	for (size_t i = 1; i < N_OF(c); i++)
		NEED(is_served(&c[i], "x"));
	return 0;
}

static int
scene_fresh(struct stage *s)
{
	struct client idle[5], half[2], c;

	for (size_t i = 0; i < N_OF(idle); i++)
		idle[i] = dial_from(s, i == 0 ? "127.0.0.2" : "127.0.0.3");
	for (size_t i = 0; i < N_OF(idle); i++)
		NEED(is_served(&idle[i], WHOLE));
	half[0] = dial_half(s, "127.0.0.4");
	half[1] = dial_half(s, "127.0.0.4");
	NEED(is_closed(&idle[1])); /* of four; the only one of its address stays, also against one that has as many */
	c = dial_half(s, "127.0.0.4");
	NEED(c.fd >= 0 && is_closed(&idle[2]));
	NEED(is_served(&idle[0], WHOLE) && is_served(&half[0], "x") && is_served(&half[1], "x"));
	return 0;
}

static void
a_flood_of_requests_that_do_not_end_makes_room_for_others(void **state)
{
	int (*const scenes[])(struct stage *) = { scene_flood, scene_own, scene_one_each, scene_fresh };
	struct http_limits lim = http_limits_default;

	(void)state;
	lim.connections = 6;
	for (size_t i = 0; i < N_OF(scenes); i++) {
		struct stage s = { 0 };

		stage_open(&s, &lim, NULL);
		stage_play(&s, scenes[i]);
		assert_int_equal(was_refused(&s, "cap.yield"), scenes[i] != scene_fresh);
		assert_false(was_refused(&s, "cap.total"));
		stage_close(&s);
	}
}

static int
scene_greedy(struct stage *s)
{
	struct client a = dial(s, NULL), b = dial(s, NULL), c = dial(s, NULL);

	NEED(is_closed(&c));
	NEED(say(&a, "GET / HTTP/1.1\r\n" HOST "\r\n") && hear(&a, false));
	NEED(say(&b, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n") && hear(&b, false) && is_closed(&b));
	hang_up(&b);
	for (int i = 0; i < 1000; i++) { /* its place becomes free as soon as the server has seen it go */
		c = dial(s, NULL);
		if (say(&c, "GET / HTTP/1.1\r\n" HOST "\r\n") && hear(&c, false))
			return 0;
		hang_up(&c);
	}
	return __LINE__;
}

static void
an_address_has_its_own_cap(void **state)
{
	struct http_limits lim = http_limits_default;
	struct stage s = { 0 };

	(void)state;
	lim.connections_per_address = 2;
	stage_open(&s, &lim, NULL);
	stage_play(&s, scene_greedy);
	assert_true(was_refused(&s, "cap.address"));
	stage_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_and_bodies_over_their_limit_are_refused),
		cmocka_unit_test(a_head_as_large_as_the_limit_passes),
		cmocka_unit_test(a_phase_ends_at_its_deadline_however_busy_the_client),
		cmocka_unit_test(an_answer_that_does_not_come_becomes_503_and_may_still_be_given),
		cmocka_unit_test(a_client_that_has_gone_gets_no_answer_and_does_no_harm),
		cmocka_unit_test(over_the_cap_the_idle_make_room_or_the_new_one_goes),
		cmocka_unit_test(a_flood_of_requests_that_do_not_end_makes_room_for_others),
		cmocka_unit_test(an_address_has_its_own_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
