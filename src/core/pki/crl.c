/* SPDX-License-Identifier: Apache-2.0 */
/* pki/crl.c - how one of our revocation lists is written, and its number read again (RFC 5280 5) */
#include "core/pki/cert.h"
#include "core/pki/der.h"

static void
put_reason(struct buf *b, int reason)
{
	uint8_t code = (uint8_t)reason;
	size_t list, extension, value;

	list = der_begin(b, DER_SEQUENCE);
	extension = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, oid_contents(OID_REASON_CODE));
	value = der_begin(b, DER_OCTET_STRING);
	der_put(b, DER_ENUMERATED, (struct bytes){ &code, 1 });
	der_finish(b, value);
	der_finish(b, extension);
	der_finish(b, list);
}

static void
put_entry(struct buf *b, const struct crl_entry *r)
{
	size_t seq = der_begin(b, DER_SEQUENCE);

	der_put_unsigned(b, (struct bytes){ r->serial, r->serial_n });
	der_put_time(b, r->revoked_at);
	/* RFC 5280 5.3.1: unspecified (0) SHOULD be absent. */
	if (r->reason != 0)
		put_reason(b, r->reason);
	der_finish(b, seq);
}

static void
put_aki(struct buf *b, struct bytes aki)
{
	size_t extension = der_begin(b, DER_SEQUENCE), value, seq;

	der_put_oid(b, oid_contents(OID_AKI));
	value = der_begin(b, DER_OCTET_STRING);
	seq = der_begin(b, DER_SEQUENCE);
	der_put(b, DER_CONTEXT(0), aki);
	der_finish(b, seq);
	der_finish(b, value);
	der_finish(b, extension);
}

static void
put_number(struct buf *b, uint64_t number)
{
	size_t extension = der_begin(b, DER_SEQUENCE), value;
	uint8_t octets[8];

	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)(number >> 8 * (7 - i));
	der_put_oid(b, oid_contents(OID_CRL_NUMBER));
	value = der_begin(b, DER_OCTET_STRING);
	der_put_unsigned(b, (struct bytes){ octets, sizeof(octets) });
	der_finish(b, value);
	der_finish(b, extension);
}

void
crl_build_tbs(struct buf *out, struct bytes issuer, struct bytes aki, enum oid sig_alg,
    int64_t this_update, int64_t next_update, uint64_t number, const struct crl_entry *entries,
    size_t n)
{
	size_t tbs = der_begin(out, DER_SEQUENCE), part, list;

	der_put_int(out, 1); /* v2 */
	key_put_sig_alg(out, sig_alg);
	der_put_raw(out, issuer);
	der_put_time(out, this_update);
	der_put_time(out, next_update);
	/* RFC 5280 5.1.2.6: no entries, no list. */
	if (n != 0) {
		part = der_begin(out, DER_SEQUENCE);
		for (size_t i = 0; i < n; i++)
			put_entry(out, &entries[i]);
		der_finish(out, part);
	}
	part = der_begin(out, DER_CONTEXT_CONS(0));
	list = der_begin(out, DER_SEQUENCE);
	put_aki(out, aki);
	put_number(out, number);
	der_finish(out, list);
	der_finish(out, part);
	der_finish(out, tbs);
}

/* The contents of crlExtensions; a list may be too long for der_check(), cursors keep to its lengths alone. */
static struct der
extensions_of(struct der *tbs)
{
	struct bytes entries;
	struct der outer;

	(void)der_take(tbs, DER_INTEGER);  /* v2 */
	(void)der_take(tbs, DER_SEQUENCE); /* algorithm */
	(void)der_take(tbs, DER_SEQUENCE); /* issuer */
	(void)der_time(tbs);
	(void)der_time(tbs);
	(void)der_try(tbs, DER_SEQUENCE, &entries);
	outer = der_enter(tbs, DER_CONTEXT_CONS(0));
	return der_enter(&outer, DER_SEQUENCE);
}

int
crl_read_number(uint64_t *out, struct bytes der, struct err *e)
{
	struct der all = der_open(der), crl = der_enter(&all, DER_SEQUENCE), tbs = der_enter(&crl, DER_SEQUENCE);
	struct der list = extensions_of(&tbs);
	int r;

	(void)der_take(&crl, DER_SEQUENCE);
	(void)der_take(&crl, DER_BIT_STRING);
	if ((r = der_end(&tbs, "CRL", e)) != 0 || (r = der_end(&crl, "CRL", e)) != 0 || (r = der_end(&all, "CRL", e)) != 0)
		return r;
	while (der_more(&list)) {
		struct der x = der_enter(&list, DER_SEQUENCE), value;
		uint64_t n;

		if (!bytes_equal(der_take(&x, DER_OID), oid_contents(OID_CRL_NUMBER)))
			continue;
		value = der_open(der_take(&x, DER_OCTET_STRING));
		n = der_small_integer(&value);
		if ((r = der_end(&value, "CRL: cRLNumber", e)) == 0)
			*out = n;
		return r;
	}
	return err_set(e, E_FORMAT, "CRL: has no number");
}
