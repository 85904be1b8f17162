/* SPDX-License-Identifier: Apache-2.0 */
/* cli/est_keep.h - a key and its certificate on disk, so that no crash loses a pair that belongs together */
#ifndef CLI_EST_KEEP_H
#define CLI_EST_KEEP_H

#include "cli/target.h"
#include "core/pki/cert.h"
#include "core/pki/key.h"

#define EST_KEEP_PATH_MAX TARGET_PATH_MAX
#define EST_KEEP_FILE_MAX ((size_t)256 * 1024)

/*
 * Where things are kept.  A new key is written to "<key>.new" before the request leaves, and a retry uses
 * it again: the server knows a repeated request by its key.  When the answer has been judged,
 *
 *	1. the certificate replaces <cert>
 *	2. the key replaces <key>
 *	3. "<key>.new" goes
 *
 * each at once and durably.  A crash between 1 and 2 leaves the new certificate with its key in "<key>.new": the next
 * run sees that they belong together and does the rest.  When <cert> and <key> are one file there is
 * one replacement and never anything between.
 */
struct est_keep {
	char cert[EST_KEEP_PATH_MAX], key[EST_KEEP_PATH_MAX], key_new[EST_KEEP_PATH_MAX];
};

/* key NULL: "<cert>.key".  E_USAGE for names that are too long. */
int est_keep_init(struct est_keep *k, const char *cert, const char *key, struct err *e) MUST_CHECK;
/*
 * Can all of it be written, as target_check() says?  Before anybody is asked for a certificate, which may cost a one-time
 * code.  new_key: a key comes too; trust: what is written besides, or NULL.
 */
int est_keep_check(const struct est_keep *k, bool new_key, const char *trust, struct err *e) MUST_CHECK;
/* E_EXISTS when <key> is a private key that the new one must not replace; own, or NULL: whose replacement is meant. */
int est_keep_spare(const struct est_keep *k, const char *own, struct err *e) MUST_CHECK;
/* Finish what an earlier run had begun; *done tells whether there was anything. */
int est_keep_recover(const struct est_keep *k, bool *done, struct err *e) MUST_CHECK;
/* The key of "<key>.new" when it is of that type, else a new one, which is then there.  *reused tells which. */
int est_keep_new_key(struct key **out, bool *reused, const struct est_keep *k, enum key_type t, struct err *e) MUST_CHECK;
/*
 * Put the pair in its place.  key NULL: the key that is there stays (or there is none of ours).  out is standard output,
 * for a certificate that goes there.
 */
int est_keep_finish(
    const struct est_keep *k, struct bytes cert_pem, const struct key *key, FILE *out, struct err *e) MUST_CHECK;

#endif
