/* SPDX-License-Identifier: Apache-2.0 */
/* authority/op_ca_create.c - a CA from what an operator asks for: judged as a whole, its key made, signed, kept */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "core/base/text.h"
#include "core/sys/log.h"
#include "server/authority/op_ca.h"

#define ROOT_LIFETIME   (INT64_C(20) * 365 * 86400)
#define ISSUER_LIFETIME (INT64_C(10) * 365 * 86400)
#define ISSUER_SIGNS    (2 * ISSUER_LIFETIME) /* the longest life that a subordinate's key signs */
#define KEY_PER_S       5000

/* A CA on its way: its key made, its certificate to be signed. */
struct ca_plan {
	char name[PROTO_NAME_MAX], key_id[PROTO_NAME_MAX], parent[PROTO_NAME_MAX];
	bool root, crl;
	bool shorter, flatter;       /* its parent leaves less lifetime, less path length than was asked for */
	bool kept;                   /* the store may have it from here on: a CA without its key would be lost */
	struct err why;              /* of a failure, while the key is dropped */
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

static int
read_kind(const struct work *w, struct ca_plan *p, struct err *e)
{
	const char *name = op_arg(w, "name", ""), *kind = op_arg(w, "kind", ""), *key = op_arg(w, "key", "ec-p256");

	p->root = strcmp(kind, "root") == 0;
	if (!p->root && strcmp(kind, "subordinate") != 0)
		return err_set(e, E_USAGE, "ca.create: kind '%.40s': expected root or subordinate", kind);
	if (!text_valid_name(name, PROTO_NAME_MAX - 12))
		return err_set(e, E_USAGE, "ca.create: name: expected up to %d characters of A-Z a-z 0-9 . _ -", PROTO_NAME_MAX - 12);
	if (fleet_ca(w->a->fleet, name) != NULL)
		return err_set(e, E_EXISTS, "ca '%s': there is one of this name already", name);
	if (w->a->fleet->n_cas == FLEET_CAS)
		return err_set(e, E_TOOBIG, "ca.create: %d CAs are there, no more are taken", FLEET_CAS);
	if ((p->type = key_type_by_name(key)) == KEY_NONE)
		return err_set(e, E_USAGE, "ca.create: key '%.40s': expected ec-p256, ec-p384, ec-p521, rsa-2048, rsa-3072, rsa-4096 or ed25519", key);
	(void)snprintf(p->name, sizeof(p->name), "%s", name);
	p->crl = json_flag(w->args, "crl", true);
	return 0;
}

static int
read_limits(const struct work *w, struct ca_plan *p, struct err *e)
{
	const char *life = op_arg(w, "lifetime", NULL);
	int64_t pathlen = json_int(w->args, "pathlen", p->root ? -1 : 1);
	int rc;

	p->lifetime_s = p->root ? ROOT_LIFETIME : ISSUER_LIFETIME;
	if (life != NULL && (rc = clock_parse_duration(&p->lifetime_s, life, e)) != 0)
		return rc;
	if (p->lifetime_s < PROFILE_LIFETIME_MIN || p->lifetime_s > PROFILE_LIFETIME_MAX)
		return err_set(e, E_USAGE, "ca.create: lifetime '%.40s': expected 60s to 100y", life != NULL ? life : "");
	if (json_object_get(w->args, "pathlen") != NULL && (pathlen < 0 || pathlen > PROFILE_PATHLEN_MAX))
		return err_set(e, E_USAGE, "ca.create: pathlen %lld: expected 0 to %d", (long long)pathlen, PROFILE_PATHLEN_MAX);
	p->pathlen = (int)pathlen;
	return 0;
}

static int
read_subject(struct work *w, struct ca_plan *p, struct err *e)
{
	const char *subject = op_arg(w, "subject", NULL), *cn = op_arg(w, "cn", NULL);
	char what[PROTO_NAME_MAX + 8];
	int rc;

	if (subject != NULL && cn != NULL)
		return err_set(e, E_USAGE, "ca.create: subject and cn: each is the whole subject, so give one of them");
	if (subject != NULL)
		rc = name_from_text(&p->subject, subject, e);
	else
		rc = name_add(&p->subject, OID_CN, cn != NULL ? cn : p->name, e);
	(void)snprintf(what, sizeof(what), "ca '%s'", p->name);
	return rc != 0 ? rc : op_anchor_name_free(w, what, &p->subject, e);
}

/* What its parent leaves: no CA outlives the one that signed it, and none stands below it where that allows none. */
static int
fit_below(struct ca_plan *p, const struct ca *parent, struct err *e)
{
	int64_t left = parent->cert.not_after - clock_now();

	if (parent->issuer.pathlen == 0)
		return err_set(e, E_POLICY, "ca '%s': its path length 0 leaves no room for a CA below it", parent->row.name);
	if (left < ISSUE_REMAINING_S)
		return err_set(e, E_UNAVAIL, "ca '%s': has expired, or is about to", parent->row.name);
	p->shorter = p->lifetime_s > left;
	if (parent->parent != NULL && (p->shorter ? left : p->lifetime_s) > ISSUER_SIGNS)
		return err_set(e, E_POLICY, "ca.create: lifetime: the key of the subordinate '%s' signs for at most 20y; shorten it, or "
		    "take a root for parent", parent->row.name);
	p->flatter = parent->issuer.pathlen > 0 && p->pathlen >= parent->issuer.pathlen;
	if (p->flatter)
		p->pathlen = parent->issuer.pathlen - 1;
	return 0;
}

static int
read_parent(struct work *w, struct ca_plan *p, struct err *e)
{
	const char *name = op_arg(w, "parent", "");
	struct ca *parent;
	int rc;

	if (p->root && name[0] == 0)
		return 0;
	if (p->root)
		return err_set(e, E_USAGE, "ca.create: parent '%.64s': a root has none; a subordinate has", name);
	if (name[0] == 0)
		return err_set(e, E_USAGE, "ca.create: a subordinate needs 'parent', the CA that signs it; see 'estuary ca list'");
	if ((rc = op_ca_find(w, name, &parent, e)) != 0)
		return rc;
	(void)snprintf(p->parent, sizeof(p->parent), "%s", name);
	return fit_below(p, parent, e);
}

/* The certificate's octets, for a key. */
static int
build_tbs(struct buf *tbs, const struct work *w, struct bytes spki, enum key_type type, struct err *e)
{
	const struct ca_plan *p = w->plan;
	const struct ca *parent = p->root ? NULL : fleet_ca(w->a->fleet, p->parent);
	struct profile profile = *profile_of_the_box(p->root ? "root" : "subordinate");
	struct issue_want want = { .profile = &profile, .subject = &p->subject, .spki = spki,
		.key_type = type, .now = clock_now(), .lifetime_s = p->lifetime_s };
	struct issue_out out = { 0 };
	int rc;

	profile.pathlen = p->pathlen;
	if (p->lifetime_s > profile.lifetime_s)
		profile.lifetime_s = p->lifetime_s;
	serial_random(want.serial);
	rc = issue_tbs(tbs, &out, parent != NULL ? &parent->issuer : NULL, &want, e);
	issue_out_free(&out);
	return rc != 0 ? rc : buf_check(tbs, "ca certificate", e);
}

/*
 * What the operator asked for, judged as a whole before a key is made, and last by the certificate as it would be, with
 * another CA's key standing in for the one that is not there yet (the first root of all has none, and no parent either).
 */
static int
plan_of(struct work *w, struct ca_plan *p, struct err *e)
{
	const struct fleet *f = w->a->fleet;
	AUTO_BUF tbs = BUF_MAX(sizeof(p->tbs));
	int rc;

	if ((rc = read_kind(w, p, e)) != 0 || (rc = read_limits(w, p, e)) != 0 || (rc = read_subject(w, p, e)) != 0 ||
	    (rc = read_parent(w, p, e)) != 0 || f->n_cas == 0)
		return rc;
	return build_tbs(&tbs, w, f->ca[0]->cert.spki, f->ca[0]->cert.key_type, e);
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
	if (rc != 0)
		return rc;
	p->kept = true;
	if ((rc = op_commit(w, p->name, p->root ? "root" : "subordinate", e)) != 0)
		return rc;
	crl_put_certs(a);
	return 0;
}

static void
on_dropped(void *ctx, enum err_code code, const char *why, struct pipe_msg *answer)
{
	struct work *w = ctx;

	(void)answer;
	if (code != E_OK && code != E_NOTFOUND)
		log_event(L_WARN, "ca.key-left", "key=%s why=%s", w->plan->key_id, why);
	op_fail(w, &w->plan->why);
}

/* No CA came of it: its key goes, too, if the signer made one. */
static void
give_up(struct work *w, const struct err *e)
{
	struct ca_plan *p = w->plan;
	AUTO_BUF body = { 0 };

	p->why = *e;
	if (p->kept) {
		op_fail(w, &p->why);
		return;
	}
	wire_put_str(&body, p->key_id);
	sign_ask(w->a, PROTO_KEY_DROP, bytes_of_buf(&body), on_dropped, w);
}

/* What was asked for and cannot be below this parent. */
static void
put_limited(json_t *v, const struct ca_plan *p)
{
	json_t *list = json_array();
	char text[PROTO_NAME_MAX + 80];

	if (p->shorter || p->flatter)
		json_object_set(v, "limited", list);
	if (p->shorter) {
		(void)snprintf(text, sizeof(text), "lifetime: it ends with its parent '%s'", p->parent);
		json_array_append_new(list, json_string(text));
	}
	if (p->flatter) {
		(void)snprintf(text, sizeof(text), "pathlen: %d is what its parent '%s' leaves", p->pathlen, p->parent);
		json_array_append_new(list, json_string(text));
	}
	json_decref(list);
}

static void
on_ca_signed(void *ctx, enum err_code code, const char *why, struct pipe_msg *answer)
{
	struct work *w = ctx;
	struct err e = { .code = code };
	struct bytes sig;
	struct ca *made;
	json_t *result;

	(void)snprintf(e.msg, sizeof(e.msg), "%s", why);
	if (code != E_OK || sign_signature(&sig, answer, &e) != 0 || insert_ca(w, sig, &e) != 0) {
		give_up(w, &e);
		return;
	}
	made = fleet_ca(w->a->fleet, w->plan->name);
	result = made != NULL ? op_ca_json(made, true) : json_object(); /* made, but memory may not follow yet */
	put_limited(result, w->plan);
	op_done(w, result);
}

/* The key is there: have the certificate's octets signed, by itself or by the parent. */
static int
sign_ca(struct work *w, struct err *e)
{
	struct ca_plan *p = w->plan;
	const struct ca *parent = p->root ? NULL : fleet_ca(w->a->fleet, p->parent);
	AUTO_BUF tbs = BUF_MAX(sizeof(p->tbs));
	int rc = build_tbs(&tbs, w, (struct bytes){ p->spki, p->spki_n }, p->type, e);

	if (rc != 0)
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
	if (code != E_OK && code != E_UNAVAIL)
		op_fail(w, &e); /* the signer refused: there is no key */
	else
		give_up(w, &e);
}

int
op_ca_create(struct work *w, json_t **result, struct err *e)
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
	rnd_hex(tag, 4); /* a crash leaves its key behind; the name must not be blocked by it */
	(void)snprintf(p->key_id, sizeof(p->key_id), "%.55s-%s", p->name, tag);
	k = (struct proto_keygen){ .type = p->type, .may_sign_ca = 1, .max_pathlen = p->root ? -1 : p->pathlen - 1,
		.max_lifetime_s = p->root ? p->lifetime_s + 2 * 86400 : ISSUER_SIGNS + 2 * 86400, .max_per_s = KEY_PER_S };
	if (!p->root && p->pathlen == 0)
		k.may_sign_ca = 0;
	(void)snprintf(k.id, sizeof(k.id), "%s", p->key_id);
	proto_put_keygen(&body, &k);
	sign_ask(w->a, PROTO_KEYGEN, bytes_of_buf(&body), on_key, w);
	return 0;
}
