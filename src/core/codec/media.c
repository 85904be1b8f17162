/* SPDX-License-Identifier: Apache-2.0 */
/* codec/media.c - media types in header fields */
#include "core/codec/media.h"

#include <string.h>
#include <strings.h>

#define TOKEN /* RFC 9110 5.6.2 */ \
	"!#$%&'*+-.^_`|~0123456789" \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* Step over a token; its octets. */
static struct bytes
token(const char **p)
{
	struct bytes t = { (const uint8_t *)*p, strspn(*p, TOKEN) };

	*p += t.n;
	return t;
}

static bool
step(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

static void
skip_blanks(const char **p)
{
	*p += strspn(*p, " \t");
}

static bool
same_word(struct bytes t, const char *word)
{
	return t.n == strlen(word) && strncasecmp((const char *)t.p, word, t.n) == 0;
}

/* RFC 9110 5.6.4: the contents of a quoted-string without the backslashes; its first quote was read. */
static bool
quoted(const char **p, struct buf *out)
{
	while (**p != '"') {
		if (**p == '\\')
			(*p)++;
		if ((uint8_t)**p < 0x20 ? **p != '\t' : **p == 0x7f)
			return false;
		buf_put_u8(out, (uint8_t)*(*p)++);
	}
	return step(p, '"');
}

/* One name=value; false when it is malformed. */
static bool
parameter(const char **p, struct bytes *name, struct buf *value)
{
	struct bytes t;

	*name = token(p);
	if (name->n == 0 || !step(p, '='))
		return false;
	if (step(p, '"'))
		return quoted(p, value);
	t = token(p);
	buf_put_bytes(value, t);
	return t.n != 0;
}

/* The next parameter; *name is empty at the end of the field.  False when it is malformed. */
static bool
next_parameter(const char **p, struct bytes *name, struct buf *value)
{
	*name = (struct bytes){ NULL, 0 };
	buf_reset(value);
	for (;;) {
		skip_blanks(p);
		if (**p == 0)
			return true;
		if (!step(p, ';'))
			return false;
		skip_blanks(p);
		if (**p != ';' && **p != 0) /* RFC 9110 5.6.6: an empty parameter is none */
			return parameter(p, name, value);
	}
}

/* The two words of type/subtype. */
static bool
type_of(const char **p, struct bytes *all)
{
	struct bytes type, subtype;

	skip_blanks(p);
	type = token(p);
	if (type.n == 0 || !step(p, '/'))
		return false;
	subtype = token(p);
	*all = (struct bytes){ type.p, type.n + 1 + subtype.n };
	return subtype.n != 0;
}

bool
media_is(const char *field, const char *type)
{
	AUTO_BUF value = { 0 };
	struct bytes found, name;

	if (field == NULL || !type_of(&field, &found) || !same_word(found, type))
		return false;
	do {
		if (!next_parameter(&field, &name, &value))
			return false;
	} while (name.n != 0);
	return true;
}

bool
media_param(const char *field, const char *name, char *out, size_t size)
{
	AUTO_BUF value = { 0 }, found = { 0 };
	struct bytes got;
	int n = 0;

	if (field == NULL || !type_of(&field, &got))
		return false;
	for (;;) {
		if (!next_parameter(&field, &got, &value))
			return false;
		if (got.n == 0)
			break;
		if (same_word(got, name) && n++ == 0)
			buf_put_bytes(&found, bytes_of_buf(&value));
	}
	/* A parameter that is there twice says two things: it says nothing. */
	if (n != 1 || found.n >= size)
		return false;
	memcpy(out, buf_str(&found), found.n + 1);
	return true;
}
