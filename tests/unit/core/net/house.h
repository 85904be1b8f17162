/* SPDX-License-Identifier: Apache-2.0 */
/* house.h - a small PKI for the tests of core/net: a root, a server, devices; valid from 2020 to 2119 */
#ifndef TESTS_HOUSE_H
#define TESTS_HOUSE_H

#include "tests/unit/core/pki/kit.h"

#include <openssl/ssl.h>

#include "core/net/tls.h"

#define LONG_AGO INT64_C(1577836800) /* 2020-01-01 */
#define FAR_OFF  INT64_C(4701974400) /* 2119-01-01 */

struct house {
	struct made root, server, device, stranger, expired;
	struct buf chain_pem, key_pem;
};

static const struct recipe house_root = {
	.subject = "CN=Root", .ca = true, .pathlen = -1, .ku = KU_KEY_CERT_SIGN | KU_CRL_SIGN,
	.from = LONG_AGO, .to = FAR_OFF,
};
static const struct recipe house_server = {
	.subject = "CN=localhost", .ku = KU_DIGITAL_SIGNATURE, .n_eku = 1, .eku = { OID_SERVER_AUTH },
	.from = LONG_AGO, .to = FAR_OFF,
};
static const struct recipe house_device = {
	.subject = "CN=pump-7", .ku = KU_DIGITAL_SIGNATURE, .n_eku = 1, .eku = { OID_CLIENT_AUTH },
	.from = LONG_AGO, .to = FAR_OFF,
};
static const struct recipe house_expired = {
	.subject = "CN=pump-6", .ku = KU_DIGITAL_SIGNATURE, .n_eku = 1, .eku = { OID_CLIENT_AUTH },
	.from = LONG_AGO, .to = LONG_AGO + 10 * DAYS,
};

static inline void
house_build(struct house *h)
{
	kit_make(&h->root, &house_root, NULL);
	kit_make(&h->server, &house_server, &h->root);
	kit_make(&h->device, &house_device, &h->root);
	kit_make(&h->expired, &house_expired, &h->root);
	kit_make(&h->stranger, &house_device, NULL);
	pem_encode(&h->chain_pem, kit_der(&h->server), "CERTIFICATE");
	pem_encode(&h->chain_pem, kit_der(&h->root), "CERTIFICATE");
	assert_int_equal(key_to_pem(&h->key_pem, h->server.key, NULL), 0);
}

static inline void
house_clear(struct house *h)
{
	made_free(&h->root);
	made_free(&h->server);
	made_free(&h->device);
	made_free(&h->expired);
	made_free(&h->stranger);
	buf_free(&h->chain_pem);
	buf_free(&h->key_pem);
}

static inline struct trust *
house_trust(const struct made *anchor, uint32_t id)
{
	struct trust *t = trust_new();

	assert_int_equal(trust_add(t, id, kit_der(anchor), NULL), 0);
	return t;
}

/* A server that asks for a certificate and trusts the root as number 7. */
static inline struct tls_server *
house_tls(const struct house *h)
{
	struct tls_server *s = NULL;
	struct err e = { 0 };

	if (tls_server_new(&s, bytes_of_buf(&h->chain_pem), bytes_of_buf(&h->key_pem), true, &e) != 0)
		fail_msg("%s", e.msg);
	tls_server_set_trust(s, house_trust(&h->root, 7));
	return s;
}

/* A client that takes any server and shows `who` (NULL: nothing); version 0: any. */
static inline SSL_CTX *
house_client(const struct made *who, int version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	X509 *x;

	assert_non_null(ctx);
	if (version != 0) {
		assert_int_equal(SSL_CTX_set_min_proto_version(ctx, version), 1);
		assert_int_equal(SSL_CTX_set_max_proto_version(ctx, version), 1);
	}
	if (who != NULL) {
		x = kit_x509(kit_der(who));
		assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
		X509_free(x);
		assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key_evp(who->key)), 1);
	}
	return ctx;
}

#endif
