/* SPDX-License-Identifier: Apache-2.0 */
/* cli/place.c - the directory that quickstart makes */
#include "cli/place.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/sys/peer.h"
#include "core/sys/sandbox.h"
#include "core/sys/spawn.h"

#define ARGS_MAX  64    /* words of one quickstart command */
#define NAMES_MAX 24    /* leaves room for localhost and the loopback addresses in a certificate */
#define SETPRIV   "/usr/bin/setpriv"

/* Start over as uid and gid, with the same words. */
static int
restart_as(const struct cli *c, uid_t uid, gid_t gid, struct err *e)
{
	char self[PLACE_PATH_MAX], ruid[32], rgid[32];
	const char *argv[ARGS_MAX + 8] = { "setpriv", ruid, rgid, "--clear-groups", "--", self };
	size_t n = 6;
	int r = spawn_self_dir(self, sizeof(self) - 16, e);

	if (r != 0)
		return r;
	(void)snprintf(self + strlen(self), 16, "/estuary");
	(void)snprintf(ruid, sizeof(ruid), "--reuid=%u", (unsigned)uid);
	(void)snprintf(rgid, sizeof(rgid), "--regid=%u", (unsigned)gid);
	for (char **p = c->argv; *p != NULL; p++) {
		if (n == ARGS_MAX)
			return err_set(e, E_USAGE, "over %d words", ARGS_MAX);
		argv[n++] = *p;
	}
	return spawn_exec(SETPRIV, argv, e);
}

int
place_become(const struct cli *c, const char *dir, struct err *e)
{
	const char *user = cli_text(c, "user");
	struct stat st = { 0 };
	bool there = stat(dir, &st) == 0;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r;

	if (user != NULL && (r = sandbox_lookup(user, &uid, &gid, e)) != 0)
		return err_prefix(e, (enum err_code)r, "--user");
	if (geteuid() != 0)
		return uid == geteuid() ? 0 : err_set(e, E_USAGE, "--user: only root can become '%s'", user);
	if (user == NULL && there) {
		uid = st.st_uid;
		gid = st.st_gid;
	}
	if (uid == 0)
		return 0;
	if (there && st.st_uid != uid)
		return err_set(e, E_EXISTS, "%s: belongs to uid %u, not to '%s'", dir, (unsigned)st.st_uid, user);
	if (!there && ((r = file_mkdir(dir, 0700, e)) != 0))
		return r;
	if (!there && chown(dir, uid, gid) != 0)
		return err_errno(e, E_IO, "%s", dir);
	return restart_as(c, uid, gid, e);
}

/* Is there anything in it that quickstart would not have put there? */
static int
check_ours(const char *dir, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	bool ours = false, empty = true;

	if (d == NULL)
		return err_errno(e, E_IO, "%s", dir);
	while ((entry = readdir(d)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		empty = false;
		ours = ours || strncmp(entry->d_name, "quickstart.json", 15) == 0 ||
		    strcmp(entry->d_name, "estuaryd.toml") == 0;
	}
	(void)closedir(d);
	if (!empty && !ours)
		return err_set(e, E_EXISTS, "%s: not empty, and not made by quickstart", dir);
	return 0;
}

int
place_open(char out[PLACE_PATH_MAX], const char *dir, struct err *e)
{
	char path[PATH_MAX];
	int r = file_mkdir(dir, 0700, e);

	if (r == 0)
		r = check_ours(dir, e);
	if (r != 0)
		return r;
	/* It will hold keys: also one that was there is ours alone. */
	if (chmod(dir, 0700) != 0 || realpath(dir, path) == NULL)
		return err_errno(e, E_IO, "%s", dir);
	if (strlen(path) + sizeof("/run/operator.sock") > sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return err_set(e, E_USAGE, "%.80s...: too long for the name of a socket in it; a shorter --dir?", path);
	(void)snprintf(out, PLACE_PATH_MAX, "%s", path);
	return 0;
}

static int
add_san(struct sans *sans, const char *kind, const char *value, struct err *e)
{
	char text[300];
	struct sans one = { 0 };
	int r;

	(void)snprintf(text, sizeof(text), "%s:%.280s", kind, value);
	r = sans_add_text(&one, text, e);
	if (r != 0)
		return r;
	for (size_t i = 0; i < sans->n; i++)
		if (san_equal(&sans->san[i], &one.san[0]))
			return 0;
	if (sans->n == SAN_MAX)
		return err_set(e, E_TOOBIG, "over %d names and addresses", SAN_MAX);
	sans->san[sans->n++] = one.san[0];
	return 0;
}

/* Into the array doc[member] what the option gives and is not there yet. */
static json_t *
merge(json_t *doc, const char *member, const struct cli *c, const char *option)
{
	json_t *all = json_object_get(doc, member);
	size_t i;
	json_t *v;

	if (!json_is_array(all)) {
		all = json_array();
		(void)json_object_set_new(doc, member, all);
	}
	for (size_t k = 0; k < cli_count(c, option); k++) {
		bool there = false;

		json_array_foreach(all, i, v)
			there = there || (json_is_string(v) && strcmp(json_string_value(v), cli_at(c, option, k)) == 0);
		if (!there)
			(void)json_array_append_new(all, json_string(cli_at(c, option, k)));
	}
	return all;
}

/* The host's name when it is one that a certificate can carry and that leads somewhere. */
static void
host_name(char out[256])
{
	struct addrinfo *found = NULL;
	struct sans sans = { 0 };

	if (gethostname(out, 256) != 0 || memchr(out, 0, 256) == NULL ||
	    add_san(&sans, "dns", out, NULL) != 0 || getaddrinfo(out, NULL, NULL, &found) != 0)
		(void)snprintf(out, 256, "localhost");
	if (found != NULL)
		freeaddrinfo(found);
}

static int
add_all(struct sans *sans, const char *kind, const json_t *values, struct err *e)
{
	size_t i;
	json_t *v;
	int r = 0;

	if (json_array_size(values) > NAMES_MAX)
		return err_set(e, E_TOOBIG, "over %d names or addresses", NAMES_MAX);
	json_array_foreach(values, i, v)
		if (r == 0)
			r = add_san(sans, kind, json_is_string(v) ? json_string_value(v) : "", e);
	return r;
}

int
place_names(json_t *doc, struct sans *sans, const struct cli *c, const struct mode *m, struct err *e)
{
	json_t *names = merge(doc, "names", c, "name");
	json_t *addresses = merge(doc, "addresses", c, "address");
	char host[256];
	int r;

	if (json_array_size(names) == 0) {
		if (m->server_name == NULL)
			host_name(host);
		(void)json_array_append_new(names, json_string(m->server_name != NULL ? m->server_name : host));
	}
	r = add_all(sans, "dns", names, e);
	if (r == 0)
		r = add_san(sans, "dns", "localhost", e);
	if (r == 0)
		r = add_all(sans, "ip", addresses, e);
	if (r == 0)
		r = add_san(sans, "ip", "127.0.0.1", e);
	return r != 0 ? r : add_san(sans, "ip", "::1", e);
}

/* The ports of the options, free ones for 0; all are held until all are chosen, so that they differ. */
static int
choose_ports(uint16_t ports[3], const struct cli *c, const struct mode *m, struct err *e)
{
	const struct { const char *option; uint16_t usual; } wanted[3] = {
		{ "device-port", m->device_port }, { "operator-port", 9443 }, { "public-port", 8080 },
	};
	int fd[3] = { -1, -1, -1 }, r = 0;

	for (size_t i = 0; r == 0 && i < N_OF(wanted); i++) {
		int64_t port = cli_number(c, wanted[i].option, wanted[i].usual);

		if (port > UINT16_MAX)
			r = err_set(e, E_USAGE, "--%s: over %d", wanted[i].option, UINT16_MAX);
		else if (port == 0)
			r = peer_listen_tcp(&fd[i], "*", 0, false, &ports[i], e);
		else
			ports[i] = (uint16_t)port;
	}
	for (size_t i = 0; i < N_OF(fd); i++)
		fd_autoclose(&fd[i]);
	return r;
}

/* A TOML basic string. */
static void
put_quoted(struct buf *out, const char *s)
{
	buf_put_u8(out, '"');
	for (; *s != 0; s++) {
		if (*s == '"' || *s == '\\')
			buf_put_u8(out, '\\');
		buf_put_u8(out, (uint8_t)*s);
	}
	buf_put_u8(out, '"');
}

int
place_config(const struct cli *c, const char *dir, const char *name, const struct mode *m, struct err *e)
{
	const char *host = m->loopback && !cli_has(c, "name") && !cli_has(c, "address") ? "host = \"127.0.0.1\"\n" : "";
	AUTO_BUF text = { 0 };
	char path[PLACE_PATH_MAX + 16];
	uint16_t ports[3];
	int r;

	(void)snprintf(path, sizeof(path), "%s/estuaryd.toml", dir);
	if (access(path, F_OK) == 0) {
		if (cli_has(c, "device-port") || cli_has(c, "operator-port") || cli_has(c, "public-port"))
			cli_say(c, "%s is there: its ports hold", path);
		return 0;
	}
	r = choose_ports(ports, c, m, e);
	if (r != 0)
		return r;
	buf_put_str(&text, "# Made by `estuary quickstart`; `estuaryd --sample` explains every key.\n[server]\ndir = ");
	put_quoted(&text, dir);
	buf_put_str(&text, "\nname = ");
	put_quoted(&text, name);
	buf_printf(&text, "\n\n[device]\n%sport = %u\n\n[operator]\nport = %u\n\n[public]\n%sport = %u\n",
	    host, ports[0], ports[1], host, ports[2]);
	return file_write(path, bytes_of_buf(&text), 0600, e);
}
