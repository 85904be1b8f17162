/* SPDX-License-Identifier: Apache-2.0 */
/* authority/crl.c - what CAs publish: revocation lists on schedule and after each revocation, and their certificates */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/sys/log.h"
#include "server/authority/authority.h"

#define CRL_RETRY_MS    5000 /* after a failure */
#define CRL_ENTRIES_MAX 300000 /* of one list: about 40 octets each, in one message to the signer */
#define CRL_AHEAD_S     300 /* a date that is so much too late is of a clock that was ahead */

/* A list that is being made. */
struct list {
	struct authority *a;
	char ca[PROTO_NAME_MAX];
	int64_t ca_id, number, now, due; /* due: of the list after it */
	enum oid sig_alg;
	struct buf tbs;
	size_t n, room;
	struct crl_entry *entry;
	sign_fn fn;
	void *ctx;
};

static void
list_free(struct list *l)
{
	buf_free(&l->tbs);
	mem_free(l->entry);
	mem_free(l);
}

static int
add_entry(void *ctx, const char *serial, int64_t revoked_at, int reason)
{
	struct list *l = ctx;
	struct crl_entry *x;

	if (l->n == CRL_ENTRIES_MAX)
		return E_TOOBIG;
	if (l->n == l->room) {
		size_t room = l->room != 0 ? 2 * l->room : 64;

		l->entry = mem_resize(l->entry, l->room * sizeof(*l->entry), room * sizeof(*l->entry));
		l->room = room;
	}
	x = &l->entry[l->n++];
	*x = (struct crl_entry){ .serial_n = strlen(serial) / 2, .revoked_at = revoked_at, .reason = reason };
	return text_unhex(x->serial, x->serial_n, serial) ? 0 : E_IO;
}

static struct public_state *
state_of(struct authority *a, int64_t ca)
{
	size_t i = 0;

	while (i < FLEET_CAS && a->published[i].ca != 0 && a->published[i].ca != ca)
		i++;
	assert(i < FLEET_CAS); /* no CA is ever deleted */
	a->published[i].ca = ca;
	return &a->published[i];
}

/* --- how they stand --- */

/* The operator hears of it once: until the CA's list can be made again. */
static void
note(const struct list *l, const char *why)
{
	struct authority *a = l->a;
	struct public_state *p = state_of(a, l->ca_id);
	bool was_well = p->why[0] == 0;

	p->why[0] = 0;
	if (why[0] != 0) {
		(void)snprintf(p->why, sizeof(p->why), "revocation list of '%s': %s", l->ca, why);
		log_event(L_ERROR, "crl.failed", "ca=%s why=%s", l->ca, why);
	}
	if (why[0] != 0 && was_well)
		(void)!event_row_add(a->db, clock_now(), "crl.failed", "", p->why, NULL); /* the log has it, too */
	a->crl_why[0] = 0;
	for (size_t i = 0; i < FLEET_CAS && a->crl_why[0] == 0; i++)
		text_copy(a->crl_why, sizeof(a->crl_why), a->published[i].why);
}

/* Is the file the list that the last number was given to?  It may be lost, or of a backup. */
static bool
is_latest(const struct authority *a, const struct ca *ca)
{
	char path[PUBLIC_PATH_MAX];
	AUTO_BUF der = { 0 };
	uint64_t number;

	public_path(path, a, PUBLIC_CRL, ca->row.name);
	return file_read(&der, path, PIPE_MAX, NULL) == 0 && crl_read_number(&number, bytes_of_buf(&der), NULL) == 0 &&
	    number >= (uint64_t)ca->row.crl_number;
}

/* By the store's date; also when no list made by now could have that date, and when the file is not what the store thinks. */
static bool
is_due(struct authority *a, const struct ca *ca, int64_t now)
{
	struct public_state *p = state_of(a, ca->row.id);

	if (!ca->row.crl || ca->cert.not_after <= now || clock_monotonic_ms() < p->retry_at_ms)
		return false;
	if (!p->looked)
		p->lost = !is_latest(a, ca);
	p->looked = true;
	return p->lost || ca->row.crl_next <= now || ca->row.crl_next > now + a->settings.crl_lifetime_s / 2 + CRL_AHEAD_S;
}

/* --- a list --- */

static int
publish(struct list *l, struct bytes sig, struct err *e)
{
	char path[PUBLIC_PATH_MAX];
	AUTO_BUF der = { 0 };
	int rc;

	cert_assemble(&der, bytes_of_buf(&l->tbs), l->sig_alg, sig);
	public_path(path, l->a, PUBLIC_CRL, l->ca);
	if ((rc = file_write(path, bytes_of_buf(&der), 0644, e)) != 0)
		return rc;
	snapshot_publish(l->a, NULL, PUBLIC_CRL, l->ca);
	log_event(L_NOTE, "crl.published", "ca=%s number=%lld entries=%zu", l->ca, (long long)l->number, l->n);
	return 0;
}

/* The list is out, and only now is the next one's date noted.  When it cannot be, this list counts for nothing. */
static void
settle(struct list *l)
{
	struct public_state *p = state_of(l->a, l->ca_id);
	struct ca *ca = fleet_ca_by_id(l->a->fleet, l->ca_id);
	struct err e = { 0 };

	if (ca_row_set_crl_due(l->a->db, l->ca_id, l->due, &e) != 0) {
		authority_store_state(l->a, false, e.msg);
		return;
	}
	ca->row.crl_next = l->due;
	p->lost = false;
	p->looked = true;
	p->retry_at_ms = 0;
}

static void
on_signed(void *ctx, enum err_code code, const char *why, struct pipe_msg *answer)
{
	struct list *l = ctx;
	struct err e = { .code = code };
	struct bytes sig;

	(void)snprintf(e.msg, sizeof(e.msg), "%s", why);
	if (code == E_OK && sign_signature(&sig, answer, &e) == 0 && publish(l, sig, &e) == 0) {
		e = (struct err){ 0 };
		settle(l);
	}
	note(l, e.msg);
	l->fn(l->ctx, e.code, e.msg, NULL);
	list_free(l);
}

/* The number is durable before anything is signed, and the list due until it is published: a crash leaves a number unused. */
static int
take_number(struct list *l, struct ca *ca, struct err *e)
{
	struct db *d = l->a->db;
	int rc = db_begin(d, e);

	if (rc != 0)
		return rc;
	if ((rc = ca_row_next_crl(d, l->ca_id, &l->number, e)) != 0) {
		db_rollback(d);
		return rc;
	}
	if ((rc = db_commit(d, e)) != 0)
		return rc;
	ca->row.crl_number = l->number;
	ca->row.crl_next = 0;
	return 0;
}

static int
prepare(struct list *l, struct ca *ca, struct err *e)
{
	int64_t life = l->a->settings.crl_lifetime_s;
	int rc;

	/* By the monotonic clock and in memory: the store may be what fails, and the other clock may be set. */
	state_of(l->a, l->ca_id)->retry_at_ms = clock_monotonic_ms() + CRL_RETRY_MS;
	if ((rc = cert_row_revoked(l->a->db, l->ca_id, l->now, add_entry, l, e)) != 0)
		return rc == E_TOOBIG ? err_set(e, rc, "more than %d certificates are revoked", CRL_ENTRIES_MAX) : rc;
	if ((rc = take_number(l, ca, e)) != 0)
		return rc;
	l->due = l->now + life / 2;
	l->tbs.max = PIPE_MAX - 1024;
	crl_build_tbs(&l->tbs, ca->cert.subject_der, ca->cert.ski, l->sig_alg, l->now,
	    l->now + life < ca->cert.not_after ? l->now + life : ca->cert.not_after, (uint64_t)l->number, l->entry, l->n);
	return buf_check(&l->tbs, "revocation list", e);
}

void
crl_build(struct authority *a, struct ca *ca, sign_fn fn, void *ctx)
{
	struct list *l = mem_zalloc(sizeof(*l));
	struct err e = { 0 };

	*l = (struct list){ .a = a, .ca_id = ca->row.id, .now = clock_now(), .sig_alg = key_sig_alg(ca->cert.key_type),
		.fn = fn, .ctx = ctx };
	(void)snprintf(l->ca, sizeof(l->ca), "%s", ca->row.name);
	if (prepare(l, ca, &e) != 0) {
		note(l, e.msg);
		fn(ctx, e.code, e.msg, NULL);
		list_free(l);
		return;
	}
	sign_tbs(a, ca->row.key_id, PROTO_WHAT_CRL, bytes_of_buf(&l->tbs), on_signed, l);
}

static void
on_built(void *ctx, enum err_code code, const char *why, struct pipe_msg *answer)
{
	(void)code;
	(void)why;
	(void)answer;
	authority_done(ctx);
}

bool
crl_run_due(struct authority *a)
{
	int64_t now = clock_now();

	if (!authority_signer_ok(a))
		return false;
	for (size_t i = 0; i < a->fleet->n_cas; i++)
		if (is_due(a, a->fleet->ca[i], now)) {
			a->busy = true;
			crl_build(a, a->fleet->ca[i], on_built, a);
			return true;
		}
	return false;
}

/* --- certificates --- */

void
crl_put_certs(struct authority *a)
{
	for (size_t i = 0; i < a->fleet->n_cas; i++) {
		const struct ca *ca = a->fleet->ca[i];
		struct public_state *p = state_of(a, ca->row.id);
		char path[PUBLIC_PATH_MAX];
		struct err e = { 0 };

		if (p->cert == PUBLIC_WRITTEN)
			continue;
		public_path(path, a, PUBLIC_CERT, ca->row.name);
		if (file_write(path, bytes_of_buf(&ca->row.der), 0644, &e) == 0) {
			p->cert = PUBLIC_WRITTEN;
			snapshot_publish(a, NULL, PUBLIC_CERT, ca->row.name);
			continue;
		}
		if (p->cert != PUBLIC_FAILED)
			log_event(L_ERROR, "ca.not-published", "ca=%s why=%s", ca->row.name, e.msg);
		p->cert = PUBLIC_FAILED;
	}
}
