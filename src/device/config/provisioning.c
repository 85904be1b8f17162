/* SPDX-License-Identifier: Apache-2.0 */
/* config/provisioning.c - [provisioning]: how the device comes to its hub, and with which identity */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "device/config/connection.h"
#include "device/config/read.h"

#define GLOBAL_ENDPOINT "https://global.azure-devices-provisioning.net/"
#define DEVICE_KEY_PATH "/var/secrets/aziot/keyd/device-id"

/* The key is kept in a file of its own, and keyd is told where. */
static void
keep_key(struct reading *rd)
{
	rd->p->device_key_uri = rd_made_file(rd, DEVICE_KEY_PATH);
	(void)map_put(&rd->p->preloaded_keys, "device-id", rd->p->device_key_uri);
}

/* { value = "base64" } or { uri = "file:..." } */
static void
read_symmetric(struct reading *rd, const struct toml *t, const char *key)
{
	const struct toml *v = rd_table(rd, t, key), *uri = v != NULL ? toml_get(v, "uri") : NULL;
	const char *value = rd_str(rd, v, "value");
	struct err e;

	words_add(&rd->id_keys->ids, "device-id");
	if (v == NULL && toml_get(t, key) == NULL)
		rd_error(rd, t,
		    "'%s' is missing: write %s = { uri = \"file:///path\" }, or { value = \"base64\" }",
		    key, key);
	else if (v != NULL && value != NULL && connection_key(&rd->p->device_key, bytes_of(value), &e) != 0)
		rd_error(rd, toml_get(v, "value"), "%s", e.msg);
	else if (v != NULL && value != NULL)
		keep_key(rd);
	else if (uri != NULL)
		rd_preload_key(rd, uri, "device-id", REFERENCE_SECRET);
	else if (v != NULL)
		rd_error(rd, v, "needs value (base64) or uri");
}

/* A subject for identityd: CN is the device's, the other attributes in capitals. */
static void
name_device(struct reading *rd, const struct map *subject, const char *cn)
{
	struct map *out = &rd->p->provisioning.subject;

	for (size_t i = 0; i < subject->n; i++) {
		AUTO_BUF upper = { 0 };

		for (const char *c = subject->v[i].key; *c != 0; c++)
			buf_put_u8(&upper, (uint8_t)toupper((unsigned char)*c));
		(void)map_put(out, plan_text(rd->p, "%s", buf_str(&upper)), subject->v[i].value);
	}
	if (out->n != 0)
		(void)map_put(out, "CN", cn);
}

/* A key and a certificate that are files already. */
static void
read_preloaded(struct reading *rd, const struct toml *t)
{
	const struct toml *pk = toml_get(t, "identity_pk"), *cert = toml_get(t, "identity_cert");

	if (cert == NULL)
		rd_error(rd, t,
		    "'identity_cert' is missing: a file: URI, or a table that says how it is issued");
	else
		rd_preload_cert(rd, cert, "device-id");
	if (pk == NULL && cert != NULL)
		rd_error(rd, t, "'identity_pk' is missing: the URI of the certificate's key");
	else if (pk != NULL)
		rd_preload_key(rd, pk, "device-id", REFERENCE_KEY);
	words_add(&rd->id_keys->ids, "device-id");
}

static const struct issue *
read_issued(struct reading *rd, const struct toml *cert)
{
	words_add(&rd->id_keys->ids, "device-id");
	return read_issue(rd, cert, "device-id", &rd->cs_keys->ids);
}

static void
read_manual_x509(struct reading *rd, const struct toml *t)
{
	const struct toml *cert = toml_get(t, "identity_cert");
	const struct issue *is;

	if (cert == NULL || toml_kind(cert) != TOML_TABLE) {
		read_preloaded(rd, t);
		return;
	}
	if (toml_get(cert, "auto_renew") != NULL)
		rd_warn(rd, toml_get(cert, "auto_renew"), "has no effect with source = \"manual\"");
	words_add(&rd->id_certs, "device-id");
	is = read_issued(rd, cert);
	if (is != NULL)
		name_device(rd, &is->subject, rd->p->provisioning.device_id);
}

/* --- manual --- */

static void
read_connection(struct reading *rd, const struct toml *v)
{
	struct connection c;
	struct err e;

	if (toml_kind(v) != TOML_STRING) {
		rd_error(rd, v, "is %s, not a text", toml_kind_name(toml_kind(v)));
		return;
	}
	if (connection_parse(&c, toml_string(v), &e) != 0) {
		rd_error(rd, v, "%s; copy it whole from the hub's page of the device", e.msg);
		return;
	}
	rd->p->provisioning.hub = plan_text(rd->p, "%s", buf_str(&c.hub));
	rd->p->provisioning.device_id = plan_text(rd->p, "%s", buf_str(&c.device));
	buf_put_bytes(&rd->p->device_key, bytes_of_buf(&c.key));
	connection_clear(&c);
	words_add(&rd->id_keys->ids, "device-id");
	keep_key(rd);
}

static void
read_manual(struct reading *rd, const struct toml *t)
{
	struct provisioning *pr = &rd->p->provisioning;
	const struct toml *auth = rd_table(rd, t, "authentication");

	pr->source = SOURCE_MANUAL;
	pr->method = "sas";
	if (toml_get(t, "connection_string") != NULL) {
		read_connection(rd, toml_get(t, "connection_string"));
		return;
	}
	pr->hub =
	    rd_name(rd, t, "iothub_hostname", "write the hub's host name, as example.azure-devices.net");
	pr->device_id = rd_name(rd, t, "device_id", "write the device's ID in the hub");
	if (auth == NULL) {
		if (toml_get(t, "authentication") == NULL)
			rd_error(rd, t,
			    "'authentication' is missing: add [provisioning.authentication] with method = "
			    "\"sas\" or \"x509\", "
			    "or give connection_string");
		return;
	}
	pr->method = rd_need(rd, auth, "method", "write method = \"sas\" or \"x509\"");
	if (strcmp(pr->method, "sas") == 0)
		read_symmetric(rd, auth, "device_id_pk");
	else if (strcmp(pr->method, "x509") == 0)
		read_manual_x509(rd, auth);
	else if (*pr->method != 0)
		rd_error(rd, toml_get(auth, "method"), "'%.40s' is none: \"sas\" or \"x509\"", pr->method);
}

/* --- dps --- */

/* Who the device is to the provisioning service: as given, else as its certificate will say. */
static void
name_registration(struct reading *rd, const struct toml *t, const struct issue *is)
{
	struct provisioning *pr = &rd->p->provisioning;
	const char *cn = is->common_name != NULL ? is->common_name : map_get(&is->subject, "CN");

	if (pr->registration_id == NULL)
		pr->registration_id = cn;
	if (pr->registration_id == NULL)
		rd_error(rd, t,
		    "'registration_id' is missing: without it, and without a common_name, no first certificate "
		    "can be made");
	else
		name_device(rd, &is->subject, pr->registration_id);
}

static void
read_dps_issued(struct reading *rd, const struct toml *t, const struct toml *cert)
{
	struct provisioning *pr = &rd->p->provisioning;
	const struct issue *is = read_issued(rd, cert);

	pr->renewal = rd_renewal(rd, cert, "auto_renew");
	if (is == NULL)
		return;
	name_registration(rd, t, is);
	if (pr->renewal.given) {
		if (pr->renewal.rotate)
			words_add(&rd->id_keys->ids, "device-id-temp");
		words_add(&rd->id_certs, "device-id-temp");
		copy_issue(rd->p, "device-id", "device-id-temp");
	}
	words_add(&rd->id_certs, "device-id");
}

static void
read_attestation(struct reading *rd, const struct toml *t)
{
	struct provisioning *pr = &rd->p->provisioning;
	const struct toml *cert = toml_get(t, "identity_cert");

	pr->method = rd_need(rd, t, "method", "write method = \"x509\", \"symmetric_key\" or \"tpm\"");
	if (toml_get(t, "registration_id") != NULL || strcmp(pr->method, "x509") != 0)
		pr->registration_id = rd_name(rd, t, "registration_id", "write the ID of the enrolment");
	if (strcmp(pr->method, "symmetric_key") == 0)
		read_symmetric(rd, t, "symmetric_key");
	else if (strcmp(pr->method, "x509") == 0 && cert != NULL && toml_kind(cert) == TOML_TABLE)
		read_dps_issued(rd, t, cert);
	else if (strcmp(pr->method, "x509") == 0)
		read_preloaded(rd, t);
	else if (strcmp(pr->method, "tpm") != 0 && *pr->method != 0)
		rd_error(rd, toml_get(t, "method"),
		    "'%.40s' is none: \"x509\", \"symmetric_key\" or \"tpm\"", pr->method);
}

static void
read_dps(struct reading *rd, const struct toml *t)
{
	struct provisioning *pr = &rd->p->provisioning;
	const struct toml *attestation = rd_table(rd, t, "attestation"),
			  *payload = rd_table(rd, t, "payload");
	const char *endpoint = rd_str(rd, t, "global_endpoint");

	pr->source = SOURCE_DPS;
	pr->endpoint = rd_url(rd, t, "global_endpoint");
	if (endpoint == NULL || *endpoint == 0) {
		pr->endpoint = GLOBAL_ENDPOINT;
		rd_warn(rd, t, "no global_endpoint: " GLOBAL_ENDPOINT " is taken");
	}
	pr->scope =
	    rd_name(rd, t, "id_scope", "write the ID scope from the provisioning service's overview page");
	if (payload != NULL && toml_get(payload, "uri") != NULL)
		pr->payload = rd_file(rd, toml_get(payload, "uri"), REFERENCE_JSON, "aziotid");
	else if (payload != NULL)
		rd_error(rd, payload, "'uri' is missing: the file: URI of a JSON file");
	if (attestation != NULL)
		read_attestation(rd, attestation);
	else if (toml_get(t, "attestation") == NULL)
		rd_error(rd, t,
		    "'attestation' is missing: add [provisioning.attestation] with method = \"x509\", "
		    "\"symmetric_key\" "
		    "or \"tpm\"");
	if (pr->gateway != NULL)
		rd_error(rd, t,
		    "DPS provisioning is not supported in nested mode: leave parent_hostname out, or use "
		    "source = \"manual\"");
}

/* Estuary's own: whom to trust beside the system's anchors, and the way to the cloud. */
static void
read_cloud(struct reading *rd, const struct toml *t)
{
	const struct toml *list = toml_get(t, "trusted_certs");

	rd->p->provisioning.own = t;
	if (list != NULL && toml_kind(list) != TOML_ARRAY) {
		rd_error(rd, list, "is %s; write trusted_certs = [\"file:///path\"]", toml_kind_name(toml_kind(list)));
		return;
	}
	for (size_t i = 0; list != NULL && i < toml_count(list); i++)
		words_add(&rd->p->provisioning.trusted, rd_file(rd, toml_at(list, i), REFERENCE_CERT, "aziotid"));
}

void
read_provisioning(struct reading *rd)
{
	struct provisioning *pr = &rd->p->provisioning;
	const struct toml *t = rd_table(rd, rd->doc, "provisioning");
	const char *parent = rd_str(rd, rd->doc, "parent_hostname"),
		   *gateway = rd_str(rd, rd->doc, "local_gateway_hostname");
	const char *source;

	if (parent != NULL && gateway != NULL && strcmp(parent, gateway) != 0)
		rd_error(rd, toml_get(rd->doc, "local_gateway_hostname"),
		    "says otherwise than parent_hostname, which means the same: "
		    "leave one out");
	pr->gateway = parent != NULL ? parent : gateway;
	if (t == NULL) {
		if (toml_get(rd->doc, "provisioning") == NULL)
			rd_error(rd, rd->doc,
			    "[provisioning] is missing: add it with source = \"dps\", \"manual\" or \"none\"");
		return;
	}
	read_cloud(rd, t);
	source = rd_need(rd, t, "source", "write source = \"dps\", \"manual\" or \"none\"");
	if (strcmp(source, "manual") == 0)
		read_manual(rd, t);
	else if (strcmp(source, "dps") == 0)
		read_dps(rd, t);
	else if (strcmp(source, "none") != 0 && *source != 0)
		rd_error(rd, toml_get(t, "source"),
		    "'%.40s' is none: \"dps\", \"manual\" or \"none\"", source);
}
