/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_guard.c - the first octets that a stranger sends: the head's end, its judge, the path */
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "core/net/guard.h"
#include "core/net/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool ok)
{
	if (!ok)
		abort();
}

static bool
is_clean(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++) {
		if ((b.p[i] < 32 && b.p[i] != '\t') || b.p[i] == 127)
			return false;
	}
	return true;
}

/* What passed has the properties that everything behind the guard relies on. */
static void
check_passed(const struct guard *g, struct bytes head)
{
	need(g->n <= NET_FIELDS_MAX && guard_count(g, "Host") <= 1 && (g->v10 || guard_count(g, "Host") == 1));
	need(!(g->has_length && g->chunked) && !(g->chunked && g->v10));
	need(guard_count(g, "Content-Length") + guard_count(g, "Transfer-Encoding") <= 1);
	need(g->length <= INT64_MAX && (g->has_length || g->length == 0));
	need(g->target.n != 0 && g->target.p[0] == '/' && is_clean(g->target));
	need(!g->v10 || g->close);
	for (size_t i = 0; i < g->n; i++) {
		need(g->field[i].name.n != 0 && is_clean(g->field[i].name) && is_clean(g->field[i].value));
		need(g->field[i].name.p > head.p && g->field[i].value.p + g->field[i].value.n < head.p + head.n);
		need(memchr(g->field[i].name.p, ' ', g->field[i].name.n) == NULL);
	}
}

static void
check_path(struct bytes target)
{
	AUTO_BUF path = { 0 };
	const char *s;

	if (path_decode(&path, target, NULL) != 0)
		return;
	s = buf_str(&path);
	need(strlen(s) == path.n && s[0] == '/' && text_valid_utf8(bytes_of_buf(&path)));
	need(strstr(s, "/../") == NULL && strstr(s, "/./") == NULL && strchr(s, '\\') == NULL);
	need(path.n < 3 || strcmp(s + path.n - 3, "/..") != 0);
}

/* What is said of it to an HTTP library passes as well, and frames the body alike. */
static void
check_reduced(const struct guard *g)
{
	AUTO_BUF head = { 0 };
	struct guard_no no = { 0 };
	struct guard again;

	guard_reduced(&head, g);
	need(guard_check(&again, bytes_of_buf(&head), 0, &no));
	need(again.method == g->method && again.v10 == g->v10 && again.close == g->close);
	need(again.has_length == g->has_length && again.length == g->length && again.chunked == g->chunked);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes in = { p, n };
	size_t blanks = guard_blanks(in), from = 0, end = 0, again = 0, end_again = 0;
	struct guard_no no = { 0 };
	struct guard g;
	int r;

	need(blanks <= n && blanks % 2 == 0);
	check_path(in);
	in = bytes_slice(in, blanks, n);
	r = guard_end(in, &from, &end);
	if (in.n != 0 && guard_end(bytes_slice(in, 0, in.n / 2), &again, &end_again) == 0) {
		need(guard_end(in, &again, &end_again) == r); /* however it is cut */
		need(r != 1 || end == end_again);
	}
	if (r == 1)
		in = bytes_slice(in, 0, end);
	if (!guard_check(&g, in, 0, &no)) {
		need(no.status >= 400 && no.status < 600 && no.event != NULL && no.text != NULL);
		return 0;
	}
	need(r == 1);
	check_passed(&g, in);
	check_reduced(&g);
	check_path(g.target);
	return 0;
}
