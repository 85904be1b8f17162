/* SPDX-License-Identifier: Apache-2.0 */
/* provision/judge.c - the certificate that was presented: what it may count for, and which group stands above it */
#include <string.h>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "server/provision/asking.h"
#include "server/provision/ids.h"
#include "server/store/credential_row.h"

#define CHAIN_MAX 8 /* CAs above a certificate that are looked at */

/* Under an anchor that is not ours: it must still be there. */
static int
find_outside(struct asking *s, struct err *e)
{
	const struct proto_enrol *q = &s->q->q;
	struct anchor_row anchor = { 0 };
	struct dps_ca_row ca = { 0 };
	int rc;

	if (q->anchor >= PROVISION_ANCHOR_BASE)
		rc = dps_ca_row_by_id(s->f->db, (int64_t)(q->anchor - PROVISION_ANCHOR_BASE), &ca, e);
	else
		rc = anchor_row_by_id(s->f->db, (int64_t)(q->anchor - FLEET_ANCHOR_BASE), &anchor, e);
	anchor_row_clear(&anchor);
	dps_ca_row_clear(&ca);
	s->factor = rc == 0 ? CERT_ANCHOR : CERT_UNKNOWN_ISSUER;
	return rc == E_NOTFOUND ? 0 : rc;
}

static int
find_ours(struct asking *s, struct err *e)
{
	struct cert_row *r = &s->own_row;
	const struct label *label;
	int rc = own_find(r, &s->factor, s->f, &s->q->q, s->now, e);

	if (rc != 0 || s->factor != CERT_OWN)
		return rc;
	label = fleet_label(s->f, r->label);
	if (own_superseded(r, label, s->now) || (label == NULL && r->superseded_by != 0))
		s->factor = CERT_SUPERSEDED;
	s->own = s->factor == CERT_OWN;
	if (s->own && (strcmp(r->device_state, "forked") == 0 || strcmp(r->device_state, "retired") == 0))
		return asking_refuse(s, 401, r->device_state[0] == 'f' ? "device.forked" : "device.retired",
		    "the certificate is of '%s', which is %s", r->device_name, r->device_state);
	return 0;
}

int
judge_certificate(struct asking *s, struct err *e)
{
	const struct proto_enrol *q = &s->q->q;
	int rc = 0;

	s->factor = q->has_cert ? own_factor(q->cert_state) : CERT_ABSENT;
	if (q->has_cert != (q->cert_state != TRUST_NONE))
		s->factor = CERT_MALFORMED; /* the two say the same, or neither is believed */
	else if (q->has_cert && q->cert_state == TRUST_OK && q->anchor >= FLEET_ANCHOR_BASE)
		rc = find_outside(s, e);
	else if (q->has_cert)
		rc = find_ours(s, e);
	if (rc != 0 || s->stop)
		return rc;
	s->cert = attest_cert(s->factor);
	if ((s->cert == ATTEST_CERT_LIVE || s->cert == ATTEST_CERT_STRANGER) && q->cert_not_after < s->now)
		s->factor = CERT_EXPIRED; /* connections outlive certificates ... */
	else if (s->cert == ATTEST_CERT_STRANGER && q->cert_not_before > s->now)
		s->factor = CERT_NOT_YET; /* ... and of one without a path the front does not say it */
	s->cert = attest_cert(s->factor);
	s->own = s->own && s->cert == ATTEST_CERT_LIVE;
	s->cn = q->has_cert ? ids_cn(&q->cert_subject) : NULL;
	if (q->has_cert)
		asking_note(s, s->cert == ATTEST_CERT_BAD ? TRACE_NO : TRACE_NOTE, "certificate", "%s: serial %s, CN '%s'%s%s",
		    decide_cert_name(s->factor), q->cert_serial, s->cn != NULL ? s->cn : "", q->cert_detail[0] != 0 ? "; " : "",
		    q->cert_detail);
	return 0;
}

/* --- which group --- */

struct choice {
	struct asking *s;
	int64_t only, id;                /* id: of the group found, 0: none yet */
	bool enabled;
};

/*
 * Of the groups that name one CA an enabled one decides before a disabled one, and the older before the newer.  Beside
 * the one that it must be, others count when they are disabled: they shut a batch out.
 */
static int
choose(void *ctx, struct enrolment_row *r)
{
	struct choice *c = ctx;

	if (strcmp(r->attestation, "x509") != 0 || (c->only != 0 && r->id != c->only && r->enabled))
		return 0;
	if (c->id != 0 && (c->enabled || !r->enabled))
		return 0;
	c->id = r->id;
	c->enabled = r->enabled;
	return 0;
}

/* One CA of the way up, with what stands above it among ours and among the uploaded ones. */
struct rung {
	const struct ca *ours;           /* NULL: none of ours */
	int64_t uploaded;                /* id of the row that is looked at; 0: to be found by digest */
	uint8_t sha256[SHA256_LEN];
	bool none;
};

static int
first_rung(struct asking *s, struct rung *g, struct err *e)
{
	uint32_t anchor = s->q->q.anchor;
	struct anchor_row row = { 0 };
	int rc = 0;

	*g = (struct rung){ 0 };
	if (anchor >= PROVISION_ANCHOR_BASE) {
		g->uploaded = (int64_t)(anchor - PROVISION_ANCHOR_BASE);
	} else if (anchor < FLEET_ANCHOR_BASE) {
		g->ours = fleet_ca_by_id(s->f, (int64_t)anchor);
		g->none = g->ours == NULL;
		if (g->ours != NULL)
			memcpy(g->sha256, g->ours->cert.sha256, SHA256_LEN);
	} else if ((rc = anchor_row_by_id(s->f->db, (int64_t)(anchor - FLEET_ANCHOR_BASE), &row, e)) == 0) {
		sha256(g->sha256, bytes_of_buf(&row.der));
	}
	anchor_row_clear(&row);
	g->none = g->none || rc == E_NOTFOUND;
	return rc == E_NOTFOUND ? 0 : rc;
}

/* Connections outlive CAs, too: below one that is out of its time nobody has a way up. */
static bool
in_time(struct asking *s, const struct dps_ca_row *r)
{
	UNSET struct cert c;

	if (cert_read(&c, bytes_of_buf(&r->der), NULL) == 0 && c.not_after >= s->now && c.not_before <= s->now)
		return true;
	asking_note(s, TRACE_NO, "ca", "'%s' is not in its time", r->name);
	return false;
}

/* The groups of one CA; it counts when its key was proved. */
static int
look(struct asking *s, const struct dps_ca_row *r, struct choice *c, struct err *e)
{
	int rc;

	if (!r->verified) {
		asking_note(s, TRACE_NOTE, "ca", "'%s' is not verified", r->name);
		return 0;
	}
	rc = enrolment_row_groups_of_ca(s->f->db, r->id, choose, c, e);
	asking_note(s, TRACE_NOTE, "ca", "'%s' is %s", r->name, c->id != 0 ? "named by a group" : "named by no group that is looked for");
	return rc;
}

/* Look at one CA, then stand on the one that issued it. */
static int
climb(struct asking *s, struct rung *g, struct choice *c, struct err *e)
{
	struct dps_ca_row row = { 0 };
	int rc = g->uploaded != 0 ? dps_ca_row_by_id(s->f->db, g->uploaded, &row, e) :
	    dps_ca_row_by_sha256(s->f->db, g->sha256, &row, e);
	const struct ca *up = g->ours != NULL ? g->ours->parent : NULL;
	bool there = rc == 0, over = there && !in_time(s, &row);

	if (rc != 0 && rc != E_NOTFOUND)
		return rc;
	rc = there && !over ? look(s, &row, c, e) : 0;
	*g = (struct rung){ .ours = up, .uploaded = up == NULL ? row.parent : 0 };
	if (up != NULL)
		memcpy(g->sha256, up->cert.sha256, SHA256_LEN);
	g->none = over || (up == NULL && g->uploaded == 0);
	dps_ca_row_clear(&row);
	return rc;
}

int
judge_chain(struct asking *s, int64_t only, struct err *e)
{
	struct choice c = { .s = s, .only = only };
	struct rung g;
	int rc;

	if (s->cn == NULL || !ids_equal(s->cn, s->registration))
		return asking_refuse(s, 401, "dps.name", "the certificate's CN is not the registration ID");
	rc = first_rung(s, &g, e);
	/*
	 * The nearest CA that a group names decides, also when that group is disabled: so a batch is shut out by a group
	 * for its intermediate, while the group of the root stays.
	 */
	for (size_t i = 0; i < CHAIN_MAX && rc == 0 && !g.none && c.id == 0; i++)
		rc = climb(s, &g, &c, e);
	if (rc != 0)
		return rc;
	if (c.id == 0)
		return asking_refuse(s, 401, "dps.no-group", "no group names a verified CA above the certificate");
	s->enrolled = true;
	return enrolment_row_by_id(s->f->db, c.id, &s->enrolment, e);
}
