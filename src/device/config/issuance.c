/* SPDX-License-Identifier: Apache-2.0 */
/* config/issuance.c - how certificates are issued: over EST and as whom, by the local CA, one by one */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "core/base/mem.h"
#include "device/config/read.h"
#include "device/service/stem.h"

#define DAYS_MAX    36500
#define HEADERS_MAX 8

/* --- who we are at an EST server --- */

static bool
whole_pair(struct reading *rd, const struct toml *t, const char *a, const char *b)
{
	const struct toml *va = t != NULL ? toml_get(t, a) : NULL, *vb = t != NULL ? toml_get(t, b) : NULL;

	if ((va == NULL) != (vb == NULL))
		rd_warn(rd, va != NULL ? va : vb, "is not used without '%s': give both or none",
		    va != NULL ? b : a);
	return va != NULL && vb != NULL;
}

static bool
same_text(const struct toml *t, const char *a, const char *b)
{
	const struct toml *va = toml_get(t, a), *vb = toml_get(t, b);

	return toml_kind(va) == TOML_STRING && toml_kind(vb) == TOML_STRING &&
	    strcmp(toml_string(va), toml_string(vb)) == 0;
}

static void
preload_pair(struct reading *rd, const struct toml *t, const char *cert, const char *pk, const char *id)
{
	rd_preload_cert(rd, toml_get(t, cert), id);
	rd_preload_key(rd, toml_get(t, pk), id, REFERENCE_KEY);
}

/*
 * Certificates that say who we are.  The bootstrap pair alone: certd fetches an identity with it
 * and renews that.  The identity pair alone: certd works with a copy of it.  Both, and different ones: the
 * identity as long as it is good, else the bootstrap; when they are the same files nobody can
 * have meant anything but the bootstrap.
 */
static void
read_x509(struct reading *rd, const struct toml *t, const char *suffix, bool temp, struct est_auth *a,
    struct words *keys)
{
	bool identity = whole_pair(rd, t, "identity_cert", "identity_pk");
	bool bootstrap = whole_pair(rd, t, "bootstrap_identity_cert", "bootstrap_identity_pk");
	const char *id = plan_text(rd->p, "est-id%s", suffix),
		   *born = plan_text(rd->p, "est-bootstrap-id%s", suffix);

	if (identity && bootstrap && same_text(t, "identity_cert", "bootstrap_identity_cert") &&
	    same_text(t, "identity_pk", "bootstrap_identity_pk"))
		identity = false;
	else if (identity && bootstrap)
		rd_warn(rd, toml_get(t, "identity_cert"),
		    "is used as long as it is good, then the bootstrap identity; without "
		    "identity_cert and identity_pk an identity is fetched with the bootstrap one, and renewed");
	a->identity = identity || bootstrap ? id : NULL;
	a->bootstrap = bootstrap ? born : NULL;
	if (bootstrap) {
		preload_pair(rd, t, "bootstrap_identity_cert", "bootstrap_identity_pk", born);
		words_add(keys, born);
	}
	/* The order of what follows differs between one certificate's and the global form, and always has. */
	if (bootstrap && !identity && *suffix != 0)
		words_add(keys, plan_text(rd->p, "%s-temp", id));
	if (identity)
		preload_pair(rd, t, "identity_cert", "identity_pk", id);
	if (identity || bootstrap)
		words_add(keys, id);
	if (bootstrap && !identity && *suffix == 0 && temp)
		words_add(keys, plan_text(rd->p, "%s-temp", id));
}

static void
add_header(struct reading *rd, struct est_auth *a, const struct toml *v)
{
	if (toml_kind(v) != TOML_STRING)
		rd_error(rd, v, "a text is needed: headers = [\"Name: value\"]");
	else if (strpbrk(toml_string(v), "\r\n") != NULL)
		rd_error(rd, v, "a header has one line");
	else if (*toml_key(v) != 0)
		words_add(&a->headers, plan_text(rd->p, "%s: %s", toml_key(v), toml_string(v)));
	else if (strchr(toml_string(v), ':') == NULL)
		rd_error(rd, v, "a header is written \"Name: value\"");
	else
		words_add(&a->headers, toml_string(v));
}

/* [ "Name: value" ], or a table Name = "value". */
static void
read_headers(struct reading *rd, const struct toml *t, struct est_auth *a)
{
	const struct toml *v = t != NULL ? toml_get(t, "headers") : NULL;

	if (v == NULL)
		return;
	if ((toml_kind(v) != TOML_ARRAY && toml_kind(v) != TOML_TABLE) || toml_count(v) > HEADERS_MAX) {
		rd_error(rd, v, "at most %d headers, written [\"Name: value\"], are needed", HEADERS_MAX);
		return;
	}
	for (size_t i = 0; i < toml_count(v); i++)
		add_header(rd, a, toml_at(v, i));
}

static void
read_auth(struct reading *rd, const struct toml *t, const char *suffix, bool temp, struct est_auth *a,
    struct words *keys)
{
	bool file = t != NULL && toml_get(t, "password_file") != NULL;

	if (file || whole_pair(rd, t, "username", "password")) {
		a->username = rd_str(rd, t, "username");
		a->password = rd_str(rd, t, "password");
	}
	if (file && a->username == NULL)
		rd_warn(rd, toml_get(t, "password_file"), "is not used without 'username'");
	read_headers(rd, t, a);
	read_x509(rd, t, suffix, temp, a, keys);
}

/* --- one certificate --- */

void
read_subject(struct reading *rd, const struct toml *t, const char **common_name, struct map *subject)
{
	const struct toml *table = rd_table(rd, t, "subject");

	*common_name = rd_str(rd, t, "common_name");
	if (*common_name != NULL && table != NULL) {
		rd_warn(rd, table, "is not used beside common_name: leave one of them out");
		return;
	}
	for (size_t i = 0; table != NULL && i < toml_count(table); i++) {
		const struct toml *v = toml_at(table, i);

		if (toml_kind(v) != TOML_STRING)
			rd_error(rd, v, "is %s; a text is needed", toml_kind_name(toml_kind(v)));
		else
			(void)map_put(subject, toml_key(v), toml_string(v));
	}
}

static bool
known_method(struct reading *rd, const struct toml *t, const char *method)
{
	static const char *const known[] = { "est", "local_ca", "self_signed" };

	for (size_t i = 0; i < N_OF(known); i++)
		if (strcmp(known[i], method) == 0)
			return true;
	if (*method != 0)
		rd_error(rd, toml_get(t, "method"),
		    "'%.40s' is none: \"est\", \"local_ca\" or \"self_signed\"", method);
	return false;
}

/* An EST certificate needs a server and a way in; by hand they may stand in certd's own files. */
static void
look_for_server(struct reading *rd, const struct toml *t, const struct issue *is)
{
	const struct toml *all = toml_get(rd->doc, "cert_issuance");
	const struct toml *est = all != NULL ? toml_get(all, "est") : NULL;
	const struct toml *urls = est != NULL ? toml_get(est, "urls") : NULL,
			  *auth = est != NULL ? toml_get(est, "auth") : NULL;
	bool own =
	    is->auth.username != NULL || is->auth.identity != NULL || toml_get(t, "anonymous") != NULL;

	if (is->url == NULL &&
	    (urls == NULL || (toml_get(urls, is->id) == NULL && toml_get(urls, "default") == NULL)))
		rd_warn(rd, t, "has no EST server: give url here, or default in [cert_issuance.est.urls]");
	if (!own && (auth == NULL || toml_count(auth) == 0))
		rd_warn(rd, t, "has no way to authenticate: give one here, or in [cert_issuance.est.auth]");
}

struct issue *
read_issue(struct reading *rd, const struct toml *t, const char *id, struct words *keys)
{
	const char *method =
	    rd_need(rd, t, "method", "write method = \"est\", \"local_ca\" or \"self_signed\"");
	struct issue *is;

	if (!known_method(rd, t, method))
		return NULL;
	is = plan_issue(rd->p, id);
	is->method = method;
	is->days = rd_int(rd, t, "expiry_days", 0, 1, DAYS_MAX);
	is->own = t;
	read_subject(rd, t, &is->common_name, &is->subject);
	if (strcmp(method, "est") == 0) {
		is->url = rd_url(rd, t, "url");
		read_auth(rd, t, plan_text(rd->p, "-%s", id), true, &is->auth, keys);
		look_for_server(rd, t, is);
	} else if (strcmp(method, "local_ca") == 0 &&
	    rd_table(rd, rd_table(rd, rd->doc, "cert_issuance"), "local_ca") == NULL) {
		rd_error(rd, toml_get(t, "method"),
		    "there is no local CA: add [cert_issuance.local_ca] with cert and pk");
	}
	return is;
}

void
copy_issue(struct plan *p, const char *from, const char *to)
{
	struct issue *is = plan_issue(p, to), *old = p->issues;

	while (strcmp(old->id, from) != 0)
		old++;
	*is = *old;
	is->id = to;
	is->subject = (struct map){ 0 };
	is->auth.headers = (struct words){ 0 };
	for (size_t i = 0; i < old->subject.n; i++)
		(void)map_put(&is->subject, old->subject.v[i].key, old->subject.v[i].value);
	for (size_t i = 0; i < old->auth.headers.n; i++)
		words_add(&is->auth.headers, old->auth.headers.v[i]);
}

/* --- [cert_issuance] --- */

static void
read_trust(struct reading *rd, const struct toml *est)
{
	const struct toml *list = toml_get(est, "trusted_certs");

	if (list == NULL)
		return;
	if (toml_kind(list) != TOML_ARRAY) {
		rd_error(rd, list, "is %s; write trusted_certs = [\"file:///path\"]",
		    toml_kind_name(toml_kind(list)));
		return;
	}
	for (size_t i = 0; i < toml_count(list); i++) {
		const char *id = plan_text(rd->p, "est-server-ca-%zu", i + 1);

		rd_preload_cert(rd, toml_at(list, i), id);
		words_add(&rd->p->trusted, id);
	}
}

static void
read_est(struct reading *rd, const struct toml *est)
{
	const struct toml *urls = rd_table(rd, est, "urls"), *auth = rd_table(rd, est, "auth");

	rd->p->est_renewal = renewal_default;
	if (est == NULL)
		return;
	rd->p->has_est = true;
	rd->p->est = est;
	read_trust(rd, est);
	rd->p->est_renewal = rd_renewal(rd, est, "identity_auto_renew");
	read_auth(rd, auth, "", rd->p->est_renewal.rotate, &rd->p->est_auth, &rd->cs_keys->ids);
	for (size_t i = 0; urls != NULL && i < toml_count(urls); i++) {
		const char *url = rd_url(rd, urls, toml_key(toml_at(urls, i)));

		if (url != NULL)
			(void)map_put(&rd->p->urls, toml_key(toml_at(urls, i)), url);
	}
}

static void
read_local_ca(struct reading *rd, const struct toml *t)
{
	const struct toml *cert = t != NULL ? toml_get(t, "cert") : NULL,
			  *pk = t != NULL ? toml_get(t, "pk") : NULL;

	if (t == NULL)
		return;
	rd->p->has_local_ca = true;
	if (cert == NULL) {
		rd_error(rd, t, "'cert' is missing: a file: URI, or a table that says how it is issued");
	} else if (toml_kind(cert) == TOML_TABLE) {
		(void)read_issue(rd, cert, "local-ca", &rd->cs_keys->ids);
	} else if (pk == NULL) {
		rd_error(rd, t, "'pk' is missing: the URI of the CA's key");
	} else {
		rd_preload_cert(rd, cert, "local-ca");
		rd_preload_key(rd, pk, "local-ca", REFERENCE_KEY);
	}
	words_add(&rd->cs_keys->ids, "local-ca");
}

/* A certificate of whatever ID; the original has these in certd's own files alone. */
static void
read_other(struct reading *rd, const struct toml *t)
{
	const char *pk;
	struct err why;

	if (toml_kind(t) != TOML_TABLE) {
		rd_error(rd, t, "is %s, not a table that says how this certificate is issued",
		    toml_kind_name(toml_kind(t)));
		return;
	}
	if (stem_check_id(toml_key(t), &why) != 0) {
		rd_error(rd, t, "%s", why.msg);
		return;
	}
	(void)read_issue(rd, t, toml_key(t), &rd->cs_keys->ids);
	pk = rd_str(rd, t, "pk");
	if (pk == NULL)
		return;
	words_add(&rd->cs_keys->ids, plan_text(rd->p, "%s-temp", pk));
	words_add(&rd->cs_keys->ids, pk);
}

void
read_issuance(struct reading *rd)
{
	const struct toml *all = rd_table(rd, rd->doc, "cert_issuance");

	read_est(rd, rd_table(rd, all, "est"));
	read_local_ca(rd, rd_table(rd, all, "local_ca"));
	for (size_t i = 0; all != NULL && i < toml_count(all); i++) {
		const char *key = toml_key(toml_at(all, i));

		if (strcmp(key, "est") != 0 && strcmp(key, "local_ca") != 0)
			read_other(rd, toml_at(all, i));
	}
}
