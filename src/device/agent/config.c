/* SPDX-License-Identifier: Apache-2.0 */
/* agent/config.c - the configuration's verbs: config apply, mp and import, as aziotctl and iotedge have them */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/cmd/cli.h"
#include "device/agent/agent.h"
#include "device/agent/system.h"
#include "device/config/apply.h"
#include "device/config/diff.h"
#include "device/config/import.h"
#include "device/config/mp.h"
#include "device/config/yaml_tree.h"
#include "device/service/place.h"

#define IMPORT_FILE "/etc/iotedge/config.yaml"

/* --- apply --- */

/* A fault or an oddity: harmless on a terminal. */
static void
on_told(void *ctx, bool error, const char *text)
{
	struct cli *c = ctx;
	AUTO_BUF safe = { 0 };

	text_escape(&safe, bytes_of(text));
	fprintf(c->err, "%s: %s%s\n", c->program->name, error ? "" : "warning: ", buf_str(&safe));
}

static const char *
change_name(const struct install_file *f)
{
	static const char *const names[] = {
		[INSTALL_SAME] = "same",
		[INSTALL_NEW] = "new",
		[INSTALL_CHANGED] = "changed",
		[INSTALL_REMOVED] = "removed",
	};

	return names[f->change];
}

static void
put_difference(struct cli *c, const struct install_file *f)
{
	AUTO_BUF text = { 0 };

	fprintf(c->out, "%s: %s\n", f->path, change_name(f));
	if (f->change == INSTALL_SAME)
		return;
	if (f->secret)
		fputs("  its content is secret and not shown\n", c->out);
	else
		diff_lines(&text, bytes_of_buf(&f->old),
		    f->remove ? (struct bytes){ NULL, 0 } : bytes_of_buf(&f->content));
	fputs(buf_str(&text), c->out);
}

static void
print_apply_json(const struct cli *c, const struct apply_result *r, bool dry)
{
	AUTO_JSON o = json_object();
	json_t *files = json_array(), *services = json_array(), *started = json_array();

	for (size_t i = 0; i < r->in.n; i++) {
		json_t *f = json_object();

		json_setf(f, "path", "%s", r->in.v[i].path);
		json_setf(f, "service", "%s", r->in.v[i].service);
		json_setf(f, "change", "%s", change_name(&r->in.v[i]));
		(void)json_array_append_new(files, f);
	}
	for (size_t i = 0; r->restarted[i] != NULL; i++)
		(void)json_array_append_new(services, json_string(r->restarted[i]));
	(void)json_object_set_new(o, "dry_run", json_boolean(dry));
	(void)json_object_set_new(o, "edge", json_boolean(r->edge));
	(void)json_object_set_new(o, "files", files);
	(void)json_object_set_new(o, "restarted", services);
	for (size_t i = 0; r->started[i] != NULL; i++)
		(void)json_array_append_new(started, json_string(r->started[i]));
	(void)json_object_set_new(o, "started", started);
	cli_print_json(c, o);
}

static void
print_apply(struct cli *c, const struct apply_result *r, bool dry)
{
	size_t changes = 0;

	if (c->json) {
		print_apply_json(c, r, dry);
		return;
	}
	for (size_t i = 0; dry && i < r->in.n; i++)
		put_difference(c, &r->in.v[i]);
	for (size_t i = 0; !dry && i < r->in.n; i++) {
		changes += r->in.v[i].change != INSTALL_SAME;
		if (r->in.v[i].change != INSTALL_SAME)
			fprintf(c->out, "%s: %s\n", r->in.v[i].path, change_name(&r->in.v[i]));
	}
	if (dry)
		return;
	if (r->key_note != NULL)
		fprintf(c->out, "Note: Symmetric key is kept in %s\n", r->key_note);
	fprintf(c->out, "%s has been configured successfully!\n",
	    r->edge ? "Azure IoT Edge" : "Azure IoT Identity Service");
	if (changes == 0)
		fputs("Nothing has changed since the last time, and no service is restarted.\n", c->out);
	for (size_t i = 0; r->restarted[i] != NULL; i++)
		fprintf(c->out, "%s%s", i == 0 ? "Restarted for the configuration to take effect: " : ", ",
		    r->restarted[i]);
	if (r->restarted[0] != NULL)
		fputs("\n", c->out);
	for (size_t i = 0; r->started[i] != NULL; i++)
		fprintf(c->out, "%s%s", i == 0 ? "Started: " : ", ", r->started[i]);
	if (r->started[0] != NULL)
		fputs("\n", c->out);
	if (r->restarted[0] != NULL || r->started[0] != NULL)
		fputs("Done.\n", c->out);
}

/* yes, no, or nothing said. */
static int
tristate(const struct cli *c, const char *option)
{
	return cli_has(c, option) ? cli_flag(c, option) : -1;
}

/*
 * Whoever works with $ESTUARY_PREFIX has made the shell that device's, and expects it to come up; --prefix may name any
 * directory, whose services may be started by other means.
 */
static bool
is_to_start(const struct cli *c)
{
	return cli_has(c, "start") ? cli_flag(c, "start") : !cli_has(c, "prefix");
}

static int
fill_options(struct apply_options *o, struct cli *c, const struct system *s, char command[64], struct err *e)
{
	const char *edge = cli_text(c, "edge");
	int r;

	(void)snprintf(command, 64, "%s config apply", c->program->name);
	*o = (struct apply_options){
		.file = cli_text(c, "config") != NULL ? cli_text(c, "config") : cli_text(c, "config-file"),
		.prefix = cli_text(c, "prefix"),
		.out = cli_text(c, "out"),
		.hostname = cli_text(c, "hostname"),
		.command = command,
		.edge_daemon = tristate(c, "edge-daemon"),
		.dry_run = cli_flag(c, "dry-run"),
		.processes = system_is_prefix(s) ? &s->processes : NULL,
		.start = is_to_start(c),
		.tell = on_told,
		.ctx = c,
	};
	if (edge != NULL)
		o->edge = strcmp(edge, "yes") == 0;
	else if (strcmp(c->program->name, "aziotctl") == 0)
		o->edge = 0;
	else
		o->edge = strcmp(c->program->name, "iotedge") == 0 ? 1 : -1;
	for (size_t i = 0; i < cli_count(c, "uid"); i++) {
		if (i == N_OF(o->uids))
			return err_set(e, E_USAGE, "--uid: at most once for each user");
		if ((r = apply_parse_uid(&o->uids[o->n_uids++], cli_at(c, "uid", i), e)) != 0)
			return r;
	}
	return 0;
}

static int
run_apply(struct cli *c)
{
	struct apply_options o;
	struct apply_result r;
	struct system s;
	char command[64];
	struct err e;
	int rc;

	if (system_find(&s, c, &e) != 0 || fill_options(&o, c, &s, command, &e) != 0)
		return cli_fail(c, &e, NULL);
	rc = apply_run(&r, &o, &e);
	if (r.recovered)
		fprintf(c->err,
		    "%s: an earlier config apply that was interrupted has been completed first\n",
		    c->program->name);
	if (rc == 0)
		print_apply(c, &r, o.dry_run);
	apply_clear(&r);
	return rc == 0 ? 0 : cli_fail(c, &e, NULL);
}

/* --- mp and import --- */

/* What was given, else the usual name below the prefix. */
static int
default_file(char out[PLACE_MAX], const struct cli *c, const char *given, const char *name, struct err *e)
{
	struct place p;
	int r = place_find(&p, "keyd", cli_text(c, "prefix"), e);

	if (r != 0)
		return r;
	if ((size_t)snprintf(out, PLACE_MAX, "%s%s", given != NULL ? "" : p.prefix,
		given != NULL ? given : name) >= PLACE_MAX)
		return err_set(e, E_USAGE, "a file's name is too long");
	return 0;
}

static int
keep(struct cli *c, const struct buf *text, const char *path, struct err *e)
{
	int r = mp_write(path, bytes_of_buf(text), cli_flag(c, "force"), e);

	if (r != 0)
		return r;
	cli_say(c, "The configuration has been written to %s", path);
	cli_say(c, "To apply the new configuration to services, run:\n\n    sudo %s config apply -c '%s'\n",
	    c->program->name, path);
	agent_done(c, "file", path);
	return 0;
}

static int
run_mp(struct cli *c)
{
	AUTO_BUF text = { 0 };
	char path[PLACE_MAX];
	struct err e;

	if (default_file(path, c, cli_text(c, "out-config-file"), APPLY_FILE, &e) != 0 ||
	    mp_text(&text, cli_text(c, "connection-string"), &e) != 0 || keep(c, &text, path, &e) != 0)
		return cli_fail(c, &e, NULL);
	return 0;
}

static void
on_note(void *ctx, const char *text)
{
	on_told(ctx, false, text);
}

static int
run_import(struct cli *c)
{
	struct import_options o = { .tell = on_note, .ctx = c };
	AUTO_BUF old = BUF_MAX(YAML_MAX);
	AUTO_BUF text = { 0 };
	char from[PLACE_MAX], to[PLACE_MAX], key[PLACE_MAX];
	struct err e;

	if (default_file(from, c, cli_text(c, "config-file"), IMPORT_FILE, &e) != 0 ||
	    default_file(to, c, cli_text(c, "out-config-file"), APPLY_FILE, &e) != 0 ||
	    default_file(key, c, NULL, IMPORT_MASTER_KEY, &e) != 0 ||
	    file_read(&old, from, YAML_MAX, &e) != 0)
		return cli_fail(c, &e, NULL);
	if (access(key, F_OK) == 0)
		o.master_key = key;
	if (import_text(&text, from, bytes_of_buf(&old), &o, &e) != 0 || keep(c, &text, to, &e) != 0)
		return cli_fail(c, &e, NULL);
	return 0;
}

#define OUT_OPTS \
	{ .name = "out-config-file", .letter = 'o', .kind = OPT_TEXT, .arg = "FILE", \
	  .help = "Write there (default: /etc/aziot/config.toml)" }, \
	{ .name = "force", .letter = 'f', .help = "Replace a file that is there" }, AGENT_PREFIX_OPT

const struct verb config_verbs[] = {
	{ .group = "config", .name = "apply",
	  .help = "Turn config.toml into the services' files, and restart what changed",
	  .run = run_apply,
	  .text = "Reads the one file that a person writes and looks at everything in it first: "
	      "every URL, every file that it names (is it there, whole, readable by the service's "
	      "user?), every user. Each fault is told with file, line, key and remedy, and then "
	      "nothing is changed.\n\nAll files change or none: new ones are written beside the "
	      "old, then a journal decides, then they are renamed. What a crash interrupts is "
	      "completed by the next apply. Old contents are not kept. The key of an inline "
	      "symmetric key is kept in a file of its own, which goes when the configuration no "
	      "longer has one. Services are restarted by systemctl only where their files "
	      "changed.\n\nAs iotedge the sections of IoT Edge count and edged has a file; as "
	      "aziotctl they do not; as estuary-agent they do when the file has one, or the machine "
	      "a user iotedge. Where the Edge daemon (aziot-edged) is not installed, a file 01-estuary.toml "
	      "beside the others makes certd itself request and renew the Edge CA's certificate, under "
	      "the daemon's IDs; where it is, there is no such file.\n\nBelow a prefix the services that 'system' "
	      "started are restarted where their files changed.",
	  .opts = OPTS(
	      { .name = "config", .letter = 'c', .kind = OPT_TEXT, .arg = "FILE",
	        .help = "The file to read (default: /etc/aziot/config.toml)" },
	      { .name = "config-file", .kind = OPT_TEXT, .arg = "FILE",
	        .help = "The same, as iotedge calls it" },
	      { .name = "dry-run",
	        .help = "Show the difference and change nothing; passwords and keys are not shown" },
	      { .name = "out", .kind = OPT_TEXT, .arg = "DIR",
	        .help = "Write what would be installed below DIR, and nothing else" },
	      { .name = "uid", .kind = OPT_LIST, .arg = "USER=N",
	        .help = "The ID of a user that this machine does not have" },
	      { .name = "hostname", .kind = OPT_TEXT, .arg = "NAME",
	        .help = "When the file gives none (default: this machine's)" },
	      { .name = "edge", .kind = OPT_BOOL, .arg = "YES",
	        .help = "With or without IoT Edge" },
	      { .name = "edge-daemon", .kind = OPT_BOOL, .arg = "YES",
	        .help = "Is IoT Edge's own daemon here (default: looked for; with --out: yes)" },
	      { .name = "start", .kind = OPT_BOOL, .arg = "YES",
	        .help = "Start a prefix's services that do not run (default: when it is $ESTUARY_PREFIX)" }, AGENT_PREFIX_OPT),
	  .example = "estuary-agent config apply --dry-run\n"
	      "estuary-agent config apply --out image --uid aziotcs=997 --uid aziotid=998 --hostname pump-7" },
	{ .group = "config", .name = "mp",
	  .help = "Write a config.toml for manual provisioning from a connection string", .run = run_mp,
	  .opts = OPTS(
	      { .name = "connection-string", .letter = 'c', .kind = OPT_TEXT, .arg = "CS", .required = true,
	        .help = "HostName=NAME;DeviceId=ID;SharedAccessKey=KEY, as the hub shows it" }, OUT_OPTS),
	  .example = "estuary-agent config mp -c 'HostName=hub.example;DeviceId=pump-7;SharedAccessKey=c2VjcmV0'" },
	{ .group = "config", .name = "import",
	  .help = "Write a config.toml from the YAML of IoT Edge 1.1 and before", .run = run_import,
	  .text = "The old home directory is left out, sockets get their new names, an agent of 1.0 "
	      "or 1.1 becomes the current one, and a master encryption key of the old security "
	      "daemon goes on. External provisioning is refused.",
	  .opts = OPTS(
	      { .name = "config-file", .letter = 'c', .kind = OPT_TEXT, .arg = "FILE",
	        .help = "The old file (default: /etc/iotedge/config.yaml)" }, OUT_OPTS),
	  .example = "estuary-agent config import -c config.yaml -o config.toml" },
	{ .name = NULL },
};
