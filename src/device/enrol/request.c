/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/request.c - the PKCS#10 of a job, given or made */
#include "device/enrol/request.h"

#include "core/est/client.h"
#include "device/enrol/enrol_inside.h"
#include "device/enrol/keyring.h"

static const struct sans no_sans;

static int
read_old(struct request *q, struct job_result *r)
{
	struct err e = { 0 };
	int rc;

	if (q->j->old.n == 0)
		return 0;
	rc = pem_decode(&q->old_der, bytes_of_buf(&q->j->old), "CERTIFICATE", &e);
	if (rc == 0)
		rc = cert_parse(&q->old, bytes_of_buf(&q->old_der), &e);
	if (rc == 0)
		return 0;
	(void)err_prefix(&e, (enum err_code)rc, "certificate to renew");
	return enrol_settle(r, JOB_BAD_JOB, NULL, &e);
}

/* Its octets are forwarded as they are, but nothing goes out that a CA could misread. */
static int
read_given(struct request *q, struct job_result *r)
{
	struct err e = { 0 };
	const char *note;
	int rc = est_request_der(&q->der, bytes_of_buf(&q->j->csr), &note, &e);

	if (rc == 0)
		rc = csr_parse(&q->csr, bytes_of_buf(&q->der), &e);
	if (rc != 0)
		return enrol_settle(r, JOB_REQUEST_REFUSED, NULL, &e);
	q->spki = q->csr.spki;
	q->subject = &q->csr.subject;
	q->sans = &q->csr.sans;
	q->ca = q->csr.wants_ca || q->j->want_ca;
	return 0;
}

static int
open_key(struct request *q, struct job_result *r)
{
	const struct job *j = q->j;
	struct err e = { 0 };
	int rc = j->create_key ? keyring_create(j, j->key, j->algorithms, &e) : 0;

	if (rc == 0)
		rc = keyring_open(&q->key, j, j->key, &e);
	if (rc != 0)
		return enrol_settle_key(r, &e);
	q->spki = key_spki(q->key);
	buf_put_bytes(&r->spki, q->spki);
	return 0;
}

/* Names as told, or as they were. */
static int
choose_names(struct request *q, struct job_result *r)
{
	const struct job *j = q->j;
	bool old = q->old_der.n != 0;

	q->subject = j->subject.n != 0 || !old ? &j->subject : q->old.subject_known ? &q->old.subject : NULL;
	q->sans = j->sans.n != 0 ? &j->sans : old && q->old.has_san && q->old.sans_known ? &q->old.sans : &no_sans;
	q->ca = j->want_ca || (old && q->old.ca);
	if (!old && j->subject.n == 0 && j->sans.n == 0)
		return enrol_fail(r, JOB_BAD_JOB, NULL, E_USAGE,
		    "request: neither subject nor alternative names are configured, and nothing is there to renew");
	if (q->subject == NULL && j->sans.n != 0)
		return enrol_fail(r, JOB_BAD_JOB, NULL, E_FORMAT,
		    "certificate to renew: its subject cannot be put beside other alternative names");
	return 0;
}

int
request_open(struct request *q, const struct job *j, struct job_result *r)
{
	struct err e = { 0 };
	int rc;

	q->j = j;
	rc = read_old(q, r);
	if (rc != 0)
		return rc;
	if (j->csr.n != 0)
		return read_given(q, r);
	if (j->key[0] == 0)
		return enrol_fail(r, JOB_BAD_JOB, NULL, E_USAGE, "job: neither a request nor a key to make one with");
	rc = open_key(q, r);
	if (rc == 0)
		rc = choose_names(q, r);
	if (rc == 0 && request_build(&q->der, q, NULL, &e) != 0)
		rc = q->key_error.code != E_OK ? enrol_settle_key(r, &e) : enrol_settle(r, JOB_BAD_JOB, NULL, &e);
	return rc;
}

void
request_close(struct request *q)
{
	buf_free(&q->der);
	buf_free(&q->old_der);
	key_free(q->key);
	q->key = NULL;
}

int
request_build(struct buf *der, struct request *q, const char *challenge, struct err *e)
{
	const struct job *j = q->j;
	struct csr_want want = { .subject = q->subject, .sans = q->sans, .challenge = challenge, .ca = q->ca,
		.client_auth = j->client_auth };
	bool renewal = q->old_der.n != 0 && j->subject.n == 0 && j->sans.n == 0;
	struct err why = { 0 };
	int rc;

	if (renewal)
		rc = (j->client_auth ? est_renewal_build_client
		                     : est_renewal_build)(der, &q->old, challenge, q->key, &why);
	else
		rc = csr_build(der, &want, q->key, &why);
	if (rc == 0)
		return 0;
	if (rc == E_CRYPTO || rc == E_UNAVAIL || rc == E_AUTH || rc == E_NOTFOUND)
		q->key_error = why;
	return err_set(e, (enum err_code)rc, "request: %s", why.msg);
}
