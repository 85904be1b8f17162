/* SPDX-License-Identifier: Apache-2.0 */
/* agent/agent.h - estuary-agent: the record of the program, and its tables of verbs */
#ifndef DEVICE_AGENT_AGENT_H
#define DEVICE_AGENT_AGENT_H

#include "core/cmd/cli.h"
#include "core/cmd/program.h"

extern const struct program agent_program;

/* Each file's table, ended by name NULL. */
extern const struct verb service_verbs[]; /* keyd, certd */
extern const struct verb status_verbs[];  /* status, metrics, renew, pause, resume */
extern const struct verb key_verbs[];     /* key list, show, file, forget */
extern const struct verb config_verbs[];  /* config apply, mp, import */

/*
 * The program's record under the name that it was called by: "aziotctl" and "iotedge" are other names for the same
 * verbs, anything else is estuary-agent.
 */
struct program agent_program_as(const char *name);

/* The verb ("keyd", "certd") that a name such as "aziot-keyd" or "/usr/libexec/.../aziot-certd" stands for, or NULL. */
const char *agent_service_of(const char *name);

/*
 * Print what certd says of itself at `now` (UTC seconds), for people or as JSON, to which each credential's
 * "health" and "healthy" are added.  The exit status: 0, or 3 when something needs a person.
 */
int status_print(struct cli *c, json_t *status, int64_t now);

/* Give an object without "id" one that people can read: the file's name at `member`, with less of its hash. */
void agent_name(json_t *o, const char *member);

/* --prefix, which every verb takes. */
#define AGENT_PREFIX_OPT \
	{ .name = "prefix", .kind = OPT_TEXT, .arg = "DIR", .local = true, \
	  .help = "scratch directory that holds etc, var and run (default: $ESTUARY_PREFIX, or the system's)" }

#endif
