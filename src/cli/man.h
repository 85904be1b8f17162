/* SPDX-License-Identifier: Apache-2.0 */
/* cli/man.h - man pages from the tables of verbs */
#ifndef CLI_MAN_H
#define CLI_MAN_H

#include "cli/verb.h"

/* Append the page of estuary(1), or of one verb ("estuary-ca-list(1)"), as roff (man macros). */
void man_overview(struct buf *out);
void man_verb(struct buf *out, const struct verb *v);
/* Write estuary.1 and a page a verb into dir (made when missing).  E_IO. */
int man_write(const char *dir, struct err *e) MUST_CHECK;

#endif
