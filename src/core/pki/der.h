/* SPDX-License-Identifier: Apache-2.0 */
/* pki/der.h - DER (X.690) read strictly and written exactly; no tree, no copies */
#ifndef CORE_PKI_DER_H
#define CORE_PKI_DER_H

#include "core/base/bytes.h"

/* Identifier octets that we meet (class and constructed bit included). */
enum der_tag {
	DER_BOOLEAN = 0x01, DER_INTEGER = 0x02, DER_BIT_STRING = 0x03, DER_OCTET_STRING = 0x04,
	DER_NULL = 0x05, DER_OID = 0x06, DER_ENUMERATED = 0x0a, DER_UTF8 = 0x0c, DER_PRINTABLE = 0x13,
	DER_T61 = 0x14, DER_IA5 = 0x16, DER_UTC_TIME = 0x17, DER_GENERALIZED_TIME = 0x18,
	DER_UNIVERSAL_STRING = 0x1c, DER_BMP = 0x1e, DER_SEQUENCE = 0x30, DER_SET = 0x31,
};
#define DER_CONTEXT(n)      (0x80u | (n)) /* primitive [n] */
#define DER_CONTEXT_CONS(n) (0xa0u | (n)) /* constructed [n] */

#define DER_DEPTH_MAX 24
#define DER_ITEMS_MAX 2000 /* elements in one request, all levels together */

/*
 * Walk all of `der` once: exactly one element, definite minimal lengths, tag
 * numbers below 31, DER_DEPTH_MAX and DER_ITEMS_MAX kept, minimal INTEGERs,
 * BOOLEANs 00/FF, no constructed strings, SET OF in order, well-formed OIDs
 * and BIT STRINGs.  One pass, no allocation.  Everything else in this room may then trust lengths.
 * E_FORMAT says what and at which octet.
 */
int der_check(struct bytes der, const char *what, struct err *e) MUST_CHECK;

/* --- reading: a cursor over the contents of one constructed element --- */

struct der {
	struct bytes rest;
	bool bad; /* sticks; everything read after it is empty */
};

struct der der_open(struct bytes contents);
bool der_more(const struct der *d);              /* octets left and not bad */
uint8_t der_peek(const struct der *d);           /* next tag, 0 at the end */
struct bytes der_take(struct der *d, unsigned tag);         /* contents; another tag is bad */
struct bytes der_take_tlv(struct der *d, unsigned tag);     /* the whole element; tag 0: any */
struct der der_enter(struct der *d, unsigned tag);          /* a cursor into a constructed element */
bool der_try(struct der *d, unsigned tag, struct bytes *contents); /* OPTIONAL: false when absent */
struct bytes der_any(struct der *d, uint8_t *tag);
bool der_boolean(struct der *d);
uint64_t der_small_integer(struct der *d);       /* non-negative, fits 63 bits, else bad */
struct bytes der_bits(struct der *d, unsigned *unused); /* BIT STRING contents after the unused count */
int64_t der_time(struct der *d);                 /* UTCTime or GeneralizedTime as RFC 5280 4.1.2.5 */
int der_end(const struct der *d, const char *what, struct err *e) MUST_CHECK; /* E_FORMAT unless all was read and nothing bad */
/*
 * Is c harmless text of string type `tag`?  UTF8String as text_valid_utf8(); PrintableString
 * its own set (X.680 41.4); IA5String and T61String printable ASCII.  Other types: false.
 */
bool der_valid_text(uint8_t tag, struct bytes c);

/* --- writing: into a buf, constructed elements closed by patching their length --- */

size_t der_begin(struct buf *b, unsigned tag);   /* returns a mark for der_finish() */
void der_finish(struct buf *b, size_t mark);
void der_put(struct buf *b, unsigned tag, struct bytes contents);
void der_put_raw(struct buf *b, struct bytes tlv);
void der_put_oid(struct buf *b, struct bytes oid);          /* OID contents, see oid.h */
void der_put_unsigned(struct buf *b, struct bytes big_endian); /* leading zeros dropped, sign octet added */
void der_put_int(struct buf *b, int64_t v);
void der_put_bool(struct buf *b, bool v);
void der_put_null(struct buf *b);
void der_put_bits(struct buf *b, struct bytes octets, unsigned unused);
void der_put_named_bits(struct buf *b, uint32_t bits, unsigned n); /* bit 0 first, trailing zeros dropped */
void der_put_time(struct buf *b, int64_t t);     /* UTCTime through 2049, GeneralizedTime from 2050; INT64_MAX: 99991231235959Z */
/* Sort the elements written since `mark` (as der_begin returned for a SET) as DER SET OF wants. */
void der_sort_set(struct buf *b, size_t mark);

#endif
