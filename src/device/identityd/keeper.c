/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/keeper.c - the identity certificate: made when it is missing, renewed so that the old pair works until the new one does */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "core/base/text.h"
#include "core/codec/base64.h"
#include "core/pki/cert.h"
#include "device/identityd/identityd_inside.h"
#include "device/service/slog.h"

#define JOURNAL        "identity-cert"
#define ALGORITHMS     "ec-p256:rsa-2048:*"
#define NO_MORE        3   /* refusals of a new pair until another is made */
#define TIDY_TRIES     10
#define SWITCH_PAUSE_S 30  /* keyd and certd are on this machine: they come back soon */

/* Each step is in the journal before it is taken; see ARCHITECTURE.md. */
enum step {
	STEP_IDLE,      /* one pair; no journal */
	STEP_ISSUING,   /* the key ID-temp may exist, and so may the certificate ID-temp */
	STEP_ISSUED,    /* both do; the service is asked whether it takes them */
	STEP_CONFIRMED, /* it does: the key is switched, then the certificate is put in the place of the old one */
	STEP_COUNT
};
static const char *const step_names[STEP_COUNT] = { "idle", "issuing", "issued", "confirmed" };

struct waiter {
	struct waiter *next;
	keeper_fn fn;
	void *ctx;
};

struct keeper {
	struct identityd *d;
	struct loop_late *late;
	/* the pair in force, as far as it is known */
	char *chain;                   /* PEM; NULL: not read yet */
	struct policy_life life;
	char subject[NAME_TEXT_MAX], serial[2 * CERT_SERIAL_MAX + 1];
	struct name name;
	uint32_t jitter;
	/* seeing to it that it is there */
	struct waiter *waiters;
	struct tasks_ticket *looking;
	/* its renewal */
	enum step step;
	struct tasks_ticket *working;
	bool switching;                /* keyd or certd are being told: nobody may see half of it */
	bool rotate;                   /* as it was when this renewal began */
	char *new_chain;
	json_t *journal;               /* what is on disk; NULL: none */
	unsigned tries, refused, tidy_tries;
	int64_t next;                  /* not before; 0: by the policy */
	char last_error[TASK_TEXT_MAX], last_outcome[24];
	int64_t last_error_at;
};

static const struct identityd_settings *
settings(const struct keeper *k)
{
	return k->d->settings;
}

static bool
has_certificate(const struct keeper *k)
{
	return settings(k)->auth == AUTH_IS_X509;
}

static void
temp_of(char out[ID_MAX], const char *id)
{
	(void)snprintf(out, ID_MAX, "%.*s%s", (int)(ID_MAX - sizeof(IDENTITYD_TEMP)), id, IDENTITYD_TEMP);
}

/* --- the pair in force --- */

static void
forget_chain(struct keeper *k)
{
	mem_free(k->chain);
	k->chain = NULL;
	k->life = (struct policy_life){ 0 };
	k->name.n = 0;
	k->subject[0] = k->serial[0] = 0;
}

static int
take_chain(struct keeper *k, const char *pem, struct err *e)
{
	AUTO_BUF der = { 0 };
	struct cert c;
	int r;

	if ((r = pem_decode(&der, bytes_of(pem), "CERTIFICATE", e)) != 0 || (r = cert_parse(&c, bytes_of_buf(&der), e)) != 0)
		return err_prefix(e, E_FORMAT, "certificate '%s'", settings(k)->cert);
	forget_chain(k);
	k->chain = mem_strdup(pem);
	k->life = (struct policy_life){ c.not_before, c.not_after };
	memcpy(&k->jitter, c.sha256, sizeof(k->jitter));
	(void)cert_serial_text(c.serial, k->serial);
	if (c.subject_known) {
		name_copy(&k->name, &c.subject);
		(void)name_text(&k->name, k->subject);
	}
	return 0;
}

static bool
leaf_has_key(const char *pem, const char *spki_base64)
{
	AUTO_BUF der = { 0 };
	AUTO_BUF text = { 0 };
	struct cert c;

	if (pem_decode(&der, bytes_of(pem), "CERTIFICATE", NULL) != 0 || cert_read(&c, bytes_of_buf(&der), NULL) != 0)
		return false;
	base64_encode(&text, c.spki, 0);
	return strcmp(buf_str(&text), spki_base64) == 0;
}

const char *
keeper_chain(const struct keeper *k)
{
	return k->chain != NULL ? k->chain : "";
}

/* --- seeing that it is there --- */

static void look(struct keeper *k);
static void advance(struct keeper *k);
static void on_looked(void *ctx, const struct err *why);

static void
tell_waiters(struct keeper *k, const struct err *why)
{
	struct waiter *all = k->waiters;

	k->waiters = NULL;
	while (all != NULL) {
		struct waiter *w = all;

		all = w->next;
		w->fn(w->ctx, why);
		mem_free(w);
	}
}

static json_t *
subject_json(const struct name *n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n->n; i++)
		json_array_append_new(list, json_pack("[s, s]", oid_name(n->ava[i].type), n->ava[i].value));
	return list;
}

static void
on_made(void *ctx, const struct task_result *r)
{
	struct keeper *k = ctx;
	struct err e;

	k->looking = NULL;
	if (cloud_err(&e, r) == 0 && take_chain(k, json_str(r->value, "pem", ""), &e) == 0) {
		slog(SLOG_INFO, "Generated initial device identity certificate.");
		tell_waiters(k, NULL);
	} else {
		tell_waiters(k, &e);
	}
}

/* A key that is there is kept: it may be the one that somebody else knows. */
static void
make(struct keeper *k, const struct name *subject)
{
	json_t *args = cloud_local_args(k->d);
	struct err e;

	if (subject->n == 0) {
		json_decref(args);
		(void)err_set(&e, E_NOTFOUND, "certificate '%s' is not there, and cannot be asked for: registration_id, its name, is not "
		    "configured", settings(k)->cert);
		tell_waiters(k, &e);
		return;
	}
	provisioner_stale(k->d->provisioner);
	json_setf(args, "id", "%s", settings(k)->cert);
	json_setf(args, "key", "%s", settings(k)->key);
	json_setf(args, "algorithms", "%s", ALGORITHMS);
	json_object_set_new(args, "subject", subject_json(subject));
	json_object_set_new(args, "client_auth", json_true());
	k->looking = tasks_run(k->d->tasks, TASK_CERT_ISSUE, args, on_made, k);
}

/* Nobody gets one without the other: a switch may have been broken off, or a backup was restored by half. */
static int
check_pair(const struct keeper *k, const char *spki, struct err *e)
{
	if (spki[0] == 0 || leaf_has_key(keeper_chain(k), spki))
		return 0;
	return err_set(e, E_UNAVAIL, "certificate '%s' is not for key '%s' as it is now: put the certificate of that key there, or "
	    "delete it, so that another is made", settings(k)->cert, settings(k)->key);
}

static void
on_key(void *ctx, const struct task_result *r)
{
	struct keeper *k = ctx;
	struct err e;

	k->looking = NULL;
	if (cloud_err(&e, r) == 0 && check_pair(k, json_str(r->value, "spki", ""), &e) == 0) {
		tell_waiters(k, NULL);
	} else if (e.code == E_NOTFOUND) {
		slog(SLOG_WARN, "The key of certificate '%s' is gone: both are made anew.", settings(k)->cert);
		make(k, settings(k)->subject.n != 0 ? &settings(k)->subject : &k->name);
	} else {
		tell_waiters(k, &e);
	}
}

static void
look_for_key(struct keeper *k)
{
	json_t *args = cloud_local_args(k->d);

	json_setf(args, "key", "%s", settings(k)->key);
	json_object_set_new(args, "pair", json_true());
	json_object_set_new(args, "uid", json_integer((json_int_t)getuid()));
	k->looking = tasks_run(k->d->tasks, TASK_KEY_HANDLE, args, on_key, k);
}

static void
on_found(void *ctx, const struct task_result *r)
{
	struct keeper *k = ctx;
	struct err e;

	k->looking = NULL;
	if (cloud_err(&e, r) == 0 && take_chain(k, json_str(r->value, "pem", ""), &e) == 0) {
		/* Where renewal is on it sees to what has ended, with its own care. */
		if (k->life.not_after > clock_now() || settings(k)->renew || settings(k)->subject.n == 0)
			look_for_key(k);
		else
			make(k, &settings(k)->subject);
	} else if (e.code == E_NOTFOUND) {
		forget_chain(k);
		make(k, &settings(k)->subject);
	} else {
		tell_waiters(k, &e);
	}
}

/* Key and certificate do not belong together just now, and a service of this machine is awaited for it. */
static void
tell_half(struct keeper *k)
{
	struct err e;

	(void)err_set(&e, E_UNAVAIL, "certificate '%s' and its key are being replaced: %.250s", settings(k)->cert, k->last_error);
	tell_waiters(k, &e);
}

static void
look(struct keeper *k)
{
	json_t *args;

	if (k->waiters == NULL || k->looking != NULL)
		return;
	if (k->switching) {
		if (k->working == NULL)
			tell_half(k);
		return;
	}
	if (!has_certificate(k)) {
		tell_waiters(k, NULL);
		return;
	}
	args = cloud_local_args(k->d);
	json_setf(args, "id", "%s", settings(k)->cert);
	k->looking = tasks_run(k->d->tasks, TASK_CERT_GET, args, on_found, k);
}

static void
on_late(void *ctx)
{
	struct keeper *k = ctx;

	if (k->switching)
		advance(k);
	look(k);
}

void
keeper_ensure(struct keeper *k, keeper_fn fn, void *ctx)
{
	struct waiter *w = mem_zalloc(sizeof(*w));

	*w = (struct waiter){ .next = k->waiters, .fn = fn, .ctx = ctx };
	k->waiters = w;
	loop_late_ask(k->late);
}

/* --- renewal: its journal --- */

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

static void
read_journal(struct keeper *k)
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

/* --- renewal: its steps --- */

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

static void
delete_temp(struct keeper *k, tasks_done fn)
{
	json_t *args = cloud_local_args(k->d);
	char temp[ID_MAX];

	temp_of(temp, settings(k)->cert);
	json_setf(args, "id", "%s", temp);
	k->working = tasks_run(k->d->tasks, TASK_CERT_DELETE, args, fn, k);
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
	if (take_chain(k, k->new_chain, &e) != 0)
		slog(SLOG_ERROR, "renewal: %s", e.msg);
	/* Settings that are others by now are confirmed by a try of their own. */
	if (json_is_object(answer) &&
	    strcmp(json_str(k->journal, "settings", ""), provisioner_digest(k->d->provisioner)) == 0 &&
	    provisioner_confirmed(k->d->provisioner, answer, &e) != 0)
		slog(SLOG_ERROR, "provisioning: %s", e.msg);
	end_switch(k);
	delete_temp(k, on_temp_deleted);
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
	delete_temp(k, on_dropped);
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
	json_setf(args, "algorithms", "%s", ALGORITHMS);
	json_object_set_new(args, "fresh", json_boolean(first && k->rotate)); /* a repetition has the same key */
	json_object_set_new(args, "subject", subject_json(subject));
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
			keeper_ensure(k, on_looked, k);
	} else if (k->rotate && leaf_has_key(k->chain, json_str(k->journal, "spki", ""))) {
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
	if (r->outcome == TASK_DONE && leaf_has_key(pem, spki)) {
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

static void
resume(struct keeper *k)
{
	json_t *args = cloud_local_args(k->d);
	char temp[ID_MAX];

	temp_of(temp, settings(k)->cert);
	json_setf(args, "id", "%s", temp);
	k->working = tasks_run(k->d->tasks, TASK_CERT_GET, args, on_resumed, k);
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

/* What is due, if nothing is under way. */
static void
advance(struct keeper *k)
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
		resume(k);
	else
		begin(k);
}

/* --- the whole --- */

static void
on_looked(void *ctx, const struct err *why)
{
	struct keeper *k = ctx;

	if (why != NULL)
		slog(SLOG_WARN, "identity certificate: %s", why->msg);
	else
		advance(k);
}

void
keeper_tick(struct keeper *k)
{
	if (!has_certificate(k))
		return;
	if (k->chain != NULL || k->switching)
		advance(k);
	else if (k->waiters == NULL)
		keeper_ensure(k, on_looked, k);
}

struct keeper *
keeper_new(struct identityd *d)
{
	struct keeper *k = mem_zalloc(sizeof(*k));

	k->d = d;
	k->late = loop_late_new(d->loop, on_late, k);
	return k;
}

void
keeper_free(struct keeper *k)
{
	if (k == NULL)
		return;
	for (struct waiter *w = k->waiters, *next; w != NULL; w = next) {
		next = w->next;
		mem_free(w);
	}
	forget_chain(k);
	mem_free(k->new_chain);
	json_decref(k->journal);
	loop_late_free(k->late);
	mem_free(k);
}

static void
cancel(struct keeper *k, struct tasks_ticket **t)
{
	if (*t != NULL)
		tasks_cancel(k->d->tasks, *t);
	*t = NULL;
}

/* A renewal of other IDs than before ends where it stands; its journal says what there is, if they come back. */
void
keeper_configure(struct keeper *k)
{
	cancel(k, &k->working);
	cancel(k, &k->looking);
	k->switching = false;
	k->step = STEP_IDLE;
	k->next = 0;
	json_decref(k->journal);
	k->journal = NULL;
	forget_chain(k);
	if (has_certificate(k)) {
		read_journal(k);
		k->switching = k->step == STEP_CONFIRMED; /* how far it came will be seen */
		keeper_ensure(k, on_looked, k);
	}
	loop_late_ask(k->late);
}

static void
put_time(json_t *o, const char *key, int64_t t)
{
	json_object_set_new(o, key, t > 0 ? json_integer(t) : json_null());
}

json_t *
keeper_report(const struct keeper *k)
{
	json_t *v;

	if (!has_certificate(k))
		return json_null();
	v = json_object();
	json_setf(v, "id", "%s", settings(k)->cert);
	json_setf(v, "key_id", "%s", settings(k)->key);
	json_setf(v, "state", "%s", k->chain == NULL ? "missing" : step_names[k->step]);
	json_setf(v, "subject", "%s", k->subject);
	json_setf(v, "serial", "%s", k->serial);
	put_time(v, "not_before", k->life.not_before);
	put_time(v, "not_after", k->life.not_after);
	put_time(v, "renew_at", settings(k)->renew && k->chain != NULL ?
	    policy_begin(&settings(k)->policy, &k->life, k->jitter) : 0);
	put_time(v, "next_try", k->next);
	json_object_set_new(v, "tries", json_integer(k->tries));
	if (k->last_error[0] != 0) {
		json_setf(v, "last_error", "%s", k->last_error);
		json_setf(v, "last_outcome", "%s", k->last_outcome);
		put_time(v, "last_error_at", k->last_error_at);
	}
	return v;
}
