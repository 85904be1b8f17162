/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/desk.h - what the handlers of keyd's API share: who may, handles in and out, refusals */
#ifndef DEVICE_KEYD_DESK_H
#define DEVICE_KEYD_DESK_H

#include "device/keyd/store.h"
#include "device/service/api.h"

/* The context of the API. */
struct desk {
	struct store *store;                   /* borrowed */
	const struct keyd_settings *settings;  /* borrowed */
};

extern const char *const desk_versions[];      /* ended by NULL */
extern const struct api_route desk_routes[];   /* ended by method NULL */

/* --- for the handlers; where false comes back, the call was answered --- */

struct desk *desk_of(const struct api_call *c);
/* May the caller reach this ID?  The handle key nobody may.  401. */
bool desk_may(struct api_call *c, const char *id);
/* Open a handle of the body: ours, the caller's, and still backed by the rights it was made on. */
bool desk_handle(struct api_call *c, const char *member, struct handle *h);
/* The same, and the key that it names, derived when it is a derived one's. */
bool desk_key(struct api_call *c, const char *member, struct handle *h, struct store_key *k);
/* Is one of these usages (USAGE_*) the key's?  400. */
bool desk_usage(struct api_call *c, const struct handle *h, const struct store_key *k, unsigned usage);
/* A required member of obj in standard base64, appended.  422. */
bool desk_base64(struct api_call *c, const json_t *obj, const char *member, struct buf *out);

/* Answer with a handle for the caller, or with one octet string. */
void desk_reply_handle(struct api_call *c, const struct handle *h);
void desk_reply_key(struct api_call *c, enum handle_kind kind, const char *id, struct store_key *k); /* clears k */
void desk_reply_base64(struct api_call *c, const char *member, struct bytes value);
/* 401, or 400 with the cause, or 500 and the cause in the log. */
void desk_fail(struct api_call *c, const struct err *e);

/* The first algorithm of a preference list that we make ("ec-p256:rsa-4096:*", NULL: "*"); KEY_NONE: there is none. */
enum key_type desk_first_algorithm(const char *preferred);

/* --- handlers, by file --- */

/* keys.c: keys by ID */
void keys_create_pair(struct api_call *c);
void keys_load_pair(struct api_call *c);
void keys_move_pair(struct api_call *c);
void keys_delete_pair(struct api_call *c);
void keys_create(struct api_call *c);
void keys_load(struct api_call *c);
void keys_move(struct api_call *c);
void keys_delete(struct api_call *c);
/* use.c: operations by handle */
void use_parameter(struct api_call *c);
void use_derive(struct api_call *c);
void use_export(struct api_call *c);
void use_sign(struct api_call *c);
void use_encrypt(struct api_call *c);
void use_decrypt(struct api_call *c);
/* own.c: what Estuary's version adds */
void own_state(struct api_call *c);
void own_generation(struct api_call *c);
void own_delegate(struct api_call *c);
void own_list(struct api_call *c);
void own_forget(struct api_call *c);

#endif
