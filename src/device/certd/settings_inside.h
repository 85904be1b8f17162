/* SPDX-License-Identifier: Apache-2.0 */
/* certd/settings_inside.h - what the files that read certd's configuration share */
#ifndef DEVICE_CERTD_SETTINGS_INSIDE_H
#define DEVICE_CERTD_SETTINGS_INSIDE_H

#include "device/certd/settings.h"

/* A reading under way. */
struct reading {
	struct certd_settings *s;
	void (*warn)(void *ctx, const char *text);
	void *ctx;
	struct err *e;
};

/* "file:line:column: key 'k': text" to whom it may concern. */
void settings_warn(const struct reading *rd, const struct toml *v, const char *fmt, ...) PRINTF(3, 4);

/* Each sets *out to an owned text, or leaves NULL when the key is absent or "". */
int settings_copy(const struct reading *rd, char **out, const struct toml *table, const char *key) MUST_CHECK;
/* A certificate ID; a file: URI becomes a preloaded certificate whose ID is the URI. */
int settings_cert_id(const struct reading *rd, char **out, const struct toml *table, const char *key) MUST_CHECK;
/* A key ID; a file: URI is an error that says where it belongs. */
int settings_key_id(const struct reading *rd, char **out, const struct toml *table, const char *key) MUST_CHECK;
int settings_url(const struct reading *rd, char **out, const struct toml *table, const char *key) MUST_CHECK;
/* An array of texts, ended by NULL; NULL when absent. */
int settings_list(const struct reading *rd, char ***out, const struct toml *table, const char *key) MUST_CHECK;
/* Is it one, and if so is it right?  Then it is preloaded under its own name. */
int settings_note_file(const struct reading *rd, const struct toml *at, const char *id_or_uri) MUST_CHECK;

/* The auth keys in the table itself or in its `auth`; pairs that are half given are warned of and dropped. */
int settings_auth(const struct reading *rd, struct est_auth_settings *out, const struct toml *table) MUST_CHECK;
/* [cert_issuance.ID] */
int settings_issuance(const struct reading *rd, struct issuance *out, const struct toml *table) MUST_CHECK;

void settings_auth_clear(struct est_auth_settings *a);
void settings_list_free(char **list);

#endif
