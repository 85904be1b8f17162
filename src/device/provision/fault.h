/* SPDX-License-Identifier: Apache-2.0 */
/* provision/fault.h - what a service says of why it will not: as DPS, the hub, and gateways write it */
#ifndef DEVICE_PROVISION_FAULT_H
#define DEVICE_PROVISION_FAULT_H

#include "core/codec/json.h"

struct fault {
	int64_t code;         /* errorCode, code; 0: none */
	char words[240];      /* message, errorMessage, Message, or the first line of a text; "" none.  Not escaped. */
	char tracking[80];    /* trackingId; "" none */
	bool network;         /* the hub's networkError: a gateway did not reach it */
	bool disabled;        /* the words say disabled or blocked */
};

/* Of a JSON value; not an object, or with members of other types: what is missing is left out. */
void fault_of_json(struct fault *f, const json_t *v);
/* Of an answer's body: JSON, or text when its type says so or nothing. */
void fault_of_body(struct fault *f, const char *type, struct bytes body);
/* Append " (error 401002): words [trackingId x]", as much of it as there is. */
void fault_print(struct buf *out, const struct fault *f);

#endif
