/* SPDX-License-Identifier: Apache-2.0 */
/* net/path.h - the path of a request target, decoded once */
#ifndef CORE_NET_PATH_H
#define CORE_NET_PATH_H

#include "core/base/bytes.h"

/*
 * Append the path of an origin-form target (what stands before '?'), percent-decoded
 * exactly once (RFC 3986 2.1, 6.2.2).  What could mean one thing here and another
 * elsewhere is E_FORMAT: broken escapes; an escaped '/' or '%' (twice encoded); any '\'; NUL and
 * other controls; anything but well-formed UTF-8; segments "." and "..", escaped or not.
 */
int path_decode(struct buf *out, struct bytes target, struct err *e) MUST_CHECK;
/* Octets of the target before '?' (all of it when there is none). */
size_t path_length(struct bytes target);

#endif
