/* SPDX-License-Identifier: Apache-2.0 */
/* provision/prove.c - has who asks proved to be this registration? */
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "server/provision/asking.h"
#include "server/provision/token.h"

enum attest_kind
prove_kind(const struct enrolment_row *r)
{
	static const struct { const char *name; enum attest_kind kind; } kinds[] = {
		{ "x509", ATTEST_X509 }, { "symmetric", ATTEST_SYMMETRIC }, { "tpm", ATTEST_TPM },
	};

	if (!r->individual)
		return ATTEST_GROUPS;
	for (size_t i = 0; i < N_OF(kinds); i++)
		if (strcmp(r->attestation, kinds[i].name) == 0)
			return kinds[i].kind;
	return ATTEST_KIND_COUNT; /* which the table refuses */
}

/* Is the token signed with a key of the enrolment, or of the group for this registration? */
static bool
signed_by(struct asking *s, const struct enrolment_row *r)
{
	char what[PROVISION_WHAT_MAX];
	struct err e = { 0 };
	bool right = false;

	for (size_t i = 0; i < 2 && !right; i++) {
		AUTO_BUF key = { 0 };
		uint8_t derived[SHA256_LEN];

		if (r->key[i].n == 0)
			continue;
		(void)provision_what_enrolment(what, r->individual, r->name, i);
		if (provision_open(&key, s->f, what, bytes_of_buf(&r->key[i]), &e) != 0) {
			asking_note(s, TRACE_NO, "dps.key-unreadable", "%s", e.msg);
			continue;
		}
		if (r->individual) {
			right = token_signed(&s->q->token, bytes_of_buf(&key));
			continue;
		}
		provision_derive(derived, bytes_of_buf(&key), s->registration);
		right = token_signed(&s->q->token, (struct bytes){ derived, sizeof(derived) });
		mem_wipe(derived, sizeof(derived));
	}
	return right;
}

struct groups {
	struct asking *s;
	int64_t only, id;                /* id: of the group found, 0: none yet */
	bool enabled;
};

/* An enabled group before a disabled one, and the older before the newer. */
static int
try_group(void *ctx, struct enrolment_row *r)
{
	struct groups *g = ctx;

	if ((g->only != 0 && r->id != g->only) || (g->id != 0 && (g->enabled || !r->enabled)) || !signed_by(g->s, r))
		return 0;
	g->id = r->id;
	g->enabled = r->enabled;
	return 0;
}

static int
by_group_key(struct asking *s, int64_t only, struct err *e)
{
	struct groups g = { .s = s, .only = only };
	int rc = enrolment_row_groups(s->f->db, "symmetric", try_group, &g, e);

	if (rc != 0)
		return rc;
	if (g.id == 0)
		return asking_refuse(s, 401, "dps.token-signature", "the token is signed with no group's key for this registration");
	s->enrolled = true;
	return enrolment_row_by_id(s->f->db, g.id, &s->enrolment, e);
}

static int
by_key(struct asking *s)
{
	if (!signed_by(s, &s->enrolment))
		return asking_refuse(s, 401, "dps.token-signature", "the token is not signed with a key of the enrolment");
	s->enrolled = true;
	return 0;
}

static int
by_thumbprint(struct asking *s)
{
	const struct enrolment_row *r = &s->enrolment;

	for (size_t i = 0; i < 2; i++)
		s->enrolled = s->enrolled || (r->has_cert[i] && memcmp(r->cert[i], s->q->q.cert_sha256, ROW_HASH_LEN) == 0);
	if (!s->enrolled)
		return asking_refuse(s, 401, "dps.thumbprint", "the certificate is none that the enrolment names");
	return 0;
}

/* What the token says beside its signature.  At the hub it is for the device's own: what another hub was shown is none here. */
static int
check_token(struct asking *s)
{
	const struct ask_token *t = &s->q->token;
	const char *text, *reason = token_unfit(t, s->now, &text);

	asking_note(s, TRACE_NOTE, "token", "for '%s', until %s, key name '%s'", t->resource, t->se, t->skn);
	if (reason == NULL && s->q->op < ASK_MODULE_LIST) {
		reason = token_unfit_to_register(t, s->scope, s->registration, &text);
	} else if (reason == NULL && !token_is_for_hub(t, s->p->registration.hub, s->q->device)) {
		reason = "dps.token-resource";
		text = "the token is not for this device at its hub";
	}
	return reason != NULL ? asking_refuse(s, 401, reason, "%s", text) : 0;
}

static int
go(struct asking *s, enum attest_way way, int64_t only, struct err *e)
{
	switch (way) {
	case ATTEST_BY_CHAIN:
		return judge_chain(s, only, e);
	case ATTEST_BY_THUMBPRINT:
		return by_thumbprint(s);
	case ATTEST_BY_KEY:
		return by_key(s);
	case ATTEST_BY_GROUP_KEY:
		return by_group_key(s, only, e);
	case ATTEST_BY_TPM_KEY:
		return tpm_key_proves(s, e);
	case ATTEST_TPM_CHALLENGE:
		return tpm_key_challenge(s, e);
	case ATTEST_REFUSED:
	case ATTEST_WAY_COUNT:
	default:
		return asking_refuse(s, 401, "dps.refused", "no rule lets this in");
	}
}

/* The table's words, or better ones about the certificate. */
static int
refuse_by_table(struct asking *s, const struct attest *a)
{
	struct verdict v = decide(s->factor, HEADER_ABSENT, SECRET_ABSENT, (struct rule){ .accept = WAY_CERT });

	if (s->cert == ATTEST_CERT_BAD && !v.allow)
		return asking_refuse(s, 401, v.reason, "%s", v.text);
	return asking_refuse(s, 401, a->reason, "%s", a->text);
}

int
prove(struct asking *s, enum attest_kind kind, int64_t only, struct err *e)
{
	struct attest a = attest(kind, s->cert, attest_token(&s->q->token));
	int rc;

	if (a.way == ATTEST_REFUSED)
		return refuse_by_table(s, &a);
	asking_note(s, TRACE_NOTE, "way", "%s%s%s", attest_way_name(a.way), s->enrolment.name[0] != 0 ? ", enrolment " : "",
	    s->enrolment.name);
	if (s->q->token.state == ASK_SAS_GIVEN && ((rc = check_token(s)) != 0 || s->stop))
		return rc;
	if ((rc = go(s, a.way, only, e)) != 0 || !s->enrolled)
		return rc;
	(void)snprintf(s->p->actor, sizeof(s->p->actor), "registration %s", s->registration);
	asking_note(s, TRACE_OK, "authenticated", "by %s, %s '%s'", attest_way_name(a.way),
	    s->enrolment.individual ? "enrolment" : "group", s->enrolment.name);
	return 0;
}
