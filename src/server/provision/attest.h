/* SPDX-License-Identifier: Apache-2.0 */
/* provision/attest.h - which proof counts: one total table of enrolment x certificate x token; unknown means refused */
#ifndef SERVER_PROVISION_ATTEST_H
#define SERVER_PROVISION_ATTEST_H

#include "server/fleet/decide.h"
#include "server/proto/ask.h"

/* What speaks for the registration. */
enum attest_kind {
	ATTEST_GROUPS,         /* no individual enrolment: any group may */
	ATTEST_X509, ATTEST_SYMMETRIC, ATTEST_TPM, /* an individual one, enabled or not */
	ATTEST_KIND_COUNT
};
/* What was presented as certificate. */
enum attest_cert {
	ATTEST_CERT_NONE,
	ATTEST_CERT_LIVE,      /* under an anchor; when it is ours: recorded, not revoked, not superseded beyond its grace */
	ATTEST_CERT_STRANGER,  /* nothing wrong with it but that nobody here knows its issuer */
	ATTEST_CERT_BAD,       /* all else */
	ATTEST_CERT_COUNT
};
enum attest_token { ATTEST_TOKEN_NONE, ATTEST_TOKEN_GIVEN, ATTEST_TOKEN_BROKEN, ATTEST_TOKEN_COUNT };

enum attest_way {
	ATTEST_REFUSED,        /* zero: what nobody allowed */
	ATTEST_BY_CHAIN,       /* a CA that a group names issued the certificate */
	ATTEST_BY_THUMBPRINT,  /* the enrolment names the certificate */
	ATTEST_BY_KEY,         /* the token is signed with the enrolment's key */
	ATTEST_BY_GROUP_KEY,   /* ... with the key that a group's key gives this registration */
	ATTEST_BY_TPM_KEY,     /* ... with the key that only its TPM could open */
	ATTEST_TPM_CHALLENGE,  /* nothing was proved: give the TPM a key to prove itself with */
	ATTEST_WAY_COUNT
};

struct attest {
	enum attest_way way;
	const char *reason, *text; /* of a refusal, static */
};

/*
 * Total: every combination, also of values outside the enums, has an answer.  One proof is taken, and it alone: a
 * certificate and a token at once are refused, since the two could speak for two; and so is a proof that is not
 * right in itself, whatever is beside it.
 */
struct attest attest(enum attest_kind kind, enum attest_cert cert, enum attest_token token);
/* What a header is to the table. */
enum attest_token attest_token(const struct ask_token *t);
/* What a certificate is to the table, by what was found out about it. */
enum attest_cert attest_cert(enum cert_factor f);
const char *attest_way_name(enum attest_way way);

#endif
