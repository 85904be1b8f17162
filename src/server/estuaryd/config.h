/* SPDX-License-Identifier: Apache-2.0 */
/* estuaryd/config.h - the server's configuration file: one table of keys reads it, checks it and prints a sample of it */
#ifndef SERVER_ESTUARYD_CONFIG_H
#define SERVER_ESTUARYD_CONFIG_H

#include "server/proto/settings.h"

/*
 * The settings that the TOML text asks for; what it does not name has its
 * default.  `file` is for messages, relative paths start at `dir`.  *s is written
 * only on success.  public_url stays "" and fronts and ports stay 0 where the file
 * says so: they are known once the sockets are bound.  E_FORMAT:
 * "file:line:column: key 'device.port': expected an integer 0..65535, found a string".
 */
int config_parse(struct settings *s, const char *file, const char *dir, struct bytes text,
    struct err *e) MUST_CHECK;
/*
 * The same of a file.  E_POLICY when the file or its directory belongs to anybody but
 * root and us, or when others may write it: whoever writes it decides which key is served.
 * E_NOTFOUND, E_IO, E_TOOBIG, E_FORMAT.
 */
int config_load(struct settings *s, const char *path, struct err *e) MUST_CHECK;
/* May a running server go over from `was` to `now`?  E_POLICY names the first key that needs a restart. */
int config_may_change(const struct settings *was, const struct settings *now, struct err *e) MUST_CHECK;
/* Append a file that says what the defaults are, every key explained and commented out. */
void config_sample(struct buf *out);
/* Call fn for each key, in the order of the sample: "device.port", what it is, what it takes, the default as TOML. */
void config_each_key(void (*fn)(void *ctx, const char *name, const char *doc, const char *takes, const char *def), void *ctx);

#endif
