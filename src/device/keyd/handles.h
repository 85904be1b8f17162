/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/handles.h - key handles: texts that name a key, made and judged by one secret */
#ifndef DEVICE_KEYD_HANDLES_H
#define DEVICE_KEYD_HANDLES_H

#include <sys/types.h>

#include "core/base/bytes.h"
#include "core/custody/custody.h"
#include "device/service/stem.h"

#define HANDLE_MAX      ((size_t)32 * 1024) /* octets of one, from whoever reaches the socket */
#define HANDLE_DATA_MAX ((size_t)4096)      /* octets of derivation data in one */

/*
 * The form is the original's: "sr=BASE64(JSON)&sig=BASE64(HMAC-SHA256(JSON))", JSON {"key_id": K, "nonce": "..."} with K
 * {"KeyPair": id}, {"Key": id} or {"Derived": [base handle, [octets]]}.  A bound handle has more members, under the same MAC:
 * "uid" who may use it, "gen" the generation of the key, "exp" until when (UTC seconds; absent: no end), "by" the
 * delegate who made it for that uid, and "inner": true on a base inside a derived handle, which cannot be used alone.
 */
enum handle_kind { HANDLE_PAIR, HANDLE_KEY, HANDLE_DERIVED };

/* What a handle says; of a derived one, `id`, `generation` are its base's. */
struct handle {
	enum handle_kind kind;
	char id[ID_MAX];
	struct buf data;      /* a derived key's */
	bool bound;           /* it has uid and gen */
	uid_t uid;
	uint64_t generation;
	int64_t expires;      /* INT64_MAX: never; 0 in one that is to be made: not limited by another handle */
	bool delegated;
	uid_t by;
};
void handle_clear(struct handle *h);

/* How handles are made and what is taken. */
struct handle_rules {
	const struct custody_key *secret;  /* the handle key, borrowed */
	bool bind;                         /* only bound ones are taken, and all that are made are bound */
	int64_t lifetime_s;                /* of those made; 0: no end */
};

/*
 * Append a handle that says what h says, but that h->bound is made to be rules->bind, and that it expires when the
 * lifetime is over, or at h->expires when that is earlier.
 */
int handle_mint(struct buf *out, const struct handle_rules *rules, const struct handle *h, int64_t now,
    struct err *e) MUST_CHECK;
/*
 * Judge a text, before anything in it is parsed: the MAC in constant time, then the form.  Whose it is stays to be asked:
 * handle_check_uid().  E_FORMAT: no handle of ours, expired, or not bound where that is needed (said so).
 */
int handle_open(struct handle *out, const struct handle_rules *rules, const char *text, int64_t now,
    struct err *e) MUST_CHECK;
/* May uid use it?  Root may, the bound user may, and anybody when it is not bound.  E_AUTH. */
int handle_check_uid(const struct handle *h, uid_t uid, struct err *e) MUST_CHECK;

#endif
