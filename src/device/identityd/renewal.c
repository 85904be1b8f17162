/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/renewal.c - the identity certificate renewed: the old pair works until the service has taken the new one */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "core/base/text.h"
#include "device/identityd/keeper_inside.h"
#include "device/service/slog.h"

#define JOURNAL        "identity-cert"
#define NO_MORE        3   /* refusals of a new pair until another is made */
#define TIDY_TRIES     10
#define SWITCH_PAUSE_S 30  /* keyd and certd are on this machine: they come back soon */

static const char *const step_names[STEP_COUNT] = { "idle", "issuing", "issued", "confirmed" };

const char *
renewal_step_name(enum step step)
{
	return step_names[step];
}

static void
temp_of(char out[ID_MAX], const char *id)
{
	(void)snprintf(out, ID_MAX, "%.*s%s", (int)(ID_MAX - sizeof(IDENTITYD_TEMP)), id, IDENTITYD_TEMP);
}

/* --- its journal --- */

static void
to_idle(struct keeper *k)
{
	struct err e;

	k->step = STEP_IDLE;
	json_decref(k->journal);
	k->journal = NULL;
	mem_free(k->new_chain);
	k->new_chain = NULL;
	k->refused = 0;
	if (state_journal_remove(settings(k)->homedir, JOURNAL, &e) != 0)
		slog(SLOG_WARN, "renewal: %s", e.msg);
}

/* The step is taken only when this is on the disk. */
static bool
note_step(struct keeper *k, enum step step)
{
	struct err e;

	if (k->journal == NULL)
		k->journal = json_object();
	json_setf(k->journal, "step", "%s", step_names[step]);
	json_setf(k->journal, "cert", "%s", settings(k)->cert);
	json_setf(k->journal, "key", "%s", settings(k)->key);
	json_object_set_new(k->journal, "rotate", json_boolean(k->rotate));
	if (state_journal_put(settings(k)->homedir, JOURNAL, k->journal, &e) != 0) {
		slog(SLOG_ERROR, "renewal of '%s': %s", settings(k)->cert, e.msg);
		k->next = clock_now() + SWITCH_PAUSE_S;
		return false;
	}
	k->step = step;
	return true;
}

void
renewal_read_journal(struct keeper *k)
{
	AUTO_JSON v = NULL;
	const char *step;
	struct err e;

	if (state_journal_get(&v, settings(k)->homedir, JOURNAL, &e) != 0) {
		if (e.code != E_NOTFOUND)
			slog(SLOG_WARN, "renewal: %s; it begins anew", e.msg);
		return;
	}
	step = json_str(v, "step", "");
	if (strcmp(json_str(v, "cert", ""), settings(k)->cert) != 0 || strcmp(json_str(v, "key", ""), settings(k)->key) != 0)
		return; /* of another configuration */
	for (size_t i = STEP_ISSUING; i < STEP_COUNT; i++)
		if (strcmp(step, step_names[i]) == 0)
			k->step = (enum step)i;
	k->rotate = json_flag(v, "rotate", false);
	k->journal = TAKE(v);
}

/* --- its steps --- */

static void
put_off(struct keeper *k, const struct task_result *r, int64_t pause)
{
	k->next = clock_now() + pause;
	identityd_wake(k->d, pause);
	k->last_error_at = clock_now();
	text_copy(k->last_error, sizeof(k->last_error), r->text);
	text_copy(k->last_outcome, sizeof(k->last_outcome), task_outcome_name(r->outcome));
	slog(SLOG_WARN, "Tried to renew %s, but %s. %sRetrying in %lld s.", settings(k)->cert, r->text,
	    k->switching ? "" : "The old certificate stays in use. ", (long long)pause);
	if (k->switching)
		loop_late_ask(k->late); /* somebody may be waiting for the end of it */
}

static void
renewal_failed(struct keeper *k, const struct task_result *r)
{
	k->tries++;
	put_off(k, r, policy_pause(&settings(k)->policy, &k->life, clock_now(), k->tries, rnd_below(UINT32_MAX), r->retry_after_s));
}

/* --- the last step: everything here may be done twice --- */

/*
 * The new pair is in force, and something of the renewal could not be removed: a service that is being started again
 * gets another chance, one that says no does not keep the journal for ever.
 */
static bool
is_left(struct keeper *k, const struct task_result *r)
{
	k->working = NULL;
	if (r->outcome == TASK_DONE || r->outcome == TASK_NOT_FOUND)
		return false;
	k->tidy_tries++;
	slog(SLOG_WARN, "Certificate %s was renewed, but what it left could not be removed: %s.", settings(k)->cert, r->text);
	if (k->tidy_tries >= TIDY_TRIES)
		return false;
	k->next = clock_now() + SWITCH_PAUSE_S;
	identityd_wake(k->d, SWITCH_PAUSE_S);
	return true;
}

static void
on_tidied(void *ctx, const struct task_result *r)
{
	struct keeper *k = ctx;
	char next[CLOCK_TEXT_MAX];

	if (is_left(k, r))
		return;
	to_idle(k);
	k->tidy_tries = 0;
	k->tries = 0;
	k->next = 0;
	k->last_error[0] = 0;
	slog(SLOG_INFO, "Certificate %s was renewed. Next renewal at %s.", settings(k)->cert,
	    clock_text(policy_begin(&settings(k)->policy, &k->life, k->jitter), next));
}

static void
prove_key(struct keeper *k)
{
	json_t *args = cloud_local_args(k->d);

	json_setf(args, "key", "%s", settings(k)->key);
	k->working = tasks_run(k->d->tasks, TASK_KEY_PROVE, args, on_tidied, k);
}

static void
on_temp_deleted(void *ctx, const struct task_result *r)
{
	struct keeper *k = ctx;

	if (is_left(k, r))
		return;
	if (k->rotate)
		prove_key(k);
	else
		on_tidied(k, &(struct task_result){ .outcome = TASK_DONE });
}

static void
end_switch(struct keeper *k)
{
	k->switching = false;
	loop_late_ask(k->late);
}

/* A task on the pair that is to follow. */
static void
ask_of_temp(struct keeper *k, enum task_kind kind, tasks_done fn)
{
	json_t *args = cloud_local_args(k->d);
	char temp[ID_MAX];

	temp_of(temp, settings(k)->cert);
	json_setf(args, "id", "%s", temp);
	k->working = tasks_run(k->d->tasks, kind, args, fn, k);
}

/* The new pair is in its place: now the service's word on it is in force too. */
static void
on_put(void *ctx, const struct task_result *r)
{
	struct keeper *k = ctx;
	const json_t *answer = json_object_get(k->journal, "answer");
	struct err e;

	k->working = NULL;
	if (r->outcome != TASK_DONE) {
		k->switching = k->rotate; /* the key is new, the certificate is not */
		put_off(k, r, SWITCH_PAUSE_S);
		return;
	}
	if (keeper_take_chain(k, k->new_chain, &e) != 0)
		slog(SLOG_ERROR, "renewal: %s", e.msg);
	/* Settings that are others by now are confirmed by a try of their own. */
	if (json_is_object(answer) &&
	    strcmp(json_str(k->journal, "settings", ""), provisioner_digest(k->d->provisioner)) == 0 &&
	    provisioner_confirmed(k->d->provisioner, answer, &e) != 0)
		slog(SLOG_ERROR, "provisioning: %s", e.msg);
	end_switch(k);
	ask_of_temp(k, TASK_CERT_DELETE, on_temp_deleted);
}

static void
put_certificate(struct keeper *k)
{
	json_t *args = cloud_local_args(k->d);

	json_setf(args, "id", "%s", settings(k)->cert);
	json_setf(args, "pem", "%s", k->new_chain);
	k->working = tasks_run(k->d->tasks, TASK_CERT_PUT, args, on_put, k);
}

static void
on_switched(void *ctx, const struct task_result *r)
{
	struct keeper *k = ctx;

	k->working = NULL;
	if (r->outcome == TASK_DONE) {
		put_certificate(k);
		return;
	}
	k->switching = false; /* the key is the old one still */
	put_off(k, r, SWITCH_PAUSE_S);
	loop_late_ask(k->late);
}

static void
switch_pair(struct keeper *k)
{
	json_t *args;
	char temp[ID_MAX];

	k->switching = true;
	if (!k->rotate) {
		put_certificate(k);
		return;
	}
	args = cloud_local_args(k->d);
	temp_of(temp, settings(k)->key);
	json_setf(args, "key", "%s", settings(k)->key);
	json_setf(args, "from", "%s", temp);
	json_setf(args, "spki", "%s", json_str(k->journal, "spki", ""));
	k->working = tasks_run(k->d->tasks, TASK_KEY_SWITCH, args, on_switched, k);
}

/* --- asking the service whether it takes the new pair --- */

static void
on_dropped(void *ctx, const struct task_result *r)
{
	struct keeper *k = ctx;

	(void)r;
	k->working = NULL;
	to_idle(k);
}

/* It does not: the old pair stays, the next try makes another. */
static void
drop_new(struct keeper *k)
{
	slog(SLOG_ERROR, "The service refused the new certificate '%s' %d times: it is given up.", settings(k)->cert, NO_MORE);
	ask_of_temp(k, TASK_CERT_DELETE, on_dropped);
}

static void
on_confirmed(void *ctx, const struct task_result *r)
{
	struct keeper *k = ctx;

	k->working = NULL;
	if (r->outcome == TASK_DONE) {
		json_object_set(k->journal, "answer", r->value);
		json_setf(k->journal, "settings", "%s", provisioner_digest(k->d->provisioner));
		if (note_step(k, STEP_CONFIRMED))
			switch_pair(k);
		return;
	}
	renewal_failed(k, r);
	k->refused += r->outcome == TASK_REFUSED;
	if (k->refused >= NO_MORE)
		drop_new(k);
}

static void
confirm(struct keeper *k)
{
	struct task_result bad = { .outcome = TASK_BAD_TASK, .retry_after_s = -1 };
	char temp[ID_MAX];
	json_t *args;
	struct err e;

	if (settings(k)->source != SOURCE_IS_DPS) {
		if (note_step(k, STEP_CONFIRMED))
			switch_pair(k);
		return;
	}
	temp_of(temp, settings(k)->key);
	args = provisioner_dps_args(k->d, cloud_args_with(k->d, k->new_chain, k->rotate ? temp : settings(k)->key), &e);
	if (args != NULL) {
		k->working = tasks_run(k->d->tasks, TASK_DPS, args, on_confirmed, k);
		return;
	}
	text_copy(bad.text, sizeof(bad.text), e.msg);
	renewal_failed(k, &bad);
}

/* --- issuing --- */

static void
on_issued(void *ctx, const struct task_result *r)
{
	struct keeper *k = ctx;

	k->working = NULL;
	if (r->outcome != TASK_DONE) {
		renewal_failed(k, r);
		return;
	}
	mem_free(k->new_chain);
	k->new_chain = mem_strdup(json_str(r->value, "pem", ""));
	json_setf(k->journal, "spki", "%s", json_str(r->value, "spki", ""));
	if (note_step(k, STEP_ISSUED))
		confirm(k);
}

static void
issue(struct keeper *k, bool first)
{
	const struct name *subject = k->name.n != 0 ? &k->name : &settings(k)->subject;
	json_t *args = cloud_local_args(k->d);
	char cert[ID_MAX], key[ID_MAX];

	temp_of(cert, settings(k)->cert);
	temp_of(key, settings(k)->key);
	json_setf(args, "id", "%s", cert);
	json_setf(args, "key", "%s", k->rotate ? key : settings(k)->key);
	json_setf(args, "algorithms", "%s", KEEPER_ALGORITHMS);
	json_object_set_new(args, "fresh", json_boolean(first && k->rotate)); /* a repetition has the same key */
	json_object_set_new(args, "subject", keeper_subject(subject));
	json_object_set_new(args, "client_auth", json_true());
	k->working = tasks_run(k->d->tasks, TASK_CERT_ISSUE, args, on_issued, k);
}

static void
begin(struct keeper *k)
{
	slog(SLOG_INFO, "Attempting to renew certificate %s.", settings(k)->cert);
	k->rotate = settings(k)->policy.rotate_key;
	if (note_step(k, STEP_ISSUING))
		issue(k, true);
}

/* --- going on after a restart --- */

/* The new certificate was put in its place, or ID-temp would be there: the pair is whole, and only tidying is left. */
static void
resume_end(struct keeper *k)
{
	end_switch(k);
	if (k->chain == NULL) {
		if (k->waiters == NULL)
			keeper_ensure(k, keeper_looked, k);
	} else if (k->rotate && keeper_leaf_has_key(k->chain, json_str(k->journal, "spki", ""))) {
		prove_key(k);
	} else {
		to_idle(k);
	}
}

/* The certificate ID-temp; what is not of this renewal is none. */
static void
on_resumed(void *ctx, const struct task_result *r)
{
	struct keeper *k = ctx;
	const char *spki = json_str(k->journal, "spki", ""), *pem = json_str(r->value, "pem", "");

	k->working = NULL;
	if (r->outcome == TASK_DONE && keeper_leaf_has_key(pem, spki)) {
		mem_free(k->new_chain);
		k->new_chain = mem_strdup(pem);
		if (k->step == STEP_CONFIRMED)
			switch_pair(k);
		else
			confirm(k);
	} else if (r->outcome != TASK_DONE && r->outcome != TASK_NOT_FOUND) {
		put_off(k, r, SWITCH_PAUSE_S);
	} else if (k->step == STEP_CONFIRMED) {
		resume_end(k);
	} else {
		to_idle(k);
	}
}

/* When there is something to do about a renewal: later than k->next, if that is a time; 0: never. */
static int64_t
due_at(const struct keeper *k)
{
	int64_t begin_at, next = identityd_ahead(k->next, clock_now()) ? k->next : 1;

	if (k->step != STEP_IDLE)
		return next;
	if (!settings(k)->renew || k->chain == NULL)
		return 0;
	begin_at = policy_begin(&settings(k)->policy, &k->life, k->jitter);
	return begin_at > next ? begin_at : next;
}

void
renewal_advance(struct keeper *k)
{
	int64_t now = clock_now(), due = due_at(k);

	if (k->working != NULL || k->looking != NULL || due == 0)
		return;
	if (now < due) {
		identityd_wake(k->d, due - now);
		return;
	}
	if (k->step == STEP_ISSUING)
		issue(k, false);
	else if (k->step != STEP_IDLE)
		ask_of_temp(k, TASK_CERT_GET, on_resumed);
	else
		begin(k);
}
