/* SPDX-License-Identifier: Apache-2.0 */
/* signer/custody.h - the directory of CA keys: made, kept in memory, never changed; dropped only before they are in use */
#ifndef SERVER_SIGNER_CUSTODY_H
#define SERVER_SIGNER_CUSTODY_H

#include "core/pki/key.h"
#include "server/proto/proto.h"
#include "server/signer/limits.h"

#define CUSTODY_KEYS_MAX ((size_t)1000) /* keys in one directory */

/*
 * The directory holds, for each key, ID.pem (PKCS#8, mode 0600), ID.limits (see
 * limits.h) and, once it has signed a CRL, ID.crl (the last CRL's number).  The two
 * first belong together: a key whose files do not agree is kept as broken and signs nothing.
 */
struct custody_key {
	char id[PROTO_NAME_MAX];
	struct key *key;             /* NULL: broken, and `broken` says why */
	struct err broken;
	struct limits limits;
	struct limits_bucket bucket;
	uint64_t crl_number;         /* of the last CRL signed; 0: none */
	bool made_here;              /* since custody_open() */
	uint64_t n_signed;           /* times that it has signed since then */
};

struct custody;
/* Read the directory and hold its lock until custody_free().  E_EXISTS: held by another; E_IO; E_TOOBIG. */
int custody_open(struct custody **out, const char *dir, struct err *e) MUST_CHECK;
void custody_free(struct custody *c);
AUTO_DEFINE(custody, custody_free)

/* Every key, broken ones too; borrowed, as all keys below, until custody_free() or its custody_drop(). */
size_t custody_count(const struct custody *c);
const struct custody_key *custody_at(const struct custody *c, size_t i);
/* A whole key.  E_NOTFOUND; E_UNAVAIL with the reason when it is broken. */
int custody_find(struct custody_key **out, const struct custody *c, const char *id,
    struct err *e) MUST_CHECK;

/*
 * Make a key and keep it: on return it is on disk.  E_EXISTS when there is any file of that
 * id, whatever it holds; E_FORMAT, E_TOOBIG, E_IO, E_CRYPTO.
 */
int custody_make(struct custody_key **out, struct custody *c, const struct proto_keygen *want,
    struct err *e) MUST_CHECK;
/*
 * Remove a key of which no CA came, files and all.  E_POLICY when one may have: it was there at custody_open(), or has
 * signed more than its own certificate.  Whoever speaks for the authority must not be able to destroy a CA.  E_IO.
 */
int custody_drop(struct custody *c, struct custody_key *k, struct err *e) MUST_CHECK;
/* Remember on disk that k signs the CRL of that number.  E_IO: then it must not. */
int custody_remember_crl(const struct custody *c, struct custody_key *k, uint64_t number,
    struct err *e) MUST_CHECK;

#endif
