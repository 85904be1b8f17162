/* SPDX-License-Identifier: Apache-2.0 */
/* config/read.h - reading the super-config: typed members, faults collected and told at once (this room's alone) */
#ifndef DEVICE_CONFIG_READ_H
#define DEVICE_CONFIG_READ_H

#include "device/config/super.h"

struct reading {
	struct plan *p;
	const struct super_options *o;
	const struct toml *doc;
	struct grant *id_keys, *cs_keys;  /* keyd's principals of aziotid and aziotcs */
	struct grant *ca_keys;            /* that of aziotcs for the Edge CA; NULL: none */
	struct words id_certs;            /* what aziotid may write in certd */
	size_t errors;
};

/* A fault at v, or something odd: "file:line:column: key 'a.b': text", the remedy last. */
void rd_error(struct reading *rd, const struct toml *v, const char *fmt, ...) PRINTF(3, 4);
void rd_warn(struct reading *rd, const struct toml *v, const char *fmt, ...) PRINTF(3, 4);

/* Members; t may be NULL.  Another type is a fault, and as if the member were not there. */
const struct toml *rd_table(struct reading *rd, const struct toml *t, const char *key);
const char *rd_str(struct reading *rd, const struct toml *t, const char *key);
/* The same, its absence being a fault as well; "" then. */
const char *rd_need(struct reading *rd, const struct toml *t, const char *key, const char *remedy);
bool rd_bool(struct reading *rd, const struct toml *t, const char *key, bool def);
int64_t rd_int(struct reading *rd, const struct toml *t, const char *key, int64_t def, int64_t least,
    int64_t most);
/* A text that goes on as it is; a placeholder in it is told of. */
const char *rd_name(struct reading *rd, const struct toml *t, const char *key, const char *remedy);
/* A URL, normalised; NULL when absent. */
const char *rd_url(struct reading *rd, const struct toml *t, const char *key);
/* A table such as auto_renew; not given: .given false.  What is missing in it has its default. */
struct renewal rd_renewal(struct reading *rd, const struct toml *t, const char *key);

/* The file: URI of a path that config apply makes itself. */
const char *rd_made_file(struct reading *rd, const char *path);
/* file: URIs, normalised, of something that `user` must be able to read. */
const char *rd_file(struct reading *rd, const struct toml *v, enum reference_kind kind, const char *user);
/*
 * The key that stands at v (a file: or pkcs11: URI) is to be keyd's key `id`; certd's certificate
 * likewise.
 */
void rd_preload_key(struct reading *rd, const struct toml *v, const char *id, enum reference_kind kind);
void rd_preload_cert(struct reading *rd, const struct toml *v, const char *id);

/* --- parts of the file --- */

void read_provisioning(struct reading *rd);
void read_issuance(struct reading *rd);
void read_edge(struct reading *rd);
/*
 * A table that says how a certificate is issued becomes certd's entry of that ID; the EST keys of
 * certd are added to `keys`. NULL after a fault.
 */
struct issue *read_issue(struct reading *rd, const struct toml *t, const char *id, struct words *keys);
/* common_name or subject of a table. */
void read_subject(struct reading *rd, const struct toml *t, const char **common_name, struct map *subject);
/* The same issuance under another ID. */
void copy_issue(struct plan *p, const char *from, const char *to);

#endif
