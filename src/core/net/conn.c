/* SPDX-License-Identifier: Apache-2.0 */
/* net/conn.c - a client's connection, from accept to the last octet */
#include "core/net/conn_inside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/net/canned.h"

void
conn_enter(struct conn *c, enum phase phase)
{
	struct conn_pool *p = c->pool;

	TAILQ_REMOVE(&p->queue[c->phase], c, link);
	c->phase = phase;
	c->since_ms = clock_monotonic_ms();
	c->until_ms = p->length_ms[phase] == UINT64_MAX ? UINT64_MAX : c->since_ms + p->length_ms[phase];
	TAILQ_INSERT_TAIL(&p->queue[phase], c, link);
}

static void
watch(struct conn *c, unsigned events)
{
	if (c->io == NULL || c->watched == events)
		return;
	c->watched = events;
	loop_io_set(c->io, events);
}

static void
watch_for(struct conn *c, enum transport_result want)
{
	watch(c, want == TRANSPORT_WANT_WRITE ? LOOP_WRITE : LOOP_READ);
}

void
conn_unready(struct conn *c)
{
	if (!c->ready)
		return;
	TAILQ_REMOVE(&c->pool->ready, c, ready_link);
	c->pool->n_ready--;
	c->ready = false;
}

static void
close_inner(struct conn *c)
{
	if (c->inner < 0)
		return;
	(void)close(c->inner);
	c->inner = -1;
	c->pool->kicked = true; /* the other end is to see it */
}

static void
leave_warm(struct conn *c)
{
	if (c->warm_until_ms == 0)
		return;
	TAILQ_REMOVE(&c->pool->warm, c, warm_link);
	c->pool->n_warm--;
	c->warm_until_ms = 0;
}

void
conn_free_peer(struct conn *c)
{
	leave_warm(c);
	if (c->peer == NULL)
		return;
	tls_peer_clear(c->peer);
	mem_free(c->peer);
	c->peer = NULL;
}

/* The peer is large, but the next request may come at once. */
static void
enter_warm(struct conn *c)
{
	struct conn_pool *p = c->pool;

	if (c->peer == NULL)
		return;
	if (p->n_warm == NET_WARM_MAX)
		conn_free_peer(TAILQ_FIRST(&p->warm));
	c->warm_until_ms = clock_monotonic_ms() + NET_WARM_MS;
	TAILQ_INSERT_TAIL(&p->warm, c, warm_link);
	p->n_warm++;
}

/* Tell the owner that its request is over; true when the owner still holds on to us. */
static bool
finish_request(struct conn *c)
{
	close_inner(c);
	if (c->request == NULL)
		return false;
	if (c->pool->hooks->finished(c->pool->ctx, c->request))
		return true;
	c->request = NULL;
	return false;
}

void
conn_close(struct conn *c)
{
	bool held;

	if (c->phase == PHASE_GONE || c->phase == PHASE_DEAD)
		return;
	held = finish_request(c);
	if (held)
		(void)conn_peer(c); /* the owner may still ask, and TLS is going */
	if (!held)
		conn_free_peer(c);
	conn_unready(c);
	loop_io_free(c->io);
	c->io = NULL;
	transport_close(&c->t);
	fd_autoclose(&c->file);
	buf_free(&c->in);
	buf_free(&c->out);
	conn_enter(c, held ? PHASE_GONE : PHASE_DEAD);
}

/* Write what is in `out`; true when all of it is with the kernel. */
static bool
flush(struct conn *c)
{
	while (c->put < c->out.n) {
		size_t n = 0;
		enum transport_result r =
		    transport_write(&c->t, bytes_slice(bytes_of_buf(&c->out), c->put, c->out.n), &n);

		if (r == TRANSPORT_FAILED || r == TRANSPORT_END) {
			conn_close(c);
			return false;
		}
		if (r != TRANSPORT_DONE) {
			watch_for(c, r);
			return false;
		}
		c->put += n;
	}
	c->put = 0;
	buf_reset(&c->out);
	return true;
}

/* Everything is said; close in a way that lets the client read it (RFC 9112 9.6). */
static void
linger(struct conn *c)
{
	if (c->phase != PHASE_LINGER)
		conn_enter(c, PHASE_LINGER);
	(void)finish_request(c);
	buf_free(&c->in);
	if (!c->t.failed && !flush(c))
		return;
	if (!c->finished_out)
		transport_finish(&c->t);
	c->finished_out = true;
	watch(c, LOOP_READ);
}

static void
step_linger(struct conn *c)
{
	size_t n = 0;

	if (!c->finished_out) {
		linger(c);
		return;
	}
	if (!transport_drop(&c->t, c->pool->scratch, sizeof(c->pool->scratch), &n) ||
	    (c->lingered += n) > NET_LINGER_OCTETS + c->pool->lim.body_octets)
		conn_close(c);
}

void
conn_refuse(struct conn *c, unsigned status, const char *event, const char *text)
{
	if (c->id[0] == 0)
		canned_id(c->id);
	c->pool->hooks->refused(c->pool->ctx, c->address, event, text, c->id);
	if (c->answered) { /* a part of an answer may be out: only cutting it off is honest */
		conn_close(c);
		return;
	}
	buf_reset(&c->out);
	canned_put(&c->out, &(struct canned){ &c->local, status, event, text, c->id, c->v10, c->bodiless }, clock_now());
	linger(c);
}

/* Put octets where the decoder finds them. */
static void
feed(struct conn *c)
{
	while (c->fed < c->in.n) {
		ssize_t n = send(c->inner, c->in.p + c->fed, c->in.n - c->fed, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break; /* full, or closed: conn_decode() will see which */
		c->fed += (size_t)n;
		c->pool->kicked = true;
	}
	if (c->fed == c->in.n) {
		buf_reset(&c->in);
		c->fed = 0;
	}
}

static void
start_decoder(struct conn *c)
{
	c->inner = c->pool->hooks->decoder(c->pool->ctx, c->request);
	if (c->inner < 0)
		conn_refuse(c, 503, "busy", "the server has no room for this request now");
	else
		feed(c);
}

/* The whole request stands in `in`. */
static void
ask(struct conn *c)
{
	conn_enter(c, PHASE_ANSWER);
	c->pool->hooks->whole(c->pool->ctx, c->request, bytes_slice(bytes_of_buf(&c->in), c->need - c->body_n, c->body_n));
}

/* RFC 9110 10.1.1: only when the client may be waiting. */
static void
send_continue(struct conn *c, bool body_follows)
{
	if (!c->expect || !body_follows)
		return;
	buf_put_str(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
	if (!flush(c))
		conn_close(c); /* a client that has left no room for 25 octets */
}

static void
drop_in(struct conn *c, size_t n)
{
	memmove(c->in.p, c->in.p + n, c->in.n - n);
	c->in.n -= n;
}

/* Put a head that says the same and no more in the place of the one of n octets; returns its length. */
static size_t
reduce_head(struct conn *c, const struct guard *g, size_t n)
{
	struct buf whole = BUF_MAX(c->in.max);
	size_t length;

	guard_reduced(&whole, g);
	length = whole.n;
	buf_put_bytes(&whole, bytes_slice(bytes_of_buf(&c->in), n, c->in.n));
	buf_free(&c->in);
	c->in = whole;
	return length;
}

/* A whole head of n octets stands at the start of `in`. */
static void
open_request(struct conn *c, size_t n)
{
	struct conn_pool *p = c->pool;
	struct guard_no no = { 0 };
	const struct guard *g = NULL;
	char busy[64];

	leave_warm(c);
	canned_id(c->id);
	if (c->busy) {
		(void)snprintf(busy, sizeof(busy), "there are too many connections of user %u", c->uid);
		conn_refuse(c, 429, "cap.uid", busy);
		return;
	}
	c->request = p->hooks->open(p->ctx, c, bytes_slice(bytes_of_buf(&c->in), 0, n), &g, &no);
	c->v10 = no.v10;
	c->bodiless = no.bodiless;
	if (c->request == NULL) {
		conn_refuse(c, no.status, no.event, no.text);
		return;
	}
	c->chunked = g->chunked;
	c->expect = g->expect;
	c->close = g->close || g->chunked;
	if (g->length > p->lim.body_octets) {
		conn_refuse(c, 413, "body.size", "the body is too long");
		return;
	}
	if (g->chunked && (c->local.no_host_ok || c->local.raw_paths))
		n = reduce_head(c, g, n); /* the decoder is told of framing alone */
	c->body_n = g->chunked ? 0 : (size_t)g->length;
	c->need = g->chunked ? 0 : n + c->body_n;
	conn_enter(c, PHASE_BODY);
	send_continue(c, c->in.n == n && (c->chunked || c->need > n));
	if (c->phase == PHASE_BODY && c->chunked)
		start_decoder(c);
	else if (c->phase == PHASE_BODY && c->in.n >= c->need)
		ask(c);
}

/* Look for a head in what has been read. */
static void
look(struct conn *c)
{
	size_t blanks = guard_blanks(bytes_of_buf(&c->in)), end = 0;
	int r;

	if (blanks != 0 && c->looked == 0)
		drop_in(c, blanks);
	if (c->in.n == 0 || (c->in.n == 1 && c->in.p[0] == '\r'))
		return;
	if (c->phase != PHASE_HEAD) {
		conn_enter(c, PHASE_HEAD);
		c->v10 = c->bodiless = false;
	}
	r = guard_end(bytes_of_buf(&c->in), &c->looked, &end);
	if (r < 0)
		conn_refuse(c, 400, "head.syntax", "the head has a bare CR, a bare LF or a NUL");
	else if ((r == 0 && c->in.n >= c->pool->lim.head_octets) || end > c->pool->lim.head_octets)
		conn_refuse(c, 431, "head.size", "the head is too long");
	else if (r == 1)
		open_request(c, end);
}

/* One read of at most `room` octets to `in`; true when some came. */
static bool
read_some(struct conn *c, size_t room)
{
	struct conn_pool *p = c->pool;
	size_t n = 0;
	enum transport_result r =
	    transport_read(&c->t, p->scratch, room < sizeof(p->scratch) ? room : sizeof(p->scratch), &n);

	if (r == TRANSPORT_DONE && n != 0) {
		buf_put(&c->in, p->scratch, n);
		mem_wipe(p->scratch, n); /* there may be a password, or a key */
		return true;
	}
	if (r == TRANSPORT_END || r == TRANSPORT_FAILED || r == TRANSPORT_DONE)
		conn_close(c);
	else
		watch_for(c, r);
	return false;
}

static bool
is_between(const struct conn *c)
{
	return c->phase == PHASE_IDLE || c->phase == PHASE_HEAD;
}

static void
step_body(struct conn *c)
{
	do {
		size_t had = c->in.n, want = c->chunked ? NET_RECORD : c->need;

		if (had >= want) { /* the decoder is slower */
			watch(c, 0);
			return;
		}
		if (!read_some(c, want - had))
			return;
		if (c->chunked) {
			c->wire += c->in.n - had;
			if (c->wire / NET_CHUNK_OVERHEAD > c->pool->lim.body_octets) {
				conn_body_over(c);
				return;
			}
			feed(c);
		} else if (c->in.n == c->need) {
			ask(c);
		}
	} while (c->phase == PHASE_BODY && transport_pending(&c->t));
}

static void
step_head(struct conn *c)
{
	do {
		if (!read_some(c, NET_RECORD))
			return;
		look(c);
	} while (is_between(c) && transport_pending(&c->t));
	if (is_between(c) && c->in.n == 0)
		buf_free(&c->in); /* empty lines only */
	if (c->phase == PHASE_BODY && transport_pending(&c->t))
		step_body(c);
}

/* TLS reads ahead: what it holds already makes no event. */
static void
step_ahead(struct conn *c)
{
	if (!transport_pending(&c->t))
		return;
	if (is_between(c))
		step_head(c);
	else if (c->phase == PHASE_BODY)
		step_body(c);
}

static void
step_handshake(struct conn *c)
{
	struct err e = { 0 };
	enum transport_result r = transport_handshake(&c->t, &e);

	if (r == TRANSPORT_DONE) {
		conn_enter(c, PHASE_IDLE);
		watch(c, LOOP_READ);
		step_ahead(c);
	} else if (r == TRANSPORT_WANT_READ || r == TRANSPORT_WANT_WRITE) {
		watch_for(c, r);
	} else {
		c->pool->hooks->refused(c->pool->ctx, c->address, "tls.handshake", e.msg, "");
		c->t.failed = true;
		linger(c); /* the alert is to arrive */
	}
}

static void
step(struct conn *c)
{
	switch (c->phase) {
	case PHASE_HANDSHAKE:
		step_handshake(c);
		break;
	case PHASE_IDLE:
	case PHASE_HEAD:
		step_head(c);
		break;
	case PHASE_BODY:
		step_body(c);
		break;
	case PHASE_ANSWER:
		if (c->answered)
			conn_send(c);
		else
			watch(c, 0); /* the next request waits in the kernel */
		break;
	case PHASE_LINGER:
		step_linger(c);
		break;
	case PHASE_GONE:
	case PHASE_DEAD:
	case PHASE_COUNT:
		break;
	}
}

void
conn_event(void *ctx, int fd, unsigned events)
{
	struct conn *c = ctx;
	struct conn_pool *p = c->pool;

	(void)fd;
	if ((events & LOOP_HUP) != 0 && c->phase == PHASE_ANSWER)
		conn_close(c); /* nobody is there to read the answer */
	else
		step(c);
	p->hooks->settle(p->ctx);
}

/* The answer has left: wait for the next request, which may have been read already. */
static void
next_request(struct conn *c)
{
	size_t used = c->need;

	if (finish_request(c)) { /* an answer went out that the owner has not given: cannot be */
		conn_close(c);
		return;
	}
	c->looked = c->need = c->body_n = c->fed = c->wire = 0;
	c->asked = true;
	c->chunked = c->expect = c->answered = false;
	c->id[0] = 0;
	fd_autoclose(&c->file);
	enter_warm(c);
	buf_free(&c->out);
	drop_in(c, used);
	conn_enter(c, PHASE_IDLE);
	watch(c, LOOP_READ);
	if (c->in.n != 0)
		look(c);
	if (is_between(c) && c->in.n == 0)
		buf_free(&c->in);
	step_ahead(c);
}

/* Fill up `out` from the answer's file; false when it cannot be read, or is shorter than it was. */
static bool
refill(struct conn *c)
{
	struct conn_pool *p = c->pool;

	while (c->file_left != 0 && c->out.n < NET_RECORD) {
		size_t room = NET_RECORD - c->out.n, want = c->file_left < room ? (size_t)c->file_left : room;
		ssize_t n = pread(c->file, p->scratch, want, (off_t)c->file_at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		buf_put(&c->out, p->scratch, (size_t)n);
		c->file_at += (uint64_t)n;
		c->file_left -= (uint64_t)n;
	}
	return true;
}

void
conn_send(struct conn *c)
{
	if (c->phase != PHASE_ANSWER || !c->answered)
		return;
	do { /* what fits into one record leaves as one */
		if (!refill(c)) {
			conn_refuse(c, 500, "answer.cut", "the answer could not be sent whole");
			return;
		}
		if (!flush(c))
			return;
	} while (c->file_left != 0);
	if (c->close || c->pool->draining)
		linger(c);
	else
		next_request(c);
}

/* Has the decoder said anything?  It speaks for itself only of what it refuses, and of 100 Continue, which the client has already. */
static bool
decoder_refuses(struct conn *c)
{
	static const char interim[] = "HTTP/1.1 100 ";
	struct conn_pool *p = c->pool;
	ssize_t n = recv(c->inner, p->scratch, sizeof(p->scratch), MSG_DONTWAIT);
	const uint8_t *end;

	if (n < 0)
		return errno != EAGAIN && errno != EINTR;
	if ((size_t)n < sizeof(interim) - 1 || memcmp(p->scratch, interim, sizeof(interim) - 1) != 0)
		return true;
	end = memmem(p->scratch, (size_t)n, "\r\n\r\n", 4);
	return end == NULL || end + 4 != p->scratch + n;
}

void
conn_decode(struct conn *c)
{
	if (c->inner < 0)
		return;
	if (decoder_refuses(c)) {
		conn_refuse(c, 400, "body.syntax", "the body is not what its head says");
		return;
	}
	if (c->fed >= c->in.n)
		return;
	feed(c);
	watch(c, LOOP_READ);
	step_ahead(c);
}

void
conn_body_end(struct conn *c)
{
	close_inner(c);
	if (c->phase == PHASE_BODY)
		conn_enter(c, PHASE_ANSWER);
}

void
conn_body_over(struct conn *c)
{
	conn_refuse(c, 413, "body.size", "the body is too long");
}

bool
conn_answer(struct conn *c, const struct conn_answer *a)
{
	struct conn_pool *p = c->pool;

	if (c->phase != PHASE_ANSWER || c->answered)
		return false;
	c->answered = true;
	c->close = c->close || a->close;
	buf_put_bytes(&c->out, a->head);
	buf_put_bytes(&c->out, a->body);
	c->file = a->file;
	c->file_at = 0;
	c->file_left = a->file_octets;
	c->ready = true;
	TAILQ_INSERT_TAIL(&p->ready, c, ready_link);
	p->n_ready++;
	return true;
}

bool
conn_closing(const struct conn *c)
{
	return c->close || c->pool->draining;
}

void
conn_forget(struct conn *c)
{
	c->request = NULL;
	if (c->phase == PHASE_GONE)
		conn_enter(c, PHASE_DEAD);
}

int
conn_tag(const struct conn *c)
{
	return c->tag;
}

const char *
conn_id(const struct conn *c)
{
	return c->id;
}

const char *
conn_address(const struct conn *c)
{
	return c->address;
}

uid_t
conn_uid(const struct conn *c)
{
	return c->uid;
}

pid_t
conn_pid(const struct conn *c)
{
	return c->pid;
}

const struct http_local *
conn_local(const struct conn *c)
{
	return &c->local;
}

const struct tls_peer *
conn_peer(struct conn *c)
{
	if (c->peer == NULL && c->t.ssl != NULL) {
		c->peer = mem_zalloc(sizeof(*c->peer));
		tls_peer_fill(c->peer, c->t.ssl);
	}
	return c->peer;
}

int
conn_binding(const struct conn *c, char out[TLS_BINDING_MAX], struct err *e)
{
	if (c->t.ssl == NULL)
		return err_set(e, E_UNAVAIL, "channel binding: no TLS connection");
	return tls_binding(out, c->t.ssl, true, e);
}
