/* SPDX-License-Identifier: Apache-2.0 */
/* config/super.c - the super-config as a whole: which keys there are, and the parts in their order */
#include "device/config/super.h"

#include <string.h>
#include <strings.h>

#include "core/base/text.h"
#include "device/config/read.h"
#include "device/config/uri.h"
#include "device/service/settings.h"

#define CLOUD_TIMEOUT_S  70 /* the original's least, and its default */
#define MAX_REQUESTS_TOP 100000
#define AUTH_INDEX_MAX   0x7fffff

static const struct settings_key any[] = { { "*", NULL }, { NULL, NULL } };
static const struct settings_key renewal[] = {
	{ "rotate_key", NULL }, { "threshold", NULL }, { "retry", NULL }, { NULL, NULL },
};
#define AUTH \
	{ "username", NULL }, { "password", NULL }, { "identity_cert", NULL }, \
	{ "identity_pk", NULL }, { "bootstrap_identity_cert", NULL }, \
	{ "bootstrap_identity_pk", NULL }, { "headers", NULL }, \
	{ "headers_always", NULL }, { "anonymous", NULL }, { "password_file", NULL }
#define ISSUE \
	AUTH, { "method", NULL }, { "url", NULL }, { "expiry_days", NULL }, { "common_name", NULL }, \
	{ "subject", any }, \
	{ "auto_renew", renewal }, { "san", NULL }, { "pk", NULL }, { "algorithms", NULL }, \
	{ "reenroll", NULL }, \
	{ "ca", NULL }, { "pathlen", NULL }, { "key_usage", NULL }, { "extended_key_usage", NULL }
static const struct settings_key auth[] = { AUTH, { NULL, NULL } };
static const struct settings_key issue[] = { ISSUE, { NULL, NULL } };
static const struct settings_key symmetric[] = {
	{ "value", NULL }, { "uri", NULL }, { NULL, NULL },
};
static const struct settings_key uri[] = { { "uri", NULL }, { NULL, NULL } };
static const struct settings_key authentication[] = {
	{ "method", NULL }, { "device_id_pk", symmetric }, { "identity_cert", issue },
	{ "identity_pk", NULL }, { NULL, NULL },
};
static const struct settings_key attestation[] = {
	{ "method", NULL }, { "registration_id", NULL }, { "symmetric_key", symmetric },
	{ "identity_cert", issue }, { "identity_pk", NULL }, { NULL, NULL },
};
static const struct settings_key provisioning[] = {
	{ "source", NULL }, { "connection_string", NULL }, { "iothub_hostname", NULL },
	{ "device_id", NULL }, { "authentication", authentication }, { "global_endpoint", NULL },
	{ "id_scope", NULL }, { "payload", uri }, { "attestation", attestation },
	{ "always_reprovision_on_startup", NULL }, { "dynamic_reprovisioning", NULL },
	{ "trusted_certs", NULL }, { "trust_system", NULL }, { "proxy", NULL }, { "no_proxy", NULL },
	{ NULL, NULL },
};
static const struct settings_key est[] = {
	{ "trusted_certs", NULL }, { "auth", auth }, { "identity_auto_renew", renewal },
	{ "urls", any }, { "trust_system", NULL }, { "timeout", NULL }, { "proxy", NULL },
	{ "no_proxy", NULL }, { NULL, NULL },
};
static const struct settings_key local_ca[] = { { "cert", issue }, { "pk", NULL }, { NULL, NULL } };
static const struct settings_key issuance[] = {
	{ "est", est }, { "local_ca", local_ca }, { "*", issue }, { NULL, NULL },
};
static const struct settings_key limits[] = {
	{ "keyd", NULL }, { "certd", NULL }, { "tpmd", NULL }, { "identityd", NULL },
	{ NULL, NULL },
};
static const struct settings_key localid[] = { { "domain", NULL }, { NULL, NULL } };
static const struct settings_key library[] = {
	{ "homedir_path", NULL }, { "pkcs11_lib_path", NULL }, { "pkcs11_base_slot", NULL },
	{ NULL, NULL },
};
static const struct settings_key hierarchy[] = {
	{ "endorsement", NULL }, { "owner", NULL }, { NULL, NULL },
};
static const struct settings_key tpm[] = {
	{ "tcti", NULL }, { "auth_key_index", NULL }, { "hierarchy_authorization", hierarchy },
	{ NULL, NULL },
};
static const struct settings_key edge_ca[] = {
	ISSUE, { "cert", NULL }, { "auto_generated_edge_ca_expiry_days", NULL }, { NULL, NULL },
};
static const struct settings_key edge_limits[] = {
	{ "management", NULL }, { "workload", NULL }, { NULL, NULL },
};
static const struct settings_key connect_keys[] = {
	{ "workload_uri", NULL }, { "management_uri", NULL }, { NULL, NULL },
};
static const struct settings_key listen_keys[] = {
	{ "workload_uri", NULL }, { "management_uri", NULL }, { "min_tls_version", NULL },
	{ NULL, NULL },
};
static const struct settings_key watchdog[] = { { "max_retries", NULL }, { NULL, NULL } };
static const struct settings_key content_trust[] = { { "ca_certs", any }, { NULL, NULL } };
static const struct settings_key ipam_config[] = {
	{ "gateway", NULL }, { "subnet", NULL }, { "ip_range", NULL }, { NULL, NULL },
};
static const struct settings_key ipam[] = { { "config", ipam_config }, { NULL, NULL } };
static const struct settings_key network[] = {
	{ "name", NULL }, { "ipv6", NULL }, { "ipam", ipam }, { NULL, NULL },
};
static const struct settings_key moby[] = {
	{ "uri", NULL }, { "network", network }, { "content_trust", content_trust }, { NULL, NULL },
};
static const struct settings_key images[] = {
	{ "cleanup_recurrence", NULL }, { "image_age_cleanup_threshold", NULL },
	{ "cleanup_time", NULL }, { "enabled", NULL }, { NULL, NULL },
};
static const struct settings_key registry[] = {
	{ "username", NULL }, { "password", NULL }, { "email", NULL }, { "auth", NULL },
	{ "serveraddress", NULL }, { "identitytoken", NULL }, { NULL, NULL },
};
static const struct settings_key agent_config[] = {
	{ "image", NULL }, { "imageHash", NULL }, { "digest", NULL }, { "createOptions", NULL },
	{ "auth", registry }, { NULL, NULL },
};
static const struct settings_key agent[] = {
	{ "name", NULL }, { "type", NULL }, { "imagePullPolicy", NULL }, { "config", agent_config },
	{ "env", NULL }, { NULL, NULL },
};
#define EDGE_FIRST 15 /* from here on the keys are Edge's */
static const struct settings_key schema[] = {
	{ "hostname", NULL }, { "parent_hostname", NULL }, { "local_gateway_hostname", NULL },
	{ "cloud_timeout_sec", NULL }, { "cloud_retries", NULL },
	{ "prefer_module_identity_cache", NULL }, { "aziot_max_requests", limits },
	{ "provisioning", provisioning }, { "localid", localid }, { "aziot_keys", library },
	{ "preloaded_keys", any }, { "preloaded_certs", any }, { "cert_issuance", issuance },
	{ "tpm", tpm }, { "endpoints", any }, { "trust_bundle_cert", NULL },
	{ "manifest_trust_bundle_cert", NULL }, { "allow_elevated_docker_permissions", NULL },
	{ "auto_reprovisioning_mode", NULL }, { "imported_master_encryption_key", NULL },
	{ "additional_info", NULL }, { "iotedge_max_requests", edge_limits }, { "agent", agent },
	{ "connect", connect_keys }, { "listen", listen_keys }, { "watchdog", watchdog },
	{ "edge_ca", edge_ca }, { "moby_runtime", moby }, { "image_garbage_collection", images },
	{ NULL, NULL },
};

bool
super_has_edge(const struct toml *doc)
{
	for (const struct settings_key *k = schema + EDGE_FIRST; k->name != NULL; k++)
		if (toml_get(doc, k->name) != NULL)
			return true;
	return false;
}

static void
on_unknown(void *ctx, const char *text)
{
	struct reading *rd = ctx;

	rd->o->tell(rd->o->ctx, false, text);
}

/* --- what is no part of its own --- */

static void
read_requests(struct reading *rd)
{
	const struct toml *t = rd_table(rd, rd->doc, "aziot_max_requests");
	const struct {
		const char *name;
		int64_t *out;
	} all[] = {
		{ "keyd", &rd->p->max_keyd }, { "certd", &rd->p->max_certd },
		{ "tpmd", &rd->p->max_tpmd }, { "identityd", &rd->p->max_identityd },
	};

	for (size_t i = 0; i < N_OF(all); i++)
		*all[i].out = rd_int(rd, t, all[i].name, PLAN_MAX_REQUESTS, 1, MAX_REQUESTS_TOP);
}

static void
read_host(struct reading *rd)
{
	const char *name = rd_str(rd, rd->doc, "hostname");

	rd->p->hostname = name != NULL && *name != 0 ? name : rd->o->hostname;
	if (strpbrk(rd->p->hostname, " /\\:") != NULL)
		rd_error(rd, toml_get(rd->doc, "hostname"), "'%.80s' is no host name", rd->p->hostname);
	rd->p->cloud_timeout =
	    rd_int(rd, rd->doc, "cloud_timeout_sec", CLOUD_TIMEOUT_S, CLOUD_TIMEOUT_S, INT32_MAX);
	rd->p->cloud_retries = rd_int(rd, rd->doc, "cloud_retries", 1, 0, INT32_MAX);
	rd->p->prefer_cache = rd_bool(rd, rd->doc, "prefer_module_identity_cache", false);
	rd->p->localid_domain = rd_str(rd, rd_table(rd, rd->doc, "localid"), "domain");
}

/* What keyd's library is told; the PKCS#11 slot in the form that it expects. */
static void
read_library(struct reading *rd)
{
	const struct toml *t = rd_table(rd, rd->doc, "aziot_keys");

	for (size_t i = 0; t != NULL && i < toml_count(t); i++) {
		const struct toml *v = toml_at(t, i);
		const char *text = rd_str(rd, t, toml_key(v));
		AUTO_BUF slot = { 0 };
		struct err e;

		if (text == NULL)
			continue;
		if (strcmp(toml_key(v), "pkcs11_base_slot") == 0 && strncasecmp(text, "pkcs11:", 7) != 0)
			rd_error(rd, v,
			    "a PKCS#11 URI is needed, such as \"pkcs11:token=Keys?pin-value=1234\"");
		else if (strcmp(toml_key(v), "pkcs11_base_slot") == 0 &&
		    uri_pkcs11(&slot, text, false, &e) != 0)
			rd_error(rd, v, "%s", e.msg);
		(void)map_put(&rd->p->aziot_keys, toml_key(v), text);
	}
	(void)map_put(&rd->p->aziot_keys, "homedir_path", plan_text(rd->p, "%s/var/lib/aziot/keyd",
	    rd->o->prefix));
	rd->p->certd_home = plan_text(rd->p, "%s/var/lib/aziot/certd", rd->o->prefix);
	rd->p->identityd_home = plan_text(rd->p, "%s/var/lib/aziot/identityd", rd->o->prefix);
	rd->p->edged_home = plan_text(rd->p, "%s/var/lib/aziot/edged", rd->o->prefix);
}

/* A list of other certificates' IDs. */
static void
preload_list(struct reading *rd, const struct toml *v)
{
	struct entry *entry = map_put(&rd->p->preloaded_certs, toml_key(v), NULL);

	for (size_t i = 0; i < toml_count(v); i++) {
		if (toml_kind(toml_at(v, i)) == TOML_STRING)
			words_add(&entry->list, toml_string(toml_at(v, i)));
		else
			rd_error(rd, toml_at(v, i), "the ID of a certificate is needed");
	}
}

static void
read_preloaded(struct reading *rd)
{
	const struct toml *keys = rd_table(rd, rd->doc, "preloaded_keys");
	const struct toml *certs = rd_table(rd, rd->doc, "preloaded_certs");

	for (size_t i = 0; keys != NULL && i < toml_count(keys); i++)
		rd_preload_key(rd, toml_at(keys, i), toml_key(toml_at(keys, i)), REFERENCE_SECRET);
	for (size_t i = 0; certs != NULL && i < toml_count(certs); i++) {
		const struct toml *v = toml_at(certs, i);

		if (toml_kind(v) == TOML_ARRAY)
			preload_list(rd, v);
		else
			rd_preload_cert(rd, v, toml_key(v));
	}
}

/* The original's template shows this number in quotes, which its parser refused. */
static int64_t
hex_index(struct reading *rd, const struct toml *v)
{
	const char *s = toml_string(v);
	char hex[7] = "000000";
	size_t n = strncmp(s, "0x", 2) == 0 ? strlen(s + 2) : 0;
	uint8_t octets[3];

	while (n > 6 && s[2] == '0') {
		s++;
		n--;
	}
	if (n > 0 && n <= 6)
		memcpy(hex + 6 - n, s + 2, n);
	if (n == 0 || n > 6 || !text_unhex(octets, 3, hex) || octets[0] > AUTH_INDEX_MAX >> 16) {
		rd_error(rd, v, "a number up to 0x%06x is needed, such as 0x000100", AUTH_INDEX_MAX);
		return -1;
	}
	return (int64_t)octets[0] << 16 | (int64_t)octets[1] << 8 | octets[2];
}

static void
read_tpm(struct reading *rd)
{
	const struct toml *t = rd_table(rd, rd->doc, "tpm"),
			  *h = rd_table(rd, t, "hierarchy_authorization");
	const struct toml *index = t != NULL ? toml_get(t, "auth_key_index") : NULL;

	rd->p->tcti = rd_str(rd, t, "tcti");
	if (index != NULL && toml_kind(index) == TOML_STRING)
		rd->p->auth_key_index = hex_index(rd, index);
	else
		rd->p->auth_key_index = rd_int(rd, t, "auth_key_index", -1, 0, AUTH_INDEX_MAX);
	rd->p->endorsement = rd_str(rd, h, "endorsement");
	rd->p->owner = rd_str(rd, h, "owner");
}

/*
 * Estuary's keyd binds handles to users: these two may pass on what others gave them.  aziotcs
 * has an entry when it has keys, or when Edge is there, whose certificates it signs with edged's
 * handle.
 */
static void
settle_grants(struct reading *rd)
{
	struct grants *g = &rd->p->keys;
	bool empty = rd->cs_keys->ids.n == 0;

	rd->id_keys->delegate = true;
	if (empty && rd->ca_keys != NULL)
		rd->ca_keys->delegate = true;
	else
		rd->cs_keys->delegate = true;
	if (empty && (rd->ca_keys != NULL || !rd->o->edge)) {
		g->n--;
		memmove(rd->cs_keys, rd->cs_keys + 1, (size_t)(&g->v[g->n] - rd->cs_keys) * sizeof(*g->v));
	}
}

int
super_read(struct plan *out, const struct toml *doc, const struct super_options *o, struct err *e)
{
	struct reading rd = { .p = out, .o = o, .doc = doc };

	*out = (struct plan){ 0 };
	settings_unknown(doc, schema, on_unknown, &rd);
	rd.id_keys = grants_add(&out->keys, o->uids.identityd);
	rd.cs_keys = grants_add(&out->keys, o->uids.certd);
	words_add(&rd.id_keys->ids, "aziot_identityd_master_id");
	read_host(&rd);
	read_requests(&rd);
	read_library(&rd);
	read_preloaded(&rd);
	read_tpm(&rd);
	read_provisioning(&rd);
	read_issuance(&rd);
	if (rd.id_certs.n != 0)
		grants_add(&out->certs, o->uids.identityd)->ids = rd.id_certs;
	if (o->edge)
		read_edge(&rd);
	settle_grants(&rd);
	plan_sort(out);
	if (rd.errors != 0)
		return err_set(e, E_FORMAT, "%s: %zu fault%s; nothing was changed", toml_file(doc),
		    rd.errors, rd.errors == 1 ? "" : "s");
	return 0;
}
