/* SPDX-License-Identifier: Apache-2.0 */
/* cli/fleet.c - the verbs that follow devices: device, cert, audit, event */
#include <stdlib.h>
#include <string.h>

#include "cli/estuary.h"
#include "cli/op.h"
#include "cli/picture.h"
#include "cli/target.h"
#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/cmd/table.h"

#define SERIAL_ARG ARG("serial", "SERIAL", "Its serial number, hexadecimal, or the first digits of it, 6 or more")
#define DEVICE_FILTER \
	{ .name = "device", .kind = OPT_TEXT, .arg = "DEVICE", .help = "Only this device's" }

static void
print_device(const struct cli *c, const json_t *result)
{
	picture_device(c, result, clock_now());
}

static void
print_chain(const struct cli *c, const json_t *result)
{
	fprintf(c->out, "%lld records, %s\n", (long long)json_int(result, "records", 0),
	    json_flag(result, "ok", false) ? "each as it was written" : "not all as they were written");
}

static int
judge_chain(const json_t *result, struct err *e)
{
	if (!json_flag(result, "ok", false))
		return err_set(e, E_CRYPTO, "audit: the chain is broken at record %lld",
		    (long long)json_int(result, "first_bad", 0));
	return 0;
}

/* The file of --out; NULL: standard output. */
static const char *
out_file(const struct cli *c)
{
	const char *path = cli_text(c, "out");

	return path != NULL && target_is_stdout(path) ? NULL : path;
}

/* It is asked whether --out can be written before the certificate is. */
static int
check_requested(struct cli *c, json_t *args, struct err *e)
{
	(void)args;
	return cli_has(c, "out") ? target_check("out", cli_text(c, "out"), TARGET_CERTS, e) : 0;
}

/* cert request: the certificate and its chain go to --out, or to standard output. */
static int
keep_requested(const struct cli *c, const json_t *result, struct err *e)
{
	const char *serial = json_str(result, "serial", "?");
	AUTO_BUF chain = { 0 };
	char why[200];
	int r = op_chain(&chain, result, NULL, e);

	if (r == 0 && out_file(c) == NULL) {
		if (!c->json)
			fputs(buf_str(&chain), c->out);
		return 0;
	}
	if (r == 0)
		r = target_write(out_file(c), bytes_of_buf(&chain), 0644, c->out, e);
	if (r == 0)
		return 0;
	text_copy(why, sizeof(why), e->msg);
	return err_set(e, (enum err_code)r, "certificate %s was issued but not written: %s; `estuary cert show %s --pem` prints it",
	    serial, why, serial);
}

static void
print_requested(const struct cli *c, const json_t *result)
{
	if (out_file(c) != NULL)
		fprintf(c->out, "%s: certificate %s of %s, and its chain\n", cli_text(c, "out"),
		    json_str(result, "serial", "?"), json_str(result, "device", "?"));
}

static const struct column audit_columns[] = {
	{ "ID" }, { "TIME", NULL, COL_TIME }, { "KIND" }, { "OUTCOME", NULL, COL_STATE }, { "REASON" },
	{ "DEVICE" }, { "LABEL" }, { "REQUEST", "request_id", COL_ID }, { "TEXT" }, { .title = NULL },
};

const struct verb fleet_verbs[] = {
	{ .group = "device", .name = "list", .help = "List the devices", .run = op_verb, .op = "device.list",
	  .text = "A device is expired when the last of its certificates is over, and revoked when all of them were.",
	  .opts = OPTS(
	      { .name = "state", .letter = 's', .kind = OPT_TEXT, .arg = "STATE",
	        .words = "active|expired|revoked|forked|retired", .help = "Only those in this state" },
	      { .name = "name", .letter = 'q', .kind = OPT_TEXT, .arg = "TEXT", .member = "q",
	        .help = "Only those with this in their name" },
	      OP_LIST_OPTS),
	  .more = op_opts,
	  .columns = COLUMNS({ "NAME" }, { "STATE", NULL, COL_STATE }, { "CERTIFICATES" },
	      { "NOT AFTER", NULL, COL_TIME }, { "LAST CONTACT", NULL, COL_TIME }, { "SUBJECT" }) },
	{ .group = "device", .name = "show", .help = "Show a device and the chain of its certificates", .run = op_verb,
	  .op = "device.show", .pos = NAME_ARG("The device"), .more = op_opts, .print = print_device },
	{ .group = "device", .name = "release", .help = "Let a forked or retired device go on", .run = op_verb, .op = "device.release",
	  .text = "A device is forked when two parties renewed from the same certificate: one of them is not the device. "
	      "Find out which, revoke what is not the device's, then release it.",
	  .pos = NAME_ARG("The device"), .more = op_opts, .print = print_device },
	{ .group = "device", .name = "retire", .help = "Keep a device out, until it is released", .run = op_verb, .op = "device.retire",
	  .text = "This server then issues and renews nothing for it and takes it at no hub. Its certificates stay good for others "
	      "who trust the CA: revoke those that must not be taken there ('estuary cert revoke').",
	  .pos = NAME_ARG("The device"), .more = op_opts, .print = print_device },

	{ .group = "cert", .name = "list", .help = "List certificates", .run = op_verb, .op = "cert.list",
	  .opts = OPTS(DEVICE_FILTER,
	      { .name = "ca", .kind = OPT_TEXT, .arg = "CA", .help = "Only those of this CA" },
	      { .name = "state", .letter = 's', .kind = OPT_TEXT, .arg = "STATE",
	        .words = "active|superseded|revoked|expired", .help = "Only those in this state" },
	      OP_LIST_OPTS),
	  .more = op_opts,
	  .columns = COLUMNS({ "SERIAL", NULL, COL_SERIAL }, { "DEVICE" }, { "STATE", NULL, COL_STATE }, { "PROFILE" },
	      { "LABEL" }, { "CA" }, { "NOT AFTER", NULL, COL_TIME }, { "SUBJECT" }) },
	{ .group = "cert", .name = "show", .help = "Show a certificate, or print it", .run = op_verb, .op = "cert.show",
	  .pos = SERIAL_ARG, .opts = OPTS(OP_PEM_OPTS), .more = op_opts,
	  .print = op_print_cert },
	{ .group = "cert", .name = "request", .help = "Issue a certificate for a request", .run = op_verb, .op = "cert.request",
	  .text = "For machines that do not speak EST. The profile decides what is issued; the request proves the key and asks for names.",
	  .opts = OPTS(
	      { .name = "csr", .kind = OPT_FILE, .arg = "FILE", .required = true, .help = "PKCS#10 request, PEM or DER; - is standard input" },
	      { .name = "profile", .letter = 'p', .kind = OPT_TEXT, .arg = "PROFILE", .required = true, .help = "What it shall look like" },
	      { .name = "ca", .kind = OPT_TEXT, .arg = "CA", .help = "CA that issues (default: the default label's)" },
	      { .name = "lifetime", .kind = OPT_TEXT, .arg = "DURATION", .help = "Shorter than the profile's, 60s or more" },
	      { .name = "out", .letter = 'o', .kind = OPT_TEXT, .arg = "FILE", .local = true,
	        .help = "Write certificate and chain here (default: standard output)" }),
	  .more = op_opts, .prepare = check_requested, .keep = keep_requested, .print = print_requested,
	  .example = "estuary cert request --csr web.csr --profile tls-server --out web.pem" },
	{ .group = "cert", .name = "revoke", .help = "Revoke a certificate; the CRL follows at once", .run = op_verb, .op = "cert.revoke",
	  .text = "With --reason keyCompromise all certificates for the same key are revoked, and it gets no other one; that reason is "
	      "also taken for a certificate that was revoked for another before.",
	  .pos = SERIAL_ARG,
	  .opts = OPTS(
	      { .name = "reason", .letter = 'r', .kind = OPT_TEXT, .arg = "REASON", .help = "Why (default unspecified)",
	        .words = "unspecified|keyCompromise|cACompromise|affiliationChanged|superseded|cessationOfOperation|privilegeWithdrawn" }),
	  .more = op_opts, .example = "estuary cert revoke 0a1b2c --reason keyCompromise" },

	{ .group = "audit", .name = "list", .help = "List what was decided, the newest first", .run = op_verb, .op = "audit.list",
	  .opts = OPTS(DEVICE_FILTER,
	      { .name = "outcome", .kind = OPT_TEXT, .arg = "OUTCOME", .words = "ok|refused|failed|note", .help = "Only these" },
	      { .name = "kind", .letter = 'k', .kind = OPT_TEXT, .arg = "KIND", .words = "enrol|reenrol|provision|hub|operator|audit",
	        .help = "Only acts of this kind" },
	      { .name = "request-id", .kind = OPT_TEXT, .arg = "ID", .help = "Only those of this request" },
	      OP_LIST_OPTS),
	  .more = op_opts, .columns = audit_columns },
	{ .group = "audit", .name = "show", .help = "Show a record and the rules that led to it", .run = op_verb, .op = "audit.show",
	  .pos = ID_ARG("The record"),
	  .more = op_opts, .print = picture_decision },
	{ .group = "audit", .name = "why", .help = "Say why a request was granted or refused", .run = op_verb, .op = "audit.why",
	  .text = "Each answer of the server carries the request's id, in X-Request-Id and in the text of a refusal. "
	      "The rules stand in the order in which they were asked; the one that decided is marked.",
	  .pos = ARG("request-id", "REQUEST", "Its id, such as r0a1b2c"), .more = op_opts, .print = picture_decision },
	{ .group = "audit", .name = "verify", .help = "Check the chain of the whole record; exit 70 when it is broken", .run = op_verb,
	  .op = "audit.verify", .more = op_opts, .print = print_chain, .judge = judge_chain },

	{ .group = "event", .name = "list", .help = "List what happened, the newest first", .run = op_verb, .op = "event.list",
	  .opts = OPTS(DEVICE_FILTER, OP_LIST_OPTS), .more = op_opts,
	  .columns = COLUMNS({ "ID" }, { "TIME", NULL, COL_TIME }, { "KIND" }, { "DEVICE" }, { "TEXT" }) },
	{ .name = NULL },
};
