/* SPDX-License-Identifier: Apache-2.0 */
/* config/apply.c - from the file that a person writes to configured services */
#include "device/config/apply.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "device/config/check.h"
#include "device/config/print.h"
#include "device/config/super.h"
#include "device/config/uri.h"

#define DEVICE_KEY     "/var/secrets/aziot/keyd/device-id"
#define MASTER_KEY     "/var/secrets/aziot/keyd/imported-master-encryption-key"
#define MASTER_KEY_MAX ((size_t)64 * 1024)
#define HOST_SIZE      256

enum user { KS, CS, ID, TPM, EDGE };
static const char *const user_names[APPLY_USERS] = { "aziotks", "aziotcs", "aziotid", "aziottpm",
	"iotedge" };

struct account {
	int64_t uid;  /* -1: not known */
	gid_t gid;
};

struct applying {
	const struct apply_options *o;
	struct apply_result *out;
	struct account who[APPLY_USERS];
	struct plan plan;
	struct place place;
	char hostname[HOST_SIZE];
	char file[PLACE_MAX];
};

int
apply_parse_uid(struct apply_uid *out, const char *text, struct err *e)
{
	const char *eq = strchr(text, '=');
	uint64_t uid;

	for (size_t i = 0; eq != NULL && i < N_OF(user_names); i++) {
		size_t n = strlen(user_names[i]);

		if ((size_t)(eq - text) != n || strncmp(text, user_names[i], n) != 0)
			continue;
		if (!text_parse_u64(&uid, eq + 1, UINT32_MAX - 1))
			return err_set(e, E_USAGE, "--uid %.100s: a number is needed behind '='", text);
		*out = (struct apply_uid){ user_names[i], (int64_t)uid };
		return 0;
	}
	return err_set(e, E_USAGE,
	    "--uid %.100s: write USER=N, USER one of aziotks, aziotcs, aziotid, aziottpm, iotedge", text);
}

/* --- who is who --- */

static bool
is_scratch(const struct applying *a)
{
	return a->place.prefix[0] != 0;
}

static void
find_users(struct applying *a)
{
	for (size_t i = 0; i < APPLY_USERS; i++) {
		const struct passwd *pw = is_scratch(a) ? NULL : getpwnam(user_names[i]);

		a->who[i] = (struct account){ -1, (gid_t)-1 };
		if (is_scratch(a))
			a->who[i] = (struct account){ geteuid(), (gid_t)-1 };
		else if (pw != NULL)
			a->who[i] = (struct account){ pw->pw_uid, pw->pw_gid };
		for (size_t k = 0; k < a->o->n_uids; k++)
			if (strcmp(a->o->uids[k].user, user_names[i]) == 0)
				a->who[i].uid = a->o->uids[k].uid;
	}
}

/* Everybody whose ID stands in a file, or who owns one. */
static int
need_users(const struct applying *a, struct err *e)
{
	const bool needed[APPLY_USERS] = {
		[KS] = a->o->out == NULL, [CS] = true, [ID] = true, [EDGE] = a->out->edge,
	};

	for (size_t i = 0; i < APPLY_USERS; i++)
		if (needed[i] && a->who[i].uid < 0)
			return err_set(e, E_NOTFOUND,
			    "user %s is not on this machine: install the package that makes it, or give "
			    "--uid %s=N",
			    user_names[i], user_names[i]);
	return 0;
}

/* --- what the files will be --- */

static int
find_places(struct applying *a, struct err *e)
{
	int r = place_find(&a->place, "keyd", a->o->prefix, e);

	if (r != 0)
		return r;
	if (a->o->out != NULL && is_scratch(a))
		return err_set(e, E_USAGE,
		    "--out and %s exclude each other: one shows what a device would get, the other "
		    "is a device of its own%s", a->o->prefix != NULL ? "--prefix" : "ESTUARY_PREFIX in the environment",
		    a->o->prefix != NULL ? "" : " (env -u ESTUARY_PREFIX ...)");
	if (a->o->file != NULL)
		(void)snprintf(a->file, sizeof(a->file), "%s", a->o->file);
	else if ((size_t)snprintf(a->file, sizeof(a->file), "%s%s", a->place.prefix, APPLY_FILE) >=
	    sizeof(a->file))
		return err_set(e, E_USAGE, "the prefix is too long");
	if (a->o->file != NULL && strlen(a->o->file) >= sizeof(a->file))
		return err_set(e, E_USAGE, "%.100s...: name too long", a->o->file);
	if (gethostname(a->hostname, sizeof(a->hostname) - 1) != 0)
		return err_errno(e, E_IO, "gethostname");
	return 0;
}

static int
read_file(struct toml **doc, const struct applying *a, struct err *e)
{
	AUTO_BUF text = BUF_MAX(TOML_MAX);
	int r = file_read(&text, a->file, TOML_MAX, e);

	return r != 0 ? r : toml_parse(doc, a->file, bytes_of_buf(&text), e);
}

static int
read_plan(struct applying *a, const struct toml *doc, struct err *e)
{
	const struct super_options so = {
		.prefix = a->place.prefix,
		.hostname = a->o->hostname != NULL ? a->o->hostname : a->hostname,
		.uids = { a->who[KS].uid, a->who[CS].uid, a->who[ID].uid, a->who[TPM].uid,
		    a->who[EDGE].uid },
		.edge = a->out->edge,
		.tell = a->o->tell,
		.ctx = a->o->ctx,
	};
	const struct check_options co = {
		.elsewhere = a->o->out != NULL,
		.users = a->o->out == NULL && !is_scratch(a),
		.tell = a->o->tell,
		.ctx = a->o->ctx,
	};
	int r = super_read(&a->plan, doc, &so, e);
	size_t faults = check_references(&a->plan, &co);

	if (r == 0 && faults != 0)
		return err_set(e, E_FORMAT,
		    "%s: %zu of the files that it names will not do; nothing was changed", a->file, faults);
	return r;
}

static struct install_file *
add_file(struct applying *a, enum user owner, const char *service, const char *path)
{
	struct install_file *f = install_add(&a->out->in, service, path);
	bool own = f != NULL && a->o->out == NULL && !is_scratch(a) && a->who[owner].uid >= 0;

	if (own) {
		f->uid = (uid_t)a->who[owner].uid;
		f->gid = a->who[owner].gid;
	}
	return f;
}

static int
add_service(struct applying *a, enum user owner, const char *service,
    void (*print)(struct buf *, const struct plan *), struct err *e)
{
	char path[PLACE_MAX];
	struct install_file *f;

	(void)snprintf(path, sizeof(path), "/etc/aziot/%s/config.d/00-super.toml", service);
	f = add_file(a, owner, service, path);
	if (f == NULL)
		return err_set(e, E_USAGE, "the directory's name is too long");
	print_header(&f->content, a->o->command);
	print(&f->content, &a->plan);
	return 0;
}

/* Did the installed file of keyd say that the key of an inline value is kept? */
static bool
kept_before(const struct applying *a)
{
	AUTO_BUF text = { 0 };
	AUTO_BUF line = { 0 };
	char path[PLACE_MAX], key[PLACE_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/etc/aziot/keyd/config.d/00-super.toml",
		a->out->in.base) >= sizeof(path) ||
	    (size_t)snprintf(key, sizeof(key), "%s" DEVICE_KEY, a->place.prefix) >= sizeof(key) ||
	    file_read(&text, path, TOML_MAX, NULL) != 0)
		return false;
	buf_put_str(&line, "\ndevice-id = \"");
	uri_of_path(&line, key);
	buf_put_str(&line, "\"\n");
	return strstr(buf_str(&text), buf_str(&line)) != NULL;
}

/* The inline symmetric key has a file of its own, which goes when nobody needs it any more. */
static int
add_device_key(struct applying *a, struct err *e)
{
	const char *uri = map_get(&a->plan.preloaded_keys, "device-id");
	struct install_file *f;

	if (a->plan.device_key_uri == NULL &&
	    ((uri != NULL && strstr(uri, DEVICE_KEY) != NULL) || !kept_before(a)))
		return 0;
	f = add_file(a, KS, "keyd", DEVICE_KEY);
	if (f == NULL)
		return err_set(e, E_USAGE, "the directory's name is too long");
	f->secret = true;
	f->remove = a->plan.device_key_uri == NULL;
	buf_put_bytes(&f->content, bytes_of_buf(&a->plan.device_key));
	if (!f->remove) {
		(void)snprintf(a->out->key_path, sizeof(a->out->key_path), "%s", f->path);
		a->out->key_note = a->out->key_path;
	}
	return 0;
}

static int
add_master_key(struct applying *a, struct err *e)
{
	struct install_file *f;

	if (!a->out->edge || a->plan.edge.master_key == NULL)
		return 0;
	f = add_file(a, KS, "keyd", MASTER_KEY);
	if (f == NULL)
		return err_set(e, E_USAGE, "the directory's name is too long");
	f->secret = true;
	if (a->o->out != NULL && access(a->plan.edge.master_key, R_OK) != 0)
		return 0; /* told already: it is on the device, and the file here stands for it */
	return file_read(&f->content, a->plan.edge.master_key, MASTER_KEY_MAX, e);
}

/* Is the daemon of IoT Edge on this machine, which asks for its CA's certificate itself? */
static bool
has_edge_daemon(const struct applying *a)
{
	static const char *const places[] = {
		"/usr/libexec/aziot/aziot-edged", "/usr/bin/aziot-edged", "/etc/systemd/system/aziot-edged.service",
		"/usr/lib/systemd/system/aziot-edged.service", "/lib/systemd/system/aziot-edged.service",
	};
	char path[PLACE_MAX * 2];

	if (a->o->edge_daemon >= 0 || a->o->out != NULL)
		return a->o->edge_daemon != 0;
	for (size_t i = 0; i < N_OF(places); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", a->place.prefix, places[i]);
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

/* Estuary's own file beside a service's; when it is not wanted it goes, and where there is none *out is NULL. */
static int
add_own_file(struct install_file **out, struct applying *a, enum user owner, const char *service, bool wanted,
    struct err *e)
{
	char path[PLACE_MAX], whole[PLACE_MAX * 2];

	(void)snprintf(path, sizeof(path), "/etc/aziot/%s/config.d/01-estuary.toml", service);
	(void)snprintf(whole, sizeof(whole), "%s%s", a->out->in.base, path);
	*out = NULL;
	if (!wanted && access(whole, F_OK) != 0)
		return 0;
	*out = add_file(a, owner, service, path);
	if (*out == NULL)
		return err_set(e, E_USAGE, "the directory's name is too long");
	(*out)->remove = !wanted;
	if (wanted)
		print_header(&(*out)->content, a->o->command);
	return 0;
}

/* Without edged certd itself asks for the Edge CA's certificate. */
static int
add_own(struct applying *a, struct err *e)
{
	bool wanted = a->out->edge && print_has_own(&a->plan) && !has_edge_daemon(a);
	struct install_file *keyd, *certd;
	int r;

	if ((r = add_own_file(&keyd, a, KS, "keyd", wanted, e)) != 0 ||
	    (r = add_own_file(&certd, a, CS, "certd", wanted, e)) != 0 || !wanted)
		return r;
	print_own_keyd(&keyd->content, a->who[CS].uid);
	print_own_certd(&certd->content, &a->plan);
	return 0;
}

static int
add_files(struct applying *a, struct err *e)
{
	bool tpmd = a->who[TPM].uid >= 0 || a->o->out != NULL;
	int r;

	if ((r = add_device_key(a, e)) != 0 || (r = add_master_key(a, e)) != 0 ||
	    (r = add_service(a, KS, "keyd", print_keyd, e)) != 0 ||
	    (r = add_service(a, CS, "certd", print_certd, e)) != 0 ||
	    (r = add_service(a, ID, "identityd", print_identityd, e)) != 0 ||
	    (tpmd && (r = add_service(a, TPM, "tpmd", print_tpmd, e)) != 0))
		return r;
	if (a->out->edge && (r = add_service(a, EDGE, "edged", print_edged, e)) != 0)
		return r;
	return add_own(a, e);
}

/*
 * Modules keep the host name that they were made with.  Whether there are any the container
 * engine alone could say, and the configuration must not depend on its answer.
 */
static void
tell_of_rename(const struct applying *a)
{
	for (size_t i = 0; a->out->edge && i < a->out->in.n; i++) {
		const struct install_file *f = &a->out->in.v[i];
		AUTO(toml) old = NULL;
		AUTO_BUF text = { 0 };
		const struct toml *name;

		if (strcmp(f->service, "identityd") != 0 || f->change != INSTALL_CHANGED ||
		    toml_parse(&old, f->path, bytes_of_buf(&f->old), NULL) != 0)
			continue;
		name = toml_get(old, "hostname");
		if (name == NULL || toml_kind(name) != TOML_STRING ||
		    strcmp(toml_string(name), a->plan.hostname) == 0)
			continue;
		buf_printf(&text,
		    "the host name changes from '%s' to '%s': modules that run already keep the old one, remove "
		    "them (iotedge system stop; docker rm -f ...)",
		    toml_string(name), a->plan.hostname);
		a->o->tell(a->o->ctx, false, buf_str(&text));
	}
}

/* --- in place --- */

static int
set_base(struct applying *a, struct err *e)
{
	struct install *in = &a->out->in;
	const char *base = a->o->out != NULL ? a->o->out : a->place.prefix;
	char here[PLACE_MAX];

	if (a->o->out != NULL && *a->o->out != '/') {
		if (getcwd(here, sizeof(here)) == NULL)
			return err_errno(e, E_IO, "the current directory");
		if ((size_t)snprintf(in->base, sizeof(in->base), "%s/%s", here, base) >= sizeof(in->base))
			return err_set(e, E_USAGE, "--out: the directory's name is too long");
	} else if ((size_t)snprintf(in->base, sizeof(in->base), "%s", base) >= sizeof(in->base)) {
		return err_set(e, E_USAGE, "--out: the directory's name is too long");
	}
	if ((size_t)snprintf(in->root, sizeof(in->root), "%s/etc/aziot", in->base) >= sizeof(in->root))
		return err_set(e, E_USAGE, "--out: the directory's name is too long");
	if (a->o->out != NULL && !a->o->dry_run)
		return file_mkdir(in->base, 0755, e);
	return 0;
}

/* Whose files changed, each once. */
static void
changed_services(const char *out[RESTART_MAX + 1], const struct install *in)
{
	size_t n = 0;

	for (size_t i = 0; i < in->n; i++) {
		bool known = in->v[i].change == INSTALL_SAME;

		for (size_t k = 0; k < n && !known; k++)
			known = strcmp(out[k], in->v[i].service) == 0;
		if (!known)
			out[n++] = in->v[i].service;
	}
	out[n] = NULL;
}

static bool
is_among(const char *const *list, const char *service)
{
	for (; *list != NULL; list++)
		if (strcmp(*list, service) == 0)
			return true;
	return false;
}

/* Those of d that are also in `services`, or that are not. */
static struct detached
select_services(const struct detached *d, const char *const *services, bool in)
{
	struct detached some = { .prefix = d->prefix, .program = d->program };
	size_t n = 0;

	for (size_t i = 0; d->services[i] != NULL; i++)
		if (is_among(services, d->services[i]) == in)
			some.services[n++] = d->services[i];
	return some;
}

/* Below a prefix: what we run and what changed is restarted; the rest is started when that is wished. */
static int
take_in_prefix(struct applying *a, const char *const *services, struct err *e)
{
	const struct detached *all = a->o->processes;
	const char *stopped[DETACHED_MAX + 1];
	struct detached some;
	int r;

	if (all == NULL)
		return 0;
	some = select_services(all, services, true);
	if ((r = detached_stop(stopped, &some, e)) != 0)
		return r;
	some = select_services(all, stopped, true);
	if ((r = detached_start(a->out->restarted, &some, e)) != 0 || !a->o->start)
		return r;
	return detached_start(a->out->started, all, e);
}

static int
install(struct applying *a, struct err *e)
{
	const char *services[RESTART_MAX + 1];
	int r = install_commit(&a->out->in, e);

	if (r != 0)
		return r;
	a->out->installed = true;
	changed_services(services, &a->out->in);
	if (a->o->out != NULL)
		return 0;
	if (is_scratch(a))
		r = take_in_prefix(a, services, e);
	else if (services[0] != NULL && restart_possible())
		r = restart_services(a->out->restarted, services, restart_systemctl, NULL, e);
	return r == 0 ? 0 : err_prefix(e, (enum err_code)r, "the configuration is installed, but");
}

/* Root, for files of others on a real system. */
static int
may_install(const struct applying *a, struct err *e)
{
	if (a->o->dry_run || a->o->out != NULL || is_scratch(a) || geteuid() == 0)
		return 0;
	return err_set(e, E_POLICY,
	    "this command must be run as root; --dry-run, --out and --prefix need not");
}

static int
run(struct applying *a, struct err *e)
{
	AUTO(toml) doc = NULL;
	int r;

	if ((r = find_places(a, e)) != 0 || (r = may_install(a, e)) != 0 ||
	    (r = read_file(&doc, a, e)) != 0)
		return r;
	find_users(a);
	a->out->edge = a->o->edge >= 0 ? a->o->edge != 0 :
	    super_has_edge(doc) || (!is_scratch(a) && a->who[EDGE].uid >= 0);
	if ((r = need_users(a, e)) != 0 || (r = set_base(a, e)) != 0)
		return r;
	if (!a->o->dry_run && (r = install_recover(&a->out->in, &a->out->recovered, e)) != 0)
		return r;
	r = read_plan(a, doc, e);
	if (r == 0)
		r = add_files(a, e);
	if (r == 0)
		r = install_compare(&a->out->in, e);
	if (r == 0)
		tell_of_rename(a);
	if (r == 0 && !a->o->dry_run)
		r = install(a, e);
	plan_clear(&a->plan);
	return r;
}

int
apply_run(struct apply_result *out, const struct apply_options *o, struct err *e)
{
	struct applying a = { .o = o, .out = out };

	*out = (struct apply_result){ 0 };
	return run(&a, e);
}

void
apply_clear(struct apply_result *r)
{
	install_clear(&r->in);
}
