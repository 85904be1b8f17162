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
#include "core/base/text.h"
#include "core/codec/toml.h"
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

static bool
open_to_all(const char *dir)
{
	struct stat st;

	return stat(dir, &st) != 0 || (st.st_mode & S_IWOTH) != 0;
}

/* May anybody have made this directory, or a symbolic link of its name, in the hope that root comes and leaves a CA there? */
static bool
anybodys(const char *dir)
{
	char above[PLACE_PATH_MAX], *end;

	(void)snprintf(above, sizeof(above), "%s/..", dir);
	if (open_to_all(above))
		return true;
	(void)snprintf(above, sizeof(above), "%s", dir);
	for (end = above + strlen(above); end > above && end[-1] == '/'; end--)
		;
	while (end > above && end[-1] != '/')
		end--;
	*end = 0;
	return open_to_all(end > above ? above : ".");
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
	if (user == NULL && anybodys(dir))
		return err_set(e, E_POLICY, "%s: belongs to uid %u, where everybody may make directories: that user would have the CA's "
		    "keys; --user says that it is meant", dir, (unsigned)uid);
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
	int r;

	if (d == NULL)
		return err_errno(e, E_IO, "%s", dir);
	while ((errno = 0, entry = readdir(d)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		empty = false;
		ours = ours || strncmp(entry->d_name, "quickstart.json", 15) == 0 ||
		    strcmp(entry->d_name, "estuaryd.toml") == 0;
	}
	r = errno != 0 ? err_errno(e, E_IO, "%s", dir) : 0;
	(void)closedir(d);
	if (r != 0)
		return r;
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

int
place_add_san(struct sans *sans, const char *kind, const char *value, struct err *e)
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
	    place_add_san(&sans, "dns", out, NULL) != 0 || getaddrinfo(out, NULL, NULL, &found) != 0)
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
			r = place_add_san(sans, kind, json_is_string(v) ? json_string_value(v) : "", e);
	return r;
}

/* The first name is the server's own, in its configuration and in URLs: what estuaryd would refuse must not get there. */
static int
check_own_name(const json_t *name, struct err *e)
{
	const char *s = json_is_string(name) ? json_string_value(name) : "";

	return text_valid_host(s) ? 0 : err_set(e, E_USAGE, "--name '%.100s': the first name stands in URLs: expected a host's, "
	    "a wildcard may come after it", s);
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
	r = check_own_name(json_array_get(names, 0), e);
	if (r == 0)
		r = add_all(sans, "dns", names, e);
	if (r == 0)
		r = place_add_san(sans, "dns", "localhost", e);
	if (r == 0)
		r = add_all(sans, "ip", addresses, e);
	if (r == 0)
		r = place_add_san(sans, "ip", "127.0.0.1", e);
	return r != 0 ? r : place_add_san(sans, "ip", "::1", e);
}

/* The three listeners: their tables in estuaryd.toml, and where they are unless it says so. */
static const struct { const char *table, *host; uint16_t port; } listeners[PLACE_PORTS] = {
	{ "device", "*", 8443 }, { "operator", "localhost", 9443 }, { "public", "*", 8080 },
};

static const char *
config_path(char path[PLACE_PATH_MAX + 16], const char *dir)
{
	(void)snprintf(path, PLACE_PATH_MAX + 16, "%s/estuaryd.toml", dir);
	return path;
}

/* A test server is this machine's alone unless it was given a name. */
static bool
is_alone(const struct cli *c, const struct mode *m)
{
	return m->loopback && !cli_has(c, "name") && !cli_has(c, "address");
}

/* The port that the option asks for, or def; given: is there one? */
static int
asked(int64_t *port, bool *given, const struct cli *c, size_t i, int64_t def, struct err *e)
{
	char option[32];

	(void)snprintf(option, sizeof(option), "%s-port", listeners[i].table);
	*given = cli_has(c, option);
	*port = cli_number(c, option, def);
	return *port > UINT16_MAX ? err_set(e, E_USAGE, "--%s: over %d", option, UINT16_MAX) : 0;
}

/* Bind it, and hold it until all are bound, so that they differ. */
static int
hold(uint16_t *port, int *fd, size_t i, const char *host, uint16_t was, uint16_t wanted, struct err *e)
{
	/* Asked for a free one, a server keeps the one that it has: devices know it. */
	if (wanted == 0 && was != 0 && peer_listen_tcp(fd, host, was, false, port, NULL) == 0)
		return 0;
	return peer_listen_tcp(fd, host, wanted, false, port, e) != 0 ? err_prefix(e, E_IO, "%s listener", listeners[i].table) : 0;
}

/* A listener of a server that is there, with its file: only an option changes it. */
static int
port_there(struct place_ports *p, int *fd, size_t i, const struct cli *c, const struct toml *doc, struct err *e)
{
	const struct toml *table = toml_get(doc, listeners[i].table);
	const struct toml *host = table != NULL ? toml_get(table, "host") : NULL, *port = table != NULL ? toml_get(table, "port") : NULL;
	bool given;
	int64_t wanted;
	int r = asked(&wanted, &given, c, i, 0, e);

	if (r != 0 || !given)
		return r;
	if (port == NULL)
		return err_set(e, E_NOTFOUND, "%s: key '%s.port' is not there, so --%s-port cannot change it: write it there yourself",
		    toml_file(doc), listeners[i].table, listeners[i].table);
	if (toml_kind(port) != TOML_INTEGER || toml_integer(port) < 0 || toml_integer(port) > UINT16_MAX)
		return toml_err(e, port, "expected an integer 0..%d", UINT16_MAX);
	p->was[i] = p->port[i] = (uint16_t)toml_integer(port);
	if (wanted == 0 && p->was[i] == 0) /* a free one at each start is what the file says already */
		return 0;
	return hold(&p->port[i], fd, i, host != NULL && toml_kind(host) == TOML_STRING ? toml_string(host) : listeners[i].host,
	    p->was[i], (uint16_t)wanted, e);
}

/* One of a server that is yet to be made. */
static int
port_new(struct place_ports *p, int *fd, size_t i, const struct cli *c, const struct mode *m, struct err *e)
{
	const char *host = is_alone(c, m) ? "127.0.0.1" : listeners[i].host;
	bool given;
	int64_t wanted;
	int r = asked(&wanted, &given, c, i, i == 0 ? m->device_port : listeners[i].port, e);

	return r != 0 ? r : hold(&p->port[i], fd, i, host, 0, (uint16_t)wanted, e);
}

int
place_ports(struct place_ports *p, const struct cli *c, const char *dir, const struct mode *m, struct err *e)
{
	char path[PLACE_PATH_MAX + 16];
	AUTO_BUF text = { 0 };
	AUTO(toml) doc = NULL;
	int fd[PLACE_PORTS] = { -1, -1, -1 };
	int r = file_read(&text, config_path(path, dir), TOML_MAX, e);

	*p = (struct place_ports){ .there = r == 0 };
	if (r == E_NOTFOUND)
		r = 0;
	if (r == 0 && p->there)
		r = toml_parse(&doc, path, bytes_of_buf(&text), e);
	for (size_t i = 0; r == 0 && i < PLACE_PORTS; i++)
		r = p->there ? port_there(p, &fd[i], i, c, doc, e) : port_new(p, &fd[i], i, c, m, e);
	for (size_t i = 0; i < PLACE_PORTS; i++)
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

/* Where in the text the value of a key begins. */
static size_t
value_at(struct bytes text, const struct toml *v)
{
	int line = 1, column = 1;
	size_t i = 0;

	for (; i < text.n && (line < toml_line(v) || column < toml_column(v)); i++) {
		if (text.p[i] == '\n') {
			line++;
			column = 1;
		} else if ((text.p[i] & 0xc0) != 0x80) { /* characters, not octets */
			column++;
		}
	}
	while (i < text.n && text.p[i] != '=')
		i++;
	for (i++; i < text.n && (text.p[i] == ' ' || text.p[i] == '\t'); i++)
		;
	return i;
}

/* The file with another port and all else as a person left it. */
static int
set_port(struct buf *text, const char *path, size_t i, uint16_t port, struct err *e)
{
	AUTO(toml) doc = NULL;
	AUTO(toml) changed = NULL;
	AUTO_BUF out = { 0 };
	struct bytes old = bytes_of_buf(text);
	size_t at, end;
	int r = toml_parse(&doc, path, old, e);

	if (r != 0)
		return r;
	at = end = value_at(old, toml_get(toml_get(doc, listeners[i].table), "port"));
	while (end < old.n && strchr("+_0123456789abcdefxABCDEF", old.p[end]) != NULL)
		end++;
	buf_put_bytes(&out, bytes_slice(old, 0, at));
	buf_printf(&out, "%u", port);
	buf_put_bytes(&out, bytes_slice(old, end, old.n - end));
	r = toml_parse(&changed, path, bytes_of_buf(&out), e);
	if (r != 0)
		return r;
	buf_reset(text);
	buf_put_bytes(text, bytes_of_buf(&out));
	return 0;
}

static int
change_config(const struct cli *c, const char *path, const struct place_ports *p, struct err *e)
{
	AUTO_BUF text = { 0 };
	bool changed = false;
	int r = file_read(&text, path, TOML_MAX, e);

	for (size_t i = 0; r == 0 && i < PLACE_PORTS; i++) {
		if (p->port[i] == p->was[i])
			continue;
		changed = true;
		r = set_port(&text, path, i, p->port[i], e);
	}
	if (r == 0 && changed)
		r = file_write(path, bytes_of_buf(&text), 0600, e);
	for (size_t i = 0; r == 0 && i < PLACE_PORTS; i++)
		if (p->port[i] != p->was[i])
			cli_say(c, "%s: %s.port is %u from now on, and was %u", path, listeners[i].table, p->port[i], p->was[i]);
	return r;
}

int
place_config(const struct cli *c, const char *dir, const char *name, const struct mode *m, const struct place_ports *p, struct err *e)
{
	const char *host = is_alone(c, m) ? "host = \"127.0.0.1\"\n" : "";
	AUTO_BUF text = { 0 };
	char path[PLACE_PATH_MAX + 16];

	(void)config_path(path, dir);
	if (p->there)
		return change_config(c, path, p, e);
	buf_put_str(&text, "# Made by `estuary quickstart`; `estuaryd --sample` explains every key.\n[server]\ndir = ");
	put_quoted(&text, dir);
	buf_put_str(&text, "\nname = ");
	put_quoted(&text, name);
	buf_printf(&text, "\n\n[device]\n%sport = %u\n\n[operator]\nport = %u\n\n[public]\n%sport = %u\n",
	    host, p->port[0], p->port[1], host, p->port[2]);
	return file_write(path, bytes_of_buf(&text), 0600, e);
}
