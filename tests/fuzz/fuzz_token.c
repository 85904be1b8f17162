/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_token.c - any Authorization field is a shared access signature whose parts are clean text, or leaves nothing */
#include <assert.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "server/proto/ask.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const struct ask_token none;
	char *header = mem_dup(p, n);
	struct ask_token t;

	ask_token_parse(&t, header, 1);
	assert(t.state != ASK_SAS_NONE && t.state < ASK_SAS_COUNT);
	if (t.state == ASK_SAS_GIVEN) {
		assert(t.sr[0] != 0 && t.resource[0] != 0 && t.expires >= 0 && strstr(header, t.sr) != NULL);
		assert(text_valid_utf8(bytes_of(t.sr)) && text_valid_utf8(bytes_of(t.resource)) && text_valid_utf8(bytes_of(t.skn)));
	} else {
		t.state = ASK_SAS_NONE;
		assert(memcmp(&t, &none, sizeof(t)) == 0);
	}
	mem_free(header);
	return 0;
}
