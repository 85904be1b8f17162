/* SPDX-License-Identifier: Apache-2.0 */
/* signer/service.h - the signer's answers: make a key, show one, sign what its limits allow */
#ifndef SERVER_SIGNER_SERVICE_H
#define SERVER_SIGNER_SERVICE_H

#include "core/sys/pipe.h"
#include "server/proto/proto.h"

#define SIGNER_TBS_MAX (PIPE_MAX - 1024) /* octets to be signed: the longest CRL, and room for its head */

struct signer;

/*
 * Take the keys directory into custody (see custody_open()); the loop is borrowed.
 * Keys that cannot be used are logged.
 */
int signer_new(struct signer **out, struct loop *l, const char *keys_dir, struct err *e) MUST_CHECK;
/* Serve the authority on this end of a pipe (owned from here on), in place of the one before. */
void signer_attach(struct signer *s, int fd);
void signer_free(struct signer *s);
AUTO_DEFINE(signer, signer_free)

/*
 * Sign, if the key's limits allow it: the signature is appended to sig.  A CRL's number is on
 * disk before its signature exists.  now is of clock_now(), now_ms of
 * clock_monotonic_ms().  E_NOTFOUND, E_FORMAT, E_POLICY (see limits.h), E_UNAVAIL (rate, or the key
 * is broken), E_IO, E_CRYPTO.
 */
int signer_sign(struct signer *s, const char *key_id, enum proto_what what, struct bytes tbs,
    int64_t now, uint64_t now_ms, struct buf *sig, struct err *e) MUST_CHECK;

#endif
