/* SPDX-License-Identifier: Apache-2.0 */
/* pki/sans.c - subject alternative names: which kinds we take, and what each may hold (RFC 5280 4.2.1.6) */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/text.h"
#include "core/pki/der.h"
#include "core/pki/name.h"

#define DNS_MAX   253
#define LABEL_MAX 63
#define LOCAL_MAX 64

static const struct kind {
	uint8_t tag;
	const char *prefix; /* in texts */
} kinds[SAN_KIND_COUNT] = {
	[SAN_DNS] = { DER_CONTEXT(2), "DNS" },
	[SAN_IP] = { DER_CONTEXT(7), "IP" },
	[SAN_URI] = { DER_CONTEXT(6), "URI" },
	[SAN_EMAIL] = { DER_CONTEXT(1), "email" },
	[SAN_OTHER] = { DER_CONTEXT_CONS(0), "hardwareModuleName" },
};

/* --- what each kind may hold: NULL, or what is wrong --- */

static bool
is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool
valid_label(struct bytes l)
{
	if (l.n == 0 || l.n > LABEL_MAX || l.p[0] == '-' || l.p[l.n - 1] == '-')
		return false;
	for (size_t i = 0; i < l.n; i++)
		if (!is_alnum(l.p[i]) && l.p[i] != '-')
			return false;
	return true;
}

static bool
valid_host(struct bytes v)
{
	size_t start = 0;

	if (v.n > DNS_MAX)
		return false;
	for (size_t i = 0; i <= v.n; i++) {
		if (i < v.n && v.p[i] != '.')
			continue;
		if (!valid_label(bytes_slice(v, start, i - start)))
			return false;
		start = i + 1;
	}
	return true;
}

static bool
looks_like_address(struct bytes v)
{
	char text[INET_ADDRSTRLEN] = { 0 };
	struct in_addr ignored;

	if (v.n >= sizeof(text))
		return false;
	memcpy(text, v.p, v.n);
	return inet_pton(AF_INET, text, &ignored) == 1;
}

static const char *
check_dns(struct bytes v)
{
	struct bytes host = v;

	if (v.n > 2 && v.p[0] == '*' && v.p[1] == '.')
		host = bytes_slice(v, 2, v.n);
	if (!valid_host(host))
		return "not a host name";
	return looks_like_address(v) ? "an address, not a host name" : NULL;
}

static const char *
check_ip(struct bytes v)
{
	return v.n == 4 || v.n == 16 ? NULL : "neither 4 nor 16 octets";
}

static bool
is_hex(uint8_t c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* RFC 3986: the characters of a URI, percent escapes whole. */
static bool
valid_uri_text(struct bytes v)
{
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '%') {
			if (v.n - i < 3 || !is_hex(v.p[i + 1]) || !is_hex(v.p[i + 2]))
				return false;
		} else if (!is_alnum(v.p[i]) &&
		    (v.p[i] == 0 || strchr("-._~:/?#[]@!$&'()*+,;=", v.p[i]) == NULL)) {
			return false;
		}
	}
	return true;
}

static const char *
check_uri(struct bytes v)
{
	size_t n = 0;

	while (n < v.n && (is_alnum(v.p[n]) || v.p[n] == '+' || v.p[n] == '-' || v.p[n] == '.'))
		n++;
	if (n == 0 || n + 1 >= v.n || v.p[n] != ':' || (v.p[0] >= '0' && v.p[0] <= '9') ||
	    !is_alnum(v.p[0]))
		return "not an absolute URI";
	if (!valid_uri_text(v))
		return "not of a URI's characters";
	v = bytes_slice(v, n + 1, v.n);
	/* RFC 5280 4.2.1.6: with an authority, it must name a host. */
	if (v.n >= 2 && v.p[0] == '/' && v.p[1] == '/' && (v.n == 2 || v.p[2] == '/'))
		return "without a host";
	return NULL;
}

static const char *
check_email(struct bytes v)
{
	static const char why[] = "not local-part@host";
	const uint8_t *at = v.n != 0 ? memchr(v.p, '@', v.n) : NULL;
	size_t n = at != NULL ? (size_t)(at - v.p) : 0;

	if (n == 0 || n > LOCAL_MAX || !valid_host(bytes_slice(v, n + 1, v.n)))
		return why;
	for (size_t i = 0; i < n; i++) {
		if (v.p[i] == '.' && (i == 0 || i + 1 == n || v.p[i - 1] == '.'))
			return why;
		if (!is_alnum(v.p[i]) &&
		    (v.p[i] == 0 || strchr(".!#$%&'*+-/=?^_`{|}~", v.p[i]) == NULL))
			return why;
	}
	return NULL;
}

/* The two fields of a hardwareModuleName (RFC 4108 5) inside the otherName's contents. */
static bool
read_hardware_module(struct bytes other, struct bytes *type, struct bytes *serial)
{
	struct der d = der_open(other);
	enum oid oid = oid_find(der_take(&d, DER_OID));
	struct der value = der_enter(&d, DER_CONTEXT_CONS(0));
	struct der seq = der_enter(&value, DER_SEQUENCE);

	*type = der_take(&seq, DER_OID);
	*serial = der_take(&seq, DER_OCTET_STRING);
	return oid == OID_HW_MODULE_NAME && serial->n != 0 && der_end(&seq, "", NULL) == 0 &&
	    der_end(&value, "", NULL) == 0 && der_end(&d, "", NULL) == 0;
}

static const char *
check_other(struct bytes v)
{
	struct bytes type, serial;

	return read_hardware_module(v, &type, &serial) ? NULL : "not a hardwareModuleName";
}

/* The one gate that every alternative name passes. */
static int
add(struct sans *s, enum san_kind kind, struct bytes v, struct err *e)
{
	static const char *(*const checks[SAN_KIND_COUNT])(struct bytes) = {
		[SAN_DNS] = check_dns, [SAN_IP] = check_ip, [SAN_URI] = check_uri,
		[SAN_EMAIL] = check_email, [SAN_OTHER] = check_other,
	};
	const char *what = kinds[kind].prefix, *why;
	struct san *new = &s->san[s->n];

	if (s->n == SAN_MAX)
		return err_set(e, E_FORMAT, "alternative names: more than %d", SAN_MAX);
	if (v.n >= NAME_VALUE_MAX)
		return err_set(e, E_FORMAT, "alternative name: %s longer than %d octets", what,
		    NAME_VALUE_MAX - 1);
	why = checks[kind](v);
	if (why != NULL)
		return err_set(e, E_FORMAT, "alternative name: %s: %s", what, why);
	*new = (struct san){ .kind = kind, .n = v.n };
	if (v.n != 0)
		memcpy(new->value, v.p, v.n);
	for (size_t i = 0; i < s->n; i++)
		if (san_equal(&s->san[i], new))
			return err_set(e, E_FORMAT, "alternative name: the same %s twice", what);
	s->n++;
	return 0;
}

static int
parse_one(struct sans *s, struct der *names, struct err *e)
{
	uint8_t tag;
	struct bytes v = der_any(names, &tag);

	for (int k = 0; k < SAN_KIND_COUNT; k++)
		if (kinds[k].tag == tag)
			return add(s, (enum san_kind)k, v, e);
	return err_set(e, E_FORMAT, "alternative name: of a kind that we do not take ([%d])",
	    tag & 0x1f);
}

int
sans_parse(struct sans *out, struct bytes value, struct err *e)
{
	struct der d = der_open(value), names;
	UNSET struct sans s;
	int r = der_check(value, "alternative names", e);

	s.n = 0;
	if (r != 0)
		return r;
	names = der_enter(&d, DER_SEQUENCE);
	if (!names.bad && !der_more(&names))
		return err_set(e, E_FORMAT, "alternative names: none in the list");
	while (r == 0 && der_more(&names))
		r = parse_one(&s, &names, e);
	if (r == 0)
		r = der_end(&names, "alternative names", e);
	if (r == 0)
		sans_copy(out, &s);
	return r;
}

void
sans_copy(struct sans *to, const struct sans *from)
{
	to->n = from->n;
	memcpy(to->san, from->san, from->n * sizeof(from->san[0]));
}

void
sans_encode(struct buf *out, const struct sans *s)
{
	size_t seq = der_begin(out, DER_SEQUENCE);

	for (size_t i = 0; i < s->n; i++)
		der_put(out, kinds[s->san[i].kind].tag, (struct bytes){ s->san[i].value, s->san[i].n });
	der_finish(out, seq);
}

/* --- text --- */

static void
put_hardware_module(struct buf *b, struct bytes v)
{
	struct bytes type, serial;
	char dotted[80], hex[2 * NAME_VALUE_MAX + 1];

	if (!read_hardware_module(v, &type, &serial))
		return;
	text_hex(hex, serial);
	buf_printf(b, "%s/%s", oid_dotted(type, dotted), hex);
}

static void
put_text(struct buf *b, struct bytes v)
{
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == ',') /* it separates the names */
			buf_put_u8(b, '\\');
		text_escape(b, bytes_slice(v, i, 1));
	}
}

static void
put_value(struct buf *b, const struct san *s)
{
	struct bytes v = { s->value, s->n };
	char address[INET6_ADDRSTRLEN];

	if (s->kind == SAN_IP)
		buf_put_str(b, inet_ntop(s->n == 4 ? AF_INET : AF_INET6, s->value, address,
		    sizeof(address)));
	else if (s->kind == SAN_OTHER)
		put_hardware_module(b, v);
	else
		put_text(b, v);
}

const char *
sans_text(const struct sans *s, char out[NAME_TEXT_MAX])
{
	AUTO_BUF b = BUF_MAX(NAME_TEXT_MAX - 4);

	for (size_t i = 0; i < s->n; i++) {
		buf_printf(&b, "%s%s:", i == 0 ? "" : ", ", kinds[s->san[i].kind].prefix);
		put_value(&b, &s->san[i]);
	}
	memcpy(out, buf_str(&b), b.n);
	memcpy(out + b.n, b.over ? "..." : "", b.over ? 4 : 1);
	return out;
}

static int
add_address(struct sans *s, const char *text, struct err *e)
{
	uint8_t octets[16];

	if (inet_pton(AF_INET, text, octets) == 1)
		return add(s, SAN_IP, (struct bytes){ octets, 4 }, e);
	if (inet_pton(AF_INET6, text, octets) == 1)
		return add(s, SAN_IP, (struct bytes){ octets, 16 }, e);
	return err_set(e, E_FORMAT, "alternative name: '%.60s' is not an address", text);
}

int
sans_add_text(struct sans *s, const char *text, struct err *e)
{
	for (int k = 0; k < SAN_OTHER; k++) {
		size_t n = strlen(kinds[k].prefix);

		if (strncasecmp(text, kinds[k].prefix, n) != 0 || text[n] != ':')
			continue;
		if (k == SAN_IP)
			return add_address(s, text + n + 1, e);
		return add(s, (enum san_kind)k, bytes_of(text + n + 1), e);
	}
	return err_set(e, E_FORMAT,
	    "alternative name '%.60s': expected dns:, ip:, uri: or email: in front", text);
}

/* --- comparison --- */

/*
 * RFC 5280 7.4, 7.5: the octets of a URI up to the end of its host, unless a user stands before that.  (Its further rules, such as
 * of ports that are usual, are left to who writes URIs.)
 */
static size_t
uri_caseless(const struct san *s)
{
	const char *text = (const char *)s->value;
	size_t scheme = strcspn(text, ":"), host = strncmp(text + scheme, "://", 3) == 0 ? strcspn(text + scheme + 3, "/?#") + 3 : 0;

	return memchr(text + scheme, '@', host) == NULL ? scheme + host : scheme;
}

/* The part of a value whose case does not count. */
static struct bytes
caseless(const struct san *s)
{
	const uint8_t *at = memchr(s->value, '@', s->n);

	if (s->kind == SAN_DNS)
		return (struct bytes){ s->value, s->n };
	if (s->kind == SAN_URI)
		return (struct bytes){ s->value, uri_caseless(s) };
	return s->kind == SAN_EMAIL && at != NULL ? (struct bytes){ at, s->n - (size_t)(at - s->value) } : (struct bytes){ s->value, 0 };
}

bool
san_equal(const struct san *a, const struct san *b)
{
	struct bytes any = caseless(a);
	size_t before = (size_t)(any.p - a->value), after = before + any.n;

	return a->kind == b->kind && a->n == b->n && memcmp(a->value, b->value, before) == 0 &&
	    strncasecmp((const char *)any.p, (const char *)b->value + before, any.n) == 0 &&
	    memcmp(a->value + after, b->value + after, a->n - after) == 0;
}

static bool
holds(const struct sans *s, const struct san *wanted)
{
	for (size_t i = 0; i < s->n; i++)
		if (san_equal(&s->san[i], wanted))
			return true;
	return false;
}

bool
sans_equal(const struct sans *a, const struct sans *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!holds(b, &a->san[i]) || !holds(a, &b->san[i]))
			return false;
	return true;
}
