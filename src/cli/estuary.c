/* SPDX-License-Identifier: Apache-2.0 */
/* cli/estuary.c - the one record of the program: tables, groups, man page */
#include "cli/estuary.h"

static const struct verb *const tables[] = {
	quickstart_verbs, admin_verbs, server_renew_verbs, fleet_verbs, provision_verbs, azure_verbs, est_verbs, NULL,
};

static const struct verb_group groups[] = {
	{ NULL, "Start here" },
	{ "ca", "Certification authorities" },
	{ "profile", "What certificates look like" },
	{ "label", "EST endpoints: who may come in, and what they get" },
	{ "credential", "Codes, passwords and secrets that let a device in" },
	{ "trust", "Outside CAs whose certificates let a device in" },
	{ "device", "Devices and their certificates" },
	{ "cert", "Certificates" },
	{ "crl", "Revocation lists" },
	{ "group", "Provisioning: devices that register by a CA, or by keys from one key" },
	{ "enrolment", "Provisioning: one device by its certificate, key or TPM" },
	{ "registration", "Provisioning: the devices that registered" },
	{ "hub", "Provisioning: where devices are sent, and an MQTT broker for them" },
	{ "azure", "The same for Azure's own services" },
	{ "audit", "What was decided, and why" },
	{ "event", "What happened" },
	{ "operator", "Who may operate the server" },
	{ "server", "The server itself" },
	{ "est", "The device's side: talk EST to a server" },
	{ NULL, NULL },
};

const struct program estuary_program = {
	.name = "estuary",
	.about = "a certificate authority and EST server for fleets of devices",
	.version = ESTUARY_VERSION,
	.tables = tables,
	.groups = groups,
	.man_description = "The operator's command of an Estuary server, and an EST client.\n"
	    "It talks to the server of this machine over its socket, or to a server elsewhere\n"
	    "with \\fB\\-\\-url\\fR and \\fB\\-\\-token\\-file\\fR.\n",
	.man_sections = ".SH ENVIRONMENT\n.TP\n.B ESTUARY_DIR\n"
	    "State directory of the local server, when \\fB\\-\\-dir\\fR is not given.\n",
};
