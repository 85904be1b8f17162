/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/verb.h - one static record a verb: options, help, what it does; man pages and completion come from it */
#ifndef CORE_CMD_VERB_H
#define CORE_CMD_VERB_H

#include <stddef.h>

#include "core/codec/json.h"

struct cli;
struct column;
struct program;

enum opt_kind {
	OPT_FLAG,     /* no argument */
	OPT_TEXT,
	OPT_NUMBER,   /* decimal, 0 to INT32_MAX */
	OPT_BOOL,     /* "yes" or "no" */
	OPT_LIST,     /* may be given many times; commas separate too */
	OPT_MANY,     /* may be given many times; commas are part of the value */
	OPT_FILE,     /* a file's name ("-" is standard input), read by whoever wants its content */
};

/* An option, or a positional argument.  Names are unique within a verb. */
struct opt {
	const char *name;         /* "profile" is --profile, or PROFILE when positional */
	char letter;              /* 'p' is -p; 0: none */
	enum opt_kind kind;
	const char *arg;          /* what the argument is called in help, "FILE"; NULL for flags */
	const char *help;         /* one line, no full stop */
	bool required;
	const char *words;        /* "new|any": the only values taken; NULL: any */
	const char *member;       /* member of the message's args; NULL: the name, with '_' for '-' */
	bool local;               /* not part of the message */
};

struct verb {
	const char *group;        /* "ca"; NULL: the verb stands alone ("quickstart") */
	const char *name;         /* "list" */
	const char *help;         /* one line, no full stop */
	const char *text;         /* paragraphs for help and man page, an empty line between; NULL: none */
	bool no_json;             /* what it prints is a log, or in a form of its own: it has no --json */
	const struct opt *opts;   /* ended by name NULL; NULL: none.  --json and --help are everybody's, but for no_json */
	const struct opt *more;   /* a second such table, e.g. one that many verbs share; NULL: none */
	const struct opt *pos;    /* positional arguments in their order, ended by name NULL; NULL: none */
	int (*run)(struct cli *c); /* returns the exit status; use cli_fail() for errors */
	/* For verbs that are one message to a server; core/cmd reads none of it, the run that they share does. */
	const char *op;           /* the message, "ca.list" */
	const struct column *columns; /* of "items"; NULL: the result is one object */
	int (*prepare)(struct cli *c, json_t *args, struct err *e); /* completes the message's args; NULL: nothing to add */
	int (*keep)(const struct cli *c, const json_t *result, struct err *e); /* writes the files that were asked for, before anything is printed */
	void (*print)(const struct cli *c, const json_t *result); /* NULL: the columns, or a line a member */
	int (*judge)(const json_t *result, struct err *e); /* is what was answered good news?  Else the exit status says so */
	const char *example;      /* command lines, one a line; NULL: none */
};

/* A group of verbs, for the overview. */
struct verb_group {
	const char *name, *help;
};

/* Tables of records inside a record, and the usual positional arguments. */
#define OPTS(...) ((const struct opt[]){ __VA_ARGS__, { .name = NULL } })
#define ARG(n, a, what) \
	OPTS({ .name = n, .kind = OPT_TEXT, .arg = a, .help = what, .required = true })
#define NAME_ARG(what) ARG("name", "NAME", what)
#define ID_ARG(what) \
	OPTS({ .name = "id", .kind = OPT_NUMBER, .arg = "ID", .help = what, .required = true })

/* The record of "group name" (group NULL: a verb that stands alone), or NULL. */
const struct verb *verb_find(const struct program *p, const char *group, const char *name);
bool verb_is_group(const struct program *p, const char *name);
/* Call fn for each verb, in the order of the overview. */
void verb_each(const struct program *p, void (*fn)(void *ctx, const struct verb *v), void *ctx);
/* "ca list" or "quickstart" into out. */
const char *verb_title(const struct verb *v, char *out, size_t size);
/* The i-th option of opts, then more, then --json (but for no_json) and --help; NULL at the end. */
const struct opt *verb_opt(const struct verb *v, size_t i);
/* An option or positional argument by name, or NULL. */
const struct opt *verb_find_opt(const struct verb *v, const char *name);
/* The nearest of what was meant ("ca list", or an option's name); NULL when nothing is near. */
const char *verb_near(const struct program *p, const char *group, const char *name, char *out, size_t size);
const char *verb_near_group(const struct program *p, const char *name);
const struct opt *verb_near_opt(const struct verb *v, const char *name);

#endif
