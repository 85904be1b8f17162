/* SPDX-License-Identifier: Apache-2.0 */
/* certd/issue.c - requests for certificates: the decision, the job, the answer */
#include "device/certd/issue.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/pki/csr.h"
#include "device/certd/est_job.h"
#include "device/certd/pending.h"
#include "device/service/slog.h"

#define DAYS_DEFAULT     30
#define RUNNING_MAX      (WORKERS_MAX - 2) /* at once: two workers stay for renewals, whatever the callers do */
#define RUNNING_OF_ONE   3                 /* of one user's; of all polls */
#define SUSPICION_EACH_S 3600              /* an identity is renewed at most so often because a request got a 403 */

/* One request under way, or a poll for one that the server wants approved first. */
struct request {
	struct request *next;
	struct issuer *i;
	char id[ID_MAX];
	struct buf der;                /* of the CSR */
	struct csr csr;                /* borrows der */
	bool explicit_issuer;
	uid_t uid;                     /* who asks, and whose handle the explicit issuer's is */
	struct buf issuer_chain, issuer_handle;
	issue_done done;               /* NULL: a poll, nobody waits */
	void *ctx;
	bool running;
	enum est_as as;                /* whose credentials the exchange under way shows */
	bool fell_back;                /* the identity did not do, the bootstrap pair is tried */
	struct workers_ticket *ticket; /* NULL: no job under way */
};

struct issuer {
	struct loop *loop;
	struct workers *workers;
	struct engine *engine;
	const struct certd_settings *s;
	struct request *first, **last;
	struct loop_timer *soon;       /* begins what can begin, from the loop */
	struct pendings *pendings;
	bool suspected;                /* an identity was, at: */
	uint64_t suspected_ms;
};

static void begin_ready(void *ctx);
static void poll(void *ctx, const char *id, struct bytes der);

struct issuer *
issuer_new(struct loop *l, struct workers *w, struct engine *en)
{
	struct issuer *i = mem_zalloc(sizeof(*i));

	*i = (struct issuer){ .loop = l, .workers = w, .engine = en };
	i->last = &i->first;
	i->soon = loop_timer_new(l, begin_ready, i);
	i->pendings = pendings_new(l, poll, i);
	return i;
}

static void
request_free(struct request *q)
{
	buf_free(&q->der);
	buf_free(&q->issuer_chain);
	buf_free(&q->issuer_handle);
	mem_free(q);
}

void
issuer_free(struct issuer *i)
{
	struct request *q;

	if (i == NULL)
		return;
	while ((q = i->first) != NULL) {
		i->first = q->next;
		if (q->ticket != NULL)
			workers_cancel(i->workers, q->ticket);
		request_free(q);
	}
	pendings_free(i->pendings);
	loop_timer_free(i->soon);
	mem_free(i);
}

void
issuer_configure(struct issuer *i, const struct certd_settings *s)
{
	i->s = s;
}

/* --- the end of a request --- */

static void
finish(struct request *q, const struct bytes *pem, const struct err *why)
{
	struct issuer *i = q->i;
	struct request **at = &i->first;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	if (i->last == &q->next)
		i->last = at;
	loop_timer_in(i->soon, 0);
	if (q->done != NULL)
		q->done(q->ctx, pem, why);
	request_free(q);
}

/* Nothing that goes wrong from here on is wrong with the caller's parameters. */
static void
fail(struct request *q, const struct err *why)
{
	struct err e = *why;

	if (e.code != E_PENDING && e.code != E_UNAVAIL && e.code != E_POLICY)
		e.code = E_IO;
	slog(SLOG_WARN, "Certificate %s was not issued: %s", q->id, e.msg);
	finish(q, NULL, &e);
}

/* The same, and a poll is not repeated. */
static void
fail_for_good(struct request *q, const struct err *why)
{
	if (q->done == NULL)
		pendings_drop(q->i->pendings, q->id);
	fail(q, why);
}

/* Before the server was asked: it has not decided, so a poll goes on. */
static void
fail_for_now(struct request *q, const struct err *why)
{
	if (q->done == NULL)
		pendings_wait(q->i->pendings, q->id, &q->csr, bytes_of_buf(&q->der), -1);
	fail(q, why);
}

/* What an outcome is to the caller: try again later, refused for good, or our own trouble. */
static enum err_code
code_of(enum job_outcome o)
{
	switch (o) {
	case JOB_PENDING:
		return E_PENDING;
	case JOB_NO_SERVER:
	case JOB_BUSY:
	case JOB_DIED:
		return E_UNAVAIL;
	case JOB_REQUEST_REFUSED:
		return E_POLICY;
	default:
		return E_IO;
	}
}

static void
set_why(struct err *why, const struct job_result *r)
{
	bool check = *r->check != 0, id = *r->request_id != 0;

	(void)err_set(why, code_of(r->outcome), "%s%s%s: %.250s%s%s", job_outcome_name(r->outcome), check ? ", " : "",
	    r->check, r->text, id ? "; request " : "", r->request_id);
}

/* The worker has judged it by everything; it speaks with the network, so what matters most is not left to its word. */
static int
check_worker(const struct request *q, struct bytes pem, struct err *e)
{
	const struct issuance *is = certd_issuance(q->i->s, q->id);
	AUTO_BUF der = { 0 };
	struct cert leaf;
	int r = certs_leaf(&leaf, &der, pem, e);

	if (r == 0 && !bytes_equal(leaf.spki, q->csr.spki))
		r = err_set(e, E_CRYPTO, "its certificate is for another key");
	if (r == 0 && leaf.ca && (is == NULL || !is->ca))
		r = err_set(e, E_CRYPTO, "it is a CA certificate, which its entry does not allow");
	return r == 0 ? 0 : err_prefix(e, r, "worker");
}

/* On disk first, told after: whoever has the answer may rely on it. */
static void
succeed(struct request *q, const struct job_result *r)
{
	struct bytes pem = bytes_of_buf(&r->chain);
	struct issuer *i = q->i;
	struct err e;

	if (*r->note != 0)
		slog(SLOG_WARN, "Certificate %s: %s", q->id, r->note);
	if (check_worker(q, pem, &e) != 0) {
		fail_for_good(q, &e);
		return;
	}
	if (q->done == NULL) /* first: when it cannot be written now, it can when it is asked for */
		pendings_issued(i->pendings, q->id, &q->csr, pem);
	if (certs_write(i->s, q->id, pem, &e) != 0) {
		fail(q, &e);
		return;
	}
	slog(SLOG_INFO, "Certificate %s was issued.", q->id);
	if (q->done != NULL)
		pendings_drop(i->pendings, q->id);
	engine_look(i->engine, q->id);
	finish(q, &pem, NULL);
}

static void
settle(struct request *q, const struct job_result *r)
{
	bool later = r->outcome == JOB_PENDING;
	struct err why;

	if (r->outcome == JOB_DONE) {
		succeed(q, r);
		return;
	}
	set_why(&why, r);
	if (q->done == NULL)
		later = later || why.code == E_UNAVAIL;
	if (later)
		pendings_wait(q->i->pendings, q->id, &q->csr, bytes_of_buf(&q->der), r->retry_after_s);
	else if (q->done == NULL)
		pendings_drop(q->i->pendings, q->id);
	fail(q, &why);
}

/* --- EST --- */

static bool
has_bootstrap(const struct est_auth_settings *a)
{
	if (a->bootstrap_cert == NULL)
		return a->username != NULL || a->anonymous;
	return a->identity_cert == NULL || strcmp(a->bootstrap_cert, a->identity_cert) != 0;
}

static void on_result(void *ctx, const struct job_result *r);

static void
ask_server(struct request *q, enum est_as as)
{
	const struct issuance *is;
	struct job j = { 0 };
	struct err e;

	q->as = as;
	if (est_job_fill(&j, q->i->s, q->id, q->id, NULL, as, &e) != 0) {
		fail_for_now(q, &e);
		return;
	}
	buf_put_bytes(&j.csr, bytes_of_buf(&q->der));
	is = certd_issuance(q->i->s, q->id);
	j.want_ca = is != NULL && is->ca; /* the entry says that it may be one */
	j.any_name = true; /* the asker's CSR goes on as it is, and CAs that choose the names have always been taken */
	q->ticket = workers_run(q->i->workers, &j, on_result, q);
}

/* The identity that the settings name is usable, or not. */
static void
on_identity(void *ctx, const struct err *why)
{
	struct request *q = ctx;
	const struct est_auth_settings *a = certd_auth(q->i->s, q->id);
	struct err e;

	if (why == NULL) {
		ask_server(q, EST_AS_IDENTITY);
		return;
	}
	if (why->code == E_POLICY && a != NULL && has_bootstrap(a)) {
		slog(SLOG_WARN, "Certificate %s: %s; the bootstrap credential is used", q->id, why->msg);
		q->fell_back = true;
		ask_server(q, EST_AS_BOOTSTRAP);
		return;
	}
	e = *why;
	(void)err_prefix(&e, e.code, "EST identity");
	if (e.code == E_POLICY)
		e.code = E_IO; /* it is not the caller's request that was refused */
	fail_for_now(q, &e);
}

/*
 * A 403 may be about the request, and that is whatever a local user sent: it must neither get the bootstrap
 * credential's rights by it nor spoil the identity.  The identity's own renewal finds out which it was.
 */
static void
suspect(struct issuer *i, const char *identity)
{
	uint64_t now = clock_monotonic_ms();
	struct err e;

	if (i->suspected && now - i->suspected_ms < SUSPICION_EACH_S * 1000)
		return;
	i->suspected = true;
	i->suspected_ms = now;
	if (engine_renew_now(i->engine, identity, &e) == 0)
		slog(SLOG_WARN, "EST identity %s is renewed, to see whether the server still takes it", identity);
}

/* What the exchange said of the identity; true when the bootstrap pair is tried instead. */
static bool
judge_identity(struct request *q, const struct job_result *r)
{
	const struct est_auth_settings *a = certd_auth(q->i->s, q->id);
	bool forbidden = r->outcome == JOB_CLIENT_REFUSED && r->http_status == 403;
	bool refused = r->outcome == JOB_CLIENT_REFUSED && !forbidden;

	if (q->as != EST_AS_IDENTITY || a == NULL || a->identity_cert == NULL)
		return false;
	if (forbidden)
		suspect(q->i, a->identity_cert);
	if (refused || r->authenticated)
		engine_used(q->i->engine, a->identity_cert, !refused);
	else
		engine_returned(q->i->engine, a->identity_cert);
	if (!refused || q->fell_back || !has_bootstrap(a))
		return false;
	slog(SLOG_WARN, "Certificate %s: the server refused EST identity %s (%s); the bootstrap credential is tried", q->id,
	    a->identity_cert, r->text);
	q->fell_back = true;
	return true;
}

static void
on_result(void *ctx, const struct job_result *r)
{
	struct request *q = ctx;

	q->ticket = NULL;
	est_job_learn(q->i->s, r);
	if (judge_identity(q, r))
		ask_server(q, EST_AS_BOOTSTRAP);
	else
		settle(q, r);
}

static void
begin_est(struct request *q, const struct issuance *is)
{
	const struct certd_settings *s = q->i->s;
	const struct est_auth_settings *a = certd_auth(s, q->id);
	struct name name;
	struct err e;

	/* The server may let a device have a CA certificate; whether this user may is for the entry to say. */
	if (q->csr.wants_ca && !is->ca) {
		(void)err_set(&e, E_POLICY, "csr: asks for a CA certificate, and [cert_issuance] '%.100s' does not say "
		    "ca = true", q->id);
		fail_for_good(q, &e);
		return;
	}
	if (a != NULL && a->identity_cert != NULL && certd_url(s, q->id, NULL) != NULL) {
		name = q->csr.subject;
		engine_need(q->i->engine, a->identity_cert, &name, est_job_identity(&name, s, is), on_identity, q);
	} else
		ask_server(q, EST_AS_NOBODY); /* or says what is not configured */
}

/* --- local issuance --- */

/* What the entry allows; without one (explicit issuers need none) only what every leaf may be. */
static void
set_limits(struct job *j, const struct issuance *is)
{
	j->days = DAYS_DEFAULT;
	j->pathlen = -1;
	if (is == NULL)
		return;
	j->days = is->days;
	j->force_subject = is->has_subject;
	j->subject = is->subject;
	j->sans = is->sans;
	j->allow_ca = is->ca;
	j->pathlen = is->pathlen;
	j->allow_ku = is->ku;
	j->n_allow_eku = is->n_eku;
	memcpy(j->allow_eku, is->eku, sizeof(j->allow_eku));
}

static int
set_issuer(struct job *j, const struct request *q, const struct issuance *is, struct err *e)
{
	const struct certd_settings *s = q->i->s;

	j->issuer_chain = BUF_MAX(JOB_PEM_MAX);
	if (q->explicit_issuer) {
		buf_put_bytes(&j->issuer_chain, bytes_of_buf(&q->issuer_chain));
		buf_put_bytes(&j->issuer_handle, bytes_of_buf(&q->issuer_handle));
		j->issuer_holder = (uint32_t)q->uid;
		return 0;
	}
	if (is->method == METHOD_SELF_SIGNED) {
		(void)snprintf(j->issuer_key, sizeof(j->issuer_key), "%s", is->pk != NULL ? is->pk : q->id);
		return 0;
	}
	if (s->local_ca_cert == NULL)
		return err_set(e, E_IO, "certificate '%.100s': local CA is not configured: set cert and pk in "
		    "[cert_issuance.local_ca]", q->id);
	(void)snprintf(j->issuer_key, sizeof(j->issuer_key), "%s", s->local_ca_pk);
	if (certs_read_any(&j->issuer_chain, s, s->local_ca_cert, e) != 0)
		return err_prefix(e, E_IO, "local CA");
	return 0;
}

static void
begin_local(struct request *q, const struct issuance *is)
{
	struct job j = { .kind = JOB_SIGN };
	struct err e;

	if (set_issuer(&j, q, is, &e) != 0) {
		job_clear(&j);
		fail_for_good(q, &e);
		return;
	}
	(void)snprintf(j.keyd_socket, sizeof(j.keyd_socket), "%s", q->i->s->keyd_socket);
	buf_put_bytes(&j.csr, bytes_of_buf(&q->der));
	set_limits(&j, is);
	q->ticket = workers_run(q->i->workers, &j, on_result, q);
}

/* --- the decision --- */

/* A request that the server is thinking about already: the certificate when it is in; true when that was all. */
static bool
answer_pending(struct request *q)
{
	AUTO_BUF pem = { 0 };
	struct bytes got;
	struct err e;

	if (q->done == NULL || q->explicit_issuer || !pendings_take(q->i->pendings, q->id, &q->csr, &pem))
		return false;
	got = bytes_of_buf(&pem);
	if (got.n == 0) {
		(void)err_set(&e, E_PENDING, "certificate '%.100s': the EST server has not decided on this request yet; "
		    "certd goes on asking", q->id);
		finish(q, NULL, &e);
	} else if (certs_write(q->i->s, q->id, got, &e) != 0) { /* again: the file may have been deleted since */
		fail(q, &e);
	} else {
		finish(q, &got, NULL);
	}
	return true;
}

static void
begin(struct request *q)
{
	const struct issuance *is = certd_issuance(q->i->s, q->id);
	struct err e;

	q->running = true;
	if (answer_pending(q))
		return;
	if (is == NULL && !q->explicit_issuer) {
		(void)err_set(&e, E_IO, "certificate '%.100s': there is no [cert_issuance] entry for it", q->id);
		fail_for_good(q, &e);
		return;
	}
	if (is != NULL && is->pk != NULL && q->done != NULL)
		slog(SLOG_WARN, "Certificate %s is kept by certd with key %s, and somebody asks for it with a key of "
		    "their own", q->id, is->pk);
	if (is != NULL && is->method == METHOD_EST && !q->explicit_issuer)
		begin_est(q, is);
	else
		begin_local(q, is);
}

/* H10: one user's requests, to a server that is slow, leave room for others'. */
static bool
has_room(const struct issuer *i, const struct request *q)
{
	unsigned all = 0, alike = 0;

	for (const struct request *p = i->first; p != NULL; p = p->next) {
		all += p->running;
		alike += p->running && p->uid == q->uid && (p->done == NULL) == (q->done == NULL);
	}
	return all < RUNNING_MAX && alike < RUNNING_OF_ONE;
}

/* The first that waits, has no other for the same ID before it, and whose user has not enough under way. */
static struct request *
next_ready(struct issuer *i)
{
	for (struct request *q = i->first; q != NULL; q = q->next) {
		const struct request *before = i->first;

		while (before != q && strcmp(before->id, q->id) != 0)
			before = before->next;
		if (before == q && !q->running && has_room(i, q))
			return q;
	}
	return NULL;
}

static void
begin_ready(void *ctx)
{
	struct issuer *i = ctx;
	struct request *q;

	while ((q = next_ready(i)) != NULL)
		begin(q);
}

static void
enqueue(struct issuer *i, struct request *q)
{
	q->i = i;
	*i->last = q;
	i->last = &q->next;
	loop_timer_in(i->soon, 0);
}

/* Time to ask again for what is pending. */
static void
poll(void *ctx, const char *id, struct bytes der)
{
	struct request *q = mem_zalloc(sizeof(*q));

	(void)snprintf(q->id, sizeof(q->id), "%s", id);
	buf_put_bytes(&q->der, der);
	if (csr_parse(&q->csr, bytes_of_buf(&q->der), NULL) != 0) {
		request_free(q); /* it parsed before */
		return;
	}
	enqueue(ctx, q);
}

/* --- checking what the caller gave --- */

static int
read_csr(struct request *q, struct bytes pem, struct err *e)
{
	struct err why;

	if (pem_decode(&q->der, pem, "CERTIFICATE REQUEST", &why) != 0) {
		buf_reset(&q->der);
		if (pem_decode(&q->der, pem, "NEW CERTIFICATE REQUEST", NULL) != 0)
			return err_set(e, E_USAGE, "csr: %s", why.msg);
	}
	if (csr_parse(&q->csr, bytes_of_buf(&q->der), &why) != 0)
		return err_set(e, E_USAGE, "csr: %s", why.msg);
	return 0;
}

static int
read_issuer(struct request *q, const struct issue_want *w, const struct certd_settings *s, struct err *e)
{
	AUTO_BUF der = { 0 };
	struct cert c;
	struct err why;

	if (w->issuer_cert == NULL)
		return 0;
	if (w->issuer_handle == NULL || *w->issuer_handle == 0)
		return err_set(e, E_USAGE, "issuer.privateKeyHandle: is empty");
	if (certs_read(&q->issuer_chain, s, w->issuer_cert, &why) != 0 ||
	    certs_leaf(&c, &der, bytes_of_buf(&q->issuer_chain), &why) != 0)
		return err_set(e, E_USAGE, "issuer.certId: %s", why.code == E_NOTFOUND ? "not found" : why.msg);
	buf_put_str(&q->issuer_handle, w->issuer_handle);
	q->explicit_issuer = true;
	return 0;
}

int
issue_start(struct issuer *i, const struct issue_want *w, issue_done done, void *ctx, struct err *e)
{
	struct request *q;
	struct err why;
	int r;

	if (stem_check_id(w->id, &why) != 0)
		return err_set(e, E_USAGE, "certId: %s", why.msg);
	if (certd_preloaded(i->s, w->id) != NULL)
		return err_set(e, E_POLICY, "certificate '%.100s': preloaded, and therefore read-only", w->id);
	q = mem_zalloc(sizeof(*q));
	(void)snprintf(q->id, sizeof(q->id), "%s", w->id);
	q->done = done;
	q->ctx = ctx;
	q->uid = w->uid;
	if ((r = read_csr(q, w->csr_pem, e)) != 0 || (r = read_issuer(q, w, i->s, e)) != 0) {
		request_free(q);
		return r;
	}
	enqueue(i, q);
	return 0;
}
