/* SPDX-License-Identifier: Apache-2.0 */
/* signer/limits.c - what a key may ever sign */
#include "server/signer/limits.h"

#include "core/pki/cert.h"
#include "core/pki/der.h"

#define KU_CA (KU_KEY_CERT_SIGN | KU_CRL_SIGN)

/* What our own builders write, and what a profile may come to need; ended by OID_UNKNOWN. */
static const enum oid cert_extensions[] = {
	OID_BASIC_CONSTRAINTS, OID_KEY_USAGE, OID_EKU, OID_SKI, OID_AKI, OID_SAN, OID_CRLDP, OID_AIA,
	OID_CERT_POLICIES, OID_NAME_CONSTRAINTS, OID_UNKNOWN,
};
static const enum oid crl_extensions[] = { OID_AKI, OID_CRL_NUMBER, OID_UNKNOWN };

struct extension {
	enum oid id;
	bool critical;
	struct bytes value;
};

/* What a certificate may do as a CA, as far as its extensions say. */
struct powers {
	bool has_bc, bc_critical, ca;
	bool has_pathlen;
	uint64_t pathlen;
	uint32_t ku;
};

/* --- parts that certificates and CRLs share --- */

/* RFC 5280 4.1.1.2: the algorithm inside is the one that signs; octet for octet, with its parameters. */
static int
judge_algorithm(const struct limits *l, struct der *tbs, const char *what, struct err *e)
{
	AUTO_BUF want = { 0 };
	struct bytes got = der_take_tlv(tbs, DER_SEQUENCE);

	key_put_sig_alg(&want, key_sig_alg(l->type));
	if (!bytes_equal(got, bytes_of_buf(&want)))
		return err_set(e, E_POLICY, "%s: signature algorithm is not %s's %s", what,
		    key_type_name(l->type), oid_name(key_sig_alg(l->type)));
	return 0;
}

/* RFC 5280 4.1.2.2: positive, at most 20 octets. */
static int
judge_serial(struct bytes serial, const char *what, struct err *e)
{
	if (serial.n == 0)
		return err_set(e, E_FORMAT, "%s: no serial number where it belongs", what);
	if (serial.p[0] >= 0x80 || (serial.n == 1 && serial.p[0] == 0))
		return err_set(e, E_POLICY, "%s: serial number is not positive", what);
	if (serial.n > CERT_SERIAL_MAX)
		return err_set(e, E_POLICY, "%s: serial number of %zu octets: at most %d", what, serial.n,
		    CERT_SERIAL_MAX);
	return 0;
}

/* The next extension of a list; one that is not among `known`, or was seen, is refused. */
static int
read_extension(struct extension *x, struct der *list, const enum oid *known, uint32_t *seen,
    struct err *e)
{
	struct der d = der_enter(list, DER_SEQUENCE);
	struct bytes id = der_take(&d, DER_OID);
	char dotted[80];
	unsigned i = 0;
	int r;

	x->critical = der_peek(&d) == DER_BOOLEAN && der_boolean(&d);
	x->value = der_take(&d, DER_OCTET_STRING);
	if ((r = der_end(&d, "extension", e)) != 0)
		return r;
	x->id = oid_find(id);
	while (known[i] != OID_UNKNOWN && known[i] != x->id)
		i++;
	if (known[i] == OID_UNKNOWN)
		return err_set(e, E_POLICY, "extension %s is none that this signer signs", oid_dotted(id, dotted));
	if ((*seen & 1u << i) != 0) /* RFC 5280 4.2 */
		return err_set(e, E_POLICY, "extension %s stands twice", oid_dotted(id, dotted));
	*seen |= 1u << i;
	return der_check(x->value, oid_name(x->id), e);
}

/* --- certificates --- */

static int
judge_validity(const struct limits *l, struct der *tbs, int64_t now, struct err *e)
{
	struct der d = der_enter(tbs, DER_SEQUENCE);
	int64_t from = der_time(&d), to = der_time(&d), life, ahead;
	int r;

	if ((r = der_end(&d, "certificate: validity", e)) != 0)
		return r;
	if (to < from)
		return err_set(e, E_POLICY, "certificate: ends before it begins");
	if (__builtin_sub_overflow(to, from, &life) || life > l->max_lifetime_s)
		return err_set(e, E_POLICY, "certificate: lives %lld s, this key signs at most %lld s",
		    (long long)life, (long long)l->max_lifetime_s);
	/* Else a stolen authority would sign today for all years to come, one cap after another. */
	if (__builtin_sub_overflow(to, now, &ahead) || ahead - LIMITS_SKEW_S > l->max_lifetime_s)
		return err_set(e, E_POLICY, "certificate: ends later than one that begins now could");
	return 0;
}

static int
read_basic_constraints(struct powers *p, const struct extension *x, struct err *e)
{
	struct der outer = der_open(x->value), d = der_enter(&outer, DER_SEQUENCE);

	p->has_bc = true;
	p->bc_critical = x->critical;
	p->ca = der_peek(&d) == DER_BOOLEAN && der_boolean(&d);
	p->has_pathlen = der_more(&d);
	p->pathlen = p->has_pathlen ? der_small_integer(&d) : 0;
	return der_end(&d, "certificate: basicConstraints", e);
}

static int
read_key_usage(struct powers *p, const struct extension *x, struct err *e)
{
	struct der d = der_open(x->value);
	unsigned unused;
	struct bytes bits = der_bits(&d, &unused);

	for (uint32_t i = 0; i < 9 && i / 8 < bits.n; i++)
		if ((bits.p[i / 8] & 0x80u >> i % 8) != 0)
			p->ku |= 1u << i;
	return der_end(&d, "certificate: keyUsage", e);
}

/* A responder or an RA speaks in our name; that is nothing for a certificate from this key. */
static int
judge_eku(const struct extension *x, struct err *e)
{
	struct der outer = der_open(x->value), d = der_enter(&outer, DER_SEQUENCE);

	while (der_more(&d)) {
		enum oid use = oid_find(der_take(&d, DER_OID));

		if (use == OID_ANY_EKU || use == OID_OCSP_SIGNING || use == OID_CMC_RA)
			return err_set(e, E_POLICY, "certificate: extended key usage %s is never signed",
			    oid_name(use));
	}
	return der_end(&d, "certificate: extKeyUsage", e);
}

static int
read_extensions(struct powers *p, struct der *tbs, struct err *e)
{
	struct der outer = der_enter(tbs, DER_CONTEXT_CONS(3));
	struct der list = der_enter(&outer, DER_SEQUENCE);
	uint32_t seen = 0;
	int r = 0;

	while (r == 0 && der_more(&list)) {
		struct extension x;

		if ((r = read_extension(&x, &list, cert_extensions, &seen, e)) != 0)
			return r;
		if (x.id == OID_BASIC_CONSTRAINTS)
			r = read_basic_constraints(p, &x, e);
		else if (x.id == OID_KEY_USAGE)
			r = read_key_usage(p, &x, e);
		else if (x.id == OID_EKU)
			r = judge_eku(&x, e);
	}
	if (r == 0)
		r = der_end(&list, "certificate: extensions", e);
	return r != 0 ? r : der_end(&outer, "certificate: extensions", e);
}

static int
judge_powers(const struct limits *l, const struct powers *p, struct err *e)
{
	if (!p->ca) {
		/* RFC 5280 4.2.1.9: keyCertSign only with cA, pathLenConstraint only with both. */
		if ((p->ku & KU_CA) != 0 || p->has_pathlen)
			return err_set(e, E_POLICY, "certificate: may sign certificates or CRLs, or has a "
			    "path length, but is no CA");
		return 0;
	}
	if (!l->may_sign_ca)
		return err_set(e, E_POLICY, "certificate: is a CA, and this key has no grant to sign one");
	if (!p->bc_critical) /* RFC 5280 4.2.1.9 */
		return err_set(e, E_POLICY, "certificate: basicConstraints of a CA are not critical");
	if (l->max_pathlen >= 0 && (!p->has_pathlen || p->pathlen > (uint64_t)l->max_pathlen))
		return err_set(e, E_POLICY, "certificate: is a CA %s, this key signs at most path "
		    "length %d", p->has_pathlen ? "with a longer path" : "without a path length",
		    l->max_pathlen);
	return 0;
}

int
limits_judge_cert(const struct limits *l, struct bytes tbs, int64_t now, struct err *e)
{
	struct der outer = der_open(tbs), d, version;
	struct powers p = { 0 };
	int r;

	if (tbs.n > CERT_MAX)
		return err_set(e, E_TOOBIG, "certificate: %zu octets: at most %zu", tbs.n, CERT_MAX);
	if ((r = der_check(tbs, "certificate", e)) != 0)
		return r;
	d = der_enter(&outer, DER_SEQUENCE);
	/* RFC 5280 4.1.2.1: v3 is the integer 2; v1 and v2 cannot say that they are no CA. */
	if (der_peek(&d) != DER_CONTEXT_CONS(0))
		return err_set(e, E_POLICY, "certificate: not v3");
	version = der_enter(&d, DER_CONTEXT_CONS(0));
	if (der_small_integer(&version) != 2 || der_more(&version))
		return err_set(e, E_POLICY, "certificate: not v3");
	if ((r = judge_serial(der_take(&d, DER_INTEGER), "certificate", e)) != 0 ||
	    (r = judge_algorithm(l, &d, "certificate", e)) != 0)
		return r;
	(void)der_take(&d, DER_SEQUENCE); /* issuer */
	if ((r = judge_validity(l, &d, now, e)) != 0)
		return r;
	(void)der_take(&d, DER_SEQUENCE); /* subject */
	(void)der_take(&d, DER_SEQUENCE); /* its key */
	/* RFC 5280 4.1.2.8: no unique identifiers; they are not read here, so that they are refused. */
	if (der_more(&d) && (r = read_extensions(&p, &d, e)) != 0)
		return r;
	if ((r = der_end(&d, "certificate", e)) != 0)
		return r;
	return judge_powers(l, &p, e);
}

/* --- revocation lists --- */

/* Entries one by one: a list of thousands is more than der_check() takes at once. */
static int
judge_entries(struct der *tbs, struct err *e)
{
	struct der list = der_enter(tbs, DER_SEQUENCE);

	while (der_more(&list)) {
		struct bytes tlv = der_take_tlv(&list, DER_SEQUENCE);
		struct der outer = der_open(tlv), d = der_enter(&outer, DER_SEQUENCE);
		int r;

		if ((r = judge_serial(der_take(&d, DER_INTEGER), "CRL entry", e)) != 0)
			return r;
		(void)der_time(&d);
		if (der_more(&d))
			(void)der_take(&d, DER_SEQUENCE);
		if ((r = der_end(&d, "CRL entry", e)) != 0 ||
		    (r = der_check(tlv, "CRL entry", e)) != 0)
			return r;
	}
	return der_end(&list, "CRL: revokedCertificates", e);
}

/* RFC 5280 5.2.3: the number is in every CRL of a conforming CA. */
static int
read_number(uint64_t *number, struct der *tbs, struct err *e)
{
	struct der outer = der_enter(tbs, DER_CONTEXT_CONS(0));
	struct der list = der_enter(&outer, DER_SEQUENCE);
	uint32_t seen = 0;
	bool found = false;
	int r;

	while (der_more(&list)) {
		struct extension x;
		struct der d;

		if ((r = read_extension(&x, &list, crl_extensions, &seen, e)) != 0)
			return r;
		if (x.id != OID_CRL_NUMBER)
			continue;
		found = true;
		d = der_open(x.value);
		*number = der_small_integer(&d);
		if ((r = der_end(&d, "CRL: cRLNumber", e)) != 0)
			return r;
	}
	if ((r = der_end(&list, "CRL: extensions", e)) != 0 ||
	    (r = der_end(&outer, "CRL: extensions", e)) != 0)
		return r;
	return found ? 0 : err_set(e, E_POLICY, "CRL: has no number");
}

static bool
is_time(uint8_t tag)
{
	return tag == DER_UTC_TIME || tag == DER_GENERALIZED_TIME;
}

int
limits_judge_crl(const struct limits *l, struct bytes tbs, uint64_t last, uint64_t *number,
    struct err *e)
{
	struct der outer = der_open(tbs), d = der_enter(&outer, DER_SEQUENCE);
	int64_t this_update, next_update = INT64_MIN;
	uint64_t n = 0;
	int r;

	if ((r = der_end(&outer, "CRL", e)) != 0)
		return r;
	if (der_peek(&d) != DER_INTEGER || der_small_integer(&d) != 1) /* RFC 5280 5.1.2.1 */
		return err_set(e, E_POLICY, "CRL: not v2");
	if ((r = judge_algorithm(l, &d, "CRL", e)) != 0)
		return r;
	(void)der_take(&d, DER_SEQUENCE); /* issuer */
	this_update = der_time(&d);
	if (is_time(der_peek(&d)))
		next_update = der_time(&d);
	if (!d.bad && next_update <= this_update) /* RFC 5280 5.1.2.5 wants it there */
		return err_set(e, E_POLICY, "CRL: no nextUpdate after its thisUpdate");
	if (der_peek(&d) == DER_SEQUENCE && (r = judge_entries(&d, e)) != 0)
		return r;
	if (!d.bad && !der_more(&d))
		return err_set(e, E_POLICY, "CRL: has no number");
	if ((r = read_number(&n, &d, e)) != 0 || (r = der_end(&d, "CRL", e)) != 0)
		return r;
	if (n <= last)
		return err_set(e, E_POLICY, "CRL: number %llu is not above %llu, which this key signed",
		    (unsigned long long)n, (unsigned long long)last);
	*number = n;
	return 0;
}

/* --- rate --- */

bool
limits_take(const struct limits *l, struct limits_bucket *b, uint64_t now_ms)
{
	uint64_t full = (uint64_t)l->max_per_s * LIMITS_BURST_S * 1000;
	uint64_t passed = b->used && now_ms > b->at_ms ? now_ms - b->at_ms : 0;

	if (!b->used || passed >= LIMITS_BURST_S * 1000)
		b->milli = full;
	else
		b->milli += passed * l->max_per_s;
	if (b->milli > full)
		b->milli = full;
	b->used = true;
	b->at_ms = now_ms;
	if (b->milli < 1000)
		return false;
	b->milli -= 1000;
	return true;
}
