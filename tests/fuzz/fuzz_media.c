/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_media.c - any header field is or is not a type */
#include <assert.h>
#include <string.h>
#include <strings.h>

#include "core/base/mem.h"
#include "core/codec/media.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *field = mem_dup(p, n);

	if (media_is(field, "multipart/mixed"))
		assert(strncasecmp(field + strspn(field, " \t"), "multipart/mixed", 15) == 0);
	mem_free(field);
	return 0;
}
