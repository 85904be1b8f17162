/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/provisioner.c - provisioning: what is confirmed replaces what was, and nothing else does */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "core/base/text.h"
#include "core/pki/cert.h"
#include "device/identityd/identityd_inside.h"
#include "device/service/slog.h"

#define JOURNAL      "provisioning"
#define PAYLOAD_MAX  ((size_t)16 * 1024)
#define PAUSE_LEAST_S 10
#define PAUSE_MOST_S  900
#define PAUSE_SAID_S  86400 /* a service may ask for so much patience */

/* Somebody who wants to know how it ends. */
struct asker {
	struct asker *next;
	provisioner_fn fn;
	void *ctx;
};

struct provisioner {
	struct identityd *d;
	bool known;                     /* device is in force */
	struct identity_device device;
	json_t *payload;                /* that the service told last; NULL: none */
	char digest[2 * SHA256_LEN + 1];    /* of the settings that it was confirmed under; "" not known */
	struct tasks_ticket *ticket;
	bool running;                   /* a try is under way, also while the certificate is seen to */
	char trying[2 * SHA256_LEN + 1];    /* digest of the settings of that try */
	struct asker *askers;
	unsigned tries;                 /* in a row, that failed */
	int64_t next;                   /* when to try again; 0: no need */
	int64_t at;                     /* of the last success; 0: not known */
	char last_error[TASK_TEXT_MAX];
	int64_t last_error_at;
	char last_outcome[24];
};

/* What a failure means for how soon to try again; the identity in force stays in each case. */
static const struct {
	unsigned least_s;
	enum slog_level level;
} patience[TASK_OUTCOME_COUNT] = {
	[TASK_DONE] = { 0, SLOG_INFO },
	[TASK_NO_SERVER] = { PAUSE_LEAST_S, SLOG_WARN },
	[TASK_BUSY] = { PAUSE_LEAST_S, SLOG_WARN },
	[TASK_UNTRUSTED] = { 60, SLOG_ERROR },
	[TASK_REFUSED] = { 60, SLOG_ERROR },
	[TASK_DISABLED] = { 300, SLOG_ERROR },
	[TASK_FAILED] = { 60, SLOG_ERROR },
	[TASK_NOT_FOUND] = { 60, SLOG_ERROR },
	[TASK_BAD_ANSWER] = { 60, SLOG_ERROR },
	[TASK_KEY_FAILED] = { PAUSE_LEAST_S, SLOG_WARN },
	[TASK_CERT_FAILED] = { PAUSE_LEAST_S, SLOG_WARN },
	[TASK_BAD_TASK] = { 300, SLOG_ERROR },
	[TASK_DIED] = { PAUSE_LEAST_S, SLOG_ERROR },
};

/* Two settings with the same digest ask the same service for the same device. */
static void
digest_of(const struct identityd_settings *s, char out[2 * SHA256_LEN + 1])
{
	const char *const parts[] = { identity_source_name(s->source), s->hub, s->device_id, s->gateway, s->endpoint, s->scope,
		s->registration, s->symmetric_key, s->cert, s->key };
	uint8_t digest[SHA256_LEN];
	AUTO_BUF text = { 0 };

	for (size_t i = 0; i < N_OF(parts); i++)
		buf_printf(&text, "%zu:%s;", strlen(parts[i]), parts[i]);
	buf_printf(&text, "%d", s->auth);
	sha256(digest, bytes_of_buf(&text));
	text_hex(out, (struct bytes){ digest, sizeof(digest) });
}

const char *
provisioner_digest(const struct provisioner *p)
{
	static char digest[sizeof(p->digest)];

	digest_of(p->d->settings, digest);
	return digest;
}

static void
read_journal(struct provisioner *p)
{
	AUTO_JSON v = NULL;
	struct err e;

	if (state_journal_get(&v, p->d->settings->homedir, JOURNAL, &e) != 0) {
		if (e.code != E_NOTFOUND)
			slog(SLOG_WARN, "provisioning: %s; the device is provisioned anew", e.msg);
		return;
	}
	text_copy(p->digest, sizeof(p->digest), json_str(v, "settings", ""));
	p->at = json_int(v, "at", 0);
	json_decref(p->payload);
	p->payload = NULL;
	if (!json_is_null(json_object_get(v, "payload")))
		p->payload = json_incref(json_object_get(v, "payload"));
}

static int
write_journal(const struct provisioner *p, struct err *e)
{
	AUTO_JSON v = json_pack("{s:s, s:I, s:O?}", "settings", p->digest, "at", (json_int_t)p->at, "payload", p->payload);

	return state_journal_put(p->d->settings->homedir, JOURNAL, v, e);
}

/* Whoever runs the device should know when the cloud takes it for another: its modules and keys are others then. */
static void
tell_device(const struct provisioner *p, const struct identity_device *device)
{
	slog(SLOG_INFO, "The device is '%s' at %s.", device->device, device->hub);
	if (p->known)
		slog(SLOG_WARN, "Until now it was '%s' at %s.", p->device.device, p->device.hub);
}

/* The device first: until the journal follows, it was confirmed under settings that are not known, and is confirmed again. */
static int
put_in_force(struct provisioner *p, const struct identity_device *device, const char *digest, struct err *e)
{
	const char *home = p->d->settings->homedir;
	bool other = !p->known || !identity_device_equal(&p->device, device);
	int r;

	if (other && (r = state_write_device(home, device, e)) != 0)
		return r;
	if (other)
		tell_device(p, device);
	text_copy(p->digest, sizeof(p->digest), digest);
	p->at = clock_now();
	p->device = *device;
	p->known = true;
	if (other) {
		state_forget_others(home, device);
		registry_configure(p->d->registry);
	}
	return write_journal(p, e);
}

/* --- an answer --- */

static void
tell_askers(struct provisioner *p, const struct task_result *r)
{
	struct asker *all = p->askers;

	p->askers = NULL;
	while (all != NULL) {
		struct asker *a = all;

		all = a->next;
		a->fn(a->ctx, r);
		mem_free(a);
	}
}

static void
failed(struct provisioner *p, const struct task_result *r)
{
	int64_t pause = patience[r->outcome].least_s;

	for (unsigned i = 0; i < p->tries && pause < PAUSE_MOST_S; i++)
		pause *= 2;
	if (pause > PAUSE_MOST_S)
		pause = PAUSE_MOST_S;
	pause = pause / 2 + rnd_below((uint32_t)(pause / 2) + 1);
	if (r->retry_after_s > pause)
		pause = r->retry_after_s < PAUSE_SAID_S ? r->retry_after_s : PAUSE_SAID_S;
	p->tries++;
	p->next = clock_now() + pause;
	p->last_error_at = clock_now();
	text_copy(p->last_error, sizeof(p->last_error), r->text);
	text_copy(p->last_outcome, sizeof(p->last_outcome), task_outcome_name(r->outcome));
	slog(patience[r->outcome].level, "Provisioning failed: %s. %s Next try in %lld s.", r->text,
	    p->known ? "The identity that was confirmed before stays in force." : "The device has no identity yet.", (long long)pause);
	identityd_wake(p->d, pause);
}

static void
finish(struct provisioner *p, const struct task_result *r)
{
	p->running = false;
	if (r->outcome == TASK_DONE) {
		p->tries = 0;
		p->next = 0;
		p->last_error[0] = 0;
	} else {
		failed(p, r);
	}
	tell_askers(p, r);
}

static void
finish_err(struct provisioner *p, enum task_outcome outcome, const struct err *e)
{
	struct task_result r = { .outcome = outcome, .retry_after_s = -1 };

	text_copy(r.text, sizeof(r.text), e->msg);
	finish(p, &r);
}

static int
take_answer(struct provisioner *p, const json_t *answer, const char *digest, struct err *e)
{
	const char *hub = json_str(answer, "hub", ""), *id = json_str(answer, "device_id", "");
	json_t *payload = json_object_get(answer, "payload");
	struct identity_device device = { 0 };

	if (hub[0] == 0 || strlen(hub) >= sizeof(device.hub) || id[0] == 0 || strlen(id) >= sizeof(device.device))
		return err_set(e, E_FORMAT, "the service's answer has no hub or no device ID that could be one");
	text_copy(device.hub, sizeof(device.hub), hub);
	text_copy(device.device, sizeof(device.device), id);
	text_copy(device.gateway, sizeof(device.gateway), p->d->settings->gateway[0] != 0 ? p->d->settings->gateway : hub);
	json_decref(p->payload);
	p->payload = payload != NULL && !json_is_null(payload) ? json_incref(payload) : NULL;
	return put_in_force(p, &device, digest, e);
}

int
provisioner_confirmed(struct provisioner *p, const json_t *answer, struct err *e)
{
	char digest[sizeof(p->digest)];

	digest_of(p->d->settings, digest);
	return take_answer(p, answer, digest, e);
}

static void
on_assigned(void *ctx, const struct task_result *r)
{
	struct provisioner *p = ctx;
	struct err e;

	p->ticket = NULL;
	if (r->outcome == TASK_DONE && take_answer(p, r->value, p->trying, &e) != 0)
		finish_err(p, TASK_BAD_ANSWER, &e);
	else
		finish(p, r);
}

/* --- a try --- */

static void begin(struct provisioner *p);

/* As configured, or the certificate's CN. */
static const char *
registration_of(const struct provisioner *p)
{
	static char cn[NAME_VALUE_MAX];
	const struct identityd_settings *s = p->d->settings;
	AUTO_BUF der = { 0 };
	struct cert c;

	if (s->registration[0] != 0 || s->auth != AUTH_IS_X509)
		return s->registration;
	cn[0] = 0;
	if (pem_decode(&der, bytes_of(keeper_chain(p->d->keeper)), "CERTIFICATE", NULL) == 0 &&
	    cert_read(&c, bytes_of_buf(&der), NULL) == 0 && c.subject_known && name_get(&c.subject, OID_CN) != NULL)
		text_copy(cn, sizeof(cn), name_get(&c.subject, OID_CN));
	return cn;
}

json_t *
provisioner_dps_args(const struct identityd *d, json_t *args, struct err *e)
{
	const struct identityd_settings *s = d->settings;
	AUTO_BUF text = BUF_MAX(PAYLOAD_MAX);
	json_t *payload = NULL;

	if (s->payload_file[0] != 0 && (file_read(&text, s->payload_file, PAYLOAD_MAX, e) != 0 ||
	    json_parse(&payload, bytes_of_buf(&text), e) != 0)) {
		(void)err_prefix(e, E_FORMAT, "payload %s", s->payload_file);
		json_decref(args);
		return NULL;
	}
	json_setf(args, "endpoint", "%s", s->endpoint);
	json_setf(args, "scope", "%s", s->scope);
	json_setf(args, "registration", "%s", registration_of(d->provisioner));
	json_object_set_new(args, "payload", payload != NULL ? payload : json_null());
	return args;
}

/* Seeing to the certificate takes its time: is what is tried still what the configuration says? */
static bool
is_other_now(const struct provisioner *p)
{
	char digest[sizeof(p->digest)];

	digest_of(p->d->settings, digest);
	return strcmp(digest, p->trying) != 0;
}

/* The certificate is there, or is not needed. */
static void
on_certificate(void *ctx, const struct err *why)
{
	struct provisioner *p = ctx;
	struct identityd *d = p->d;
	struct err e;
	json_t *args;

	if (is_other_now(p)) {
		begin(p);
		return;
	}
	if (why != NULL) {
		finish_err(p, TASK_CERT_FAILED, why);
		return;
	}
	if (d->settings->auth == AUTH_IS_TPM) {
		(void)err_set(&e, E_UNAVAIL, "attestation by TPM needs the TPM service, which is not part of this system");
		finish_err(p, TASK_BAD_TASK, &e);
		return;
	}
	if ((args = provisioner_dps_args(d, cloud_args(d), &e)) == NULL)
		finish_err(p, TASK_BAD_TASK, &e);
	else
		p->ticket = tasks_run(d->tasks, TASK_DPS, args, on_assigned, p);
}

/* Nobody is asked: the configuration says who the device is. */
static int
settle_manual(struct provisioner *p, struct err *e)
{
	const struct identityd_settings *s = p->d->settings;
	struct identity_device device = { 0 };
	char digest[sizeof(p->digest)];

	text_copy(device.hub, sizeof(device.hub), s->hub);
	text_copy(device.gateway, sizeof(device.gateway), s->gateway[0] != 0 ? s->gateway : s->hub);
	text_copy(device.device, sizeof(device.device), s->device_id);
	digest_of(s, digest);
	return put_in_force(p, &device, digest, e);
}

static void
on_manual_certificate(void *ctx, const struct err *why)
{
	struct provisioner *p = ctx;
	struct task_result done = { .outcome = TASK_DONE, .retry_after_s = -1 };

	if (is_other_now(p)) {
		begin(p);
		return;
	}
	if (why != NULL)
		finish_err(p, TASK_CERT_FAILED, why);
	else
		finish(p, &done);
}

static void
begin(struct provisioner *p)
{
	struct identityd *d = p->d;
	struct err e;

	p->running = true;
	p->next = 0;
	digest_of(d->settings, p->trying);
	if (d->settings->source == SOURCE_IS_DPS) {
		keeper_ensure(d->keeper, on_certificate, p);
		return;
	}
	if (d->settings->source == SOURCE_IS_MANUAL && settle_manual(p, &e) != 0)
		finish_err(p, TASK_FAILED, &e);
	else
		keeper_ensure(d->keeper, on_manual_certificate, p);
}

void
provisioner_run(struct provisioner *p, provisioner_fn fn, void *ctx)
{
	struct asker *a = mem_zalloc(sizeof(*a));

	*a = (struct asker){ .next = p->askers, .fn = fn, .ctx = ctx };
	p->askers = a;
	if (!p->running)
		begin(p);
}

void
provisioner_stale(struct provisioner *p)
{
	struct err e;

	if (!p->known || p->digest[0] == 0 || p->d->settings->source != SOURCE_IS_DPS)
		return;
	p->digest[0] = 0; /* as if confirmed under settings that are not known: it is confirmed again */
	if (write_journal(p, &e) != 0)
		slog(SLOG_WARN, "provisioning: %s", e.msg);
	if (p->running)
		return;
	p->next = 1;
	identityd_wake(p->d, 0);
}

void
provisioner_tick(struct provisioner *p)
{
	int64_t now = clock_now();

	if (p->running || p->next == 0)
		return;
	if (identityd_ahead(p->next, now))
		identityd_wake(p->d, p->next - now);
	else
		begin(p);
}

/* --- the whole --- */

struct provisioner *
provisioner_new(struct identityd *d)
{
	struct provisioner *p = mem_zalloc(sizeof(*p));

	p->d = d;
	return p;
}

void
provisioner_free(struct provisioner *p)
{
	if (p == NULL)
		return;
	for (struct asker *a = p->askers, *next; a != NULL; a = next) {
		next = a->next;
		mem_free(a);
	}
	json_decref(p->payload);
	mem_free(p);
}

static void
read_device(struct provisioner *p)
{
	struct err e;

	if (state_read_device(&p->device, p->d->settings->homedir, &e) == 0) {
		p->known = true;
		slog(SLOG_INFO, "Provisioned with backup for %s.", p->device.device);
		state_forget_others(p->d->settings->homedir, &p->device); /* a crash may have come before that */
	} else if (e.code != E_NOTFOUND) {
		slog(SLOG_WARN, "device_info: %s; the device is provisioned anew", e.msg);
	}
	read_journal(p);
}

/* A try under other settings than those in force now comes to nothing. */
static void
abandon(struct provisioner *p)
{
	struct err e;

	if (p->ticket == NULL)
		return;
	tasks_cancel(p->d->tasks, p->ticket);
	p->ticket = NULL;
	(void)err_set(&e, E_UNAVAIL, "the configuration has changed meanwhile");
	finish_err(p, TASK_NO_SERVER, &e);
}

void
provisioner_configure(struct provisioner *p)
{
	const struct identityd_settings *s = p->d->settings;
	char digest[sizeof(p->digest)];

	if (!p->known)
		read_device(p);
	digest_of(s, digest);
	if (p->running && strcmp(p->trying, digest) != 0)
		abandon(p);
	if (s->source == SOURCE_IS_NONE) {
		p->known = false; /* the files stay: the source may come back */
		p->next = 0;
		return;
	}
	if (s->source == SOURCE_IS_DPS && p->known && strcmp(p->digest, digest) == 0 && p->tries == 0)
		return;
	p->tries = 0;
	p->next = 1; /* long past: at once */
	identityd_wake(p->d, 0);
}

const struct identity_device *
provisioner_device(const struct provisioner *p)
{
	return p->known ? &p->device : NULL;
}

/* --- reports --- */

json_t *
provisioner_report(const struct provisioner *p)
{
	json_t *v = json_object();
	char digest[sizeof(p->digest)];

	digest_of(p->d->settings, digest);
	json_setf(v, "source", "%s", identity_source_name(p->d->settings->source));
	json_object_set_new(v, "provisioned", json_boolean(p->known));
	json_object_set_new(v, "current", json_boolean(p->known && strcmp(p->digest, digest) == 0));
	json_object_set_new(v, "running", json_boolean(p->running));
	if (p->known) {
		json_setf(v, "hub", "%s", p->device.hub);
		json_setf(v, "gateway", "%s", p->device.gateway);
		json_setf(v, "device", "%s", p->device.device);
		json_object_set_new(v, "confirmed_at", json_integer(p->at));
	}
	if (p->last_error[0] != 0) {
		json_setf(v, "last_error", "%s", p->last_error);
		json_setf(v, "last_outcome", "%s", p->last_outcome);
		json_object_set_new(v, "last_error_at", json_integer(p->last_error_at));
	}
	json_object_set_new(v, "next_try", p->next > 1 ? json_integer(p->next) : json_null());
	return v;
}

json_t *
provisioner_information(const struct provisioner *p)
{
	static const char *const auths[] = { [AUTH_IS_SAS] = "symmetric_key", [AUTH_IS_X509] = "x509", [AUTH_IS_TPM] = "tpm" };
	const struct identityd_settings *s = p->d->settings;
	json_t *v = json_object();

	json_setf(v, "source", "%s", identity_source_name(s->source));
	if (s->source == SOURCE_IS_MANUAL)
		json_setf(v, "auth", "%s", s->auth == AUTH_IS_SAS ? "sas" : "x509");
	if (s->source != SOURCE_IS_DPS)
		return v;
	json_setf(v, "auth", "%s", auths[s->auth]);
	json_setf(v, "endpoint", "%s%s", s->endpoint, strchr(s->endpoint + strlen("https://"), '/') != NULL ? "" : "/");
	json_setf(v, "scope_id", "%s", s->scope);
	json_setf(v, "registration_id", "%s", registration_of(p));
	json_object_set(v, "payload", p->payload != NULL ? p->payload : json_null());
	return v;
}
