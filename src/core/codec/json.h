/* SPDX-License-Identifier: Apache-2.0 */
/* codec/json.h - JSON by jansson, with duplicates refused and positions in errors */
#ifndef CORE_CODEC_JSON_H
#define CORE_CODEC_JSON_H

#include <jansson.h>

#include "core/base/bytes.h"

AUTO_DEFINE_OSSL(json_t, json_decref)
#define AUTO_JSON AUTO_OSSL(json_t)

/*
 * Whatever is loaded into other people's programs defines it: there jansson is theirs, and left as it is.  In ours it
 * gets our allocator and seed.
 */
extern const char json_guest;
/* One JSON value, duplicates refused, nothing after it; E_FORMAT names line and column. */
int json_parse(json_t **out, struct bytes text, struct err *e) MUST_CHECK;
/* The same from strangers: brackets and braces more than `depth` deep are E_FORMAT before anything is built. */
int json_parse_within(json_t **out, struct bytes text, unsigned depth, struct err *e) MUST_CHECK;
/* Append compact JSON (sorted as inserted), or indented when pretty. */
void json_print(struct buf *out, const json_t *v, bool pretty);
/* A member's string / integer / boolean, or the default when absent or of another type. */
const char *json_str(const json_t *obj, const char *key, const char *def);
int64_t json_int(const json_t *obj, const char *key, int64_t def);
bool json_flag(const json_t *obj, const char *key, bool def);
/* Set obj.key to a string made by printf; text that is not UTF-8 is escaped first (text_escape). */
void json_setf(json_t *obj, const char *key, const char *fmt, ...) PRINTF(3, 4);
/* A string: the octets as base64 in one line. */
json_t *json_base64(struct bytes octets);

#endif
