/* SPDX-License-Identifier: Apache-2.0 */
/* config/uri.h - URLs and URIs in the one form that the services' files have */
#ifndef DEVICE_CONFIG_URI_H
#define DEVICE_CONFIG_URI_H

#include "core/base/bytes.h"

/*
 * An http: or https: URL, normalised: scheme and host in lower case, no default port, a path at
 * least "/", octets that need it percent-encoded.  *plain: it is http:.  E_FORMAT says what would
 * be right.
 */
int uri_web(struct buf *out, bool *plain, const char *text, struct err *e) MUST_CHECK;
/* "file:///a%20b" of an absolute path. */
void uri_of_path(struct buf *out, const char *path);
/*
 * "pkcs11:" with slot-id or token, object and pin-value alone, in this order, all but letters and
 * digits encoded; is_key: an object is needed.  E_FORMAT.
 */
int uri_pkcs11(struct buf *out, const char *text, bool is_key, struct err *e) MUST_CHECK;
/* "<YOUR-SERVER>" and the like: left from a document that somebody copied. */
bool uri_is_placeholder(const char *text);

#endif
