/* SPDX-License-Identifier: Apache-2.0 */
/* agent/bundle.c - support-bundle: what somebody who helps from afar wants to see, without secrets, in one archive */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/codec/toml.h"
#include "core/sys/spawn.h"
#include "device/agent/agent.h"
#include "device/agent/system.h"
#include "device/agent/zip.h"
#include "device/config/restart.h"

#define BUNDLE_NAME "support_bundle.zip"
#define LOG_MAX     ((size_t)12 * 1024 * 1024)
#define LOG_LINES   20000
#define WORDS_MAX   6
#define SINCE       "1 day"
#define HIDDEN      "***"
#define KEY_LEAST   24u /* characters of base64 for the 16 octets that a key has at least */
#define TYPING_ERRORS 2u

/* --- configuration without secrets --- */

/* Members whose values may be secret, in any of the configuration files; whole tables too, and names that were mistyped. */
static bool
is_secret(const char *key)
{
	static const char *const names[] = {
		"connection_string", "value", "headers", "env", "auth_key", "endorsement", "owner", "pin",
		"proxy", "pkcs11_pin", "identitytoken", "token", "auth_value", "createOptions",
	};
	static const char *const parts[] = { "pass", "secret", "credential", "apikey", "api_key" };

	for (size_t i = 0; i < N_OF(names); i++)
		if (strcasecmp(key, names[i]) == 0)
			return true;
	for (size_t i = 0; i < N_OF(parts); i++)
		if (strcasestr(key, parts[i]) != NULL)
			return true;
	return text_distance("password", key) <= TYPING_ERRORS;
}

/* As long as a key, and of base64 alone: somebody may have put it where its ID belongs. */
static bool
looks_like_key(const char *text)
{
	static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
	size_t n = strlen(text);

	return n >= KEY_LEAST && strspn(text, base64) == n && (text[0] != '/' || text[n - 1] == '='); /* else a path */
}

/* A PIN in a PKCS#11 URI, a password in a URL, a key. */
static bool
has_secret(const char *text)
{
	const char *authority = strstr(text, "://");

	return strstr(text, "pin-value=") != NULL || strstr(text, "SharedAccess") != NULL || looks_like_key(text) ||
	    (authority != NULL && memchr(authority + 3, '@', strcspn(authority + 3, "/?#")) != NULL);
}

/* An auth that is a text is a registry's password; one that is a table says who may ask, and how. */
static bool
is_hidden(const struct toml *m)
{
	return is_secret(toml_key(m)) || (strcasecmp(toml_key(m), "auth") == 0 && toml_kind(m) == TOML_STRING);
}

static json_t *mask(const struct toml *v);

static json_t *
mask_table(const struct toml *v)
{
	json_t *o = json_object();

	for (size_t i = 0; i < toml_count(v); i++) {
		const struct toml *m = toml_at(v, i);

		(void)json_object_set_new(o, toml_key(m), is_hidden(m) ? json_string(HIDDEN) : mask(m));
	}
	return o;
}

static json_t *
mask_array(const struct toml *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < toml_count(v); i++)
		(void)json_array_append_new(list, mask(toml_at(v, i)));
	return list;
}

static json_t *
mask(const struct toml *v)
{
	switch (toml_kind(v)) {
	case TOML_TABLE:
		return mask_table(v);
	case TOML_ARRAY:
		return mask_array(v);
	case TOML_STRING:
		return json_string(has_secret(toml_string(v)) ? HIDDEN : toml_string(v));
	case TOML_INTEGER:
		return json_integer(toml_integer(v));
	case TOML_FLOAT:
		return json_real(toml_float(v));
	case TOML_BOOLEAN:
		return json_boolean(toml_boolean(v));
	case TOML_DATETIME:
		return json_string(toml_datetime(v));
	}
	return json_null();
}

/* As JSON, since comments may hold anything; a file that cannot be read as TOML is told of, and left out. */
static int
add_config(struct zip *z, const struct place *p, const char *path, struct err *e)
{
	AUTO_BUF text = BUF_MAX(TOML_MAX);
	AUTO_BUF out = { 0 };
	AUTO(toml) doc = NULL;
	AUTO_JSON o = NULL;
	char name[ZIP_NAME_MAX];
	size_t n = strlen(p->prefix); /* the environment may have put the file elsewhere */
	struct err why;
	int r = file_read(&text, path, TOML_MAX, &why);

	if (r == E_NOTFOUND)
		return 0;
	if (r == 0)
		r = toml_parse(&doc, path, bytes_of_buf(&text), &why);
	if (r == 0) {
		o = mask(doc);
		json_print(&out, o, true);
	} else {
		o = json_object();
		json_setf(o, "not included", "%s", why.msg);
		json_print(&out, o, true);
	}
	(void)snprintf(name, sizeof(name), "config%s.json", strncmp(path, p->prefix, n) == 0 ? path + n : path);
	return zip_add(z, name, bytes_of_buf(&out), e);
}

static int
add_config_dir(struct zip *z, const struct place *p, struct err *e)
{
	struct dirent **names = NULL;
	int n = scandir(p->config_dir, &names, NULL, alphasort), r = 0;

	for (int i = 0; i < n; i++) {
		char path[PLACE_MAX * 2];
		size_t len = strlen(names[i]->d_name);
		bool toml = len > 5 && strcmp(names[i]->d_name + len - 5, ".toml") == 0;

		if (toml && r == 0 &&
		    (size_t)snprintf(path, sizeof(path), "%s/%s", p->config_dir, names[i]->d_name) < sizeof(path))
			r = add_config(z, p, path, e);
		free(names[i]);
	}
	free(names);
	return r;
}

static int
add_configs(struct zip *z, const struct system *s, struct err *e)
{
	static const char *const services[] = { "keyd", "certd", "identityd", "tpmd", "edged" };
	char path[PLACE_MAX * 2];
	struct place p;
	int r;

	(void)snprintf(path, sizeof(path), "%s/etc/aziot/config.toml", s->place.prefix);
	r = add_config(z, &s->place, path, e);
	for (size_t i = 0; r == 0 && i < N_OF(services); i++) {
		if ((r = place_find(&p, services[i], s->place.prefix, e)) == 0 &&
		    (r = add_config(z, &p, p.config_file, e)) == 0)
			r = add_config_dir(z, &p, e);
	}
	return r;
}

/* --- what our own verbs say --- */

/* The output of "words... --prefix PREFIX" as a file. */
static int
add_verb(struct zip *z, const struct cli *c, const struct system *s, const char *name, const char *const *words,
    struct err *e)
{
	char *argv[WORDS_MAX + 3] = { NULL }, *text = NULL;
	struct cli sub = { .program = c->program };
	size_t size = 0;
	int argc = 0, r;

	for (; words[argc] != NULL && argc < WORDS_MAX; argc++)
		argv[argc] = mem_strdup(words[argc]);
	if (system_is_prefix(s)) {
		argv[argc++] = mem_strdup("--prefix");
		argv[argc++] = mem_strdup(s->place.prefix);
	}
	sub.argv = argv;
	sub.out = sub.err = open_memstream(&text, &size);
	if (sub.out == NULL)
		r = err_errno(e, E_IO, "%s", name);
	else {
		(void)program_run(&sub, argc, argv);
		(void)fclose(sub.out);
		r = zip_add(z, name, (struct bytes){ (const uint8_t *)text, size }, e);
	}
	free(text);
	for (int i = 0; i < argc; i++)
		mem_free(argv[i]);
	return r;
}

static int
add_verbs(struct zip *z, const struct cli *c, const struct system *s, struct err *e)
{
	static const struct {
		const char *name, *words[WORDS_MAX];
	} all[] = {
		{ "check.json", { "check", "--output", "json" } },
		{ "system-status.json", { "system", "status", "--json" } },
		{ "certificates.json", { "status", "--json" } },
		{ "keys.json", { "key", "list", "--json" } },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < N_OF(all); i++) {
		bool group = verb_is_group(c->program, all[i].words[0]);

		if (group || verb_find(c->program, NULL, all[i].words[0]) != NULL)
			r = add_verb(z, c, s, all[i].name, all[i].words, e);
	}
	return r;
}

/* --- logs --- */

static int
add_logs_of_prefix(struct zip *z, const struct system *s, struct err *e)
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);
	int r;

	if (to == NULL)
		return err_errno(e, E_IO, "logs");
	r = logs_print(to, s, LOG_LINES, false, e);
	(void)fclose(to);
	if (r == 0)
		r = zip_add(z, "logs/services.txt", (struct bytes){ (const uint8_t *)text, size }, e);
	free(text);
	return r;
}

/* journalctl's output, up to LOG_MAX. */
static int
capture(struct buf *out, const char *const *argv, struct err *e)
{
	struct spawn s = { .path = "/usr/bin/journalctl", .argv = argv, .control_fd = -1, .stderr_fd = -1 };
	AUTO_FD reader = -1;
	AUTO_FD writer = -1;
	char piece[16384];
	int ends[2], r;
	ssize_t n;
	pid_t pid;

	if (pipe(ends) != 0)
		return err_errno(e, E_IO, "journalctl: pipe");
	reader = ends[0];
	writer = s.stdout_fd = ends[1];
	if ((r = spawn_start(&pid, &s, e)) != 0)
		return r;
	fd_autoclose(&writer);
	while ((n = read(reader, piece, sizeof(piece))) > 0)
		if (out->n + (size_t)n <= LOG_MAX)
			buf_put(out, piece, (size_t)n);
	(void)waitpid(pid, NULL, 0);
	return 0;
}

/* "6h" and "1 day" are that long ago; anything else is journalctl's own. */
static const char *
time_of(struct buf *out, const struct cli *c, const char *option, const char *def)
{
	const char *given = cli_text_or(c, option, def);

	if (given == NULL)
		return NULL;
	if (given[0] >= '0' && given[0] <= '9' && strpbrk(given, "-:") == NULL && strstr(given, "ago") == NULL)
		buf_put_str(out, "-");
	buf_put_str(out, given);
	return buf_str(out);
}

static int
add_logs_of_units(struct zip *z, const struct cli *c, struct err *e)
{
	int r = 0;

	for (const char *const *at = system_services(c); r == 0 && *at != NULL && restart_possible(); at++) {
		AUTO_BUF text = BUF_MAX(LOG_MAX);
		AUTO_BUF since = { 0 };
		AUTO_BUF until = { 0 };
		char unit[64], name[64];
		const char *const argv[] = { "journalctl", "--no-pager", "-u", unit, "--since",
			time_of(&since, c, "since", SINCE), cli_has(c, "until") ? "--until" : NULL,
			time_of(&until, c, "until", NULL), NULL };

		(void)snprintf(unit, sizeof(unit), "aziot-%s.service", *at);
		(void)snprintf(name, sizeof(name), "logs/aziot-%s.txt", *at);
		if (restart_has_unit(*at, restart_systemctl, NULL) && (r = capture(&text, argv, e)) == 0)
			r = zip_add(z, name, bytes_of_buf(&text), e);
	}
	return r;
}

/* --- the verb --- */

static int
add_version(struct zip *z, const struct cli *c, struct err *e)
{
	AUTO_BUF text = { 0 };
	char when[CLOCK_TEXT_MAX];

	buf_printf(&text, "%s %s (Estuary), %s\n", c->program->name, c->program->version, clock_text(z->when, when));
	return zip_add(z, "version.txt", bytes_of_buf(&text), e);
}

static int
put_archive(struct cli *c, const char *path, struct bytes archive, struct err *e)
{
	if (strcmp(path, "-") != 0)
		return file_write(path, archive, 0600, e);
	return fwrite(archive.p, 1, archive.n, c->out) == archive.n ? 0 : err_errno(e, E_IO, "standard output");
}

static int
run_bundle(struct cli *c)
{
	__attribute__((cleanup(zip_clear))) struct zip z = { .when = clock_now(), .archive = BUF_MAX(4 * LOG_MAX) };
	const char *path = cli_text_or(c, "output", BUNDLE_NAME);
	struct system s;
	struct err e;

	if (c->json && strcmp(path, "-") == 0) {
		(void)err_set(&e, E_USAGE, "--json: standard output is the archive's; --output FILE leaves it free");
		return cli_fail(c, &e, NULL);
	}
	if (system_find(&s, c, &e) != 0 || add_version(&z, c, &e) != 0 || add_configs(&z, &s, &e) != 0 ||
	    add_verbs(&z, c, &s, &e) != 0 ||
	    (system_is_prefix(&s) ? add_logs_of_prefix(&z, &s, &e) : add_logs_of_units(&z, c, &e)) != 0 ||
	    zip_end(&z, &e) != 0 || put_archive(c, path, bytes_of_buf(&z.archive), &e) != 0)
		return cli_fail(c, &e, NULL);
	if (!cli_flag(c, "quiet") && strcmp(path, "-") != 0)
		cli_say(c, "Created support bundle at %s", path);
	agent_done(c, "file", path);
	return 0;
}

const struct verb bundle_verbs[] = {
	{ .name = "support-bundle", .help = "Collect logs, configuration and checks into an archive for who helps",
	  .run = run_bundle,
	  .text = "The archive holds the version, what check, status and key list say, the configuration "
	      "files as JSON with everything that may be secret as ***, and the logs. Look at it before it "
	      "goes to others: host names and URLs are in it.",
	  .opts = OPTS(
	      { .name = "output", .letter = 'o', .kind = OPT_TEXT, .arg = "FILE",
	        .help = "Where it goes; - is standard output (default: " BUNDLE_NAME ")" },
	      { .name = "since", .kind = OPT_TEXT, .arg = "TIME",
	        .help = "Journal from then on: 6h, or as journalctl has it (default: " SINCE ")" },
	      { .name = "until", .kind = OPT_TEXT, .arg = "TIME", .help = "Journal up to then" },
	      { .name = "include-edge-runtime-only", .letter = 'e',
	        .help = "Taken, and without effect: there is no runtime" },
	      { .name = "iothub-hostname", .kind = OPT_TEXT, .arg = "NAME", .help = "Taken, and without effect" },
	      { .name = "quiet", .letter = 'q', .help = "Say nothing" }, AGENT_PREFIX_OPT),
	  .example = "iotedge support-bundle --since 6h -o bundle.zip" },
	{ .name = NULL },
};
