/* SPDX-License-Identifier: Apache-2.0 */
/* test_fetch_answer.c - the HTTP client: bodies made for their connection, answers honest and not */
#include "tests/unit/core/net/fetch_kit.h"

/* --- bodies that belong to their connection --- */

struct maker {
	int calls;
	int lengths;               /* how many lengths its bodies take in turn */
	char binding[TLS_BINDING_MAX];
	bool refuse;
};

static int
make(void *ctx, const struct fetch_connection *c, struct buf *body, struct err *e)
{
	struct maker *m = ctx;

	m->calls++;
	if (m->refuse && m->calls > 1) /* the first is the sample */
		return err_set(e, E_POLICY, "will not");
	(void)snprintf(m->binding, sizeof(m->binding), "%s", c->binding);
	buf_printf(body, "bound=%s", c->binding);
	for (int i = 0; i < m->calls % m->lengths; i++)
		buf_put_str(body, ".");
	return 0;
}

static void
expect_bound(struct world *w, int max_tls, int lengths, size_t binding_n)
{
	struct server s = { .cert = &w->server, .under = &w->issuing, .max_tls = max_tls };
	struct maker m = { .lengths = lengths };
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem), .method = "POST", .make_body = make, .ctx = &m };
	struct fetch_answer a = { 0 };
	char words[256];

	start(&s);
	mint_must(run(&s, f, &a, NULL));
	assert_int_equal(a.status, 200);
	assert_int_equal(strlen(m.binding), binding_n);
	(void)snprintf(words, sizeof(words), " binding=%s ", m.binding);
	assert_non_null(strstr(buf_str(&a.body), words));
	(void)snprintf(words, sizeof(words), "\r\n\r\nbound=%s", m.binding);
	assert_non_null(strstr(buf_str(&a.body), words));
	assert_non_null(strstr(buf_str(&a.body), "\r\nContent-Length: "));
	assert_null(strstr(buf_str(&a.body), "chunked"));
	assert_null(strstr(buf_str(&a.body), "Expect"));
	fetch_clear(&a);
	stop(&s);
}

static void
a_body_is_made_for_the_connection_that_carries_it(void **state)
{
	expect_bound(*state, 0, 1, 44);
	expect_bound(*state, TLS1_2_VERSION, 1, 16);
}

static void
bodies_of_changing_length_are_made_again_until_one_fits(void **state)
{
	expect_bound(*state, 0, 3, 44);
	expect_bound(*state, TLS1_2_VERSION, 3, 16);
}

static void
no_request_leaves_when_its_body_cannot_be_made(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing };
	struct maker m = { .lengths = 1, .refuse = true };

	start(&s);
	expect_failure(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&w->root_pem), .method = "POST", .make_body = make,
	    .ctx = &m }, E_POLICY, "will not");
	stop(&s);
}

static void
no_body_is_made_for_a_server_that_is_refused(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing };
	struct maker m = { .lengths = 1 };

	start(&s);
	expect_failure(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&w->other_pem), .method = "POST", .make_body = make,
	    .ctx = &m }, E_AUTH, "unknown CA");
	assert_int_equal(m.calls, 1); /* the sample alone, for a connection that never was */
	stop(&s);
}

/* --- what comes back --- */

static void
expect_retry(struct world *w, const char *value, int64_t want)
{
	char text[256];
	struct server s = { .cert = &w->server, .under = &w->issuing, .answer = text };
	struct fetch_answer a = { 0 };

	(void)snprintf(text, sizeof(text),
	    "HTTP/1.1 202 Accepted\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", value);
	start(&s);
	mint_must(run(&s, (struct fetch){ .trust_pem = bytes_of_buf(&w->root_pem) }, &a, NULL));
	assert_int_equal(a.status, 202);
	assert_int_equal(a.retry_after_s, want);
	fetch_clear(&a);
	stop(&s);
}

static void
retry_after_is_seconds_or_a_date_and_at_most_a_day(void **state)
{
	expect_retry(*state, "7", 7);
	expect_retry(*state, "99999999999999999999", -1);
	expect_retry(*state, "100000", 86400);
	expect_retry(*state, "Fri, 01 Jan 2016 00:00:00 GMT", 0);
	expect_retry(*state, "Fri, 01 Jan 2500 00:00:00 GMT", 86400);
	expect_retry(*state, "soon", -1);
	expect_retry(*state, "-1", -1);
}

static void
redirects_are_not_followed(void **state)
{
	struct world *w = *state;
	struct server s = {
		.cert = &w->server,
		.under = &w->issuing,
		.answer =
		    "HTTP/1.1 307 T\r\nLocation: https://est.lab.example/y\r\nContent-Length: 0\r\n\r\n"
	};
	struct fetch_answer a = { 0 };

	start(&s);
	assert_int_equal(run(&s, (struct fetch){ .trust_pem = bytes_of_buf(&w->root_pem) }, &a, NULL), 0);
	assert_int_equal(a.status, 307);
	assert_string_equal(a.location, "https://est.lab.example/y");
	fetch_clear(&a);
	stop(&s);
}

#define END "\r\nContent-Length: 0\r\n\r\n"

/* An answer leads to `where`, which gets the port when it is a host; words: of the answer there, NULL: not followed. */
static void
expect_moved(struct world *w, const char *method, unsigned status, const char *where, const char *words)
{
	AUTO_BUF text = { 0 };
	char line[32];
	struct server s = { .cert = &w->server, .under = &w->issuing, .moved = line };
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem), .method = method, .same_origin_redirects = true,
		.body = strcmp(method, "POST") == 0 ? bytes_of("body") : (struct bytes){ 0 } };
	struct fetch_answer a = { 0 };
	int fd = listen_somewhere(&s.port);

	(void)snprintf(line, sizeof(line), "%s /x ", method);
	buf_printf(&text, "HTTP/1.1 %u T\r\nLocation: %s", status, where);
	if (strstr(where, "example") != NULL)
		buf_printf(&text, ":%d/y", s.port);
	buf_put_str(&text, END);
	s.answer = buf_str(&text);
	start_on(&s, fd);
	mint_must(run(&s, f, &a, NULL));
	if (a.status != (words != NULL ? 200 : status) ||
	    (words != NULL && strstr(buf_str(&a.body), words) == NULL))
		fail_msg("'%s' to '%s': %u '%s'", method, where, a.status, buf_str(&a.body));
	fetch_clear(&a);
	stop(&s);
}

static void
one_redirect_to_the_same_origin_is_followed_where_the_caller_says_so(void **state)
{
	expect_moved(*state, "GET", 302, "/y", "\nGET /y HTTP/1.1\r\n");
	expect_moved(*state, "GET", 308, "y/z#part", "\nGET /y/z HTTP/1.1\r\n");
	expect_moved(*state, "GET", 301, "https://EST.lab.example", "\nGET /y HTTP/1.1\r\n");
	expect_moved(*state, "POST", 307, "/y", "\r\n\r\nbody");
	expect_moved(*state, "POST", 303, "/y", NULL); /* would become a GET */
	expect_moved(*state, "GET", 302, "/x", NULL);  /* and that a second one */
	expect_moved(*state, "GET", 304, "/y", NULL);
	expect_moved(*state, "GET", 302, "", NULL);
}

static void
a_redirect_to_anywhere_else_is_an_answer(void **state)
{
	expect_moved(*state, "GET", 302, "https://other.example", NULL);
	expect_moved(*state, "GET", 302, "http://est.lab.example", NULL);
	expect_moved(*state, "GET", 302, "https://u@est.lab.example", NULL);
	expect_moved(*state, "GET", 302, "https://:p@est.lab.example", NULL);
	expect_moved(*state, "GET", 302, "//other.example", NULL);
	expect_moved(*state, "GET", 302, "https://localhost/y", NULL); /* another port */
	expect_moved(*state, "GET", 302, "file:///etc/passwd", NULL);
}

static void
expect_date(struct world *w, const char *value, int64_t want)
{
	char text[256];
	struct server s = { .cert = &w->server, .under = &w->issuing, .answer = text };
	struct fetch_answer a = { 0 };

	(void)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nDate: %s" END, value);
	start(&s);
	mint_must(run(&s, (struct fetch){ .trust_pem = bytes_of_buf(&w->root_pem) }, &a, NULL));
	assert_int_equal(a.peer_date, want);
	fetch_clear(&a);
	stop(&s);
}

static void
the_servers_clock_is_told(void **state)
{
	expect_date(*state, "Fri, 01 Jan 2016 00:00:00 GMT", 1451606400);
	expect_date(*state, "Sat, 01 Jan 2500 00:00:00 GMT", 16725225600);
	expect_date(*state, "now", 0);
	expect_date(*state, "", 0);
}

static void
an_answer_over_the_limit_is_refused(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing, .zeros = 2 * FETCH_ANSWER_MAX,
		.answer = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" };
	struct fetch_answer a = { 0 };
	struct err e = { 0 };

	start(&s);
	assert_int_equal(run(&s, (struct fetch){ .trust_pem = bytes_of_buf(&w->root_pem) }, &a, &e), E_TOOBIG);
	assert_int_equal(a.cause, FETCH_TOOBIG);
	assert_true(a.body.n <= FETCH_ANSWER_MAX);
	fetch_clear(&a);
	stop(&s);
}

static void
heads_over_the_limit_are_refused_however_many_they_are(void **state)
{
	struct world *w = *state;
	AUTO_BUF many = { 0 };
	AUTO_BUF interim = { 0 };
	struct server s = { .cert = &w->server, .under = &w->issuing };
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem) };

	buf_put_str(&many, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 40; i++)
		buf_printf(&many, "X-%d: %01000d\r\n", i, 0);
	buf_put_str(&many, "Content-Length: 0\r\n\r\n");
	for (int i = 0; i < 2000; i++)
		buf_put_str(&interim, "HTTP/1.1 102 Wait\r\n\r\n");
	buf_put_str(&interim, "HTTP/1.1 200 OK" END);
	s.answer = buf_str(&many);
	start(&s);
	expect_cause(&s, &f, FETCH_TOOBIG, E_TOOBIG, "head of more than");
	stop(&s);
	s.answer = buf_str(&interim);
	start(&s);
	expect_cause(&s, &f, FETCH_TOOBIG, E_TOOBIG, "head of more than");
	stop(&s);
}

static void
a_trailer_says_nothing_any_more(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing,
		.answer = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n"
			  "2\r\nok\r\n0\r\nContent-Type: c/d\r\nRetry-After: 5\r\n\r\n" };
	struct fetch_answer a = { 0 };

	start(&s);
	mint_must(run(&s, (struct fetch){ .trust_pem = bytes_of_buf(&w->root_pem) }, &a, NULL));
	assert_string_equal(a.type, "a/b");
	assert_int_equal(a.retry_after_s, -1);
	assert_string_equal(buf_str(&a.body), "ok");
	fetch_clear(&a);
	stop(&s);
}

static void
an_answer_that_ends_early_is_none(void **state)
{
	struct world *w = *state;
	static const struct { const char *text; bool cut; } cases[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", false },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort", false },
		{ "HTTP/1.1 200 OK\r\n\r\nall there is?", true }, /* RFC 9112 9.8: who knows without close_notify */
		{ "", false },
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		struct server s = { .cert = &w->server, .under = &w->issuing, .answer = cases[i].text, .cut = cases[i].cut };

		start(&s);
		expect_cause(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&w->root_pem) }, FETCH_TRUNCATED, E_UNAVAIL,
		    "est.lab.example");
		stop(&s);
	}
}

static void
what_drips_ends_with_the_time_of_the_whole(void **state)
{
	struct world *w = *state;
	static const char *const answers[] = { "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: " };

	for (size_t i = 0; i < N_OF(answers); i++) {
		struct server s = { .cert = &w->server, .under = &w->issuing, .answer = answers[i], .drip = true };

		start(&s);
		expect_cause(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&w->root_pem), .total_ms = 300 }, FETCH_TIMEOUT,
		    E_UNAVAIL, "in time");
		stop(&s);
	}
}

static void
what_is_not_http_is_no_answer(void **state)
{
	struct world *w = *state;
	static const char *const answers[] = { "", "SSH-2.0-x\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort" };

	for (size_t i = 0; i < N_OF(answers); i++) {
		struct server s = { .cert = &w->server, .under = &w->issuing, .answer = answers[i] };
		struct fetch_answer a = { 0 };
		struct err e = { 0 };
		int r;

		start(&s);
		r = run(&s, (struct fetch){ .trust_pem = bytes_of_buf(&w->root_pem) }, &a, &e);
		assert_true(r == E_UNAVAIL || r == E_FORMAT);
		assert_non_null(strstr(e.msg, "est.lab.example"));
		fetch_clear(&a);
		stop(&s);
	}
}

static void
a_closed_port_is_told_as_such(void **state)
{
	struct server s = { 0 };
	int fd = listen_somewhere(&s.port);

	(void)state;
	(void)close(fd);
	expect_failure(&s, &(struct fetch){ 0 }, E_UNAVAIL, "Connection refused");
}

static void
without_tls_a_body_is_made_without_a_binding(void **state)
{
	struct server s = { .cert = NULL };
	struct maker m = { .lengths = 1 };
	char url[64];
	struct fetch f = { .url = url, .method = "POST", .make_body = make, .ctx = &m, .plain_ok = true };

	(void)state;
	start(&s);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/x", s.port);
	expect_seen(&s, &f, "\r\n\r\nbound=");
	assert_string_equal(m.binding, "");
	stop(&s);
}

static void
a_local_socket_is_spoken_to_without_tls(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/fetch.XXXXXX", seen[4096];
	struct fetch f = { .url = "http://localhost/operator", .method = "POST", .body = bytes_of("{}"), .unix_socket = a.sun_path };
	struct fetch_answer answer_got = { 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	pid = fork();
	if (pid == 0) {
		static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
		int c = accept(fd, NULL, NULL);

		if (read(c, seen, sizeof(seen)) <= 0 || write(c, text, sizeof(text) - 1) < 0)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(fetch_run(&f, &answer_got, NULL), 0);
	assert_string_equal(buf_str(&answer_got.body), "ok");
	fetch_clear(&answer_got);
	(void)waitpid(pid, NULL, 0);
	(void)close(fd);
	(void)unlink(a.sun_path);
	(void)rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_is_made_for_the_connection_that_carries_it),
		cmocka_unit_test(bodies_of_changing_length_are_made_again_until_one_fits),
		cmocka_unit_test(no_request_leaves_when_its_body_cannot_be_made),
		cmocka_unit_test(no_body_is_made_for_a_server_that_is_refused),
		cmocka_unit_test(retry_after_is_seconds_or_a_date_and_at_most_a_day),
		cmocka_unit_test(redirects_are_not_followed),
		cmocka_unit_test(one_redirect_to_the_same_origin_is_followed_where_the_caller_says_so),
		cmocka_unit_test(a_redirect_to_anywhere_else_is_an_answer),
		cmocka_unit_test(the_servers_clock_is_told),
		cmocka_unit_test(an_answer_over_the_limit_is_refused),
		cmocka_unit_test(heads_over_the_limit_are_refused_however_many_they_are),
		cmocka_unit_test(a_trailer_says_nothing_any_more),
		cmocka_unit_test(an_answer_that_ends_early_is_none),
		cmocka_unit_test(what_drips_ends_with_the_time_of_the_whole),
		cmocka_unit_test(what_is_not_http_is_no_answer),
		cmocka_unit_test(a_closed_port_is_told_as_such),
		cmocka_unit_test(without_tls_a_body_is_made_without_a_binding),
		cmocka_unit_test(a_local_socket_is_spoken_to_without_tls),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
