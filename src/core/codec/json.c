/* SPDX-License-Identifier: Apache-2.0 */
/* codec/json.c - JSON by jansson */
#include "core/codec/json.h"

#include <stdarg.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "core/base/text.h"
#include "core/codec/base64.h"

/*
 * Before main(), as jansson wants it: our allocator, so that no json_*() of ours returns
 * NULL for want of memory, and that passwords and keys are wiped; and a seed from the kernel, since
 * jansson would look for one in /dev/urandom, which a confined role cannot open.
 * Not so where json_guest is defined.
 */
extern const char json_guest __attribute__((weak));

__attribute__((constructor)) static void
set_up_jansson(void)
{
	size_t seed;

	if (&json_guest != NULL)
		return;
	rnd_bytes(&seed, sizeof(seed));
	json_set_alloc_funcs(mem_piece_new, mem_piece_free);
	json_object_seed(seed | 1); /* 0 would mean: choose one */
}

int
json_parse(json_t **out, struct bytes text, struct err *e)
{
	const char *p = text.n != 0 ? (const char *)text.p : "";
	json_error_t why;
	json_t *v = json_loadb(p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
	char *near;

	if (v != NULL) {
		*out = v;
		return 0;
	}
	/* What stands near the error may be a password: the position is enough. */
	near = strstr(why.text, " near '");
	if (near != NULL)
		*near = 0;
	return err_set(e, E_FORMAT, "json:%d:%d: %s", why.line, why.column, why.text);
}

/* How deep the text goes, as far as its strings end; what is no JSON is left to the parser. */
static bool
within(struct bytes text, unsigned depth)
{
	unsigned at = 0;
	bool quoted = false;

	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '[' || c == '{') && ++at > depth)
			return false;
		else if (!quoted && (c == ']' || c == '}') && at != 0)
			at--;
	}
	return true;
}

int
json_parse_within(json_t **out, struct bytes text, unsigned depth, struct err *e)
{
	return within(text, depth) ? json_parse(out, text, e) : err_set(e, E_FORMAT, "json: more than %u levels deep", depth);
}

static int
put_chunk(const char *p, size_t n, void *ctx)
{
	buf_put(ctx, p, n);
	return 0;
}

void
json_print(struct buf *out, const json_t *v, bool pretty)
{
	size_t how = JSON_ENCODE_ANY | (pretty ? JSON_INDENT(2) : JSON_COMPACT);

	(void)json_dump_callback(v, put_chunk, out, how);
}

const char *
json_str(const json_t *obj, const char *key, const char *def)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s != NULL ? s : def;
}

int64_t
json_int(const json_t *obj, const char *key, int64_t def)
{
	const json_t *v = json_object_get(obj, key);

	return json_is_integer(v) ? json_integer_value(v) : def;
}

bool
json_flag(const json_t *obj, const char *key, bool def)
{
	const json_t *v = json_object_get(obj, key);

	return json_is_boolean(v) ? json_is_true(v) : def;
}

void
json_setf(json_t *obj, const char *key, const char *fmt, ...)
{
	AUTO_BUF text = { 0 };
	AUTO_BUF safe = { 0 };
	json_t *v;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	v = json_stringn(buf_str(&text), text.n); /* NULL for what is not UTF-8 */
	if (v == NULL) {
		text_escape(&safe, bytes_of_buf(&text));
		v = json_stringn(buf_str(&safe), safe.n);
	}
	(void)json_object_set_new(obj, key, v);
}

json_t *
json_base64(struct bytes octets)
{
	AUTO_BUF text = { 0 };

	base64_encode(&text, octets, 0);
	return json_string(buf_str(&text));
}
