/* SPDX-License-Identifier: Apache-2.0 */
/* certd/certd.c - the Certificates Service: start, new configurations, end */
#include "device/certd/certd.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/sys/peer.h"
#include "core/sys/sandbox.h"
#include "device/certd/certd_inside.h"
#include "device/service/slog.h"

#define HOME_MODE 0700
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
	const char *at = proxy != NULL ? strrchr(proxy, '@') : NULL;

	if (proxy != NULL)
		slog(SLOG_INFO, "Detected HTTPS proxy server %s%s", at != NULL ? "****" : "", at != NULL ? at : proxy);
}

/* A file that is missing now may be there when it is needed, so this is no reason not to run. */
static void
tell_unreadable(const struct certd_settings *s)
{
	struct err e;

	for (char **id = s->trusted_certs; id != NULL && *id != NULL; id++) {
		AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);

		if (certs_read_any(&pem, s, *id, &e) != 0)
			slog(SLOG_WARN, "trusted_certs: %s; nothing is issued over EST until it is there", e.msg);
	}
}

static int
load(struct certd_settings **out, const struct place *p, struct err *e)
{
	AUTO(toml) doc = NULL;
	int r;

	if ((r = settings_load(&doc, p, e)) != 0 || (r = certd_settings_read(out, doc, p, warn, NULL, e)) != 0)
		return r;
	tell_proxy((*out)->proxy);
	tell_unreadable(*out);
	return 0;
}

/* What is opened once: a change is told, and waits for a restart. */
static void
keep(char **now, const char *before, const char *key)
{
	if ((*now == NULL && before == NULL) || (*now != NULL && before != NULL && strcmp(*now, before) == 0))
		return;
	slog(SLOG_WARN, "%s has changed: that takes a restart", key);
	mem_free(*now);
	*now = before != NULL ? mem_strdup(before) : NULL;
}

/* Everyone gets the new settings before the old ones go. */
static void
put_in_force(struct certd *d, struct certd_settings *s)
{
	struct certd_settings *before = d->settings;

	d->settings = s;
	d->loaded_at = clock_now();
	d->last_error = (struct err){ 0 };
	d->service.per_uid = s->max_requests;
	d->service.close_when_full = s->close_when_full;
	if (d->api != NULL)
		api_limit(d->api);
	issuer_configure(d->issuer, s);
	engine_configure(d->engine, s);
	certd_settings_free(before);
}

/* H13: what cannot be taken changes nothing, neither what is in force nor any timer. */
static void
reload(void *ctx)
{
	struct certd *d = ctx;
	struct certd_settings *s = NULL;
	struct err e;

	if (d->stopping)
		return;
	slog(SLOG_INFO, "Detected change in config files. Updating config.");
	if (load(&s, &d->place, &e) != 0) {
		d->last_error = e;
		slog(SLOG_WARN, "The configuration was not taken, the one before stays in force: %s", e.msg);
		return;
	}
	keep(&s->home, d->settings->home, "homedir_path");
	keep(&s->socket, d->settings->socket, "endpoints.aziot_certd");
	put_in_force(d, s);
	slog(SLOG_INFO, "Config update finished.");
}

/* --- the end --- */

static void
on_drained(void *ctx)
{
	struct certd *d = ctx;

	loop_stop(d->loop, 0);
}

/* The first asks to finish what is under way, a second to end now. */
static void
on_stop(void *ctx, int signo)
{
	struct certd *d = ctx;

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

/* Two of us would renew the same certificates. */
static int
lock_home(int *fd, const char *home, struct err *e)
{
	char path[PLACE_MAX + sizeof(LOCK_NAME)];
	int r;

	if ((r = file_mkdir_all(home, 0755, HOME_MODE, e)) != 0)
		return r;
	(void)snprintf(path, sizeof(path), "%s/%s", home, LOCK_NAME);
	r = file_lock(fd, path, e);
	return r == E_EXISTS ? err_set(e, r, "%s: another Certificates Service runs there", home) : r;
}

/*
 * Nothing is written outside of the home, and no program is started but the worker (with its loader), which confines
 * itself further.  Certificates may stand anywhere, so all is readable that the user may read.
 */
static void
confine(const struct certd *d)
{
	const struct sandbox_path paths[] = {
		{ .path = "/" }, { .path = d->settings->home, .write = true }, { .path = "/dev/null", .write = true },
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
serve(struct certd *d, struct err *e)
{
	struct place listen_at = d->place;
	int r;

	if (d->settings->socket != NULL)
		(void)snprintf(listen_at.socket, sizeof(listen_at.socket), "%s", d->settings->socket);
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

/* From those who call to those who are called. */
static void
tear_down(struct certd *d)
{
	settings_watch_free(d->watch);
	api_free(d->api);
	issuer_free(d->issuer);
	engine_free(d->engine);
	workers_free(d->workers);
	loop_free(d->loop);
	certd_settings_free(d->settings);
}

static int
run(struct certd *d, const char *worker, struct err *e)
{
	AUTO_FD lock = -1;
	struct certd_settings *s = NULL;
	int r;

	if ((r = load(&s, &d->place, e)) != 0)
		return r;
	if ((r = lock_home(&lock, s->home, e)) != 0) {
		certd_settings_free(s);
		return r;
	}
	certd_service(&d->service);
	d->loop = loop_new();
	d->worker = worker;
	d->workers = workers_new(d->loop, worker);
	d->engine = engine_new(d->loop, d->workers);
	d->issuer = issuer_new(d->loop, d->workers, d->engine);
	put_in_force(d, s);
	r = serve(d, e);
	tear_down(d);
	return r;
}

int
certd_main(const struct place *p, const char *worker)
{
	struct certd d = { .place = *p };
	struct err e;

	slog_open("aziot_certd");
	slog_filter(p->log_filter);
	slog(SLOG_INFO, "Starting service...");
	slog(SLOG_INFO, "Version - %s", ESTUARY_VERSION);
	if (run(&d, worker, &e) == 0)
		return 0;
	slog_fatal(&e);
	return 1;
}
