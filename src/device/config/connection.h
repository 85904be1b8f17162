/* SPDX-License-Identifier: Apache-2.0 */
/* config/connection.h - a device's connection string: hub, device and key in one line */
#ifndef DEVICE_CONFIG_CONNECTION_H
#define DEVICE_CONFIG_CONNECTION_H

#include "core/base/bytes.h"

struct connection {
	struct buf hub, device, key; /* texts, and the key's octets */
};

/*
 * "HostName=...;DeviceId=...;SharedAccessKey=...": parts in any order, others ignored, the key in
 * base64 with or without padding.  E_FORMAT names what is missing; the key is never in the
 * message.
 */
int connection_parse(struct connection *out, const char *text, struct err *e) MUST_CHECK;
void connection_clear(struct connection *c);
/* base64 whose padding may be missing; E_FORMAT without the text. */
int connection_key(struct buf *out, struct bytes text, struct err *e) MUST_CHECK;

#endif
