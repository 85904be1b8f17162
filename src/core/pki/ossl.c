/* SPDX-License-Identifier: Apache-2.0 */
/* pki/ossl.c - OpenSSL's error queue in our errors */
#include "core/pki/ossl.h"

#include <openssl/err.h>

int
err_ossl(struct err *e, enum err_code code, const char *what)
{
	unsigned long n = ERR_peek_last_error();
	const char *why = n != 0 ? ERR_reason_error_string(n) : NULL;

	ERR_clear_error();
	if (why == NULL)
		return err_set(e, code, "%s", what);
	return err_set(e, code, "%s: %s", what, why);
}
