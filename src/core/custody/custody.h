/* SPDX-License-Identifier: Apache-2.0 */
/* custody/custody.h - who holds private and secret keys: back ends behind one table of functions, and keys in use */
#ifndef CORE_CUSTODY_CUSTODY_H
#define CORE_CUSTODY_CUSTODY_H

#include "core/base/bytes.h"
#include "core/pki/key.h"

#define CUSTODY_NAME_MAX   256                  /* octets of a key's name, NUL included */
#define CUSTODY_SECRET_MAX ((size_t)4096)       /* octets of a secret key */
#define CUSTODY_DATA_MAX   ((size_t)768 * 1024) /* octets of one message, plain text or cipher text */
#define CUSTODY_MAC_LEN    SHA256_LEN
#define CUSTODY_LIST_MAX   4096                 /* keys that are told in one list */

enum custody_kind { CUSTODY_PAIR, CUSTODY_SECRET };

/* A key is current, or the one that the current one replaced and that was not yet given up. */
enum custody_shelf { CUSTODY_CURRENT, CUSTODY_PREVIOUS };

/*
 * A key in use: what it can do depends on its kind and type; what it cannot is E_USAGE ('parameter "mechanism"'s case).
 * Input that does not fit the operation is E_USAGE too; a cipher text that does not open is E_AUTH; E_CRYPTO.
 */
struct custody_key;
void custody_key_free(struct custody_key *k);   /* wipes */
AUTO_DEFINE(custody_key, custody_key_free)
enum custody_kind custody_key_kind(const struct custody_key *k);
enum key_type custody_key_type(const struct custody_key *k);      /* KEY_NONE for a secret */
struct bytes custody_key_spki(const struct custody_key *k);       /* borrowed; empty for a secret */
/* Octets of a secret; 0 for a pair, and where it is not told. */
size_t custody_secret_len(const struct custody_key *k);
/* SHA-256 that tells one key from another without telling a secret: of the public key, or an HMAC by the secret. */
int custody_key_digest(uint8_t out[SHA256_LEN], const struct custody_key *k, struct err *e) MUST_CHECK;
/* EC pairs: a digest of 20 to 64 octets; appends a DER ECDSA-Sig-Value. */
int custody_sign_digest(struct buf *out, const struct custody_key *k, struct bytes digest, struct err *e) MUST_CHECK;
/* Ed25519 pairs: PureEdDSA over the message (RFC 8032). */
int custody_sign_message(struct buf *out, const struct custody_key *k, struct bytes message,
    struct err *e) MUST_CHECK;
/*
 * RSA pairs, the private operation: over in padded as RFC 8017 9.2 has it (type 1, in is a DigestInfo of at most modulus - 11
 * octets), or over in itself, as long as the modulus and below it.
 */
int custody_rsa_private(struct buf *out, const struct custody_key *k, bool pkcs1, struct bytes in,
    struct err *e) MUST_CHECK;
/* Secrets: HMAC-SHA256. */
int custody_hmac(uint8_t out[CUSTODY_MAC_LEN], const struct custody_key *k, struct bytes message,
    struct err *e) MUST_CHECK;
/*
 * Secrets of 32 octets: AES-256-GCM, as 0x02, cipher text, tag; iv of 1 to 128 octets.  open also takes 0x01, tag,
 * cipher text.
 */
int custody_seal(struct buf *out, const struct custody_key *k, struct bytes iv, struct bytes aad, struct bytes plain,
    struct err *e) MUST_CHECK;
int custody_open(struct buf *out, const struct custody_key *k, struct bytes iv, struct bytes aad, struct bytes cipher,
    struct err *e) MUST_CHECK;
/* The secret that HMAC-SHA256 makes of data: a key in memory alone. */
int custody_derive(struct custody_key **out, const struct custody_key *base, struct bytes data,
    struct err *e) MUST_CHECK;

/* How a stored key stands, for lists. */
struct custody_entry {
	char name[CUSTODY_NAME_MAX];
	enum custody_shelf shelf;
	bool quarantined;     /* was set aside as damaged; `name` is what it was called */
};

/*
 * A back end.  Names are the caller's, plain (letters, digits, '-', '.', '_'; no directory); what is acknowledged is
 * durable; at every instant a name has its old key or its new one.  All fail with E_IO or E_UNAVAIL when the back
 * end does not work.  E_NOTFOUND: no such key.  E_FORMAT: there is something, but it is no whole key (damaged).
 */
struct custody;
struct custody_ops {
	const char *name;   /* "files" */
	/* kind SECRET for a key pair's file, or PAIR for a secret's, is E_USAGE where that can be told. */
	int (*load)(struct custody_key **out, struct custody *c, enum custody_shelf shelf, const char *name,
	    enum custody_kind kind, struct err *e);
	/* Replace what is there: the caller has looked first. */
	int (*create_pair)(struct custody *c, const char *name, enum key_type type, struct err *e);
	int (*create_secret)(struct custody *c, const char *name, struct err *e);
	int (*import_secret)(struct custody *c, const char *name, struct bytes secret, struct err *e);
	/* None is success, and durable too. */
	int (*remove)(struct custody *c, enum custody_shelf shelf, const char *name, struct err *e);
	int (*move)(struct custody *c, const char *from, const char *to, struct err *e);  /* replaces `to` */
	/* Keep a copy of the current key as the previous one (replacing that), or make the previous one current again. */
	int (*keep)(struct custody *c, const char *name, struct err *e);
	int (*restore)(struct custody *c, const char *name, struct err *e);
	/* Set the damaged current key aside; where says what it is called now. */
	int (*quarantine)(struct custody *c, const char *name, int64_t now, char *where, size_t size, struct err *e);
	/* Is something of this name set aside, and what is it called?  E_NOTFOUND. */
	int (*quarantined)(struct custody *c, const char *name, char *where, size_t size, struct err *e);
	int (*forget)(struct custody *c, const char *name, struct err *e); /* delete what was set aside; none is E_NOTFOUND */
	/* Up to max entries; the number of them. */
	int (*list)(struct custody *c, struct custody_entry *out, size_t max, size_t *n, struct err *e);
	void (*free)(struct custody *c);
};

/* Back ends begin with this. */
struct custody {
	const struct custody_ops *ops;
};
void custody_free(struct custody *c);
AUTO_DEFINE(custody, custody_free)

/* What one back end does with a key; NULL: it cannot.  A back end's key begins with struct custody_key. */
struct custody_key_ops {
	int (*sign_digest)(struct buf *out, const struct custody_key *k, struct bytes digest, struct err *e);
	int (*sign_message)(struct buf *out, const struct custody_key *k, struct bytes message, struct err *e);
	int (*rsa_private)(struct buf *out, const struct custody_key *k, bool pkcs1, struct bytes in, struct err *e);
	int (*hmac)(uint8_t out[CUSTODY_MAC_LEN], const struct custody_key *k, struct bytes message, struct err *e);
	int (*seal)(struct buf *out, const struct custody_key *k, struct bytes iv, struct bytes aad, struct bytes plain,
	    struct err *e);
	int (*open)(struct buf *out, const struct custody_key *k, struct bytes iv, struct bytes aad, struct bytes cipher,
	    struct err *e);
	void (*free)(struct custody_key *k);
};
struct custody_key {
	const struct custody_key_ops *ops;
	enum custody_kind kind;
	enum key_type type;   /* KEY_NONE for a secret */
	struct bytes spki;    /* lives as long as the key; empty for a secret */
	size_t secret_n;
};

#endif
