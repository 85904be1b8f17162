/* SPDX-License-Identifier: Apache-2.0 */
/* certd/rotation_ask.c - asking for the next certificate, and showing the server the one that is served */
#include <stdio.h>
#include <string.h>

#include "core/est/client.h"
#include "device/certd/engine_inside.h"
#include "device/certd/est_job.h"
#include "device/service/slog.h"

static const struct issuance *
entry_of(const struct credential *c)
{
	return certd_issuance(c->en->s, c->gen.id);
}

bool
rotation_is_est(const struct credential *c)
{
	const struct issuance *i = entry_of(c);

	return c->source == SOURCE_IDENTITY || (i != NULL && i->method == METHOD_EST);
}

static bool
has_url(const struct certd_settings *s, const char *id)
{
	const struct issuance *i = certd_issuance(s, id);

	if (i != NULL && i->url != NULL)
		return true;
	for (size_t k = 0; k < s->n_urls; k++)
		if (strcmp(s->urls[k].id, id) == 0)
			return true;
	return false;
}

/* Whose URL counts: an identity that has none of its own lives at its owner's. */
static const char *
url_id(const struct credential *c)
{
	return has_url(c->en->s, c->gen.id) ? c->gen.id : c->owner;
}

static const char *
fallback_url(const struct credential *c)
{
	return c->gen.url[0] != 0 ? c->gen.url : NULL;
}

const char *
rotation_url(const struct credential *c)
{
	return rotation_is_est(c) ? certd_url(c->en->s, url_id(c), fallback_url(c)) : NULL;
}

static bool
valid(const struct credential *c)
{
	return c->pair == PAIR_MATCH && c->en->now() < c->life.not_after;
}

/* Is it renewed by /simplereenroll, that is, by showing itself? */
static bool
reenrolls(const struct credential *c)
{
	const struct issuance *own = entry_of(c), *owner = certd_issuance(c->en->s, c->owner);

	return (own != NULL && own->reenroll) ||
	    (c->source == SOURCE_IDENTITY && (c->en->s->reenroll || (owner != NULL && owner->reenroll)));
}

bool
rotation_shows_itself(const struct credential *c)
{
	return rotation_is_est(c) && reenrolls(c) && valid(c) && c->gen.refused == 0 && c->client && !c->preloaded;
}

/* --- the answer --- */

/* The answer may be kept only if it is for the key that was asked with. */
static int
check_answer(const struct job_result *r, struct err *e)
{
	AUTO_BUF der = { 0 };
	struct cert leaf;
	int rc = certs_leaf(&leaf, &der, bytes_of_buf(&r->chain), e);

	if (rc == 0 && r->spki.n > 0 && !bytes_equal(leaf.spki, bytes_of_buf(&r->spki)))
		rc = err_set(e, E_FORMAT, "the new certificate is for another key");
	return rc;
}

static void
keep_answer(struct credential *c, const struct job_result *r)
{
	struct generation g = c->gen;
	struct err e = { 0 };

	if (check_answer(r, &e) != 0 ||
	    generation_write_cert(c->en->s, g.id, GEN_NEW_FILE, bytes_of_buf(&r->chain), &e) != 0) {
		rotation_failed(c, "renew", NULL, &e);
		return;
	}
	if (r->note[0] != 0)
		slog(SLOG_WARN, "%s: %s", g.id, r->note);
	g.state = GEN_STAGED;
	g.good_time = r->server_date > 0 ? r->server_date : c->en->now();
	if (rotation_commit(c, &g, &e) != 0)
		rotation_failed(c, "renew", NULL, &e);
	c->staged_at = c->en->now();
}

/* What the answer says of the credential that asked. */
static void
judge_client(struct credential *c, const struct job_result *r)
{
	const struct est_auth_settings *a = certd_auth(c->en->s, c->owner);
	bool refused = r->outcome == JOB_CLIENT_REFUSED, own = c->source == SOURCE_IDENTITY;
	bool lent = c->as == EST_AS_IDENTITY && !own && a != NULL && a->identity_cert != NULL;

	if (!refused && !r->authenticated) {
		if (lent)
			engine_returned(c->en, a->identity_cert);
		return;
	}
	if ((c->as == EST_AS_IDENTITY && own) || c->as == EST_AS_ITSELF)
		rotation_used(c, !refused);
	else if (lent)
		engine_used(c->en, a->identity_cert, !refused);
	else if (c->source == SOURCE_IDENTITY && refused)
		c->gen.refused = 0; /* the bootstrap does not open the door either: the identity has its turn again */
}

/*
 * The server answered, it was no good, and with the same key it would say the same again.  But what broke on the way is no
 * fault of the key's, nor is what a clock here that is not the server's makes of it: there the answer that was given comes
 * again, and whoever asked by another key would be taken for a second holder of the pair.
 */
static bool
costs_its_key(const struct credential *c, const struct job_result *r)
{
	static const struct { const char *check; bool by_clock; } of_the_certificate[] = {
		{ "wrong-key", false }, { "wrong-name", false }, { "is-a-ca", false }, { "expired", true }, { "not-yet-valid", true },
	};
	int64_t ahead = c->en->now() - r->server_date;

	if (r->outcome != JOB_BAD_ANSWER)
		return r->outcome == JOB_REQUEST_REFUSED;
	for (size_t i = 0; i < N_OF(of_the_certificate); i++)
		if (strcmp(r->check, of_the_certificate[i].check) == 0)
			return !of_the_certificate[i].by_clock || r->server_date == 0 || (ahead <= EST_SKEW_S && ahead >= -EST_SKEW_S);
	return false;
}

/* Did the server say that it renewed nothing, or was it not even asked? */
static bool
says_no(const struct credential *c, const struct job_result *r)
{
	switch (r->outcome) {
	case JOB_PENDING:
	case JOB_CLIENT_REFUSED:
	case JOB_REQUEST_REFUSED:
		return true;
	case JOB_SERVER_UNTRUSTED:
	case JOB_KEY_FAILED:
	case JOB_BAD_JOB:
		return c->said_no;
	default:
		return false;
	}
}

static void
on_answer(void *ctx, const struct job_result *r)
{
	struct credential *c = ctx;

	c->ticket = NULL;
	c->said_no = says_no(c, r);
	est_job_learn(c->en->s, r);
	judge_client(c, r);
	if (r->outcome == JOB_DONE) {
		keep_answer(c, r);
		engine_wake(c->en);
		return;
	}
	if (c->gen.rotate && costs_its_key(c, r))
		c->gen.state = GEN_KEYGEN;
	if (r->outcome == JOB_KEY_FAILED && r->check[0] != 0)
		c->pair = PAIR_UNKNOWN;
	rotation_failed(c, "renew", r, NULL);
	engine_wake(c->en);
}

/* --- the request --- */

static void
put_key(struct job *j, const struct credential *c)
{
	const struct issuance *i = entry_of(c);

	(void)snprintf(j->key, sizeof(j->key), "%s", c->gen.rotate ? c->temp_id : c->gen.key_id);
	j->create_key = c->gen.rotate || c->pair != PAIR_MATCH;
	if (i != NULL && i->algorithms != NULL)
		(void)snprintf(j->algorithms, sizeof(j->algorithms), "%s", i->algorithms);
}

static bool
wants_client_auth(const struct issuance *i)
{
	if (i == NULL || i->n_eku == 0)
		return i == NULL || !i->ca; /* a CA's certificate is for signing */
	for (size_t k = 0; k < i->n_eku; k++)
		if (i->eku[k] == OID_CLIENT_AUTH)
			return true;
	return false;
}

/* Names: as configured, else as they were, else as the first need said.  E_USAGE when nobody knows any. */
static int
put_names(struct job *j, struct credential *c, struct err *e)
{
	const struct issuance *i = entry_of(c);
	bool configured = i != NULL && (i->has_subject || i->sans.n > 0);
	/* A certificate that has no key may be anybody's: it is asked for its names when nobody else knows them. */
	bool ours = c->present && (c->pair == PAIR_MATCH || c->gen.subject.n == 0);
	struct err why;

	j->client_auth = wants_client_auth(i);
	j->want_ca = i != NULL && i->ca;
	if (i != NULL && i->has_subject)
		j->subject = i->subject;
	if (i != NULL)
		j->sans = i->sans;
	if (ours && (!configured || j->reenroll)) {
		j->old = BUF_MAX(JOB_PEM_MAX);
		if (certs_read(&j->old, c->en->s, c->gen.id, &why) != 0)
			buf_reset(&j->old);
	}
	if (!configured && j->old.n == 0)
		j->subject = c->gen.subject;
	if (j->subject.n > 0 || j->sans.n > 0 || j->old.n > 0)
		return 0;
	return err_set(e, E_USAGE, "nobody has said what its subject is: set common_name in [cert_issuance.%.100s]",
	    c->gen.id);
}

static int
fill_sign(struct job *j, struct credential *c, struct err *e)
{
	const struct certd_settings *s = c->en->s;
	const struct issuance *i = entry_of(c);
	int r;

	*j = (struct job){ .kind = JOB_SIGN, .days = i->days, .allow_ca = i->ca, .pathlen = i->pathlen, .allow_ku = i->ku,
		.n_allow_eku = i->n_eku };
	memcpy(j->allow_eku, i->eku, sizeof(j->allow_eku));
	put_key(j, c);
	j->create_key = true;
	if (i->method == METHOD_SELF_SIGNED) {
		/* By the very key that it is for, whichever ID that has now. */
		(void)snprintf(j->issuer_key, sizeof(j->issuer_key), "%s", j->key);
		return put_names(j, c, e);
	}
	if (s->local_ca_cert == NULL || s->local_ca_pk == NULL)
		return err_set(e, E_USAGE, "no CA is configured: set cert and pk in [cert_issuance.local_ca]");
	(void)snprintf(j->issuer_key, sizeof(j->issuer_key), "%s", s->local_ca_pk);
	j->issuer_chain = BUF_MAX(JOB_PEM_MAX);
	r = certs_read(&j->issuer_chain, s, s->local_ca_cert, e);
	return r != 0 ? err_prefix(e, r, "local_ca") : put_names(j, c, e);
}

static int
fill_est(struct job *j, struct credential *c, struct err *e)
{
	const struct issuance *own = entry_of(c);
	int r = est_job_fill(j, c->en->s, url_id(c), c->owner, fallback_url(c), c->as, e);

	if (r == E_NOTFOUND && c->as == EST_AS_BOOTSTRAP && c->source == SOURCE_IDENTITY && valid(c)) {
		c->as = EST_AS_IDENTITY; /* there is no bootstrap: the identity itself, although it was refused */
		r = est_job_fill(j, c->en->s, url_id(c), c->owner, fallback_url(c), c->as, e);
	}
	if (r != 0)
		return r;
	put_key(j, c);
	/* It renews the certificate that is shown, so that must be the one that is to be renewed (RFC 7030 4.2.2). */
	j->reenroll = c->as == EST_AS_ITSELF || (c->source == SOURCE_IDENTITY && c->as == EST_AS_IDENTITY && c->present &&
	    reenrolls(c));
	/*
	 * Who comes by the bootstrap is named by the server, and so are CAs, whose names nobody else goes by; a renewal keeps
	 * its names (RFC 7030 4.2.2).
	 */
	j->any_name = (c->source == SOURCE_IDENTITY && c->as == EST_AS_BOOTSTRAP) || (own != NULL && own->ca);
	return put_names(j, c, e);
}

/* --- as whom --- */

static void
on_identity(void *ctx, const struct err *why)
{
	struct credential *c = ctx;

	c->waiting = false;
	if (why != NULL && why->code != E_POLICY) {
		rotation_failed(c, "renew", NULL, why);
	} else {
		c->as = why == NULL ? EST_AS_IDENTITY : EST_AS_BOOTSTRAP;
		c->as_known = true;
	}
	engine_wake(c->en);
}

/* False: the EST identity has to be made ready first. */
static bool
choose_as(struct credential *c)
{
	const struct est_auth_settings *a = certd_auth(c->en->s, c->owner);
	const struct issuance *i = entry_of(c);
	struct name name = { 0 };

	if (c->source == SOURCE_IDENTITY) {
		c->as = valid(c) && c->gen.refused == 0 ? EST_AS_IDENTITY : EST_AS_BOOTSTRAP;
		return true;
	}
	if (rotation_shows_itself(c)) {
		c->as = EST_AS_ITSELF;
		return true;
	}
	if (c->as_known)
		return true;
	if (a != NULL && a->identity_cert != NULL && a->identity_pk != NULL) {
		const char *url = i != NULL ? est_job_identity(&name, c->en->s, i) : NULL;

		c->waiting = true;
		engine_need(c->en, a->identity_cert, name.n > 0 ? &name : NULL, url != NULL ? url : rotation_url(c), on_identity, c);
		return false;
	}
	c->as = a != NULL && a->bootstrap_cert != NULL ? EST_AS_BOOTSTRAP : EST_AS_NOBODY;
	return true;
}

/* What the one who needs it said: the name for one that never had any, the URL for one that lives nowhere else. */
static int
adopt_need(struct credential *c, struct err *e)
{
	struct generation g = c->gen;
	/* A name by which nothing was ever issued is only what somebody asked for: it must not stick. */
	bool never = c->pair == PAIR_NONE && g.number == 0;
	bool name = c->need_subject.n > 0 && (g.subject.n == 0 || (never && !name_equal(&g.subject, &c->need_subject)));
	bool url = c->need_url[0] != 0 && (g.url[0] == 0 || c->pair == PAIR_NONE) && strcmp(c->need_url, g.url) != 0;

	if (name)
		g.subject = c->need_subject;
	if (url)
		(void)snprintf(g.url, sizeof(g.url), "%s", c->need_url);
	return name || url ? rotation_commit(c, &g, e) : 0;
}

void
rotation_ask(struct credential *c)
{
	struct job j = { 0 };
	struct err e = { 0 };
	bool est = rotation_is_est(c);

	if (adopt_need(c, &e) != 0) {
		rotation_failed(c, "renew", NULL, &e);
		return;
	}
	if (est && !choose_as(c))
		return;
	c->as_known = false;
	slog(SLOG_INFO, "Attempting to renew certificate %s.", c->gen.id);
	if ((est ? fill_est(&j, c, &e) : fill_sign(&j, c, &e)) != 0) {
		job_clear(&j);
		rotation_failed(c, "renew", NULL, &e);
		return;
	}
	rotation_run(c, &j, on_answer);
}

/* --- the proof --- */

static void
on_probed(void *ctx, const struct job_result *r)
{
	struct credential *c = ctx;

	c->ticket = NULL;
	if (r->authenticated)
		rotation_used(c, true);
	else {
		if (r->outcome == JOB_CLIENT_REFUSED)
			rotation_used(c, false);
		if (r->outcome == JOB_KEY_FAILED && r->check[0] != 0)
			c->pair = PAIR_UNKNOWN;
		rotation_failed(c, "prove", r, NULL);
	}
	engine_wake(c->en);
}

/* Does the server take the pair that is served?  The pair alone: no password may stand in for it. */
void
rotation_probe(struct credential *c)
{
	struct job j = { 0 };
	struct err e = { 0 };
	int r = est_job_fill(&j, c->en->s, url_id(c), c->owner, fallback_url(c), EST_AS_NOBODY, &e);

	if (r == 0) {
		j.kind = JOB_PROBE;
		j.user[0] = 0;
		buf_free(&j.password);
		j.client_chain = BUF_MAX(JOB_PEM_MAX);
		(void)snprintf(j.client_key, sizeof(j.client_key), "%s", c->gen.key_id);
		r = certs_read(&j.client_chain, c->en->s, c->gen.id, &e);
	}
	if (r != 0) {
		job_clear(&j);
		rotation_failed(c, "prove", NULL, &e);
		return;
	}
	rotation_run(c, &j, on_probed);
}
