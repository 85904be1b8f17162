/* SPDX-License-Identifier: Apache-2.0 */
/* service/daemon.h - the life of a device service: it listens, hears of new configurations, drains, ends */
#ifndef DEVICE_SERVICE_DAEMON_H
#define DEVICE_SERVICE_DAEMON_H

#include "device/service/api.h"
#include "device/service/settings.h"

struct daemon {
	/* the service's to set */
	const char *name;            /* in the log: "aziot_certd" */
	struct place place;
	struct loop *loop;
	struct api_service service;
	void *ctx;                   /* of the three */
	int (*run)(void *ctx, struct err *e);     /* from the configuration to daemon_serve(), and what ends after it */
	int (*reload)(void *ctx, struct err *e);  /* read the configuration and put it in force; on failure nothing has changed */
	int (*confine)(void *ctx, struct err *e); /* give up rights */
	/* to be read */
	struct api *api;
	struct settings_watch *watch;
	int64_t loaded_at;           /* when the settings in force were read */
	struct err last_error;       /* of the configuration on disk since; code 0: none */
	bool stopping;
};

/* The whole of main(): what begins and ends is logged.  Its exit status. */
int daemon_main(struct daemon *d);
/*
 * Listen (on socket, if not NULL, instead of the place's), confine, tell the service manager, and serve with calls as the
 * API's context until SIGTERM or SIGINT; the second of them does not wait for what is under way.  SIGHUP, and a change of
 * the files, reload.  daemon_close() is the caller's on failure, too.
 */
int daemon_serve(struct daemon *d, const char *socket, void *calls, struct err *e) MUST_CHECK;
/* Nobody calls any more; the loop stays, for what is torn down after this. */
void daemon_close(struct daemon *d);

/* New settings are in force, with so many connections a user. */
void daemon_in_force(struct daemon *d, unsigned per_uid);
/* One process a home; who is what another is in the error: "Certificates Service".  E_EXISTS. */
int daemon_lock(int *fd, const char *home, const char *who, struct err *e) MUST_CHECK;
/*
 * For a service with a worker: nothing is written outside of the home, and no program is started but the worker (with its
 * loader), which confines itself further.  What is read may stand anywhere, so all is readable that the user may read.
 * A system that cannot do this is told of in the log.
 */
void daemon_confine(const char *home, const char *worker);

/* A warning of settings_*() into the log; for their fn, which has a ctx. */
void daemon_warn(void *ctx, const char *text);
/* "****@proxy:3128": who reads the log learns nothing of what stands before the host.  NULL, "": nothing is said. */
void daemon_tell_proxy(const char *proxy);
/* What is opened once has another value (either may be NULL): that is logged.  The caller goes on with the old one. */
bool daemon_unchanged(const char *key, const char *now, const char *before);

#endif
