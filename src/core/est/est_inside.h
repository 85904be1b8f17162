/* SPDX-License-Identifier: Apache-2.0 */
/* est/est_inside.h - what two files of this room write alike */
#ifndef CORE_EST_EST_INSIDE_H
#define CORE_EST_EST_INSIDE_H

#include "core/est/est.h"

/* renewal.c: the extension extendedKeyUsage with clientAuth alone (RFC 5280 4.2.1.12). */
void est_put_client_auth(struct buf *b);

#endif
