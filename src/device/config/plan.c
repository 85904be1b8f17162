/* SPDX-License-Identifier: Apache-2.0 */
/* config/plan.c - lists, maps and texts of a plan */
#include "device/config/plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

const struct renewal renewal_default = { .given = true, .rotate = true, .threshold = "80%", .retry = "4%" };

void
words_add(struct words *w, const char *text)
{
	w->v = mem_resize(w->v, w->n * sizeof(*w->v), (w->n + 1) * sizeof(*w->v));
	w->v[w->n++] = text;
}

void
words_free(struct words *w)
{
	mem_free(w->v);
	*w = (struct words){ 0 };
}

struct entry *
map_put(struct map *m, const char *key, const char *value)
{
	size_t at = 0;

	while (at < m->n && strcmp(m->v[at].key, key) < 0)
		at++;
	if (at == m->n || strcmp(m->v[at].key, key) != 0) {
		m->v = mem_resize(m->v, m->n * sizeof(*m->v), (m->n + 1) * sizeof(*m->v));
		memmove(m->v + at + 1, m->v + at, (m->n - at) * sizeof(*m->v));
		m->n++;
		m->v[at] = (struct entry){ .key = key };
	}
	words_free(&m->v[at].list);
	m->v[at].value = value;
	return &m->v[at];
}

const char *
map_get(const struct map *m, const char *key)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->v[i].key, key) == 0)
			return m->v[i].value;
	return NULL;
}

void
map_free(struct map *m)
{
	for (size_t i = 0; i < m->n; i++)
		words_free(&m->v[i].list);
	mem_free(m->v);
	*m = (struct map){ 0 };
}

struct grant *
grants_add(struct grants *g, int64_t uid)
{
	assert(g->n < PLAN_GRANTS_MAX);
	g->v[g->n] = (struct grant){ .uid = uid };
	return &g->v[g->n++];
}

const char *
plan_text(struct plan *p, const char *fmt, ...)
{
	AUTO_BUF text = { 0 };
	va_list ap;
	char *s;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	s = buf_take_str(&text);
	words_add(&p->texts, s);
	return s;
}

struct issue *
plan_issue(struct plan *p, const char *id)
{
	p->issues =
	    mem_resize(p->issues, p->n_issues * sizeof(*p->issues), (p->n_issues + 1) * sizeof(*p->issues));
	p->issues[p->n_issues].id = id;
	return &p->issues[p->n_issues++];
}

void
plan_refer(struct plan *p, const struct toml *at, const char *path, enum reference_kind kind,
    const char *user)
{
	size_t size = sizeof(*p->references);

	p->references = mem_resize(p->references, p->n_references * size, (p->n_references + 1) * size);
	p->references[p->n_references++] = (struct reference){ at, path, kind, user };
}

static int
by_id(const void *a, const void *b)
{
	return strcmp(((const struct issue *)a)->id, ((const struct issue *)b)->id);
}

void
plan_sort(struct plan *p)
{
	if (p->n_issues != 0)
		qsort(p->issues, p->n_issues, sizeof(*p->issues), by_id);
}

static void
grants_clear(struct grants *g)
{
	for (size_t i = 0; i < g->n; i++)
		words_free(&g->v[i].ids);
}

void
plan_clear(struct plan *p)
{
	struct map *maps[] = {
		&p->aziot_keys, &p->preloaded_keys, &p->urls, &p->preloaded_certs, &p->provisioning.subject,
		&p->edge.subject, &p->edge.info, &p->edge.content_trust,
	};

	for (size_t i = 0; i < p->n_issues; i++) {
		map_free(&p->issues[i].subject);
		words_free(&p->issues[i].auth.headers);
	}
	for (size_t i = 0; i < N_OF(maps); i++)
		map_free(maps[i]);
	grants_clear(&p->keys);
	grants_clear(&p->certs);
	grants_clear(&p->modules);
	words_free(&p->trusted);
	words_free(&p->provisioning.trusted);
	words_free(&p->est_auth.headers);
	buf_free(&p->device_key);
	mem_free(p->issues);
	mem_free(p->references);
	for (size_t i = 0; i < p->texts.n; i++)
		mem_free_wiped((void *)(uintptr_t)p->texts.v[i],
		    strlen(p->texts.v[i])); /* it may be a password */
	words_free(&p->texts);
	*p = (struct plan){ 0 };
}
