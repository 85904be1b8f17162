/* SPDX-License-Identifier: Apache-2.0 */
/* check/reader.h - may the user that a service runs as read a file? */
#ifndef DEVICE_CHECK_READER_H
#define DEVICE_CHECK_READER_H

#include <sys/types.h>

#include "device/service/place.h"

#define READER_GROUPS_MAX 64

struct reader {
	char name[64];                  /* for people: "aziotcs", or "user 998" */
	uid_t uid;
	gid_t gid;
	gid_t groups[READER_GROUPS_MAX];
	int n_groups;
};

/*
 * The user of the service at a place: on a real system by its name (aziotks, aziotcs, ...), below a prefix or where
 * there is no such user, whoever owns the service's home; we ourselves when there is none.
 */
void reader_find(struct reader *out, const struct place *p);
/*
 * Can it read the file?  Every directory on the way must be open to it, by owner, group or everybody's bits; where an
 * access list says more, that is believed.  E_NOTFOUND: no such file; E_POLICY: it cannot, and what to do;
 * E_IO: we cannot look.
 */
int reader_check(const struct reader *r, const char *path, struct err *e) MUST_CHECK;

#endif
