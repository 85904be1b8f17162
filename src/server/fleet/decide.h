/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/decide.h - who may come in: one total table of certificate x header x secret x rule; unknown means refused */
#ifndef SERVER_FLEET_DECIDE_H
#define SERVER_FLEET_DECIDE_H

#include "core/base/bytes.h"

/* What the store says about the client certificate. */
enum cert_factor {
	CERT_ABSENT, CERT_OWN /* ours, recorded, live */, CERT_ANCHOR /* under an outside anchor that serves this label */,
	CERT_ANCHOR_ELSEWHERE /* under one that serves other labels */, CERT_EXPIRED, CERT_NOT_YET, CERT_UNKNOWN_ISSUER,
	CERT_BAD_SIGNATURE, CERT_WRONG_PURPOSE, CERT_CHAIN, CERT_MALFORMED, CERT_REVOKED, CERT_NOT_RECORDED,
	CERT_SUPERSEDED /* beyond grace */, CERT_FACTOR_COUNT
};
/* ... about the Authorization field. */
enum header_factor {
	HEADER_ABSENT, HEADER_PASSWORD, HEADER_PASSWORD_USED /* good for a retry alone */, HEADER_CODE, HEADER_CODE_USED /* the same */,
	HEADER_WRONG, HEADER_EXPIRED, HEADER_ELSEWHERE /* right, but for another label */, HEADER_MALFORMED, HEADER_UNSUPPORTED, HEADER_THROTTLED, HEADER_FACTOR_COUNT
};
/* ... about the secret header. */
enum secret_factor {
	SECRET_ABSENT, SECRET_RIGHT, SECRET_USED /* good for a retry alone */, SECRET_WRONG, SECRET_EMPTY, SECRET_REPEATED, SECRET_EXPIRED, SECRET_ELSEWHERE, SECRET_FACTOR_COUNT
};

/* The ways in that a label takes (bits). */
enum way { WAY_OWN = 1, WAY_ANCHOR = 2, WAY_BASIC = 4, WAY_CODE = 8, WAY_SECRET = 16 };
#define WAY_CERT   (WAY_OWN | WAY_ANCHOR)
#define WAY_HEADER (WAY_BASIC | WAY_CODE)

struct rule {
	unsigned accept;   /* enum way bits; 0: nobody */
	bool all;          /* every class (certificate, header, secret) that is accepted must be there */
};

struct verdict {
	bool allow;
	unsigned ways;       /* the ways that count (bits), when allowed */
	unsigned status;     /* 401 or 403 (400 for a malformed header, 429 for a throttled one) */
	bool challenge;      /* send WWW-Authenticate */
	const char *reason;  /* code, static */
	const char *text;    /* for people, static */
};

/*
 * Total: every combination, also of values outside the enums, has an answer, and only these are let in:
 * any: at least one accepted way is right and nothing that was presented is refused outright;
 * all: every accepted class is right.  A wrong password is refused even beside a right certificate where the label
 * takes passwords; a certificate that has merely expired, is unknown or superseded is passed over when another way is right;
 * a revoked or unrecorded one of ours, or a broken one, is refused whatever else there is.
 * 401 (with its challenge) only where an Authorization that is not right already could help; at a label that takes
 * neither passwords nor codes an Authorization is not looked at, but a malformed one is refused everywhere.
 */
struct verdict decide(enum cert_factor cert, enum header_factor header, enum secret_factor secret, struct rule rule);
/* The ways that decide() let in, when the request is no retry: what was used as often as it may be vouches for nothing new. */
struct verdict decide_new(enum header_factor header, enum secret_factor secret, unsigned ways);
const char *decide_cert_name(enum cert_factor f);     /* "own", "expired", ... for traces and tests */
const char *decide_header_name(enum header_factor f);
const char *decide_secret_name(enum secret_factor f);

#endif
