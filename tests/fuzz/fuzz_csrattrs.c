/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_csrattrs.c - CSR attributes of a server: read, and shown to people */
#include <assert.h>

#include "core/est/est.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes der = { p, n };
	struct est_attrs attrs;
	AUTO_BUF text = { 0 };
	size_t lines = 0;

	if (est_attrs_parse(&attrs, der, NULL) != 0)
		return 0;
	assert(est_attrs_text(&text, der, NULL) == 0);
	for (size_t i = 0; i < text.n; i++)
		lines += text.p[i] == '\n';
	assert(lines == attrs.n);
	return 0;
}
