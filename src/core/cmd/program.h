/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/program.h - one program: its name, its tables of verbs, and what its pages say beyond them */
#ifndef CORE_CMD_PROGRAM_H
#define CORE_CMD_PROGRAM_H

#include "core/cmd/verb.h"

struct cli;

struct program {
	const char *name;                 /* what it is called by: "estuary" */
	const char *about;                /* one line, no full stop, small at the beginning: "a server for devices" */
	const char *version;              /* "0.1.0" */
	const struct verb *const *tables; /* each ended by name NULL; the last is NULL */
	const struct verb_group *groups;  /* in the overview's order, ended by help NULL; name NULL: verbs that stand alone */
	const char *man_description;      /* DESCRIPTION of its man page: roff, whole lines */
	const char *man_sections;         /* more exit statuses, then the sections behind EXIT STATUS, such as FILES: roff, whole lines; NULL: none */
};

/* main() of the program: standard streams, terminal, the verb; the exit status.  SIGPIPE is ignored from then on. */
int program_main(const struct program *p, int argc, char **argv);
/*
 * What program_main() does when c->program, c->out, c->err and the terminal's members are set; argv[0] is the first
 * word after the program's name.  A verb's word, "help", --help, --version, --man DIR or --completion.
 */
int program_run(struct cli *c, int argc, char **argv);

#endif
