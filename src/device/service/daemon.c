/* SPDX-License-Identifier: Apache-2.0 */
/* service/daemon.c - what the three services do alike from their start to their end */
#include "device/service/daemon.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/sys/peer.h"
#include "core/sys/sandbox.h"
#include "device/service/slog.h"

#define LOCK_NAME ".lock"

/* --- the configuration --- */

static void
reload(void *ctx)
{
	struct daemon *d = ctx;
	struct err e;

	if (d->stopping)
		return;
	slog(SLOG_INFO, "Detected change in config files. Updating config.");
	if (d->reload(d->ctx, &e) != 0) {
		d->last_error = e;
		slog(SLOG_WARN, "The configuration was not taken, the one before stays in force: %s", e.msg);
		return;
	}
	slog(SLOG_INFO, "Config update finished.");
}

void
daemon_in_force(struct daemon *d, unsigned per_uid)
{
	d->loaded_at = clock_now();
	d->last_error = (struct err){ 0 };
	d->service.per_uid = per_uid;
	if (d->api != NULL)
		api_limit(d->api);
}

void
daemon_warn(void *ctx, const char *text)
{
	(void)ctx;
	slog(SLOG_WARN, "%s", text);
}

void
daemon_tell_proxy(const char *proxy)
{
	const char *at = proxy != NULL ? strrchr(proxy, '@') : NULL;

	if (proxy != NULL && *proxy != 0)
		slog(SLOG_INFO, "Detected HTTPS proxy server %s%s", at != NULL ? "****" : "", at != NULL ? at : proxy);
}

bool
daemon_unchanged(const char *key, const char *now, const char *before)
{
	bool same = now == NULL || before == NULL ? now == before : strcmp(now, before) == 0;

	if (!same)
		slog(SLOG_WARN, "%s has changed: that takes a restart", key);
	return same;
}

/* --- the start --- */

int
daemon_lock(int *fd, const char *home, const char *who, struct err *e)
{
	char path[PLACE_MAX + sizeof(LOCK_NAME)];
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s", home, LOCK_NAME);
	r = file_lock(fd, path, e);
	return r == E_EXISTS ? err_set(e, r, "%s: another %s runs there", home, who) : r;
}

void
daemon_confine(const char *home, const char *worker)
{
	const struct sandbox_path paths[] = {
		{ .path = "/" }, { .path = home, .write = true }, { .path = "/dev/null", .write = true },
		{ .path = worker, .exec = true }, { .path = "/lib", .exec = true }, { .path = "/lib64", .exec = true },
		{ .path = NULL },
	};
	const struct sandbox box = { .paths = paths, .network = true, .local = true };
	AUTO_BUF report = { 0 };
	struct err e;
	bool weak;

	if (sandbox_enter(&box, &report, &weak, &e) != 0)
		slog(SLOG_WARN, "the system does not let this process give up rights: %s", e.msg);
	else
		slog(weak ? SLOG_WARN : SLOG_INFO, "Confined: %s", buf_str(&report));
}

/* --- the end --- */

static void
on_drained(void *ctx)
{
	struct daemon *d = ctx;

	loop_stop(d->loop, 0);
}

/* The first asks to finish what is under way, a second to end now. */
static void
on_stop(void *ctx, int signo)
{
	struct daemon *d = ctx;

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

int
daemon_serve(struct daemon *d, const char *socket, void *calls, struct err *e)
{
	struct place listen_at = d->place;
	int r;

	if (socket != NULL)
		text_copy(listen_at.socket, sizeof(listen_at.socket), socket);
	if ((r = api_new(&d->api, d->loop, &d->service, &listen_at, calls, e)) != 0)
		return r;
	d->watch = settings_watch_new(d->loop, &d->place, reload, d);
	loop_on_signal(d->loop, SIGTERM, on_stop, d);
	loop_on_signal(d->loop, SIGINT, on_stop, d);
	loop_on_signal(d->loop, SIGHUP, on_hangup, d);
	if ((r = d->confine(d->ctx, e)) != 0)
		return r;
	peer_notify("READY=1");
	r = loop_run(d->loop);
	slog(SLOG_INFO, "Stopped server.");
	return r;
}

void
daemon_close(struct daemon *d)
{
	settings_watch_free(d->watch);
	api_free(d->api);
}

int
daemon_main(struct daemon *d)
{
	struct err e;

	slog_open(d->name);
	slog_filter(d->place.log_filter);
	slog(SLOG_INFO, "Starting service...");
	slog(SLOG_INFO, "Version - %s", ESTUARY_VERSION);
	if (d->run(d->ctx, &e) == 0)
		return 0;
	slog_fatal(&e);
	return 1;
}
