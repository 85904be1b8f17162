/* SPDX-License-Identifier: Apache-2.0 */
/* certd/settings_auth.c - how to authenticate at an EST server, as configured */
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "device/certd/settings_inside.h"
#include "device/enrol/job.h"

/* Of the table, or of its `auth`: the original's documentation shows both, and its code knew the first alone. */
static const struct toml *
holder(const struct toml *table, const char *key)
{
	const struct toml *sub = toml_get(table, "auth");

	return toml_get(table, key) != NULL || sub == NULL ? table : sub;
}

static void
drop(char **text)
{
	mem_free(*text);
	*text = NULL;
}

/* Both or none; half a pair is told of and forgotten. */
static bool
whole_pair(const struct reading *rd, const struct toml *table, char **a, const char *a_name, char **b,
    const char *b_name)
{
	if (*a != NULL && *b != NULL)
		return true;
	if (*a != NULL || *b != NULL)
		settings_warn(rd, table, "%s is given without %s: not used", *a != NULL ? a_name : b_name,
		    *a != NULL ? b_name : a_name);
	drop(a);
	drop(b);
	return false;
}

static bool
whole_basic(const struct reading *rd, const struct toml *table, struct est_auth_settings *a)
{
	if (a->password != NULL && a->password_file != NULL) {
		settings_warn(rd, table, "password and password_file are both given: the first is used");
		drop(&a->password_file);
	}
	return whole_pair(rd, table, &a->username, "username",
	    a->password_file != NULL ? &a->password_file : &a->password, "password (or password_file)");
}

/* "Name: value" of visible characters; a line end in it would forge further headers. */
static bool
is_header(const char *text)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t n = strspn(text, token), whole = strlen(text);

	if (n == 0 || text[n] != ':' || whole >= sizeof(((struct job *)0)->header[0]))
		return false;
	for (size_t i = n + 1; i < whole; i++)
		if ((text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
			return false;
	return true;
}

static int
read_headers(const struct reading *rd, struct est_auth_settings *a, const struct toml *table)
{
	const struct toml *v = toml_get(holder(table, "headers"), "headers");
	int r = settings_list(rd, &a->headers, holder(table, "headers"), "headers");
	size_t n = 0;

	if (r != 0 || a->headers == NULL)
		return r;
	for (; a->headers[n] != NULL; n++)
		if (!is_header(a->headers[n]))
			return toml_err(rd->e, toml_at(v, n), "a header \"Name: value\" is needed");
	if (n > JOB_HEADERS_MAX)
		return toml_err(rd->e, v, "%zu headers: at most %d", n, JOB_HEADERS_MAX);
	return 0;
}

/* The path itself, or as a file: URI. */
static int
read_password_file(const struct reading *rd, struct est_auth_settings *a, const struct toml *table)
{
	const struct toml *v = toml_get(table, "password_file");
	int r = settings_copy(rd, &a->password_file, table, "password_file");
	char path[PLACE_MAX];
	struct err why;

	if (r != 0 || a->password_file == NULL || a->password_file[0] == '/')
		return r;
	if (place_from_file_uri(path, a->password_file, &why) != 0)
		return toml_err(rd->e, v, "an absolute path or a file: URI is needed");
	mem_free(a->password_file);
	a->password_file = mem_strdup(path);
	return 0;
}

static int
read_members(const struct reading *rd, struct est_auth_settings *a, const struct toml *t)
{
	int r;

	if ((r = settings_copy(rd, &a->username, holder(t, "username"), "username")) != 0 ||
	    (r = settings_copy(rd, &a->password, holder(t, "password"), "password")) != 0 ||
	    (r = read_password_file(rd, a, holder(t, "password_file"))) != 0 ||
	    (r = settings_cert_id(rd, &a->identity_cert, holder(t, "identity_cert"), "identity_cert")) != 0 ||
	    (r = settings_key_id(rd, &a->identity_pk, holder(t, "identity_pk"), "identity_pk")) != 0 ||
	    (r = settings_cert_id(rd, &a->bootstrap_cert, holder(t, "bootstrap_identity_cert"),
	         "bootstrap_identity_cert")) != 0 ||
	    (r = settings_key_id(rd, &a->bootstrap_pk, holder(t, "bootstrap_identity_pk"), "bootstrap_identity_pk")) != 0 ||
	    (r = settings_bool(&a->anonymous, holder(t, "anonymous"), "anonymous", false, rd->e)) != 0 ||
	    (r = settings_bool(&a->headers_always, holder(t, "headers_always"), "headers_always", false, rd->e)) != 0)
		return r;
	return read_headers(rd, a, t);
}

int
settings_auth(const struct reading *rd, struct est_auth_settings *out, const struct toml *table)
{
	const struct toml *sub = toml_get(table, "auth");
	bool basic, x509, bootstrap;
	int r;

	if (sub != NULL && toml_kind(sub) != TOML_TABLE)
		return toml_err(rd->e, sub, "a table is needed, not %s", toml_kind_name(toml_kind(sub)));
	if ((r = read_members(rd, out, table)) != 0)
		return r;
	if (out->username != NULL && strlen(out->username) >= sizeof(((struct job *)0)->user))
		return toml_err(rd->e, table, "username: too long");
	basic = whole_basic(rd, table, out);
	x509 = whole_pair(rd, table, &out->identity_cert, "identity_cert", &out->identity_pk, "identity_pk");
	bootstrap = whole_pair(rd, table, &out->bootstrap_cert, "bootstrap_identity_cert", &out->bootstrap_pk,
	    "bootstrap_identity_pk");
	if (bootstrap && !x509) {
		settings_warn(rd, table, "a bootstrap identity without identity_cert and identity_pk: not used; give IDs "
		    "that the identity which it fetches will have");
		drop(&out->bootstrap_cert);
		drop(&out->bootstrap_pk);
	}
	out->given = basic || x509 || out->anonymous;
	if (out->headers != NULL && !out->given)
		settings_warn(rd, table, "headers are no authentication by themselves: not used without a username, an identity "
		    "or anonymous = true");
	return 0;
}

void
settings_auth_clear(struct est_auth_settings *a)
{
	if (a->password != NULL)
		mem_free_wiped(a->password, strlen(a->password));
	for (size_t i = 0; a->headers != NULL && a->headers[i] != NULL; i++)
		mem_wipe(a->headers[i], strlen(a->headers[i]));
	settings_list_free(a->headers);
	mem_free(a->username);
	mem_free(a->password_file);
	mem_free(a->identity_cert);
	mem_free(a->identity_pk);
	mem_free(a->bootstrap_cert);
	mem_free(a->bootstrap_pk);
	*a = (struct est_auth_settings){ 0 };
}
