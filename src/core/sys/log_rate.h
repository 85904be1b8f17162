/* SPDX-License-Identifier: Apache-2.0 */
/* sys/log_rate.h - how many lines of an event are written one by one, when anybody can cause it */
#ifndef CORE_SYS_LOG_RATE_H
#define CORE_SYS_LOG_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who can reach these: everybody.  A line is some 150 octets: 5 a second are 65 MB a day. */
#define LOG_RATE_PER_S  5
#define LOG_RATE_SAVED  100  /* lines, saved up in quieter times */
#define LOG_RATE_EVENTS 64   /* told apart; all further ones share the last place */

struct log_rate_event {
	const char *event;   /* NULL: free */
	uint64_t at_ms, told_ms;
	uint64_t left;       /* thousandths of a line */
	uint64_t held;       /* only counted, since they were told of */
};

/* All 0 at first; needs no memory beside. */
struct log_rate {
	struct log_rate_event of[LOG_RATE_EVENTS];
};

/* May one more line of this event (a constant word, borrowed for ever) be written now?  If not it is counted. */
bool log_rate_allows(struct log_rate *r, const char *event, uint64_t now_ms);
/*
 * Is there an event of which lines were only counted, and that was not told of in the last second (or: at all
 * events)?  Then its word, and how many; they are told of with that.
 */
bool log_rate_held(struct log_rate *r, uint64_t now_ms, bool all, const char **event, uint64_t *n);

#endif
