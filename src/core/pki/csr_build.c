/* SPDX-License-Identifier: Apache-2.0 */
/* pki/csr_build.c - a request written: what a client or a subordinate CA asks for */
#include "core/pki/cert.h"
#include "core/pki/csr.h"
#include "core/pki/der.h"

/* Extension up to its value: returns the mark of the OCTET STRING. */
static size_t
begin_extension(struct buf *out, size_t *seq, enum oid oid, bool critical)
{
	*seq = der_begin(out, DER_SEQUENCE);
	der_put_oid(out, oid_contents(oid));
	if (critical)
		der_put_bool(out, true);
	return der_begin(out, DER_OCTET_STRING);
}

static void
finish_extension(struct buf *out, size_t seq, size_t value)
{
	der_finish(out, value);
	der_finish(out, seq);
}

/* RFC 5280 4.2.1.9: a CA that issues to end entities only. */
static void
put_ca(struct buf *out)
{
	size_t seq, value = begin_extension(out, &seq, OID_BASIC_CONSTRAINTS, true);
	size_t bc = der_begin(out, DER_SEQUENCE);

	der_put_bool(out, true);
	der_put_int(out, 0);
	der_finish(out, bc);
	finish_extension(out, seq, value);
}

static void
put_leaf(struct buf *out)
{
	size_t seq, value = begin_extension(out, &seq, OID_BASIC_CONSTRAINTS, true);

	der_finish(out, der_begin(out, DER_SEQUENCE)); /* X.690 11.5: FALSE is the default, so it is not written */
	finish_extension(out, seq, value);
}

static void
put_usage(struct buf *out, uint32_t ku)
{
	size_t seq, value = begin_extension(out, &seq, OID_KEY_USAGE, true);

	der_put_named_bits(out, ku, 9);
	finish_extension(out, seq, value);
}

static void
put_ekus(struct buf *out, const struct csr_want *w)
{
	size_t seq, value = begin_extension(out, &seq, OID_EKU, w->leaf);
	size_t list = der_begin(out, DER_SEQUENCE);

	if (w->client_auth)
		der_put_oid(out, oid_contents(OID_CLIENT_AUTH));
	if (w->server_auth)
		der_put_oid(out, oid_contents(OID_SERVER_AUTH));
	der_finish(out, list);
	finish_extension(out, seq, value);
}

static void
put_san(struct buf *out, const struct csr_want *w)
{
	/* RFC 5280 4.2.1.6: critical when the subject is empty. */
	size_t seq, value = begin_extension(out, &seq, OID_SAN, w->subject->n == 0);

	sans_encode(out, w->sans);
	finish_extension(out, seq, value);
}

static void
put_extension_request(struct buf *out, const struct csr_want *w)
{
	size_t attr = der_begin(out, DER_SEQUENCE), set, list;

	der_put_oid(out, oid_contents(OID_EXTENSION_REQUEST));
	set = der_begin(out, DER_SET);
	list = der_begin(out, DER_SEQUENCE);
	if (w->ca)
		put_ca(out);
	else if (w->leaf)
		put_leaf(out);
	if (w->ca || w->ku != 0)
		put_usage(out, w->ca ? KU_KEY_CERT_SIGN | KU_CRL_SIGN : w->ku);
	if (w->client_auth || w->server_auth)
		put_ekus(out, w);
	if (w->sans != NULL && w->sans->n != 0)
		put_san(out, w);
	der_finish(out, list);
	der_finish(out, set);
	der_finish(out, attr);
}

static void
put_challenge(struct buf *out, struct bytes challenge)
{
	size_t attr = der_begin(out, DER_SEQUENCE), set;

	der_put_oid(out, oid_contents(OID_CHALLENGE_PASSWORD));
	set = der_begin(out, DER_SET);
	/* RFC 2985 5.4.1: PrintableString where it can be, which base64 always can. */
	der_put(out, der_valid_text(DER_PRINTABLE, challenge) ? DER_PRINTABLE : DER_UTF8, challenge);
	der_finish(out, set);
	der_finish(out, attr);
}

static void
put_info(struct buf *out, const struct csr_want *w, const struct key *k)
{
	size_t info = der_begin(out, DER_SEQUENCE), attributes;

	der_put_int(out, 0);
	name_encode(out, w->subject);
	der_put_raw(out, key_spki(k));
	attributes = der_begin(out, DER_CONTEXT_CONS(0));
	if (w->challenge != NULL)
		put_challenge(out, bytes_of(w->challenge));
	if (w->ca || w->client_auth || w->server_auth || w->leaf || w->ku != 0 || (w->sans != NULL && w->sans->n != 0))
		put_extension_request(out, w);
	der_sort_set(out, attributes);
	der_finish(out, attributes);
	der_finish(out, info);
}

int
csr_build(struct buf *out, const struct csr_want *w, const struct key *k, struct err *e)
{
	AUTO_BUF b = BUF_MAX(CSR_MAX);
	AUTO_BUF sig = BUF_MAX(KEY_SIG_MAX);
	size_t challenge = w->challenge != NULL ? bytes_of(w->challenge).n : 1, req;
	int r;

	if (challenge == 0 || challenge >= CSR_CHALLENGE_MAX)
		return err_set(e, E_FORMAT, "csr: challenge of %zu octets: 1 to %d expected", challenge,
		    CSR_CHALLENGE_MAX - 1);
	req = der_begin(&b, DER_SEQUENCE);
	put_info(&b, w, k);
	r = buf_check(&b, "csr", e);
	if (r == 0)
		r = key_sign(&sig, k, bytes_slice(bytes_of_buf(&b), req + 2, b.n), e);
	if (r != 0)
		return r;
	key_put_sig_alg(&b, key_sig_alg(key_get_type(k)));
	der_put_bits(&b, bytes_of_buf(&sig), 0);
	der_finish(&b, req);
	r = buf_check(&b, "csr", e);
	if (r == 0)
		buf_put_bytes(out, bytes_of_buf(&b));
	return r;
}
