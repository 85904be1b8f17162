/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/settings.c - keyd's configuration: from the merged TOML to values */
#include "device/keyd/settings.h"

#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"

#define MAX_REQUESTS     10 /* of one user at once; the original's default */
#define MAX_REQUESTS_TOP 1000
#define LIFETIME_S       ((int64_t)86400)

static const struct settings_key any_keys[] = { { "*", NULL }, { NULL, NULL } };
static const struct settings_key library_keys[] = {
	{ "homedir_path", NULL }, { "pkcs11_lib_path", NULL }, { "pkcs11_base_slot", NULL }, { NULL, NULL },
};
static const struct settings_key handle_keys[] = { { "bind", NULL }, { "lifetime", NULL }, { NULL, NULL } };
static const struct settings_key endpoint_keys[] = { { "aziot_keyd", NULL }, { NULL, NULL } };
static const struct settings_key principal_keys[] = {
	{ "uid", NULL }, { "keys", NULL }, { "delegate", NULL }, { NULL, NULL },
};
static const struct settings_key schema[] = {
	{ "max_requests", NULL }, { "close_when_full", NULL }, { "aziot_keys", library_keys }, { "handles", handle_keys },
	{ "preloaded_keys", any_keys }, { "principal", principal_keys }, { "endpoints", endpoint_keys }, { NULL, NULL },
};

struct reading {
	struct keyd_settings *s;
	const struct toml *doc;
	void (*warn)(void *ctx, const char *text);
	void *ctx;
	struct err *e;
};

static void
warn_at(const struct reading *rd, const struct toml *v, const char *text)
{
	struct err where = { 0 };

	(void)toml_err(&where, v, "%s", text);
	rd->warn(rd->ctx, where.msg);
}

/* A member that must be a table; NULL when absent. */
static int
find_table(const struct toml **out, const struct reading *rd, const char *key)
{
	const struct toml *v = toml_get(rd->doc, key);

	if (v != NULL && toml_kind(v) != TOML_TABLE)
		return toml_err(rd->e, v, "is %s, not a table", toml_kind_name(toml_kind(v)));
	*out = v;
	return 0;
}

/* The original hands these to its library, which refuses a name that it does not know. */
static int
read_library(const struct reading *rd, const struct place *p)
{
	const char *home = p->home, *lib = NULL, *slot = NULL;
	const struct toml *t;
	int r = find_table(&t, rd, "aziot_keys");

	for (size_t i = 0; r == 0 && t != NULL && i < toml_count(t); i++) {
		const struct toml *v = toml_at(t, i);
		const struct settings_key *k = library_keys;

		while (k->name != NULL && strcmp(k->name, toml_key(v)) != 0)
			k++;
		if (k->name == NULL)
			r = toml_err(rd->e, v, "no such parameter: homedir_path, pkcs11_lib_path or pkcs11_base_slot is meant");
	}
	if (r == 0 && t != NULL && ((r = settings_str(&home, t, "homedir_path", p->home, rd->e)) != 0 ||
	    (r = settings_str(&lib, t, "pkcs11_lib_path", NULL, rd->e)) != 0))
		return r;
	if (r == 0 && t != NULL)
		r = settings_str(&slot, t, "pkcs11_base_slot", NULL, rd->e);
	if (r != 0)
		return r;
	if (home[0] != '/' || strlen(home) >= PLACE_MAX)
		return toml_err(rd->e, toml_get(t, "homedir_path"), "an absolute path of less than %d octets is needed", PLACE_MAX);
	if (lib != NULL || slot != NULL)
		warn_at(rd, toml_get(t, lib != NULL ? "pkcs11_lib_path" : "pkcs11_base_slot"),
		    "no PKCS#11 back end is installed; keys in the token cannot be used");
	rd->s->home = mem_strdup(home);
	rd->s->token = slot != NULL;
	return 0;
}

static int
read_endpoint(const struct reading *rd)
{
	const struct toml *t;
	const char *uri = NULL;
	char path[PLACE_MAX];
	int r = find_table(&t, rd, "endpoints");

	if (r == 0 && t != NULL)
		r = settings_str(&uri, t, "aziot_keyd", NULL, rd->e);
	if (r != 0 || uri == NULL)
		return r;
	if (place_from_unix_uri(path, uri, rd->e) != 0)
		return toml_err(rd->e, toml_get(t, "aziot_keyd"), "'%s': unix:///path is needed", uri);
	rd->s->socket = mem_strdup(path);
	return 0;
}

static int
read_handles(const struct reading *rd)
{
	struct keyd_settings *s = rd->s;
	const struct toml *t;
	int r = find_table(&t, rd, "handles");

	s->bind = true;
	s->lifetime_s = LIFETIME_S;
	if (r != 0 || t == NULL)
		return r;
	if ((r = settings_bool(&s->bind, t, "bind", true, rd->e)) != 0)
		return r;
	s->bind_given = toml_get(t, "bind") != NULL;
	if (!s->bind)
		warn_at(rd, toml_get(t, "bind"), "whoever sees a key handle may use the key, for ever");
	return settings_duration(&s->lifetime_s, t, "lifetime", LIFETIME_S, rd->e);
}

/* Within a directory, by name alone: configuration is the operator's, this is against accidents. */
static bool
is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

static int
read_location(const struct reading *rd, struct keyd_preloaded *p, const struct toml *v)
{
	char path[PLACE_MAX];
	const char *uri = toml_string(v), *colon = strchr(uri, ':');

	if (strncmp(uri, "pkcs11:", 7) == 0 || strncmp(uri, "tpm:", 4) == 0) {
		p->scheme = mem_dup(uri, (size_t)(colon - uri));
		return 0;
	}
	if (strncmp(uri, "file:", 5) != 0)
		return toml_err(rd->e, v, "a file:, pkcs11: or tpm: URI is needed");
	if (place_from_file_uri(path, uri, rd->e) != 0)
		return toml_err(rd->e, v, "'%s': file:///path is needed", uri);
	if (is_below(path, rd->s->home))
		return toml_err(rd->e, v, "'%s' is within the directory of keys that are made here", uri);
	p->path = mem_strdup(path);
	return 0;
}

static int
read_preloaded(const struct reading *rd)
{
	struct keyd_settings *s = rd->s;
	const struct toml *t;
	int r = find_table(&t, rd, "preloaded_keys");

	if (r != 0 || t == NULL)
		return r;
	s->preloaded = mem_zalloc_n(toml_count(t) + 1, sizeof(*s->preloaded));
	for (size_t i = 0; i < toml_count(t); i++) {
		const struct toml *v = toml_at(t, i);
		struct keyd_preloaded *p = &s->preloaded[s->n_preloaded++];

		p->id = mem_strdup(toml_key(v));
		if (toml_kind(v) != TOML_STRING)
			return toml_err(rd->e, v, "is %s, not a URI", toml_kind_name(toml_kind(v)));
		if (stem_check_id(p->id, rd->e) != 0)
			return toml_err(rd->e, v, "not a key ID");
		if (strcmp(p->id, KEYD_HANDLE_KEY_ID) == 0)
			return toml_err(rd->e, v, "this ID is kept for the key that makes handles");
		if ((r = read_location(rd, p, v)) != 0)
			return r;
	}
	return 0;
}

static int
read_all(const struct reading *rd, const struct place *p)
{
	struct keyd_settings *s = rd->s;
	int64_t n = MAX_REQUESTS;
	int r;

	if ((r = settings_int(&n, rd->doc, "max_requests", MAX_REQUESTS, 1, MAX_REQUESTS_TOP, rd->e)) != 0 ||
	    (r = settings_bool(&s->close_when_full, rd->doc, "close_when_full", false, rd->e)) != 0 ||
	    (r = read_library(rd, p)) != 0 || (r = read_endpoint(rd)) != 0 || (r = read_handles(rd)) != 0 ||
	    (r = read_preloaded(rd)) != 0)
		return r;
	s->max_requests = (unsigned)n;
	return principals_read(&s->principals, rd->doc, "keys", rd->e);
}

int
keyd_settings_read(struct keyd_settings **out, const struct toml *doc, const struct place *p,
    void (*warn)(void *ctx, const char *text), void *ctx, struct err *e)
{
	AUTO(keyd_settings) s = mem_zalloc(sizeof(*s));
	struct reading rd = { s, doc, warn, ctx, e };
	int r = read_all(&rd, p);

	if (r != 0)
		return r;
	settings_unknown(doc, schema, warn, ctx);
	*out = TAKE(s);
	return 0;
}

void
keyd_settings_free(struct keyd_settings *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n_preloaded; i++) {
		mem_free(s->preloaded[i].id);
		mem_free(s->preloaded[i].path);
		mem_free(s->preloaded[i].scheme);
	}
	mem_free(s->preloaded);
	mem_free(s->home);
	mem_free(s->socket);
	principals_free(s->principals);
	mem_free(s);
}

const struct keyd_preloaded *
keyd_preloaded(const struct keyd_settings *s, const char *id)
{
	for (size_t i = 0; i < s->n_preloaded; i++)
		if (strcmp(s->preloaded[i].id, id) == 0)
			return &s->preloaded[i];
	return NULL;
}

static bool
same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
same_preloaded(const struct keyd_settings *now, const struct keyd_settings *next)
{
	if (now->n_preloaded != next->n_preloaded)
		return false;
	for (size_t i = 0; i < next->n_preloaded; i++) {
		const struct keyd_preloaded *a = keyd_preloaded(now, next->preloaded[i].id), *b = &next->preloaded[i];

		if (a == NULL || !same(a->path, b->path) || !same(a->scheme, b->scheme))
			return false;
	}
	return true;
}

bool
keyd_settings_adopt(struct keyd_settings *now, struct keyd_settings *next)
{
	struct principals *old = now->principals;

	now->principals = TAKE(next->principals);
	principals_free(old);
	now->bind = next->bind;
	now->lifetime_s = next->lifetime_s;
	now->max_requests = next->max_requests;
	return !same(now->home, next->home) || !same(now->socket, next->socket) || now->token != next->token ||
	    now->close_when_full != next->close_when_full || !same_preloaded(now, next);
}
