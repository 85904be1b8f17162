/* SPDX-License-Identifier: Apache-2.0 */
/* cli/est.c - estuary est: the device's side of EST, from a shell */
#include <string.h>

#include "cli/est_enrol.h"
#include "cli/est_talk.h"
#include "cli/estuary.h"
#include "cli/target.h"
#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/cmd/table.h"

#define KEY_WORDS "ec-p256|ec-p384|ec-p521|rsa-2048|rsa-3072|rsa-4096|ed25519"

/* --- cacerts --- */

/* Does the PEM text hold this very certificate? */
static bool
pem_has(const struct buf *pem, struct bytes der)
{
	AUTO_BUF one = { 0 };

	pem_encode(&one, der, "CERTIFICATE");
	return pem->n != 0 && memmem(pem->p, pem->n, one.p, one.n) != NULL;
}

static json_t *
describe(const struct est_talk *t, struct bytes der)
{
	json_t *v = json_object();
	bool anchor = pem_has(&t->trust_pem, der), chains = pem_has(&t->chain_pem, der);
	char text[NAME_TEXT_MAX], hex[2 * SHA256_LEN + 1];
	struct cert c;

	if (cert_parse(&c, der, NULL) != 0) {
		json_setf(v, "subject", "(not readable)");
		return v;
	}
	text_hex(hex, (struct bytes){ c.sha256, SHA256_LEN });
	json_setf(v, "subject", "%s", c.subject_known ? name_text(&c.subject, text) : "?");
	json_setf(v, "role", "%s", anchor ? "anchor" : chains ? "chains" : "not trusted");
	(void)json_object_set_new(v, "not_after", json_integer(c.not_after));
	json_setf(v, "sha256", "%s", hex);
	return v;
}

static int
write_cas(const struct cli *c, const struct est_talk *t, struct err *e)
{
	AUTO_BUF all = { 0 };

	if (!cli_has(c, "out"))
		return 0;
	buf_put_bytes(&all, bytes_of_buf(&t->trust_pem));
	buf_put_bytes(&all, bytes_of_buf(&t->chain_pem));
	return target_write(cli_text(c, "out"), bytes_of_buf(&all), 0644, c->out, e);
}

/* What is to be written can be: asked before the server is. */
static int
check_outputs(const struct cli *c, struct err *e)
{
	static const char *const options[] = { "out", "trust-out" };
	const char *path[N_OF(options)];
	int r = 0;

	for (size_t i = 0; r == 0 && i < N_OF(options); i++) {
		path[i] = verb_find_opt(c->verb, options[i]) != NULL ? cli_text(c, options[i]) : NULL;
		if (path[i] == NULL)
			continue;
		r = target_check(options[i], path[i], TARGET_CERTS, e);
		if (r == 0 && target_is_stdout(path[i]))
			r = err_set(e, E_USAGE, "--%s: standard output is for the list; name a file", options[i]);
	}
	if (r == 0 && path[0] != NULL && path[1] != NULL && target_is_file(path[0]) && target_is_same(path[0], path[1]))
		r = err_set(e, E_USAGE, "--out and --trust-out: %s cannot be both", path[0]);
	return r;
}

static void
print_cas(const struct cli *c, const struct est_talk *t, const struct est_bag *bag)
{
	static const struct column columns[] = {
		{ .title = "SUBJECT", .member = "subject" }, { .title = "ROLE", .member = "role" },
		{ .title = "NOT AFTER", .member = "not_after", .kind = COL_TIME },
		{ .title = "SHA-256", .member = "sha256" }, { .title = NULL },
	};
	AUTO_JSON v = json_object();
	json_t *items = json_array();

	for (size_t i = 0; i < bag->n; i++)
		(void)json_array_append_new(items, describe(t, bag->cert[i]));
	(void)json_object_set_new(v, "items", items);
	if (c->json)
		cli_print_json(c, v);
	else
		table_print(c, columns, items);
}

static int
cacerts(struct cli *c)
{
	struct est_talk t = { 0 };
	AUTO_BAG bag = { 0 };
	struct err e = { 0 };
	int r = check_outputs(c, &e);

	if (r == 0)
		r = est_talk_open(&t, c, &e);
	if (r == 0)
		r = est_talk_cacerts(&t, &bag, &e);
	if (r == 0)
		r = write_cas(c, &t, &e);
	if (r == 0)
		r = est_talk_write_trust(&t, c, &bag, &e);
	if (r == 0)
		print_cas(c, &t, &bag);
	est_talk_close(&t);
	return r == 0 ? 0 : cli_fail(c, &e, NULL);
}

/* --- csrattrs --- */

static void
print_attrs(const struct cli *c, struct buf *text)
{
	AUTO_JSON v = NULL;
	json_t *items;

	if (!c->json) {
		(void)fputs(text->n != 0 ? buf_str(text) : "none\n", c->out);
		return;
	}
	v = json_object();
	items = json_array();
	for (const char *p = buf_str(text); *p != 0; p += strcspn(p, "\n") + 1)
		(void)json_array_append_new(items, json_stringn(p, strcspn(p, "\n")));
	(void)json_object_set_new(v, "attributes", items);
	cli_print_json(c, v);
}

/* Trust first, as for everything that carries credentials. */
static int
fetch_attrs(struct est_talk *t, const struct cli *c, struct buf *text, struct err *e)
{
	AUTO_BAG bag = { 0 };
	AUTO_BUF der = { 0 };
	bool none = false;
	int r = check_outputs(c, e);

	if (r == 0)
		r = est_talk_open(t, c, e);
	if (r == 0)
		r = est_talk_cacerts(t, &bag, e);
	if (r == 0)
		r = est_talk_write_trust(t, c, &bag, e);
	if (r == 0)
		r = est_talk_csrattrs(t, true, &der, &none, e);
	return r != 0 || none ? r : est_attrs_text(text, bytes_of_buf(&der), e);
}

static int
csrattrs(struct cli *c)
{
	struct est_talk t = { 0 };
	AUTO_BUF text = { 0 };
	struct err e = { 0 };
	int r = fetch_attrs(&t, c, &text, &e);

	est_talk_close(&t);
	if (r != 0)
		return cli_fail(c, &e, NULL);
	print_attrs(c, &text);
	return 0;
}

/* --- the verbs --- */

static const struct opt cacerts_opts[] = {
	{ .name = "out", .letter = 'o', .kind = OPT_TEXT, .arg = "FILE",
	  .help = "Write the anchors and the CA certificates that chain to them (PEM)" },
	{ .name = NULL },
};

#define POP_OPT(def)                                                                              \
	{ .name = "pop", .kind = OPT_TEXT, .arg = "WHEN", .words = "always|auto|never",           \
	  .help = "Bind the request to its TLS connection: always (" def "), auto (when possible), never" }
#define FORCE_OPT                                                                                 \
	{ .name = "force", .kind = OPT_FLAG, .help = "Replace a private key that is there already" }
#define WAIT_OPT                                                                                  \
	{ .name = "wait", .letter = 'w', .kind = OPT_NUMBER, .arg = "SECONDS",                    \
	  .help = "How long to wait for an approval (default 300)" }

static const struct opt enroll_opts[] = {
	{ .name = "out", .letter = 'o', .kind = OPT_TEXT, .arg = "FILE", .required = true,
	  .help = "Where the certificate goes, its intermediate CAs after it (PEM); - is standard output" },
	{ .name = "key-out", .kind = OPT_TEXT, .arg = "FILE",
	  .help = "Where the new key goes (default: FILE of --out with .key after it)" },
	{ .name = "subject", .letter = 's', .kind = OPT_TEXT, .arg = "NAME", .help = "Such as CN=pump-7,O=Example" },
	{ .name = "san", .kind = OPT_MANY, .arg = "KIND:VALUE",
	  .help = "Alternative name: dns:, ip:, uri: or email:" },
	{ .name = "new-key", .kind = OPT_TEXT, .arg = "TYPE", .words = KEY_WORDS,
	  .help = "Type of the key (default: what the server asks for, else ec-p256)" },
	{ .name = "csr", .kind = OPT_FILE, .arg = "FILE", .help = "Send this request instead of making one" },
	{ .name = "ca", .help = "Ask for a CA certificate" },
	POP_OPT("default; with --csr never"), WAIT_OPT, FORCE_OPT,
	{ .name = NULL },
};

static const struct opt reenroll_opts[] = {
	{ .name = "out", .letter = 'o', .kind = OPT_TEXT, .arg = "FILE",
	  .help = "Where the new certificate goes (default: over the one of --cert)" },
	{ .name = "new-key", .kind = OPT_TEXT, .arg = "TYPE", .words = KEY_WORDS,
	  .help = "Make a new key too (default: keep the key)" },
	{ .name = "key-out", .kind = OPT_TEXT, .arg = "FILE",
	  .help = "Where the new key goes (default: over the one of --key, or beside --out)" },
	POP_OPT("default"), WAIT_OPT, FORCE_OPT,
	{ .name = NULL },
};

const struct verb est_verbs[] = {
	{ .group = "est",
	    .name = "cacerts",
	    .help = "Fetch the server's CA certificates and judge them",
	    .text =
		"With --pin the first connection is not verified; it carries one GET and no credential. The CA "
		"certificate with that SHA-256 becomes the anchor if the server's own certificate comes from it, and "
		"everything else goes over new, verified connections.\n\n"
		"With --trust, --trust-out gets those anchors that are still valid, and a new root only when an old one "
		"vouches for it.\n\nWith neither the server is verified by the system's anchors.",
	    .opts = cacerts_opts,
	    .more = est_talk_opts,
	    .run = cacerts,
	    .example =
		"estuary est cacerts --url https://est.example:8443 --pin sha256:6f1a... --trust-out trust.pem" },
	{ .group = "est",
	    .name = "csrattrs",
	    .help = "Show what the server wants to see in requests",
	    .opts = NULL,
	    .more = est_talk_opts,
	    .run = csrattrs,
	    .example =
		"estuary est csrattrs --url https://est.example:8443 --trust trust.pem --label ldevid" },
	{ .group = "est",
	    .name = "enroll",
	    .help = "Make a key and get a certificate for it",
	    .text =
		"The key is written to the file of --key-out with .new after it before the request leaves; the same "
		"command again goes on with it. When the answer has been judged (our key, chains to the trust, valid "
		"now, no CA certificate unless --ca), the certificate goes to --out, then the key to --key-out, each "
		"at once; if the machine stops between the two, the next run completes the pair. When --out and "
		"--key-out are one file, it gets both in one step, and nothing can come between.\n\n"
		"Whether all of it can be written is asked before the server is. Symbolic links are followed; devices and "
		"pipes take a certificate as it comes, and no key. A private key that is there already is replaced only "
		"with --force, and a certificate is never written over one.",
	    .opts = enroll_opts,
	    .more = est_talk_opts,
	    .run = est_enrol_first,
	    .example =
		"estuary est enroll --url https://est.example:8443 --pin sha256:6f1a... --code-file code \\\n"
		"    --subject CN=pump-7 --san dns:pump-7.example --out pump-7.pem" },
	{ .group = "est",
	    .name = "reenroll",
	    .help = "Renew a certificate, with the same names",
	    .text =
		"Subject and alternative names are copied octet for octet from the certificate of --cert, which is "
		"also shown to the server. The old certificate stays until the answer has been judged.",
	    .opts = reenroll_opts,
	    .more = est_talk_renew_opts,
	    .run = est_enrol_again,
	    .example = "estuary est reenroll --url https://est.example:8443 --trust trust.pem \\\n"
		       "    --cert pump-7.pem --key pump-7.pem.key --new-key ec-p256" },
	{ .name = NULL },
};
