/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_csr.c - a request that passes is well within every limit that its readers trust */
#include <assert.h>
#include <string.h>

#include "core/pki/csr.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct csr c;
	struct err e = { 0 };
	char text[NAME_TEXT_MAX];
	int r = csr_parse(&c, (struct bytes){ p, n }, &e);

	if (r != 0) {
		assert(e.code == (enum err_code)r && e.msg[0] != 0);
		return 0;
	}
	assert(n <= CSR_MAX && c.key_type != KEY_NONE && c.spki.n <= KEY_SPKI_MAX);
	assert(c.spki.p > p && c.spki.p + c.spki.n < p + n);
	assert(c.subject.n <= NAME_AVA_MAX && c.sans.n <= SAN_MAX && c.n_eku <= CSR_EKU_MAX);
	assert(c.has_san == (c.sans.n != 0) && c.has_challenge == (c.challenge[0] != 0));
	assert(memchr(c.challenge, 0, sizeof(c.challenge)) != NULL);
	assert(strlen(name_text(&c.subject, text)) < sizeof(text));
	assert(strlen(sans_text(&c.sans, text)) < sizeof(text));
	return 0;
}
