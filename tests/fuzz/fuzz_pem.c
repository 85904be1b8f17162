/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_pem.c - blocks that decode, encode to blocks that decode to the same */
#include <assert.h>

#include "core/pki/cert.h"

#define PARTS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes text = { p, n }, parts[PARTS_MAX], again[PARTS_MAX];
	AUTO_BUF out = { 0 }, pem = { 0 }, out_again = { 0 }, first = { 0 };
	size_t n_parts, n_again;
	struct err e = { 0 };

	if (pem_decode_all(&out, parts, &n_parts, PARTS_MAX, text, "CERTIFICATE", &e) != 0) {
		assert(out.n == 0 && e.msg[0] != 0);
		return 0;
	}
	for (size_t i = 0; i < n_parts; i++)
		pem_encode(&pem, parts[i], "CERTIFICATE");
	assert(pem_decode_all(&out_again, again, &n_again, PARTS_MAX, bytes_of_buf(&pem), "CERTIFICATE", &e) == 0);
	assert(n_again == n_parts);
	for (size_t i = 0; i < n_parts; i++)
		assert(bytes_equal(parts[i], again[i]));
	assert(pem_decode(&first, text, "CERTIFICATE", &e) == 0);
	assert(bytes_equal(bytes_of_buf(&first), parts[0]));
	return 0;
}
