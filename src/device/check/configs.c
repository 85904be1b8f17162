/* SPDX-License-Identifier: Apache-2.0 */
/* check/configs.c - the services' configuration: can it be read, is it right, is it that of config.toml? */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device/check/inside.h"
#include "device/check/reader.h"
#include "device/config/apply.h"

#define SUPER "00-super.toml"

/* --- well-formed --- */

struct reading {
	struct checking *c;
	struct check_result *r;
};

typedef int (*read_fn)(struct reading *rd, const struct toml *doc, struct err *e);

static void
on_warning(void *ctx, const char *text)
{
	struct reading *rd = ctx;

	if (strstr(text, CERTD_PLAIN_HTTP) != NULL) /* est-server-https speaks of these */
		check_note(rd->r, "%s", text);
	else
		check_warn(rd->r, "%s", text);
}

/* May we look at it at all?  What is not there may be looked at. */
static bool
may_look(const char *path, int mode)
{
	return access(path, mode) == 0 || errno != EACCES;
}

/* Read a service's configuration as its own user would; its settings are kept when there are no errors. */
static void
well_formed(struct checking *c, struct check_result *r, int service, read_fn fn)
{
	const struct place *p = &c->at[service];
	struct reading rd = { c, r };
	AUTO(toml) doc = NULL;
	struct reader user;
	struct err e;

	if (!may_look(p->config_file, R_OK) || !may_look(p->config_dir, R_OK | X_OK)) {
		check_fatal(r, "%s and %s may not be read by you: run this as root", p->config_file, p->config_dir);
		return;
	}
	reader_find(&user, p);
	if (settings_load_as(&doc, p, user.uid, user.gid, &e) != 0) {
		check_error(r, "%s", e.msg);
		return;
	}
	c->configured[service] = toml_count(doc) != 0;
	if (fn(&rd, doc, &e) != 0)
		check_error(r, "%s", e.msg);
}

static int
read_keyd(struct reading *rd, const struct toml *doc, struct err *e)
{
	return keyd_settings_read(&rd->c->keyd, doc, &rd->c->at[SERVICE_KEYD], on_warning, rd, e);
}

static int
read_certd(struct reading *rd, const struct toml *doc, struct err *e)
{
	return certd_settings_read(&rd->c->certd, doc, &rd->c->at[SERVICE_CERTD], on_warning, rd, e);
}

/* A device that takes only keys and certificates from us has no identityd; nothing is wrong with it. */
static int
read_identityd(struct reading *rd, const struct toml *doc, struct err *e)
{
	if (toml_count(doc) == 0) {
		check_ignore(rd->r, "identityd is not configured");
		return 0;
	}
	return identityd_settings_read(&rd->c->identityd, doc, &rd->c->at[SERVICE_IDENTITYD], on_warning, rd, e);
}

/* There is no tpmd of ours: that its files are TOML is all that can be said. */
static int
read_tpmd(struct reading *rd, const struct toml *doc, struct err *e)
{
	(void)e;
	if (toml_count(doc) == 0)
		check_ignore(rd->r, "tpmd is not configured, or as by default");
	return 0;
}

/* The tables without which edged does not start. */
static int
read_edged(struct reading *rd, const struct toml *doc, struct err *e)
{
	static const char *const needed[] = { "agent", "connect", "listen", "moby_runtime" };
	const struct toml *v;

	(void)rd;
	for (size_t i = 0; i < N_OF(needed); i++) {
		v = toml_get(doc, needed[i]);
		if (v == NULL)
			return err_set(e, E_FORMAT, "the table [%s] is missing: run iotedge config apply", needed[i]);
		if (toml_kind(v) != TOML_TABLE)
			return toml_err(e, v, "is %s, not a table", toml_kind_name(toml_kind(v)));
	}
	return 0;
}

void
configs_keyd(struct checking *c, struct check_result *r)
{
	well_formed(c, r, SERVICE_KEYD, read_keyd);
}

void
configs_certd(struct checking *c, struct check_result *r)
{
	well_formed(c, r, SERVICE_CERTD, read_certd);
}

void
configs_tpmd(struct checking *c, struct check_result *r)
{
	well_formed(c, r, SERVICE_TPMD, read_tpmd);
}

void
configs_identityd(struct checking *c, struct check_result *r)
{
	well_formed(c, r, SERVICE_IDENTITYD, read_identityd);
}

void
configs_edged(struct checking *c, struct check_result *r)
{
	well_formed(c, r, SERVICE_EDGED, read_edged);
}

/* --- up to date --- */

/* Is some service's file older than config.toml? */
static bool
is_older(const struct checking *c, struct check_result *r, const char *super, const struct stat *from,
    const int *services, size_t n)
{
	char made[PLACE_MAX + 32];
	bool older = false;
	struct stat to;

	for (size_t i = 0; i < n; i++) {
		(void)snprintf(made, sizeof(made), "%s/%s", c->at[services[i]].config_dir, SUPER);
		if (stat(made, &to) != 0)
			check_warn(r, "%s: %s; %s was never applied", made, strerror(errno), super);
		else
			older = older || from->st_mtim.tv_sec > to.st_mtim.tv_sec;
	}
	return older;
}

static void
on_told(void *ctx, bool error, const char *text)
{
	struct check_result *r = ctx;

	if (error)
		check_cause(r, "%s", text);
}

/* What stands behind the comments at the top, which name the command. */
static struct bytes
without_header(const struct buf *text)
{
	struct bytes b = bytes_of_buf(text);

	while (b.n != 0 && (*b.p == '#' || *b.p == '\n')) {
		const uint8_t *end = memchr(b.p, '\n', b.n);
		size_t n = end != NULL ? (size_t)(end - b.p) + 1 : b.n;

		b = bytes_slice(b, n, b.n - n);
	}
	return b;
}

static bool
differs(const struct install_file *f)
{
	if (f->change != INSTALL_CHANGED)
		return f->change != INSTALL_SAME;
	return f->secret || !bytes_equal(without_header(&f->content), without_header(&f->old));
}

/* config apply leaves files alone that stay the same, so times do not tell: what it would do now does. */
static void
compare(struct checking *c, struct check_result *r, const int *services, size_t n, const char *command)
{
	char super[PLACE_MAX + 32];
	struct apply_options o = { .prefix = c->o->prefix,
		.command = command,
		.edge = -1,
		.edge_daemon = -1,
		.dry_run = true,
		.tell = on_told,
		.ctx = r };
	struct apply_result would;
	struct stat from;
	struct err e;

	(void)snprintf(super, sizeof(super), "%s/etc/aziot/config.toml", c->at[SERVICE_KEYD].prefix);
	if (stat(super, &from) != 0) {
		check_ignore(r, "there is no %s", super);
		return;
	}
	if (!is_older(c, r, super, &from, services, n) || r->kind != CHECK_OK)
		return;
	if (apply_run(&would, &o, &e) != 0)
		check_warn(r, "%s is newer than what was made of it, and cannot be applied: %s", super, e.msg);
	else
		for (size_t i = 0; i < would.in.n; i++)
			if (differs(&would.in.v[i]))
				check_warn(r, "%s is not what %s says now: run %s", would.in.v[i].path, super, command);
	apply_clear(&would);
}

void
configs_up_to_date(struct checking *c, struct check_result *r)
{
	static const int services[] = { SERVICE_KEYD, SERVICE_CERTD, SERVICE_IDENTITYD };

	compare(c, r, services, N_OF(services), "aziotctl config apply");
}

void
configs_edged_up_to_date(struct checking *c, struct check_result *r)
{
	static const int services[] = { SERVICE_EDGED };

	compare(c, r, services, N_OF(services), "iotedge config apply");
}
