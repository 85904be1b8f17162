/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/keyd.c - the Keys Service: from its configuration to its last answer */
#include "device/keyd/keyd.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/custody/file_custody.h"
#include "core/custody/soft_key.h"
#include "core/sys/sandbox.h"
#include "device/keyd/desk.h"
#include "device/service/daemon.h"
#include "device/service/slog.h"

#define LOCK_NAME "keyd.lock"

struct service {
	struct daemon daemon;
	struct keyd_settings *settings;
	struct store *store;
	struct desk desk;
	int lock;
};

static int
read_settings(struct keyd_settings **out, const struct place *p, struct err *e)
{
	AUTO(toml) doc = NULL;
	int r = settings_load(&doc, p, e);

	return r == 0 ? keyd_settings_read(out, doc, p, daemon_warn, NULL, e) : r;
}

/* --- while it runs --- */

/*
 * Whether handles are bound when nothing is configured: a home that another service has used has handles in other hands,
 * which must go on working; a new one begins safe.  Decided once, at the first start, and kept in HOME/handles.
 */
static int
inherit_binding(struct keyd_settings *set, const char *home, struct err *e)
{
	static const char bound[] = "bound\n", unbound[] = "unbound\n";
	char path[2 * PLACE_MAX], key[STEM_MAX];
	AUTO_BUF said = BUF_MAX(16);
	int r;

	if (set->bind_given)
		return 0;
	(void)snprintf(path, sizeof(path), "%s/handles", home);
	r = file_read(&said, path, 16, NULL);
	if (r == E_NOTFOUND) {
		if ((r = stem_name(key, KEYD_HANDLE_KEY_ID, ".key", e)) != 0)
			return r;
		(void)snprintf(path, sizeof(path), "%s/keys/%s", home, key);
		buf_put_str(&said, access(path, F_OK) == 0 ? unbound : bound);
		(void)snprintf(path, sizeof(path), "%s/handles", home);
		if ((r = file_write(path, bytes_of_buf(&said), 0600, e)) != 0)
			return r;
	}
	set->bind = strcmp(buf_str(&said), unbound) != 0; /* unreadable: the safe way */
	if (!set->bind)
		slog(SLOG_WARN, "key handles are bound to nobody, as the service before made them: "
		    "[handles] bind = true makes them safe once all who hold some have asked anew");
	return 0;
}

static int
reload(void *ctx, struct err *e)
{
	struct service *s = ctx;
	AUTO(keyd_settings) next = NULL;
	int r;

	/* By the home that is in use: another one in the new settings waits for a restart. */
	if ((r = read_settings(&next, &s->daemon.place, e)) != 0 || (r = inherit_binding(next, s->settings->home, e)) != 0)
		return r;
	if (keyd_settings_adopt(s->settings, next))
		slog(SLOG_WARN, "Only principals, [handles] and max_requests change in a running service: the rest needs a restart.");
	daemon_in_force(&s->daemon, s->settings->max_requests);
	return 0;
}

/* --- confinement --- */

/* Keys must not reach the swap; a limit that is too small would end us when memory grows, so all or nothing. */
static bool
lock_memory(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_MEMLOCK, &lim) != 0 || lim.rlim_cur != RLIM_INFINITY)
		return false;
	return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

/* Directories that may be read, which a sandbox borrows. */
struct fence {
	struct sandbox_path *paths;
	size_t n;
	char (*parents)[PLACE_MAX];
	size_t n_parents;
};

static void
allow_parent(struct fence *f, const char *path)
{
	char *parent = f->parents[f->n_parents++], *slash;

	(void)snprintf(parent, PLACE_MAX, "%s", path);
	slash = strrchr(parent, '/');
	if (slash != NULL)
		slash[slash == parent ? 1 : 0] = 0;
	f->paths[f->n++] = (struct sandbox_path){ parent, false };
}

/* The directory that a file is in: it may be replaced by another of that name.  Of a link, that of the file as well. */
static void
allow_file(struct fence *f, const char *path)
{
	char real[PATH_MAX];

	allow_parent(f, path);
	if (realpath(path, real) != NULL && strcmp(real, path) != 0 && strlen(real) < PLACE_MAX)
		allow_parent(f, real);
}

static int
confine(void *ctx, struct err *e)
{
	const struct service *s = ctx;
	const struct keyd_settings *set = s->settings;
	size_t parents = 2 * (set->n_preloaded + 1);
	struct fence f = { .paths = mem_zalloc_n(parents + 3, sizeof(*f.paths)), .parents = mem_zalloc_n(parents, sizeof(*f.parents)) };
	struct sandbox box = { .paths = f.paths, .network = false };
	AUTO_BUF report = { 0 };
	bool locked = lock_memory(), weak = false;
	int r;

	f.paths[f.n++] = (struct sandbox_path){ set->home, true };
	f.paths[f.n++] = (struct sandbox_path){ s->daemon.place.config_dir, false };
	allow_file(&f, s->daemon.place.config_file);
	for (size_t i = 0; i < set->n_preloaded; i++)
		if (set->preloaded[i].path != NULL)
			allow_file(&f, set->preloaded[i].path);
	r = sandbox_enter(&box, &report, &weak, e);
	if (r == 0)
		slog(weak ? SLOG_WARN : SLOG_INFO, "Confined: %s swap=%s", buf_str(&report), locked ? "never" : "possible");
	mem_free(f.paths);
	mem_free(f.parents);
	return r;
}

/* --- beginning and end --- */

/* One process a home: two would undo each other's generations. */
static int
open_home(struct service *s, struct err *e)
{
	char path[PLACE_MAX + sizeof(LOCK_NAME) + 1];
	int r = file_mkdir_above(s->settings->home, 0755, e); /* everybody's to pass; home is not */

	if (r == 0)
		r = file_custody_home(s->settings->home, e);
	(void)snprintf(path, sizeof(path), "%s/%s", s->settings->home, LOCK_NAME);
	if (r == 0 && (r = file_lock(&s->lock, path, e)) == 0)
		r = inherit_binding(s->settings, s->settings->home, e);
	return r == 0 ? store_new(&s->store, s->settings, e) : r;
}

static void
finish(struct service *s)
{
	daemon_close(&s->daemon);
	loop_free(s->daemon.loop);
	store_free(s->store);
	keyd_settings_free(s->settings);
	fd_autoclose(&s->lock);
}

static int
run(void *ctx, struct err *e)
{
	struct service *s = ctx;
	int r;

	if (!soft_key_wipe_always())
		slog(SLOG_WARN, "Keys may leave traces in memory.");
	s->daemon.loop = loop_new();
	if ((r = read_settings(&s->settings, &s->daemon.place, e)) == 0 && (r = open_home(s, e)) == 0) {
		s->desk = (struct desk){ s->store, s->settings };
		s->daemon.service = (struct api_service){ .name = "aziot-keyd", .versions = desk_versions, .routes = desk_routes,
			.close_when_full = s->settings->close_when_full };
		daemon_in_force(&s->daemon, s->settings->max_requests);
		r = daemon_serve(&s->daemon, s->settings->socket, &s->desk, e);
	}
	finish(s);
	return r;
}

int
keyd_main(const struct place *p)
{
	struct service s = { .lock = -1, .daemon = { .name = "aziot_keyd", .place = *p, .ctx = &s, .run = run, .reload = reload,
		.confine = confine } };

	return daemon_main(&s.daemon);
}
