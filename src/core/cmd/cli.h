/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/cli.h - one parsed command line, and where its verb prints */
#ifndef CORE_CMD_CLI_H
#define CORE_CMD_CLI_H

#include <stdio.h>

#include "core/cmd/program.h"
#include "core/codec/json.h"

#define CLI_FILE_MAX ((size_t)1024 * 1024) /* octets of a file given on the command line */

struct cli {
	const struct program *program;
	const struct verb *verb;
	FILE *out, *err;       /* standard output and error, or a test's */
	bool json;             /* --json */
	bool tty;              /* out is a terminal: its width matters */
	bool colour;           /* and it is to have colour */
	unsigned width;        /* columns of the terminal; 0: unlimited */
	char **argv;           /* the words after the program's name, ended by NULL, in any order */
	struct cli_given *given; /* what was given; see cli_text() and its kin */
	size_t n_given;
};

/*
 * Parse argv (its order may change) for the verb: argv[0] is the verb's own word, options
 * and arguments follow.  E_USAGE names what is wrong and the nearest known option.
 * *help is set when --help was given; nothing is required then.
 */
int cli_parse(struct cli *c, const struct verb *v, int argc, char **argv, bool *help, struct err *e) MUST_CHECK;
void cli_clear(struct cli *c);

/*
 * Values by the name of an option or positional argument; asking for a name that is not in the verb's
 * tables is a broken invariant (assert).  Texts are borrowed from the command line.
 */
bool cli_has(const struct cli *c, const char *name);                  /* was it given? */
const char *cli_text(const struct cli *c, const char *name);          /* NULL when not given */
const char *cli_text_or(const struct cli *c, const char *name, const char *def);
bool cli_flag(const struct cli *c, const char *name);                 /* a flag, or OPT_BOOL given as "yes" */
int64_t cli_number(const struct cli *c, const char *name, int64_t def);
size_t cli_count(const struct cli *c, const char *name);              /* values of a list */
const char *cli_at(const struct cli *c, const char *name, size_t i);  /* the i-th of them */
/* Content of the file that an OPT_FILE names, "-" being standard input; E_NOTFOUND, E_IO, E_TOOBIG, the file named. */
int cli_file(struct buf *out, const struct cli *c, const char *name, struct err *e) MUST_CHECK;

/*
 * "PROGRAM: message", then "hint: ..." (NULL: none) on c->err; with --json also
 * {"error": {"code", "message", "hint"}} on c->out.  Returns the exit status of e->code.
 */
int cli_fail(const struct cli *c, const struct err *e, const char *hint);
/* A line for people: on c->out, or on c->err with --json, so that standard output stays one JSON value. */
void cli_say(const struct cli *c, const char *fmt, ...) PRINTF(2, 3);
/* The result of a verb with --json: indented, on c->out. */
void cli_print_json(const struct cli *c, const json_t *v);

#endif
