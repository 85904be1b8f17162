/* SPDX-License-Identifier: Apache-2.0 */
/* net/local.c - one HTTP/1.1 request over a Unix socket, and its answer read with limits and one deadline */
#include "core/net/local.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/rnd.h"
#include "core/base/text.h"

#define LINE_MAX_LEN ((size_t)1024) /* of a chunk's size or a trailer */
#define TRAILERS_MAX 32
#define BUSY_MS      3000u /* so long a service that has no connection left is asked again */
#define BUSY_PAUSE_MS 50

/* One connection, what was read of it, and how far that is understood. */
struct talk {
	int fd;
	uint64_t end_ms;   /* by the monotonic clock */
	bool over;         /* the service has closed */
	struct buf in;     /* what was read; as far as `at` it is understood and may go */
	size_t at;
};

/* How the body's end is known. */
enum framing { BY_CLOSE, BY_LENGTH, BY_CHUNKS, NO_BODY };

struct head {
	unsigned status;
	enum framing framing;
	uint64_t length;
	bool json, has_length, chunked;
};

/* --- the socket --- */

static int
remaining_ms(const struct talk *t)
{
	uint64_t now = clock_monotonic_ms();

	if (now >= t->end_ms)
		return 0;
	return t->end_ms - now < INT_MAX ? (int)(t->end_ms - now) : INT_MAX;
}

static int
too_late(struct err *e)
{
	return err_set(e, E_UNAVAIL, "no answer in time");
}

/* connect() to a full backlog blocks; SO_SNDTIMEO is what limits it. */
static int
open_socket(struct talk *t, const char *path, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int ms = remaining_ms(t);
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(e, E_USAGE, "socket %s: path of %zu octets: %zu at most", path,
		    strlen(path), sizeof(sa.sun_path) - 1);
	if (ms == 0)
		return too_late(e);
	memcpy(sa.sun_path, path, strlen(path));
	t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (t->fd < 0 || setsockopt(t->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) != 0)
		return err_errno(e, E_IO, "socket %s", path);
	/* The program that we are in may have signals of its own (signal(7): SO_SNDTIMEO forbids a restart). */
	while (connect(t->fd, (struct sockaddr *)&sa, sizeof(sa)) != 0) {
		if (errno != EINTR)
			return err_errno(e, E_UNAVAIL, "socket %s", path);
		if (remaining_ms(t) == 0)
			return too_late(e);
	}
	return 0;
}

static int
wait_for(const struct talk *t, short events, struct err *e)
{
	struct pollfd p = { .fd = t->fd, .events = events };
	int ms, r;

	do {
		ms = remaining_ms(t);
		r = poll(&p, 1, ms);
	} while (r < 0 && errno == EINTR);
	if (r == 0)
		return too_late(e);
	return r > 0 ? 0 : err_errno(e, E_IO, "poll");
}

static bool
would_block(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static int
write_all(struct talk *t, struct bytes b, struct err *e)
{
	int r = 0;

	while (r == 0 && b.n != 0) {
		ssize_t n = send(t->fd, b.p, b.n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && !would_block())
			return err_errno(e, E_UNAVAIL, "request not sent");
		if (n > 0)
			b = bytes_slice(b, (size_t)n, b.n);
		else
			r = wait_for(t, POLLOUT, e);
	}
	return r;
}

static struct bytes
ahead(const struct talk *t)
{
	return bytes_slice(bytes_of_buf(&t->in), t->at, t->in.n);
}

static void
drop_understood(struct talk *t)
{
	struct bytes rest = ahead(t);

	if (rest.n != 0)
		memmove(t->in.p, rest.p, rest.n);
	buf_reset(&t->in);
	t->in.n = rest.n;
	t->at = 0;
}

/* Wait for more octets, at most n of them; t->over when there are no more. */
static int
read_more(struct talk *t, size_t n, struct err *e)
{
	uint8_t piece[16 * 1024];
	ssize_t got;
	int r;

	do {
		r = wait_for(t, POLLIN, e);
		if (r != 0)
			return r;
		got = recv(t->fd, piece, n < sizeof(piece) ? n : sizeof(piece), MSG_DONTWAIT);
	} while (got < 0 && would_block());
	if (got < 0 && errno != ECONNRESET)
		return err_errno(e, E_UNAVAIL, "answer");
	drop_understood(t);
	if (got <= 0)
		t->over = true;
	else
		buf_put(&t->in, piece, (size_t)got);
	return 0;
}

/* --- lines --- */

/*
 * The next line without its CRLF, as a C string in out of `size` octets.  RFC 9112 2.2: a bare CR or LF
 * is nothing that our services send; and no NUL may end a line early.
 */
static int
take_line(struct talk *t, char *out, size_t size, struct err *e)
{
	for (;;) {
		struct bytes b = ahead(t);
		const uint8_t *lf = b.n != 0 ? memchr(b.p, '\n', b.n) : NULL;
		size_t n = lf != NULL ? (size_t)(lf - b.p) : b.n;
		int r;

		if (n > size || size == 0)
			return err_set(e, E_TOOBIG, "answer: head or line too long");
		if (lf != NULL && (n == 0 || b.p[n - 1] != '\r' || memchr(b.p, '\0', n) != NULL ||
		    memchr(b.p, '\r', n - 1) != NULL))
			return err_set(e, E_FORMAT, "answer: malformed line");
		if (lf != NULL) {
			memcpy(out, b.p, n - 1);
			out[n - 1] = '\0';
			t->at += n + 1;
			return 0;
		}
		if (t->over)
			return err_set(e, E_FORMAT, "answer: ended early");
		r = read_more(t, size, e);
		if (r != 0)
			return r;
	}
}

/* --- the head --- */

/* "HTTP/1.1 200 OK" */
static int
parse_status(struct head *h, const char *line, struct err *e)
{
	char digits[4];
	uint64_t v = 0;

	if ((strncmp(line, "HTTP/1.1 ", 9) != 0 && strncmp(line, "HTTP/1.0 ", 9) != 0) ||
	    strlen(line) < 12 || (line[12] != ' ' && line[12] != '\0'))
		return err_set(e, E_FORMAT, "answer: no HTTP/1.1");
	memcpy(digits, line + 9, 3);
	digits[3] = '\0';
	if (!text_parse_u64(&v, digits, 599) || v < 200)
		return err_set(e, E_FORMAT, "answer: status %s", digits);
	h->status = (unsigned)v;
	return 0;
}

/* RFC 9112 6.3: two ideas of where the body ends are an attack or a fault. */
static int
parse_framing(struct head *h, const char *name, const char *value, struct err *e)
{
	if (strcasecmp(name, "content-length") == 0) {
		if (h->has_length || !text_parse_u64(&h->length, value, INT64_MAX))
			return err_set(e, E_FORMAT, "answer: content-length");
		h->has_length = true;
	} else if (strcasecmp(name, "transfer-encoding") == 0) {
		if (h->chunked || strcasecmp(value, "chunked") != 0)
			return err_set(e, E_FORMAT, "answer: transfer-encoding");
		h->chunked = true;
	}
	if (h->has_length && h->chunked)
		return err_set(e, E_FORMAT, "answer: both content-length and transfer-encoding");
	return 0;
}

/* application/json, whatever parameters come after it. */
static bool
is_json(const char *value)
{
	static const char type[] = "application/json";
	size_t n = sizeof(type) - 1;

	return strncasecmp(value, type, n) == 0 &&
	    (value[n] == '\0' || value[n] == ';' || value[n] == ' ' || value[n] == '\t');
}

static int
parse_field(struct head *h, char *line, struct err *e)
{
	char *colon = strchr(line, ':');
	char *value, *end;

	/* RFC 9112 5.1, 5.2: no blank in or around a name, no folded lines. */
	if (colon == NULL || colon == line || strcspn(line, " \t") < (size_t)(colon - line))
		return err_set(e, E_FORMAT, "answer: malformed header field");
	*colon = '\0';
	value = colon + 1 + strspn(colon + 1, " \t");
	end = value + strlen(value);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	if (strcasecmp(line, "content-type") == 0)
		h->json = is_json(value);
	return parse_framing(h, line, value, e);
}

static void
settle_framing(struct head *h)
{
	if (h->status == 204 || h->status == 304)
		h->framing = NO_BODY;
	else if (h->chunked)
		h->framing = BY_CHUNKS;
	else
		h->framing = h->has_length ? BY_LENGTH : BY_CLOSE;
}

static int
read_head(struct talk *t, struct head *h, struct err *e)
{
	char line[LOCAL_HEAD_MAX];
	size_t left = LOCAL_HEAD_MAX;
	int r;

	/* A service that is full closes without a word. */
	r = read_more(t, LOCAL_HEAD_MAX, e);
	if (r == 0 && t->over)
		return err_set(e, E_UNAVAIL, "connection closed without an answer");
	if (r == 0)
		r = take_line(t, line, left, e);
	while (r == 0 && line[0] != '\0') {
		left -= strlen(line) + 1; /* take_line() never took more */
		r = h->status == 0 ? parse_status(h, line, e) : parse_field(h, line, e);
		if (r == 0)
			r = take_line(t, line, left, e);
	}
	if (r == 0 && h->status == 0)
		r = err_set(e, E_FORMAT, "answer: no status");
	settle_framing(h);
	return r;
}

/* --- the body --- */

/* Move n octets from the connection to body. */
static int
take_octets(struct talk *t, struct buf *body, uint64_t n, struct err *e)
{
	while (n != 0) {
		struct bytes b = bytes_slice(ahead(t), 0, n < SIZE_MAX ? (size_t)n : SIZE_MAX);
		int r;

		buf_put_bytes(body, b);
		n -= b.n;
		t->at += b.n;
		if (n == 0)
			break;
		if (t->over)
			return err_set(e, E_FORMAT, "answer: ended early");
		r = read_more(t, SIZE_MAX, e);
		if (r != 0)
			return r;
	}
	return 0;
}

static int
too_big(struct err *e)
{
	return err_set(e, E_TOOBIG, "answer: more than %zu octets", LOCAL_ANSWER_MAX);
}

static int
take_by_close(struct talk *t, struct buf *body, struct err *e)
{
	while (!t->over || ahead(t).n != 0) {
		int r = 0;

		buf_put_bytes(body, ahead(t));
		t->at = t->in.n;
		if (body->over)
			return too_big(e);
		if (!t->over)
			r = read_more(t, SIZE_MAX, e);
		if (r != 0)
			return r;
	}
	return 0;
}

/* RFC 9112 7.1: hexadecimal, 1 to 8 digits are plenty; extensions are not ours. */
static int
parse_chunk_size(uint64_t *out, const char *line, struct err *e)
{
	size_t n = strlen(line);
	uint8_t raw[4] = { 0 };
	char hex[9];

	if (n == 0 || n > 8)
		return err_set(e, E_FORMAT, "answer: chunk size");
	memset(hex, '0', 8);
	memcpy(hex + 8 - n, line, n + 1);
	if (!text_unhex(raw, sizeof(raw), hex))
		return err_set(e, E_FORMAT, "answer: chunk size");
	*out = (uint64_t)raw[0] << 24 | (uint64_t)raw[1] << 16 | (uint64_t)raw[2] << 8 | raw[3];
	return 0;
}

/* After the last chunk: fields that nobody reads, then an empty line. */
static int
skip_trailers(struct talk *t, struct err *e)
{
	char line[LINE_MAX_LEN];

	for (int i = 0; i < TRAILERS_MAX; i++) {
		int r = take_line(t, line, sizeof(line), e);

		if (r != 0 || line[0] == '\0')
			return r;
	}
	return err_set(e, E_TOOBIG, "answer: more than %d trailers", TRAILERS_MAX);
}

static int
take_chunks(struct talk *t, struct buf *body, struct err *e)
{
	char line[LINE_MAX_LEN];
	uint64_t n = 0;
	int r;

	for (;;) {
		r = take_line(t, line, sizeof(line), e);
		if (r == 0)
			r = parse_chunk_size(&n, line, e);
		if (r != 0)
			return r;
		if (n == 0)
			return skip_trailers(t, e);
		if (n > LOCAL_ANSWER_MAX - body->n)
			return too_big(e);
		r = take_octets(t, body, n, e);
		if (r == 0)
			r = take_line(t, line, sizeof(line), e);
		if (r == 0 && line[0] != '\0')
			r = err_set(e, E_FORMAT, "answer: chunk longer than its size");
		if (r != 0)
			return r;
	}
}

static int
read_body(struct talk *t, const struct head *h, struct buf *body, struct err *e)
{
	switch (h->framing) {
	case NO_BODY:
		return 0;
	case BY_LENGTH:
		return h->length > LOCAL_ANSWER_MAX ? too_big(e) : take_octets(t, body, h->length, e);
	case BY_CHUNKS:
		return take_chunks(t, body, e);
	default:
		return take_by_close(t, body, e);
	}
}

/* --- the whole --- */

static int
write_request(struct talk *t, const char *method, const char *target, struct bytes body, struct err *e)
{
	AUTO_BUF out = { 0 };

	buf_printf(&out, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", method, target);
	if (body.n != 0)
		buf_printf(&out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body.n);
	buf_put_str(&out, "\r\n");
	buf_put_bytes(&out, body);
	if (buf_check(&out, "request", e) != 0)
		return E_TOOBIG;
	return write_all(t, bytes_of_buf(&out), e);
}

static int
converse(struct talk *t, struct local_answer *a, const char *method, const char *target, struct bytes body,
    struct err *e)
{
	struct head h = { 0 };
	struct err unsent = { 0 };
	int r = write_request(t, method, target, body, &unsent);

	/* A service may refuse before it has read all: its answer says more than a broken pipe. */
	if (r == 0 || (r == E_UNAVAIL && remaining_ms(t) != 0))
		r = read_head(t, &h, e);
	else
		return err_set(e, unsent.code, "%s", unsent.msg);
	if (r == 0)
		r = read_body(t, &h, &a->body, e);
	if (r != 0)
		return r;
	a->status = h.status;
	a->json = h.json;
	return 0;
}

/* Once. */
static int
run(struct local_answer *a, const char *socket, const char *method, const char *target, struct bytes body,
    uint64_t end_ms, struct err *e)
{
	struct talk t = { .fd = -1, .end_ms = end_ms };
	int r;

	*a = (struct local_answer){ .body = BUF_MAX(LOCAL_ANSWER_MAX) };
	r = open_socket(&t, socket, e);
	if (r == 0)
		r = converse(&t, a, method, target, body, e);
	fd_autoclose(&t.fd);
	buf_free(&t.in);
	if (r != 0)
		local_clear(a);
	return r;
}

/* Over its connections of one user a service looks at no request (429): it has some again as soon as others are answered. */
int
local_run(struct local_answer *a, const char *socket, const char *method, const char *target, struct bytes body,
    unsigned deadline_ms, struct err *e)
{
	uint64_t end_ms = clock_monotonic_ms() + deadline_ms;
	uint64_t busy_ms = end_ms - (deadline_ms > BUSY_MS ? deadline_ms - BUSY_MS : 0);
	int r;

	while ((r = run(a, socket, method, target, body, end_ms, e)) == 0 && a->status == 429 &&
	    clock_monotonic_ms() + BUSY_PAUSE_MS < busy_ms) {
		local_clear(a);
		(void)poll(NULL, 0, BUSY_PAUSE_MS / 2 + (int)rnd_below(BUSY_PAUSE_MS / 2));
	}
	return r;
}

void
local_clear(struct local_answer *a)
{
	buf_free(&a->body);
	*a = (struct local_answer){ 0 };
}

void
local_put_segment(struct buf *out, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *text != '\0'; text++) {
		if (strchr(plain, *text) != NULL)
			buf_put_u8(out, (uint8_t)*text);
		else
			buf_printf(out, "%%%02X", (unsigned)(uint8_t)*text);
	}
}
