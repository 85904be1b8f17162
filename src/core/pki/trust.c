/* SPDX-License-Identifier: Apache-2.0 */
/* pki/trust.c - which anchor a certificate chains to, and why not */
#include "core/pki/trust.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "core/base/mem.h"
#include "core/pki/ossl.h"

#define TRUST_DEPTH_MAX 4   /* certificates between the leaf and its anchor */
#define DETAIL_MAX      160 /* octets of one line of why, NUL included */
#define AUTH_LEVEL      2   /* 112 bits, as in TLS here: what is weaker could not be shown to anybody */

AUTO_DEFINE_OSSL(X509_STORE_CTX, X509_STORE_CTX_free)
AUTO_DEFINE_OSSL(X509_NAME, X509_NAME_free)

struct anchor {
	uint32_t id;
	X509 *cert;
};

struct trust {
	X509_STORE *store;
	struct anchor *anchors;
	size_t n;
};

static const char *const state_names[TRUST_STATE_COUNT] = {
	[TRUST_NONE] = "none",
	[TRUST_OK] = "ok",
	[TRUST_EXPIRED] = "expired",
	[TRUST_NOT_YET] = "not-yet-valid",
	[TRUST_UNKNOWN_ISSUER] = "unknown-issuer",
	[TRUST_BAD_SIGNATURE] = "bad-signature",
	[TRUST_WRONG_PURPOSE] = "wrong-purpose",
	[TRUST_CHAIN] = "chain",
	[TRUST_MALFORMED] = "malformed",
};

const char *
trust_state_name(enum trust_state s)
{
	return (unsigned)s < TRUST_STATE_COUNT ? state_names[s] : "?";
}

static void
certs_free(STACK_OF(X509) **certs)
{
	sk_X509_pop_free(*certs, X509_free);
}

/*
 * Two anchors may have one name, such as a CA with its next key.  A certificate without an authority key identifier does
 * not say which it means, and OpenSSL takes either: it is the one whose key signed it.
 */
static int
get_issuer(X509 **issuer, X509_STORE_CTX *ctx, X509 *x)
{
	__attribute__((cleanup(certs_free))) STACK_OF(X509) *named = NULL;
	int rc = X509_STORE_CTX_get1_issuer(issuer, ctx, x);

	if (rc != 1 || (named = X509_STORE_CTX_get1_certs(ctx, X509_get_issuer_name(x))) == NULL || sk_X509_num(named) < 2 ||
	    X509_verify(x, X509_get0_pubkey(*issuer)) == 1)
		return rc;
	for (int i = 0; i < sk_X509_num(named); i++) {
		X509 *other = sk_X509_value(named, i);

		if (X509_check_issued(other, x) != X509_V_OK || X509_verify(x, X509_get0_pubkey(other)) != 1)
			continue;
		if (X509_up_ref(other) != 1)
			return -1;
		X509_free(*issuer);
		*issuer = other;
		break;
	}
	return rc;
}

struct trust *
trust_new(void)
{
	struct trust *t = mem_zalloc(sizeof(*t));

	t->store = X509_STORE_new();
	if (t->store == NULL || X509_STORE_set_flags(t->store, X509_V_FLAG_PARTIAL_CHAIN) != 1 ||
	    X509_STORE_set_depth(t->store, TRUST_DEPTH_MAX) != 1)
		abort(); /* out of memory */
	X509_STORE_set_get_issuer(t->store, get_issuer);
	return t;
}

void
trust_free(struct trust *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n; i++)
		X509_free(t->anchors[i].cert);
	mem_free(t->anchors);
	X509_STORE_free(t->store);
	mem_free(t);
}

X509_STORE *
trust_store(const struct trust *t)
{
	return t->store;
}

/* The id of an anchor, by its whole certificate. */
static uint32_t
anchor_id(const struct trust *t, const X509 *cert)
{
	for (size_t i = 0; i < t->n; i++)
		if (X509_cmp(t->anchors[i].cert, cert) == 0)
			return t->anchors[i].id;
	return TRUST_ANCHOR_NONE;
}

/* OpenSSL's view of a certificate that cert_parse() took. */
static int
x509_from_der(X509 **out, struct bytes der, struct err *e)
{
	const unsigned char *p = der.p;
	X509 *x = d2i_X509(NULL, &p, (long)der.n);

	if (x == NULL || p != der.p + der.n) {
		X509_free(x);
		return err_ossl(e, E_FORMAT, "certificate");
	}
	*out = x;
	return 0;
}

static X509_NAME *
name_from_der(struct bytes der)
{
	const unsigned char *p = der.p;

	return d2i_X509_NAME(NULL, &p, (long)der.n);
}

bool
trust_same_name(struct bytes a, struct bytes b)
{
	AUTO_OSSL(X509_NAME) x = NULL;
	AUTO_OSSL(X509_NAME) y = NULL;

	if (bytes_equal(a, b))
		return true;
	x = name_from_der(a);
	y = name_from_der(b);
	ERR_clear_error();
	return x != NULL && y != NULL && X509_NAME_cmp(x, y) == 0;
}

/* Is there an anchor with an id below `strong` that has the same subject? */
static bool
has_name(const struct trust *t, const X509 *x, uint32_t strong)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->anchors[i].id < strong && X509_NAME_cmp(X509_get_subject_name(t->anchors[i].cert), X509_get_subject_name(x)) == 0)
			return true;
	return false;
}

int
trust_add(struct trust *t, uint32_t id, struct bytes der, struct err *e)
{
	return trust_add_beside(t, id, der, 0, e);
}

int
trust_add_beside(struct trust *t, uint32_t id, struct bytes der, uint32_t strong, struct err *e)
{
	AUTO_OSSL(X509) x = NULL;
	struct cert c;

	if (id == TRUST_ANCHOR_NONE)
		return err_set(e, E_FORMAT, "anchor: its id is 0");
	if (cert_parse(&c, der, e) != 0 || x509_from_der(&x, der, e) != 0)
		return err_prefix(e, E_FORMAT, "anchor");
	if (anchor_id(t, x) != TRUST_ANCHOR_NONE)
		return err_set(e, E_EXISTS, "anchor: this certificate is one already");
	if (has_name(t, x, strong))
		return err_set(e, E_EXISTS, "anchor: another one, which it must not stand beside, has its name");
	if (X509_STORE_add_cert(t->store, x) != 1)
		return err_ossl(e, E_CRYPTO, "anchor");
	t->anchors = mem_resize(t->anchors, t->n * sizeof(*t->anchors),
	    (t->n + 1) * sizeof(*t->anchors));
	t->anchors[t->n++] = (struct anchor){ id, TAKE(x) };
	return 0;
}

/* --- judging --- */

/* What became of one verification. */
struct verdict {
	enum trust_state state;
	uint32_t anchor;
	char detail[DETAIL_MAX];
};

static void
conclude(struct verdict *v, enum trust_state state, const char *why, int depth)
{
	v->state = state;
	if (depth < 0)
		(void)snprintf(v->detail, sizeof(v->detail), "%.*s", DETAIL_MAX - 1, why);
	else
		(void)snprintf(v->detail, sizeof(v->detail), "%s (depth %d)", why, depth);
}

/* What OpenSSL's reasons mean to us; those that are not named are TRUST_CHAIN. */
static const struct { int error; enum trust_state state; } meanings[] = {
	{ X509_V_ERR_CERT_HAS_EXPIRED, TRUST_EXPIRED },
	{ X509_V_ERR_CERT_NOT_YET_VALID, TRUST_NOT_YET },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, TRUST_UNKNOWN_ISSUER },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, TRUST_UNKNOWN_ISSUER },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, TRUST_UNKNOWN_ISSUER },
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, TRUST_UNKNOWN_ISSUER },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, TRUST_UNKNOWN_ISSUER },
	{ X509_V_ERR_CERT_UNTRUSTED, TRUST_UNKNOWN_ISSUER },
	{ X509_V_ERR_CERT_SIGNATURE_FAILURE, TRUST_BAD_SIGNATURE },
	{ X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE, TRUST_BAD_SIGNATURE },
	{ X509_V_ERR_INVALID_PURPOSE, TRUST_WRONG_PURPOSE },
	{ X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD, TRUST_MALFORMED },
	{ X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD, TRUST_MALFORMED },
	{ X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY, TRUST_MALFORMED },
	{ X509_V_ERR_INVALID_EXTENSION, TRUST_MALFORMED },
};

static enum trust_state
meaning(int error)
{
	for (size_t i = 0; i < N_OF(meanings); i++)
		if (meanings[i].error == error)
			return meanings[i].state;
	return TRUST_CHAIN;
}

static bool
is_time(enum trust_state s)
{
	return s == TRUST_EXPIRED || s == TRUST_NOT_YET;
}

/*
 * Each error that OpenSSL finds.  A certificate out of its time is noted and the
 * walk goes on, so that "expired" means "and nothing else is wrong": only then
 * may a label's grace period apply.  Any other error is final.  In one chain,
 * not yet valid (the greater state) outweighs expired.
 */
static int
on_error(int ok, X509_STORE_CTX *ctx)
{
	struct verdict *v = X509_STORE_CTX_get_app_data(ctx);
	int error = X509_STORE_CTX_get_error(ctx);
	enum trust_state s;

	if (ok == 1 || v == NULL)
		return ok;
	s = meaning(error);
	if (is_time(s) && v->state >= s)
		return 1;
	conclude(v, s, X509_verify_cert_error_string(error), X509_STORE_CTX_get_error_depth(ctx));
	return is_time(s) ? 1 : 0;
}

/* Set the anchor when the chain that OpenSSL found ends in one of ours and its issuers are CAs. */
static void
judge_chain(const struct trust *t, X509_STORE_CTX *ctx, struct verdict *v)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
	int n = chain == NULL ? 0 : sk_X509_num(chain);
	uint32_t id = n <= 0 ? TRUST_ANCHOR_NONE : anchor_id(t, sk_X509_value(chain, n - 1));

	if (id == TRUST_ANCHOR_NONE) {
		conclude(v, TRUST_UNKNOWN_ISSUER, "the chain ends in no anchor", n - 1);
		return;
	}
	/* RFC 5280 6.1.4 (k): cA must be there and TRUE; OpenSSL makes exceptions. */
	for (int i = 1; i < n; i++) {
		if (X509_check_ca(sk_X509_value(chain, i)) != 1) {
			conclude(v, TRUST_CHAIN, "issuer is no CA", i);
			return;
		}
	}
	v->anchor = id;
}

/* Run OpenSSL's path validation; v->state is what it found. */
static void
walk(X509_STORE_CTX *ctx, int purpose, struct verdict *v)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	void *had = X509_STORE_CTX_get_app_data(ctx);
	int rc = -1;

	v->state = TRUST_OK;
	X509_VERIFY_PARAM_set_depth(param, TRUST_DEPTH_MAX);
	X509_STORE_CTX_set_verify_cb(ctx, on_error);
	if (X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
	    (purpose == 0 || X509_VERIFY_PARAM_set_purpose(param, purpose) == 1) &&
	    X509_STORE_CTX_set_app_data(ctx, v) == 1)
		rc = X509_verify_cert(ctx);
	(void)X509_STORE_CTX_set_app_data(ctx, had);
	ERR_clear_error();
	/* Fail closed: only 1 is a yes, and less than 0 is no answer at all. */
	if (rc < 0 || (rc != 1 && (v->state == TRUST_OK || is_time(v->state))))
		conclude(v, TRUST_CHAIN, "path validation failed", -1);
}

static void
judge(const struct trust *t, X509_STORE_CTX *ctx, const struct cert *leaf, int purpose,
    struct verdict *v)
{
	const char *unfit = purpose == X509_PURPOSE_SSL_CLIENT ? cert_unfit_as_client(leaf) : NULL;

	walk(ctx, purpose, v);
	if (v->state == TRUST_OK || is_time(v->state))
		judge_chain(t, ctx, v);
	if (v->anchor != TRUST_ANCHOR_NONE && leaf->unknown_critical)
		conclude(v, TRUST_CHAIN, "unknown critical extension", 0);
	if (unfit != NULL && (v->anchor != TRUST_ANCHOR_NONE || v->state == TRUST_WRONG_PURPOSE))
		conclude(v, TRUST_WRONG_PURPOSE, unfit, 0);
}

/* The DER of what OpenSSL parsed, read again by our own rules. */
static int
parse_leaf(struct cert *out, struct buf *der, const X509 *leaf, struct err *e)
{
	unsigned char *p = NULL;
	int n = i2d_X509(leaf, &p);

	if (n <= 0)
		return err_ossl(e, E_FORMAT, "certificate");
	buf_put(der, p, (size_t)n);
	OPENSSL_free(p);
	return cert_parse(out, bytes_of_buf(der), e);
}

void
trust_judge_client(const struct trust *t, X509_STORE_CTX *ctx, enum trust_state *state,
    uint32_t *anchor, char *detail, size_t size)
{
	const X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
	struct verdict v = { .state = TRUST_NONE };
	AUTO_BUF der = { 0 };
	struct err e = { 0 };
	struct cert c;

	if (leaf == NULL)
		conclude(&v, TRUST_NONE, "no certificate", -1);
	else if (parse_leaf(&c, &der, leaf, &e) != 0)
		conclude(&v, TRUST_MALFORMED, e.msg, -1);
	else
		judge(t, ctx, &c, X509_PURPOSE_SSL_CLIENT, &v);
	*state = v.state;
	*anchor = v.anchor;
	(void)snprintf(detail, size, "%s", v.detail);
}

/* Intermediates as OpenSSL wants them; those that it cannot read are an error. */
static int
push_certs(STACK_OF(X509) *certs, const struct bytes *der, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		AUTO_OSSL(X509) x = NULL;

		if (x509_from_der(&x, der[i], e) != 0)
			return err_prefix(e, E_FORMAT, "intermediate %zu", i + 1);
		if (sk_X509_push(certs, x) <= 0)
			return err_ossl(e, E_CRYPTO, "intermediates");
		(void)TAKE(x);
	}
	return 0;
}

int
trust_verify(const struct trust *t, struct bytes leaf, const struct bytes *intermediates, size_t n,
    int purpose, int64_t at, uint32_t *anchor, struct err *e)
{
	static const int purposes[] = { X509_PURPOSE_SSL_SERVER, X509_PURPOSE_SSL_CLIENT, 0 };
	__attribute__((cleanup(certs_free))) STACK_OF(X509) *certs = sk_X509_new_null();
	AUTO_OSSL(X509_STORE_CTX) ctx = X509_STORE_CTX_new();
	AUTO_OSSL(X509) x = NULL;
	struct verdict v = { 0 };
	struct cert c;
	int rc;

	if (certs == NULL || ctx == NULL || purpose < 0 || (size_t)purpose >= N_OF(purposes))
		return err_set(e, E_CRYPTO, "path validation cannot begin");
	if ((rc = cert_parse(&c, leaf, e)) != 0 || (rc = x509_from_der(&x, leaf, e)) != 0 ||
	    (rc = push_certs(certs, intermediates, n, e)) != 0)
		return rc;
	if (X509_STORE_CTX_init(ctx, t->store, x, certs) != 1)
		return err_ossl(e, E_CRYPTO, "path validation");
	X509_STORE_CTX_set_time(ctx, 0, (time_t)at);
	X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(ctx), AUTH_LEVEL);
	judge(t, ctx, &c, purposes[purpose], &v);
	if (v.state != TRUST_OK)
		return err_set(e, E_AUTH, "certificate: %s: %s", trust_state_name(v.state), v.detail);
	*anchor = v.anchor;
	return 0;
}
