/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_der.c - what the walk passes, cursors read to the end; what it does not, they survive */
#include <assert.h>

#include "core/pki/der.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Every element read through every reader, each from its own copy of the cursor. */
static void
try_readers(struct der at)
{
	struct der d = at;
	unsigned unused;

	(void)der_boolean(&d);
	d = at;
	(void)der_small_integer(&d);
	d = at;
	(void)der_bits(&d, &unused);
	assert(unused <= 7);
	d = at;
	(void)der_time(&d);
	assert(!d.bad || der_end(&d, "it", NULL) == E_FORMAT);
}

/* True when all of d could be read; steps bounds the work on unchecked input. */
static bool
walk(struct der d, unsigned depth, unsigned *steps)
{
	while (der_more(&d) && *steps > 0) {
		struct der inside;
		uint8_t tag = der_peek(&d);

		(*steps)--;
		try_readers(d);
		if ((tag & 0x20) == 0 || depth == DER_DEPTH_MAX) {
			(void)der_any(&d, &tag);
			continue;
		}
		inside = der_enter(&d, tag);
		if (!walk(inside, depth + 1, steps))
			return false;
	}
	return !d.bad;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes input = { p, n };
	unsigned steps = 2 * DER_ITEMS_MAX;
	bool good = der_check(input, "it", NULL) == 0;
	bool read = walk(der_open(input), 0, &steps);

	assert(!good || (read && steps != 0));
	return 0;
}
