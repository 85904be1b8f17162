/* SPDX-License-Identifier: Apache-2.0 */
/* est/attrs.c - CSR attributes: what a server wants to see in requests (RFC 8951 4, RFC 9908 3) */
#include "core/est/est_inside.h"

/* --- writing --- */

/* Attribute { type, SET { what the caller writes before close_attribute() } } */
struct open_attribute {
	size_t sequence, set;
};

static struct open_attribute
open_attribute(struct buf *b, enum oid type)
{
	struct open_attribute a;

	a.sequence = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, oid_contents(type));
	a.set = der_begin(b, DER_SET);
	return a;
}

static void
close_attribute(struct buf *b, struct open_attribute a)
{
	der_finish(b, a.set);
	der_finish(b, a.sequence);
}

static void
put_ec_key(struct buf *b, enum oid curve)
{
	struct open_attribute a = open_attribute(b, OID_EC_PUBLIC_KEY);

	der_put_oid(b, oid_contents(curve));
	close_attribute(b, a);
}

static void
put_rsa_key(struct buf *b, int64_t bits)
{
	struct open_attribute a = open_attribute(b, OID_RSA);

	der_put_int(b, bits);
	close_attribute(b, a);
}

/* RFC 9908 3.2: a key type is an Attribute with its curve or size; one without parameters is the bare OID. */
static void
put_key(struct buf *b, enum key_type t)
{
	switch (t) {
	case KEY_EC_P256:
		put_ec_key(b, OID_P256);
		break;
	case KEY_EC_P384:
		put_ec_key(b, OID_P384);
		break;
	case KEY_EC_P521:
		put_ec_key(b, OID_P521);
		break;
	case KEY_RSA_2048:
		put_rsa_key(b, 2048);
		break;
	case KEY_RSA_3072:
		put_rsa_key(b, 3072);
		break;
	case KEY_RSA_4096:
		put_rsa_key(b, 4096);
		break;
	case KEY_ED25519:
		der_put_oid(b, oid_contents(OID_ED25519));
		break;
	case KEY_NONE:
	case KEY_TYPE_COUNT:
		break;
	}
}

static void
put_san(struct buf *b, const struct sans *sans)
{
	size_t extension = der_begin(b, DER_SEQUENCE), value;

	der_put_oid(b, oid_contents(OID_SAN));
	value = der_begin(b, DER_OCTET_STRING);
	sans_encode(b, sans);
	der_finish(b, value);
	der_finish(b, extension);
}

/* RFC 9908 3.2: exactly one such attribute, exactly one Extensions in its SET, no extension twice. */
static void
put_extensions(struct buf *b, const struct est_attrs_want *w)
{
	struct open_attribute a = open_attribute(b, OID_EXTENSION_REQUEST);
	size_t extensions = der_begin(b, DER_SEQUENCE);

	if (w->san_hint != NULL && w->san_hint->n != 0)
		put_san(b, w->san_hint);
	if (w->client_auth)
		est_put_client_auth(b);
	der_finish(b, extensions);
	close_attribute(b, a);
}

void
est_attrs_build(struct buf *der, const struct est_attrs_want *w)
{
	size_t all = der_begin(der, DER_SEQUENCE);

	/* RFC 7030 4.5.2: when the binding is required, its OID must stand here. */
	if (w->pop)
		der_put_oid(der, oid_contents(OID_CHALLENGE_PASSWORD));
	put_key(der, w->key);
	if (w->client_auth || (w->san_hint != NULL && w->san_hint->n != 0))
		put_extensions(der, w);
	if (w->sig_alg != OID_UNKNOWN)
		der_put_oid(der, oid_contents(w->sig_alg));
	der_finish(der, all);
}

/* --- reading --- */

bool
est_attrs_next(struct der *list, struct est_attr *out)
{
	struct est_attr a = { 0 };
	struct der attribute;

	if (!der_more(list))
		return false;
	if (der_peek(list) == DER_OID) {
		a.type = der_take(list, DER_OID);
	} else {
		attribute = der_enter(list, DER_SEQUENCE);
		a.type = der_take(&attribute, DER_OID);
		a.values = der_take(&attribute, DER_SET);
		a.has_values = true;
		list->bad = list->bad || attribute.bad || der_more(&attribute);
	}
	if (list->bad)
		return false;
	*out = a;
	return true;
}

int
est_attrs_open(struct der *list, struct bytes der, struct err *e)
{
	struct der all = der_open(der);
	struct est_attr a;
	struct der walk;
	int r;

	if (der.n > EST_BODY_MAX)
		return err_set(e, E_TOOBIG, "csrattrs: more than %zu octets", EST_BODY_MAX);
	r = der_check(der, "csrattrs", e);
	if (r != 0)
		return r;
	walk = der_enter(&all, DER_SEQUENCE);
	if (all.bad)
		return err_set(e, E_FORMAT, "csrattrs: not a SEQUENCE");
	*list = walk;
	while (est_attrs_next(&walk, &a))
		continue;
	return der_end(&walk, "csrattrs", e);
}

static enum key_type
ec_key(struct bytes values)
{
	static const struct {
		enum oid curve;
		enum key_type key;
	} rows[] = {
		{ OID_P256, KEY_EC_P256 }, { OID_P384, KEY_EC_P384 }, { OID_P521, KEY_EC_P521 },
	};
	struct der d = der_open(values);
	enum oid curve = oid_find(der_take(&d, DER_OID));

	for (size_t i = 0; i < N_OF(rows); i++)
		if (!d.bad && rows[i].curve == curve)
			return rows[i].key;
	return KEY_NONE;
}

static enum key_type
rsa_key(struct bytes values)
{
	struct der d = der_open(values);
	uint64_t bits = der_small_integer(&d);

	switch (d.bad ? 0 : bits) {
	case 2048:
		return KEY_RSA_2048;
	case 3072:
		return KEY_RSA_3072;
	case 4096:
		return KEY_RSA_4096;
	default:
		return KEY_NONE;
	}
}

int
est_attrs_parse(struct est_attrs *out, struct bytes der, struct err *e)
{
	struct est_attrs got = { 0 };
	struct est_attr a;
	struct der list;
	int r;

	r = est_attrs_open(&list, der, e);
	if (r != 0)
		return r;
	/* RFC 8951 4: what is not known is passed over. */
	while (est_attrs_next(&list, &a)) {
		got.n++;
		switch (oid_find(a.type)) {
		case OID_CHALLENGE_PASSWORD:
			got.pop = true;
			break;
		case OID_EC_PUBLIC_KEY:
			got.key = ec_key(a.values);
			break;
		case OID_RSA:
			got.key = rsa_key(a.values);
			break;
		case OID_ED25519:
			got.key = KEY_ED25519;
			break;
		default:
			break;
		}
	}
	*out = got;
	return 0;
}

static void
put_type(struct buf *text, struct bytes oid)
{
	char dotted[80];
	enum oid o = oid_find(oid);

	buf_put_str(text, o != OID_UNKNOWN ? oid_name(o) : oid_dotted(oid, dotted));
}

/* The extensions that an extensionRequest wants; bare OIDs too, as RFC 7030's own sample has them. */
static void
put_extension_names(struct buf *text, struct bytes values)
{
	struct der set = der_open(values);
	struct der extensions = der_enter(&set, DER_SEQUENCE);

	while (der_more(&extensions)) {
		struct der one = der_enter(&extensions, DER_SEQUENCE);
		struct bytes type = der_take(&one, DER_OID);

		if (one.bad)
			return;
		buf_put_str(text, " ");
		put_type(text, type);
	}
}

static void
put_number(struct buf *text, struct bytes integer)
{
	struct der d = der_open(integer);
	uint64_t v = der_small_integer(&d);

	if (d.bad)
		buf_put_str(text, "(a large number)");
	else
		buf_printf(text, "%llu", (unsigned long long)v);
}

static void
put_values(struct buf *text, const struct est_attr *a)
{
	struct der d = der_open(a->values);
	uint8_t tag;

	if (oid_find(a->type) == OID_EXTENSION_REQUEST && der_peek(&d) == DER_SEQUENCE) {
		put_extension_names(text, a->values);
		return;
	}
	while (der_more(&d)) {
		uint8_t next = der_peek(&d);

		buf_put_str(text, " ");
		if (next == DER_OID)
			put_type(text, der_take(&d, DER_OID));
		else if (next == DER_INTEGER)
			put_number(text, der_take_tlv(&d, DER_INTEGER));
		else
			buf_printf(text, "(%zu octets)", der_any(&d, &tag).n);
	}
}

int
est_attrs_text(struct buf *text, struct bytes der, struct err *e)
{
	struct est_attr a;
	struct der list;
	int r;

	r = est_attrs_open(&list, der, e);
	if (r != 0)
		return r;
	while (est_attrs_next(&list, &a)) {
		put_type(text, a.type);
		if (a.has_values)
			put_values(text, &a);
		buf_put_str(text, "\n");
	}
	return buf_check(text, "csrattrs", e);
}
