/* SPDX-License-Identifier: Apache-2.0 */
/* tests: the same over TLS: who is there, bindings, records */
#include "tests/unit/core/net/play.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>

#define HOST "Host: a\r\n"

static struct house house;

static int
scene_requests(struct stage *s)
{
	SSL_CTX *ctx = house_client(NULL, 0);
	struct client c = dial(s, ctx);

	for (int i = 0; i < 3; i++) {
		NEED(say(&c, "POST /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"));
		NEED(hear(&c, false) && body_is("POST /x /x  5 5:hello"));
	}
	NEED(say(&c, "GET /late HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\nGET /3 HT")); /* one record */
	NEED(say(&c, "TP/1.1\r\n" HOST "Connection: close\r\n\r\n"));
	NEED(hear(&c, false) && body_is("late"));
	NEED(hear(&c, false) && body_has("/2"));
	NEED(hear(&c, false) && body_has("/3"));
	NEED(is_closed(&c));
	NEED((SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN) != 0);
	hang_up(&c);
	SSL_CTX_free(ctx);
	return 0;
}

static void
requests_and_late_answers_go_over_tls(void **state)
{
	(void)state;
	play(scene_requests, NULL, house_tls(&house));
}

static int
scene_one_record(struct stage *s)
{
	SSL_CTX *ctx = house_client(NULL, 0);
	struct client c = dial(s, ctx);
	static char all[20000];
	ssize_t n;

	NEED(say(&c, "GET /record HTTP/1.1\r\n" HOST "\r\n"));
	n = read_octets(&c, all, sizeof(all)); /* one SSL_read() is at most one record */
	NEED(n > 15000 && memcmp(all, "HTTP/1.1 200 ", 13) == 0);
	NEED(memmem(all, (size_t)n, "\r\n\r\n", 4) == all + n - 15004);
	NEED(say(&c, "GET /.. HTTP/1.1\r\n" HOST "\r\n"));
	n = read_octets(&c, all, sizeof(all));
	NEED(n > 0 && memmem(all, (size_t)n, "\nrequest: r", 11) != NULL);
	return 0;
}

static void
an_answer_that_fits_leaves_as_one_record(void **state)
{
	(void)state;
	play(scene_one_record, NULL, house_tls(&house));
}

static int
scene_large(struct stage *s)
{
	SSL_CTX *ctx = house_client(NULL, 0);
	struct client c = dial(s, ctx);
	static char body[60000];

	for (int i = 0; i < 2; i++) {
		memset(body, 'b', sizeof(body));
		NEED(say(&c, "POST /x HTTP/1.1\r\n" HOST "Content-Length: 60000\r\n\r\n"));
		NEED(say_octets(&c, body, sizeof(body)));
		NEED(hear(&c, false) && reply.status == 200 && body_has(" 60000:bbb") && reply.n > 60000);
		NEED(say(&c, "GET /big HTTP/1.1\r\n" HOST "\r\n"));
		NEED(hear(&c, false) && reply.n == 300000);
		for (size_t k = 0; k < reply.n; k++)
			NEED(reply.body[k] == k % 251);
	}
	return 0;
}

static void
large_bodies_pass_both_ways(void **state)
{
	(void)state;
	play(scene_large, NULL, house_tls(&house));
}

/* Records that arrive together: TLS reads ahead, and no event tells of what it holds. */
static int
scene_together(struct stage *s)
{
	SSL_CTX *ctx = house_client(NULL, 0);
	struct client c = dial(s, ctx);
	int cork = 1;

	for (int i = 0; i < 3; i++) {
		cork = 1;
		NEED(setsockopt(c.fd, IPPROTO_TCP, TCP_CORK, &cork, sizeof(cork)) == 0);
		NEED(say(&c, "POST /x HT") && say(&c, "TP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n"));
		NEED(say(&c, "he") && say(&c, "llo") && say(&c, "GET /late HTTP/1.1\r\n" HOST "\r\n"));
		NEED(say(&c, "POST /y HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\n") && say(&c, "abc"));
		cork = 0;
		NEED(setsockopt(c.fd, IPPROTO_TCP, TCP_CORK, &cork, sizeof(cork)) == 0);
		NEED(hear(&c, false) && body_has("5:hello"));
		NEED(hear(&c, false) && body_is("late"));
		NEED(hear(&c, false) && body_has("3:abc"));
	}
	NEED(setsockopt(c.fd, IPPROTO_TCP, TCP_CORK, &(int){ 1 }, sizeof(int)) == 0);
	NEED(say(&c, "POST /z HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"));
	NEED(say(&c, "3\r\nabc\r\n") && say(&c, "0\r\n\r\n"));
	NEED(setsockopt(c.fd, IPPROTO_TCP, TCP_CORK, &(int){ 0 }, sizeof(int)) == 0);
	NEED(hear(&c, false) && body_has("3:abc") && is_closed(&c));
	return 0;
}

static void
records_that_arrive_together_are_all_read(void **state)
{
	(void)state;
	play(scene_together, NULL, house_tls(&house));
}

/* Work for nothing, n times, and a request behind it; false when the server has cut it off. */
static bool
shakes_and_asks(const struct stage *s, unsigned n)
{
	SSL_CTX *ctx = house_client(NULL, TLS1_3_VERSION);
	struct client c = dial(s, ctx);
	bool answered;

	for (unsigned i = 0; i < n; i++)
		if (SSL_key_update(c.ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1 || SSL_do_handshake(c.ssl) != 1)
			break;
	answered = say(&c, "GET /peer HTTP/1.1\r\n" HOST "\r\n") && hear(&c, false);
	hang_up(&c);
	SSL_CTX_free(ctx);
	return answered;
}

static int
scene_key_updates(struct stage *s)
{
	(void)signal(SIGPIPE, SIG_IGN);
	NEED(shakes_and_asks(s, 20));
	NEED(!shakes_and_asks(s, 1000));
	NEED(shakes_and_asks(s, 1));
	return 0;
}

static void
a_client_that_shakes_hands_for_ever_is_cut_off(void **state)
{
	(void)state;
	play(scene_key_updates, NULL, house_tls(&house));
}

static int
meet(struct stage *s, const struct made *who, int version, const char *name, const char *state)
{
	SSL_CTX *ctx = house_client(who, version);
	struct client c = dial(s, ctx);
	char binding[TLS_BINDING_MAX], want[300];

	NEED(tls_binding(binding, c.ssl, false, NULL) == 0);
	(void)snprintf(want, sizeof(want), "%s %s %s 127.0.0.1 -1", name, state, binding);
	for (int i = 0; i < 2; i++) {
		NEED(say(&c, "GET /peer HTTP/1.1\r\n" HOST "\r\n"));
		NEED(hear(&c, false) && body_is(want));
	}
	hang_up(&c);
	SSL_CTX_free(ctx);
	return 0;
}

static int
scene_peers(struct stage *s)
{
	NEED(meet(s, NULL, TLS1_3_VERSION, "TLSv1.3", "none") == 0);
	NEED(meet(s, &house.device, TLS1_3_VERSION, "TLSv1.3", "ok") == 0);
	NEED(meet(s, &house.device, TLS1_2_VERSION, "TLSv1.2", "ok") == 0);
	NEED(meet(s, &house.stranger, TLS1_3_VERSION, "TLSv1.3", "unknown-issuer") == 0);
	NEED(meet(s, &house.expired, TLS1_2_VERSION, "TLSv1.2", "expired") == 0);
	return 0;
}

static void
a_request_knows_its_client_and_binding(void **state)
{
	(void)state;
	play(scene_peers, NULL, house_tls(&house));
}

static int
scene_not_tls(struct stage *s)
{
	struct client c = dial(s, NULL);

	NEED(say(&c, "GET / HTTP/1.1\r\n" HOST "\r\n"));
	while (!is_closed(&c)) /* an alert, then the end */
		;
	return 0;
}

static const struct http_limits tight = {
	.handshake_ms = 100, .head_ms = 100, .body_ms = 100, .answer_ms = 200, .idle_ms = 100,
	.head_octets = 1024, .body_octets = 2000, .connections = 4, .connections_per_address = 4,
};

static int
scene_silent(struct stage *s)
{
	struct client c = dial(s, NULL);

	NEED(say_octets(&c, "\x16\x03\x01", 3));
	NEED(is_closed(&c));
	return 0;
}

static void
what_is_no_handshake_ends_and_is_told(void **state)
{
	struct stage s = { 0 };

	(void)state;
	stage_open(&s, &tight, house_tls(&house));
	stage_play(&s, scene_not_tls);
	assert_true(was_refused(&s, "tls.handshake"));
	stage_close(&s);
	s = (struct stage){ 0 };
	stage_open(&s, &tight, house_tls(&house));
	stage_play(&s, scene_silent);
	assert_true(was_refused(&s, "time.handshake"));
	stage_close(&s);
}

static int
scene_slow_reader(struct stage *s)
{
	SSL_CTX *ctx = house_client(NULL, 0);
	struct client c = dial(s, ctx);
	static uint8_t some[50000];
	size_t n = 0;
	ssize_t r;

	for (int i = 0; i < 90; i++) /* more than the kernel holds for a client that does not read */
		NEED(say(&c, "GET /big HTTP/1.1\r\n" HOST "\r\n"));
	NEED(read(s->told[0], some, 1) == 1);
	while ((r = read_octets(&c, some, sizeof(some))) > 0)
		n += (size_t)r;
	NEED(n < 90 * 300000u); /* it was cut off */
	return 0;
}

static void
a_client_that_does_not_read_is_cut_off(void **state)
{
	struct stage s = { 0 };

	(void)state;
	assert_int_equal(pipe2(s.told, O_CLOEXEC), 0);
	stage_open(&s, &tight, house_tls(&house));
	stage_play(&s, scene_slow_reader);
	assert_true(was_refused(&s, "time.answer"));
	stage_close(&s);
	(void)close(s.told[0]);
	(void)close(s.told[1]);
}

/* The client is gone when the handler's answer comes; what it was is still known. */
static int
scene_left(struct stage *s)
{
	SSL_CTX *ctx = house_client(&house.device, 0);
	struct client c = dial(s, ctx);
	const struct linger now = { .l_onoff = 1 };

	NEED(say(&c, "GET /never HTTP/1.1\r\n" HOST "\r\n"));
	NEED(say(&c, "GET /x HTTP/1.1\r\n" HOST "\r\n"));
	(void)setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	hang_up(&c);
	c = dial(s, ctx);
	for (int i = 0; i < 3; i++) {
		NEED(say(&c, "GET /late HTTP/1.1\r\n" HOST "\r\n"));
		NEED(hear(&c, false));
	}
	return 0;
}

static void
check_left(void *ctx)
{
	struct stage *s = ctx;
	const struct tls_peer *p;
	char binding[TLS_BINDING_MAX];

	for (size_t i = 0; i < s->n_kept; i++) {
		p = http_tls(s->kept[i]);
		assert_non_null(p);
		assert_int_equal(p->state, TRUST_OK);
		assert_true(p->cert_parsed);
		assert_int_equal(http_binding(s->kept[i], binding, NULL), E_UNAVAIL);
	}
}

static void
a_client_that_left_is_still_known_to_its_request(void **state)
{
	struct stage s = { .answer_kept = true };

	(void)state;
	stage_open(&s, NULL, house_tls(&house));
	s.before_answers = check_left;
	stage_play(&s, scene_left);
	stage_close(&s);
}

static int
build(void **state)
{
	(void)state;
	house_build(&house);
	return 0;
}

static int
clear(void **state)
{
	(void)state;
	house_clear(&house);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_and_late_answers_go_over_tls),
		cmocka_unit_test(an_answer_that_fits_leaves_as_one_record),
		cmocka_unit_test(large_bodies_pass_both_ways),
		cmocka_unit_test(records_that_arrive_together_are_all_read),
		cmocka_unit_test(a_client_that_shakes_hands_for_ever_is_cut_off),
		cmocka_unit_test(a_request_knows_its_client_and_binding),
		cmocka_unit_test(what_is_no_handshake_ends_and_is_told),
		cmocka_unit_test(a_client_that_does_not_read_is_cut_off),
		cmocka_unit_test(a_client_that_left_is_still_known_to_its_request),
	};

	return cmocka_run_group_tests(tests, build, clear);
}
