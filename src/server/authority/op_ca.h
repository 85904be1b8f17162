/* SPDX-License-Identifier: Apache-2.0 */
/* authority/op_ca.h - our CAs as operators see them, and how they come to be (between op_ca*.c) */
#ifndef SERVER_AUTHORITY_OP_CA_H
#define SERVER_AUTHORITY_OP_CA_H

#include "server/authority/authority.h"

/* whole: with serial, digest, certificates and addresses, as ca.show answers. */
json_t *op_ca_json(const struct ca *c, bool whole);
/* The CA of that name, counted; borrowed until the next reload.  E_NOTFOUND. */
int op_ca_find(struct work *w, const char *name, struct ca **c, struct err *e) MUST_CHECK;
/* The verb ca.create (VERB_ASYNC). */
int op_ca_create(struct work *w, json_t **result, struct err *e) MUST_CHECK;

#endif
