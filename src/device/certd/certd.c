/* SPDX-License-Identifier: Apache-2.0 */
/* certd/certd.c - the Certificates Service: start, new configurations, end */
#include "device/certd/certd.h"

#include "core/base/file.h"
#include "core/base/mem.h"
#include "device/certd/certd_inside.h"
#include "device/service/slog.h"

#define HOME_MODE 0700

/* --- the configuration --- */

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

	if ((r = settings_load(&doc, p, e)) != 0 || (r = certd_settings_read(out, doc, p, daemon_warn, NULL, e)) != 0)
		return r;
	daemon_tell_proxy((*out)->proxy);
	tell_unreadable(*out);
	return 0;
}

static void
keep(char **now, const char *before, const char *key)
{
	if (daemon_unchanged(key, *now, before))
		return;
	mem_free(*now);
	*now = before != NULL ? mem_strdup(before) : NULL;
}

/* Everyone gets the new settings before the old ones go. */
static void
put_in_force(struct certd *d, struct certd_settings *s)
{
	struct certd_settings *before = d->settings;

	d->settings = s;
	d->daemon.service.close_when_full = s->close_when_full;
	daemon_in_force(&d->daemon, s->max_requests);
	issuer_configure(d->issuer, s);
	engine_configure(d->engine, s);
	certd_settings_free(before);
}

/* H13: what cannot be taken changes nothing, neither what is in force nor any timer. */
static int
reload(void *ctx, struct err *e)
{
	struct certd *d = ctx;
	struct certd_settings *s = NULL;
	int r;

	if ((r = load(&s, &d->daemon.place, e)) != 0)
		return r;
	keep(&s->home, d->settings->home, "homedir_path");
	keep(&s->socket, d->settings->socket, "endpoints.aziot_certd");
	put_in_force(d, s);
	return 0;
}

/* --- start and end --- */

static int
confine(void *ctx, struct err *e)
{
	const struct certd *d = ctx;

	(void)e;
	daemon_confine(d->settings->home, d->worker);
	return 0;
}

/* Two of us would renew the same certificates. */
static int
open_home(int *lock, const char *home, struct err *e)
{
	int r = file_mkdir_all(home, 0755, HOME_MODE, e);

	return r != 0 ? r : daemon_lock(lock, home, "Certificates Service", e);
}

/* From those who call to those who are called. */
static void
tear_down(struct certd *d)
{
	daemon_close(&d->daemon);
	issuer_free(d->issuer);
	engine_free(d->engine);
	workers_free(d->workers);
	loop_free(d->daemon.loop);
	certd_settings_free(d->settings);
}

static int
run(void *ctx, struct err *e)
{
	struct certd *d = ctx;
	AUTO_FD lock = -1;
	struct certd_settings *s = NULL;
	int r;

	if ((r = load(&s, &d->daemon.place, e)) != 0)
		return r;
	if ((r = open_home(&lock, s->home, e)) != 0) {
		certd_settings_free(s);
		return r;
	}
	certd_service(&d->daemon.service);
	d->daemon.loop = loop_new();
	d->workers = workers_new(d->daemon.loop, d->worker);
	d->engine = engine_new(d->daemon.loop, d->workers);
	d->issuer = issuer_new(d->daemon.loop, d->workers, d->engine);
	put_in_force(d, s);
	r = daemon_serve(&d->daemon, d->settings->socket, d, e);
	tear_down(d);
	return r;
}

int
certd_main(const struct place *p, const char *worker)
{
	struct certd d = { .worker = worker, .daemon = { .name = "aziot_certd", .place = *p, .ctx = &d, .run = run,
		.reload = reload, .confine = confine } };

	return daemon_main(&d.daemon);
}
