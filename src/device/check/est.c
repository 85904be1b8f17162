/* SPDX-License-Identifier: Apache-2.0 */
/* check/est.c - each EST server, asked as certd would ask it; and what certd says of its renewals */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "device/certd/est_job.h"
#include "device/check/files.h"
#include "device/check/jobs.h"
#include "device/service/api.h"

#define ENDPOINTS_MAX 64
#define CLOCK_WARN_S  60

/* --- which there are --- */

/* A URL as one credential is shown to it. */
struct endpoint {
	const char *id, *owner; /* whose URL it is, whose auth settings count */
	const char *fallback;   /* as of certd_url() */
	const char *url;        /* NULL: none is configured */
	const char *cert;       /* the certificate that is shown; NULL: none */
	enum est_as as;
	int64_t not_before; /* of that certificate; 0: not known */
};

struct endpoints {
	struct endpoint v[ENDPOINTS_MAX];
	size_t n;
};

/* As certd decides: the identity while it is good, else the way to a new one. */
static void
choose(struct endpoint *p, const struct certd_settings *s, const struct est_auth_settings *a)
{
	AUTO_BUF der = { 0 };
	struct cert leaf;

	p->as = EST_AS_NOBODY;
	if (a == NULL)
		return;
	if (a->identity_cert != NULL && files_leaf(&leaf, &der, s, a->identity_cert, NULL) == 0 &&
	    clock_now() < leaf.not_after) {
		p->as = EST_AS_IDENTITY;
		p->cert = a->identity_cert;
		p->not_before = leaf.not_before;
	} else if (a->bootstrap_cert != NULL) {
		p->as = EST_AS_BOOTSTRAP;
		p->cert = a->bootstrap_cert;
		if (files_leaf(&leaf, &der, s, a->bootstrap_cert, NULL) == 0)
			p->not_before = leaf.not_before;
	}
}

static bool
same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void
add(struct endpoints *all, const struct certd_settings *s, const char *id, const char *owner, const char *fallback)
{
	struct endpoint p = { .id = id, .owner = owner, .fallback = fallback, .url = certd_url(s, id, fallback) };

	choose(&p, s, certd_auth(s, owner));
	for (size_t i = 0; i < all->n; i++)
		if (same(all->v[i].url, p.url) && same(all->v[i].cert, p.cert))
			return;
	if (all->n < ENDPOINTS_MAX)
		all->v[all->n++] = p;
}

/* Where certificates are enrolled, and where the identities for that are renewed. */
static void
find(struct endpoints *all, const struct certd_settings *s)
{
	for (size_t i = 0; i < s->n_issuance; i++) {
		const struct issuance *is = &s->issuance[i];
		const struct est_auth_settings *a = certd_auth(s, is->id);

		if (is->method != METHOD_EST)
			continue;
		add(all, s, is->id, is->id, NULL);
		if (a != NULL && a->identity_cert != NULL)
			add(all, s, a->identity_cert, is->id, certd_url(s, is->id, NULL));
	}
}

/* --- asking --- */

static int
fill(struct job *j, const struct checking *c, const struct endpoint *p, struct err *e)
{
	int r = est_job_fill(j, c->certd, p->id, p->owner, p->fallback, p->as, e);

	if (r != 0)
		return r;
	j->kind = JOB_PROBE;
	/* What may be good for one time must not be used up by looking. */
	if (p->as != EST_AS_IDENTITY) {
		mem_wipe(j->header, sizeof(j->header));
		j->n_headers = 0;
	}
	jobs_set_user(j, c, SERVICE_CERTD);
	return 0;
}

/* --- what came of it --- */

static void
judge_clock(struct check_result *r, const struct endpoint *p, const struct job_result *got)
{
	int64_t ahead, off;

	if (got->server_date == 0)
		return;
	ahead = clock_now() - got->server_date;
	off = ahead < 0 ? -ahead : ahead;
	(void)json_object_set_new(r->info, "clock_difference", json_integer(ahead));
	if (off > CHECK_DAY_S)
		check_error(r, "this machine's clock is %" PRId64 " s (%" PRId64 " days) %s the server's", off,
		    off / CHECK_DAY_S, ahead > 0 ? "ahead of" : "behind");
	else if (off > CLOCK_WARN_S)
		check_warn(r, "this machine's clock is %" PRId64 " s %s the server's", off,
		    ahead > 0 ? "ahead of" : "behind");
	if (p->not_before != 0 && clock_now() < p->not_before)
		check_error(r, "by this machine's clock the certificate '%s' is not valid yet", p->cert);
}

static void
judge_outcome(struct check_result *r, const struct endpoint *p, const struct job_result *got)
{
	if (got->outcome == JOB_BUSY || got->outcome == JOB_PENDING)
		check_warn(r, "%s", got->text);
	else if (got->outcome == JOB_CLIENT_REFUSED)
		check_error(r, "the server does not take us by %s: %s",
		    p->cert != NULL ? p->cert : "no certificate at all", got->text);
	else if (got->outcome != JOB_DONE)
		check_error(r, "%s", got->text);
	if (got->note[0] != 0)
		check_note(r, "%s", got->note);
	if (got->request_id[0] != 0) {
		json_setf(r->info, "request_id", "%s", got->request_id);
		if (got->outcome != JOB_DONE)
			check_note(r, "the server's log has more under the request id %s", got->request_id);
	}
}

static void
note_server(struct check_result *r, const struct endpoint *p, const struct job_result *got)
{
	static const char *const shown[] = {
		[EST_AS_IDENTITY] = "EST identity ",
		[EST_AS_BOOTSTRAP] = "bootstrap certificate ",
		[EST_AS_NOBODY] = "no certificate",
		[EST_AS_ITSELF] = "certificate ",
	};
	char at[CLOCK_TEXT_MAX];

	if (got->outcome != JOB_DONE)
		return;
	check_note(r, "shown: %s%s", shown[p->as], p->cert != NULL ? p->cert : "");
	json_setf(r->info, "anchor", "%s", got->anchor[0] != 0 ? got->anchor : "the system's");
	if (strncasecmp(p->url, "https:", 6) == 0)
		check_note(r, "verified by: %s", got->anchor[0] != 0 ? got->anchor : "an anchor of the system's");
	if (got->server_date != 0)
		json_setf(r->info, "server_date", "%s", clock_text(got->server_date, at));
	if (got->label[0] == 0)
		return;
	json_setf(r->info, "label", "%s", got->label);
	json_setf(r->info, "profile", "%s", got->profile);
	check_note(r, "behind it: label %s, profile %s", got->label, got->profile);
}

/* --- what certd says of its credentials --- */

/* NULL: certd is not there, or not ours. */
static const json_t *
credentials(struct checking *c)
{
	if (c->status == NULL && c->runs[SERVICE_CERTD])
		(void)!services_get(&c->status, c, SERVICE_CERTD, "/status", API_VERSION_OWN, NULL);
	return json_object_get(c->status, "credentials");
}

static void
note_credential(struct check_result *r, const json_t *v)
{
	const json_t *last = json_object_get(v, "last_error");
	int64_t next = json_int(v, "next_renewal", 0);
	char at[CLOCK_TEXT_MAX];

	if (next != 0)
		check_note(r, "%s: next renewal at %s", json_str(v, "id", "?"), clock_text(next, at));
	if (json_is_object(last))
		check_note(r, "%s: last error at %s: %s", json_str(v, "id", "?"),
		    clock_text(json_int(last, "time", 0), at), json_str(last, "text", "?"));
}

static void
put_credential(json_t *list, const json_t *v)
{
	static const char *const members[] = { "id", "state", "generation", "not_after", "next_renewal", "last_success",
		"tries", "last_error", "usable", "disabled" };
	json_t *o = json_object();

	for (size_t i = 0; i < N_OF(members); i++)
		if (json_object_get(v, members[i]) != NULL)
			(void)json_object_set(o, members[i], json_object_get(v, members[i]));
	(void)json_array_append_new(list, o);
}

static void
note_credentials(struct checking *c, struct check_result *r, const char *url)
{
	json_t *list = json_array(), *v;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)credentials(c), i, v)
		if (strcmp(json_str(v, "url", ""), url) == 0) {
			put_credential(list, v);
			note_credential(r, v);
		}
	(void)json_object_set_new(r->info, "credentials", list);
}

/* --- the checks --- */

/* A result's ID is the URL's, with the certificate where two are shown at one. */
static void
tell(struct checking *c, const struct endpoints *all, const struct endpoint *p, struct check_result *r)
{
	AUTO_BUF id = { 0 };
	AUTO_BUF description = { 0 };
	bool again = false;

	for (const struct endpoint *o = all->v; o < p; o++)
		again = again || same(o->url, p->url);
	buf_printf(&id, "est-endpoint:%s", p->url != NULL ? p->url : p->id);
	if (again && p->cert != NULL)
		buf_printf(&id, "#%s", p->cert);
	if (p->url == NULL)
		buf_printf(&description, "EST server of %s", p->id);
	else if (p->cert == NULL)
		buf_printf(&description, "EST server %s", p->url);
	else
		buf_printf(&description, "EST server %s takes %s", p->url, p->cert);
	check_tell(c, buf_str(&id), buf_str(&description), r);
}

static void
judge(struct checking *c, const struct endpoints *all, const struct endpoint *p, const struct job_result *got)
{
	struct check_result r = { .info = json_object() };

	json_setf(r.info, "url", "%s", p->url);
	json_setf(r.info, "certificate", "%s", p->cert != NULL ? p->cert : "");
	if (p->cert != NULL && !c->runs[SERVICE_KEYD]) {
		check_skip(&r, "keyd does not answer");
	} else {
		judge_outcome(&r, p, got);
		judge_clock(&r, p, got);
		note_server(&r, p, got);
		note_credentials(c, &r, p->url);
	}
	tell(c, all, p, &r);
}

void
est_endpoints(struct checking *c, struct check_result *r)
{
	struct endpoints all = { .n = 0 };
	struct jobs_item *items;
	struct err e;

	if (c->certd == NULL) {
		check_skip(r, "certd's configuration could not be read");
		return;
	}
	find(&all, c->certd);
	if (all.n == 0) {
		check_ignore(r, "no certificate is configured to come from an EST server");
		return;
	}
	r->kind = CHECK_TOLD;
	items = jobs_new(all.n);
	for (size_t i = 0; i < all.n; i++) {
		struct check_result wrong = { 0 };

		if (fill(&items[i].job, c, &all.v[i], &e) == 0)
			continue;
		check_error(&wrong, "%s", e.msg);
		tell(c, &all, &all.v[i], &wrong);
		all.v[i].url = NULL; /* told */
		items[i].job.kind = 0;
	}
	jobs_run(c, items, all.n);
	for (size_t i = 0; i < all.n; i++)
		if (all.v[i].url != NULL)
			judge(c, &all, &all.v[i], &items[i].result);
	jobs_free(items, all.n);
}

static void
judge_credential(struct check_result *r, const json_t *v)
{
	const char *id = json_str(v, "id", "?");
	const json_t *last = json_object_get(v, "last_error");
	int64_t tries = json_int(v, "tries", 0), end = json_int(v, "not_after", 0);
	char at[CLOCK_TEXT_MAX];

	if (end != 0 && clock_now() >= end)
		check_error(r, "%s has expired at %s and could not be renewed", id, clock_text(end, at));
	else if (tries > 0)
		check_warn(r, "%s: %" PRId64 " %s in a row to renew it failed: %s", id, tries,
		    tries == 1 ? "try" : "tries", json_str(last, "text", "?"));
	if (json_flag(v, "disabled", false))
		check_warn(r, "%s is not renewed: an operator paused it, until estuary-agent resume %s", id, id);
	if (!json_flag(v, "clock_trusted", true))
		check_warn(r, "%s: this machine's clock stands before what certificates and servers have shown", id);
}

void
est_renewals(struct checking *c, struct check_result *r)
{
	const json_t *list = credentials(c);
	const char *trouble;
	json_t *v, *out;
	size_t i;

	if (!c->runs[SERVICE_CERTD]) {
		check_skip(r, "certd does not answer");
		return;
	}
	if (list == NULL) {
		check_ignore(r, "certd does not tell of its renewals: it is another product's, or you may not ask it");
		return;
	}
	out = json_array();
	r->info = json_object();
	json_array_foreach((json_t *)(uintptr_t)list, i, v) {
		put_credential(out, v);
		judge_credential(r, v);
		note_credential(r, v);
	}
	(void)json_object_set_new(r->info, "credentials", out);
	trouble = json_str(json_object_get(c->status, "configuration"), "last_error", "");
	if (*trouble != 0)
		check_warn(r, "certd goes on with an older configuration, as the present one will not do: %s", trouble);
}

/* --- http --- */

static void
judge_url(struct check_result *r, const char *id, const char *url)
{
	if (url != NULL && strncasecmp(url, "https:", 6) != 0)
		check_warn(r, "%s is enrolled at %s: http is neither secret nor authentic; use https", id, url);
}

void
est_https(struct checking *c, struct check_result *r)
{
	const struct certd_settings *s = c->certd;

	if (s == NULL) {
		check_skip(r, "certd's configuration could not be read");
		return;
	}
	for (size_t i = 0; i < s->n_urls; i++)
		judge_url(r, s->urls[i].id, s->urls[i].url);
	for (size_t i = 0; i < s->n_issuance; i++)
		judge_url(r, s->issuance[i].id, s->issuance[i].url);
}
