/* SPDX-License-Identifier: Apache-2.0 */
/* pki/der.c - DER (X.690): one strict walk before anything else, a cursor, and a writer */
#include "core/pki/der.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define DER_OID_OCTETS_MAX 64 /* X.660 sets no limit; the longest in use have about 30 */

/* Identifier and length octets of an element. */
struct head {
	uint8_t tag;
	size_t head, n; /* octets of the head itself, and of the contents */
};

/* A length in more than one octet; NULL, or what is wrong with it. */
static const char *
read_long_length(struct head *h, struct bytes b)
{
	size_t octets = b.p[1] & 0x7f, n = 0;

	if (octets == 0)
		return "indefinite length";
	if (octets > sizeof(uint32_t) || octets > b.n - 2)
		return "length beyond the end";
	for (size_t i = 0; i < octets; i++)
		n = n << 8 | b.p[2 + i];
	if (b.p[2] == 0 || n < 0x80)
		return "length not minimal";
	h->head = 2 + octets;
	h->n = n;
	return NULL;
}

/* The head of the element at the start of b, all of which is there: NULL, or what is wrong; then *h says nothing. */
static const char *
read_head(struct head *h, struct bytes b)
{
	const char *why = NULL;

	if (b.n < 2)
		return "cut off";
	h->tag = b.p[0];
	if ((h->tag & 0x1f) == 0x1f)
		return "tag number above 30";
	h->head = 2;
	h->n = b.p[1];
	if (h->n >= 0x80)
		why = read_long_length(h, b);
	if (why == NULL && h->n > b.n - h->head)
		why = "length beyond the end";
	return why;
}

/* --- the walk --- */

static const char *
check_integer(struct bytes c)
{
	if (c.n == 0)
		return "empty INTEGER";
	if (c.n > 1 && ((c.p[0] == 0 && c.p[1] < 0x80) || (c.p[0] == 0xff && c.p[1] >= 0x80)))
		return "INTEGER not minimal";
	return NULL;
}

static const char *
check_oid(struct bytes c)
{
	bool first = true;

	if (c.n == 0 || c.n > DER_OID_OCTETS_MAX)
		return c.n == 0 ? "empty OBJECT IDENTIFIER" : "OBJECT IDENTIFIER too long";
	for (size_t i = 0; i < c.n; i++) {
		if (first && c.p[i] == 0x80)
			return "OBJECT IDENTIFIER arc not minimal";
		first = c.p[i] < 0x80;
	}
	return first ? NULL : "OBJECT IDENTIFIER cut off";
}

static const char *
check_bits(struct bytes c)
{
	if (c.n == 0 || c.p[0] > 7 || (c.n == 1 && c.p[0] != 0))
		return "BIT STRING without a right count of unused bits";
	if (c.n > 1 && (c.p[c.n - 1] & ((1u << c.p[0]) - 1)) != 0)
		return "BIT STRING with unused bits set";
	return NULL;
}

/* What DER says of one primitive universal type. */
static const char *
check_primitive(uint8_t tag, struct bytes c)
{
	switch (tag) {
	case 0:
		return "end-of-contents octets";
	case DER_BOOLEAN:
		return c.n == 1 && (c.p[0] == 0 || c.p[0] == 0xff) ? NULL : "BOOLEAN neither 00 nor FF";
	case DER_INTEGER:
	case DER_ENUMERATED:
		return check_integer(c);
	case DER_BIT_STRING:
		return check_bits(c);
	case DER_NULL:
		return c.n == 0 ? NULL : "NULL with contents";
	case DER_OID:
		return check_oid(c);
	case 0x10:
	case 0x11:
		return "SEQUENCE or SET not constructed";
	default:
		return NULL;
	}
}

static bool
is_constructed(uint8_t tag)
{
	return (tag & 0x20) != 0;
}

static const char *
check_element(uint8_t tag, struct bytes contents)
{
	bool universal = (tag & 0xc0) == 0;

	if (!universal)
		return NULL;
	if (!is_constructed(tag))
		return check_primitive(tag, contents);
	return tag == DER_SEQUENCE || tag == DER_SET ? NULL : "constructed string";
}

/* X.690 11.6: as octet strings, the shorter padded with zero octets. */
static int
compare_elements(struct bytes a, struct bytes b)
{
	int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	if (c != 0)
		return c;
	return a.n < b.n ? -1 : a.n > b.n;
}

/* One open constructed element. */
struct level {
	size_t end;         /* offset behind its contents */
	bool set;
	struct bytes last;  /* a SET's element before this one */
};

static int
bad_at(struct err *e, const char *what, size_t at, const char *why)
{
	return err_set(e, E_FORMAT, "%s: not DER: %s at octet %zu", what, why, at);
}

int
der_check(struct bytes der, const char *what, struct err *e)
{
	UNSET struct level stack[DER_DEPTH_MAX]; /* each is written when it is entered */
	size_t depth = 0, items = 0, at = 0;

	stack[0] = (struct level){ .end = der.n };
	do {
		struct level *l = &stack[depth];
		struct head h = { 0 };
		const char *why = read_head(&h, (struct bytes){ der.p + at, l->end - at });
		struct bytes tlv = { der.p + at, h.head + h.n };

		if (why == NULL)
			why = check_element(h.tag, (struct bytes){ tlv.p + h.head, h.n });
		if (why == NULL && l->set && l->last.n != 0 && compare_elements(l->last, tlv) > 0)
			why = "SET not in order";
		if (why == NULL && ++items > DER_ITEMS_MAX)
			why = "too many elements";
		if (why == NULL && depth == 0 && tlv.n != der.n)
			return bad_at(e, what, tlv.n, "octets after the end");
		if (why == NULL && is_constructed(h.tag) && depth + 1 == DER_DEPTH_MAX)
			why = "nested too deep";
		if (why != NULL)
			return bad_at(e, what, at, why);
		l->last = tlv;
		at += h.head;
		if (is_constructed(h.tag))
			stack[++depth] = (struct level){ .end = at + h.n, .set = h.tag == DER_SET };
		else
			at += h.n;
		while (depth > 0 && at == stack[depth].end)
			depth--;
	} while (depth > 0);
	return 0;
}

/* --- reading --- */

struct der
der_open(struct bytes contents)
{
	return (struct der){ .rest = contents };
}

bool
der_more(const struct der *d)
{
	return !d->bad && d->rest.n != 0;
}

uint8_t
der_peek(const struct der *d)
{
	return der_more(d) ? d->rest.p[0] : 0;
}

static struct bytes
der_fail(struct der *d)
{
	*d = (struct der){ .bad = true };
	return (struct bytes){ 0 };
}

/* The next element: head and contents; false, and the cursor bad, when it is not of the tag wanted. */
static bool
next_element(struct der *d, unsigned tag, struct head *h, struct bytes *contents)
{
	if (d->bad || read_head(h, d->rest) != NULL || (tag != 0 && h->tag != tag)) {
		*contents = der_fail(d);
		return false;
	}
	*contents = (struct bytes){ d->rest.p + h->head, h->n };
	d->rest.p += h->head + h->n;
	d->rest.n -= h->head + h->n;
	return true;
}

struct bytes
der_take_tlv(struct der *d, unsigned tag)
{
	struct bytes c;
	struct head h;

	if (!next_element(d, tag, &h, &c))
		return c;
	return (struct bytes){ c.p - h.head, h.head + h.n };
}

struct bytes
der_any(struct der *d, uint8_t *tag)
{
	struct bytes c;
	struct head h;

	*tag = next_element(d, 0, &h, &c) ? h.tag : 0;
	return c;
}

struct bytes
der_take(struct der *d, unsigned tag)
{
	struct bytes c;
	struct head h;

	(void)next_element(d, tag, &h, &c);
	return c;
}

struct der
der_enter(struct der *d, unsigned tag)
{
	struct bytes contents = der_take(d, tag);

	return (struct der){ .rest = contents, .bad = d->bad };
}

bool
der_try(struct der *d, unsigned tag, struct bytes *contents)
{
	*contents = (struct bytes){ 0 };
	if (der_peek(d) != tag)
		return false;
	*contents = der_take(d, tag);
	return !d->bad;
}

bool
der_boolean(struct der *d)
{
	struct bytes c = der_take(d, DER_BOOLEAN);

	if (!d->bad && check_primitive(DER_BOOLEAN, c) != NULL)
		(void)der_fail(d);
	return !d->bad && c.p[0] != 0;
}

uint64_t
der_small_integer(struct der *d)
{
	struct bytes c = der_take(d, DER_INTEGER);
	uint64_t v = 0;

	if (!d->bad && (check_integer(c) != NULL || c.n > sizeof(v) || c.p[0] >= 0x80))
		(void)der_fail(d);
	if (d->bad)
		return 0;
	for (size_t i = 0; i < c.n; i++)
		v = v << 8 | c.p[i];
	return v;
}

struct bytes
der_bits(struct der *d, unsigned *unused)
{
	struct bytes c = der_take(d, DER_BIT_STRING);

	*unused = 0;
	if (!d->bad && check_bits(c) != NULL)
		(void)der_fail(d);
	if (d->bad)
		return (struct bytes){ 0 };
	*unused = c.p[0];
	return bytes_slice(c, 1, c.n);
}

/* Two decimal digits, or 100 which no field of a time allows. */
static int
two_digits(const uint8_t *p)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return 100;
	return (p[0] - '0') * 10 + p[1] - '0';
}

/* "MMDDHHMMSSZ" of a year; false when there is no such moment. */
static bool
parse_moment(int64_t *out, int year, const uint8_t *p)
{
	struct clock_parts want = { year, two_digits(p), two_digits(p + 2), two_digits(p + 4),
		two_digits(p + 6), two_digits(p + 8) };
	struct clock_parts is;

	if (want.month < 1 || want.month > 12 || want.day < 1 || want.day > 31 || want.hour > 23 ||
	    want.minute > 59 || want.second > 59 || p[10] != 'Z')
		return false;
	*out = clock_join(&want);
	is = clock_split(*out);
	return is.day == want.day;
}

int64_t
der_time(struct der *d)
{
	uint8_t tag;
	struct bytes c = der_any(d, &tag);
	int century = 0, year = 100;
	int64_t t = 0;

	if (tag == DER_UTC_TIME && c.n == 13) {
		year = two_digits(c.p);
		century = year >= 50 ? 19 : 20;
	} else if (tag == DER_GENERALIZED_TIME && c.n == 15) {
		century = two_digits(c.p);
		year = two_digits(c.p + 2);
	}
	if (century == 100 || year == 100 ||
	    !parse_moment(&t, century * 100 + year, c.p + c.n - 11)) {
		(void)der_fail(d);
		return 0;
	}
	return bytes_equal_str(c, "99991231235959Z") ? INT64_MAX : t;
}

int
der_end(const struct der *d, const char *what, struct err *e)
{
	if (d->bad)
		return err_set(e, E_FORMAT, "%s: not of the expected structure", what);
	if (d->rest.n != 0)
		return err_set(e, E_FORMAT, "%s: %zu octets more than expected", what, d->rest.n);
	return 0;
}

static bool
is_printable_octet(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c != 0 && strchr(" '()+,-./:=?", c) != NULL);
}

bool
der_valid_text(uint8_t tag, struct bytes c)
{
	if (tag == DER_UTF8)
		return text_valid_utf8(c);
	if (tag != DER_PRINTABLE && tag != DER_IA5 && tag != DER_T61)
		return false;
	for (size_t i = 0; i < c.n; i++)
		if (tag == DER_PRINTABLE ? !is_printable_octet(c.p[i]) :
		    c.p[i] < 0x20 || c.p[i] > 0x7e)
			return false;
	return true;
}

/* --- writing --- */

size_t
der_begin(struct buf *b, unsigned tag)
{
	size_t mark = b->n;

	buf_put_u8(b, (uint8_t)tag);
	buf_put_u8(b, 0);
	return mark;
}

/* The length octets that follow the first; how many. */
static size_t
long_length(uint8_t out[4], size_t n)
{
	size_t octets = n < 0x80 ? 0 : n < 0x100 ? 1 : n < 0x10000 ? 2 : n < 0x1000000 ? 3 : 4;

	for (size_t i = 0; i < octets; i++)
		out[i] = (uint8_t)(n >> 8 * (octets - 1 - i));
	return octets;
}

void
der_finish(struct buf *b, size_t mark)
{
	uint8_t more[4] = { 0 };
	size_t n, octets;

	if (b->over)
		return;
	n = b->n - mark - 2;
	octets = long_length(more, n);
	buf_put(b, more, octets);
	if (b->over)
		return;
	memmove(b->p + mark + 2 + octets, b->p + mark + 2, n);
	memcpy(b->p + mark + 2, more, octets);
	b->p[mark + 1] = (uint8_t)(octets == 0 ? n : 0x80 | octets);
}

void
der_put(struct buf *b, unsigned tag, struct bytes contents)
{
	uint8_t more[4] = { 0 };
	size_t octets = long_length(more, contents.n);

	buf_put_u8(b, (uint8_t)tag);
	buf_put_u8(b, (uint8_t)(octets == 0 ? contents.n : 0x80 | octets));
	buf_put(b, more, octets);
	buf_put_bytes(b, contents);
}

void
der_put_raw(struct buf *b, struct bytes tlv)
{
	buf_put_bytes(b, tlv);
}

void
der_put_oid(struct buf *b, struct bytes oid)
{
	der_put(b, DER_OID, oid);
}

void
der_put_unsigned(struct buf *b, struct bytes big_endian)
{
	size_t mark = der_begin(b, DER_INTEGER);

	while (big_endian.n != 0 && big_endian.p[0] == 0)
		big_endian = bytes_slice(big_endian, 1, big_endian.n);
	if (big_endian.n == 0 || big_endian.p[0] >= 0x80)
		buf_put_u8(b, 0);
	buf_put_bytes(b, big_endian);
	der_finish(b, mark);
}

void
der_put_int(struct buf *b, int64_t v)
{
	uint8_t octets[8];
	size_t i = 0;

	for (size_t k = 0; k < sizeof(octets); k++)
		octets[k] = (uint8_t)((uint64_t)v >> 8 * (7 - k));
	while (i < 7 && check_integer((struct bytes){ octets + i, 8 - i }) != NULL)
		i++;
	der_put(b, DER_INTEGER, (struct bytes){ octets + i, 8 - i });
}

void
der_put_bool(struct buf *b, bool v)
{
	der_put(b, DER_BOOLEAN, (struct bytes){ (const uint8_t *)(v ? "\xff" : "\0"), 1 });
}

void
der_put_null(struct buf *b)
{
	der_put(b, DER_NULL, (struct bytes){ 0 });
}

void
der_put_bits(struct buf *b, struct bytes octets, unsigned unused)
{
	size_t mark = der_begin(b, DER_BIT_STRING);

	buf_put_u8(b, (uint8_t)unused);
	buf_put_bytes(b, octets);
	der_finish(b, mark);
}

void
der_put_named_bits(struct buf *b, uint32_t bits, unsigned n)
{
	uint8_t octets[4] = { 0 };
	unsigned used = 0;

	for (unsigned i = 0; i < n && i < 32; i++) {
		if ((bits >> i & 1) == 0)
			continue;
		octets[i / 8] |= (uint8_t)(0x80u >> i % 8);
		used = i + 1;
	}
	der_put_bits(b, (struct bytes){ octets, (used + 7) / 8 }, (8 - used % 8) % 8);
}

void
der_put_time(struct buf *b, int64_t t)
{
	struct clock_parts p = clock_split(t);
	char text[] = "99991231235959Z";
	bool utc = t != INT64_MAX && p.year >= 1950 && p.year < 2050;
	const int pairs[] = { p.year / 100 % 100, p.year % 100, p.month, p.day, p.hour, p.minute, p.second };

	for (size_t i = 0; t != INT64_MAX && i < N_OF(pairs); i++) {
		text[2 * i] = (char)('0' + pairs[i] / 10);
		text[2 * i + 1] = (char)('0' + pairs[i] % 10);
	}
	/* RFC 5280 4.1.2.5: UTCTime through 2049; its year is the last two digits. */
	der_put(b, utc ? DER_UTC_TIME : DER_GENERALIZED_TIME, bytes_of(text + (utc ? 2 : 0)));
}

static int
compare_for_sort(const void *a, const void *b)
{
	return compare_elements(*(const struct bytes *)a, *(const struct bytes *)b);
}

void
der_sort_set(struct buf *b, size_t mark)
{
	struct der d;
	struct bytes *elements;
	uint8_t *copy;
	size_t n = 0, len;

	if (b->over)
		return;
	len = b->n - mark - 2;
	copy = mem_dup(b->p + mark + 2, len);
	elements = mem_zalloc_n(len / 2 + 1, sizeof(*elements));
	for (d = der_open((struct bytes){ copy, len }); der_more(&d); n++)
		elements[n] = der_take_tlv(&d, 0);
	qsort(elements, n, sizeof(*elements), compare_for_sort);
	b->n = mark + 2;
	for (size_t i = 0; i < n; i++)
		buf_put_bytes(b, elements[i]);
	mem_free(elements);
	mem_free(copy);
}
