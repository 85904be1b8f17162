/* SPDX-License-Identifier: Apache-2.0 */
/* estuaryd/backoff.h - how long to wait before a role that died is started again */
#ifndef SERVER_ESTUARYD_BACKOFF_H
#define SERVER_ESTUARYD_BACKOFF_H

#include <stdint.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS  5000
#define BACKOFF_LONG_MS  10000 /* who lived this long starts from the first step again */

/* Zero-initialise. */
struct backoff {
	unsigned last_ms;
};

/* The wait after a life of lived_ms: twice the last one, from FIRST to MOST. */
unsigned backoff_next(struct backoff *b, uint64_t lived_ms);

#endif
