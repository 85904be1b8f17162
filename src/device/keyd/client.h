/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/client.h - asking the Keys Service, blocking: for the provider and for certd's worker */
#ifndef DEVICE_KEYD_CLIENT_H
#define DEVICE_KEYD_CLIENT_H

#include <sys/types.h>

#include "core/base/bytes.h"

#define KEYD_DEADLINE_MS 10000

/* A handle in a local that its scope wipes: it is as good as the key. */
struct keyd_handle {
	char *text;
};
void keyd_handle_free(struct keyd_handle *h);
#define AUTO_KEYD_HANDLE __attribute__((cleanup(keyd_handle_free))) struct keyd_handle

/* Which service; by value, borrows its text. */
struct keyd {
	const char *socket;
};

/*
 * Handles are texts that the caller frees with mem_free().  E_NOTFOUND: no such key; E_AUTH: not authorised, or the
 * handle is refused; E_UNAVAIL; E_FORMAT; E_POLICY: refused, with the service's words.
 */
int keyd_load_pair(char **handle, struct keyd k, const char *id, struct err *e) MUST_CHECK;
/* Create unless it exists; algorithms "ec-p256:rsa-2048:*" or NULL. */
int keyd_create_pair(char **handle, struct keyd k, const char *id, const char *algorithms, struct err *e) MUST_CHECK;
int keyd_delete_pair(struct keyd k, const char *handle, struct err *e) MUST_CHECK;
/* Append the SubjectPublicKeyInfo; of an original keyd it is put together, with a compressed EC point. */
int keyd_public(struct buf *spki, struct keyd k, const char *handle, struct err *e) MUST_CHECK;
/* ECDSA over a digest: appends a DER ECDSA-Sig-Value. */
int keyd_sign_ecdsa(struct buf *sig, struct keyd k, const char *handle, struct bytes digest, struct err *e) MUST_CHECK;
/* Ed25519 over the message. */
int keyd_sign_eddsa(struct buf *sig, struct keyd k, const char *handle, struct bytes message, struct err *e) MUST_CHECK;
/* RSA with the private key: PKCS#1 type 1 padding of in (a DigestInfo), or none (in as long as the modulus). */
int keyd_rsa_private(struct buf *out, struct keyd k, const char *handle, bool pkcs1, struct bytes in, struct err *e) MUST_CHECK;

/* The pair `from` becomes `to`, whose key is lost: for services that have no generations. */
int keyd_move_pair(struct keyd k, const char *to, const char *from, struct err *e) MUST_CHECK;

/* Symmetric keys, as pairs are loaded and created; usage "derive,sign". */
int keyd_load_key(char **handle, struct keyd k, const char *id, struct err *e) MUST_CHECK;
int keyd_create_key(char **handle, struct keyd k, const char *id, const char *usage, struct err *e) MUST_CHECK;
int keyd_derive(char **handle, struct keyd k, const char *base, struct bytes data, struct err *e) MUST_CHECK;
/* Append the octets of a derived key; they are secret. */
int keyd_export_derived(struct buf *key, struct keyd k, const char *handle, struct err *e) MUST_CHECK;
/* HMAC-SHA256, 32 octets, appended. */
int keyd_sign_hmac(struct buf *sig, struct keyd k, const char *handle, struct bytes message, struct err *e) MUST_CHECK;

/* Does a refusal of what is Estuary's own mean that the service is an original one, which does not know it? */
bool keyd_is_original(const struct err *why);
/*
 * A handle for user uid out of one of ours (Estuary's own).  E_NOTFOUND: the service does not know such a thing;
 * E_AUTH: we may not (`delegate = true` in our principal).
 */
int keyd_share(char **theirs, struct keyd k, const char *handle, uid_t uid, struct err *e) MUST_CHECK;
/*
 * A handle for ourselves out of one that user `holder` gave us: it is of use only if it was the holder's (Estuary's own).
 * E_NOTFOUND: the service does not know such a thing; E_AUTH: not the holder's, or we may not (`delegate = true` in our principal).
 */
int keyd_delegate(char **own, struct keyd k, const char *handle, uid_t holder, struct err *e) MUST_CHECK;

/*
 * Generations (Estuary's own; version 2026-11-01).  switch: the pair `from` becomes `id`, and what was `id` is kept as its
 * previous generation; done already (no `from`, and id's key is spki) is success.  prove: the previous generation goes.
 * rollback: the previous generation is `id` again, the refused one is deleted; E_NOTFOUND without a previous one.
 */
int keyd_switch(struct keyd k, const char *id, const char *from, struct bytes spki, struct err *e) MUST_CHECK;
int keyd_prove(struct keyd k, const char *id, struct err *e) MUST_CHECK;
int keyd_rollback(struct keyd k, const char *id, struct err *e) MUST_CHECK;

#endif
