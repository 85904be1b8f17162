/* SPDX-License-Identifier: Apache-2.0 */
/* custody/soft_key.h - keys in this process's memory, used by OpenSSL */
#ifndef CORE_CUSTODY_SOFT_KEY_H
#define CORE_CUSTODY_SOFT_KEY_H

#include "core/custody/custody.h"

/*
 * A pair from PEM (PKCS#8 or traditional, not encrypted) that has shown that its halves belong together: it signed, and
 * the signature verified.  E_FORMAT otherwise: a flipped bit in a file must not become another key.
 */
int soft_key_of_pem(struct custody_key **out, struct bytes pem, struct err *e) MUST_CHECK;
/*
 * From here on OpenSSL gives no memory back unwiped: it wipes its keys, but not all octets that it read them from.  false
 * when it was used in this process before, and so too late.
 */
bool soft_key_wipe_always(void);
/* The octets are copied. */
struct custody_key *soft_key_of_secret(struct bytes secret);
/* The octets of a secret, borrowed; empty for another back end's key or a pair. */
struct bytes soft_key_secret(const struct custody_key *k);

#endif
