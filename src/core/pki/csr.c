/* SPDX-License-Identifier: Apache-2.0 */
/* pki/csr.c - a PKCS#10 request read to its last octet, and its proof of possession checked */
#include "core/pki/csr.h"

#include <string.h>

#include "core/pki/der.h"

/* Far above what devices send; they bound the comparisons of each with each. */
#define ATTRIBUTES_MAX 32
#define EXTENSIONS_MAX 64

#define HEAD offsetof(struct csr, subject)

/* The request's parts (RFC 2986 4), lengths right, contents not yet looked at. */
struct request {
	struct bytes info, subject, spki, attributes, sig;
	enum oid sig_alg;
};

/* Object identifiers that came already. */
struct seen {
	size_t n, max;
	struct bytes oid[EXTENSIONS_MAX];
};

static int
see(struct seen *s, struct bytes oid, const char *what, struct err *e)
{
	enum oid known_oid;
	char dotted[80];

	for (size_t i = 0; i < s->n; i++) {
		if (!bytes_equal(s->oid[i], oid))
			continue;
		known_oid = oid_find(oid);
		return err_set(e, E_FORMAT, "%s %s twice", what, known_oid != OID_UNKNOWN ?
		    oid_name(known_oid) : oid_dotted(oid, dotted));
	}
	if (s->n == s->max)
		return err_set(e, E_FORMAT, "%s: more than %zu", what, s->max);
	s->oid[s->n++] = oid;
	return 0;
}

/* --- extensions asked for --- */

static int
parse_basic_constraints(struct csr *c, struct der *d, struct err *e)
{
	struct der seq = der_enter(d, DER_SEQUENCE);
	uint64_t pathlen;

	if (der_peek(&seq) == DER_BOOLEAN) {
		c->wants_ca = der_boolean(&seq);
		if (!c->wants_ca) /* X.690 11.5: a default value is left out */
			return err_set(e, E_FORMAT, "basicConstraints: cA FALSE written out");
		if (der_more(&seq)) {
			pathlen = der_small_integer(&seq);
			c->pathlen = pathlen < 255 ? (int)pathlen : 255;
		}
	}
	return der_end(&seq, "basicConstraints", e);
}

static int
parse_key_usage(struct csr *c, struct der *d, struct err *e)
{
	unsigned unused;
	struct bytes bits = der_bits(d, &unused);

	/* Trailing zero bits are taken: encoders in the field leave them, and they mean nothing. */
	if (bits.n > 2 || (bits.n == 2 && (bits.p[1] & 0x7f) != 0))
		return err_set(e, E_FORMAT, "keyUsage: bits that RFC 5280 does not name");
	for (unsigned i = 0; i < bits.n * 8; i++)
		if ((bits.p[i / 8] & 0x80u >> i % 8) != 0)
			c->key_usage |= 1u << i;
	if (!d->bad && c->key_usage == 0)
		return err_set(e, E_FORMAT, "keyUsage: no bit set");
	c->has_key_usage = true;
	return 0;
}

static int
parse_eku(struct csr *c, struct der *d, struct err *e)
{
	struct der seq = der_enter(d, DER_SEQUENCE);
	struct seen seen = { .max = CSR_EKU_MAX };

	while (der_more(&seq)) {
		struct bytes oid = der_take(&seq, DER_OID);
		int r = seq.bad ? 0 : see(&seen, oid, "extKeyUsage", e);

		if (r != 0)
			return r;
		if (!seq.bad)
			c->eku[c->n_eku++] = oid_find(oid);
	}
	if (!seq.bad && seen.n == 0)
		return err_set(e, E_FORMAT, "extKeyUsage: none in the list");
	return der_end(&seq, "extKeyUsage", e);
}

static int
parse_san(struct csr *c, struct der *d, struct err *e)
{
	struct bytes value = der_take_tlv(d, DER_SEQUENCE);
	int r = d->bad ? 0 : sans_parse(&c->sans, value, e);

	c->has_san = true;
	return r;
}

/* The extensions whose values we read; each parser leaves trailing octets to the caller. */
static const struct known {
	enum oid oid;
	int (*parse)(struct csr *c, struct der *d, struct err *e);
} known[] = {
	{ OID_BASIC_CONSTRAINTS, parse_basic_constraints },
	{ OID_KEY_USAGE, parse_key_usage },
	{ OID_EKU, parse_eku },
	{ OID_SAN, parse_san },
};

static int
parse_known(struct csr *c, const struct known *k, struct bytes value, struct err *e)
{
	struct der d = der_open(value);
	int r = der_check(value, oid_name(k->oid), e);

	if (r == 0)
		r = k->parse(c, &d, e);
	if (r == 0)
		r = der_end(&d, oid_name(k->oid), e);
	return r;
}

static int
parse_extension(struct csr *c, struct der *list, struct seen *seen, struct err *e)
{
	struct der ext = der_enter(list, DER_SEQUENCE);
	struct bytes oid = der_take(&ext, DER_OID), value;
	bool critical = false;
	int r;

	if (der_peek(&ext) == DER_BOOLEAN) {
		critical = der_boolean(&ext);
		if (!critical)
			return err_set(e, E_FORMAT, "extension: critical FALSE written out");
	}
	value = der_take(&ext, DER_OCTET_STRING);
	r = der_end(&ext, "extension", e);
	if (r == 0)
		r = see(seen, oid, "extension", e);
	if (r != 0)
		return r;
	for (size_t i = 0; i < N_OF(known); i++)
		if (bytes_equal(oid, oid_contents(known[i].oid)))
			return parse_known(c, &known[i], value, e);
	c->n_other_ext++;
	c->critical_unknown = c->critical_unknown || critical;
	return 0;
}

/* --- attributes; each parser gets the SET of values, entered --- */

static int
parse_extension_request(struct csr *c, struct der *values, struct err *e)
{
	struct der list = der_enter(values, DER_SEQUENCE);
	struct seen seen = { .max = EXTENSIONS_MAX };
	int r = 0;

	if (!list.bad && !der_more(&list))
		return err_set(e, E_FORMAT, "extensionRequest: none in the list");
	while (r == 0 && der_more(&list))
		r = parse_extension(c, &list, &seen, e);
	return r != 0 ? r : der_end(&list, "extensionRequest", e);
}

/* challengePassword (RFC 2985 5.4.1) and estIdentityLinking (RFC 7894 3.3): one DirectoryString. */
static int
parse_challenge(struct csr *c, struct der *values, struct err *e)
{
	uint8_t tag;
	struct bytes v = der_any(values, &tag);

	if (values->bad)
		return 0; /* the caller says it */
	if (tag != DER_UTF8 && tag != DER_PRINTABLE && tag != DER_IA5 && tag != DER_T61)
		return err_set(e, E_FORMAT, "challenge in type 0x%02x: a string expected", tag);
	if (v.n == 0 || v.n >= sizeof(c->challenge))
		return err_set(e, E_FORMAT, "challenge of %zu octets: 1 to %zu expected", v.n,
		    sizeof(c->challenge) - 1);
	if (!der_valid_text(tag, v))
		return err_set(e, E_FORMAT, "challenge with a character that it must not have");
	if (c->has_challenge && !bytes_equal_str(v, c->challenge))
		return err_set(e, E_FORMAT, "two challenges that differ");
	memcpy(c->challenge, v.p, v.n);
	c->has_challenge = true;
	return 0;
}

/* RFC 6402 2.8: that it is there is what matters; it holds at least one name. */
static int
parse_change_subject(struct csr *c, struct der *values, struct err *e)
{
	struct bytes names = der_take(values, DER_SEQUENCE);

	if (!values->bad && names.n == 0)
		return err_set(e, E_FORMAT, "changeSubjectName: no name in it");
	c->changes_subject = true;
	return 0;
}

/* A second place for extensions, which another reader of the same request might prefer. */
static int
refuse_twin(struct csr *c, struct der *values, struct err *e)
{
	(void)c;
	(void)values;
	return err_set(e, E_FORMAT,
	    "Microsoft's extension attribute: only extensionRequest is taken");
}

static const struct {
	enum oid oid;
	int (*parse)(struct csr *c, struct der *values, struct err *e);
} attributes[] = {
	{ OID_EXTENSION_REQUEST, parse_extension_request },
	{ OID_CHALLENGE_PASSWORD, parse_challenge },
	{ OID_EST_IDENTITY_LINKING, parse_challenge },
	{ OID_CHANGE_SUBJECT_NAME, parse_change_subject },
	{ OID_MS_CERT_EXTENSIONS, refuse_twin },
};

static int
parse_attribute(struct csr *c, struct der *list, struct seen *seen, struct err *e)
{
	struct der attr = der_enter(list, DER_SEQUENCE);
	struct bytes oid = der_take(&attr, DER_OID);
	struct der values = der_enter(&attr, DER_SET);
	enum oid known_oid = oid_find(oid);
	int r = der_end(&attr, "attribute", e);

	if (r == 0)
		r = see(seen, oid, "attribute", e);
	if (r != 0)
		return r;
	if (!der_more(&values))
		return err_set(e, E_FORMAT, "attribute without a value");
	for (size_t i = 0; i < N_OF(attributes); i++) {
		if (attributes[i].oid != known_oid)
			continue;
		r = attributes[i].parse(c, &values, e);
		if (r == 0 && der_more(&values))
			return err_set(e, E_FORMAT, "%s: more than one value", oid_name(known_oid));
		return r != 0 ? r : der_end(&values, oid_name(known_oid), e);
	}
	return 0;
}

static int
parse_attributes(struct csr *c, struct bytes contents, struct err *e)
{
	struct der list = der_open(contents);
	struct seen seen = { .max = ATTRIBUTES_MAX };
	int r = 0;

	while (r == 0 && der_more(&list))
		r = parse_attribute(c, &list, &seen, e);
	return r != 0 ? r : der_end(&list, "attributes", e);
}

/* --- the request --- */

static enum oid
read_sig_alg(struct der *outer)
{
	struct der alg = der_enter(outer, DER_SEQUENCE);
	enum oid oid = oid_find(der_take(&alg, DER_OID));
	bool rsa = oid == OID_RSA_SHA256 || oid == OID_RSA_SHA384 || oid == OID_RSA_SHA512;
	bool other_rsa = oid == OID_RSA_SHA1 || oid == OID_RSA_MD5;

	/* RFC 4055 5: NULL or absent must be taken.  The rest have none (RFC 5758, RFC 8410). */
	if ((rsa || other_rsa) && der_more(&alg))
		(void)der_take(&alg, DER_NULL);
	else if (oid == OID_RSA_PSS || oid == OID_UNKNOWN)
		return oid; /* refused later, whatever its parameters say */
	if (alg.bad || der_more(&alg))
		outer->bad = true;
	return oid;
}

static int
split(struct request *out, struct bytes der, struct err *e)
{
	struct der d = der_open(der);
	struct der req = der_enter(&d, DER_SEQUENCE), info;
	unsigned unused;
	uint64_t version;

	out->info = req.rest;
	info = der_enter(&req, DER_SEQUENCE);
	out->info.n -= req.rest.n;
	version = der_small_integer(&info);
	if (info.bad || version != 0)
		return err_set(e, E_FORMAT, "no version 0 in it"); /* RFC 2986 4.1 */
	out->subject = der_take_tlv(&info, DER_SEQUENCE);
	out->spki = der_take_tlv(&info, DER_SEQUENCE);
	out->attributes = der_take(&info, DER_CONTEXT_CONS(0));
	if (der_end(&info, "certificationRequestInfo", e) != 0)
		return E_FORMAT;
	out->sig_alg = read_sig_alg(&req);
	if (req.bad)
		return err_set(e, E_FORMAT, "signatureAlgorithm: wrong parameters");
	out->sig = der_bits(&req, &unused);
	if (der_end(&req, "request", e) != 0 || der_end(&d, "request", e) != 0)
		return E_FORMAT;
	if (out->sig.n == 0 || unused != 0)
		return err_set(e, E_FORMAT, "signature is empty or not of whole octets");
	return 0;
}

/* The proof of possession: the only place with arithmetic, behind everything else. */
static int
verify(const struct csr *c, const struct request *q, struct err *e)
{
	int r = key_check_weak(c->key_type, c->spki, e);

	return r != 0 ? r : key_verify_once(c->key_type, c->spki, q->sig_alg, q->info, q->sig, e);
}

static int
parse_contents(struct csr *c, const struct request *q, struct err *e)
{
	int r = name_parse(&c->subject, q->subject, e);

	c->spki = q->spki;
	if (r == 0)
		r = key_judge(&c->key_type, q->spki, e);
	if (r == 0)
		r = parse_attributes(c, q->attributes, e);
	if (r == 0)
		r = key_check_sig_alg(c->key_type, q->sig_alg, e);
	if (r == 0)
		r = verify(c, q, e);
	return r;
}

void
csr_clear(struct csr *c)
{
	memset(c, 0, HEAD);
	c->subject.n = c->sans.n = 0;
}

int
csr_parse(struct csr *out, struct bytes der, struct err *e)
{
	UNSET struct csr c;
	struct request q = { 0 };
	int r;

	csr_clear(&c);
	c.pathlen = -1;
	if (der.n > CSR_MAX)
		return err_set(e, E_TOOBIG, "csr: %zu octets: %zu at most", der.n, CSR_MAX);
	r = der_check(der, "csr", e);
	if (r != 0)
		return r;
	r = split(&q, der, e);
	if (r == 0)
		r = parse_contents(&c, &q, e);
	if (r != 0)
		return err_prefix(e, (enum err_code)r, "csr");
	sha256(c.spki_sha256, c.spki);
	memcpy(out, &c, HEAD);
	name_copy(&out->subject, &c.subject);
	sans_copy(&out->sans, &c.sans);
	return 0;
}
