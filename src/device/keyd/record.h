/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/record.h - what keyd knows of a key beside the key: its ID, what it may be used for, which generation it is */
#ifndef DEVICE_KEYD_RECORD_H
#define DEVICE_KEYD_RECORD_H

#include "core/base/bytes.h"
#include "core/pki/key.h"
#include "device/service/stem.h"

/* What a symmetric key may be used for. */
#define USAGE_DERIVE  1u
#define USAGE_SIGN    2u
#define USAGE_ENCRYPT 4u
#define USAGE_ALL     (USAGE_DERIVE | USAGE_SIGN | USAGE_ENCRYPT)

/* "derive,encrypt" and so on; false for an unknown word, or none. */
bool usage_parse(unsigned *out, const char *text);
void usage_print(struct buf *out, unsigned usage);

/* A key that had a generation: which one, and which key (custody_key_digest()). */
struct record_key {
	uint64_t generation;
	uint8_t digest[SHA256_LEN];
};

/*
 * One ID.  A key whose digest stands here has that generation; any other key is the next one after `last`.  So the
 * counter needs no write after a key has changed: only before, when the key that is going gets its number (record_note()).
 */
struct record {
	char id[ID_MAX];
	bool secret;            /* a symmetric key was made or imported here */
	unsigned usage;         /* of it; what an earlier service made, without a record, may all */
	uint64_t last;
	size_t n;
	struct record_key keys[2]; /* the one that was noted last comes first */
};

/* A record without history. */
void record_begin(struct record *r, const char *id);
/* Of the key that is there, and of one that was: 0 when that is not known. */
uint64_t record_generation(const struct record *r, const uint8_t digest[SHA256_LEN]);
uint64_t record_known(const struct record *r, const uint8_t digest[SHA256_LEN]);
/* Give the key that is there its number, and keep it and the one that was noted before it.  true when that changed anything. */
bool record_note(struct record *r, const uint8_t digest[SHA256_LEN]);

void record_encode(struct buf *out, const struct record *r);
/* E_FORMAT; *r is written on success alone. */
int record_decode(struct record *r, struct bytes text, struct err *e) MUST_CHECK;

#endif
