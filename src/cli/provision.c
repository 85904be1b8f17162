/* SPDX-License-Identifier: Apache-2.0 */
/* cli/provision.c - the verbs of provisioning: group, enrolment, registration, hub */
#include <string.h>

#include "cli/estuary.h"
#include "cli/mosquitto.h"
#include "cli/op.h"
#include "cli/provision_print.h"
#include "core/cmd/table.h"
#include "core/pki/cert.h"

#define ALLOCATION_WORDS "static|hashed|latency|webhook"

/*
 * What groups and individual enrolments have in common, when they are made and when they are changed; by_default(x) is
 * what is said of a default.
 */
#define GIVEN_OPTS(by_default)                                                              \
	{ .name = "allocation", .kind = OPT_TEXT, .arg = "HOW", .words = ALLOCATION_WORDS,  \
	  .help = "Which hub: the one named, one by the device's name and the hubs' weights, the nearest, " \
	      "or what a webhook says" by_default("hashed") },                                \
	{ .name = "hub", .kind = OPT_LIST, .arg = "HUB", .member = "hubs", .help = "Only this hub" by_default("all") }, \
	{ .name = "webhook", .kind = OPT_TEXT, .arg = "URL",                               \
	  .help = "Whom to ask for the hub, with --allocation webhook" },                  \
	{ .name = "payload", .kind = OPT_FILE, .arg = "FILE", .help = "JSON that a device gets when it registers" }, \
	{ .name = "reprovision", .kind = OPT_TEXT, .arg = "RULE", .words = "migrate|never", \
	  .help = "When a device registers again: choose its hub anew, or never" by_default("migrate") }, \
	{ .name = "label", .letter = 'l', .kind = OPT_TEXT, .arg = "LABEL",                \
	  .help = "A certificate request that comes with the registration is answered as this label would" }
#define SAID(x) " (default: " x ")"
#define UNSAID(x) ""
#define WHAT_STAYS "What is not given stays as it is."
#define KEY_OPTS                                                                           \
	{ .name = "key", .kind = OPT_FILE, .arg = "FILE", .local = true,                   \
	  .help = "Symmetric key in base64, 32 to 64 octets, or the word made: make one" }, \
	{ .name = "secondary-key", .kind = OPT_FILE, .arg = "FILE", .local = true,         \
	  .help = "The same for its second key" }
#define MADE_OPTS                                                                          \
	GIVEN_OPTS(SAID),                                                                  \
	{ .name = "edge", .kind = OPT_FLAG, .help = "Its devices are IoT Edge devices" },  \
	{ .name = "disabled", .kind = OPT_FLAG, .local = true, .help = "Let nobody register by it yet" }
#define CHANGED_OPTS                                                                       \
	GIVEN_OPTS(UNSAID),                                                                \
	{ .name = "edge", .kind = OPT_BOOL, .arg = "YES", .help = "Its devices are IoT Edge devices" }
#define CERT_OPTS                                                                          \
	{ .name = "cert", .kind = OPT_FILE, .arg = "FILE", .local = true,                  \
	  .help = "The device's certificate, PEM or DER" },                                \
	{ .name = "secondary-cert", .kind = OPT_FILE, .arg = "FILE", .local = true,        \
	  .help = "A second one that is taken, too" },                                     \
	{ .name = "ek", .kind = OPT_FILE, .arg = "FILE",                                   \
	  .help = "The TPM's public endorsement key (TPM2B_PUBLIC, as tpm2_createek writes it), or its base64" }, \
	{ .name = "device-id", .kind = OPT_TEXT, .arg = "ID",                              \
	  .help = "Its name at the hub; the registration ID unless another was given" }
#define KEYS_OPT \
	{ .name = "keys", .kind = OPT_FLAG, .member = "show_keys", .help = "Show its symmetric keys; this is recorded" }
#define REGISTRATION_ARG(what) ARG("registration", "REGISTRATION", what)

/* A certificate's file as PEM, whichever form it has, into the message. */
static int
put_cert(const struct cli *c, const char *option, json_t *args, const char *member, struct err *e)
{
	AUTO_BUF content = { 0 };
	AUTO_BUF pem = { 0 };
	int r;

	if (verb_find_opt(c->verb, option) == NULL || !cli_has(c, option))
		return 0;
	if ((r = cli_file(&content, c, option, e)) != 0)
		return r;
	if (content.n != 0 && content.p[0] == 0x30)
		pem_encode(&pem, bytes_of_buf(&content), "CERTIFICATE");
	else
		buf_put_bytes(&pem, bytes_of_buf(&content));
	if (json_object_set_new(args, member, json_stringn((const char *)pem.p, pem.n)) != 0)
		return err_set(e, E_FORMAT, "%s: no certificate in PEM or DER", cli_text(c, option));
	return 0;
}

/* A key's file as text into the message; "made" is the server's to make. */
static int
put_key(const struct cli *c, const char *option, json_t *args, const char *member, struct err *e)
{
	AUTO_BUF content = { 0 };
	int r;

	if (!cli_has(c, option))
		return 0;
	if (strcmp(cli_text(c, option), "made") == 0) {
		json_setf(args, member, "made");
		return 0;
	}
	if ((r = cli_file(&content, c, option, e)) != 0)
		return r;
	if (json_object_set_new(args, member, json_stringn((const char *)content.p, content.n)) != 0)
		return err_set(e, E_FORMAT, "%s: no base64", cli_text(c, option));
	return 0;
}

static int
prepare_ca(struct cli *c, json_t *args, struct err *e)
{
	if (verb_find_opt(c->verb, "ca") != NULL && cli_has(c, "ca") == cli_has(c, "cert"))
		return err_set(e, E_USAGE, "expected either --cert, a CA's certificate, or --ca, the name of a CA of "
		    "this server");
	return put_cert(c, "cert", args, "pem", e);
}

static int
prepare_set(struct cli *c, json_t *args, struct err *e)
{
	int r = put_key(c, "key", args, "key", e);

	if (r == 0)
		r = put_key(c, "secondary-key", args, "key2", e);
	if (r == 0)
		r = put_cert(c, "cert", args, "cert", e);
	return r != 0 ? r : put_cert(c, "secondary-cert", args, "cert2", e);
}

static int
prepare_create(struct cli *c, json_t *args, struct err *e)
{
	static const char *const ways[] = { "x509", "symmetric", "tpm" };
	const char *chosen = NULL;

	for (size_t i = 0; i < N_OF(ways); i++) {
		if (verb_find_opt(c->verb, ways[i]) == NULL || !cli_flag(c, ways[i]))
			continue;
		if (chosen != NULL)
			return err_set(e, E_USAGE, "--%s and --%s: a device proves itself in one way", chosen, ways[i]);
		chosen = ways[i];
	}
	if (chosen == NULL)
		return err_set(e, E_USAGE, "how do devices prove themselves? --x509 or --symmetric%s",
		    verb_find_opt(c->verb, "tpm") != NULL ? " or --tpm" : "");
	json_setf(args, "attestation", "%s", chosen);
	if (cli_flag(c, "disabled"))
		(void)json_object_set_new(args, "enabled", json_false());
	return prepare_set(c, args, e);
}

static const struct column hub_columns[] = {
	{ "NAME" }, { "ENABLED" }, { "WEIGHT" }, { "LATENCY" }, { "DEVICES" }, { "CREATED", "created_at", COL_TIME },
	    { .title = NULL },
};

const struct verb provision_verbs[] = {
	{ .group = "group", .name = "scope", .help = "Show the ID scope, where devices register, and the hubs",
	  .run = op_verb, .op = "dps.show",
	  .more = op_opts, .print = provision_print_scope },
	{ .group = "group", .name = "ca-add", .run = op_verb,
	  .help = "Upload the CA certificate that a group's devices have theirs from",
	  .op = "group.ca_add", .prepare = prepare_ca, .print = provision_print_ca,
	  .text = "As in the portal: with --verified it counts at once, which says that you know its key to be yours. "
	      "Otherwise a verification code is shown, and it counts when 'estuary group ca-verify' got a "
	      "certificate that the CA issued to that code. The next certificate of a CA that is verified, for the same "
	      "name and key, takes the place of the one before.",
	  .pos = NAME_ARG("Its name here"),
	  .opts = OPTS(
	      { .name = "cert", .kind = OPT_FILE, .arg = "FILE", .local = true, .help = "The certificate, PEM or DER" },
	      { .name = "ca", .kind = OPT_TEXT, .arg = "CA",
	        .help = "A CA of this server instead, which needs no proof" },
	      { .name = "verified", .kind = OPT_FLAG, .help = "Set its status to verified on upload" }),
	  .more = op_opts,
	  .example = "estuary group ca-add maker --cert maker-ca.pem --verified\n"
	      "estuary group ca-add issuing --ca issuing" },
	{ .group = "group", .name = "ca-verify", .help = "Prove that an uploaded CA's key is yours", .run = op_verb,
	  .op = "group.ca_verify",
	  .prepare = prepare_ca, .print = provision_print_ca, .pos = NAME_ARG("The CA"),
	  .opts = OPTS({ .name = "cert", .kind = OPT_FILE, .arg = "PROOF", .required = true, .local = true,
	        .help = "A certificate that the CA issued to the verification code" }),
	  .more = op_opts },
	{ .group = "group", .name = "ca-list", .help = "List the CAs for groups", .run = op_verb, .op = "group.ca_list",
	  .more = op_opts,
	  .columns = COLUMNS({ "NAME" }, { "SUBJECT" }, { "VERIFIED" }, { "NOT AFTER", NULL, COL_TIME }, { "GROUPS" },
	      { "ISSUED BY", "parent" },
	      { "OUR CA", "ours" }) },
	{ .group = "group", .name = "ca-show", .help = "Show a CA for groups, or print its certificate", .run = op_verb,
	  .op = "group.ca_show",
	  .pos = NAME_ARG("The CA"), .opts = OPTS(OP_PEM_OPT), .more = op_opts, .print = op_print_cert },
	{ .group = "group", .name = "ca-remove", .help = "Remove a CA that no group names", .run = op_verb,
	  .op = "group.ca_remove",
	  .pos = NAME_ARG("The CA"), .more = op_opts },

	{ .group = "group", .name = "create", .run = op_verb,
	  .help = "Make an enrolment group: devices that register by a CA or a key",
	  .op = "group.create", .prepare = prepare_create, .print = provision_print_made,
	  .text = "By X.509, every device comes in whose certificate the CA issued, under the name in it. --ca names "
	      "a CA that was uploaded, or one of this server. By symmetric key, every device has a key of its own, "
	      "made from the group's; see 'estuary group derive'.",
	  .pos = NAME_ARG("Its name"),
	  .opts = OPTS(
	      { .name = "x509", .kind = OPT_FLAG, .local = true, .help = "Devices prove themselves by certificates" },
	      { .name = "symmetric", .kind = OPT_FLAG, .local = true,
	        .help = "Devices prove themselves by keys made from the group's" },
	      { .name = "ca", .kind = OPT_TEXT, .arg = "CA", .help = "CA that issues their certificates" },
	      { .name = "secondary-ca", .kind = OPT_TEXT, .arg = "CA", .member = "ca2",
	        .help = "A second one, for when the first is replaced" },
	      KEY_OPTS, MADE_OPTS),
	  .more = op_opts,
	  .example = "estuary group create edge --x509 --ca issuing --edge\n"
	      "estuary group create pumps --symmetric --hub hub.example:8443" },
	{ .group = "group", .name = "set", .help = "Change a group; it holds from the next registration on",
	  .run = op_verb, .op = "group.set",
	  .prepare = prepare_set, .print = provision_print_made, .pos = NAME_ARG("The group"),
	  .text = WHAT_STAYS " A key that is changed here makes those of all its devices that come from it worthless at once; "
	      "'estuary group key-rotate' changes one of the two, too.",
	  .opts = OPTS(
	      { .name = "ca", .kind = OPT_TEXT, .arg = "CA", .help = "CA that issues its devices' certificates" },
	      { .name = "secondary-ca", .kind = OPT_TEXT, .arg = "CA", .member = "ca2",
	        .help = "A second one; empty: none" },
	      KEY_OPTS, CHANGED_OPTS),
	  .more = op_opts },
	{ .group = "group", .name = "list", .help = "List the enrolment groups", .run = op_verb, .op = "group.list",
	  .opts = OPTS(OP_LIST_OPTS),
	  .more = op_opts,
	  .columns = COLUMNS({ "NAME" }, { "ATTESTATION" }, { "ENABLED" }, { "CA" }, { "ALLOCATION" }, { "HUBS" },
	      { "EDGE" }, { "LABEL" },
	      { "REGISTRATIONS" }) },
	{ .group = "group", .name = "show", .help = "Show a group, and its devices' config.toml", .run = op_verb,
	  .op = "group.show",
	  .pos = NAME_ARG("The group"), .opts = OPTS(KEYS_OPT), .more = op_opts, .print = provision_print_enrolment },
	{ .group = "group", .name = "remove", .help = "Remove a group that no device registered by", .run = op_verb,
	  .op = "group.remove",
	  .pos = NAME_ARG("The group"), .more = op_opts },
	{ .group = "group", .name = "enable", .help = "Let devices register by a group", .run = op_verb,
	  .op = "group.enable",
	  .pos = NAME_ARG("The group"), .more = op_opts, .print = provision_print_enrolment },
	{ .group = "group", .name = "disable", .help = "Let no device register by a group", .run = op_verb,
	  .op = "group.disable",
	  .pos = NAME_ARG("The group"), .more = op_opts, .print = provision_print_enrolment },
	{ .group = "group", .name = "derive", .help = "Print the key of one device of a group by symmetric key",
	  .run = op_verb, .op = "group.derive",
	  .text = "It is made from the group's primary key and the registration ID alone, so that a factory can make "
	      "it, too: HMAC-SHA256 of the ID in lower case, in base64.",
	  .pos = OPTS({ .name = "name", .kind = OPT_TEXT, .arg = "GROUP", .required = true, .help = "The group" },
	      { .name = "registration", .kind = OPT_TEXT, .arg = "REGISTRATION", .required = true,
	        .help = "The device's registration ID" }),
	  .more = op_opts, .print = provision_print_derived, .example = "estuary group derive pumps pump-7" },
	{ .group = "group", .name = "key-rotate", .help = "Make a group's primary or secondary key anew",
	  .run = op_verb, .op = "group.key_rotate",
	  .text = "The keys of all its devices come from the group's: those from the key that goes are worthless at "
	      "once. Give devices keys from the other one first.",
	  .pos = OPTS({ .name = "name", .kind = OPT_TEXT, .arg = "GROUP", .required = true, .help = "The group" },
	      { .name = "which", .kind = OPT_TEXT, .arg = "WHICH", .words = "primary|secondary", .required = true,
	        .help = "Which of its two keys" }),
	  .more = op_opts, .print = provision_print_made },

	{ .group = "enrolment", .name = "create", .help = "Enrol one device by its certificate, key or TPM",
	  .run = op_verb, .op = "enrolment.create",
	  .prepare = prepare_create, .print = provision_print_made,
	  .text = "An individual enrolment comes before any group: a device that has one is what it says, also when "
	      "it is disabled.",
	  .pos = REGISTRATION_ARG("The device's registration ID"),
	  .opts = OPTS(
	      { .name = "x509", .kind = OPT_FLAG, .local = true, .help = "It proves itself by --cert" },
	      { .name = "symmetric", .kind = OPT_FLAG, .local = true, .help = "It proves itself by a key" },
	      { .name = "tpm", .kind = OPT_FLAG, .local = true, .help = "It proves itself by the TPM of --ek" },
	      CERT_OPTS, KEY_OPTS, MADE_OPTS),
	  .more = op_opts,
	  .example = "estuary enrolment create pump-7 --symmetric\n"
	      "estuary enrolment create pump-8 --x509 --cert pump-8.pem --device-id Pump8" },
	{ .group = "enrolment", .name = "set", .run = op_verb,
	  .help = "Change a device's enrolment; it holds from its next registration on",
	  .text = WHAT_STAYS, .op = "enrolment.set", .prepare = prepare_set, .print = provision_print_made,
	  .pos = REGISTRATION_ARG("The device's registration ID"),
	  .opts = OPTS(CERT_OPTS, KEY_OPTS, CHANGED_OPTS), .more = op_opts },
	{ .group = "enrolment", .name = "list", .help = "List the individual enrolments", .run = op_verb,
	  .op = "enrolment.list",
	  .opts = OPTS(OP_LIST_OPTS), .more = op_opts,
	  .columns = COLUMNS({ "REGISTRATION" }, { "ATTESTATION" }, { "ENABLED" }, { "DEVICE ID" }, { "ALLOCATION" },
	      { "HUBS" }, { "EDGE" },
	      { "LABEL" }, { "REGISTERED", "registrations" }) },
	{ .group = "enrolment", .name = "show", .help = "Show a device's enrolment, and its config.toml",
	  .run = op_verb, .op = "enrolment.show",
	  .pos = REGISTRATION_ARG("The device's registration ID"), .opts = OPTS(KEYS_OPT), .more = op_opts,
	  .print = provision_print_enrolment },
	{ .group = "enrolment", .name = "remove", .help = "Remove the enrolment of a device that is not registered",
	  .run = op_verb,
	  .op = "enrolment.remove", .pos = REGISTRATION_ARG("The device's registration ID"), .more = op_opts },
	{ .group = "enrolment", .name = "enable", .help = "Let a device register", .run = op_verb,
	  .op = "enrolment.enable",
	  .pos = REGISTRATION_ARG("The device's registration ID"), .more = op_opts,
	  .print = provision_print_enrolment },
	{ .group = "enrolment", .name = "disable", .help = "Let a device register no more, by no group either",
	  .run = op_verb, .op = "enrolment.disable",
	  .pos = REGISTRATION_ARG("The device's registration ID"), .more = op_opts,
	  .print = provision_print_enrolment },

	{ .group = "registration", .name = "list", .help = "List the registration records: the devices that registered",
	  .run = op_verb,
	  .op = "registration.list",
	  .opts = OPTS(
	      { .name = "name", .letter = 'q', .kind = OPT_TEXT, .arg = "TEXT", .member = "q",
	        .help = "Only those with this in their registration ID" },
	      { .name = "group", .letter = 'g', .kind = OPT_TEXT, .arg = "GROUP", .help = "Only those of this group" },
	      { .name = "status", .letter = 's', .kind = OPT_TEXT, .arg = "STATUS",
	        .words = "unassigned|assigning|assigned|failed|disabled", .help = "Only those with this status" },
	      OP_LIST_OPTS),
	  .more = op_opts,
	  .columns = COLUMNS({ "REGISTRATION ID", "registration" }, { "DEVICE ID" }, { "ASSIGNED HUB", "hub" },
	      { "STATUS", NULL, COL_STATE },
	      { "SUBSTATUS" }, { "ENROLMENT" }, { "CREATED", "created_at", COL_TIME },
	      { "LAST UPDATED", "updated_at", COL_TIME }) },
	{ .group = "registration", .name = "show", .help = "Show a device's registration record", .run = op_verb,
	  .op = "registration.show",
	  .pos = REGISTRATION_ARG("The device's registration ID"), .more = op_opts },
	{ .group = "registration", .name = "remove", .run = op_verb,
	  .help = "Forget that a device registered, and its modules; it may register again",
	  .op = "registration.remove",
	  .text = "To keep it out, disable it instead ('estuary registration disable'), or its enrolment.",
	  .pos = REGISTRATION_ARG("The device's registration ID"), .more = op_opts },
	{ .group = "registration", .name = "enable", .help = "Let a disabled device use its hub again", .run = op_verb,
	  .op = "registration.enable",
	  .pos = REGISTRATION_ARG("The device's registration ID"), .more = op_opts },
	{ .group = "registration", .name = "disable", .help = "Let a device neither register nor use its hub",
	  .run = op_verb,
	  .op = "registration.disable", .pos = REGISTRATION_ARG("The device's registration ID"), .more = op_opts },

	{ .group = "hub", .name = "add", .help = "Add a hub that devices are assigned to", .run = op_verb,
	  .op = "hub.add",
	  .text = "A hub is an address that devices are told. This server is one itself, for the calls of the "
	      "identity service: HOST:PORT of its device listener, as quickstart adds it.",
	  .pos = OPTS({ .name = "name", .kind = OPT_TEXT, .arg = "HOST[:PORT]", .required = true,
	      .help = "Where it is" }),
	  .opts = OPTS(
	      { .name = "weight", .kind = OPT_NUMBER, .arg = "N",
	        .help = "Its share of the devices by allocation hashed, 1 to 1000 (default 1)" },
	      { .name = "latency", .kind = OPT_NUMBER, .arg = "MS",
	        .help = "How far it is, for allocation latency (default 0)" }),
	  .more = op_opts, .example = "estuary hub add hub.example:8443 --weight 2" },
	{ .group = "hub", .name = "set", .help = "Change a hub; devices that are there stay", .run = op_verb,
	  .text = WHAT_STAYS, .op = "hub.set", .pos = NAME_ARG("The hub"),
	  .opts = OPTS(
	      { .name = "weight", .kind = OPT_NUMBER, .arg = "N",
	        .help = "Its share of the devices by allocation hashed, 1 to 1000" },
	      { .name = "latency", .kind = OPT_NUMBER, .arg = "MS", .help = "How far it is, for allocation latency" },
	      { .name = "enabled", .kind = OPT_BOOL, .arg = "YES", .help = "Assign new devices to it" }),
	  .more = op_opts },
	{ .group = "hub", .name = "list", .help = "List the hubs", .run = op_verb, .op = "hub.list", .more = op_opts,
	  .columns = hub_columns },
	{ .group = "hub", .name = "remove", .help = "Remove a hub that has no devices and that no enrolment names",
	  .run = op_verb, .op = "hub.remove",
	  .pos = NAME_ARG("The hub"), .more = op_opts },
	{ .group = "hub", .name = "modules", .help = "List a device's module identities", .run = op_verb,
	  .op = "hub.modules",
	  .pos = ARG("device", "DEVICE", "Its name at the hub"), .more = op_opts,
	  .columns = COLUMNS({ "MODULE" }, { "GENERATION" }, { "MANAGED BY" }, { "HAS KEYS" },
	      { "CREATED", "created_at", COL_TIME },
	      { "UPDATED", "updated_at", COL_TIME }) },
	{ .group = "hub", .name = "mosquitto", .run = mosquitto_write,
	  .help = "Write the configuration of an MQTT broker that takes this server's devices",
	  .text = "For mosquitto 2.0: TLS under this server's CAs, a certificate of its own, revocation lists that "
	      "are fetched by a script and take effect at once, and a device publishes and reads below its own name "
	      "alone. The README in the directory says how to run it.",
	  .opts = OPTS(
	      { .name = "out", .letter = 'o', .kind = OPT_TEXT, .arg = "DIR", .required = true,
	        .help = "Where; made, and refused when it is there" },
	      { .name = "force", .kind = OPT_FLAG, .help = "Replace what an earlier run wrote there; its data stay" },
	      { .name = "port", .letter = 'p', .kind = OPT_NUMBER, .arg = "PORT",
	        .help = "Where devices come (default 8883)" },
	      { .name = "listen", .kind = OPT_TEXT, .arg = "ADDR", .help = "Only at this address (default: all)" },
	      { .name = "name", .letter = 'n', .kind = OPT_LIST, .arg = "FQDN",
	        .help = "Name that devices know the broker by (default: the server's)" },
	      { .name = "address", .letter = 'a', .kind = OPT_LIST, .arg = "ADDRESS",
	        .help = "IP address for its certificate" },
	      { .name = "ca", .kind = OPT_TEXT, .arg = "CA",
	        .help = "CA that issues its certificate (default: the default label's)" },
	      { .name = "user", .letter = 'u', .kind = OPT_TEXT, .arg = "USER",
	        .help = "Who runs it (default: mosquitto when root asks, else you)" }),
	  .more = op_opts, .example = "estuary hub mosquitto --out /etc/estuary-mqtt --name mqtt.example" },
	{ .name = NULL },
};
