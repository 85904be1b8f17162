/* SPDX-License-Identifier: Apache-2.0 */
/* cli/admin.c - the verbs that set the server up: ca, profile, label, credential, trust, operator, crl, server */
#include <stdlib.h>
#include <string.h>

#include "cli/estuary.h"
#include "cli/op.h"
#include "core/base/text.h"
#include "core/cmd/table.h"

#define KEY_WORDS "ec-p256|ec-p384|ec-p521|rsa-2048|rsa-3072|rsa-4096|ed25519"

#define PROFILE_OPTS                                                                       \
	{ .name = "lifetime", .kind = OPT_TEXT, .arg = "DURATION", .help = "Life of a certificate, such as 90d" }, \
	{ .name = "backdate", .kind = OPT_TEXT, .arg = "DURATION", .help = "It begins so long before now, for clocks that are late" }, \
	{ .name = "ca", .kind = OPT_BOOL, .arg = "YES", .help = "Issue CA certificates" }, \
	{ .name = "pathlen", .kind = OPT_TEXT, .arg = "N", .help = "Path length of CA certificates, or none" }, \
	{ .name = "ku", .kind = OPT_LIST, .arg = "USAGE",                                   \
	  .help = "Key usages: digitalSignature, nonRepudiation, keyEncipherment, dataEncipherment, keyAgreement, " \
	      "keyCertSign, cRLSign" },                                                    \
	{ .name = "eku", .kind = OPT_LIST, .arg = "USAGE",                                  \
	  .help = "Extended key usages: serverAuth, clientAuth, codeSigning; \"\" is none" }, \
	{ .name = "subject", .kind = OPT_TEXT, .arg = "TEMPLATE",                          \
	  .help = "\"request\", or a template such as \"CN={device} Edge CA\"" },          \
	{ .name = "subject-types", .kind = OPT_LIST, .arg = "TYPE",   \
	  .help = "Subject attributes that are taken: CN, serialNumber, O, OU, C, ST, L, street, DC, UID, dnQualifier, title, " \
	      "surname, givenName, organizationIdentifier, emailAddress" },                \
	{ .name = "san-dns", .kind = OPT_TEXT, .arg = "RULE", .words = "none|device|any", .help = "DNS names that are taken" }, \
	{ .name = "san-ip", .kind = OPT_TEXT, .arg = "RULE", .words = "none|any", .help = "IP addresses that are taken" }, \
	{ .name = "san-uri", .kind = OPT_TEXT, .arg = "RULE", .words = "none|device|any", .help = "URIs that are taken" }, \
	{ .name = "san-email", .kind = OPT_TEXT, .arg = "RULE", .words = "none|any", .help = "Mail addresses that are taken" }, \
	{ .name = "san-other", .kind = OPT_TEXT, .arg = "RULE", .words = "none|any", .help = "Hardware module names that are taken" }, \
	{ .name = "keys", .kind = OPT_LIST, .arg = "TYPE", .words = KEY_WORDS, .help = "Key types that are taken" }, \
	{ .name = "pointers", .kind = OPT_BOOL, .arg = "YES", .help = "Say in the certificate where the CRL and the issuer are" }

#define LABEL_OPTS                                                                         \
	{ .name = "enabled", .kind = OPT_BOOL, .arg = "YES", .help = "Serve it" },         \
	{ .name = "base-path", .kind = OPT_LIST, .arg = "PATH",                            \
	  .help = "Serve it also below PATH, such as /est/eu: PATH/simpleenroll and PATH/.well-known/est/simpleenroll" }, \
	{ .name = "default", .kind = OPT_BOOL, .arg = "YES", .help = "Serve it also without a label in the path" }, \
	{ .name = "ca", .kind = OPT_TEXT, .arg = "CA", .help = "CA that issues" },         \
	{ .name = "profile", .letter = 'p', .kind = OPT_TEXT, .arg = "PROFILE", .help = "What its certificates look like" }, \
	{ .name = "accept", .kind = OPT_LIST, .arg = "KIND",                               \
	  .words = "own|anchor|basic|code|secret",                                         \
	  .help = "Who may come in: our certificates, outside ones, user and password, one-time code, secret header" }, \
	{ .name = "match", .kind = OPT_TEXT, .arg = "HOW", .words = "any|all", .help = "Is one of those enough?" }, \
	{ .name = "secret-header", .kind = OPT_TEXT, .arg = "HEADER", .help = "HTTP header that carries the secret" }, \
	{ .name = "concurrent", .kind = OPT_BOOL, .arg = "YES",                      \
	  .help = "A device may hold several of its certificates at once; only simplereenroll renews one" }, \
	{ .name = "reenrol", .kind = OPT_TEXT, .arg = "RULE", .words = "strict|force-subject|off", .help = "How certificates are renewed" }, \
	{ .name = "pop", .kind = OPT_TEXT, .arg = "RULE", .words = "optional|required",    \
	  .help = "Linking of identity and proof of possession (RFC 7030 3.5)" },          \
	{ .name = "chain", .kind = OPT_BOOL, .arg = "YES", .help = "Answer with the chain behind the certificate" }, \
	{ .name = "wrap", .kind = OPT_NUMBER, .arg = "N", .help = "Characters in a line of base64 in answers; 0: one line" }, \
	{ .name = "cte", .kind = OPT_BOOL, .arg = "YES", .help = "Send Content-Transfer-Encoding: base64 (older clients want it)" }, \
	{ .name = "retry-window", .kind = OPT_TEXT, .arg = "DURATION", .help = "The same request again within it gets the same certificate" }, \
	{ .name = "grace", .kind = OPT_TEXT, .arg = "DURATION", .help = "A certificate that was renewed still opens other doors for so long" }

#define SCOPE_WORDS "device|pattern|new|any"

/* A CA without parent is a root. */
static int
prepare_ca(struct cli *c, json_t *args, struct err *e)
{
	(void)e;
	if (!cli_has(c, "kind"))
		(void)json_object_set_new(args, "kind", json_string(cli_has(c, "parent") ? "subordinate" : "root"));
	return 0;
}

/* The server keeps the secret as it is given: the line end of its file is none of it. */
static int
prepare_secret(struct cli *c, json_t *args, struct err *e)
{
	AUTO_BUF text = { 0 };
	int r;

	if (!cli_has(c, "secret-file"))
		return 0;
	r = cli_file(&text, c, "secret-file", e);
	if (r != 0)
		return r;
	while (text.n != 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	if (text.n == 0 || !text_valid_utf8(bytes_of_buf(&text)))
		return err_set(e, E_FORMAT, "%s: not one line of text", cli_text(c, "secret-file"));
	(void)json_object_set_new(args, "secret", json_string(buf_str(&text)));
	return 0;
}

/* Something that is shown this once. */
static void
print_once(const struct cli *c, const json_t *result)
{
	table_print_object(c, result);
	fputs("The secret is shown this once; only its digest is kept.\n", c->err);
}

/* For scripts that watch the server. */
static int
judge_status(const json_t *result, struct err *e)
{
	if (!json_flag(result, "ready", false))
		return err_set(e, E_UNAVAIL, "server: not ready: %s", json_str(result, "detail", "no detail"));
	return 0;
}

const struct verb admin_verbs[] = {
	{ .group = "ca", .name = "create", .help = "Make a root or a subordinate CA", .run = op_verb, .op = "ca.create",
	  .text = "The key is made by the signer and never leaves it. The subject is CN=NAME unless --subject or --cn say otherwise. "
	      "What the parent leaves is the most that a CA can have: when that is less lifetime or a shorter path than was "
	      "asked for, the answer says so under \"limited\".",
	  .pos = NAME_ARG("Its name in this server"),
	  .opts = OPTS(
	      { .name = "kind", .kind = OPT_TEXT, .arg = "KIND", .words = "root|subordinate",
	        .help = "What it is (default: subordinate with --parent, root without)" },
	      { .name = "parent", .kind = OPT_TEXT, .arg = "CA", .help = "CA that signs it" },
	      { .name = "subject", .kind = OPT_TEXT, .arg = "NAME", .help = "Its whole subject, such as \"CN=x,O=y\"" },
	      { .name = "cn", .kind = OPT_TEXT, .arg = "CN", .help = "Its subject, common name alone" },
	      { .name = "key", .kind = OPT_TEXT, .arg = "TYPE", .words = KEY_WORDS,
	        .help = "Key type (default ec-p256)" },
	      { .name = "lifetime", .kind = OPT_TEXT, .arg = "DURATION", .help = "Default 20y for a root, 10y for a subordinate" },
	      { .name = "pathlen", .kind = OPT_NUMBER, .arg = "N", .help = "CAs allowed below it in one path, 0 to 15" },
	      { .name = "crl", .kind = OPT_BOOL, .arg = "YES", .help = "Publish a CRL (default yes)" }),
	  .more = op_opts, .prepare = prepare_ca,
	  .example = "estuary ca create issuing --parent root --lifetime 5y" },
	{ .group = "ca", .name = "list", .help = "List the CAs", .run = op_verb, .op = "ca.list",
	  .more = op_opts,
	  .columns = COLUMNS({ "NAME" }, { "KIND" }, { "PARENT" }, { "SUBJECT" }, { "KEY" },
	      { "NOT AFTER", NULL, COL_TIME }, { "CRL", "crl_number" }, { "ISSUED" }, { "REVOKED" }) },
	{ .group = "ca", .name = "show", .help = "Show a CA, or print its certificate", .run = op_verb, .op = "ca.show",
	  .pos = NAME_ARG("The CA"), .opts = OPTS(OP_PEM_OPTS), .more = op_opts, .print = op_print_cert,
	  .example = "estuary ca show root --pem >root.pem" },

	{ .group = "profile", .name = "list", .help = "List the profiles", .run = op_verb, .op = "profile.list",
	  .more = op_opts,
	  .columns = COLUMNS({ "NAME" }, { "LIFETIME" }, { "CA" }, { "SUBJECT" }, { "KU" }, { "EKU" }, { "KEYS" }) },
	{ .group = "profile", .name = "show", .help = "Show a profile", .run = op_verb, .op = "profile.show",
	  .pos = NAME_ARG("The profile"), .more = op_opts },
	{ .group = "profile", .name = "create", .help = "Make a profile", .run = op_verb, .op = "profile.create",
	  .pos = NAME_ARG("Its name"), .opts = OPTS(PROFILE_OPTS), .more = op_opts,
	  .text = "What is not said is as in the profile 'device'. One that issues CA certificates needs --ku with keyCertSign, "
	      "a template for --subject, and none of the alternative names.",
	  .example = "estuary profile create pump --lifetime 30d --keys ec-p256 --eku clientAuth --san-dns device\n"
	      "estuary profile create gateway-ca --ca yes --pathlen 0 --ku keyCertSign,cRLSign --eku \"\" \\\n"
	      "    --subject \"CN={device} CA\" --san-dns none" },
	{ .group = "profile", .name = "set", .help = "Change a profile; certificates issued from now on follow it",
	  .run = op_verb, .op = "profile.set", .text = "What is not given stays as it is.", .pos = NAME_ARG("The profile"),
	  .opts = OPTS(PROFILE_OPTS), .more = op_opts },

	{ .group = "label", .name = "list", .help = "List the labels", .run = op_verb, .op = "label.list",
	  .more = op_opts,
	  .columns = COLUMNS({ "NAME" }, { "ENABLED" }, { "DEFAULT" }, { "CA" }, { "PROFILE" }, { "ACCEPT" }, { "REENROL" }, { "URL" }) },
	{ .group = "label", .name = "show", .help = "Show a label", .run = op_verb, .op = "label.show",
	  .pos = NAME_ARG("The label"), .more = op_opts },
	{ .group = "label", .name = "create", .help = "Make a label: an EST endpoint of its own", .run = op_verb, .op = "label.create",
	  .pos = NAME_ARG("Its name, as in /.well-known/est/NAME/simpleenroll"), .opts = OPTS(LABEL_OPTS), .more = op_opts,
	  .example = "estuary label create pumps --ca issuing --profile pump --accept own,code" },
	{ .group = "label", .name = "set", .help = "Change a label; it holds from the next request on", .run = op_verb, .op = "label.set",
	  .text = "What is not given stays as it is.", .pos = NAME_ARG("The label"), .opts = OPTS(LABEL_OPTS), .more = op_opts },

	{ .group = "credential", .name = "add", .help = "Make a one-time code, a password or a secret", .run = op_verb,
	  .op = "credential.add", .print = print_once,
	  .text = "The secret is shown this once; the server keeps only a digest. "
	      "The scope says which devices it lets in: one, those whose name fits a pattern, only new ones, or any.",
	  .pos = OPTS({ .name = "kind", .kind = OPT_TEXT, .arg = "KIND", .words = "code|password|secret", .required = true,
	      .help = "What it is" }),
	  .opts = OPTS(
	      { .name = "label", .letter = 'l', .kind = OPT_TEXT, .arg = "LABEL", .help = "At this label alone (default: at each that takes the kind)" },
	      { .name = "user", .letter = 'u', .kind = OPT_TEXT, .arg = "USER", .help = "User name of a password" },
	      { .name = "secret-file", .kind = OPT_FILE, .arg = "FILE", .local = true,
	        .help = "The password or secret, in a file (default: one is made)" },
	      { .name = "scope", .kind = OPT_TEXT, .arg = "SCOPE", .words = SCOPE_WORDS, .required = true, .help = "Which devices it lets in" },
	      { .name = "scope-value", .kind = OPT_TEXT, .arg = "TEXT", .help = "Name or pattern that the scope needs" },
	      { .name = "active", .kind = OPT_BOOL, .arg = "YES", .help = "Also devices that have a living certificate (default no)" },
	      { .name = "expires", .kind = OPT_TEXT, .arg = "DURATION", .help = "Valid for so long" },
	      { .name = "uses", .kind = OPT_NUMBER, .arg = "N", .help = "Enrolments that it is good for (a code: 1)" }),
	  .more = op_opts, .prepare = prepare_secret,
	  .example = "estuary credential add code --scope device --scope-value pump-7 --expires 7d" },
	{ .group = "credential", .name = "list", .help = "List codes, passwords and secrets", .run = op_verb, .op = "credential.list",
	  .opts = OPTS(
	      { .name = "kind", .kind = OPT_TEXT, .arg = "KIND", .words = "code|password|secret", .help = "Only these" },
	      { .name = "label", .letter = 'l', .kind = OPT_TEXT, .arg = "LABEL", .help = "Only those of this label" },
	      OP_LIST_OPTS),
	  .more = op_opts,
	  .columns = COLUMNS({ "ID" }, { "KIND" }, { "USER" }, { "LABEL" }, { "SCOPE" }, { "VALUE", "scope_value" },
	      { "STATE", NULL, COL_STATE }, { "EXPIRES", "expires_at", COL_TIME }, { "USED BY" }) },
	{ .group = "credential", .name = "show", .help = "Show a code, password or secret (never its text)", .run = op_verb,
	  .op = "credential.show", .pos = ID_ARG("The credential"), .more = op_opts },
	{ .group = "credential", .name = "disable", .help = "Make a code, password or secret worthless", .run = op_verb,
	  .op = "credential.disable", .pos = ID_ARG("The credential"), .more = op_opts },

	{ .group = "trust", .name = "add", .help = "Let devices in by certificates of an outside CA", .run = op_verb, .op = "trust.add",
	  .pos = OPTS({ .name = "name", .kind = OPT_TEXT, .arg = "NAME", .required = true, .help = "Its name in this server" },
	      { .name = "pem", .kind = OPT_FILE, .arg = "FILE", .required = true, .help = "The CA's certificate, PEM" }),
	  .opts = OPTS(
	      { .name = "label", .letter = 'l', .kind = OPT_TEXT, .arg = "LABEL", .help = "At this label alone" },
	      { .name = "scope", .kind = OPT_TEXT, .arg = "SCOPE", .words = "own-name|" SCOPE_WORDS, .required = true,
	        .help = "Which devices it vouches for" },
	      { .name = "scope-value", .kind = OPT_TEXT, .arg = "TEXT", .help = "Name or pattern that the scope needs" },
	      { .name = "active", .kind = OPT_BOOL, .arg = "YES", .help = "Also devices that have a living certificate (default no)" }),
	  .more = op_opts, .example = "estuary trust add maker maker-ca.pem --label idevid --scope own-name" },
	{ .group = "trust", .name = "list", .help = "List the outside CAs", .run = op_verb, .op = "trust.list",
	  .more = op_opts,
	  .columns = COLUMNS({ "NAME" }, { "SUBJECT" }, { "NOT AFTER", NULL, COL_TIME }, { "LABEL" }, { "SCOPE" },
	      { "VALUE", "scope_value" }, { "ACTIVE" }) },
	{ .group = "trust", .name = "show", .help = "Show an outside CA", .run = op_verb, .op = "trust.show",
	  .pos = NAME_ARG("The CA"), .opts = OPTS(OP_PEM_OPT), .more = op_opts, .print = op_print_cert },
	{ .group = "trust", .name = "remove", .help = "Trust an outside CA no longer", .run = op_verb, .op = "trust.remove",
	  .pos = NAME_ARG("The CA"), .more = op_opts },

	{ .group = "crl", .name = "publish", .help = "Make and publish a CA's revocation list now", .run = op_verb, .op = "crl.publish",
	  .pos = OPTS({ .name = "ca", .kind = OPT_TEXT, .arg = "CA", .required = true, .help = "The CA" }), .more = op_opts },

	{ .group = "operator", .name = "add", .help = "Make an operator and a token", .run = op_verb, .op = "operator.add",
	  .pos = NAME_ARG("The operator"), .more = op_opts, .print = print_once },
	{ .group = "operator", .name = "list", .help = "List the operators", .run = op_verb, .op = "operator.list",
	  .more = op_opts,
	  .columns = COLUMNS({ "NAME" }, { "CREATED", "created_at", COL_TIME }, { "LAST USED", NULL, COL_TIME }) },
	{ .group = "operator", .name = "remove", .help = "Remove an operator; the token is worthless at once", .run = op_verb,
	  .op = "operator.remove",
	  .text = "The last operator stays. To replace a token that others may have, add an operator under another name first.",
	  .pos = NAME_ARG("The operator"), .more = op_opts },

	{ .group = "server", .name = "status", .help = "Say how the server does; exit 69 when it is not ready", .run = op_verb,
	  .op = "server.status", .more = op_opts, .judge = judge_status },
	{ .group = "server", .name = "reload", .help = "Make the server read its files again", .run = op_verb, .op = "server.reload",
	  .more = op_opts },
	{ .name = NULL },
};
