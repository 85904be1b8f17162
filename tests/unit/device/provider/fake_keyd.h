/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/device/provider/fake_keyd.h - a Keys Service for one key, in a child process */
#ifndef TESTS_PROVIDER_FAKE_KEYD_H
#define TESTS_PROVIDER_FAKE_KEYD_H

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "core/codec/base64.h"
#include "core/codec/json.h"
#include "core/pki/key.h"
#include "tests/unit/core/net/unix_peer.h"

struct fake_keyd {
	struct key *key;
	const char *id;
	size_t good_for;         /* so many private operations a handle, then it is refused; 0: any number */
	enum { FAKE_SAME, FAKE_GONE, FAKE_OTHER, FAKE_NONSENSE } later; /* what a pair loaded anew is */
	struct key *other;
	bool lies;               /* signs with `other` */
	struct unix_peer peer;
	/* in the child */
	size_t loads, operations;
};

static inline void
fake_say(struct buf *out, unsigned status, const char *member, struct bytes value, bool as_base64)
{
	AUTO_JSON v = json_object();
	AUTO_BUF text = { 0 };
	AUTO_BUF body = { 0 };

	if (as_base64)
		base64_encode(&text, value, 0);
	else
		buf_put_bytes(&text, value);
	json_setf(v, member, "%s", buf_str(&text));
	json_print(&body, v, false);
	buf_printf(out, "HTTP/1.1 %u X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", status, body.n);
	buf_put_bytes(out, bytes_of_buf(&body));
}

static inline void
fake_refuse(struct buf *out, const char *why)
{
	fake_say(out, 400, "message", bytes_of(why), false);
}

static inline void
fake_private(struct buf *out, const struct fake_keyd *f, const char *member, const char *algorithm, struct bytes in)
{
	EVP_PKEY *key = key_evp(f->lies ? f->other : f->key);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	EVP_MD_CTX *m = EVP_MD_CTX_new();
	uint8_t sig[1024];
	size_t n = sizeof(sig);
	bool ok;

	if (strcmp(algorithm, "EdDSA") == 0) {
		ok = EVP_DigestSignInit(m, NULL, NULL, NULL, key) == 1 &&
		    EVP_DigestSign(m, sig, &n, in.p, in.n) == 1;
	} else {
		ok = EVP_PKEY_sign_init(c) == 1;
		if (strcmp(algorithm, "RSA-NO-PADDING") == 0)
			ok = ok && EVP_PKEY_CTX_set_rsa_padding(c, RSA_NO_PADDING) == 1;
		ok = ok && EVP_PKEY_sign(c, sig, &n, in.p, in.n) == 1;
	}
	if (ok)
		fake_say(out, 200, member, (struct bytes){ sig, f->later == FAKE_NONSENSE ? n - 1 : n }, true);
	else
		fake_refuse(out, "a parameter has an invalid value");
	EVP_PKEY_CTX_free(c);
	EVP_MD_CTX_free(m);
}

static inline void
fake_load(struct buf *out, struct fake_keyd *f, const char *target)
{
	AUTO_BUF mine = { 0 };

	buf_printf(&mine, "/keypair/%s?", f->id);
	if (strncmp(target, buf_str(&mine), mine.n) != 0 || (f->loads > 0 && f->later == FAKE_GONE)) {
		fake_refuse(out, "a parameter has an invalid value");
		return;
	}
	f->operations = 0;
	buf_reset(&mine);
	buf_printf(&mine, "handle-%zu", ++f->loads);
	fake_say(out, 200, "keyHandle", bytes_of_buf(&mine), false);
}

static inline bool
fake_answer(struct buf *out, size_t nth, struct bytes request, void *ctx)
{
	struct fake_keyd *f = ctx;
	char method[8], target[256];
	const char *body = strstr((const char *)request.p, "\r\n\r\n") + 4;
	AUTO_JSON v = NULL;
	AUTO_BUF in = { 0 };
	const json_t *parameters;
	const char *text;
	struct err e;

	(void)nth;
	unix_peer_must(sscanf((const char *)request.p, "%7s %255s", method, target) == 2);
	if (strcmp(method, "GET") == 0) {
		fake_load(out, f, target);
		return false;
	}
	unix_peer_must(json_parse(&v, bytes_of(body), &e) == 0);
	if (strncmp(target, "/parameters/spki?", 17) == 0) {
		bool other = f->loads > 1 && f->later == FAKE_OTHER;

		fake_say(out, 200, "value", key_spki(other ? f->other : f->key), true);
		return false;
	}
	if (f->good_for != 0 && f->operations++ >= f->good_for) {
		fake_refuse(out, "parameter \"handle\" has an invalid value\ncaused by: invalid handle");
		return false;
	}
	parameters = json_object_get(v, "parameters");
	text = json_str(parameters, "digest", json_str(parameters, "message", json_str(v, "plaintext", "")));
	unix_peer_must(base64_decode(&in, bytes_of(text), &e) == 0);
	fake_private(out, f, strncmp(target, "/sign", 5) == 0 ? "signature" : "ciphertext",
	    json_str(v, "algorithm", ""), bytes_of_buf(&in));
	return false;
}

#endif
