/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/identityd.c - the Identity Service: start, new configurations, end */
#include "device/identityd/identityd.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/sys/peer.h"
#include "core/sys/sandbox.h"
#include "device/identityd/identityd_inside.h"
#include "device/service/slog.h"

#define LOCK_NAME ".lock"

static void
warn(void *ctx, const char *text)
{
	(void)ctx;
	slog(SLOG_WARN, "%s", text);
}

/* --- the configuration --- */

/* "****@proxy:3128": who reads the log learns nothing of what stands before the host. */
static void
tell_proxy(const char *proxy)
{
	const char *at = strrchr(proxy, '@');

	if (*proxy != 0)
		slog(SLOG_INFO, "Detected HTTPS proxy server %s%s", at != NULL ? "****" : "", at != NULL ? at : proxy);
}

/* What is there belongs to the caller, on failure too. */
static int
load(struct identityd_settings **out, struct toml **doc, const struct place *p, struct err *e)
{
	int r;

	if ((r = settings_load(doc, p, e)) != 0 || (r = identityd_settings_read(out, *doc, p, warn, NULL, e)) != 0)
		return r;
	tell_proxy((*out)->proxy);
	return 0;
}

/* What is opened once: a change is told, and waits for a restart. */
static void
keep(char now[PLACE_MAX], const char *before, const char *key)
{
	if (strcmp(now, before) == 0)
		return;
	slog(SLOG_WARN, "%s has changed: that takes a restart", key);
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
	d->loaded_at = clock_now();
	d->last_error = (struct err){ 0 };
	d->service.per_uid = s->max_requests;
	if (d->api != NULL)
		api_limit(d->api);
	keeper_configure(d->keeper);
	provisioner_configure(d->provisioner);
	registry_configure(d->registry);
	identityd_settings_free(before);
	toml_free(doc_before);
}

/* What cannot be taken changes nothing, neither what is in force nor any try that is under way. */
static void
reload(void *ctx)
{
	struct identityd *d = ctx;
	AUTO(identityd_settings) s = NULL;
	AUTO(toml) doc = NULL;
	struct err e;

	if (d->stopping)
		return;
	slog(SLOG_INFO, "Detected change in config files. Updating config.");
	if (load(&s, &doc, &d->place, &e) != 0) {
		d->last_error = e;
		slog(SLOG_WARN, "The configuration was not taken, the one before stays in force: %s", e.msg);
		return;
	}
	keep(s->homedir, d->settings->homedir, "homedir");
	keep(s->socket, d->settings->socket, "endpoints.aziot_identityd");
	put_in_force(d, TAKE(s), TAKE(doc));
	slog(SLOG_INFO, "Config update finished.");
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
	if (d->stopping)
		return;
	identityd_wake(d, IDENTITYD_TICK_S);
	keeper_tick(d->keeper);
	provisioner_tick(d->provisioner);
	registry_tick(d->registry);
}

static void
on_drained(void *ctx)
{
	struct identityd *d = ctx;

	loop_stop(d->loop, 0);
}

/* The first asks to finish what is under way, a second to end now. */
static void
on_stop(void *ctx, int signo)
{
	struct identityd *d = ctx;

	(void)signo;
	if (d->stopping) {
		loop_stop(d->loop, 0);
		return;
	}
	d->stopping = true;
	peer_notify("STOPPING=1");
	api_drain(d->api, on_drained, d);
}

static void
on_hangup(void *ctx, int signo)
{
	(void)signo;
	reload(ctx);
}

/* --- the start --- */

/* Two of us would provision the same device. */
static int
lock_home(int *fd, const char *home, struct err *e)
{
	char path[PLACE_MAX + sizeof(LOCK_NAME)];
	int r;

	if ((r = state_open(home, e)) != 0)
		return r;
	(void)snprintf(path, sizeof(path), "%s/%s", home, LOCK_NAME);
	r = file_lock(fd, path, e);
	if (r == 0)
		state_sweep(home);
	return r == E_EXISTS ? err_set(e, r, "%s: another Identity Service runs there", home) : r;
}

/*
 * Nothing is written outside of the home, and no program is started but the worker (with its loader), which confines
 * itself further.  Anchors and payloads may stand anywhere, so all is readable that the user may read.
 */
static void
confine(const struct identityd *d)
{
	const struct sandbox_path paths[] = {
		{ .path = "/" }, { .path = d->settings->homedir, .write = true }, { .path = "/dev/null", .write = true },
		{ .path = d->worker, .exec = true }, { .path = "/lib", .exec = true }, { .path = "/lib64", .exec = true },
		{ .path = NULL },
	};
	const struct sandbox box = { .paths = paths, .network = true };
	AUTO_BUF report = { 0 };
	struct err e;
	bool weak;

	if (sandbox_enter(&box, &report, &weak, &e) != 0)
		slog(SLOG_WARN, "the system does not let this process give up rights: %s", e.msg);
	else
		slog(weak ? SLOG_WARN : SLOG_INFO, "Confined: %s", buf_str(&report));
}

static int
serve(struct identityd *d, struct err *e)
{
	struct place listen_at = d->place;
	int r;

	text_copy(listen_at.socket, sizeof(listen_at.socket), d->settings->socket);
	if ((r = api_new(&d->api, d->loop, &d->service, &listen_at, d, e)) != 0)
		return r;
	confine(d);
	d->watch = settings_watch_new(d->loop, &d->place, reload, d);
	loop_on_signal(d->loop, SIGTERM, on_stop, d);
	loop_on_signal(d->loop, SIGINT, on_stop, d);
	loop_on_signal(d->loop, SIGHUP, on_hangup, d);
	peer_notify("READY=1");
	r = loop_run(d->loop);
	slog(SLOG_INFO, "Stopped server.");
	return r;
}

/* The parts know each other, so all are there before one is told what to do. */
static void
build(struct identityd *d)
{
	identityd_service(&d->service);
	d->loop = loop_new();
	d->tick = loop_timer_new(d->loop, on_tick, d);
	d->tasks = tasks_new(d->loop, d->worker);
	d->keeper = keeper_new(d);
	d->provisioner = provisioner_new(d);
	d->registry = registry_new(d);
	identityd_wake(d, 0);
}

/* From those who call to those who are called. */
static void
tear_down(struct identityd *d)
{
	settings_watch_free(d->watch);
	api_free(d->api);
	registry_free(d->registry);
	provisioner_free(d->provisioner);
	keeper_free(d->keeper);
	tasks_free(d->tasks);
	loop_timer_free(d->tick);
	loop_free(d->loop);
	identityd_settings_free(d->settings);
	toml_free(d->doc);
}

static int
run(struct identityd *d, struct err *e)
{
	AUTO(identityd_settings) s = NULL;
	AUTO(toml) doc = NULL;
	AUTO_FD lock = -1;
	int r;

	if ((r = load(&s, &doc, &d->place, e)) != 0 || (r = lock_home(&lock, s->homedir, e)) != 0)
		return r;
	build(d);
	put_in_force(d, TAKE(s), TAKE(doc));
	r = serve(d, e);
	tear_down(d);
	return r;
}

int
identityd_main(const struct place *p, const char *worker)
{
	struct identityd d = { .place = *p, .worker = worker };
	struct err e;

	slog_open("aziot_identityd");
	slog_filter(p->log_filter);
	slog(SLOG_INFO, "Starting service...");
	slog(SLOG_INFO, "Version - %s", ESTUARY_VERSION);
	if (run(&d, &e) == 0)
		return 0;
	slog_fatal(&e);
	return 1;
}
