/* SPDX-License-Identifier: Apache-2.0 */
/* config/import.h - config import: the YAML of IoT Edge 1.1 and before becomes a super-config */
#ifndef DEVICE_CONFIG_IMPORT_H
#define DEVICE_CONFIG_IMPORT_H

#include "core/base/bytes.h"

struct import_options {
	const char *master_key;    /* path of the old master encryption key; NULL: there is none */
	void (*tell)(void *ctx, const char *text); /* what was changed or left out on the way */
	void *ctx;
};
/* Where 1.1 keeps its master encryption key. */
#define IMPORT_MASTER_KEY \
	"/var/lib/iotedge/hsm/enc_keys/edgelet-masterWt5mT2xpO72EPKlt2Tt0Sq4uJCrMvfl2rzzKRB3pnyo_.enc.key"

/* The super-config's text, appended.  E_FORMAT "file:line: key 'a.b': what and the remedy". */
int import_text(struct buf *out, const char *file, struct bytes yaml, const struct import_options *o,
    struct err *e) MUST_CHECK;

#endif
