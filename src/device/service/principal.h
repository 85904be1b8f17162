/* SPDX-License-Identifier: Apache-2.0 */
/* service/principal.h - which user may change which key or certificate */
#ifndef DEVICE_SERVICE_PRINCIPAL_H
#define DEVICE_SERVICE_PRINCIPAL_H

#include <sys/types.h>

#include "core/codec/toml.h"

struct principals;

/*
 * The [[principal]] tables: uid and a list of patterns under `member` ("keys", "certs"), which may be missing beside
 * `delegate = true`; entries of one uid add up.  E_FORMAT.
 */
int principals_read(struct principals **out, const struct toml *doc, const char *member, struct err *e) MUST_CHECK;
void principals_free(struct principals *p);
AUTO_DEFINE(principals, principals_free)
/* uid 0 always; others when a pattern of theirs matches the whole ID (text_match).  (uid_t)-1 never. */
bool principals_allow(const struct principals *p, uid_t uid, const char *id);
/* Does the uid's entry say `delegate = true`: may it make handles for other users? */
bool principals_delegate(const struct principals *p, uid_t uid);

#endif
