/* SPDX-License-Identifier: Apache-2.0 */
/* authority/op_dps_ca.c - the operator's verbs on CAs for provisioning: uploaded, their key proved, or ours by name */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/rnd.h"
#include "core/base/text.h"
#include "server/authority/authority.h"
#include "server/provision/provision.h"

#define CODE_OCTETS 24 /* of a verification code: a CN of 48 digits, as in the portal */
#define CAS_MAX     1000 /* each is an anchor at every front */

static json_t *
ca_json(struct work *w, const struct dps_ca_row *r, bool whole)
{
	json_t *v = json_object();
	struct bytes der = bytes_of_buf(&r->der);
	const struct fleet *f = w->a->fleet;
	struct dps_ca_row parent = { 0 };
	struct cert c;
	char text[NAME_TEXT_MAX], hex[2 * SHA256_LEN + 1];

	json_setf(v, "name", "%s", r->name);
	if (cert_parse(&c, der, NULL) == 0) {
		json_setf(v, "subject", "%s", c.subject_known ? name_text(&c.subject, text) :
		    "(a name of unusual form)");
		json_setf(v, "key", "%s", key_type_name(c.key_type));
		json_object_set_new(v, "not_before", json_integer(c.not_before));
		json_object_set_new(v, "not_after", json_integer(c.not_after));
	}
	text_hex(hex, (struct bytes){ r->sha256, SHA256_LEN });
	json_setf(v, "sha256", "%s", hex);
	json_object_set_new(v, "verified", json_boolean(r->verified));
	json_object_set_new(v, "verified_at", json_integer(r->verified_at));
	json_setf(v, "code", "%s", r->verified ? "" : r->code);
	if (r->parent != 0 && dps_ca_row_by_id(w->a->db, r->parent, &parent, NULL) != 0)
		parent.name[0] = 0;
	json_setf(v, "parent", "%s", parent.name);
	json_object_set_new(v, "ours", json_string(""));
	for (size_t i = 0; i < f->n_cas; i++)
		if (bytes_equal(f->ca[i]->cert.der, der))
			json_setf(v, "ours", "%s", f->ca[i]->row.name);
	json_object_set_new(v, "groups", json_integer(r->groups));
	json_object_set_new(v, "created_at", json_integer(r->created_at));
	if (whole)
		json_object_set_new(v, "pem", op_pem(&der, 1));
	dps_ca_row_clear(&parent);
	return v;
}

/* --- where a new CA stands among those that are there --- */

struct place {
	struct work *w;
	const struct cert *cert;
	int64_t id;                  /* of the new one, 0 while its parent is looked for */
	int64_t parent;
	size_t n;
	char rival[ROW_NAME_MAX];    /* that has its name and key in another certificate */
	int64_t renews;              /* that one's id, when it is verified */
	struct err *e;
};

static int
look_above(void *ctx, struct dps_ca_row *r)
{
	struct place *p = ctx;
	struct cert c;

	p->n++;
	if (cert_parse(&c, bytes_of_buf(&r->der), NULL) != 0)
		return 0;
	if (p->parent == 0 && op_anchor_issued(&c, p->cert))
		p->parent = r->id;
	if (trust_same_name(c.subject_der, p->cert->subject_der) && bytes_equal(c.spki, p->cert->spki) &&
	    !bytes_equal(c.der, p->cert->der)) {
		(void)snprintf(p->rival, sizeof(p->rival), "%s", r->name);
		p->renews = r->verified ? r->id : 0;
	}
	return 0;
}

/* Those that came before the CA that issued them: groups of that one are for their devices, too. */
static int
adopt(void *ctx, struct dps_ca_row *r)
{
	struct place *p = ctx;
	struct cert c;

	if (r->parent != 0 || r->id == p->id || cert_parse(&c, bytes_of_buf(&r->der), NULL) != 0 ||
	    !op_anchor_issued(p->cert, &c))
		return 0;
	return dps_ca_row_set_parent(p->w->a->db, r->id, p->id, p->e);
}

/* The next certificate of a CA whose key was proved takes the place of the one before, and groups stay as they are. */
static int
renew(struct work *w, struct dps_ca_row *r, const struct place *p, struct err *e)
{
	int rc = dps_ca_row_renew(w->a->db, p->renews, p->cert->der, p->cert->sha256, p->parent, e);

	return rc != 0 ? rc : dps_ca_row_by_name(w->a->db, p->rival, r, e);
}

/* Insert the row, its certificate judged, below its issuer and above what it issued. */
static int
insert(struct work *w, struct dps_ca_row *r, const struct cert *c, struct err *e)
{
	struct place p = { .w = w, .cert = c, .e = e };
	int rc = dps_ca_row_each(w->a->db, look_above, &p, e);

	if (rc != 0)
		return rc;
	if (p.renews != 0 && strcmp(p.rival, r->name) == 0)
		return renew(w, r, &p, e);
	if (p.n >= CAS_MAX)
		return err_set(e, E_TOOBIG, "group.ca_add: %d CAs are there, no more are taken", CAS_MAX);
	if (p.rival[0] != 0)
		return err_set(e, E_POLICY, "ca '%s': '%s' has the same name and key in another certificate, and "
		    "devices would end at either by chance; %s", r->name, p.rival,
		    p.renews != 0 ? "add it as that one, and it takes its place" : "remove that one first");
	memcpy(r->sha256, c->sha256, SHA256_LEN);
	r->parent = p.parent;
	r->created_at = clock_now();
	if (r->verified)
		r->verified_at = r->created_at;
	else
		rnd_hex(r->code, CODE_OCTETS);
	if ((rc = dps_ca_row_insert(w->a->db, r, e)) != 0)
		return rc;
	p.id = r->id;
	return dps_ca_row_each(w->a->db, adopt, &p, e);
}

/* --- verbs --- */

static int
check_name(const char *name, struct err *e)
{
	if (text_valid_name(name, ROW_NAME_MAX - 1))
		return 0;
	return err_set(e, E_USAGE, "group.ca_add: name: expected up to %d characters of A-Z a-z 0-9 . _ -",
	    ROW_NAME_MAX - 1);
}

/* A CA of ours is verified: its key is here. */
static int
take_ours(struct work *w, const struct ca *ca, struct dps_ca_row *r, struct err *e)
{
	buf_put_bytes(&r->der, ca->cert.der);
	r->verified = true;
	return insert(w, r, &ca->cert, e);
}

static int
take_uploaded(struct work *w, struct dps_ca_row *r, struct err *e)
{
	const struct ca *ours;
	struct cert c;
	char what[ROW_NAME_MAX + 8];
	int rc;

	(void)snprintf(what, sizeof(what), "ca '%s'", r->name);
	if ((rc = op_anchor_read(w, what, &r->der, &c, &ours, e)) != 0 ||
	    (ours == NULL && (rc = op_anchor_beside_outside(w, what, &c, e)) != 0))
		return rc;
	r->verified = ours != NULL || json_flag(w->args, "verified", false);
	return insert(w, r, &c, e);
}

static int
ca_add(struct work *w, json_t **result, struct err *e)
{
	const char *ca = op_arg(w, "ca", ""), *pem = op_arg(w, "pem", "");
	const struct ca *ours = fleet_ca(w->a->fleet, ca);
	struct dps_ca_row r = { 0 };
	int rc = check_name(op_arg(w, "name", ""), e);

	if (rc != 0)
		return rc;
	if ((ca[0] != 0) == (pem[0] != 0))
		return err_set(e, E_USAGE, "group.ca_add: expected either 'pem', a CA's certificate, or 'ca', the "
		    "name of a CA of ours");
	if (ca[0] != 0 && ours == NULL)
		return err_set(e, E_NOTFOUND, "ca '%.64s': there is none; see 'estuary ca list'", ca);
	(void)snprintf(r.name, sizeof(r.name), "%s", op_arg(w, "name", ""));
	rc = ours != NULL ? take_ours(w, ours, &r, e) : take_uploaded(w, &r, e);
	if (rc == 0)
		*result = ca_json(w, &r, true);
	dps_ca_row_clear(&r);
	return rc;
}

static int
by_name(struct work *w, const char *name, struct dps_ca_row *r, struct err *e)
{
	int rc = dps_ca_row_by_name(w->a->db, name, r, e);

	return rc == E_NOTFOUND ? err_set(e, rc, "ca '%.64s': there is none; see 'estuary group ca-list'", name) : rc;
}

int
op_dps_ca(struct work *w, const char *name, struct dps_ca_row *r, struct err *e)
{
	const struct ca *ours = fleet_ca(w->a->fleet, name);
	int rc = dps_ca_row_by_name(w->a->db, name, r, NULL);

	if (rc != E_NOTFOUND)
		return rc != 0 ? err_set(e, (enum err_code)rc, "ca '%.64s': cannot be read", name) : 0;
	if (ours == NULL)
		return err_set(e, E_NOTFOUND, "ca '%.64s': there is none; see 'estuary group ca-list', and 'estuary "
		    "ca list' for ours", name);
	/* Under another name already? */
	rc = dps_ca_row_by_sha256(w->a->db, ours->cert.sha256, r, NULL);
	if (rc != E_NOTFOUND)
		return rc;
	(void)snprintf(r->name, sizeof(r->name), "%s", ours->row.name);
	return take_ours(w, ours, r, e);
}

static int
check_proof(struct work *w, const struct dps_ca_row *r, struct err *e)
{
	AUTO_BUF proof = { 0 };
	int rc;

	if (r->verified)
		return err_set(e, E_EXISTS, "ca '%s': is verified already", r->name);
	if ((rc = pem_decode(&proof, bytes_of(op_arg(w, "pem", "")), "CERTIFICATE", e)) == 0)
		rc = provision_check_proof(bytes_of_buf(&r->der), bytes_of_buf(&proof), r->code, clock_now(), e);
	return rc != 0 ? err_prefix(e, (enum err_code)rc, "ca '%s'", r->name) : 0;
}

static int
ca_verify(struct work *w, json_t **result, struct err *e)
{
	const char *name = op_arg(w, "name", "");
	struct dps_ca_row r = { 0 };
	int rc = by_name(w, name, &r, e);

	if (rc == 0 && (rc = check_proof(w, &r, e)) == 0 &&
	    (rc = dps_ca_row_verify(w->a->db, r.id, clock_now(), e)) == 0 && (rc = by_name(w, name, &r, e)) == 0)
		*result = ca_json(w, &r, true);
	dps_ca_row_clear(&r);
	return rc;
}

struct listing {
	struct work *w;
	json_t *items;
};

static int
add_ca(void *ctx, struct dps_ca_row *r)
{
	struct listing *l = ctx;

	json_array_append_new(l->items, ca_json(l->w, r, false));
	return 0;
}

static int
ca_list(struct work *w, json_t **result, struct err *e)
{
	struct listing l = { w, json_array() };

	*result = op_items(l.items);
	return dps_ca_row_each(w->a->db, add_ca, &l, e);
}

static int
ca_show(struct work *w, json_t **result, struct err *e)
{
	struct dps_ca_row r = { 0 };
	int rc = by_name(w, op_arg(w, "name", ""), &r, e);

	if (rc == 0)
		*result = ca_json(w, &r, true);
	dps_ca_row_clear(&r);
	return rc;
}

static int
ca_remove(struct work *w, json_t **result, struct err *e)
{
	struct dps_ca_row r = { 0 };
	int rc = by_name(w, op_arg(w, "name", ""), &r, e);

	(void)result;
	if (rc == 0 && r.groups != 0)
		rc = err_set(e, E_EXISTS, "ca '%s': %lld group%s by it; give %s another with 'estuary group set NAME "
		    "--ca CA', or remove %s first",
		    r.name, (long long)r.groups, r.groups == 1 ? " attests" : "s attest", r.groups == 1 ? "it" : "them",
		    r.groups == 1 ? "it" : "them");
	if (rc == 0)
		rc = dps_ca_row_remove(w->a->db, r.id, e);
	dps_ca_row_clear(&r);
	return rc;
}

const struct verb op_dps_ca_verbs[] = {
	{ "group.ca_add", VERB_WRITE, "name! pem ca verified", ca_add },
	{ "group.ca_verify", VERB_WRITE, "name! pem!", ca_verify },
	{ "group.ca_list", VERB_READ, "", ca_list },
	{ "group.ca_show", VERB_READ, "name!", ca_show },
	{ "group.ca_remove", VERB_WRITE, "name!", ca_remove },
	{ NULL, 0, NULL, NULL },
};
