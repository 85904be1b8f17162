/* SPDX-License-Identifier: Apache-2.0 */
/* agent/logs.c - the logs of a prefix's services as one: by time, and as they grow */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "device/agent/system.h"

#define READ_MAX  ((size_t)4 * 1024 * 1024) /* of each, from its end */
#define STEP_MS   200
#define TIME_LEN  20                        /* "2026-11-21T03:04:05Z" */

/* One service's file; at: how far it was read. */
struct source {
	const char *service;
	char path[PLACE_MAX];
	off_t at;
	struct buf text;
	size_t next;       /* octet of text at which the next line begins */
};

struct sources {
	struct source v[DETACHED_MAX];
	size_t n;
};

static void
sources_clear(struct sources *s)
{
	for (size_t i = 0; i < s->n; i++)
		buf_free(&s->v[i].text);
}

static int
open_sources(struct sources *out, const struct system *s, struct err *e)
{
	for (size_t i = 0; s->processes.services[i] != NULL; i++) {
		struct source *x = &out->v[out->n++];
		struct place p;
		int r;

		x->service = s->processes.services[i];
		x->text = BUF_MAX(READ_MAX + 1);
		if ((r = place_find(&p, x->service, s->place.prefix, e)) != 0 || (r = detached_log(x->path, &p, e)) != 0)
			return r;
	}
	return 0;
}

/* What came since; a file that shrank is read from its beginning. */
static int
read_more(struct source *x, struct err *e)
{
	AUTO_FD fd = open(x->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	uint8_t piece[16384];
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_errno(e, E_IO, "%s", x->path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_POLICY, "%s: not a file", x->path);
	if (st.st_size < x->at)
		x->at = 0;
	if (st.st_size - x->at > (off_t)READ_MAX)
		x->at = st.st_size - (off_t)READ_MAX;
	while (x->at < st.st_size && (n = pread(fd, piece, sizeof(piece), x->at)) > 0) {
		if (x->text.n + (size_t)n > READ_MAX)
			break;
		buf_put(&x->text, piece, (size_t)n);
		x->at += n;
	}
	return 0;
}

/* The line that begins at x->next, without its end; all: also one that has none yet. */
static bool
next_line(struct bytes *out, const struct source *x, bool all)
{
	struct bytes rest = bytes_slice(bytes_of_buf(&x->text), x->next, x->text.n);
	const uint8_t *end = rest.n != 0 ? memchr(rest.p, '\n', rest.n) : NULL;

	if (rest.n == 0 || (end == NULL && !all))
		return false;
	*out = bytes_slice(rest, 0, end != NULL ? (size_t)(end - rest.p) : rest.n);
	return true;
}

/* "<6>2026-..." without the priority, which is for the journal. */
static struct bytes
without_priority(struct bytes line)
{
	return line.n > 3 && line.p[0] == '<' && line.p[2] == '>' ? bytes_slice(line, 3, line.n) : line;
}

/* Is a's line earlier?  One without a time belongs to the one before it, and comes at once. */
static bool
earlier(struct bytes a, struct bytes b)
{
	size_t n;

	a = without_priority(a);
	b = without_priority(b);
	n = a.n < b.n ? a.n : b.n;
	if (a.n < TIME_LEN || a.p[0] < '0' || a.p[0] > '9')
		return true;
	return memcmp(a.p, b.p, n < TIME_LEN ? n : TIME_LEN) < 0;
}

/* The source of the earliest line, or NULL. */
static struct source *
take_line(struct bytes *out, struct sources *s, bool all)
{
	struct source *best = NULL;
	struct bytes line;

	for (size_t i = 0; i < s->n; i++) {
		if (!next_line(&line, &s->v[i], all) || (best != NULL && !earlier(line, *out)))
			continue;
		best = &s->v[i];
		*out = line;
	}
	if (best != NULL)
		best->next += out->n + (best->next + out->n < best->text.n);
	return best;
}

static size_t
count_lines(const struct sources *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->v[i].text.n; k++)
			n += s->v[i].text.p[k] == '\n';
	return n;
}

/* All whole lines that were read, but the first `skip`. */
static void
put_lines(FILE *to, struct sources *s, size_t skip, bool all)
{
	const struct source *x;
	struct bytes line;

	while ((x = take_line(&line, s, all)) != NULL) {
		AUTO_BUF safe = { 0 };

		if (skip != 0) {
			skip--;
			continue;
		}
		line = without_priority(line);
		if (text_valid_utf8(line)) /* the services escape what they write themselves */
			buf_put_bytes(&safe, line);
		else
			text_escape(&safe, line);
		fprintf(to, "aziot-%s: %s\n", x->service, buf_str(&safe));
	}
	/* What is left is a line that is not whole yet. */
	for (size_t i = 0; i < s->n; i++) {
		struct source *y = &s->v[i];
		struct bytes rest = bytes_slice(bytes_of_buf(&y->text), y->next, y->text.n);
		uint8_t *kept = mem_dup(rest.p, rest.n);

		buf_reset(&y->text);
		buf_put(&y->text, kept, rest.n);
		y->next = 0;
		mem_free(kept);
	}
	(void)fflush(to);
}

int
logs_print(FILE *to, const struct system *s, size_t lines, bool follow, struct err *e)
{
	__attribute__((cleanup(sources_clear))) struct sources all = { 0 };
	int r = open_sources(&all, s, e);
	size_t n;

	for (size_t i = 0; r == 0 && i < all.n; i++)
		r = read_more(&all.v[i], e);
	n = count_lines(&all);
	if (r == 0)
		put_lines(to, &all, lines != 0 && n > lines ? n - lines : 0, !follow);
	while (r == 0 && follow && !ferror(to)) {
		(void)poll(NULL, 0, STEP_MS);
		for (size_t i = 0; r == 0 && i < all.n; i++)
			r = read_more(&all.v[i], e);
		put_lines(to, &all, 0, false);
	}
	return r;
}
