/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/answer.c - judging what an EST server issued (RFC 7030 4.2.3, RFC 5280 6) */
#include "device/enrol/answer.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "device/enrol/enrol_inside.h"

#define PILE_MAX (2 * EST_BAG_MAX + EST_CHAIN_MAX)

static int
bad(struct job_result *r, const char *check, const char *why)
{
	return enrol_fail(r, JOB_BAD_ANSWER, check, E_AUTH, "answer: %s", why);
}

int
answer_parse(struct est_bag *bag, struct job_result *r, struct bytes body)
{
	struct err e = { 0 };
	int rc = est_bag_parse(bag, body, &e);

	if (rc == 0)
		return 0;
	return enrol_settle(r, JOB_BAD_ANSWER, body.n == 0 ? "empty" : rc == E_TOOBIG ? "too-big" : "garbage", &e);
}

/* --- names --- */

/* What may stand beside a device's name in a longer one; no hyphen, for "pump-7-b" is somebody else. */
static bool
is_boundary(char c)
{
	return c == 0 || strchr(" :/.@,;=", c) != NULL;
}

/* Is `device` the text, or a whole word of it?  Case does not matter. */
static bool
names_device(const char *text, const char *device)
{
	size_t n = strlen(device);

	if (n == 0)
		return false;
	for (const char *p = text; (p = strcasestr(p, device)) != NULL; p++)
		if ((p == text || is_boundary(p[-1])) && is_boundary(p[n]))
			return true;
	return false;
}

/* How the request names its device: as the server's side of this project reads it too. */
static const char *
device_of(const struct name *subject, const struct sans *sans)
{
	const char *s = subject != NULL ? name_get(subject, OID_CN) : NULL;

	if (s == NULL && subject != NULL)
		s = name_get(subject, OID_SERIAL_NUMBER);
	for (size_t i = 0; s == NULL && i < sans->n; i++)
		if (sans->san[i].kind == SAN_DNS)
			s = (const char *)sans->san[i].value;
	return s != NULL ? s : "";
}

static bool
sans_has(const struct sans *s, const struct san *one)
{
	for (size_t i = 0; i < s->n; i++)
		if (san_equal(&s->san[i], one))
			return true;
	return false;
}

static bool
is_own_san(const struct san *s, const struct answer_want *w, const char *device)
{
	char text[NAME_VALUE_MAX + 1];

	if (sans_has(w->sans, s) || (w->old != NULL && w->old->has_san && sans_has(&w->old->sans, s)))
		return true;
	if (s->kind == SAN_IP || s->kind == SAN_OTHER)
		return false;
	(void)snprintf(text, sizeof(text), "%.*s", (int)s->n, (const char *)s->value);
	return names_device(text, device);
}

static bool
fits_subject(const struct cert *c, const struct answer_want *w, const char *device)
{
	const char *cn, *serial;

	if (w->old != NULL && bytes_equal(c->subject_der, w->old->subject_der))
		return true;
	if (w->subject == NULL || !c->subject_known)
		return false;
	if (device[0] == 0)
		return name_equal(&c->subject, w->subject);
	cn = name_get(&c->subject, OID_CN);
	serial = name_get(&c->subject, OID_SERIAL_NUMBER);
	if (cn != NULL)
		return names_device(cn, device) || name_equal(&c->subject, w->subject);
	if (serial != NULL)
		return strcasecmp(serial, device) == 0;
	/* RFC 5280 4.1.2.6: the subject may be empty, and the name an alternative one. */
	for (size_t i = 0; c->sans_known && i < c->sans.n; i++)
		if (c->sans.san[i].kind != SAN_IP && is_own_san(&c->sans.san[i], w, device))
			return true;
	return false;
}

/* Settle it, or tell it when the server may choose. */
static int
differs(struct job_result *r, const struct answer_want *w, const char *what, const char *text)
{
	if (w->any_name) {
		enrol_note(r, "the server chose %s: %s", what, text);
		return 0;
	}
	return enrol_fail(r, JOB_BAD_ANSWER, "wrong-name", E_AUTH,
	    "answer: its %s is not ours: %.200s; if the server is to choose names, allow that in the configuration",
	    what, text);
}

static int
check_sans(struct job_result *r, const struct cert *c, const struct answer_want *w, const char *device)
{
	char text[NAME_TEXT_MAX];

	if (c->has_san && !c->sans_known)
		return differs(r, w, "alternative names", "(not readable)");
	for (size_t i = 0; c->has_san && i < c->sans.n; i++)
		if (!is_own_san(&c->sans.san[i], w, device))
			return differs(r, w, "alternative names", sans_text(&c->sans, text));
	for (size_t i = 0; i < w->sans->n; i++) {
		if (c->has_san && sans_has(&c->sans, &w->sans->san[i]))
			continue;
		enrol_note(r, "alternative names that were asked for are missing; there are: %.200s",
		    c->has_san ? sans_text(&c->sans, text) : "none");
		break;
	}
	return 0;
}

static int
check_names(struct job_result *r, const struct cert *c, const struct answer_want *w)
{
	const char *device = device_of(w->subject, w->sans);
	char text[NAME_TEXT_MAX];
	int rc;

	(void)snprintf(text, sizeof(text), "%s", "(not readable)");
	if (c->subject_known)
		(void)name_text(&c->subject, text);
	if (!fits_subject(c, w, device)) {
		rc = differs(r, w, "subject", text);
		if (rc != 0)
			return rc;
	} else if (w->subject != NULL && c->subject_known && !name_equal(&c->subject, w->subject)) {
		enrol_note(r, "the server completed the subject: %.200s", text);
	}
	return check_sans(r, c, w, device);
}

/* --- the certificate --- */

/* The newest for our key. */
static int
find(struct cert *out, const struct est_bag *bag, struct bytes spki)
{
	bool found = false;
	struct cert c;

	for (size_t i = 0; i < bag->n; i++) {
		if (cert_parse(&c, bag->cert[i], NULL) != 0 || !bytes_equal(c.spki, spki))
			continue;
		if (!found || c.not_before > out->not_before)
			*out = c;
		found = true;
	}
	return found ? 0 : E_NOTFOUND;
}

static int
check_dates(struct job_result *r, const struct cert *c, int64_t now)
{
	char at[CLOCK_TEXT_MAX];

	if (c->not_after < now - EST_SKEW_S)
		return enrol_fail(r, JOB_BAD_ANSWER, "expired", E_AUTH,
		    "answer: the certificate ended at %s; is the clock right?", clock_text(c->not_after, at));
	if (c->not_before > now + EST_SKEW_S)
		return enrol_fail(r, JOB_BAD_ANSWER, "not-yet-valid", E_AUTH,
		    "answer: the certificate begins at %s; is the clock right?", clock_text(c->not_before, at));
	return 0;
}

int
answer_judge(struct buf *leaf_pem, struct job_result *r, const struct est_bag *bag, const struct answer_want *w,
    const struct answer_trust *t, int64_t now)
{
	struct csr_want want = { .ca = w->ca };
	char note[200] = "";
	struct err e = { 0 };
	struct cert c = { 0 };
	int rc;

	if (find(&c, bag, w->spki) != 0)
		return bad(r, "wrong-key", "no certificate for our key in it");
	rc = check_dates(r, &c, now);
	if (rc != 0)
		return rc;
	if (c.ca && !w->ca)
		return bad(r, "is-a-ca", "a CA certificate, and none was asked for");
	rc = check_names(r, &c, w);
	if (rc != 0)
		return rc;
	rc = est_issued_check(leaf_pem, bag, w->spki, t->anchors, t->between, &want, now, note, sizeof(note), &e);
	if (rc != 0)
		return enrol_settle(r, JOB_BAD_ANSWER, "untrusted", &e);
	if (note[0] != 0)
		enrol_note(r, "%s", note);
	return 0;
}

/* --- the chain --- */

/* Certificates in PEM, each once. */
struct pile {
	struct buf *pem;
	size_t n;
	uint8_t seen[PILE_MAX][SHA256_LEN];
};

static void
pile_add(struct pile *p, struct bytes der)
{
	uint8_t hash[SHA256_LEN];

	sha256(hash, der);
	for (size_t i = 0; i < p->n; i++)
		if (memcmp(p->seen[i], hash, SHA256_LEN) == 0)
			return;
	if (p->n == PILE_MAX)
		return;
	(void)memcpy(p->seen[p->n++], hash, SHA256_LEN);
	pem_encode(p->pem, der, "CERTIFICATE");
}

static int
pile_add_pem(struct pile *p, struct bytes pem, struct err *e)
{
	struct bytes part[EST_CHAIN_MAX];
	AUTO_BUF der = { 0 };
	size_t n = 0;
	int rc = pem.n == 0 ? 0 : pem_decode_all(&der, part, &n, N_OF(part), pem, "CERTIFICATE", e);

	for (size_t i = 0; i < n; i++)
		pile_add(p, part[i]);
	return rc;
}

static bool
among(struct bytes der, const struct bytes *certs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes_equal(der, certs[i]))
			return true;
	return false;
}

/* Those of the bag that say of themselves that they are roots, and nothing we trust does: C10, RFC 5272 4.1. */
static bool
is_stray_root(struct bytes der, const struct bytes *roots, size_t n)
{
	struct cert c;

	return cert_parse(&c, der, NULL) != 0 || (est_self_signed(&c) && !among(der, roots, n));
}

/* TLS shows nobody what has less than 112 bits: one such certificate would make the whole chain of no use. */
static bool
is_weak(struct bytes der)
{
	struct cert c;

	if (cert_parse(&c, der, NULL) != 0 || c.key_type == KEY_NONE)
		return true;
	return !est_self_signed(&c) &&
	    (c.sig_alg == OID_RSA_SHA1 || c.sig_alg == OID_ECDSA_SHA1 || c.sig_alg == OID_RSA_MD5);
}

static int
add_rest(struct pile *p, struct job_result *r, const struct est_bag *answer, const struct est_bag *cas,
    struct bytes roots_pem, struct err *e)
{
	struct bytes root[2 * EST_CHAIN_MAX];
	AUTO_BUF der = { 0 };
	size_t n = 0, stray = 0;
	int rc = roots_pem.n == 0 ? 0 : pem_decode_all(&der, root, &n, N_OF(root), roots_pem, "CERTIFICATE", e);

	for (size_t i = 0; rc == 0 && i < cas->n; i++) {
		if (is_stray_root(cas->cert[i], root, n))
			stray++;
		else if (is_weak(cas->cert[i]))
			enrol_note(r, "cacerts: a certificate with a weak key or signature was left out");
		else
			pile_add(p, cas->cert[i]);
	}
	for (size_t i = 0; rc == 0 && i < answer->n; i++)
		stray += is_stray_root(answer->cert[i], root, n) ? 1 : 0;
	if (stray != 0)
		enrol_note(r, "extra-roots: %zu self-signed certificate%s that nothing trusted vouches for %s left out",
		    stray, stray > 1 ? "s" : "", stray > 1 ? "were" : "was");
	return rc;
}

/* An anchor need not be a root: then it may stand in the chain. */
static int
put_lower_anchors(struct buf *pem, struct bytes anchors, struct err *e)
{
	struct bytes part[EST_CHAIN_MAX];
	AUTO_BUF der = { 0 };
	struct cert c;
	size_t n = 0;
	int rc = pem_decode_all(&der, part, &n, N_OF(part), anchors, "CERTIFICATE", e);

	for (size_t i = 0; i < n; i++)
		if (cert_parse(&c, part[i], NULL) == 0 && !est_self_signed(&c))
			pem_encode(pem, part[i], "CERTIFICATE");
	return rc;
}

int
answer_chain(struct job_result *r, struct bytes leaf_pem, const struct est_bag *answer, const struct est_bag *cas,
    const struct answer_trust *t, struct bytes roots, int64_t now)
{
	AUTO_BUF above = { 0 };
	AUTO_BUF path = { 0 };
	struct err e = { 0 };
	struct pile p = { .pem = &r->chain };
	int rc;

	/* What may lead upwards is what was found to chain to the anchors. */
	buf_put_bytes(&above, t->between);
	rc = est_bag_chain(&above, answer, t->anchors, now, &e);
	if (rc == 0)
		rc = put_lower_anchors(&above, t->anchors, &e);
	if (rc == 0)
		rc = est_chain_path(&path, leaf_pem, bytes_of_buf(&above), &e);
	r->chain.max = JOB_PEM_MAX;
	if (rc == 0)
		rc = pile_add_pem(&p, leaf_pem, &e);
	if (rc == 0)
		rc = pile_add_pem(&p, bytes_of_buf(&path), &e);
	if (rc == 0)
		rc = add_rest(&p, r, answer, cas, roots, &e);
	if (rc == 0)
		rc = buf_check(&r->chain, "answer: chain", &e);
	if (rc == 0)
		return 0;
	buf_free(&r->chain);
	return enrol_settle(r, JOB_BAD_ANSWER, rc == E_TOOBIG ? "too-big" : "garbage", &e);
}
