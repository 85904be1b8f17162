/* SPDX-License-Identifier: Apache-2.0 */
/* net/census.h - how many connections each client address has */
#ifndef CORE_NET_CENSUS_H
#define CORE_NET_CENSUS_H

#include <sys/socket.h>

#include "core/base/bytes.h"

struct census;
struct census_entry;

/* expected: of how many addresses at once, roughly. */
struct census *census_new(size_t expected);
void census_free(struct census *c);
/*
 * Count one connection more of this address (the port does not matter, an
 * IPv4-mapped address is the IPv4 one); NULL when it has `limit` of them already.
 */
struct census_entry *census_enter(struct census *c, const struct sockaddr_storage *from, size_t limit);
void census_leave(struct census *c, struct census_entry *e); /* NULL does nothing */

#endif
