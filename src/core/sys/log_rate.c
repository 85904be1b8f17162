/* SPDX-License-Identifier: Apache-2.0 */
/* sys/log_rate.c - a token bucket for each event that anybody can cause */
#include "core/sys/log_rate.h"

#include <string.h>

#define LINE     UINT64_C(1000) /* thousandths */
#define PAUSE_MS 1000           /* from one telling of an event to the next */

static struct log_rate_event *
find(struct log_rate *r, const char *event, uint64_t now_ms)
{
	struct log_rate_event *e = r->of, *last = &r->of[LOG_RATE_EVENTS - 1];

	while (e != last && e->event != NULL && strcmp(e->event, event) != 0)
		e++;
	if (e->event == NULL)
		*e = (struct log_rate_event){ .event = e != last ? event : "others", .at_ms = now_ms,
			.left = LOG_RATE_SAVED * LINE };
	return e;
}

static void
refill(struct log_rate_event *e, uint64_t now_ms)
{
	uint64_t ms = now_ms > e->at_ms ? now_ms - e->at_ms : 0, room = LOG_RATE_SAVED * LINE - e->left;

	/* LOG_RATE_PER_S lines a second are as many thousandths a millisecond */
	e->left += ms < room / LOG_RATE_PER_S ? ms * LOG_RATE_PER_S : room;
	e->at_ms = now_ms;
}

bool
log_rate_allows(struct log_rate *r, const char *event, uint64_t now_ms)
{
	struct log_rate_event *e = find(r, event, now_ms);

	refill(e, now_ms);
	if (e->left >= LINE) {
		e->left -= LINE;
		return true;
	}
	e->held++;
	return false;
}

bool
log_rate_held(struct log_rate *r, uint64_t now_ms, bool all, const char **event, uint64_t *n)
{
	for (struct log_rate_event *e = r->of; e < r->of + LOG_RATE_EVENTS && e->event != NULL; e++) {
		if (e->held == 0 || (!all && e->told_ms != 0 && now_ms < e->told_ms + PAUSE_MS))
			continue;
		*event = e->event;
		*n = e->held;
		e->held = 0;
		e->told_ms = now_ms;
		return true;
	}
	return false;
}
