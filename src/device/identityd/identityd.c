/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/identityd.c - the Identity Service: start, new configurations, end */
#include "device/identityd/identityd.h"

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "device/identityd/identityd_inside.h"
#include "device/service/slog.h"

/* --- the configuration --- */

/* What is there belongs to the caller, on failure too. */
static int
load(struct identityd_settings **out, struct toml **doc, const struct place *p, struct err *e)
{
	int r;

	if ((r = settings_load(doc, p, e)) != 0 || (r = identityd_settings_read(out, *doc, p, daemon_warn, NULL, e)) != 0)
		return r;
	daemon_tell_proxy((*out)->proxy);
	return 0;
}

static void
keep(char now[PLACE_MAX], const char *before, const char *key)
{
	if (!daemon_unchanged(key, now, before))
		text_copy(now, PLACE_MAX, before);
}

/* Everyone gets the new settings before the old ones go. */
static void
put_in_force(struct identityd *d, struct identityd_settings *s, struct toml *doc)
{
	struct identityd_settings *before = d->settings;
	struct toml *doc_before = d->doc;

	d->settings = s;
	d->doc = doc;
	daemon_in_force(&d->daemon, s->max_requests);
	keeper_configure(d->keeper);
	provisioner_configure(d->provisioner);
	registry_configure(d->registry);
	identityd_settings_free(before);
	toml_free(doc_before);
}

/* What cannot be taken changes nothing, neither what is in force nor any try that is under way. */
static int
reload(void *ctx, struct err *e)
{
	struct identityd *d = ctx;
	AUTO(identityd_settings) s = NULL;
	AUTO(toml) doc = NULL;
	int r;

	if ((r = load(&s, &doc, &d->daemon.place, e)) != 0)
		return r;
	keep(s->homedir, d->settings->homedir, "homedir");
	keep(s->socket, d->settings->socket, "endpoints.aziot_identityd");
	put_in_force(d, TAKE(s), TAKE(doc));
	return 0;
}

/* --- while it runs --- */

bool
identityd_ahead(int64_t t, int64_t now)
{
	return now < t && t - now <= IDENTITYD_PAUSE_S;
}

void
identityd_wake(struct identityd *d, int64_t in_s)
{
	uint64_t at = clock_monotonic_ms();

	if (in_s > 0)
		at += 1000 * (uint64_t)(in_s < IDENTITYD_TICK_S ? in_s : IDENTITYD_TICK_S);
	if (d->tick_ms != 0 && d->tick_ms <= at)
		return;
	d->tick_ms = at;
	loop_timer_at(d->tick, at);
}

static void
on_tick(void *ctx)
{
	struct identityd *d = ctx;

	d->tick_ms = 0;
	if (d->daemon.stopping)
		return;
	identityd_wake(d, IDENTITYD_TICK_S);
	keeper_tick(d->keeper);
	provisioner_tick(d->provisioner);
	registry_tick(d->registry);
}

/* --- start and end --- */

static int
confine(void *ctx, struct err *e)
{
	const struct identityd *d = ctx;

	(void)e;
	daemon_confine(d->settings->homedir, d->worker);
	return 0;
}

/* Two of us would provision the same device. */
static int
open_home(int *lock, const char *home, struct err *e)
{
	int r;

	if ((r = state_open(home, e)) != 0 || (r = daemon_lock(lock, home, "Identity Service", e)) != 0)
		return r;
	state_sweep(home);
	return 0;
}

/* The parts know each other, so all are there before one is told what to do. */
static void
build(struct identityd *d)
{
	identityd_service(&d->daemon.service);
	d->daemon.loop = loop_new();
	d->tick = loop_timer_new(d->daemon.loop, on_tick, d);
	d->tasks = tasks_new(d->daemon.loop, d->worker);
	d->keeper = keeper_new(d);
	d->provisioner = provisioner_new(d);
	d->registry = registry_new(d);
	identityd_wake(d, 0);
}

/* From those who call to those who are called. */
static void
tear_down(struct identityd *d)
{
	daemon_close(&d->daemon);
	registry_free(d->registry);
	provisioner_free(d->provisioner);
	keeper_free(d->keeper);
	tasks_free(d->tasks);
	loop_timer_free(d->tick);
	loop_free(d->daemon.loop);
	identityd_settings_free(d->settings);
	toml_free(d->doc);
}

static int
run(void *ctx, struct err *e)
{
	struct identityd *d = ctx;
	AUTO(identityd_settings) s = NULL;
	AUTO(toml) doc = NULL;
	AUTO_FD lock = -1;
	int r;

	if ((r = load(&s, &doc, &d->daemon.place, e)) != 0 || (r = open_home(&lock, s->homedir, e)) != 0)
		return r;
	build(d);
	put_in_force(d, TAKE(s), TAKE(doc));
	r = daemon_serve(&d->daemon, d->settings->socket, d, e);
	tear_down(d);
	return r;
}

int
identityd_main(const struct place *p, const char *worker)
{
	struct identityd d = { .worker = worker, .daemon = { .name = "aziot_identityd", .place = *p, .ctx = &d, .run = run,
		.reload = reload, .confine = confine } };

	return daemon_main(&d.daemon);
}
