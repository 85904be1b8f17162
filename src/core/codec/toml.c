/* SPDX-License-Identifier: Apache-2.0 */
/* codec/toml.c - TOML 1.1: the tree, and which statements may follow which */
#include "core/codec/toml.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/codec/toml_scan.h"
#include "core/codec/toml_tree.h"

struct parser {
	struct toml_scan s;
	struct toml *root;
	struct toml *table;     /* of the last header */
	unsigned section, last_section;
};

static int read_value(struct parser *p, struct toml *v);
static int read_assignment(struct parser *p, struct toml *table);

/* --- the tree --- */

void
toml_attach(struct toml *parent, struct toml *v)
{
	if (parent->n == parent->cap) {
		size_t cap = parent->cap != 0 ? 2 * parent->cap : 4;

		parent->item = mem_resize(parent->item, parent->cap * sizeof(v), cap * sizeof(v));
		parent->cap = cap;
	}
	v->parent = parent;
	parent->item[parent->n++] = v;
}

/* A new last child of parent, placed where `at` stands; key is copied, NULL in arrays. */
static int
add(struct toml **out, struct toml *parent, const char *key, enum toml_kind kind,
    const struct toml_scan *at)
{
	struct toml *v;

	if (parent->depth == TOML_DEPTH)
		return toml_scan_fail(at, E_TOOBIG, "nested deeper than %d", TOML_DEPTH);
	if (key != NULL && parent->n == TOML_KEYS_MAX)
		return toml_scan_fail(at, E_TOOBIG, "more than %zu keys in one table", TOML_KEYS_MAX);
	v = mem_zalloc(sizeof(*v));
	v->value.kind = kind;
	v->key = key != NULL ? mem_strdup(key) : NULL;
	v->file = parent->file;
	v->depth = parent->depth + 1;
	v->line = at->line;
	v->column = at->column;
	toml_attach(parent, v);
	*out = v;
	return 0;
}

size_t
toml_index(const struct toml *table, const char *key)
{
	size_t i = 0;

	while (i < table->n && strcmp(table->item[i]->key, key) != 0)
		i++;
	return i;
}

static struct toml *
find(const struct toml *table, const char *key)
{
	size_t i = toml_index(table, key);

	return i < table->n ? table->item[i] : NULL;
}

void
toml_free(struct toml *v)
{
	struct toml_file *next;

	if (v == NULL)
		return;
	for (size_t i = 0; i < v->n; i++)
		toml_free(v->item[i]);
	mem_free(v->item);
	if (v->text != NULL)
		mem_free_wiped(v->text, strlen(v->text)); /* it may be a password */
	mem_free(v->key);
	for (struct toml_file *f = v->files; f != NULL; f = next) {
		next = f->next;
		mem_free(f);
	}
	mem_free(v);
}

/* --- keys and headers --- */

static int
defined_already(const struct toml_scan *at, const char *key, const struct toml *v, const char *as)
{
	AUTO_BUF safe = BUF_MAX(80);

	text_escape(&safe, bytes_of(key));
	return toml_scan_fail(at, E_FORMAT, "key '%s' is %s already, at line %d%s", buf_str(&safe),
	    toml_kind_name(v->value.kind), v->line, as);
}

/* Into the table `key` of *t on the way of a [header]; of an array of tables its last one. */
static int
enter_path(struct toml **t, const char *key, const struct toml_scan *at)
{
	struct toml *v = find(*t, key);

	if (v == NULL)
		return add(t, *t, key, TOML_TABLE, at);
	if (v->value.kind == TOML_ARRAY && v->made == BY_HEADER)
		v = v->item[v->n - 1];
	if (v->value.kind != TOML_TABLE || v->made == BY_VALUE)
		return defined_already(at, key, v, v->value.kind <= TOML_ARRAY ? ", and closed" : "");
	*t = v;
	return 0;
}

/* Into the table `key` of *t on the way of a dotted key. */
static int
enter_dots(struct parser *p, struct toml **t, const char *key, const struct toml_scan *at)
{
	struct toml *v = find(*t, key);

	if (v == NULL) {
		int r = add(&v, *t, key, TOML_TABLE, at);

		if (r != 0)
			return r;
	} else if (v->value.kind != TOML_TABLE || v->made == BY_VALUE || v->made == BY_HEADER ||
	    (v->made == BY_DOTS && v->section != p->section)) {
		return defined_already(at, key, v, ": dotted keys cannot add to it");
	}
	v->made = BY_DOTS;
	v->section = p->section;
	*t = v;
	return 0;
}

/*
 * Read a dotted key.  All but its last part are walked from *t by way of dots
 * or headers; *t is then the table of the last part, which is left in key, its place in *at.
 */
static int
read_keys(struct parser *p, struct toml **t, struct buf *key, struct toml_scan *at, bool header)
{
	for (;;) {
		int r;

		toml_scan_blanks(&p->s);
		*at = p->s;
		buf_reset(key);
		if ((r = toml_scan_key(&p->s, key)) != 0)
			return r;
		toml_scan_blanks(&p->s);
		if (!toml_scan_take(&p->s, "."))
			return 0;
		r = header ? enter_path(t, buf_str(key), at) : enter_dots(p, t, buf_str(key), at);
		if (r != 0)
			return r;
	}
}

/* [a.b.c] */
static int
open_table(struct parser *p, struct toml *in, const char *key, const struct toml_scan *at)
{
	struct toml *v = find(in, key);
	int r;

	if (v == NULL && (r = add(&v, in, key, TOML_TABLE, at)) != 0)
		return r;
	if (v->value.kind != TOML_TABLE || v->made != BY_PATH)
		return defined_already(at, key, v, "");
	v->made = BY_HEADER;
	v->line = at->line;
	v->column = at->column;
	p->table = v;
	return 0;
}

/* [[a.b.c]] */
static int
open_array(struct parser *p, struct toml *in, const char *key, const struct toml_scan *at)
{
	struct toml *v = find(in, key);
	int r;

	if (v == NULL) {
		if ((r = add(&v, in, key, TOML_ARRAY, at)) != 0)
			return r;
		v->made = BY_HEADER;
	}
	if (v->value.kind != TOML_ARRAY || v->made != BY_HEADER)
		return defined_already(at, key, v, ", and no [[array]] of tables");
	if ((r = add(&p->table, v, NULL, TOML_TABLE, at)) != 0)
		return r;
	p->table->made = BY_HEADER;
	return 0;
}

static int
read_header(struct parser *p)
{
	AUTO_BUF key = { 0 };
	bool array = toml_scan_take(&p->s, "[[");
	const char *close = array ? "]]" : "]";
	struct toml *in = p->root;
	struct toml_scan at;
	int r;

	if (!array)
		toml_scan_skip(&p->s, 1);
	if ((r = read_keys(p, &in, &key, &at, true)) != 0)
		return r;
	if (!toml_scan_take(&p->s, close))
		return toml_scan_expected(&p->s, array ? "]] or ." : "] or .");
	r = array ? open_array(p, in, buf_str(&key), &at) : open_table(p, in, buf_str(&key), &at);
	p->section = ++p->last_section;
	return r;
}

/* --- values --- */

/* key = value, without what follows it */
static int
read_assignment(struct parser *p, struct toml *table)
{
	AUTO_BUF key = { 0 };
	struct toml_scan at;
	struct toml *v;
	int r;

	if ((r = read_keys(p, &table, &key, &at, false)) != 0)
		return r;
	if (!toml_scan_take(&p->s, "="))
		return toml_scan_expected(&p->s, "= or .");
	if ((v = find(table, buf_str(&key))) != NULL)
		return defined_already(&at, buf_str(&key), v, "");
	if ((r = add(&v, table, buf_str(&key), TOML_TABLE, &at)) != 0)
		return r;
	toml_scan_blanks(&p->s);
	return read_value(p, v);
}

static int
read_array(struct parser *p, struct toml *v)
{
	v->value.kind = TOML_ARRAY;
	toml_scan_skip(&p->s, 1);
	for (;;) {
		struct toml *item;
		int r;

		toml_scan_blank_lines(&p->s);
		if (toml_scan_take(&p->s, "]"))
			return 0;
		if (*p->s.p == ',')
			return toml_scan_expected(&p->s, "a value or ]");
		if ((r = add(&item, v, NULL, TOML_TABLE, &p->s)) != 0 ||
		    (r = read_value(p, item)) != 0)
			return r;
		toml_scan_blank_lines(&p->s);
		if (!toml_scan_take(&p->s, ",") && *p->s.p != ']')
			return toml_scan_expected(&p->s, ", or ]");
	}
}

/* { a = 1, b.c = 2 }, since TOML 1.1 on many lines and with a last comma; dotted keys are a section of their own. */
static int
read_inline(struct parser *p, struct toml *v)
{
	unsigned outer = p->section;
	int r;

	v->value.kind = TOML_TABLE;
	p->section = ++p->last_section;
	toml_scan_skip(&p->s, 1);
	for (;;) {
		toml_scan_blank_lines(&p->s);
		if (toml_scan_take(&p->s, "}"))
			break;
		if ((r = read_assignment(p, v)) != 0)
			return r;
		toml_scan_blank_lines(&p->s);
		if (!toml_scan_take(&p->s, ",") && *p->s.p != '}')
			return toml_scan_expected(&p->s, ", or }");
	}
	p->section = outer;
	return 0;
}

static int
read_value(struct parser *p, struct toml *v)
{
	AUTO_BUF text = { 0 };
	int r;

	v->made = BY_VALUE;
	if (*p->s.p == '[')
		return read_array(p, v);
	if (*p->s.p == '{')
		return read_inline(p, v);
	if (*p->s.p == '"' || *p->s.p == '\'') {
		v->value.kind = TOML_STRING;
		r = toml_scan_string(&p->s, &text);
	} else {
		r = toml_value_read(&v->value, &text, &p->s);
	}
	if (r == 0 && (v->value.kind == TOML_STRING || v->value.kind == TOML_DATETIME))
		v->text = buf_take_str(&text);
	return r;
}

int
toml_parse(struct toml **out, const char *file, struct bytes text, struct err *e)
{
	AUTO_BUF clean = BUF_MAX(TOML_MAX);
	AUTO(toml) root = mem_zalloc(sizeof(*root));
	struct parser p = { .root = root, .table = root };
	int r;

	if (text.n > TOML_MAX)
		return err_set(e, E_TOOBIG, "%s: more than %zu octets", file, TOML_MAX);
	if ((r = toml_scan_clean(&clean, file, text, e)) != 0)
		return r;
	root->files = mem_zalloc(sizeof(*root->files) + strlen(file) + 1);
	root->file = memcpy(root->files->name, file, strlen(file) + 1);
	root->line = root->column = 1;
	root->made = BY_HEADER;
	p.s = (struct toml_scan){ file, buf_str(&clean), 1, 1, e };
	for (toml_scan_blank_lines(&p.s); *p.s.p != 0; toml_scan_blank_lines(&p.s)) {
		r = *p.s.p == '[' ? read_header(&p) : read_assignment(&p, p.table);
		if (r != 0 || (r = toml_scan_line_end(&p.s)) != 0)
			return r;
	}
	*out = TAKE(root);
	return 0;
}

/* --- reading the tree --- */

enum toml_kind
toml_kind(const struct toml *v)
{
	return v->value.kind;
}

const char *
toml_kind_name(enum toml_kind k)
{
	static const char *const names[] = {
		[TOML_TABLE] = "a table", [TOML_ARRAY] = "an array", [TOML_STRING] = "a string",
		[TOML_INTEGER] = "an integer", [TOML_FLOAT] = "a float", [TOML_BOOLEAN] = "a boolean",
		[TOML_DATETIME] = "a date or time",
	};

	return names[k];
}

const char *
toml_key(const struct toml *v)
{
	return v->key != NULL ? v->key : "";
}

int
toml_line(const struct toml *v)
{
	return v->line;
}

int
toml_column(const struct toml *v)
{
	return v->column;
}

const char *
toml_file(const struct toml *v)
{
	return v->file;
}

size_t
toml_count(const struct toml *v)
{
	return v->n;
}

const struct toml *
toml_at(const struct toml *v, size_t i)
{
	assert(i < v->n);
	return v->item[i];
}

const struct toml *
toml_get(const struct toml *table, const char *key)
{
	return table->value.kind == TOML_TABLE ? find(table, key) : NULL;
}

const char *
toml_string(const struct toml *v)
{
	assert(v->value.kind == TOML_STRING);
	return v->text;
}

int64_t
toml_integer(const struct toml *v)
{
	assert(v->value.kind == TOML_INTEGER);
	return v->value.integer;
}

double
toml_float(const struct toml *v)
{
	assert(v->value.kind == TOML_FLOAT);
	return v->value.number;
}

bool
toml_boolean(const struct toml *v)
{
	assert(v->value.kind == TOML_BOOLEAN);
	return v->value.boolean;
}

const char *
toml_datetime(const struct toml *v)
{
	assert(v->value.kind == TOML_DATETIME);
	return v->text;
}

/* "a.b[2].c" of v */
static void
put_path(struct buf *out, const struct toml *v)
{
	size_t i = 0;

	if (v->parent == NULL)
		return;
	put_path(out, v->parent);
	if (v->key == NULL) {
		while (v->parent->item[i] != v)
			i++;
		buf_printf(out, "[%zu]", i);
		return;
	}
	if (out->n != 0)
		buf_put_str(out, ".");
	text_escape(out, bytes_of(v->key));
}

int
toml_err(struct err *e, const struct toml *v, const char *fmt, ...)
{
	AUTO_BUF path = BUF_MAX(160);
	AUTO_BUF text = { 0 };
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	if (v->parent == NULL)
		return err_set(e, E_FORMAT, "%s:%d:%d: %s", v->file, v->line, v->column, buf_str(&text));
	put_path(&path, v);
	return err_set(e, E_FORMAT, "%s:%d:%d: key '%s': %s", v->file, v->line, v->column,
	    buf_str(&path), buf_str(&text));
}
