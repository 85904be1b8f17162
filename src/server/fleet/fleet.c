/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/fleet.c - the domain in memory */
#include "server/fleet/fleet.h"

#include <string.h>

#include "core/base/mem.h"

static void
drop_all(struct fleet *f)
{
	for (size_t i = 0; i < f->n_cas; i++) {
		ca_row_clear(&f->ca[i]->row);
		mem_free(f->ca[i]);
	}
	for (size_t i = 0; i < f->n_labels; i++)
		mem_free(f->label[i]);
	for (size_t i = 0; i < f->n_profiles; i++)
		mem_free(f->profile[i]);
	f->n_cas = f->n_labels = f->n_profiles = 0;
}

void
fleet_free(struct fleet *f)
{
	if (f == NULL)
		return;
	drop_all(f);
	secret_free(f->secret);
	mem_free(f);
}

static int
load_ca(void *ctx, struct ca_row *r)
{
	struct fleet *f = ctx;
	struct ca *c;
	int rc;

	if (f->n_cas == FLEET_CAS)
		return E_TOOBIG;
	c = mem_zalloc(sizeof(*c));
	c->row = *r;
	r->der = (struct buf){ 0 }; /* ours from here on */
	f->ca[f->n_cas++] = c;
	if ((rc = cert_parse(&c->cert, bytes_of_buf(&c->row.der), NULL)) != 0)
		return rc;
	c->parent = fleet_ca_by_id(f, c->row.parent); /* parents come first */
	c->issuer = (struct issuer){ .subject_der = c->cert.subject_der, .ski = c->cert.ski, .key_type = c->cert.key_type,
		.not_before = c->cert.not_before, .not_after = c->cert.not_after, .pathlen = c->cert.pathlen,
		.crl_url = c->row.crl_url[0] != 0 ? c->row.crl_url : NULL,
		.aia_url = c->row.aia_url[0] != 0 ? c->row.aia_url : NULL };
	return 0;
}

static int
load_label(void *ctx, const char *name, const char *text)
{
	struct fleet *f = ctx;

	if (f->n_labels == FLEET_LABELS)
		return E_TOOBIG;
	f->label[f->n_labels] = mem_zalloc(sizeof(struct label));
	return label_from_text(f->label[f->n_labels++], name, text, NULL);
}

static int
load_profile(void *ctx, const char *name, const char *text)
{
	struct fleet *f = ctx;

	if (f->n_profiles == FLEET_PROFILES)
		return E_TOOBIG;
	f->profile[f->n_profiles] = mem_zalloc(sizeof(struct profile));
	(void)name; /* the text has it */
	return profile_from_text(f->profile[f->n_profiles++], bytes_of(text), NULL);
}

int
fleet_reload(struct fleet *f, struct err *e)
{
	struct fleet next = { .db = f->db, .secret = f->secret };
	int rc;

	*e = (struct err){ 0 };
	if ((rc = ca_row_each(f->db, load_ca, &next, e)) != 0 ||
	    (rc = object_row_each(f->db, "label", load_label, &next, e)) != 0 ||
	    (rc = object_row_each(f->db, "profile", load_profile, &next, e)) != 0 ||
	    (rc = audit_load(&next.audit, f->db, e)) != 0) {
		drop_all(&next);
		return e->code != 0 ? rc : err_set(e, rc, "store: an object in it cannot be read (%s)", err_row((enum err_code)rc)->name);
	}
	drop_all(f);
	*f = next;
	return 0;
}

/* A new store gets the profiles of the box; afterwards they are the operator's. */
static int
first_profiles(struct fleet *f, struct err *e)
{
	const struct profile *p;
	int rc;

	if (f->n_profiles != 0)
		return 0;
	if ((rc = db_begin(f->db, e)) != 0)
		return rc;
	for (size_t i = 0; rc == 0 && (p = profile_of_the_box_at(i)) != NULL; i++) {
		AUTO_BUF text = { 0 };

		if (profile_is_internal(p->name))
			continue;
		profile_to_text(&text, p);
		rc = object_row_put(f->db, "profile", p->name, buf_str(&text), e);
	}
	if (rc != 0) {
		db_rollback(f->db);
		return rc;
	}
	if ((rc = db_commit(f->db, e)) != 0)
		return rc;
	return fleet_reload(f, e);
}

int
fleet_open(struct fleet **out, struct db *d, const uint8_t key[32], struct err *e)
{
	AUTO(fleet) f = mem_zalloc(sizeof(*f));
	int rc;

	f->db = d;
	f->secret = secret_new(key);
	if ((rc = fleet_reload(f, e)) != 0 || (rc = first_profiles(f, e)) != 0)
		return rc;
	*out = TAKE(f);
	return 0;
}

struct ca *
fleet_ca(const struct fleet *f, const char *name)
{
	for (size_t i = 0; i < f->n_cas; i++)
		if (strcmp(f->ca[i]->row.name, name) == 0)
			return f->ca[i];
	return NULL;
}

struct ca *
fleet_ca_by_id(const struct fleet *f, int64_t id)
{
	for (size_t i = 0; i < f->n_cas; i++)
		if (f->ca[i]->row.id == id)
			return f->ca[i];
	return NULL;
}

const struct label *
fleet_label(const struct fleet *f, const char *name)
{
	for (size_t i = 0; i < f->n_labels; i++)
		if (name[0] != 0 ? strcmp(f->label[i]->name, name) == 0 : f->label[i]->is_default)
			return f->label[i];
	return NULL;
}

const struct profile *
fleet_profile(const struct fleet *f, const char *name)
{
	for (size_t i = 0; i < f->n_profiles; i++)
		if (strcmp(f->profile[i]->name, name) == 0)
			return f->profile[i];
	return NULL;
}

bool
fleet_key_is_ours(const struct fleet *f, const uint8_t spki_sha256[SHA256_LEN])
{
	for (size_t i = 0; i < f->n_cas; i++)
		if (memcmp(f->ca[i]->row.spki_sha256, spki_sha256, SHA256_LEN) == 0)
			return true;
	return false;
}

size_t
fleet_chain(const struct ca *c, struct bytes *out, size_t max)
{
	size_t n = 0;

	for (; c != NULL && n < max; c = c->parent)
		out[n++] = bytes_of_buf(&c->row.der);
	return n;
}
