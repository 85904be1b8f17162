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

/* RFC 9110 5.6.4: the rest of a quoted-string; its first quote was read. */
static bool
quoted(const char **p)
{
	while (**p != '"') {
		if (**p == '\\')
			(*p)++;
		if ((uint8_t)**p < 0x20 ? **p != '\t' : **p == 0x7f)
			return false;
		(*p)++;
	}
	return step(p, '"');
}

/* One name=value. */
static bool
parameter(const char **p)
{
	if (token(p).n == 0 || !step(p, '='))
		return false;
	return step(p, '"') ? quoted(p) : token(p).n != 0;
}

/* All that may follow a type: well-formed parameters, and empty ones (RFC 9110 5.6.6). */
static bool
parameters(const char *p)
{
	for (;;) {
		skip_blanks(&p);
		if (*p == 0)
			return true;
		if (!step(&p, ';'))
			return false;
		skip_blanks(&p);
		if (*p != ';' && *p != 0 && !parameter(&p))
			return false;
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
	struct bytes found;

	return field != NULL && type_of(&field, &found) && same_word(found, type) && parameters(field);
}
