/* SPDX-License-Identifier: Apache-2.0 */
/* net/census.h - how many connections each neighbourhood of addresses, or local uid, has */
#ifndef CORE_NET_CENSUS_H
#define CORE_NET_CENSUS_H

#include <sys/socket.h>
#include <sys/types.h>

#include "core/base/bytes.h"

struct census;
struct census_entry;

/* expected: of how many addresses at once, roughly. */
struct census *census_new(size_t expected);
void census_free(struct census *c);
/*
 * Count one connection more of this address (the port does not matter, an IPv4-mapped address is the
 * IPv4 one, an IPv6 address is its /64: address_neighbourhood()); NULL when it has `limit` of them already.
 */
struct census_entry *census_enter(struct census *c, const struct sockaddr_storage *from, size_t limit);
/* The same for a local uid; apart: those connections of it that are only told that it has too many. */
struct census_entry *census_enter_uid(struct census *c, uid_t uid, bool apart, size_t limit);
size_t census_count(const struct census_entry *e); /* NULL: 0 */
void census_leave(struct census *c, struct census_entry *e); /* NULL does nothing */

#endif
