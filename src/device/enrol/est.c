/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/est.c - one enrolment over EST: CA certificates, request, answer, checks (RFC 7030, RFC 8951) */
#include "device/enrol/answer.h"
#include "device/enrol/enrol_inside.h"
#include "device/enrol/request.h"
#include "device/enrol/talk.h"

#include "core/base/mem.h"
#include "core/codec/base64.h"

struct exchange {
	const struct job *j;
	struct job_result *r;
	int64_t now;
	struct talk talk;
	struct request request;
	struct fetch_answer answer;
	struct est_bag cas;          /* of /cacerts; n 0: not had */
	struct buf anchors, between; /* PEM: what the certificate is judged by */
	struct buf next;             /* PEM: the configured anchors and those they vouch for; n 0: there is none new */
	bool unbound;                /* the connection had no channel binding */
};

/* --- whom to trust --- */

/* The configured anchors, but for those that path validation does not take (version 1, say). */
static int
take_configured(struct exchange *x)
{
	struct bytes part[EST_CHAIN_MAX];
	AUTO_BUF der = { 0 };
	struct err e = { 0 };
	struct cert c;
	size_t n = 0;

	if (x->j->trust.n == 0)
		return 0;
	if (pem_decode_all(&der, part, &n, N_OF(part), bytes_of_buf(&x->j->trust), "CERTIFICATE", &e) != 0)
		return enrol_fail(x->r, JOB_BAD_JOB, NULL, e.code, "trusted certificates: %s", e.msg);
	for (size_t i = 0; i < n; i++)
		if (cert_parse(&c, part[i], NULL) == 0)
			pem_encode(&x->anchors, part[i], "CERTIFICATE");
	return 0;
}

/*
 * RFC 7030 4.1.3: a server that was verified by the system's anchors says itself which CA it issues from.  There are
 * servers that show the issuing CA alone.
 */
static int
take_told(struct exchange *x, struct err *e)
{
	struct cert c;

	if (!x->j->trust_system || x->talk.plain || x->cas.n == 0 ||
	    est_bag_roots(&x->anchors, &x->cas, x->now, NULL) == 0)
		return 0;
	for (size_t i = 0; i < x->cas.n; i++)
		if (cert_parse(&c, x->cas.cert[i], NULL) == 0 && c.ca)
			pem_encode(&x->anchors, c.der, "CERTIFICATE");
	enrol_note(x->r, "cacerts: no root in it; the CA certificates there count as anchors");
	return buf_check(&x->anchors, "cacerts", e);
}

/*
 * C10, RFC 7030 4.1.3: new roots are believed only when an old anchor vouches for them.  Whose word is no more than that
 * of a process which speaks with the network: it gives back what was said, and certd judges that by its own anchors.
 */
static int
roll_over(struct exchange *x, struct err *e)
{
	size_t n_new = 0;
	int rc;

	if (x->j->trust.n == 0 || x->cas.n == 0)
		return 0;
	rc = est_bag_rollover(&x->next, &n_new, &x->cas, bytes_of_buf(&x->anchors), x->now, e);
	if (rc != 0 || n_new == 0) {
		buf_free(&x->next);
		return rc;
	}
	x->r->trust_next.max = JOB_PEM_MAX;
	for (size_t i = 0; i < x->cas.n; i++)
		pem_encode(&x->r->trust_next, x->cas.cert[i], "CERTIFICATE");
	return buf_check(&x->r->trust_next, "cacerts", e);
}

/*
 * Nothing was issued yet, so a failure costs nothing.  One of HTTP is passed over when there are anchors already: the
 * answer itself may chain to them.  A busy server, or one that is not there or not the right one, ends the job.
 */
static int
pass_over(struct exchange *x)
{
	struct job_result *r = x->r;
	bool http = r->http_status != 0 && r->http_status != 429 && r->http_status != 503;

	if (x->anchors.n == 0 || !http || r->outcome == JOB_NO_SERVER || r->outcome == JOB_SERVER_UNTRUSTED ||
	    r->outcome == JOB_BAD_JOB)
		return E_UNAVAIL;
	enrol_note(r, "went on without cacerts: %s", r->text);
	r->outcome = JOB_DONE;
	r->check[0] = r->text[0] = 0;
	r->retry_after_s = -1;
	return 0;
}

static int
fetch_cas(struct exchange *x)
{
	struct err e = { 0 };
	int rc = talk_cacerts(&x->talk, &x->answer, &e);

	rc = talk_judge(x->r, &x->talk, "cacerts", rc, &x->answer, &e);
	if (rc == 0)
		rc = answer_parse(&x->cas, x->r, bytes_of_buf(&x->answer.body));
	return rc == 0 ? 0 : pass_over(x);
}

static int
learn_trust(struct exchange *x)
{
	struct err e = { 0 };
	int rc = take_configured(x);

	if (rc == 0)
		rc = fetch_cas(x);
	if (rc != 0)
		return rc;
	/* Before anything that the server told becomes an anchor. */
	rc = roll_over(x, &e);
	if (rc == 0)
		rc = take_told(x, &e);
	if (rc == 0 && x->anchors.n == 0)
		rc = err_set(&e, E_AUTH,
		    "cacerts: nothing that a certificate could be judged by: name the CA that issues");
	if (rc == 0)
		rc = est_bag_chain(&x->between, &x->cas, bytes_of_buf(&x->anchors), x->now, &e);
	return rc == 0 ? 0 : enrol_settle(x->r, JOB_BAD_ANSWER, "untrusted", &e);
}

/* --- the request --- */

/* Base64 in lines that end in LF alone: what existing servers get from the original. */
static void
put_body(struct buf *body, const struct buf *der)
{
	AUTO_BUF text = { 0 };

	base64_encode(&text, bytes_of_buf(der), 64);
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] != '\r')
			buf_put_u8(body, text.p[i]);
}

/* fetch's make_body: the request is made on the connection that carries it (RFC 7030 3.5, RFC 9266). */
static int
bind_request(void *ctx, const struct fetch_connection *c, struct buf *body, struct err *e)
{
	struct exchange *x = ctx;
	AUTO_BUF der = { 0 };
	int rc;

	/* Whether a request without one will do is the server's to say: it is whom the binding protects. */
	x->unbound = c->binding[0] == 0;
	rc = request_build(&der, &x->request, x->unbound ? NULL : c->binding, e);
	if (rc == 0)
		put_body(body, &der);
	return rc;
}

static int
ask(struct exchange *x)
{
	bool bind = x->j->bind_channel && x->request.key != NULL && !x->talk.plain;
	const struct err *key_error = &x->request.key_error;
	AUTO_BUF body = { 0 };
	struct err e = { 0 };
	int rc;

	if (!bind)
		put_body(&body, &x->request.der);
	rc = talk_enrol(&x->talk, &x->answer, bytes_of_buf(&body), bind ? bind_request : NULL, x, &e);
	if (rc != 0 && key_error->code != E_OK)
		return enrol_settle_key(x->r, key_error);
	if (rc == 0 && bind && x->unbound)
		enrol_note(x->r, "the connection had no channel binding, so the request has none");
	return talk_judge(x->r, &x->talk, talk_operation(&x->talk), rc, &x->answer, &e);
}

/* --- the answer --- */

static int
take(struct exchange *x)
{
	const struct request *q = &x->request;
	const struct answer_want want = { .spki = q->spki, .subject = q->subject, .sans = q->sans,
		.old = q->old_der.n != 0 ? &q->old : NULL, .ca = q->ca, .any_name = x->j->any_name };
	const struct answer_trust trust = { bytes_of_buf(&x->anchors), bytes_of_buf(&x->between) };
	AUTO_BAG bag = { 0 };
	AUTO_BUF leaf = { 0 };
	AUTO_BUF roots = { 0 };
	int rc = answer_parse(&bag, x->r, bytes_of_buf(&x->answer.body));

	if (rc == 0)
		rc = answer_judge(&leaf, x->r, &bag, &want, &trust, x->now);
	if (rc != 0)
		return rc;
	buf_put_bytes(&roots, bytes_of_buf(&x->anchors));
	buf_put_bytes(&roots, bytes_of_buf(&x->next));
	return answer_chain(x->r, bytes_of_buf(&leaf), &bag, &x->cas, &trust, bytes_of_buf(&roots), x->now);
}

static int
run(struct exchange *x)
{
	int rc = request_open(&x->request, x->j, x->r);

	if (rc == 0)
		rc = talk_open(&x->talk, x->j, x->r);
	if (rc == 0)
		rc = learn_trust(x);
	if (rc == 0)
		rc = ask(x);
	return rc != 0 ? rc : take(x);
}

void
enrol_est(struct job_result *r, const struct job *j, int64_t now)
{
	struct exchange *x = mem_zalloc(sizeof(*x));

	*x = (struct exchange){ .j = j, .r = r, .now = now };
	(void)run(x); /* what came of it stands in r */
	talk_close(&x->talk);
	request_close(&x->request);
	fetch_clear(&x->answer);
	est_bag_free(&x->cas);
	buf_free(&x->anchors);
	buf_free(&x->between);
	buf_free(&x->next);
	mem_free(x);
}
