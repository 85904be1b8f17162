/* SPDX-License-Identifier: Apache-2.0 */
/* config/yaml_tree.h - YAML as old configurations use it: mappings, sequences and texts, strictly */
#ifndef DEVICE_CONFIG_YAML_TREE_H
#define DEVICE_CONFIG_YAML_TREE_H

#include "core/base/bytes.h"

#define YAML_MAX   ((size_t)1024 * 1024)
#define YAML_DEPTH 32
#define YAML_NODES 10000

/* libyaml exports names such as yaml_free: ours must be others. */
enum yaml_kind { YAML_TEXT, YAML_MAP, YAML_LIST };

struct yaml_tree {
	enum yaml_kind kind;
	char *key;            /* in a mapping; NULL elsewhere */
	char *text;           /* YAML_TEXT */
	bool plain;           /* without quotes: may be a number or a boolean */
	int line;             /* from 1 */
	struct yaml_tree **item;
	size_t n;
};

/*
 * One document; anchors, aliases, tags, keys twice in a mapping and a second document are
 * refused.  An empty document is an empty mapping.  E_FORMAT "file:line: text", E_TOOBIG.
 */
int yaml_tree_parse(struct yaml_tree **out, const char *file, struct bytes text, struct err *e) MUST_CHECK;
void yaml_tree_free(struct yaml_tree *v);
AUTO_DEFINE(yaml_tree, yaml_tree_free)
/* NULL: none, or map is no mapping. */
const struct yaml_tree *yaml_tree_get(const struct yaml_tree *map, const char *key);

#endif
