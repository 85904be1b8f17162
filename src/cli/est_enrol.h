/* SPDX-License-Identifier: Apache-2.0 */
/* cli/est_enrol.h - estuary est enroll, reenroll */
#ifndef CLI_EST_ENROL_H
#define CLI_EST_ENROL_H

#include "core/cmd/cli.h"

/* run of the verbs; the exit status. */
int est_enrol_first(struct cli *c);
int est_enrol_again(struct cli *c);

#endif
