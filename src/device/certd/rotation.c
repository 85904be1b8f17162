/* SPDX-License-Identifier: Apache-2.0 */
/* certd/rotation.c - the state machine of one credential: from a pair that is served to the next, never without one */
#include <stdio.h>
#include <string.h>

#include "core/base/rnd.h"
#include "device/certd/engine_inside.h"
#include "device/service/slog.h"

#define STEPS_MAX 16 /* of one turn that need no job; a machine that goes on is a fault */

const char *
engine_time_text(int64_t t, char out[CLOCK_TEXT_MAX + 8])
{
	char text[CLOCK_TEXT_MAX];

	(void)clock_text(t, text);
	text[strcspn(text, "Z")] = 0;
	(void)snprintf(out, CLOCK_TEXT_MAX + 8, "%s+00:00", text);
	return out;
}

static int64_t
now_of(const struct credential *c)
{
	return c->en->now();
}

/* --- what is to be done --- */

int64_t
rotation_renew_at(const struct credential *c)
{
	int64_t at = c->present ? policy_begin(&c->policy, &c->life, c->gen.jitter) : INT64_MAX;

	return at > c->rest_until ? at : c->rest_until;
}

bool
rotation_ahead(int64_t t, int64_t now)
{
	return now < t && t - now <= ENGINE_PAUSE_S;
}

/* Nobody replaces a preloaded identity, so one that was refused is shown again after a while. */
static bool
refused(const struct credential *c, int64_t now)
{
	return c->gen.refused > 0 && (!c->preloaded || rotation_ahead(c->hold_until, now));
}

/* A certificate that begins in the future counts: the clock may be wrong, and the server will say. */
bool
rotation_usable(const struct credential *c, int64_t now)
{
	return c->pair == PAIR_MATCH && now < c->life.not_after && c->gen.state != GEN_SWITCHING && !refused(c, now);
}

/* Whatever the server does with it from here on is not known before its answer is there, and then it is switched at once. */
bool
rotation_spent(const struct credential *c, int64_t now)
{
	const struct generation *g = &c->gen;

	if (c->source != SOURCE_IDENTITY || g->disabled || !rotation_shows_itself(c))
		return false;
	return g->state == GEN_STAGED ||
	    (g->state == GEN_ASKED && (!c->said_no || c->ticket != NULL || !rotation_ahead(g->next_try, now)));
}

bool
rotation_in_doubt(const struct credential *c)
{
	/* A certificate that is not the noted one: the note is lost, the file damaged, or somebody else wrote it. */
	bool other = c->seen.there && !c->preloaded && memcmp(c->gen.sha256, c->sha256, SHA256_LEN) != 0;

	return c->gen.state == GEN_SWITCHING || (c->pair == PAIR_UNKNOWN && (c->gen.state == GEN_SWITCHED || other));
}

static bool
expired(const struct credential *c, int64_t now)
{
	return c->pair != PAIR_MATCH || now >= c->life.not_after;
}

/* The pair that is served is new: prove it, or go back, or (when there is no way back) ask for another. */
static enum act
next_of_switched(const struct credential *c, int64_t now)
{
	const struct generation *g = &c->gen;
	bool enough = g->refused >= ENGINE_REFUSALS || (g->refused > 0 && c->needed);

	if (g->proved && c->pair == PAIR_MATCH)
		return ACT_PROVE;
	if (g->proved)
		return g->back ? ACT_ROLLBACK : ACT_FINISH;
	if (!rotation_is_est(c) || (c->source == SOURCE_MANAGED && !c->client))
		return ACT_ACCEPT; /* nobody to show it to */
	if (enough && c->source == SOURCE_MANAGED && !g->taken_once)
		return ACT_ACCEPT; /* it is not for this server: that refuses all of them */
	if (g->back && (enough || c->pair != PAIR_MATCH || (expired(c, now) && now < c->before_until)))
		return ACT_ROLLBACK;
	if (enough || expired(c, now))
		return g->disabled ? ACT_NONE : ACT_BEGIN_ANEW;
	/* The server says neither yes nor no, and there is nothing to go back to: its renewal is a proof as well. */
	if (c->auto_renew && !g->disabled && now >= rotation_renew_at(c) && now >= c->before_until)
		return ACT_BEGIN;
	return ACT_PROBE;
}

static enum act
next_of_idle(const struct credential *c, int64_t now, int64_t *when)
{
	const struct generation *g = &c->gen;
	int64_t at = rotation_renew_at(c);

	if (c->renew_now || (c->needed && !rotation_usable(c, now)))
		return ACT_BEGIN;
	/* An identity that never was waits until somebody needs it, and says whose it is. */
	if (c->pair == PAIR_NONE)
		return c->source == SOURCE_MANAGED || g->number > 0 ? ACT_BEGIN : ACT_NONE;
	if (!c->auto_renew)
		return ACT_NONE;
	if (now >= at)
		return ACT_BEGIN;
	*when = at;
	return ACT_NONE;
}

/* Does somebody still use the pair that is served? */
static bool
is_lent(const struct credential *c, int64_t now)
{
	return c->lent > 0 && now < c->lent_until && c->lent_until - now <= ENGINE_STAGED_S;
}

enum act
rotation_next(const struct credential *c, int64_t now, int64_t *when)
{
	const struct generation *g = &c->gen;
	bool forced = c->needed || c->renew_now;

	*when = INT64_MAX;
	/* A time that is further off than any pause was set by another clock. */
	if (!forced && rotation_ahead(g->next_try, now)) {
		*when = g->next_try;
		return ACT_NONE;
	}
	if (g->state == GEN_SWITCHING)
		return ACT_SWITCH;
	if (c->pair == PAIR_UNKNOWN)
		return ACT_INSPECT;
	if (g->state < GEN_STAGED && c->birth.other && !rotation_usable(c, now))
		return ACT_INSPECT; /* the one that was there first may be better than ours */
	if (c->preloaded)
		return ACT_NONE;
	if (g->state == GEN_SWITCHED)
		return next_of_switched(c, now);
	if (g->disabled)
		return ACT_NONE;
	switch (g->state) {
	case GEN_KEYGEN:
		return ACT_KEYGEN;
	case GEN_ASKED:
	case GEN_STAGED:
		if (is_lent(c, now) && (g->state == GEN_STAGED || rotation_spent(c, now))) {
			*when = c->lent_until;
			return ACT_NONE;
		}
		return g->state == GEN_STAGED ? ACT_STAGE : ACT_ASK;
	default:
		return next_of_idle(c, now, when);
	}
}

/* --- what all steps use --- */

int
rotation_commit(struct credential *c, const struct generation *g, struct err *e)
{
	int r = c->preloaded ? 0 : generation_save(g, c->en->s, e);

	if (r == 0)
		c->gen = *g;
	return r;
}

void
rotation_run(struct credential *c, struct job *j, workers_done fn)
{
	(void)snprintf(j->keyd_socket, sizeof(j->keyd_socket), "%s", c->en->s->keyd_socket);
	c->ticket = workers_run(c->en->workers, j, fn, c);
}

static void
note_error(struct generation_error *out, int64_t now, const struct job_result *r, const struct err *e)
{
	*out = (struct generation_error){ .time = now };
	if (r == NULL) {
		(void)snprintf(out->outcome, sizeof(out->outcome), "%s",
		    e->code == E_IO ? "storage" : e->code == E_AUTH ? "rolled-back" : "configuration");
		(void)snprintf(out->text, sizeof(out->text), "%s", e->msg);
		return;
	}
	(void)snprintf(out->outcome, sizeof(out->outcome), "%s", job_outcome_name(r->outcome));
	(void)snprintf(out->check, sizeof(out->check), "%s", r->check);
	(void)snprintf(out->text, sizeof(out->text), "%s", r->text);
	(void)snprintf(out->request_id, sizeof(out->request_id), "%s", r->request_id);
	out->http_status = r->http_status;
}

void
rotation_failed(struct credential *c, const char *deed, const struct job_result *r, const struct err *e)
{
	int64_t now = now_of(c), retry_after = r != NULL ? r->retry_after_s : -1, pause;
	struct generation *g = &c->gen;
	char when[CLOCK_TEXT_MAX + 8];
	struct err why;

	if (g->tries < UINT32_MAX)
		g->tries++;
	pause = policy_pause(&c->policy, &c->life, now, g->tries + 3 * (g->setbacks < 100 ? g->setbacks : 100),
	    rnd_below(UINT32_MAX), retry_after);
	/* `now` may be almost a second ago, and what the server asked for is the least (RFC 7030 4.2.3). */
	g->next_try = now + pause + (retry_after > 0);
	c->hold_until = now + (retry_after > ENGINE_HOLD_S ? retry_after : ENGINE_HOLD_S);
	c->needed = c->renew_now = c->as_known = false;
	note_error(&g->error, now, r, e);
	slog(expired(c, now) ? SLOG_ERROR : SLOG_WARN, "Tried to %s %s, but %s. Retrying at %s.", deed, g->id,
	    g->error.text, engine_time_text(g->next_try, when));
	/* That it failed is worth a note on disk, and no failure of its own. */
	if (!c->preloaded && generation_save(g, c->en->s, &why) != 0)
		slog(SLOG_WARN, "%s: %s", g->id, why.msg);
}

bool
rotation_step(struct credential *c, const struct generation *g)
{
	struct err e;

	if (rotation_commit(c, g, &e) == 0)
		return true;
	rotation_failed(c, "renew", NULL, &e);
	return false;
}

void
rotation_key_refused(struct credential *c, const struct job_result *r)
{
	if (r->outcome != JOB_KEY_FAILED || strcmp(r->check, "not-authorised") != 0)
		return;
	c->key_refusals++;
	if (c->key_refusals == ENGINE_REFUSALS)
		slog(SLOG_WARN, "%s: the Keys Service will not replace key %s (%s); "
		    "the next certificates keep the key they have", c->gen.id, c->gen.key_id, r->text);
}

/* --- idle -> keygen -> asked --- */

static void
begin(struct credential *c)
{
	struct generation g = c->gen;

	/* A key that keyd will not have replaced is better kept than its certificate lost. */
	g.rotate = c->policy.rotate_key && c->key_refusals < ENGINE_REFUSALS && !c->shared;
	g.state = g.rotate ? GEN_KEYGEN : GEN_ASKED;
	g.next_try = 0; /* an operator does not wait for the pause after a failure */
	c->said_no = false;
	if (rotation_step(c, &g))
		c->renew_now = false;
}

/* The served pair was refused for good, or ended before it was proved, and none before it is better. */
static void
begin_anew(struct credential *c)
{
	char at[CLOCK_TEXT_MAX + 8];
	struct err e;

	if (c->gen.refused > 0 || c->late)
		c->gen.setbacks++;
	if (c->late) {
		/* The next one may well be no better: a clock is wrong. */
		c->late = false;
		(void)err_set(&e, E_FORMAT, "its certificate ended at %s, before it came; is the clock right?",
		    engine_time_text(c->life.not_after, at));
		rotation_failed(c, "use", NULL, &e);
		return;
	}
	slog(SLOG_ERROR, "%s: its certificate %s, and there is none to go back to: another is asked for", c->gen.id,
	    c->gen.refused > 0 ? "is not accepted" : "ended before it was used");
	begin(c);
}

/* A first pair takes nobody's place: where keyd allows the key's own ID alone (as documents have it), that will do. */
static bool
needs_no_successor(const struct credential *c, const struct job_result *r)
{
	return c->pair == PAIR_NONE && r->outcome == JOB_KEY_FAILED && strcmp(r->check, "not-authorised") == 0;
}

static void
on_cleared(void *ctx, const struct job_result *r)
{
	struct credential *c = ctx;
	struct generation g = c->gen;

	c->ticket = NULL;
	if (r->outcome == JOB_DONE || needs_no_successor(c, r)) {
		g.rotate = r->outcome == JOB_DONE;
		g.state = GEN_ASKED;
		(void)rotation_step(c, &g);
	} else {
		rotation_key_refused(c, r);
		if (c->key_refusals >= ENGINE_REFUSALS)
			c->gen.state = GEN_IDLE;
		rotation_failed(c, "renew", r, NULL);
	}
	engine_wake(c->en);
}

/* What a rotation that was given up left under the successor's key ID is nobody's: inspect_pair() looked before. */
static void
clear_temp_key(struct credential *c)
{
	struct job j = { .kind = JOB_DELETE };

	(void)snprintf(j.client_key, sizeof(j.client_key), "%s", c->temp_id);
	rotation_run(c, &j, on_cleared);
}

/* --- what exchanges say --- */

void
rotation_used(struct credential *c, bool taken)
{
	struct generation g = c->gen;
	struct err e;

	if (g.state == GEN_SWITCHING)
		return; /* of a pair that is just being replaced */
	if (c->preloaded) {
		c->gen.refused = !taken;
		c->hold_until = taken ? 0 : now_of(c) + ENGINE_REFUSED_S;
		return;
	}
	if (taken && g.refused == 0 && g.proved)
		return;
	if (taken) {
		g.refused = 0;
		g.proved = g.taken_once = true;
		g.tries = g.setbacks = 0;
		g.next_try = 0;
	} else {
		g.refused += g.refused < UINT32_MAX;
		c->hold_until = 0;
	}
	if (rotation_commit(c, &g, &e) != 0)
		slog(SLOG_WARN, "%s: %s", g.id, e.msg);
}

/* --- the turn --- */

static void (*const deeds[])(struct credential *c) = {
	[ACT_INSPECT] = inspect_pair, [ACT_BEGIN] = begin, [ACT_BEGIN_ANEW] = begin_anew, [ACT_KEYGEN] = clear_temp_key,
	[ACT_ASK] = rotation_ask, [ACT_STAGE] = rotation_stage, [ACT_SWITCH] = rotation_switch, [ACT_PROBE] = rotation_probe,
	[ACT_PROVE] = rotation_prove, [ACT_ACCEPT] = rotation_take_unproved, [ACT_ROLLBACK] = rotation_roll_back,
	[ACT_FINISH] = rotation_finish,
};

int64_t
rotation_go(struct credential *c)
{
	int64_t when = INT64_MAX;

	for (int i = 0; i < STEPS_MAX; i++) {
		enum act act;

		if (c->ticket != NULL || c->waiting)
			return INT64_MAX;
		act = rotation_next(c, now_of(c), &when);
		if (act == ACT_NONE)
			return when;
		deeds[act](c);
	}
	return now_of(c) + 1;
}
