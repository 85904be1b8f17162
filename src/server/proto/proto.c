/* SPDX-License-Identifier: Apache-2.0 */
/* proto/proto.c - the bodies of messages between roles, written and checked */
#include "server/proto/proto.h"

#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/sys/pipe.h"

const char *
role_name(enum role r)
{
	static const char *const names[ROLE_COUNT] = {
		"supervisor", "front", "console", "authority", "signer", "courier",
	};

	return (unsigned)r < ROLE_COUNT ? names[r] : "?";
}

/* A number within least and most; anything else is bad. */
static uint8_t
get_u8_in(struct wire *w, uint8_t least, uint8_t most)
{
	uint8_t v = wire_u8(w);

	if (v < least || v > most) {
		w->bad = true;
		return least;
	}
	return v;
}

static bool
get_bool(struct wire *w)
{
	return get_u8_in(w, 0, 1) != 0;
}

static void
put_bool(struct buf *b, bool v)
{
	wire_put_u8(b, v);
}

static void
put_digest(struct buf *b, const uint8_t digest[SHA256_LEN])
{
	buf_put(b, digest, SHA256_LEN);
}

static void
get_digest(struct wire *w, uint8_t digest[SHA256_LEN])
{
	wire_octets(w, digest, SHA256_LEN);
}

/* name_parse() has its say in the front; the authority relies on nothing but what this lets through. */
static void
put_name(struct buf *b, const struct name *n)
{
	wire_put_u8(b, (uint8_t)n->n);
	for (size_t i = 0; i < n->n; i++) {
		wire_put_u8(b, (uint8_t)n->ava[i].type);
		wire_put_str(b, n->ava[i].value);
	}
}

static void
get_name(struct wire *w, struct name *n)
{
	n->n = get_u8_in(w, 0, NAME_AVA_MAX);
	for (size_t i = 0; i < n->n && !w->bad; i++) {
		struct ava *a = &n->ava[i];

		a->type = (enum oid)get_u8_in(w, OID_CN, OID_EMAIL);
		wire_str(w, a->value, sizeof(a->value));
		w->bad = w->bad || a->value[0] == 0 || !text_valid_utf8(bytes_of(a->value));
	}
}

static void
put_sans(struct buf *b, const struct sans *s)
{
	wire_put_u8(b, (uint8_t)s->n);
	for (size_t i = 0; i < s->n; i++) {
		wire_put_u8(b, (uint8_t)s->san[i].kind);
		wire_put_bytes(b, (struct bytes){ s->san[i].value, s->san[i].n });
	}
}

static bool
san_fits(enum san_kind kind, struct bytes v)
{
	if (kind == SAN_IP)
		return v.n == 4 || v.n == 16;
	return v.n != 0 && (kind == SAN_OTHER || text_valid_utf8(v));
}

static void
get_sans(struct wire *w, struct sans *s)
{
	s->n = get_u8_in(w, 0, SAN_MAX);
	for (size_t i = 0; i < s->n && !w->bad; i++) {
		struct san *san = &s->san[i];
		struct bytes v;

		san->kind = (enum san_kind)get_u8_in(w, 0, SAN_KIND_COUNT - 1);
		v = wire_bytes(w, sizeof(san->value) - 1);
		if (w->bad || !san_fits(san->kind, v)) {
			w->bad = true;
			return;
		}
		memcpy(san->value, v.p, v.n);
		san->value[v.n] = 0;
		san->n = v.n;
	}
}

void
proto_put_label(struct buf *b, const struct proto_label *v)
{
	wire_put_str(b, v->name);
	wire_put_str(b, v->title);
	wire_put_str(b, v->profile);
	put_bool(b, v->enabled);
	put_bool(b, v->pop_required);
	put_bool(b, v->send_cte);
	wire_put_u32(b, v->wrap);
	put_bool(b, v->wants_basic);
	wire_put_str(b, v->secret_header);
	wire_put_bytes(b, v->csrattrs);
	wire_put_bytes(b, v->cacerts);
	wire_put_u8(b, v->n_bases);
	for (size_t i = 0; i < v->n_bases; i++)
		wire_put_str(b, v->base[i]);
}

int
proto_get_label(struct proto_label *v, struct bytes body, struct err *e)
{
	struct wire w = wire_open(body);
	struct proto_label got = { 0 };
	int r;

	wire_str(&w, got.name, sizeof(got.name));
	wire_str(&w, got.title, sizeof(got.title));
	wire_str(&w, got.profile, sizeof(got.profile));
	got.enabled = get_bool(&w);
	got.pop_required = get_bool(&w);
	got.send_cte = get_bool(&w);
	got.wrap = wire_u32(&w);
	got.wants_basic = get_bool(&w);
	wire_str(&w, got.secret_header, sizeof(got.secret_header));
	got.csrattrs = wire_bytes(&w, PIPE_MAX);
	got.cacerts = wire_bytes(&w, PIPE_MAX);
	got.n_bases = get_u8_in(&w, 0, PROTO_BASES_MAX);
	for (size_t i = 0; i < got.n_bases; i++) {
		wire_str(&w, got.base[i], sizeof(got.base[i]));
		w.bad = w.bad || est_base_check(got.base[i], NULL) != 0;
	}
	if ((r = wire_end(&w, "label", e)) != 0)
		return r;
	*v = got;
	return 0;
}

/* What the front found in a request that is good. */
static void
put_csr(struct buf *b, const struct csr *c)
{
	put_name(b, &c->subject);
	put_bool(b, c->has_san);
	put_sans(b, &c->sans);
	wire_put_u8(b, (uint8_t)c->key_type);
	wire_put_bytes(b, c->spki);
	put_bool(b, c->wants_ca);
	put_bool(b, c->has_key_usage);
	wire_put_u32(b, c->key_usage);
	wire_put_u8(b, (uint8_t)c->n_eku);
	for (size_t i = 0; i < c->n_eku; i++)
		wire_put_u8(b, (uint8_t)c->eku[i]);
	wire_put_u32(b, (uint32_t)c->n_other_ext);
	put_bool(b, c->critical_unknown);
	put_bool(b, c->has_challenge);
	put_bool(b, c->changes_subject);
}

static void
get_csr(struct wire *w, struct csr *c)
{
	get_name(w, &c->subject);
	c->has_san = get_bool(w);
	get_sans(w, &c->sans);
	c->key_type = (enum key_type)get_u8_in(w, KEY_NONE + 1, KEY_TYPE_COUNT - 1);
	c->spki = wire_bytes(w, KEY_SPKI_MAX);
	sha256(c->spki_sha256, c->spki); /* who holds which key is not the front's to say */
	c->wants_ca = get_bool(w);
	c->has_key_usage = get_bool(w);
	c->key_usage = wire_u32(w);
	c->n_eku = get_u8_in(w, 0, CSR_EKU_MAX);
	for (size_t i = 0; i < c->n_eku; i++)
		c->eku[i] = (enum oid)get_u8_in(w, 0, OID_COUNT - 1);
	c->n_other_ext = wire_u32(w);
	c->critical_unknown = get_bool(w);
	c->has_challenge = get_bool(w);
	c->changes_subject = get_bool(w);
	w->bad = w->bad || c->spki.n == 0 || (c->sans.n != 0 && !c->has_san);
}

static void
put_client_cert(struct buf *b, const struct proto_enrol *v)
{
	wire_put_u8(b, (uint8_t)v->cert_state);
	wire_put_u32(b, v->anchor);
	wire_put_str(b, v->cert_detail);
	put_bool(b, v->has_cert);
	put_digest(b, v->cert_sha256);
	wire_put_str(b, v->cert_serial);
	wire_put_i64(b, v->cert_not_before);
	wire_put_i64(b, v->cert_not_after);
	put_bool(b, v->cert_ra);
	put_name(b, &v->cert_subject);
	put_sans(b, &v->cert_sans);
}

static void
get_client_cert(struct wire *w, struct proto_enrol *v)
{
	v->cert_state = (enum trust_state)get_u8_in(w, 0, TRUST_STATE_COUNT - 1);
	v->anchor = wire_u32(w);
	wire_str(w, v->cert_detail, sizeof(v->cert_detail));
	v->has_cert = get_bool(w);
	get_digest(w, v->cert_sha256);
	wire_str(w, v->cert_serial, sizeof(v->cert_serial));
	v->cert_not_before = wire_i64(w);
	v->cert_not_after = wire_i64(w);
	v->cert_ra = get_bool(w);
	get_name(w, &v->cert_subject);
	get_sans(w, &v->cert_sans);
	/* A chain that is good is one that has a leaf and an anchor. */
	w->bad = w->bad ||
	    (v->cert_state == TRUST_OK && (v->has_cert == 0 || v->anchor == TRUST_ANCHOR_NONE));
}

void
proto_put_enrol(struct buf *b, const struct proto_enrol *v)
{
	wire_put_str(b, v->id);
	wire_put_u8(b, (uint8_t)v->op);
	wire_put_str(b, v->label);
	wire_put_str(b, v->address);
	wire_put_str(b, v->tls);
	put_client_cert(b, v);
	wire_put_u8(b, (uint8_t)v->auth);
	wire_put_str(b, v->user);
	wire_put_str(b, v->password);
	wire_put_u8(b, (uint8_t)v->secret_state);
	wire_put_str(b, v->secret);
	wire_put_u8(b, v->pop);
	wire_put_str(b, v->notes);
	wire_put_u32(b, v->csr_status);
	if (v->csr_status == 0) {
		put_csr(b, &v->csr);
	} else {
		wire_put_str(b, v->csr_reason);
		wire_put_str(b, v->csr_text);
	}
}

void
proto_clear_enrol(struct proto_enrol *v)
{
	memset(v, 0, offsetof(struct proto_enrol, csr));
	csr_clear(&v->csr);
	v->cert_subject.n = v->cert_sans.n = 0;
}

int
proto_get_enrol(struct proto_enrol *v, struct bytes body, struct err *e)
{
	struct wire w = wire_open(body);
	int r;

	proto_clear_enrol(v);
	wire_str(&w, v->id, sizeof(v->id));
	v->op = (enum est_op)get_u8_in(&w, EST_NONE + 1, EST_OP_COUNT - 1);
	wire_str(&w, v->label, sizeof(v->label));
	wire_str(&w, v->address, sizeof(v->address));
	wire_str(&w, v->tls, sizeof(v->tls));
	get_client_cert(&w, v);
	v->auth = (enum est_auth)get_u8_in(&w, 0, EST_AUTH_MALFORMED);
	wire_str(&w, v->user, sizeof(v->user));
	wire_str(&w, v->password, sizeof(v->password));
	v->secret_state = (enum proto_secret)get_u8_in(&w, 0, PROTO_SECRET_COUNT - 1);
	wire_str(&w, v->secret, sizeof(v->secret));
	v->pop = get_u8_in(&w, 0, PROTO_POP_UNAVAILABLE);
	wire_str(&w, v->notes, sizeof(v->notes));
	v->csr_status = wire_u32(&w);
	if (v->csr_status == 0) {
		get_csr(&w, &v->csr);
	} else {
		w.bad = w.bad || v->csr_status < 400 || v->csr_status > 599;
		wire_str(&w, v->csr_reason, sizeof(v->csr_reason));
		wire_str(&w, v->csr_text, sizeof(v->csr_text));
	}
	r = wire_end(&w, "enrolment", e);
	if (r != 0)
		mem_wipe(v, sizeof(*v));
	return r;
}

void
proto_put_enrolled(struct buf *b, const struct proto_enrolled *v)
{
	wire_put_u32(b, v->status);
	wire_put_str(b, v->reason);
	wire_put_str(b, v->text);
	wire_put_u32(b, v->retry_after_s);
	put_bool(b, v->challenge);
	wire_put_u8(b, (uint8_t)v->n_certs);
	for (size_t i = 0; i < v->n_certs && i < N_OF(v->cert); i++)
		wire_put_bytes(b, v->cert[i]);
}

/* Certificates come with success, and success with certificates. */
static bool
answer_fits(const struct proto_enrolled *v)
{
	if (v->status == 200)
		return v->n_certs != 0;
	return v->n_certs == 0 && (v->status == 202 || (v->status >= 400 && v->status <= 599));
}

int
proto_get_enrolled(struct proto_enrolled *v, struct bytes body, struct err *e)
{
	struct wire w = wire_open(body);
	struct proto_enrolled got = { 0 };
	int r;

	got.status = wire_u32(&w);
	wire_str(&w, got.reason, sizeof(got.reason));
	wire_str(&w, got.text, sizeof(got.text));
	got.retry_after_s = wire_u32(&w);
	got.challenge = get_bool(&w);
	got.n_certs = get_u8_in(&w, 0, N_OF(got.cert));
	for (size_t i = 0; i < got.n_certs; i++) {
		got.cert[i] = wire_bytes(&w, CERT_MAX);
		w.bad = w.bad || got.cert[i].n == 0;
	}
	w.bad = w.bad || !answer_fits(&got);
	if ((r = wire_end(&w, "answer to an enrolment", e)) != 0)
		return r;
	*v = got;
	return 0;
}

void
proto_put_keygen(struct buf *b, const struct proto_keygen *v)
{
	wire_put_str(b, v->id);
	wire_put_u8(b, (uint8_t)v->type);
	put_bool(b, v->may_sign_ca);
	wire_put_u32(b, (uint32_t)v->max_pathlen);
	wire_put_i64(b, v->max_lifetime_s);
	wire_put_u32(b, v->max_per_s);
}

int
proto_get_keygen(struct proto_keygen *v, struct bytes body, struct err *e)
{
	struct wire w = wire_open(body);
	struct proto_keygen got = { 0 };
	int r;

	wire_str(&w, got.id, sizeof(got.id));
	got.type = (enum key_type)get_u8_in(&w, KEY_NONE + 1, KEY_TYPE_COUNT - 1);
	got.may_sign_ca = get_bool(&w);
	got.max_pathlen = (int32_t)wire_u32(&w);
	got.max_lifetime_s = wire_i64(&w);
	got.max_per_s = wire_u32(&w);
	/* The id becomes the name of a file in the signer. */
	w.bad = w.bad || !text_valid_name(got.id, sizeof(got.id) - 1) || got.max_pathlen < -1 ||
	    got.max_lifetime_s <= 0 || got.max_per_s == 0;
	if ((r = wire_end(&w, "key to make", e)) != 0)
		return r;
	*v = got;
	return 0;
}

void
proto_put_reloaded(struct buf *b, const struct proto_reloaded *r)
{
	put_bool(b, r->asked);
	wire_put_u32(b, (uint32_t)r->code);
	wire_put_str(b, r->why);
}

int
proto_get_reloaded(struct proto_reloaded *r, struct bytes body, struct err *e)
{
	struct wire w = wire_open(body);
	struct proto_reloaded got = { 0 };
	int rc;

	got.asked = get_bool(&w);
	got.code = (int32_t)wire_u32(&w);
	wire_str(&w, got.why, sizeof(got.why));
	if ((rc = wire_end(&w, "outcome of a reload", e)) != 0)
		return rc;
	*r = got;
	return 0;
}
