/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/scope.c - for which names a credential or an outside anchor may speak */
#include "server/fleet/scope.h"

#include <string.h>
#include <strings.h>

#include "core/base/text.h"

static const char *const names[SCOPE_COUNT] = {
	[SCOPE_NOBODY] = "nobody", [SCOPE_OWN_NAME] = "own-name", [SCOPE_DEVICE] = "device",
	[SCOPE_PATTERN] = "pattern", [SCOPE_NEW] = "new", [SCOPE_ANY] = "any",
};

const char *
scope_name(enum scope_kind k)
{
	return k < SCOPE_COUNT ? names[k] : names[SCOPE_NOBODY];
}

enum scope_kind
scope_by_name(const char *name)
{
	for (unsigned k = SCOPE_OWN_NAME; k < SCOPE_COUNT; k++)
		if (strcmp(names[k], name) == 0)
			return (enum scope_kind)k;
	return SCOPE_NOBODY;
}

static bool
covers(enum scope_kind k, const char *value, const char *name, const char *own)
{
	switch (k) {
	case SCOPE_OWN_NAME:
		return own != NULL && own[0] != 0 && strcasecmp(own, name) == 0; /* as devices are told apart */
	case SCOPE_DEVICE:
		return strcasecmp(value, name) == 0;
	case SCOPE_PATTERN:
		return text_match(value, name);
	case SCOPE_NEW:
	case SCOPE_ANY:
		return true;
	case SCOPE_NOBODY:
	case SCOPE_COUNT:
	default:
		return false;
	}
}

int
scope_check(enum scope_kind k, const char *value, bool active, const char *name, const char *own, bool live,
    const char **reason, struct err *e)
{
	if (!covers(k, value, name, own)) {
		*reason = "name.out-of-scope";
		return err_set(e, E_POLICY, "scope '%s%s%s' does not cover '%s'", scope_name(k),
		    value[0] != 0 ? " " : "", value, name);
	}
	if (live && (k == SCOPE_NEW || !active)) {
		*reason = "name.active";
		return err_set(e, E_POLICY, "'%s' has a live certificate, and this credential may only enrol names without one", name);
	}
	return 0;
}

int
scope_valid(enum scope_kind k, const char *value, bool anchor, struct err *e)
{
	bool needs = k == SCOPE_DEVICE || k == SCOPE_PATTERN;

	if (k == SCOPE_NOBODY || k >= SCOPE_COUNT || (k == SCOPE_OWN_NAME && !anchor))
		return err_set(e, E_USAGE, "scope: expected %sdevice, pattern, new or any", anchor ? "own-name, " : "");
	if (needs != (value[0] != 0))
		return err_set(e, E_USAGE, needs ? "scope '%s' needs a scope_value" : "scope '%s' takes no scope_value",
		    scope_name(k));
	return 0;
}
