/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/enrol.h - doing a job, blocking; the worker process is a loop of one around this */
#ifndef DEVICE_ENROL_ENROL_H
#define DEVICE_ENROL_ENROL_H

#include "device/enrol/job.h"

/* Do the job; now is UTC seconds.  *r says what came of it, in every case. */
void enrol_run(struct job_result *r, const struct job *j, int64_t now);

/* The parts, each in its file. */
void enrol_est(struct job_result *r, const struct job *j, int64_t now);
void enrol_probe(struct job_result *r, const struct job *j, int64_t now);
void enrol_tls(struct job_result *r, const struct job *j, int64_t now);
void enrol_sign(struct job_result *r, const struct job *j, int64_t now);
void enrol_keys(struct job_result *r, const struct job *j);

#endif
