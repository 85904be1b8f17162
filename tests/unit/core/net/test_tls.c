/* SPDX-License-Identifier: Apache-2.0 */
/* tests: what a handshake tells of a client, and bindings that both sides agree on */
#include "tests/unit/core/net/house.h"

#include <openssl/err.h>
#include <openssl/param_build.h>

static struct house house;

/* Both ends of a connection in memory. */
struct pair {
	SSL_CTX *client_ctx;
	SSL *client, *server;
	bool ok;
};

static void
pair_open(struct pair *p, const struct tls_server *s, SSL_CTX *client)
{
	BIO *a, *b;

	p->client_ctx = client;
	p->client = SSL_new(client);
	p->server = SSL_new(tls_server_ctx(s));
	assert_int_equal(BIO_new_bio_pair(&a, 65536, &b, 65536), 1);
	SSL_set_bio(p->client, a, a);
	SSL_set_bio(p->server, b, b);
	SSL_set_connect_state(p->client);
	SSL_set_accept_state(p->server);
}

static void
pair_shake(struct pair *p)
{
	for (int i = 0; i < 20; i++) {
		int c = SSL_do_handshake(p->client), s = SSL_do_handshake(p->server);

		p->ok = c == 1 && s == 1;
		if (p->ok)
			break;
	}
	ERR_clear_error();
}

static void
pair_close(struct pair *p)
{
	SSL_free(p->client);
	SSL_free(p->server);
	SSL_CTX_free(p->client_ctx);
}

/* Shake hands with a house server and tell what it knows of the client. */
static void
meet(struct pair *p, struct tls_peer *peer, const struct tls_server *s, const struct made *who, int version)
{
	pair_open(p, s, house_client(who, version));
	pair_shake(p);
	assert_true(p->ok);
	tls_peer_fill(peer, p->server);
}

static void
a_client_without_certificate_is_nobody(void **state)
{
	struct tls_server *s = house_tls(&house);
	struct tls_peer peer;
	struct pair p;

	(void)state;
	meet(&p, &peer, s, NULL, TLS1_3_VERSION);
	assert_int_equal(peer.state, TRUST_NONE);
	assert_int_equal(peer.anchor, TRUST_ANCHOR_NONE);
	assert_false(peer.has_cert || peer.cert_parsed);
	assert_string_equal(peer.version, "TLSv1.3");
	assert_true(peer.ems);
	tls_peer_clear(&peer);
	pair_close(&p);
	tls_server_free(s);
}

static void
a_device_is_known_with_its_anchor_in_both_versions(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct tls_server *s = house_tls(&house);

	(void)state;
	for (size_t i = 0; i < N_OF(versions); i++) {
		struct tls_peer peer;
		struct pair p;

		meet(&p, &peer, s, &house.device, versions[i]);
		assert_int_equal(peer.state, TRUST_OK);
		assert_int_equal(peer.anchor, 7);
		assert_true(peer.has_cert && peer.cert_parsed && peer.ems);
		assert_true(bytes_equal(peer.cert.der, kit_der(&house.device)));
		assert_string_equal(name_get(&peer.cert.subject, OID_CN), "pump-7");
		tls_peer_clear(&peer);
		pair_close(&p);
	}
	tls_server_free(s);
}

static void
a_bad_certificate_is_judged_and_does_not_end_the_handshake(void **state)
{
	struct tls_server *s = house_tls(&house);
	const struct { const struct made *who; enum trust_state state; } cases[] = {
		{ &house.stranger, TRUST_UNKNOWN_ISSUER }, { &house.expired, TRUST_EXPIRED },
		{ &house.server, TRUST_WRONG_PURPOSE },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct tls_peer peer;
		struct pair p;

		meet(&p, &peer, s, cases[i].who, TLS1_3_VERSION);
		assert_int_equal(peer.state, cases[i].state);
		assert_true(peer.has_cert);
		assert_true(peer.detail[0] != 0);
		tls_peer_clear(&peer);
		pair_close(&p);
	}
	tls_server_free(s);
}

static void
nobody_is_trusted_before_anchors_are_set(void **state)
{
	struct tls_server *s = NULL;
	struct tls_peer peer;
	struct pair p;

	(void)state;
	assert_int_equal(tls_server_new(&s, bytes_of_buf(&house.chain_pem), bytes_of_buf(&house.key_pem), true, NULL), 0);
	meet(&p, &peer, s, &house.device, TLS1_3_VERSION);
	assert_int_equal(peer.state, TRUST_UNKNOWN_ISSUER);
	tls_peer_clear(&peer);
	pair_close(&p);
	tls_server_free(s);
}

static void
new_anchors_count_from_the_next_connection_on(void **state)
{
	struct tls_server *s = house_tls(&house);
	struct tls_peer peer;
	struct pair old, p;

	(void)state;
	pair_open(&old, s, house_client(&house.device, TLS1_3_VERSION)); /* has the old anchors */
	tls_server_set_trust(s, house_trust(&house.stranger, 9));
	pair_shake(&old);
	tls_peer_fill(&peer, old.server);
	assert_int_equal(peer.state, TRUST_OK);
	assert_int_equal(peer.anchor, 7);
	tls_peer_clear(&peer);
	meet(&p, &peer, s, &house.device, TLS1_3_VERSION);
	assert_int_equal(peer.state, TRUST_UNKNOWN_ISSUER);
	tls_peer_clear(&peer);
	pair_close(&p);
	pair_close(&old);
	tls_server_free(s);
}

static void
a_server_that_does_not_ask_learns_nothing(void **state)
{
	struct tls_server *s = NULL;
	struct tls_peer peer;
	struct pair p;

	(void)state;
	assert_int_equal(tls_server_new(&s, bytes_of_buf(&house.chain_pem), bytes_of_buf(&house.key_pem), false, NULL), 0);
	meet(&p, &peer, s, &house.device, TLS1_3_VERSION);
	assert_int_equal(peer.state, TRUST_NONE);
	assert_false(peer.has_cert);
	tls_peer_clear(&peer);
	pair_close(&p);
	tls_server_free(s);
}

static void
the_names_of_the_anchors_and_the_whole_chain_are_sent(void **state)
{
	struct tls_server *s = house_tls(&house);
	struct tls_peer peer;
	struct pair p;

	(void)state;
	meet(&p, &peer, s, NULL, TLS1_2_VERSION);
	assert_int_equal(sk_X509_NAME_num(SSL_get0_peer_CA_list(p.client)), 1);
	assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(p.client)), 2);
	tls_peer_clear(&peer);
	pair_close(&p);
	tls_server_free(s);
}

static void
both_sides_compute_the_same_binding(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct tls_server *s = house_tls(&house);
	char last[TLS_BINDING_MAX] = "";

	(void)state;
	for (size_t i = 0; i < N_OF(versions); i++) {
		char a[TLS_BINDING_MAX], b[TLS_BINDING_MAX];
		struct err e = { 0 };
		struct tls_peer peer;
		struct pair p;

		meet(&p, &peer, s, &house.device, versions[i]);
		if (tls_binding(a, p.server, true, &e) != 0 || tls_binding(b, p.client, false, &e) != 0)
			fail_msg("%s", e.msg);
		assert_string_equal(a, b);
		assert_string_not_equal(a, last);
		assert_int_equal(strlen(a), versions[i] == TLS1_2_VERSION ? 16 : 44); /* 12 and 32 octets */
		memcpy(last, a, sizeof(a));
		tls_peer_clear(&peer);
		pair_close(&p);
	}
	tls_server_free(s);
}

static void
there_is_no_binding_without_extended_master_secret(void **state)
{
	struct tls_server *s = house_tls(&house);
	SSL_CTX *client = house_client(NULL, TLS1_2_VERSION);
	char a[TLS_BINDING_MAX];
	struct pair p;

	(void)state;
	(void)SSL_CTX_set_options(client, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	pair_open(&p, s, client);
	assert_int_equal(tls_binding(a, p.server, true, NULL), E_UNAVAIL);
	pair_shake(&p);
	assert_true(p.ok);
	assert_int_equal(tls_binding(a, p.server, true, NULL), E_POLICY);
	pair_close(&p);
	tls_server_free(s);
}

static bool
shakes_with_alpn(const char *list, size_t n, int max_version, const char *ciphers)
{
	struct tls_server *s = house_tls(&house);
	SSL_CTX *client = house_client(NULL, 0);
	struct pair p;
	bool ok;

	if (n != 0)
		assert_int_equal(SSL_CTX_set_alpn_protos(client, (const uint8_t *)list, (unsigned)n), 0);
	if (max_version != 0)
		assert_int_equal(SSL_CTX_set_max_proto_version(client, max_version), 1);
	if (ciphers != NULL)
		assert_int_equal(SSL_CTX_set_cipher_list(client, ciphers), 1);
	SSL_CTX_set_security_level(client, 0);
	pair_open(&p, s, client);
	pair_shake(&p);
	ok = p.ok;
	pair_close(&p);
	tls_server_free(s);
	return ok;
}

static void
a_client_that_wants_another_protocol_is_turned_away(void **state)
{
	(void)state;
	assert_true(shakes_with_alpn("", 0, 0, NULL));
	assert_true(shakes_with_alpn("\x02h2\x08http/1.1", 12, 0, NULL));
	assert_false(shakes_with_alpn("\x02h2", 3, 0, NULL));
}

static void
old_versions_and_suites_are_not_spoken(void **state)
{
	(void)state;
	assert_true(shakes_with_alpn("", 0, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"));
	assert_false(shakes_with_alpn("", 0, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA"));
	assert_false(shakes_with_alpn("", 0, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256"));
	assert_false(shakes_with_alpn("", 0, TLS1_1_VERSION, NULL));
}

static void
a_session_is_never_resumed(void **state)
{
	struct tls_server *s = house_tls(&house);
	SSL_CTX *client = house_client(NULL, TLS1_2_VERSION);
	struct pair first, second;
	SSL_SESSION *session;

	(void)state;
	pair_open(&first, s, client);
	pair_shake(&first);
	session = SSL_get1_session(first.client);
	assert_int_equal(SSL_CTX_up_ref(client), 1);
	pair_open(&second, s, client);
	(void)SSL_set_session(second.client, session);
	pair_shake(&second);
	assert_true(second.ok);
	assert_int_equal(SSL_session_reused(second.client), 0);
	SSL_SESSION_free(session);
	pair_close(&second);
	pair_close(&first);
	tls_server_free(s);
}

static void
a_key_must_fit_its_certificate(void **state)
{
	struct tls_server *s = NULL;
	AUTO_BUF other = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(key_to_pem(&other, house.device.key, NULL), 0);
	assert_int_equal(tls_server_new(&s, bytes_of_buf(&house.chain_pem), bytes_of_buf(&other), true, &e), E_CRYPTO);
	assert_non_null(strstr(e.msg, "TLS key"));
	assert_int_equal(tls_server_new(&s, bytes_of("nothing"), bytes_of_buf(&other), true, &e), E_FORMAT);
	assert_int_equal(tls_server_new(&s, bytes_of_buf(&house.chain_pem), bytes_of(""), true, &e), E_FORMAT);
	assert_null(s);
	assert_int_equal(ERR_peek_error(), 0);
}

static void
a_chain_that_is_cut_off_is_no_chain(void **state)
{
	struct tls_server *s = NULL;
	struct bytes whole = bytes_of_buf(&house.chain_pem);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(tls_server_new(&s, bytes_slice(whole, 0, whole.n - 60), bytes_of_buf(&house.key_pem), true, &e), E_FORMAT);
	assert_non_null(strstr(e.msg, "chain"));
	assert_null(s);
	assert_int_equal(ERR_peek_error(), 0);
}

/* A key that nobody has: its signatures are wrong, and to find that out costs as much as if they were right. */
static EVP_PKEY *
made_up_rsa(int bits)
{
	BIGNUM *n = BN_new(), *e = BN_new(), *d = BN_new();
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *key = NULL;
	OSSL_PARAM *p;

	assert_true(BN_rand(n, bits, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD) && BN_set_word(e, 65537) && BN_set_word(d, 3));
	assert_true(OSSL_PARAM_BLD_push_BN(b, "n", n) && OSSL_PARAM_BLD_push_BN(b, "e", e) && OSSL_PARAM_BLD_push_BN(b, "d", d));
	p = OSSL_PARAM_BLD_to_param(b);
	assert_true(EVP_PKEY_fromdata_init(c) == 1 && EVP_PKEY_fromdata(c, &key, EVP_PKEY_KEYPAIR, p) == 1);
	OSSL_PARAM_free(p);
	OSSL_PARAM_BLD_free(b);
	EVP_PKEY_CTX_free(c);
	BN_free(n);
	BN_free(e);
	BN_free(d);
	return key;
}

/* Why the server ends a handshake with a client that has such a key. */
static int
refusal_of_rsa(const struct tls_server *s, int bits)
{
	EVP_PKEY *key = made_up_rsa(bits);
	SSL_CTX *ctx = house_client(NULL, TLS1_3_VERSION);
	X509 *x = kit_x509(kit_der(&house.device));
	struct pair p;
	int why = 0;

	assert_true(X509_set_pubkey(x, key) == 1 && X509_sign(x, key_evp(house.device.key), EVP_sha256()) > 0);
	assert_true(SSL_CTX_use_certificate(ctx, x) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1);
	pair_open(&p, s, ctx);
	for (int i = 0; i < 20 && why == 0; i++) {
		(void)SSL_do_handshake(p.client);
		ERR_clear_error();
		(void)SSL_do_handshake(p.server);
		why = ERR_GET_REASON(ERR_peek_last_error());
	}
	ERR_clear_error();
	pair_close(&p);
	X509_free(x);
	EVP_PKEY_free(key);
	return why;
}

static void
a_huge_key_is_turned_away_before_its_signature(void **state)
{
	struct tls_server *s = house_tls(&house);

	(void)state;
	assert_int_equal(refusal_of_rsa(s, 4096), SSL_R_BAD_SIGNATURE);
	assert_int_equal(refusal_of_rsa(s, 4104), SSL_R_CERTIFICATE_VERIFY_FAILED);
	tls_server_free(s);
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
		cmocka_unit_test(a_client_without_certificate_is_nobody),
		cmocka_unit_test(a_device_is_known_with_its_anchor_in_both_versions),
		cmocka_unit_test(a_bad_certificate_is_judged_and_does_not_end_the_handshake),
		cmocka_unit_test(nobody_is_trusted_before_anchors_are_set),
		cmocka_unit_test(new_anchors_count_from_the_next_connection_on),
		cmocka_unit_test(a_server_that_does_not_ask_learns_nothing),
		cmocka_unit_test(the_names_of_the_anchors_and_the_whole_chain_are_sent),
		cmocka_unit_test(both_sides_compute_the_same_binding),
		cmocka_unit_test(there_is_no_binding_without_extended_master_secret),
		cmocka_unit_test(a_client_that_wants_another_protocol_is_turned_away),
		cmocka_unit_test(old_versions_and_suites_are_not_spoken),
		cmocka_unit_test(a_session_is_never_resumed),
		cmocka_unit_test(a_key_must_fit_its_certificate),
		cmocka_unit_test(a_chain_that_is_cut_off_is_no_chain),
		cmocka_unit_test(a_huge_key_is_turned_away_before_its_signature),
	};

	return cmocka_run_group_tests(tests, build, clear);
}
