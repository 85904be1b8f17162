/* SPDX-License-Identifier: Apache-2.0 */
/* cli/azure.c - estuary azure export: the same CAs, groups and enrolments for Azure's own service */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/estuary.h"
#include "cli/op.h"
#include "cli/outdir.h"
#include "core/base/text.h"

#define SERVICE_API "2021-10-01" /* of what Azure sends to a webhook */
#define VARIABLE_MAX 160
#define FILE_MAX     200

/* One run. */
struct export {
	struct cli *c;
	struct op_server server;
	struct outdir out;
	char hint[OP_HINT_MAX];
	struct buf script, keys, needs;
	size_t n_cas, n_groups, n_enrolments;
	json_t *variables;           /* names of variables for keys, each once */
	json_t *names, *ours;        /* of CAs that are written; of ours among them */
	bool has_devices;            /* certificates of devices are needed */
	bool needs_hub;              /* somewhere exactly one hub must be named, and none of Azure's is */
};

static void
put_option(struct buf *out, const char *option, const char *value)
{
	buf_printf(out, " \\\n\t%s ", option);
	text_quote(out, value);
}

static int
call(struct export *x, json_t **out, const char *verb, json_t *args, struct err *e)
{
	int r = op_call(out, &x->server, verb, args, x->hint, e);

	return r != 0 ? err_prefix(e, (enum err_code)r, "%s", verb) : 0;
}

/* All pages of a list, one after the other, to fn. */
static int
each(struct export *x, const char *verb, int (*fn)(struct export *x, const json_t *item, struct err *e), struct err *e)
{
	AUTO_JSON args = json_object();
	bool pages = strcmp(verb, "group.list") == 0 || strcmp(verb, "enrolment.list") == 0, more = true;
	int r = 0;

	if (pages)
		(void)json_object_set_new(args, "limit", json_integer(1000));
	while (r == 0 && more) {
		AUTO_JSON page = NULL;
		const json_t *item;
		size_t i;

		if ((r = call(x, &page, verb, args, e)) != 0)
			break;
		json_array_foreach(json_object_get(page, "items"), i, item)
			if (r == 0)
				r = fn(x, item, e);
		more = json_str(page, "next", NULL) != NULL;
		if (more)
			json_setf(args, "after", "%s", json_str(page, "next", ""));
	}
	return r;
}

/* The whole of an object by its list's item. */
static int
show(struct export *x, json_t **out, const char *verb, const char *member, const json_t *item, bool keys, struct err *e)
{
	AUTO_JSON args = json_object();

	json_setf(args, member, "%s", json_str(item, member, ""));
	if (keys)
		(void)json_object_set_new(args, "show_keys", json_true());
	return call(x, out, verb, args, e);
}

/* --- the script's fixed parts --- */

static const char head_text[] =
    "#!/bin/bash\n"
    "# Set up Azure's Device Provisioning Service and a hub like this Estuary server: CA certificates, groups, "
    "enrolments.\n"
    "# Needs the Azure CLI with its extension azure-iot, after `az login`.  May be run again: what is there is "
    "updated.\n"
    "# What stands in single quotes is meant as it stands.\n"
    "# shellcheck disable=SC2016\n"
    "set -euo pipefail\n"
    "cd \"$(dirname \"${BASH_SOURCE[0]}\")\"\n"
    "\n";

static const char functions_text[] =
    "\n"
    "there() { \"$@\" --output none 2>/dev/null; }\n"
    "\n"
    "# The service itself must be there; otherwise everything below would look as if it were new.\n"
    "az iot dps show --name \"$DPS\" --resource-group \"$RESOURCE_GROUP\" --output none\n"
    "hubs=()\n"
    "if [ -n \"$HUB\" ]; then\n"
    "\taz iot hub show --name \"${HUB%%.*}\" --output none\n"
    "\tcase $HUB in\n"
    "\t*.*) hubs=(--iot-hubs \"$HUB\") ;;\n"
    "\t*) hubs=(--iot-hubs \"$HUB.azure-devices.net\") ;;\n"
    "\tesac\n"
    "fi\n"
    "\n"
    "# ca NAME: upload NAME.pem as verified, to the service and to the hub\n"
    "ca() {\n"
    "\tlocal etag at=(--dps-name \"$DPS\" --resource-group \"$RESOURCE_GROUP\" --certificate-name \"$1\")\n"
    "\tif etag=$(az iot dps certificate show \"${at[@]}\" --query etag --output tsv 2>/dev/null); then\n"
    "\t\taz iot dps certificate update \"${at[@]}\" --path \"$1.pem\" --verified true --etag \"$etag\" --output none\n"
    "\telse\n"
    "\t\taz iot dps certificate create \"${at[@]}\" --path \"$1.pem\" --verified true --output none\n"
    "\tfi\n"
    "\t[ -n \"$HUB\" ] || return 0\n"
    "\tat=(--hub-name \"${HUB%%.*}\" --name \"$1\")\n"
    "\tif etag=$(az iot hub certificate show \"${at[@]}\" --query etag --output tsv 2>/dev/null); then\n"
    "\t\taz iot hub certificate update \"${at[@]}\" --path \"$1.pem\" --verified true --etag \"$etag\" --output none\n"
    "\telse\n"
    "\t\taz iot hub certificate create \"${at[@]}\" --path \"$1.pem\" --verified true --output none\n"
    "\tfi\n"
    "}\n"
    "\n"
    "# group NAME OPTION...\n"
    "group() {\n"
    "\tlocal at=(--dps-name \"$DPS\" --resource-group \"$RESOURCE_GROUP\" --enrollment-id \"$1\") verb=create\n"
    "\tshift\n"
    "\tthere az iot dps enrollment-group show \"${at[@]}\" && verb=update\n"
    "\taz iot dps enrollment-group $verb \"${at[@]}\" \"$@\" --output none\n"
    "}\n"
    "\n"
    "# enrolment REGISTRATION ATTESTATION OPTION...\n"
    "enrolment() {\n"
    "\tlocal at=(--dps-name \"$DPS\" --resource-group \"$RESOURCE_GROUP\" --enrollment-id \"$1\") how=$2\n"
    "\tshift 2\n"
    "\tif there az iot dps enrollment show \"${at[@]}\"; then\n"
    "\t\taz iot dps enrollment update \"${at[@]}\" \"$@\" --output none\n"
    "\telse\n"
    "\t\taz iot dps enrollment create \"${at[@]}\" --attestation-type \"$how\" \"$@\" --output none\n"
    "\tfi\n"
    "}\n"
    "\n"
    "# certificate FILE SHA256: this server keeps of a device's certificate only its digest\n"
    "certificate() {\n"
    "\tif ! [ -f \"$1\" ]; then\n"
    "\t\techo \"setup.sh: put the device's certificate here as $1 and run this again\" >&2\n"
    "\t\treturn 1\n"
    "\tfi\n"
    "\tif [ \"$(openssl x509 -in \"$1\" -outform DER | sha256sum | cut -d ' ' -f 1)\" != \"$2\" ]; then\n"
    "\t\techo \"setup.sh: $1 is not the certificate that was enrolled\" >&2\n"
    "\t\treturn 1\n"
    "\tfi\n"
    "}\n"
    "\n"
    "left=0\n";

/* Where it goes: what was given here holds unless the environment says otherwise. */
static void
put_target(const struct export *x, struct buf *out, const char *variable, const char *option, bool needed)
{
	buf_printf(out, "%s=${%s:-", variable, variable);
	if (cli_has(x->c, option))
		text_quote(out, cli_text(x->c, option));
	buf_put_str(out, "}\n");
	if (needed)
		buf_printf(out, ": \"${%s:?set it to the name of the %s}\"\n", variable,
		    strcmp(variable, "DPS") == 0 ? "Device Provisioning Service" : "resource group");
}

/* --- CAs --- */

static int
put_ca(struct export *x, const char *name, const json_t *ca, struct err *e)
{
	char file[FILE_MAX];
	int r;

	(void)snprintf(file, sizeof(file), "%.100s.pem", name);
	if ((r = outdir_put(&x->out, file, bytes_of(json_str(ca, "pem", "")), 0644, e)) != 0)
		return r;
	(void)json_object_set_new(x->names, name, json_true());
	buf_put_str(&x->script, "ca ");
	text_quote(&x->script, name);
	buf_put_u8(&x->script, '\n');
	x->n_cas++;
	return 0;
}

/* Azure's word must not be better than ours. */
static int
add_uploaded(struct export *x, const json_t *item, struct err *e)
{
	AUTO_JSON ca = NULL;
	const char *name = json_str(item, "name", "");
	int r;

	if (!json_flag(item, "verified", false)) {
		cli_say(x->c, "the CA %s is not verified, and left out", name);
		return 0;
	}
	if (json_str(item, "ours", "")[0] != 0)
		(void)json_object_set_new(x->ours, json_str(item, "ours", ""), json_true());
	r = show(x, &ca, "group.ca_show", "name", item, false, e);
	return r != 0 ? r : put_ca(x, name, ca, e);
}

/* Those of our CAs that no group knows yet. */
static int
add_ours(struct export *x, const json_t *item, struct err *e)
{
	AUTO_JSON ca = NULL;
	const char *name = json_str(item, "name", "");
	char other[FILE_MAX];
	int r;

	if (json_object_get(x->ours, name) != NULL)
		return 0;
	(void)snprintf(other, sizeof(other), "%s%.80s", json_object_get(x->names, name) != NULL ? "estuary-" : "",
	    name);
	for (int i = 2; json_object_get(x->names, other) != NULL; i++)
		(void)snprintf(other, sizeof(other), "estuary-%.80s-%d", name, i);
	r = show(x, &ca, "ca.show", "name", item, false, e);
	return r != 0 ? r : put_ca(x, other, ca, e);
}

/* --- groups and enrolments --- */

/* A variable for a key, such as EDGE_PUMPS_KEY; another one's is never the same. */
static void
variable_for(struct export *x, const char *kind, const char *name, const char *which, char out[VARIABLE_MAX])
{
	char stem[100];
	size_t n = 0;

	for (; name[n] != 0 && n + 1 < sizeof(stem); n++) {
		char ch = name[n];

		if (ch >= 'a' && ch <= 'z')
			stem[n] = (char)(ch - 'a' + 'A');
		else
			stem[n] = (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ? ch : '_';
	}
	stem[n] = 0;
	(void)snprintf(out, VARIABLE_MAX, "%s_%s_%s", kind, stem, which);
	for (int i = 2; json_object_get(x->variables, out) != NULL; i++)
		(void)snprintf(out, VARIABLE_MAX, "%s_%s_%d_%s", kind, stem, i, which);
	(void)json_object_set_new(x->variables, out, json_true());
}

/* --primary-key "$GROUP_PUMPS_KEY": the key itself stands elsewhere. */
static void
put_key(struct export *x, struct buf *out, const char *option, const char *kind, const json_t *whole,
    const char *member, const char *which)
{
	const char *name = json_str(whole, "name", json_str(whole, "registration", ""));
	const char *key = json_str(whole, member, NULL);
	char variable[VARIABLE_MAX];

	variable_for(x, kind, name, which, variable);
	buf_printf(out, " \\\n\t%s \"$%s\"", option, variable);
	buf_printf(&x->needs, ": \"${%s:?set it to the %s key that estuary %s show %s --keys shows}\"\n", variable,
	    strcmp(which, "KEY") == 0 ? "primary" : "secondary", strcmp(kind, "GROUP") == 0 ? "group" : "enrolment",
	    name);
	if (key != NULL) {
		buf_printf(&x->keys, "%s=", variable);
		text_quote(&x->keys, key);
		buf_put_u8(&x->keys, '\n');
	}
}

static bool
is_azures(const char *hub)
{
	static const char *const ends[] = { ".azure-devices.net", ".azure-devices.cn", ".azure-devices.us" };
	size_t n = strlen(hub);

	for (size_t i = 0; i < N_OF(ends); i++)
		if (n > strlen(ends[i]) && strcasecmp(hub + n - strlen(ends[i]), ends[i]) == 0)
			return true;
	return false;
}

/* Our own stand-in is no hub there: the one of --hub takes its place. */
static void
put_hubs(struct export *x, struct buf *out, const json_t *whole)
{
	const json_t *hub;
	AUTO_BUF list = { 0 };
	size_t i;

	json_array_foreach(json_object_get(whole, "hubs"), i, hub)
		if (is_azures(json_string_value(hub)))
			buf_printf(&list, "%s%s", list.n != 0 ? " " : "", json_string_value(hub));
	if (list.n != 0)
		put_option(out, "--iot-hubs", buf_str(&list));
	else
		buf_put_str(out, " \\\n\t\"${hubs[@]}\"");
	if (list.n == 0 && strcmp(json_str(whole, "allocation", ""), "static") == 0)
		x->needs_hub = true;
}

static void
put_settings(struct export *x, struct buf *out, const json_t *whole)
{
	static const struct { const char *ours, *azures; } words[] = {
		{ "static", "static" }, { "hashed", "hashed" }, { "latency", "geoLatency" }, { "webhook", "custom" },
	};
	const char *allocation = json_str(whole, "allocation", "hashed");

	buf_printf(out, " \\\n\t--provisioning-status %s", json_flag(whole, "enabled", false) ? "enabled" : "disabled");
	buf_printf(out, " \\\n\t--edge-enabled %s", json_flag(whole, "edge", false) ? "true" : "false");
	for (size_t i = 0; i < N_OF(words); i++)
		if (strcmp(words[i].ours, allocation) == 0)
			buf_printf(out, " \\\n\t--allocation-policy %s", words[i].azures);
	if (strcmp(allocation, "webhook") == 0) {
		put_option(out, "--webhook-url", json_str(whole, "webhook", ""));
		buf_put_str(out, " \\\n\t--api-version " SERVICE_API);
	}
	buf_printf(out, " \\\n\t--reprovision-policy %s", strcmp(json_str(whole, "reprovision", ""), "never") == 0 ?
	    "never" : "reprovisionandmigratedata");
	put_hubs(x, out, whole);
}

static int
add_group(struct export *x, const json_t *item, struct err *e)
{
	AUTO_JSON whole = NULL;
	struct buf *out = &x->script;
	bool symmetric = strcmp(json_str(item, "attestation", ""), "symmetric") == 0;
	int r = show(x, &whole, "group.show", "name", item, symmetric && cli_flag(x->c, "with-keys"), e);

	if (r != 0)
		return r;
	buf_put_str(out, "group ");
	text_quote(out, json_str(whole, "name", ""));
	if (symmetric) {
		put_key(x, out, "--primary-key", "GROUP", whole, "key", "KEY");
		put_key(x, out, "--secondary-key", "GROUP", whole, "key2", "KEY2");
	} else {
		put_option(out, "--ca-name", json_str(whole, "ca", ""));
		if (json_str(whole, "ca2", "")[0] != 0)
			put_option(out, "--secondary-ca-name", json_str(whole, "ca2", ""));
	}
	put_settings(x, out, whole);
	buf_put_u8(out, '\n');
	x->n_groups++;
	return 0;
}

/* --certificate-path of a file that is checked first. */
static void
put_certificate(struct buf *checks, struct buf *out, const char *option, const json_t *whole, const char *member,
    const char *ending)
{
	char file[FILE_MAX];

	if (json_str(whole, member, "")[0] == 0)
		return;
	(void)snprintf(file, sizeof(file), "devices/%.150s%s.pem", json_str(whole, "registration", ""), ending);
	buf_put_str(checks, checks->n != 0 ? " && certificate " : "certificate ");
	text_quote(checks, file);
	buf_put_u8(checks, ' ');
	text_quote(checks, json_str(whole, member, ""));
	put_option(out, option, file);
}

static int
add_enrolment(struct export *x, const json_t *item, struct err *e)
{
	AUTO_JSON whole = NULL;
	AUTO_BUF options = { 0 };
	AUTO_BUF checks = { 0 };
	const char *how = json_str(item, "attestation", ""), *device = json_str(item, "device_id", "");
	bool symmetric = strcmp(how, "symmetric") == 0;
	int r = show(x, &whole, "enrolment.show", "registration", item, symmetric && cli_flag(x->c, "with-keys"), e);

	if (r != 0)
		return r;
	if (symmetric) {
		put_key(x, &options, "--primary-key", "ENROLMENT", whole, "key", "KEY");
		put_key(x, &options, "--secondary-key", "ENROLMENT", whole, "key2", "KEY2");
	} else if (strcmp(how, "tpm") == 0) {
		put_option(&options, "--endorsement-key", json_str(whole, "ek", ""));
	} else {
		x->has_devices = true;
		put_certificate(&checks, &options, "--certificate-path", whole, "cert_sha256", "");
		put_certificate(&checks, &options, "--secondary-certificate-path", whole, "cert2_sha256", "-2");
	}
	/* With "=": a device's ID may begin with a hyphen. */
	buf_put_str(&options, " \\\n\t--device-id=");
	text_quote(&options, device);
	put_settings(x, &options, whole);
	if (checks.n != 0)
		buf_printf(&x->script, "if %s; then\n", buf_str(&checks));
	buf_put_str(&x->script, "enrolment ");
	text_quote(&x->script, json_str(whole, "registration", ""));
	buf_printf(&x->script, " %s", symmetric ? "symmetricKey" : how);
	buf_put_bytes(&x->script, bytes_of_buf(&options));
	buf_put_str(&x->script, checks.n != 0 ? "\nelse\n\tleft=$((left + 1))\nfi\n" : "\n");
	x->n_enrolments++;
	return 0;
}

/* --- the files --- */

static int
put_script(struct export *x, struct err *e)
{
	AUTO_BUF text = { 0 };

	buf_put_str(&text, head_text);
	put_target(x, &text, "DPS", "dps", true);
	put_target(x, &text, "RESOURCE_GROUP", "resource-group", true);
	put_target(x, &text, "HUB", "hub", x->needs_hub);
	if (x->needs.n != 0)
		buf_put_str(&text, "\n# Symmetric keys: from the environment, or from keys.env\nif [ -f keys.env ]; "
		    "then\n"
		    "\t# shellcheck source=/dev/null\n\t. ./keys.env\nfi\n");
	buf_put_bytes(&text, bytes_of_buf(&x->needs));
	buf_put_str(&text, functions_text);
	buf_put_u8(&text, '\n');
	buf_put_bytes(&text, bytes_of_buf(&x->script));
	buf_put_str(&text, "\nif [ \"$left\" -ne 0 ]; then\n\techo \"setup.sh: $left enrolments are left out; see "
	    "above\" >&2\n\texit 1\nfi\n"
	    "az iot dps show --name \"$DPS\" --resource-group \"$RESOURCE_GROUP\" --query properties.idScope --output "
	    "tsv\n");
	/* Its owner's alone: addresses of webhooks have their key in them. */
	return outdir_put(&x->out, "setup.sh", bytes_of_buf(&text), 0700, e);
}

static int
put_readme(struct export *x, struct err *e)
{
	AUTO_BUF text = { 0 };

	buf_put_str(&text, "Azure's Device Provisioning Service, set up as this Estuary server is\n\n"
	    "  az login\n  DPS=my-dps RESOURCE_GROUP=my-group HUB=my-hub ./setup.sh\n\n"
	    "setup.sh uploads the CA certificates (*.pem) as verified, to the hub, too, and makes the groups and "
	    "enrolments, or updates those that\n"
	    "are there; the last line that it prints is the ID scope for the devices' config.toml. It may be run "
	    "again.\n\n"
	    "No private key is here: certificates are issued by this server, as before.\n");
	if (x->needs.n != 0)
		buf_put_str(&text, x->keys.n != 0 ? "keys.env has the symmetric keys: keep it as secret as they are, "
		    "and remove it afterwards.\n" :
		    "Symmetric keys come from environment variables that setup.sh names when they are missing, or "
		    "from a file keys.env\n"
		    "(estuary azure export --with-keys).\n");
	buf_put_str(&text, "\nNot there, because Azure has nothing like it: payloads of groups and enrolments, and "
	    "certificates within a registration\n"
	    "(--label). Hubs that are not Azure's are replaced by HUB; without it, Azure's own linked hubs are "
	    "used.\n");
	return outdir_put(&x->out, "README", bytes_of_buf(&text), 0644, e);
}

static int
make(struct export *x, struct err *e)
{
	int r;

	if ((r = outdir_begin(&x->out, cli_text(x->c, "out"), "setup.sh", cli_flag(x->c, "force"), e)) != 0 ||
	    (r = op_server_open(&x->server, x->c, e)) != 0 || (r = each(x, "group.ca_list", add_uploaded, e)) != 0 ||
	    (r = each(x, "ca.list", add_ours, e)) != 0 || (r = each(x, "group.list", add_group, e)) != 0 ||
	    (r = each(x, "enrolment.list", add_enrolment, e)) != 0 || (r = put_readme(x, e)) != 0)
		return r;
	/* Those of an earlier run would be old, and are not wanted any more. */
	r = x->keys.n == 0 ? outdir_drop(&x->out, "keys.env", e) :
	    outdir_put(&x->out, "keys.env", bytes_of_buf(&x->keys), 0600, e);
	if (r != 0)
		return r;
	if (x->has_devices && (r = outdir_dir(&x->out, "devices", 0755, e)) != 0)
		return r;
	if ((r = put_script(x, e)) != 0)
		return r;
	return outdir_finish(&x->out, e);
}

static void
tell(const struct export *x)
{
	AUTO_JSON result = json_object();

	if (!x->c->json) {
		fprintf(x->c->out, "%s: %zu CA certificate%s, %zu group%s, %zu enrolment%s\nNext: az login, then "
		    "%s/setup.sh\n", x->out.path,
		    x->n_cas, x->n_cas == 1 ? "" : "s", x->n_groups, x->n_groups == 1 ? "" : "s", x->n_enrolments,
		    x->n_enrolments == 1 ? "" : "s", x->out.path);
		return;
	}
	json_setf(result, "dir", "%s", x->out.path);
	(void)json_object_set_new(result, "cas", json_integer((json_int_t)x->n_cas));
	(void)json_object_set_new(result, "groups", json_integer((json_int_t)x->n_groups));
	(void)json_object_set_new(result, "enrolments", json_integer((json_int_t)x->n_enrolments));
	cli_print_json(x->c, result);
}

static int
export(struct cli *c)
{
	struct export x = { .c = c, .variables = json_object(), .names = json_object(), .ours = json_object() };
	struct err e = { 0 };
	int status = EXIT_SUCCESS;

	if (make(&x, &e) == 0)
		tell(&x);
	else
		status = cli_fail(c, &e, x.hint);
	outdir_end(&x.out);
	op_server_clear(&x.server);
	buf_free(&x.script);
	buf_free(&x.keys);
	buf_free(&x.needs);
	json_decref(x.variables);
	json_decref(x.names);
	json_decref(x.ours);
	return status;
}

const struct verb azure_verbs[] = {
	{ .group = "azure", .name = "export", .run = export,
	  .help = "Write what sets up Azure's provisioning service like this server",
	  .text = "Writes the CA certificates and a script of az commands that uploads them as verified and makes the "
	      "groups and enrolments, or updates them. Devices then provision with Azure, and this server goes on "
	      "issuing their certificates. Names that are not given here are taken from the environment when the "
	      "script runs: DPS, RESOURCE_GROUP, HUB.",
	  .opts = OPTS(
	      { .name = "out", .letter = 'o', .kind = OPT_TEXT, .arg = "DIR", .required = true,
	        .help = "Where; made, and refused when it is there" },
	      { .name = "force", .kind = OPT_FLAG, .help = "Replace what an earlier run wrote there" },
	      { .name = "dps", .kind = OPT_TEXT, .arg = "NAME", .help = "Azure's Device Provisioning Service" },
	      { .name = "resource-group", .kind = OPT_TEXT, .arg = "GROUP", .help = "Its resource group" },
	      { .name = "hub", .kind = OPT_TEXT, .arg = "HUB",
	        .help = "IoT Hub that devices are assigned to, and that gets the CA certificates, too" },
	      { .name = "with-keys", .kind = OPT_FLAG,
	        .help = "Write the symmetric keys to keys.env; this is recorded" }),
	  .more = op_opts,
	  .example = "estuary azure export --out azure --dps my-dps --resource-group my-group --hub my-hub" },
	{ .name = NULL },
};
