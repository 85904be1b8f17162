/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/table.h - results for people: aligned columns, or a line a member; nothing in them can harm a terminal */
#ifndef CORE_CMD_TABLE_H
#define CORE_CMD_TABLE_H

#include "core/cmd/cli.h"

/* How a member is shown. */
enum column_kind {
	COL_TEXT,     /* strings, numbers, yes/no, lists joined by commas; "-" when absent */
	COL_TIME,     /* UTC seconds as "2026-11-21T03:04:05Z"; "-" for 0 and absent */
	COL_STATE,    /* a word, coloured on terminals: green for good, red for bad */
	COL_SERIAL,   /* a serial number: on terminals its first digits, by which verbs take it, too; whole otherwise */
	COL_ID,       /* what another verb takes as it stands: never cut */
};

struct column {
	const char *title;        /* NULL ends a table of columns */
	const char *member;       /* of the item; NULL: the title itself in lower case with '_' for ' ' */
	enum column_kind kind;
};

/* Such a table inside a record. */
#define COLUMNS(...) ((const struct column[]){ __VA_ARGS__, { .title = NULL } })

/* Every item (an array of objects) as one aligned row under a header; an empty array says "none" on c->err. */
void table_print(const struct cli *c, const struct column *cols, const json_t *items);
/* One member a line, "name   value", in the order of the object; PEM texts are left out. */
void table_print_object(const struct cli *c, const json_t *obj);
/* One such line. */
void table_line(const struct cli *c, const char *name, const char *value);
/* The same with the text of obj's member; no line when there is none. */
void table_member(const struct cli *c, const char *name, const json_t *obj, const char *member, enum column_kind kind);
/*
 * "  [█████░░░░░░░░░░░░░░░] 25%" at the end of a line: how much of a life is over at `now`, all in
 * UTC seconds; nothing when it is none (to <= from) or longer than any.
 */
void table_life(const struct cli *c, int64_t from, int64_t to, int64_t now);

/* The text of a value as the kind wants it, harmless on a terminal; appended to out. */
void table_cell(struct buf *out, const json_t *v, enum column_kind kind);
/* The same of obj's member, alone in b; borrowed until b changes. */
const char *table_text(struct buf *b, const json_t *obj, const char *member, enum column_kind kind);
/* Columns that UTF-8 text takes on a terminal. */
unsigned table_width(const char *s);
/* Escape sequence that begins the colour of a state, or "" without colour. */
const char *table_colour(const struct cli *c, const char *state);
const char *table_plain(const struct cli *c);  /* ends it */

#endif
