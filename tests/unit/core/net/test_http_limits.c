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
		cmocka_unit_test(an_address_has_its_own_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
