/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_base64.c - what decodes, encodes to the same text without blanks */
#include <assert.h>
#include <string.h>

#include "core/codec/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	AUTO_BUF octets = { 0 };
	AUTO_BUF text = { 0 };
	AUTO_BUF solid = { 0 };
	struct err e = { 0 };

	if (base64_decode(&octets, (struct bytes){ p, n }, &e) != 0) {
		assert(octets.n == 0 && e.msg[0] != 0);
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		if (memchr(" \t\r\n", p[i], 4) == NULL)
			buf_put_u8(&solid, p[i]);
	base64_encode(&text, bytes_of_buf(&octets), 0);
	assert(bytes_equal(bytes_of_buf(&text), bytes_of_buf(&solid)));
	return 0;
}
