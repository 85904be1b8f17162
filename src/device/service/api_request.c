/* SPDX-License-Identifier: Apache-2.0 */
/* service/api_request.c - version, route and body of a request, judged in the order that clients know */
#include "device/service/api_request.h"

#include <string.h>
#include <strings.h>

#include "core/base/text.h"
#include "core/codec/base64.h"
#include "core/net/http.h"

#define JSON_TYPE "application/json"

/* Append text with %XX decoded; a '%' that begins no escape stands for itself: clients do not encode it. */
static void
put_decoded(struct buf *out, struct bytes text, bool form)
{
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i] == '+' && form ? ' ' : text.p[i];
		char hex[3] = { 0 };

		if (c == '%' && text.n - i > 2) {
			memcpy(hex, text.p + i + 1, 2);
			if (text_unhex(&c, 1, hex))
				i += 2;
		}
		buf_put_u8(out, c);
	}
}

/* Take what stands before the first `at` off the front of *rest. */
static struct bytes
split(struct bytes *rest, char at)
{
	const uint8_t *end = rest->n != 0 ? memchr(rest->p, at, rest->n) : NULL;
	size_t n = end != NULL ? (size_t)(end - rest->p) : rest->n;
	struct bytes first = bytes_slice(*rest, 0, n);

	*rest = bytes_slice(*rest, n + 1, rest->n);
	return first;
}

bool
api_query(const struct api_call *c, const char *name, struct buf *value)
{
	struct bytes query = bytes_of(http_query(c->http));
	bool found = false;

	while (query.n != 0) {
		AUTO_BUF decoded = { 0 };
		struct bytes pair = split(&query, '&');

		put_decoded(&decoded, split(&pair, '='), true);
		if (!bytes_equal_str(bytes_of_buf(&decoded), name))
			continue;
		buf_reset(value);
		put_decoded(value, pair, true);
		found = true;
	}
	return found;
}

bool
api_request_version(struct api_call *c, const char *const *versions)
{
	AUTO_BUF value = { 0 };

	if (!api_query(c, "api-version", &value)) {
		api_fail(c, 400, "api-version not specified");
		return false;
	}
	for (size_t i = 0; versions[i] != NULL; i++) {
		if (bytes_equal_str(bytes_of_buf(&value), versions[i])) {
			c->version = i;
			return true;
		}
	}
	api_fail(c, 400, "invalid api-version \"%s\"", buf_str(&value));
	return false;
}

/*
 * How well a row fits the path, which is compared as it was sent: 0 not at all, else the octets that are fixed; a path
 * without a variable is better than any with one.  *rest: where the variable begins.
 */
static size_t
fit(const struct api_route *row, const char *path, const char **rest)
{
	size_t fixed = strcspn(row->path, "{");

	*rest = path + strlen(path);
	if (row->path[fixed] == 0)
		return strcmp(row->path, path) == 0 ? SIZE_MAX : 0;
	if (strncmp(row->path, path, fixed) != 0 || path[fixed] == 0)
		return 0;
	*rest = path + fixed;
	return fixed;
}

/* The variable part, decoded once: an ID may hold '/', encoded or not. */
static bool
read_id(char id[ID_MAX], const char *rest)
{
	AUTO_BUF out = BUF_MAX(ID_MAX - 1);

	if (*rest == 0)
		return true;
	put_decoded(&out, bytes_of(rest), false);
	if (out.over || strlen(buf_str(&out)) != out.n || stem_check_id(buf_str(&out), NULL) != 0)
		return false;
	memcpy(id, buf_str(&out), out.n + 1);
	return true;
}

const struct api_route *
api_request_route(struct api_call *c, const struct api_route *routes)
{
	const char *path = http_raw_path(c->http), *rest;
	size_t best = 0;

	for (const struct api_route *row = routes; row->method != NULL; row++) {
		size_t n = row->since <= c->version ? fit(row, path, &rest) : 0;

		best = n > best ? n : best;
	}
	for (const struct api_route *row = routes; best != 0 && row->method != NULL; row++) {
		if (row->since > c->version || fit(row, path, &rest) != best)
			continue;
		if (!read_id(c->id, rest))
			best = 0;
		else if (strcmp(row->method, c->method) == 0)
			return row;
	}
	if (best == 0)
		api_fail(c, 404, "not found");
	else
		api_fail(c, 400, "method not allowed"); /* 400: what existing clients were written against */
	return NULL;
}

/* What stands before ';' is JSON's type, or there is no Content-Type at all. */
static bool
is_json(const char *type)
{
	size_t n;

	if (type == NULL)
		return true;
	type += strspn(type, " \t");
	n = strcspn(type, ";");
	while (n != 0 && (type[n - 1] == ' ' || type[n - 1] == '\t'))
		n--;
	return n == strlen(JSON_TYPE) && strncasecmp(type, JSON_TYPE, n) == 0;
}

static bool
parse(struct api_call *c, struct bytes body)
{
	struct err e = { 0 };

	if (json_parse(&c->body, body, &e) != 0) {
		api_fail(c, 422, "%s", e.msg);
		return false;
	}
	if (!json_is_object(c->body)) {
		api_fail(c, 422, "the request body is no JSON object");
		return false;
	}
	return true;
}

bool
api_request_body(struct api_call *c, const struct api_route *row)
{
	struct bytes body = http_body(c->http);
	bool put = strcmp(c->method, "PUT") == 0, json = is_json(http_header(c->http, "Content-Type"));

	if (strcmp(c->method, "GET") == 0)
		return true;
	if (put && !json) {
		api_fail(c, 415, "request body must be application/json");
		return false;
	}
	/* Another type than JSON is as good as no body, but for PUT, where nothing at all is no JSON. */
	if (json && (body.n != 0 || put) && !parse(c, body))
		return false;
	if (c->body == NULL && row->body == API_MUST_BODY) {
		api_fail(c, 400, "missing request body");
		return false;
	}
	if (row->body == API_NO_BODY) {
		json_decref(c->body);
		c->body = NULL;
	}
	return true;
}

bool
api_need_str(struct api_call *c, const char *member, const char **out)
{
	const json_t *v = json_object_get(c->body, member);

	if (json_is_string(v)) {
		*out = json_string_value(v);
		return true;
	}
	api_fail(c, 422, v == NULL ? "missing field `%s`" : "field `%s` is not a string", member);
	return false;
}

bool
api_need_base64(struct api_call *c, const char *member, struct buf *out)
{
	struct err e = { 0 };
	const char *text;

	if (!api_need_str(c, member, &text))
		return false;
	if (strpbrk(text, " \t\r\n") == NULL && base64_decode(out, bytes_of(text), &e) == 0)
		return true;
	api_fail(c, 422, "field `%s` is not base64%s%s", member, e.msg[0] != 0 ? ": " : "", e.msg);
	return false;
}
