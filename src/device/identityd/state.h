/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/state.h - what the Identity Service remembers, in the files that the original reads too, and our own beside them */
#ifndef DEVICE_IDENTITYD_STATE_H
#define DEVICE_IDENTITYD_STATE_H

#include "core/codec/json.h"
#include "device/identityd/settings.h"

/* Whom the cloud takes this device for. */
struct identity_device {
	char hub[256];                         /* host, or host:port */
	char gateway[256];                     /* where to call; the hub itself when there is no gateway */
	char device[IDENTITYD_CLOUD_ID_MAX];
};
bool identity_device_equal(const struct identity_device *a, const struct identity_device *b);

/* Make home, home/modules and home/estuary (0700). */
int state_open(const char *home, struct err *e) MUST_CHECK;

/* Remove the halves of files that a crash has left; while the home is locked. */
void state_sweep(const char *home);

/* HOME/device_info.  E_NOTFOUND: no file, or "unprovisioned"; E_FORMAT: damaged. */
int state_read_device(struct identity_device *out, const char *home, struct err *e) MUST_CHECK;
int state_write_device(const char *home, const struct identity_device *d, struct err *e) MUST_CHECK;

/* HOME/prev_state: the configuration at the last reconciliation of modules. */
int state_write_previous(const char *home, const struct toml *doc, struct err *e) MUST_CHECK;
/*
 * Names of its principals with idtype "module": an array of texts, *out belongs to the caller; empty when there is no such
 * file or it is damaged.
 */
void state_previous_modules(json_t **out, const char *home);

/*
 * HOME/modules/SHA256(hub)-SHA256(device)/STEM: a module as the hub last told it, without "authentication".  get:
 * E_NOTFOUND also when what is there is no such module.
 */
int state_module_put(const char *home, const struct identity_device *d, const json_t *module, struct err *e) MUST_CHECK;
int state_module_get(json_t **out, const char *home, const struct identity_device *d, const char *module, struct err *e) MUST_CHECK;
int state_module_remove(const char *home, const struct identity_device *d, const char *module, struct err *e) MUST_CHECK;
/* Remove what was remembered of other devices than d; what cannot be removed stays. */
void state_forget_others(const char *home, const struct identity_device *d);

/* HOME/estuary/NAME.json: our own journals, objects.  get: E_NOTFOUND, E_FORMAT. */
int state_journal_put(const char *home, const char *name, const json_t *v, struct err *e) MUST_CHECK;
int state_journal_get(json_t **out, const char *home, const char *name, struct err *e) MUST_CHECK;
int state_journal_remove(const char *home, const char *name, struct err *e) MUST_CHECK;

#endif
