/* SPDX-License-Identifier: Apache-2.0 */
/* certd/workers.h - worker processes: a job goes in, its result comes out, the loop never waits */
#ifndef DEVICE_CERTD_WORKERS_H
#define DEVICE_CERTD_WORKERS_H

#include "core/sys/loop.h"
#include "device/enrol/job.h"
#include "device/service/crew.h"

#define WORKERS_MAX CREW_MAX /* at once; further jobs wait their turn */

struct workers;
struct workers_ticket;

/* r is borrowed until the call returns.  Called from the loop, exactly once, never from inside workers_run(). */
typedef void (*workers_done)(void *ctx, const struct job_result *r);

/* path: of the worker's executable. */
struct workers *workers_new(struct loop *l, const char *path);
void workers_free(struct workers *w); /* ends the processes; done is not called, and the loop is not run after */
void workers_set_grace(struct workers *w, unsigned ms); /* beyond a job's deadline, instead of 10 s */
/* Takes over *j (job_clear is ours).  A worker silent for the job's deadline and 10 s more is killed: JOB_DIED. */
struct workers_ticket *workers_run(struct workers *w, struct job *j, workers_done fn, void *ctx);
void workers_cancel(struct workers *w, struct workers_ticket *t); /* done is not called any more */

#endif
