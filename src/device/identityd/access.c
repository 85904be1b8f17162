/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/access.c - the table of who may ask for what */
#include "device/identityd/access.h"

#include <string.h>

enum rule {
	DENY,             /* zero: what nobody wrote down */
	ALLOW,
	IF_IDENTITY,      /* a host process with any idtype */
	IF_DEVICE,        /* ... with "device" */
	IF_OWN_MODULE,    /* ... with "module" or "local", of its own name */
};

static const uint8_t table[CALLER_COUNT][WANT_COUNT] = {
	[CALLER_UNKNOWN] = { [WANT_TRUST_BUNDLE] = ALLOW },
	[CALLER_HOST] = { [WANT_TRUST_BUNDLE] = ALLOW, [WANT_OWN_IDENTITY] = IF_IDENTITY, [WANT_DEVICE] = IF_DEVICE,
	    [WANT_MODULE_GET] = IF_OWN_MODULE, [WANT_PROVISIONING] = ALLOW },
	[CALLER_DAEMON] = { [WANT_TRUST_BUNDLE] = ALLOW, [WANT_OWN_IDENTITY] = ALLOW, [WANT_DEVICE] = ALLOW,
	    [WANT_REPROVISION] = ALLOW, [WANT_MODULES] = ALLOW, [WANT_MODULE_GET] = ALLOW, [WANT_MODULE_CHANGE] = ALLOW,
	    [WANT_LOCAL_CREATE] = ALLOW, [WANT_PROVISIONING] = ALLOW, [WANT_STATUS] = ALLOW },
	[CALLER_ROOT] = { [WANT_TRUST_BUNDLE] = ALLOW, [WANT_OWN_IDENTITY] = ALLOW, [WANT_DEVICE] = ALLOW,
	    [WANT_REPROVISION] = ALLOW, [WANT_MODULES] = ALLOW, [WANT_MODULE_GET] = ALLOW, [WANT_MODULE_CHANGE] = ALLOW,
	    [WANT_LOCAL_CREATE] = ALLOW, [WANT_PROVISIONING] = ALLOW, [WANT_STATUS] = ALLOW },
};

struct access_who
access_who(const struct identityd_settings *s, uid_t uid)
{
	struct access_who who = { .caller = uid == 0 ? CALLER_ROOT : CALLER_UNKNOWN };

	if (uid == (uid_t)-1)
		return who;
	for (size_t i = s->n_principals; i-- > 0;) {
		const struct identity_principal *p = &s->principal[i];

		if (p->uid != uid)
			continue;
		if (p->daemon)
			return (struct access_who){ CALLER_DAEMON, p };
		return (struct access_who){ CALLER_HOST, p }; /* without any idtype it may see the trust bundle alone */
	}
	return who;
}

bool
access_allow(const struct access_who *who, enum access_want want, const char *module)
{
	const struct identity_principal *p = who->principal;

	if (who->caller >= CALLER_COUNT || want >= WANT_COUNT)
		return false;
	switch ((enum rule)table[who->caller][want]) {
	case ALLOW:
		return true;
	case IF_IDENTITY:
		return p != NULL && (p->device || p->module || p->local);
	case IF_DEVICE:
		return p != NULL && p->device;
	case IF_OWN_MODULE:
		return p != NULL && (p->module || p->local) && strcmp(p->name, module) == 0;
	case DENY:
	default:
		return false;
	}
}
