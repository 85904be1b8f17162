/* SPDX-License-Identifier: Apache-2.0 */
/* agent/keys.c - keys of the Keys Service, for people and for programs that take files */
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/cmd/table.h"
#include "core/codec/base64.h"
#include "core/pki/cert.h"
#include "device/agent/agent.h"
#include "device/agent/ask.h"
#include "device/provider/provider.h"

static int
fail(struct cli *c, const struct err *e)
{
	return cli_fail(c, e, ask_hint(e));
}

static int
run_list(struct cli *c)
{
	static const struct column columns[] = {
		{ "KEY", "id", COL_TEXT }, { "KIND", "kind", COL_TEXT }, { "GENERATION", "generation", COL_TEXT },
		{ "STATE", "state", COL_STATE }, { .title = NULL },
	};
	AUTO_JSON answer = NULL;
	struct err e;
	json_t *v;
	size_t i;

	if (ask(&answer, NULL, c, "keyd", "GET", "/keys", NULL, &e) != 0)
		return fail(c, &e);
	if (c->json)
		cli_print_json(c, answer);
	else {
		json_array_foreach(json_object_get(answer, "keys"), i, v)
			agent_name(v, "file");
		table_print(c, columns, json_object_get(answer, "keys"));
	}
	return 0;
}

/* Text to standard output, or atomically to --out; as JSON the text, or the file. */
static int
put(struct cli *c, struct buf *pem, mode_t mode)
{
	const char *file = cli_text(c, "out");
	struct err e;

	if (file != NULL && file_write(file, bytes_of_buf(pem), mode, &e) != 0)
		return fail(c, &e);
	if (file != NULL)
		agent_done(c, "file", file);
	else if (c->json)
		agent_done(c, "pem", buf_str(pem));
	else
		fwrite(pem->p, 1, pem->n, c->out);
	return 0;
}

static int
fetch_public(struct buf *pem, struct cli *c, struct err *e)
{
	AUTO_JSON loaded = NULL;
	AUTO_JSON spki = NULL;
	AUTO_BUF path = { 0 };
	AUTO_BUF der = { 0 };
	const char *text;
	int r;

	if ((r = ask(&loaded, NULL, c, "keyd", "GET", ask_path(&path, "/keypair/", cli_text(c, "id")), NULL, e)) != 0 ||
	    (r = ask(&spki, NULL, c, "keyd", "POST", "/parameters/spki", loaded, e)) != 0)
		return r;
	text = json_str(spki, "value", "");
	if ((r = base64_decode(&der, bytes_of(text), e)) != 0)
		return err_prefix(e, r, "aziot-keyd's answer");
	pem_encode(pem, bytes_of_buf(&der), "PUBLIC KEY");
	return 0;
}

static int
run_show(struct cli *c)
{
	AUTO_BUF pem = { 0 };
	struct err e;

	if (fetch_public(&pem, c, &e) != 0)
		return fail(c, &e);
	return put(c, &pem, 0644);
}

static int
run_file(struct cli *c)
{
	AUTO_BUF pem = { 0 };

	provider_key_file(&pem, cli_text(c, "id"));
	return put(c, &pem, 0644);
}

static int
run_forget(struct cli *c)
{
	AUTO_BUF path = { 0 };
	AUTO_JSON answer = NULL;
	struct err e;

	if (ask(&answer, NULL, c, "keyd", "DELETE", ask_path(&path, "/quarantine/", cli_text(c, "id")), NULL, &e) != 0)
		return fail(c, &e);
	cli_say(c, "%s: what was damaged is gone; the next who asks for the key gets a new one", cli_text(c, "id"));
	agent_done(c, "id", cli_text(c, "id"));
	return 0;
}

#define KEY_ARG ARG("id", "KEY-ID", "The key's ID")
#define OUT_OPT { .name = "out", .letter = 'o', .kind = OPT_TEXT, .arg = "FILE", .help = "Write there instead" }

const struct verb key_verbs[] = {
	{ .group = "key", .name = "list", .help = "List the keys that are there", .run = run_list,
	  .text = "Those that the caller may use: all for root. --json has their files as well. A key of which only "
	      "the file is known goes by its name, because IDs cannot be read from names.",
	  .opts = OPTS(AGENT_PREFIX_OPT), .example = "estuary-agent key list" },
	{ .group = "key", .name = "show", .help = "Print a pair's public key", .run = run_show, .pos = KEY_ARG,
	  .opts = OPTS(AGENT_PREFIX_OPT, OUT_OPT), .example = "estuary-agent key show device-id" },
	{ .group = "key", .name = "file", .help = "Print a file by which programs use a key without having it",
	  .run = run_file,
	  .text = "The file holds the key's name, no secret. A program that reads it as a private key, with the OpenSSL "
	      "provider \"estuary\" active in its configuration, signs through the Keys Service.",
	  .pos = KEY_ARG, .opts = OPTS(AGENT_PREFIX_OPT, OUT_OPT),
	  .example = "estuary-agent key file device-id --out device-id.pem\n"
	      "curl --cert device-id.cer --key device-id.pem https://..." },
	{ .group = "key", .name = "forget", .help = "Give up a damaged key that was set aside", .run = run_forget, .pos = KEY_ARG,
	  .text = "A key file that cannot be read is set aside and never replaced silently: whoever asks for the key is told so. "
	      "When nothing can bring it back, this lets a new key be made. Its certificate must then be requested anew.",
	  .opts = OPTS(AGENT_PREFIX_OPT), .example = "estuary-agent key forget device-id" },
	{ .name = NULL },
};
