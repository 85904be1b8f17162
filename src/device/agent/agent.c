/* SPDX-License-Identifier: Apache-2.0 */
/* agent/agent.c - the one record of estuary-agent: tables, groups, man page */
#include "device/agent/agent.h"

#include <string.h>

#define HASH_SHOWN 9 /* characters of the hash in a file's name, with the dash */

#define TABLES status_verbs, check_verbs, key_verbs, config_verbs, system_verbs, bundle_verbs, service_verbs

static const struct verb *const tables[] = { TABLES, NULL };

static const struct verb *const iotedge_tables[] = { iotedge_verbs, TABLES, NULL };

static const struct verb_group groups[] = {
	{ NULL, "See and steer, and the services themselves" },
	{ "key", "Keys of the Keys Service" },
	{ "config", "From one configuration file to the services' own" },
	{ "system", "The services as a whole" },
	{ NULL, NULL },
};

const struct program agent_program = {
	.name = "estuary-agent",
	.about = "the device's keys and certificates: services that enrol and renew by themselves",
	.version = ESTUARY_VERSION,
	.tables = tables,
	.groups = groups,
	.man_description = "The Keys Service, the Certificates Service and the Identity Service of a device, drop\\-in\n"
	    "for those of the Azure IoT Identity Service: the same sockets, configuration files and places on disk.\n"
	    "Called as \\fBaziot\\-keyd\\fR, \\fBaziot\\-certd\\fR or \\fBaziot\\-identityd\\fR it is that service; \\fBaziotctl\\fR and\n"
	    "\\fBiotedge\\fR are other names of it.\n",
	.man_sections = ".TP\n1\n\\fBcheck\\fR found an error; a service could not start.\n"
	    ".TP\n3\nSomething needs a person, says \\fBstatus\\fR; a service is down, says \\fBsystem status\\fR.\n"
	    ".SH FILES\n.TP\n.I /etc/aziot/config.toml\nWhat \\fBconfig apply\\fR reads.\n"
	    ".TP\n.I /etc/aziot/keyd/config.toml, /etc/aziot/keyd/config.d/*.toml\n"
	    "Configuration of the Keys Service.\n"
	    ".TP\n.I /etc/aziot/certd/config.toml, /etc/aziot/certd/config.d/*.toml\n"
	    "Configuration of the Certificates Service.\n"
	    ".TP\n.I /etc/aziot/identityd/config.toml, /etc/aziot/identityd/config.d/*.toml\n"
	    "Configuration of the Identity Service.\n"
	    ".TP\n.I /var/lib/aziot/keyd/keys, /var/lib/aziot/certd/certs\nKeys and certificates.\n"
	    ".TP\n.I /var/lib/aziot/identityd\nWhom the cloud takes this device for, and its modules.\n"
	    ".TP\n.I /run/aziot/keyd.sock, /run/aziot/certd.sock, /run/aziot/identityd.sock\nWhere the services listen.\n"
	    ".SH ENVIRONMENT\n.TP\n.B ESTUARY_PREFIX\n"
	    "Scratch directory that holds etc, var and run, when \\fB\\-\\-prefix\\fR is not given.\n"
	    ".TP\n.B AZIOT_KEYD_CONFIG, AZIOT_KEYD_CONFIG_DIR, AZIOT_CERTD_CONFIG, AZIOT_CERTD_CONFIG_DIR, "
	    "AZIOT_IDENTITYD_CONFIG, AZIOT_IDENTITYD_CONFIG_DIR\n"
	    "Configuration file and directory of each service.\n"
	    ".TP\n.B AZIOT_LOG\nWhat is logged: error, warn, info, debug, trace or off.\n"
	    ".TP\n.B HTTPS_PROXY, NO_PROXY\nThe proxy for EST servers and the cloud, and the hosts that need none.\n",
};

static const char *
base_of(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash != NULL ? slash + 1 : name;
}

struct program
agent_program_as(const char *name)
{
	static const char *const names[] = { "aziotctl", "iotedge" };
	struct program p = agent_program;

	for (size_t i = 0; i < N_OF(names); i++)
		if (strcmp(base_of(name), names[i]) == 0)
			p.name = names[i];
	if (strcmp(p.name, "iotedge") == 0)
		p.tables = iotedge_tables;
	return p;
}

const char *
agent_service_of(const char *name)
{
	static const struct {
		const char *name, *verb;
	} names[] = { { "aziot-keyd", "keyd" }, { "aziot-certd", "certd" },
		{ "aziot-identityd", "identityd" } };
	const char *base = base_of(name);

	for (size_t i = 0; i < N_OF(names); i++)
		if (strcmp(base, names[i].name) == 0)
			return names[i].verb;
	return NULL;
}

void
agent_name(json_t *o, const char *member)
{
	const char *path = json_str(o, member, "?"), *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	const char *dash = strrchr(name, '-');

	if (json_str(o, "id", NULL) != NULL)
		return;
	if (dash != NULL && strlen(dash) > HASH_SHOWN)
		json_setf(o, "id", "%.*s...", (int)(dash - name) + HASH_SHOWN, name);
	else
		json_setf(o, "id", "%s", name);
}

void
agent_done(const struct cli *c, const char *member, const char *value)
{
	AUTO_JSON o = json_object();

	if (!c->json)
		return;
	json_setf(o, member, "%s", value);
	cli_print_json(c, o);
}
