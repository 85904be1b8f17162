/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/help.h - what the tables of verbs say, for people and for the shell */
#ifndef CORE_CMD_HELP_H
#define CORE_CMD_HELP_H

#include <stdio.h>

#include "core/cmd/program.h"

void help_overview(FILE *to, const struct program *p);
void help_group(FILE *to, const struct program *p, const char *group); /* the verbs of one group */
void help_verb(FILE *to, const struct program *p, const struct verb *v);
void help_completion(FILE *to, const struct program *p); /* a bash script */

#endif
