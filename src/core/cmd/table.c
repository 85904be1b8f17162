/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/table.c - widths, alignment, colour and truncation of what people read */
#include "core/cmd/table.h"

#include <ctype.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define COLUMNS_MAX 16
#define COLUMN_LEAST 7   /* a column is never cut below this */
#define TIME_LEAST 11    /* nor a time below its date */
#define GAP 2            /* blanks between columns */
#define SERIAL_SHORT 12  /* digits of a serial shown on a terminal: more than verbs need to know one by */
#define NAME_WIDTH 16    /* of table_line() */
#define BAR 20           /* cells of table_life() */
#define LIFE_MAX ((int64_t)1 << 40) /* seconds; dates of certificates end at 2^38 */

/* Code points that take no column, or two; the rest take one. */
static const struct { uint32_t from, to; unsigned width; } widths[] = {
	{ 0x0300, 0x036f, 0 }, { 0x20d0, 0x20ff, 0 }, { 0xfe00, 0xfe0f, 0 },
	{ 0x1100, 0x115f, 2 }, { 0x2e80, 0xa4cf, 2 }, { 0xac00, 0xd7a3, 2 }, { 0xf900, 0xfaff, 2 },
	{ 0xfe30, 0xfe6f, 2 }, { 0xff00, 0xff60, 2 }, { 0xffe0, 0xffe6, 2 },
	{ 0x1f300, 0x1f64f, 2 }, { 0x1f900, 0x1f9ff, 2 }, { 0x20000, 0x3fffd, 2 },
};

/* What a state's colour is: red for what needs somebody, green for what is well. */
static const struct { const char *state, *colour; } colours[] = {
	{ "active", "\033[32m" }, { "ok", "\033[32m" }, { "live", "\033[32m" }, { "fresh", "\033[32m" }, { "assigned", "\033[32m" },
	{ "refused", "\033[31m" }, { "revoked", "\033[31m" }, { "forked", "\033[31m" },
	{ "missing", "\033[31m" }, { "failing", "\033[31m" }, { "failed", "\033[31m" }, { "corrupt", "\033[31m" },
	{ "expired", "\033[33m" }, { "renewing", "\033[36m" }, { "assigning", "\033[36m" }, { "expected", "\033[36m" },
	{ "superseded", "\033[2m" }, { "used", "\033[2m" }, { "disabled", "\033[2m" }, { "retired", "\033[2m" },
};

/* The first code point of well-formed UTF-8; its octets in *n. */
static uint32_t
code_point(const char *s, size_t *n)
{
	const uint8_t *p = (const uint8_t *)s;
	uint32_t cp;

	*n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	cp = *n == 1 ? p[0] : p[0] & (0xffu >> (*n + 1));
	for (size_t i = 1; i < *n && p[i] != 0; i++)
		cp = cp << 6 | (p[i] & 0x3fu);
	return cp;
}

static unsigned
width_of(uint32_t cp)
{
	for (size_t i = 0; i < N_OF(widths); i++)
		if (cp >= widths[i].from && cp <= widths[i].to)
			return widths[i].width;
	return 1;
}

unsigned
table_width(const char *s)
{
	unsigned w = 0;
	size_t n, left = strlen(s);

	for (; left != 0; s += n, left -= n) {
		w += width_of(code_point(s, &n));
		if (n > left)
			break;
	}
	return w;
}

const char *
table_colour(const struct cli *c, const char *state)
{
	if (c->colour)
		for (size_t i = 0; i < N_OF(colours); i++)
			if (strcmp(colours[i].state, state) == 0)
				return colours[i].colour;
	return "";
}

const char *
table_plain(const struct cli *c)
{
	return c->colour ? "\033[0m" : "";
}

static void
cell_list(struct buf *out, const json_t *v)
{
	size_t i;
	json_t *item;

	if (json_array_size(v) == 0)
		buf_put_str(out, "-");
	json_array_foreach(v, i, item) {
		if (i != 0)
			buf_put_str(out, ", ");
		table_cell(out, item, COL_TEXT);
	}
}

/* What JSON leaves as it is may still turn a terminal's text around. */
static void
cell_json(struct buf *out, const json_t *v)
{
	AUTO_BUF text = { 0 };

	json_print(&text, v, false);
	text_show(out, bytes_of_buf(&text));
}

void
table_cell(struct buf *out, const json_t *v, enum column_kind kind)
{
	char when[CLOCK_TEXT_MAX];

	if (v == NULL || json_is_null(v) || (kind == COL_TIME && json_is_integer(v) && json_integer_value(v) == 0))
		buf_put_str(out, "-");
	else if (kind == COL_TIME && json_is_integer(v))
		buf_put_str(out, clock_text(json_integer_value(v), when));
	else if (json_is_string(v) && json_string_length(v) == 0)
		buf_put_str(out, "-");
	else if (json_is_string(v))
		text_show(out, (struct bytes){ (const uint8_t *)json_string_value(v), json_string_length(v) });
	else if (json_is_array(v))
		cell_list(out, v);
	else if (json_is_boolean(v))
		buf_put_str(out, json_is_true(v) ? "yes" : "no");
	else
		cell_json(out, v);
}

const char *
table_text(struct buf *b, const json_t *obj, const char *member, enum column_kind kind)
{
	buf_reset(b);
	table_cell(b, json_object_get(obj, member), kind);
	return buf_str(b);
}

/* What a column reads of its item. */
static const json_t *
member(const struct column *col, const json_t *item)
{
	char name[64];
	size_t i;

	if (col->member != NULL)
		return json_object_get(item, col->member);
	for (i = 0; i + 1 < sizeof(name) && col->title[i] != 0; i++)
		name[i] = col->title[i] == ' ' ? '_' : (char)tolower((unsigned char)col->title[i]);
	name[i] = 0;
	return json_object_get(item, name);
}

static char *
cell_text(const struct cli *c, const struct column *col, const json_t *item)
{
	AUTO_BUF text = { 0 };

	table_cell(&text, member(col, item), col->kind);
	if (col->kind == COL_SERIAL && c->tty && text.n > SERIAL_SHORT)
		text.n = SERIAL_SHORT;
	return buf_take_str(&text);
}

/* Write s in exactly w columns, cut with an ellipsis when it is wider; the last column is not padded. */
static void
put_cell(const struct cli *c, const struct column *col, const char *s, unsigned w, bool last)
{
	unsigned used = 0, all = table_width(s);
	const char *colour = col->kind == COL_STATE ? table_colour(c, s) : "";
	size_t n;

	fputs(colour, c->out);
	for (; *s != 0; s += n) {
		unsigned one = width_of(code_point(s, &n));

		if (used + one > w || (all > w && used + one > w - 1))
			break;
		(void)fwrite(s, 1, n, c->out);
		used += one;
	}
	if (*s != 0 && used < w) {
		fputs("…", c->out);
		used++;
	}
	if (*colour != 0)
		fputs(table_plain(c), c->out);
	if (!last)
		fprintf(c->out, "%*s", (int)(w - used + GAP), "");
}

/* The first column names the item, and names and ids are what the next verb takes; half a state is none. */
static bool
stays_whole(const struct column *cols, size_t i)
{
	return i == 0 || cols[i].kind == COL_STATE || cols[i].kind == COL_SERIAL || cols[i].kind == COL_ID;
}

/* The widest column that can be cut: of the times, or of the others; n when there is none. */
static size_t
widest(const struct column *cols, const unsigned *w, size_t n, bool times)
{
	size_t best = n;

	for (size_t i = 0; i < n; i++)
		if ((cols[i].kind == COL_TIME) == times && !stays_whole(cols, i) &&
		    w[i] > (times ? TIME_LEAST : COLUMN_LEAST) && (best == n || w[i] > w[best]))
			best = i;
	return best;
}

/* Cut the widest columns, times last, until the row fits the terminal. */
static void
fit(const struct cli *c, const struct column *cols, unsigned *w, size_t n)
{
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += w[i] + (i + 1 < n ? GAP : 0);
	for (; c->tty && c->width != 0 && sum > c->width; sum--) {
		size_t i = widest(cols, w, n, false);

		if (i == n)
			i = widest(cols, w, n, true);
		if (i == n)
			return;
		w[i]--;
	}
}

static void
print_rows(const struct cli *c, const struct column *cols, size_t n, char **cells, size_t rows)
{
	unsigned w[COLUMNS_MAX] = { 0 };
	const struct column plain = { .kind = COL_TEXT };

	for (size_t i = 0; i < n; i++) {
		w[i] = table_width(cols[i].title);
		for (size_t r = 0; r < rows; r++) {
			unsigned cw = table_width(cells[r * n + i]);

			w[i] = cw > w[i] ? cw : w[i];
		}
	}
	fit(c, cols, w, n);
	for (size_t i = 0; i < n; i++)
		put_cell(c, &plain, cols[i].title, w[i], i + 1 == n);
	fputc('\n', c->out);
	for (size_t r = 0; r < rows; r++) {
		for (size_t i = 0; i < n; i++)
			put_cell(c, &cols[i], cells[r * n + i], w[i], i + 1 == n);
		fputc('\n', c->out);
	}
}

void
table_print(const struct cli *c, const struct column *cols, const json_t *items)
{
	size_t n = 0, rows = json_array_size(items);
	char **cells;

	while (cols[n].title != NULL && n < COLUMNS_MAX)
		n++;
	if (rows == 0) {
		fputs("none\n", c->err);
		return;
	}
	cells = mem_zalloc_n(n * rows, sizeof(*cells));
	for (size_t r = 0; r < rows; r++)
		for (size_t i = 0; i < n; i++)
			cells[r * n + i] = cell_text(c, &cols[i], json_array_get(items, r));
	print_rows(c, cols, n, cells, rows);
	for (size_t i = 0; i < n * rows; i++)
		mem_free(cells[i]);
	mem_free(cells);
}

void
table_line(const struct cli *c, const char *name, const char *value)
{
	fprintf(c->out, "%-*s %s\n", NAME_WIDTH, name, value);
}

void
table_member(const struct cli *c, const char *name, const json_t *obj, const char *member, enum column_kind kind)
{
	AUTO_BUF b = { 0 };
	const char *s = table_text(&b, obj, member, kind);

	if (strcmp(s, "-") != 0)
		table_line(c, name, s);
}

void
table_life(const struct cli *c, int64_t from, int64_t to, int64_t now)
{
	int64_t life, over;
	int cells;

	/* The products below stay in range whatever a peer says. */
	if (to <= from || from < -LIFE_MAX || to > LIFE_MAX)
		return;
	life = to - from;
	over = now < from ? 0 : now > to ? life : now - from;
	cells = (int)(over * BAR / life);
	fputs("  [", c->out);
	for (int i = 0; i < BAR; i++)
		fputs(i < cells ? "█" : "░", c->out);
	fprintf(c->out, "] %d%%", (int)(over * 100 / life));
}

/* Times are known by their names. */
static enum column_kind
kind_of(const char *name)
{
	static const char *const times[] = { "not_before", "not_after", "last_contact", "last_used", "time" };
	size_t len = strlen(name);

	for (size_t i = 0; i < N_OF(times); i++)
		if (strcmp(name, times[i]) == 0)
			return COL_TIME;
	return len > 3 && strcmp(name + len - 3, "_at") == 0 ? COL_TIME : COL_TEXT;
}

void
table_print_object(const struct cli *c, const json_t *obj)
{
	const char *name;
	json_t *v;
	char shown[64];

	json_object_foreach((json_t *)obj, name, v) {
		AUTO_BUF text = { 0 };

		if (json_is_string(v) && strncmp(json_string_value(v), "-----BEGIN ", 11) == 0)
			continue;
		(void)snprintf(shown, sizeof(shown), "%s", name);
		for (char *p = shown; *p != 0; p++)
			*p = *p == '_' ? ' ' : *p;
		table_cell(&text, v, kind_of(name));
		table_line(c, shown, buf_str(&text));
	}
}
