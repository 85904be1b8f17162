/* SPDX-License-Identifier: Apache-2.0 */
/* check/files.c - certificates on disk: there, readable by the service, whole, and how long they live */
#include "device/check/files.h"

#include <string.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "device/certd/certs.h"
#include "device/check/reader.h"

#define SOON_S (7 * CHECK_DAY_S)

int
files_leaf(struct cert *out, struct buf *der, const struct certd_settings *s, const char *id, struct err *e)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);
	int r = certs_read_any(&pem, s, id, e);

	return r != 0 ? r : certs_leaf(out, der, bytes_of_buf(&pem), e);
}

/*
 * Short lives are renewed late by the original's measure, and yet in time: for them the last tenth is what a week is
 * for the long ones.
 */
static int64_t
soon(const struct cert *cert)
{
	int64_t tenth = (cert->not_after - cert->not_before) / 10;

	return cert->not_after == INT64_MAX || tenth > SOON_S ? SOON_S : tenth;
}

static void
judge_life(struct check_result *r, const struct cert *cert, const char *what)
{
	int64_t now = clock_now();
	char at[CLOCK_TEXT_MAX];

	if (now >= cert->not_after)
		check_error(r, "%s has expired at %s", what, clock_text(cert->not_after, at));
	else if (now < cert->not_before)
		check_error(r, "%s is not valid before %s; is this machine's clock right?", what,
		    clock_text(cert->not_before, at));
	else if (cert->not_after - now < soon(cert))
		check_warn(r, "%s expires at %s", what, clock_text(cert->not_after, at));
}

static void
put_life(struct check_result *r, const char *id, const struct cert *cert)
{
	char at[CLOCK_TEXT_MAX];

	if (r->info == NULL)
		r->info = json_object();
	json_setf(r->info, id, "%s", clock_text(cert->not_after, at));
}

/* One certificate of certd's; made: it comes into being when it is first needed, so there need not be one yet. */
static void
judge_one(struct checking *c, struct check_result *r, const char *id, const char *what, bool made)
{
	bool preloaded = certd_preloaded(c->certd, id) != NULL;
	AUTO_BUF der = { 0 };
	AUTO_BUF text = { 0 };
	struct cert cert;
	struct err e;
	int rc;

	if (r->info != NULL && json_object_get(r->info, id) != NULL)
		return; /* named more than once */
	buf_printf(&text, "%s '%.200s'", what, id);
	rc = files_leaf(&cert, &der, c->certd, id, &e);
	if (rc == 0) {
		put_life(r, id, &cert);
		judge_life(r, &cert, buf_str(&text));
	} else if (rc == E_NOTFOUND && made && !preloaded) {
		check_note(r, "%s: not issued yet", buf_str(&text));
	} else if (preloaded) {
		check_note(r, "%s: certs-preloaded says what is wrong with it", buf_str(&text));
	} else {
		check_error(r, "%s: %s", what, e.msg);
	}
}

void
files_identity(struct checking *c, struct check_result *r)
{
	const struct identityd_settings *s = c->identityd;

	if (s == NULL && !c->configured[SERVICE_IDENTITYD])
		check_ignore(r, "identityd is not configured");
	else if (s == NULL || c->certd == NULL)
		check_skip(r, "the configuration could not be read");
	else if (s->auth != AUTH_IS_X509)
		check_ignore(r, "the device's identity is not a certificate");
	else
		judge_one(c, r, s->cert, "device identity certificate", true);
}

static void
judge_auth(struct checking *c, struct check_result *r, const struct est_auth_settings *a)
{
	if (a->given && a->identity_cert != NULL)
		judge_one(c, r, a->identity_cert, "EST identity certificate", true);
	if (a->given && a->bootstrap_cert != NULL)
		judge_one(c, r, a->bootstrap_cert, "EST bootstrap certificate", false);
}

void
files_est(struct checking *c, struct check_result *r)
{
	const struct certd_settings *s = c->certd;

	if (s == NULL) {
		check_skip(r, "certd's configuration could not be read");
		return;
	}
	judge_auth(c, r, &s->est_auth);
	for (size_t i = 0; i < s->n_issuance; i++)
		judge_auth(c, r, &s->issuance[i].auth);
	if (r->info == NULL && r->notes == NULL && r->kind == CHECK_OK)
		check_ignore(r, "no EST identity or bootstrap certificate is configured");
}

void
files_local_ca(struct checking *c, struct check_result *r)
{
	if (c->certd == NULL)
		check_skip(r, "certd's configuration could not be read");
	else if (c->certd->local_ca_cert == NULL)
		check_ignore(r, "there is no local CA");
	else
		judge_one(c, r, c->certd->local_ca_cert, "local CA certificate",
		    certd_issuance(c->certd, c->certd->local_ca_cert) != NULL);
}

/* --- what is preloaded --- */

static void
judge_content(struct check_result *r, const struct preloaded *p, struct bytes pem)
{
	struct bytes part[CHECK_CERTS_MAX];
	AUTO_BUF der = { 0 };
	struct cert cert;
	struct err e;
	size_t n = 0;

	if (pem_decode_all(&der, part, &n, CHECK_CERTS_MAX, pem, "CERTIFICATE", &e) != 0) {
		check_error(r, "certificate '%.200s' in %s: %s", p->id, p->path, e.msg);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		AUTO_BUF what = { 0 };

		buf_printf(&what, "certificate '%.200s' in %s", p->id, p->path);
		if (n > 1)
			buf_printf(&what, ", the %zu. in it,", i + 1);
		if (cert_read(&cert, part[i], &e) != 0) {
			check_error(r, "%s: %s", buf_str(&what), e.msg);
			continue;
		}
		judge_life(r, &cert, buf_str(&what));
		if (i == 0)
			put_life(r, p->id, &cert);
	}
}

static void
judge_preloaded(struct check_result *r, const struct reader *user, const struct preloaded *p)
{
	AUTO_BUF pem = BUF_MAX(CHECK_FILE_MAX);
	struct err e;

	if (reader_check(user, p->path, &e) != 0 || file_read(&pem, p->path, CHECK_FILE_MAX, &e) != 0)
		check_error(r, "certificate '%.200s': %s", p->id, e.msg);
	else
		judge_content(r, p, bytes_of_buf(&pem));
}

void
files_preloaded(struct checking *c, struct check_result *r)
{
	const struct certd_settings *s = c->certd;
	struct reader user;

	if (s == NULL) {
		check_skip(r, "certd's configuration could not be read");
		return;
	}
	reader_find(&user, &c->at[SERVICE_CERTD]);
	for (size_t i = 0; i < s->n_preloaded; i++)
		if (s->preloaded[i].path != NULL)
			judge_preloaded(r, &user, &s->preloaded[i]);
}
