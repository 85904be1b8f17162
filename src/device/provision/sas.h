/* SPDX-License-Identifier: Apache-2.0 */
/* provision/sas.h - shared access signatures, and the addresses that they are about, as Azure's services read them */
#ifndef DEVICE_PROVISION_SAS_H
#define DEVICE_PROVISION_SAS_H

#include "core/base/bytes.h"

#define SAS_LIFE_S 3600 /* of a token; the services take no exact clocks for granted, and neither do we */

/*
 * Append what a token is for ("scope/registrations/id", "hub/devices/id"): in lower case, then controls, blanks,
 * "<>`#?{}= and what is not ASCII as %XX; a slash stays, and so does a percent sign.
 */
void sas_put_resource(struct buf *out, const char *text);
/* Append what the key signs: the resource, a line end, the second until which the token is good. */
void sas_put_input(struct buf *out, const char *resource, int64_t until);
/* Append the token: the value of an Authorization field.  policy NULL: none (skn). */
void sas_put_token(struct buf *out, const char *resource, struct bytes signature, int64_t until, const char *policy);

/*
 * Append one segment of a path: what RFC 3986 3.3 lets stand in one stays, but for '='; all else is %XX, so that no ID
 * can change the path or what comes after it.
 */
void sas_put_segment(struct buf *out, const char *text);
/* Is it "name", "name:port", "192.0.2.1:443" or "[::1]:443", and nothing more? */
bool sas_valid_host(const char *text);
/* The host (and port) of "https://host[:port][/path]"; the path is none of ours.  E_USAGE. */
int sas_host_of(struct buf *out, const char *url, struct err *e) MUST_CHECK;

#endif
