/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/settings.c - the Identity Service's configuration: from the merged TOML to values */
#include "device/identityd/settings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/mem.h"
#include "core/base/text.h"

#define MAX_REQUESTS     10   /* of one user at once; the original's default */
#define MAX_REQUESTS_TOP 1000
#define CLOUD_TIMEOUT_S  70   /* the original's default, and the least that it takes */
#define CLOUD_TIMEOUT_TOP 600
#define CLOUD_RETRIES    1
#define CLOUD_RETRIES_TOP 100
#define UID_TOP          INT64_C(4294967294) /* (uid_t)-1 is nobody */

static const struct settings_key any_keys[] = { { "*", NULL }, { NULL, NULL } };
static const struct settings_key policy_keys[] = {
	{ "rotate_key", NULL }, { "threshold", NULL }, { "retry", NULL }, { NULL, NULL },
};
static const struct settings_key authentication_keys[] = {
	{ "method", NULL }, { "device_id_pk", NULL }, { "identity_cert", NULL }, { "identity_pk", NULL },
	{ "csr_subject", any_keys }, { "identity_auto_renew", policy_keys }, { NULL, NULL },
};
static const struct settings_key attestation_keys[] = {
	{ "method", NULL }, { "registration_id", any_keys }, { "symmetric_key", NULL }, { "identity_cert", NULL },
	{ "identity_pk", NULL }, { "identity_auto_renew", policy_keys }, { NULL, NULL },
};
static const struct settings_key payload_keys[] = { { "uri", NULL }, { NULL, NULL } };
static const struct settings_key provisioning_keys[] = {
	{ "source", NULL }, { "local_gateway_hostname", NULL }, { "iothub_hostname", NULL }, { "device_id", NULL },
	{ "authentication", authentication_keys }, { "global_endpoint", NULL }, { "scope_id", NULL },
	{ "attestation", attestation_keys }, { "payload", payload_keys },
	{ "trusted_certs", NULL }, { "trust_system", NULL }, { "proxy", NULL }, { "no_proxy", NULL }, { NULL, NULL },
};
static const struct settings_key localid_keys[] = { { "type", NULL }, { "attributes", NULL }, { NULL, NULL } };
static const struct settings_key principal_keys[] = {
	{ "uid", NULL }, { "name", NULL }, { "idtype", NULL }, { "localid", localid_keys }, { NULL, NULL },
};
static const struct settings_key endpoint_keys[] = {
	{ "aziot_certd", NULL }, { "aziot_keyd", NULL }, { "aziot_identityd", NULL }, { "aziot_tpmd", NULL }, { NULL, NULL },
};
static const struct settings_key domain_keys[] = { { "domain", NULL }, { NULL, NULL } };
static const struct settings_key schema[] = {
	{ "hostname", NULL }, { "homedir", NULL }, { "prefer_module_identity_cache", NULL }, { "max_requests", NULL },
	{ "cloud_timeout_sec", NULL }, { "cloud_retries", NULL }, { "provisioning", provisioning_keys },
	{ "principal", principal_keys }, { "localid", domain_keys }, { "endpoints", endpoint_keys },
	{ "trust_bundle", NULL }, { NULL, NULL },
};

/* A reading under way. */
struct reading {
	struct identityd_settings *s;
	const struct place *place;
	void (*warn)(void *ctx, const char *text);
	void *ctx;
	struct err *e;
};

const char *
identity_source_name(enum identity_source s)
{
	static const char *const names[] = { "none", "manual", "dps" };

	return names[s];
}

static void
warn(const struct reading *rd, const struct toml *v, const char *text)
{
	struct err where = { 0 };

	(void)toml_err(&where, v, "%s", text);
	rd->warn(rd->ctx, where.msg);
}

static int
want_table(const struct reading *rd, const struct toml *v)
{
	if (v != NULL && toml_kind(v) != TOML_TABLE)
		return toml_err(rd->e, v, "a table is needed, not %s", toml_kind_name(toml_kind(v)));
	return 0;
}

/* A text that must fit; absent leaves it as it is. */
static int
copy(const struct reading *rd, char *out, size_t size, const struct toml *table, const char *key)
{
	const char *text = NULL;
	int r;

	if (table == NULL)
		return 0;
	if ((r = settings_str(&text, table, key, NULL, rd->e)) != 0 || text == NULL)
		return r;
	if (strlen(text) >= size)
		return toml_err(rd->e, toml_get(table, key), "at most %zu octets are possible", size - 1);
	text_copy(out, size, text);
	return 0;
}

/* The same where there must be one. */
static int
need(const struct reading *rd, char *out, size_t size, const struct toml *table, const char *key)
{
	int r = copy(rd, out, size, table, key);

	if (r == 0 && out[0] == 0)
		return toml_err(rd->e, table, "needs '%s'", key);
	return r;
}

/* An ID of keyd or certd. */
static int
need_id(const struct reading *rd, char *out, const struct toml *table, const char *key)
{
	struct err why;
	int r = need(rd, out, ID_MAX, table, key);

	if (r == 0 && stem_check_id(out, &why) != 0)
		return toml_err(rd->e, toml_get(table, key), "%s", why.msg);
	return r;
}

/* --- where, and how much --- */

static int
read_endpoint(const struct reading *rd, char out[PLACE_MAX], const struct toml *table, const char *key, const char *service)
{
	const char *uri = NULL;
	struct err why;
	int r = 0;

	if (table != NULL)
		r = settings_str(&uri, table, key, NULL, rd->e);
	if (r != 0)
		return r;
	if (uri == NULL)
		return place_socket(out, rd->place, service, rd->e);
	if (place_from_unix_uri(out, uri, &why) != 0)
		return toml_err(rd->e, toml_get(table, key), "%s", why.msg);
	return 0;
}

static int
read_places(const struct reading *rd, const struct toml *doc)
{
	struct identityd_settings *s = rd->s;
	const struct toml *ends = toml_get(doc, "endpoints");
	int r;

	text_copy(s->homedir, sizeof(s->homedir), rd->place->home);
	if ((r = want_table(rd, ends)) != 0 || (r = copy(rd, s->homedir, sizeof(s->homedir), doc, "homedir")) != 0 ||
	    (r = read_endpoint(rd, s->certd_socket, ends, "aziot_certd", "certd")) != 0 ||
	    (r = read_endpoint(rd, s->keyd_socket, ends, "aziot_keyd", "keyd")) != 0 ||
	    (r = read_endpoint(rd, s->socket, ends, "aziot_identityd", "identityd")) != 0)
		return r;
	if (s->homedir[0] != '/')
		return toml_err(rd->e, toml_get(doc, "homedir"), "an absolute path is needed");
	return copy(rd, s->trust_bundle, sizeof(s->trust_bundle), doc, "trust_bundle");
}

static int
read_numbers(const struct reading *rd, const struct toml *doc)
{
	struct identityd_settings *s = rd->s;
	int64_t requests, timeout, retries;
	int r;

	if ((r = settings_bool(&s->prefer_cache, doc, "prefer_module_identity_cache", false, rd->e)) != 0 ||
	    (r = settings_int(&requests, doc, "max_requests", MAX_REQUESTS, 1, MAX_REQUESTS_TOP, rd->e)) != 0 ||
	    (r = settings_int(&timeout, doc, "cloud_timeout_sec", CLOUD_TIMEOUT_S, CLOUD_TIMEOUT_S, CLOUD_TIMEOUT_TOP, rd->e)) != 0 ||
	    (r = settings_int(&retries, doc, "cloud_retries", CLOUD_RETRIES, 0, CLOUD_RETRIES_TOP, rd->e)) != 0)
		return r;
	s->max_requests = (unsigned)requests;
	s->cloud_timeout_s = (unsigned)timeout;
	s->cloud_retries = (unsigned)retries;
	return 0;
}

/* --- names --- */

/* CN for the key "cn": the original raises keys to capitals before it looks at them. */
static int
add_attribute(const struct reading *rd, struct name *out, const struct toml *v, const char *cn)
{
	enum oid type = oid_by_name(toml_key(v));
	struct err why;

	if (toml_kind(v) != TOML_STRING)
		return toml_err(rd->e, v, "a text is needed, not %s", toml_kind_name(toml_kind(v)));
	if (type == OID_UNKNOWN)
		return toml_err(rd->e, v, "not an attribute of a name that is known (CN, O, OU, C, ST, L, ...)");
	if (name_add(out, type, cn != NULL ? cn : toml_string(v), &why) != 0)
		return toml_err(rd->e, v, "%s", why.msg);
	return 0;
}

static const struct toml *
cn_of(const struct toml *table)
{
	for (size_t i = 0; i < toml_count(table); i++)
		if (strcasecmp(toml_key(toml_at(table, i)), "CN") == 0)
			return toml_at(table, i);
	return NULL;
}

/* The member after `last` in the order of capital keys; the CN comes by itself. */
static const struct toml *
attribute_after(const struct toml *table, const struct toml *last)
{
	const struct toml *best = NULL;

	for (size_t i = 0; i < toml_count(table); i++) {
		const struct toml *v = toml_at(table, i);

		if (strcasecmp(toml_key(v), "CN") == 0 || (last != NULL && strcasecmp(toml_key(v), toml_key(last)) <= 0))
			continue;
		if (best == NULL || strcasecmp(toml_key(v), toml_key(best)) < 0)
			best = v;
	}
	return best;
}

/* A text is the CN, a table a whole subject; cn, when given, is what the CN must be. */
static int
read_subject(const struct reading *rd, const struct toml *v, const char *cn)
{
	const struct toml *first, *next = NULL;
	struct name *out = &rd->s->subject;
	struct err why;
	int r;

	if (toml_kind(v) == TOML_STRING) {
		if (name_add(out, OID_CN, cn != NULL ? cn : toml_string(v), &why) != 0)
			return toml_err(rd->e, v, "%s", why.msg);
		return 0;
	}
	if (toml_kind(v) != TOML_TABLE)
		return toml_err(rd->e, v, "a text (the CN) or a table such as { CN = \"pump-7\", O = \"Example\" } is needed");
	if ((first = cn_of(v)) == NULL)
		return toml_err(rd->e, v, "needs a CN");
	if ((r = add_attribute(rd, out, first, cn)) != 0)
		return r;
	while ((next = attribute_after(v, next)) != NULL)
		if ((r = add_attribute(rd, out, next, NULL)) != 0)
			return r;
	return 0;
}

/* Identities that the cloud keeps; a CN must hold them whole. */
static int
check_cloud_id(const struct reading *rd, const struct toml *v, const char *id)
{
	for (const char *p = id; *p != 0; p++)
		if (!isalnum((unsigned char)*p) && strchr("-.+%_#*?!(),:=@$'", *p) == NULL)
			return toml_err(rd->e, v, "letters, digits and -.+%%_#*?!(),:=@$' alone are possible");
	return 0;
}

/* --- [provisioning] --- */

static int
read_renewal(const struct reading *rd, const struct toml *table)
{
	const struct toml *v = toml_get(table, "identity_auto_renew");

	rd->s->policy = policy_default;
	return v == NULL ? 0 : policy_read(&rd->s->policy, &rd->s->renew, v, rd->e);
}

static int
read_x509(const struct reading *rd, const struct toml *table)
{
	int r;

	rd->s->auth = AUTH_IS_X509;
	if ((r = need_id(rd, rd->s->cert, table, "identity_cert")) != 0 || (r = need_id(rd, rd->s->key, table, "identity_pk")) != 0)
		return r;
	return read_renewal(rd, table);
}

static int
read_manual(const struct reading *rd, const struct toml *table)
{
	const struct toml *auth = toml_get(table, "authentication");
	struct identityd_settings *s = rd->s;
	struct err why;
	char method[16] = "";
	int r;

	if ((r = need(rd, s->hub, sizeof(s->hub), table, "iothub_hostname")) != 0 ||
	    (r = need(rd, s->device_id, sizeof(s->device_id), table, "device_id")) != 0 ||
	    (r = check_cloud_id(rd, toml_get(table, "device_id"), s->device_id)) != 0 || (r = want_table(rd, auth)) != 0)
		return r;
	if (auth == NULL)
		return toml_err(rd->e, table, "needs [provisioning.authentication]");
	if ((r = need(rd, method, sizeof(method), auth, "method")) != 0)
		return r;
	if (strcmp(method, "sas") == 0) {
		s->auth = AUTH_IS_SAS;
		return need_id(rd, s->symmetric_key, auth, "device_id_pk");
	}
	if (strcmp(method, "x509") != 0)
		return toml_err(rd->e, toml_get(auth, "method"), "\"sas\" or \"x509\" is needed");
	if ((r = read_x509(rd, auth)) != 0)
		return r;
	if (toml_get(auth, "csr_subject") != NULL)
		return read_subject(rd, toml_get(auth, "csr_subject"), s->device_id);
	/* Longer IDs are no CN; then the certificate must be brought. */
	if (name_add(&s->subject, OID_CN, s->device_id, &why) != 0)
		s->subject.n = 0;
	return 0;
}

/* A registration ID as text, or as the subject whose CN it is. */
static int
read_registration(const struct reading *rd, const struct toml *att, bool required)
{
	const struct toml *v = toml_get(att, "registration_id");
	struct identityd_settings *s = rd->s;
	const char *id;
	int r;

	if (v == NULL)
		return required ? toml_err(rd->e, att, "needs 'registration_id'") : 0;
	if (s->auth == AUTH_IS_X509) {
		if ((r = read_subject(rd, v, NULL)) != 0)
			return r;
		id = name_get(&s->subject, OID_CN);
	} else if (toml_kind(v) != TOML_STRING) {
		return toml_err(rd->e, v, "a text is needed, not %s", toml_kind_name(toml_kind(v)));
	} else {
		id = toml_string(v);
	}
	if (id[0] == 0 || strlen(id) >= sizeof(s->registration))
		return toml_err(rd->e, v, "1 to %zu characters are possible", sizeof(s->registration) - 1);
	text_copy(s->registration, sizeof(s->registration), id);
	return check_cloud_id(rd, v, s->registration);
}

static int
read_attestation(const struct reading *rd, const struct toml *att)
{
	struct identityd_settings *s = rd->s;
	char method[16] = "";
	int r;

	if ((r = need(rd, method, sizeof(method), att, "method")) != 0)
		return r;
	if (strcmp(method, "symmetric_key") == 0) {
		s->auth = AUTH_IS_SAS;
		if ((r = need_id(rd, s->symmetric_key, att, "symmetric_key")) != 0)
			return r;
	} else if (strcmp(method, "x509") == 0) {
		if ((r = read_x509(rd, att)) != 0)
			return r;
	} else if (strcmp(method, "tpm") == 0) {
		s->auth = AUTH_IS_TPM;
	} else {
		return toml_err(rd->e, toml_get(att, "method"), "\"symmetric_key\", \"x509\" or \"tpm\" is needed");
	}
	return read_registration(rd, att, s->auth != AUTH_IS_X509);
}

static int
read_payload(const struct reading *rd, const struct toml *table)
{
	const struct toml *payload = toml_get(table, "payload");
	const char *uri = NULL;
	struct err why;
	int r;

	if (payload == NULL)
		return 0;
	if ((r = want_table(rd, payload)) != 0 || (r = settings_str(&uri, payload, "uri", NULL, rd->e)) != 0)
		return r;
	if (uri == NULL)
		return toml_err(rd->e, payload, "needs 'uri', such as \"file:///etc/aziot/payload.json\"");
	if (place_from_file_uri(rd->s->payload_file, uri, &why) != 0)
		return toml_err(rd->e, toml_get(payload, "uri"), "%s", why.msg);
	return 0;
}

static int
read_dps(const struct reading *rd, const struct toml *table)
{
	const struct toml *att = toml_get(table, "attestation");
	struct identityd_settings *s = rd->s;
	int r;

	if ((r = need(rd, s->endpoint, sizeof(s->endpoint), table, "global_endpoint")) != 0 ||
	    (r = need(rd, s->scope, sizeof(s->scope), table, "scope_id")) != 0 || (r = want_table(rd, att)) != 0)
		return r;
	if (strncasecmp(s->endpoint, "https://", 8) != 0 || strpbrk(s->endpoint + 8, "@?# ") != NULL || s->endpoint[8] == 0)
		return toml_err(rd->e, toml_get(table, "global_endpoint"), "a URL such as \"https://dps.example\" is needed");
	if (s->gateway[0] != 0)
		return toml_err(rd->e, toml_get(table, "local_gateway_hostname"),
		    "DPS provisioning is not supported in nested mode");
	if (att == NULL)
		return toml_err(rd->e, table, "needs [provisioning.attestation]");
	if ((r = read_attestation(rd, att)) != 0)
		return r;
	return read_payload(rd, table);
}

static int
read_trust(const struct reading *rd, const struct toml *table)
{
	struct identityd_settings *s = rd->s;
	const struct toml *v = toml_get(table, "trusted_certs");

	if (v != NULL && toml_kind(v) != TOML_ARRAY)
		return toml_err(rd->e, v, "an array of certificate IDs is needed, not %s", toml_kind_name(toml_kind(v)));
	for (size_t i = 0; v != NULL && i < toml_count(v); i++) {
		const struct toml *item = toml_at(v, i);
		struct err why;

		if (toml_kind(item) != TOML_STRING)
			return toml_err(rd->e, item, "a text is needed, not %s", toml_kind_name(toml_kind(item)));
		if (s->n_trust == IDENTITYD_TRUST_MAX)
			return toml_err(rd->e, item, "at most %d are possible", IDENTITYD_TRUST_MAX);
		if (stem_check_id(toml_string(item), &why) != 0)
			return toml_err(rd->e, item, "%s", why.msg);
		text_copy(s->trust[s->n_trust++], ID_MAX, toml_string(item));
	}
	return settings_bool(&s->trust_system, table, "trust_system", true, rd->e);
}

/* As configured, or else as the environment has it; this is the one place that looks there. */
static int
read_proxy(const struct reading *rd, char *out, size_t size, const struct toml *table, const char *key, const char *upper,
    const char *lower)
{
	const char *text;

	if (toml_get(table, key) != NULL)
		return copy(rd, out, size, table, key);
	text = getenv(upper);
	if (text == NULL || *text == 0)
		text = getenv(lower);
	if (text == NULL)
		return 0;
	if (strlen(text) >= size)
		return err_set(rd->e, E_FORMAT, "%s: longer than %zu octets", upper, size - 1);
	text_copy(out, size, text);
	return 0;
}

static int
read_provisioning(const struct reading *rd, const struct toml *doc)
{
	const struct toml *table = toml_get(doc, "provisioning");
	struct identityd_settings *s = rd->s;
	char source[16] = "";
	int r;

	if (table == NULL)
		return err_set(rd->e, E_FORMAT, "%s: there is no [provisioning]: 'config apply' writes it", rd->place->config_file);
	if ((r = want_table(rd, table)) != 0 || (r = need(rd, source, sizeof(source), table, "source")) != 0 ||
	    (r = copy(rd, s->gateway, sizeof(s->gateway), table, "local_gateway_hostname")) != 0 || (r = read_trust(rd, table)) != 0 ||
	    (r = read_proxy(rd, s->proxy, sizeof(s->proxy), table, "proxy", "HTTPS_PROXY", "https_proxy")) != 0 ||
	    (r = read_proxy(rd, s->no_proxy, sizeof(s->no_proxy), table, "no_proxy", "NO_PROXY", "no_proxy")) != 0)
		return r;
	if (strcmp(source, "none") == 0)
		return 0;
	if (strcmp(source, "manual") == 0) {
		s->source = SOURCE_IS_MANUAL;
		return read_manual(rd, table);
	}
	if (strcmp(source, "dps") != 0)
		return toml_err(rd->e, toml_get(table, "source"), "\"manual\", \"dps\" or \"none\" is needed");
	s->source = SOURCE_IS_DPS;
	return read_dps(rd, table);
}

/* --- [[principal]] --- */

static int
read_idtype(const struct reading *rd, struct identity_principal *p, const struct toml *v)
{
	if (toml_kind(v) != TOML_ARRAY)
		return toml_err(rd->e, v, "an array of \"device\", \"module\" and \"local\" is needed");
	for (size_t i = 0; i < toml_count(v); i++) {
		const char *word = toml_kind(toml_at(v, i)) == TOML_STRING ? toml_string(toml_at(v, i)) : "";

		if (strcmp(word, "device") == 0)
			p->device = true;
		else if (strcmp(word, "module") == 0)
			p->module = true;
		else if (strcmp(word, "local") == 0)
			p->local = true;
		else
			return toml_err(rd->e, toml_at(v, i), "\"device\", \"module\" or \"local\" is needed");
	}
	return 0;
}

static int
read_localid(const struct reading *rd, struct identity_principal *p, const struct toml *v)
{
	char type[16] = "x509", attributes[16] = "client";
	int r;

	if ((r = want_table(rd, v)) != 0 || (r = copy(rd, type, sizeof(type), v, "type")) != 0 ||
	    (r = copy(rd, attributes, sizeof(attributes), v, "attributes")) != 0)
		return r;
	if (!p->local)
		return toml_err(rd->e, v, "options of a local identity, and idtype has no \"local\"");
	if (strcmp(type, "x509") != 0)
		return toml_err(rd->e, v, "type \"x509\" is needed");
	if (strcmp(attributes, "server") != 0 && strcmp(attributes, "client") != 0)
		return toml_err(rd->e, v, "attributes \"client\" or \"server\" are needed");
	p->server = strcmp(attributes, "server") == 0;
	return 0;
}

/* What may not stand together. */
static int
judge_principal(const struct reading *rd, const struct identity_principal *p, const struct toml *v)
{
	const struct identityd_settings *s = rd->s;

	if (p->local && s->localid_domain[0] == 0)
		return toml_err(rd->e, v, "idtype \"local\" needs [localid] with a domain");
	if ((p->device || p->module) && s->source == SOURCE_IS_NONE)
		return toml_err(rd->e, v, "idtype \"device\" and \"module\" need a provisioning source");
	for (size_t i = 0; i < s->n_principals; i++)
		if (strcmp(s->principal[i].name, p->name) == 0)
			return toml_err(rd->e, v, "there is a principal with the name '%s' already", p->name);
	return 0;
}

static int
read_principal(const struct reading *rd, struct identity_principal *p, const struct toml *v)
{
	int64_t uid;
	int r;

	if ((r = want_table(rd, v)) != 0 || (r = need_id(rd, p->name, v, "name")) != 0)
		return r;
	if (toml_get(v, "uid") == NULL)
		return toml_err(rd->e, v, "needs 'uid'");
	if ((r = settings_int(&uid, v, "uid", 0, 0, UID_TOP, rd->e)) != 0)
		return r;
	p->uid = (uid_t)uid;
	p->daemon = toml_get(v, "idtype") == NULL;
	if (!p->daemon && (r = read_idtype(rd, p, toml_get(v, "idtype"))) != 0)
		return r;
	if (toml_get(v, "localid") != NULL && (r = read_localid(rd, p, toml_get(v, "localid"))) != 0)
		return r;
	return judge_principal(rd, p, v);
}

/* One daemon, and one principal a uid: the last one, as in the original. */
static void
settle_principals(const struct reading *rd, const struct toml *all)
{
	struct identityd_settings *s = rd->s;
	bool daemon = false;

	for (size_t i = 0; i < s->n_principals; i++) {
		struct identity_principal *p = &s->principal[i];

		if (p->daemon && daemon) {
			warn(rd, toml_at(all, i), "a second principal without idtype: it may do nothing");
			p->daemon = false;
		}
		daemon |= p->daemon;
		for (size_t k = i + 1; k < s->n_principals; k++)
			if (s->principal[k].uid == p->uid)
				warn(rd, toml_at(all, k), "this uid has a principal already: the last one counts");
	}
}

static int
read_principals(const struct reading *rd, const struct toml *doc)
{
	const struct toml *all = toml_get(doc, "principal"), *localid = toml_get(doc, "localid");
	struct identityd_settings *s = rd->s;
	int r;

	if ((r = want_table(rd, localid)) != 0 ||
	    (localid != NULL && (r = need(rd, s->localid_domain, sizeof(s->localid_domain), localid, "domain")) != 0))
		return r;
	if (all == NULL)
		return 0;
	if (toml_kind(all) != TOML_ARRAY)
		return toml_err(rd->e, all, "tables under [[principal]] are needed, not %s", toml_kind_name(toml_kind(all)));
	s->principal = mem_zalloc_n(toml_count(all) + 1, sizeof(*s->principal));
	for (size_t i = 0; i < toml_count(all); i++) {
		if ((r = read_principal(rd, &s->principal[s->n_principals], toml_at(all, i))) != 0)
			return r;
		s->n_principals++;
	}
	settle_principals(rd, all);
	return 0;
}

int
identityd_settings_read(struct identityd_settings **out, const struct toml *doc, const struct place *p,
    void (*warn_fn)(void *ctx, const char *text), void *ctx, struct err *e)
{
	AUTO(identityd_settings) s = mem_zalloc(sizeof(*s));
	const struct reading rd = { .s = s, .place = p, .warn = warn_fn, .ctx = ctx, .e = e };
	int r;

	settings_unknown(doc, schema, warn_fn, ctx);
	if ((r = need(&rd, s->hostname, sizeof(s->hostname), doc, "hostname")) != 0 || (r = read_places(&rd, doc)) != 0 ||
	    (r = read_numbers(&rd, doc)) != 0 || (r = read_provisioning(&rd, doc)) != 0 || (r = read_principals(&rd, doc)) != 0)
		return r;
	*out = TAKE(s);
	return 0;
}

void
identityd_settings_free(struct identityd_settings *s)
{
	if (s == NULL)
		return;
	mem_free(s->principal);
	mem_free(s);
}
