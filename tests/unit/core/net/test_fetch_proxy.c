/* SPDX-License-Identifier: Apache-2.0 */
/* test_fetch_proxy.c - the HTTP client through a proxy, or past it */
#include "tests/unit/core/net/fetch_kit.h"

#include "core/net/fetch_proxy.h"

/* --- a proxy: a child that tells through a pipe what it was asked --- */

struct proxy {
	struct server as;         /* its certificate (NULL: plain), whom it asks for a client certificate */
	int to;                   /* the port that it connects to, whatever it is asked for */
	const char *refusal;      /* answer this instead; NULL: connect */
	int told;                 /* what it was asked, all of it so far */
};

static int
connect_to(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	mint_must(connect(fd, (const struct sockaddr *)&a, sizeof(a)));
	return fd;
}

/* Octets both ways until one side ends. */
static void
relay(const struct line *client, const struct line *server)
{
	struct pollfd p[] = { { .fd = client->fd, .events = POLLIN }, { .fd = server->fd, .events = POLLIN } };
	char piece[4096];

	for (;;) {
		bool pending = client->ssl != NULL && SSL_pending(client->ssl) > 0;
		int from, n;

		if (!pending && poll(p, 2, -1) < 0)
			return;
		from = pending || p[0].revents != 0 ? 0 : 1;
		n = line_read(from == 0 ? client : server, piece, sizeof(piece));
		if (n <= 0 || line_write(from == 0 ? server : client, piece, (size_t)n) != n)
			return;
	}
}

static void
pass(const struct proxy *p, const struct line *l, int told)
{
	AUTO_BUF request = { 0 };
	AUTO_BUF seen = { 0 };
	X509 *cert = l->ssl != NULL ? SSL_get1_peer_certificate(l->ssl) : NULL;
	struct line server = { 0 };
	const char *answer = p->refusal != NULL ? p->refusal : "HTTP/1.1 200 Connected\r\n\r\n";

	if (!read_request(l, &request))
		return;
	buf_printf(&seen, "%scert=%s\n", buf_str(&request), cert != NULL ? "yes" : "no");
	X509_free(cert);
	mint_must(write(told, seen.p, seen.n) != (ssize_t)seen.n);
	(void)line_write(l, answer, strlen(answer));
	if (p->refusal != NULL)
		return;
	server.fd = connect_to(p->to);
	relay(l, &server);
	(void)close(server.fd);
}

static void
pass_all(const struct proxy *p, int fd, int told)
{
	SSL_CTX *ctx = p->as.cert != NULL ? server_ctx(&p->as) : NULL;

	for (;;) {
		struct line l = { .ssl = ctx != NULL ? SSL_new(ctx) : NULL, .fd = accept(fd, NULL, NULL) };

		if (l.ssl != NULL)
			(void)SSL_set_fd(l.ssl, l.fd);
		if (l.ssl == NULL || SSL_accept(l.ssl) == 1)
			pass(p, &l, told);
		ERR_clear_error();
		SSL_free(l.ssl);
		(void)close(l.fd);
	}
}

static void
start_proxy(struct proxy *p)
{
	int fd = listen_somewhere(&p->as.port), ends[2];

	assert_int_equal(pipe(ends), 0);
	p->as.pid = fork();
	assert_true(p->as.pid >= 0);
	if (p->as.pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)signal(SIGPIPE, SIG_IGN);
		pass_all(p, fd, ends[1]);
	}
	(void)close(fd);
	(void)close(ends[1]);
	p->told = ends[0];
}

/* End it; all that it was asked, to be freed by the caller. */
static void
stop_proxy(struct proxy *p, struct buf *told)
{
	char piece[1024];
	ssize_t n;

	stop(&p->as);
	while ((n = read(p->told, piece, sizeof(piece))) > 0)
		buf_put(told, piece, (size_t)n);
	(void)close(p->told);
}

static void
expect_told(struct buf *told, const char *words, bool there)
{
	if ((strstr(buf_str(told), words) != NULL) != there)
		fail_msg("'%s' is%s in '%s'", words, there ? " not" : "", buf_str(told));
}

/* --- through it --- */

static void
a_proxy_is_asked_for_a_tunnel_with_its_own_credentials(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing, .client_ca = &w->root };
	struct proxy p = { .as = { .cert = NULL } };
	static const char *const headers[] = { "X-Secret: mine", NULL };
	char uri[64], line[128];
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem), .proxy = uri, .user = "device", .password = "pw",
		.headers = headers, .client_cert_pem = buf_str(&w->device_pem), .client_key_pem = buf_str(&w->device_key) };
	AUTO_BUF told = { 0 };

	start(&s);
	p.to = s.port;
	start_proxy(&p);
	(void)snprintf(uri, sizeof(uri), "http://us%%40er:p%%3Aw%%2F@127.0.0.1:%d", p.as.port);
	expect_seen(&s, &f, "client=yes verified=0\n");
	expect_seen(&s, &f, "\r\nAuthorization: Basic ZGV2aWNlOnB3\r\n");
	(void)snprintf(uri, sizeof(uri), "127.0.0.1:%d", p.as.port);
	expect_seen(&s, &f, "connection=3");
	stop_proxy(&p, &told);
	stop(&s);
	(void)snprintf(line, sizeof(line), "CONNECT est.lab.example:%d HTTP/1.1\r\n", s.port);
	expect_told(&told, line, true);
	expect_told(&told, "\r\nProxy-Authorization: Basic dXNAZXI6cDp3Lw==\r\n", true);
	expect_told(&told, "\r\nAuthorization:", false);
	expect_told(&told, "X-Secret", false);
}

static void
an_https_proxy_is_verified_and_never_gets_the_client_certificate(void **state)
{
	struct world *w = *state;
	struct minted cert = mint(&(struct mint){ .cn = "proxy", .san = "ip:127.0.0.1", .eku = OID_SERVER_AUTH,
	    .issuer = &w->root, .to = INT64_MAX });
	struct server s = { .cert = &w->server, .under = &w->issuing, .client_ca = &w->root, .client_must = true };
	struct proxy p = { .as = { .cert = &cert, .client_ca = &w->root } };
	char uri[64];
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem), .proxy = uri,
		.client_cert_pem = buf_str(&w->device_pem), .client_key_pem = buf_str(&w->device_key) };
	static const int versions[] = { 0, TLS1_2_VERSION };
	AUTO_BUF told = { 0 };

	start(&s);
	p.to = s.port;
	start_proxy(&p);
	(void)snprintf(uri, sizeof(uri), "https://u:p@127.0.0.1:%d/", p.as.port);
	for (size_t i = 0; i < N_OF(versions); i++) {
		f.max_tls = versions[i];
		expect_seen(&s, &f, "client=yes verified=0\n");
	}
	(void)snprintf(uri, sizeof(uri), "https://u:p@localhost:%d/", p.as.port);
	expect_cause(&s, &f, FETCH_PROXY, E_AUTH, "proxy localhost: its certificate is not for this name");
	(void)snprintf(uri, sizeof(uri), "https://u:p@127.0.0.1:%d/", p.as.port);
	f.trust_pem = bytes_of_buf(&w->other_pem);
	expect_cause(&s, &f, FETCH_PROXY, E_AUTH, "proxy 127.0.0.1: its certificate comes from an unknown CA");
	stop_proxy(&p, &told);
	stop(&s);
	mint_free(&cert);
	expect_told(&told, "Proxy-Authorization: Basic dTpw", true);
	expect_told(&told, "cert=no", true);
	expect_told(&told, "cert=yes", false);
}

/* An https proxy of the same name as the server; both want the certificate, one gets it. */
static void
a_proxy_of_the_servers_own_name_gets_no_certificate_either(void **state)
{
	struct world *w = *state;
	struct minted cert = mint(&(struct mint){ .cn = "both", .san = "ip:127.0.0.1", .eku = OID_SERVER_AUTH,
	    .issuer = &w->root, .to = INT64_MAX });
	struct server s = { .cert = &cert, .client_ca = &w->root, .client_must = true };
	struct proxy p = { .as = { .cert = &cert, .client_ca = &w->root, .client_must = true } };
	char uri[64], url[64];
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem), .proxy = uri, .url = url,
		.client_cert_pem = buf_str(&w->device_pem), .client_key_pem = buf_str(&w->device_key) };
	AUTO_BUF told = { 0 };

	start(&s);
	p.to = s.port;
	start_proxy(&p);
	(void)snprintf(uri, sizeof(uri), "https://127.0.0.1:%d/", p.as.port);
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%d/x", s.port);
	expect_cause(&s, &f, FETCH_PROXY, E_UNAVAIL, "proxy https://127.0.0.1");
	stop_proxy(&p, &told);
	p.as.client_must = false;
	start_proxy(&p);
	(void)snprintf(uri, sizeof(uri), "https://127.0.0.1:%d/", p.as.port);
	expect_seen(&s, &f, "client=yes verified=0\n");
	stop_proxy(&p, &told);
	stop(&s);
	mint_free(&cert);
	expect_told(&told, "cert=no", true);
	expect_told(&told, "cert=yes", false);
}

/* --- what goes wrong there --- */

static void
a_proxy_that_refuses_is_told_apart_and_its_password_is_masked(void **state)
{
	struct world *w = *state;
	struct server s = { .port = 1 };
	static const struct { const char *refusal; enum err_code code; const char *words; } cases[] = {
		{ "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n", E_AUTH, "status 407" },
		{ "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", E_UNAVAIL, "status 503" },
		{ "", E_UNAVAIL, "proxy http://user:***@127.0.0.1:" },
	};
	char uri[64];
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem), .proxy = uri };

	for (size_t i = 0; i < N_OF(cases); i++) {
		struct proxy p = { .as = { .cert = NULL }, .refusal = cases[i].refusal };
		struct fetch_answer a = { 0 };
		struct err e = { 0 };
		AUTO_BUF told = { 0 };

		start_proxy(&p);
		(void)snprintf(uri, sizeof(uri), "http://user:hunter2@127.0.0.1:%d", p.as.port);
		expect_cause(&s, &f, FETCH_PROXY, cases[i].code, cases[i].words);
		assert_int_not_equal(run(&s, f, &a, &e), 0);
		assert_non_null(strstr(e.msg, "user:***@127.0.0.1"));
		assert_null(strstr(e.msg, "hunter2"));
		assert_int_equal(a.status, 0);
		fetch_clear(&a);
		stop_proxy(&p, &told);
	}
}

static void
a_proxy_that_is_not_there_is_told_apart(void **state)
{
	struct server s = { .port = 1 };
	struct proxy p = { .as = { .cert = NULL } };
	char uri[128];
	struct fetch f = { .proxy = uri };
	int fd = listen_somewhere(&p.as.port);

	(void)state;
	(void)close(fd);
	(void)snprintf(uri, sizeof(uri), "http://u:secret@127.0.0.1:%d", p.as.port);
	expect_cause(&s, &f, FETCH_PROXY, E_UNAVAIL, "proxy http://u:***@127.0.0.1:");
	(void)snprintf(uri, sizeof(uri), "http://%064d.example:1", 0);
	expect_cause(&s, &f, FETCH_PROXY, E_UNAVAIL, "no address for this name");
}

static void
what_is_no_proxy_is_refused_without_a_word_of_it(void **state)
{
	static const char *const bad[] = { "", "socks5://secret@h", "http://", "ftp://h", "http://a:secret%00@h",
		"http://a%3Ab:secret@h", "http://h:99999", "http://secret h" };
	struct server s = { .port = 1 };

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		struct fetch f = { .proxy = bad[i] };
		struct fetch_answer a = { 0 };
		struct err e = { 0 };

		assert_int_equal(run(&s, f, &a, &e), E_USAGE);
		assert_null(strstr(e.msg, "secret"));
		fetch_clear(&a);
	}
}

static void
a_proxys_text_has_no_password(void **state)
{
	static const struct { const char *uri, *text; } cases[] = {
		{ "http://h:3128", "http://h:3128" }, { "https://u:p@h", "https://u:***@h:443" }, { "h", "http://h:80" },
		{ "http://u@[::1]:8", "http://u@[::1]:8" }, { "http://:p@h", "http://:***@h:80" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		AUTO_BUF text = { 0 };

		struct fetch_proxy p;

		assert_int_equal(fetch_proxy_parse(&p, cases[i].uri, NULL), 0);
		fetch_proxy_show(&text, &p);
		assert_string_equal(buf_str(&text), cases[i].text);
		fetch_proxy_clear(&p);
	}
}

/* --- past it --- */

static void
hosts_of_the_list_are_reached_without_the_proxy(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing };
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem), .proxy = "http://127.0.0.1:1", .no_proxy = "lab.example" };

	start(&s);
	expect_seen(&s, &f, "connection=1");
	f.no_proxy = "other.example";
	expect_cause(&s, &f, FETCH_PROXY, E_UNAVAIL, "proxy http://127.0.0.1:1");
	assert_int_equal(setenv("no_proxy", "*", 1), 0); /* the environment has no say */
	f.no_proxy = NULL;
	expect_cause(&s, &f, FETCH_PROXY, E_UNAVAIL, "proxy http://127.0.0.1:1");
	(void)unsetenv("no_proxy");
	stop(&s);
}

static void
the_list_has_names_addresses_and_blocks(void **state)
{
	static const struct { const char *list, *host; bool without; } cases[] = {
		{ NULL, "h", false }, { "", "h", false }, { "*", "h", true }, { "a, *", "10.0.0.1", true },
		{ "example.com", "example.com", true }, { "example.com", "EST.Example.COM", true },
		{ ".example.com", "example.com", true }, { "*.example.com", "a.example.com", true },
		{ "example.com", "badexample.com", false }, { "a.example.com", "example.com", false },
		{ "example.com.", "example.com", true }, { "example.com", "example.com.", true }, { ".", "h", false },
		{ "x,y z\texample.com", "example.com", true }, { ",,", "h", false },
		{ "10.0.0.1", "10.0.0.1", true }, { "0.0.1", "10.0.0.1", false }, { "10.0.0.0/8", "10.9.9.9", true },
		{ "10.0.0.0/8", "11.0.0.0", false }, { "10.0.0.0/33", "10.0.0.0", false }, { "10.0.0.0/x", "10.0.0.0", false },
		{ "192.168.128.0/17", "192.168.200.1", true }, { "192.168.128.0/17", "192.168.100.1", false },
		{ "0.0.0.0/0", "1.2.3.4", true }, { "0.0.0.0/0", "::1", false }, { "::/0", "1.2.3.4", false },
		{ "[::1]", "::1", true }, { "0:0:0:0:0:0:0:1", "::1", true }, { "fd00::/8", "fd12::1", true },
		{ "10.0.0.0/8", "a.10.0.0.0", false },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++)
		if (fetch_without_proxy(cases[i].list, cases[i].host) != cases[i].without)
			fail_msg("%s in '%s'", cases[i].host, cases[i].list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_proxy_is_asked_for_a_tunnel_with_its_own_credentials),
		cmocka_unit_test(an_https_proxy_is_verified_and_never_gets_the_client_certificate),
		cmocka_unit_test(a_proxy_of_the_servers_own_name_gets_no_certificate_either),
		cmocka_unit_test(a_proxy_that_refuses_is_told_apart_and_its_password_is_masked),
		cmocka_unit_test(a_proxy_that_is_not_there_is_told_apart),
		cmocka_unit_test(what_is_no_proxy_is_refused_without_a_word_of_it),
		cmocka_unit_test(a_proxys_text_has_no_password),
		cmocka_unit_test(hosts_of_the_list_are_reached_without_the_proxy),
		cmocka_unit_test(the_list_has_names_addresses_and_blocks),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
