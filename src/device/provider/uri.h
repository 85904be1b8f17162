/* SPDX-License-Identifier: Apache-2.0 */
/* provider/uri.h - how a key of the Keys Service is named */
#ifndef DEVICE_PROVIDER_URI_H
#define DEVICE_PROVIDER_URI_H

#include "core/base/bytes.h"

#define URI_MAX   ((size_t)8 * 1024)
#define URI_LABEL "ESTUARY KEYD URI"

/* "keyd:ID[?socket=PATH]" or "keyd:?handle=HANDLE[&socket=PATH]", decoded.  Either id or handle is set. */
struct uri {
	char *id, *handle, *socket; /* NULL: not there */
};

/* E_FORMAT (another scheme, bad escapes, unknown or repeated members), E_TOOBIG. *out is the caller's to clear. */
int uri_parse(struct uri *out, struct bytes text, struct err *e) MUST_CHECK;
void uri_clear(struct uri *u);
#define AUTO_URI __attribute__((cleanup(uri_clear))) struct uri
/* Append the text. */
void uri_put(struct buf *out, const struct uri *u);
/* Append the PEM file for a text. */
void uri_put_pem(struct buf *out, struct bytes text);

#endif
