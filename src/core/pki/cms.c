/* SPDX-License-Identifier: Apache-2.0 */
/* pki/cms.c - a bag of certificates: SignedData that signs nothing (RFC 5652 5, RFC 5272 4.1) */
#include "core/pki/cert.h"
#include "core/pki/der.h"

static bool
is_repeated(const struct bytes *certs, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (bytes_equal(certs[k], certs[i]))
			return true;
	return false;
}

static void
put_certs(struct buf *b, const struct bytes *certs, size_t n, bool sorted)
{
	size_t set = der_begin(b, DER_CONTEXT_CONS(0));

	for (size_t i = 0; i < n; i++)
		if (!is_repeated(certs, i))
			der_put_raw(b, certs[i]);
	if (sorted)
		der_sort_set(b, set);
	der_finish(b, set);
}

static void
put_message(struct buf *out, const struct bytes *certs, size_t n, bool sorted)
{
	size_t info = der_begin(out, DER_SEQUENCE), content, data, part;

	der_put_oid(out, oid_contents(OID_SIGNED_DATA));
	content = der_begin(out, DER_CONTEXT_CONS(0));
	data = der_begin(out, DER_SEQUENCE);
	der_put_int(out, 1);
	der_put(out, DER_SET, (struct bytes){ 0 });     /* digestAlgorithms */
	part = der_begin(out, DER_SEQUENCE);            /* encapContentInfo, no eContent */
	der_put_oid(out, oid_contents(OID_DATA));
	der_finish(out, part);
	if (n != 0)
		put_certs(out, certs, n, sorted);
	der_put(out, DER_SET, (struct bytes){ 0 });     /* signerInfos */
	der_finish(out, data);
	der_finish(out, content);
	der_finish(out, info);
}

void
cms_certs_only(struct buf *out, const struct bytes *certs, size_t n)
{
	put_message(out, certs, n, true);
}

void
cms_certs_in_order(struct buf *out, const struct bytes *certs, size_t n)
{
	put_message(out, certs, n, false);
}

/* Into the SignedData of a ContentInfo; bad when there is none. */
static struct der
enter_signed_data(struct bytes der)
{
	struct der outer = der_open(der), info = der_enter(&outer, DER_SEQUENCE), content, data;
	bool is_signed = oid_find(der_take(&info, DER_OID)) == OID_SIGNED_DATA;

	content = der_enter(&info, DER_CONTEXT_CONS(0));
	data = der_enter(&content, DER_SEQUENCE);
	if (!is_signed || der_more(&info) || der_more(&content))
		data = (struct der){ .bad = true };
	return data;
}

int
cms_parse_certs(struct bytes *certs, size_t *n, size_t max, struct bytes der, struct err *e)
{
	struct der data, set;
	struct bytes crls, list;
	size_t found = 0;

	if (der_check(der, "certs-only message", e) != 0)
		return E_FORMAT;
	data = enter_signed_data(der);
	(void)der_small_integer(&data);
	(void)der_take(&data, DER_SET);         /* digestAlgorithms */
	(void)der_take(&data, DER_SEQUENCE);    /* encapContentInfo: what it holds is not ours to use */
	(void)der_try(&data, DER_CONTEXT_CONS(0), &list);
	(void)der_try(&data, DER_CONTEXT_CONS(1), &crls);
	(void)der_take(&data, DER_SET);         /* signerInfos */
	if (der_end(&data, "certs-only message", e) != 0)
		return E_FORMAT;
	for (set = der_open(list); der_more(&set); found++) {
		if (found == max)
			return err_set(e, E_TOOBIG, "certs-only message: more than %zu certificates",
			    max);
		certs[found] = der_take_tlv(&set, DER_SEQUENCE);
	}
	if (der_end(&set, "certs-only message: certificates", e) != 0)
		return E_FORMAT;
	*n = found;
	return 0;
}
