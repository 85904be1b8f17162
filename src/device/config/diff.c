/* SPDX-License-Identifier: Apache-2.0 */
/* config/diff.c - the difference of two configuration files */
#include "device/config/diff.h"

#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"

#define LINES_MAX 2000 /* more are shown as gone and come */
#define CONTEXT   3

struct lines {
	struct bytes *v;
	bool *env; /* of an environment, which often holds tokens */
	size_t n;
};

static bool
begins(struct bytes line, const char *word)
{
	return line.n >= strlen(word) && memcmp(line.p, word, strlen(word)) == 0;
}

static struct lines
split(struct bytes text)
{
	struct lines l = { 0 };
	bool env = false;

	for (size_t i = 0; i < text.n; i++)
		l.n += text.p[i] == '\n' || i + 1 == text.n;
	l.v = mem_zalloc_n(l.n + 1, sizeof(*l.v));
	l.env = mem_zalloc_n(l.n + 1, sizeof(*l.env));
	l.n = 0;
	while (text.n != 0) {
		const uint8_t *end = memchr(text.p, '\n', text.n);
		size_t n = end != NULL ? (size_t)(end - text.p) : text.n;

		if (n != 0 && *text.p == '[')
			env = begins(text, "[agent.env]");
		l.env[l.n] = env && *text.p != '[';
		l.v[l.n++] = (struct bytes){ text.p, n };
		text = bytes_slice(text, end != NULL ? n + 1 : n, text.n);
	}
	return l;
}

/* Is the value of a line a secret by its name, or a URL with a user in it? */
static bool
is_hidden(struct bytes line)
{
	static const char *const names[] = { "password = ", "headers = ", "endorsement = ", "owner = " };
	const uint8_t *host = line.n != 0 ? memmem(line.p, line.n, "://", 3) : NULL;

	for (size_t i = 0; i < N_OF(names); i++)
		if (begins(line, names[i]))
			return true;
	return host != NULL && memchr(host, '@', line.n - (size_t)(host - line.p)) != NULL;
}

/* What may be shown of a line. */
static void
put_line(struct buf *out, char mark, const struct lines *of, size_t i)
{
	struct bytes line = of->v[i];
	const uint8_t *pin = line.n != 0 ? memmem(line.p, line.n, "pin-value=", 10) : NULL;
	const uint8_t *is = line.n != 0 ? memmem(line.p, line.n, " = ", 3) : NULL;

	buf_printf(out, "%c ", mark);
	if (is != NULL && (of->env[i] || is_hidden(line))) {
		text_escape(out, (struct bytes){ line.p, (size_t)(is - line.p) });
		buf_put_str(out, " = \"***\"\n");
		return;
	}
	text_escape(out, pin != NULL ? (struct bytes){ line.p, (size_t)(pin - line.p) + 10 } : line);
	buf_put_str(out, pin != NULL ? "***\"\n" : "\n");
}

/* table[i][k]: the longest common run of lines from i of a and k of b on. */
static uint16_t *
measure(const struct lines *a, const struct lines *b)
{
	size_t w = b->n + 1;
	uint16_t *t = mem_zalloc_n((a->n + 1) * w, sizeof(*t));

	for (size_t i = a->n; i-- > 0;) {
		for (size_t k = b->n; k-- > 0;) {
			uint16_t down = t[(i + 1) * w + k], right = t[i * w + k + 1];

			if (bytes_equal(a->v[i], b->v[k]))
				t[i * w + k] = (uint16_t)(t[(i + 1) * w + k + 1] + 1);
			else
				t[i * w + k] = down >= right ? down : right;
		}
	}
	return t;
}

/* Unchanged lines: those next to a change are shown, which is before them, behind them, or both. */
static void
put_same(struct buf *out, const struct lines *a, size_t from, size_t to, bool before, bool behind)
{
	size_t head = before ? CONTEXT : 0, tail = behind ? CONTEXT : 0;

	for (size_t i = from; i < to; i++) {
		if (i < from + head || i + tail >= to)
			put_line(out, ' ', a, i);
		else if (i == from + head)
			buf_put_str(out, "  ...\n");
	}
}

static void
walk(struct buf *out, const struct lines *a, const struct lines *b, const uint16_t *t)
{
	size_t w = b->n + 1, i = 0, k = 0;

	while (i < a->n || k < b->n) {
		size_t from = i;
		bool before = i != 0 || k != 0;

		while (i < a->n && k < b->n && bytes_equal(a->v[i], b->v[k])) {
			i++;
			k++;
		}
		if (i > from)
			put_same(out, a, from, i, before, i < a->n || k < b->n);
		else if (k == b->n || (i < a->n && t[(i + 1) * w + k] >= t[i * w + k + 1]))
			put_line(out, '-', a, i++);
		else
			put_line(out, '+', b, k++);
	}
}

void
diff_lines(struct buf *out, struct bytes old, struct bytes fresh)
{
	struct lines a = split(old), b = split(fresh);
	uint16_t *t = NULL;

	if (bytes_equal(old, fresh)) {
		/* nothing to say */
	} else if (a.n > LINES_MAX || b.n > LINES_MAX) {
		for (size_t i = 0; i < a.n; i++)
			put_line(out, '-', &a, i);
		for (size_t i = 0; i < b.n; i++)
			put_line(out, '+', &b, i);
	} else {
		t = measure(&a, &b);
		walk(out, &a, &b, t);
	}
	mem_free(t);
	mem_free(a.v);
	mem_free(a.env);
	mem_free(b.v);
	mem_free(b.env);
}
