/* SPDX-License-Identifier: Apache-2.0 */
/* service/api_request.h - the steps that a request goes through before its handler (for api.c alone) */
#ifndef DEVICE_SERVICE_API_REQUEST_H
#define DEVICE_SERVICE_API_REQUEST_H

#include "device/service/api.h"

/* Each step fills its part of c; when it refuses, the call is answered and gone. */

/* c->version: the last api-version of the query.  It is judged before the path. */
bool api_request_version(struct api_call *c, const char *const *versions) MUST_CHECK;
/* The row that fits path, version and method, and c->id; NULL: refused. */
const struct api_route *api_request_route(struct api_call *c, const struct api_route *routes) MUST_CHECK;
/* c->body, as method, Content-Type and row want it. */
bool api_request_body(struct api_call *c, const struct api_route *row) MUST_CHECK;

#endif
