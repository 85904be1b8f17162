/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/access.h - who may ask the Identity Service for what: one total table, denied by default */
#ifndef DEVICE_IDENTITYD_ACCESS_H
#define DEVICE_IDENTITYD_ACCESS_H

#include "device/identityd/settings.h"

enum access_caller {
	CALLER_UNKNOWN,   /* zero: a user that no principal names */
	CALLER_HOST,      /* a principal with idtype: a host process */
	CALLER_DAEMON,    /* the principal without idtype */
	CALLER_ROOT,      /* uid 0, unless a principal names it */
	CALLER_COUNT
};

enum access_want {
	WANT_NOTHING,           /* zero: nobody gets it */
	WANT_OWN_IDENTITY,      /* GET /identities/identity */
	WANT_DEVICE,            /* POST /identities/device */
	WANT_REPROVISION,
	WANT_MODULES,           /* list */
	WANT_MODULE_GET,        /* GET of one */
	WANT_MODULE_CHANGE,     /* create, update, delete */
	WANT_LOCAL_CREATE,      /* POST of a local identity */
	WANT_PROVISIONING,      /* how this device is provisioned */
	WANT_TRUST_BUNDLE,
	WANT_STATUS,            /* our own: status, metrics */
	WANT_COUNT
};

struct access_who {
	enum access_caller caller;
	const struct identity_principal *principal; /* NULL unless HOST or DAEMON; borrowed from the settings */
};

/* Principals come before uid 0: root that is listed is what its entry says.  The last entry of a uid counts. */
struct access_who access_who(const struct identityd_settings *s, uid_t uid);
/* module: of WANT_MODULE_GET alone; "" otherwise. */
bool access_allow(const struct access_who *who, enum access_want want, const char *module);

#endif
