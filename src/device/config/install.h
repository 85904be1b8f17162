/* SPDX-License-Identifier: Apache-2.0 */
/* config/install.h - many files replaced as one: all of them or none, whatever happens in between */
#ifndef DEVICE_CONFIG_INSTALL_H
#define DEVICE_CONFIG_INSTALL_H

#include <sys/types.h>

#include "core/base/bytes.h"
#include "device/service/place.h"

#define INSTALL_FILES_MAX 10

enum install_change { INSTALL_SAME, INSTALL_NEW, INSTALL_CHANGED, INSTALL_REMOVED };

/* One file to be: its content, and whose it is. */
struct install_file {
	const char *service;       /* "keyd" */
	char path[PLACE_MAX];
	struct buf content, old;   /* old: as it is now */
	uid_t uid;                 /* (uid_t)-1: whoever makes it */
	gid_t gid;
	bool secret;               /* is never shown */
	bool remove;               /* it is to go */
	enum install_change change;
};

struct install {
	char root[PLACE_MAX];      /* the directory that the journal and the lock stand for: PREFIX/etc/aziot */
	char base[PLACE_MAX];      /* directories below it are made when they are missing: PREFIX, or "" */
	struct install_file v[INSTALL_FILES_MAX];
	size_t n;
};

/*
 * A further file, all zero; its path is base/path.  NULL when that is too long, or has a line
 * end.
 */
struct install_file *install_add(struct install *in, const char *service, const char *path);
void install_clear(struct install *in);
/* Read what is there and set old and change of each.  E_IO. */
int install_compare(struct install *in, struct err *e) MUST_CHECK;
/*
 * Put every file that changes in place, mode 0600.  First all of them are written beside their
 * places and synced; then a journal, which is the decision; then they are renamed.  A crash
 * before the journal leaves everything as it was, one after it is completed by install_recover().
 * Old contents are not kept.  E_EXISTS: another one is at it.
 */
int install_commit(struct install *in, struct err *e) MUST_CHECK;
/*
 * Complete what an earlier install_commit() decided and could not finish; *done: there was
 * something.
 */
int install_recover(const struct install *in, bool *done, struct err *e) MUST_CHECK;
/* Is there something for install_recover()? */
bool install_pending(const struct install *in);

#endif
