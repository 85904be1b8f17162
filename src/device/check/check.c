/* SPDX-License-Identifier: Apache-2.0 */
/* check/check.c - the table of all checks, run in its order: later ones use what earlier ones have found */
#include <string.h>
#include <unistd.h>

#include "core/base/text.h"
#include "device/check/report.h"

/* What iotedge puts behind the names of sections that are not its own. */
#define SERVICE_SUFFIX " (aziot-identity-service)"

/* --- the tables --- */

static const struct check service_configuration[] = {
	{ "keyd-config-well-formed", "keyd configuration is well-formed", configs_keyd },
	{ "certd-config-well-formed", "certd configuration is well-formed", configs_certd },
	{ "tpmd-config-well-formed", "tpmd configuration is well-formed", configs_tpmd },
	{ "identityd-config-well-formed", "identityd configuration is well-formed", configs_identityd },
	{ "configs-up-to-date", "daemon configurations up-to-date with config.toml", configs_up_to_date },
	{ "hostname", "identityd config toml file specifies a valid hostname", host_hostname },
	{ "aziot-version", "aziot-identity-service package is up-to-date", host_version },
	{ "host-local-time", "host time is close to reference time", host_local_time },
	{ "identity-certificate-expiry", "production readiness: identity certificates expiry", files_identity },
	{ "est-identity-and-bootstrap-certificate-expiry",
	  "production readiness: EST identity and bootstrap certificates expiry", files_est },
	{ "local-ca-certificate-expiry", "production readiness: Local CA certificates expiry", files_local_ca },
	{ "certs-preloaded", "preloaded certificates are valid", files_preloaded },
	{ "keyd-running", "keyd is running", services_keyd },
	{ "certd-running", "certd is running", services_certd },
	{ "tpmd-running", "tpmd is running", services_tpmd },
	{ "identityd-running", "identityd is running", services_identityd },
	{ "certs-read", "read all preloaded certificates from the Certificates Service", services_read_certs },
	{ "key-pairs-read", "read all preloaded key pairs from the Keys Service", services_read_keys },
	{ "est-server-https", "check all EST server URLs utilize HTTPS", est_https },
	{ "certs-match-private-keys", "ensure all preloaded certificates match preloaded private keys with the same ID",
	  services_match },
	{ NULL, NULL, NULL },
};

static const struct check service_connectivity[] = {
	{ "host-connect-iothub-amqp", "host can connect to and perform TLS handshake with iothub AMQP port", connect_amqp },
	{ "host-connect-iothub-https",
	  "host can connect to and perform TLS handshake with iothub HTTPS / WebSockets port", connect_https },
	{ "host-connect-iothub-mqtt", "host can connect to and perform TLS handshake with iothub MQTT port", connect_mqtt },
	{ "host-connect-dps-endpoint", "host can connect to and perform TLS handshake with DPS endpoint", connect_dps },
	{ NULL, NULL, NULL },
};

static const struct check estuary[] = {
	{ "est-endpoint", "each EST server is verified, near in time, and takes the certificate that it would be shown",
	  est_endpoints },
	{ "certificate-renewals", "certificates that the device keeps by itself are renewed", est_renewals },
	{ NULL, NULL, NULL },
};

static void
containers(struct checking *c, struct check_result *r)
{
	(void)c;
	check_ignore(r, "the container runtime is out of this program's scope: the Edge runtime's own tools look at it");
}

static const struct check edge_configuration[] = {
	{ "aziot-edged-config-well-formed", "aziot-edged configuration is well-formed", configs_edged },
	{ "config-up-to-date", "configuration up-to-date with config.toml", configs_edged_up_to_date },
	{ "container-engine-uri", "container engine is installed and functional", containers },
	{ "parent_hostname", "configuration has correct parent_hostname", containers },
	{ "container-resolve-parent-hostname", "parent hostname resolves within a container", containers },
	{ "connect-management-uri", "configuration has correct URIs for daemon mgmt endpoint", containers },
	{ "aziot-edge-version", "aziot-edge package is up-to-date", containers },
	{ "container-local-time", "container time is close to host time", containers },
	{ "container-engine-dns", "DNS server", containers },
	{ "container-engine-ipv6", "IPv6 network configuration", containers },
	{ "container-engine-logrotate", "production readiness: logs policy", containers },
	{ "edge-agent-storage-mounted-from-host",
	  "production readiness: Edge Agent's storage directory is persisted on the host filesystem", containers },
	{ "edge-hub-storage-mounted-from-host",
	  "production readiness: Edge Hub's storage directory is persisted on the host filesystem", containers },
	{ "check-agent-image", "Agent image is valid and can be pulled from upstream", containers },
	{ "proxy-settings", "proxy settings are consistent in aziot-edged, aziot-identityd, moby daemon and config.toml",
	  containers },
	{ NULL, NULL, NULL },
};

static const struct check edge_connectivity[] = {
	{ "container-default-connect-upstream-amqp",
	  "container on the default network can connect to upstream AMQP port", containers },
	{ "container-default-connect-upstream-https",
	  "container on the default network can connect to upstream HTTPS / WebSockets port", containers },
	{ "container-default-connect-upstream-mqtt",
	  "container on the default network can connect to upstream MQTT port", containers },
	{ "container-connect-upstream-amqp",
	  "container on the IoT Edge module network can connect to upstream AMQP port", containers },
	{ "container-connect-upstream-https",
	  "container on the IoT Edge module network can connect to upstream HTTPS / WebSockets port", containers },
	{ "container-connect-upstream-mqtt",
	  "container on the IoT Edge module network can connect to upstream MQTT port", containers },
	{ NULL, NULL, NULL },
};

static const struct section {
	const char *name;
	const struct check *checks;
	bool suffix;  /* iotedge marks it as another program's */
	bool edge;    /* iotedge alone has it */
} sections[] = {
	{ "Configuration checks", service_configuration, true, false },
	{ "Connectivity checks", service_connectivity, true, false },
	{ "Estuary checks", estuary, false, false },
	{ "Configuration checks", edge_configuration, false, true },
	{ "Connectivity checks", edge_connectivity, false, true },
};

static bool
is_edge(const char *program)
{
	return program != NULL && strcmp(program, "iotedge") == 0;
}

static const char *
section_name(char out[64], const struct section *s, const char *program)
{
	(void)snprintf(out, 64, "%s%s", s->name, s->suffix && is_edge(program) ? SERVICE_SUFFIX : "");
	return out;
}

/* --- running --- */

/* Is id among the words of the list? */
static bool
is_excluded(const char *list, const char *id)
{
	size_t n;

	for (; list != NULL && *list != 0; list += n) {
		list += strspn(list, " ,");
		n = strcspn(list, " ,");
		if (n == strlen(id) && strncmp(list, id, n) == 0)
			return true;
	}
	return false;
}

void
check_tell(struct checking *c, const char *id, const char *description, struct check_result *r)
{
	if (is_excluded(c->o->dont_run, id)) {
		check_result_clear(r);
		check_ignore(r, "not run, as was wished");
	}
	report_check(c->reporter, id, description, r);
	check_result_clear(r);
}

/* False when no further check makes sense. */
static bool
run_one(struct checking *c, const struct check *k)
{
	struct check_result r = { 0 };
	bool go_on;

	if (is_excluded(c->o->dont_run, k->id))
		check_ignore(&r, "not run, as was wished");
	else
		k->fn(c, &r);
	go_on = r.kind != CHECK_FATAL;
	if (r.kind != CHECK_TOLD)
		report_check(c->reporter, k->id, k->description, &r);
	check_result_clear(&r);
	return go_on;
}

static bool
run_section(struct checking *c, const struct section *s)
{
	bool go_on = true;
	char name[64];

	report_section(c->reporter, section_name(name, s, c->o->program));
	for (const struct check *k = s->checks; go_on && k->id != NULL; k++)
		go_on = run_one(c, k);
	report_section_end(c->reporter);
	return go_on;
}

static int
find_places(struct checking *c, struct err *e)
{
	static const char *const names[SERVICE_COUNT] = { "keyd", "certd", "identityd", "tpmd", "edged" };
	int r = 0;

	for (size_t i = 0; r == 0 && i < SERVICE_COUNT; i++)
		r = place_find(&c->at[i], names[i], c->o->prefix, e);
	return r;
}

static void
clear(struct checking *c)
{
	keyd_settings_free(c->keyd);
	certd_settings_free(c->certd);
	identityd_settings_free(c->identityd);
	json_decref(c->status);
}

int
check_run(bool *ok, const struct check_options *o, struct err *e)
{
	struct reporter reporter;
	struct checking c = { .o = o, .reporter = &reporter };
	bool go_on = true;
	json_t *info;
	int r = find_places(&c, e);

	if (r != 0)
		return r;
	report_begin(&reporter, o);
	for (size_t i = 0; go_on && i < N_OF(sections); i++)
		if (!sections[i].edge || is_edge(o->program))
			go_on = run_section(&c, &sections[i]);
	info = host_describe(&c);
	report_end(&reporter, info);
	json_decref(info);
	clear(&c);
	*ok = report_ok(&reporter);
	return 0;
}

/* --- the list --- */

/* "est-endpoint:URL" is one of those that est-endpoint makes. */
static bool
is_known(const char *id, size_t n)
{
	for (size_t i = 0; i < N_OF(sections); i++)
		for (const struct check *k = sections[i].checks; k->id != NULL; k++)
			if (strncmp(k->id, id, strlen(k->id)) == 0 &&
			    (n == strlen(k->id) || (n > strlen(k->id) && id[strlen(k->id)] == ':')))
				return true;
	return false;
}

const char *
check_unknown(char out[64], const char *ids)
{
	size_t n;

	out[0] = 0;
	for (ids += strspn(ids, " ,"); *ids != 0; ids += strspn(ids, " ,")) {
		n = strcspn(ids, " ,");
		if (!is_known(ids, n)) {
			(void)snprintf(out, 64, "%.*s", (int)(n < 63 ? n : 63), ids);
			return out;
		}
		ids += n;
	}
	return out;
}

static void
list_section(FILE *out, const struct section *s, const char *name)
{
	fprintf(out, "%s\n", name);
	for (size_t i = 0; i < strlen(name); i++)
		fputc('-', out);
	fputc('\n', out);
	for (const struct check *k = s->checks; k->id != NULL; k++)
		fprintf(out, "%s - %s%s\n", k->id, k->description, k->fn == containers ? " (not looked at: containers)" : "");
	fputc('\n', out);
}

static json_t *
section_json(const struct section *s)
{
	json_t *list = json_array();

	for (const struct check *k = s->checks; k->id != NULL; k++) {
		json_t *o = json_object();

		json_setf(o, "id", "%s", k->id);
		json_setf(o, "description", "%s", k->description);
		(void)json_array_append_new(list, o);
	}
	return list;
}

void
check_list(FILE *out, const char *program, bool json)
{
	AUTO_JSON all = json_object();
	AUTO_BUF text = { 0 };
	char name[64];

	for (size_t i = 0; i < N_OF(sections); i++) {
		if (sections[i].edge && !is_edge(program))
			continue;
		(void)section_name(name, &sections[i], program);
		if (json)
			(void)json_object_set_new(all, name, section_json(&sections[i]));
		else
			list_section(out, &sections[i], name);
	}
	if (!json)
		return;
	json_print(&text, all, false);
	fprintf(out, "%s\n", buf_str(&text));
}
