/* SPDX-License-Identifier: Apache-2.0 */
/* config/edge.c - the sections of IoT Edge: its CA, trust bundles, master key, agent and container runtime */
#include <string.h>

#include "core/base/file.h"
#include "device/config/read.h"
#include "device/service/place.h"

#define CA_ID          "aziot-edged-ca"
#define CA_TEMP_ID     "aziot-edged-ca-temp"
#define BUNDLE_ID      "aziot-edged-trust-bundle"
#define MANIFEST_ID    "aziot-edged-manifest-trust-bundle"
#define USER_BUNDLE_ID "trust-bundle-user"
#define MASTER_KEY_ID  "iotedge_master_encryption_id"
#define QUICKSTART_DAYS 90
#define DAYS_MAX        36500
#define INFO_MAX        ((size_t)64 * 1024)

/* Which kind of [edge_ca] it is; the order of the questions is the original's. */
static bool
is_issued(const struct toml *ca)
{
	return ca != NULL && toml_get(ca, "method") != NULL;
}

static bool
is_preloaded(const struct toml *ca)
{
	return ca != NULL && !is_issued(ca) && (toml_get(ca, "cert") != NULL || toml_get(ca, "pk") != NULL);
}

/* --- the Edge CA --- */

static void
preload_ca(struct reading *rd, const struct toml *ca)
{
	const struct toml *cert = toml_get(ca, "cert"), *pk = toml_get(ca, "pk");

	rd->p->edge.managed_ca = true;
	if (cert == NULL || pk == NULL) {
		rd_error(rd, ca, "'%s' is missing: the Edge CA is given by cert and pk, two file: URIs",
		    cert == NULL ? "cert" : "pk");
		return;
	}
	rd_preload_cert(rd, cert, CA_ID);
	rd_preload_key(rd, pk, CA_ID, REFERENCE_KEY);
}

/* certd makes it and signs with its key; the temporary one is its successor while it is renewed. */
static void
issue_ca(struct reading *rd, const struct toml *ca, struct grant *cs)
{
	struct edge *edge = &rd->p->edge;
	struct issue *is;

	edge->managed_ca = true;
	words_add(&cs->ids, CA_ID);
	is = read_issue(rd, ca, CA_ID, &cs->ids);
	if (is == NULL)
		return;
	/* Over EST edged asks for its name by itself, and the server decides on the life. */
	if (strcmp(is->method, "est") == 0) {
		is->days = 0;
		edge->common_name = is->common_name;
		edge->subject = is->subject;
		is->common_name = NULL;
		is->subject = (struct map){ 0 };
	} else if (strcmp(is->method, "self_signed") == 0) {
		words_add(&cs->ids, CA_TEMP_ID);
	}
	copy_issue(rd->p, CA_ID, CA_TEMP_ID);
}

/* A self-signed one for a first try. */
static void
quickstart_ca(struct reading *rd, const struct toml *ca, struct grant *cs)
{
	struct issue *is = plan_issue(rd->p, CA_ID);

	is->method = "self_signed";
	is->days = rd_int(rd, ca, "auto_generated_edge_ca_expiry_days", QUICKSTART_DAYS, 1, DAYS_MAX);
	if (ca != NULL)
		read_subject(rd, ca, &is->common_name, &is->subject);
	words_add(&cs->ids, CA_ID);
	words_add(&cs->ids, CA_TEMP_ID);
	copy_issue(rd->p, CA_ID, CA_TEMP_ID);
}

static void
read_ca(struct reading *rd, struct grant *certs)
{
	const struct toml *ca = rd_table(rd, rd->doc, "edge_ca");
	struct edge *edge = &rd->p->edge;

	edge->renewal = rd_renewal(rd, ca, "auto_renew");
	if (is_preloaded(ca)) {
		if (edge->renewal.given)
			rd_warn(rd, toml_get(ca, "auto_renew"),
			    "has no effect: whoever put the Edge CA there replaces it");
		edge->renewal.given = false;
		preload_ca(rd, ca);
		return;
	}
	edge->renewal.given = true;
	rd->ca_keys = grants_add(&rd->p->keys, rd->o->uids.certd);
	if (is_issued(ca))
		issue_ca(rd, ca, rd->ca_keys);
	else
		quickstart_ca(rd, ca, rd->ca_keys);
	words_add(&certs->ids, CA_TEMP_ID);
}

/* --- bundles, keys and texts --- */

static void
read_bundles(struct reading *rd)
{
	const struct toml *user = toml_get(rd->doc, "trust_bundle_cert");
	const struct toml *manifest = toml_get(rd->doc, "manifest_trust_bundle_cert");
	struct entry *bundle;

	if (user != NULL)
		rd_preload_cert(rd, user, USER_BUNDLE_ID);
	if (manifest != NULL)
		rd_preload_cert(rd, manifest, MANIFEST_ID);
	rd->p->edge.manifest_trust = manifest != NULL;
	bundle = map_put(&rd->p->preloaded_certs, BUNDLE_ID, NULL);
	words_add(&bundle->list, CA_ID);
	if (user != NULL)
		words_add(&bundle->list, USER_BUNDLE_ID);
}

/* A name, or a table with tables in it, which are printed in their order. */
static void
check_network(struct reading *rd, const struct toml *moby)
{
	const struct toml *v = moby != NULL ? toml_get(moby, "network") : NULL;
	const struct toml *ipam = v != NULL && toml_kind(v) == TOML_TABLE ? rd_table(rd, v, "ipam") : NULL;
	const struct toml *list = ipam != NULL ? toml_get(ipam, "config") : NULL;

	if (v != NULL && toml_kind(v) != TOML_TABLE && toml_kind(v) != TOML_STRING)
		rd_error(rd, v, "is %s; a name or a table with name is needed",
		    toml_kind_name(toml_kind(v)));
	if (list != NULL && toml_kind(list) != TOML_ARRAY)
		rd_error(rd, list, "is %s; write [[moby_runtime.network.ipam.config]]",
		    toml_kind_name(toml_kind(list)));
	for (size_t i = 0; list != NULL && i < toml_count(list); i++)
		if (toml_kind(toml_at(list, i)) != TOML_TABLE)
			rd_error(rd, toml_at(list, i), "is %s, not a table",
			    toml_kind_name(toml_kind(toml_at(list, i))));
}

static void
read_content_trust(struct reading *rd)
{
	const struct toml *moby = rd_table(rd, rd->doc, "moby_runtime"),
			  *trust = rd_table(rd, moby, "content_trust");
	const struct toml *certs = rd_table(rd, trust, "ca_certs");

	rd->p->edge.moby = moby;
	check_network(rd, moby);
	for (size_t i = 0; certs != NULL && i < toml_count(certs); i++) {
		const struct toml *v = toml_at(certs, i);
		const char *id = plan_text(rd->p, "content-trust-%s", toml_key(v));

		rd_preload_cert(rd, v, id);
		(void)map_put(&rd->p->edge.content_trust, toml_key(v), id);
	}
}

static void
read_master_key(struct reading *rd)
{
	const char *path = rd_str(rd, rd->doc, "imported_master_encryption_key");

	if (path == NULL)
		return;
	if (*path != '/') {
		rd_error(rd, toml_get(rd->doc, "imported_master_encryption_key"),
		    "an absolute path is needed");
		return;
	}
	plan_refer(rd->p, toml_get(rd->doc, "imported_master_encryption_key"), path,
	    REFERENCE_SECRET, "root");
	rd->p->edge.master_key = path;
	(void)map_put(&rd->p->preloaded_keys, MASTER_KEY_ID,
	    rd_made_file(rd, "/var/secrets/aziot/keyd/imported-master-encryption-key"));
}

/* A flat table of texts in a file of its own. */
static void
read_info(struct reading *rd)
{
	const struct toml *at = toml_get(rd->doc, "additional_info");
	const char *name = rd_str(rd, rd->doc, "additional_info");
	char path[PLACE_MAX];
	AUTO_BUF text = BUF_MAX(INFO_MAX);
	AUTO(toml) doc = NULL;
	struct err e;

	if (name == NULL)
		return;
	if (place_from_file_uri(path, name, &e) != 0 || file_read(&text, path, INFO_MAX, &e) != 0 ||
	    toml_parse(&doc, path, bytes_of_buf(&text), &e) != 0) {
		rd_error(rd, at, "%s; the file: URI of a TOML file of texts is needed", e.msg);
		return;
	}
	for (size_t i = 0; i < toml_count(doc); i++) {
		const struct toml *v = toml_at(doc, i);

		if (toml_kind(v) != TOML_STRING)
			rd_error(rd, v, "is %s; only texts are possible here",
			    toml_kind_name(toml_kind(v)));
		else
			(void)map_put(&rd->p->edge.info, plan_text(rd->p, "%s", toml_key(v)),
			    plan_text(rd->p, "%s", toml_string(v)));
	}
}

static void
read_mode(struct reading *rd)
{
	static const char *const modes[] = { "Dynamic", "AlwaysOnStartup", "OnErrorOnly" };
	const char *mode = rd_str(rd, rd->doc, "auto_reprovisioning_mode");
	bool known = mode == NULL;

	for (size_t i = 0; i < N_OF(modes) && !known; i++)
		known = strcmp(modes[i], mode) == 0;
	if (!known)
		rd_error(rd, toml_get(rd->doc, "auto_reprovisioning_mode"),
		    "'%.40s' is none: \"Dynamic\", \"AlwaysOnStartup\" or "
		    "\"OnErrorOnly\"",
		    mode);
	rd->p->edge.reprovisioning = mode != NULL && known ? mode : modes[0];
}

static void
read_agent(struct reading *rd)
{
	const struct toml *agent = rd_table(rd, rd->doc, "agent"), *config = rd_table(rd, agent, "config");

	rd->p->edge.agent = agent;
	if (config != NULL)
		(void)rd_need(rd, config, "image",
		    "write image = \"mcr.microsoft.com/azureiotedge-agent:1.6\", or yours");
}

static void
read_limits(struct reading *rd)
{
	const struct toml *t = rd_table(rd, rd->doc, "iotedge_max_requests");

	rd->p->edge.max_management = rd_int(rd, t, "management", 50, 1, INT32_MAX);
	rd->p->edge.max_workload = rd_int(rd, t, "workload", 10, 1, INT32_MAX);
}

void
read_edge(struct reading *rd)
{
	struct grant *certs, *keys, *module;
	struct edge *edge = &rd->p->edge;

	edge->on = true;
	edge->elevated = rd_bool(rd, rd->doc, "allow_elevated_docker_permissions", true);
	edge->connect = rd_table(rd, rd->doc, "connect");
	edge->listen = rd_table(rd, rd->doc, "listen");
	edge->watchdog = rd_table(rd, rd->doc, "watchdog");
	edge->images = rd_table(rd, rd->doc, "image_garbage_collection");
	read_mode(rd);
	read_agent(rd);
	read_limits(rd);
	certs = grants_add(&rd->p->certs, rd->o->uids.edged);
	words_add(&certs->ids, CA_ID);
	words_add(&certs->ids, "aziot-edged/module/*");
	read_ca(rd, certs);
	keys = grants_add(&rd->p->keys, rd->o->uids.edged);
	words_add(&keys->ids, CA_ID);
	words_add(&keys->ids, MASTER_KEY_ID);
	if (edge->renewal.given && edge->renewal.rotate)
		words_add(&keys->ids, CA_TEMP_ID);
	module = grants_add(&rd->p->modules, rd->o->uids.edged);
	words_add(&module->ids, "aziot-edge");
	read_bundles(rd);
	read_content_trust(rd);
	read_master_key(rd);
	read_info(rd);
}
