/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_est_request.c - path, Authorization, Content-Type and body of a request; what is taken must be sound */
#include <assert.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/est/est.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	AUTO_BUF der = { 0 };
	char user[EST_USER_MAX], password[EST_USER_MAX];
	struct est_target t = { .op = EST_NONE };
	const char *note;
	char *text = mem_dup(p, n);

	if (est_route(&t, text, NULL) == 0) {
		assert(t.op > EST_NONE && t.op < EST_OP_COUNT && !est_is_op_name(t.label));
		assert(t.base[0] == 0 || (t.label[0] == 0 && est_base_check(t.base, NULL) == 0));
	}
	if (est_auth_parse(text, 1, user, password) != EST_AUTH_BASIC)
		assert(user[0] == 0 && password[0] == 0);
	(void)!est_request_type(text, &note, NULL);
	if (est_request_der(&der, (struct bytes){ p, n }, &note, NULL) == 0)
		assert(der.n <= CSR_MAX && note != NULL);
	else
		assert(der.n == 0);
	mem_free(text);
	return 0;
}
