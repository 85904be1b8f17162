/* SPDX-License-Identifier: Apache-2.0 */
/* tests: a super-config read, and what was told on the way */
#ifndef TESTS_CONFIG_KIT_H
#define TESTS_CONFIG_KIT_H

#include "tests/unit/device/service/scratch.h"

#include "device/config/super.h"

/* Lines that were told; faults begin with "! ", oddities with "? ". */
static struct buf kit_told;

static inline void
kit_tell(void *ctx, bool error, const char *text)
{
	(void)ctx;
	buf_printf(&kit_told, "%s %s\n", error ? "!" : "?", text);
}

static inline struct super_options
kit_options(bool edge)
{
	buf_reset(&kit_told);
	return (struct super_options){
		.prefix = "", .hostname = "my-device", .uids = { 5554, 5555, 5556, 5557, 5558 },
		    .edge = edge, .tell = kit_tell,
	};
}

#endif
