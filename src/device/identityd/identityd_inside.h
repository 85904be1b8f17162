/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/identityd_inside.h - the Identity Service's parts, as they see each other */
#ifndef DEVICE_IDENTITYD_IDENTITYD_INSIDE_H
#define DEVICE_IDENTITYD_IDENTITYD_INSIDE_H

#include "device/identityd/access.h"
#include "device/identityd/identityd.h"
#include "device/identityd/state.h"
#include "device/provision/tasks.h"
#include "device/service/daemon.h"

#define IDENTITYD_TEMP "-temp" /* behind the IDs of the identity certificate and its key: the pair that is to follow */
#define IDENTITYD_PAUSE_S (2 * 86400) /* longer than any pause before another try */
#define IDENTITYD_TICK_S 60 /* how often times that are due are looked at, if nobody asks for sooner */

struct identityd {
	struct daemon daemon;
	const char *worker;                  /* path of the worker's executable */
	struct identityd_settings *settings; /* in force */
	struct toml *doc;                    /* what they were read from */
	struct tasks *tasks;
	struct keeper *keeper;
	struct provisioner *provisioner;
	struct registry *registry;
	struct loop_timer *tick;
	uint64_t tick_ms;                    /* when that is, by clock_monotonic_ms(); 0: not armed */
};

/* identityd.c: is t still to come?  What is further off than any pause was set by another clock. */
bool identityd_ahead(int64_t t, int64_t now);
/* identityd.c: have the parts' ticks called in so many seconds, or sooner; a tick that is not due yet asks again. */
void identityd_wake(struct identityd *d, int64_t in_s);

/* api.c: name, versions and routes; the limits are the caller's to set.  The context of its calls is a struct identityd. */
void identityd_service(struct api_service *out);

/* --- cloud.c: what every task is told --- */

/* Where the services are, and nothing of the cloud. */
json_t *cloud_local_args(const struct identityd *d);
/* The same and how to authenticate in the cloud with the identity certificate and key in force, proxies, trust, patience. */
json_t *cloud_args(const struct identityd *d);
/* The same with another pair: chain (PEM) and key ID. */
json_t *cloud_args_with(const struct identityd *d, const char *chain, const char *key);
/* Append those of trusted_certs that stand in files, as PEM. */
void cloud_trust_files(const struct identityd *d, struct buf *pem);
/* A task's failure as an error: retryable ones E_UNAVAIL, missing ones E_NOTFOUND, refused ones E_AUTH, else E_IO. */
int cloud_err(struct err *e, const struct task_result *r);

/*
 * --- keeper.c: the device's identity certificate, made through certd and renewed ---
 * Where the device has none (symmetric keys, source none) everything succeeds at once.  why NULL: it is there, with its key.
 */
typedef void (*keeper_fn)(void *ctx, const struct err *why);
struct keeper *keeper_new(struct identityd *d);
void keeper_free(struct keeper *k);
void keeper_configure(struct keeper *k);
void keeper_tick(struct keeper *k);
/* See that certificate and key are there, made anew if not; from the loop, never from inside. */
void keeper_ensure(struct keeper *k, keeper_fn fn, void *ctx);
const char *keeper_chain(const struct keeper *k); /* PEM; "" when there is none */
json_t *keeper_report(const struct keeper *k);    /* for /status */

/*
 * --- provisioner.c: whom the cloud takes this device for ---
 * What was confirmed last stays in force until something else is confirmed and written.
 */
typedef void (*provisioner_fn)(void *ctx, const struct task_result *r); /* TASK_DONE: confirmed and written */
struct provisioner *provisioner_new(struct identityd *d);
void provisioner_free(struct provisioner *p);
void provisioner_configure(struct provisioner *p);
void provisioner_tick(struct provisioner *p);
/* NULL: not provisioned (yet). */
const struct identity_device *provisioner_device(const struct provisioner *p);
/* Provision now; who asks meanwhile gets the same answer. */
void provisioner_run(struct provisioner *p, provisioner_fn fn, void *ctx);
/* The service confirmed this device (to a renewed certificate): write it, and let it be in force.  E_IO. */
int provisioner_confirmed(struct provisioner *p, const json_t *answer, struct err *e) MUST_CHECK;
/* The identity certificate is about to be made anew: the service knows the device by another, and is told, also after a crash. */
void provisioner_stale(struct provisioner *p);
/* Adds to args, which it takes; NULL: E_FORMAT of the payload. */
json_t *provisioner_dps_args(const struct identityd *d, json_t *args, struct err *e);
/* A digest of what says who the device is, of the settings in force; borrowed until the next call. */
const char *provisioner_digest(const struct provisioner *p);
json_t *provisioner_report(const struct provisioner *p);
json_t *provisioner_information(const struct provisioner *p);      /* GET /identities/provisioning */

/* --- registry.c: modules at the hub, remembered here --- */
struct registry *registry_new(struct identityd *d);
void registry_free(struct registry *r);
void registry_configure(struct registry *r); /* and when the device has changed: desired modules are looked at again */
void registry_tick(struct registry *r);
json_t *registry_report(const struct registry *r);
/* Each answers the call. */
void registry_list(struct registry *r, struct api_call *c);
void registry_get(struct registry *r, struct api_call *c, const char *module);
void registry_create(struct registry *r, struct api_call *c, const char *module);
void registry_update(struct registry *r, struct api_call *c, const char *module);
void registry_delete(struct registry *r, struct api_call *c, const char *module);

/* local.c: an identity that this device gives to a process on it */
void local_identity(struct identityd *d, struct api_call *c, const char *module, bool server);

/* report.c: GET /status */
json_t *report_status(const struct identityd *d);

/* {"type":"aziot","spec":{...}} of the device, or of a module of it; auth is taken and may be NULL. */
json_t *identity_json(const struct identity_device *d, const char *module, const char *generation, json_t *auth);

#endif
