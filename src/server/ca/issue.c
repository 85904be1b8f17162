/* SPDX-License-Identifier: Apache-2.0 */
/* ca/issue.c - a certificate's contents: decided, written, and read again before anyone signs them */
#include "server/ca/issue.h"

#include <string.h>

#include "core/base/rnd.h"

#define KEY_ID_LEN 20

void
issue_out_free(struct issue_out *out)
{
	buf_free(&out->subject_der);
	buf_free(&out->san_der);
}

void
serial_random(uint8_t out[ISSUE_SERIAL_LEN])
{
	do {
		rnd_public(out, ISSUE_SERIAL_LEN);
		out[0] &= 0x7f;
	} while (out[0] == 0);
}

static bool
has_sans(const struct issue_want *w)
{
	return w->sans != NULL && w->sans->n != 0;
}

/* What the profile and the issuer forbid, before anything is written. */
static int
check_want(const struct issuer *issuer, const struct issue_want *w, struct err *e)
{
	const struct profile *p = w->profile;
	UNSET struct name theirs;

	if (profile_valid(p, e) != 0)
		return E_POLICY;
	if (w->serial[0] == 0 || w->serial[0] >= 0x80)
		return err_set(e, E_FORMAT, "serial number: not one of serial_random()");
	if ((unsigned)w->key_type >= KEY_TYPE_COUNT || (p->keys >> w->key_type & 1) == 0)
		return err_set(e, E_POLICY, "key: %s is not in profile '%s'",
		    key_type_name(w->key_type), p->name);
	if (p->ca && (w->subject->n == 0 || has_sans(w)))
		return err_set(e, E_POLICY, "a CA certificate has a subject and no alternative names");
	if (w->subject->n == 0 && !has_sans(w))
		return err_set(e, E_POLICY, "a certificate without any name");
	if (issuer == NULL)
		return p->ca ? 0 : err_set(e, E_POLICY, "only a CA signs itself");
	if (p->ca && issuer->pathlen == 0)
		return err_set(e, E_POLICY, "issuer: its path length 0 leaves no room for a CA");
	/* A certificate with the CA's own name could stand in for it. */
	if (name_parse(&theirs, issuer->subject_der, NULL) == 0 && name_equal(&theirs, w->subject))
		return err_set(e, E_POLICY, "subject: it is the issuer's own name");
	return 0;
}

static int
decide_validity(struct issue_out *out, const struct issuer *issuer, const struct issue_want *w,
    struct err *e)
{
	const struct profile *p = w->profile;
	int64_t lifetime = w->lifetime_s == 0 ? p->lifetime_s : w->lifetime_s;

	if (lifetime < PROFILE_LIFETIME_MIN || lifetime > p->lifetime_s)
		return err_set(e, E_POLICY, "lifetime: under %ds, or over that of profile '%s'",
		    PROFILE_LIFETIME_MIN, p->name);
	out->not_before = w->now - p->backdate_s;
	out->not_after = w->now + lifetime;
	if (issuer == NULL)
		return 0;
	if (w->now < issuer->not_before)
		return err_set(e, E_UNAVAIL, "issuer: not yet valid");
	if (issuer->not_after < w->now)
		return err_set(e, E_UNAVAIL, "issuer: expired");
	if (issuer->not_after - w->now < ISSUE_REMAINING_S)
		return err_set(e, E_UNAVAIL, "issuer: expires within %ds", ISSUE_REMAINING_S);
	if (out->not_before < issuer->not_before)
		out->not_before = issuer->not_before;
	if (out->not_after > issuer->not_after)
		out->not_after = issuer->not_after;
	return 0;
}

/* The smaller of the profile's path length and what the issuer's leaves; -1 is none. */
static int
decide_pathlen(const struct issuer *issuer, const struct profile *p)
{
	int room = issuer == NULL || issuer->pathlen < 0 ? -1 : issuer->pathlen - 1;

	if (!p->ca || room < 0)
		return p->pathlen;
	return p->pathlen < 0 || p->pathlen > room ? room : p->pathlen;
}

static struct bytes
cert_bytes(const uint8_t *p, size_t n)
{
	return (struct bytes){ p, n };
}

/* Everything that the certificate says; key_id holds a self-signed one's own key identifier. */
static struct cert_want
fill(uint8_t key_id[KEY_ID_LEN], const struct issue_out *out, const struct issuer *issuer,
    const struct issue_want *w)
{
	const struct profile *p = w->profile;
	bool pointers = issuer != NULL && p->pointers;

	sha1(key_id, key_bits(w->spki));
	return (struct cert_want){
		.serial = cert_bytes(w->serial, sizeof(w->serial)),
		.issuer = issuer != NULL ? issuer->subject_der : bytes_of_buf(&out->subject_der),
		.subject = bytes_of_buf(&out->subject_der),
		.san = bytes_of_buf(&out->san_der),
		.spki = w->spki,
		.not_before = out->not_before,
		.not_after = out->not_after,
		.ca = p->ca,
		.pathlen = decide_pathlen(issuer, p),
		.ku = p->ku,
		.n_eku = p->n_eku,
		.eku = p->eku,
		/* In roots too: without it OpenSSL confuses two roots of one name during a rollover. */
		.aki = issuer != NULL ? issuer->ski : cert_bytes(key_id, KEY_ID_LEN),
		.crl_url = pointers ? issuer->crl_url : NULL,
		.aia_url = pointers ? issuer->aia_url : NULL,
		.sig_alg = key_sig_alg(issuer != NULL ? issuer->key_type : w->key_type),
	};
}

static bool
eku_is_profiles(const struct cert *c, const struct profile *p)
{
	if (c->n_eku != p->n_eku || c->has_eku != (p->n_eku != 0))
		return false;
	for (size_t i = 0; i < p->n_eku; i++)
		if (c->eku[i] != p->eku[i])
			return false;
	return true;
}

/*
 * Read what was written and hold it against the want and the profile: names,
 * powers, key, times and serial are what was decided, whatever went wrong above.
 */
static int
lint(struct bytes tbs, const struct cert_want *cw, const struct issue_want *w, struct err *e)
{
	const struct profile *p = w->profile;
	static const uint8_t no_signature[1];
	AUTO_BUF whole = { 0 };
	UNSET struct cert c;

	cert_assemble(&whole, tbs, cw->sig_alg, cert_bytes(no_signature, sizeof(no_signature)));
	if (cert_read(&c, bytes_of_buf(&whole), e) != 0)
		return err_prefix(e, E_FORMAT, "own certificate");
	const struct { bool broken; const char *what; } rules[] = {
		{ c.ca != p->ca || c.pathlen != cw->pathlen, "basicConstraints" },
		{ c.ku != p->ku, "keyUsage" },
		{ !eku_is_profiles(&c, p) || cert_has_eku(&c, OID_ANY_EKU), "extendedKeyUsage" },
		{ !bytes_equal(c.issuer, cw->issuer), "issuer" },
		{ !c.subject_known || !name_equal(&c.subject, w->subject), "subject" },
		{ c.has_san != has_sans(w), "alternative names" },
		{ c.has_san && (!c.sans_known || !sans_equal(&c.sans, w->sans)), "alternative names" },
		{ !bytes_equal(c.spki, w->spki) || c.key_type != w->key_type, "public key" },
		{ !bytes_equal(c.serial, cw->serial), "serial number" },
		{ c.not_before != cw->not_before || c.not_after != cw->not_after, "validity" },
		{ c.ski.n != KEY_ID_LEN || !bytes_equal(c.aki, cw->aki), "key identifiers" },
		{ c.sig_alg != cw->sig_alg || c.unknown_critical, "algorithm or extensions" },
	};

	for (size_t i = 0; i < N_OF(rules); i++)
		if (rules[i].broken)
			return err_set(e, E_FORMAT, "own certificate: %s not as decided",
			    rules[i].what);
	return 0;
}

int
issue_tbs(struct buf *tbs, struct issue_out *out, const struct issuer *issuer,
    const struct issue_want *w, struct err *e)
{
	struct issue_out o = { 0 };
	uint8_t key_id[KEY_ID_LEN];
	size_t start = tbs->n;
	struct cert_want cw;
	int rc;

	if ((rc = check_want(issuer, w, e)) != 0 || (rc = decide_validity(&o, issuer, w, e)) != 0)
		return rc;
	name_encode(&o.subject_der, w->subject);
	if (has_sans(w))
		sans_encode(&o.san_der, w->sans);
	cw = fill(key_id, &o, issuer, w);
	cert_build_tbs(tbs, &cw);
	if ((rc = buf_check(tbs, "certificate", e)) != 0 ||
	    (rc = lint(bytes_slice(bytes_of_buf(tbs), start, tbs->n), &cw, w, e)) != 0) {
		tbs->n = start;
		issue_out_free(&o);
		return rc;
	}
	*out = o;
	return 0;
}
