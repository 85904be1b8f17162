/* SPDX-License-Identifier: Apache-2.0 */
/* config/import.c - from the old configuration to the new */
#include "device/config/import.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "core/codec/base64.h"
#include "core/codec/toml_print.h"
#include "device/config/connection.h"
#include "device/config/uri.h"
#include "device/config/yaml_tree.h"

#define AGENT_REPOSITORY "mcr.microsoft.com/azureiotedge-agent:"
#define AGENT_TAG        "1.6"
#define DAYS_MAX         36500

struct importing {
	struct buf *out;
	const char *file;
	const struct import_options *o;
	struct err *e;
	const struct yaml_tree *root;
};

/* "file:line: key 'k': text" */
static int
fault(const struct importing *im, const struct yaml_tree *at, const char *key, const char *text)
{
	return err_set(im->e, E_FORMAT, "%s:%d: key '%.80s': %s", im->file, at->line, key, text);
}

static void
note(const struct importing *im, const struct yaml_tree *at, const char *text)
{
	AUTO_BUF line = { 0 };

	buf_printf(&line, "%s:%d: %s", im->file, at->line, text);
	im->o->tell(im->o->ctx, buf_str(&line));
}

/* A member that is a text; NULL when absent. */
static int
text_of(const char **out, const struct importing *im, const struct yaml_tree *map, const char *key)
{
	const struct yaml_tree *v = yaml_tree_get(map, key);

	if (v != NULL && v->kind != YAML_TEXT)
		return fault(im, v, key, "a text is needed");
	*out = v != NULL ? v->text : NULL;
	return 0;
}

static int
need(const char **out, const struct importing *im, const struct yaml_tree *map, const char *key,
    const char *remedy)
{
	int r = text_of(out, im, map, key);

	if (r == 0 && *out == NULL)
		return fault(im, map, key, remedy);
	return r;
}

static bool
is_true(const struct yaml_tree *map, const char *key)
{
	const struct yaml_tree *v = yaml_tree_get(map, key);

	return v != NULL && v->kind == YAML_TEXT && v->plain && strcmp(v->text, "true") == 0;
}

/* A path, or a file: URI already. */
static void
put_file(struct buf *out, const char *key, const char *value)
{
	AUTO_BUF uri = { 0 };

	if (*value == '/')
		uri_of_path(&uri, value);
	else
		buf_put_str(&uri, value);
	toml_print_str(out, key, buf_str(&uri));
}

/* --- whole trees, by way of TOML's inline form --- */

static void
put_quoted(struct buf *out, const char *s)
{
	AUTO_BUF line = { 0 };

	toml_print_str(&line, "x", s);
	buf_put(out, line.p + strlen("x = "), line.n - strlen("x = ") - 1);
}

static bool
is_number(const char *s)
{
	size_t n = strspn(s + (*s == '-'), "0123456789");
	const char *digits = s + (*s == '-');

	return n > 0 && n < 19 && digits[n] == 0 && (n == 1 || *digits != '0');
}

static void
put_inline(struct buf *out, const struct yaml_tree *v, bool texts)
{
	if (v->kind == YAML_TEXT) {
		bool bare = !texts && v->plain &&
		    (strcmp(v->text, "true") == 0 || strcmp(v->text, "false") == 0 || is_number(v->text));

		if (bare)
			buf_put_str(out, v->text);
		else
			put_quoted(out, v->text);
		return;
	}
	buf_put_str(out, v->kind == YAML_MAP ? "{" : "[");
	for (size_t i = 0; i < v->n; i++) {
		if (i != 0)
			buf_put_str(out, ", ");
		if (v->kind == YAML_MAP) {
			put_quoted(out, v->item[i]->key);
			buf_put_str(out, " = ");
		}
		put_inline(out, v->item[i], texts);
	}
	buf_put_str(out, v->kind == YAML_MAP ? "}" : "]");
}

/* The members of a mapping below a header that is written already; texts: all values are. */
static int
put_tree(const struct importing *im, const struct yaml_tree *map, const char *path, bool texts)
{
	AUTO_BUF line = { 0 };
	AUTO(toml) doc = NULL;
	struct err why;

	if (map == NULL || (map->kind == YAML_TEXT && *map->text == 0))
		return 0;
	if (map->kind != YAML_MAP)
		return fault(im, map, path, "a mapping is needed");
	buf_put_str(&line, "t = ");
	put_inline(&line, map, texts);
	buf_put_str(&line, "\n");
	if (toml_parse(&doc, im->file, bytes_of_buf(&line), &why) != 0)
		return fault(im, map, path, "has no counterpart in TOML");
	toml_print_members(im->out, toml_get(doc, "t"), path);
	return 0;
}

/* --- [provisioning] --- */

static void
put_symmetric(struct buf *out, const char *where, const char *name, struct bytes key)
{
	AUTO_BUF text = { 0 };

	base64_encode(&text, key, 0);
	toml_print_table(out, "provisioning", where, name, NULL);
	toml_print_str(out, "value", buf_str(&text));
}

static int
put_connection(const struct importing *im, const struct yaml_tree *map, const char *text)
{
	struct connection c;
	struct err why;

	if (connection_parse(&c, text, &why) != 0)
		return fault(im, yaml_tree_get(map, "device_connection_string"), "device_connection_string",
		    why.msg);
	toml_print_str(im->out, "source", "manual");
	toml_print_str(im->out, "iothub_hostname", buf_str(&c.hub));
	toml_print_str(im->out, "device_id", buf_str(&c.device));
	toml_print_table(im->out, "provisioning", "authentication", NULL);
	toml_print_str(im->out, "method", "sas");
	put_symmetric(im->out, "authentication", "device_id_pk", bytes_of_buf(&c.key));
	connection_clear(&c);
	return 0;
}

static int
put_x509(const struct importing *im, const struct yaml_tree *auth)
{
	const char *cert, *pk;
	int r;

	if ((r = need(&cert, im, auth, "identity_cert", "the certificate's URI is missing")) != 0 ||
	    (r = need(&pk, im, auth, "identity_pk", "the key's URI is missing")) != 0)
		return r;
	put_file(im->out, "identity_cert", cert);
	put_file(im->out, "identity_pk", pk);
	return 0;
}

static int
put_manual(const struct importing *im, const struct yaml_tree *pr)
{
	const struct yaml_tree *auth = yaml_tree_get(pr, "authentication");
	const char *text, *method = NULL, *hub, *device;
	int r = text_of(&text, im, pr, "device_connection_string");

	if (r == 0 && text != NULL && auth != NULL)
		return fault(im, auth, "authentication",
		    "stands beside device_connection_string: leave one out");
	if (r == 0 && text == NULL && auth == NULL)
		return fault(im, pr, "device_connection_string", "is missing, and so is authentication");
	if (r == 0 && auth != NULL)
		r = need(&method, im, auth, "method", "\"x509\" or \"device_connection_string\" is needed");
	if (r == 0 && auth != NULL && strcmp(method, "device_connection_string") == 0) {
		pr = auth;
		r = need(&text, im, pr, "device_connection_string", "is missing");
	}
	if (r != 0)
		return r;
	if (text != NULL)
		return put_connection(im, pr, text);
	if (strcmp(method, "x509") != 0)
		return fault(im, auth, "method", "\"x509\" or \"device_connection_string\" is needed");
	if ((r = need(&hub, im, auth, "iothub_hostname", "is missing")) != 0 ||
	    (r = need(&device, im, auth, "device_id", "is missing")) != 0)
		return r;
	toml_print_str(im->out, "source", "manual");
	toml_print_str(im->out, "iothub_hostname", hub);
	toml_print_str(im->out, "device_id", device);
	toml_print_table(im->out, "provisioning", "authentication", NULL);
	toml_print_str(im->out, "method", "x509");
	return put_x509(im, auth);
}

static int
put_attestation(const struct importing *im, const struct yaml_tree *att, const char *method,
    const char *registration)
{
	AUTO_BUF key = { 0 };
	const char *text;
	struct err why;
	int r;

	toml_print_table(im->out, "provisioning", "attestation", NULL);
	toml_print_str(im->out, "method", method);
	toml_print_str(im->out, "registration_id", registration);
	if (strcmp(method, "x509") == 0)
		return put_x509(im, att);
	if (registration == NULL)
		return fault(im, att, "registration_id", "is missing");
	if (strcmp(method, "tpm") == 0)
		return 0;
	if (strcmp(method, "symmetric_key") != 0)
		return fault(im, att, "method", "\"x509\", \"symmetric_key\" or \"tpm\" is needed");
	if ((r = need(&text, im, att, "symmetric_key", "is missing")) != 0)
		return r;
	if (connection_key(&key, bytes_of(text), &why) != 0)
		return fault(im, yaml_tree_get(att, "symmetric_key"), "symmetric_key", why.msg);
	put_symmetric(im->out, "attestation", "symmetric_key", bytes_of_buf(&key));
	return 0;
}

static int
put_dps(const struct importing *im, const struct yaml_tree *pr)
{
	const struct yaml_tree *att = yaml_tree_get(pr, "attestation");
	const char *endpoint, *scope, *registration = NULL, *method = "tpm";
	int r;

	if ((r = need(&endpoint, im, pr, "global_endpoint", "is missing")) != 0 ||
	    (r = need(&scope, im, pr, "scope_id", "is missing")) != 0 ||
	    (r = text_of(&registration, im, att != NULL ? att : pr, "registration_id")) != 0 ||
	    (att != NULL &&
		(r = need(&method, im, att, "method",
		     "\"x509\", \"symmetric_key\" or \"tpm\" is needed")) != 0))
		return r;
	toml_print_str(im->out, "source", "dps");
	toml_print_str(im->out, "global_endpoint", endpoint);
	toml_print_str(im->out, "id_scope", scope);
	return put_attestation(im, att != NULL ? att : pr, method, registration);
}

static int
put_provisioning(const struct importing *im, const struct yaml_tree *pr)
{
	const char *source = NULL;
	int r;

	if (pr == NULL)
		return fault(im, im->root, "provisioning",
		    "is missing: this is no configuration of IoT Edge 1.1");
	if ((r = text_of(&source, im, pr, "source")) != 0)
		return r;
	toml_print_table(im->out, "provisioning", NULL);
	if (source == NULL || strcmp(source, "manual") == 0)
		return put_manual(im, pr);
	if (strcmp(source, "dps") == 0)
		return put_dps(im, pr);
	if (strcmp(source, "external") == 0)
		return fault(im, yaml_tree_get(pr, "source"), "provisioning.source",
		    "external provisioning is not supported any more: "
		    "use \"manual\" or \"dps\"");
	return fault(im, yaml_tree_get(pr, "source"), "provisioning.source",
	    "\"manual\" or \"dps\" is needed");
}

/* --- Edge --- */

/* 1.0 and 1.1 of Microsoft's agent, and their revisions, cannot run under the new services. */
static bool
is_old_agent(const char *image)
{
	static const char *const old[] = { AGENT_REPOSITORY "1.0", AGENT_REPOSITORY "1.1" };

	for (size_t i = 0; i < N_OF(old); i++) {
		size_t n = strlen(old[i]);

		if (strncmp(image, old[i], n) == 0 && (image[n] == 0 || image[n] == '.' || image[n] == '-'))
			return true;
	}
	return false;
}

static void
put_image(const struct importing *im, const struct yaml_tree *config, const char *image)
{
	bool old = image != NULL && is_old_agent(image);

	if (old)
		note(im, config,
		    "agent.config.image: an agent of 1.0 or 1.1 cannot run here, " AGENT_REPOSITORY AGENT_TAG
		    " is taken");
	toml_print_str(im->out, "image", image == NULL || old ? AGENT_REPOSITORY AGENT_TAG : image);
}

static int
put_agent(const struct importing *im, const struct yaml_tree *agent)
{
	const struct yaml_tree *config = yaml_tree_get(agent, "config");
	const char *name, *type, *policy, *image;
	int r;

	if ((r = text_of(&name, im, agent, "name")) != 0 || (r = text_of(&type, im, agent, "type")) != 0 ||
	    (r = text_of(&policy, im, agent, "imagePullPolicy")) != 0 ||
	    (r = text_of(&image, im, config, "image")) != 0)
		return r;
	toml_print_table(im->out, "agent", NULL);
	toml_print_str(im->out, "name", name != NULL ? name : "edgeAgent");
	toml_print_str(im->out, "type", type != NULL ? type : "docker");
	toml_print_str(im->out, "imagePullPolicy", policy != NULL ? policy : "on-create");
	toml_print_table(im->out, "agent", "config", NULL);
	put_image(im, config != NULL ? config : im->root, image);
	toml_print_table(im->out, "agent", "config", "createOptions", NULL);
	if ((r = put_tree(im, yaml_tree_get(config, "createOptions"), "agent.config.createOptions",
		 false)) != 0)
		return r;
	toml_print_table(im->out, "agent", "config", "auth", NULL);
	if ((r = put_tree(im, yaml_tree_get(config, "auth"), "agent.config.auth", true)) != 0)
		return r;
	toml_print_table(im->out, "agent", "env", NULL);
	return put_tree(im, yaml_tree_get(agent, "env"), "agent.env", true);
}

/* The sockets that systemd passes have new names. */
static int
put_listen_uri(const struct importing *im, const struct yaml_tree *map, const char *key, const char *def)
{
	const struct {
		const char *old, *fresh;
	} names[] = {
		{ "fd://iotedge.mgmt.socket", "fd://aziot-edged.mgmt.socket" },
		{ "fd://iotedge.socket", "fd://aziot-edged.workload.socket" },
	};
	const char *uri;
	int r = text_of(&uri, im, map, key);

	if (r != 0)
		return r;
	for (size_t i = 0; uri != NULL && i < N_OF(names); i++)
		if (strncmp(uri, names[i].old, strlen(names[i].old)) == 0)
			uri = names[i].fresh;
	if (uri != NULL && strncmp(uri, "fd://", 5) == 0 && strncmp(uri, "fd://aziot-edged.", 17) != 0)
		return fault(im, yaml_tree_get(map, key), key, "is none of the old service's sockets");
	toml_print_str(im->out, key, uri != NULL ? uri : def);
	return 0;
}

static int
put_ends(const struct importing *im)
{
	const struct yaml_tree *connect = yaml_tree_get(im->root, "connect"),
			       *listen = yaml_tree_get(im->root, "listen");
	const char *workload, *management, *tls;
	int r;

	if ((r = text_of(&workload, im, connect, "workload_uri")) != 0 ||
	    (r = text_of(&management, im, connect, "management_uri")) != 0 ||
	    (r = text_of(&tls, im, listen, "min_tls_version")) != 0)
		return r;
	toml_print_table(im->out, "connect", NULL);
	toml_print_str(im->out, "workload_uri",
	    workload != NULL ? workload : "unix:///var/run/iotedge/workload.sock");
	toml_print_str(im->out, "management_uri",
	    management != NULL ? management : "unix:///var/run/iotedge/mgmt.sock");
	toml_print_table(im->out, "listen", NULL);
	if ((r = put_listen_uri(im, listen, "workload_uri", "fd://aziot-edged.workload.socket")) != 0 ||
	    (r = put_listen_uri(im, listen, "management_uri", "fd://aziot-edged.mgmt.socket")) != 0)
		return r;
	toml_print_str(im->out, "min_tls_version", tls);
	return 0;
}

static int
put_watchdog(const struct importing *im)
{
	const struct yaml_tree *v = yaml_tree_get(yaml_tree_get(im->root, "watchdog"), "max_retries");
	uint64_t n = 0;

	toml_print_table(im->out, "watchdog", NULL);
	if (v == NULL || (v->kind == YAML_TEXT && strcmp(v->text, "infinite") == 0))
		toml_print_str(im->out, "max_retries", "infinite");
	else if (v->kind == YAML_TEXT && text_parse_u64(&n, v->text, UINT32_MAX))
		toml_print_int(im->out, "max_retries", (int64_t)n);
	else
		return fault(im, v, "watchdog.max_retries", "a number or \"infinite\" is needed");
	return 0;
}

static int
put_ca(const struct importing *im)
{
	const struct yaml_tree *certs = yaml_tree_get(im->root, "certificates");
	const char *cert, *pk, *days;
	uint64_t n = 0;
	int r;

	if (certs == NULL)
		return 0;
	if ((r = text_of(&cert, im, certs, "device_ca_cert")) != 0 ||
	    (r = text_of(&pk, im, certs, "device_ca_pk")) != 0 ||
	    (r = text_of(&days, im, certs, "auto_generated_ca_lifetime_days")) != 0)
		return r;
	toml_print_table(im->out, "edge_ca", NULL);
	if (cert != NULL && pk != NULL) {
		put_file(im->out, "cert", cert);
		put_file(im->out, "pk", pk);
		return 0;
	}
	if (cert != NULL || pk != NULL)
		return fault(im, certs, "certificates", "device_ca_cert and device_ca_pk go together");
	if (days != NULL && (!text_parse_u64(&n, days, DAYS_MAX) || n == 0))
		return fault(im, certs, "auto_generated_ca_lifetime_days", "a number of days is needed");
	toml_print_int(im->out, "auto_generated_edge_ca_expiry_days", n != 0 ? (int64_t)n : 90);
	return 0;
}

static int
put_moby(const struct importing *im)
{
	const struct yaml_tree *moby = yaml_tree_get(im->root, "moby_runtime"),
			       *network = yaml_tree_get(moby, "network");
	const struct yaml_tree *certs = yaml_tree_get(yaml_tree_get(moby, "content_trust"), "ca_certs");
	const char *uri;
	int r = text_of(&uri, im, moby, "uri");

	if (r != 0)
		return r;
	toml_print_table(im->out, "moby_runtime", NULL);
	toml_print_str(im->out, "uri", uri != NULL ? uri : "unix:///var/run/docker.sock");
	if (network == NULL || network->kind == YAML_TEXT) {
		toml_print_str(im->out, "network",
		    network != NULL && *network->text != 0 ? network->text : "azure-iot-edge");
	} else {
		toml_print_table(im->out, "moby_runtime", "network", NULL);
		r = put_tree(im, network, "moby_runtime.network", false);
	}
	if (r != 0 || certs == NULL)
		return r;
	toml_print_table(im->out, "moby_runtime", "content_trust", "ca_certs", NULL);
	for (size_t i = 0; certs->kind == YAML_MAP && i < certs->n; i++) {
		if (certs->item[i]->kind != YAML_TEXT)
			return fault(im, certs->item[i], certs->item[i]->key, "a path is needed");
		put_file(im->out, certs->item[i]->key, certs->item[i]->text);
	}
	return 0;
}

/* --- the whole --- */

static int
put_top(const struct importing *im)
{
	const struct yaml_tree *pr = yaml_tree_get(im->root, "provisioning");
	const char *host, *parent, *trust, *mode = "OnErrorOnly";
	int r;

	if ((r = text_of(&host, im, im->root, "hostname")) != 0 ||
	    (r = text_of(&parent, im, im->root, "parent_hostname")) != 0 ||
	    (r = text_of(&trust, im, yaml_tree_get(im->root, "certificates"), "trusted_ca_certs")) != 0)
		return r;
	if (trust != NULL)
		put_file(im->out, "trust_bundle_cert", trust);
	if (is_true(pr, "dynamic_reprovisioning")) /* of both this one has always won */
		mode = "Dynamic";
	else if (is_true(pr, "always_reprovision_on_startup"))
		mode = "AlwaysOnStartup";
	toml_print_str(im->out, "auto_reprovisioning_mode", mode);
	toml_print_str(im->out, "imported_master_encryption_key", im->o->master_key);
	toml_print_str(im->out, "hostname", host != NULL ? host : "localhost");
	toml_print_str(im->out, "parent_hostname", parent);
	toml_print_bool(im->out, "prefer_module_identity_cache", false);
	return 0;
}

static void
tell_unknown(const struct importing *im)
{
	static const char *const known[] = {
		"provisioning",
		"agent",
		"hostname",
		"parent_hostname",
		"connect",
		"listen",
		"homedir",
		"certificates",
		"watchdog",
		"moby_runtime",
	};

	for (size_t i = 0; i < im->root->n; i++) {
		bool found = false;

		for (size_t k = 0; k < N_OF(known) && !found; k++)
			found = strcmp(known[k], im->root->item[i]->key) == 0;
		if (!found)
			note(im, im->root->item[i], "not known, and left out");
	}
}

int
import_text(struct buf *out, const char *file, struct bytes text, const struct import_options *o,
    struct err *e)
{
	static const char *const empty[] = { "aziot_keys", "preloaded_keys", "cert_issuance",
		"preloaded_certs", "tpm" };
	AUTO(yaml_tree) root = NULL;
	AUTO_BUF whole = { 0 };
	struct importing im = { .out = &whole, .file = file, .o = o, .e = e };
	int r;

	if ((r = yaml_tree_parse(&root, file, text, e)) != 0)
		return r;
	im.root = root;
	tell_unknown(&im);
	if ((r = put_top(&im)) != 0 ||
	    (r = put_provisioning(&im, yaml_tree_get(root, "provisioning"))) != 0)
		return r;
	for (size_t i = 0; i < N_OF(empty); i++)
		toml_print_table(&whole, empty[i], NULL);
	if ((r = put_agent(&im, yaml_tree_get(root, "agent"))) != 0 || (r = put_ends(&im)) != 0 ||
	    (r = put_watchdog(&im)) != 0 || (r = put_ca(&im)) != 0 || (r = put_moby(&im)) != 0)
		return r;
	buf_put_bytes(out, bytes_of_buf(&whole));
	return 0;
}
