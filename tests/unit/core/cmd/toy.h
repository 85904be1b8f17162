/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/toy.h - a small program for tests: one verb alone, two in a group */
#ifndef TESTS_CMD_TOY_H
#define TESTS_CMD_TOY_H

#include "core/cmd/cli.h"

static inline int
toy_run(struct cli *c)
{
	fprintf(c->out, "%s ran\n", c->verb->name);
	return 0;
}

static const struct opt toy_opts[] = {
	{ .name = "profile", .letter = 'p', .kind = OPT_TEXT, .arg = "PROFILE", .help = "X", .required = true },
	{ .name = "accept", .kind = OPT_LIST, .arg = "KIND", .help = "X", .words = "own|code" },
	{ .name = "header", .kind = OPT_MANY, .arg = "H", .help = "X" },
	{ .name = "limit", .letter = 'n', .kind = OPT_NUMBER, .arg = "N", .help = "X" },
	{ .name = "active", .kind = OPT_BOOL, .arg = "YES", .help = "X" },
	{ .name = "csr", .kind = OPT_FILE, .arg = "FILE", .help = "X" },
	{ .name = "all", .letter = 'a', .kind = OPT_FLAG, .help = "X" },
	{ .name = NULL },
};
static const struct opt toy_pos[] = {
	{ .name = "name", .kind = OPT_TEXT, .arg = "NAME", .help = "X", .required = true },
	{ .name = "rest", .kind = OPT_MANY, .arg = "REST", .help = "X" },
	{ .name = NULL },
};
static const struct verb toy_verbs[] = {
	{ .name = "status", .help = "How it is", .run = toy_run },
	{ .name = NULL },
};
static const struct verb toy_key_verbs[] = {
	{ .group = "key", .name = "make", .help = "Make a key", .opts = toy_opts, .pos = toy_pos, .run = toy_run },
	{ .group = "key", .name = "list", .help = "All keys", .run = toy_run,
	  .pos = OPTS({ .name = "name", .arg = "NAME", .kind = OPT_TEXT, .help = "X" }) },
	{ .name = NULL },
};
static const struct verb *const toy_tables[] = { toy_verbs, toy_key_verbs, NULL };
static const struct verb_group toy_groups[] = { { NULL, "Alone" }, { "key", "Keys" }, { NULL, NULL } };
static const struct program toy_program = {
	.name = "toy-box",
	.about = "a box of toys",
	.version = "1.2.3",
	.tables = toy_tables,
	.groups = toy_groups,
	.man_description = "It is a box.\n",
	.man_sections = ".SH FILES\n.TP\n.I /etc/toy\\-box\nIts lid.\n",
};
static const struct verb *const toy_make = &toy_key_verbs[0];

#endif
