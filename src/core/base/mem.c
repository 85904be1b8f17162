/* SPDX-License-Identifier: Apache-2.0 */
/* base/mem.c - the only door to the allocator */
#include "core/base/mem.h"

#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void *
mem_zalloc(size_t n)
{
	void *p = calloc(1, n != 0 ? n : 1);

	if (p == NULL)
		abort();
	return p;
}

void *
mem_zalloc_n(size_t n, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(n, size, &all))
		abort();
	return mem_zalloc(all);
}

void *
mem_resize(void *p, size_t had, size_t want)
{
	void *q = mem_zalloc(want);

	if (p != NULL) {
		memcpy(q, p, had < want ? had : want);
		mem_free_wiped(p, had);
	}
	return q;
}

void *
mem_dup(const void *p, size_t n)
{
	uint8_t *q;

	if (n == SIZE_MAX)
		abort();
	q = mem_zalloc(n + 1);
	if (n != 0)
		memcpy(q, p, n);
	return q;
}

char *
mem_strdup(const char *s)
{
	return mem_dup(s, strlen(s));
}

void
mem_free(void *p)
{
	free(p);
}

void
mem_keep(size_t n)
{
	(void)mallopt(M_TRIM_THRESHOLD, n < INT_MAX ? (int)n : INT_MAX);
}

void
mem_free_wiped(void *p, size_t n)
{
	if (p == NULL)
		return;
	mem_wipe(p, n);
	free(p);
}

void
mem_wipe(void *p, size_t n)
{
	if (n != 0)
		explicit_bzero(p, n);
}

/* What stands before a piece's content. */
struct piece {
	size_t n;
	max_align_t content[];
};

static struct piece *
piece_of(void *content)
{
	return (struct piece *)(void *)((uint8_t *)content - offsetof(struct piece, content));
}

void *
mem_piece_new(size_t n)
{
	struct piece *p;
	size_t all;

	if (__builtin_add_overflow(n, sizeof(*p), &all))
		abort();
	p = mem_zalloc(all);
	p->n = n;
	return p->content;
}

void *
mem_piece_resize(void *content, size_t n)
{
	void *next = mem_piece_new(n);
	size_t had = content != NULL ? piece_of(content)->n : 0;

	if (had != 0)
		memcpy(next, content, had < n ? had : n);
	mem_piece_free(content);
	return next;
}

void
mem_piece_free(void *content)
{
	if (content != NULL)
		mem_free_wiped(piece_of(content), sizeof(struct piece) + piece_of(content)->n);
}

bool
mem_equal_ct(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t diff = 0;

	for (size_t i = 0; i < n; i++)
		diff |= (uint8_t)(x[i] ^ y[i]);
	return diff == 0;
}
