/* SPDX-License-Identifier: Apache-2.0 */
/* cli/estuary.h - the program: its verbs in their groups, and what its man page says beyond them */
#ifndef CLI_ESTUARY_H
#define CLI_ESTUARY_H

#include "core/cmd/program.h"

/* Each file's table, ended by name NULL. */
extern const struct verb est_verbs[];
extern const struct verb quickstart_verbs[];
extern const struct verb server_renew_verbs[]; /* quickstart.c */
extern const struct verb admin_verbs[];  /* ca, profile, label, credential, trust, operator, crl, server */
extern const struct verb fleet_verbs[];  /* device, cert, audit, event */
extern const struct verb provision_verbs[]; /* group, enrolment, registration, hub */
extern const struct verb azure_verbs[];

extern const struct program estuary_program;

#endif
