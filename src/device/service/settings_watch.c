/* SPDX-License-Identifier: Apache-2.0 */
/* service/settings_watch.c - when the configuration may have changed, also where there was none before */
#include "device/service/settings.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "device/service/slog.h"

#define QUIET_MS  ((uint64_t)1000)  /* after the last change */
#define LATEST_MS ((uint64_t)10000) /* after the first */
#define TRIES_MAX 8                 /* to follow directories that appear while we look */
#define TARGETS   3
#define EVENTS    (IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB | \
	IN_DELETE_SELF | IN_MOVE_SELF)

/*
 * A path that matters: watched itself when it is there, else the nearest directory above it, where then only
 * the name that leads to it counts.
 */
struct target {
	char path[PLACE_MAX];
	char own[PLACE_MAX];  /* the only name in it that matters; "": any */
	char name[PLACE_MAX]; /* the same, of what is watched now */
	int wd;
};

struct settings_watch {
	struct loop_io *io;
	struct loop_timer *timer;
	int fd;
	uint64_t first_ms;    /* of the changes not told yet; 0: none */
	struct target target[TARGETS];
	loop_fn fn;
	void *ctx;
};

/* Cut the last part off path and keep it in name; false when there is none. */
static bool
go_up(char path[PLACE_MAX], char name[PLACE_MAX])
{
	char *slash = strrchr(path, '/');

	if (slash == NULL || slash[1] == 0)
		return false;
	(void)snprintf(name, PLACE_MAX, "%s", slash + 1);
	slash[slash == path] = 0;
	return true;
}

/* The target's path, or the nearest one above it that exists; name: what counts there. */
static void
nearest(const struct target *t, char path[PLACE_MAX], char name[PLACE_MAX])
{
	(void)snprintf(path, PLACE_MAX, "%s", t->path);
	(void)snprintf(name, PLACE_MAX, "%s", t->own);
	while (access(path, F_OK) != 0 && go_up(path, name))
		;
}

static bool
is_used(const struct settings_watch *w, int wd)
{
	for (size_t i = 0; i < TARGETS; i++) {
		if (w->target[i].wd == wd)
			return true;
	}
	return false;
}

/* Watch what is nearest now; again while something nearer appears. */
static void
aim(struct settings_watch *w, struct target *t)
{
	char path[PLACE_MAX], now[PLACE_MAX], name[PLACE_MAX];
	int old = t->wd;

	nearest(t, now, t->name);
	for (int i = 0; i < TRIES_MAX; i++) {
		memcpy(path, now, sizeof(path));
		t->wd = inotify_add_watch(w->fd, path, EVENTS);
		nearest(t, now, name);
		memcpy(t->name, name, sizeof(name));
		if (t->wd >= 0 && strcmp(path, now) == 0)
			break;
	}
	if (old >= 0 && !is_used(w, old))
		(void)inotify_rm_watch(w->fd, old);
}

static void
aim_all(struct settings_watch *w)
{
	for (size_t i = 0; i < TARGETS; i++)
		aim(w, &w->target[i]);
}

/* Does it concern a target?  Our own removals of watches do not; lost events may. */
static bool
matters(const struct settings_watch *w, const struct inotify_event *ev)
{
	const char *name = ev->len != 0 ? ev->name : "";

	if ((ev->mask & IN_Q_OVERFLOW) != 0)
		return true;
	for (size_t i = 0; (ev->mask & IN_IGNORED) == 0 && i < TARGETS; i++) {
		const struct target *t = &w->target[i];

		if (t->wd == ev->wd && (t->name[0] == 0 || *name == 0 || strcmp(t->name, name) == 0))
			return true;
	}
	return false;
}

static void
note_change(struct settings_watch *w)
{
	uint64_t now = clock_monotonic_ms(), at = now + QUIET_MS;

	if (w->first_ms == 0)
		w->first_ms = now;
	if (at > w->first_ms + LATEST_MS)
		at = w->first_ms + LATEST_MS;
	loop_timer_at(w->timer, at);
}

static void
on_time(void *ctx)
{
	struct settings_watch *w = ctx;

	w->first_ms = 0;
	w->fn(w->ctx); /* w may be gone from here on */
}

static void
on_events(void *ctx, int fd, unsigned events)
{
	__attribute__((aligned(__alignof__(struct inotify_event)))) char room[4096];
	struct settings_watch *w = ctx;
	bool changed = false;
	ssize_t n;

	(void)events;
	while ((n = read(fd, room, sizeof(room))) > 0) {
		for (char *p = room; p < room + n;) {
			struct inotify_event ev;

			memcpy(&ev, p, sizeof(ev));
			changed = matters(w, (const struct inotify_event *)(const void *)p) || changed;
			p += sizeof(ev) + ev.len;
		}
	}
	if (!changed)
		return;
	aim_all(w);
	note_change(w);
}

struct settings_watch *
settings_watch_new(struct loop *l, const struct place *p, loop_fn fn, void *ctx)
{
	struct settings_watch *w;
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd < 0) {
		slog(SLOG_WARN, "Changes of the configuration will not be noticed: inotify: %s", strerror(errno));
		return NULL;
	}
	w = mem_zalloc(sizeof(*w));
	w->fd = fd;
	w->fn = fn;
	w->ctx = ctx;
	for (size_t i = 0; i < TARGETS; i++) {
		w->target[i].wd = -1;
		(void)snprintf(w->target[i].path, PLACE_MAX, "%s", i == 0 ? p->config_dir : p->config_file);
	}
	/* The base file by its name, which another may take, and by itself, which may be elsewhere (a link). */
	(void)go_up(w->target[2].path, w->target[2].own);
	aim_all(w);
	w->timer = loop_timer_new(l, on_time, w);
	w->io = loop_io_new(l, fd, LOOP_READ, on_events, w);
	return w;
}

void
settings_watch_free(struct settings_watch *w)
{
	if (w == NULL)
		return;
	loop_io_free(w->io);
	loop_timer_free(w->timer);
	fd_autoclose(&w->fd);
	mem_free(w);
}
