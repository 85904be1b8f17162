/* SPDX-License-Identifier: Apache-2.0 */
/* base/rnd.h - the kernel's random numbers; no entropy ends the process */
#ifndef CORE_BASE_RND_H
#define CORE_BASE_RND_H

#include <stddef.h>
#include <stdint.h>

void rnd_bytes(void *p, size_t n);
/*
 * At most 32 octets that will be no secret (ids, serial numbers): as hard to foresee, but one look at the kernel serves
 * many.  For one thread, and not on both sides of a fork().
 */
void rnd_public(void *p, size_t n);
void rnd_hex(char *out, size_t octets);  /* 2 * octets + 1 characters, lower case */
uint32_t rnd_below(uint32_t n);          /* 0 .. n-1, n > 0; for jitter, not for keys */

#endif
