/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/cli.c - a command line against a verb's record (getopt_long), and how results and errors reach people */
#include "core/cmd/cli.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define OPTS_MAX 48          /* options of one verb */
#define VALUES_MAX 1024      /* values in one command line */
#define INDEX_BASE 1000      /* getopt's val of the first option: above every character */

/* One value of one option or argument; lists have many. */
struct cli_given {
	const struct opt *opt;
	char *value;
	int64_t number;
};

static bool
is_list(const struct opt *o)
{
	return o->kind == OPT_LIST || o->kind == OPT_MANY;
}

/* Is value one of "a|b|c"? */
static bool
word_of(const char *words, const char *value)
{
	size_t n = strlen(value);

	for (const char *p = words; p != NULL; p = strchr(p, '|')) {
		p += *p == '|';
		if (strncmp(p, value, n) == 0 && (p[n] == '|' || p[n] == 0))
			return true;
	}
	return false;
}

static int
check_value(int64_t *number, const struct opt *o, const char *value, struct err *e)
{
	const char *words = o->kind == OPT_BOOL ? "yes|no" : o->words;
	uint64_t n = 0;

	*number = 0;
	if (o->kind == OPT_NUMBER && !text_parse_u64(&n, value, INT32_MAX))
		return *value != 0 && value[strspn(value, "0123456789")] == 0 ?
		    err_set(e, E_USAGE, "%s: '%s' is more than %d", o->name, value, INT32_MAX) :
		    err_set(e, E_USAGE, "%s: '%s' is not a number", o->name, value);
	if (words != NULL && !word_of(words, value))
		return err_set(e, E_USAGE, "%s: '%s' is not one of %s", o->name, value, words);
	if (!text_valid_utf8(bytes_of(value)))
		return err_set(e, E_USAGE, "%s: value has characters that are not printable text", o->name);
	if (o->kind == OPT_NUMBER)
		*number = (int64_t)n;
	if (o->kind == OPT_BOOL)
		*number = strcmp(value, "yes") == 0;
	return 0;
}

static int
keep(struct cli *c, const struct opt *o, const char *value, struct err *e)
{
	struct cli_given g = { .opt = o };
	int r = check_value(&g.number, o, value, e);

	if (r != 0)
		return r;
	if (!is_list(o) && cli_has(c, o->name))
		return err_set(e, E_USAGE, "%s: given twice", o->name);
	if (c->n_given == VALUES_MAX)
		return err_set(e, E_USAGE, "%s: more than %d values", o->name, VALUES_MAX);
	g.value = mem_strdup(value);
	c->given = mem_resize(c->given, c->n_given * sizeof(g), (c->n_given + 1) * sizeof(g));
	c->given[c->n_given++] = g;
	return 0;
}

/* The items of "a,b" one by one. */
static int
keep_items(struct cli *c, const struct opt *o, const char *value, struct err *e)
{
	for (;;) {
		size_t n = strcspn(value, ",");
		char *item = mem_dup(value, n);
		int r = keep(c, o, item, e);

		mem_free(item);
		if (r != 0 || value[n] == 0)
			return r;
		value += n + 1;
	}
}

static int
take(struct cli *c, const struct opt *o, const char *value, struct err *e)
{
	if (o->kind == OPT_FLAG) {
		if (cli_has(c, o->name)) /* saying it again changes nothing */
			return 0;
		return keep(c, o, "yes", e);
	}
	return o->kind == OPT_LIST ? keep_items(c, o, value, e) : keep(c, o, value, e);
}

/* What getopt_long() wants to know of a verb's options. */
static void
describe(const struct verb *v, struct option longs[OPTS_MAX + 1], char shorts[2 * OPTS_MAX + 3])
{
	const struct opt *o;

	*shorts++ = ':';
	for (size_t i = 0; (o = verb_opt(v, i)) != NULL; i++) {
		assert(i < OPTS_MAX);
		longs[i] = (struct option){ o->name,
			o->kind == OPT_FLAG ? no_argument : required_argument, NULL, INDEX_BASE + (int)i };
		if (o->letter == 0)
			continue;
		*shorts++ = o->letter;
		if (o->kind != OPT_FLAG)
			*shorts++ = ':';
	}
	*shorts = 0;
}

static const struct opt *
by_letter(const struct verb *v, int letter)
{
	const struct opt *o;

	for (size_t i = 0; (o = verb_opt(v, i)) != NULL; i++)
		if (o->letter == letter)
			return o;
	return NULL;
}

static int
unknown(const struct verb *v, const char *word, struct err *e)
{
	char name[64];
	const struct opt *near;
	int n = (int)strcspn(word, "=");

	(void)snprintf(name, sizeof(name), "%.*s", n, word);
	near = strncmp(name, "--", 2) == 0 ? verb_near_opt(v, name + 2) : NULL;
	if (near != NULL)
		return err_set(e, E_USAGE, "%s: no such option; did you mean --%s?", name, near->name);
	return err_set(e, E_USAGE, "%s: no such option", name);
}

static int
parse_options(struct cli *c, int argc, char **argv, bool *help, struct err *e)
{
	struct option longs[OPTS_MAX + 1] = { 0 };
	char shorts[2 * OPTS_MAX + 3];
	int r = 0, got;

	describe(c->verb, longs, shorts);
	opterr = 0;
	optind = 0; /* glibc: start anew */
	while (r == 0 && (got = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct opt *o = got >= INDEX_BASE ?
		    verb_opt(c->verb, (size_t)(got - INDEX_BASE)) : by_letter(c->verb, got);

		if (got == ':')
			return err_set(e, E_USAGE, "%s: needs an argument", argv[optind - 1]);
		if (o == NULL && optopt >= INDEX_BASE)
			return err_set(e, E_USAGE, "%s: takes no argument", argv[optind - 1]);
		if (o == NULL && optopt != 0)
			return err_set(e, E_USAGE, "-%c: no such option", optopt);
		if (o == NULL)
			return unknown(c->verb, argv[optind - 1], e);
		if (strcmp(o->name, "help") == 0)
			*help = true;
		r = take(c, o, optarg, e);
	}
	return r;
}

static int
parse_arguments(struct cli *c, int argc, char **argv, struct err *e)
{
	const struct opt *o = c->verb->pos;
	int r = 0;

	for (int i = optind; r == 0 && i < argc; i++) {
		if (o == NULL || o->name == NULL)
			return err_set(e, E_USAGE, "%s: one argument too many", argv[i]);
		r = take(c, o, argv[i], e);
		if (!is_list(o))
			o++;
	}
	return r;
}

static int
check_required(const struct cli *c, struct err *e)
{
	const struct opt *o;

	for (o = c->verb->pos; o != NULL && o->name != NULL; o++)
		if (o->required && !cli_has(c, o->name))
			return err_set(e, E_USAGE, "%s is missing", o->arg != NULL ? o->arg : o->name);
	for (size_t i = 0; (o = verb_opt(c->verb, i)) != NULL; i++)
		if (o->required && !cli_has(c, o->name))
			return err_set(e, E_USAGE, "--%s is missing", o->name);
	return 0;
}

int
cli_parse(struct cli *c, const struct verb *v, int argc, char **argv, bool *help, struct err *e)
{
	int r;

	c->verb = v;
	*help = false;
	/* Known first: also an error on this very line goes to a program as JSON. */
	for (int i = 1; i < argc && !v->no_json; i++)
		c->json = c->json || strcmp(argv[i], "--json") == 0;
	r = parse_options(c, argc, argv, help, e);
	c->json = c->json || (!v->no_json && cli_flag(c, "json"));
	if (r != 0 || *help)
		return r;
	r = parse_arguments(c, argc, argv, e);
	return r != 0 ? r : check_required(c, e);
}

void
cli_clear(struct cli *c)
{
	for (size_t i = 0; i < c->n_given; i++)
		mem_free_wiped(c->given[i].value, strlen(c->given[i].value));
	mem_free(c->given);
	c->given = NULL;
	c->n_given = 0;
}

/* The i-th value of a name, or NULL. */
static const struct cli_given *
given(const struct cli *c, const char *name, size_t i)
{
	assert(verb_find_opt(c->verb, name) != NULL);
	for (size_t k = 0; k < c->n_given; k++)
		if (strcmp(c->given[k].opt->name, name) == 0 && i-- == 0)
			return &c->given[k];
	return NULL;
}

bool
cli_has(const struct cli *c, const char *name)
{
	return given(c, name, 0) != NULL;
}

const char *
cli_text(const struct cli *c, const char *name)
{
	return cli_at(c, name, 0);
}

const char *
cli_text_or(const struct cli *c, const char *name, const char *def)
{
	const char *s = cli_text(c, name);

	return s != NULL ? s : def;
}

bool
cli_flag(const struct cli *c, const char *name)
{
	const struct cli_given *g = given(c, name, 0);

	return g != NULL && strcmp(g->value, "yes") == 0;
}

int64_t
cli_number(const struct cli *c, const char *name, int64_t def)
{
	const struct cli_given *g = given(c, name, 0);

	return g != NULL ? g->number : def;
}

size_t
cli_count(const struct cli *c, const char *name)
{
	size_t n = 0;

	while (given(c, name, n) != NULL)
		n++;
	return n;
}

const char *
cli_at(const struct cli *c, const char *name, size_t i)
{
	const struct cli_given *g = given(c, name, i);

	return g != NULL ? g->value : NULL;
}

static int
read_stdin(struct buf *out, struct err *e)
{
	uint8_t piece[4096];
	ssize_t n;

	while ((n = read(STDIN_FILENO, piece, sizeof(piece))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, E_IO, "standard input");
		if (out->n + (size_t)n > CLI_FILE_MAX)
			return err_set(e, E_TOOBIG, "standard input: over %zu octets", CLI_FILE_MAX);
		buf_put(out, piece, (size_t)n);
	}
	return 0;
}

int
cli_file(struct buf *out, const struct cli *c, const char *name, struct err *e)
{
	const char *path = cli_text(c, name);

	assert(path != NULL);
	if (strcmp(path, "-") == 0)
		return read_stdin(out, e);
	return file_read(out, path, CLI_FILE_MAX, e);
}

int
cli_fail(const struct cli *c, const struct err *e, const char *hint)
{
	const struct err_row *row = err_row(e->code);
	AUTO_JSON v = NULL;
	AUTO_JSON why = NULL;
	AUTO_BUF text = { 0 };

	/* What a server says is printed like everything else that comes from outside. */
	text_show(&text, bytes_of(e->msg));
	fprintf(c->err, "%s: %s\n", c->program->name, buf_str(&text));
	buf_reset(&text);
	text_show(&text, bytes_of(hint != NULL ? hint : ""));
	if (text.n != 0)
		fprintf(c->err, "hint: %s\n", buf_str(&text));
	if (c->json) {
		v = json_object();
		why = json_object();
		json_setf(why, "code", "%s", row->name);
		json_setf(why, "message", "%s", e->msg);
		if (text.n != 0)
			json_setf(why, "hint", "%s", hint);
		(void)json_object_set(v, "error", why);
		cli_print_json(c, v);
	}
	return row->exit_status != 0 ? row->exit_status : EXIT_FAILURE;
}

void
cli_say(const struct cli *c, const char *fmt, ...)
{
	FILE *to = c->json ? c->err : c->out;
	va_list ap;

	va_start(ap, fmt);
	(void)vfprintf(to, fmt, ap);
	va_end(ap);
	fputc('\n', to);
	(void)fflush(to); /* what takes time is seen when it begins */
}

void
cli_print_json(const struct cli *c, const json_t *v)
{
	AUTO_BUF text = { 0 };

	json_print(&text, v, true);
	(void)fwrite(text.p, 1, text.n, c->out);
	fputc('\n', c->out);
}
