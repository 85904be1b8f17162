/* SPDX-License-Identifier: Apache-2.0 */
/* provision/world.h - a fleet with CAs, hubs, groups and enrolments, and devices that ask */
#ifndef TESTS_PROVISION_WORLD_H
#define TESTS_PROVISION_WORLD_H

#include "../../core/pki/kit.h"
#include "../store/fresh_db.h"

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/codec/base64.h"
#include "core/codec/json.h"
#include "server/provision/provision.h"
#include "server/store/credential_row.h"

#define HUB_A "hub-a.example"
#define HUB_B "hub-b.example:8883"

/*
 * Ours: root > issuing.  Outside: factory > line-1 > cell (uploaded, verified), unproved and old (uploaded), elsewhere (an outside
 * anchor of EST that is uploaded as well).
 */
static struct made root, issuing, factory, line1, cell, unproved, old, elsewhere;
static struct fleet *fleet;
static char scope[ASK_ID_MAX];
static int64_t ca_factory, ca_line1, ca_cell, ca_unproved, ca_old, anchor_elsewhere;
static const uint8_t store_key[32] = { 7 };

/* Keys, as their owners have them. */
static const char key_pumps[] = "the primary key of the group pumps";
static const char key_pumps2[] = "the secondary key of the group pumps";
static const char key_off[] = "the key of a disabled group";
static const char key_solo[] = "the primary key of solo-key";
static const char key_solo2[] = "the secondary key of solo-key";
static const char key_solo_off[] = "the key of solo-key-off";
static struct buf tpm_ek, tpm_srk;

static inline void
put_ca(const char *name, struct made *m, const struct made *parent)
{
	struct ca_row r = { .parent = 0, .crl = false };
	struct ca_row up = { 0 };
	struct cert c;

	(void)snprintf(r.name, sizeof(r.name), "%s", name);
	(void)snprintf(r.kind, sizeof(r.kind), "%s", parent != NULL ? "subordinate" : "root");
	(void)snprintf(r.key_id, sizeof(r.key_id), "%s", name);
	(void)snprintf(r.key_type, sizeof(r.key_type), "ec-p256");
	if (parent != NULL) {
		assert_int_equal(ca_row_by_name(db, "root", &up, NULL), 0);
		r.parent = up.id;
		ca_row_clear(&up);
	}
	buf_put_bytes(&r.der, kit_der(m));
	assert_int_equal(cert_parse(&c, kit_der(m), NULL), 0);
	memcpy(r.spki_sha256, c.spki_sha256, SHA256_LEN);
	assert_int_equal(ca_row_insert(db, &r, NULL), 0);
	ca_row_clear(&r);
}

static inline int64_t
upload(const char *name, const struct made *m, int64_t parent, bool verified)
{
	struct dps_ca_row r = { .parent = parent, .verified = verified, .created_at = NOW };
	int64_t id;

	(void)snprintf(r.name, sizeof(r.name), "%s", name);
	buf_put_bytes(&r.der, kit_der(m));
	sha256(r.sha256, kit_der(m));
	assert_int_equal(dps_ca_row_insert(db, &r, NULL), 0);
	id = r.id;
	dps_ca_row_clear(&r);
	return id;
}

static inline struct enrolment_row
an_enrolment(bool individual, const char *name, const char *attestation)
{
	struct enrolment_row r = { .individual = individual, .enabled = true, .allocation = "static", .reprovision = "never",
		.created_at = NOW, .updated_at = NOW };

	(void)snprintf(r.name, sizeof(r.name), "%s", name);
	(void)snprintf(r.attestation, sizeof(r.attestation), "%s", attestation);
	return r;
}

static inline void
give_key(struct enrolment_row *r, size_t i, const char *key)
{
	char what[PROVISION_WHAT_MAX];

	buf_reset(&r->key[i]);
	provision_seal(&r->key[i], fleet, provision_what_enrolment(what, r->individual, r->name, i), bytes_of(key));
}

static inline int64_t
put_enrolment(struct enrolment_row *r)
{
	struct err e = { 0 };
	int64_t id;

	if (enrolment_row_insert(db, r, &e) != 0)
		fail_msg("%s", e.msg);
	id = r->id;
	enrolment_row_clear(r);
	return id;
}

static inline int64_t
put_group_of_ca(const char *name, int64_t primary, int64_t secondary, bool enabled)
{
	struct enrolment_row r = an_enrolment(false, name, "x509");

	r.ca[0] = primary;
	r.ca[1] = secondary;
	r.enabled = enabled;
	return put_enrolment(&r);
}

static inline int64_t
put_with_keys(bool individual, const char *name, const char *primary, const char *secondary, bool enabled)
{
	struct enrolment_row r = an_enrolment(individual, name, "symmetric");

	give_key(&r, 0, primary);
	if (secondary != NULL)
		give_key(&r, 1, secondary);
	r.enabled = enabled;
	return put_enrolment(&r);
}

/* Change what an enrolment says. */
static inline void
change_enrolment(bool individual, const char *name, void (*fn)(struct enrolment_row *r))
{
	struct enrolment_row r = { 0 };

	assert_int_equal(enrolment_row_by_name(db, individual, name, &r, NULL), 0);
	fn(&r);
	assert_int_equal(enrolment_row_update(db, &r, NULL), 0);
	enrolment_row_clear(&r);
}

/* A TPM2B_PUBLIC on P-256 by the default template; Part 2, 12.2.4. */
static inline void
put_tpm_public(struct buf *out, bool is_ek)
{
	static const char *const heads[] = { "0023000b000304720000", "0023000b000300b20020"
		"837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa" };
	AUTO(key) k = NULL;
	AUTO_BUF area = { 0 };
	uint8_t octets[64];
	size_t n = strlen(heads[is_ek]) / 2;

	assert_int_equal(key_generate(&k, KEY_EC_P256, NULL), 0);
	assert_true(text_unhex(octets, n, heads[is_ek]));
	buf_put(&area, octets, n);
	buf_put(&area, "\x00\x06\x00\x80\x00\x43\x00\x10\x00\x03\x00\x10\x00\x20", 14);
	buf_put_bytes(&area, bytes_slice(key_bits(key_spki(k)), 1, 32));
	buf_put(&area, "\x00\x20", 2);
	buf_put_bytes(&area, bytes_slice(key_bits(key_spki(k)), 33, 32));
	buf_put_u8(out, 0);
	buf_put_u8(out, (uint8_t)area.n);
	buf_put_bytes(out, bytes_of_buf(&area));
}

/* A certificate of ours on record; n tells it from others. */
static inline void
put_own(const char *device, int n, const char *state, bool revoked)
{
	struct ca_row ca = { 0 };
	struct cert_row r;
	int64_t id = 0;

	assert_int_equal(ca_row_by_name(db, "issuing", &ca, NULL), 0);
	assert_int_equal(device_row_touch(db, device, NOW, &id, NULL), 0);
	r = (struct cert_row){ .ca = ca.id, .device = id, .profile = "device", .label = "devices", .not_before = NOW - 100,
		.not_after = NOW + 1000, .authorised_by = "code 1", .request_id = "r", .issued_at = NOW - 5000 + n };
	(void)snprintf(r.serial, sizeof(r.serial), "%02x", n);
	memset(r.sha256, n, sizeof(r.sha256));
	memset(r.spki_sha256, n, sizeof(r.spki_sha256));
	buf_put_u8(&r.der, 0);
	assert_int_equal(cert_row_insert(db, &r, NULL), 0);
	if (revoked)
		assert_int_equal(cert_row_revoke(db, r.id, NOW - 1, 1, NULL), 0);
	if (state != NULL)
		assert_int_equal(device_row_set_state(db, device, state, NULL), 0);
	cert_row_clear(&r);
	ca_row_clear(&ca);
}

/* ... as if this asker had been given it. */
static inline void
give_own(int n, const char *asker)
{
	char serial[8];

	(void)snprintf(serial, sizeof(serial), "%02x", n);
	assert_int_equal(db_run(db, NULL, "UPDATE cert SET authorised_by = ? WHERE serial = ?", "ss", asker, serial), 0);
}

static inline void
put_hub(const char *name, int64_t weight, int64_t latency_ms)
{
	struct hub_row r = { .weight = weight, .latency_ms = latency_ms, .enabled = true, .created_at = NOW };

	(void)snprintf(r.name, sizeof(r.name), "%s", name);
	assert_int_equal(hub_row_insert(db, &r, NULL), 0);
}

static inline void
make_cas(void)
{
	static const struct recipe gone = { .subject = "CN=Old", .ca = true, .pathlen = -1, .ku = KU_KEY_CERT_SIGN,
		.from = T0 - 10 * DAYS, .to = T0 - 1 * DAYS };
	static const char *const names[] = { "CN=Factory", "CN=Unproved", "CN=Elsewhere" };
	struct made *const roots[] = { &factory, &unproved, &elsewhere };
	struct recipe r = kit_root;

	kit_make(&root, &kit_root, NULL);
	kit_make(&issuing, &kit_issuing, &root);
	for (size_t i = 0; i < N_OF(roots); i++) {
		r.subject = names[i];
		kit_make(roots[i], &r, NULL);
	}
	r.subject = "CN=Line 1";
	kit_make(&line1, &r, &factory);
	r.subject = "CN=Cell";
	kit_make(&cell, &r, &line1);
	kit_make(&old, &gone, NULL);
}

static inline void
put_label(const char *name)
{
	AUTO_BUF text = { 0 };
	struct label l;

	label_default(&l, name);
	(void)snprintf(l.ca, sizeof(l.ca), "issuing");
	(void)snprintf(l.profile, sizeof(l.profile), "device");
	l.rule.accept = WAY_OWN;
	l.grace_s = 1000;
	label_to_text(&l, &text);
	assert_int_equal(object_row_put(db, "label", name, buf_str(&text), NULL), 0);
}

static inline void
put_anchor(void)
{
	struct anchor_row r = { .name = "elsewhere", .scope = "any", .created_at = NOW };

	buf_put_bytes(&r.der, kit_der(&elsewhere));
	assert_int_equal(anchor_row_insert(db, &r, NULL), 0);
	anchor_elsewhere = r.id;
	anchor_row_clear(&r);
}

static inline void
put_individuals(void)
{
	struct enrolment_row r = an_enrolment(true, "solo-cert", "x509");

	r.has_cert[0] = r.has_cert[1] = true;
	memset(r.cert[0], 0x51, ROW_HASH_LEN);
	memset(r.cert[1], 0x52, ROW_HASH_LEN);
	(void)put_enrolment(&r);
	r = an_enrolment(true, "solo-cert-off", "x509");
	r.has_cert[0] = true;
	memset(r.cert[0], 0x51, ROW_HASH_LEN);
	r.enabled = false;
	(void)put_enrolment(&r);
	(void)put_with_keys(true, "solo-key", key_solo, key_solo2, true);
	(void)put_with_keys(true, "solo-key-off", key_solo_off, NULL, false);
	r = an_enrolment(true, "solo-tpm", "tpm");
	buf_put_bytes(&r.ek, bytes_of_buf(&tpm_ek));
	(void)put_enrolment(&r);
	r = an_enrolment(true, "solo-tpm-off", "tpm");
	buf_put_bytes(&r.ek, bytes_of_buf(&tpm_ek));
	r.enabled = false;
	(void)put_enrolment(&r);
}

static inline int
make_world(void **state)
{
	struct err e = { 0 };

	if (open_db(state) != 0)
		return -1;
	make_cas();
	put_tpm_public(&tpm_ek, true);
	put_tpm_public(&tpm_srk, false);
	put_ca("root", &root, NULL);
	put_ca("issuing", &issuing, &root);
	put_label("devices");
	put_hub(HUB_A, 1, 20);
	put_hub(HUB_B, 1, 10);
	if (fleet_open(&fleet, db, store_key, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(provision_scope(scope, db, true, NULL), 0);
	ca_factory = upload("factory", &factory, 0, true);
	ca_line1 = upload("line-1", &line1, ca_factory, true);
	ca_cell = upload("cell", &cell, ca_line1, true);
	ca_unproved = upload("unproved", &unproved, 0, false);
	ca_old = upload("old", &old, 0, true);
	put_anchor();
	(void)put_group_of_ca("ours", upload("our-root", &root, 0, true), 0, true);
	(void)put_group_of_ca("factory", 0, ca_factory, true);
	(void)put_group_of_ca("cell-off", ca_cell, 0, false);
	(void)put_group_of_ca("unproved", ca_unproved, ca_old, true);
	(void)put_group_of_ca("elsewhere", upload("elsewhere", &elsewhere, 0, true), 0, true);
	(void)put_with_keys(false, "pumps", key_pumps, key_pumps2, true);
	(void)put_with_keys(false, "pumps-off", key_off, NULL, false);
	put_individuals();
	put_own("pump-1", 0x01, NULL, false);
	put_own("pump-revoked", 0x02, NULL, true);
	put_own("pump-renewed", 0x03, NULL, false);
	put_own("pump-renewed", 0x23, NULL, false);
	put_own("pump-retired", 0x04, "retired", false);
	put_own("pump-forked", 0x05, "forked", false);
	return 0;
}

static inline int
end_world(void **state)
{
	struct made *const all[] = { &root, &issuing, &factory, &line1, &cell, &unproved, &old, &elsewhere };

	for (size_t i = 0; i < N_OF(all); i++)
		made_free(all[i]);
	buf_free(&tpm_ek);
	buf_free(&tpm_srk);
	fleet_free(fleet);
	fleet = NULL;
	return close_db(state);
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, make_world, end_world)

/* --- who asks, with what --- */

/* As the front tells a certificate: state, anchor, digest and serial by one number, CN, when it ends (from now). */
struct shown {
	const char *name;
	enum trust_state state;
	int anchor;                      /* 0: none, 1: root, 2: issuing, 'f' 'l' 'c' 'u' 'o': uploaded, 'e': outside anchor, 'g': gone */
	int n;
	const char *cn;
	int64_t to, from;
};

static const struct shown certificates[] = {
	{ "own pump-1", TRUST_OK, 2, 0x01, "pump-1", 1000, -100 },
	{ "own pump-1 at its end", TRUST_OK, 2, 0x01, "pump-1", -1, -100 },
	{ "own pump-1 in capitals", TRUST_OK, 2, 0x01, "PUMP-1", 1000, -100 },
	{ "own revoked", TRUST_OK, 2, 0x02, "pump-revoked", 1000, -100 },
	{ "own revoked and expired", TRUST_EXPIRED, 2, 0x02, "pump-revoked", -1, -100 },
	{ "own renewed", TRUST_OK, 2, 0x03, "pump-renewed", 1000, -100 },
	{ "own renewal", TRUST_OK, 2, 0x23, "pump-renewed", 1000, -100 },
	{ "own retired", TRUST_OK, 2, 0x04, "pump-retired", 1000, -100 },
	{ "own forked", TRUST_OK, 2, 0x05, "pump-forked", 1000, -100 },
	{ "own not recorded", TRUST_OK, 2, 0x66, "pump-1", 1000, -100 },
	{ "factory device", TRUST_OK, 'f', 0x70, "dev-1", 1000, -100 },
	{ "line device", TRUST_OK, 'l', 0x71, "dev-1", 1000, -100 },
	{ "cell device", TRUST_OK, 'c', 0x72, "dev-1", 1000, -100 },
	{ "unproved device", TRUST_OK, 'u', 0x73, "dev-1", 1000, -100 },
	{ "old device", TRUST_OK, 'o', 0x74, "dev-1", 1000, -100 },
	{ "elsewhere device", TRUST_OK, 'e', 0x75, "dev-1", 1000, -100 },
	{ "elsewhere dev-3", TRUST_OK, 'e', 0x78, "dev-3", 1000, -100 },
	{ "device of a CA that is gone", TRUST_OK, 'g', 0x76, "dev-1", 1000, -100 },
	{ "factory device in capitals", TRUST_OK, 'f', 0x70, "DEV-1", 1000, -100 },
	{ "factory device, longer name", TRUST_OK, 'f', 0x70, "dev-11", 1000, -100 },
	{ "factory device, no name", TRUST_OK, 'f', 0x70, NULL, 1000, -100 },
	{ "factory device, two names", TRUST_OK, 'f', 0x70, "dev-1+dev-1", 1000, -100 },
	{ "factory device, expired", TRUST_EXPIRED, 'f', 0x70, "dev-1", -1, -100 },
	{ "factory device, bad signature", TRUST_BAD_SIGNATURE, 0, 0x70, "dev-1", 1000, -100 },
	{ "factory device, malformed", TRUST_MALFORMED, 0, 0x70, "dev-1", 1000, -100 },
	{ "factory device, wrong purpose", TRUST_WRONG_PURPOSE, 'f', 0x70, "dev-1", 1000, -100 },
	{ "stranger", TRUST_UNKNOWN_ISSUER, 0, 0x77, "dev-1", 1000, -100 },
	{ "solo primary", TRUST_UNKNOWN_ISSUER, 0, 0x51, "anything", 1000, -100 },
	{ "solo secondary", TRUST_UNKNOWN_ISSUER, 0, 0x52, "solo-cert", 1000, -100 },
	{ "solo primary, expired", TRUST_UNKNOWN_ISSUER, 0, 0x51, "solo-cert", -1, -100 },
	{ "solo primary, not yet", TRUST_UNKNOWN_ISSUER, 0, 0x51, "solo-cert", 1000, 100 },
};

static inline uint32_t
anchor_of(int anchor)
{
	struct ca_row ca = { 0 };
	uint32_t id;

	switch (anchor) {
	case 'f':
		return PROVISION_ANCHOR_BASE + (uint32_t)ca_factory;
	case 'l':
		return PROVISION_ANCHOR_BASE + (uint32_t)ca_line1;
	case 'c':
		return PROVISION_ANCHOR_BASE + (uint32_t)ca_cell;
	case 'u':
		return PROVISION_ANCHOR_BASE + (uint32_t)ca_unproved;
	case 'o':
		return PROVISION_ANCHOR_BASE + (uint32_t)ca_old;
	case 'g':
		return PROVISION_ANCHOR_BASE + 4711;
	case 'e':
		return FLEET_ANCHOR_BASE + (uint32_t)anchor_elsewhere;
	case 0:
		return TRUST_ANCHOR_NONE;
	default:
		assert_int_equal(ca_row_by_name(db, anchor == 1 ? "root" : "issuing", &ca, NULL), 0);
		id = (uint32_t)ca.id;
		ca_row_clear(&ca);
		return id;
	}
}

static inline void
show(struct proto_ask *q, const char *name)
{
	const struct shown *c = NULL;
	const char *plus;

	for (size_t i = 0; i < N_OF(certificates); i++)
		if (strcmp(certificates[i].name, name) == 0)
			c = &certificates[i];
	if (c == NULL)
		fail_msg("no certificate '%s'", name);
	q->q.has_cert = 1;
	q->q.cert_state = c->state;
	q->q.anchor = anchor_of(c->anchor);
	memset(q->q.cert_sha256, c->n, SHA256_LEN);
	(void)snprintf(q->q.cert_serial, sizeof(q->q.cert_serial), "%02x", (unsigned)c->n);
	q->q.cert_not_after = NOW + c->to;
	q->q.cert_not_before = NOW + c->from;
	if (c->cn == NULL)
		return;
	plus = strchr(c->cn, '+');
	q->q.cert_subject.n = plus != NULL ? 2 : 1;
	q->q.cert_subject.ava[0].type = q->q.cert_subject.ava[1].type = OID_CN;
	(void)snprintf(q->q.cert_subject.ava[0].value, NAME_VALUE_MAX, "%.*s", (int)(plus != NULL ? plus - c->cn : 64), c->cn);
	if (plus != NULL)
		(void)snprintf(q->q.cert_subject.ava[1].value, NAME_VALUE_MAX, "%s", plus + 1);
}

/* Sign what the token says with a key. */
static inline void
sign(struct ask_token *t, struct bytes key)
{
	char text[ASK_SR_MAX + 32];

	(void)snprintf(text, sizeof(text), "%s\n%s", t->sr, t->se);
	hmac_sha256(t->sig, key, bytes_of(text));
}

/* As clients write it: lower case, percent-encoded; the signature is over that. */
static inline void
fill_token(struct ask_token *t, const char *resource, int64_t expires, const char *skn)
{
	size_t n = 0;

	*t = (struct ask_token){ .state = ASK_SAS_GIVEN, .expires = expires };
	(void)snprintf(t->resource, sizeof(t->resource), "%s", resource);
	for (const char *p = resource; *p != 0; p++)
		n += (size_t)snprintf(t->sr + n, sizeof(t->sr) - n, *p == '/' || *p == ':' ? "%%%02x" : "%c", *p);
	(void)snprintf(t->se, sizeof(t->se), "%lld", (long long)expires);
	(void)snprintf(t->skn, sizeof(t->skn), "%s", skn);
}

static inline void
sign_derived(struct ask_token *t, const char *group_key, const char *registration)
{
	uint8_t key[SHA256_LEN];

	provision_derive(key, bytes_of(group_key), registration);
	sign(t, (struct bytes){ key, sizeof(key) });
}

static inline struct proto_ask *
question(enum ask_op op, const char *id)
{
	static struct proto_ask q;

	proto_clear_ask(&q);
	q.op = op;
	(void)snprintf(q.q.id, sizeof(q.q.id), "r-1");
	(void)snprintf(q.q.address, sizeof(q.q.address), "192.0.2.1");
	(void)snprintf(q.scope, sizeof(q.scope), "%s", scope);
	if (op >= ASK_MODULE_LIST)
		(void)snprintf(q.device, sizeof(q.device), "%s", id);
	else
		(void)snprintf(q.registration, sizeof(q.registration), "%s", id);
	return &q;
}

/* The right token of a registration at the provisioning service, unsigned. */
static inline void
dps_token(struct proto_ask *q)
{
	char resource[ASK_SR_MAX];
	size_t n;

	(void)snprintf(resource, sizeof(resource), "%s/registrations/%.128s", scope, q->registration);
	n = strlen(resource);
	for (size_t i = 0; i < n; i++)
		resource[i] = (char)(resource[i] >= 'A' && resource[i] <= 'Z' ? resource[i] + 32 : resource[i]);
	fill_token(&q->token, resource, NOW + 30, "registration");
}

/* Decide and, as the authority does, write it; the outcome stays until the next one. */
static struct provision outcome;

static inline struct provision *
ask_at(const struct proto_ask *q, int64_t now, bool record)
{
	struct err e = { 0 };

	provision_clear(&outcome);
	if (provision_decide(&outcome, fleet, q, now, &e) != 0)
		fail_msg("%s", e.msg);
	if (record) {
		assert_int_equal(db_begin(db, NULL), 0);
		if (provision_record(&outcome, fleet, q, now, &e) != 0)
			fail_msg("%s", e.msg);
		assert_int_equal(db_commit(db, NULL), 0);
	}
	return &outcome;
}

/* A member of the outcome's body; "a.b" for one inside; NULL: not there, or no text. */
static inline const char *
told(const char *path)
{
	static char text[2048];
	json_t *v = NULL;
	const json_t *at;
	char part[64];
	bool found;

	if (outcome.body.n == 0 || json_parse(&v, bytes_of_buf(&outcome.body), NULL) != 0)
		return NULL;
	for (at = v; *path != 0; path += path[strcspn(path, ".")] == '.' ? strcspn(path, ".") + 1 : strlen(path)) {
		(void)snprintf(part, sizeof(part), "%.*s", (int)strcspn(path, "."), path);
		at = json_object_get(at, part);
	}
	found = json_is_string(at);
	(void)snprintf(text, sizeof(text), "%s", found ? json_string_value(at) : "");
	json_decref(v);
	return found ? text : NULL;
}

#endif
