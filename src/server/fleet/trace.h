/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/trace.h - the rules that a decision went through, in order, for the audit record */
#ifndef SERVER_FLEET_TRACE_H
#define SERVER_FLEET_TRACE_H

#include "core/base/bytes.h"

enum trace_mark { TRACE_OK, TRACE_NO, TRACE_NOTE };

/* Append one line "rule TAB ok|no|note TAB text"; the text is escaped, so a name in it cannot forge a line. */
void trace_add(struct buf *t, enum trace_mark mark, const char *rule, const char *fmt, ...) PRINTF(4, 5);
/* What to do next for a reason code such as "name.other-device"; "" when there is nothing to add. */
const char *trace_hint(const char *reason);

#endif
