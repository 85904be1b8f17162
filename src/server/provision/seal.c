/* SPDX-License-Identifier: Apache-2.0 */
/* provision/seal.c - secrets at rest, and keys made from keys */
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/pki/cipher.h"
#include "server/provision/ids.h"
#include "server/provision/provision.h"

#define SEAL_VERSION 1 /* first octet of what is sealed: another way of sealing will be another one */

const char *
provision_what_enrolment(char out[PROVISION_WHAT_MAX], bool individual, const char *name, size_t i)
{
	(void)snprintf(out, PROVISION_WHAT_MAX, "%s/%s/key/%zu", individual ? "enrolment" : "group", name, i);
	return out;
}

const char *
provision_what_registration(char out[PROVISION_WHAT_MAX], const char *registration)
{
	(void)snprintf(out, PROVISION_WHAT_MAX, "registration/%s/key", registration);
	return out;
}

const char *
provision_what_module(char out[PROVISION_WHAT_MAX], const char *device, const char *module, size_t i)
{
	(void)snprintf(out, PROVISION_WHAT_MAX, "module/%s/%s/key/%zu", device, module, i);
	return out;
}

void
provision_seal(struct buf *out, const struct fleet *f, const char *what, struct bytes secret)
{
	uint8_t key[CIPHER_SEAL_KEY_LEN];

	secret_key(f->secret, "provision", key);
	buf_put_u8(out, SEAL_VERSION);
	cipher_seal(out, key, bytes_of(what), secret);
	mem_wipe(key, sizeof(key));
}

int
provision_open(struct buf *out, const struct fleet *f, const char *what, struct bytes sealed, struct err *e)
{
	uint8_t key[CIPHER_SEAL_KEY_LEN];
	int rc;

	if (sealed.n == 0 || sealed.p[0] != SEAL_VERSION)
		return err_set(e, E_CRYPTO, "%s: the store has no secret that this program knows to open", what);
	secret_key(f->secret, "provision", key);
	rc = cipher_open(out, key, bytes_of(what), bytes_slice(sealed, 1, sealed.n - 1), e);
	mem_wipe(key, sizeof(key));
	return rc == 0 ? 0 : err_prefix(e, E_CRYPTO, "%s", what);
}

void
provision_derive(uint8_t out[SHA256_LEN], struct bytes group_key, const char *registration)
{
	char lower[PROVISION_ID_MAX];

	ids_lower(lower, registration);
	hmac_sha256(out, group_key, bytes_of(lower));
}
