/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/sign.c - local issuance, by an issuer or self-signed: a policy, never a copy of the request (RFC 5280 4) */
#include "device/enrol/sign.h"

#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "core/est/client.h"
#include "device/enrol/enrol_inside.h"
#include "device/enrol/keyring.h"
#include "device/enrol/request.h"

#define BACKDATE_S    300
#define DAY_S         INT64_C(86400)
#define SERIAL_OCTETS 16
#define NEVER         INT64_C(253402300799) /* 99991231235959Z: no certificate says a later time */

/* Key usages that a leaf may ask for, and those of a CA. */
static const uint32_t ku_leaf =
    KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION | KU_KEY_ENCIPHERMENT | KU_DATA_ENCIPHERMENT | KU_KEY_AGREEMENT;
static const uint32_t ku_ca = KU_KEY_CERT_SIGN | KU_CRL_SIGN;

struct issuance {
	const struct job *j;
	struct job_result *r;
	int64_t now;
	struct request request;
	struct csr csr;              /* borrows request.der */
	struct key *key;             /* the issuer's, or the certificate's own */
	struct buf chain_der;        /* of the issuer; n 0: self-signed */
	struct bytes chain[EST_CHAIN_MAX];
	size_t n_chain;
	struct cert issuer;          /* the first of them */
	int room;                    /* CA certificates that may follow below the issuer's; -1: any number */
	struct sign_plan plan;
};

/* --- policy --- */

static int
plan_ca(struct sign_plan *p, const struct job *j, const struct csr *csr, int room, struct err *e)
{
	p->ca = csr->wants_ca;
	p->pathlen = -1;
	if (!p->ca)
		return 0;
	if (!j->allow_ca)
		return err_set(
		    e, E_POLICY, "csr: asks for a CA certificate, and its issuance entry does not allow one");
	if (room == 0)
		return err_set(e, E_POLICY,
		    "csr: asks for a CA certificate, and the issuer's path length allows none below it");
	/* The least that anybody says: request, entry, issuer. */
	p->pathlen = csr->pathlen;
	if (j->pathlen >= 0 && (p->pathlen < 0 || p->pathlen > j->pathlen))
		p->pathlen = j->pathlen;
	if (room > 0 && (p->pathlen < 0 || p->pathlen > room - 1))
		p->pathlen = room - 1;
	return 0;
}

static bool
is_rsa(enum key_type t)
{
	return t == KEY_RSA_2048 || t == KEY_RSA_3072 || t == KEY_RSA_4096;
}

static int
plan_ku(struct sign_plan *p, const struct job *j, const struct csr *csr, struct err *e)
{
	uint32_t allowed = (j->allow_ku != 0 ? j->allow_ku & ~ku_ca : ku_leaf) | (p->ca ? ku_ca : 0);
	uint32_t usual = KU_DIGITAL_SIGNATURE | (is_rsa(csr->key_type) ? KU_KEY_ENCIPHERMENT : 0);
	const char *hint = "bit 0 is digitalSignature";

	if ((csr->key_usage & ku_ca) != 0 && !p->ca)
		hint = "keyCertSign and cRLSign are for CA certificates";
	if (csr->has_key_usage && (csr->key_usage & ~allowed) != 0)
		return err_set(e, E_POLICY, "csr: asks for key usage 0x%x, and only 0x%x is allowed (%s)",
		    csr->key_usage, allowed, hint);
	p->ku = csr->has_key_usage ? csr->key_usage : p->ca ? ku_ca : usual & allowed;
	if (p->ca)
		p->ku |= KU_KEY_CERT_SIGN; /* RFC 5280 4.2.1.9 */
	return 0;
}

static int
plan_eku(struct sign_plan *p, const struct job *j, const struct csr *csr, struct err *e)
{
	static const enum oid usual[] = { OID_SERVER_AUTH, OID_CLIENT_AUTH };
	const enum oid *allowed = j->n_allow_eku != 0 ? j->allow_eku : usual;
	size_t n = j->n_allow_eku != 0 ? j->n_allow_eku : N_OF(usual), k;

	for (size_t i = 0; i < csr->n_eku; i++) {
		for (k = 0; k < n && allowed[k] != csr->eku[i]; k++)
			continue;
		if (k == n || csr->eku[i] == OID_UNKNOWN)
			return err_set(e, E_POLICY,
			    "csr: asks for extended key usage %s, which its issuance entry does not allow",
			    csr->eku[i] == OID_UNKNOWN ? "(unknown)" : oid_name(csr->eku[i]));
		p->eku[p->n_eku++] = csr->eku[i];
	}
	return 0;
}

static bool
sans_has(const struct sans *s, const struct san *one)
{
	for (size_t i = 0; i < s->n; i++)
		if (san_equal(&s->san[i], one))
			return true;
	return false;
}

/* A1: names that the entry says are all there may be; where it says none they are the asker's. */
static int
plan_names(struct sign_plan *p, const struct job *j, const struct csr *csr, struct err *e)
{
	p->subject = j->force_subject ? &j->subject : &csr->subject;
	p->sans = csr->has_san ? &csr->sans : j->sans.n != 0 ? &j->sans : NULL;
	for (size_t i = 0; j->sans.n != 0 && csr->has_san && i < csr->sans.n; i++)
		if (!sans_has(&j->sans, &csr->sans.san[i]))
			return err_set(e, E_POLICY, "csr: asks for an alternative name that its issuance entry does not have");
	if (p->subject->n == 0 && (p->sans == NULL || p->ca)) /* RFC 5280 4.1.2.6 */
		return err_set(e, E_POLICY, "csr: no subject%s",
		    p->ca ? ", and a CA certificate needs one" : " and no alternative name");
	return 0;
}

int
sign_plan(struct sign_plan *p, const struct job *j, const struct csr *csr, int room, struct err *e)
{
	int rc;

	*p = (struct sign_plan){ 0 };
	if (csr->critical_unknown)
		return err_set(e, E_POLICY, "csr: asks for a critical extension that is not known here");
	rc = plan_ca(p, j, csr, room, e);
	if (rc == 0)
		rc = plan_ku(p, j, csr, e);
	if (rc == 0)
		rc = plan_eku(p, j, csr, e);
	return rc != 0 ? rc : plan_names(p, j, csr, e);
}

/* --- the issuer --- */

static int
judge_issuer(const struct cert *c, int64_t now, struct err *e)
{
	char at[CLOCK_TEXT_MAX];

	if (c->not_after <= now)
		return err_set(e, E_POLICY, "issuer: its certificate ended at %s; it has to be renewed first",
		    clock_text(c->not_after, at));
	if (c->not_before > now + EST_SKEW_S)
		return err_set(e, E_POLICY, "issuer: its certificate begins only at %s", clock_text(c->not_before, at));
	if (!c->has_bc || !c->ca)
		return err_set(e, E_POLICY, "issuer: its certificate is no CA certificate");
	if (c->has_ku && (c->ku & KU_KEY_CERT_SIGN) == 0)
		return err_set(e, E_POLICY, "issuer: the key usage of its certificate lacks keyCertSign");
	if (c->subject_der.n <= 2)
		return err_set(e, E_POLICY, "issuer: its certificate has no subject");
	return 0;
}

static bool
find_above(struct cert *out, const struct issuance *s, const struct cert *c)
{
	if (est_self_signed(c))
		return false;
	for (size_t i = 0; i < s->n_chain; i++)
		if (cert_parse(out, s->chain[i], NULL) == 0 && bytes_equal(out->subject_der, c->issuer) &&
		    (c->aki.n == 0 || out->ski.n == 0 || bytes_equal(c->aki, out->ski)))
			return true;
	return false;
}

/* How many CA certificates may follow below the issuer, by all path lengths; -1: any number (RFC 5280 6.1.4). */
static int
room_below(const struct issuance *s, int *room, struct err *e)
{
	struct cert c = s->issuer, above;
	int depth = 0; /* CA certificates between c and what is issued now */

	*room = -1;
	for (size_t steps = 0; steps < s->n_chain; steps++) {
		if (c.pathlen >= 0 && c.pathlen < depth)
			return err_set(e, E_POLICY, "issuer: the path length of a CA above it does not allow it");
		if (c.pathlen >= 0 && (*room < 0 || c.pathlen - depth < *room))
			*room = c.pathlen - depth;
		if (!find_above(&above, s, &c))
			break;
		depth += bytes_equal(c.issuer, c.subject_der) ? 0 : 1;
		c = above;
	}
	return 0;
}

static int
open_issuer(struct issuance *s)
{
	struct err e = { 0 };
	int rc = pem_decode_all(&s->chain_der, s->chain, &s->n_chain, N_OF(s->chain), bytes_of_buf(&s->j->issuer_chain),
	    "CERTIFICATE", &e);

	if (rc == 0)
		rc = cert_parse(&s->issuer, s->chain[0], &e);
	if (rc == 0)
		rc = judge_issuer(&s->issuer, s->now, &e);
	if (rc == 0)
		rc = room_below(s, &s->room, &e);
	if (rc != 0)
		return enrol_settle(s->r, JOB_BAD_JOB, NULL, &e);
	return 0;
}

static int
open_key(struct issuance *s)
{
	bool self = s->n_chain == 0;
	const struct job *j = s->j;
	AUTO_BUF handle = { 0 };
	struct err e = { 0 };
	int rc;

	buf_put_bytes(&handle, bytes_of_buf(&j->issuer_handle));
	if (handle.n != 0 && memchr(handle.p, 0, handle.n) != NULL)
		return enrol_fail(s->r, JOB_BAD_JOB, NULL, E_USAGE, "issuer: its key handle has a NUL in it");
	if (j->issuer_key[0] == 0 && handle.n == 0)
		return enrol_fail(s->r, JOB_BAD_JOB, NULL, E_USAGE, "issuer: neither a key nor a handle");
	rc = j->issuer_key[0] != 0 ? keyring_open(&s->key, j, j->issuer_key, &e)
	                           : keyring_open_handle(&s->key, j, buf_str(&handle), &e);
	if (rc != 0)
		return enrol_settle_key(s->r, &e);
	if (self && !bytes_equal(key_spki(s->key), s->csr.spki))
		return enrol_fail(s->r, JOB_REQUEST_REFUSED, "wrong-key", E_POLICY,
		    "csr: its key is not '%.100s', which is to sign it", j->issuer_key);
	if (!self && !bytes_equal(key_spki(s->key), s->issuer.spki))
		return enrol_fail(
		    s->r, JOB_BAD_JOB, "wrong-key", E_POLICY, "issuer: the key is not that of its certificate");
	return 0;
}

/* --- the certificate --- */

/* Of 128 random bits, less two that keep it positive and of full length (RFC 5280 4.1.2.2). */
static void
make_serial(uint8_t out[SERIAL_OCTETS])
{
	rnd_bytes(out, SERIAL_OCTETS);
	out[0] = (uint8_t)((out[0] & 0x3f) | 0x40);
}

static void
set_validity(struct cert_want *w, const struct issuance *s)
{
	w->not_before = s->now - BACKDATE_S;
	w->not_after = s->now + (int64_t)s->j->days * DAY_S;
	if (w->not_after > NEVER)
		w->not_after = NEVER;
	if (s->n_chain == 0)
		return;
	if (w->not_before < s->issuer.not_before)
		w->not_before = s->issuer.not_before;
	if (w->not_after > s->issuer.not_after)
		w->not_after = s->issuer.not_after;
}

static int
write_certificate(struct buf *der, const struct issuance *s, struct err *e)
{
	const struct sign_plan *p = &s->plan;
	bool self = s->n_chain == 0;
	struct cert_want w = { .spki = s->csr.spki, .ca = p->ca, .pathlen = p->pathlen, .ku = p->ku, .n_eku = p->n_eku,
		.eku = p->eku, .sig_alg = key_sig_alg(key_get_type(s->key)) };
	uint8_t serial[SERIAL_OCTETS], own_id[20];
	AUTO_BUF subject = { 0 };
	AUTO_BUF san = { 0 };
	AUTO_BUF tbs = { 0 };
	AUTO_BUF sig = { 0 };
	int rc;

	make_serial(serial);
	sha1(own_id, key_bits(s->csr.spki));
	name_encode(&subject, p->subject);
	if (p->sans != NULL)
		sans_encode(&san, p->sans);
	w.serial = (struct bytes){ serial, sizeof(serial) };
	w.subject = bytes_of_buf(&subject);
	w.san = bytes_of_buf(&san);
	w.issuer = self ? w.subject : s->issuer.subject_der;
	w.aki = self ? (struct bytes){ own_id, sizeof(own_id) } : s->issuer.ski;
	set_validity(&w, s);
	cert_build_tbs(&tbs, &w);
	rc = key_sign(&sig, s->key, bytes_of_buf(&tbs), e);
	if (rc == 0)
		cert_assemble(der, bytes_of_buf(&tbs), w.sig_alg, bytes_of_buf(&sig));
	return rc;
}

/* Read it again as a stranger would, up to its issuer. */
static int
verify(const struct issuance *s, struct bytes der, struct err *e)
{
	AUTO(trust) t = trust_new();
	struct cert c;
	uint32_t anchor;
	int rc = cert_parse(&c, der, e);

	if (rc == 0)
		rc = trust_add(t, 1, s->n_chain == 0 ? der : s->chain[0], e);
	if (rc == 0)
		rc = trust_verify(t, der, NULL, 0, 2, s->now, &anchor, e);
	if (rc == 0 && (c.ca != s->plan.ca || !bytes_equal(c.spki, s->csr.spki)))
		rc = err_set(e, E_CRYPTO, "it does not say what it was to say");
	return rc == 0 ? 0 : err_prefix(e, (enum err_code)rc, "the new certificate does not stand up to its own check");
}

static int
issue(struct issuance *s)
{
	AUTO_BUF der = { 0 };
	struct err e = { 0 };

	if (write_certificate(&der, s, &e) != 0)
		return enrol_settle_key(s->r, &e);
	if (verify(s, bytes_of_buf(&der), &e) != 0)
		return enrol_settle(s->r, JOB_BAD_JOB, NULL, &e);
	s->r->chain.max = JOB_PEM_MAX;
	pem_encode(&s->r->chain, bytes_of_buf(&der), "CERTIFICATE");
	for (size_t i = 0; i < s->n_chain; i++)
		pem_encode(&s->r->chain, s->chain[i], "CERTIFICATE");
	return buf_check(&s->r->chain, "chain", &e) == 0 ? 0 : enrol_settle(s->r, JOB_BAD_JOB, NULL, &e);
}

static int
run(struct issuance *s)
{
	struct err e = { 0 };
	int rc;

	if (s->j->days == 0)
		return enrol_fail(s->r, JOB_BAD_JOB, NULL, E_USAGE, "expiry_days: 0 is no life for a certificate");
	if (s->j->issuer_chain.n != 0 && (rc = open_issuer(s)) != 0)
		return rc;
	rc = request_open(&s->request, s->j, s->r);
	if (rc != 0)
		return rc;
	if (csr_parse(&s->csr, bytes_of_buf(&s->request.der), &e) != 0 ||
	    sign_plan(&s->plan, s->j, &s->csr, s->room, &e) != 0)
		return enrol_settle(s->r, JOB_REQUEST_REFUSED, NULL, &e);
	if (s->csr.n_other_ext != 0)
		enrol_note(s->r, "csr: %zu extensions that are not known here are left out", s->csr.n_other_ext);
	rc = open_key(s);
	return rc != 0 ? rc : issue(s);
}

void
enrol_sign(struct job_result *r, const struct job *j, int64_t now)
{
	struct issuance *s = mem_zalloc(sizeof(*s));

	*s = (struct issuance){ .j = j, .r = r, .now = now, .room = -1 };
	(void)run(s); /* what came of it stands in r */
	request_close(&s->request);
	key_free(s->key);
	buf_free(&s->chain_der);
	mem_free(s);
}
