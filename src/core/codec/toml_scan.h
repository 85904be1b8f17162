/* SPDX-License-Identifier: Apache-2.0 */
/* codec/toml_scan.h - the characters of a TOML document: blanks, keys, strings (for toml.c alone) */
#ifndef CORE_CODEC_TOML_SCAN_H
#define CORE_CODEC_TOML_SCAN_H

#include "core/base/bytes.h"

/* Where reading stands.  The text is NUL-terminated, without CRs, checked by toml_scan_clean(). */
struct toml_scan {
	const char *file;
	const char *p;
	int line, column;   /* of *p; columns count characters, from 1 */
	struct err *e;      /* every error below goes here */
};

/*
 * Copy text to out, CRLF as LF.  Refused with position: what is not UTF-8
 * (RFC 3629), control characters other than tab, a CR without LF.  E_FORMAT.
 */
int toml_scan_clean(struct buf *out, const char *file, struct bytes text, struct err *e) MUST_CHECK;

/* "file:line:column: <text>" into s->e; returns code. */
int toml_scan_fail(const struct toml_scan *s, enum err_code code, const char *fmt, ...) PRINTF(3, 4);
/* The same, E_FORMAT: "found 'x', expected <what>". */
int toml_scan_expected(const struct toml_scan *s, const char *what);

void toml_scan_skip(struct toml_scan *s, size_t n);                /* n octets, not past the end */
bool toml_scan_take(struct toml_scan *s, const char *text);        /* skip it when it stands there */
void toml_scan_blanks(struct toml_scan *s);                        /* spaces and tabs */
void toml_scan_blank_lines(struct toml_scan *s);                   /* and comments and line ends */
int toml_scan_line_end(struct toml_scan *s) MUST_CHECK; /* blanks, a comment, the end of line or file */

/* One bare or quoted key (no dots), appended to out. */
int toml_scan_key(struct toml_scan *s, struct buf *out) MUST_CHECK;
/* A string of any of the four kinds, appended to out; a quote stands next. */
int toml_scan_string(struct toml_scan *s, struct buf *out) MUST_CHECK;

#endif
