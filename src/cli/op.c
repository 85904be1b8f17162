/* SPDX-License-Identifier: Apache-2.0 */
/* cli/op.c - the operator's messages over the local socket or the operator listener, and the verbs that are one message */
#include "cli/op.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/cmd/table.h"
#include "core/codec/base64.h"
#include "core/net/fetch.h"
#include "core/pki/cert.h"

#define TOKEN_MAX  ((size_t)512)   /* octets of a token file */
#define PAGE_MAX   1000            /* items that the server gives at once */
#define CHAIN_MAX  16              /* certificates of one chain */
#define PAGES_MAX  100000          /* of one --all */

const struct opt op_opts[] = {
	{ .name = "dir", .letter = 'd', .kind = OPT_TEXT, .arg = "DIR", .local = true,
	  .help = "State directory of the local server (default $ESTUARY_DIR, ./estuary or /var/lib/estuary)" },
	{ .name = "socket", .kind = OPT_TEXT, .arg = "PATH", .local = true,
	  .help = "Socket of the local server (default DIR/run/operator.sock)" },
	{ .name = "url", .kind = OPT_TEXT, .arg = "URL", .local = true,
	  .help = "Operator listener of a server elsewhere, https://HOST:PORT" },
	{ .name = "token-file", .kind = OPT_FILE, .arg = "FILE", .local = true,
	  .help = "File with the operator's token, for --url" },
	{ .name = "trust", .kind = OPT_FILE, .arg = "FILE", .local = true,
	  .help = "PEM file of the CAs that --url is trusted by (default: the system's)" },
	{ .name = NULL },
};

static bool
is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The directory of the server's state: --dir, else $ESTUARY_DIR, else ./estuary when it is one, else /var/lib/estuary. */
static const char *
state_dir(const struct cli *c)
{
	const char *env = getenv("ESTUARY_DIR");

	if (cli_has(c, "dir"))
		return cli_text(c, "dir");
	if (env != NULL && *env != 0)
		return env;
	return is_dir("estuary") ? "estuary" : "/var/lib/estuary";
}

static int
put_path(char out[OP_PATH_MAX], const char *a, const char *b, struct err *e)
{
	int n = snprintf(out, OP_PATH_MAX, "%s%s", a, b);

	if (n < 0 || n >= OP_PATH_MAX)
		return err_set(e, E_USAGE, "%.40s...: over %d characters", a, OP_PATH_MAX - 1);
	return 0;
}

/* A token file holds the token and perhaps a line end. */
static int
read_token(struct buf *out, const struct cli *c, struct err *e)
{
	int r = cli_file(out, c, "token-file", e);

	if (r != 0)
		return r;
	while (out->n != 0 && (out->p[out->n - 1] == '\n' || out->p[out->n - 1] == '\r'))
		out->n--;
	if (out->n == 0 || out->n > TOKEN_MAX || memchr(out->p, '\n', out->n) != NULL ||
	    !text_valid_utf8(bytes_of_buf(out)))
		return err_set(e, E_FORMAT, "%s: not one line with a token", cli_text(c, "token-file"));
	return 0;
}

static int
open_url(struct op_server *s, const struct cli *c, struct err *e)
{
	const char *url = cli_text(c, "url");
	size_t n = strlen(url);
	int r;

	if (cli_has(c, "socket") || cli_has(c, "dir"))
		return err_set(e, E_USAGE, "--url and --%s say different servers",
		    cli_has(c, "socket") ? "socket" : "dir");
	if (strncmp(url, "https://", 8) != 0)
		return err_set(e, E_USAGE, "--url: '%s' does not begin with https://", url);
	if (!cli_has(c, "token-file"))
		return err_set(e, E_USAGE, "--url needs --token-file");
	if (n > 9 && strcmp(url + n - 9, "/operator") == 0)
		r = put_path(s->url, url, "", e);
	else
		r = put_path(s->url, url, url[n - 1] == '/' ? "operator" : "/operator", e);
	if (r == 0)
		r = read_token(&s->token, c, e);
	if (r == 0 && cli_has(c, "trust"))
		r = cli_file(&s->trust_pem, c, "trust", e);
	return r;
}

int
op_server_open(struct op_server *s, const struct cli *c, struct err *e)
{
	*s = (struct op_server){ 0 };
	if (cli_has(c, "url"))
		return open_url(s, c, e);
	if (cli_has(c, "token-file") || cli_has(c, "trust"))
		return err_set(e, E_USAGE, "--token-file and --trust belong to --url");
	if (cli_has(c, "socket"))
		return put_path(s->socket, cli_text(c, "socket"), "", e);
	return put_path(s->socket, state_dir(c), "/run/operator.sock", e);
}

void
op_server_clear(struct op_server *s)
{
	buf_free(&s->token);
	buf_free(&s->trust_pem);
}

/* The err_code of a word of core/base/err.c's table; E_IO for words of a newer server. */
static enum err_code
code_of(const char *word)
{
	for (int code = -1; err_row((enum err_code)code)->code == (enum err_code)code; code--)
		if (strcmp(err_row((enum err_code)code)->name, word) == 0)
			return (enum err_code)code;
	return E_IO;
}

int
op_answer(json_t **result, struct bytes body, unsigned status, char hint[OP_HINT_MAX], struct err *e)
{
	AUTO_JSON v = NULL;
	const json_t *why;

	hint[0] = 0;
	if (json_parse(&v, body, e) != 0 || !json_is_object(v))
		return err_set(e, E_FORMAT, "the server's answer (HTTP %u) is no operator message", status);
	if (json_flag(v, "ok", false) && json_object_get(v, "result") != NULL) {
		*result = json_incref(json_object_get(v, "result"));
		return 0;
	}
	why = json_object_get(v, "error");
	if (json_str(why, "code", NULL) == NULL)
		return err_set(e, E_FORMAT, "the server's answer (HTTP %u) is no operator message", status);
	(void)snprintf(hint, OP_HINT_MAX, "%s", json_str(why, "hint", ""));
	return err_set(e, code_of(json_str(why, "code", "")), "%s", json_str(why, "message", ""));
}

/* The server could not be asked: what helps. */
static int
unreachable(const struct op_server *s, int r, char hint[OP_HINT_MAX], struct err *e)
{
	hint[0] = 0;
	if (s->socket[0] == 0)
		return r;
	(void)err_prefix(e, (enum err_code)r, "%s", s->socket);
	(void)snprintf(hint, OP_HINT_MAX,
	    "is the server running there, and are you its user or root? --dir says where it is");
	return r;
}

int
op_call(json_t **result, const struct op_server *s, const char *verb, json_t *args,
    char hint[OP_HINT_MAX], struct err *e)
{
	AUTO_JSON msg = json_object();
	AUTO_BUF body = { 0 };
	AUTO_BUF auth = { 0 };
	const char *headers[] = { "Content-Type: application/json", NULL, NULL };
	struct fetch f = { .url = s->socket[0] != 0 ? "http://localhost/operator" : s->url,
		.method = "POST", .headers = headers, .unix_socket = s->socket[0] != 0 ? s->socket : NULL,
		.trust_pem = bytes_of_buf(&s->trust_pem) };
	struct fetch_answer a = { 0 };
	int r;

	json_setf(msg, "verb", "%s", verb);
	(void)json_object_set(msg, "args", args);
	json_print(&body, msg, false);
	f.body = bytes_of_buf(&body);
	if (s->token.n != 0) {
		buf_printf(&auth, "Authorization: Bearer %.*s", (int)s->token.n, (const char *)s->token.p);
		headers[1] = buf_str(&auth);
	}
	r = fetch_run(&f, &a, e);
	if (r != 0)
		r = unreachable(s, r, hint, e);
	else
		r = op_answer(result, bytes_of_buf(&a.body), a.status, hint, e);
	fetch_clear(&a);
	return r;
}

/* A file's content as a JSON string: text as it is, anything else (DER) in base64. */
static int
file_value(json_t **out, const struct cli *c, const char *name, struct err *e)
{
	AUTO_BUF content = { 0 };
	AUTO_BUF text = { 0 };
	int r = cli_file(&content, c, name, e);

	if (r != 0)
		return r;
	*out = memchr(content.p, 0, content.n) == NULL ?
	    json_stringn((const char *)content.p, content.n) : NULL;
	if (*out != NULL)
		return 0;
	base64_encode(&text, bytes_of_buf(&content), 0);
	*out = json_string(buf_str(&text));
	return 0;
}

static int
value_of(json_t **out, const struct cli *c, const struct opt *o, struct err *e)
{
	switch (o->kind) {
	case OPT_FLAG:
	case OPT_BOOL:
		*out = json_boolean(cli_flag(c, o->name));
		return 0;
	case OPT_NUMBER:
		*out = json_integer(cli_number(c, o->name, 0));
		return 0;
	case OPT_FILE:
		return file_value(out, c, o->name, e);
	case OPT_LIST:
	case OPT_MANY:
		*out = json_array();
		for (size_t i = 0; i < cli_count(c, o->name); i++)
			if (*cli_at(c, o->name, i) != 0) /* --eku "" is the empty list */
				(void)json_array_append_new(*out, json_string(cli_at(c, o->name, i)));
		return 0;
	case OPT_TEXT:
		break;
	}
	*out = json_string(cli_text(c, o->name));
	return 0;
}

static int
put_arg(json_t *args, const struct cli *c, const struct opt *o, struct err *e)
{
	char member[64];
	json_t *v = NULL;
	int r;

	if (o->local || !cli_has(c, o->name))
		return 0;
	r = value_of(&v, c, o, e);
	if (r != 0)
		return r;
	(void)snprintf(member, sizeof(member), "%s", o->member != NULL ? o->member : o->name);
	for (char *p = member; *p != 0; p++)
		*p = *p == '-' ? '_' : *p;
	(void)json_object_set_new(args, member, v);
	return 0;
}

int
op_args(json_t **out, const struct cli *c, struct err *e)
{
	AUTO_JSON args = json_object();
	const struct opt *o;
	int r = 0;

	for (o = c->verb->pos; r == 0 && o != NULL && o->name != NULL; o++)
		r = put_arg(args, c, o, e);
	for (size_t i = 0; r == 0 && (o = verb_opt(c->verb, i)) != NULL; i++)
		r = put_arg(args, c, o, e);
	if (r == 0 && c->verb->prepare != NULL)
		r = c->verb->prepare((struct cli *)c, args, e);
	if (r != 0)
		return r;
	*out = TAKE(args);
	return 0;
}

/* Put the items of the next pages behind those of the first; every page has what its own message asked for. */
static int
more_pages(json_t *first, const struct cli *c, const struct op_server *s, json_t *args,
    char hint[OP_HINT_MAX], struct err *e)
{
	json_t *items = json_object_get(first, "items");
	int r = 0;

	for (int i = 0; r == 0 && i < PAGES_MAX && json_str(first, "next", NULL) != NULL; i++) {
		AUTO_JSON page = NULL;

		json_setf(args, "after", "%s", json_str(first, "next", ""));
		(void)json_object_del(first, "next");
		r = op_call(&page, s, c->verb->op, args, hint, e);
		if (r != 0)
			break;
		(void)json_array_extend(items, json_object_get(page, "items"));
		if (json_str(page, "next", NULL) != NULL)
			(void)json_object_set(first, "next", json_object_get(page, "next"));
	}
	return r;
}

static int
list(json_t **result, const struct cli *c, const struct op_server *s, json_t *args,
    char hint[OP_HINT_MAX], struct err *e)
{
	bool pages = verb_find_opt(c->verb, "after") != NULL, all = pages && cli_flag(c, "all");
	int r;

	if (all && cli_has(c, "limit"))
		return err_set(e, E_USAGE, "--all and --limit: either all items, or so many");
	if (all || (pages && cli_has(c, "limit")))
		(void)json_object_set_new(args, "limit", json_integer(all ? PAGE_MAX : cli_number(c, "limit", 0)));
	if (pages && cli_has(c, "after"))
		(void)json_object_set_new(args, "after", json_string(cli_text(c, "after")));
	r = op_call(result, s, c->verb->op, args, hint, e);
	if (r == 0 && !json_is_array(json_object_get(*result, "items")))
		return err_set(e, E_FORMAT, "the server's answer has no items");
	if (r == 0 && all)
		r = more_pages(*result, c, s, args, hint, e);
	return r;
}

static void
print(const struct cli *c, const json_t *result)
{
	const char *next = json_str(result, "next", NULL);

	if (c->json)
		cli_print_json(c, result);
	else if (c->verb->print != NULL)
		c->verb->print(c, result);
	else if (c->verb->columns != NULL)
		table_print(c, c->verb->columns, json_object_get(result, "items"));
	else if (json_object_size(result) == 0)
		fputs("done\n", c->out);
	else
		table_print_object(c, result);
	if (!c->json && next != NULL)
		fprintf(c->err, "there is more: --all, or --after %s\n", next);
}

/* Append those certificates of a PEM text that `seen` has not. */
static int
put_new(struct buf *out, struct buf *ders, struct bytes seen[CHAIN_MAX], size_t *n, const char *pem, struct err *e)
{
	struct bytes found[CHAIN_MAX];
	size_t n_found = 0, k;
	int r = *pem == 0 ? 0 : pem_decode_all(ders, found, &n_found, CHAIN_MAX, bytes_of(pem), "CERTIFICATE", e);

	for (size_t i = 0; r == 0 && i < n_found; i++) {
		for (k = 0; k < *n && !bytes_equal(seen[k], found[i]); k++)
			;
		if (k < *n)
			continue;
		if (*n == CHAIN_MAX)
			return err_set(e, E_TOOBIG, "a chain of over %d certificates", CHAIN_MAX);
		seen[(*n)++] = found[i];
		pem_encode(out, found[i], "CERTIFICATE");
	}
	return r;
}

int
op_chain(struct buf *out, const json_t *a, const json_t *b, struct err *e)
{
	const char *const texts[] = { json_str(a, "pem", ""), json_str(a, "chain_pem", ""),
		json_str(b, "pem", ""), json_str(b, "chain_pem", "") };
	struct buf ders[N_OF(texts)] = { 0 };
	struct bytes seen[CHAIN_MAX];
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < N_OF(texts); i++)
		r = put_new(out, &ders[i], seen, &n, texts[i], e);
	if (r == 0 && n == 0)
		r = err_set(e, E_FORMAT, "the server's answer has no certificate");
	for (size_t i = 0; i < N_OF(ders); i++)
		buf_free(&ders[i]);
	return r;
}

void
op_print_cert(const struct cli *c, const json_t *result)
{
	if (verb_find_opt(c->verb, "chain") != NULL && cli_flag(c, "chain"))
		fputs(json_str(result, "chain_pem", ""), c->out);
	else if (cli_flag(c, "pem"))
		fputs(json_str(result, "pem", ""), c->out);
	else
		table_print_object(c, result);
}

int
op_verb(struct cli *c)
{
	AUTO_JSON args = NULL;
	AUTO_JSON result = NULL;
	struct op_server s = { 0 };
	char hint[OP_HINT_MAX] = "";
	struct err e = { 0 };
	int r = op_args(&args, c, &e);

	if (r == 0)
		r = op_server_open(&s, c, &e);
	if (r == 0 && c->verb->columns != NULL)
		r = list(&result, c, &s, args, hint, &e);
	else if (r == 0)
		r = op_call(&result, &s, c->verb->op, args, hint, &e);
	op_server_clear(&s);
	if (r == 0 && c->verb->keep != NULL)
		r = c->verb->keep(c, result, &e);
	if (r != 0)
		return cli_fail(c, &e, hint);
	print(c, result);
	if (c->verb->judge == NULL || c->verb->judge(result, &e) == 0)
		return EXIT_SUCCESS;
	fprintf(c->err, "estuary: %s\n", e.msg);
	return err_row(e.code)->exit_status;
}
