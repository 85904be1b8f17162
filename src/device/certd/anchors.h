/* SPDX-License-Identifier: Apache-2.0 */
/* certd/anchors.h - roots for which the configured anchors vouched, kept while those are configured (RFC 7030 4.1.3) */
#ifndef DEVICE_CERTD_ANCHORS_H
#define DEVICE_CERTD_ANCHORS_H

#include "device/certd/settings.h"

/*
 * trust is the configured anchors' PEM: it becomes what was learnt since for exactly these (they and their successors), if
 * anything was.  A file that cannot be read, or is for other anchors, changes nothing.
 */
void anchors_apply(struct buf *trust, const struct certd_settings *s);
/*
 * Keep next (of a job's result: the anchors from now on) for these configured anchors; durable.  The caller
 * has found each new root vouched for by one of those in force (C10).  E_IO, E_TOOBIG.
 */
int anchors_learn(const struct certd_settings *s, struct bytes configured, struct bytes next, struct err *e) MUST_CHECK;

#endif
