/* SPDX-License-Identifier: Apache-2.0 */
/* provision/attest.c - which proof counts */
#include "server/provision/attest.h"

#define NO(reason, text) { ATTEST_REFUSED, reason, text }
#define BY(way) { way, "ok", "" }

/* One proof, right in itself: for which kind of enrolment is it a way in? */
static const struct attest by_cert[ATTEST_KIND_COUNT][ATTEST_CERT_COUNT] = {
	[ATTEST_GROUPS] = {
		[ATTEST_CERT_LIVE] = BY(ATTEST_BY_CHAIN),
		[ATTEST_CERT_STRANGER] = NO("certificate.unknown-issuer", "no CA that is known here issued the certificate"),
	},
	[ATTEST_X509] = {
		[ATTEST_CERT_LIVE] = BY(ATTEST_BY_THUMBPRINT),
		[ATTEST_CERT_STRANGER] = BY(ATTEST_BY_THUMBPRINT),
	},
	[ATTEST_SYMMETRIC] = {
		[ATTEST_CERT_LIVE] = NO("dps.other-attestation", "the enrolment is by symmetric key, a certificate was presented"),
		[ATTEST_CERT_STRANGER] = NO("dps.other-attestation", "the enrolment is by symmetric key, a certificate was presented"),
	},
	[ATTEST_TPM] = {
		[ATTEST_CERT_LIVE] = NO("dps.other-attestation", "the enrolment is by TPM, a certificate was presented"),
		[ATTEST_CERT_STRANGER] = NO("dps.other-attestation", "the enrolment is by TPM, a certificate was presented"),
	},
};

static const struct attest by_token[ATTEST_KIND_COUNT] = {
	[ATTEST_GROUPS] = BY(ATTEST_BY_GROUP_KEY),
	[ATTEST_X509] = NO("dps.other-attestation", "the enrolment is by certificate, a token was presented"),
	[ATTEST_SYMMETRIC] = BY(ATTEST_BY_KEY),
	[ATTEST_TPM] = BY(ATTEST_BY_TPM_KEY),
};

static const struct attest by_nothing[ATTEST_KIND_COUNT] = {
	[ATTEST_GROUPS] = NO("dps.no-proof", "neither a certificate nor a token was presented"),
	[ATTEST_X509] = NO("dps.no-proof", "the enrolment is by certificate, none was presented"),
	[ATTEST_SYMMETRIC] = NO("dps.no-proof", "the enrolment is by symmetric key, no token was presented"),
	[ATTEST_TPM] = BY(ATTEST_TPM_CHALLENGE),
};

static const struct attest refused = NO("dps.refused", "no rule lets this in");
static const struct attest bad_certificate = NO("dps.certificate", "the client certificate is not good");
static const struct attest bad_token = NO("dps.token-malformed",
    "the Authorization field is no shared access signature, or there are several");
static const struct attest two_proofs = NO("dps.two-proofs",
    "a certificate and a token were presented: one of them is the proof, not both");

struct attest
attest(enum attest_kind kind, enum attest_cert cert, enum attest_token token)
{
	const struct attest *a = &refused;

	if ((unsigned)kind >= ATTEST_KIND_COUNT || (unsigned)cert >= ATTEST_CERT_COUNT || (unsigned)token >= ATTEST_TOKEN_COUNT)
		return refused;
	if (cert == ATTEST_CERT_BAD)
		a = &bad_certificate;
	else if (token == ATTEST_TOKEN_BROKEN)
		a = &bad_token;
	else if (cert != ATTEST_CERT_NONE && token != ATTEST_TOKEN_NONE)
		a = &two_proofs;
	else if (cert != ATTEST_CERT_NONE)
		a = &by_cert[kind][cert];
	else if (token != ATTEST_TOKEN_NONE)
		a = &by_token[kind];
	else
		a = &by_nothing[kind];
	return a->reason != NULL ? *a : refused;
}

enum attest_token
attest_token(const struct ask_token *t)
{
	switch (t->state) {
	case ASK_SAS_NONE:
		return ATTEST_TOKEN_NONE;
	case ASK_SAS_GIVEN:
		return ATTEST_TOKEN_GIVEN;
	case ASK_SAS_MALFORMED:
	case ASK_SAS_REPEATED:
	case ASK_SAS_OTHER_SCHEME:
	case ASK_SAS_COUNT:
	default:
		return ATTEST_TOKEN_BROKEN;
	}
}

enum attest_cert
attest_cert(enum cert_factor f)
{
	switch (f) {
	case CERT_ABSENT:
		return ATTEST_CERT_NONE;
	case CERT_OWN:
	case CERT_ANCHOR:
		return ATTEST_CERT_LIVE;
	case CERT_UNKNOWN_ISSUER:
		return ATTEST_CERT_STRANGER;
	default:
		return ATTEST_CERT_BAD;
	}
}

const char *
attest_way_name(enum attest_way way)
{
	static const char *const names[ATTEST_WAY_COUNT] = {
		"refused", "chain", "thumbprint", "key", "group key", "TPM key", "TPM challenge",
	};

	return (unsigned)way < ATTEST_WAY_COUNT ? names[way] : names[ATTEST_REFUSED];
}
