/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/talk.c - one EST server: verified first, credentials after (RFC 7030 3.2, 3.3) */
#include "device/enrol/talk.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/codec/media.h"
#include "device/enrol/enrol_inside.h"
#include "device/enrol/keyring.h"

#define BAG_TYPE "application/pkcs7-mime"
#define WORDS_MAX 200 /* octets of a server's own words */

/* --- opening --- */

static int
open_url(struct talk *t, struct job_result *r)
{
	const struct job *j = t->j;
	size_t n = strlen(j->url);

	t->plain = strncmp(j->url, "http://", 7) == 0;
	if ((!t->plain && strncmp(j->url, "https://", 8) != 0) || strpbrk(j->url, "?#") != NULL)
		return enrol_fail(
		    r, JOB_BAD_JOB, NULL, E_USAGE, "url '%.200s': https://host[:port]/path needed", j->url);
	if (t->plain && !j->plain_http)
		return enrol_fail(r, JOB_BAD_JOB, NULL, E_POLICY,
		    "url '%.200s': http verifies nobody, and it is not configured on purpose", j->url);
	if (t->plain && (j->user[0] != 0 || j->password.n != 0 || j->n_headers != 0))
		return enrol_fail(r, JOB_BAD_JOB, NULL, E_POLICY,
		    "url '%.200s': passwords and headers of our own are not sent over http; use https", j->url);
	if (!t->plain && j->trust.n == 0 && !j->trust_system)
		return enrol_fail(r, JOB_BAD_JOB, NULL, E_USAGE,
		    "server: no anchors to verify it by: name its CA, or allow the system's");
	(void)snprintf(t->base, sizeof(t->base), "%s%s", j->url, j->url[n - 1] == '/' ? "" : "/");
	return 0;
}

static int
open_pair(struct talk *t, struct job_result *r)
{
	const struct job *j = t->j;
	struct err e = { 0 };

	if (j->client_chain.n == 0)
		return 0;
	if (t->plain) {
		enrol_note(r, "http: the client certificate is of no use there");
		return 0;
	}
	if (keyring_open(&t->key, j, j->client_key, &e) != 0)
		return enrol_settle_key(r, &e);
	buf_put_bytes(&t->chain, bytes_of_buf(&j->client_chain));
	return 0;
}

int
talk_open(struct talk *t, const struct job *j, struct job_result *r)
{
	int rc;

	t->j = j;
	t->until_ms = clock_monotonic_ms() + (uint64_t)(j->deadline_s != 0 ? j->deadline_s : JOB_DEADLINE_S) * 1000;
	buf_put_bytes(&t->password, bytes_of_buf(&j->password));
	rc = open_url(t, r);
	return rc != 0 ? rc : open_pair(t, r);
}

void
talk_close(struct talk *t)
{
	key_free(t->key);
	t->key = NULL;
	buf_free(&t->chain);
	buf_free(&t->password);
}

/* --- requests --- */

const char *
talk_operation(const struct talk *t)
{
	return est_op_row(t->j->reenroll ? EST_SIMPLEREENROLL : EST_SIMPLEENROLL)->name;
}

static void
show_secrets(struct fetch *f, struct talk *t)
{
	size_t n = 0;

	for (; n < t->j->n_headers; n++)
		t->headers[n] = t->j->header[n];
	t->headers[n] = NULL;
	f->headers = t->headers;
	if (t->j->user[0] != 0 || t->password.n != 0) {
		f->user = t->j->user;
		f->password = buf_str(&t->password);
	}
}

/* fetch sends none of this before the server is verified. */
static int
run(struct talk *t, struct fetch *f, const char *operation, struct fetch_answer *a, struct err *e)
{
	char url[JOB_URL_MAX + 32];
	uint64_t now = clock_monotonic_ms();

	if (now >= t->until_ms) {
		fetch_clear(a);
		a->cause = FETCH_TIMEOUT;
		return err_set(e, E_UNAVAIL, "server: no answer in time");
	}
	(void)snprintf(url, sizeof(url), "%s%s", t->base, operation);
	f->url = url;
	f->plain_ok = t->plain;
	f->trust_pem = bytes_of_buf(&t->j->trust);
	f->trust_also_system = t->j->trust_system;
	f->unknown_ca_hint = f->connect_only ? "is it the right host, and does a proxy or firewall answer in its place?"
	                                     : "add that CA to trusted_certs in [cert_issuance.est]";
	f->total_ms = t->until_ms - now < UINT32_MAX ? (unsigned)(t->until_ms - now) : UINT32_MAX;
	f->proxy = t->j->proxy[0] != 0 ? t->j->proxy : NULL;
	f->no_proxy = t->j->no_proxy[0] != 0 ? t->j->no_proxy : NULL;
	f->same_origin_redirects = true;
	if (t->key != NULL) {
		f->client_cert_pem = buf_str(&t->chain);
		f->client_key = t->key;
	}
	return fetch_run(f, a, e);
}

int
talk_cacerts(struct talk *t, struct fetch_answer *a, struct err *e)
{
	const char *name = est_op_row(EST_CACERTS)->name;
	struct fetch f = { .method = "GET" };
	int rc = run(t, &f, name, a, e);

	if (rc != 0 || a->status != 401)
		return rc;
	show_secrets(&f, t);
	if (f.user == NULL && t->j->n_headers == 0)
		return rc;
	return run(t, &f, name, a, e);
}

int
talk_connect(struct talk *t, struct fetch_answer *a, struct err *e)
{
	struct fetch f = { .method = "GET", .connect_only = true };

	return run(t, &f, "", a, e);
}

int
talk_enrol(struct talk *t, struct fetch_answer *a, struct bytes body,
    int (*make)(void *, const struct fetch_connection *, struct buf *, struct err *), void *ctx, struct err *e)
{
	struct fetch f = { .method = "POST", .body = body, .make_body = make, .ctx = ctx };
	size_t n = t->j->n_headers;

	show_secrets(&f, t);
	/* RFC 8951 3 gives the second one no meaning any more; older servers look for it. */
	t->headers[n++] = "Content-Type: application/pkcs10";
	t->headers[n++] = "Content-Transfer-Encoding: base64";
	t->headers[n] = NULL;
	return run(t, &f, talk_operation(t), a, e);
}

/* --- what came of it --- */

/* Nothing of the network's: the request could not be made, or the other side does not speak HTTP. */
static int
judge_other(struct job_result *r, const struct talk *t, const struct fetch_answer *a, const struct err *e)
{
	bool connected = a->tls_done || t->plain;

	if (e->code == E_FORMAT && connected)
		return enrol_settle(r, JOB_BAD_ANSWER, "garbage", e);
	if (e->code == E_USAGE || e->code == E_POLICY || (!connected && (e->code == E_FORMAT || e->code == E_CRYPTO)))
		return enrol_settle(r, JOB_BAD_JOB, NULL, e);
	return enrol_settle(r, JOB_NO_SERVER, NULL, e);
}

/* There is no answer. */
static int
judge_failure(struct job_result *r, const struct talk *t, const struct fetch_answer *a, const struct err *e)
{
	switch (a->cause) {
	case FETCH_SERVER_UNTRUSTED:
		return enrol_settle(r, JOB_SERVER_UNTRUSTED, "untrusted", e);
	case FETCH_CLIENT_REFUSED:
		return enrol_settle(r, JOB_CLIENT_REFUSED, NULL, e);
	case FETCH_TOOBIG:
		return enrol_settle(r, JOB_BAD_ANSWER, "too-big", e);
	case FETCH_TRUNCATED:
		return a->status != 0 ? enrol_settle(r, JOB_BAD_ANSWER, "truncated", e)
		                      : enrol_settle(r, JOB_NO_SERVER, NULL, e);
	case FETCH_OTHER:
	case FETCH_OK:
		return judge_other(r, t, a, e);
	case FETCH_RESOLVE:
	case FETCH_CONNECT:
	case FETCH_TIMEOUT:
	case FETCH_PROXY:
		break;
	}
	return enrol_settle(r, JOB_NO_SERVER, NULL, e);
}

/* The server's own words: the first line of a text or of JSON, cut; enrol_settle() escapes them. */
static void
put_words(struct buf *out, const struct fetch_answer *a)
{
	static const char *const types[] = { "text/plain", "application/json", "application/problem+json" };
	const uint8_t *end = a->body.n != 0 ? memchr(a->body.p, '\n', a->body.n) : NULL;
	size_t n = end != NULL ? (size_t)(end - a->body.p) : a->body.n;
	bool readable = a->type[0] == 0;

	for (size_t i = 0; i < N_OF(types); i++)
		readable = readable || media_is(a->type, types[i]);
	while (n != 0 && (a->body.p[n - 1] == '\r' || a->body.p[n - 1] == ' '))
		n--;
	if (!readable || n == 0)
		return;
	buf_put_str(out, ": ");
	buf_put(out, a->body.p, n < WORDS_MAX ? n : WORDS_MAX);
}

static enum job_outcome
outcome_of(unsigned status)
{
	if (status == 202)
		return JOB_PENDING;
	if (status == 401 || status == 403)
		return JOB_CLIENT_REFUSED;
	if (status == 429 || status >= 500)
		return JOB_BUSY;
	return status >= 400 ? JOB_REQUEST_REFUSED : JOB_BAD_ANSWER;
}

/* Over http nobody has shown a credential, and anybody may have said that it is none. */
static enum job_outcome
believable(enum job_outcome o, const struct talk *t)
{
	return t->plain && o == JOB_CLIENT_REFUSED ? JOB_REQUEST_REFUSED : o;
}

static int
judge_status(struct job_result *r, const struct talk *t, const char *operation, const struct fetch_answer *a)
{
	enum job_outcome o = believable(outcome_of(a->status), t);
	bool elsewhere = a->status >= 300 && a->status < 400;
	AUTO_BUF words = BUF_MAX(4096);

	if (elsewhere)
		return enrol_fail(r, o, "redirect", E_POLICY,
		    "%.120s%s: sends us elsewhere (%u): %.150s; put the right URL into the configuration", t->base,
		    operation, a->status, a->location);
	put_words(&words, a);
	return enrol_fail(r, o, o == JOB_BAD_ANSWER ? "wrong-status" : NULL, o == JOB_PENDING ? E_PENDING : E_POLICY,
	    "%.120s%s: answered %u%s", t->base, operation, a->status, buf_str(&words));
}

static int
judge_type(struct job_result *r, const struct talk *t, const char *operation, const struct fetch_answer *a)
{
	if (a->body.n == 0)
		return enrol_fail(r, JOB_BAD_ANSWER, "empty", E_FORMAT, "%.120s%s: an answer with nothing in it",
		    t->base, operation);
	if (a->type[0] == 0)
		enrol_note(r, "%s: the answer says no content type", operation);
	else if (!media_is(a->type, BAG_TYPE))
		return enrol_fail(r, JOB_BAD_ANSWER, "wrong-type", E_FORMAT,
		    "%.120s%s: answered with %.100s, not " BAG_TYPE, t->base, operation, a->type);
	return 0;
}

/*
 * Is such an answer one of a server that has taken the client's certificate?  400 is what nginx says of one that does
 * not verify, and 429 or 5xx may come from a gateway before anything was looked at.
 */
static bool
shows_taken(unsigned status)
{
	return status != 400 && status != 401 && status != 403 && status != 429 && status < 500;
}

static void
record(struct job_result *r, const struct talk *t, int rc, const struct fetch_answer *a)
{
	r->http_status = a->status <= 999 ? a->status : 0;
	r->retry_after_s = a->retry_after_s < 0 ? -1 : a->retry_after_s < 1 ? 1 : a->retry_after_s;
	if (a->peer_date > 0)
		r->server_date = a->peer_date;
	if (a->request_id[0] != 0)
		(void)snprintf(r->request_id, sizeof(r->request_id), "%s", a->request_id);
	r->authenticated = rc == 0 && t->key != NULL && shows_taken(a->status);
}

int
talk_judge(struct job_result *r, const struct talk *t, const char *operation, int rc, const struct fetch_answer *a,
    const struct err *e)
{
	record(r, t, rc, a);
	if (rc != 0)
		return judge_failure(r, t, a, e);
	if (a->status != 200)
		return judge_status(r, t, operation, a);
	return judge_type(r, t, operation, a);
}
