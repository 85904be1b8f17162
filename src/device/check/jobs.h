/* SPDX-License-Identifier: Apache-2.0 */
/* check/jobs.h - what touches the network or a key is done by certd's worker, never by the command itself */
#ifndef DEVICE_CHECK_JOBS_H
#define DEVICE_CHECK_JOBS_H

#include "device/check/inside.h"
#include "device/enrol/job.h"

struct jobs_item {
	struct job job;             /* taken, cleared when it is done */
	struct job_result result;   /* without its buffers */
};

/* Zeroed items; freed with jobs_free(). */
struct jobs_item *jobs_new(size_t n);
void jobs_free(struct jobs_item *items, size_t n);
/* Root asks as the service's user, in the group that keyd's socket is open to: TLS with strangers is nothing for root. */
void jobs_set_user(struct job *j, const struct checking *c, int service);
/* Do all of them, several at a time, and wait.  Items without a kind are left out. */
void jobs_run(const struct checking *c, struct jobs_item *items, size_t n);

#endif
