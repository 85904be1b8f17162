/* SPDX-License-Identifier: Apache-2.0 */
/* certd/report.h - what certd tells people and monitoring about its certificates */
#ifndef DEVICE_CERTD_REPORT_H
#define DEVICE_CERTD_REPORT_H

#include "core/codec/json.h"
#include "device/certd/certs.h"

#define REPORT_FILES_MAX 2000 /* files of certificates looked at; whoever may write certificates can reach it */

/*
 * Append an object for each certificate that exists: id (absent when only the file is known: IDs cannot be read from
 * their names), path (absent for lists), subject, serial, not_before, not_after, method ("" without an entry),
 * preloaded; or error instead of what could not be read.
 */
void report_certificates(json_t *list, const struct certd_settings *s);
/* Prometheus' text format, of that list and of engine_status()'s. */
void report_metrics(struct buf *out, const json_t *certificates, const json_t *credentials, bool configuration_ok);

#endif
