/* SPDX-License-Identifier: Apache-2.0 */
/* sys/pipe.c - typed messages between two of our processes */
#include "core/sys/pipe.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/mem.h"

#define HEAD_LEN 16           /* of a message: u32 type, u64 id, u32 length of its body */
#define PACKET_MAX (HEAD_LEN + PIPE_INLINE_MAX)
#define TOGETHER_MAX 64       /* messages in a packet */
#define BIG      0x80000000u  /* in type: the body is in the descriptor */
#define SEALS    (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)
#define TURN_MAX 64           /* messages of one pipe before others have their turn */
#define WHY_MAX  100

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* One or more messages; with a descriptor, one. */
struct packet {
	struct bytes octets;
	int fd;
};

struct item {
	struct item *next;
	struct packet packet; /* octets and fd are the item's */
	size_t cost;
};

struct pipe {
	int fd;
	struct loop_io *io;
	struct loop_late *late;
	struct buf out;     /* messages of this turn, for one packet */
	size_t n_out;
	const struct pipe_permit *permits;
	pipe_closed_fn closed;
	void *ctx;
	struct item *first, **last;
	size_t queued;
	bool can_send;      /* false once the peer is gone */
	bool broken;        /* nothing more is read */
	bool resting;       /* by pipe_rest() */
	bool busy, freed;   /* inside on_io(); to be freed at its end */
	char why[WHY_MAX];
};

/* One message at a time is in the hands of a handler, so one buffer serves all pipes. */
static uint8_t packet_in[PACKET_MAX];
static uint8_t body_in[PIPE_MAX];

static void
put_be(uint8_t *p, uint64_t v, size_t n)
{
	while (n-- != 0) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

static uint64_t
get_be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

int
pipe_pair(int fds[2], struct err *e)
{
	int size = 16 * (int)PIPE_INLINE_MAX;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
		return err_errno(e, E_IO, "socketpair");
	/* Best effort: an inline message fits the usual limits, and what does not fit waits. */
	for (int i = 0; i < 2; i++)
		if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
			(void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

static void
watch(struct pipe *p)
{
	loop_io_set(p->io, (p->resting ? 0 : LOOP_READ) | (p->first != NULL ? LOOP_WRITE : 0));
}

void
pipe_rest(struct pipe *p, bool rest)
{
	if (p->resting == rest || p->io == NULL)
		return;
	p->resting = rest;
	watch(p);
}

/* The first item leaves the queue; the caller's to free. */
static struct item *
item_shift(struct pipe *p)
{
	struct item *it = p->first;

	p->first = it->next;
	if (p->first == NULL)
		p->last = &p->first;
	p->queued -= it->cost;
	return it;
}

static void
item_free(struct item *it)
{
	fd_autoclose(&it->packet.fd);
	mem_free_wiped((void *)(uintptr_t)it->packet.octets.p, it->packet.octets.n);
	mem_free(it);
}

void
pipe_break(struct pipe *p, const char *why)
{
	if (p->broken)
		return;
	p->broken = true;
	p->can_send = false;
	(void)snprintf(p->why, sizeof(p->why), "%s", why);
	/* The loop reports our own hangup, and on_io() finishes the work. */
	(void)shutdown(p->fd, SHUT_RDWR);
}

/* 0, or a negated errno. */
static int
send_packet(int sock, const struct packet *k)
{
	union { struct cmsghdr align; char room[CMSG_SPACE(sizeof(int))]; } control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)k->octets.p, k->octets.n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (k->fd >= 0) {
		struct cmsghdr *c;

		m.msg_control = control.room;
		m.msg_controllen = sizeof(control.room);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &k->fd, sizeof(int));
	}
	while (sendmsg(sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* What a failed send means for the pipe. */
static int
send_failed(struct pipe *p, int no, struct err *e)
{
	errno = no;
	if (no == EPIPE || no == ECONNRESET || no == ENOTCONN) {
		p->can_send = false; /* what the peer said before it went is still read */
		return err_set(e, E_UNAVAIL, "the process at the other end has gone");
	}
	(void)err_errno(e, E_IO, "sending to another process");
	pipe_break(p, strerror(no));
	return E_IO;
}

/* Queue a copy; cost is what it counts for. */
static int
enqueue(struct pipe *p, const struct packet *k, size_t cost, struct err *e)
{
	AUTO_FD fd = -1;
	struct item *it;

	cost += sizeof(*it);
	if (cost > PIPE_QUEUE_MAX - p->queued) {
		pipe_break(p, "peer does not read");
		return err_set(e, E_UNAVAIL, "the process at the other end does not read");
	}
	if (k->fd >= 0 && (fd = fcntl(k->fd, F_DUPFD_CLOEXEC, 0)) < 0)
		return err_errno(e, E_IO, "duplicating a descriptor");
	it = mem_zalloc(sizeof(*it));
	*it = (struct item){ .packet = *k, .cost = cost };
	it->packet.octets.p = mem_dup(k->octets.p, k->octets.n);
	it->packet.fd = TAKE_FD(fd);
	*p->last = it;
	p->last = &it->next;
	p->queued += cost;
	watch(p);
	return 0;
}

static int
send_or_queue(struct pipe *p, const struct packet *k, size_t cost, struct err *e)
{
	int r;

	if (p->first != NULL)
		return enqueue(p, k, cost, e);
	r = send_packet(p->fd, k);
	if (r == -EAGAIN)
		return enqueue(p, k, cost, e);
	return r == 0 ? 0 : send_failed(p, -r, e);
}

/* body in a memfd that can no longer change. */
static int
seal(int *out, struct bytes body, struct err *e)
{
	AUTO_FD fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_errno(e, E_IO, "memfd_create");
	for (size_t at = 0; at < body.n;) {
		ssize_t n = pwrite(fd, body.p + at, body.n - at, (off_t)at);

		if (n < 0 && errno != EINTR)
			return err_errno(e, E_IO, "writing a message");
		at += n > 0 ? (size_t)n : 0;
	}
	if (fcntl(fd, F_ADD_SEALS, SEALS) != 0)
		return err_errno(e, E_IO, "sealing a message");
	*out = TAKE_FD(fd);
	return 0;
}

static void
put_message(struct buf *b, uint32_t type, uint64_t id, struct bytes body)
{
	uint8_t head[HEAD_LEN];

	put_be(head, type, 4);
	put_be(head + 4, id, 8);
	put_be(head + 12, body.n, 4);
	buf_put(b, head, sizeof(head));
	buf_put_bytes(b, body);
}

/* What this turn has gathered leaves as one packet. */
static int
push(struct pipe *p, struct err *e)
{
	struct packet k = { bytes_of_buf(&p->out), -1 };
	int r;

	if (p->n_out == 0)
		return 0;
	r = p->can_send ? send_or_queue(p, &k, k.octets.n, e) : 0;
	mem_wipe(p->out.p, p->out.n); /* it may have held a password */
	buf_reset(&p->out);
	p->n_out = 0;
	return r;
}

/* A failure is told by the end of the pipe. */
static void
on_turn_end(void *ctx)
{
	(void)!push(ctx, NULL);
}

static int
gather(struct pipe *p, uint32_t type, uint64_t id, struct bytes body, struct err *e)
{
	int r;

	if ((p->n_out == TOGETHER_MAX || p->out.n + HEAD_LEN + body.n > PACKET_MAX) && (r = push(p, e)) != 0)
		return r;
	put_message(&p->out, type, id, body);
	p->n_out++;
	loop_late_ask(p->late);
	return 0;
}

int
pipe_send(struct pipe *p, uint32_t type, uint64_t id, struct bytes body, int fd, struct err *e)
{
	AUTO_BUF alone = { 0 };
	AUTO_FD sealed = -1;
	uint8_t len[4];
	int r;

	assert((type & BIG) == 0);
	if (!p->can_send)
		return err_set(e, E_UNAVAIL, "the process at the other end has gone");
	if (body.n > PIPE_MAX || (body.n > PIPE_INLINE_MAX && fd >= 0))
		return err_set(e, E_TOOBIG, "message %u of %zu octets", type, body.n);
	if (body.n <= PIPE_INLINE_MAX && fd < 0)
		return gather(p, type, id, body, e);
	if ((r = push(p, e)) != 0)
		return r;
	if (body.n > PIPE_INLINE_MAX) {
		if ((r = seal(&sealed, body, e)) != 0)
			return r;
		put_be(len, body.n, sizeof(len));
		put_message(&alone, type | BIG, id, (struct bytes){ len, sizeof(len) });
		fd = sealed;
	} else {
		put_message(&alone, type, id, body);
	}
	return send_or_queue(p, &(struct packet){ bytes_of_buf(&alone), fd }, body.n, e);
}

static void
release(struct pipe *p)
{
	(void)!push(p, NULL);
	loop_late_free(TAKE(p->late));
	loop_io_free(TAKE(p->io));
	fd_autoclose(&p->fd);
	while (p->first != NULL)
		item_free(item_shift(p));
	buf_free(&p->out);
	p->can_send = false;
	p->broken = true;
}

static void
flush(struct pipe *p)
{
	while (p->first != NULL && p->can_send) {
		int r = send_packet(p->fd, &p->first->packet);

		if (r == -EAGAIN)
			return;
		if (r != 0)
			(void)send_failed(p, -r, NULL);
		else
			item_free(item_shift(p));
	}
	if (!p->can_send) /* nobody will ever read the rest */
		while (p->first != NULL)
			item_free(item_shift(p));
	watch(p);
}

/* The one descriptor of a message; false when there was more than one, or anything else. */
static bool
take_fd(struct msghdr *m, int *out)
{
	bool good = true;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
			good = false;
			continue;
		}
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (*out < 0) {
				*out = fd;
			} else {
				(void)close(fd);
				good = false;
			}
		}
	}
	return good;
}

/* Replace the length and memfd of a big message by its body. */
static bool
unseal(struct pipe_msg *m)
{
	AUTO_FD fd = TAKE_FD(m->fd);
	uint64_t len = m->body.n == 4 ? get_be(m->body.p, 4) : 0;
	struct stat st;
	int seals;

	if (fd < 0 || len <= PIPE_INLINE_MAX || len > PIPE_MAX)
		return false;
	/* Only a memfd has seals, and reading one cannot block. */
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) != 0 || (uint64_t)st.st_size != len)
		return false;
	m->body = (struct bytes){ body_in, (size_t)len };
	m->type &= ~BIG;
	return pread(fd, body_in, (size_t)len, 0) == (ssize_t)len;
}

/* Hand one message to its handler, or break the pipe. */
static void
dispatch(struct pipe *p, struct pipe_msg *m)
{
	const struct pipe_permit *row = p->permits;
	char why[WHY_MAX];

	while (row->fn != NULL && row->type != (m->type & ~BIG))
		row++;
	if (row->fn == NULL) {
		(void)snprintf(why, sizeof(why), "message %u not permitted", m->type & ~BIG);
		pipe_break(p, why);
	} else if ((m->type & BIG) != 0 && !unseal(m)) {
		pipe_break(p, "malformed long message");
	} else {
		row->fn(p->ctx, p, m);
	}
	mem_wipe((void *)(uintptr_t)m->body.p, m->body.n); /* it may have held a password */
}

/* The next message of a packet; false when it is not whole. */
static bool
next_message(struct pipe_msg *m, struct bytes *rest)
{
	size_t n;

	if (rest->n < HEAD_LEN || (n = (size_t)get_be(rest->p + 12, 4)) > rest->n - HEAD_LEN)
		return false;
	m->type = (uint32_t)get_be(rest->p, 4);
	m->id = get_be(rest->p + 4, 8);
	m->body = bytes_slice(*rest, HEAD_LEN, n);
	*rest = bytes_slice(*rest, HEAD_LEN + n, rest->n);
	return true;
}

/* The messages of a packet, to the first that breaks the pipe; how many there were. */
static int
dispatch_all(struct pipe *p, struct bytes rest, int fd)
{
	struct pipe_msg msg = { .fd = fd };
	int n = 0;

	for (; rest.n != 0 && !p->broken; n++) {
		if (!next_message(&msg, &rest) || (fd >= 0 && rest.n != 0))
			pipe_break(p, "malformed message");
		else
			dispatch(p, &msg);
	}
	fd_autoclose(&msg.fd);
	return n;
}

/* Receive one packet; the number of its messages, or 0 when there is none now. */
static int
receive(struct pipe *p)
{
	union { struct cmsghdr align; char room[CMSG_SPACE(sizeof(int))]; } control;
	struct iovec iov = { packet_in, sizeof(packet_in) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	ssize_t n = recvmsg(p->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd = -1;

	if (n < 0 && (errno == EINTR || errno == ECONNRESET))
		return 1; /* a reset is said once, then what is queued, then the end */
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		pipe_break(p, n == 0 ? "peer closed" : strerror(errno));
		return 0;
	}
	if (take_fd(&m, &fd) && (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
		return dispatch_all(p, (struct bytes){ packet_in, (size_t)n }, fd);
	fd_autoclose(&fd);
	pipe_break(p, "malformed message");
	return 0;
}

static void
on_io(void *ctx, int fd, unsigned events)
{
	struct pipe *p = ctx;

	(void)fd;
	p->busy = true;
	if ((events & LOOP_WRITE) != 0 && !p->broken)
		flush(p);
	for (int all = 0, n = 1; n != 0 && all < TURN_MAX && !p->broken; all += n)
		n = receive(p);
	if (p->broken && !p->freed) {
		release(p);
		if (p->closed != NULL)
			p->closed(p->ctx, p, p->why);
	}
	p->busy = false;
	if (p->freed)
		mem_free(p);
}

struct pipe *
pipe_new(struct loop *l, int fd, const struct pipe_permit *permits, pipe_closed_fn closed, void *ctx)
{
	struct pipe *p = mem_zalloc(sizeof(*p));

	*p = (struct pipe){ .fd = fd, .permits = permits, .closed = closed, .ctx = ctx,
		.can_send = true, .out = BUF_MAX(PACKET_MAX) };
	p->last = &p->first;
	p->late = loop_late_new(l, on_turn_end, p);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	p->io = loop_io_new(l, fd, LOOP_READ, on_io, p);
	return p;
}

bool
pipe_alive(const struct pipe *p)
{
	return p->can_send;
}

void
pipe_free(struct pipe *p)
{
	if (p == NULL)
		return;
	release(p);
	p->freed = true;
	if (!p->busy)
		mem_free(p);
}
