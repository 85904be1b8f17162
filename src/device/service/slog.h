/* SPDX-License-Identifier: Apache-2.0 */
/* service/slog.h - a device service's log lines, in the form that existing scripts read */
#ifndef DEVICE_SERVICE_SLOG_H
#define DEVICE_SERVICE_SLOG_H

#include "core/base/bytes.h"

enum slog_level { SLOG_ERROR, SLOG_WARN, SLOG_INFO, SLOG_DEBUG, SLOG_TRACE };

/*
 * Lines on standard error: "<N>2026-11-21T03:04:05Z [INFO] - text", N the syslog priority; for debug and trace
 * "[module] " before the text.  AZIOT_LOG filters: a level or "off", and comma-separated target=level, in any case;
 * the default is info.  Text is escaped (text_escape); one that has line ends becomes several lines.
 * Never blocks: a full pipe drops lines and counts them.
 */
void slog_open(const char *module);       /* "aziot_keyd"; standard error becomes non-blocking for us alone */
void slog_filter(const char *text);       /* what AZIOT_LOG says; NULL: info */
void slog(enum slog_level level, const char *fmt, ...) PRINTF(2, 3);
/* An error and, after it, "caused by: ..." lines for the parts that ": " joins. */
void slog_fatal(const struct err *e);

#endif
