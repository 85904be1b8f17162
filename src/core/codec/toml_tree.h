/* SPDX-License-Identifier: Apache-2.0 */
/* codec/toml_tree.h - the tree of a TOML document (for toml*.c alone) */
#ifndef CORE_CODEC_TOML_TREE_H
#define CORE_CODEC_TOML_TREE_H

#include "core/codec/toml_value.h"

#define TOML_KEYS_MAX ((size_t)1000) /* keys of one table: they are searched one by one */

/* How a table or an array came to be, which decides what may still be added to it. */
enum toml_made {
	BY_PATH,    /* on the way of a [header]: may still get its own header */
	BY_HEADER,  /* by its [header] or [[header]] */
	BY_DOTS,    /* on the way of a dotted key: grows by dotted keys of the same section alone */
	BY_VALUE,   /* {...} and [...]: closed */
};

/* The name of a file that values of a document come from. */
struct toml_file {
	struct toml_file *next;
	char name[];
};

struct toml {
	struct toml_value value;
	char *text;             /* a string, or a date's text */
	char *key;              /* NULL in arrays */
	const char *file;       /* one of the root's */
	struct toml_file *files; /* of the root alone, which owns them */
	struct toml *parent;
	struct toml **item;
	size_t n, cap;
	int line, column, depth;
	enum toml_made made;
	unsigned section;       /* BY_DOTS: which section's dotted keys may add to it */
};

/* Make v (whose depth is right) the last child of parent. */
void toml_attach(struct toml *parent, struct toml *v);
/* Where in the table's items the key stands; table->n when it does not. */
size_t toml_index(const struct toml *table, const char *key);

#endif
