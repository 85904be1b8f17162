/* SPDX-License-Identifier: Apache-2.0 */
/* config/print_edged.c - the file of edged */
#include <string.h>

#include "core/codec/toml_print.h"
#include "device/config/print.h"

#define AGENT_IMAGE   "mcr.microsoft.com/azureiotedge-agent:1.6"
#define CONNECT_DIR   "unix:///var/run/iotedge/"
#define LISTEN_SOCKET "fd://aziot-edged."

/* A member as it is written, else the default. */
static void
put_or(struct buf *out, const struct toml *t, const char *key, const char *def)
{
	const struct toml *v = t != NULL ? toml_get(t, key) : NULL;

	if (v != NULL)
		toml_print_value(out, key, v);
	else
		toml_print_str(out, key, def);
}

static const struct toml *
table_of(const struct toml *t, const char *key)
{
	const struct toml *v = t != NULL ? toml_get(t, key) : NULL;

	return v != NULL && toml_kind(v) == TOML_TABLE ? v : NULL;
}

/* The members of a table in an order that is not the alphabet's; NULL ends the names. */
static void
put_ordered(struct buf *out, const struct toml *t, const char *const *names)
{
	for (; *names != NULL; names++)
		put_or(out, t, *names, NULL);
}

static void
put_ca(struct buf *out, const struct edge *edge)
{
	toml_print_table(out, "edge_ca", NULL);
	toml_print_str(out, "cert", edge->managed_ca ? "aziot-edged-ca" : NULL);
	toml_print_str(out, "key", edge->managed_ca ? "aziot-edged-ca" : NULL);
	toml_print_str(out, "common_name", edge->common_name);
	if (edge->subject.n != 0)
		toml_print_table(out, "edge_ca", "subject", NULL);
	for (size_t i = 0; i < edge->subject.n; i++)
		toml_print_str(out, edge->subject.v[i].key, edge->subject.v[i].value);
	if (edge->renewal.given) {
		toml_print_table(out, "edge_ca", "auto_renew", NULL);
		toml_print_bool(out, "rotate_key", edge->renewal.rotate);
		toml_print_str(out, "threshold", edge->renewal.threshold);
		toml_print_str(out, "retry", edge->renewal.retry);
	}
}

/*
 * [agent.config]: the image, what else is no table, then options for the container and the
 * registry's credentials.
 */
static void
put_agent_config(struct buf *out, const struct toml *config)
{
	static const char *const registry[] = { "username", "password", "email", "auth", "serveraddress",
		"identitytoken", NULL };
	const struct toml *options = table_of(config, "createOptions"), *auth = table_of(config, "auth");

	toml_print_table(out, "agent", "config", NULL);
	put_or(out, config, "image", AGENT_IMAGE);
	for (size_t i = 0; config != NULL && i < toml_count(config); i++) {
		const struct toml *v = toml_at(config, i);

		if (strcmp(toml_key(v), "image") != 0 && toml_kind(v) != TOML_TABLE)
			toml_print_value(out, toml_key(v), v);
	}
	if (options != NULL)
		toml_print_below(out, options, "agent.config.createOptions");
	else
		toml_print_table(out, "agent", "config", "createOptions", NULL);
	if (auth != NULL) {
		toml_print_table(out, "agent", "config", "auth", NULL);
		put_ordered(out, auth, registry);
	}
}

static void
put_agent(struct buf *out, const struct toml *agent)
{
	toml_print_table(out, "agent", NULL);
	put_or(out, agent, "name", "edgeAgent");
	put_or(out, agent, "type", "docker");
	put_or(out, agent, "imagePullPolicy", "on-create");
	put_agent_config(out, table_of(agent, "config"));
	toml_print_table(out, "agent", "env", NULL);
	if (table_of(agent, "env") != NULL)
		toml_print_members(out, table_of(agent, "env"), "agent.env");
}

static void
put_ends(struct buf *out, const struct edge *edge)
{
	toml_print_table(out, "connect", NULL);
	put_or(out, edge->connect, "workload_uri", CONNECT_DIR "workload.sock");
	put_or(out, edge->connect, "management_uri", CONNECT_DIR "mgmt.sock");
	toml_print_table(out, "listen", NULL);
	put_or(out, edge->listen, "workload_uri", LISTEN_SOCKET "workload.socket");
	put_or(out, edge->listen, "management_uri", LISTEN_SOCKET "mgmt.socket");
	put_or(out, edge->listen, "min_tls_version", NULL);
	toml_print_table(out, "watchdog", NULL);
	put_or(out, edge->watchdog, "max_retries", "infinite");
}

static void
put_network(struct buf *out, const struct toml *network)
{
	static const char *const own[] = { "name", "ipv6", NULL },
				 *const range[] = { "gateway", "subnet", "ip_range", NULL };
	const struct toml *ranges =
	    table_of(network, "ipam") != NULL ? toml_get(table_of(network, "ipam"), "config") : NULL;

	toml_print_table(out, "moby_runtime", "network", NULL);
	put_ordered(out, network, own);
	for (size_t i = 0; ranges != NULL && i < toml_count(ranges); i++) {
		toml_print_array_table(out, "moby_runtime", "network", "ipam", "config", NULL);
		put_ordered(out, toml_at(ranges, i), range);
	}
}

static void
put_moby(struct buf *out, const struct edge *edge)
{
	const struct toml *network = table_of(edge->moby, "network");

	toml_print_table(out, "moby_runtime", NULL);
	put_or(out, edge->moby, "uri", "unix:///var/run/docker.sock");
	if (network == NULL)
		put_or(out, edge->moby, "network", "azure-iot-edge");
	else
		put_network(out, network);
	if (edge->content_trust.n != 0)
		toml_print_table(out, "moby_runtime", "content_trust", "ca_certs", NULL);
	for (size_t i = 0; i < edge->content_trust.n; i++)
		toml_print_str(out, edge->content_trust.v[i].key, edge->content_trust.v[i].value);
}

static void
put_limits(struct buf *out, const struct edge *edge)
{
	if (edge->max_management == 50 && edge->max_workload == 10)
		return;
	toml_print_table(out, "iotedge_max_requests", NULL);
	toml_print_int(out, "management", edge->max_management);
	toml_print_int(out, "workload", edge->max_workload);
}

void
print_edged(struct buf *out, const struct plan *p)
{
	static const char *const images[] = {
		"cleanup_recurrence", "image_age_cleanup_threshold", "cleanup_time", "enabled", NULL,
	};
	const struct edge *edge = &p->edge;

	toml_print_str(out, "hostname", p->hostname);
	toml_print_str(out, "trust_bundle_cert", "aziot-edged-trust-bundle");
	toml_print_str(out, "manifest_trust_bundle_cert",
	    edge->manifest_trust ? "aziot-edged-manifest-trust-bundle" : NULL);
	toml_print_str(out, "auto_reprovisioning_mode", edge->reprovisioning);
	toml_print_str(out, "homedir", p->edged_home);
	toml_print_bool(out, "allow_elevated_docker_permissions", edge->elevated);
	put_limits(out, edge);
	put_ca(out, edge);
	put_agent(out, edge->agent);
	put_ends(out, edge);
	if (edge->info.n != 0)
		toml_print_table(out, "additional_info", NULL);
	for (size_t i = 0; i < edge->info.n; i++)
		toml_print_str(out, edge->info.v[i].key, edge->info.v[i].value);
	put_moby(out, edge);
	if (edge->images != NULL) {
		toml_print_table(out, "image_garbage_collection", NULL);
		put_ordered(out, edge->images, images);
	}
}
