/* SPDX-License-Identifier: Apache-2.0 */
/* estuaryd/usage.c - --help and the man page */
#include "server/estuaryd/usage.h"

#include <string.h>

#include "core/cmd/man.h"
#include "server/estuaryd/config.h"

#define WIDTH 16 /* of an option with what it takes */

static const struct {
	const char *option, *arg, *help; /* option as it is shown, with what it takes */
} options[] = {
	{ "-c, --config", "FILE", "The configuration (default " USAGE_CONFIG ")" },
	{ "    --check", NULL, "Read it, say what is wrong, and end" },
	{ "    --sample", NULL, "Print a configuration with every key explained, and end" },
	{ "    --man", "DIR", "Write the man page into DIR, and end" },
	{ "    --version", NULL, "Print the version, and end" },
	{ "-h, --help", NULL, "Print this, and end" },
};

static const char about[] = "Runs the Estuary server in the foreground until SIGTERM; SIGHUP reads FILE again.";

static const char description[] =
    ".PP\nIt binds the listening sockets, starts the roles (front, console, authority, signer, courier) and\n"
    "starts those anew that end; it parses nothing from the network. Everything that it knows is in its\n"
    "state directory.\n"
    ".PP\n.BR estuary\\-quickstart (1)\n"
    "makes a configuration, CAs, labels, an operator and the server's TLS certificate. Without that\n"
    "certificate it serves operators alone, and devices as soon as the files are there.\n"
    ".SH SIGNALS\n"
    ".TP\nSIGHUP\nThe configuration and the TLS files are read again, and no connection is refused\n"
    "meanwhile. What cannot be taken changes nothing, and the log says why.\n"
    ".TP\nSIGTERM, SIGINT\nWhat is under way is answered; then it ends. A second one ends it at once.\n";

static const char files[] =
    ".SH FILES\n"
    ".TP\n.I " USAGE_CONFIG "\nThe configuration. Nobody but root and the server's user may write it.\n"
    ".TP\n.I /var/lib/estuary\nThe state directory: the store, the keys, CRLs, the operator's socket run/operator.sock.\n"
    ".SH SEE ALSO\n.BR estuary (1)\n";

void
usage_help(struct buf *out)
{
	buf_printf(out, "Usage: estuaryd [-c FILE] [--check]\n\n%s\n\n", about);
	for (size_t i = 0; i < N_OF(options); i++)
		buf_printf(out, "  %s %-*s  %s\n", options[i].option, (int)(WIDTH - strlen(options[i].option)),
		    options[i].arg != NULL ? options[i].arg : "", options[i].help);
}

static void
put_options(struct buf *out)
{
	buf_put_str(out, ".SH OPTIONS\n");
	for (size_t i = 0; i < N_OF(options); i++) {
		buf_put_str(out, ".TP\n\\fB");
		man_text(out, options[i].option + strspn(options[i].option, " "));
		buf_put_str(out, "\\fR");
		if (options[i].arg != NULL)
			buf_printf(out, " \\fI%s\\fR", options[i].arg);
		buf_put_str(out, "\n");
		man_text(out, options[i].help);
		buf_put_str(out, ".\n");
	}
}

static void
put_key(void *ctx, const char *name, const char *doc, const char *takes, const char *def)
{
	struct buf *out = ctx;

	buf_put_str(out, ".TP\n.B ");
	man_text(out, name);
	buf_put_str(out, "\n");
	man_text(out, doc);
	buf_put_str(out, "\nTakes ");
	man_text(out, takes);
	/* Where a text tells the default, the value shows what one looks like. */
	buf_put_str(out, strstr(doc, "Default:") != NULL ? ".\nExample: " : ".\nDefault: ");
	man_text(out, def);
	buf_put_str(out, ".\n");
}

void
usage_man(struct buf *out)
{
	buf_put_str(out, ".\\\" Made from estuaryd's own tables; do not edit.\n");
	buf_put_str(out, ".TH estuaryd 8 \"\" \"Estuary " ESTUARY_VERSION "\" \"Estuary Manual\"\n"
	    ".SH NAME\nestuaryd \\- the Estuary server\n"
	    ".SH SYNOPSIS\n.B estuaryd\n[\\fB\\-c\\fR \\fIFILE\\fR] [\\fB\\-\\-check\\fR]\n.SH DESCRIPTION\n");
	man_text(out, about);
	buf_put_str(out, "\n");
	buf_put_str(out, description);
	put_options(out);
	buf_put_str(out, ".SH CONFIGURATION\n"
	    "TOML. Every key is optional, and relative paths start at the file's directory.\n");
	config_each_key(put_key, out);
	man_exit_status(out);
	buf_put_str(out, files);
}
