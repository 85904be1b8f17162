/* SPDX-License-Identifier: Apache-2.0 */
/* net/guard.c - the judge of heads: a pure function, no state, no allocation */
#include "core/net/guard.h"

#include <string.h>
#include <strings.h>

static const char *const methods[GUARD_METHOD_COUNT] = {
	[GUARD_GET] = "GET", [GUARD_HEAD] = "HEAD", [GUARD_POST] = "POST", [GUARD_PUT] = "PUT",
	[GUARD_DELETE] = "DELETE", [GUARD_PATCH] = "PATCH", [GUARD_OPTIONS] = "OPTIONS",
};

static bool
refuse(struct guard_no *no, unsigned status, const char *event, const char *text)
{
	*no = (struct guard_no){ status, event, text };
	return false;
}

/* RFC 9110 5.6.2: tchar. */
static bool
is_token(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++) {
		uint8_t c = b.p[i];

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
			continue;
		if (c == 0 || strchr("!#$%&'*+-.^_`|~", c) == NULL)
			return false;
	}
	return b.n != 0;
}

static bool
is_text(struct bytes b, const char *s)
{
	return b.n == strlen(s) && strncasecmp((const char *)b.p, s, b.n) == 0;
}

static struct bytes
trim(struct bytes b)
{
	while (b.n != 0 && (b.p[0] == ' ' || b.p[0] == '\t'))
		b = bytes_slice(b, 1, b.n);
	while (b.n != 0 && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
		b.n--;
	return b;
}

/* Cut *in at the first c: what stands before it, *in is what follows; false without c. */
static bool
cut(struct bytes *in, uint8_t c, struct bytes *before)
{
	const uint8_t *at = in->n != 0 ? memchr(in->p, c, in->n) : NULL;
	size_t n;

	if (at == NULL)
		return false;
	n = (size_t)(at - in->p);
	*before = bytes_slice(*in, 0, n);
	*in = bytes_slice(*in, n + 1, in->n);
	return true;
}

/* One line without its CRLF; the head's only LFs are those of CRLFs (guard_end). */
static bool
cut_line(struct bytes *in, struct bytes *line)
{
	if (!cut(in, '\n', line) || line->n == 0 || line->p[line->n - 1] != '\r')
		return false;
	line->n--;
	return true;
}

size_t
guard_blanks(struct bytes in)
{
	size_t n = 0;

	while (n < 2 * (size_t)NET_BLANKS_MAX && in.n - n >= 2 && memcmp(in.p + n, "\r\n", 2) == 0)
		n += 2;
	return n;
}

int
guard_end(struct bytes in, size_t *from, size_t *end)
{
	for (size_t i = *from; i < in.n; i++) {
		uint8_t c = in.p[i];

		if (c == 0 || (c == '\n' && (i == 0 || in.p[i - 1] != '\r')) ||
		    (c != '\n' && i != 0 && in.p[i - 1] == '\r'))
			return -1;
		if (c == '\n' && i >= 3 && in.p[i - 2] == '\n') {
			*end = i + 1;
			return 1;
		}
	}
	*from = in.n;
	return 0;
}

static bool
check_method(struct guard *g, struct guard_no *no)
{
	if (!is_token(g->method_text) || g->method_text.n > NET_METHOD_MAX)
		return refuse(no, 400, "head.method", "the method is not a word");
	for (int i = 0; i < GUARD_METHOD_COUNT; i++) {
		if (bytes_equal_str(g->method_text, methods[i])) {
			g->method = (enum guard_method)i;
			return true;
		}
	}
	return refuse(no, 501, "head.method", "this method is not known here");
}

static bool
check_version(struct guard *g, struct bytes version, struct guard_no *no)
{
	g->v10 = bytes_equal_str(version, "HTTP/1.0");
	if (g->v10 || bytes_equal_str(version, "HTTP/1.1"))
		return true;
	if (version.n == 8 && memcmp(version.p, "HTTP/", 5) == 0 && version.p[6] == '.')
		return refuse(no, 505, "head.version", "only HTTP/1.1 and HTTP/1.0 are spoken here");
	return refuse(no, 400, "head.syntax", "the request line is not: method, target, version");
}

/* RFC 9112 3.2.2: a server MUST accept the absolute form; what counts of it here is its path. */
static bool
reduce_absolute(struct bytes *target)
{
	static const char *const schemes[] = { "http://", "https://" };

	for (size_t i = 0; i < N_OF(schemes); i++) {
		size_t n = strlen(schemes[i]), host = 0;
		struct bytes rest = bytes_slice(*target, n, target->n);

		if (!is_text(bytes_slice(*target, 0, n), schemes[i]))
			continue;
		while (host < rest.n && rest.p[host] != '/' && strchr("@?#\\", rest.p[host]) == NULL)
			host++;
		if (host == 0 || (host < rest.n && rest.p[host] != '/'))
			return false;
		*target = host < rest.n ? bytes_slice(rest, host, rest.n) : bytes_of("/");
		return true;
	}
	return false;
}

static bool
check_target(struct guard *g, unsigned lax, struct guard_no *no)
{
	struct bytes t = g->target;

	if (t.n > NET_TARGET_MAX)
		return refuse(no, 414, "head.target", "the target is too long");
	for (size_t i = 0; i < t.n; i++) {
		if (t.p[i] < 33 || t.p[i] > 126)
			return refuse(no, 400, "head.target", "the target has octets that no target has");
		if ((lax & GUARD_RAW_NUL) == 0 && t.n - i >= 3 && memcmp(t.p + i, "%00", 3) == 0)
			return refuse(no, 400, "head.target", "the target has %00");
	}
	if (t.n != 0 && t.p[0] == '/')
		return true;
	if (!reduce_absolute(&g->target))
		return refuse(no, 400, "head.target", "the target does not begin with /");
	return true;
}

static bool
check_request_line(struct guard *g, struct bytes line, unsigned lax, struct guard_no *no)
{
	if (!cut(&line, ' ', &g->method_text) || !cut(&line, ' ', &g->target))
		return refuse(no, 400, "head.syntax", "the request line is not: method, target, version");
	return check_version(g, line, no) && check_method(g, no) && check_target(g, lax, no);
}

static bool
check_field(struct guard *g, struct bytes line, struct guard_no *no)
{
	struct guard_field f;

	if (g->n == NET_FIELDS_MAX)
		return refuse(no, 431, "head.fields", "too many fields");
	if (line.p[0] == ' ' || line.p[0] == '\t')
		return refuse(no, 400, "head.field", "a field is folded over lines");
	if (!cut(&line, ':', &f.name))
		return refuse(no, 400, "head.field", "a field has no colon");
	if (!is_token(f.name))
		return refuse(no, 400, "head.field", "a field's name is not a word");
	f.value = trim(line);
	for (size_t i = 0; i < f.value.n; i++) {
		if ((f.value.p[i] < 32 && f.value.p[i] != '\t') || f.value.p[i] == 127)
			return refuse(no, 400, "head.field", "a field's value has control characters");
	}
	g->field[g->n++] = f;
	return true;
}

/* RFC 9112 3.2: 400 for any 1.1 request without Host, with more than one, or with an invalid one. */
static bool
check_host(const struct guard *g, unsigned lax, struct guard_no *no)
{
	const struct guard_field *f = guard_find(g, "Host");
	size_t n = guard_count(g, "Host");

	if (n > 1 || (n == 0 && !g->v10 && (lax & GUARD_NO_HOST) == 0))
		return refuse(no, 400, "head.host", "exactly one Host is needed");
	if (f == NULL)
		return true;
	if (f->value.n > NET_HOST_MAX)
		return refuse(no, 400, "head.host", "the Host is too long");
	for (size_t i = 0; i < f->value.n; i++) {
		uint8_t c = f->value.p[i];

		if (c <= ' ' || c >= 127 || strchr("/\\@,?#\"<>{}|^`", c) != NULL)
			return refuse(no, 400, "head.host", "the Host is not a name and port");
	}
	return true;
}

static bool
parse_length(uint64_t *out, struct bytes v)
{
	uint64_t n = 0;

	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(v.p[i] - '0'), &n) || n > INT64_MAX)
			return false;
	}
	*out = n;
	return v.n != 0;
}

/* RFC 9112 6.1 to 6.3: how long the body is must have one answer. */
static bool
check_framing(struct guard *g, struct guard_no *no)
{
	const struct guard_field *cl = guard_find(g, "Content-Length");
	const struct guard_field *te = guard_find(g, "Transfer-Encoding");

	if (cl != NULL && te != NULL)
		return refuse(no, 400, "head.length", "both Content-Length and Transfer-Encoding");
	if (guard_count(g, "Content-Length") > 1)
		return refuse(no, 400, "head.length", "Content-Length is repeated");
	if (cl != NULL && !parse_length(&g->length, cl->value))
		return refuse(no, 400, "head.length", "Content-Length is not a decimal number");
	if (te != NULL && g->v10)
		return refuse(no, 400, "head.encoding", "Transfer-Encoding in HTTP/1.0");
	if (guard_count(g, "Transfer-Encoding") > 1)
		return refuse(no, 400, "head.encoding", "Transfer-Encoding is repeated");
	if (te != NULL && !is_text(te->value, "chunked"))
		return refuse(no, 501, "head.encoding", "the only transfer encoding here is chunked");
	g->has_length = cl != NULL;
	g->chunked = te != NULL;
	return true;
}

/* RFC 9112 9.3; a chunked or 1.0 request's connection is never used again. */
static void
read_connection(struct guard *g)
{
	g->close = g->v10 || g->chunked;
	for (size_t i = 0; i < g->n; i++) {
		struct bytes rest = g->field[i].value, item;

		if (!is_text(g->field[i].name, "Connection"))
			continue;
		while (cut(&rest, ',', &item))
			g->close = g->close || is_text(trim(item), "close");
		g->close = g->close || is_text(trim(rest), "close");
	}
}

/* RFC 9110 10.1.1: 100-continue is all there is; ignored in 1.0. */
static bool
check_expect(struct guard *g, struct guard_no *no)
{
	const struct guard_field *f = guard_find(g, "Expect");

	if (f == NULL || g->v10)
		return true;
	if (guard_count(g, "Expect") > 1 || !is_text(f->value, "100-continue"))
		return refuse(no, 417, "head.expect", "the only expectation known here is 100-continue");
	g->expect = true;
	return true;
}

bool
guard_check(struct guard *g, struct bytes head, unsigned lax, struct guard_no *no)
{
	struct bytes line;

	memset(g, 0, sizeof(*g));
	if (!cut_line(&head, &line))
		return refuse(no, 400, "head.syntax", "there is no request line");
	if (!check_request_line(g, line, lax, no))
		return false;
	for (;;) {
		if (!cut_line(&head, &line))
			return refuse(no, 400, "head.syntax", "a line does not end in CRLF");
		if (line.n == 0)
			break;
		if (!check_field(g, line, no))
			return false;
	}
	if (head.n != 0)
		return refuse(no, 400, "head.syntax", "the head goes on after its end");
	if (!check_host(g, lax, no) || !check_framing(g, no) || !check_expect(g, no))
		return false;
	read_connection(g);
	return true;
}

void
guard_reduced(struct buf *out, const struct guard *g)
{
	buf_printf(out, "%s / HTTP/1.%d\r\nHost: localhost\r\n", methods[g->method], g->v10 ? 0 : 1);
	if (g->chunked)
		buf_put_str(out, "Transfer-Encoding: chunked\r\n");
	if (g->has_length)
		buf_printf(out, "Content-Length: %llu\r\n", (unsigned long long)g->length);
	buf_put_str(out, g->close ? "Connection: close\r\n\r\n" : "\r\n");
}

const struct guard_field *
guard_find(const struct guard *g, const char *name)
{
	for (size_t i = 0; i < g->n; i++) {
		if (is_text(g->field[i].name, name))
			return &g->field[i];
	}
	return NULL;
}

size_t
guard_count(const struct guard *g, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n; i++)
		n += is_text(g->field[i].name, name);
	return n;
}
