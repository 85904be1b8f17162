/* SPDX-License-Identifier: Apache-2.0 */
/* certd/settings.c - certd's configuration: from the merged TOML to values */
#include "device/certd/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/mem.h"
#include "device/certd/settings_inside.h"
#include "device/enrol/job.h"

#define MAX_REQUESTS     10   /* of one user at once; the original's default */
#define MAX_REQUESTS_TOP 1000
#define TEMP_SUFFIX      "-temp"

static const struct settings_key any_keys[] = { { "*", NULL }, { NULL, NULL } };
static const struct settings_key policy_keys[] = {
	{ "rotate_key", NULL }, { "threshold", NULL }, { "retry", NULL }, { NULL, NULL },
};
#define AUTH_KEYS                                                              \
	{ "username", NULL }, { "password", NULL }, { "password_file", NULL },     \
	{ "identity_cert", NULL }, { "identity_pk", NULL }, { "bootstrap_identity_cert", NULL }, \
	{ "bootstrap_identity_pk", NULL }, { "headers", NULL }, { "headers_always", NULL }, { "anonymous", NULL }
static const struct settings_key auth_keys[] = { AUTH_KEYS, { NULL, NULL } };
static const struct settings_key est_keys[] = {
	AUTH_KEYS, { "auth", auth_keys }, { "trusted_certs", NULL }, { "trust_system", NULL },
	{ "channel_binding", NULL }, { "reenroll", NULL },
	{ "identity_auto_renew", policy_keys }, { "urls", any_keys }, { "default", NULL }, { "proxy", NULL },
	{ "no_proxy", NULL }, { "timeout", NULL }, { NULL, NULL },
};
static const struct settings_key issuance_keys[] = {
	AUTH_KEYS, { "auth", auth_keys }, { "method", NULL }, { "expiry_days", NULL }, { "common_name", NULL },
	{ "subject", any_keys }, { "san", NULL }, { "url", NULL }, { "pk", NULL }, { "algorithms", NULL },
	{ "auto_renew", policy_keys }, { "reenroll", NULL }, { "ca", NULL }, { "pathlen", NULL }, { "key_usage", NULL },
	{ "extended_key_usage", NULL }, { NULL, NULL },
};
static const struct settings_key local_ca_keys[] = { { "cert", NULL }, { "pk", NULL }, { NULL, NULL } };
static const struct settings_key all_issuance_keys[] = {
	{ "est", est_keys }, { "local_ca", local_ca_keys }, { "*", issuance_keys }, { NULL, NULL },
};
static const struct settings_key endpoint_keys[] = {
	{ "aziot_certd", NULL }, { "aziot_keyd", NULL }, { NULL, NULL },
};
static const struct settings_key principal_keys[] = { { "uid", NULL }, { "certs", NULL }, { NULL, NULL } };
static const struct settings_key schema[] = {
	{ "homedir_path", NULL }, { "max_requests", NULL }, { "close_when_full", NULL }, { "endpoints", endpoint_keys },
	{ "cert_issuance", all_issuance_keys }, { "preloaded_certs", any_keys }, { "principal", principal_keys },
	{ NULL, NULL },
};

void
settings_warn(const struct reading *rd, const struct toml *v, const char *fmt, ...)
{
	struct err text = { 0 }, where = { 0 };
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text.msg, sizeof(text.msg), fmt, ap);
	va_end(ap);
	(void)toml_err(&where, v, "%s", text.msg);
	rd->warn(rd->ctx, where.msg);
}

/* Of a table that may be absent. */
static const struct toml *
member(const struct toml *table, const char *key)
{
	return table != NULL ? toml_get(table, key) : NULL;
}

int
settings_copy(const struct reading *rd, char **out, const struct toml *table, const char *key)
{
	const char *text = NULL;
	int r;

	if (table == NULL)
		return 0;
	if ((r = settings_str(&text, table, key, NULL, rd->e)) != 0)
		return r;
	if (text != NULL && *text != 0)
		*out = mem_strdup(text);
	return 0;
}

void
settings_list_free(char **list)
{
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		mem_free(list[i]);
	mem_free(list);
}

/* The texts of an array, wherever it stands. */
static int
list_of(const struct reading *rd, char ***out, const struct toml *v)
{
	char **list;

	if (toml_kind(v) != TOML_ARRAY)
		return toml_err(rd->e, v, "an array of texts is needed, not %s", toml_kind_name(toml_kind(v)));
	list = mem_zalloc_n(toml_count(v) + 1, sizeof(*list));
	for (size_t i = 0; i < toml_count(v); i++) {
		if (toml_kind(toml_at(v, i)) != TOML_STRING) {
			settings_list_free(list);
			return toml_err(rd->e, toml_at(v, i), "a text is needed, not %s",
			    toml_kind_name(toml_kind(toml_at(v, i))));
		}
		list[i] = mem_strdup(toml_string(toml_at(v, i)));
	}
	*out = list;
	return 0;
}

int
settings_list(const struct reading *rd, char ***out, const struct toml *table, const char *key)
{
	const struct toml *v = member(table, key);

	return v == NULL ? 0 : list_of(rd, out, v);
}

static bool
is_uri(const char *text, const char *scheme)
{
	return strncasecmp(text, scheme, strlen(scheme)) == 0;
}

static struct preloaded *
add_preloaded(struct certd_settings *s, const char *id)
{
	struct preloaded *p;

	s->preloaded = mem_resize(s->preloaded, s->n_preloaded * sizeof(*p), (s->n_preloaded + 1) * sizeof(*p));
	p = &s->preloaded[s->n_preloaded++];
	p->id = mem_strdup(id);
	return p;
}

static int
file_of(const struct reading *rd, struct preloaded *p, const struct toml *at, const char *uri)
{
	char path[PLACE_MAX];
	struct err why;

	if (place_from_file_uri(path, uri, &why) != 0)
		return toml_err(rd->e, at, "%s", why.msg);
	p->path = mem_strdup(path);
	return 0;
}

int
settings_note_file(const struct reading *rd, const struct toml *at, const char *id_or_uri)
{
	struct err why;

	if (stem_check_id(id_or_uri, &why) != 0)
		return toml_err(rd->e, at, "%s", why.msg);
	if (!is_uri(id_or_uri, "file:") || certd_preloaded(rd->s, id_or_uri) != NULL)
		return 0;
	return file_of(rd, add_preloaded(rd->s, id_or_uri), at, id_or_uri);
}

int
settings_cert_id(const struct reading *rd, char **out, const struct toml *table, const char *key)
{
	int r = settings_copy(rd, out, table, key);

	return r != 0 || *out == NULL ? r : settings_note_file(rd, toml_get(table, key), *out);
}

int
settings_key_id(const struct reading *rd, char **out, const struct toml *table, const char *key)
{
	int r = settings_copy(rd, out, table, key);
	struct err why;

	if (r != 0 || *out == NULL)
		return r;
	if (is_uri(*out, "file:") || is_uri(*out, "pkcs11:"))
		return toml_err(rd->e, toml_get(table, key), "a key ID is needed, certd opens no keys: put the URI into "
		    "[preloaded_keys] of keyd's configuration under an ID, and that ID here");
	if (stem_check_id(*out, &why) != 0)
		return toml_err(rd->e, toml_get(table, key), "%s", why.msg);
	return 0;
}

/* Between "//" and the path. */
static bool
has_user(const char *url)
{
	const char *authority = strstr(url, "//");

	return authority != NULL && memchr(authority + 2, '@', strcspn(authority + 2, "/?#\\")) != NULL;
}

int
settings_url(const struct reading *rd, char **out, const struct toml *table, const char *key)
{
	int r = settings_copy(rd, out, table, key);

	if (r != 0 || *out == NULL)
		return r;
	if (has_user(*out))
		return toml_err(rd->e, toml_get(table, key), "no user or password belongs into a URL, which everybody is "
		    "shown: use username and password_file");
	if (strlen(*out) >= JOB_URL_MAX)
		return toml_err(rd->e, toml_get(table, key), "a URL of at most %d octets is needed", JOB_URL_MAX - 1);
	if (is_uri(*out, "http://"))
		settings_warn(rd, toml_get(table, key), "%s", CERTD_PLAIN_HTTP);
	else if (!is_uri(*out, "https://"))
		return toml_err(rd->e, toml_get(table, key), "a URL that begins with https:// is needed");
	return 0;
}

static int
read_home(const struct reading *rd, const struct toml *doc, const struct place *p)
{
	const char *home;
	int r = settings_str(&home, doc, "homedir_path", p->home, rd->e);

	if (r != 0)
		return r;
	if (home[0] != '/' || strlen(home) >= PLACE_MAX)
		return toml_err(rd->e, toml_get(doc, "homedir_path"), "an absolute path of at most %d octets is needed",
		    PLACE_MAX - 1);
	rd->s->home = mem_strdup(home);
	return 0;
}

/* [endpoints]: where the services listen, when not in their usual place. */
static int
read_endpoint(const struct reading *rd, char **out, const struct toml *doc, const char *key)
{
	const struct toml *table = toml_get(doc, "endpoints");
	char path[PLACE_MAX], *uri = NULL;
	struct err why;
	int r = settings_copy(rd, &uri, table, key);

	if (r == 0 && uri != NULL && (r = place_from_unix_uri(path, uri, &why)) != 0)
		r = toml_err(rd->e, toml_get(table, key), "%s", why.msg);
	if (r == 0 && uri != NULL)
		*out = mem_strdup(path);
	mem_free(uri);
	return r;
}

static int
read_places(const struct reading *rd, const struct toml *doc, const struct place *p)
{
	char keyd[PLACE_MAX];
	int64_t n;
	int r;

	if ((r = read_home(rd, doc, p)) != 0 || (r = read_endpoint(rd, &rd->s->socket, doc, "aziot_certd")) != 0 ||
	    (r = read_endpoint(rd, &rd->s->keyd_socket, doc, "aziot_keyd")) != 0 ||
	    (r = settings_int(&n, doc, "max_requests", MAX_REQUESTS, 1, MAX_REQUESTS_TOP, rd->e)) != 0 ||
	    (r = settings_bool(&rd->s->close_when_full, doc, "close_when_full", false, rd->e)) != 0)
		return r;
	rd->s->max_requests = (unsigned)n;
	if (rd->s->keyd_socket != NULL)
		return 0;
	if ((r = place_socket(keyd, p, "keyd", rd->e)) != 0)
		return r;
	rd->s->keyd_socket = mem_strdup(keyd);
	return 0;
}

static int
read_preloaded(const struct reading *rd, const struct toml *table)
{
	int r = 0;

	if (table != NULL && toml_kind(table) != TOML_TABLE)
		return toml_err(rd->e, table, "a table is needed, not %s", toml_kind_name(toml_kind(table)));
	for (size_t i = 0; table != NULL && r == 0 && i < toml_count(table); i++) {
		const struct toml *v = toml_at(table, i);
		struct preloaded *p;
		struct err why;

		if (stem_check_id(toml_key(v), &why) != 0)
			return toml_err(rd->e, v, "%s", why.msg);
		p = add_preloaded(rd->s, toml_key(v));
		r = toml_kind(v) == TOML_STRING ? file_of(rd, p, v, toml_string(v)) : list_of(rd, &p->members, v);
	}
	return r;
}

static int
read_local_ca(const struct reading *rd, const struct toml *table)
{
	struct certd_settings *s = rd->s;
	int r;

	if (table == NULL)
		return 0;
	if (toml_kind(table) != TOML_TABLE)
		return toml_err(rd->e, table, "a table with cert and pk is needed");
	if ((r = settings_cert_id(rd, &s->local_ca_cert, table, "cert")) != 0 ||
	    (r = settings_key_id(rd, &s->local_ca_pk, table, "pk")) != 0)
		return r;
	if (s->local_ca_cert == NULL || s->local_ca_pk == NULL)
		return toml_err(rd->e, table, "needs both cert (a certificate ID) and pk (a key ID)");
	return 0;
}

static int
add_url(const struct reading *rd, const struct toml *table, const char *key, const char *id)
{
	struct certd_settings *s = rd->s;
	char *url = NULL;
	int r = settings_url(rd, &url, table, key);

	if (r != 0 || url == NULL) {
		mem_free(url);
		return r;
	}
	s->urls = mem_resize(s->urls, s->n_urls * sizeof(*s->urls), (s->n_urls + 1) * sizeof(*s->urls));
	s->urls[s->n_urls++] = (struct url_row){ .id = mem_strdup(id), .url = url };
	return 0;
}

static const char *
url_row(const struct certd_settings *s, const char *id)
{
	for (size_t i = 0; i < s->n_urls; i++)
		if (strcmp(s->urls[i].id, id) == 0)
			return s->urls[i].url;
	return NULL;
}

static int
read_urls(const struct reading *rd, const struct toml *est)
{
	const struct toml *urls = toml_get(est, "urls"), *stray = toml_get(est, "default");
	int r = 0;

	if (urls != NULL && toml_kind(urls) != TOML_TABLE)
		return toml_err(rd->e, urls, "a table is needed, not %s", toml_kind_name(toml_kind(urls)));
	for (size_t i = 0; urls != NULL && r == 0 && i < toml_count(urls); i++)
		r = add_url(rd, urls, toml_key(toml_at(urls, i)), toml_key(toml_at(urls, i)));
	if (r != 0 || stray == NULL || url_row(rd->s, "default") != NULL)
		return r;
	settings_warn(rd, stray, "belongs into [cert_issuance.est.urls]; taken from here");
	return add_url(rd, est, "default", "default");
}

static int
read_trust(const struct reading *rd, const struct toml *est)
{
	struct certd_settings *s = rd->s;
	const struct toml *v = toml_get(est, "trusted_certs");
	int r = settings_list(rd, &s->trusted_certs, est, "trusted_certs");

	for (size_t i = 0; r == 0 && s->trusted_certs != NULL && s->trusted_certs[i] != NULL; i++)
		r = settings_note_file(rd, toml_at(v, i), s->trusted_certs[i]);
	if (r != 0 || (r = settings_bool(&s->trust_system, est, "trust_system", true, rd->e)) != 0 ||
	    (r = settings_bool(&s->channel_binding, est, "channel_binding", false, rd->e)) != 0)
		return r;
	return settings_bool(&s->reenroll, est, "reenroll", false, rd->e);
}

/* As configured, or else as the environment has it; this is the one place that looks there. */
static int
read_proxy(const struct reading *rd, char **out, const struct toml *est, const char *key, const char *upper,
    const char *lower)
{
	const char *text;
	int r = settings_copy(rd, out, est, key);

	if (r == 0 && *out == NULL && member(est, key) == NULL) {
		text = getenv(upper);
		if (text == NULL || *text == 0)
			text = getenv(lower);
		if (text != NULL && *text != 0)
			*out = mem_strdup(text);
	}
	if (r == 0 && *out != NULL && strlen(*out) >= JOB_URL_MAX)
		return err_set(rd->e, E_FORMAT, "%s (or %s): longer than %d octets", key, upper, JOB_URL_MAX - 1);
	return r;
}

/* Never longer than usual: who has lent an identity to an exchange counts on that. */
static int
read_timeout(const struct reading *rd, const struct toml *est)
{
	int64_t seconds;
	int r = settings_duration(&seconds, est, "timeout", JOB_DEADLINE_S, rd->e);

	if (r != 0)
		return r;
	if (seconds < 1 || seconds > JOB_DEADLINE_S)
		return toml_err(rd->e, toml_get(est, "timeout"), "1 s to %d s are possible", JOB_DEADLINE_S);
	rd->s->est_timeout_s = (unsigned)seconds;
	return 0;
}

static int
read_est(const struct reading *rd, const struct toml *est)
{
	struct certd_settings *s = rd->s;
	const struct toml *renew = member(est, "identity_auto_renew");
	int r;

	s->identity_policy = policy_default;
	s->identity_auto_renew = true;
	s->trust_system = true;
	if ((r = read_proxy(rd, &s->proxy, est, "proxy", "HTTPS_PROXY", "https_proxy")) != 0 ||
	    (r = read_proxy(rd, &s->no_proxy, est, "no_proxy", "NO_PROXY", "no_proxy")) != 0 || est == NULL)
		return r;
	if (toml_kind(est) != TOML_TABLE)
		return toml_err(rd->e, est, "a table is needed, not %s", toml_kind_name(toml_kind(est)));
	if (renew != NULL && (r = policy_read(&s->identity_policy, &s->identity_auto_renew, renew, rd->e)) != 0)
		return r;
	if ((r = read_trust(rd, est)) != 0 || (r = read_timeout(rd, est)) != 0 || (r = settings_auth(rd, &s->est_auth, est)) != 0)
		return r;
	return read_urls(rd, est);
}

static int
by_id(const void *a, const void *b)
{
	return strcmp(((const struct issuance *)a)->id, ((const struct issuance *)b)->id);
}

static int
read_issuances(const struct reading *rd, const struct toml *all)
{
	struct certd_settings *s = rd->s;
	struct err why;
	int r;

	s->issuance = mem_zalloc_n(toml_count(all) + 1, sizeof(*s->issuance));
	for (size_t i = 0; i < toml_count(all); i++) {
		const struct toml *v = toml_at(all, i);

		if (strcmp(toml_key(v), "est") == 0 || strcmp(toml_key(v), "local_ca") == 0)
			continue;
		if (stem_check_id(toml_key(v), &why) != 0)
			return toml_err(rd->e, v, "%s", why.msg);
		if ((r = settings_issuance(rd, &s->issuance[s->n_issuance++], v)) != 0)
			return r;
	}
	qsort(s->issuance, s->n_issuance, sizeof(*s->issuance), by_id);
	return 0;
}

/* What will not work when it is asked for, told while somebody may be looking. */
static void
warn_of_gaps(const struct reading *rd, const struct toml *all)
{
	const struct certd_settings *s = rd->s;

	for (size_t i = 0; i < s->n_issuance; i++) {
		const struct issuance *is = &s->issuance[i];
		const struct toml *v = toml_get(all, is->id);

		if (is->method == METHOD_LOCAL_CA && s->local_ca_cert == NULL)
			settings_warn(rd, v, "method local_ca, and there is no [cert_issuance.local_ca]");
		if (is->method != METHOD_EST)
			continue;
		if (certd_url(s, is->id, NULL) == NULL)
			settings_warn(rd, v, "no EST URL: give url here, or default in [cert_issuance.est.urls]");
		if (certd_auth(s, is->id) == NULL)
			settings_warn(rd, v, "no EST auth: give an identity or a username here or in [cert_issuance.est], "
			    "or anonymous = true");
	}
}

static bool
is_bootstrap(const struct certd_settings *s, const char *id)
{
	bool is = s->est_auth.bootstrap_cert != NULL && strcmp(s->est_auth.bootstrap_cert, id) == 0;

	for (size_t i = 0; i < s->n_issuance && !is; i++)
		is = s->issuance[i].auth.bootstrap_cert != NULL && strcmp(s->issuance[i].auth.bootstrap_cert, id) == 0;
	return is;
}

/* A file that opens the door again and again stays what it is; one that is an identity is renewed, as a copy. */
static void
mark_identity(struct certd_settings *s, const struct est_auth_settings *a)
{
	for (size_t i = 0; a->given && a->identity_cert != NULL && a->identity_pk != NULL && i < s->n_preloaded; i++)
		if (s->preloaded[i].path != NULL && strcmp(s->preloaded[i].id, a->identity_cert) == 0)
			s->preloaded[i].identity = !is_bootstrap(s, a->identity_cert);
}

static void
mark_identities(struct certd_settings *s)
{
	mark_identity(s, &s->est_auth);
	for (size_t i = 0; i < s->n_issuance; i++)
		mark_identity(s, &s->issuance[i].auth);
}

static int
read_all(const struct reading *rd, const struct toml *doc, const struct place *p)
{
	const struct toml *all = toml_get(doc, "cert_issuance");
	int r;

	if (all != NULL && toml_kind(all) != TOML_TABLE)
		return toml_err(rd->e, all, "a table is needed, not %s", toml_kind_name(toml_kind(all)));
	if ((r = read_places(rd, doc, p)) != 0 || (r = read_preloaded(rd, toml_get(doc, "preloaded_certs"))) != 0 ||
	    (r = read_local_ca(rd, member(all, "local_ca"))) != 0 || (r = read_est(rd, member(all, "est"))) != 0 ||
	    (all != NULL && (r = read_issuances(rd, all)) != 0))
		return r;
	mark_identities(rd->s);
	warn_of_gaps(rd, all);
	return principals_read(&rd->s->principals, doc, "certs", rd->e);
}

int
certd_settings_read(struct certd_settings **out, const struct toml *doc, const struct place *p,
    void (*warn)(void *ctx, const char *text), void *ctx, struct err *e)
{
	AUTO(certd_settings) s = mem_zalloc(sizeof(*s));
	struct reading rd = { .s = s, .warn = warn, .ctx = ctx, .e = e };
	int r;

	settings_unknown(doc, schema, warn, ctx);
	if ((r = read_all(&rd, doc, p)) != 0)
		return r;
	*out = TAKE(s);
	return 0;
}

static void
issuance_clear(struct issuance *is)
{
	mem_free(is->id);
	mem_free(is->url);
	mem_free(is->pk);
	mem_free(is->algorithms);
	settings_auth_clear(&is->auth);
}

void
certd_settings_free(struct certd_settings *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n_issuance; i++)
		issuance_clear(&s->issuance[i]);
	for (size_t i = 0; i < s->n_preloaded; i++) {
		mem_free(s->preloaded[i].id);
		mem_free(s->preloaded[i].path);
		settings_list_free(s->preloaded[i].members);
	}
	for (size_t i = 0; i < s->n_urls; i++) {
		mem_free(s->urls[i].id);
		mem_free(s->urls[i].url);
	}
	mem_free(s->issuance);
	mem_free(s->preloaded);
	mem_free(s->urls);
	mem_free(s->home);
	mem_free(s->socket);
	mem_free(s->keyd_socket);
	mem_free(s->local_ca_cert);
	mem_free(s->local_ca_pk);
	settings_list_free(s->trusted_certs);
	settings_auth_clear(&s->est_auth);
	mem_free(s->proxy);
	mem_free(s->no_proxy);
	principals_free(s->principals);
	mem_free(s);
}

const struct issuance *
certd_issuance(const struct certd_settings *s, const char *id)
{
	for (size_t i = 0; i < s->n_issuance; i++)
		if (strcmp(s->issuance[i].id, id) == 0)
			return &s->issuance[i];
	return NULL;
}

const struct preloaded *
certd_preloaded(const struct certd_settings *s, const char *id)
{
	for (size_t i = 0; i < s->n_preloaded; i++)
		if (strcmp(s->preloaded[i].id, id) == 0)
			return &s->preloaded[i];
	return NULL;
}

/* Its own url, or its row of the urls table. */
static const char *
own_url(const struct certd_settings *s, const char *id)
{
	const struct issuance *is = certd_issuance(s, id);

	return is != NULL && is->url != NULL ? is->url : url_row(s, id);
}

const char *
certd_url(const struct certd_settings *s, const char *id, const char *fallback)
{
	const char *url = own_url(s, id);
	size_t n = strlen(id), cut = strlen(TEMP_SUFFIX);
	char base[ID_MAX];

	/* Callers that renew by themselves ask for "X-temp" and then rename: it is X all the same. */
	if (url == NULL && n > cut && n < sizeof(base) && strcmp(id + n - cut, TEMP_SUFFIX) == 0) {
		(void)snprintf(base, sizeof(base), "%.*s", (int)(n - cut), id);
		url = own_url(s, base);
	}
	if (url == NULL)
		url = url_row(s, "default");
	return url != NULL ? url : fallback;
}

const struct est_auth_settings *
certd_auth(const struct certd_settings *s, const char *id)
{
	const struct issuance *is = certd_issuance(s, id);

	if (is != NULL && is->auth.given)
		return &is->auth;
	return s->est_auth.given ? &s->est_auth : NULL;
}
