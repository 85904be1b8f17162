/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/scope.h - for which names a credential or an outside anchor may speak */
#ifndef SERVER_FLEET_SCOPE_H
#define SERVER_FLEET_SCOPE_H

#include "core/base/bytes.h"

enum scope_kind {
	SCOPE_NOBODY,    /* zero: what nobody set allows nothing */
	SCOPE_OWN_NAME,  /* the name in the certificate presented; anchors only */
	SCOPE_DEVICE,    /* one name */
	SCOPE_PATTERN,   /* names that match * and ? */
	SCOPE_NEW,       /* any name without a live certificate */
	SCOPE_ANY,
	SCOPE_COUNT
};

const char *scope_name(enum scope_kind k);
enum scope_kind scope_by_name(const char *name); /* SCOPE_NOBODY when unknown */
/*
 * E_POLICY ("... may not speak for 'x'") unless the scope covers the name.  live: the name has a live certificate;
 * then `active` must be set, whatever the scope, and SCOPE_NEW never covers it.  own: the certificate's own name, or NULL.
 */
int scope_check(enum scope_kind k, const char *value, bool active, const char *name, const char *own, bool live,
    const char **reason, struct err *e) MUST_CHECK;
/* Are kind, value and `anchor` (may use own-name) consistent?  E_USAGE says what is missing. */
int scope_valid(enum scope_kind k, const char *value, bool anchor, struct err *e) MUST_CHECK;

#endif
