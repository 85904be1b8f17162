/* SPDX-License-Identifier: Apache-2.0 */
/* config/super.h - the one file that a person writes (config.toml), read into a plan */
#ifndef DEVICE_CONFIG_SUPER_H
#define DEVICE_CONFIG_SUPER_H

#include "device/config/plan.h"

/* User IDs of the services; -1: not known. */
struct super_uids {
	int64_t keyd, certd, identityd, tpmd, edged;
};

struct super_options {
	const char *prefix;        /* before every path that is made up here; "" on a device */
	const char *hostname;      /* when the file gives none */
	struct super_uids uids;
	bool edge;                 /* with IoT Edge: its sections count, and edged has a file */
	/* Each fault (error) and each oddity, a line each. */
	void (*tell)(void *ctx, bool error, const char *text);
	void *ctx;
};

/*
 * The whole document.  Every fault is told; E_FORMAT when there was one, with how many.  The plan
 * borrows from doc and from o; it is good for plan_clear() in any case.
 */
int super_read(struct plan *out, const struct toml *doc, const struct super_options *o,
    struct err *e) MUST_CHECK;
/* Does it have a section or key of IoT Edge? */
bool super_has_edge(const struct toml *doc);

#endif
