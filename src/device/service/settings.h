/* SPDX-License-Identifier: Apache-2.0 */
/* service/settings.h - a service's configuration: base file, config.d, the merge, unknown keys, changes */
#ifndef DEVICE_SERVICE_SETTINGS_H
#define DEVICE_SERVICE_SETTINGS_H

#include <sys/types.h>

#include "core/codec/toml.h"
#include "core/sys/loop.h"
#include "device/service/place.h"

#define SETTINGS_FILES_MAX 256 /* in config.d */

/*
 * Read and merge: the base file (missing: empty), then the regular files of config.d whose name ends in ".toml" (no
 * symbolic links, not ".toml" itself) in the order of their names.  Tables merge by key, arrays are joined, anything
 * else is replaced by the later file; each value keeps its own file and line.  A file or directory that everybody may
 * write is refused (H12), or our own group, to which our socket is open; owner must be root or us.  E_FORMAT with
 * file:line:column, E_IO, E_POLICY, E_TOOBIG.
 */
int settings_load(struct toml **out, const struct place *p, struct err *e) MUST_CHECK;
/* The same as the service's own user would find it: for root, who looks whether that user can use it. */
int settings_load_as(struct toml **out, const struct place *p, uid_t uid, gid_t gid, struct err *e) MUST_CHECK;

/* What a table may hold; a row of name NULL ends it. */
struct settings_key {
	const char *name;                    /* "*": any other name */
	const struct settings_key *members;  /* of the table, or of each table in the array; NULL: not looked into */
};
/* For each key that the schema does not know: "file:1:2: unknown key 'identiy_pk' (did you mean 'identity_pk'?)". */
void settings_unknown(const struct toml *doc, const struct settings_key *schema,
    void (*fn)(void *ctx, const char *text), void *ctx);

/* Typed members; absent, or of no table (NULL), gives the default; another type is E_FORMAT with its place. */
int settings_str(const char **out, const struct toml *table, const char *key, const char *def,
    struct err *e) MUST_CHECK;
int settings_int(int64_t *out, const struct toml *table, const char *key, int64_t def, int64_t least, int64_t most,
    struct err *e) MUST_CHECK;
int settings_bool(bool *out, const struct toml *table, const char *key, bool def, struct err *e) MUST_CHECK;
/* A span of time as people write it: "60m", "60 min", "90 s", "1 day", "2 weeks", "1h", or a number of seconds. */
int settings_duration(int64_t *out_s, const struct toml *table, const char *key, int64_t def, struct err *e) MUST_CHECK;
int settings_parse_duration(int64_t *out_s, const char *text, struct err *e) MUST_CHECK;

/*
 * Call fn when anything in the configuration may have changed (debounced 1 s after the last change, 10 s at most), also
 * when file or directory did not exist at the start.  NULL, with a line in the log, when the system gives no watch.
 */
struct settings_watch;
struct settings_watch *settings_watch_new(struct loop *l, const struct place *p, loop_fn fn, void *ctx);
void settings_watch_free(struct settings_watch *w);

#endif
