/* SPDX-License-Identifier: Apache-2.0 */
/* base/text.h - small things about text: hex, UTF-8, patterns, safe printing */
#ifndef CORE_BASE_TEXT_H
#define CORE_BASE_TEXT_H

#include "core/base/bytes.h"

/* Lower-case hex and a NUL: 2 * b.n + 1 characters. */
void text_hex(char *out, struct bytes b);
/* Hex of either case, exactly 2 * n characters, into out; false otherwise. */
bool text_unhex(uint8_t *out, size_t n, const char *hex);
/* Well-formed UTF-8 (RFC 3629) without NUL, controls, what turns its direction or is not seen, and blanks but ASCII's and U+3000. */
bool text_valid_utf8(struct bytes b);
/* 1 to max characters of [A-Za-z0-9._-], the first not a dot or hyphen: a safe name of an object. */
bool text_valid_name(const char *s, size_t max);
/* What may stand for a host, in a URL or where a server listens: 1 to 255 characters of [A-Za-z0-9.:_%-], room for IPv6 with a zone. */
bool text_valid_host(const char *s);
/* Shell-like pattern with * (any run) and ? (a character of UTF-8) only, over the whole of s, case-sensitive; at most |pattern| * |s| steps. */
bool text_match(const char *pattern, const char *s);
/* s into out[size], always ended; cut off where it does not fit. */
void text_copy(char *out, size_t size, const char *s);
/* Append b with every octet that could harm a log line or a terminal as \xNN. */
void text_escape(struct buf *out, struct bytes b);
/*
 * The same for people to read: a backslash harms no terminal and stays.  So what is made for showing already ("CN=a\, b",
 * or text that was escaped before) comes through as it is.
 */
void text_show(struct buf *out, struct bytes b);
/* Append s as one word for a POSIX shell, in single quotes. */
void text_quote(struct buf *out, const char *s);
/* The same; as it stands where that is safe. */
void text_shell(struct buf *out, const char *s);
/* Decimal without sign or blanks, at most max; false otherwise. */
bool text_parse_u64(uint64_t *out, const char *s, uint64_t max);
/* How far apart two words are (edits), for "did you mean"; at most 32 characters of each count. */
unsigned text_distance(const char *a, const char *b);

#endif
