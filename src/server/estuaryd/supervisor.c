/* SPDX-License-Identifier: Apache-2.0 */
/* estuaryd/supervisor.c - starts the roles, wires them, and keeps them running */
#include "server/estuaryd/supervisor.h"

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/sys/log.h"
#include "core/sys/peer.h"
#include "core/sys/spawn.h"
#include "server/estuaryd/backoff.h"
#include "server/estuaryd/child.h"
#include "server/estuaryd/config.h"
#include "server/estuaryd/listeners.h"
#include "server/estuaryd/state.h"

#define STOP_MS      10000 /* from SIGTERM to the end, whatever hangs */
#define REPLACED_MS  40000 /* for a front or console to finish what its successor did not inherit */
#define TLS_WATCH_MS 1000  /* how often to look for TLS files that are not there yet */

/* A place in the house: who stands in it, and who is to follow. */
struct slot {
	struct supervisor *s;
	enum role role;
	uint32_t index;             /* among its role's */
	char path[PATH_MAX];        /* of the executable */
	struct child *now;          /* serves, or is to */
	struct child *next;         /* replaces `now` once it is ready */
	struct backoff backoff;
	struct loop_timer *retry;
	bool local_only;            /* a console that could not start with TLS files is tried without, for whoever mends them */
	bool missed;                /* no successor could start yet with what the last reload took */
};

struct supervisor {
	struct loop *loop;
	const char *config;
	struct settings file;       /* as the file has it */
	struct settings settled;    /* as the roles have it */
	struct listeners listeners;
	struct state_owner owner;
	int lock;
	size_t n_slots;
	struct slot slots[4 + SETTINGS_FRONTS_MAX];
	struct child *children;     /* all that live, also those that are leaving */
	struct loop_timer *tls_watch, *stop_timer;
	bool tls;                   /* the TLS files are there: fronts run */
	bool announced, reloading, stopping;
	struct proto_reloaded judged; /* the last reload: was it refused? */
};

/* Who talks to whom. */
static const struct { enum role a, b; } links[] = {
	{ ROLE_AUTHORITY, ROLE_SIGNER },
	{ ROLE_AUTHORITY, ROLE_COURIER },
	{ ROLE_FRONT, ROLE_AUTHORITY },
	{ ROLE_CONSOLE, ROLE_AUTHORITY },
};

static bool
linked(enum role a, enum role b)
{
	for (size_t i = 0; i < N_OF(links); i++)
		if ((links[i].a == a && links[i].b == b) || (links[i].a == b && links[i].b == a))
			return true;
	return false;
}

static bool
tls_there(const struct settings *s)
{
	return access(s->tls_chain, R_OK) == 0 && access(s->tls_key, R_OK) == 0;
}

/* --- readiness --- */

static int
write_ready_file(struct supervisor *s, struct err *e)
{
	AUTO_BUF text = BUF_MAX(1000);

	buf_printf(&text, "device_port=%u\noperator_port=%u\npublic_port=%u\npid=%d\nfronts=%u\n",
	    (unsigned)s->listeners.device_port, (unsigned)s->listeners.operator_port,
	    (unsigned)s->listeners.public_port, (int)getpid(), (unsigned)s->settled.fronts);
	return file_write(s->settled.ready_file, bytes_of_buf(&text), 0644, e);
}

/* Fronts that wait for their TLS files are not missed: whoever makes those files needs the rest first. */
static bool
all_ready(const struct supervisor *s)
{
	for (size_t i = 0; i < s->n_slots; i++) {
		const struct slot *at = &s->slots[i];

		if (at->role == ROLE_FRONT && !s->tls)
			continue;
		if (at->now == NULL || !at->now->ready)
			return false;
	}
	return true;
}

static bool
replacing(const struct supervisor *s)
{
	for (size_t i = 0; i < s->n_slots; i++)
		if (s->slots[i].next != NULL)
			return true;
	return false;
}

static void
withdraw(struct supervisor *s)
{
	if (s->announced)
		log_event(L_WARN, "server.not-ready", "dir=%s", s->settled.dir);
	s->announced = false;
	(void)unlink(s->settled.ready_file);
}

static void
announce(struct supervisor *s)
{
	struct err e;

	if (s->tls && write_ready_file(s, &e) != 0) { /* without TLS no device is served: not ready in its sense */
		log_event(L_ERROR, "server.ready-file", "why=\"%s\"", e.msg);
		return;
	}
	s->announced = true;
	s->reloading = false;
	log_event(L_NOTE, s->tls ? "server.ready" : "server.waits-for-tls", "device_port=%u operator_port=%u public_port=%u fronts=%u",
	    (unsigned)s->listeners.device_port, (unsigned)s->listeners.operator_port,
	    (unsigned)s->listeners.public_port, s->tls ? (unsigned)s->settled.fronts : 0);
	peer_notify(s->tls ? "READY=1\nSTATUS=serving" :
	    "READY=1\nSTATUS=serving operators; fronts wait for the TLS certificate");
}

/* After whatever changes who is ready. */
static void
review(struct supervisor *s)
{
	if (s->stopping)
		return;
	if (!all_ready(s))
		withdraw(s);
	else if ((!s->announced || s->reloading) && !replacing(s))
		announce(s);
}

/* --- starting --- */

static uint32_t
free_instance(const struct supervisor *s, enum role r)
{
	uint32_t i = 0;
	const struct child *c = s->children;

	while (c != NULL) {
		if (c->role == r && c->instance == i) {
			i++;
			c = s->children;
		} else {
			c = c->next;
		}
	}
	return i;
}

static void
tell_settings(const struct supervisor *s, struct child *c)
{
	AUTO_BUF body = BUF_MAX(PIPE_MAX);

	settings_put(&body, &s->settled);
	child_tell(c, PROTO_SETTINGS, bytes_of_buf(&body), -1);
}

/* What came of the last reload: it was refused, or a role could not start with what it took, such as the files that settings name. */
static struct proto_reloaded
outcome(const struct supervisor *s)
{
	struct proto_reloaded r = s->judged;

	for (size_t i = 0; i < s->n_slots && r.code == E_OK; i++) {
		const struct slot *at = &s->slots[i];

		if (!at->local_only && !at->missed)
			continue;
		r.code = E_UNAVAIL;
		(void)snprintf(r.why, sizeof(r.why), at->local_only ?
		    "%s: could not start with the TLS files, and serves its own machine alone until a reload; the log says why" :
		    "%s: one with the new settings ended before it was ready, and the old one goes on; the log says why",
		    role_name(at->role));
	}
	return r;
}

static void
tell_outcome(const struct supervisor *s, struct child *c, bool asked)
{
	AUTO_BUF body = BUF_MAX(2 * PROTO_TEXT_MAX);
	struct proto_reloaded r = outcome(s);

	r.asked = asked;
	proto_put_reloaded(&body, &r);
	child_tell(c, PROTO_RELOADED, bytes_of_buf(&body), -1);
}

/* Tell the authority, whom operators ask; asker: the one that wished for the reload, or NULL. */
static void
tell_outcomes(const struct supervisor *s, const struct child *asker)
{
	for (struct child *c = s->children; c != NULL; c = c->next)
		if (c->role == ROLE_AUTHORITY)
			tell_outcome(s, c, c == asker);
}

static void
tell_listener(struct child *c, enum listener which, int fd)
{
	uint8_t body = (uint8_t)which;

	child_tell(c, PROTO_LISTENER, (struct bytes){ &body, 1 }, fd);
}

static void
tell_listeners(const struct slot *at, struct child *c)
{
	const struct listeners *l = &at->s->listeners;

	if (at->role == ROLE_FRONT) {
		tell_listener(c, LISTENER_DEVICE, l->device[at->index]);
		tell_listener(c, LISTENER_PUBLIC, l->public[at->index]);
	} else if (at->role == ROLE_CONSOLE) {
		tell_listener(c, LISTENER_LOCAL, l->local);
		if (at->s->tls && !at->local_only)
			tell_listener(c, LISTENER_OPERATOR, l->operator);
	}
}

static void
link_to_others(struct supervisor *s, struct child *c)
{
	for (struct child *o = s->children; o != NULL; o = o->next)
		if (o != c && linked(c->role, o->role))
			child_link(c, o);
}

static void
on_unlinked(void *ctx, struct child *c)
{
	struct slot *at = ctx;

	log_event(L_WARN, "role.linked-again", "role=%s instance=%u", role_name(c->role), (unsigned)c->instance);
	link_to_others(at->s, c);
}

static const struct child_events child_events;

static void
start(struct slot *at)
{
	struct supervisor *s = at->s;
	struct child *c;
	struct err e;

	if (child_start(&c, s->loop, at->path, at->role, free_instance(s, at->role), &child_events,
	    at, &e) != 0) {
		log_event(L_ERROR, "role.not-started", "role=%s why=\"%s\"", role_name(at->role), e.msg);
		loop_timer_in(at->retry, backoff_next(&at->backoff, 0));
		return;
	}
	log_event(L_NOTE, "role.started", "role=%s instance=%u pid=%d", role_name(c->role),
	    (unsigned)c->instance, (int)c->pid);
	*(at->now == NULL ? &at->now : &at->next) = c;
	tell_settings(s, c);
	if (c->role == ROLE_AUTHORITY)
		tell_outcome(s, c, false); /* one before it may have died since, and an operator may ask */
	link_to_others(s, c);
	c->next = s->children;
	s->children = c;
	tell_listeners(at, c);
	child_tell(c, PROTO_START, (struct bytes){ NULL, 0 }, -1);
}

static void
on_retry(void *ctx)
{
	start(ctx);
}

/* A successor with the present settings and sockets; who serves goes on until it is ready. */
static void
replace(struct slot *at)
{
	loop_timer_stop(at->retry);
	if (at->next != NULL)
		child_drain(at->next, REPLACED_MS);
	at->next = NULL;
	if (at->now != NULL && !at->now->ready) {
		child_drain(at->now, REPLACED_MS);
		at->now = NULL;
	}
	start(at);
}

static void
on_ready(void *ctx, struct child *c)
{
	struct slot *at = ctx;

	if (c == at->next) {
		child_drain(at->now, REPLACED_MS);
		at->now = c;
		at->next = NULL;
	}
	if (at->missed) { /* it has started after all: the files were mended, say */
		at->missed = false;
		tell_outcomes(at->s, NULL);
	}
	review(at->s);
}

/* --- ending --- */

/* In the order in which they need each other: who asks goes before who answers. */
static void
stop_next(struct supervisor *s)
{
	static const enum role order[][2] = {
		{ ROLE_FRONT, ROLE_CONSOLE },
		{ ROLE_AUTHORITY, ROLE_AUTHORITY },
		{ ROLE_SIGNER, ROLE_COURIER },
	};

	for (size_t i = 0; i < N_OF(order); i++) {
		bool any = false;

		for (struct child *c = s->children; c != NULL; c = c->next) {
			if (c->role != order[i][0] && c->role != order[i][1])
				continue;
			any = true;
			if (!c->leaving)
				child_drain(c, STOP_MS);
		}
		if (any)
			return;
	}
	loop_stop(s->loop, 0);
}

static void
kill_all(void *ctx)
{
	struct supervisor *s = ctx;

	for (struct child *c = s->children; c != NULL; c = c->next)
		child_kill(c);
}

static void
on_stop_signal(void *ctx, int signo)
{
	struct supervisor *s = ctx;

	log_event(L_NOTE, "server.stopping", "signal=%d", signo);
	if (s->stopping) {
		kill_all(s); /* asked twice: at once */
		return;
	}
	peer_notify("STOPPING=1");
	s->announced = false;
	withdraw(s);
	s->stopping = true;
	loop_timer_stop(s->tls_watch);
	for (size_t i = 0; i < s->n_slots; i++)
		loop_timer_stop(s->slots[i].retry);
	loop_timer_in(s->stop_timer, STOP_MS);
	stop_next(s);
}

static void
forget(struct supervisor *s, struct child *c)
{
	struct child **at = &s->children;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	child_free(c);
}

/* Damaged TLS files must not shut out who is to mend them: after a start that failed, the console serves its own machine alone. */
static void
judge_console(struct slot *at, const struct child *c)
{
	at->local_only = c->refused && at->s->tls && !at->local_only && !at->s->stopping;
	if (at->local_only)
		tell_outcomes(at->s, NULL);
}

static void
on_gone(void *ctx, struct child *c)
{
	struct slot *at = ctx;
	struct supervisor *s = at->s;
	uint64_t lived = clock_monotonic_ms() - c->started_ms;
	bool missed = c == at->now || c == at->next;

	if (c == at->now) {
		if (at->role == ROLE_CONSOLE)
			judge_console(at, c);
		at->now = at->next;
		at->next = NULL;
		missed = at->now == NULL;
	} else if (c == at->next) {
		at->next = NULL;
		at->missed = true;
		tell_outcomes(s, NULL);
	}
	forget(s, c);
	if (s->stopping) {
		stop_next(s);
		return;
	}
	if (missed)
		loop_timer_in(at->retry, backoff_next(&at->backoff, lived));
	review(s);
}

/* --- reloading --- */

static void
settle(struct supervisor *s)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	s->settled = s->file;
	if (s->settled.fronts == 0)
		s->settled.fronts = cores < 1 ? 1 : cores > SETTINGS_FRONTS_MAX ? SETTINGS_FRONTS_MAX :
		    (uint32_t)cores;
	s->tls = tls_there(&s->settled);
}

/* All that can fail, before anything is changed. */
static int
prepare(struct supervisor *s, struct settings *fresh, struct listeners *l, struct err *e)
{
	struct settings wanted;
	int r;

	if ((r = config_load(fresh, s->config, e)) != 0 ||
	    (r = config_may_change(&s->file, fresh, e)) != 0)
		return r;
	if (s->tls && !tls_there(fresh))
		return err_set(e, E_NOTFOUND, "TLS files '%.150s' and '%.150s': not both readable",
		    fresh->tls_chain, fresh->tls_key);
	wanted = *fresh;
	wanted.fronts = s->settled.fronts;
	return listeners_open(l, &s->listeners, &wanted, &s->owner, e);
}

static void
begin_reload(struct supervisor *s)
{
	char state[80];

	(void)snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	    clock_monotonic_ms() * 1000);
	peer_notify(state);
	s->reloading = true;
}

/* What stood in a place that the new settings have left. */
static void
clear_old_paths(const struct settings *was, const struct settings *now)
{
	if (strcmp(was->local_socket, now->local_socket) != 0)
		(void)unlink(was->local_socket);
	if (strcmp(was->ready_file, now->ready_file) != 0)
		(void)unlink(was->ready_file);
}

static void
watch_tls(struct supervisor *s)
{
	loop_timer_stop(s->tls_watch); /* a reload may have found them first */
	if (s->tls)
		return;
	log_event(L_WARN, "front.waiting", "chain=%s key=%s why=\"the TLS certificate is not there yet\"",
	    s->settled.tls_chain, s->settled.tls_key);
	loop_timer_in(s->tls_watch, TLS_WATCH_MS);
}

/* Everybody gets what the file now says; fronts, console and courier, which read files before they confine themselves, by successors. */
static void
roll_out(struct supervisor *s)
{
	settle(s);
	listeners_settle(&s->listeners, &s->settled);
	for (size_t i = 0; i < s->n_slots; i++) {
		struct slot *at = &s->slots[i];

		if (at->role == ROLE_CONSOLE || at->role == ROLE_COURIER || (at->role == ROLE_FRONT && s->tls))
			replace(at);
		else if (at->now != NULL)
			tell_settings(s, at->now);
	}
	watch_tls(s);
	review(s);
}

/* Keep how a reload was judged, and tell it: taken, roles are to show yet that they can start with it. */
static void
conclude(struct supervisor *s, const struct err *e, const struct child *asker)
{
	s->judged = (struct proto_reloaded){ .code = e->code };
	text_copy(s->judged.why, sizeof(s->judged.why), e->msg);
	for (size_t i = 0; i < s->n_slots && e->code == E_OK; i++)
		s->slots[i].missed = s->slots[i].local_only = false;
	tell_outcomes(s, asker);
}

static void
reload(struct supervisor *s, const char *cause, const struct child *asker)
{
	struct listeners l = LISTENERS_NONE;
	struct settings fresh, was = s->settled;
	struct err e = { 0 };

	if (s->stopping) {
		(void)err_set(&e, E_UNAVAIL, "the server is stopping");
		conclude(s, &e, asker);
		return;
	}
	begin_reload(s);
	if (prepare(s, &fresh, &l, &e) != 0) {
		log_event(L_ERROR, "reload.refused", "cause=%s why=\"%s\"", cause, e.msg);
		conclude(s, &e, asker);
		review(s);
		return;
	}
	e = (struct err){ .code = E_OK };
	conclude(s, &e, asker);
	log_event(L_NOTE, "reload.begun", "cause=%s config=%s", cause, s->config);
	listeners_close(&s->listeners);
	s->listeners = l;
	s->file = fresh;
	clear_old_paths(&was, &fresh);
	roll_out(s);
}

static void
on_reload_signal(void *ctx, int signo)
{
	(void)signo;
	reload(ctx, "signal", NULL);
}

static void
on_reload_wish(void *ctx, struct child *c)
{
	struct slot *at = ctx;

	reload(at->s, "operator", c);
}

static void
on_tls_watch(void *ctx)
{
	struct supervisor *s = ctx;

	if (!tls_there(&s->settled)) {
		loop_timer_in(s->tls_watch, TLS_WATCH_MS);
		return;
	}
	log_event(L_NOTE, "front.waits-no-more", "chain=%s", s->settled.tls_chain);
	begin_reload(s);
	roll_out(s);
}

static const struct child_events child_events = {
	.ready = on_ready, .reload = on_reload_wish, .unlinked = on_unlinked, .gone = on_gone,
};

/* --- the whole --- */

static int
add_slot(struct supervisor *s, const char *self_dir, enum role r, uint32_t index, struct err *e)
{
	struct slot *at = &s->slots[s->n_slots];
	int rc = child_find(at->path, sizeof(at->path), self_dir, r, e);

	if (rc != 0)
		return rc;
	at->s = s;
	at->role = r;
	at->index = index;
	at->retry = loop_timer_new(s->loop, on_retry, at);
	s->n_slots++;
	return 0;
}

/* Signer first: each that follows finds whom it asks. */
static int
add_slots(struct supervisor *s, struct err *e)
{
	char dir[PATH_MAX];
	int r;

	if ((r = spawn_self_dir(dir, sizeof(dir), e)) != 0 ||
	    (r = add_slot(s, dir, ROLE_SIGNER, 0, e)) != 0 ||
	    (r = add_slot(s, dir, ROLE_COURIER, 0, e)) != 0 ||
	    (r = add_slot(s, dir, ROLE_AUTHORITY, 0, e)) != 0 ||
	    (r = add_slot(s, dir, ROLE_CONSOLE, 0, e)) != 0)
		return r;
	for (uint32_t i = 0; r == 0 && i < s->settled.fronts; i++)
		r = add_slot(s, dir, ROLE_FRONT, i, e);
	return r;
}

static int
set_up(struct supervisor *s, struct err *e)
{
	struct listeners none = LISTENERS_NONE;
	int r;

	if ((r = state_open(&s->lock, &s->owner, &s->file, e)) != 0)
		return r;
	settle(s);
	(void)unlink(s->settled.ready_file); /* of a server that did not end well */
	if ((r = add_slots(s, e)) != 0 ||
	    (r = listeners_open(&s->listeners, &none, &s->settled, &s->owner, e)) != 0)
		return r;
	listeners_settle(&s->listeners, &s->settled);
	return 0;
}

static void
serve(struct supervisor *s)
{
	s->tls_watch = loop_timer_new(s->loop, on_tls_watch, s);
	s->stop_timer = loop_timer_new(s->loop, kill_all, s);
	loop_on_signal(s->loop, SIGTERM, on_stop_signal, s);
	loop_on_signal(s->loop, SIGINT, on_stop_signal, s);
	loop_on_signal(s->loop, SIGHUP, on_reload_signal, s);
	if (geteuid() == 0 && !s->owner.change)
		log_event(L_WARN, "user.root", "why=\"the roles run as root: name a user by key 'server.user'\"");
	for (size_t i = 0; i < s->n_slots; i++)
		if (s->slots[i].role != ROLE_FRONT || s->tls)
			start(&s->slots[i]);
	watch_tls(s);
	(void)loop_run(s->loop);
	(void)unlink(s->settled.local_socket);
	log_event(L_NOTE, "server.stopped", "dir=%s", s->settled.dir);
}

static void
tear_down(struct supervisor *s)
{
	for (size_t i = 0; i < s->n_slots; i++)
		loop_timer_free(s->slots[i].retry);
	loop_timer_free(s->tls_watch);
	loop_timer_free(s->stop_timer);
	listeners_close(&s->listeners);
	loop_free(s->loop);
	fd_autoclose(&s->lock);
	mem_free(s);
}

int
supervisor_run(const char *config, const struct settings *settings, struct err *e)
{
	struct supervisor *s = mem_zalloc(sizeof(*s));
	int r;

	s->loop = loop_new();
	s->config = config;
	s->file = *settings;
	s->listeners = LISTENERS_NONE;
	s->lock = -1;
	r = set_up(s, e);
	if (r == 0)
		serve(s);
	tear_down(s);
	return r;
}
