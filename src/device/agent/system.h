/* SPDX-License-Identifier: Apache-2.0 */
/* agent/system.h - the services of this machine or prefix as a whole: who they are, and what they say */
#ifndef DEVICE_AGENT_SYSTEM_H
#define DEVICE_AGENT_SYSTEM_H

#include "core/cmd/cli.h"
#include "device/config/detached.h"

#define SYSTEM_PROGRAM_MAX 4096

/* The services of a prefix, and the program that they are. */
struct system {
	struct place place;                /* of keyd, for the prefix */
	char program[SYSTEM_PROGRAM_MAX];
	struct detached processes;         /* borrows the two above */
};

/* *out stays where it is: parts of it point at others. */
int system_find(struct system *out, const struct cli *c, struct err *e) MUST_CHECK;
/* Is it a scratch prefix, whose services are processes of ours?  Else they are systemd's. */
bool system_is_prefix(const struct system *s);
/* E_UNAVAIL with what to do where there is neither a prefix nor systemd. */
int system_need_systemd(struct err *e) MUST_CHECK;
/* The services that count for the name we are called by, for restart_services() and its kin; ended by NULL. */
const char *const *system_services(const struct cli *c);

/*
 * {"services": [{"name", "state", "pid"?, "well"}]}: how each is, "Running", "Ready" or "Down - why".  *well: all are.
 */
int system_status(json_t **out, bool *well, const struct cli *c, struct err *e) MUST_CHECK;

/* agent/logs.c: the logs of a prefix, by time, the last `lines` of them (0: all); follow: go on until a signal ends it. */
int logs_print(FILE *to, const struct system *s, size_t lines, bool follow, struct err *e) MUST_CHECK;

#endif
