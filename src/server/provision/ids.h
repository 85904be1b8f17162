/* SPDX-License-Identifier: Apache-2.0 */
/* provision/ids.h - registration IDs are the same in either case (ASCII); device IDs are not */
#ifndef SERVER_PROVISION_IDS_H
#define SERVER_PROVISION_IDS_H

#include "core/pki/name.h"
#include "server/store/provision_row.h"

/* A-Z as a-z, the rest as it is, whatever the locale; cut to PROVISION_ID_MAX. */
void ids_lower(char out[PROVISION_ID_MAX], const char *id);
/* Are they the same but for A-Z and a-z? */
bool ids_equal(const char *a, const char *b);
/* The one CN of a name, borrowed; NULL: none, or several. */
const char *ids_cn(const struct name *n);

#endif
