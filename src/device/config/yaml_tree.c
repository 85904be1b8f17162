/* SPDX-License-Identifier: Apache-2.0 */
/* config/yaml_tree.c - a tree out of libyaml's events */
#include "device/config/yaml_tree.h"

#include <string.h>
#include <yaml.h>

#include "core/base/mem.h"
#include "core/base/text.h"

struct parser {
	yaml_parser_t y;
	const char *file;
	size_t nodes;
	struct err *e;
};

void
yaml_tree_free(struct yaml_tree *v)
{
	if (v == NULL)
		return;
	for (size_t i = 0; i < v->n; i++)
		yaml_tree_free(v->item[i]);
	if (v->text != NULL)
		mem_free_wiped(v->text, strlen(v->text)); /* it may be a key */
	mem_free(v->item);
	mem_free(v->key);
	mem_free(v);
}

const struct yaml_tree *
yaml_tree_get(const struct yaml_tree *map, const char *key)
{
	if (map == NULL || map->kind != YAML_MAP)
		return NULL;
	for (size_t i = 0; i < map->n; i++)
		if (strcmp(map->item[i]->key, key) == 0)
			return map->item[i];
	return NULL;
}

static int
fail(const struct parser *p, enum err_code code, const yaml_mark_t *at, const char *text)
{
	return err_set(p->e, code, "%s:%zu: %s", p->file, at->line + 1, text);
}

static int
next(struct parser *p, yaml_event_t *ev)
{
	if (yaml_parser_parse(&p->y, ev) != 0)
		return 0;
	return err_set(p->e, E_FORMAT, "%s:%zu: %s", p->file, p->y.problem_mark.line + 1,
	    p->y.problem != NULL ? p->y.problem : "not YAML");
}

static int
text_of(char **out, const struct parser *p, const yaml_event_t *ev)
{
	struct bytes b = { ev->data.scalar.value, ev->data.scalar.length };

	if (memchr(b.p, 0, b.n) != NULL)
		return fail(p, E_FORMAT, &ev->start_mark, "a text with a zero octet");
	*out = mem_dup(b.p, b.n);
	return 0;
}

/* Anchors make two things of one, tags one thing of another: no old configuration needs them. */
static int
check_plain(const struct parser *p, const yaml_event_t *ev)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (ev->type == YAML_SCALAR_EVENT) {
		anchor = ev->data.scalar.anchor;
		tag = ev->data.scalar.tag;
	} else if (ev->type == YAML_MAPPING_START_EVENT) {
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
	} else if (ev->type == YAML_SEQUENCE_START_EVENT) {
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
	}
	if (anchor != NULL || tag != NULL || ev->type == YAML_ALIAS_EVENT)
		return fail(p, E_FORMAT, &ev->start_mark,
		    "anchors, aliases and tags are not taken; write the value itself");
	return 0;
}

static void
attach(struct yaml_tree *parent, struct yaml_tree *v)
{
	parent->item = mem_resize(parent->item, parent->n * sizeof(v), (parent->n + 1) * sizeof(v));
	parent->item[parent->n++] = v;
}

static int read_items(struct parser *p, struct yaml_tree *v, unsigned depth);

/* The value that begins with an event. */
static int
read_value(struct yaml_tree **out, struct parser *p, const yaml_event_t *ev, unsigned depth)
{
	AUTO(yaml_tree) v = mem_zalloc(sizeof(*v));
	int r = check_plain(p, ev);

	if (r == 0 && (depth > YAML_DEPTH || ++p->nodes > YAML_NODES))
		r = fail(p, E_TOOBIG, &ev->start_mark, "nested too deep, or too much");
	if (r != 0)
		return r;
	v->line = (int)ev->start_mark.line + 1;
	if (ev->type == YAML_SCALAR_EVENT) {
		v->kind = YAML_TEXT;
		v->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		r = text_of(&v->text, p, ev);
	} else {
		v->kind = ev->type == YAML_MAPPING_START_EVENT ? YAML_MAP : YAML_LIST;
		r = read_items(p, v, depth + 1);
	}
	if (r == 0)
		*out = TAKE(v);
	return r;
}

/* A key, and the event of its value. */
static int
read_key(char **key, struct parser *p, const struct yaml_tree *map, yaml_event_t *ev)
{
	int r = check_plain(p, ev);

	if (r == 0 && ev->type != YAML_SCALAR_EVENT)
		r = fail(p, E_FORMAT, &ev->start_mark, "a key must be a text");
	if (r == 0)
		r = text_of(key, p, ev);
	if (r == 0 && yaml_tree_get(map, *key) != NULL)
		r = fail(p, E_FORMAT, &ev->start_mark, "this key stands there twice");
	yaml_event_delete(ev);
	if (r == 0)
		r = next(p, ev);
	else
		*ev = (yaml_event_t){ .type = YAML_NO_EVENT };
	return r;
}

static int
read_item(struct parser *p, struct yaml_tree *v, yaml_event_t *ev, unsigned depth)
{
	struct yaml_tree *item = NULL;
	char *key = NULL;
	int r = v->kind == YAML_MAP ? read_key(&key, p, v, ev) : 0;

	if (r == 0)
		r = read_value(&item, p, ev, depth);
	if (r != 0) {
		mem_free(key);
		return r;
	}
	item->key = key;
	attach(v, item);
	return 0;
}

static int
read_items(struct parser *p, struct yaml_tree *v, unsigned depth)
{
	for (;;) {
		yaml_event_t ev;
		bool end;
		int r = next(p, &ev);

		if (r != 0)
			return r;
		end = ev.type == YAML_MAPPING_END_EVENT || ev.type == YAML_SEQUENCE_END_EVENT;
		if (!end)
			r = read_item(p, v, &ev, depth);
		yaml_event_delete(&ev);
		if (end || r != 0)
			return r;
	}
}

/* The document and nothing after it. */
static int
read_document(struct yaml_tree **out, struct parser *p)
{
	AUTO(yaml_tree) root = NULL;
	bool end = false;
	int r = 0;

	while (r == 0 && !end) {
		yaml_event_t ev;

		if ((r = next(p, &ev)) != 0)
			return r;
		if (ev.type == YAML_STREAM_END_EVENT)
			end = true;
		else if (ev.type == YAML_DOCUMENT_START_EVENT && root != NULL)
			r = fail(p, E_FORMAT, &ev.start_mark, "a second document");
		else if (ev.type == YAML_SCALAR_EVENT || ev.type == YAML_MAPPING_START_EVENT ||
		    ev.type == YAML_SEQUENCE_START_EVENT || ev.type == YAML_ALIAS_EVENT)
			r = read_value(&root, p, &ev, 0);
		if (r == 0 && root != NULL && root->kind != YAML_MAP)
			r = fail(p, E_FORMAT, &ev.start_mark,
			    "a configuration is a mapping, \"key: value\"");
		yaml_event_delete(&ev);
	}
	if (r != 0)
		return r;
	if (root == NULL) {
		root = mem_zalloc(sizeof(*root));
		root->kind = YAML_MAP;
		root->line = 1;
	}
	*out = TAKE(root);
	return 0;
}

int
yaml_tree_parse(struct yaml_tree **out, const char *file, struct bytes text, struct err *e)
{
	struct parser p = { .file = file, .e = e };
	int r;

	if (text.n > YAML_MAX)
		return err_set(e, E_TOOBIG, "%s: more than %zu octets", file, YAML_MAX);
	if (yaml_parser_initialize(&p.y) == 0)
		return err_set(e, E_IO, "%s: no parser", file);
	yaml_parser_set_input_string(&p.y, text.p, text.n);
	r = read_document(out, &p);
	yaml_parser_delete(&p.y);
	return r;
}
