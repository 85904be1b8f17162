/* SPDX-License-Identifier: Apache-2.0 */
/* base/clock.h - the only door to the clocks */
#ifndef CORE_BASE_CLOCK_H
#define CORE_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

#define CLOCK_TEXT_MAX 32

int64_t clock_now(void);            /* UTC seconds since 1970 */
int64_t clock_now_ms(void);         /* UTC milliseconds since 1970 */
uint64_t clock_monotonic_ms(void);  /* never set back; for deadlines */

struct clock_parts {
	int year, month, day, hour, minute, second; /* month 1-12, UTC */
};

/* Proleptic Gregorian, any year 0-9999; no time zones, no leap seconds. */
struct clock_parts clock_split(int64_t t);
int64_t clock_join(const struct clock_parts *p);
/* "2026-11-21T03:04:05Z" into out; returns out. */
const char *clock_text(int64_t t, char out[CLOCK_TEXT_MAX]);
/* A duration such as "90s", "15m", "12h", "30d", "1y" (365 days), or "90" (seconds); seconds in *out. */
int clock_parse_duration(int64_t *out, const char *s, struct err *e) MUST_CHECK;
/* The shortest of those forms that is exact. */
const char *clock_duration_text(int64_t s, char out[CLOCK_TEXT_MAX]);

#endif
