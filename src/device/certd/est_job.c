/* SPDX-License-Identifier: Apache-2.0 */
/* certd/est_job.c - from the settings of a certificate to the job that asks an EST server for it */
#include "device/certd/est_job.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/est/client.h"
#include "device/certd/anchors.h"
#include "device/service/slog.h"

#define PASSWORD_MAX ((size_t)4096)

static int
set_url(struct job *j, const struct certd_settings *s, const char *id, const char *fallback_url, struct err *e)
{
	const char *url = certd_url(s, id, fallback_url);

	if (url == NULL)
		return err_set(e, E_NOTFOUND, "certificate '%.100s': EST URL is not configured: set url in its [cert_issuance] "
		    "entry, or default in [cert_issuance.est.urls]", id);
	(void)snprintf(j->url, sizeof(j->url), "%s", url);
	j->plain_http = strncasecmp(url, "http://", 7) == 0;
	return 0;
}

static int
read_certs(struct buf *out, const struct certd_settings *s, const char *id, const char *use, struct err *e)
{
	int r;

	if (out->n > 0 && out->p[out->n - 1] != '\n')
		buf_put_u8(out, '\n');
	r = certs_read_any(out, s, id, e);
	return r == 0 ? 0 : err_prefix(e, r, "%s", use);
}

static int
read_trust(struct buf *out, const struct certd_settings *s, struct err *e)
{
	int r;

	for (char **id = s->trusted_certs; id != NULL && *id != NULL; id++)
		if ((r = read_certs(out, s, *id, "trusted_certs", e)) != 0)
			return r;
	return 0;
}

static int
set_trust(struct job *j, const struct certd_settings *s, struct err *e)
{
	int r;

	j->trust = BUF_MAX(JOB_PEM_MAX);
	if ((r = read_trust(&j->trust, s, e)) != 0)
		return r;
	anchors_apply(&j->trust, s);
	j->trust_system = s->trust_system;
	j->bind_channel = s->channel_binding;
	return 0;
}

/* Those that path validation takes; of others a worker makes nothing either. */
static int
put_usable(struct buf *out, struct bytes pem, struct err *e)
{
	struct bytes part[EST_CHAIN_MAX];
	AUTO_BUF der = { 0 };
	struct cert c;
	size_t n = 0;
	int r = pem_decode_all(&der, part, &n, N_OF(part), pem, "CERTIFICATE", e);

	for (size_t i = 0; i < n; i++)
		if (cert_parse(&c, part[i], NULL) == 0)
			pem_encode(out, part[i], "CERTIFICATE");
	return r;
}

/* C10: next is the anchors that are in force and what they vouch for in a server's list, whoever brought that list. */
static int
judge_roots(struct buf *next, struct bytes trust, struct bytes list, struct err *e)
{
	AUTO_BUF anchors = { 0 };
	AUTO_BAG bag = { 0 };
	size_t n_new = 0;
	int r = put_usable(&anchors, trust, e);

	if (r == 0)
		r = pem_decode_all(&bag.der, bag.cert, &bag.n, EST_BAG_MAX, list, "CERTIFICATE", e);
	if (r == 0)
		r = est_bag_rollover(next, &n_new, &bag, bytes_of_buf(&anchors), clock_now(), e);
	return r == 0 && n_new == 0 ? err_set(e, E_AUTH, "no anchor of ours vouches for it") : r;
}

void
est_job_learn(const struct certd_settings *s, const struct job_result *r)
{
	AUTO_BUF configured = BUF_MAX(JOB_PEM_MAX);
	AUTO_BUF trust = BUF_MAX(JOB_PEM_MAX);
	AUTO_BUF next = BUF_MAX(JOB_PEM_MAX);
	struct err e;
	int rc;

	if (r->trust_next.n == 0)
		return;
	/* As they are configured now, which need not be how the job began. */
	rc = read_trust(&configured, s, &e);
	buf_put_bytes(&trust, bytes_of_buf(&configured));
	anchors_apply(&trust, s);
	if (rc == 0)
		rc = judge_roots(&next, bytes_of_buf(&trust), bytes_of_buf(&r->trust_next), &e);
	if (rc != 0 || anchors_learn(s, bytes_of_buf(&configured), bytes_of_buf(&next), &e) != 0)
		slog(SLOG_WARN, "The EST server's new root was not kept: %s", e.msg);
	else
		slog(SLOG_INFO, "The EST server has a new root, and an anchor of ours vouches for it: it is trusted from now on.");
}

static int
set_basic(struct job *j, const struct est_auth_settings *a, struct err *e)
{
	int r;

	if (a->username == NULL)
		return 0;
	(void)snprintf(j->user, sizeof(j->user), "%s", a->username);
	j->password = BUF_MAX(PASSWORD_MAX);
	if (a->password_file == NULL) {
		buf_put_str(&j->password, a->password);
		return buf_check(&j->password, "password", e);
	}
	if ((r = file_read(&j->password, a->password_file, PASSWORD_MAX, e)) != 0)
		return err_prefix(e, r, "password_file");
	while (j->password.n > 0 && (j->password.p[j->password.n - 1] == '\n' || j->password.p[j->password.n - 1] == '\r'))
		j->password.n--;
	return 0;
}

static void
set_headers(struct job *j, const struct est_auth_settings *a, enum est_as as)
{
	if (a->headers == NULL || ((as == EST_AS_IDENTITY || as == EST_AS_ITSELF) && !a->headers_always))
		return;
	for (; a->headers[j->n_headers] != NULL && j->n_headers < JOB_HEADERS_MAX; j->n_headers++)
		(void)snprintf(j->header[j->n_headers], sizeof(j->header[0]), "%s", a->headers[j->n_headers]);
}

static int
set_pair(struct job *j, const struct certd_settings *s, const char *cert, const char *pk, const char *use,
    struct err *e)
{
	j->client_chain = BUF_MAX(JOB_PEM_MAX);
	(void)snprintf(j->client_key, sizeof(j->client_key), "%s", pk);
	return read_certs(&j->client_chain, s, cert, use, e);
}

static int
set_client(struct job *j, const struct certd_settings *s, const struct est_auth_settings *a, const char *owner,
    enum est_as as, struct err *e)
{
	const struct issuance *is = certd_issuance(s, owner);

	if (as == EST_AS_NOBODY)
		return 0;
	if (as == EST_AS_ITSELF)
		return is != NULL && is->pk != NULL ? set_pair(j, s, owner, is->pk, "the certificate itself", e)
		    : err_set(e, E_NOTFOUND, "certificate '%.100s': no pk is configured", owner);
	if (as == EST_AS_IDENTITY && a->identity_cert == NULL)
		return err_set(e, E_NOTFOUND, "certificate '%.100s': EST identity is not configured: set identity_cert and "
		    "identity_pk", owner);
	if (as == EST_AS_IDENTITY)
		return set_pair(j, s, a->identity_cert, a->identity_pk, "identity_cert", e);
	if (a->bootstrap_cert != NULL)
		return set_pair(j, s, a->bootstrap_cert, a->bootstrap_pk, "bootstrap_identity_cert", e);
	if (a->username == NULL && !a->anonymous)
		return err_set(e, E_NOTFOUND, "certificate '%.100s': EST bootstrap identity is not configured: set "
		    "bootstrap_identity_cert and bootstrap_identity_pk, or a username", owner);
	return 0;
}

static int
fill(struct job *j, const struct certd_settings *s, const char *id, const char *owner, const char *fallback_url,
    enum est_as as, struct err *e)
{
	const struct est_auth_settings *a = certd_auth(s, owner);
	int r;

	j->kind = JOB_EST;
	j->deadline_s = s->est_timeout_s;
	(void)snprintf(j->keyd_socket, sizeof(j->keyd_socket), "%s", s->keyd_socket);
	(void)snprintf(j->proxy, sizeof(j->proxy), "%s", s->proxy != NULL ? s->proxy : "");
	(void)snprintf(j->no_proxy, sizeof(j->no_proxy), "%s", s->no_proxy != NULL ? s->no_proxy : "");
	if (a == NULL)
		return err_set(e, E_NOTFOUND, "certificate '%.100s': EST auth is not configured: set an identity or a username "
		    "in its [cert_issuance] entry or in [cert_issuance.est], or anonymous = true", owner);
	if ((r = set_url(j, s, id, fallback_url, e)) != 0 || (r = set_client(j, s, a, owner, as, e)) != 0 ||
	    (r = set_basic(j, a, e)) != 0)
		return r;
	set_headers(j, a, as);
	return set_trust(j, s, e);
}

int
est_job_fill(struct job *j, const struct certd_settings *s, const char *id, const char *owner, const char *fallback_url,
    enum est_as as, struct err *e)
{
	struct job made = { 0 };
	int r = fill(&made, s, id, owner, fallback_url, as, e);

	if (r != 0)
		job_clear(&made);
	else
		*j = made;
	mem_wipe(&made, sizeof(made)); /* headers and proxies carry secrets too */
	return r;
}

/*
 * An endpoint that makes CAs makes no client certificates, and a CA's name is not the device's: the identity for one is
 * asked for as another certificate with the same identity would.
 */
static const struct issuance *
identity_like(const struct certd_settings *s, const struct issuance *is, const char *identity)
{
	for (size_t i = 0; is->ca && i < s->n_issuance; i++) {
		const struct issuance *other = &s->issuance[i];
		const struct est_auth_settings *a = certd_auth(s, other->id);

		if (other->method == METHOD_EST && !other->ca && a != NULL && a->identity_cert != NULL &&
		    strcmp(a->identity_cert, identity) == 0 && strcmp(other->id, identity) != 0 &&
		    certd_url(s, other->id, NULL) != NULL)
			return other;
	}
	return is;
}

/* The name that the bootstrap certificate says; false when there is none to be had. */
static bool
bootstrap_name(struct name *out, const struct certd_settings *s, const struct est_auth_settings *a)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);
	AUTO_BUF der = { 0 };
	struct cert leaf;
	struct err e;

	if (a->bootstrap_cert == NULL || certs_read_any(&pem, s, a->bootstrap_cert, &e) != 0 ||
	    certs_leaf(&leaf, &der, bytes_of_buf(&pem), &e) != 0 || !leaf.subject_known)
		return false;
	*out = leaf.subject;
	return true;
}

const char *
est_job_identity(struct name *name, const struct certd_settings *s, const struct issuance *is)
{
	const struct est_auth_settings *a = certd_auth(s, is->id);
	const struct issuance *like = identity_like(s, is, a->identity_cert);
	struct name born;

	if (is->ca && (like == is || !like->has_subject) && bootstrap_name(&born, s, a))
		*name = born;
	else if (like->has_subject)
		*name = like->subject;
	return certd_url(s, like->id, NULL);
}
