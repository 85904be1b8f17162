/* SPDX-License-Identifier: Apache-2.0 */
/* pki/cert.c - what a certificate says (RFC 5280 4) */
#include "core/pki/cert.h"

#include <string.h>

#include "core/base/text.h"
#include "core/pki/der.h"

#define EXTENSIONS_MAX 32 /* in one certificate, from anyone; those in use have about ten */
#define HEAD           offsetof(struct cert, subject)

/* Version 3 only: what is older says nothing about its purpose. */
static int
parse_version(struct der *tbs, struct err *e)
{
	struct der v = der_enter(tbs, DER_CONTEXT_CONS(0));

	if (der_small_integer(&v) != 2 || der_end(&v, "certificate: version", NULL) != 0)
		return err_set(e, E_FORMAT, "certificate: version 3 needed");
	return 0;
}

static int
parse_serial(struct cert *c, struct der *tbs, struct err *e)
{
	c->serial = der_take(tbs, DER_INTEGER);
	if (c->serial.n == 0 || c->serial.n > CERT_SERIAL_MAX || c->serial.p[0] >= 0x80)
		return err_set(e, E_FORMAT, "certificate: serial number negative or over %d octets",
		    CERT_SERIAL_MAX);
	return 0;
}

/*
 * The next Name, judged in its frame alone: attributes of types and strings that
 * name_parse() refuses are for the caller to see by subject_known.
 */
static int
parse_name_frame(struct bytes *out, struct der *tbs, const char *what, struct err *e)
{
	struct der d = *tbs, names, rdn, ava;
	uint8_t tag;

	*out = der_take_tlv(tbs, DER_SEQUENCE);
	names = der_enter(&d, DER_SEQUENCE);
	while (der_more(&names)) {
		rdn = der_enter(&names, DER_SET);
		do {
			ava = der_enter(&rdn, DER_SEQUENCE);
			(void)der_take(&ava, DER_OID);
			(void)der_any(&ava, &tag);
			if (der_end(&ava, what, e) != 0)
				return E_FORMAT;
		} while (der_more(&rdn));
	}
	return der_end(&names, what, e);
}

static int
parse_validity(struct cert *c, struct der *tbs, struct err *e)
{
	struct der d = der_enter(tbs, DER_SEQUENCE);

	c->not_before = der_time(&d);
	c->not_after = der_time(&d);
	if (der_end(&d, "certificate: validity", e) != 0)
		return E_FORMAT;
	if (c->not_after < c->not_before)
		return err_set(e, E_FORMAT, "certificate: validity ends before it begins");
	return 0;
}

static int
parse_spki(struct cert *c, struct der *tbs, struct err *e)
{
	c->spki = der_take_tlv(tbs, DER_SEQUENCE);
	if (tbs->bad)
		return err_set(e, E_FORMAT, "certificate: no public key");
	switch (key_judge(&c->key_type, c->spki, e)) {
	case 0:
		break;
	case E_POLICY:
		c->key_type = KEY_NONE;
		break;
	default:
		return E_FORMAT;
	}
	return 0;
}

/* --- extensions: each function reads one value --- */

static int
parse_basic_constraints(struct cert *c, struct bytes value, struct err *e)
{
	struct der outer = der_open(value), d = der_enter(&outer, DER_SEQUENCE);
	uint64_t pathlen;

	c->has_bc = true;
	if (der_peek(&d) == DER_BOOLEAN)
		c->ca = der_boolean(&d); /* an explicit FALSE is not DER, but common and clear */
	if (der_more(&d)) {
		pathlen = der_small_integer(&d);
		if (!c->ca || pathlen > 255)
			return err_set(e, E_FORMAT, "certificate: basicConstraints: wrong path length");
		c->pathlen = (int)pathlen;
	}
	return der_end(&d, "certificate: basicConstraints", e);
}

static int
parse_key_usage(struct cert *c, struct bytes value, struct err *e)
{
	struct der d = der_open(value);
	unsigned unused;
	struct bytes bits = der_bits(&d, &unused);

	if (bits.n > 2)
		return err_set(e, E_FORMAT, "certificate: keyUsage of %zu octets", bits.n);
	c->has_ku = true;
	for (unsigned i = 0; i < bits.n * 8; i++)
		if ((bits.p[i / 8] & (0x80u >> i % 8)) != 0)
			c->ku |= 1u << i;
	return der_end(&d, "certificate: keyUsage", e);
}

static int
parse_eku(struct cert *c, struct bytes value, struct err *e)
{
	struct der outer = der_open(value), d = der_enter(&outer, DER_SEQUENCE);

	c->has_eku = true;
	for (; der_more(&d); c->n_eku++) {
		if (c->n_eku == CERT_EKU_MAX)
			return err_set(e, E_FORMAT, "certificate: extendedKeyUsage: more than %d",
			    CERT_EKU_MAX);
		c->eku[c->n_eku] = oid_find(der_take(&d, DER_OID));
	}
	if (c->n_eku == 0)
		return err_set(e, E_FORMAT, "certificate: extendedKeyUsage: empty");
	return der_end(&d, "certificate: extendedKeyUsage", e);
}

static int
parse_san(struct cert *c, struct bytes value, struct err *e)
{
	(void)e;
	c->has_san = true;
	c->sans_known = sans_parse(&c->sans, value, NULL) == 0;
	return 0;
}

static int
parse_ski(struct cert *c, struct bytes value, struct err *e)
{
	struct der d = der_open(value);

	c->ski = der_take(&d, DER_OCTET_STRING);
	return der_end(&d, "certificate: subjectKeyIdentifier", e);
}

static int
parse_aki(struct cert *c, struct bytes value, struct err *e)
{
	struct der outer = der_open(value), d = der_enter(&outer, DER_SEQUENCE);
	uint8_t tag;

	(void)der_try(&d, DER_CONTEXT(0), &c->aki);
	while (der_more(&d)) /* issuer and serial, which we do not use */
		(void)der_any(&d, &tag);
	return der_end(&d, "certificate: authorityKeyIdentifier", e);
}

/* Those that we know; without a function: OpenSSL's to process (trust.h), or no matter to a path. */
static const struct extension {
	enum oid oid;
	int (*parse)(struct cert *c, struct bytes value, struct err *e);
} known[] = {
	{ OID_BASIC_CONSTRAINTS, parse_basic_constraints },
	{ OID_KEY_USAGE, parse_key_usage },
	{ OID_EKU, parse_eku },
	{ OID_SAN, parse_san },
	{ OID_SKI, parse_ski },
	{ OID_AKI, parse_aki },
	{ OID_CERT_POLICIES, NULL },
	{ OID_NAME_CONSTRAINTS, NULL },
	{ OID_CRLDP, NULL },
	{ OID_AIA, NULL },
};

static const struct extension *
extension_find(enum oid oid)
{
	for (size_t i = 0; i < N_OF(known); i++)
		if (known[i].oid == oid)
			return &known[i];
	return NULL;
}

/* One Extension; its OID in *oid. */
static int
parse_extension(struct cert *c, struct bytes *oid, struct der *list, struct err *e)
{
	struct der d = der_enter(list, DER_SEQUENCE);
	bool critical = false;
	const struct extension *x;
	struct bytes value;
	char dotted[80];

	*oid = der_take(&d, DER_OID);
	if (der_peek(&d) == DER_BOOLEAN)
		critical = der_boolean(&d);
	value = der_take(&d, DER_OCTET_STRING);
	if (der_end(&d, "certificate: extension", e) != 0)
		return E_FORMAT;
	x = extension_find(oid_find(*oid));
	if (x == NULL) {
		c->unknown_critical = c->unknown_critical || critical;
		return 0;
	}
	/* The value is octets to the walk over the whole certificate: it has its own. */
	if (der_check(value, oid_name(x->oid), e) != 0)
		return err_prefix(e, E_FORMAT, "certificate: extension %s",
		    oid_dotted(*oid, dotted));
	return x->parse == NULL ? 0 : x->parse(c, value, e);
}

static int
parse_extensions(struct cert *c, struct der *tbs, struct err *e)
{
	struct der outer = der_enter(tbs, DER_CONTEXT_CONS(3)), d = der_enter(&outer, DER_SEQUENCE);
	struct bytes seen[EXTENSIONS_MAX];
	char dotted[80];
	size_t n = 0;

	if (!der_more(&d))
		return err_set(e, E_FORMAT, "certificate: empty extensions");
	for (; der_more(&d); n++) {
		if (n == EXTENSIONS_MAX)
			return err_set(e, E_FORMAT, "certificate: more than %d extensions",
			    EXTENSIONS_MAX);
		if (parse_extension(c, &seen[n], &d, e) != 0)
			return E_FORMAT;
		/* RFC 5280 4.2: not more than one instance of a particular extension. */
		for (size_t i = 0; i < n; i++)
			if (bytes_equal(seen[i], seen[n]))
				return err_set(e, E_FORMAT, "certificate: extension %s twice",
				    oid_dotted(seen[n], dotted));
	}
	if (der_end(&d, "certificate: extensions", e) != 0)
		return E_FORMAT;
	return der_end(&outer, "certificate: extensions", e);
}

/* The contents of TBSCertificate; the inner AlgorithmIdentifier in *alg. */
static int
parse_tbs(struct cert *c, struct bytes *alg, struct der *d, bool v1, struct err *e)
{
	/* Of version 1, which is the DEFAULT, there is no field (RFC 5280 4.1). */
	if ((!v1 && parse_version(d, e) != 0) || parse_serial(c, d, e) != 0)
		return E_FORMAT;
	*alg = der_take_tlv(d, DER_SEQUENCE);
	if (parse_name_frame(&c->issuer, d, "certificate: issuer", e) != 0 ||
	    parse_validity(c, d, e) != 0 ||
	    parse_name_frame(&c->subject_der, d, "certificate: subject", e) != 0)
		return E_FORMAT;
	c->subject_known = name_parse(&c->subject, c->subject_der, NULL) == 0;
	if (parse_spki(c, d, e) != 0)
		return E_FORMAT;
	if (!v1 && der_more(d) && parse_extensions(c, d, e) != 0)
		return E_FORMAT;
	return der_end(d, "certificate", e);
}

/* Certificate: the frame around the TBSCertificate. */
static int
parse_frame(struct cert *c, struct bytes *alg, struct err *e)
{
	struct der outer = der_open(c->der), d = der_enter(&outer, DER_SEQUENCE), alg_id;
	struct der peek;
	unsigned unused;

	c->tbs = der_take_tlv(&d, DER_SEQUENCE);
	*alg = der_take_tlv(&d, DER_SEQUENCE);
	c->sig = der_bits(&d, &unused);
	if (der_end(&d, "certificate", e) != 0)
		return E_FORMAT;
	if (unused != 0 || c->sig.n == 0)
		return err_set(e, E_FORMAT, "certificate: signature is not whole octets");
	peek = der_open(*alg);
	alg_id = der_enter(&peek, DER_SEQUENCE);
	c->sig_alg = oid_find(der_take(&alg_id, DER_OID));
	return alg_id.bad ? err_set(e, E_FORMAT, "certificate: no signature algorithm") : 0;
}

static int
read_version(struct cert *out, struct bytes der, bool v1, struct err *e)
{
	UNSET struct cert c;
	struct bytes outer_alg, inner_alg = { 0 };
	struct der frame, tbs;

	memset(&c, 0, HEAD);
	c.subject.n = c.sans.n = 0;
	c.der = der;
	c.pathlen = -1;
	if (der.n > CERT_MAX)
		return err_set(e, E_TOOBIG, "certificate: %zu octets, at most %zu", der.n, CERT_MAX);
	if (der_check(der, "certificate", e) != 0)
		return E_FORMAT;
	if (parse_frame(&c, &outer_alg, e) != 0)
		return E_FORMAT;
	frame = der_open(c.tbs);
	tbs = der_enter(&frame, DER_SEQUENCE);
	if (parse_tbs(&c, &inner_alg, &tbs, v1, e) != 0)
		return E_FORMAT;
	/* RFC 5280 4.1.1.2: the two MUST be the same. */
	if (!bytes_equal(outer_alg, inner_alg))
		return err_set(e, E_FORMAT, "certificate: two signature algorithms");
	memcpy(out, &c, HEAD);
	name_copy(&out->subject, &c.subject);
	sans_copy(&out->sans, &c.sans);
	return 0;
}

int
cert_read(struct cert *out, struct bytes der, struct err *e)
{
	return read_version(out, der, false, e);
}

int
cert_read_v1(struct cert *out, struct bytes der, struct err *e)
{
	return read_version(out, der, true, e);
}

int
cert_parse(struct cert *out, struct bytes der, struct err *e)
{
	int rc = cert_read(out, der, e);

	if (rc != 0)
		return rc;
	sha256(out->sha256, der);
	sha256(out->spki_sha256, out->spki);
	return 0;
}

bool
cert_has_eku(const struct cert *c, enum oid eku)
{
	for (size_t i = 0; i < c->n_eku; i++)
		if (c->eku[i] == eku)
			return true;
	return false;
}

const char *
cert_unfit_as_client(const struct cert *c)
{
	bool client = cert_has_eku(c, OID_CLIENT_AUTH);

	if (c->ca)
		return "a CA certificate does not identify a client";
	if (c->has_eku && !client)
		return "extendedKeyUsage without clientAuth";
	if (c->has_ku && (c->ku & KU_DIGITAL_SIGNATURE) == 0)
		return "keyUsage without digitalSignature";
	if (!client && (c->ku & KU_KEY_CERT_SIGN) != 0)
		return "keyUsage with keyCertSign";
	return NULL;
}

const char *
cert_serial_text(struct bytes serial, char out[2 * CERT_SERIAL_MAX + 1])
{
	while (serial.n > 1 && serial.p[0] == 0) /* the sign octet is no part of the number */
		serial = bytes_slice(serial, 1, serial.n);
	text_hex(out, bytes_slice(serial, 0, CERT_SERIAL_MAX));
	return out;
}
