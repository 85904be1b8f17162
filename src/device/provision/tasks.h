/* SPDX-License-Identifier: Apache-2.0 */
/* provision/tasks.h - identityd's side: a task goes to a worker process, its result comes back, the loop never waits */
#ifndef DEVICE_PROVISION_TASKS_H
#define DEVICE_PROVISION_TASKS_H

#include "core/sys/loop.h"
#include "device/provision/task.h"

struct tasks;
struct tasks_ticket;
/* r is borrowed until the call returns.  Called from the loop, exactly once, never from inside tasks_run(). */
typedef void (*tasks_done)(void *ctx, const struct task_result *r);

struct tasks *tasks_new(struct loop *l, const char *worker);
void tasks_free(struct tasks *t);   /* ends the processes; done is not called */
/* Takes args (json_decref is ours). */
struct tasks_ticket *tasks_run(struct tasks *t, enum task_kind k, json_t *args, tasks_done fn, void *ctx);
void tasks_cancel(struct tasks *t, struct tasks_ticket *k);

#endif
