/* SPDX-License-Identifier: Apache-2.0 */
/* provider/held.h - a key pair that the Keys Service holds; safe for several threads */
#ifndef DEVICE_PROVIDER_HELD_H
#define DEVICE_PROVIDER_HELD_H

#include "device/provider/uri.h"

struct held;

enum held_op {
	HELD_ECDSA,      /* of a digest; a DER ECDSA-Sig-Value */
	HELD_EDDSA,      /* of a message */
	HELD_RSA_PKCS1,  /* type 1 padding of octets, and the private operation */
	HELD_RSA_RAW,    /* the private operation on as many octets as the modulus has */
};

/*
 * Load it; socket is used when the URI names none.  Free with held_free().
 * Errors as keyd_load_pair() and keyd_public().
 */
int held_open(struct held **out, const struct uri *u, const char *socket, struct err *e) MUST_CHECK;
struct held *held_ref(struct held *h);
void held_free(struct held *h);
/* The SubjectPublicKeyInfo as the service gave it (not judged; an EC point may be compressed). */
struct bytes held_public(const struct held *h);
/*
 * A private operation; the result is appended.  Handles end: when one is refused and the pair has an ID, it is
 * loaded again, once, and used if it is still the same pair.  E_POLICY when it is another by now; else as client.h.
 */
int held_do(struct buf *out, struct held *h, enum held_op op, struct bytes in, struct err *e) MUST_CHECK;

#endif
