/* SPDX-License-Identifier: Apache-2.0 */
/* pki/cert_build.c - how one of our certificates is written (RFC 5280 4) */
#include "core/pki/cert.h"

#include "core/pki/der.h"

#define KU_BITS   9  /* of KeyUsage */
#define FRAME_LEN 40 /* at most, of what cert_assemble() adds to its parts */

/* An open Extension: der_finish() takes these back to front. */
struct open {
	size_t extension, value;
};

static struct open
extension_begin(struct buf *b, enum oid oid, bool critical)
{
	struct open o = { .extension = der_begin(b, DER_SEQUENCE) };

	der_put_oid(b, oid_contents(oid));
	if (critical) /* DEFAULT FALSE is not encoded */
		der_put_bool(b, true);
	o.value = der_begin(b, DER_OCTET_STRING);
	return o;
}

static void
extension_finish(struct buf *b, struct open o)
{
	der_finish(b, o.value);
	der_finish(b, o.extension);
}

/* In CA certificates only: cA FALSE is the default, and DER does not encode defaults. */
static void
put_basic_constraints(struct buf *b, int pathlen)
{
	struct open o = extension_begin(b, OID_BASIC_CONSTRAINTS, true);
	size_t seq = der_begin(b, DER_SEQUENCE);

	der_put_bool(b, true);
	if (pathlen >= 0)
		der_put_int(b, pathlen);
	der_finish(b, seq);
	extension_finish(b, o);
}

static void
put_key_usage(struct buf *b, uint32_t ku)
{
	struct open o = extension_begin(b, OID_KEY_USAGE, true);

	der_put_named_bits(b, ku, KU_BITS);
	extension_finish(b, o);
}

static void
put_eku(struct buf *b, const enum oid *eku, size_t n)
{
	struct open o = extension_begin(b, OID_EKU, false);
	size_t seq = der_begin(b, DER_SEQUENCE);

	for (size_t i = 0; i < n; i++)
		der_put_oid(b, oid_contents(eku[i]));
	der_finish(b, seq);
	extension_finish(b, o);
}

/* RFC 5280 4.2.1.2 method 1: SHA-1 of the key's bits. */
static void
put_ski(struct buf *b, struct bytes spki)
{
	struct open o = extension_begin(b, OID_SKI, false);
	uint8_t id[20];

	sha1(id, key_bits(spki));
	der_put(b, DER_OCTET_STRING, (struct bytes){ id, sizeof(id) });
	extension_finish(b, o);
}

static void
put_aki(struct buf *b, struct bytes id)
{
	struct open o = extension_begin(b, OID_AKI, false);
	size_t seq = der_begin(b, DER_SEQUENCE);

	der_put(b, DER_CONTEXT(0), id);
	der_finish(b, seq);
	extension_finish(b, o);
}

static void
put_san(struct buf *b, struct bytes san, bool critical)
{
	struct open o = extension_begin(b, OID_SAN, critical);

	der_put_raw(b, san);
	extension_finish(b, o);
}

/* One DistributionPoint of one URI. */
static void
put_crldp(struct buf *b, const char *url)
{
	struct open o = extension_begin(b, OID_CRLDP, false);
	size_t points = der_begin(b, DER_SEQUENCE), point = der_begin(b, DER_SEQUENCE);
	size_t name = der_begin(b, DER_CONTEXT_CONS(0)), full = der_begin(b, DER_CONTEXT_CONS(0));

	der_put(b, DER_CONTEXT(6), bytes_of(url));
	der_finish(b, full);
	der_finish(b, name);
	der_finish(b, point);
	der_finish(b, points);
	extension_finish(b, o);
}

static void
put_access(struct buf *b, enum oid method, const char *url)
{
	size_t seq;

	if (url == NULL)
		return;
	seq = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, oid_contents(method));
	der_put(b, DER_CONTEXT(6), bytes_of(url));
	der_finish(b, seq);
}

static void
put_aia(struct buf *b, const char *ocsp_url, const char *issuer_url)
{
	struct open o = extension_begin(b, OID_AIA, false);
	size_t seq = der_begin(b, DER_SEQUENCE);

	put_access(b, OID_OCSP, ocsp_url);
	put_access(b, OID_CA_ISSUERS, issuer_url);
	der_finish(b, seq);
	extension_finish(b, o);
}

/* RFC 5280 4.2.1.6: an empty subject makes the alternative names critical. */
static bool
is_empty_name(struct bytes tlv)
{
	return tlv.n == 2;
}

static void
put_extensions(struct buf *b, const struct cert_want *w)
{
	size_t outer = der_begin(b, DER_CONTEXT_CONS(3)), list = der_begin(b, DER_SEQUENCE);

	if (w->ca)
		put_basic_constraints(b, w->pathlen);
	if (w->ku != 0)
		put_key_usage(b, w->ku);
	if (w->n_eku != 0)
		put_eku(b, w->eku, w->n_eku);
	put_ski(b, w->spki);
	if (w->aki.n != 0)
		put_aki(b, w->aki);
	if (w->san.n != 0)
		put_san(b, w->san, is_empty_name(w->subject));
	if (w->crl_url != NULL)
		put_crldp(b, w->crl_url);
	if (w->ocsp_url != NULL || w->aia_url != NULL)
		put_aia(b, w->ocsp_url, w->aia_url);
	der_finish(b, list);
	der_finish(b, outer);
}

void
cert_build_tbs(struct buf *out, const struct cert_want *w)
{
	size_t tbs = der_begin(out, DER_SEQUENCE), part = der_begin(out, DER_CONTEXT_CONS(0));

	der_put_int(out, 2); /* v3 */
	der_finish(out, part);
	der_put_unsigned(out, w->serial);
	key_put_sig_alg(out, w->sig_alg);
	der_put_raw(out, w->issuer);
	part = der_begin(out, DER_SEQUENCE);
	der_put_time(out, w->not_before);
	der_put_time(out, w->not_after);
	der_finish(out, part);
	der_put_raw(out, w->subject);
	der_put_raw(out, w->spki);
	put_extensions(out, w);
	der_finish(out, tbs);
}

void
cert_assemble(struct buf *out, struct bytes tbs, enum oid sig_alg, struct bytes sig)
{
	size_t seq;

	buf_reserve(out, tbs.n + sig.n + FRAME_LEN);
	seq = der_begin(out, DER_SEQUENCE);
	der_put_raw(out, tbs);
	key_put_sig_alg(out, sig_alg);
	der_put_bits(out, sig, 0);
	der_finish(out, seq);
}
