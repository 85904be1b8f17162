/* SPDX-License-Identifier: Apache-2.0 */
/* provider/provider.h - an OpenSSL 3 provider whose private keys stay with the Keys Service */
#ifndef DEVICE_PROVIDER_PROVIDER_H
#define DEVICE_PROVIDER_PROVIDER_H

#include "core/pki/key.h"

/*
 * Keys are named "keyd:ID" (percent-encoded where needed), "keyd:?handle=HANDLE", either with "socket=/path" as a
 * further member ("keyd:ID?socket=/path"), wherever a program takes a URI, and by a PEM file with the label
 * "ESTUARY KEYD URI" (whose contents are that text) wherever it takes a file.  Without one in the name the socket is
 * $ESTUARY_KEYD_SOCKET, or `socket` of the provider's section in openssl.cnf, or PREFIX/run/aziot/keyd.sock of
 * $ESTUARY_PREFIX, or /run/aziot/keyd.sock.
 */
#define PROVIDER_NAME "estuary"

/*
 * Make the provider known inside this process (built in, no module file) and load it beside the default one.
 * socket: of the keys that are had by the functions below; NULL: as above.  May be called again.  E_CRYPTO.
 */
int provider_use(const char *socket, struct err *e) MUST_CHECK;
/* The pair `id`, as a key whose every private operation asks the Keys Service.  E_NOTFOUND, E_AUTH, E_UNAVAIL, E_CRYPTO. */
int provider_key(struct key **out, const char *id, struct err *e) MUST_CHECK;
/* The same by a handle that somebody gave (an explicit issuer's privateKeyHandle). */
int provider_key_by_handle(struct key **out, const char *handle, struct err *e) MUST_CHECK;
/* Append the PEM file for a key's name. */
void provider_key_file(struct buf *out, const char *id);

#endif
