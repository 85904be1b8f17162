/* SPDX-License-Identifier: Apache-2.0 */
/* pki/name.c - distinguished names: parsed strictly, written one way, compared as RFC 5280 7.1 says */
#include "core/pki/name.h"

#include <string.h>

#include "core/base/text.h"
#include "core/pki/der.h"

/*
 * What we take in a subject: upper bounds in characters (RFC 5280 appendix A, X.520;
 * where they set none, what fits), the string type that we write, and
 * whether a name may hold it twice.
 */
static const struct rule {
	enum oid type;
	size_t max;
	uint8_t tag;
	bool many;
} rules[] = {
	{ OID_CN, 64, DER_UTF8, false },
	{ OID_SURNAME, 64, DER_UTF8, false },
	{ OID_SERIAL_NUMBER, 64, DER_PRINTABLE, false },
	{ OID_C, 2, DER_PRINTABLE, false },
	{ OID_L, 128, DER_UTF8, false },
	{ OID_ST, 128, DER_UTF8, false },
	{ OID_STREET, 128, DER_UTF8, false },
	{ OID_O, 64, DER_UTF8, false },
	{ OID_OU, 64, DER_UTF8, true },
	{ OID_TITLE, 64, DER_UTF8, false },
	{ OID_GIVEN_NAME, 64, DER_UTF8, false },
	{ OID_DN_QUALIFIER, 64, DER_PRINTABLE, false },
	{ OID_ORGANIZATION_IDENTIFIER, 128, DER_UTF8, false },
	{ OID_UID, NAME_VALUE_MAX - 1, DER_UTF8, false },
	{ OID_DC, 63, DER_IA5, true },
	{ OID_EMAIL, NAME_VALUE_MAX - 1, DER_IA5, false },
};

static const struct rule *
find_rule(enum oid type)
{
	for (size_t i = 0; i < N_OF(rules); i++)
		if (rules[i].type == type)
			return &rules[i];
	return NULL;
}

static size_t
count_characters(struct bytes utf8)
{
	size_t n = 0;

	for (size_t i = 0; i < utf8.n; i++)
		n += (utf8.p[i] & 0xc0) != 0x80;
	return n;
}

static bool
is_blank(struct bytes v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] != ' ')
			return false;
	return true;
}

/* The one gate that every value passes, from wherever it comes; `tag` is the string type it came in. */
static int
add(struct name *n, enum oid type, uint8_t tag, struct bytes v, struct err *e)
{
	const struct rule *r = find_rule(type);
	const char *what = oid_name(type);

	if (r == NULL)
		return err_set(e, E_FORMAT, "name: attribute %s is not one that a name may hold", what);
	if (n->n == NAME_AVA_MAX)
		return err_set(e, E_FORMAT, "name: more than %d attributes", NAME_AVA_MAX);
	if (!r->many && name_get(n, type) != NULL)
		return err_set(e, E_FORMAT, "name: %s twice", what);
	if (tag != DER_UTF8 && tag != DER_PRINTABLE && (tag != DER_IA5 || r->tag != DER_IA5))
		return err_set(e, E_FORMAT,
		    "name: %s in string type 0x%02x: UTF8String expected", what, tag);
	if (is_blank(v))
		return err_set(e, E_FORMAT, "name: %s is empty", what);
	if (v.n >= NAME_VALUE_MAX || count_characters(v) > r->max)
		return err_set(e, E_FORMAT, "name: %s longer than %zu characters", what, r->max);
	if (!der_valid_text(tag, v) || !der_valid_text(r->tag, v))
		return err_set(e, E_FORMAT, "name: %s has a character that it must not have", what);
	if (type == OID_C && v.n != 2)
		return err_set(e, E_FORMAT, "name: C must be two letters");
	n->ava[n->n].type = type;
	memcpy(n->ava[n->n].value, v.p, v.n);
	n->ava[n->n].value[v.n] = 0;
	n->n++;
	return 0;
}

static int
parse_rdn(struct name *out, struct der *names, struct err *e)
{
	struct der rdn = der_enter(names, DER_SET);
	struct der ava = der_enter(&rdn, DER_SEQUENCE);
	struct bytes oid = der_take(&ava, DER_OID);
	uint8_t tag;
	struct bytes value = der_any(&ava, &tag);
	enum oid type = oid_find(oid);
	char dotted[80];
	int r = der_end(&ava, "name", e);

	if (r != 0)
		return r;
	if (der_more(&rdn))
		return err_set(e, E_FORMAT, "name: multi-valued RDN");
	if (type == OID_UNKNOWN)
		return err_set(e, E_FORMAT, "name: unknown attribute %s", oid_dotted(oid, dotted));
	return add(out, type, tag, value, e);
}

int
name_parse(struct name *out, struct bytes tlv, struct err *e)
{
	struct der d = der_open(tlv);
	struct der names = der_enter(&d, DER_SEQUENCE);
	UNSET struct name n;
	int r = der_end(&d, "name", e);

	n.n = 0;
	while (r == 0 && der_more(&names))
		r = parse_rdn(&n, &names, e);
	if (r == 0)
		r = der_end(&names, "name", e);
	if (r == 0)
		name_copy(out, &n);
	return r;
}

void
name_encode(struct buf *out, const struct name *n)
{
	size_t seq = der_begin(out, DER_SEQUENCE);

	for (size_t i = 0; i < n->n; i++) {
		const struct ava *a = &n->ava[i];
		size_t set = der_begin(out, DER_SET), ava = der_begin(out, DER_SEQUENCE);

		der_put_oid(out, oid_contents(a->type));
		der_put(out, find_rule(a->type)->tag, bytes_of(a->value));
		der_finish(out, ava);
		der_finish(out, set);
	}
	der_finish(out, seq);
}

/* RFC 4514 2.4: these, and a blank or # at the start, and a blank at the end. */
static bool
needs_escape(const char *value, size_t i)
{
	if (strchr(",+=\\\"<>;", value[i]) != NULL)
		return true;
	if (value[i] == ' ')
		return i == 0 || value[i + 1] == 0;
	return value[i] == '#' && i == 0;
}

const char *
name_text(const struct name *n, char out[NAME_TEXT_MAX])
{
	AUTO_BUF b = BUF_MAX(NAME_TEXT_MAX - 4);

	for (size_t i = 0; i < n->n; i++) {
		const char *v = n->ava[i].value;

		buf_put_str(&b, i == 0 ? "" : ",");
		buf_put_str(&b, oid_name(n->ava[i].type));
		buf_put_u8(&b, '=');
		for (size_t k = 0; v[k] != 0; k++) {
			if (needs_escape(v, k))
				buf_put_u8(&b, '\\');
			buf_put_u8(&b, (uint8_t)v[k]);
		}
	}
	while (b.over && b.n != 0 && (b.p[b.n - 1] & 0x80) != 0)
		b.n--; /* not into the middle of a character */
	memcpy(out, buf_str(&b), b.n);
	memcpy(out + b.n, b.over ? "..." : "", b.over ? 4 : 1);
	return out;
}

/* One character, backslash forms resolved: itself, or two hex digits.  False at a wrong one. */
static bool
take_escaped(const char **s, uint8_t *c)
{
	char hex[3] = { 0 };

	*c = (uint8_t)*(*s)++;
	if (*c != '\\')
		return true;
	if (**s != 0 && strchr(" ,+=\\\"<>;#/", **s) != NULL) {
		*c = (uint8_t)*(*s)++;
		return true;
	}
	memcpy(hex, *s, strnlen(*s, 2));
	if (!text_unhex(c, 1, hex))
		return false;
	*s += 2;
	return true;
}

/* "type=value" up to the separator, which is left at *s. */
static int
take_ava(struct name *n, const char **s, char separator, struct err *e)
{
	char type[32] = { 0 };
	uint8_t value[NAME_VALUE_MAX];
	size_t len = 0, type_n;

	*s += strspn(*s, " ");
	type_n = strcspn(*s, "= ");
	memcpy(type, *s, type_n < sizeof(type) ? type_n : sizeof(type) - 1);
	*s += type_n;
	*s += strspn(*s, " ");
	if (*(*s)++ != '=')
		return err_set(e, E_FORMAT, "name: '%s' without '=value'", type);
	*s += strspn(*s, " ");
	while (**s != 0 && **s != separator) {
		if (**s == '+' && separator == ',')
			return err_set(e, E_FORMAT,
			    "name: multi-valued RDN ('+' in a value is written '\\+')");
		if (len == sizeof(value))
			return err_set(e, E_FORMAT, "name: %s is too long", type);
		if (!take_escaped(s, &value[len++]))
			return err_set(e, E_FORMAT, "name: %s has a wrong '\\' escape", type);
	}
	if (oid_by_name(type) == OID_UNKNOWN)
		return err_set(e, E_FORMAT, "name: unknown attribute '%s'", type);
	return add(n, oid_by_name(type), DER_UTF8, (struct bytes){ value, len }, e);
}

int
name_from_text(struct name *out, const char *text, struct err *e)
{
	char separator = text[0] == '/' ? '/' : ',';
	struct name n = { 0 };
	int r;

	if (separator == '/')
		text++;
	for (;;) {
		if ((r = take_ava(&n, &text, separator, e)) != 0)
			return r;
		if (*text == 0)
			break;
		text++;
	}
	*out = n;
	return 0;
}

void
name_copy(struct name *to, const struct name *from)
{
	to->n = from->n;
	memcpy(to->ava, from->ava, from->n * sizeof(from->ava[0]));
}

const char *
name_get(const struct name *n, enum oid type)
{
	for (size_t i = 0; i < n->n; i++)
		if (n->ava[i].type == type)
			return n->ava[i].value;
	return NULL;
}

int
name_add(struct name *n, enum oid type, const char *value, struct err *e)
{
	return add(n, type, DER_UTF8, bytes_of(value), e);
}

/* The next character as compared: blanks at the ends gone, runs of them one, ASCII folded. */
static char
next_folded(const char **s, bool first)
{
	const char *p = *s;
	size_t blanks = strspn(p, " ");

	if (blanks != 0 && !first && p[blanks] != 0) {
		*s = p + blanks;
		return ' ';
	}
	p += blanks;
	*s = *p == 0 ? p : p + 1;
	return *p >= 'A' && *p <= 'Z' ? (char)(*p + 'a' - 'A') : *p;
}

static bool
value_equal(const char *a, const char *b)
{
	bool first = true;

	for (;; first = false) {
		char x = next_folded(&a, first), y = next_folded(&b, first);

		if (x != y)
			return false;
		if (x == 0)
			return true;
	}
}

bool
name_equal(const struct name *a, const struct name *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->ava[i].type != b->ava[i].type || !value_equal(a->ava[i].value, b->ava[i].value))
			return false;
	return true;
}
