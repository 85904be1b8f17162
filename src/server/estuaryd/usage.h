/* SPDX-License-Identifier: Apache-2.0 */
/* estuaryd/usage.h - what estuaryd says of itself: --help and its man page, of one table of options */
#ifndef SERVER_ESTUARYD_USAGE_H
#define SERVER_ESTUARYD_USAGE_H

#include "core/base/bytes.h"

#define USAGE_CONFIG "/etc/estuary/estuaryd.toml" /* the configuration, unless -c says otherwise */

void usage_help(struct buf *out);
/* estuaryd(8), as roff (man macros): its options, and every key of the configuration. */
void usage_man(struct buf *out);

#endif
