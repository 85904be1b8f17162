/* SPDX-License-Identifier: Apache-2.0 */
/* cli/help.h - what the tables of verbs say, for people and for the shell */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <stdio.h>

#include "cli/verb.h"

void help_overview(FILE *to);
void help_group(FILE *to, const char *group);      /* the verbs of one group */
void help_verb(FILE *to, const struct verb *v);
void help_completion(FILE *to);                    /* a bash script */

#endif
