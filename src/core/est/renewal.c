/* SPDX-License-Identifier: Apache-2.0 */
/* est/renewal.c - the request that repeats a certificate's names octet for octet (RFC 7030 4.2.2) */
#include "core/est/client.h"

#include "core/est/est_inside.h"

/* The Extension TLVs of a certificate that its renewal repeats, and what it asks for beside them. */
struct repeated {
	struct bytes san, bc, ku;
	bool client_auth;
};

/* A cursor before the first Extension; empty when there is none. */
static struct der
open_extensions(struct bytes tbs)
{
	struct der d = der_open(tbs), fields = der_enter(&d, DER_SEQUENCE), wrapped;
	struct bytes skipped;

	(void)der_try(&fields, DER_CONTEXT_CONS(0), &skipped); /* version */
	(void)der_take(&fields, DER_INTEGER);
	for (int i = 0; i < 5; i++) /* signature, issuer, validity, subject, subjectPublicKeyInfo */
		(void)der_take(&fields, DER_SEQUENCE);
	(void)der_try(&fields, DER_CONTEXT(1), &skipped);
	(void)der_try(&fields, DER_CONTEXT(2), &skipped);
	if (!der_more(&fields))
		return (struct der){ .bad = fields.bad };
	wrapped = der_enter(&fields, DER_CONTEXT_CONS(3));
	return der_enter(&wrapped, DER_SEQUENCE);
}

static int
find_repeated(struct repeated *out, const struct cert *c, struct err *e)
{
	struct der list = open_extensions(c->tbs);

	while (der_more(&list)) {
		struct bytes whole = der_take_tlv(&list, DER_SEQUENCE);
		struct der d = der_open(whole), one = der_enter(&d, DER_SEQUENCE);
		enum oid type = oid_find(der_take(&one, DER_OID));

		if (type == OID_SAN)
			out->san = whole;
		else if (type == OID_BASIC_CONSTRAINTS && c->ca)
			out->bc = whole;
		else if (type == OID_KEY_USAGE && c->ca)
			out->ku = whole;
	}
	return der_end(&list, "certificate: extensions", e);
}

void
est_put_client_auth(struct buf *b)
{
	size_t extension = der_begin(b, DER_SEQUENCE), value, list;

	der_put_oid(b, oid_contents(OID_EKU));
	value = der_begin(b, DER_OCTET_STRING);
	list = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, oid_contents(OID_CLIENT_AUTH));
	der_finish(b, list);
	der_finish(b, value);
	der_finish(b, extension);
}

static void
put_extension_request(struct buf *b, const struct repeated *r)
{
	size_t attribute, set, extensions;

	if (r->san.n + r->bc.n + r->ku.n == 0 && !r->client_auth)
		return;
	attribute = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, oid_contents(OID_EXTENSION_REQUEST));
	set = der_begin(b, DER_SET);
	extensions = der_begin(b, DER_SEQUENCE);
	der_put_raw(b, r->san);
	der_put_raw(b, r->bc);
	der_put_raw(b, r->ku);
	if (r->client_auth)
		est_put_client_auth(b);
	der_finish(b, extensions);
	der_finish(b, set);
	der_finish(b, attribute);
}

static void
put_challenge(struct buf *b, const char *challenge)
{
	size_t attribute, set;

	if (challenge == NULL)
		return;
	attribute = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, oid_contents(OID_CHALLENGE_PASSWORD));
	set = der_begin(b, DER_SET);
	der_put(b, DER_UTF8, bytes_of(challenge)); /* base64 may have '+' and '=': UTF8String takes all of it */
	der_finish(b, set);
	der_finish(b, attribute);
}

static int
build(struct buf *out, const struct cert *old, const char *challenge, bool client_auth,
    const struct key *k, struct err *e)
{
	AUTO_BUF info = { 0 };
	AUTO_BUF sig = { 0 };
	struct repeated repeated = { .client_auth = client_auth };
	size_t mark, attributes;
	int r = find_repeated(&repeated, old, e);

	if (r != 0)
		return r;
	mark = der_begin(&info, DER_SEQUENCE);
	der_put_int(&info, 0);
	der_put_raw(&info, old->subject_der);
	der_put_raw(&info, key_spki(k));
	attributes = der_begin(&info, DER_CONTEXT_CONS(0));
	put_challenge(&info, challenge);
	put_extension_request(&info, &repeated);
	der_sort_set(&info, attributes);
	der_finish(&info, attributes);
	der_finish(&info, mark);

	r = key_sign(&sig, k, bytes_of_buf(&info), e);
	if (r != 0)
		return r;
	mark = der_begin(out, DER_SEQUENCE);
	der_put_raw(out, bytes_of_buf(&info));
	key_put_sig_alg(out, key_sig_alg(key_get_type(k)));
	der_put_bits(out, bytes_of_buf(&sig), 0);
	der_finish(out, mark);
	return buf_check(out, "request", e);
}

int
est_renewal_build(struct buf *out, const struct cert *old, const char *challenge,
    const struct key *k, struct err *e)
{
	return build(out, old, challenge, false, k, e);
}

int
est_renewal_build_client(struct buf *out, const struct cert *old, const char *challenge,
    const struct key *k, struct err *e)
{
	return build(out, old, challenge, true, k, e);
}
