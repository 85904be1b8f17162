/* SPDX-License-Identifier: Apache-2.0 */
/* authority/main.c - the authority role: its start, its tick, its end */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "core/sys/log.h"
#include "server/authority/authority.h"
#include "server/proto/role.h"

/* Is a store that was lost there again?  Then fronts hear, too, of what was committed and could not be followed. */
static void
try_store(struct authority *a)
{
	bool was_behind = a->behind;

	if (a->store_ok || a->busy || db_probe(a->db, NULL) != 0)
		return;
	authority_follow(a);
	authority_store_state(a, true, ""); /* but when it is still behind */
	if (was_behind && !a->behind)
		snapshot_send_all(a);
}

static void
on_tick(void *ctx)
{
	struct authority *a = ctx;

	sign_expire(a);
	op_settle(a);
	try_store(a);
	crl_put_certs(a);
	snapshot_health(a, NULL);
	authority_next(a);
	loop_timer_in(a->tick, 1000);
}

static void
on_idle(void *ctx)
{
	struct authority *a = ctx;

	authority_next(a);
	if (a->draining && !a->busy && a->first == NULL && a->settling == NULL)
		role_exit(a->loop, 0);
}

static void
on_settings(void *ctx, const struct settings *s)
{
	struct authority *a = ctx;

	a->settings = *s;
}

static void
on_reloaded(void *ctx, const struct proto_reloaded *r)
{
	op_reloaded(ctx, r);
}

static void
on_peer(void *ctx, enum role r, uint32_t instance, int fd)
{
	authority_attach(ctx, r, instance, fd);
}

static void
on_drain(void *ctx)
{
	struct authority *a = ctx;

	a->draining = true;
	on_idle(a);
}

/* The key under which codes, secret values and tokens are kept: made once, beside the store. */
static int
load_key(const struct authority *a, uint8_t key[32], struct err *e)
{
	char path[SETTINGS_PATH_MAX + 64];
	AUTO_BUF b = BUF_MAX(64);
	int rc;

	(void)snprintf(path, sizeof(path), "%s/store/hash.key", a->settings.dir);
	rc = file_read(&b, path, 32, e);
	if (rc == E_NOTFOUND) {
		rnd_bytes(key, 32);
		return file_write(path, (struct bytes){ key, 32 }, 0600, e);
	}
	if (rc != 0)
		return rc;
	if (b.n != 32)
		return err_set(e, E_FORMAT, "%s: %zu octets instead of 32; restore it from the backup, codes and tokens depend on it", path, b.n);
	memcpy(key, b.p, 32);
	return 0;
}

static int
on_start(void *ctx, struct err *e)
{
	struct authority *a = ctx;
	char path[SETTINGS_PATH_MAX + 64];
	uint8_t key[32];
	int rc;

	(void)snprintf(path, sizeof(path), "%s/store/lock", a->settings.dir);
	if ((rc = file_lock(&a->lock, path, e)) != 0)
		return rc == E_EXISTS ? err_prefix(e, E_EXISTS, "another authority has the store still") : rc;
	(void)snprintf(path, sizeof(path), "%s/store/estuary.db", a->settings.dir);
	if ((rc = db_open(&a->db, path, e)) == 0 && (rc = load_key(a, key, e)) == 0)
		rc = fleet_open(&a->fleet, a->db, key, e);
	mem_wipe(key, sizeof(key));
	if (rc != 0)
		return rc;
	a->store_ok = true;
	a->started_at = clock_now();
	crl_put_certs(a);
	for (size_t i = 0; i < N_OF(a->peers); i++)
		if (a->peers[i].serial != 0 && a->peers[i].role == ROLE_FRONT)
			snapshot_send(a, &a->peers[i]);
	a->pace = loop_timer_new(a->loop, on_idle, a);
	a->tick = loop_timer_new(a->loop, on_tick, a);
	loop_timer_in(a->tick, 200);
	return 0;
}

static const struct sandbox *
on_sandbox(void *ctx)
{
	static char store[SETTINGS_PATH_MAX + 16], public[SETTINGS_PATH_MAX + 16];
	static const struct sandbox_path paths[] = {
		{ store, true }, { public, true }, { "/dev/urandom", false }, { NULL, false },
	};
	static const struct sandbox box = { .paths = paths };
	const struct authority *a = ctx;

	(void)snprintf(store, sizeof(store), "%s/store", a->settings.dir);
	(void)snprintf(public, sizeof(public), "%s/public", a->settings.dir);
	return &box;
}

int
main(void)
{
	static const struct role_hooks hooks = { .settings = on_settings, .reloaded = on_reloaded, .peer = on_peer, .start = on_start,
		.drain = on_drain, .sandbox = on_sandbox };
	struct authority *a = mem_zalloc(sizeof(*a));
	int status;

	mem_keep(AUTHORITY_KEEP);
	a->lock = -1;
	a->loop = loop_new();
	a->last = &a->first;
	TAILQ_INIT(&a->calls);
	loop_on_idle(a->loop, on_idle, a);
	status = role_main(ROLE_AUTHORITY, &hooks, a, a->loop);
	courier_free(a);
	work_free_spare(a);
	fleet_free(a->fleet);
	db_free(a->db);
	fd_autoclose(&a->lock);
	loop_timer_free(a->pace);
	loop_timer_free(a->tick);
	loop_free(a->loop);
	mem_free(a);
	return status;
}
