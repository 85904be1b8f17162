/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_cms.c - the certificates of a bag, put into one of ours, are found there again */
#include <assert.h>

#include "core/pki/cert.h"

#define CERTS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static bool
is_among(struct bytes cert, const struct bytes *certs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes_equal(cert, certs[i]))
			return true;
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes found[CERTS_MAX], again[CERTS_MAX];
	AUTO_BUF der = { 0 }, twice = { 0 };
	size_t n_found, n_again;
	struct err e = { 0 };

	if (cms_parse_certs(found, &n_found, CERTS_MAX, (struct bytes){ p, n }, &e) != 0) {
		assert(e.msg[0] != 0);
		return 0;
	}
	cms_certs_only(&der, found, n_found);
	assert(cms_parse_certs(again, &n_again, CERTS_MAX, bytes_of_buf(&der), &e) == 0);
	assert(n_again <= n_found);
	for (size_t i = 0; i < n_found; i++)
		assert(is_among(found[i], again, n_again));
	cms_certs_only(&twice, again, n_again);
	assert(bytes_equal(bytes_of_buf(&der), bytes_of_buf(&twice)));
	return 0;
}
