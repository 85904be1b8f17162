/* SPDX-License-Identifier: Apache-2.0 */
/* estuaryd/backoff.c - how long to wait before a role that died is started again */
#include "server/estuaryd/backoff.h"

unsigned
backoff_next(struct backoff *b, uint64_t lived_ms)
{
	if (lived_ms >= BACKOFF_LONG_MS || b->last_ms == 0)
		b->last_ms = BACKOFF_FIRST_MS;
	else if (b->last_ms >= BACKOFF_MOST_MS / 2)
		b->last_ms = BACKOFF_MOST_MS;
	else
		b->last_ms *= 2;
	return b->last_ms;
}
