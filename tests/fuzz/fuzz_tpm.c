/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_tpm.c - public keys of TPMs, as anybody may send them; one that is taken can be wrapped for */
#include <assert.h>

#include "server/provision/tpm.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const uint8_t secret[TPM_SECRET_MIN];
	struct bytes in = { p, n };
	AUTO_BUF blob = { 0 };
	struct tpm_ek ek;
	struct tpm_srk srk;
	bool is_ek = tpm_ek_read(&ek, in, NULL) == 0, is_srk = tpm_srk_read(&srk, in, NULL) == 0;

	assert(!is_ek || !is_srk);
	if (!is_ek && !is_srk)
		return 0;
	if (is_ek)
		srk.key = ek.key;
	else
		ek.key = srk.key;
	assert(tpm_wrap(&blob, &ek, &srk, (struct bytes){ secret, sizeof(secret) }, NULL) == 0);
	assert(blob.n <= TPM_BLOB_MAX);
	return 0;
}
