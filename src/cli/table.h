/* SPDX-License-Identifier: Apache-2.0 */
/* cli/table.h - results for people: aligned columns, or a line a member; nothing in them can harm a terminal */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "cli/cli.h"

/* How a member is shown. */
enum column_kind {
	COL_TEXT,     /* strings, numbers, yes/no, lists joined by commas; "-" when absent */
	COL_TIME,     /* UTC seconds as "2026-11-21T03:04:05Z"; "-" for 0 and absent */
	COL_STATE,    /* a word, coloured on terminals: green for good, red for bad */
	COL_SERIAL,   /* shortened in tables on terminals, whole otherwise */
};

struct column {
	const char *title;        /* NULL ends a table of columns */
	const char *member;       /* of the item; NULL: the title itself in lower case with '_' for ' ' */
	enum column_kind kind;
};

/* Every item (an array of objects) as one aligned row under a header; an empty array says "none" on c->err. */
void table_print(const struct cli *c, const struct column *cols, const json_t *items);
/* One member a line, "name   value", in the order of the object; PEM texts are left out. */
void table_print_object(const struct cli *c, const json_t *obj);
/* One such line. */
void table_line(const struct cli *c, const char *name, const char *value);

/* The text of a value as the kind wants it, harmless on a terminal; appended to out. */
void table_cell(struct buf *out, const json_t *v, enum column_kind kind);
/* Columns that UTF-8 text takes on a terminal. */
unsigned table_width(const char *s);
/* Escape sequence that begins the colour of a state, or "" without colour. */
const char *table_colour(const struct cli *c, const char *state);
const char *table_plain(const struct cli *c);  /* ends it */

#endif
