/* SPDX-License-Identifier: Apache-2.0 */
/* certd/engine.c - the set of credentials: which there are, when they are looked at, who waits for them */
#include "device/certd/engine.h"

#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/sys/alarm.h"
#include "device/certd/engine_inside.h"
#include "device/service/slog.h"

/* No clock is right that is before this program: 2026-11-01. */
#define EPOCH_S INT64_C(1793491200)

/* --- beginning and end --- */

static void
on_alarm(void *ctx)
{
	engine_turn(ctx);
}

struct engine *
engine_new(struct loop *l, struct workers *w)
{
	struct engine *en = mem_zalloc(sizeof(*en));

	*en = (struct engine){ .loop = l, .workers = w, .now = clock_now };
	en->timer = loop_timer_new(l, on_alarm, en);
	en->alarm = alarm_new(l, ALARM_EACH_S, on_alarm, en);
	return en;
}

void
engine_set_clock(struct engine *en, int64_t (*now)(void))
{
	en->now = now;
}

static void
credential_free(struct credential *c)
{
	if (c->ticket != NULL)
		workers_cancel(c->en->workers, c->ticket);
	buf_free(&c->asked_pem);
	mem_free(c);
}

void
engine_free(struct engine *en)
{
	if (en == NULL)
		return;
	while (en->all != NULL) {
		struct credential *c = en->all;

		en->all = c->next;
		credential_free(c);
	}
	while (en->waits != NULL) {
		struct wait *w = en->waits;

		en->waits = w->next;
		mem_free(w);
	}
	alarm_free(en->alarm);
	loop_timer_free(en->timer);
	mem_free(en);
}

struct credential *
engine_find(const struct engine *en, const char *cert_id)
{
	for (struct credential *c = en->all; c != NULL; c = c->next)
		if (strcmp(c->gen.id, cert_id) == 0)
			return c;
	return NULL;
}

void
engine_wake(struct engine *en)
{
	en->woken = true;
	loop_timer_in(en->timer, 0);
}

/* --- settings --- */

/* The state on disk, or one that is found out from the files beside it. */
static void
load(struct credential *c, const char *id, const char *key_id)
{
	const struct certd_settings *s = c->en->s;
	AUTO_BUF old = BUF_MAX(CERTS_FILE_MAX);
	struct err e;
	int r = c->preloaded ? E_NOTFOUND : generation_load(&c->gen, s, id, &e);

	if (r == 0 && strcmp(c->gen.key_id, key_id) == 0) {
		/* A pause that a clock which was ahead reckoned: while we run, engine_turn() sees that it was set back. */
		if (c->gen.error.time > c->en->now())
			c->gen.next_try = 0;
		return;
	}
	if (r == 0)
		slog(SLOG_WARN, "%s: its key is '%s' now, and was '%s'", id, key_id, c->gen.key_id);
	else if (r != E_NOTFOUND)
		slog(SLOG_ERROR, "%s: the state of its renewal is lost, and found out from the files: %s", id, e.msg);
	generation_begin(&c->gen, id, key_id);
	if (c->preloaded || generation_read_cert(&old, s, id, GEN_OLD_FILE, &e) != 0)
		return;
	/* Somebody was between two pairs: the one before is kept until the served one is proved. */
	c->gen.state = GEN_SWITCHED;
	c->gen.number = 1;
	c->gen.rotate = c->gen.back = true;
}

/* Preloaded, and with no server that would renew it. */
static bool
is_fixed(const struct engine *en, const char *id, const char *owner)
{
	const struct preloaded *p = certd_preloaded(en->s, id);

	return p != NULL && (!p->identity || (certd_url(en->s, id, NULL) == NULL && certd_url(en->s, owner, NULL) == NULL));
}

static struct credential *
credential_new(struct engine *en, const char *id, const char *key_id, bool fixed)
{
	struct credential *c = mem_zalloc(sizeof(*c)), **at = &en->all;

	c->en = en;
	c->preloaded = fixed;
	(void)snprintf(c->temp_id, sizeof(c->temp_id), "%s-temp", key_id);
	load(c, id, key_id);
	birth_find(c);
	(void)inspect_reload(c);
	while (*at != NULL && strcmp((*at)->gen.id, id) < 0)
		at = &(*at)->next;
	c->next = *at; /* before one of the same ID that is to go */
	*at = c;
	return c;
}

/* An ID that is there already keeps its state, and the first who named it keeps it. */
static void
want(struct engine *en, enum source source, const char *id, const char *key_id, const char *owner,
    const struct policy *policy, bool auto_renew)
{
	struct credential *c = engine_find(en, id);
	bool fixed = is_fixed(en, id, owner);
	struct err e;

	if (stem_check_id(id, &e) != 0 || stem_check_id(key_id, &e) != 0 || strlen(key_id) + sizeof("-temp") > ID_MAX) {
		slog(SLOG_ERROR, "%.100s: cannot be renewed: its ID or that of its key cannot be one", id);
		return;
	}
	if (c != NULL && c->kept) {
		if (strcmp(c->gen.key_id, key_id) != 0)
			slog(SLOG_WARN, "%s: two keys are configured for it: '%s' counts, '%s' does not", id,
			    c->gen.key_id, key_id);
		return;
	}
	if (c != NULL && (strcmp(c->gen.key_id, key_id) != 0 || c->preloaded != fixed))
		c = NULL; /* another pair by that name: the one before is forgotten */
	if (c == NULL)
		c = credential_new(en, id, key_id, fixed);
	birth_find(c);
	c->kept = true;
	c->key_refusals = 0; /* what keyd may do may have changed as well */
	c->source = source;
	c->policy = *policy;
	c->auto_renew = auto_renew;
	(void)snprintf(c->owner, sizeof(c->owner), "%s", owner);
}

static void
want_identity(struct engine *en, const struct est_auth_settings *a, const char *owner)
{
	const struct certd_settings *s = en->s;

	if (!a->given || a->identity_cert == NULL || a->identity_pk == NULL)
		return;
	want(en, SOURCE_IDENTITY, a->identity_cert, a->identity_pk, owner != NULL ? owner : a->identity_cert,
	    &s->identity_policy, s->identity_auto_renew);
}

static void
want_all(struct engine *en)
{
	const struct certd_settings *s = en->s;

	want_identity(en, &s->est_auth, NULL);
	/* The first owner's URL counts, and an endpoint that makes CAs makes no client certificates: those come last. */
	for (int ca = 0; ca < 2; ca++)
		for (size_t i = 0; i < s->n_issuance; i++)
			if (s->issuance[i].ca == (ca == 1))
				want_identity(en, &s->issuance[i].auth, s->issuance[i].id);
	for (size_t i = 0; i < s->n_issuance; i++) {
		const struct issuance *is = &s->issuance[i];

		if (is->pk != NULL && is->method != METHOD_NONE)
			want(en, SOURCE_MANAGED, is->id, is->pk, is->id, &is->policy, is->auto_renew);
	}
}

static bool
is(const char *a, const char *b)
{
	return a != NULL && strcmp(a, b) == 0;
}

/* Is key_id configured as the key of a bootstrap or CA certificate other than cert_id? */
static bool
used_by_others(const struct certd_settings *s, const char *key_id, const char *cert_id)
{
	const struct est_auth_settings *a = &s->est_auth;
	bool used = is(s->local_ca_pk, key_id) && !is(s->local_ca_cert, cert_id);

	used = used || (is(a->bootstrap_pk, key_id) && !is(a->bootstrap_cert, cert_id));
	for (size_t i = 0; !used && i < s->n_issuance; i++) {
		a = &s->issuance[i].auth;
		used = is(a->bootstrap_pk, key_id) && !is(a->bootstrap_cert, cert_id);
	}
	return used;
}

/*
 * A key that two certificates have is not replaced under one of them, and a key that has the ID of a successor is not
 * deleted for it.
 */
static bool
is_shared(const struct credential *c)
{
	const char *key = c->gen.key_id, *temp = c->temp_id;

	if (used_by_others(c->en->s, key, c->gen.id) || used_by_others(c->en->s, temp, ""))
		return true;
	for (const struct credential *o = c->en->all; o != NULL; o = o->next)
		if (o != c && o->kept && (is(o->gen.key_id, key) || is(o->gen.key_id, temp) || is(o->temp_id, key)))
			return true;
	return false;
}

/* Nothing is lost but a request. */
static void
give_up_rotation(struct credential *c)
{
	if (!c->gen.rotate || c->gen.state < GEN_KEYGEN || c->gen.state > GEN_STAGED)
		return;
	if (c->ticket != NULL)
		workers_cancel(c->en->workers, TAKE(c->ticket));
	c->gen.state = GEN_IDLE;
}

static void
mark_shared(struct engine *en)
{
	for (struct credential *c = en->all; c != NULL; c = c->next) {
		bool was = c->shared;

		if (!c->kept)
			continue;
		/* The key that somebody put there is nobody's to replace, and the pair that it is of stays whole. */
		c->shared = c->birth.path[0] != 0 || is_shared(c);
		if (!c->shared)
			continue;
		if (!was && c->policy.rotate_key && c->birth.path[0] == 0)
			slog(SLOG_WARN, "%s: its key '%s', or '%s', is configured for something else too: it is not replaced",
			    c->gen.id, c->gen.key_id, c->temp_id);
		give_up_rotation(c);
	}
}

/* Who waits for c is told that it is gone; what c itself waits for is forgotten. */
static void
drop_waits(struct engine *en, const struct credential *c)
{
	struct wait **at = &en->waits;

	while (*at != NULL) {
		struct wait *w = *at;

		if (w->c == c)
			w->c = NULL;
		if (w->ctx != c) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		mem_free(w);
	}
}

void
engine_configure(struct engine *en, const struct certd_settings *s)
{
	struct credential **at = &en->all;

	en->s = s;
	generation_sweep(s);
	for (struct credential *c = en->all; c != NULL; c = c->next)
		c->kept = false;
	want_all(en);
	mark_shared(en);
	while (*at != NULL) {
		struct credential *c = *at;

		if (c->kept) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		drop_waits(en, c);
		credential_free(c);
	}
	engine_wake(en);
}

/* --- the clock --- */

bool
engine_clock_right(const struct engine *en, int64_t now)
{
	int64_t floor = EPOCH_S;

	for (const struct credential *c = en->all; c != NULL; c = c->next)
		if (c->gen.good_time > floor)
			floor = c->gen.good_time;
	return now + ENGINE_DAY_S >= floor;
}

static void
tell_clock(struct engine *en, int64_t now)
{
	bool odd = !engine_clock_right(en, now);
	char text[CLOCK_TEXT_MAX + 8];

	if (odd == en->clock_odd)
		return;
	en->clock_odd = odd;
	if (odd)
		slog(SLOG_WARN, "The clock says %s, which cannot be; renewals are tried all the same.",
		    engine_time_text(now, text));
	else
		slog(SLOG_INFO, "The clock is plausible again.");
}

/* --- the turn --- */

static void
notice(struct credential *c)
{
	bool changed;

	if (c->ticket != NULL || c->waiting)
		return;
	changed = inspect_changed(c);
	if (!c->look && !changed)
		return;
	c->look = false;
	if (changed)
		slog(SLOG_DEBUG, "%s: its file changed", c->gen.id);
	c->pair = PAIR_UNKNOWN;
	c->gen.next_try = 0;
	c->hold_until = 0;
	if (c->preloaded)
		c->gen.refused = 0;
}

/* Times that were reckoned by a clock that was ahead are nobody's wish. */
static void
forget_pauses(struct engine *en)
{
	for (struct credential *c = en->all; c != NULL; c = c->next)
		c->gen.next_try = c->hold_until = c->rest_until = c->lent_until = 0;
}

static bool
held(const struct credential *c, int64_t now)
{
	return rotation_ahead(c->hold_until, now);
}

static bool
is_settled(const struct credential *c, int64_t now, struct err *why)
{
	if (c == NULL)
		return true;
	if (!rotation_in_doubt(c)) {
		if (!c->preloaded && c->pair == PAIR_NONE && c->seen.there)
			(void)err_set(why, E_UNAVAIL, "%.100s: its certificate %s", c->gen.id,
			    c->present ? "does not belong to its key" : "is damaged");
		return true;
	}
	if (c->ticket != NULL || !held(c, now))
		return false;
	(void)err_set(why, E_UNAVAIL, "%.100s: is being replaced together with its key: %.250s", c->gen.id, c->gen.error.text);
	return true;
}

/* True: the wait is over, for the reason in *why (E_OK: it is usable, or settled). */
static bool
is_over(const struct wait *w, int64_t now, struct err *why)
{
	const struct credential *c = w->c;

	*why = (struct err){ 0 };
	if (w->settled)
		return is_settled(c, now, why);
	if (c == NULL) {
		(void)err_set(why, E_NOTFOUND, "no such EST identity is configured");
		return true;
	}
	if (rotation_usable(c, now) && !rotation_spent(c, now))
		return true;
	if (c->ticket != NULL || c->waiting)
		return false;
	if (c->preloaded && c->pair != PAIR_UNKNOWN) {
		(void)err_set(why, E_POLICY, "%.200s: preloaded, not usable, and never replaced", c->gen.id);
		return true;
	}
	if (c->gen.disabled && c->pair != PAIR_UNKNOWN) {
		(void)err_set(why, E_POLICY, "%.200s: not usable, and an operator has stopped its renewal", c->gen.id);
		return true;
	}
	if (!held(c, now))
		return false;
	(void)err_set(why, E_UNAVAIL, "%.100s: %.280s", c->gen.id, c->gen.error.text);
	return true;
}

/* Whoever is told that the pair is ready uses it now: it is not switched under his hands, within reason. */
static void
lend(struct credential *c, int64_t now)
{
	int64_t until = now + ENGINE_LENT_S;

	if (c->gen.state == GEN_STAGED && until > c->staged_at + ENGINE_STAGED_S)
		until = c->staged_at + ENGINE_STAGED_S;
	if (now >= c->lent_until)
		c->lent = 0; /* who never came back */
	if (c->lent++ == 0 || until > c->lent_until)
		c->lent_until = until;
}

/* Answer those whose wait is over; true when there were any. */
static bool
answer(struct engine *en, int64_t now)
{
	struct wait **at = &en->waits, *over = NULL, **end = &over;
	bool any;
	struct err why;

	for (struct credential *c = en->all; c != NULL; c = c->next)
		c->needed = false;
	while (*at != NULL) {
		struct wait *w = *at;

		if (!is_over(w, now, &why)) {
			w->c->needed = true;
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->next = NULL;
		*end = w;
		end = &w->next;
	}
	any = over != NULL;
	while (over != NULL) {
		struct wait *w = over;

		over = w->next;
		(void)is_over(w, now, &why);
		if (why.code == E_OK && !w->settled)
			lend(w->c, now);
		w->fn(w->ctx, why.code == E_OK ? NULL : &why);
		mem_free(w);
	}
	return any;
}

void
engine_turn(struct engine *en)
{
	int64_t now = en->now(), first = INT64_MAX;

	if (en->s == NULL)
		return;
	en->woken = false;
	tell_clock(en, now);
	if (now + ALARM_EACH_S < en->last_turn)
		forget_pauses(en);
	en->last_turn = now;
	for (struct credential *c = en->all; c != NULL; c = c->next)
		notice(c);
	(void)answer(en, now);
	for (struct credential *c = en->all; c != NULL; c = c->next) {
		int64_t when = rotation_go(c);

		first = when < first ? when : first;
	}
	if (answer(en, now) || en->woken)
		first = now;
	/* The alarm rings each minute and when the clock is set; only what is sooner needs a timer of its own. */
	if (first <= now)
		engine_wake(en);
	else if (first - now < ALARM_EACH_S)
		loop_timer_in(en->timer, (uint64_t)(first - now) * 1000);
}

/* --- wishes --- */

static void
wait_for(struct engine *en, const struct wait *what)
{
	struct wait *w = mem_zalloc(sizeof(*w)), **at = &en->waits;

	*w = *what;
	while (*at != NULL)
		at = &(*at)->next;
	*at = w;
	engine_wake(en);
}

void
engine_settled(struct engine *en, const char *cert_id, engine_ready fn, void *ctx)
{
	struct credential *c = engine_find(en, cert_id);
	struct err why = { 0 };

	if (c == NULL || !rotation_in_doubt(c)) {
		(void)is_settled(c, en->now(), &why);
		fn(ctx, why.code == E_OK ? NULL : &why);
	} else
		wait_for(en, &(struct wait){ .c = c, .settled = true, .fn = fn, .ctx = ctx });
}

void
engine_need(struct engine *en, const char *cert_id, const struct name *subject, const char *fallback_url,
    engine_ready fn, void *ctx)
{
	struct credential *c = engine_find(en, cert_id);

	wait_for(en, &(struct wait){ .c = c, .fn = fn, .ctx = ctx });
	if (c != NULL && subject != NULL)
		c->need_subject = *subject;
	if (c != NULL && fallback_url != NULL && strlen(fallback_url) < sizeof(c->need_url))
		(void)snprintf(c->need_url, sizeof(c->need_url), "%s", fallback_url);
}

/* An exchange is over; false: it was with the pair before. */
static bool
give_back(struct credential *c)
{
	if (c->stale > 0 && rotation_ahead(c->stale_until, c->en->now())) {
		c->stale--;
		return false;
	}
	c->lent -= c->lent > 0;
	return true;
}

void
engine_used(struct engine *en, const char *cert_id, bool taken)
{
	struct credential *c = engine_find(en, cert_id);

	if (c == NULL)
		return;
	if (give_back(c))
		rotation_used(c, taken);
	engine_wake(en);
}

void
engine_returned(struct engine *en, const char *cert_id)
{
	struct credential *c = engine_find(en, cert_id);

	if (c == NULL)
		return;
	(void)give_back(c);
	engine_wake(en);
}

static int
find(struct credential **out, const struct engine *en, const char *cert_id, struct err *e)
{
	*out = engine_find(en, cert_id);
	return *out != NULL ? 0 : err_set(e, E_NOTFOUND, "%.200s: not a certificate that is renewed here", cert_id);
}

int
engine_renew_now(struct engine *en, const char *cert_id, struct err *e)
{
	struct credential *c;
	int r = find(&c, en, cert_id, e);

	if (r != 0)
		return r;
	if (c->preloaded)
		return err_set(e, E_POLICY, "%.200s: preloaded certificates are not replaced", cert_id);
	if (c->gen.disabled)
		return err_set(e, E_POLICY, "%.200s: its renewal is disabled; enable it first", cert_id);
	c->renew_now = true;
	engine_wake(en);
	return 0;
}

int
engine_set_disabled(struct engine *en, const char *cert_id, bool disabled, struct err *e)
{
	struct credential *c;
	struct generation g;
	int r = find(&c, en, cert_id, e);

	if (r != 0)
		return r;
	g = c->gen;
	g.disabled = disabled;
	r = rotation_commit(c, &g, e);
	if (r == 0)
		slog(SLOG_WARN, "%s: an operator has %s its renewal", cert_id, disabled ? "stopped" : "resumed");
	engine_wake(en);
	return r;
}

void
engine_look(struct engine *en, const char *cert_id)
{
	struct credential *c = engine_find(en, cert_id);

	if (c == NULL)
		return;
	c->look = true;
	engine_wake(en);
}
