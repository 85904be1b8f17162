/* SPDX-License-Identifier: Apache-2.0 */
/* authority/op_anchor.c - a CA certificate that an operator brings: fit to be an anchor, and no rival of another */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "server/authority/authority.h"
#include "server/store/provision_row.h"

/* What is weak in a CA: its key, and how its certificate was signed; a root's signature nobody needs. */
static int
check_strength(const char *what, const struct cert *c, struct err *e)
{
	bool self_issued = bytes_equal(c->issuer, c->subject_der);
	int rc;

	if (c->key_type == KEY_NONE)
		return err_set(e, E_POLICY, "%s: its key is of a kind or size that is not taken: RSA of 2048, 3072 or "
		    "4096 bits, "
		    "P-256, P-384, P-521 or Ed25519 is needed", what);
	if ((rc = key_check_weak(c->key_type, c->spki, e)) != 0)
		return err_prefix(e, (enum err_code)rc, "%s", what);
	if (!self_issued && (c->sig_alg == OID_UNKNOWN || c->sig_alg == OID_RSA_SHA1 || c->sig_alg == OID_RSA_MD5 ||
	    c->sig_alg == OID_ECDSA_SHA1))
		return err_set(e, E_POLICY, "%s: it was signed with %s, which is not taken; SHA-256 or better is "
		    "needed", what,
		    c->sig_alg == OID_UNKNOWN ? "an unknown algorithm" : oid_name(c->sig_alg));
	return 0;
}

static int
check_ca(const char *what, const struct cert *c, int64_t now, struct err *e)
{
	char when[CLOCK_TEXT_MAX];

	if (!c->ca)
		return err_set(e, E_POLICY, "%s: the certificate is not a CA's (no basicConstraints CA:TRUE)", what);
	if (c->has_ku && (c->ku & KU_KEY_CERT_SIGN) == 0)
		return err_set(e, E_POLICY, "%s: the certificate may not sign others (keyUsage without keyCertSign)",
		    what);
	if (c->unknown_critical)
		return err_set(e, E_POLICY, "%s: the certificate has a critical extension that is not known here",
		    what);
	if (c->not_after < now)
		return err_set(e, E_POLICY, "%s: the certificate has expired (%s)", what,
		    clock_text(c->not_after, when));
	if (c->not_before > now)
		return err_set(e, E_POLICY, "%s: the certificate is not valid before %s", what,
		    clock_text(c->not_before, when));
	return check_strength(what, c, e);
}

/* Ours when it is the very same; another certificate for a CA of ours could take its place in a chain. */
static int
check_ours(struct work *w, const char *what, const struct cert *c, const struct ca **ours, struct err *e)
{
	const struct fleet *f = w->a->fleet;

	*ours = NULL;
	for (size_t i = 0; i < f->n_cas; i++) {
		const struct ca *ca = f->ca[i];

		if (bytes_equal(ca->cert.der, c->der))
			*ours = ca;
		else if (bytes_equal(ca->cert.spki, c->spki) || trust_same_name(ca->cert.subject_der, c->subject_der))
			return err_set(e, E_POLICY, "%s: it has the %s of our CA '%s' and is another certificate; "
			    "only the CA's own is taken", what, bytes_equal(ca->cert.spki, c->spki) ? "key" : "name",
			    ca->row.name);
	}
	return 0;
}

int
op_anchor_read(struct work *w, const char *what, struct buf *der, struct cert *c, const struct ca **ours, struct err *e)
{
	AUTO_BUF all = { 0 };
	struct bytes parts[2];
	size_t n = 0;
	int rc = pem_decode_all(&all, parts, &n, N_OF(parts), bytes_of(op_arg(w, "pem", "")), "CERTIFICATE", e);

	if (rc == E_TOOBIG || (rc == 0 && n > 1))
		return err_set(e, E_USAGE, "%s: more than one certificate; give the CA's own alone", what);
	if (rc != 0)
		return err_prefix(e, (enum err_code)rc, "%s", what);
	buf_put_bytes(der, parts[0]);
	if ((rc = cert_parse(c, bytes_of_buf(der), e)) != 0)
		return err_prefix(e, (enum err_code)rc, "%s", what);
	if ((rc = check_ca(what, c, clock_now(), e)) != 0)
		return rc;
	return check_ours(w, what, c, ours, e);
}

bool
op_anchor_issued(const struct cert *issuer, const struct cert *c)
{
	/* Two self-signed certificates of one CA: neither is above the other. */
	return bytes_equal(issuer->subject_der, c->issuer) && !bytes_equal(issuer->spki, c->spki) &&
	    issuer->key_type != KEY_NONE &&
	    key_verify_once(issuer->key_type, issuer->spki, c->sig_alg, c->tbs, c->sig, NULL) == 0;
}

/* What is looked for among the anchors that are there. */
struct search {
	struct work *w;
	const struct cert *cert;
	char name[ROW_NAME_MAX];  /* of the one that is in the way */
	bool issuer;              /* it is so because of an issuer */
	bool key;                 /* ... or of its key, too */
	bool same;                /* the very same certificate was met */
};

/* Fronts leave an uploaded CA out that has the name of an outside one: chains could end at either. */
static bool
is_rival(const struct cert *a, const struct cert *b)
{
	return trust_same_name(a->subject_der, b->subject_der) && !bytes_equal(a->der, b->der);
}

static int
refuse_rival(const struct search *s, const char *what, const char *kind, struct err *e)
{
	if (s->key)
		return err_set(e, E_POLICY, "%s: %s '%s' has the same name and key in another certificate; give that "
		    "one", what, kind, s->name);
	return err_set(e, E_POLICY, "%s: %s '%s' has the same name and another key, and nobody could come in by both; "
	    "remove that one first, or give this CA another name", what, kind, s->name);
}

static int
is_same(void *ctx, struct anchor_row *r)
{
	struct search *s = ctx;

	s->same = s->same || bytes_equal(bytes_of_buf(&r->der), s->cert->der);
	return 0;
}

static int
against_outside(void *ctx, struct anchor_row *r)
{
	struct search *s = ctx;
	struct cert c;
	bool rival, issuer;

	if (cert_parse(&c, bytes_of_buf(&r->der), NULL) != 0)
		return 0;
	s->key = bytes_equal(c.spki, s->cert->spki);
	rival = is_rival(&c, s->cert) && (s->key || !s->same);
	issuer = !s->same && op_anchor_issued(&c, s->cert);
	if (!rival && !issuer)
		return 0;
	s->issuer = issuer;
	(void)snprintf(s->name, sizeof(s->name), "%s", r->name);
	return E_POLICY;
}

int
op_anchor_beside_outside(struct work *w, const char *what, const struct cert *c, struct err *e)
{
	struct search s = { .w = w, .cert = c };
	int rc = anchor_row_each(w->a->db, is_same, &s, e);

	if (rc != 0 || (rc = anchor_row_each(w->a->db, against_outside, &s, e)) == 0 || rc != E_POLICY)
		return rc;
	if (!s.issuer)
		return refuse_rival(&s, what, "outside CA", e);
	return err_set(e, rc, "%s: outside CA '%s' issued it, and devices below it would no longer come in by that "
	    "one; "
	    "let them in by this certificate first, with 'estuary trust add'", what, s.name);
}

static int
against_uploaded(void *ctx, struct dps_ca_row *r)
{
	struct search *s = ctx, below = { .w = s->w };
	struct cert c;
	int rc;

	if (cert_parse(&c, bytes_of_buf(&r->der), NULL) != 0)
		return 0;
	s->issuer = op_anchor_issued(s->cert, &c);
	s->key = bytes_equal(c.spki, s->cert->spki);
	if (!s->issuer && !is_rival(&c, s->cert))
		return 0;
	/* One that is an outside CA as well is there by that. */
	below.cert = &c;
	if ((s->issuer || !s->key) && ((rc = anchor_row_each(s->w->a->db, is_same, &below, NULL)) != 0 || below.same))
		return rc;
	(void)snprintf(s->name, sizeof(s->name), "%s", r->name);
	return E_POLICY;
}

int
op_anchor_beside_uploaded(struct work *w, const char *what, const struct cert *c, struct err *e)
{
	struct search s = { .w = w, .cert = c };
	int rc = dps_ca_row_each(w->a->db, against_uploaded, &s, e);

	if (rc != E_POLICY)
		return rc;
	if (!s.issuer)
		return refuse_rival(&s, what, "provisioning ('estuary group ca-list') has the CA", e);
	return err_set(e, rc, "%s: it issued the CA '%s' of provisioning ('estuary group ca-list'), whose devices "
	    "would not come in "
	    "by this one; add that certificate first", what, s.name);
}

/* --- a CA of ours that is to be made --- */

struct naming {
	struct bytes subject;
	char name[ROW_NAME_MAX]; /* of the one that has it */
};

static int
has_subject(struct naming *n, const char *name, const struct buf *der)
{
	struct cert c;

	if (cert_read(&c, bytes_of_buf(der), NULL) != 0 || !trust_same_name(c.subject_der, n->subject))
		return 0;
	(void)snprintf(n->name, sizeof(n->name), "%s", name);
	return E_EXISTS;
}

static int
outside_has(void *ctx, struct anchor_row *r)
{
	return has_subject(ctx, r->name, &r->der);
}

static int
uploaded_has(void *ctx, struct dps_ca_row *r)
{
	return has_subject(ctx, r->name, &r->der);
}

int
op_anchor_name_free(struct work *w, const char *what, const struct name *subject, struct err *e)
{
	AUTO_BUF der = { 0 };
	struct naming n = { 0 };
	const char *kind = "outside CA";
	int rc;

	name_encode(&der, subject);
	n.subject = bytes_of_buf(&der);
	if ((rc = anchor_row_each(w->a->db, outside_has, &n, e)) == 0) {
		kind = "provisioning's CA";
		rc = dps_ca_row_each(w->a->db, uploaded_has, &n, e);
	}
	if (rc != E_EXISTS || n.name[0] == 0)
		return rc;
	return err_set(e, E_POLICY, "%s: the %s '%s' has the same subject, and its devices would come in no more; choose "
	    "another with --subject or --cn", what, kind, n.name);
}
