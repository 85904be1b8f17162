/* SPDX-License-Identifier: Apache-2.0 */
/* agent/agent.h - estuary-agent: the record of the program, and its tables of verbs */
#ifndef DEVICE_AGENT_AGENT_H
#define DEVICE_AGENT_AGENT_H

#include "core/cmd/cli.h"
#include "core/cmd/program.h"

extern const struct program agent_program;

/* Each file's table, ended by name NULL. */
extern const struct verb service_verbs[]; /* keyd, certd, identityd */
extern const struct verb status_verbs[];  /* status, metrics, renew, pause, resume */
extern const struct verb key_verbs[];     /* key list, show, file, forget */
extern const struct verb check_verbs[];   /* check, check-list */
extern const struct verb config_verbs[];  /* config apply, mp, import */
extern const struct verb system_verbs[];  /* system restart, stop, status, logs, set-log-level, reprovision */
extern const struct verb bundle_verbs[];  /* support-bundle */
extern const struct verb iotedge_verbs[]; /* list, restart, logs, version: of iotedge alone */

/*
 * The program's record under the name that it was called by: "aziotctl" and "iotedge" are other names for the same
 * verbs (iotedge has some of its own), anything else is estuary-agent.
 */
struct program agent_program_as(const char *name);

#define AGENT_PATH_SIZE 4096
/* certd's worker, beside our executable or where it is installed.  E_NOTFOUND. */
int agent_find_worker(char path[AGENT_PATH_SIZE], struct err *e) MUST_CHECK;

/* The verb ("keyd", "certd") that a name such as "aziot-keyd" or "/usr/libexec/.../aziot-certd" stands for, or NULL. */
const char *agent_service_of(const char *name);

/*
 * Print what certd says of itself at `now` (UTC seconds), and identityd ("identity") where it runs, for people or as JSON, to which each credential's
 * "health" and "healthy" are added.  The exit status: 0, or 3 when something needs a person.
 */
int status_print(struct cli *c, json_t *status, int64_t now);

/* The part of it that identityd says: give it "health"; does it need nobody? */
bool status_identity_judge(json_t *identity, int64_t now);
void status_identity_print(struct cli *c, const json_t *identity, int64_t now);
/* "2026-11-21T03:04:05Z, in 3 days"; appended, borrowed until out changes. */
const char *agent_when(struct buf *out, int64_t at, int64_t now);

/* Give an object without "id" one that people can read: the file's name at `member`, with less of its hash. */
void agent_name(json_t *o, const char *member);

/* With --json: what was done is {"MEMBER": "VALUE"}; without it nothing, since cli_say() told people. */
void agent_done(const struct cli *c, const char *member, const char *value);

/* --prefix, which every verb takes. */
#define AGENT_PREFIX_OPT \
	{ .name = "prefix", .kind = OPT_TEXT, .arg = "DIR", .local = true, \
	  .help = "Scratch directory that holds etc, var and run (default: $ESTUARY_PREFIX, or the system's)" }

#endif
