/* SPDX-License-Identifier: Apache-2.0 */
/* cli/provision_print.c - groups, enrolments and their CAs for people: what is so, and what to do next */
#include "cli/provision_print.h"

#include <string.h>

#include "core/cmd/table.h"
#include "core/codec/toml_print.h"

#define URL_SIZE 512
#define ANY_DEVICE "DEVICE" /* what stands for each device's own name */

/* Files of the device that the configuration names; print_config() says what they are. */
#define ROOT_FILE  "/var/aziot/certs/root.pem"
#define BIRTH_CERT "/var/aziot/certs/birth.pem"
#define BIRTH_KEY  "/var/aziot/secrets/birth.key.pem"

static const struct column hub_columns[] = {
	{ "HUB", "name" }, { "ENABLED" }, { "WEIGHT" }, { "LATENCY" }, { "DEVICES" }, { .title = NULL },
};

void
provision_print_scope(const struct cli *c, const json_t *scope)
{
	table_member(c, "id scope", scope, "id_scope", COL_TEXT);
	table_member(c, "endpoint", scope, "endpoint", COL_TEXT);
	fputs("\n", c->out);
	table_print(c, hub_columns, json_object_get(scope, "hubs"));
}

void
provision_print_ca(const struct cli *c, const json_t *ca)
{
	const char *name = json_str(ca, "name", "?"), *code = json_str(ca, "code", "");

	table_print_object(c, ca);
	if (json_flag(ca, "verified", false)) {
		if (json_int(ca, "groups", 0) == 0)
			fprintf(c->err, "\nNext: estuary group create NAME --x509 --ca %s\n", name);
		return;
	}
	fprintf(c->err, "\nIts key is not proved yet. Let it issue a certificate whose common name is the code:\n\n"
	    "  openssl req -new -newkey rsa:2048 -nodes -keyout proof.key -subj /CN=%s -out proof.csr\n"
	    "  echo basicConstraints=CA:FALSE >proof.ext\n"
	    "  openssl x509 -req -in proof.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 "
	    "-extfile proof.ext -out proof.pem\n\n"
	    "Next: estuary group ca-verify %s --cert proof.pem\n", code, name);
}

/* No system trusts our root: each part that talks to the server is told. */
static void
put_trust(struct buf *out)
{
	static const char *const files[] = { "file://" ROOT_FILE };

	toml_print_strs(out, "trusted_certs", files, N_OF(files));
}

/* Is the identity certificate one that the device gets by EST? */
static bool
by_est(const json_t *enrolment)
{
	return strcmp(json_str(enrolment, "attestation", ""), "x509") == 0 && json_str(enrolment, "registration", NULL) == NULL;
}

/* Where the device gets it: EST and provisioning are one listener. */
static void
put_est(struct buf *out, const json_t *enrolment)
{
	char url[URL_SIZE];

	(void)snprintf(url, sizeof(url), "%.400s/.well-known/est", json_str(enrolment, "endpoint", ""));
	toml_print_table(out, "cert_issuance", "est", NULL);
	put_trust(out);
	toml_print_table(out, "cert_issuance", "est", "urls", NULL);
	toml_print_str(out, "default", url);
	toml_print_table(out, "cert_issuance", "est", "auth", NULL);
	toml_print_str(out, "bootstrap_identity_cert", "file://" BIRTH_CERT);
	toml_print_str(out, "bootstrap_identity_pk", "file://" BIRTH_KEY);
}

static void
put_x509(struct buf *out, const json_t *enrolment, const char *registration)
{
	char uri[400];

	if (!by_est(enrolment)) { /* one certificate that is there already */
		(void)snprintf(uri, sizeof(uri), "file:///var/aziot/certs/%s.pem", registration);
		toml_print_str(out, "identity_cert", uri);
		(void)snprintf(uri, sizeof(uri), "file:///var/aziot/secrets/%s.key.pem", registration);
		toml_print_str(out, "identity_pk", uri);
		return;
	}
	toml_print_table(out, "provisioning", "attestation", "identity_cert", NULL);
	toml_print_str(out, "method", "est");
	toml_print_str(out, "common_name", registration);
	toml_print_table(out, "provisioning", "attestation", "identity_cert", "auto_renew", NULL);
	toml_print_bool(out, "rotate_key", true);
	toml_print_str(out, "threshold", "80%");
	toml_print_str(out, "retry", "4%");
}

void
provision_print_config(struct buf *out, const json_t *enrolment, const char *registration, const char *key)
{
	const char *how = json_str(enrolment, "attestation", "");
	bool symmetric = strcmp(how, "symmetric") == 0, individual = json_str(enrolment, "registration", NULL) != NULL;

	if (registration == NULL)
		registration = json_str(enrolment, "registration", ANY_DEVICE);
	/* A group's own key is no device's. */
	if (key == NULL)
		key = individual ? json_str(enrolment, "key", "KEY") : "KEY";
	toml_print_table(out, "provisioning", NULL);
	toml_print_str(out, "source", "dps");
	toml_print_str(out, "global_endpoint", json_str(enrolment, "endpoint", ""));
	toml_print_str(out, "id_scope", json_str(enrolment, "id_scope", ""));
	put_trust(out);
	toml_print_table(out, "provisioning", "attestation", NULL);
	toml_print_str(out, "method", symmetric ? "symmetric_key" : how);
	toml_print_str(out, "registration_id", registration);
	if (strcmp(how, "x509") == 0)
		put_x509(out, enrolment, registration);
	if (symmetric) {
		toml_print_table(out, "provisioning", "attestation", "symmetric_key", NULL);
		toml_print_str(out, "value", key);
	}
	if (by_est(enrolment))
		put_est(out, enrolment);
}

static void
print_config(const struct cli *c, const json_t *enrolment)
{
	const char *name = json_str(enrolment, "name", NULL);
	bool symmetric = strcmp(json_str(enrolment, "attestation", ""), "symmetric") == 0;
	AUTO_BUF text = { 0 };

	if (json_str(enrolment, "id_scope", NULL) == NULL)
		return;
	provision_print_config(&text, enrolment, NULL, NULL);
	fprintf(c->out, "\n# config.toml of %s\n%s",
	    name != NULL ? "its devices, each with its own name for " ANY_DEVICE : "the device", buf_str(&text));
	fputs("# " ROOT_FILE ": the root of this server's TLS certificate: estuary ca show root --pem\n", c->out);
	if (by_est(enrolment))
		fputs("# " BIRTH_CERT ", " BIRTH_KEY ": what lets the device ask for its first certificate, of its name: "
		    "estuary cert request --profile idevid, or est enroll --label idevid\n", c->out);
	if (name != NULL && symmetric)
		fprintf(c->out, "# KEY is each device's own: estuary group derive %s " ANY_DEVICE "\n", name);
	else if (symmetric && json_str(enrolment, "key", NULL) == NULL)
		fprintf(c->out, "# KEY: estuary enrolment show %s --keys\n", json_str(enrolment, "registration", ""));
}

void
provision_print_enrolment(const struct cli *c, const json_t *enrolment)
{
	table_print_object(c, enrolment);
	print_config(c, enrolment);
}

void
provision_print_made(const struct cli *c, const json_t *enrolment)
{
	provision_print_enrolment(c, enrolment);
	if (json_str(enrolment, "key", NULL) != NULL)
		fputs("\nThe keys are shown this once, and later only to whoever asks with --keys, which is "
		    "recorded.\n", c->err);
}

void
provision_print_derived(const struct cli *c, const json_t *key)
{
	fprintf(c->out, "%s\n", json_str(key, "key", ""));
	fprintf(c->err, "This is the key of the device '%s': whoever has it can provision as it.\n",
	    json_str(key, "registration", ""));
}
