/* SPDX-License-Identifier: Apache-2.0 */
/* provider/signing.c - signatures with held keys */
#include "device/provider/signing.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/pki/ossl.h"
#include "device/provider/padding.h"

#define NAME_MAX_LEN 64 /* of a digest or padding */

struct signing {
	const struct pkey *key;
	EVP_MD *md;          /* NULL: none */
	EVP_MD *mgf1;        /* NULL: md */
	int padding;         /* RSA_*_PADDING */
	int salt_len;        /* or RSA_PSS_SALTLEN_* */
	EVP_MD_CTX *hash;    /* while hashing */
};

struct signing *
signing_new(const struct pkey *k)
{
	struct signing *s = mem_zalloc(sizeof(*s));

	s->key = k;
	s->padding = RSA_PKCS1_PADDING;
	s->salt_len = RSA_PSS_SALTLEN_DIGEST;
	return s;
}

void
signing_free(struct signing *s)
{
	if (s == NULL)
		return;
	EVP_MD_CTX_free(s->hash);
	EVP_MD_free(s->md);
	EVP_MD_free(s->mgf1);
	mem_free(s);
}

static EVP_MD *
ref_md(EVP_MD *md)
{
	if (md != NULL)
		(void)EVP_MD_up_ref(md);
	return md;
}

struct signing *
signing_copy(const struct signing *s)
{
	struct signing *copy = mem_dup(s, sizeof(*s));

	copy->md = ref_md(s->md);
	copy->mgf1 = ref_md(s->mgf1);
	copy->hash = s->hash != NULL ? EVP_MD_CTX_new() : NULL;
	if (s->hash == NULL || (copy->hash != NULL && EVP_MD_CTX_copy_ex(copy->hash, s->hash) == 1))
		return copy;
	signing_free(copy);
	return NULL;
}

static bool
is_rsa(const struct signing *s)
{
	return s->key->kind == &kind_rsa;
}

/* --- parameters set --- */

static int
fetch_digest(EVP_MD **out, const struct signing *s, const char *name, struct err *e)
{
	EVP_MD *md = EVP_MD_fetch(s->key->ctx->lib, name, NULL);

	if (padding_digest_oid(md) == OID_UNKNOWN) {
		EVP_MD_free(md);
		return err_set(e, E_USAGE, "keyd: digest %s: SHA-256, SHA-384 or SHA-512 needed", name);
	}
	EVP_MD_free(*out);
	*out = md;
	return 0;
}

int
signing_set_digest(struct signing *s, const char *name, struct err *e)
{
	bool none = name == NULL || name[0] == '\0';

	if (s->key->kind != &kind_ed25519)
		return fetch_digest(&s->md, s, none ? "SHA2-256" : name, e);
	if (none || strcasecmp(name, "UNDEF") == 0)
		return 0;
	return err_set(e, E_USAGE, "keyd: Ed25519 takes no digest");
}

/* RSA's paddings, as text and number. */
static const struct {
	const char *name;
	int padding;
} paddings[] = {
	{ OSSL_PKEY_RSA_PAD_MODE_PKCSV15, RSA_PKCS1_PADDING },
	{ OSSL_PKEY_RSA_PAD_MODE_NONE, RSA_NO_PADDING },
	{ OSSL_PKEY_RSA_PAD_MODE_PSS, RSA_PKCS1_PSS_PADDING },
};

/* Salt lengths that are no number; what is left to us is the digest's length (RFC 8446 4.2.3). */
static const struct {
	const char *name;
	int salt_len;
} salts[] = {
	{ OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST, RSA_PSS_SALTLEN_DIGEST },
	{ OSSL_PKEY_RSA_PSS_SALT_LEN_AUTO, RSA_PSS_SALTLEN_DIGEST },
	{ "auto-digestmax", RSA_PSS_SALTLEN_DIGEST },
	{ OSSL_PKEY_RSA_PSS_SALT_LEN_MAX, RSA_PSS_SALTLEN_MAX },
};

/* A parameter that is text; false for another type or too long. */
static bool
get_text(char out[NAME_MAX_LEN], const OSSL_PARAM *p)
{
	return p->data_type == OSSL_PARAM_UTF8_STRING &&
	    OSSL_PARAM_get_utf8_string(p, &out, NAME_MAX_LEN) == 1;
}

static int
set_padding(struct signing *s, const OSSL_PARAM *p, struct err *e)
{
	char name[NAME_MAX_LEN];
	bool text = get_text(name, p);
	int number = 0;

	if (!text && OSSL_PARAM_get_int(p, &number) != 1)
		return err_set(e, E_USAGE, "keyd: malformed padding mode");
	for (size_t i = 0; i < N_OF(paddings); i++)
		if (text ? strcmp(paddings[i].name, name) == 0 : paddings[i].padding == number) {
			s->padding = paddings[i].padding;
			return 0;
		}
	return err_set(e, E_USAGE, "keyd: padding mode: pkcs1, pss or none needed");
}

static int
set_salt_len(struct signing *s, const OSSL_PARAM *p, struct err *e)
{
	char name[NAME_MAX_LEN];
	bool text = get_text(name, p);
	uint64_t v = 0;
	int n = 0;

	for (size_t i = 0; text && i < N_OF(salts); i++)
		if (strcmp(salts[i].name, name) == 0) {
			s->salt_len = salts[i].salt_len;
			return 0;
		}
	if (text && text_parse_u64(&v, name, PADDING_MODULUS_MAX))
		n = (int)v;
	else if (text || OSSL_PARAM_get_int(p, &n) != 1 || n > (int)PADDING_MODULUS_MAX)
		return err_set(e, E_USAGE, "keyd: malformed salt length");
	if (n < 0 && n != RSA_PSS_SALTLEN_MAX)
		n = RSA_PSS_SALTLEN_DIGEST;
	s->salt_len = n;
	return 0;
}

int
signing_set_params(struct signing *s, const OSSL_PARAM params[], struct err *e)
{
	char name[NAME_MAX_LEN];
	const OSSL_PARAM *p;
	int r = 0;

	if (params == NULL)
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_DIGEST);
	if (p != NULL)
		r = get_text(name, p) ? signing_set_digest(s, name, e) : err_set(e, E_USAGE, "keyd: malformed digest");
	if (r != 0 || !is_rsa(s))
		return r;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	if (p != NULL)
		r = set_padding(s, p, e);
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
	if (r == 0 && p != NULL)
		r = set_salt_len(s, p, e);
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_MGF1_DIGEST);
	if (r == 0 && p != NULL)
		r = get_text(name, p) ? fetch_digest(&s->mgf1, s, name, e)
		    : err_set(e, E_USAGE, "keyd: malformed MGF1 digest");
	return r;
}

/* --- parameters read --- */

static size_t
modulus_len(const struct signing *s)
{
	return (size_t)EVP_PKEY_get_size(s->key->evp);
}

static const EVP_MD *
mgf1_of(const struct signing *s)
{
	return s->mgf1 != NULL ? s->mgf1 : s->md;
}

static size_t
salt_len_of(const struct signing *s)
{
	size_t digest = s->md != NULL ? (size_t)EVP_MD_get_size(s->md) : 0;

	if (s->salt_len == RSA_PSS_SALTLEN_MAX)
		return modulus_len(s) - digest - 2;
	return s->salt_len == RSA_PSS_SALTLEN_DIGEST ? digest : (size_t)s->salt_len;
}

/* Our signature algorithm of a kind by its digest (RFC 5758 3.2, RFC 4055 5, RFC 8410 3). */
static enum oid
sig_alg(const struct signing *s)
{
	bool rsa = is_rsa(s);

	if (s->key->kind == &kind_ed25519)
		return OID_ED25519;
	switch (padding_digest_oid(s->md)) {
	case OID_SHA256:
		return rsa ? OID_RSA_SHA256 : OID_ECDSA_SHA256;
	case OID_SHA384:
		return rsa ? OID_RSA_SHA384 : OID_ECDSA_SHA384;
	case OID_SHA512:
		return rsa ? OID_RSA_SHA512 : OID_ECDSA_SHA512;
	default:
		return OID_UNKNOWN;
	}
}

static int
put_algorithm(struct buf *out, const struct signing *s, struct err *e)
{
	enum oid alg = sig_alg(s);

	if (alg == OID_UNKNOWN || (is_rsa(s) && s->padding == RSA_NO_PADDING))
		return err_set(e, E_USAGE, "keyd: no signature algorithm without a digest or a padding");
	if (is_rsa(s) && s->padding == RSA_PKCS1_PSS_PADDING)
		padding_put_pss(out, padding_digest_oid(s->md), padding_digest_oid(mgf1_of(s)), salt_len_of(s));
	else
		key_put_sig_alg(out, alg);
	return 0;
}

static bool
answer_algorithm(const struct signing *s, OSSL_PARAM *p, struct err *e)
{
	AUTO_BUF alg = { 0 };

	return put_algorithm(&alg, s, e) == 0 && OSSL_PARAM_set_octet_string(p, alg.p, alg.n) == 1;
}

static bool
answer_digest(const EVP_MD *md, OSSL_PARAM *p)
{
	return OSSL_PARAM_set_utf8_string(p, md != NULL ? EVP_MD_get0_name(md) : "") == 1;
}

static bool
answer_padding(const struct signing *s, OSSL_PARAM *p)
{
	if (p->data_type != OSSL_PARAM_UTF8_STRING)
		return OSSL_PARAM_set_int(p, s->padding) == 1;
	for (size_t i = 0; i < N_OF(paddings); i++)
		if (paddings[i].padding == s->padding)
			return OSSL_PARAM_set_utf8_string(p, paddings[i].name) == 1;
	return false;
}

static bool
answer_salt_len(const struct signing *s, OSSL_PARAM *p)
{
	char text[16];

	if (p->data_type != OSSL_PARAM_UTF8_STRING)
		return OSSL_PARAM_set_int(p, s->salt_len) == 1;
	for (size_t i = 0; i < N_OF(salts); i++)
		if (salts[i].salt_len == s->salt_len)
			return OSSL_PARAM_set_utf8_string(p, salts[i].name) == 1;
	(void)snprintf(text, sizeof(text), "%d", s->salt_len);
	return OSSL_PARAM_set_utf8_string(p, text) == 1;
}

int
signing_get_params(const struct signing *s, OSSL_PARAM params[], struct err *e)
{
	OSSL_PARAM *alg = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_ALGORITHM_ID);
	OSSL_PARAM *digest = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_DIGEST);
	OSSL_PARAM *padding = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	OSSL_PARAM *salt = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
	OSSL_PARAM *mgf1 = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_MGF1_DIGEST);
	bool ok;

	(void)err_set(e, E_USAGE, "keyd: signature parameter that does not fit its buffer");
	ok = (alg == NULL || answer_algorithm(s, alg, e)) && (digest == NULL || answer_digest(s->md, digest));
	if (ok && is_rsa(s))
		ok = (padding == NULL || answer_padding(s, padding)) &&
		    (salt == NULL || answer_salt_len(s, salt)) &&
		    (mgf1 == NULL || answer_digest(mgf1_of(s), mgf1));
	return ok ? 0 : E_USAGE;
}

size_t
signing_max(const struct signing *s)
{
	return (size_t)EVP_PKEY_get_size(s->key->evp);
}

/* --- hashing --- */

int
signing_begin(struct signing *s, struct err *e)
{
	int r = s->md == NULL ? signing_set_digest(s, NULL, e) : 0;

	if (r != 0)
		return r;
	EVP_MD_CTX_free(s->hash);
	s->hash = EVP_MD_CTX_new();
	if (s->hash == NULL || EVP_DigestInit_ex2(s->hash, s->md, NULL) != 1)
		return err_ossl(e, E_CRYPTO, "keyd: digest");
	return 0;
}

int
signing_update(struct signing *s, struct bytes data, struct err *e)
{
	if (s->hash == NULL)
		return err_set(e, E_USAGE, "keyd: signature not begun");
	return EVP_DigestUpdate(s->hash, data.p, data.n) == 1 ? 0 : err_ossl(e, E_CRYPTO, "keyd: digest");
}

int
signing_finish(struct buf *sig, struct signing *s, struct err *e)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (s->hash == NULL)
		return err_set(e, E_USAGE, "keyd: signature not begun");
	if (EVP_DigestFinal_ex(s->hash, digest, &n) != 1)
		return err_ossl(e, E_CRYPTO, "keyd: digest");
	EVP_MD_CTX_free(TAKE(s->hash));
	return signing_sign(sig, s, (struct bytes){ digest, n }, e);
}

/* --- the Keys Service asked --- */

/* What was asked for is what came: RSA gives back its input, the others verify. */
static bool
fits(const struct pkey *k, enum held_op op, struct bytes in, struct bytes sig)
{
	AUTO_OSSL(EVP_PKEY_CTX) c = EVP_PKEY_CTX_new_from_pkey(k->ctx->lib, k->evp, NULL);
	AUTO_OSSL(EVP_MD_CTX) m = EVP_MD_CTX_new();
	int padding = op == HELD_RSA_PKCS1 ? RSA_PKCS1_PADDING : RSA_NO_PADDING;

	if (op == HELD_EDDSA)
		return m != NULL && EVP_DigestVerifyInit_ex(m, NULL, NULL, k->ctx->lib, NULL, k->evp, NULL) == 1 &&
		    EVP_DigestVerify(m, sig.p, sig.n, in.p, in.n) == 1;
	if (c == NULL || EVP_PKEY_verify_init(c) != 1 ||
	    (op != HELD_ECDSA && EVP_PKEY_CTX_set_rsa_padding(c, padding) != 1))
		return false;
	return EVP_PKEY_verify(c, sig.p, sig.n, in.p, in.n) == 1;
}

/*
 * A service that errs, or that has another key by that name now, shows here and not at whoever relies on the signature;
 * and a faulty RSA signature in the wrong hands would tell the key.
 */
static int
ask(struct buf *sig, const struct signing *s, enum held_op op, struct bytes in, struct err *e)
{
	int r = held_do(sig, s->key->held, op, in, e);
	bool good;

	if (r != 0)
		return r;
	(void)ERR_set_mark();
	good = fits(s->key, op, in, bytes_of_buf(sig));
	(void)ERR_pop_to_mark();
	return good ? 0 : err_set(e, E_FORMAT, "keyd: answer: a signature of %zu octets that is not the key's", sig->n);
}

static int
sign_rsa(struct buf *sig, const struct signing *s, struct bytes in, struct err *e)
{
	AUTO_BUF padded = { 0 };
	int r;

	switch (s->padding) {
	case RSA_PKCS1_PADDING:
		/* TLS and CMS name a digest; without one the caller has put its DigestInfo together itself. */
		if (s->md == NULL)
			return ask(sig, s, HELD_RSA_PKCS1, in, e);
		padding_digest_info(&padded, padding_digest_oid(s->md), in);
		return ask(sig, s, HELD_RSA_PKCS1, bytes_of_buf(&padded), e);
	case RSA_PKCS1_PSS_PADDING:
		if (s->md == NULL)
			return err_set(e, E_USAGE, "keyd: pss: a digest needed");
		r = padding_pss(&padded, s->md, mgf1_of(s), modulus_len(s), salt_len_of(s), in, e);
		return r == 0 ? ask(sig, s, HELD_RSA_RAW, bytes_of_buf(&padded), e) : r;
	default:
		if (in.n != modulus_len(s))
			return err_set(e, E_USAGE, "keyd: no padding: %zu octets: %zu needed", in.n, modulus_len(s));
		return ask(sig, s, HELD_RSA_RAW, in, e);
	}
}

int
signing_sign(struct buf *sig, const struct signing *s, struct bytes in, struct err *e)
{
	AUTO_BUF answer = { 0 };
	int r;

	if (s->md != NULL && in.n != (size_t)EVP_MD_get_size(s->md))
		return err_set(e, E_USAGE, "keyd: digest of %zu octets: %d needed", in.n, EVP_MD_get_size(s->md));
	if (is_rsa(s))
		r = sign_rsa(&answer, s, in, e);
	else
		r = ask(&answer, s, s->key->kind == &kind_ec ? HELD_ECDSA : HELD_EDDSA, in, e);
	if (r != 0)
		return r;
	buf_put_bytes(sig, bytes_of_buf(&answer));
	return 0;
}
