/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/man.h - man pages from the tables of verbs */
#ifndef CORE_CMD_MAN_H
#define CORE_CMD_MAN_H

#include "core/cmd/program.h"

/* Append the page of the program ("estuary(1)"), or of one verb ("estuary-ca-list(1)"), as roff (man macros). */
void man_overview(struct buf *out, const struct program *p);
void man_verb(struct buf *out, const struct program *p, const struct verb *v);
/* Parts of a page: text as itself (backslashes, hyphens, no line that begins with a control character); EXIT STATUS. */
void man_text(struct buf *out, const char *s);
void man_exit_status(struct buf *out);
/* What an exit status means, a sentence without its full stop; NULL: no command of ours ends with it by err_row(). */
const char *man_status(int status);
/* Write the program's page and one a verb into dir (made when missing).  E_IO. */
int man_write(const struct program *p, const char *dir, struct err *e) MUST_CHECK;

#endif
