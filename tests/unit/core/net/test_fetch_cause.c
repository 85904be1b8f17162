/* SPDX-License-Identifier: Apache-2.0 */
/* test_fetch_cause.c - the HTTP client: why there is no answer */
#include "tests/unit/core/net/fetch_kit.h"

/* 64 characters: more than a label may have, so that nobody is asked for its address. */
#define NOWHERE "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example"

/* The server breaks off over our certificate, with this alert, under both versions of TLS. */
static void
expect_refused(const struct server *s, const struct fetch *f, int alert, const char *words)
{
	struct fetch_answer a = { 0 };
	struct err e = { 0 };

	assert_int_equal(run(s, *f, &a, &e), E_AUTH);
	if (a.cause != FETCH_CLIENT_REFUSED || strstr(e.msg, words) == NULL)
		fail_msg("cause %d: '%s'", a.cause, e.msg);
	assert_int_equal(a.tls_alert, alert);
	/* In TLS 1.3 the client is done before the server has looked. */
	assert_int_equal(a.tls_done, s->max_tls != TLS1_2_VERSION);
	fetch_clear(&a);
}

static void
a_client_certificate_that_the_server_refuses_is_told_apart(void **state)
{
	struct world *w = *state;
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct minted old = mint(&(struct mint){ .cn = "pump-1", .eku = OID_CLIENT_AUTH, .issuer = &w->issuing,
	    .to = MINT_FROM + 100 });
	AUTO_BUF old_pem = { 0 };
	AUTO_BUF old_key = { 0 };

	mint_pem(&old_pem, &old, &w->issuing);
	assert_int_equal(key_to_pem(&old_key, old.key, NULL), 0);
	for (size_t i = 0; i < N_OF(versions); i++) {
		struct server s = { .cert = &w->server, .under = &w->issuing, .max_tls = versions[i],
			.client_ca = &w->other_root, .client_must = true };
		struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem) };

		start(&s);
		expect_refused(&s, &f, versions[i] == TLS1_2_VERSION ? SSL_AD_HANDSHAKE_FAILURE : SSL_AD_CERTIFICATE_REQUIRED,
		    "wants a client certificate");
		f.client_cert_pem = buf_str(&w->device_pem);
		f.client_key_pem = buf_str(&w->device_key);
		expect_refused(&s, &f, SSL_AD_UNKNOWN_CA, "refused our certificate: TLS alert unknown CA");
		stop(&s);
		s.client_ca = &w->root;
		start(&s);
		f.client_cert_pem = buf_str(&old_pem);
		f.client_key_pem = buf_str(&old_key);
		expect_refused(&s, &f, SSL_AD_CERTIFICATE_EXPIRED, "expired");
		stop(&s);
	}
	mint_free(&old);
}

static void
an_alert_about_something_else_is_no_refusal_of_the_client(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing, .min_tls = TLS1_3_VERSION, .client_ca = &w->root };
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem), .max_tls = TLS1_2_VERSION,
		.client_cert_pem = buf_str(&w->device_pem), .client_key_pem = buf_str(&w->device_key) };
	struct fetch_answer a = { 0 };

	start(&s);
	assert_int_equal(run(&s, f, &a, NULL), E_UNAVAIL);
	assert_int_equal(a.cause, FETCH_CONNECT);
	assert_int_equal(a.tls_alert, SSL_AD_PROTOCOL_VERSION);
	assert_false(a.tls_done);
	fetch_clear(&a);
	stop(&s);
}

static void
a_server_that_is_not_trusted_says_why(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing };
	struct fetch f = { .trust_pem = bytes_of_buf(&w->other_pem) };
	struct fetch_answer a = { 0 };

	start(&s);
	expect_cause(&s, &f, FETCH_SERVER_UNTRUSTED, E_AUTH, "unknown CA");
	assert_int_equal(run(&s, f, &a, NULL), E_AUTH);
	assert_false(a.tls_done);
	fetch_clear(&a);
	stop(&s);
}

static void
no_connection_is_told_apart_from_no_address_and_no_time(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = NULL };
	int fd = listen_somewhere(&s.port);

	expect_cause(&s, &(struct fetch){ .url = "https://" NOWHERE "/" }, FETCH_RESOLVE, E_UNAVAIL, "no address");
	expect_cause(&s, &(struct fetch){ .total_ms = 200 }, FETCH_TIMEOUT, E_UNAVAIL, "in time"); /* nobody accepts */
	expect_cause(&s, &(struct fetch){ .connect_ms = 200 }, FETCH_TIMEOUT, E_UNAVAIL, "in time");
	(void)close(fd);
	expect_cause(&s, &(struct fetch){ 0 }, FETCH_CONNECT, E_UNAVAIL, "Connection refused");
	s = (struct server){ .cert = &w->server, .under = &w->issuing, .answer = "SSH-2.0-x\r\n" };
	start(&s);
	expect_cause(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&w->root_pem) }, FETCH_OTHER, E_FORMAT,
	    "does not speak HTTP");
	stop(&s);
}

static void
wrong_use_is_another_cause(void **state)
{
	struct server s = { .port = 1 };

	(void)state;
	expect_cause(&s, &(struct fetch){ .url = "" }, FETCH_OTHER, E_USAGE, "url");
	expect_cause(&s, &(struct fetch){ .trust_pem = bytes_of("nothing"), .url = "https://127.0.0.1:1/" }, FETCH_CONNECT,
	    E_UNAVAIL, "refused");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_certificate_that_the_server_refuses_is_told_apart),
		cmocka_unit_test(an_alert_about_something_else_is_no_refusal_of_the_client),
		cmocka_unit_test(a_server_that_is_not_trusted_says_why),
		cmocka_unit_test(no_connection_is_told_apart_from_no_address_and_no_time),
		cmocka_unit_test(wrong_use_is_another_cause),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
