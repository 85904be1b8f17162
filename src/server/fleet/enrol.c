/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/enrol.c - the decision on one enrolment, in the order of its steps */
#include "server/fleet/enrol.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "server/fleet/bind.h"
#include "server/fleet/own.h"
#include "server/fleet/trace.h"

#define RETRY_LIFE_PART 20 /* a retry's window is at most this part of the certificate's life ... */
#define RETRY_LEAST_S   5  /* ... but at least this long */
#define CLOCK_SLACK_S   300 /* seconds by which a record may be ahead of the clock */

/* Everything that the steps of one decision share. */
struct deciding {
	struct enrol *x;
	struct fleet *fleet;
	const struct proto_enrol *q;
	const struct enrol_operator *operator;
	const struct label *label;
	const struct profile *profile;
	int64_t now;
	bool has_own;                      /* own is one of ours, recorded, not revoked */
	bool has_anchor;
	struct anchor_row anchor;
	struct credential_row basic, secret;
	enum cert_factor cert;
	enum header_factor header;
	enum secret_factor secret_factor;
	unsigned ways;                     /* that authorise this request */
	int64_t device_id;                 /* 0: not known yet */
	bool fresh_key;                    /* no certificate has the request's key */
	bool renewed;                      /* this is a renewal of a certificate that was renewed already */
	bool stop;                         /* the outcome is settled: no further step */
	/* Large, so last: not zero before their steps set them, but for the record's. */
	struct own_cert own;
	struct bound bound;
};

/* A step either goes on, settles the outcome (stop), or fails because the store did. */
typedef int (*step_fn)(struct deciding *s, struct err *e);

void
enrol_clear(struct enrol *x)
{
	buf_free(&x->trace);
	buf_free(&x->tbs);
	cert_row_clear(&x->cert);
	*x = (struct enrol){ 0 };
}

void
enrol_refuse(struct enrol *x, unsigned status, const char *reason, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(x->text, sizeof(x->text), fmt, ap);
	va_end(ap);
	x->kind = ENROL_REFUSED;
	x->status = status;
	x->challenge = false;
	x->retry_after_s = status == 503 ? 2 : status == 429 ? 30 : 0;
	text_copy(x->reason, sizeof(x->reason), reason);
	trace_add(&x->trace, TRACE_NO, reason, "%s", x->text);
}

/* Settle as a refusal. */
static int
refuse(struct deciding *s, unsigned status, const char *reason, const char *text)
{
	enrol_refuse(s->x, status, reason, "%s", text);
	s->stop = true;
	return 0;
}

/* ... when the verdict is one. */
static void
refuse_by(struct deciding *s, struct verdict v)
{
	if (v.allow)
		return;
	(void)refuse(s, v.status, v.reason, v.text);
	s->x->challenge = v.challenge;
}

static int
step_label(struct deciding *s, struct err *e)
{
	(void)e;
	if (s->operator != NULL) {
		s->profile = s->operator->profile;
		s->x->ca = s->operator->ca;
		s->label = s->operator->label;
		if (s->label != NULL)
			text_copy(s->x->label, sizeof(s->x->label), s->label->name);
		trace_add(&s->x->trace, TRACE_NOTE, "operator", "%s asks for profile '%s'", s->operator->actor, s->profile->name);
		return 0;
	}
	s->label = fleet_label(s->fleet, s->q->label);
	if (s->label == NULL || !s->label->enabled)
		return refuse(s, 404, "label.unknown", "there is no such label here");
	text_copy(s->x->label, sizeof(s->x->label), s->label->name);
	s->profile = fleet_profile(s->fleet, s->label->profile);
	s->x->ca = fleet_ca(s->fleet, s->label->ca);
	s->x->append_chain = s->label->chain;
	if (s->profile == NULL || s->x->ca == NULL)
		return refuse(s, 503, "label.incomplete", "the label's CA or profile is missing");
	trace_add(&s->x->trace, TRACE_OK, "label", "'%s': CA '%s', profile '%s'", s->label->name, s->label->ca, s->label->profile);
	return 0;
}

/* What an anchor's id speaks of; an uploaded CA of the provisioning service is nobody's here. */
static int
anchor_by_id(uint32_t anchor, struct db *d, struct anchor_row *out, struct err *e)
{
	if (anchor <= FLEET_ANCHOR_BASE || anchor >= PROTO_ANCHOR_PROVISION)
		return E_NOTFOUND;
	return anchor_row_by_id(d, (int64_t)(anchor - FLEET_ANCHOR_BASE), out, e);
}

/* The anchor under which a good chain ends. */
static int
find_anchor(struct deciding *s, struct err *e)
{
	int rc = anchor_by_id(s->q->anchor, s->fleet->db, &s->anchor, e);

	if (rc == E_NOTFOUND) {
		s->cert = CERT_UNKNOWN_ISSUER; /* removed since the handshake */
		return 0;
	}
	if (rc != 0)
		return rc;
	s->has_anchor = s->anchor.label[0] == 0 || strcmp(s->anchor.label, s->label->name) == 0;
	s->cert = s->has_anchor ? CERT_ANCHOR : CERT_ANCHOR_ELSEWHERE;
	if (s->q->cert_not_after < s->now) /* kept-alive connections outlive certificates */
		s->cert = CERT_EXPIRED;
	return 0;
}

/* A certificate under a CA of ours: what does its record say? */
static int
find_own(struct deciding *s, struct err *e)
{
	struct cert_row *row = &s->own.row;
	int rc = own_find(row, &s->cert, s->fleet, s->q, s->now, e);

	if (rc != 0 || s->cert != CERT_OWN)
		return rc;
	if ((rc = cert_read(&s->own.cert, bytes_of_buf(&row->der), e)) != 0)
		return rc;
	s->has_own = true;
	if (own_superseded(row, s->label, s->now))
		s->cert = CERT_SUPERSEDED;
	s->x->prove = row->proved_at == 0 ? row->id : 0;
	return 0;
}

static int
step_cert(struct deciding *s, struct err *e)
{
	int rc = 0;

	if (s->operator != NULL)
		return 0;
	s->cert = own_factor(s->q->cert_state);
	if (s->q->has_cert && s->q->cert_state == TRUST_OK && s->q->anchor >= FLEET_ANCHOR_BASE)
		rc = find_anchor(s, e);
	else if (s->q->has_cert)
		rc = find_own(s, e);
	if (rc == 0 && s->q->has_cert)
		trace_add(&s->x->trace, TRACE_NOTE, "certificate", "%s: serial %s, %s%s%s", decide_cert_name(s->cert), s->q->cert_serial,
		    s->own.row.id != 0 ? s->own.row.device_name : s->has_anchor ? s->anchor.name : "no record",
		    s->q->cert_detail[0] != 0 ? "; " : "", s->q->cert_detail);
	return rc;
}

static int
step_header(struct deciding *s, struct err *e)
{
	static const enum header_factor of[] = { [EST_AUTH_NONE] = HEADER_ABSENT, [EST_AUTH_BASIC] = HEADER_WRONG,
		[EST_AUTH_UNSUPPORTED] = HEADER_UNSUPPORTED, [EST_AUTH_MALFORMED] = HEADER_MALFORMED };
	int rc;

	if (s->operator != NULL)
		return 0;
	s->header = s->q->auth < N_OF(of) ? of[s->q->auth] : HEADER_MALFORMED;
	if (s->q->auth == EST_AUTH_BASIC && (s->label->rule.accept & WAY_HEADER) != 0 &&
	    (rc = secret_judge_basic(s->fleet->secret, s->fleet->db, s->label->name, s->q->user, s->q->password,
	    s->q->address, s->now, &s->header, &s->basic, e)) != 0)
		return rc;
	if (s->header != HEADER_ABSENT)
		trace_add(&s->x->trace, TRACE_NOTE, "authorization", "%s: user '%s'", decide_header_name(s->header), s->q->user);
	return 0;
}

static int
step_secret(struct deciding *s, struct err *e)
{
	static const enum secret_factor of[PROTO_SECRET_COUNT] = { [PROTO_SECRET_NONE] = SECRET_ABSENT,
		[PROTO_SECRET_PRESENT] = SECRET_WRONG, [PROTO_SECRET_EMPTY] = SECRET_EMPTY, [PROTO_SECRET_REPEATED] = SECRET_REPEATED };
	int rc;

	if (s->operator != NULL)
		return 0;
	s->secret_factor = s->q->secret_state < PROTO_SECRET_COUNT ? of[s->q->secret_state] : SECRET_WRONG;
	if (s->q->secret_state == PROTO_SECRET_PRESENT && (rc = secret_judge_value(s->fleet->secret, s->fleet->db,
	    s->label->name, s->q->secret, s->q->address, s->now, &s->secret_factor, &s->secret, e)) != 0)
		return rc;
	if (s->secret_factor != SECRET_ABSENT)
		trace_add(&s->x->trace, TRACE_NOTE, "secret", "%s", decide_secret_name(s->secret_factor));
	return 0;
}

/* Is the certificate presented one of this label? */
static bool
at_home(const struct deciding *s)
{
	return s->has_own && strcmp(s->own.row.label, s->label->name) == 0;
}

/* Does a request speak for another than the certificate's own device?  Only where the label lets it. */
static bool
for_another(const struct deciding *s)
{
	char asked[257];

	bind_requested(&s->q->csr, asked);
	return s->label->reenrol == REENROL_OFF && asked[0] != 0 && strcasecmp(asked, s->own.row.device_name) != 0;
}

/*
 * Is this a renewal of the presented certificate, and not only a use of it?  At a concurrent label simpleenroll asks for
 * another certificate beside the one presented; but from one that was renewed already both are a second renewal.
 */
static bool
renews_own(const struct deciding *s)
{
	return s->has_own && (s->q->op == EST_SIMPLEREENROLL ||
	    (at_home(s) && !for_another(s) && (!s->label->concurrent || s->own.row.superseded_by != 0)));
}

/* Was the presented certificate renewed already?  Away from its label it leaves its line, so that its records are asked. */
static int
renewed_before(const struct deciding *s, bool *yes, struct err *e)
{
	/* What a clock that was ahead let be issued is not valid yet: its holder comes with the one before, and is no other. */
	if (s->own.row.superseded_at - CLOCK_SLACK_S > s->now)
		return 0;
	*yes = s->own.row.superseded_by != 0;
	return *yes || at_home(s) ? 0 : cert_row_reenrolled(s->fleet->db, s->own.row.device, s->own.row.id, yes, e);
}

/* Which certificates the new one supersedes. */
static int64_t
line_of(const struct deciding *s)
{
	if (s->label == NULL || !s->label->concurrent)
		return 0;
	if (s->q->op == EST_SIMPLEREENROLL && at_home(s))
		return s->own.row.line;
	return CERT_LINE_NEW;
}

/*
 * The last answer to the same asker for the same key, while its window is open; for a certificate that was renewed
 * without an end while that answer is the newest, and by whichever credential it was asked for: who has its key is its
 * holder, who never got the answer.
 */
static int
find_retry(struct deciding *s, const char *device, const char *actor, bool *found, struct err *e)
{
	struct cert_row *r = &s->x->cert;
	int64_t window = s->label->retry_window_s, part;
	int rc = cert_row_retry(s->fleet->db, device, s->label->name, s->q->csr.spki_sha256, s->renewed ? "" : actor,
	    s->renewed ? 0 : s->now - window, r, e);

	*found = false;
	if (rc == E_NOTFOUND)
		return 0;
	if (rc != 0)
		return rc;
	part = (r->not_after - r->issued_at) / RETRY_LIFE_PART;
	if (window > part)
		window = part;
	if (window < RETRY_LEAST_S && s->label->retry_window_s >= RETRY_LEAST_S)
		window = RETRY_LEAST_S;
	*found = (r->issued_at + window > s->now || (s->renewed && r->superseded_by == 0)) && r->not_after > s->now;
	if (!*found)
		cert_row_clear(r);
	return 0;
}

/* The one way that speaks for the request; under `all` every way must. */
static unsigned
speaking(const struct label *l, unsigned ways)
{
	return l->rule.all ? ways : ways & (~ways + 1u); /* lowest bit: own, anchor, basic, code, secret */
}

static void
name_actor(struct deciding *s)
{
	struct { unsigned way; const char *kind, *who; } rows[] = {
		{ WAY_OWN, "certificate", s->own.row.serial }, { WAY_ANCHOR, "anchor", s->anchor.name },
		{ WAY_BASIC, "password", s->basic.user }, { WAY_CODE, "code", NULL }, { WAY_SECRET, "secret", NULL },
	};
	size_t n = 0;

	for (size_t i = 0; i < N_OF(rows) && n < sizeof(s->x->actor); i++) {
		if ((s->ways & rows[i].way) == 0)
			continue;
		n += (size_t)snprintf(s->x->actor + n, sizeof(s->x->actor) - n, "%s%s ", n != 0 ? " + " : "", rows[i].kind);
		if (n < sizeof(s->x->actor) && rows[i].who != NULL)
			n += (size_t)snprintf(s->x->actor + n, sizeof(s->x->actor) - n, "%s", rows[i].who);
		else if (n < sizeof(s->x->actor))
			n += (size_t)snprintf(s->x->actor + n, sizeof(s->x->actor) - n, "%lld",
			    (long long)(rows[i].way == WAY_CODE ? s->basic.id : s->secret.id));
	}
}

/* A certificate that was renewed already renews nothing but for the retry of that renewal: two holders have one identity. */
static int
step_fork(struct deciding *s, struct err *e)
{
	struct verdict v;
	bool retry;
	int rc;

	if (s->operator != NULL || s->q->csr_status != 0 || !renews_own(s))
		return 0;
	if ((rc = renewed_before(s, &s->renewed, e)) != 0 || !s->renewed)
		return rc;
	/* Who would it be if the certificate were still good?  That one's retry is no fork, and nobody else's try is. */
	v = decide(CERT_OWN, s->header, s->secret_factor, s->label->rule);
	s->ways = v.allow ? speaking(s->label, v.ways) : 0;
	/* Where another credential speaks, the certificate is what is renewed only by simplereenroll, and within its grace. */
	s->renewed = (s->ways & WAY_OWN) != 0 || (s->ways != 0 && s->q->op == EST_SIMPLEREENROLL && s->cert == CERT_OWN);
	if (!s->renewed)
		return 0;
	name_actor(s);
	if ((rc = find_retry(s, s->own.row.device_name, s->x->actor, &retry, e)) != 0)
		return rc;
	cert_row_clear(&s->x->cert); /* found again, and answered, by step_retry() */
	if (retry) {
		s->cert = CERT_OWN;
		return 0;
	}
	text_copy(s->x->device, sizeof(s->x->device), s->own.row.device_name);
	/* Once: its holder must not be able to fill the store with events. */
	s->x->fork = strcmp(s->own.row.device_state, "forked") != 0 && strcmp(s->own.row.device_state, "retired") != 0;
	return refuse(s, 403, "device.forked", "the certificate presented was renewed already, and by another key: two hold this identity");
}

static int
step_decide(struct deciding *s, struct err *e)
{
	struct verdict v;

	(void)e;
	if (s->operator != NULL) {
		text_copy(s->x->actor, sizeof(s->x->actor), s->operator->actor);
		return 0;
	}
	/* Past this step a certificate beyond its grace is none, also beside a credential that is right. */
	s->has_own = s->has_own && s->cert == CERT_OWN;
	v = decide(s->cert, s->header, s->secret_factor, s->label->rule);
	refuse_by(s, v);
	if (s->stop)
		return 0;
	s->ways = speaking(s->label, v.ways);
	name_actor(s);
	trace_add(&s->x->trace, TRACE_OK, "authenticated", "%s", s->x->actor);
	if (s->q->op == EST_SIMPLEREENROLL && !s->has_own)
		return refuse(s, 403, "reenrol.no-certificate", "simplereenroll needs the certificate to be renewed, issued by us, in the handshake");
	return 0;
}

static int
step_request(struct deciding *s, struct err *e)
{
	const struct csr *csr = &s->q->csr;
	UNSET char subject[NAME_TEXT_MAX], sans[NAME_TEXT_MAX];

	(void)e;
	if (s->q->csr_status != 0)
		return refuse(s, s->q->csr_status, s->q->csr_reason, s->q->csr_text);
	trace_add(&s->x->trace, TRACE_OK, "request", "%s, subject '%s', alternative names [%s]%s%s", key_type_name(csr->key_type),
	    name_text(&csr->subject, subject), sans_text(&csr->sans, sans), csr->wants_ca ? ", asks for CA:TRUE" : "",
	    csr->has_challenge ? ", challengePassword" : "");
	if (s->label == NULL)
		return 0;
	switch (s->q->pop) {
	case PROTO_POP_OK:
		trace_add(&s->x->trace, TRACE_OK, "pop", "request is bound to this TLS connection");
		return 0;
	case PROTO_POP_NONE:
		return s->label->pop_required ? refuse(s, 400, "pop.required",
		    "this label requires proof-of-possession linking (RFC 7030 3.5)") : 0;
	case PROTO_POP_UNAVAILABLE:
		return refuse(s, 400, "pop.unavailable", "this TLS connection has no safe channel binding, but the request has a challengePassword");
	case PROTO_POP_BAD:
	default:
		return refuse(s, 400, "pop.mismatch", "challengePassword is not the channel binding of this connection");
	}
}

static int
step_names(struct deciding *s, struct err *e)
{
	const struct own_cert *own = s->has_own ? &s->own : NULL;
	const char *reason;
	int rc;

	if (s->operator != NULL) {
		static const struct label none;
		rc = bind_names(&s->bound, s->fleet, &none, s->profile, s->q, NULL, s->now, &s->x->trace, &reason, e);
	} else {
		rc = bind_names(&s->bound, s->fleet, s->label, s->profile, s->q, own, s->now, &s->x->trace, &reason, e);
	}
	if (s->bound.device[0] != 0)
		text_copy(s->x->device, sizeof(s->x->device), s->bound.device);
	if (rc == E_POLICY || rc == E_FORMAT)
		return refuse(s, 403, reason, e->msg);
	if (rc == 0 && s->operator != NULL && s->operator->device != NULL && strcmp(s->bound.device, s->operator->device) != 0)
		return refuse(s, 403, "name.other-device", "the request does not name the device that registered");
	return rc;
}

/* What the store says of the device, which it has said already when the certificate presented is the device's own. */
static int
find_device(struct deciding *s, char state[16], struct err *e)
{
	if (!s->has_own || strcmp(s->own.row.device_name, s->bound.device) != 0)
		return device_row_find(s->fleet->db, s->bound.device, &s->device_id, state, e);
	s->device_id = s->own.row.device;
	text_copy(state, 16, s->own.row.device_state);
	return 0;
}

static int
judge_state(struct deciding *s, const char *state)
{
	if (strcmp(state, "forked") == 0)
		return refuse(s, 403, "device.forked", "two hold this device's identity; an operator must look at it");
	return strcmp(state, "retired") == 0 ? refuse(s, 403, "device.retired", "the device was retired") : 0;
}

static int
step_device(struct deciding *s, struct err *e)
{
	char state[16] = "";
	int rc = find_device(s, state, e);

	if (rc != 0 && rc != E_NOTFOUND)
		return rc;
	rc = judge_state(s, state);
	/* Whose certificate speaks for the device is not always the device itself. */
	return rc != 0 || s->stop || !s->has_own ? rc : judge_state(s, s->own.row.device_state);
}

static int
step_retry(struct deciding *s, struct err *e)
{
	bool found = false, known;
	int rc;

	if (s->label == NULL)
		return 0;
	if ((rc = cert_row_key_known(s->fleet->db, s->q->csr.spki_sha256, &known, e)) != 0)
		return rc;
	s->fresh_key = !known;
	if (known && (rc = find_retry(s, s->bound.device, s->x->actor, &found, e)) != 0)
		return rc;
	if (found) {
		s->x->kind = ENROL_REPLAYED;
		s->x->status = 200;
		(void)snprintf(s->x->reason, sizeof(s->x->reason), "ok.retry");
		(void)snprintf(s->x->text, sizeof(s->x->text), "retry of %s: the same certificate again", s->x->cert.request_id);
		trace_add(&s->x->trace, TRACE_OK, "retry", "same asker, same key as request %s: certificate %s again",
		    s->x->cert.request_id, s->x->cert.serial);
		s->stop = true;
		return 0;
	}
	refuse_by(s, decide_new(s->header, s->secret_factor, s->ways));
	return 0;
}

/* May the credential or anchor speak for this name? */
static int
check_scope(struct deciding *s, const char *scope, const char *value, bool active, const char *own, bool live, struct err *e)
{
	const char *reason;
	int rc = scope_check(scope_by_name(scope), value, active, s->bound.device, own, live, &reason, e);

	if (rc == 0) {
		trace_add(&s->x->trace, TRACE_OK, "scope", "'%s%s%s' covers '%s'", scope, value[0] != 0 ? " " : "", value, s->bound.device);
		return 0;
	}
	return refuse(s, 403, reason, e->msg);
}

static int
scope_of_credential(struct deciding *s, const struct credential_row *c, bool live, struct err *e)
{
	return check_scope(s, c->scope, c->scope_value, c->active, NULL, live, e);
}

/* An operator may enrol any name, and whose it is the provisioning service knows; but a renewed certificate renews nothing else. */
static int
scope_of_sponsor(struct deciding *s)
{
	if (!s->operator->renewed)
		return 0;
	s->x->fork = true;
	return refuse(s, 403, "device.forked", "the certificate presented was renewed already, and by another key: two hold this identity");
}

static int
step_scope(struct deciding *s, struct err *e)
{
	char own_name[257];
	bool live = false;
	int rc;

	if (s->operator != NULL)
		return scope_of_sponsor(s);
	if (s->ways == WAY_OWN)
		return 0;
	if (s->device_id != 0 && (rc = cert_row_live(s->fleet->db, s->device_id, NULL, s->now, &live, e)) != 0)
		return rc;
	bind_named(&s->q->cert_subject, &s->q->cert_sans, own_name);
	if ((s->ways & WAY_ANCHOR) != 0 && ((rc = check_scope(s, s->anchor.scope, s->anchor.scope_value, s->anchor.active,
	    own_name, live, e)) != 0 || s->stop))
		return rc;
	/* A certificate of the device itself, beside another credential, shows that the live one is its own. */
	if (s->has_own && s->own.row.device == s->device_id)
		live = false;
	if ((s->ways & WAY_HEADER) != 0 && ((rc = scope_of_credential(s, &s->basic, live, e)) != 0 || s->stop))
		return rc;
	if ((s->ways & WAY_CODE) != 0 && s->q->user[0] != 0 && strcasecmp(s->q->user, s->bound.device) != 0)
		return refuse(s, 403, "name.user-differs", "the user name sent with the code is not the name that is asked for");
	if ((s->ways & WAY_SECRET) != 0 && ((rc = scope_of_credential(s, &s->secret, live, e)) != 0 || s->stop))
		return rc;
	s->x->credential[0] = (s->ways & WAY_HEADER) != 0 ? s->basic.id : 0;
	s->x->credential[1] = (s->ways & WAY_SECRET) != 0 ? s->secret.id : 0;
	return 0;
}

static int
step_key(struct deciding *s, struct err *e)
{
	char owner[257] = "";
	bool compromised = false;
	int rc;

	if (fleet_key_is_ours(s->fleet, s->q->csr.spki_sha256))
		return refuse(s, 403, "key.ours", "the request's key is the key of a CA of ours");
	if (!s->fresh_key && ((rc = cert_row_key_owner(s->fleet->db, s->q->csr.spki_sha256, s->bound.device, owner, sizeof(owner), e)) != 0 ||
	    (rc = cert_row_key_compromised(s->fleet->db, s->q->csr.spki_sha256, &compromised, e)) != 0))
		return rc;
	if (compromised)
		return refuse(s, 403, "key.compromised", "a certificate for the request's key was revoked because others have the key");
	if (owner[0] != 0) {
		enrol_refuse(s->x, 403, "key.other-device", "device '%s' holds a certificate for this key already", owner);
		s->stop = true;
		return 0;
	}
	trace_add(&s->x->trace, TRACE_OK, "key", "%s, of this device alone", key_type_name(s->q->csr.key_type));
	return 0;
}

static void
fill_row(struct deciding *s, const struct issue_out *out)
{
	struct cert_row *r = &s->x->cert;
	UNSET char text[NAME_TEXT_MAX];

	memcpy(r->spki_sha256, s->q->csr.spki_sha256, SHA256_LEN);
	r->ca = s->x->ca->row.id;
	text_copy(r->profile, sizeof(r->profile), s->profile->name);
	text_copy(r->label, sizeof(r->label), s->x->label);
	text_copy(r->subject, sizeof(r->subject), name_text(&s->bound.subject, text));
	text_copy(r->sans, sizeof(r->sans), sans_text(&s->bound.sans, text));
	r->not_before = out->not_before;
	r->not_after = out->not_after;
	r->parent = s->has_own ? s->own.row.id : 0;
	r->line = line_of(s);
	text_copy(r->authorised_by, sizeof(r->authorised_by), s->x->actor);
	text_copy(r->request_id, sizeof(r->request_id), s->q->id);
	r->issued_at = s->now;
}

/* A short-lived certificate begets no longer-lived one: an LDevID cannot turn itself into an IDevID of years. */
static int64_t
lifetime_of(struct deciding *s)
{
	int64_t life = s->own.row.not_after - s->own.row.issued_at;

	if (s->operator != NULL && s->label != NULL)
		return s->operator->lifetime_s < s->profile->lifetime_s ? s->operator->lifetime_s : 0;
	if (s->operator != NULL)
		return s->operator->lifetime_s;
	if ((s->ways & WAY_OWN) == 0 || life >= s->profile->lifetime_s || strcmp(s->own.row.profile, s->profile->name) == 0)
		return 0;
	trace_add(&s->x->trace, TRACE_NOTE, "lifetime", "limited to that of the certificate presented");
	return life;
}

static int
step_issue(struct deciding *s, struct err *e)
{
	char until[CLOCK_TEXT_MAX];
	struct issue_out out = { 0 };
	struct issue_want want = { .profile = s->profile, .subject = &s->bound.subject, .sans = &s->bound.sans,
		.spki = s->q->csr.spki, .key_type = s->q->csr.key_type, .now = s->now, .lifetime_s = lifetime_of(s) };
	int rc;

	serial_random(want.serial);
	rc = issue_tbs(&s->x->tbs, &out, &s->x->ca->issuer, &want, e);
	if (rc == E_POLICY || rc == E_FORMAT)
		return refuse(s, 403, "profile.issue", e->msg);
	if (rc == E_UNAVAIL)
		return refuse(s, 503, "ca.expired", e->msg);
	if (rc != 0)
		return rc;
	fill_row(s, &out);
	issue_out_free(&out);
	(void)cert_serial_text((struct bytes){ want.serial, sizeof(want.serial) }, s->x->cert.serial);
	text_copy(s->x->key_id, sizeof(s->x->key_id), s->x->ca->row.key_id);
	s->x->sig_alg = key_sig_alg(s->x->ca->cert.key_type);
	s->x->device_id = s->device_id;
	s->x->kind = ENROL_ISSUE;
	s->x->status = 200;
	(void)snprintf(s->x->reason, sizeof(s->x->reason), "ok");
	trace_add(&s->x->trace, TRACE_OK, "issued", "serial %s by CA '%s', until %s", s->x->cert.serial, s->x->ca->row.name,
	    clock_text(out.not_after, until));
	return 0;
}

static void
begin(struct enrol *x, const struct proto_enrol *q)
{
	*x = (struct enrol){ .trace = BUF_MAX(AUDIT_TRACE_MAX) };
	buf_reserve(&x->trace, 1000);
	text_copy(x->id, sizeof(x->id), q->id);
	text_copy(x->op, sizeof(x->op), q->op == EST_SIMPLEREENROLL ? "reenrol" : "enrol");
	text_copy(x->label, sizeof(x->label), q->label);
	text_copy(x->address, sizeof(x->address), q->address);
	trace_add(&x->trace, TRACE_NOTE, "connection", "%s from %s%s%s", q->tls[0] != 0 ? q->tls : "local", q->address,
	    q->notes[0] != 0 ? "; " : "", q->notes);
}

int
enrol_decide(struct enrol *x, struct fleet *f, const struct proto_enrol *q, const struct enrol_operator *op_request,
    int64_t now, struct err *e)
{
	static const step_fn steps[] = { step_label, step_cert, step_header, step_secret, step_fork, step_decide,
		step_request, step_names, step_device, step_retry, step_scope, step_key, step_issue };
	UNSET struct deciding s;
	int rc = 0;

	memset(&s, 0, offsetof(struct deciding, own));
	s.own.row = (struct cert_row){ 0 };
	s.x = x;
	s.fleet = f;
	s.q = q;
	s.operator = op_request;
	s.now = now;
	begin(x, q);
	for (size_t i = 0; i < N_OF(steps) && rc == 0 && !s.stop; i++)
		rc = steps[i](&s, e);
	if (rc != 0)
		enrol_refuse(x, 503, "server.store", "%s", e->msg);
	cert_row_clear(&s.own.row);
	anchor_row_clear(&s.anchor);
	mem_wipe(&s.basic, sizeof(s.basic));
	return rc;
}

bool
enrol_conflict(const struct enrol *a, const struct enrol *b)
{
	if (a->kind != ENROL_ISSUE || b->kind != ENROL_ISSUE)
		return false;
	if (strcasecmp(a->device, b->device) == 0 || memcmp(a->cert.spki_sha256, b->cert.spki_sha256, SHA256_LEN) == 0)
		return true;
	for (size_t i = 0; i < N_OF(a->credential); i++)
		for (size_t j = 0; j < N_OF(b->credential); j++)
			if (a->credential[i] != 0 && a->credential[i] == b->credential[j])
				return true;
	return false;
}
