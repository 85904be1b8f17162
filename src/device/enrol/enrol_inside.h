/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/enrol_inside.h - how the parts of a job say what came of it; for this room alone */
#ifndef DEVICE_ENROL_ENROL_INSIDE_H
#define DEVICE_ENROL_ENROL_INSIDE_H

#include "device/enrol/enrol.h"

/*
 * Record an outcome, its named check (NULL: none) and one line of why, escaped; returns the error's code, so that
 * `return enrol_settle(...)` ends a part.
 */
int enrol_settle(struct job_result *r, enum job_outcome o, const char *check, const struct err *e);
int enrol_fail(struct job_result *r, enum job_outcome o, const char *check, enum err_code code, const char *fmt, ...)
    PRINTF(5, 6);
/* A key could not be used: JOB_KEY_FAILED, its check by the code: "not-found", "not-authorised" or none. */
int enrol_settle_key(struct job_result *r, const struct err *e);
/* Something odd that was taken all the same; several are joined. */
void enrol_note(struct job_result *r, const char *fmt, ...) PRINTF(2, 3);

#endif
