/* SPDX-License-Identifier: Apache-2.0 */
/* base/rnd.c - the kernel's random numbers */
#include "core/base/rnd.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/base/mem.h"
#include "core/base/text.h"

void
rnd_bytes(void *p, size_t n)
{
	uint8_t *q = p;

	while (n != 0) {
		ssize_t got = getrandom(q, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		q += got;
		n -= (size_t)got;
	}
}

void
rnd_public(void *p, size_t n)
{
	static uint8_t drawn[1024];
	static size_t left;

	assert(n <= 32);
	if (left < n)
		rnd_bytes(drawn, left = sizeof(drawn));
	left -= n;
	memcpy(p, drawn + left, n);
	mem_wipe(drawn + left, n);
}

void
rnd_hex(char *out, size_t octets)
{
	uint8_t b[32];

	for (size_t i = 0; i < octets; i += sizeof(b)) {
		size_t n = octets - i < sizeof(b) ? octets - i : sizeof(b);

		rnd_bytes(b, n);
		text_hex(out + 2 * i, (struct bytes){ b, n });
	}
}

uint32_t
rnd_below(uint32_t n)
{
	uint64_t v;

	rnd_bytes(&v, sizeof(v));
	return (uint32_t)(v % n);
}
