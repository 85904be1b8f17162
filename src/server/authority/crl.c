/* SPDX-License-Identifier: Apache-2.0 */
/* authority/crl.c - revocation lists: on schedule, after each revocation, numbers that only rise */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/sys/log.h"
#include "server/authority/authority.h"

#define CRL_RETRY_S     5 /* after a failure */
#define CRL_ENTRIES_MAX 300000 /* of one list: about 40 octets each, in one message to the signer */

/* A list that is being made. */
struct list {
	struct authority *a;
	char ca[PROTO_NAME_MAX];
	int64_t ca_id, number, now;
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

void
crl_state(struct authority *a, const char *ca, const char *why)
{
	bool was_well = a->crl_why[0] == 0;
	char text[ROW_TEXT_MAX];

	a->crl_why[0] = 0;
	if (why[0] == 0)
		return;
	(void)snprintf(a->crl_why, sizeof(a->crl_why), "revocation list of '%s': %s", ca, why);
	log_event(L_ERROR, "crl.failed", "ca=%s why=%s", ca, why);
	(void)snprintf(text, sizeof(text), "%s", a->crl_why);
	if (was_well)
		(void)!event_row_add(a->db, clock_now(), "crl.failed", "", text, NULL); /* the log has it, too */
}

static int
publish(struct list *l, struct bytes sig, struct err *e)
{
	char path[SETTINGS_PATH_MAX + 128], file[PROTO_NAME_MAX + 8];
	AUTO_BUF der = { 0 };
	int rc;

	cert_assemble(&der, bytes_of_buf(&l->tbs), l->sig_alg, sig);
	(void)snprintf(file, sizeof(file), "%s.crl", l->ca);
	(void)snprintf(path, sizeof(path), "%s/public/%s", l->a->settings.dir, file);
	if ((rc = file_write(path, bytes_of_buf(&der), 0644, e)) != 0)
		return rc;
	snapshot_publish(l->a, NULL, file);
	log_event(L_NOTE, "crl.published", "ca=%s number=%lld entries=%zu", l->ca, (long long)l->number, l->n);
	return 0;
}

static void
on_signed(void *ctx, enum err_code code, const char *why, struct pipe_msg *answer)
{
	struct list *l = ctx;
	struct err e = { .code = code };
	struct bytes sig;

	(void)snprintf(e.msg, sizeof(e.msg), "%s", why);
	if (code == E_OK && sign_signature(&sig, answer, &e) == 0 && publish(l, sig, &e) == 0)
		e = (struct err){ 0 };
	crl_state(l->a, l->ca, e.msg);
	if (e.code != E_OK) {
		(void)!ca_row_set_crl_due(l->a->db, l->ca_id, clock_now() + CRL_RETRY_S, NULL);
	}
	if (fleet_reload(l->a->fleet, &(struct err){ 0 }) != 0)
		authority_store_state(l->a, false, "the store cannot be read");
	l->fn(l->ctx, e.code, e.msg, NULL);
	list_free(l);
}

/* Number and next date are durable before anything is signed: a crash leaves a number unused, never used twice. */
static int
prepare(struct list *l, const struct ca *ca, struct err *e)
{
	struct authority *a = l->a;
	int64_t life = a->settings.crl_lifetime_s;
	int rc;

	if ((rc = cert_row_revoked(a->db, l->ca_id, l->now, add_entry, l, e)) != 0)
		return rc == E_TOOBIG ? err_set(e, rc, "more than %d certificates are revoked", CRL_ENTRIES_MAX) : rc;
	if ((rc = db_begin(a->db, e)) != 0)
		return rc;
	if ((rc = ca_row_next_crl(a->db, l->ca_id, l->now + life / 2, &l->number, e)) != 0) {
		db_rollback(a->db);
		return rc;
	}
	if ((rc = db_commit(a->db, e)) != 0)
		return rc;
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
		crl_state(a, l->ca, e.msg);
		ca->row.crl_next = clock_now() + CRL_RETRY_S; /* in memory: the store may be what fails */
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
		if (a->fleet->ca[i]->row.crl && a->fleet->ca[i]->row.crl_next <= now && a->fleet->ca[i]->cert.not_after > now) {
			a->busy = true;
			crl_build(a, a->fleet->ca[i], on_built, a);
			return true;
		}
	return false;
}

int
crl_write_aia(struct authority *a, const struct ca *ca, struct err *e)
{
	char path[SETTINGS_PATH_MAX + 128];

	(void)snprintf(path, sizeof(path), "%s/public/%s.cer", a->settings.dir, ca->row.name);
	return file_write(path, bytes_of_buf(&ca->row.der), 0644, e);
}
