/* SPDX-License-Identifier: Apache-2.0 */
/* estuaryd/config.c - the table of keys, and what it drives */
#include "server/estuaryd/config.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/codec/toml.h"

#define CONFIG_NEAR 3 /* edits between an unknown key and the one that was meant */
#define DAY_S       86400
#define SOCKET_MAX  ((int64_t)sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

enum kind { K_TEXT, K_HOST, K_PATH, K_URL, K_INTEGER, K_DURATION };

/*
 * One key.  least and most are octets of a text, the range of an integer, or
 * seconds.  shown is the default as the sample prints it.
 */
struct key {
	const char *table, *key;
	enum kind kind;
	bool needs_restart;
	size_t offset, size;
	int64_t least, most;
	const char *shown, *doc;
};

#define AT(field) offsetof(struct settings, field), sizeof(((struct settings *)NULL)->field)

static const struct key keys[] = {
	{ "server", "dir", K_PATH, true, AT(dir), 1, SETTINGS_PATH_MAX - 1, "\"/var/lib/estuary\"",
	  "The state directory: store, keys, published files, lock." },
	{ "server", "name", K_HOST, false, AT(name), 1, SETTINGS_HOST_MAX - 1, "\"est.example.com\"",
	  "The name that devices know this server by; it stands in URLs.  Default: the host's." },
	{ "server", "user", K_TEXT, true, AT(user), 0, 63, "\"\"",
	  "Whom the roles become when started as root: \"user\" or \"user:group\"." },
	{ "server", "fronts", K_INTEGER, true, AT(fronts), 0, SETTINGS_FRONTS_MAX, "0",
	  "Processes that serve devices; 0: one a core." },
	{ "server", "tls_chain", K_PATH, false, AT(tls_chain), 1, SETTINGS_PATH_MAX - 1,
	  "\"/var/lib/estuary/tls/server.pem\"",
	  "The server's certificate and its chain, PEM.  Default: tls/server.pem in the state directory." },
	{ "server", "tls_key", K_PATH, false, AT(tls_key), 1, SETTINGS_PATH_MAX - 1,
	  "\"/var/lib/estuary/tls/server.key\"",
	  "Its private key, PEM.  Default: tls/server.key in the state directory." },
	{ "server", "ready_file", K_PATH, false, AT(ready_file), 1, SETTINGS_PATH_MAX - 1,
	  "\"/var/lib/estuary/run/ready\"",
	  "Exists while everything serves; names the ports.  Default: run/ready in the state directory." },
	{ "device", "host", K_HOST, false, AT(device_host), 0, SETTINGS_HOST_MAX - 1, "\"*\"",
	  "Where devices enrol (HTTPS): a name, an address, or \"*\" for every address." },
	{ "device", "port", K_INTEGER, false, AT(device_port), 0, UINT16_MAX, "8443",
	  "0: any free port." },
	{ "operator", "host", K_HOST, false, AT(operator_host), 0, SETTINGS_HOST_MAX - 1, "\"localhost\"",
	  "Where operators with a token are served (HTTPS)." },
	{ "operator", "port", K_INTEGER, false, AT(operator_port), 0, UINT16_MAX, "9443",
	  "0: any free port." },
	{ "operator", "socket", K_PATH, false, AT(local_socket), 1, SOCKET_MAX,
	  "\"/var/lib/estuary/run/operator.sock\"",
	  "Where root and the server's user are served.  Default: run/operator.sock in the state directory." },
	{ "public", "host", K_HOST, false, AT(public_host), 0, SETTINGS_HOST_MAX - 1, "\"*\"",
	  "Where CRLs and CA certificates are published (plain HTTP)." },
	{ "public", "port", K_INTEGER, false, AT(public_port), 0, UINT16_MAX, "8080",
	  "0: any free port." },
	{ "public", "url", K_URL, false, AT(public_url), 0, SETTINGS_PATH_MAX - 1, "\"\"",
	  "What the pointers in certificates begin with.  Default: http:// with name and port." },
	{ "limits", "idle", K_DURATION, false, AT(idle_s), 1, DAY_S, "\"60s\"",
	  "A connection without a request is closed after this." },
	{ "limits", "connections", K_INTEGER, false, AT(connections), 1, 1000000, "10000",
	  "Connections of devices to one front at a time; its public listener has a quarter as many besides." },
	{ "limits", "connections_per_address", K_INTEGER, false, AT(connections_per_address), 1, 1000000,
	  "256", "Of them, from one IPv4 address or one IPv6 /64." },
	{ "courier", "trust", K_PATH, false, AT(courier_trust), 0, SETTINGS_PATH_MAX - 1, "\"\"",
	  "CA certificates, PEM, by which the servers of webhooks are verified; \"\": the system's." },
	{ "crl", "lifetime", K_DURATION, false, AT(crl_lifetime_s), 60, 366 * (int64_t)DAY_S, "\"7d\"",
	  "How long a CRL is valid; it is made anew at half of it." },
};

/* "an integer 0..65535": what a key wants, for messages and the sample. */
static void
expectation(const struct key *k, struct buf *out)
{
	char least[CLOCK_TEXT_MAX], most[CLOCK_TEXT_MAX];

	switch (k->kind) {
	case K_TEXT:
		buf_printf(out, "a string of at most %" PRId64 " octets", k->most);
		break;
	case K_HOST:
		buf_put_str(out, k->least == 0 ? "a host name, an address or \"*\"" : "a host name or an address");
		break;
	case K_PATH:
		buf_printf(out, "a path of at most %" PRId64 " octets", k->most);
		break;
	case K_URL:
		buf_put_str(out, "a URL that begins with http:// or https:// and a host");
		break;
	case K_INTEGER:
		buf_printf(out, "an integer %" PRId64 "..%" PRId64, k->least, k->most);
		break;
	case K_DURATION:
		buf_printf(out, "a duration %s..%s as in \"90s\", or seconds",
		    clock_duration_text(k->least, least), clock_duration_text(k->most, most));
		break;
	}
}

static bool
is_number(const struct key *k)
{
	return k->kind == K_INTEGER || k->kind == K_DURATION;
}

/* The value itself is shown where its kind was right. */
static int
unexpected(const struct key *k, const struct toml *v, struct err *e)
{
	AUTO_BUF want = BUF_MAX(200), found = BUF_MAX(200);

	expectation(k, &want);
	if (toml_kind(v) == TOML_INTEGER && is_number(k)) {
		buf_printf(&found, "%" PRId64, toml_integer(v));
	} else if (toml_kind(v) == TOML_STRING && k->kind != K_INTEGER) {
		buf_put_str(&found, "\"");
		text_escape(&found, bytes_slice(bytes_of(toml_string(v)), 0, 40));
		buf_put_str(&found, strlen(toml_string(v)) > 40 ? "...\"" : "\"");
	} else {
		buf_put_str(&found, toml_kind_name(toml_kind(v)));
	}
	return toml_err(e, v, "expected %s, found %s", buf_str(&want), buf_str(&found));
}

static bool
only_chars(const char *s, const char *set)
{
	return s[strspn(s, set)] == 0;
}

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static bool
valid_text(const struct key *k, const char *s)
{
	size_t n = strlen(s);

	if ((int64_t)n < k->least || (int64_t)n > k->most || !text_valid_utf8(bytes_of(s)))
		return false;
	switch (k->kind) {
	case K_HOST:
		/* "*" only where a listener may be everywhere. */
		return (k->least == 0 && (n == 0 || strcmp(s, "*") == 0)) || text_valid_host(s);
	case K_URL:
		return n == 0 || (only_chars(s, ALNUM "-._~:/[]@!$&'()*+,;=%") &&
		    ((strncmp(s, "http://", 7) == 0 && n > 7 && s[7] != '/') ||
		    (strncmp(s, "https://", 8) == 0 && n > 8 && s[8] != '/')));
	default:
		return true;
	}
}

static void
store_number(const struct key *k, struct settings *s, int64_t v)
{
	void *at = (char *)s + k->offset;

	if (k->size == sizeof(uint16_t))
		*(uint16_t *)at = (uint16_t)v;
	else if (k->size == sizeof(uint32_t))
		*(uint32_t *)at = (uint32_t)v;
	else
		*(int64_t *)at = v;
}

static int
take_number(const struct key *k, struct settings *s, const struct toml *v, struct err *e)
{
	int64_t n;

	if (k->kind == K_DURATION && toml_kind(v) == TOML_STRING) {
		if (clock_parse_duration(&n, toml_string(v), NULL) != 0)
			return unexpected(k, v, e);
	} else if (toml_kind(v) == TOML_INTEGER) {
		n = toml_integer(v);
	} else {
		return unexpected(k, v, e);
	}
	if (n < k->least || n > k->most)
		return unexpected(k, v, e);
	store_number(k, s, n);
	return 0;
}

static int
take_text(const struct key *k, struct settings *s, const char *dir, const struct toml *v,
    struct err *e)
{
	char *at = (char *)s + k->offset;
	AUTO_BUF whole = BUF_MAX(k->size);

	if (toml_kind(v) != TOML_STRING || !valid_text(k, toml_string(v)))
		return unexpected(k, v, e);
	if (k->kind == K_PATH && toml_string(v)[0] != '/' && toml_string(v)[0] != 0)
		buf_printf(&whole, "%s/", strcmp(dir, "/") == 0 ? "" : dir);
	buf_put_str(&whole, toml_string(v));
	while (k->kind == K_URL && whole.n != 0 && whole.p[whole.n - 1] == '/')
		whole.n--; /* paths that begin with a slash are put behind it */
	if (whole.over || (int64_t)whole.n > k->most)
		return toml_err(e, v, "together with '%.100s' longer than %" PRId64 " octets", dir, k->most);
	(void)snprintf(at, k->size, "%s", buf_str(&whole));
	return 0;
}

/* "; did you mean 'device.port'?", or nothing when no key is near; key NULL: it is a table that was not known. */
static void
suggest(struct buf *out, const char *table, const char *key)
{
	const char *best_table = NULL, *best_key = NULL;
	/* Half of a short word is another word. */
	size_t half = (strlen(key == NULL ? table : key) + 1) / 2;
	unsigned near = half < CONFIG_NEAR ? (unsigned)half : CONFIG_NEAR, best = near + 1;

	for (size_t i = 0; i < N_OF(keys); i++) {
		unsigned d = text_distance(key == NULL ? table : key, key == NULL ? keys[i].table : keys[i].key);

		/* The right key in the wrong table is near, too. */
		if (key != NULL && strcmp(table, keys[i].table) != 0)
			d++;
		if (d < best) {
			best = d;
			best_table = keys[i].table;
			best_key = key == NULL ? NULL : keys[i].key;
		}
	}
	if (best <= near)
		buf_printf(out, "; did you mean '%s%s%s'?", best_table, best_key != NULL ? "." : "",
		    best_key != NULL ? best_key : "");
}

static int
unknown(const struct toml *v, const char *table, const char *key, struct err *e)
{
	AUTO_BUF hint = BUF_MAX(200);

	suggest(&hint, table, key);
	return toml_err(e, v, "unknown %s%s", key == NULL ? "table" : "key", buf_str(&hint));
}

static const struct key *
find_key(const char *table, const char *key)
{
	for (size_t i = 0; i < N_OF(keys); i++)
		if (strcmp(keys[i].table, table) == 0 && (key == NULL || strcmp(keys[i].key, key) == 0))
			return &keys[i];
	return NULL;
}

static int
take_table(struct settings *s, const char *dir, const struct toml *table, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < toml_count(table); i++) {
		const struct toml *v = toml_at(table, i);
		const struct key *k = find_key(toml_key(table), toml_key(v));

		if (k == NULL)
			return unknown(v, toml_key(table), toml_key(v), e);
		if (is_number(k))
			r = take_number(k, s, v, e);
		else
			r = take_text(k, s, dir, v, e);
	}
	return r;
}

/* What the file did not name and what stands in the state directory unless named. */
static int
fill_in(struct settings *s, const char *file, struct err *e)
{
	const struct { char *field; size_t size; const char *leaf, *key; } derived[] = {
		{ s->tls_chain, sizeof(s->tls_chain), "tls/server.pem", "server.tls_chain" },
		{ s->tls_key, sizeof(s->tls_key), "tls/server.key", "server.tls_key" },
		{ s->ready_file, sizeof(s->ready_file), "run/ready", "server.ready_file" },
		{ s->local_socket, (size_t)SOCKET_MAX + 1, "run/operator.sock", "operator.socket" },
	};

	for (size_t i = 0; i < N_OF(derived); i++) {
		if (derived[i].field[0] != 0)
			continue;
		if ((size_t)snprintf(derived[i].field, derived[i].size, "%s/%s", s->dir,
		    derived[i].leaf) >= derived[i].size)
			return err_set(e, E_FORMAT, "%s: key '%s': '%.100s.../%s' is longer than %zu octets: "
			    "set it to a shorter path", file, derived[i].key, s->dir, derived[i].leaf,
			    derived[i].size - 1);
	}
	return 0;
}

int
config_parse(struct settings *out, const char *file, const char *dir, struct bytes text,
    struct err *e)
{
	AUTO(toml) doc = NULL;
	struct settings s;
	int r = toml_parse(&doc, file, text, e);

	settings_default(&s);
	s.tls_chain[0] = s.tls_key[0] = s.ready_file[0] = s.local_socket[0] = s.public_url[0] = s.courier_trust[0] = 0;
	for (size_t i = 0; r == 0 && i < toml_count(doc); i++) {
		const struct toml *v = toml_at(doc, i);

		if (toml_kind(v) != TOML_TABLE && find_key(toml_key(v), NULL) != NULL)
			return toml_err(e, v, "expected a table, found %s", toml_kind_name(toml_kind(v)));
		if (toml_kind(v) != TOML_TABLE)
			return unknown(v, "", toml_key(v), e);
		if (find_key(toml_key(v), NULL) == NULL)
			return unknown(v, toml_key(v), NULL, e);
		r = take_table(&s, dir, v, e);
	}
	if (r == 0)
		r = fill_in(&s, file, e);
	if (r == 0)
		*out = s;
	return r;
}

/* Whoever may write the file, or put another in its place, is trusted with all that it names. */
static int
check_owner(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return err_errno(e, errno == ENOENT ? E_NOTFOUND : E_IO, "%s", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(e, E_POLICY, "%s: belongs to uid %u: must belong to root or to uid %u", path,
		    (unsigned)st.st_uid, (unsigned)geteuid());
	if ((st.st_mode & S_IWOTH) == 0)
		return 0;
	/* A directory such as /tmp is others' by purpose: it must stay as it is. */
	if (S_ISDIR(st.st_mode) && ((st.st_mode & S_ISVTX) != 0 || st.st_uid != geteuid()))
		return err_set(e, E_POLICY, "%s: everybody may write there: put the configuration into a directory that only root or "
		    "uid %u may write", path, (unsigned)geteuid());
	return err_set(e, E_POLICY, "%s: others may write it: chmod o-w %s", path, path);
}

int
config_load(struct settings *s, const char *path, struct err *e)
{
	char whole[PATH_MAX], dir[PATH_MAX];
	AUTO_BUF text = BUF_MAX(TOML_MAX);
	char *slash;
	int r;

	if (realpath(path, whole) == NULL)
		return err_errno(e, errno == ENOENT ? E_NOTFOUND : E_IO, "%s", path);
	(void)snprintf(dir, sizeof(dir), "%s", whole);
	slash = strrchr(dir, '/');
	slash[slash == dir ? 1 : 0] = 0;
	if ((r = check_owner(dir, e)) != 0 || (r = check_owner(whole, e)) != 0 ||
	    (r = file_read(&text, whole, TOML_MAX, e)) != 0)
		return r;
	return config_parse(s, path, dir, bytes_of_buf(&text), e);
}

int
config_may_change(const struct settings *was, const struct settings *now, struct err *e)
{
	for (size_t i = 0; i < N_OF(keys); i++) {
		const char *a = (const char *)was + keys[i].offset, *b = (const char *)now + keys[i].offset;

		if (keys[i].needs_restart &&
		    (is_number(&keys[i]) ? memcmp(a, b, keys[i].size) : strcmp(a, b)) != 0)
			return err_set(e, E_POLICY, "key '%s.%s': changes only with a restart of the server",
			    keys[i].table, keys[i].key);
	}
	return 0;
}

void
config_sample(struct buf *out)
{
	const char *table = "";

	buf_put_str(out, "# estuaryd's configuration (TOML).  Every key is optional; what stands here is the\n"
	    "# default.  Relative paths start at this file's directory.\n");
	for (size_t i = 0; i < N_OF(keys); i++) {
		if (strcmp(table, keys[i].table) != 0)
			buf_printf(out, "\n[%s]\n", keys[i].table);
		table = keys[i].table;
		buf_printf(out, "# %s\n# Takes ", keys[i].doc);
		expectation(&keys[i], out);
		buf_printf(out, ".\n#%s = %s\n", keys[i].key, keys[i].shown);
	}
}

void
config_each_key(void (*fn)(void *ctx, const char *name, const char *doc, const char *takes, const char *def), void *ctx)
{
	for (size_t i = 0; i < N_OF(keys); i++) {
		AUTO_BUF name = { 0 };
		AUTO_BUF takes = { 0 };

		buf_printf(&name, "%s.%s", keys[i].table, keys[i].key);
		expectation(&keys[i], &takes);
		fn(ctx, buf_str(&name), keys[i].doc, buf_str(&takes), keys[i].shown);
	}
}
