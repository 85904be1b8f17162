/* SPDX-License-Identifier: Apache-2.0 */
/* pki/name.h - distinguished names and alternative names as plain, checked values */
#ifndef CORE_PKI_NAME_H
#define CORE_PKI_NAME_H

#include "core/pki/oid.h"

#define NAME_AVA_MAX   16   /* attributes in one subject */
#define NAME_VALUE_MAX 256  /* octets of one attribute's or alternative name's value, NUL included */
#define NAME_TEXT_MAX  1024 /* of name_text() */
#define SAN_MAX        32   /* alternative names in one certificate */

/* One attribute of a subject: a known type, its value as checked UTF-8. */
struct ava {
	enum oid type;
	char value[NAME_VALUE_MAX];
};

struct name {
	size_t n;
	struct ava ava[NAME_AVA_MAX];
};

enum san_kind { SAN_DNS, SAN_IP, SAN_URI, SAN_EMAIL, SAN_OTHER, SAN_KIND_COUNT };

/*
 * One alternative name.  DNS, URI, EMAIL: text in value.  IP: 4 or 16 octets in
 * value.  OTHER: a hardwareModuleName only (RFC 4108 5; IDevIDs carry it), the
 * whole otherName's DER contents in value.
 */
struct san {
	enum san_kind kind;
	size_t n;                     /* octets of value, less than NAME_VALUE_MAX */
	uint8_t value[NAME_VALUE_MAX]; /* and a NUL behind them: a DNS name, URI or email is text */
};

struct sans {
	size_t n;
	struct san san[SAN_MAX];
};

/*
 * Parse a Name (the whole SEQUENCE).  Refused (E_FORMAT, the field named):
 * unknown types, multi-valued RDNs, repeated types other than OU and DC, string
 * types other than UTF8String, PrintableString and IA5String (DC, email), bad
 * characters (text_valid_utf8; PrintableString's own set), empty values, lengths
 * over RFC 5280's upper bounds (CN, O, OU, serialNumber 64, C exactly 2), more than NAME_AVA_MAX.
 */
int name_parse(struct name *out, struct bytes tlv, struct err *e) MUST_CHECK;
/* Write the Name: C, serialNumber, dnQualifier as PrintableString, DC and email as IA5String, the rest UTF8String. */
void name_encode(struct buf *out, const struct name *n);
/* RFC 4514-like text in the order of the Name: "CN=pump-7,O=Example"; escapes , + = \ and quotes. */
const char *name_text(const struct name *n, char out[NAME_TEXT_MAX]);
/* From text such as "/CN=x/O=y" or "CN=x,O=y" (escapes by backslash); what a command line gives.  E_FORMAT. */
int name_from_text(struct name *out, const char *text, struct err *e) MUST_CHECK;
/* Copy what there is of it, a few of many octets; what stands behind is nobody's. */
void name_copy(struct name *to, const struct name *from);
/* First value of a type, or NULL; borrowed. */
const char *name_get(const struct name *n, enum oid type);
int name_add(struct name *n, enum oid type, const char *value, struct err *e) MUST_CHECK; /* the same checks as parsing */
/*
 * RFC 5280 7.1: same types and values in the same order, case folded (ASCII), inner
 * blanks compressed, outer dropped; string types do not matter.
 */
bool name_equal(const struct name *a, const struct name *b);

/*
 * Parse the value of a subjectAltName extension (GeneralNames SEQUENCE).
 * dNSName: letters-digits-hyphen labels (one leading "*." label allowed), no trailing dot, at most 253;
 * iPAddress 4 or 16 octets; URI absolute, ASCII; email ASCII addr-spec; otherName hardwareModuleName.
 * Anything else, duplicates, an empty sequence: E_FORMAT, the kind named.
 */
int sans_parse(struct sans *out, struct bytes value, struct err *e) MUST_CHECK;
void sans_copy(struct sans *to, const struct sans *from);  /* as name_copy() */
void sans_encode(struct buf *out, const struct sans *s);   /* the GeneralNames SEQUENCE */
/* "DNS:a.example, IP:192.0.2.1"; values escaped. */
const char *sans_text(const struct sans *s, char out[NAME_TEXT_MAX]);
/* "dns:x", "ip:192.0.2.1", "uri:...", "email:..." (prefix in any case); checked as sans_parse.  E_FORMAT. */
int sans_add_text(struct sans *s, const char *text, struct err *e) MUST_CHECK;
bool san_equal(const struct san *a, const struct san *b);   /* DNS, an email's domain, a URI's scheme and host without case */
bool sans_equal(const struct sans *a, const struct sans *b); /* as sets, by san_equal() */

#endif
