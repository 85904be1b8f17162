/* SPDX-License-Identifier: Apache-2.0 */
/* test_fetch.c - the HTTP client: who the server must be, what is sent */
#include "tests/unit/core/net/fetch_kit.h"

#include <openssl/pem.h>

#include "core/base/file.h"

/* --- who the server is --- */

static void
a_verified_server_is_asked_and_its_answer_read(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing };
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem) };
	struct fetch_answer a = { 0 };
	AUTO_BUF leaf = { 0 };

	start(&s);
	assert_int_equal(run(&s, f, &a, NULL), 0);
	assert_int_equal(a.status, 200);
	assert_string_equal(a.type, "text/plain");
	assert_string_equal(a.request_id, "r1");
	assert_int_equal(a.retry_after_s, -1);
	assert_int_equal(a.peer_date, 0);
	assert_int_equal(a.tls_alert, -1);
	assert_true(a.tls_done);
	assert_non_null(strstr(buf_str(&a.body), "\nGET /x HTTP/1.1\r\n"));
	assert_null(strstr(buf_str(&a.body), "Expect"));
	assert_null(strstr(buf_str(&a.body), "Authorization"));
	mint_pem(&leaf, &w->server, NULL);
	assert_int_equal(strncmp(buf_str(&a.server_chain_pem), buf_str(&leaf), leaf.n), 0);
	fetch_clear(&a);
	stop(&s);
}

static void
an_intermediate_ca_is_an_anchor_too(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server };

	start(&s);
	expect_seen(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&w->issuing_pem) }, "connection=1");
	stop(&s);
}

static void
a_connection_alone_is_verified_and_carries_nothing(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing };
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem), .connect_only = true };
	struct fetch_answer a = { 0 };

	start(&s);
	assert_int_equal(run(&s, f, &a, NULL), 0);
	assert_int_equal(a.cause, FETCH_OK);
	assert_true(a.tls_done && a.server_chain_pem.n != 0);
	assert_int_equal(a.status, 0);
	assert_int_equal(a.body.n, 0);
	fetch_clear(&a);
	expect_failure(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&w->other_pem), .connect_only = true }, E_AUTH, "unknown CA");
	/* The one connection that is asked over is the first of which the server sees a request. */
	expect_seen(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&w->root_pem) }, "\nGET /x HTTP/1.1\r\n");
	stop(&s);
}

static void
a_server_of_an_unknown_ca_is_refused(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing };

	start(&s);
	expect_failure(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&w->other_pem) }, E_AUTH, "unknown CA");
	expect_failure(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&w->other_pem) }, E_AUTH, "--pin");
	expect_failure(&s, &(struct fetch){ 0 }, E_AUTH, "unknown CA"); /* the system does not know it either */
	stop(&s);
}

static void
broken_anchors_are_no_reason_to_take_others(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing };
	AUTO_BUF half = { 0 };

	start(&s);
	buf_put_bytes(&half, bytes_of_buf(&w->root_pem));
	buf_put_str(&half, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
	expect_failure(&s, &(struct fetch){ .trust_pem = bytes_of("nothing") }, E_FORMAT, "trust");
	expect_failure(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&half) }, E_FORMAT, "trust");
	stop(&s);
}

/* A server whose certificate is as given, under the right root. */
static void
expect_server(struct world *w, struct mint m, const char *url_host, int rc, const char *words)
{
	struct minted cert;
	struct server s = { .cert = &cert };
	char url[64];
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem), .url = url };

	m.issuer = &w->root;
	m.to = m.to != 0 ? m.to : INT64_MAX;
	cert = mint(&m);
	start(&s);
	(void)snprintf(url, sizeof(url), "https://%s:%d/x", url_host, s.port);
	if (rc != 0)
		expect_failure(&s, &f, (enum err_code)rc, words);
	else
		expect_seen(&s, &f, words);
	stop(&s);
	mint_free(&cert);
}

static void
the_name_must_be_in_the_alternative_names(void **state)
{
	struct world *w = *state;

	expect_server(w, (struct mint){ .cn = "x", .san = "dns:est.lab.example" }, "est.lab.example", 0, "connection=1");
	expect_server(w, (struct mint){ .cn = "x", .san = "dns:est.lab.example" }, "EST.lab.example", 0, "connection=1");
	expect_server(w, (struct mint){ .cn = "x", .san = "dns:*.lab.example" }, "est.lab.example", 0, "connection=1");
	expect_server(w, (struct mint){ .cn = "x", .san = "ip:127.0.0.1" }, "127.0.0.1", 0, "connection=1");
	expect_server(w, (struct mint){ .cn = "x", .san = "dns:other.example" }, "est.lab.example", E_AUTH, "other.example");
	expect_server(w, (struct mint){ .cn = "est.lab.example" }, "est.lab.example", E_AUTH, "not for this name");
	expect_server(w, (struct mint){ .cn = "x", .san = "dns:est.lab.example" }, "127.0.0.1", E_AUTH, "not for this name");
}

static void
a_registration_authority_needs_no_name_under_explicit_anchors(void **state)
{
	struct world *w = *state;

	expect_server(w, (struct mint){ .cn = "x", .san = "dns:other.example", .eku = OID_SERVER_AUTH, .more_eku = OID_CMC_RA },
	    "est.lab.example", 0, "connection=1");
	expect_server(w, (struct mint){ .cn = "x", .san = "dns:other.example", .eku = OID_SERVER_AUTH, .more_eku = OID_CLIENT_AUTH },
	    "est.lab.example", E_AUTH, "not for this name");
}

static void
a_registration_authority_needs_its_name_where_others_vouch_too(void **state)
{
	struct world *w = *state;
	struct minted cert = mint(&(struct mint){ .cn = "x", .san = "dns:other.example", .eku = OID_SERVER_AUTH,
	    .more_eku = OID_CMC_RA, .issuer = &w->root, .to = INT64_MAX });
	struct server s = { .cert = &cert };

	start(&s);
	expect_failure(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&w->root_pem), .trust_also_system = true }, E_AUTH,
	    "not for this name");
	stop(&s);
	mint_free(&cert);
}

static void
an_expired_or_wrong_certificate_is_refused(void **state)
{
	struct world *w = *state;

	expect_server(w, (struct mint){ .cn = "x", .san = "dns:est.lab.example", .to = MINT_FROM + 100 }, "est.lab.example", E_AUTH,
	    "expired");
	expect_server(w, (struct mint){ .cn = "x", .san = "dns:est.lab.example", .from = (int64_t)250000000000 }, "est.lab.example", E_AUTH,
	    "not valid yet");
	expect_server(w, (struct mint){ .cn = "x", .san = "dns:est.lab.example", .eku = OID_CLIENT_AUTH }, "est.lab.example", E_AUTH,
	    "not one for TLS servers");
}

/* Or somebody would look for what is wrong with the server. */
static void
an_anchor_that_has_expired_is_told_from_the_servers_own_certificate(void **state)
{
	struct minted root = mint(&(struct mint){ .cn = "old root", .ca = true, .to = MINT_FROM + 100 });
	struct minted cert = mint(&(struct mint){ .cn = "x", .san = "dns:est.lab.example", .issuer = &root, .to = INT64_MAX });
	struct server s = { .cert = &cert };
	AUTO_BUF pem = { 0 };

	(void)state;
	pem_encode(&pem, mint_der(&root), "CERTIFICATE");
	start(&s);
	expect_failure(&s, &(struct fetch){ .trust_pem = bytes_of_buf(&pem) }, E_AUTH,
	    "a CA above its certificate has expired; CN=old root is valid from 2020-");
	stop(&s);
	mint_free(&cert);
	mint_free(&root);
}

/* The system's anchors are what this file has, for the rest of the process. */
static void
set_system_anchors(const struct buf *pem, char name[static 24])
{
	(void)snprintf(name, 24, "/tmp/anchors.XXXXXX");
	(void)close(mkstemp(name));
	assert_int_equal(file_write(name, bytes_of_buf(pem), 0600, NULL), 0);
	assert_int_equal(setenv("SSL_CERT_FILE", name, 1), 0);
}

static void
the_systems_anchors_count_besides_ours_where_the_caller_says_so(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing };
	struct fetch f = { .trust_pem = bytes_of_buf(&w->other_pem), .unknown_ca_hint = "" };
	char name[24];

	set_system_anchors(&w->root_pem, name);
	start(&s);
	expect_failure(&s, &f, E_AUTH, "unknown CA");
	f.trust_also_system = true;
	expect_seen(&s, &f, "connection=2");
	(void)unlink(name);
	set_system_anchors(&w->other_pem, name);
	expect_failure(&s, &f, E_AUTH, "unknown CA");
	f.trust_pem = bytes_of_buf(&w->root_pem);
	expect_seen(&s, &f, "connection=4");
	stop(&s);
	(void)unlink(name);
	(void)unsetenv("SSL_CERT_FILE");
}

static void
what_people_are_told_about_an_unknown_ca_is_the_callers(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing };
	struct fetch f = { .trust_pem = bytes_of_buf(&w->other_pem), .unknown_ca_hint = "see the manual" };
	struct fetch_answer a = { 0 };
	struct err e = { 0 };

	start(&s);
	expect_failure(&s, &f, E_AUTH, "; see the manual");
	f.unknown_ca_hint = "";
	assert_int_equal(run(&s, f, &a, &e), E_AUTH);
	assert_null(strstr(e.msg, "--pin"));
	assert_int_equal(e.msg[strlen(e.msg) - 1], ')');
	fetch_clear(&a);
	stop(&s);
}

/* --- a server that nobody vouches for --- */

static void
an_unverified_server_gets_a_get_and_its_chain_is_kept(void **state)
{
	struct world *w = *state;
	struct server s = {
		.cert = &w->server,
		.under = &w->issuing,
		.client_ca = &w->root,
		.answer =
		    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"
	};
	struct fetch_answer a = { 0 };

	start(&s);
	assert_int_equal(run(&s, (struct fetch){ .provisional = true }, &a, NULL), 0);
	assert_int_equal(a.status, 401);
	assert_string_equal(a.www_authenticate, "Basic realm=\"x\"");
	assert_true(a.server_chain_pem.n != 0);
	fetch_clear(&a);
	stop(&s);
}

static void
an_unverified_server_gets_no_secret(void **state)
{
	struct world *w = *state;
	static const char *const headers[] = { "X-Secret: s", NULL };
	struct server s = { .port = 1 };
	struct fetch bad[] = {
		{ .user = "u" }, { .password = "p" }, { .headers = headers }, { .client_cert_pem = buf_str(&w->device_pem) },
		{ .body = bytes_of("x") }, { .method = "POST" },
	};

	for (size_t i = 0; i < N_OF(bad); i++) {
		bad[i].provisional = true;
		expect_failure(&s, &bad[i], E_POLICY, "not verified");
	}
}

/* --- what is sent --- */

static void
credentials_are_sent_with_the_first_request(void **state)
{
	struct world *w = *state;
	static const char *const headers[] = { "X-Extra: 1", NULL };
	struct server s = { .cert = &w->server, .under = &w->issuing, .client_ca = &w->root };
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem) };

	start(&s);
	expect_seen(&s, &f, "client=no");
	f.user = "";
	f.password = "secret";
	expect_seen(&s, &f, "\r\nAuthorization: Basic OnNlY3JldA==\r\n");
	f.headers = headers;
	expect_seen(&s, &f, "\r\nX-Extra: 1\r\n");
	f.client_cert_pem = buf_str(&w->device_pem);
	f.client_key_pem = buf_str(&w->device_key);
	expect_seen(&s, &f, "client=yes verified=0\n");
	stop(&s);
}

/* A key of a provider that the default context has not: nothing can take it out of there as text. */
static struct key *
elsewhere(OSSL_LIB_CTX *other, struct buf *pem)
{
	BIO *in = BIO_new_mem_buf(pem->p, (int)pem->n);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey_ex(in, NULL, NULL, NULL, other, NULL);
	struct key *key = NULL;

	assert_non_null(pkey);
	assert_int_equal(key_from_evp(&key, pkey, NULL), 0);
	EVP_PKEY_free(pkey);
	BIO_free(in);
	return key;
}

static void
the_client_key_may_stay_in_its_provider(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing, .client_ca = &w->root, .client_must = true };
	OSSL_LIB_CTX *other = OSSL_LIB_CTX_new();
	struct key *key = elsewhere(other, &w->device_key);
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem), .client_cert_pem = buf_str(&w->device_pem),
		.client_key = key };

	start(&s);
	expect_seen(&s, &f, "client=yes verified=0\n");
	f.max_tls = TLS1_2_VERSION;
	expect_seen(&s, &f, "client=yes verified=0\n");
	f.client_key = w->root.key;
	expect_failure(&s, &f, E_FORMAT, "client key");
	stop(&s);
	key_free(key);
	OSSL_LIB_CTX_free(other);
}

static void
a_key_that_is_not_the_certificates_is_refused(void **state)
{
	struct world *w = *state;
	struct server s = { .cert = &w->server, .under = &w->issuing };
	AUTO_BUF key = { 0 };
	struct fetch f = { .trust_pem = bytes_of_buf(&w->root_pem), .client_cert_pem = buf_str(&w->device_pem) };

	start(&s);
	assert_int_equal(key_to_pem(&key, w->root.key, NULL), 0);
	f.client_key_pem = buf_str(&key);
	expect_failure(&s, &f, E_FORMAT, "client key");
	f.client_key_pem = NULL;
	expect_failure(&s, &f, E_FORMAT, "client key");
	stop(&s);
}

static void
http_is_spoken_where_the_caller_says_so(void **state)
{
	struct server s = { .cert = NULL };
	char url[64];
	struct fetch f = { .url = url };
	struct fetch_answer a = { 0 };

	(void)state;
	start(&s);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/x", s.port);
	expect_failure(&s, &f, E_USAGE, "https");
	f.plain_ok = true;
	expect_seen(&s, &f, "client=no");
	assert_int_equal(run(&s, f, &a, NULL), 0);
	assert_false(a.tls_done);
	fetch_clear(&a);
	stop(&s);
}

static void
requests_that_must_not_be_sent_are_refused(void **state)
{
	static const char *const split[] = { "X: 1\r\nY: 2", NULL },
				 *const nameless[] = { "nothing", NULL };
	struct server s = { .port = 1 };

	(void)state;
	expect_failure(&s, &(struct fetch){ .url = "http://est.lab.example/" }, E_USAGE, "https");
	expect_failure(&s, &(struct fetch){ .url = "file:///etc/passwd" }, E_USAGE, "https");
	expect_failure(&s, &(struct fetch){ .url = "https://u:p@est.lab.example/" }, E_USAGE, "without user");
	expect_failure(&s, &(struct fetch){ .url = "" }, E_USAGE, "https");
	expect_failure(&s, &(struct fetch){ .headers = split }, E_USAGE, "header");
	expect_failure(&s, &(struct fetch){ .headers = nameless }, E_USAGE, "header");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_verified_server_is_asked_and_its_answer_read),
		cmocka_unit_test(an_intermediate_ca_is_an_anchor_too),
		cmocka_unit_test(a_connection_alone_is_verified_and_carries_nothing),
		cmocka_unit_test(a_server_of_an_unknown_ca_is_refused),
		cmocka_unit_test(broken_anchors_are_no_reason_to_take_others),
		cmocka_unit_test(the_name_must_be_in_the_alternative_names),
		cmocka_unit_test(a_registration_authority_needs_no_name_under_explicit_anchors),
		cmocka_unit_test(an_expired_or_wrong_certificate_is_refused),
		cmocka_unit_test(an_anchor_that_has_expired_is_told_from_the_servers_own_certificate),
		cmocka_unit_test(a_registration_authority_needs_its_name_where_others_vouch_too),
		cmocka_unit_test(the_systems_anchors_count_besides_ours_where_the_caller_says_so),
		cmocka_unit_test(what_people_are_told_about_an_unknown_ca_is_the_callers),
		cmocka_unit_test(an_unverified_server_gets_a_get_and_its_chain_is_kept),
		cmocka_unit_test(an_unverified_server_gets_no_secret),
		cmocka_unit_test(credentials_are_sent_with_the_first_request),
		cmocka_unit_test(the_client_key_may_stay_in_its_provider),
		cmocka_unit_test(http_is_spoken_where_the_caller_says_so),
		cmocka_unit_test(a_key_that_is_not_the_certificates_is_refused),
		cmocka_unit_test(requests_that_must_not_be_sent_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
