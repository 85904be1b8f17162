/* SPDX-License-Identifier: Apache-2.0 */
/* codec/toml_print.h - TOML as widespread serialisers write it: one key a line, headers after an empty line */
#ifndef CORE_CODEC_TOML_PRINT_H
#define CORE_CODEC_TOML_PRINT_H

#include "core/codec/toml.h"

/*
 * Append to out.  Keys are bare where they may be and quoted otherwise, strings are basic ones;
 * every call ends its line.  Text must be UTF-8.  The order is the caller's; what is appended is
 * TOML when keys come before the headers below them and none comes twice.
 */
/*
 * "[a.b]" of one key a part, the last argument NULL; an empty line before it, unless out is empty
 * or ends in one.
 */
void toml_print_table(struct buf *out, ...) __attribute__((sentinel));
/* "[[a.b]]" likewise. */
void toml_print_array_table(struct buf *out, ...) __attribute__((sentinel));
void toml_print_str(struct buf *out, const char *key, const char *value); /* value NULL: nothing */
void toml_print_int(struct buf *out, const char *key, int64_t value);
void toml_print_bool(struct buf *out, const char *key, bool value);
/* ["a", "b"] of n texts. */
void toml_print_strs(struct buf *out, const char *key, const char *const *values, size_t n);

/*
 * The members of a table that was parsed, in the order of their octets: first those that are no
 * tables, then each table under its header below `path` ("a.b" as it stands in a header, "" for
 * the document's root).  Arrays of tables become [[headers]], any other array is written in one
 * line.
 */
void toml_print_members(struct buf *out, const struct toml *table, const char *path);
/* The same below its own header "[path]", which a table of nothing but tables does not need. */
void toml_print_below(struct buf *out, const struct toml *table, const char *path);
/* "key = value" of a parsed value, tables inline. */
void toml_print_value(struct buf *out, const char *key, const struct toml *value);

#endif
