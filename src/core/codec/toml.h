/* SPDX-License-Identifier: Apache-2.0 */
/* codec/toml.h - TOML 1.1, whole, with the position of every key and value */
#ifndef CORE_CODEC_TOML_H
#define CORE_CODEC_TOML_H

#include "core/base/bytes.h"

enum toml_kind {
	TOML_TABLE, TOML_ARRAY, TOML_STRING, TOML_INTEGER, TOML_FLOAT, TOML_BOOLEAN, TOML_DATETIME,
};

#define TOML_MAX   ((size_t)1024 * 1024) /* octets of one file */
#define TOML_DEPTH 32                    /* nested tables, arrays and keys */

struct toml; /* a document, or a value in it */

/*
 * Parse one document.  `file` is for messages alone: every error reads
 * "file:line:column: what was found and what was expected".  *out belongs to
 * the caller (toml_free) and owns all values in it.  E_FORMAT, E_TOOBIG.
 */
int toml_parse(struct toml **out, const char *file, struct bytes text, struct err *e) MUST_CHECK;
/*
 * Add `patch`, another document, to `base`: tables by key, however deep; arrays get the patch's items after
 * their own; anything else, also of another type, is replaced.  Each value keeps its file and place.  patch is
 * taken, on failure too; base is then good for toml_free() alone.  E_TOOBIG: more than 1,000 keys in one table.
 */
int toml_merge(struct toml *base, struct toml *patch, struct err *e) MUST_CHECK;
void toml_free(struct toml *doc);
AUTO_DEFINE(toml, toml_free)

enum toml_kind toml_kind(const struct toml *v);
const char *toml_kind_name(enum toml_kind k);   /* "a string", "an integer", ... */
const char *toml_key(const struct toml *v);     /* its last key; "" for array items and the root */
int toml_line(const struct toml *v);            /* of its key, or of the value in an array; from 1 */
int toml_column(const struct toml *v);
const char *toml_file(const struct toml *v);

/* Tables and arrays: how many, and the i-th in the order of the file; borrowed. */
size_t toml_count(const struct toml *v);
const struct toml *toml_at(const struct toml *v, size_t i);
/* A member by name (one key, not dotted); NULL when absent or v is no table. */
const struct toml *toml_get(const struct toml *table, const char *key);

/* Values; a call on another kind is a broken invariant (assert). */
const char *toml_string(const struct toml *v);  /* UTF-8, NUL-terminated; \u0000 is refused by the parser */
int64_t toml_integer(const struct toml *v);
double toml_float(const struct toml *v);
bool toml_boolean(const struct toml *v);
const char *toml_datetime(const struct toml *v); /* its text, checked */

/* "file:line:column: key 'a.b': <text>" into e; returns E_FORMAT. */
int toml_err(struct err *e, const struct toml *v, const char *fmt, ...) PRINTF(3, 4);

#endif
