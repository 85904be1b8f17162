/* SPDX-License-Identifier: Apache-2.0 */
/* authority/op_ca.c - the operator's verbs on CAs, lists of revocation, and the server itself */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "core/base/text.h"
#include "server/authority/authority.h"
#include "server/proto/role.h"

#define ROOT_LIFETIME   (INT64_C(20) * 365 * 86400)
#define ISSUER_LIFETIME (INT64_C(10) * 365 * 86400)
#define KEY_PER_S       5000

/* A CA on its way: its key made, its certificate to be signed. */
struct ca_plan {
	char name[PROTO_NAME_MAX], key_id[PROTO_NAME_MAX], parent[PROTO_NAME_MAX];
	bool root, crl;
	struct name subject;
	enum key_type type;
	int64_t lifetime_s;
	int pathlen;
	uint8_t spki[KEY_SPKI_MAX];
	size_t spki_n;
	uint8_t spki_sha256[SHA256_LEN];
	uint8_t tbs[4096];
	size_t tbs_n;
	enum oid sig_alg;
};

static json_t *
ca_json(const struct ca *c, bool whole)
{
	json_t *v = json_object();
	char text[NAME_TEXT_MAX], hex[2 * SHA256_LEN + 1];

	json_setf(v, "name", "%s", c->row.name);
	json_setf(v, "kind", "%s", c->row.kind);
	json_setf(v, "parent", "%s", c->parent != NULL ? c->parent->row.name : "");
	json_setf(v, "subject", "%s", name_text(&c->cert.subject, text));
	json_setf(v, "key", "%s", c->row.key_type);
	json_object_set_new(v, "not_before", json_integer(c->cert.not_before));
	json_object_set_new(v, "not_after", json_integer(c->cert.not_after));
	json_object_set_new(v, "crl_number", json_integer(c->row.crl_number));
	json_object_set_new(v, "issued", json_integer(c->row.issued));
	json_object_set_new(v, "revoked", json_integer(c->row.revoked));
	if (!whole)
		return v;
	json_setf(v, "serial", "%s", cert_serial_text(c->cert.serial, text));
	text_hex(hex, (struct bytes){ c->cert.sha256, SHA256_LEN });
	json_setf(v, "sha256", "%s", hex);
	json_object_set_new(v, "pem", op_pem(&c->cert.der, 1));
	json_object_set_new(v, "chain_pem", op_chain_pem(c, (struct bytes){ 0 }));
	json_setf(v, "crl_url", "%s", c->row.crl_url);
	json_setf(v, "aia_url", "%s", c->row.aia_url);
	return v;
}

static int
find_ca(struct work *w, const char *name, struct ca **c, struct err *e)
{
	if ((*c = fleet_ca(w->a->fleet, name)) == NULL)
		return err_set(e, E_NOTFOUND, "ca '%.64s': there is none; see 'estuary ca list'", name);
	return ca_row_count(w->a->db, &(*c)->row, e);
}

static int
ca_list(struct work *w, json_t **result, struct err *e)
{
	json_t *items = json_array();
	int rc;

	*result = op_items(items);
	for (size_t i = 0; i < w->a->fleet->n_cas; i++) {
		if ((rc = ca_row_count(w->a->db, &w->a->fleet->ca[i]->row, e)) != 0)
			return rc;
		json_array_append_new(items, ca_json(w->a->fleet->ca[i], false));
	}
	return 0;
}

static int
ca_show(struct work *w, json_t **result, struct err *e)
{
	struct ca *c;
	int rc = find_ca(w, op_arg(w, "name", ""), &c, e);

	if (rc == 0)
		*result = ca_json(c, true);
	return rc;
}

/* What the operator asked for, checked as a whole before a key is made. */
static int
plan_of(struct work *w, struct ca_plan *p, struct err *e)
{
	const char *kind = op_arg(w, "kind", ""), *key = op_arg(w, "key", "ec-p256"), *life = op_arg(w, "lifetime", NULL);
	const char *subject = op_arg(w, "subject", NULL);
	char what[PROTO_NAME_MAX + 8];
	struct ca *parent;
	int rc;

	p->root = strcmp(kind, "root") == 0;
	if (!p->root && strcmp(kind, "subordinate") != 0)
		return err_set(e, E_USAGE, "ca.create: kind '%.40s': expected root or subordinate", kind);
	(void)snprintf(p->name, sizeof(p->name), "%s", op_arg(w, "name", ""));
	if (!text_valid_name(op_arg(w, "name", ""), PROTO_NAME_MAX - 12))
		return err_set(e, E_USAGE, "ca.create: name: expected up to %d characters of A-Z a-z 0-9 . _ -", PROTO_NAME_MAX - 12);
	if (fleet_ca(w->a->fleet, p->name) != NULL)
		return err_set(e, E_EXISTS, "ca '%s': there is one of this name already", p->name);
	if (w->a->fleet->n_cas == FLEET_CAS)
		return err_set(e, E_TOOBIG, "ca.create: %d CAs are there, no more are taken", FLEET_CAS);
	if ((p->type = key_type_by_name(key)) == KEY_NONE)
		return err_set(e, E_USAGE, "ca.create: key '%.40s': expected ec-p256, ec-p384, ec-p521, rsa-2048, rsa-3072, rsa-4096 or ed25519", key);
	p->lifetime_s = p->root ? ROOT_LIFETIME : ISSUER_LIFETIME;
	if (life != NULL && (rc = clock_parse_duration(&p->lifetime_s, life, e)) != 0)
		return rc;
	p->pathlen = (int)json_int(w->args, "pathlen", p->root ? -1 : 1);
	p->crl = json_flag(w->args, "crl", true);
	if (subject != NULL)
		rc = name_from_text(&p->subject, subject, e);
	else
		rc = name_add(&p->subject, OID_CN, op_arg(w, "cn", p->name), e);
	if (rc == 0) {
		(void)snprintf(what, sizeof(what), "ca '%s'", p->name);
		rc = op_anchor_name_free(w, what, &p->subject, e);
	}
	if (rc != 0 || p->root)
		return rc;
	(void)snprintf(p->parent, sizeof(p->parent), "%s", op_arg(w, "parent", ""));
	return find_ca(w, p->parent, &parent, e);
}

static int
insert_ca(struct work *w, struct bytes sig, struct err *e)
{
	struct authority *a = w->a;
	struct ca_plan *p = w->plan;
	struct ca *parent = p->root ? NULL : fleet_ca(a->fleet, p->parent);
	struct ca_row r = { .parent = parent != NULL ? parent->row.id : 0, .crl = p->crl, .created_at = clock_now() };
	int rc;

	(void)snprintf(r.name, sizeof(r.name), "%s", p->name);
	(void)snprintf(r.kind, sizeof(r.kind), "%s", p->root ? "root" : "subordinate");
	(void)snprintf(r.key_id, sizeof(r.key_id), "%s", p->key_id);
	(void)snprintf(r.key_type, sizeof(r.key_type), "%s", key_type_name(p->type));
	memcpy(r.spki_sha256, p->spki_sha256, SHA256_LEN);
	if (p->crl)
		(void)snprintf(r.crl_url, sizeof(r.crl_url), "%.900s/crl/%s.crl", a->settings.public_url, p->name);
	(void)snprintf(r.aia_url, sizeof(r.aia_url), "%.900s/aia/%s.cer", a->settings.public_url, p->name);
	cert_assemble(&r.der, (struct bytes){ p->tbs, p->tbs_n }, p->sig_alg, sig);
	if ((rc = db_begin(a->db, e)) == 0 && (rc = ca_row_insert(a->db, &r, e)) != 0)
		db_rollback(a->db);
	ca_row_clear(&r);
	if (rc != 0 || (rc = op_commit(w, p->name, p->root ? "root" : "subordinate", e)) != 0)
		return rc;
	if ((rc = crl_write_aia(a, fleet_ca(a->fleet, p->name), e)) != 0)
		return rc;
	snapshot_send_all(a);
	return 0;
}

static void
on_ca_signed(void *ctx, enum err_code code, const char *why, struct pipe_msg *answer)
{
	struct work *w = ctx;
	struct err e = { .code = code };
	struct bytes sig;
	json_t *result;

	(void)snprintf(e.msg, sizeof(e.msg), "%s", why);
	if (code != E_OK || sign_signature(&sig, answer, &e) != 0 || insert_ca(w, sig, &e) != 0) {
		op_fail(w, &e);
		return;
	}
	result = ca_json(fleet_ca(w->a->fleet, w->plan->name), true);
	op_done(w, result);
}

/* The key is there: write the certificate's octets and have them signed, by itself or by the parent. */
static int
sign_ca(struct work *w, struct err *e)
{
	struct ca_plan *p = w->plan;
	struct ca *parent = p->root ? NULL : fleet_ca(w->a->fleet, p->parent);
	struct profile profile = *profile_of_the_box(p->root ? "root" : "subordinate");
	struct issue_want want = { .profile = &profile, .subject = &p->subject, .spki = { p->spki, p->spki_n },
		.key_type = p->type, .now = clock_now(), .lifetime_s = p->lifetime_s };
	struct issue_out out = { 0 };
	AUTO_BUF tbs = BUF_MAX(sizeof(p->tbs));
	int rc;

	profile.pathlen = p->pathlen;
	if (p->lifetime_s > profile.lifetime_s)
		profile.lifetime_s = p->lifetime_s;
	serial_random(want.serial);
	rc = issue_tbs(&tbs, &out, parent != NULL ? &parent->issuer : NULL, &want, e);
	issue_out_free(&out);
	if (rc != 0 || (rc = buf_check(&tbs, "ca certificate", e)) != 0)
		return rc;
	memcpy(p->tbs, tbs.p, tbs.n);
	p->tbs_n = tbs.n;
	p->sig_alg = key_sig_alg(parent != NULL ? parent->cert.key_type : p->type);
	sign_tbs(w->a, parent != NULL ? parent->row.key_id : p->key_id, PROTO_WHAT_CERT, bytes_of_buf(&tbs), on_ca_signed, w);
	return 0;
}

static void
on_key(void *ctx, enum err_code code, const char *why, struct pipe_msg *answer)
{
	struct work *w = ctx;
	struct ca_plan *p = w->plan;
	struct err e = { .code = code };
	char id[PROTO_NAME_MAX];

	(void)snprintf(e.msg, sizeof(e.msg), "%s", why);
	if (code == E_OK) {
		struct wire in = wire_open(answer->body);
		struct bytes spki;

		wire_str(&in, id, sizeof(id));
		(void)wire_u8(&in);
		spki = wire_bytes(&in, KEY_SPKI_MAX);
		if (answer->type == PROTO_KEY && wire_end(&in, "signer's key", &e) == 0 && spki.n != 0) {
			memcpy(p->spki, spki.p, spki.n);
			p->spki_n = spki.n;
			sha256(p->spki_sha256, spki);
			if (sign_ca(w, &e) == 0)
				return;
		}
	}
	if (e.code == E_OK)
		(void)err_set(&e, E_IO, "signer: not a key");
	op_fail(w, &e);
}

static int
ca_create(struct work *w, json_t **result, struct err *e)
{
	AUTO_BUF body = { 0 };
	struct proto_keygen k;
	struct ca_plan *p = mem_zalloc(sizeof(*p));
	char tag[9];
	int rc;

	(void)result;
	w->plan = p;
	if ((rc = plan_of(w, p, e)) != 0)
		return rc;
	rnd_hex(tag, 4); /* a failed attempt leaves its key behind; the name must not be blocked by it */
	(void)snprintf(p->key_id, sizeof(p->key_id), "%.55s-%s", p->name, tag);
	k = (struct proto_keygen){ .type = p->type, .may_sign_ca = 1, .max_pathlen = p->root ? -1 : p->pathlen - 1,
		.max_lifetime_s = p->root ? p->lifetime_s + 2 * 86400 : ISSUER_LIFETIME * 2 + 2 * 86400, .max_per_s = KEY_PER_S };
	if (!p->root && p->pathlen == 0)
		k.may_sign_ca = 0;
	(void)snprintf(k.id, sizeof(k.id), "%s", p->key_id);
	proto_put_keygen(&body, &k);
	sign_ask(w->a, PROTO_KEYGEN, bytes_of_buf(&body), on_key, w);
	return 0;
}

static void
on_published(void *ctx, enum err_code code, const char *why, struct pipe_msg *answer)
{
	struct work *w = ctx;
	struct err e = { .code = code };
	const struct ca *c = fleet_ca(w->a->fleet, op_arg(w, "ca", ""));
	json_t *result;

	(void)answer;
	(void)snprintf(e.msg, sizeof(e.msg), "%s", why);
	if (code != E_OK || c == NULL) {
		op_fail(w, &e);
		return;
	}
	result = json_object();
	json_object_set_new(result, "number", json_integer(c->row.crl_number));
	op_done(w, result);
}

static int
crl_publish(struct work *w, json_t **result, struct err *e)
{
	struct ca *c;
	int rc = find_ca(w, op_arg(w, "ca", ""), &c, e);

	(void)result;
	if (rc == 0)
		crl_build(w->a, c, on_published, w);
	return rc;
}

static int
server_status(struct work *w, json_t **result, struct err *e)
{
	const struct authority *a = w->a;
	const struct settings *s = &a->settings;
	json_t *v = *result = json_object();
	int fronts = 0;

	(void)e;
	for (size_t i = 0; i < N_OF(a->peers); i++)
		fronts += a->peers[i].serial != 0 && a->peers[i].role == ROLE_FRONT;
	json_setf(v, "name", "%s", s->name);
	json_setf(v, "version", "%s", ESTUARY_VERSION);
	json_setf(v, "dir", "%s", s->dir);
	json_object_set_new(v, "ready", json_boolean(a->store_ok && authority_signer_ok(a) && fronts > 0));
	json_object_set_new(v, "store_ok", json_boolean(a->store_ok));
	json_object_set_new(v, "signer_ok", json_boolean(authority_signer_ok(a)));
	json_object_set_new(v, "crl_ok", json_boolean(a->crl_why[0] == 0));
	json_object_set_new(v, "config_ok", json_boolean(a->reload_why[0] == 0));
	json_setf(v, "detail", "%s", !a->store_ok ? a->store_why : a->crl_why[0] != 0 ? a->crl_why : a->reload_why);
	json_setf(v, "device_url", "https://%s:%u/.well-known/est", s->name, s->device_port);
	json_setf(v, "operator_url", "https://%s:%u", s->name, s->operator_port);
	json_setf(v, "public_url", "%s", s->public_url);
	json_object_set_new(v, "fronts", json_integer(fronts));
	json_object_set_new(v, "started_at", json_integer(a->started_at));
	return 0;
}

/* The supervisor reads the files; the answer waits until it has judged them. */
static int
server_reload(struct work *w, json_t **result, struct err *e)
{
	int rc = role_tell(PROTO_RELOAD_WISH, (struct bytes){ 0 }, e);

	(void)result;
	if (rc == 0)
		w->a->reload = w;
	return rc;
}

void
op_reloaded(struct authority *a, const struct proto_reloaded *r)
{
	struct work *w = r->asked ? TAKE(a->reload) : NULL;
	struct err e;

	text_copy(a->reload_why, sizeof(a->reload_why), r->why);
	if (w == NULL)
		return;
	if (r->code == E_OK) {
		op_done(w, NULL);
		return;
	}
	(void)err_set(&e, (enum err_code)r->code, "%s", r->why);
	op_fail(w, &e);
}

const struct verb op_ca_verbs[] = {
	{ "ca.create", VERB_ASYNC, "name! kind! parent subject cn key lifetime pathlen crl", ca_create },
	{ "ca.list", VERB_READ, "", ca_list },
	{ "ca.show", VERB_READ, "name!", ca_show },
	{ "crl.publish", VERB_ASYNC, "ca!", crl_publish },
	{ "server.status", VERB_READ, "", server_status },
	{ "server.reload", VERB_ASYNC, "", server_reload },
	{ NULL, 0, NULL, NULL },
};
