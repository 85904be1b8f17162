/* SPDX-License-Identifier: Apache-2.0 */
/* codec/toml_merge.c - several documents that say one thing */
#include "core/codec/toml.h"

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/codec/toml_tree.h"

static int merge(struct toml *base, struct toml *patch, struct err *e);

/* Take the i-th item out of v, which forgets it. */
static struct toml *
detach(struct toml *v, size_t i)
{
	return TAKE(v->item[i]);
}

static int
too_many(const struct toml *v, struct err *e)
{
	AUTO_BUF safe = BUF_MAX(80);

	text_escape(&safe, bytes_of(v->key));
	return err_set(e, E_TOOBIG, "%s:%d:%d: key '%s': more than %zu keys in one table", v->file, v->line,
	    v->column, buf_str(&safe), TOML_KEYS_MAX);
}

/* The patch's value of one key goes where the base has it, or last. */
static int
merge_key(struct toml *base, struct toml *patch, size_t i, struct err *e)
{
	size_t at = toml_index(base, patch->item[i]->key);

	if (at == base->n) {
		if (base->n >= TOML_KEYS_MAX)
			return too_many(patch->item[i], e);
		toml_attach(base, detach(patch, i));
		return 0;
	}
	if (patch->item[i]->value.kind <= TOML_ARRAY &&
	    patch->item[i]->value.kind == base->item[at]->value.kind)
		return merge(base->item[at], patch->item[i], e);
	toml_free(base->item[at]);
	base->item[at] = detach(patch, i);
	base->item[at]->parent = base;
	return 0;
}

/* Two tables or two arrays; as deep as the documents are, which TOML_DEPTH bounds. */
static int
merge(struct toml *base, struct toml *patch, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < patch->n; i++) {
		if (base->value.kind == TOML_TABLE)
			r = merge_key(base, patch, i, e);
		else
			toml_attach(base, detach(patch, i));
	}
	return r;
}

/* The names of the patch's files live on with the values that came from them. */
static void
take_files(struct toml *base, struct toml *patch)
{
	struct toml_file **end = &base->files;

	while (*end != NULL)
		end = &(*end)->next;
	*end = TAKE(patch->files);
}

int
toml_merge(struct toml *base, struct toml *patch, struct err *e)
{
	int r = merge(base, patch, e);

	take_files(base, patch);
	toml_free(patch);
	return r;
}
