/* SPDX-License-Identifier: Apache-2.0 */
/* config/apply.h - config apply: the super-config read, checked, installed, and taken by the services */
#ifndef DEVICE_CONFIG_APPLY_H
#define DEVICE_CONFIG_APPLY_H

#include "device/config/detached.h"
#include "device/config/install.h"
#include "device/config/restart.h"

#define APPLY_FILE "/etc/aziot/config.toml"

/* A user whose ID is given by hand: "aziotcs=998". */
struct apply_uid {
	const char *user;
	int64_t uid;
};
#define APPLY_USERS 5 /* aziotks, aziotcs, aziotid, aziottpm, iotedge */

struct apply_options {
	const char *file;        /* NULL: APPLY_FILE below the prefix */
	const char *prefix;      /* a scratch installation; NULL: $ESTUARY_PREFIX, or the system */
	const char *out;         /* everything goes below this directory, nothing else is touched; or NULL */
	const char *hostname;    /* NULL: the machine's */
	const char *command;     /* "aziotctl config apply", for the files' headers */
	int edge;                /* 1: with IoT Edge, 0: without, -1: when the file or the machine has it */
	int edge_daemon;         /* 1: IoT Edge's daemon is there and asks for its CA, 0: certd does, -1: look (out: 1) */
	bool dry_run;
	const struct detached *processes; /* the services of a prefix, which take what changed; or NULL */
	bool start;              /* and those that do not run are started */
	struct apply_uid uids[APPLY_USERS];
	size_t n_uids;
	/* Oddities (error false) and faults, one line each, as they are found. */
	void (*tell)(void *ctx, bool error, const char *text);
	void *ctx;
};

struct apply_result {
	struct install in;       /* every file, its change, and what it was */
	bool recovered;          /* an earlier apply was completed first */
	bool edge, installed;
	const char *key_note;    /* where an inline symmetric key went; NULL: nowhere */
	char key_path[PLACE_MAX];
	const char *restarted[RESTART_MAX + 1];
	const char *started[DETACHED_MAX + 1]; /* of a prefix: they did not run before */
};

/* "aziotcs=998" into *out (user is a literal).  E_USAGE names the users there are. */
int apply_parse_uid(struct apply_uid *out, const char *text, struct err *e) MUST_CHECK;
/*
 * Do it all.  E_FORMAT: faults, all told, nothing changed.  E_POLICY: not root.  E_NOTFOUND: no
 * such file or user. E_UNAVAIL: installed (out->installed), but a service could not be started.
 * Free with apply_clear() in any case.
 */
int apply_run(struct apply_result *out, const struct apply_options *o, struct err *e) MUST_CHECK;
void apply_clear(struct apply_result *r);

#endif
