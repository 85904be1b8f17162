/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/secret.h - passwords, codes and secret values: how they are kept, and whether one is right */
#ifndef SERVER_FLEET_SECRET_H
#define SERVER_FLEET_SECRET_H

#include "server/fleet/decide.h"
#include "server/store/credential_row.h"

#define SECRET_TEXT_MAX 40 /* a made code, password or token, NUL included */

/*
 * The keys: one in a file beside the store, under which codes, secret values and tokens are kept as
 * HMAC-SHA-256; one of this process alone, under which verified passwords are remembered.
 */
struct secret;
/* key: 32 octets, copied. */
struct secret *secret_new(const uint8_t key[32]);
void secret_free(struct secret *s);

/* A new random code such as "k7wq-3nfm-9rxd-2hvp-c6ta" (100 bits, no look-alikes). */
void secret_make(char out[SECRET_TEXT_MAX]);
/* The keyed hash in hex that the store keeps; `kind` separates codes from secret values and tokens. */
void secret_hash(const struct secret *s, const char *kind, const char *value, char out[65]);
/* A key for one other use, made from the store's; to be wiped. */
void secret_key(const struct secret *s, const char *use, uint8_t out[32]);
/* yescrypt of a password, as crypt(3) has it.  E_CRYPTO. */
int secret_crypt(char out[192], const char *password, struct err *e) MUST_CHECK;

/*
 * Judge the user and password of a Basic field for a label: a code first (its text is the password), then a password.
 * *cred is set when one was found.  Wrong tries cost the address; over SECRET_TRIES a minute (or more than
 * SECRET_CRYPTS a second in all) the answer is HEADER_THROTTLED without any work.  An unknown user costs
 * as much as a wrong password.  E_UNAVAIL when the store fails.
 */
#define SECRET_TRIES  60
#define SECRET_CRYPTS 20
int secret_judge_basic(struct secret *s, struct db *d, const char *label, const char *user, const char *password,
    const char *address, int64_t now, enum header_factor *out, struct credential_row *cred, struct err *e) MUST_CHECK;
/* The same for a secret header's value; throttled tries are SECRET_WRONG. */
int secret_judge_value(struct secret *s, struct db *d, const char *label, const char *value, const char *address,
    int64_t now, enum secret_factor *out, struct credential_row *cred, struct err *e) MUST_CHECK;
/* For what is judged elsewhere: has the address had its SECRET_TRIES of this minute?  And one more wrong try of it. */
bool secret_exhausted(struct secret *s, const char *address, int64_t now);
void secret_wrong(struct secret *s, const char *address, int64_t now);

#endif
