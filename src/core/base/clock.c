/* SPDX-License-Identifier: Apache-2.0 */
/* base/clock.c - the only door to the clocks */
#include "core/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct { char unit; int64_t s; } units[] = {
	{ 'y', 365 * 86400 }, { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 },
};

static struct timespec
read_clock(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) != 0)
		abort();
	return ts;
}

int64_t
clock_now(void)
{
	return read_clock(CLOCK_REALTIME).tv_sec;
}

int64_t
clock_now_ms(void)
{
	struct timespec ts = read_clock(CLOCK_REALTIME);

	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

uint64_t
clock_monotonic_ms(void)
{
	struct timespec ts = read_clock(CLOCK_MONOTONIC);

	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Days from 1970-01-01, counting the year from March so that February ends it. */
static int64_t
days_of(int64_t y, int m, int d)
{
	int64_t era, yoe, doy;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

struct clock_parts
clock_split(int64_t t)
{
	int64_t day = t / 86400, s = t % 86400, era, doe, yoe, doy, mp;
	struct clock_parts p;

	if (s < 0) {
		s += 86400;
		day--;
	}
	day += 719468;
	era = (day >= 0 ? day : day - 146096) / 146097;
	doe = day - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	p.day = (int)(doy - (153 * mp + 2) / 5 + 1);
	p.month = (int)(mp < 10 ? mp + 3 : mp - 9);
	p.year = (int)(yoe + era * 400 + (p.month <= 2));
	p.hour = (int)(s / 3600);
	p.minute = (int)(s % 3600 / 60);
	p.second = (int)(s % 60);
	return p;
}

int64_t
clock_join(const struct clock_parts *p)
{
	return days_of(p->year, p->month, p->day) * 86400 + p->hour * 3600 +
	    p->minute * 60 + p->second;
}

const char *
clock_text(int64_t t, char out[CLOCK_TEXT_MAX])
{
	struct clock_parts p = clock_split(t);

	(void)snprintf(out, CLOCK_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02dZ",
	    p.year % 10000, p.month, p.day, p.hour, p.minute, p.second);
	return out;
}

int
clock_parse_duration(int64_t *out, const char *s, struct err *e)
{
	char *end;
	int64_t n, unit = 1;

	if (s[0] < '0' || s[0] > '9')
		goto bad;
	n = strtoll(s, &end, 10);
	if (*end != 0) {
		unit = 0;
		for (size_t i = 0; i < N_OF(units); i++)
			if (*end == units[i].unit && end[1] == 0)
				unit = units[i].s;
		if (unit == 0)
			goto bad;
	}
	if (n > INT64_C(20000000000) / unit)
		return err_set(e, E_FORMAT, "duration '%.40s': longer than 600 years", s);
	*out = n * unit;
	return 0;
bad:
	return err_set(e, E_FORMAT,
	    "duration '%.40s': expected a number and one of s m h d y, as in 90d", s);
}

const char *
clock_duration_text(int64_t s, char out[CLOCK_TEXT_MAX])
{
	size_t i = 0;

	while (i < N_OF(units) - 1 && (s == 0 || s % units[i].s != 0))
		i++;
	(void)snprintf(out, CLOCK_TEXT_MAX, "%" PRId64 "%c", s / units[i].s, units[i].unit);
	return out;
}
