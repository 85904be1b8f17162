/* SPDX-License-Identifier: Apache-2.0 */
/* cli/quickstart.c - from nothing to a server that devices can enrol at, in one command */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/daemon.h"
#include "cli/estuary.h"
#include "cli/place.h"
#include "cli/setup.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/text.h"

#define DOC_MAX  ((size_t)64 * 1024)
#define OTHER_PORTS "another program may have the port: --device-port, --operator-port and --public-port choose others, 0 a free one"
#define RENEW_MS ((uint64_t)3600 * 1000) /* how often the TLS certificate is looked at */

/* One run. */
struct run {
	char dir[PLACE_PATH_MAX];
	struct setup setup;
	struct daemon daemon;
};

static const char *
wanted_dir(const struct cli *c)
{
	const char *env = getenv("ESTUARY_DIR");

	return cli_text_or(c, "dir", env != NULL && *env != 0 ? env : "estuary");
}

/* " --dir" and the directory, as a shell takes it. */
static const char *
dir_option(const struct run *x, struct buf *out)
{
	buf_put_str(out, " --dir ");
	text_shell(out, x->dir);
	return buf_str(out);
}

/* quickstart.json as an earlier run left it, or an empty object. */
static int
load_doc(json_t **out, const char *dir, struct err *e)
{
	AUTO_BUF text = { 0 };
	char path[PLACE_PATH_MAX + 16];
	int r;

	(void)snprintf(path, sizeof(path), "%s/quickstart.json", dir);
	r = file_read(&text, path, DOC_MAX, e);
	if (r == E_NOTFOUND) {
		*out = json_object();
		return 0;
	}
	if (r == 0)
		r = json_parse(out, bytes_of_buf(&text), e);
	if (r == 0 && !json_is_object(*out))
		r = err_set(e, E_FORMAT, "no object");
	return r != 0 ? err_prefix(e, (enum err_code)r, "%s", path) : 0;
}

/* A directory stays what it was made as; without --compat it goes on as that. */
static int
choose_mode(struct setup *s, const struct cli *c, struct err *e)
{
	bool made = json_object_size(s->doc) != 0;
	const char *was = json_str(s->doc, "compat", ""), *wanted = cli_text_or(c, "compat", made ? was : "");

	s->mode = mode_find(wanted);
	if (s->mode == NULL)
		return err_set(e, E_USAGE, "--compat: '%.40s' is not known here", wanted);
	if (made && strcmp(was, wanted) != 0)
		return err_set(e, E_EXISTS, "was made with%s%s and cannot change; choose another --dir",
		    was[0] != 0 ? " --compat " : "out --compat", was);
	if (wanted[0] != 0)
		json_setf(s->doc, "compat", "%s", wanted);
	return 0;
}

/* Does the server answer its operator?  0, or why not. */
static int
ask_status(json_t **out, struct run *x, struct err *e)
{
	AUTO_JSON args = json_object();

	return op_call(out, &x->setup.server, "server.status", args, x->setup.hint, e);
}

/* What the directory is, and what the server in it is called. */
static int
look_around(struct run *x, const struct cli *c, struct err *e)
{
	struct setup *s = &x->setup;
	int r = place_names(s->doc, &s->sans, c, s->mode, e);

	if (r != 0)
		return r;
	s->c = c;
	s->dir = x->dir;
	s->name = json_string_value(json_array_get(json_object_get(s->doc, "names"), 0));
	(void)snprintf(s->server.socket, sizeof(s->server.socket), "%.1000s/run/operator.sock", x->dir);
	return 0;
}

/* Whoever waits for the new addresses must not read the old ones. */
static void
forget_urls(json_t *doc)
{
	static const char *const members[] = { "est_url", "operator_url", "public_url", "ready_file" };

	for (size_t i = 0; i < N_OF(members); i++)
		(void)json_object_del(doc, members[i]);
}

/* Nothing is written before the ports are known to be free: what is written holds. */
static int
write_down(struct run *x, const struct cli *c, struct err *e)
{
	struct setup *s = &x->setup;
	struct place_ports ports;
	int r = place_ports(&ports, c, x->dir, s->mode, e);

	if (r == E_IO)
		(void)snprintf(s->hint, sizeof(s->hint), "%s", OTHER_PORTS);
	if (r != 0)
		return r;
	if (memcmp(ports.was, ports.port, sizeof(ports.was)) != 0)
		forget_urls(s->doc);
	r = setup_save(s, e);
	return r != 0 ? r : place_config(c, x->dir, s->name, s->mode, &ports, e);
}

/* Everything on disk before the server starts. */
static int
prepare(struct run *x, const struct cli *c, struct err *e)
{
	struct setup *s = &x->setup;
	AUTO_JSON status = NULL;
	AUTO_BUF dir = { 0 };
	int r = place_open(x->dir, wanted_dir(c), e);

	if (r == 0)
		r = load_doc(&s->doc, x->dir, e);
	if (r == 0 && (r = choose_mode(s, c, e)) != 0)
		r = err_prefix(e, (enum err_code)r, "%s", x->dir);
	if (r != 0 || (r = look_around(x, c, e)) != 0)
		return r;
	if (ask_status(&status, x, e) == 0) {
		(void)snprintf(s->hint, sizeof(s->hint), "it is ready to use: estuary server status%.300s", dir_option(x, &dir));
		return err_set(e, E_EXISTS, "%s: a server runs there already", x->dir);
	}
	s->hint[0] = 0;
	return write_down(x, c, e);
}

/* The server's own reason beside ours, when it has given one; false: it has not. */
static bool
say_why(struct run *x, struct err *e)
{
	char why[DAEMON_WHY_MAX], ours[100];

	if (x->daemon.signo != 0 || !daemon_why(&x->daemon, why))
		return false;
	text_copy(ours, sizeof(ours), e->msg);
	(void)err_set(e, e->code, "%s: %s", ours, why);
	if (strstr(why, "listener: ") != NULL && strstr(why, "port ") != NULL)
		(void)snprintf(x->setup.hint, sizeof(x->setup.hint), "%s", OTHER_PORTS);
	else
		(void)snprintf(x->setup.hint, sizeof(x->setup.hint), "more stands in %.300s/estuaryd.log", x->dir);
	return true;
}

static int
start(struct run *x, struct err *e)
{
	char config[PLACE_PATH_MAX + 16], log[PLACE_PATH_MAX + 16];
	uint64_t deadline = clock_monotonic_ms() + DAEMON_WAIT_MS;
	struct err why = { .msg = "it has no socket" };
	int r;

	(void)snprintf(config, sizeof(config), "%s/estuaryd.toml", x->dir);
	(void)snprintf(log, sizeof(log), "%s/estuaryd.log", x->dir);
	r = daemon_start(&x->daemon, config, log, e);
	while (r == 0) {
		AUTO_JSON status = NULL;
		int asked = E_UNAVAIL;

		if (access(x->setup.server.socket, F_OK) == 0)
			asked = ask_status(&status, x, &why);
		if (asked == 0)
			return 0;
		if (asked != E_UNAVAIL) /* it has its reasons: waiting would not change them */
			return err_set(e, why.code, "server.status: %s", why.msg);
		r = daemon_pause(&x->daemon, deadline, "answered", e);
	}
	if (!say_why(x, e) && !x->daemon.ended) /* our words about the process, the console's about why it is not ready */
		(void)snprintf(x->setup.hint, sizeof(x->setup.hint), "%s", why.msg);
	return r;
}

/* Read the TLS files, and wait until everything serves. */
static int
serve(json_t **status, struct run *x, bool reload, struct err *e)
{
	AUTO_JSON args = json_object();
	AUTO_JSON result = NULL;
	char ready[PLACE_PATH_MAX + 16];
	uint64_t deadline = clock_monotonic_ms() + DAEMON_WAIT_MS;
	int r = 0;

	if (reload)
		r = op_call(&result, &x->setup.server, "server.reload", args, x->setup.hint, e);
	(void)snprintf(ready, sizeof(ready), "%s/run/ready", x->dir);
	json_setf(x->setup.doc, "ready_file", "%s", ready);
	while (r == 0) {
		r = ask_status(status, x, e);
		if (r == 0 && access(ready, F_OK) == 0 && json_flag(*status, "ready", false))
			return 0;
		json_decref(*status);
		*status = NULL;
		if (r == 0 || r == E_UNAVAIL) /* a reload changes the console, too */
			r = daemon_pause(&x->daemon, deadline, "served", e);
		if (r == E_UNAVAIL)
			(void)say_why(x, e);
	}
	return r;
}

/* What the status says of URLs, and how to reach it. */
static int
note(struct run *x, const json_t *status, struct err *e)
{
	json_t *doc = x->setup.doc;
	const char *device = json_str(status, "device_url", "");

	json_setf(doc, "est_url", "%s%s", device, strstr(device, "/.well-known/est") != NULL ? "" : "/.well-known/est");
	json_setf(doc, "operator_url", "%s", json_str(status, "operator_url", ""));
	json_setf(doc, "public_url", "%s", json_str(status, "public_url", ""));
	(void)json_object_set_new(doc, "pid", json_integer(x->daemon.pid));
	return setup_save(&x->setup, e);
}

static int
set_up(struct run *x, struct err *e)
{
	AUTO_JSON status = NULL;
	struct setup *s = &x->setup;
	bool fresh = false;
	int r;

	if ((r = setup_cas(s, e)) != 0 || (r = setup_labels(s, e)) != 0 || (r = setup_tls(s, &fresh, e)) != 0 ||
	    (r = setup_operator(s, e)) != 0 || (r = setup_user(s, e)) != 0 || (r = setup_code(s, e)) != 0 || (r = setup_provisioning(s, e)) != 0 ||
	    (r = serve(&status, x, fresh, e)) != 0)
		return r;
	return note(x, status, e);
}

/* How a first device comes in. */
static void
first_device(const struct cli *c, const struct run *x)
{
	const json_t *doc = x->setup.doc;
	const char *url = json_str(doc, "est_url", ""), *pin = json_str(doc, "root_pin", "");

	if (strcmp(json_str(doc, "code_state", ""), "live") == 0)
		fprintf(c->out, "\nA first device (the code is good for one):\n\n"
		    "  estuary est enroll --url %s --label idevid --code %s --pin %s "
		    "--new-key ec-p256 --subject /CN=device-1 --out device-1.pem\n", url, json_str(doc, "code", ""), pin);
	if (x->setup.mode->user != NULL)
		fprintf(c->out, "\nA first device (user %s, password %s, as many as you like):\n\n"
		    "  printf %s >password\n"
		    "  estuary est enroll --url %s --user %s --password-file password --pin %s "
		    "--new-key ec-p256 --subject /CN=device-1 --out device-1.pem\n",
		    x->setup.mode->user, x->setup.mode->password, x->setup.mode->password, url, x->setup.mode->user, pin);
}

static void
summary(const struct cli *c, const struct run *x)
{
	const json_t *doc = x->setup.doc;
	AUTO_BUF dir = { 0 };

	(void)dir_option(x, &dir);
	if (x->setup.mode->warning != NULL)
		fprintf(c->err, "\n%s\n", x->setup.mode->warning);
	if (c->json) {
		cli_print_json(c, doc);
		(void)fflush(c->out);
		return;
	}
	fprintf(c->out, "\nEstuary serves.\n"
	    "  devices    %s\n  provision  %s, ID scope %s\n  operator   %s\n  public     %s\n  root       %s\n             %s\n"
	    "  all of it  %s/quickstart.json\n  log        %s/estuaryd.log\n",
	    json_str(doc, "est_url", ""), json_str(doc, "dps_endpoint", ""), json_str(doc, "id_scope", ""), json_str(doc, "operator_url", ""),
	    json_str(doc, "public_url", ""), json_str(doc, "root_file", ""), json_str(doc, "root_pin", ""), x->dir, x->dir);
	first_device(c, x);
	fprintf(c->out, "\nLet devices provision themselves by its certificates:\n\n"
	    "  estuary group create edge --x509 --ca %s --edge%s\n", x->setup.mode->issuer, buf_str(&dir));
	fprintf(c->out, "\nLook around:  estuary device list%s\n", buf_str(&dir));
	(void)fflush(c->out);
}

/*
 * The server's own certificate must not run out while it serves: the same step as at the start.  One that was made when the
 * server refused its files is not in use yet, so it is asked again.
 */
static int
renew_tls(struct run *x, bool *fresh, struct err *e)
{
	AUTO_JSON args = json_object();
	AUTO_JSON status = NULL;
	AUTO_JSON result = NULL;
	int r = setup_tls(&x->setup, fresh, e);

	if (r == 0)
		r = op_call(&status, &x->setup.server, "server.status", args, x->setup.hint, e);
	if (r == 0 && (*fresh || !json_flag(status, "config_ok", true)))
		r = op_call(&result, &x->setup.server, "server.reload", args, x->setup.hint, e);
	return r;
}

static void
keep_tls(const struct cli *c, struct run *x)
{
	struct err e = { 0 };
	bool fresh = false;

	if (renew_tls(x, &fresh, &e) != 0) /* the next hour tries again; a third of its life is time enough */
		fprintf(c->err, "estuary: renewing the TLS certificate: %s\n", e.msg);
}

/* Serve until told to end, or end now. */
static int
stay(const struct cli *c, struct run *x)
{
	struct err e;
	AUTO_BUF dir = { 0 };

	if (cli_flag(c, "no-serve")) {
		daemon_stop(&x->daemon);
		cli_say(c, "stopped again; `estuary quickstart%s` starts it", dir_option(x, &dir));
	}
	while (!daemon_rest(&x->daemon, RENEW_MS))
		if (x->daemon.signo == 0)
			keep_tls(c, x);
	(void)json_object_del(x->setup.doc, "pid");
	if (setup_save(&x->setup, &e) != 0)
		fprintf(c->err, "estuary: %s\n", e.msg);
	return x->daemon.status;
}

static int
quickstart(struct cli *c)
{
	struct run x = { .daemon = DAEMON_NONE };
	struct err e = { 0 };
	int r = place_become(c, wanted_dir(c), &e), status;

	if (r == 0)
		r = prepare(&x, c, &e);
	if (r == 0)
		r = start(&x, &e);
	if (r == 0)
		r = set_up(&x, &e);
	if (r == 0) {
		summary(c, &x);
		status = stay(c, &x);
	} else {
		daemon_stop(&x.daemon);
		status = x.daemon.signo != 0 ? 128 + x.daemon.signo : cli_fail(c, &e, x.setup.hint);
	}
	daemon_clear(&x.daemon);
	op_server_clear(&x.setup.server);
	json_decref(x.setup.doc);
	return status;
}

/* --- the same for a server that somebody else runs, such as systemd --- */

/* Only what quickstart made: another server's TLS files come from elsewhere. */
static int
open_made(struct run *x, const struct cli *c, struct err *e)
{
	int r = load_doc(&x->setup.doc, wanted_dir(c), e);

	if (r != 0)
		return r;
	if (json_object_size(x->setup.doc) == 0)
		return err_set(e, E_NOTFOUND, "%s: no quickstart.json: its TLS certificate was not made by quickstart", wanted_dir(c));
	if ((r = place_open(x->dir, wanted_dir(c), e)) != 0)
		return r;
	x->setup.mode = mode_find(json_str(x->setup.doc, "compat", ""));
	if (x->setup.mode == NULL)
		return err_set(e, E_FORMAT, "%s/quickstart.json: compat: '%.40s' is not known here", x->dir,
		    json_str(x->setup.doc, "compat", ""));
	return look_around(x, c, e);
}

static int
renew(struct cli *c)
{
	struct run x = { .daemon = DAEMON_NONE };
	struct err e = { 0 };
	bool fresh = false;
	int r = place_become(c, wanted_dir(c), &e), status = EXIT_SUCCESS;

	x.setup.new_key = cli_flag(c, "new-key");
	x.setup.force = cli_flag(c, "force") || x.setup.new_key;
	if (r == 0)
		r = open_made(&x, c, &e);
	if (r == 0)
		r = renew_tls(&x, &fresh, &e);
	if (r == 0)
		r = setup_save(&x.setup, &e); /* names that were added */
	if (r != 0)
		status = cli_fail(c, &e, x.setup.hint);
	else if (c->json)
		fprintf(c->out, "{\"renewed\": %s}\n", fresh ? "true" : "false");
	else
		cli_say(c, fresh ? "renewed; the server uses it from now on" : "not yet: more than a third of its life is left; --force renews it all the same");
	op_server_clear(&x.setup.server);
	json_decref(x.setup.doc);
	return status;
}

const struct verb server_renew_verbs[] = {
	{ .group = "server", .name = "renew", .run = renew,
	  .help = "Renew the server's own TLS certificate when it is due",
	  .text = "For a server that quickstart made and something else runs, such as the unit estuaryd.service, whose "
	      "estuaryd-renew.timer does this daily. It is due when a third of its life is left, or when it was revoked. "
	      "Names that are added here are in the new certificate. One that was revoked is "
	      "replaced, with a new key when the reason is keyCompromise.",
	  .opts = OPTS(
	      { .name = "dir", .letter = 'd', .kind = OPT_TEXT, .arg = "DIR", .help = "The server's directory (default $ESTUARY_DIR or ./estuary)" },
	      { .name = "name", .letter = 'n', .kind = OPT_LIST, .arg = "FQDN", .help = "Another name that devices know the server by" },
	      { .name = "address", .letter = 'a', .kind = OPT_LIST, .arg = "ADDRESS", .help = "Another IP address of it" },
	      { .name = "force", .letter = 'f', .kind = OPT_FLAG, .help = "Renew it whatever is left of its life" },
	      { .name = "new-key", .kind = OPT_FLAG, .help = "Renew it with a new key" },
	      { .name = "user", .letter = 'u', .kind = OPT_TEXT, .arg = "USER",
	        .help = "Who runs the server, when root says so (default: whom the directory belongs to)" }),
	  .example = "estuary server renew --dir /var/lib/estuary" },
	{ .name = NULL },
};

const struct verb quickstart_verbs[] = {
	{ .group = NULL, .name = "quickstart", .help = "Make a server and run it: CAs, labels, an operator, a first code", .run = quickstart,
	  .text = "Makes a directory with a configuration, starts estuaryd on it and gives it what devices need: a root and an issuing CA, "
	      "the server's TLS certificate, the labels idevid, ldevid (also the default) and edge-ca, an operator's token, "
	      "a one-time code, and an ID scope and itself as a hub for devices that provision themselves ('estuary group create'). "
	      "Prints a line to paste on a first device, and stays until SIGINT or SIGTERM.\n\n"
	      "Run again on the same directory it starts what is there and completes what is missing; ports that are given then "
	      "change those in estuaryd.toml. It renews the TLS "
	      "certificate when a third of its life is left, at the start and while it runs. Everything that a program wants to know is in "
	      "quickstart.json in the directory: est_url, dps_endpoint, id_scope, operator_url, public_url, root_file, root_pin, code, "
	      "operator_token, ready_file, pid.\n\n"
	      "--compat libest makes the test server of Microsoft's tutorial on EST for IoT Edge instead: port 8085, "
	      "user estuser with password estpwd for every device, one root CA of 20 years that issues device certificates "
	      "of one day at the default label and the server's own of 10 years. It is for tests alone, and unless --name "
	      "or --address is given only this machine reaches it. The directory stays such a server.",
	  .opts = OPTS(
	      { .name = "dir", .letter = 'd', .kind = OPT_TEXT, .arg = "DIR", .help = "Where (default $ESTUARY_DIR or ./estuary)" },
	      { .name = "compat", .kind = OPT_TEXT, .arg = "SERVER", .words = "libest",
	        .help = "Make a server for tests, with the settings of that one" },
	      { .name = "name", .letter = 'n', .kind = OPT_LIST, .arg = "FQDN",
	        .help = "Name that devices know the server by; the first stands in URLs (default: the host's)" },
	      { .name = "address", .letter = 'a', .kind = OPT_LIST, .arg = "ADDRESS", .help = "IP address for the TLS certificate" },
	      { .name = "device-port", .kind = OPT_NUMBER, .arg = "PORT",
	        .help = "Where devices come (default 8443, with --compat libest 8085; 0: a free one)" },
	      { .name = "operator-port", .kind = OPT_NUMBER, .arg = "PORT", .help = "Where operators come (default 9443; 0: a free one)" },
	      { .name = "public-port", .kind = OPT_NUMBER, .arg = "PORT", .help = "Where CRLs are (default 8080; 0: a free one)" },
	      { .name = "no-serve", .kind = OPT_FLAG, .help = "Prepare everything, then stop and exit 0" },
	      { .name = "user", .letter = 'u', .kind = OPT_TEXT, .arg = "USER", .help = "Who runs the server, when root says so" }),
	  .example = "estuary quickstart --dir /tmp/try --device-port 0 --operator-port 0 --public-port 0" },
	{ .name = NULL },
};
