/* SPDX-License-Identifier: Apache-2.0 */
/* agent/system.c - the verbs of the services as a whole: restart, stop, status, logs, log level, provisioning anew */
#include "device/agent/system.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/cmd/table.h"
#include "core/net/local.h"
#include "core/sys/spawn.h"
#include "device/agent/agent.h"
#include "device/config/restart.h"

#define SHOWN_WIDTH     24      /* of a service's name, as the original has it */
#define STATUS_BAD      3       /* as systemctl status */
#define REPROVISION_MS  600000u
#define REPROVISION     "/identities/device/reprovision?api-version=2021-12-01"
#define LEVELS          "error|warn|info|debug|trace"
#define JOURNAL_ARGS    64
#define LINES_SHOWN     1000    /* as journalctl -e */
#define LINES_OF_DOWN   "10"
#define JOURNALCTL      "/usr/bin/journalctl"

/* Run and wait: what it prints comes where ours does. */
static void
run_journal(struct cli *c, const char *const *argv)
{
	struct spawn s = { .path = JOURNALCTL, .argv = argv, .control_fd = -1, .stdout_fd = -1, .stderr_fd = -1 };
	struct err e;
	pid_t pid;

	(void)fflush(c->out);
	if (spawn_start(&pid, &s, &e) == 0)
		(void)waitpid(pid, NULL, 0);
}

/* The last words of what is down. */
static void
print_why(struct cli *c, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *o = json_array_get(list, i);
		char unit[64];
		const char *const argv[] = { "journalctl", "-u", unit, "-n", LINES_OF_DOWN, "--no-pager", NULL };

		(void)snprintf(unit, sizeof(unit), "%s.service", json_str(o, "name", ""));
		if (json_flag(o, "well", true))
			continue;
		fprintf(c->out, "\n%s:\n", unit);
		run_journal(c, argv);
	}
}

static int
run_status(struct cli *c)
{
	AUTO_JSON o = NULL;
	const json_t *list;
	struct system s;
	struct err e;
	bool well;

	if (system_status(&o, &well, c, &e) != 0 || system_find(&s, c, &e) != 0)
		return cli_fail(c, &e, NULL);
	list = json_object_get(o, "services");
	if (c->json) {
		cli_print_json(c, o);
		return well ? 0 : STATUS_BAD;
	}
	fputs("System services:\n", c->out);
	for (size_t i = 0; i < json_array_size(list); i++)
		fprintf(c->out, "    %-*s%s\n", SHOWN_WIDTH, json_str(json_array_get(list, i), "name", ""),
		    json_str(json_array_get(list, i), "state", ""));
	fprintf(c->out, "\nUse '%s system logs' to check for non-fatal errors.\n"
	    "Use '%s check' to diagnose connectivity and configuration issues.\n", c->program->name, c->program->name);
	if (!well && !system_is_prefix(&s))
		print_why(c, list);
	return well ? 0 : STATUS_BAD;
}

/* --- restart and stop --- */

static void
say_list(const struct cli *c, const char *what, const char *const *names)
{
	AUTO_BUF line = { 0 };

	for (; *names != NULL; names++)
		buf_printf(&line, "%s aziot-%s", line.n != 0 ? "," : "", *names);
	if (line.n != 0)
		cli_say(c, "%s%s.", what, buf_str(&line));
}

static void
print_done(const struct cli *c, const char *member, const char *const *names)
{
	AUTO_JSON o = json_object();
	json_t *list = json_array();

	for (; *names != NULL; names++)
		(void)json_array_append_new(list, json_sprintf("aziot-%s", *names));
	(void)json_object_set_new(o, member, list);
	cli_print_json(c, o);
}

static int
restart_prefix(struct cli *c, const struct system *s, struct err *e)
{
	const char *done[DETACHED_MAX + 1];
	int r = detached_stop(done, &s->processes, e);

	say_list(c, "Stopped", done);
	if (r == 0) {
		r = detached_start(done, &s->processes, e);
		say_list(c, "Started", done);
	}
	if (r == 0 && done[0] == NULL)
		return err_set(e, E_NOTFOUND, "there is nothing to start below %.200s: run '%s config apply' first",
		    s->place.prefix, c->program->name);
	if (r == 0 && c->json)
		print_done(c, "restarted", done);
	return r;
}

static int
restart_units(struct cli *c, struct err *e)
{
	const char *done[RESTART_MAX + 1];
	int r = system_need_systemd(e);

	if (r != 0)
		return r;
	r = restart_services(done, system_services(c), restart_systemctl, NULL, e);
	if (done[0] == NULL)
		return err_set(e, E_NOTFOUND, "none of the services is installed as a unit");
	say_list(c, "Restarted", done);
	if (r == 0 && c->json)
		print_done(c, "restarted", done);
	return r;
}

static int
run_restart(struct cli *c)
{
	struct system s;
	struct err e;
	int r = system_find(&s, c, &e);

	if (r == 0)
		r = system_is_prefix(&s) ? restart_prefix(c, &s, &e) : restart_units(c, &e);
	return r == 0 ? 0 : cli_fail(c, &e, NULL);
}

static int
run_stop(struct cli *c)
{
	const char *done[RESTART_MAX + 1] = { NULL };
	struct system s;
	struct err e;
	int r = system_find(&s, c, &e);

	if (r == 0 && system_is_prefix(&s))
		r = detached_stop(done, &s.processes, &e);
	else if (r == 0 && (r = system_need_systemd(&e)) == 0)
		r = restart_stop(done, system_services(c), restart_systemctl, NULL, &e);
	say_list(c, "Stopped", done);
	if (r != 0)
		return cli_fail(c, &e, NULL);
	if (done[0] == NULL)
		cli_say(c, "Nothing was running.");
	if (c->json)
		print_done(c, "stopped", done);
	return 0;
}

/* --- logs --- */

/* The few things of journalctl that the logs of a prefix can do. */
static int
read_log_args(struct cli *c, size_t *lines, bool *follow, struct err *e)
{
	uint64_t n;

	for (size_t i = 0; i < cli_count(c, "args"); i++) {
		const char *arg = cli_at(c, "args", i), *next = cli_at(c, "args", i + 1);

		if (strcmp(arg, "-f") == 0 || strcmp(arg, "--follow") == 0) {
			*follow = true;
		} else if (strcmp(arg, "-n") == 0 && next != NULL && text_parse_u64(&n, next, SIZE_MAX)) {
			*lines = (size_t)n;
			i++;
		} else if (strcmp(arg, "-e") != 0 && strcmp(arg, "--no-pager") != 0) {
			return err_set(e, E_USAGE,
			    "%.60s: below a prefix there is no journal; -f and -n LINES are possible", arg);
		}
	}
	return 0;
}

static int
exec_journal(struct cli *c, struct err *e)
{
	const char *argv[JOURNAL_ARGS] = { "journalctl" };
	char units[RESTART_MAX][32];
	size_t n = 1, u = 0;
	int r = system_need_systemd(e);

	if (r != 0)
		return r;
	for (const char *const *at = system_services(c); *at != NULL; at++) {
		if (!restart_has_unit(*at, restart_systemctl, NULL))
			continue;
		(void)snprintf(units[u], sizeof(units[0]), "aziot-%s.service", *at);
		argv[n++] = "-u";
		argv[n++] = units[u++];
	}
	if (u == 0)
		return err_set(e, E_NOTFOUND, "none of the services is installed as a unit");
	if (cli_flag(c, "follow"))
		argv[n++] = "-f";
	else if (cli_count(c, "args") == 0)
		argv[n++] = "-e";
	if (cli_count(c, "args") == 0)
		argv[n++] = "--no-pager";
	for (size_t i = 0; i < cli_count(c, "args"); i++) {
		if (n + 1 >= N_OF(argv))
			return err_set(e, E_USAGE, "too many arguments for journalctl");
		argv[n++] = cli_at(c, "args", i);
	}
	(void)fflush(c->out);
	return spawn_exec(JOURNALCTL, argv, e);
}

static int
run_logs(struct cli *c)
{
	bool follow = cli_flag(c, "follow");
	size_t lines = LINES_SHOWN;
	struct system s;
	struct err e;
	int r = system_find(&s, c, &e);

	if (r == 0 && !system_is_prefix(&s))
		r = exec_journal(c, &e);
	else if (r == 0 && (r = read_log_args(c, &lines, &follow, &e)) == 0)
		r = logs_print(c->out, &s, lines, follow, &e);
	return r == 0 ? 0 : cli_fail(c, &e, NULL);
}

/* --- log level --- */

static int
write_drop_in(const char *service, const char *level, struct err *e)
{
	AUTO_BUF text = { 0 };
	char path[128];
	int r;

	(void)snprintf(path, sizeof(path), "/etc/systemd/system/aziot-%s.service.d", service);
	if ((r = file_mkdir(path, 0755, e)) != 0)
		return r;
	(void)snprintf(path, sizeof(path), "/etc/systemd/system/aziot-%s.service.d/log-level.conf", service);
	buf_put_str(&text, "[Service]\nEnvironment=AZIOT_LOG=");
	for (const char *p = level; *p != 0; p++)
		buf_put_u8(&text, (uint8_t)toupper((unsigned char)*p));
	buf_put_str(&text, "\n");
	return file_write(path, bytes_of_buf(&text), 0644, e);
}

static int
set_level_of_units(const struct cli *c, const char *level, struct err *e)
{
	static const char *const reload[] = { "daemon-reload", NULL };
	int r = system_need_systemd(e), status = 0;

	if (r == 0 && geteuid() != 0)
		r = err_set(e, E_POLICY, "this command must be run as root");
	for (const char *const *at = system_services(c); r == 0 && *at != NULL; at++)
		if (restart_has_unit(*at, restart_systemctl, NULL))
			r = write_drop_in(*at, level, e);
	if (r == 0)
		r = restart_systemctl(NULL, &status, NULL, reload, e);
	return r == 0 && status != 0 ? err_set(e, E_UNAVAIL, "systemctl daemon-reload ended with %d", status) : r;
}

static int
run_set_log_level(struct cli *c)
{
	const char *level = cli_text(c, "level");
	struct system s;
	struct err e;
	int r = system_find(&s, c, &e);

	if (r == 0)
		r = system_is_prefix(&s) ? detached_set_level(&s.processes, level, &e) : set_level_of_units(c, level, &e);
	if (r != 0)
		return cli_fail(c, &e, NULL);
	cli_say(c, "The log level is %s from the next start on; '%s system restart' does that now.", level, c->program->name);
	agent_done(c, "level", level);
	return 0;
}

/* --- reprovision --- */

static int
refused(const struct local_answer *a, struct err *e)
{
	AUTO_JSON v = NULL;
	AUTO_BUF words = { 0 };
	const char *said = "no reason given";

	if (a->json && json_parse(&v, bytes_of_buf(&a->body), NULL) == 0)
		said = json_str(v, "message", said);
	for (const char *p = said; *p != 0; p++) {
		if (*p == '\n')
			buf_put_str(&words, ": ");
		else
			buf_put_u8(&words, (uint8_t)*p);
	}
	return err_set(e, a->status == 401 ? E_AUTH : E_UNAVAIL, "the device was not provisioned: %.300s (status %u)",
	    buf_str(&words), a->status);
}

/* The Edge daemon takes a new identity at its start alone. */
static int
restart_edged(const struct cli *c, const struct system *s, struct err *e)
{
	static const char *const edged[] = { "edged", NULL };
	const char *done[RESTART_MAX + 1];

	if (strcmp(c->program->name, "aziotctl") == 0 || system_is_prefix(s) || !restart_possible())
		return 0;
	return restart_services(done, edged, restart_systemctl, NULL, e);
}

static int
run_reprovision(struct cli *c)
{
	__attribute__((cleanup(local_clear))) struct local_answer a = { 0 };
	char socket[PLACE_MAX];
	struct system s;
	struct err e;
	int r;

	if ((r = system_find(&s, c, &e)) == 0 && (r = place_socket(socket, &s.place, "identityd", &e)) == 0) {
		r = local_run(&a, socket, "POST", REPROVISION, bytes_of("{}"), REPROVISION_MS, &e);
		if (r != 0)
			(void)err_prefix(&e, (enum err_code)r, "aziot-identityd");
	}
	if (r == 0 && (a.status < 200 || a.status > 299))
		r = refused(&a, &e);
	if (r != 0)
		return cli_fail(c, &e, e.code == E_AUTH ? "run it as root" :
		    e.code == E_UNAVAIL && a.status == 0 ? "is the service running? 'system status' shows it" : NULL);
	cli_say(c, "The device has been provisioned anew.");
	if (restart_edged(c, &s, &e) != 0)
		return cli_fail(c, &e, NULL);
	agent_done(c, "status", "provisioned");
	return 0;
}

const struct verb system_verbs[] = {
	{ .group = "system", .name = "restart", .help = "Stop the services, and start them again", .run = run_restart,
	  .text = "Under systemd: each service is stopped (the Edge daemon first, when it is installed), "
	      "then their sockets are started, and the first of the services; the others start when they are "
	      "asked.\n\nWith --prefix DIR the services are processes of that directory, and systemd has no "
	      "part in it: they are started into the background, their numbers stand in DIR/run/aziot, what "
	      "they say in DIR/var/log/aziot. Only processes that this command started are ever stopped.",
	  .opts = OPTS(AGENT_PREFIX_OPT),
	  .example = "iotedge system restart\nestuary-agent system restart --prefix /srv/scratch" },
	{ .group = "system", .name = "stop", .help = "Stop the services", .run = run_stop,
	  .text = "Under systemd their sockets stay: a service starts again when somebody asks it.",
	  .opts = OPTS(AGENT_PREFIX_OPT) },
	{ .group = "system", .name = "status", .help = "Show which services run", .run = run_status,
	  .text = "Running; Ready: starts when it is asked; or Down, and why. The exit status is 3 when one is down.",
	  .opts = OPTS(AGENT_PREFIX_OPT) },
	{ .group = "system", .name = "logs", .help = "Show what the services say", .run = run_logs, .no_json = true,
	  .text = "Words behind -- go to journalctl as they are. With --prefix DIR there is no journal: "
	      "-f and -n LINES are possible.",
	  .opts = OPTS(
	      { .name = "follow", .letter = 'f', .help = "Go on with what comes" }, AGENT_PREFIX_OPT),
	  .pos = OPTS({ .name = "args", .kind = OPT_MANY, .arg = "ARG", .help = "Behind --: for journalctl" }),
	  .example = "iotedge system logs\niotedge system logs -- -f\naziotctl system logs -- --since '10 minutes ago'" },
	{ .group = "system", .name = "set-log-level", .help = "Set how much the services say, from their next start on",
	  .run = run_set_log_level, .opts = OPTS(AGENT_PREFIX_OPT),
	  .pos = OPTS({ .name = "level", .kind = OPT_TEXT, .arg = "LEVEL", .help = "The least that is said", .required = true,
	      .words = LEVELS }),
	  .example = "iotedge system set-log-level debug && iotedge system restart" },
	{ .group = "system", .name = "reprovision", .help = "Ask the provisioning service anew who this device is",
	  .run = run_reprovision,
	  .text = "Waits up to ten minutes. The identity that the device has stays in use until there is "
	      "another; when nothing comes of it the Identity Service's reason is told, and the exit status "
	      "says so.",
	  .opts = OPTS(AGENT_PREFIX_OPT) },
	{ .name = NULL },
};
