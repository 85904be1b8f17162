/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/keeper.c - the identity certificate with its key: seen to, and made when it is missing */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/codec/base64.h"
#include "device/identityd/keeper_inside.h"
#include "device/service/slog.h"

static bool
has_certificate(const struct keeper *k)
{
	return settings(k)->auth == AUTH_IS_X509;
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

int
keeper_take_chain(struct keeper *k, const char *pem, struct err *e)
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

bool
keeper_leaf_has_key(const char *pem, const char *spki_base64)
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

json_t *
keeper_subject(const struct name *n)
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
	if (cloud_err(&e, r) == 0 && keeper_take_chain(k, json_str(r->value, "pem", ""), &e) == 0) {
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
	json_setf(args, "algorithms", "%s", KEEPER_ALGORITHMS);
	json_object_set_new(args, "subject", keeper_subject(subject));
	json_object_set_new(args, "client_auth", json_true());
	k->looking = tasks_run(k->d->tasks, TASK_CERT_ISSUE, args, on_made, k);
}

/* Nobody gets one without the other: a switch may have been broken off, or a backup was restored by half. */
static int
check_pair(const struct keeper *k, const char *spki, struct err *e)
{
	if (spki[0] == 0 || keeper_leaf_has_key(keeper_chain(k), spki))
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
	if (cloud_err(&e, r) == 0 && keeper_take_chain(k, json_str(r->value, "pem", ""), &e) == 0) {
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
		renewal_advance(k);
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

/* --- the whole --- */

void
keeper_looked(void *ctx, const struct err *why)
{
	struct keeper *k = ctx;

	if (why != NULL)
		slog(SLOG_WARN, "identity certificate: %s", why->msg);
	else
		renewal_advance(k);
}

void
keeper_tick(struct keeper *k)
{
	if (!has_certificate(k))
		return;
	if (k->chain != NULL || k->switching)
		renewal_advance(k);
	else if (k->waiters == NULL)
		keeper_ensure(k, keeper_looked, k);
}

struct keeper *
keeper_new(struct identityd *d)
{
	struct keeper *k = mem_zalloc(sizeof(*k));

	k->d = d;
	k->late = loop_late_new(d->daemon.loop, on_late, k);
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
		renewal_read_journal(k);
		k->switching = k->step == STEP_CONFIRMED; /* how far it came will be seen */
		keeper_ensure(k, keeper_looked, k);
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
	json_setf(v, "state", "%s", k->chain == NULL ? "missing" : renewal_step_name(k->step));
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
