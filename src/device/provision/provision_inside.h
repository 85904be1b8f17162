/* SPDX-License-Identifier: Apache-2.0 */
/* provision/provision_inside.h - the parts of a task, and how each says what came of it; for this room alone */
#ifndef DEVICE_PROVISION_INSIDE_H
#define DEVICE_PROVISION_INSIDE_H

#include "core/pki/key.h"
#include "core/pki/name.h"
#include "device/keyd/client.h"
#include "device/provision/task.h"

/* --- what came of it (run.c) --- */

/*
 * Record an outcome and one line of why, escaped; returns the error's code, so that `return task_settle(...)` ends
 * a part.
 */
int task_settle(struct task_result *r, enum task_outcome o, const struct err *e);
int task_fail(struct task_result *r, enum task_outcome o, enum err_code code, const char *fmt, ...) PRINTF(4, 5);
/* TASK_NOT_FOUND, with "check": check. */
int task_missing(struct task_result *r, const char *check, const struct err *e);
/* Something odd that was taken all the same; several are joined. */
void task_note(struct task_result *r, const char *fmt, ...) PRINTF(2, 3);

/* --- the parts, each in its file --- */

void dps_run(struct task_result *r, const json_t *args, int64_t now);
void hub_run(struct task_result *r, enum task_kind k, const json_t *args, int64_t now);
void keys_run(struct task_result *r, enum task_kind k, const json_t *args);
void certs_run(struct task_result *r, enum task_kind k, const json_t *args);
void local_id_run(struct task_result *r, const json_t *args);

/* --- keys (keys.c) --- */

struct keyd keys_service(const json_t *args);
/* TASK_KEY_FAILED, with what can be done about it. */
int keys_settle(struct task_result *r, const struct err *e);
/* The pair `id` as a key that signs where it is kept. */
int keys_open(struct key **out, const json_t *args, const char *id, struct err *e) MUST_CHECK;
/* Put the public key into the result. */
void keys_put_spki(struct task_result *r, const struct key *key);
/* The primary or the secondary key of a module, derived from args.master, which is made unless it exists. */
int keys_module(char **handle, const json_t *args, const char *generation, const char *which, struct err *e) MUST_CHECK;
/* Put the handle into the result, for args.uid; what fails is settled. */
int keys_give(struct task_result *r, const json_t *args, const char *handle);

/* --- certificates (certs.c) --- */

/*
 * Have certd issue certificate `id` for a request, check that it is for this key, and put it into the result as pem;
 * *not_after (NULL: not wanted) of its leaf.  What fails is settled.
 */
int certs_issue(struct task_result *r, const json_t *args, const char *id, struct bytes csr, struct bytes spki,
    int64_t *not_after);
/* Append what certd has under this ID; missing is TASK_NOT_FOUND, and everything that fails is settled. */
int certs_append(struct buf *pem, struct task_result *r, const json_t *args, const char *id) MUST_CHECK;
/* A subject of args, checked; what fails is settled. */
int certs_subject(struct name *out, struct task_result *r, const json_t *args) MUST_CHECK;

#endif
