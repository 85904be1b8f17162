/* SPDX-License-Identifier: Apache-2.0 */
/* sys/test_pipe.c - messages between two ends, and what a hostile end may try */
#include "core/sys/pipe.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/mem.h"

enum { T_DATA = 1, T_FREE, T_TAKE, T_BREAK, T_LAST };

/* What one end saw. */
struct side {
	struct pipe *pipe;
	struct buf body;
	uint64_t id;
	size_t n;
	int fd;
	char why[100];
	bool free_when_closed;
	size_t *others;      /* count at which the first message came */
	size_t seen_of_others;
};

static struct loop *loop;
static struct side here, there;
static int there_fd; /* the raw end, until somebody serves it */

static void
on_data(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct side *s = ctx;

	(void)p;
	if (s->n++ == 0 && s->others != NULL)
		s->seen_of_others = *s->others;
	s->id = m->id;
	buf_reset(&s->body);
	buf_put_bytes(&s->body, m->body);
}

static void
on_take(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct side *s = ctx;

	on_data(ctx, p, m);
	s->fd = TAKE_FD(m->fd);
}

static void
on_free(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct side *s = ctx;

	on_data(ctx, p, m);
	pipe_free(p);
	s->pipe = NULL;
}

static void
on_break(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	on_data(ctx, p, m);
	pipe_break(p, "malformed by choice");
	assert_false(pipe_alive(p));
}

static void
on_last(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	on_data(ctx, p, m);
	loop_stop(loop, 0);
}

static const struct pipe_permit permits[] = {
	{ T_DATA, "DATA", on_data }, { T_FREE, "FREE", on_free }, { T_TAKE, "TAKE", on_take },
	{ T_BREAK, "BREAK", on_break }, { T_LAST, "LAST", on_last }, { 0 },
};

static void
on_closed(void *ctx, struct pipe *p, const char *why)
{
	struct side *s = ctx;

	(void)snprintf(s->why, sizeof(s->why), "%s", why);
	if (s->free_when_closed) {
		pipe_free(p);
		s->pipe = NULL;
	}
	loop_stop(loop, 0);
}

static void
serve_there(void)
{
	there.pipe = pipe_new(loop, TAKE_FD(there_fd), permits, on_closed, &there);
}

static int
setup(void **state)
{
	int fds[2];

	(void)state;
	loop = loop_new();
	here = there = (struct side){ .fd = -1 };
	if (pipe_pair(fds, NULL) != 0)
		return -1;
	here.pipe = pipe_new(loop, fds[0], permits, on_closed, &here);
	there_fd = fds[1];
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pipe_free(here.pipe);
	pipe_free(there.pipe);
	buf_free(&here.body);
	buf_free(&there.body);
	fd_autoclose(&there_fd);
	loop_free(loop);
	return 0;
}

static void
send_ok(uint32_t type, uint64_t id, struct bytes body, int fd)
{
	assert_int_equal(pipe_send(here.pipe, type, id, body, fd, NULL), 0);
}

static void
a_message_arrives_with_its_type_and_id(void **state)
{
	(void)state;
	serve_there();
	send_ok(T_LAST, UINT64_C(0x0102030405060708), bytes_of("hello"), -1);
	(void)loop_run(loop);
	assert_int_equal(there.n, 1);
	assert_true(there.id == UINT64_C(0x0102030405060708));
	assert_true(bytes_equal_str(bytes_of_buf(&there.body), "hello"));
}

static void
an_empty_body_is_a_message_too(void **state)
{
	(void)state;
	serve_there();
	send_ok(T_LAST, 1, (struct bytes){ 0 }, -1);
	(void)loop_run(loop);
	assert_int_equal(there.n, 1);
	assert_int_equal(there.body.n, 0);
}

static const size_t sizes[] = { 1, PIPE_INLINE_MAX - 1, PIPE_INLINE_MAX, PIPE_INLINE_MAX + 1,
	2 * PIPE_INLINE_MAX, PIPE_MAX - 1, PIPE_MAX };
static uint8_t pattern[PIPE_MAX];

static void
on_pattern(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct side *s = ctx;

	(void)p;
	assert_true(bytes_equal(m->body, (struct bytes){ pattern, sizes[s->n] }));
	if (++s->n == N_OF(sizes))
		loop_stop(loop, 0);
}

static void
bodies_of_every_size_up_to_the_limit_arrive_unchanged(void **state)
{
	static const struct pipe_permit patterns[] = { { T_DATA, "DATA", on_pattern }, { 0 } };

	(void)state;
	for (size_t i = 0; i < PIPE_MAX; i++)
		pattern[i] = (uint8_t)(i * 31 + i / 251);
	there.pipe = pipe_new(loop, TAKE_FD(there_fd), patterns, on_closed, &there);
	for (size_t i = 0; i < N_OF(sizes); i++)
		send_ok(T_DATA, i, (struct bytes){ pattern, sizes[i] }, -1);
	(void)loop_run(loop);
	assert_int_equal(there.n, N_OF(sizes));
}

static void
a_body_over_the_limit_is_refused_and_the_pipe_lives(void **state)
{
	uint8_t *p = mem_zalloc(PIPE_MAX + 1);

	(void)state;
	assert_int_equal(pipe_send(here.pipe, T_DATA, 0, (struct bytes){ p, PIPE_MAX + 1 }, -1, NULL), E_TOOBIG);
	assert_int_equal(pipe_send(here.pipe, T_TAKE, 0, (struct bytes){ p, PIPE_INLINE_MAX + 1 }, 0, NULL),
	    E_TOOBIG);
	assert_true(pipe_alive(here.pipe));
	mem_free(p);
}

static void
a_descriptor_arrives_with_its_message(void **state)
{
	int fds[2];
	char octet = 0;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	serve_there();
	send_ok(T_TAKE, 0, bytes_of("x"), fds[1]);
	send_ok(T_LAST, 0, bytes_of("x"), -1);
	(void)close(fds[1]); /* the message has its own */
	(void)loop_run(loop);
	assert_true(there.fd >= 0);
	assert_int_equal(fcntl(there.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(write(there.fd, "!", 1), 1);
	assert_int_equal(read(fds[0], &octet, 1), 1);
	assert_int_equal(octet, '!');
	(void)close(fds[0]);
	(void)close(there.fd);
}

static void
a_descriptor_that_nobody_takes_is_closed(void **state)
{
	int fds[2];
	char octet;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	serve_there();
	send_ok(T_DATA, 0, bytes_of("x"), fds[1]);
	send_ok(T_LAST, 0, bytes_of("x"), -1);
	(void)close(fds[1]);
	(void)loop_run(loop);
	assert_int_equal(read(fds[0], &octet, 1), 0); /* the last writer has gone */
	(void)close(fds[0]);
}

static void
a_type_that_is_not_permitted_closes_the_pipe(void **state)
{
	(void)state;
	serve_there();
	send_ok(17, 0, bytes_of("x"), -1);
	send_ok(T_DATA, 0, bytes_of("x"), -1);
	(void)loop_run(loop);
	assert_string_equal(there.why, "message 17 not permitted");
	assert_int_equal(there.n, 0);
	assert_false(pipe_alive(there.pipe));
	assert_int_equal(pipe_send(there.pipe, T_DATA, 0, bytes_of("x"), -1, NULL), E_UNAVAIL);
}

static void
a_peer_that_goes_is_told(void **state)
{
	(void)state;
	fd_autoclose(&there_fd);
	send_ok(T_DATA, 0, bytes_of("x"), -1); /* it is not known yet */
	(void)loop_run(loop);
	assert_string_equal(here.why, "peer closed");
	assert_int_equal(pipe_send(here.pipe, T_DATA, 0, bytes_of("x"), -1, NULL), E_UNAVAIL);
}

static void
what_a_peer_said_before_it_went_still_arrives(void **state)
{
	static const uint8_t unread[PIPE_INLINE_MAX]; /* a whole packet: it has left when the next message comes */

	(void)state;
	serve_there();
	send_ok(T_DATA, 1, bytes_of("first"), -1);
	send_ok(T_DATA, 2, bytes_of("last"), -1);
	/* It goes with an unread message of ours, which the kernel reports as a reset. */
	assert_int_equal(pipe_send(there.pipe, T_DATA, 0, (struct bytes){ unread, sizeof(unread) }, -1, NULL), 0);
	assert_int_equal(pipe_send(there.pipe, T_DATA, 0, bytes_of("x"), -1, NULL), 0);
	pipe_free(TAKE(here.pipe));
	(void)loop_run(loop);
	assert_int_equal(there.n, 2);
	assert_true(bytes_equal_str(bytes_of_buf(&there.body), "last"));
	assert_string_equal(there.why, "peer closed");
}

static void
in_order(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct side *s = ctx;

	(void)p;
	assert_true(m->id == s->n);
	assert_true(m->body.n == 12345 || m->body.n == PIPE_INLINE_MAX + 1);
	s->n++;
	if (m->id == 1499)
		loop_stop(loop, 0);
}

static void
messages_wait_in_order_while_the_peer_is_slow(void **state)
{
	static const struct pipe_permit ordered[] = { { T_DATA, "DATA", in_order }, { 0 } };
	static const uint8_t body[PIPE_INLINE_MAX + 1];

	(void)state;
	for (uint64_t i = 0; i < 1500; i++)
		send_ok(T_DATA, i, (struct bytes){ body, i % 100 == 99 ? sizeof(body) : 12345 }, -1);
	there.pipe = pipe_new(loop, TAKE_FD(there_fd), ordered, on_closed, &there);
	(void)loop_run(loop);
	assert_int_equal(there.n, 1500);
}

static void
a_peer_that_does_not_read_breaks_the_pipe_in_the_end(void **state)
{
	static const uint8_t body[PIPE_MAX];
	size_t sent = 0;
	int r;

	(void)state;
	do {
		r = pipe_send(here.pipe, T_DATA, 0, (struct bytes){ body, PIPE_INLINE_MAX }, -1, NULL);
		sent += PIPE_INLINE_MAX;
	} while (r == 0 && sent < 4 * PIPE_QUEUE_MAX);
	assert_int_equal(r, E_UNAVAIL);
	assert_true(sent > PIPE_QUEUE_MAX);
	assert_string_equal(here.why, ""); /* not called back from inside pipe_send() */
	(void)loop_run(loop);
	assert_string_equal(here.why, "peer does not read");
}

static void
a_pipe_may_be_freed_by_its_own_handler(void **state)
{
	(void)state;
	serve_there();
	send_ok(T_FREE, 0, bytes_of("x"), -1);
	send_ok(T_DATA, 0, bytes_of("x"), -1);
	(void)loop_run(loop); /* our end sees that the other has gone */
	assert_null(there.pipe);
	assert_int_equal(there.n, 1);
	assert_string_equal(there.why, "");
	assert_string_equal(here.why, "peer closed");
}

static void
a_pipe_may_be_freed_by_its_own_closing(void **state)
{
	(void)state;
	here.free_when_closed = true;
	fd_autoclose(&there_fd);
	(void)loop_run(loop);
	assert_null(here.pipe);
}

static void
a_handler_may_break_the_pipe_with_its_reason(void **state)
{
	(void)state;
	serve_there();
	send_ok(T_BREAK, 0, bytes_of("x"), -1);
	send_ok(T_DATA, 0, bytes_of("x"), -1);
	there.free_when_closed = true;
	(void)loop_run(loop);
	assert_string_equal(there.why, "malformed by choice");
	assert_int_equal(there.n, 1);
}

static void
a_busy_pipe_does_not_starve_another(void **state)
{
	struct side other = { .fd = -1, .others = &there.n };
	struct pipe *quiet;
	int fds[2];

	(void)state;
	assert_int_equal(pipe_pair(fds, NULL), 0);
	quiet = pipe_new(loop, fds[0], permits, on_closed, &other);
	other.pipe = pipe_new(loop, fds[1], permits, on_closed, &other);
	serve_there();
	for (int i = 0; i < 900; i++)
		send_ok(T_DATA, 0, bytes_of("x"), -1);
	send_ok(T_LAST, 0, bytes_of("x"), -1);
	assert_int_equal(pipe_send(quiet, T_DATA, 0, bytes_of("x"), -1, NULL), 0);
	pipe_free(quiet); /* its message leaves; the other end stops the loop */
	(void)loop_run(loop);
	assert_int_equal(other.n, 1);
	assert_true(other.seen_of_others < 900);
	pipe_free(other.pipe);
	buf_free(&other.body);
}

static void
wake_there(void *ctx)
{
	(void)ctx;
	assert_int_equal(there.n, 0);
	pipe_rest(there.pipe, false);
}

static void
a_pipe_at_rest_reads_nothing_until_it_is_woken(void **state)
{
	struct loop_timer *timer = loop_timer_new(loop, wake_there, NULL);

	(void)state;
	serve_there();
	pipe_rest(there.pipe, true);
	send_ok(T_DATA, 0, bytes_of("x"), -1);
	send_ok(T_LAST, 0, bytes_of("x"), -1);
	loop_timer_in(timer, 20);
	(void)loop_run(loop);
	assert_int_equal(there.n, 2);
	loop_timer_free(timer);
}

static void
a_pipe_at_rest_tells_that_its_peer_has_gone(void **state)
{
	(void)state;
	serve_there();
	pipe_rest(there.pipe, true);
	send_ok(T_DATA, 0, bytes_of("x"), -1);
	pipe_free(TAKE(here.pipe));
	(void)loop_run(loop);
	assert_int_equal(there.n, 1);
	assert_string_equal(there.why, "peer closed");
}

/* One packet as a hostile process would send it. */
static void
send_raw(const void *p, size_t n, const int *fds, size_t n_fds)
{
	union { struct cmsghdr align; char room[CMSG_SPACE(2 * sizeof(int))]; } control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)p, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds != 0) {
		struct cmsghdr *c = &control.align;

		m.msg_control = control.room;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(there_fd, &m, 0), (ssize_t)n);
}

static const uint8_t head[16] = { 0, 0, 0, T_DATA };

static void
a_packet_without_a_whole_head_closes_the_pipe(void **state)
{
	(void)state;
	send_raw(head, 15, NULL, 0);
	(void)loop_run(loop);
	assert_string_equal(here.why, "malformed message");
}

static void
messages_of_one_turn_come_in_one_packet(void **state)
{
	uint8_t in[200];

	(void)state;
	send_ok(T_DATA, 1, bytes_of("one"), -1);
	send_ok(T_DATA, 2, bytes_of("two"), -1);
	assert_int_equal(recv(there_fd, in, sizeof(in), MSG_DONTWAIT), -1);
	pipe_free(TAKE(here.pipe));
	assert_int_equal(recv(there_fd, in, sizeof(in), 0), 2 * (16 + 3));
	assert_memory_equal(in + 16, "one", 3);
	assert_memory_equal(in + 16 + 3 + 16, "two", 3);
}

static void
a_message_that_is_not_whole_closes_the_pipe_behind_the_one_before_it(void **state)
{
	static const uint8_t p[2 * 16] = { [3] = T_DATA, [16 + 3] = T_DATA, [16 + 15] = 1 };

	(void)state;
	send_raw(p, sizeof(p), NULL, 0);
	(void)loop_run(loop);
	assert_string_equal(here.why, "malformed message");
	assert_int_equal(here.n, 1);
}

static void
a_descriptor_beside_two_messages_closes_the_pipe_and_it(void **state)
{
	static const uint8_t p[2 * 16] = { [3] = T_TAKE, [16 + 3] = T_TAKE };
	int fds[2];
	char octet;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	send_raw(p, sizeof(p), &fds[1], 1);
	(void)close(fds[1]);
	(void)loop_run(loop);
	assert_string_equal(here.why, "malformed message");
	assert_int_equal(here.n, 0);
	assert_int_equal(read(fds[0], &octet, 1), 0);
	(void)close(fds[0]);
}

static void
a_packet_over_the_limit_closes_the_pipe(void **state)
{
	uint8_t *p = mem_zalloc(PIPE_INLINE_MAX + 17);

	(void)state;
	p[3] = T_DATA;
	send_raw(p, PIPE_INLINE_MAX + 17, NULL, 0);
	(void)loop_run(loop);
	assert_string_equal(here.why, "malformed message");
	assert_int_equal(here.n, 0);
	mem_free(p);
}

static void
a_packet_with_two_descriptors_closes_the_pipe_and_both(void **state)
{
	int fds[2];
	char octet;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	send_raw(head, 16, (int[2]){ fds[1], fds[1] }, 2);
	(void)close(fds[1]);
	(void)loop_run(loop);
	assert_string_equal(here.why, "malformed message");
	assert_int_equal(read(fds[0], &octet, 1), 0);
	(void)close(fds[0]);
}

/* A long message of `len` octets in fd. */
static void
send_long(uint32_t len, int fd)
{
	uint8_t p[20] = { 0x80, 0, 0, T_DATA, [15] = 4, [16] = (uint8_t)(len >> 24), (uint8_t)(len >> 16),
		(uint8_t)(len >> 8), (uint8_t)len };

	send_raw(p, sizeof(p), &fd, fd >= 0);
	(void)loop_run(loop);
	assert_int_equal(here.n, 0);
	assert_string_equal(here.why, "malformed long message");
}

static int
memfd(size_t n, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)n), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

static void
a_long_message_without_a_descriptor_closes_the_pipe(void **state)
{
	(void)state;
	send_long(PIPE_MAX, -1);
}

static void
a_long_message_in_something_that_could_block_closes_the_pipe(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	send_long(PIPE_MAX, fds[0]);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void
a_long_message_that_can_still_change_closes_the_pipe(void **state)
{
	AUTO_FD fd = memfd(PIPE_MAX, SEALS & ~F_SEAL_WRITE);

	(void)state;
	send_long(PIPE_MAX, fd);
}

static void
a_long_message_of_another_length_closes_the_pipe(void **state)
{
	AUTO_FD fd = memfd(PIPE_MAX - 1, SEALS);

	(void)state;
	send_long(PIPE_MAX, fd);
}

static void
a_long_message_over_the_limit_closes_the_pipe(void **state)
{
	AUTO_FD fd = memfd(PIPE_MAX + 1, SEALS);

	(void)state;
	send_long(PIPE_MAX + 1, fd);
}

static void
a_long_message_of_a_type_not_permitted_closes_the_pipe(void **state)
{
	const uint8_t p[20] = { 0x80, 0, 0, 99, [15] = 4 };

	(void)state;
	send_raw(p, sizeof(p), NULL, 0);
	(void)loop_run(loop);
	assert_string_equal(here.why, "message 99 not permitted");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_message_arrives_with_its_type_and_id),
		TEST(an_empty_body_is_a_message_too),
		TEST(bodies_of_every_size_up_to_the_limit_arrive_unchanged),
		TEST(a_body_over_the_limit_is_refused_and_the_pipe_lives),
		TEST(a_descriptor_arrives_with_its_message),
		TEST(a_descriptor_that_nobody_takes_is_closed),
		TEST(a_type_that_is_not_permitted_closes_the_pipe),
		TEST(a_peer_that_goes_is_told),
		TEST(what_a_peer_said_before_it_went_still_arrives),
		TEST(messages_wait_in_order_while_the_peer_is_slow),
		TEST(a_peer_that_does_not_read_breaks_the_pipe_in_the_end),
		TEST(a_pipe_may_be_freed_by_its_own_handler),
		TEST(a_pipe_may_be_freed_by_its_own_closing),
		TEST(a_handler_may_break_the_pipe_with_its_reason),
		TEST(a_busy_pipe_does_not_starve_another),
		TEST(a_pipe_at_rest_reads_nothing_until_it_is_woken),
		TEST(a_pipe_at_rest_tells_that_its_peer_has_gone),
		TEST(a_packet_without_a_whole_head_closes_the_pipe),
		TEST(messages_of_one_turn_come_in_one_packet),
		TEST(a_message_that_is_not_whole_closes_the_pipe_behind_the_one_before_it),
		TEST(a_descriptor_beside_two_messages_closes_the_pipe_and_it),
		TEST(a_packet_over_the_limit_closes_the_pipe),
		TEST(a_packet_with_two_descriptors_closes_the_pipe_and_both),
		TEST(a_long_message_without_a_descriptor_closes_the_pipe),
		TEST(a_long_message_in_something_that_could_block_closes_the_pipe),
		TEST(a_long_message_that_can_still_change_closes_the_pipe),
		TEST(a_long_message_of_another_length_closes_the_pipe),
		TEST(a_long_message_over_the_limit_closes_the_pipe),
		TEST(a_long_message_of_a_type_not_permitted_closes_the_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
