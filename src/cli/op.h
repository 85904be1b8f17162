/* SPDX-License-Identifier: Apache-2.0 */
/* cli/op.h - the operator's messages: one verb, one request, one answer (docs/PROTOCOL.operator.md) */
#ifndef CLI_OP_H
#define CLI_OP_H

#include "core/cmd/cli.h"

#define OP_PATH_MAX 1024
#define OP_HINT_MAX 400

/* Where the server is: a Unix socket, or an HTTPS address with a token. */
struct op_server {
	char socket[OP_PATH_MAX];    /* "" : url is used */
	char url[OP_PATH_MAX];       /* ending in /operator */
	struct buf token;            /* secret */
	struct buf trust_pem;        /* n 0: the system's */
};

/* --dir, --socket, --url, --token-file, --trust: for struct verb's `more`. */
extern const struct opt op_opts[];
/* For verbs whose lists are long and so come in pages. */
#define OP_LIST_OPTS                                                                            \
	{ .name = "limit", .letter = 'n', .kind = OPT_NUMBER, .arg = "N",                       \
	  .help = "At most N items, 1 to 1000 (default 100)", .local = true },                             \
	{ .name = "after", .kind = OPT_TEXT, .arg = "NEXT",                                     \
	  .help = "Go on where the last list ended", .local = true },                           \
	{ .name = "all", .letter = 'a', .help = "All items, however many", .local = true }

/* For verbs whose result has a certificate; op_print_cert() obeys them. */
#define OP_PEM_OPT                                                                              \
	{ .name = "pem", .kind = OPT_FLAG, .help = "Print the certificate alone, in PEM", .local = true }
#define OP_PEM_OPTS                                                                             \
	OP_PEM_OPT,                                                                             \
	{ .name = "chain", .kind = OPT_FLAG, .help = "Print the chain up to the root, in PEM", .local = true }

/* Read the options of op_opts.  E_USAGE when they contradict each other, E_NOTFOUND for files. */
int op_server_open(struct op_server *s, const struct cli *c, struct err *e) MUST_CHECK;
void op_server_clear(struct op_server *s);

/*
 * Send {"verb", "args"}; *result is the caller's.  A refusal comes as its own code and message, its
 * hint in `hint` ("" when none).  E_UNAVAIL when the server cannot be reached.
 */
int op_call(json_t **result, const struct op_server *s, const char *verb, json_t *args,
    char hint[OP_HINT_MAX], struct err *e) MUST_CHECK;
/* The result or the error of an answer's text; what op_call() ends with. */
int op_answer(json_t **result, struct bytes body, unsigned status, char hint[OP_HINT_MAX], struct err *e) MUST_CHECK;
/* The args of a message from what was given on the command line (borrowed words become members). */
int op_args(json_t **out, const struct cli *c, struct err *e) MUST_CHECK;

/* run of every verb with `op`: options to args, message, result to columns, lines or JSON. */
int op_verb(struct cli *c);
/*
 * Append the certificates of a's "pem" and "chain_pem", then b's (NULL: none), in PEM, each once:
 * the leaf, its issuers, the root.  E_FORMAT when a certificate cannot be read.
 */
int op_chain(struct buf *out, const json_t *a, const json_t *b, struct err *e) MUST_CHECK;
/* print of verbs with OP_PEM_OPT(S): the PEM that was asked for, or the usual lines. */
void op_print_cert(const struct cli *c, const json_t *result);

#endif
