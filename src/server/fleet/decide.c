/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/decide.c - the table of who may come in */
#include "server/fleet/decide.h"

/* What one factor means by itself.  REFUSE is zero, so a row that nobody wrote refuses. */
enum effect { REFUSE, NOTHING, PASS_OVER, COUNTS };

struct row {
	const char *name;
	enum effect effect;
	unsigned way;        /* COUNTS: which way it is */
	unsigned status;     /* of its refusal; 0: 401 where a header could help, else 403 */
	const char *reason, *text;
};

static const unsigned classes[3] = { WAY_CERT, WAY_HEADER, WAY_SECRET };

/* An Authorization field at a label that looks at none: neither right nor wrong there. */
static const struct row not_looked_at = { "", PASS_OVER, 0, 0, "auth.not-taken", "this label takes no passwords and no codes" };
static const struct row unknown = { "unknown", REFUSE, 0, 403, "auth.unknown", "a state that no rule knows" };

static const struct row certs[CERT_FACTOR_COUNT] = {
	[CERT_ABSENT] = { "none", NOTHING, 0, 0, "auth.missing", "no client certificate" },
	[CERT_OWN] = { "own", COUNTS, WAY_OWN, 0, "certificate.not-taken", "this label takes no certificates of ours" },
	[CERT_ANCHOR] = { "anchor", COUNTS, WAY_ANCHOR, 0, "certificate.not-taken", "this label takes no outside certificates" },
	[CERT_ANCHOR_ELSEWHERE] = { "anchor-elsewhere", PASS_OVER, 0, 0, "certificate.other-label", "its anchor serves other labels" },
	[CERT_EXPIRED] = { "expired", PASS_OVER, 0, 0, "certificate.expired", "the client certificate has expired" },
	[CERT_NOT_YET] = { "not-yet", PASS_OVER, 0, 0, "certificate.not-yet-valid", "the client certificate is not valid yet" },
	[CERT_UNKNOWN_ISSUER] = { "unknown-issuer", PASS_OVER, 0, 0, "certificate.unknown-issuer", "no anchor for the client certificate" },
	[CERT_SUPERSEDED] = { "superseded", PASS_OVER, 0, 0, "certificate.superseded", "the client certificate was renewed, and its grace is over" },
	[CERT_BAD_SIGNATURE] = { "bad-signature", REFUSE, 0, 403, "certificate.bad-signature", "the client certificate's signature is wrong" },
	[CERT_WRONG_PURPOSE] = { "wrong-purpose", REFUSE, 0, 403, "certificate.wrong-purpose", "the client certificate is not one for TLS clients" },
	[CERT_CHAIN] = { "chain", REFUSE, 0, 403, "certificate.chain", "the client certificate's path breaks a constraint" },
	[CERT_MALFORMED] = { "malformed", REFUSE, 0, 403, "certificate.malformed", "the client certificate cannot be read" },
	[CERT_REVOKED] = { "revoked", REFUSE, 0, 403, "certificate.revoked", "the client certificate is revoked" },
	[CERT_NOT_RECORDED] = { "not-recorded", REFUSE, 0, 403, "certificate.not-recorded", "our CA signed the client certificate, but the store does not know it" },
};

static const struct row headers[HEADER_FACTOR_COUNT] = {
	[HEADER_ABSENT] = { "none", NOTHING, 0, 0, "auth.missing", "no credential was presented" },
	[HEADER_PASSWORD] = { "password", COUNTS, WAY_BASIC, 0, "auth.not-taken", "this label takes no passwords" },
	[HEADER_PASSWORD_USED] = { "password-used", COUNTS, WAY_BASIC, 401, "auth.used", "the password was used as often as it may be" },
	[HEADER_CODE] = { "code", COUNTS, WAY_CODE, 0, "auth.not-taken", "this label takes no one-time codes" },
	[HEADER_CODE_USED] = { "code-used", COUNTS, WAY_CODE, 401, "code.used", "the one-time code was used already" },
	[HEADER_WRONG] = { "wrong", REFUSE, 0, 401, "auth.wrong", "user, password or code is not right" },
	[HEADER_EXPIRED] = { "expired", REFUSE, 0, 401, "auth.expired", "the credential has expired or is disabled" },
	[HEADER_ELSEWHERE] = { "elsewhere", REFUSE, 0, 401, "auth.other-label", "the credential is for another label" },
	[HEADER_MALFORMED] = { "malformed", REFUSE, 0, 400, "auth.malformed", "the Authorization field cannot be read" },
	[HEADER_UNSUPPORTED] = { "unsupported", REFUSE, 0, 401, "auth.unsupported", "the Authorization scheme is not Basic" },
	[HEADER_THROTTLED] = { "throttled", REFUSE, 0, 429, "auth.throttled", "too many wrong credentials from this address" },
};

static const struct row secrets[SECRET_FACTOR_COUNT] = {
	[SECRET_ABSENT] = { "none", NOTHING, 0, 0, "auth.missing", "the secret header is missing" },
	[SECRET_RIGHT] = { "right", COUNTS, WAY_SECRET, 0, "secret.not-taken", "this label takes no secret header" },
	[SECRET_USED] = { "used", COUNTS, WAY_SECRET, 403, "secret.used", "the secret value was used as often as it may be" },
	[SECRET_WRONG] = { "wrong", REFUSE, 0, 403, "secret.wrong", "the secret header's value is not right" },
	[SECRET_EMPTY] = { "empty", REFUSE, 0, 403, "secret.empty", "the secret header is empty" },
	[SECRET_REPEATED] = { "repeated", REFUSE, 0, 400, "secret.repeated", "the secret header was sent more than once" },
	[SECRET_EXPIRED] = { "expired", REFUSE, 0, 403, "secret.expired", "the secret value has expired or is disabled" },
	[SECRET_ELSEWHERE] = { "elsewhere", REFUSE, 0, 403, "secret.other-label", "the secret value is for another label" },
};

static const struct row *
row_of(const struct row *table, unsigned n, unsigned i)
{
	return i < n && table[i].name != NULL ? &table[i] : &unknown;
}

/* A factor in the light of a label that takes the ways in `accept`; `class` are the ways of its kind. */
static struct row
effective(const struct row *r, unsigned accept, unsigned class)
{
	struct row out = *r;

	/* What a label does not look at cannot be wrong there, but a malformed field stays refused. */
	if (class == WAY_HEADER && (accept & class) == 0 && r->effect != NOTHING && r != &unknown && r->status != 400)
		return not_looked_at;
	if (r->effect == COUNTS && (accept & r->way) == 0)
		out.effect = PASS_OVER;
	return out;
}

/* ways: those that are right already; where Authorization is one of them, 401 would ask for what was given. */
static struct verdict
refused(const struct row *r, unsigned accept, unsigned ways)
{
	unsigned status = r->status;

	if (status == 0)
		status = (accept & WAY_HEADER) != 0 && (ways & WAY_HEADER) == 0 ? 401 : 403;
	return (struct verdict){ .status = status, .challenge = status == 401, .reason = r->reason, .text = r->text };
}

/* Why nothing sufficed: rather what was presented and passed over than what is only missing. */
static const struct row *
shortfall(const struct row f[3], unsigned accept)
{
	for (size_t i = 0; i < N_OF(classes); i++)
		if (f[i].effect == PASS_OVER)
			return &f[i];
	for (size_t i = 0; i < N_OF(classes); i++)
		if ((accept & classes[i]) != 0)
			return &f[i];
	return &unknown;
}

struct verdict
decide(enum cert_factor cert, enum header_factor header, enum secret_factor secret, struct rule rule)
{
	struct row f[3] = {
		effective(row_of(certs, CERT_FACTOR_COUNT, cert), rule.accept, WAY_CERT),
		effective(row_of(headers, HEADER_FACTOR_COUNT, header), rule.accept, WAY_HEADER),
		effective(row_of(secrets, SECRET_FACTOR_COUNT, secret), rule.accept, WAY_SECRET),
	};
	unsigned ways = 0;

	if (rule.accept == 0 || (rule.accept & ~(unsigned)(WAY_CERT | WAY_HEADER | WAY_SECRET)) != 0)
		return refused(&(struct row){ .status = 403, .reason = "label.takes-nobody", .text = "this label takes nobody" }, 0, 0);
	for (size_t i = 0; i < N_OF(classes); i++) {
		if (f[i].effect == REFUSE)
			return refused(&f[i], rule.accept, 0);
		if (f[i].effect == COUNTS)
			ways |= f[i].way;
	}
	for (size_t i = 0; i < N_OF(classes) && rule.all; i++)
		if ((rule.accept & classes[i]) != 0 && (ways & classes[i]) == 0)
			return refused(&f[i], rule.accept, ways);
	if (ways == 0)
		return refused(shortfall(f, rule.accept), rule.accept, 0);
	return (struct verdict){ .allow = true, .ways = ways, .status = 200, .reason = "ok", .text = "" };
}

struct verdict
decide_new(enum header_factor header, enum secret_factor secret, unsigned ways)
{
	if ((ways & WAY_HEADER) != 0 && (header == HEADER_CODE_USED || header == HEADER_PASSWORD_USED))
		return refused(&headers[header], ways, 0);
	if ((ways & WAY_SECRET) != 0 && secret == SECRET_USED)
		return refused(&secrets[secret], ways, 0);
	return (struct verdict){ .allow = true, .ways = ways, .status = 200, .reason = "ok", .text = "" };
}

const char *
decide_cert_name(enum cert_factor f)
{
	return row_of(certs, CERT_FACTOR_COUNT, f)->name;
}

const char *
decide_header_name(enum header_factor f)
{
	return row_of(headers, HEADER_FACTOR_COUNT, f)->name;
}

const char *
decide_secret_name(enum secret_factor f)
{
	return row_of(secrets, SECRET_FACTOR_COUNT, f)->name;
}
