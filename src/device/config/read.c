/* SPDX-License-Identifier: Apache-2.0 */
/* config/read.c - members of the super-config */
#include "device/config/read.h"
#include "device/service/place.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/text.h"
#include "device/config/uri.h"
#include "device/service/settings.h"
#include "device/service/stem.h"

#define DAY_S    86400
#define MINUTE_S 60

static void tell(struct reading *rd, const struct toml *v, bool error, const char *fmt, va_list ap)
    PRINTF(4, 0);

static void
tell(struct reading *rd, const struct toml *v, bool error, const char *fmt, va_list ap)
{
	struct err text = { 0 }, where = { 0 };

	(void)vsnprintf(text.msg, sizeof(text.msg), fmt, ap);
	(void)toml_err(&where, v, "%s", text.msg);
	rd->errors += error;
	rd->o->tell(rd->o->ctx, error, where.msg);
}

void
rd_error(struct reading *rd, const struct toml *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(rd, v, true, fmt, ap);
	va_end(ap);
}

void
rd_warn(struct reading *rd, const struct toml *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(rd, v, false, fmt, ap);
	va_end(ap);
}

/* A fault that says its place already. */
static void
told(struct reading *rd, const struct err *e)
{
	rd->errors++;
	rd->o->tell(rd->o->ctx, true, e->msg);
}

const struct toml *
rd_table(struct reading *rd, const struct toml *t, const char *key)
{
	const struct toml *v = t != NULL ? toml_get(t, key) : NULL;

	if (v == NULL || toml_kind(v) == TOML_TABLE)
		return v;
	rd_error(rd, v, "is %s, not a table", toml_kind_name(toml_kind(v)));
	return NULL;
}

const char *
rd_str(struct reading *rd, const struct toml *t, const char *key)
{
	const char *s = NULL;
	struct err e;

	if (settings_str(&s, t, key, NULL, &e) == 0)
		return s;
	told(rd, &e);
	return NULL;
}

const char *
rd_need(struct reading *rd, const struct toml *t, const char *key, const char *remedy)
{
	const char *s = rd_str(rd, t, key);

	if (s == NULL && toml_get(t, key) == NULL)
		rd_error(rd, t, "'%s' is missing: %s", key, remedy);
	else if (s != NULL && *s == 0)
		rd_error(rd, toml_get(t, key), "is empty: %s", remedy);
	return s != NULL ? s : "";
}

bool
rd_bool(struct reading *rd, const struct toml *t, const char *key, bool def)
{
	struct err e;
	bool b = def;

	if (settings_bool(&b, t, key, def, &e) != 0)
		told(rd, &e);
	return b;
}

int64_t
rd_int(struct reading *rd, const struct toml *t, const char *key, int64_t def, int64_t least, int64_t most)
{
	struct err e;
	int64_t n = def;

	if (settings_int(&n, t, key, def, least, most, &e) != 0)
		told(rd, &e);
	return n;
}

const char *
rd_name(struct reading *rd, const struct toml *t, const char *key, const char *remedy)
{
	const char *s = rd_need(rd, t, key, remedy);

	if (uri_is_placeholder(s))
		rd_warn(rd, toml_get(t, key), "'%.60s' looks like the placeholder of a document: %s", s,
		    remedy);
	return s;
}

const char *
rd_url(struct reading *rd, const struct toml *t, const char *key)
{
	const char *s = rd_str(rd, t, key);
	AUTO_BUF url = { 0 };
	struct err e;
	bool plain;

	if (s == NULL || *s == 0)
		return NULL;
	if (uri_web(&url, &plain, s, &e) != 0) {
		rd_error(rd, toml_get(t, key), "%s", e.msg);
		return NULL;
	}
	if (plain)
		rd_warn(rd, toml_get(t, key),
		    "http: is neither secret nor authentic, anybody on the way can answer");
	return plan_text(rd->p, "%s", buf_str(&url));
}

/* "80%", or a span as the services read it: whole minutes or days. */
static const char *
span_of(struct reading *rd, const struct toml *t, const char *key, const char *def)
{
	const char *s = rd_str(rd, t, key);
	size_t n = s != NULL ? strspn(s, "0123456789") : 0;
	struct err e;
	int64_t secs;

	if (s == NULL)
		return def;
	if (n > 0 && strcmp(s + n + strspn(s + n, " "), "%") == 0) {
		if (n > 2 || *s == '0')
			rd_error(rd, toml_get(t, key), "'%.40s': 1%% to 99%% of the certificate's life", s);
		return plan_text(rd->p, "%.*s%%", (int)n, s);
	}
	if (settings_parse_duration(&secs, s, &e) != 0)
		rd_error(rd, toml_get(t, key), "%s; or write a percentage, \"80%%\"", e.msg);
	else if (secs < MINUTE_S || secs % MINUTE_S != 0)
		rd_error(rd, toml_get(t, key),
		    "'%.40s': whole minutes or days, such as \"60min\" or \"1day\"", s);
	else if (secs % DAY_S == 0)
		return plan_text(rd->p, "%" PRId64 "day", secs / DAY_S);
	else
		return plan_text(rd->p, "%" PRId64 "min", secs / MINUTE_S);
	return def;
}

struct renewal
rd_renewal(struct reading *rd, const struct toml *t, const char *key)
{
	const struct toml *v = rd_table(rd, t, key);
	struct renewal r = renewal_default;

	r.given = v != NULL;
	r.rotate = rd_bool(rd, v, "rotate_key", r.rotate);
	r.threshold = v != NULL ? span_of(rd, v, "threshold", r.threshold) : r.threshold;
	r.retry = v != NULL ? span_of(rd, v, "retry", r.retry) : r.retry;
	return r;
}

/* --- URIs --- */

static const char *
text_at(struct reading *rd, const struct toml *v, const char *what)
{
	if (toml_kind(v) == TOML_STRING)
		return toml_string(v);
	rd_error(rd, v, "is %s, not %s in quotes", toml_kind_name(toml_kind(v)), what);
	return NULL;
}

const char *
rd_file(struct reading *rd, const struct toml *v, enum reference_kind kind, const char *user)
{
	const char *s = text_at(rd, v, "a URI such as \"file:///path\"");
	char path[PLACE_MAX];
	AUTO_BUF uri = { 0 };
	struct err e;

	if (s == NULL)
		return "";
	if (*s == '/') {
		rd_error(rd, v, "is a path, and a URI is needed: write \"file://%.200s\"", s);
		return "";
	}
	if (place_from_file_uri(path, s, &e) != 0) {
		rd_error(rd, v, "%s: write \"file:///path\"", e.msg);
		return "";
	}
	uri_of_path(&uri, path);
	plan_refer(rd->p, v, plan_text(rd->p, "%s", path), kind, user);
	return plan_text(rd->p, "%s", buf_str(&uri));
}

const char *
rd_made_file(struct reading *rd, const char *path)
{
	AUTO_BUF whole = { 0 };
	AUTO_BUF uri = { 0 };

	buf_printf(&whole, "%s%s", rd->o->prefix, path);
	uri_of_path(&uri, buf_str(&whole));
	return plan_text(rd->p, "%s", buf_str(&uri));
}

void
rd_preload_key(struct reading *rd, const struct toml *v, const char *id, enum reference_kind kind)
{
	const char *s = text_at(rd, v, "a URI such as \"file:///path\"");
	AUTO_BUF uri = { 0 };
	struct err e;

	if (s == NULL)
		return;
	if (strncasecmp(s, "pkcs11:", 7) != 0)
		(void)map_put(&rd->p->preloaded_keys, id, rd_file(rd, v, kind, "aziotks"));
	else if (uri_pkcs11(&uri, s, true, &e) != 0)
		rd_error(rd, v, "%s", e.msg);
	else
		(void)map_put(&rd->p->preloaded_keys, id, plan_text(rd->p, "%s", buf_str(&uri)));
}

void
rd_preload_cert(struct reading *rd, const struct toml *v, const char *id)
{
	(void)map_put(&rd->p->preloaded_certs, id, rd_file(rd, v, REFERENCE_CERT, "aziotcs"));
}
